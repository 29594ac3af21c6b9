//! The command line as typed: opens nothing, resolves nothing.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use clap_complete::engine::ArgValueCompleter;

use crate::args::words::{format, word};
use crate::complete;
use crate::formats::FORMATS;
use codex_trace_export::FileFormat;
use codex_trace_model::Standing;

mod options;
mod reports;
pub(crate) mod tips;
mod upload;
mod words;

pub use codex_trace_usage::By;
pub use options::{Files, Manner, OptionArgs, OptionList, Place, Redaction};
pub use reports::{BenchArgs, ListArgs, ReportArgs, ShowArgs, SortBy, UsageArgs};
pub use upload::{DoctorArgs, HookArgs, InitArgs, PlaceArgs, StatusArgs, UploadArgs};

const EXAMPLES: &str = "\
Examples:
  codex-trace list                           All sessions, newest first
  codex-trace show 01a1fca4                  One session as a tree
  codex-trace usage --by model               Tokens and cost by model
  codex-trace report -o report.html          One HTML page of the whole history
  codex-trace convert -o traces.jsonl        Everything as JSON lines
  codex-trace upload --to mlflow --dry-run   What an upload would send
  codex-trace doctor --to mlflow --connect   Whether the destination can be used

Exit codes: 0 everything was done, 1 part of it failed, 2 nothing was done,
130 interrupted.";

/// Turn the transcripts of Codex CLI into traces
///
/// PATHS are Codex homes, directories, rollout files, or ids of threads (the
/// first characters are enough). Without PATHS, the history in `$CODEX_HOME` or
/// `~/.codex` is read, including archived sessions. Rollouts are never changed.
#[derive(Debug, Parser)]
#[command(name = "codex-trace", version, max_term_width = 98)]
#[command(propagate_version = true, infer_subcommands = false, after_help = EXAMPLES)]
pub struct Args {
    /// Options of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const GLOBAL: &str = "Options of every command";

/// Options of every command.
#[derive(Debug, Default, clap::Args)]
pub struct GlobalArgs {
    /// Print less: no progress, no summary
    #[arg(short, long, global = true, help_heading = GLOBAL, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Print more: a summary, all problems, and where the history was searched for
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub verbose: bool,

    /// When to use colors
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "WHEN", default_value = "auto")]
    pub color: When,

    /// Codex home to read, and to find ids in (can be repeated) [default: `$CODEX_HOME` or `~/.codex`]
    ///
    /// Several can also be separated by commas, in `CODEX_HOME` too.
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "DIR")]
    pub codex_home: Vec<PathBuf>,

    /// Number of threads [default: one per processor, at most 16]
    #[arg(short, long, global = true, help_heading = GLOBAL, value_name = "N")]
    pub jobs: Option<usize>,
}

/// When to do something that depends on the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless `NO_COLOR` is set, and with `CLICOLOR_FORCE` everywhere
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Convert sessions to JSON lines, OTLP, Prometheus metrics or a Chrome trace
    ///
    /// Writes one JSON object per line, of type `trace`, `item` or `span`: the
    /// format codex-trace/v1, described in docs/span-schema.md. `--to` chooses
    /// another format.
    Convert(ConvertArgs),
    /// List sessions, newest first
    ///
    /// The header names the time zone. A `~` marks a local time of unknown zone:
    /// some versions of 2025 recorded nothing else. Turns, model calls and tool calls
    /// include those of subagents. Narrow terminals show fewer columns.
    List(ListArgs),
    /// Show one session as a tree
    Show(ShowArgs),
    /// Upload sessions; what was uploaded before is skipped
    ///
    /// You can interrupt and repeat an upload: a ledger records what a destination
    /// has acknowledged, and it is not sent again. Secrets are redacted unless you
    /// pass `--no-redact`. Keys are read from the environment, from the files of the
    /// backend's own plugin, or from where codex-trace.toml points to
    /// (docs/configuration.md). No flag takes a key.
    #[command(after_help = upload::EXAMPLES)]
    Upload(Box<UploadArgs>),
    /// Let Codex call codex-trace, so that each turn is uploaded once it has ended
    ///
    /// `--install` configures Codex to call it. Codex then runs `codex-trace hook`
    /// when a session starts and when a turn ends. The call notes the session and
    /// returns at once; a worker in the background uploads it to the destinations
    /// of codex-trace.toml, as `upload` does. See docs/live.md.
    Hook(HookArgs),
    /// Show what was uploaded, and what is still pending
    Status(StatusArgs),
    /// Show the configuration, where each setting comes from, and what is missing
    ///
    /// Checks the history, the ledger, codex-trace.toml and each destination. Shows
    /// every setting with its value (keys masked) and its origin. Sends nothing
    /// without `--connect`. Exits with 0 if everything can be used, 1 if part of it
    /// cannot, 2 if nothing can.
    Doctor(DoctorArgs),
    /// Write a first codex-trace.toml with the destinations found on this machine
    ///
    /// Looks for variables of backends and products, files of live plugins, the
    /// `[otel]` table of Codex' config.toml, and servers on the usual ports of this
    /// machine. Asks before each step. An existing file is never changed. Keys are
    /// never copied; the file refers to the places where they are.
    Init(InitArgs),
    /// Count tokens and their cost
    ///
    /// Counts every model call once. `--since`, `--until` and `--model` select single
    /// calls here; the other filters select whole sessions.
    Usage(UsageArgs),
    /// Write a report of a history: one HTML file that opens offline
    ///
    /// Tokens by day, model, project and tool, a table of all sessions, and each
    /// session on a time axis. The file needs no network and no other file. It is
    /// made to be shared: texts are shortened (`--content`) and secrets are redacted.
    Report(ReportArgs),
    /// Measure how fast a history is read
    ///
    /// Runs each stage several times and prints the best time. Times are compared
    /// with that of counting newlines in the same files with as many threads.
    /// Nothing is written.
    Bench(BenchArgs),
    /// Print a completion script for a shell
    ///
    /// Where to save it: for bash in ~/.local/share/bash-completion/completions/codex-trace,
    /// for zsh in a file `_codex-trace` in a directory of `$fpath`, for fish in
    /// ~/.config/fish/completions/codex-trace.fish.
    Completions(CompletionsArgs),
    /// Write the manual: one page for codex-trace and one for each command
    #[command(hide = true)]
    Man(ManArgs),
}

