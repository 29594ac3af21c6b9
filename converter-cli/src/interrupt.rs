//! Ctrl-C: the first one ends the run in an orderly way, the second at once.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit::ExitStatus;
use crate::progress::Screen;
use crate::ui::Ui;

/// Returns a flag that the first interrupt, request to terminate, or hang-up
/// sets; a second interrupt or request ends the process, and leaves nothing of the
/// progress on the screen.
pub fn flag(ui: &Ui) -> Arc<AtomicBool> {
    heed(ui.screen())
}

/// A flag that is there once it is looked at: until then an interrupt ends the
/// process at once.
pub type Late = LazyLock<Arc<AtomicBool>, Box<dyn FnOnce() -> Arc<AtomicBool> + Send>>;

/// Returns a flag as [`flag()`] does, when it is first looked at.
pub fn late(ui: &Ui) -> Late {
    let screen = ui.screen();
    LazyLock::new(Box::new(move || heed(screen)))
}

fn heed(screen: Screen) -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let leave = i32::from(ExitStatus::Interrupted.code());
    if system::watch(&interrupted, screen, leave) {
        return interrupted;
    }
    for signal in [SIGINT, SIGTERM] {
        // In this order, or the first one would end it. Fails only without
        // signals: then the system's own way holds.
        flag::register_conditional_shutdown(signal, leave, Arc::clone(&interrupted))
            .and_then(|_| flag::register(signal, Arc::clone(&interrupted)))
            .ok();
    }
    interrupted
}

#[cfg(unix)]
mod system {
    use std::io::IsTerminal;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::flag;
    use signal_hook::iterator::Signals;

    use crate::progress::Screen;

    /// Heeds hang-ups and, where somebody looks, interrupts and requests to
    /// terminate; returns whether it heeds these too.
    pub(super) fn watch(interrupted: &Arc<AtomicBool>, screen: Screen, leave: i32) -> bool {
        heed_hangup(interrupted);
        std::io::stderr().is_terminal() && wait_for_signals(interrupted, screen, leave).is_ok()
    }

    /// As the flags do, where a line of progress may have to be taken away first.
    #[expect(clippy::exit, reason = "the user wants the process to end at once")]
    fn wait_for_signals(
        interrupted: &Arc<AtomicBool>,
        screen: Screen,
        leave: i32,
    ) -> std::io::Result<()> {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let interrupted = Arc::clone(interrupted);
        let wait = move || {
            for _ in signals.forever() {
                if interrupted.swap(true, Ordering::SeqCst) {
                    screen.clear();
                    std::process::exit(leave);
                }
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
        Ok(())
    }

    /// A terminal that is closed hangs up twice, by the shell and by the system:
    /// the second time is no wish to end at once.
    fn heed_hangup(interrupted: &Arc<AtomicBool>) {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if !is_ignored(&status) {
            flag::register(SIGHUP, Arc::clone(interrupted)).ok();
        }
    }

    /// Whether `nohup` has switched it off, which is to stay so.
    fn is_ignored(status: &str) -> bool {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & (1 << (SIGHUP - 1)) != 0)
    }

    #[cfg(test)]
    mod tests {
        #[test]
        fn what_nohup_has_switched_off_is_known() {
            let status = |mask| format!("Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\n");
            assert!(super::is_ignored(&status("0000000000001001")));
            assert!(!super::is_ignored(&status("0000000000001000")));
            assert!(!super::is_ignored(""));
        }
    }
}

/// The console tells of Ctrl-C, and of its own end, on a thread that it starts.
#[cfg(windows)]
mod system {
    #![expect(unsafe_code, reason = "what a console tells has no safe interface")]

    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::Duration;

    use crate::progress::Screen;

    /// What `SetConsoleCtrlHandler` calls the keys. Whatever else it tells of ends
    /// the process: its console was closed, or the user logs off.
    const CTRL_C_EVENT: u32 = 0;
    const CTRL_BREAK_EVENT: u32 = 1;

    /// More than the system leaves a process to end by itself.
    const LAST: Duration = Duration::from_secs(60);

    struct Heeded {
        interrupted: Arc<AtomicBool>,
        screen: Screen,
        leave: i32,
    }

    /// The console passes on nothing of ours.
    static HEEDED: Mutex<Vec<Heeded>> = Mutex::new(Vec::new());

    unsafe extern "system" {
        fn SetConsoleCtrlHandler(handler: extern "system" fn(u32) -> i32, add: i32) -> i32;
    }

    pub(super) fn watch(interrupted: &Arc<AtomicBool>, screen: Screen, leave: i32) -> bool {
        let mut heeded = HEEDED.lock().unwrap_or_else(PoisonError::into_inner);
        heeded.push(Heeded { interrupted: Arc::clone(interrupted), screen, leave });
        // SAFETY: the function stays where it is.
        heeded.len() > 1 || unsafe { SetConsoleCtrlHandler(tell, 1) } != 0
    }

    #[expect(clippy::exit, reason = "the user wants the process to end at once")]
    extern "system" fn tell(event: u32) -> i32 {
        let is_key = matches!(event, CTRL_C_EVENT | CTRL_BREAK_EVENT);
        for it in &*HEEDED.lock().unwrap_or_else(PoisonError::into_inner) {
            if it.interrupted.swap(true, Ordering::SeqCst) && is_key {
                it.screen.clear();
                std::process::exit(it.leave);
            }
        }
        if !is_key {
            // When this returns, the process ends.
            std::thread::sleep(LAST);
        }
        1
    }
}
