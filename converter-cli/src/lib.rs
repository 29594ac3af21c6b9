//! The command `codex-trace`: reads the transcripts of Codex CLI, shows them
//! and converts them to traces.
//!
//! A library only so that tests and benches can call it; the command line is
//! the interface, and [`codex_trace_export::wire::jsonl`] its neutral output format.
//!
//! # What it promises
//!
//! * **Stdout carries data only**, and the same data on any number of threads.
//! * **Transcripts are read, never written**, and only `upload` and the worker
//!   behind `hook` send anything over the network.
//! * **Text from transcripts is escaped** before it reaches a terminal.
//! * **One bad file does not stop the rest**; the exit code tells.

pub mod account;
pub mod again;
pub mod args;
pub mod axis;
pub mod backends;
pub mod commands;
pub mod complete;
pub mod config;
pub mod destinations;
pub mod exit;
pub mod formats;
pub mod interrupt;
pub mod label;
pub mod limits;
pub mod live;
pub mod look;
pub mod measure;
mod nothing;
pub mod output;
mod pager;
pub mod parquet;
pub mod progress;
pub mod redacted;
pub mod rows;
pub mod session;
pub mod table;
pub mod text;
pub mod transcript;
pub mod tree;
pub mod ui;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory, FromArgMatches};
use clap_complete::CompleteEnv;

use crate::args::{Args, Command};
use crate::config::{Environment, Settings};
pub use crate::exit::ExitStatus;
use crate::ui::Ui;
pub use codex_trace_usage::{content, count as usage, prices, prompt, tools, when, zone};

/// Runs the command in `argv` and returns the exit code of the process.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    let argv: Vec<OsString> = argv.into_iter().collect();
    if let Some(payload) = live::hook::called(&argv) {
        live::hook::run(payload);
        return ExitStatus::Complete.into();
    }
    let env = Environment::read();
    match complete_for_shell(&argv, &env) {
        Ok(false) => {}
        Ok(true) => return ExitStatus::Complete.into(),
        Err(err) => {
            ui::usage(&err);
            return ExitStatus::Failed.into();
        }
    }
    let args = match parse(argv, env.color()) {
        Ok(args) => args,
        Err(err) => {
            // Help and version come this way too.
            let status = if ui::usage(&err) { ExitStatus::Failed } else { ExitStatus::Complete };
            return status.into();
        }
    };
    codex_trace_history::panics::quiet_when_caught();
    // Else large files are read into memory.
    codex_rollout::map_large_files();
    let settings = match Settings::resolve(&args.global, &env) {
        Ok(settings) => settings,
        Err(err) => {
            Ui::new(Settings::unresolved()).failure(&err.into());
            return ExitStatus::Failed.into();
        }
    };
    let ui = Ui::new(settings);
    let status = match run(&args, &ui) {
        Ok(status) => status,
        Err(err) if is_broken_pipe(&err) => ExitStatus::Complete,
        Err(err) => {
            // Every other operation says what it was about.
            let bare = err.chain().len() == 1 && err.is::<io::Error>();
            ui.failure(&if bare { err.context("cannot write to standard output") } else { err });
            ExitStatus::Failed
        }
    };
    status.into()
}

/// Answers a shell that asks what could come next; `false`, if none asks.
fn complete_for_shell(argv: &[OsString], env: &Environment) -> clap::error::Result<bool> {
    if !env.asks_for_completion() {
        return Ok(false);
    }
    CompleteEnv::with_factory(Args::command)
        .var(complete::VARIABLE)
        .try_complete(argv.iter().cloned(), env.cwd())
}

/// Reads the command line. Help and errors are colored as `--color` says, also
/// where the rest cannot be read.
fn parse(argv: Vec<OsString>, usual: ColorChoice) -> clap::error::Result<Args> {
    let typed = |word: &OsString| word.to_str().map(str::to_owned);
    let words: Vec<String> = argv.iter().filter_map(typed).collect();
    let after = words.iter().position(|it| it == "--color").and_then(|at| words.get(at + 1));
    let joined = words.iter().find_map(|it| it.strip_prefix("--color="));
    let color = match joined.or(after.map(String::as_str)) {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => usual,
    };
    let mut command = Args::command().color(color);
    let matches = command.try_get_matches_from_mut(argv);
    let mut matches = matches.map_err(args::tips::without_far_ones)?;
    Args::from_arg_matches_mut(&mut matches).map_err(|err| err.format(&mut command))
}

fn run(args: &Args, ui: &Ui) -> anyhow::Result<ExitStatus> {
    match &args.command {
        Command::Convert(args) => commands::convert::run(args, ui),
        Command::List(args) => commands::list::run(args, ui),
        Command::Show(args) => commands::show::run(args, ui),
        Command::Upload(args) => commands::upload::run(args, ui),
        Command::Hook(args) => commands::hook::run(args, ui),
        Command::Status(args) => commands::status::run(args, ui),
        Command::Init(args) => commands::init::run(args, ui),
        Command::Doctor(args) => commands::doctor::run(args, ui),
        Command::Report(args) => commands::report::run(args, ui),
        Command::Usage(args) => commands::usage::run(args, ui),
        Command::Bench(args) => commands::bench::run(args, ui),
        Command::Completions(args) => commands::completions::run(args, ui),
        Command::Man(args) => commands::man::run(args),
    }
}

/// What Windows says of a pipe with a name, such as those of Node.js, that nobody
/// reads from any more. No other system has an error of this number.
const ERROR_PIPE_NOT_CONNECTED: i32 = 233;

/// Whether whoever reads stdout had enough.
fn is_broken_pipe(err: &anyhow::Error) -> bool {
    err.downcast_ref::<io::Error>().is_some_and(|err| {
        err.kind() == io::ErrorKind::BrokenPipe
            || err.raw_os_error() == Some(ERROR_PIPE_NOT_CONNECTED)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_enough_is_known_by_what_any_system_says() {
        let is_broken = |err: io::Error| is_broken_pipe(&err.into());
        assert!(is_broken(io::ErrorKind::BrokenPipe.into()));
        assert!(is_broken(io::Error::from_raw_os_error(ERROR_PIPE_NOT_CONNECTED)));
        assert!(!is_broken(io::Error::from_raw_os_error(28)));
    }
}
