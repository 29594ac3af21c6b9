//! `codex-trace completions`

use std::io::Write;

use clap_complete::Shell;
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};

use crate::args::CompletionsArgs;
use crate::complete::VARIABLE;
use crate::exit::ExitStatus;
use crate::ui::Ui;

/// The command, as shells know it.
const NAME: &str = "codex-trace";

/// Prints a completion script, which asks the command itself what there is.
///
/// # Errors
///
/// If there is no script for the shell, or stdout cannot be written to.
pub fn run(args: &CompletionsArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    let shell: &dyn EnvCompleter = match args.shell {
        Shell::Bash => &Bash,
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::PowerShell => &Powershell,
        Shell::Zsh => &Zsh,
        other => anyhow::bail!("there is no completion script for {other}"),
    };
    let mut out = ui.out();
    shell.write_registration(VARIABLE, NAME, NAME, NAME, &mut out)?;
    out.flush()?;
    Ok(ExitStatus::Complete)
}
