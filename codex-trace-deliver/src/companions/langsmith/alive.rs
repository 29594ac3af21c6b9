//! Whether a process runs, by its number alone.

/// Whether a process runs. In doubt, it does.
pub(super) fn is_alive(pid: u32) -> bool {
    system::is_alive(pid)
}

#[cfg(not(windows))]
mod system {
    use std::path::Path;
    use std::process::{Command, Stdio};

    pub(super) fn is_alive(pid: u32) -> bool {
        let proc = Path::new("/proc");
        if proc.join("self").exists() {
            return proc.join(pid.to_string()).exists();
        }
        let mut kill = Command::new("kill");
        kill.args(["-0", &pid.to_string()]).stderr(Stdio::null());
        kill.status().map_or(true, |status| status.success())
    }
}

#[cfg(windows)]
mod system {
    #![expect(unsafe_code, reason = "processes of others have no safe interface")]

    use std::ffi::c_void;
    use std::io;
    use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

    /// Of `OpenProcess`: to wait for its end.
    const SYNCHRONIZE: u32 = 0x0010_0000;

    /// Of `WaitForSingleObject`: it has ended.
    const WAIT_OBJECT_0: u32 = 0;

    /// What `OpenProcess` says of a number that no process has.
    const ERROR_INVALID_PARAMETER: i32 = 87;

    unsafe extern "system" {
        fn OpenProcess(access: u32, inherit: i32, pid: u32) -> *mut c_void;
        fn WaitForSingleObject(handle: *mut c_void, millis: u32) -> u32;
    }

    pub(super) fn is_alive(pid: u32) -> bool {
        // SAFETY: it takes any number, and gives null for what cannot be opened.
        let process = unsafe { OpenProcess(SYNCHRONIZE, 0, pid) };
        if process.is_null() {
            return io::Error::last_os_error().raw_os_error() != Some(ERROR_INVALID_PARAMETER);
        }
        // SAFETY: it was opened just now, and is nobody else's.
        let process = unsafe { OwnedHandle::from_raw_handle(process) };
        // SAFETY: it is open. Somebody who waits for its end keeps its number taken.
        let ended = unsafe { WaitForSingleObject(process.as_raw_handle(), 0) };
        ended != WAIT_OBJECT_0
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn this_process_runs_and_one_that_has_ended_does_not() {
        assert!(is_alive(std::process::id()));
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program).arg("--list").stdout(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert!(!is_alive(pid));
    }
}
