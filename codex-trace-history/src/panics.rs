//! Faults of our own, caught at the worker: one session is lost, not the run.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps panics inside of [`catch`] from printing anything.
pub fn quiet_when_caught() {
    let usual = take_hook();
    set_hook(Box::new(move |info| {
        if CATCHING.get() {
            MESSAGE.set(describe(info));
        } else {
            usual(info);
        }
    }));
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let message = payload.downcast_ref::<&str>().copied();
    let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = message.unwrap_or("no message");
    match info.location() {
        Some(at) => format!("{message} ({}:{})", at.file(), at.line()),
        None => message.to_owned(),
    }
}

/// Runs `job`; returns what it says if it panics.
///
/// # Errors
///
/// If it panics.
pub fn catch<T>(job: impl FnOnce() -> T) -> Result<T, String> {
    let within_another = CATCHING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(job));
    CATCHING.set(within_another);
    result.map_err(|_| MESSAGE.take())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hook belongs to the whole process, and so does this test: it leaves
    /// the hook in place, which is what `main` does.
    #[test]
    fn says_what_and_where() {
        quiet_when_caught();
        let message = catch(|| panic!("number {}", 7)).unwrap_err();
        assert!(message.starts_with("number 7 ("), "{message}");
        assert!(message.contains("panics.rs:"), "{message}");
        assert_eq!(catch(|| 1), Ok(1));
        let message = catch(|| {
            catch(|| panic!("within")).unwrap_err();
            panic!("and after")
        });
        assert!(message.is_err_and(|it: String| it.starts_with("and after (")));
    }
}
