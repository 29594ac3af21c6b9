//! Whether a program has a file open to write to it.

use std::path::Path;

/// Returns whether a program has a file open for writing; `None` if that cannot
/// be told: on another system than Linux, on a file system that other machines
/// write to, or for another user's file.
///
/// The list of processes would not do: those of another container are not in it.
/// Linux grants a read lease on a file only while nobody has it open for writing,
/// whoever it is. The lease is given back at once; who opens the file meanwhile
/// waits for that.
pub(super) fn has_writer(path: &Path) -> Option<bool> {
    system::has_writer(path)
}

#[cfg(target_os = "linux")]
mod system {
    #![expect(unsafe_code, reason = "leases have no safe interface")]

    use std::fs::{File, OpenOptions};
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::OpenOptionsExt;
    use std::path::Path;

    use libc::c_int;

    /// Chooses the signal for one who opens the file: same on all of Linux.
    const F_SETSIG: c_int = 10;

    /// What file systems call themselves that only this machine writes to: ext2
    /// to ext4, XFS, Btrfs, F2FS, ZFS, bcachefs, tmpfs, overlayfs.
    const LOCAL: [u32; 8] = [
        0xEF53,
        0x5846_5342,
        0x9123_683E,
        0xF2F5_2010,
        0x2FC1_2FC1,
        0xCA45_1A4E,
        0x0102_1994,
        0x794C_7630,
    ];

    pub(super) fn has_writer(path: &Path) -> Option<bool> {
        let mut options = OpenOptions::new();
        // Not to wait for the other end of a pipe.
        let file = options.read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
        if !file.metadata().ok()?.is_file() || !is_local(&file) {
            return None;
        }
        // The signal that usually comes would end this process.
        fcntl(&file, F_SETSIG, libc::SIGURG).ok()?;
        match fcntl(&file, libc::F_SETLEASE, libc::F_RDLCK) {
            // If it is not given back here, it is when the file is closed.
            Ok(()) => fcntl(&file, libc::F_SETLEASE, libc::F_UNLCK).ok().map(|()| false),
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => Some(true),
            Err(_) => None,
        }
    }

    fn fcntl(file: &File, command: c_int, argument: c_int) -> io::Result<()> {
        // SAFETY: the file is open, and these commands take a number.
        let result = unsafe { libc::fcntl(file.as_raw_fd(), command, argument) };
        if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn is_local(file: &File) -> bool {
        let mut stat = MaybeUninit::<libc::statfs>::uninit();
        // SAFETY: the file is open, and there is room for the answer.
        if unsafe { libc::fstatfs(file.as_raw_fd(), stat.as_mut_ptr()) } == -1 {
            return false;
        }
        // SAFETY: the call has written it.
        let stat = unsafe { stat.assume_init() };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "4 bytes of it")]
        let kind = stat.f_type as u32;
        LOCAL.contains(&kind)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) fn has_writer(_: &std::path::Path) -> Option<bool> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::{self, File};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn who_has_it_open_for_writing_is_seen_and_who_reads_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.jsonl");
        fs::write(&path, "{}\n").unwrap();
        if has_writer(&path).is_none() {
            return; // The directory for temporary files is on no local file system.
        }
        let reader = File::open(&path).unwrap();
        assert_eq!(has_writer(&path), Some(false));
        let writer = File::options().append(true).open(&path).unwrap();
        assert_eq!(has_writer(&path), Some(true));
        drop(writer);
        assert_eq!(has_writer(&path), Some(false));
        drop(reader);
        let mut other = Command::new("sh");
        other.args(["-c", "exec 3>>\"$0\"; echo; exec cat"]).arg(&path);
        let mut other = other.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = [0];
        std::io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut said).unwrap();
        assert_eq!(has_writer(&path), Some(true), "another process");
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(has_writer(&path), Some(false), "killed");
    }

    /// A writer that comes in between is neither turned away nor ends this process.
    #[test]
    fn writers_come_and_go_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.jsonl");
        fs::write(&path, "").unwrap();
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| {
                for _ in 0..20_000 {
                    File::options().append(true).open(&path).unwrap();
                }
            });
            while !writing.is_finished() {
                has_writer(&path);
            }
        });
    }

    #[test]
    fn what_is_no_file_is_not_told_of() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(has_writer(&dir.path().join("none")), None);
        assert_eq!(has_writer(dir.path()), None);
        let pipe = dir.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(has_writer(&pipe), None);
        assert_eq!(has_writer(Path::new("/proc/version")), None, "of no such file system");
    }
}
