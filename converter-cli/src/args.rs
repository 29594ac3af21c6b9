//! The command line as typed: opens nothing, resolves nothing.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::content::Capture;
use crate::exporters::otlp::{LlmInput, Semconv};

/// Turn the transcripts of Codex CLI into traces
///
/// PATHS are Codex homes, directories, rollout files, or ids of threads (the
/// first characters are enough). Without any, the history in `$CODEX_HOME` or
/// `~/.codex` is read, archived sessions included. Nothing there is changed.
#[derive(Debug, Parser)]
#[command(name = "codex-trace", version, max_term_width = 98)]
#[command(propagate_version = true, infer_subcommands = false)]
pub struct Args {
    /// Options of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
pub struct GlobalArgs {
    /// Say less: no progress, no summary
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say more: a summary, all problems, and where the history was looked for
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// Color the output for people
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: When,

    /// Codex home to read and to look up ids in [default: `$CODEX_HOME` or `~/.codex`]
    #[arg(long, global = true, value_name = "DIR")]
    pub codex_home: Option<PathBuf>,

    /// Number of threads to work with [default: one per processor, at most 16]
    #[arg(short, long, global = true, value_name = "N")]
    pub jobs: Option<usize>,
}

/// When to do something that depends on the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Convert sessions to spans as JSON lines
    ///
    /// Writes one JSON object a line, of type `trace`, `item` or `span`: the
    /// format codex-trace/v1, described in docs/span-schema.md. With `--to`,
    /// writes OTLP instead.
    Convert(ConvertArgs),
    /// List sessions, newest first
    ///
    /// Times are UTC; a `~` marks the local time of the machine, which is all
    /// that some versions of 2025 recorded. Turns, model calls and tool calls
    /// are those of subagents too. Narrow terminals get fewer columns.
    List(ListArgs),
    /// Show one session as a tree
    Show(ShowArgs),
    /// Upload sessions, skipping what is already there
    ///
    /// Safe to interrupt and to repeat: what a destination has acknowledged is
    /// written to a ledger and not sent again. Secrets are redacted unless told
    /// otherwise. Keys come from the environment or from the files that the
    /// backend's own plugin reads.
    Upload(Box<UploadArgs>),
    /// Say what was uploaded, and what was not
    Status(StatusArgs),
    /// Say what is configured, and what is missing; sends nothing
    Doctor(DoctorArgs),
    /// Count tokens, and what they cost
    ///
    /// Counts every model call of the span trees once. `--since`, `--until` and
    /// `--model` choose single calls here, the other filters whole sessions.
    Usage(UsageArgs),
    /// Measure how fast a history is read
    ///
    /// Each stage is run several times and the best time counts. Times are
    /// compared with those of a plain count of newlines over the same files with
    /// as many threads. Nothing is written.
    Bench(BenchArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

/// Which sessions to take.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SelectArgs {
    /// Codex homes, directories, rollout files or session ids [default: the Codex home]
    pub paths: Vec<PathBuf>,

    /// Read more PATHS from a file, one a line (`-` is standard input)
    #[arg(long, value_name = "FILE", help_heading = "Filters")]
    pub files_from: Option<PathBuf>,

    /// Take sessions that were active at this time or later
    ///
    /// A time (2026-11-21T05:39:08Z), a date (2026-11-21) or an age (90m, 24h,
    /// 7d, 2w). Dates and times without an offset are UTC.
    #[arg(long, value_name = "WHEN", help_heading = "Filters")]
    pub since: Option<String>,

    /// Take sessions that began before this time; a date includes that day
    #[arg(long, value_name = "WHEN", help_heading = "Filters")]
    pub until: Option<String>,

    /// Take sessions whose working directory is DIR or below it
    #[arg(long, value_name = "DIR", help_heading = "Filters")]
    pub cwd: Option<PathBuf>,

    /// Take sessions that used a model whose name contains TEXT
    #[arg(long, value_name = "TEXT", help_heading = "Filters")]
    pub model: Option<String>,

    /// Take sessions started by this: `cli`, `exec`, `vscode`, `mcp`, `review`, …
    #[arg(long, value_name = "WORD", help_heading = "Filters")]
    pub source: Option<String>,

    /// Take sessions that stand like this (can be repeated)
    #[arg(long, value_name = "STATUS", help_heading = "Filters")]
    pub status: Vec<Standing>,
}

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Standing {
    /// Its last turn was completed
    Complete,
    /// Its last turn was stopped by somebody
    Interrupted,
    /// Its file ends within a turn: it still runs, or was killed
    Open,
    /// Its last turn failed
    Error,
}

impl Standing {
    /// Returns the word for it, as in `list --json`.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Complete => "complete",
            Standing::Interrupted => "interrupted",
            Standing::Open => "open",
            Standing::Error => "error",
        }
    }
}

