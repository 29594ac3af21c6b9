//! `codex-trace man`

use anyhow::Context;
use clap::CommandFactory;

use crate::args::{Args, ManArgs};
use crate::exit::ExitStatus;

/// Writes the manual, for whoever makes packages: `codex-trace.1`, and
/// `codex-trace-COMMAND.1` for each command that the help shows.
///
/// # Errors
///
/// If a page cannot be written.
pub fn run(args: &ManArgs) -> anyhow::Result<ExitStatus> {
    let command = Args::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, &args.dir)
        .with_context(|| format!("cannot write the manual to {}", args.dir.display()))?;
    Ok(ExitStatus::Complete)
}
