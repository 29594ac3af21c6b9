//! `codex-trace completions`

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

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
    if args.shell == Shell::Bash {
        script = with_one_name(&script);
    }
    let mut out = ui.out();
    out.write_all(&script)?;
    out.flush()?;
    Ok(ExitStatus::Complete)
}

/// In the script for bash, the name of a program with a hyphen is written in one
/// way where words are looked at and in another where options are looked up, so
/// that no command would ever get its options.
fn with_one_name(script: &[u8]) -> Vec<u8> {
    let script = String::from_utf8_lossy(script);
    script.replace("codex__subcmd__trace", "codex__trace").into_bytes()
}
