//! Ctrl-C: the first one ends the run in an orderly way, the second at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit::ExitStatus;

/// Returns a flag that the first interrupt, or request to terminate, sets; the
/// second one ends the process.
pub fn flag() -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let leave = i32::from(ExitStatus::Interrupted.code());
    for signal in [SIGINT, SIGTERM] {
        // In this order, or the first one would end it. Fails only without
        // signals: then the system's own way holds.
        flag::register_conditional_shutdown(signal, leave, Arc::clone(&interrupted))
            .and_then(|_| flag::register(signal, Arc::clone(&interrupted)))
            .ok();
    }
    interrupted
}
