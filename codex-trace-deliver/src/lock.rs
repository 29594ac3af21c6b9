//! One upload to a destination at a time: a second one waits, and then finds
//! in the ledger that there is nothing left to do.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::failure::Failure;
use crate::private;
use codex_trace_export::Fingerprint;

/// How often to look whether the other upload has ended.
const LOOK: Duration = Duration::from_millis(100);

/// Locks a destination for this process; the lock ends with it, however it
/// ends. `None` if the user did not want to wait.
///
/// # Errors
///
/// If the file cannot be made, or cannot be locked.
pub fn hold(
    dir: &Path,
    destination: &str,
    interrupted: &AtomicBool,
    say_waiting: impl FnOnce(),
) -> Result<Option<File>, Failure> {
    let digest: [u8; 32] = Sha256::digest(destination).into();
    let path = dir.join(format!("upload-{:?}.lock", Fingerprint(digest)));
    let cannot = |err: &dyn std::fmt::Display| {
        Failure::new(format!("cannot lock `{}`: {err}", path.display()))
    };
    let file = private::lock_file(&path).map_err(|err| cannot(&err))?;
    let mut say_waiting = Some(say_waiting);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(err)) => return Err(cannot(&err)),
            Err(TryLockError::WouldBlock) => {}
        }
        if interrupted.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if let Some(say_waiting) = say_waiting.take() {
            say_waiting();
        }
        std::thread::sleep(LOOK);
    }
}