/// Which sessions to take.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SelectArgs {
    /// Codex homes, directories, rollout files or session ids [default: the Codex home]
    #[arg(add = ArgValueCompleter::new(complete::sessions))]
    pub paths: Vec<PathBuf>,

    /// Read more PATHS from a file, one per line (`-` is standard input)
    #[arg(long, value_name = "FILE", help_heading = "Filters")]
    pub files_from: Option<PathBuf>,

    /// Only sessions that were active at this time or later
    ///
    /// A time (2026-11-21T05:39:08Z, 14:30), a day, week, month or year (today,
    /// yesterday, 2026-11-21, 2026-W44, 2026-10, last-month) or an age (90m, 24h,
    /// 7d, 2w, 1mo). Times without an offset are in the zone of `--timezone`.
    #[arg(long, value_name = "WHEN", help_heading = "Filters")]
    pub since: Option<String>,

    /// Only sessions that began before this time, or in this day, week or month
    #[arg(long, value_name = "WHEN", help_heading = "Filters")]
    pub until: Option<String>,

    /// Only sessions whose working directory is DIR or below it
    #[arg(long, value_name = "DIR", help_heading = "Filters")]
    pub cwd: Option<PathBuf>,

    /// Only sessions that used a model whose name contains TEXT
    #[arg(long, value_name = "TEXT", help_heading = "Filters")]
    #[arg(add = ArgValueCompleter::new(complete::models))]
    pub model: Option<String>,

    /// Only sessions started by this: `cli`, `exec`, `vscode`, `mcp`, `review`, …
    #[arg(long, value_name = "WORD", help_heading = "Filters")]
    #[arg(add = ArgValueCompleter::new(complete::sources))]
    pub source: Option<String>,

    /// Only sessions that were started on this git branch
    #[arg(long, value_name = "NAME", help_heading = "Filters")]
    pub branch: Option<String>,

    /// Only sessions in this git repository: `name`, `owner/name` or its address
    #[arg(long, value_name = "NAME", help_heading = "Filters")]
    pub repo: Option<String>,

    /// Time zone of times that are read and printed: `local`, `utc`, `Europe/Berlin` … [default: local on a terminal, else utc]
    #[arg(long, value_name = "ZONE", help_heading = "Filters")]
    pub timezone: Option<String>,

    /// Only sessions with this status, or with one of several separated by commas
    #[arg(long, value_name = "STATUS[,…]", value_delimiter = ',')]
    #[arg(value_parser = word::<Standing>(), help_heading = "Filters")]
    pub status: Vec<Standing>,
}

/// How to write content.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct ContentArgs {
    /// Keep encrypted reasoning, which only the provider can read
    #[arg(long)]
    pub encrypted: bool,

    /// Replace inline images larger than N bytes with their digest
    #[arg(long, value_name = "N", default_value_t = 1 << 20)]
    pub max_image_bytes: usize,
}

/// Arguments of `convert`.
#[derive(Debug, clap::Args)]
pub struct ConvertArgs {
    /// Which sessions.
    #[command(flatten)]
    pub select: SelectArgs,

    /// Format to write
    #[arg(long, value_name = "FORMAT", default_value = FORMATS[0].name, value_parser = format())]
    pub to: &'static FileFormat,

    /// How to write the format.
    #[command(flatten)]
    pub options: OptionArgs<Files>,

    /// File to write to, or directory for one file per session
    ///
    /// An existing directory, or a name that ends in `/`, gets one file per
    /// session, or all files of a format that needs several. Files are private, and
    /// compressed if the name ends in `.gz` or `.zst`. They appear only when they are
    /// complete, and then replace files of the same name. Input files, and places
    /// that are searched for rollouts, are never written to. `-` is standard output.
    #[arg(short, long, value_name = "FILE|DIR")]
    pub output: Option<PathBuf>,

    /// Compress the files of an output directory
    #[arg(long)]
    pub gzip: bool,

    /// How to write content.
    #[command(flatten)]
    pub content: ContentArgs,

    /// What to redact.
    #[command(flatten)]
    pub redact: OptionArgs<Redaction>,

    /// Exit with 1 if any line could not be read
    #[arg(long)]
    pub strict: bool,
}

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// Shell to complete in
    pub shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Existing directory to write to
    pub dir: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Args;
    use crate::backends;

    #[test]
    fn the_help_knows_every_backend() {
        let mut args = Args::command();
        args.build();
        let upload = args.find_subcommand_mut("upload").expect("there is one");
        let help = upload.render_long_help().to_string();
        for (name, _) in backends::names() {
            assert!(help.contains(&format!("`{name}`")), "{name}");
        }
    }
}
