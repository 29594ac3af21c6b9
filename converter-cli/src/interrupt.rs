//! Ctrl-C: the first one ends the run in an orderly way, the second at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::ExitStatus;

/// Returns a flag that the first interrupt, or request to terminate, sets.
pub fn flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    // Fails only if called twice or without signals: then the system's own way holds.
    ctrlc::set_handler(move || {
        if set.swap(true, Ordering::Relaxed) {
            leave();
        }
    })
    .ok();
    flag
}

#[expect(clippy::exit, reason = "the user asks a second time: nothing is waited for any more")]
fn leave() {
    std::process::exit(i32::from(ExitStatus::Interrupted.code()));
}
