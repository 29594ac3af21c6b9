//! `codex-trace completions`

use std::io::Write;

use clap::CommandFactory;

use crate::args::{Args, CompletionsArgs};
use crate::exit::ExitStatus;
use crate::ui::Ui;

/// Prints a completion script.
///
/// # Errors
///
/// If stdout cannot be written to.
pub fn run(args: &CompletionsArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "codex-trace", &mut script);
    let mut out = ui.out();
    out.write_all(&script)?;
    out.flush()?;
    Ok(ExitStatus::Complete)
}
