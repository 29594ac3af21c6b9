//! What makes the worker outlive the process that starts it, and hold nothing of
//! it: whoever waits for the end of a pipe of Codex would wait for the worker.

use std::process::Command;

/// Prepares this process to start the worker as `worker`, and nothing else after
/// it: what Codex left open here is not left open there.
pub(super) fn prepare(worker: &mut Command) {
    system::prepare(worker);
}

/// Leaves the terminal, and the group of processes that a terminal or a parent
/// ends together. The worker calls it.
pub(super) fn leave_session() {
    system::leave_session();
}

#[cfg(unix)]
mod system {
    use std::process::Command;

    pub(super) fn prepare(_: &mut Command) {
        close_fds::set_fds_cloexec(3, &[]);
    }

    pub(super) fn leave_session() {
        // Fails only where it has one of its own.
        rustix::process::setsid().ok();
    }
}

#[cfg(windows)]
mod system {
    #![expect(unsafe_code, reason = "what a process inherits has no safe interface")]

    use std::ffi::c_void;
    use std::os::windows::io::AsRawHandle;
    use std::os::windows::process::CommandExt;
    use std::process::Command;

    /// Of `CreateProcess`: a group of its own, which Ctrl-C does not reach.
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;

    /// Of `CreateProcess`: no console, neither that of Codex nor a new window.
    const CREATE_NO_WINDOW: u32 = 0x0800_0000;

    /// Of `SetHandleInformation`: whether processes started here get the handle.
    const HANDLE_FLAG_INHERIT: u32 = 1;

    unsafe extern "system" {
        fn SetHandleInformation(handle: *mut c_void, mask: u32, flags: u32) -> i32;
    }

    pub(super) fn prepare(worker: &mut Command) {
        worker.creation_flags(CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW);
        // A process inherits every handle that can be, and those that Codex gave to
        // this one can be. What it opened itself cannot.
        let (input, output, errors) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        for handle in [input.as_raw_handle(), output.as_raw_handle(), errors.as_raw_handle()] {
            // SAFETY: it takes any number, and fails for what is no handle.
            unsafe { SetHandleInformation(handle, HANDLE_FLAG_INHERIT, 0) };
        }
    }

    /// It was started in a group of its own.
    pub(super) fn leave_session() {}
}
