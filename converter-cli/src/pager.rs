//! Long output on a terminal goes through the user's pager.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use crate::config::Settings;

/// Writes text for people to stdout: through `$CODEX_TRACE_PAGER`, `$PAGER` or
/// `less` if it is longer than the terminal is high.
///
/// # Errors
///
/// If stdout cannot be written to.
pub(crate) fn write(text: &str, settings: &Settings) -> io::Result<()> {
    let is_long = settings.height.is_some_and(|height| text.lines().count() >= height);
    if !is_long || !page(text, settings) {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
    }
    Ok(())
}

/// Returns whether there is a pager that took it.
fn page(text: &str, settings: &Settings) -> bool {
    let var = |name: &str| {
        settings.vars.0.get(name).map(String::as_str).filter(|it| !it.trim().is_empty())
    };
    let pager = var("CODEX_TRACE_PAGER").or_else(|| var("PAGER")).unwrap_or("less");
    let mut command = Command::new("sh");
    command.args(["-c", pager]).stdin(Stdio::piped());
    if var("LESS").is_none() {
        // Leave what fits on the screen there, and let colors through.
        command.env("LESS", "FRX");
    }
    let Ok(mut child) = command.spawn() else { return false };
    if let Some(mut stdin) = child.stdin.take() {
        // A pager that is left early has shown enough.
        stdin.write_all(text.as_bytes()).ok();
    }
    // 127: the shell found no such program.
    child.wait().is_ok_and(|status| status.code() != Some(127))
}