/// How to write content.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct ContentArgs {
    /// Keep encrypted reasoning, which only the provider can read
    #[arg(long)]
    pub encrypted: bool,

    /// Replace inline images above N bytes by their digest
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
    #[arg(long, value_name = "FORMAT", default_value = "spans")]
    pub to: Format,

    /// How to write OTLP.
    #[command(flatten)]
    pub otlp: OtlpArgs,

    /// File to write to, or directory for one file per session
    ///
    /// An existing directory, or a name that ends in `/`, gets one file per
    /// session. Files are private, appear only when complete, and are
    /// compressed if the name ends in `.gz`. `-` is standard output.
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
    pub redact: RedactArgs,

    /// Exit with 1 if any line could not be read
    #[arg(long)]
    pub strict: bool,
}

/// What `convert` can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// JSON lines of the format codex-trace/v1
    Spans,
    /// OTLP/JSON, one request a line, as a collector's file receiver reads it
    OtlpJson,
    /// OTLP protobuf: one request, to be posted to a collector
    OtlpProto,
}

/// How to write what goes out as OTLP.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct OtlpArgs {
    /// Conventions to name attributes by, in OTLP [default: genai]
    #[arg(long, value_name = "WHICH", help_heading = "Encoding")]
    pub semconv: Option<Semconv>,

    /// What to repeat of the history as the input of a model call [default: turn]
    #[arg(long, value_name = "WHAT", help_heading = "Encoding")]
    pub llm_input: Option<LlmInput>,
}

/// What to redact.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RedactArgs {
    /// Put placeholders in the place of secrets [default for upload]
    #[arg(long, overrides_with = "no_redact", help_heading = "Redaction")]
    pub redact: bool,

    /// Leave secrets where they are [default for convert]
    #[arg(long, overrides_with = "redact", help_heading = "Redaction")]
    pub no_redact: bool,

    /// Redact what matches a regular expression, too (can be repeated)
    #[arg(long, value_name = "REGEX[=>REPLACEMENT]", help_heading = "Redaction")]
    pub redact_pattern: Vec<String>,

    /// Redact by the `[[rule]]` tables of a TOML file (`pattern`, `replace`), too
    #[arg(long, value_name = "FILE", help_heading = "Redaction")]
    pub redact_rules: Option<PathBuf>,
}

/// Arguments of `upload`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct UploadArgs {
    /// Which sessions.
    #[command(flatten)]
    pub select: SelectArgs,

    /// Backends to send to
    #[arg(long, value_name = "BACKEND[,…]", value_delimiter = ',', required = true)]
    pub to: Vec<String>,

    /// Project to upload to, or what the backend has for one
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,

    /// Address of the backend
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,

    /// Send nothing; say what would be sent, or write the requests to DIR
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    pub dry_run: Option<Option<PathBuf>>,

    /// Send again what was sent before
    #[arg(long)]
    pub force: bool,

    /// Move sessions that are too old for a destination so that they end now
    ///
    /// The whole session by as much, once; its own times go along as metadata.
    #[arg(long)]
    pub time_shift: bool,

    /// Trust that the destination takes old data, as it does for some organisations
    #[arg(long, conflicts_with = "time_shift")]
    pub assume_backfill_allowed: bool,

    /// Leave the files alone that live plugins keep beside rollouts
    #[arg(long)]
    pub no_sidecar: bool,

    /// Send what is open in a file that was not written to for this long
    ///
    /// Until then a session that still runs is sent up to its last complete turn.
    #[arg(long, value_name = "AGE", default_value = "15m")]
    pub settle: String,

    /// How much content to send
    #[arg(long, value_name = "WHAT", default_value = "full")]
    pub capture: Capture,

    /// How to write OTLP.
    #[command(flatten)]
    pub otlp: OtlpArgs,

    /// What to redact.
    #[command(flatten)]
    pub redact: RedactArgs,

    /// How to write content.
    #[command(flatten)]
    pub content: ContentArgs,

    /// Most memory for what is encoded and not yet sent
    #[arg(long, value_name = "SIZE", default_value = "512MiB", help_heading = "Limits")]
    pub max_memory: String,

    /// Requests under way at once, for each destination
    #[arg(long, value_name = "N", default_value_t = 4, help_heading = "Limits")]
    pub senders: usize,

    /// How long to go on trying when a destination does not answer
    #[arg(long, value_name = "AGE", default_value = "5m", help_heading = "Limits")]
    pub retry_for: String,

    /// How long a request may take
    #[arg(long, value_name = "AGE", default_value = "2m", help_heading = "Limits")]
    pub timeout: String,

    /// How to compress requests, where the backend takes it
    #[arg(long, value_name = "HOW", default_value = "auto", help_heading = "Limits")]
    pub compress: Compress,

    /// Directory of the ledger [default: $XDG_STATE_HOME/codex-trace]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// Exit with 1 if any line could not be read
    #[arg(long)]
    pub strict: bool,
}

/// How to compress requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compress {
    /// As the backend likes best
    Auto,
    /// With gzip
    Gzip,
    /// With zstd
    Zstd,
    /// Not at all
    None,
}

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// Print one JSON object a line, one for each destination
    #[arg(long)]
    pub json: bool,

    /// Directory of the ledger [default: $XDG_STATE_HOME/codex-trace]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Backends to look at, and to answer for with the exit code [default: look at all]
    #[arg(long, value_name = "BACKEND[,…]", value_delimiter = ',')]
    pub to: Vec<String>,

    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,

    /// Directory of the ledger [default: $XDG_STATE_HOME/codex-trace]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Which sessions.
    #[command(flatten)]
    pub select: SelectArgs,

    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,

    /// List only sessions with problems, and say what they are
    #[arg(long)]
    pub problems: bool,
}

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// Id of a session or of one of its threads (or its beginning), or a rollout file
    pub session: PathBuf,

    /// Print the trace as `convert` does
    #[arg(long)]
    pub json: bool,

    /// Show spans down to this depth (1: turns)
    #[arg(long, value_name = "N", conflicts_with = "json")]
    pub depth: Option<usize>,

    /// Show only this turn of the root thread
    #[arg(long, value_name = "N", conflicts_with = "json")]
    pub turn: Option<u32>,

    /// How to write content.
    #[command(flatten)]
    pub content: ContentArgs,
}

const PRICES_HELP: &str = r#"Read prices from a file, over those that are built in (implies `--cost`)

In US dollars per million tokens, as JSON:
{"prices": [{"model": "gpt-x", "input": 1.25, "cached_input": 0.125, "output": 10}]}
A price that changed has another row with "from": "2026-08-21". What the file says of a model replaces all that is built in about it."#;

/// Arguments of `usage`.
#[derive(Debug, clap::Args)]
pub struct UsageArgs {
    /// Which sessions.
    #[command(flatten)]
    pub select: SelectArgs,

    /// What a row stands for
    #[arg(long, value_name = "WHAT", default_value = "day")]
    pub by: By,

    /// Where days begin: at midnight in UTC or on this machine
    #[arg(long, value_name = "ZONE", default_value = "utc")]
    pub timezone: Zone,

    /// Add what the tokens cost at the list prices of the day
    #[arg(long)]
    pub cost: bool,

    /// Read prices from a file, over those that are built in (implies `--cost`)
    #[arg(long, value_name = "FILE", long_help = PRICES_HELP)]
    pub prices: Option<PathBuf>,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// Codex homes, directories, rollout files or session ids [default: the Codex home]
    pub paths: Vec<PathBuf>,

    /// Numbers of threads to measure with [default: 1 and that of `--jobs`]
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub threads: Vec<usize>,

    /// How often each stage is run
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub repeat: usize,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What a row of `usage` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// The day on which the call ended
    Day,
    /// Its ISO week, from Monday on
    Week,
    /// Its month
    Month,
    /// The model
    Model,
    /// The session, subagents included
    Session,
    /// The directory in which the session was started
    Directory,
    /// What started the session: `cli`, `exec`, `vscode`, …
    Source,
}

/// Where days begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Zone {
    /// In UTC: the same rows on every machine
    Utc,
    /// In the time zone of this machine
    Local,
}

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// Shell to complete for
    pub shell: Shell,
}
