use std::path::PathBuf;

use clap::ValueEnum;
use serde::Deserialize;

use crate::args::words::word;
use crate::args::{ContentArgs, SelectArgs};
use codex_trace_export::content::Capture;
use codex_trace_export::otlp::{LlmInput, Semconv};

/// Where to send to.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PlaceArgs {
    /// Destinations: `otlp`, `codex-otel`, `mlflow`, `langsmith`, or names of codex-trace.toml
    ///
    /// A backend by its own name is found where its live plugin finds it:
    /// variables and files that are there already. A name of codex-trace.toml
    /// has an endpoint, project, key, certificates and limits of its own.
    /// Without the flag, an upload goes to what `to` of codex-trace.toml says,
    /// and doctor looks at everything.
    #[arg(long, value_name = "NAME[,…]", value_delimiter = ',', help_heading = "Destinations")]
    pub to: Vec<String>,

    /// Project to upload to, or what the backend has for one
    #[arg(long, value_name = "NAME", help_heading = "Destinations")]
    pub project: Option<String>,

    /// Address of the backend; for one destination at a time
    #[arg(long, value_name = "URL", help_heading = "Destinations")]
    pub endpoint: Option<String>,

    /// Follow what the project in the working directory says of places
    ///
    /// That is `.codex/langsmith.json`, `langsmith-plugins.json` and
    /// `.codex/mlflow-tracing.json` there, which came with the project's files.
    /// Without the flag they have no say in where a history goes.
    #[arg(long, help_heading = "Destinations")]
    pub trust_project: bool,

    /// Read this instead of the codex-trace.toml of the user's configuration
    ///
    /// That is what `$CODEX_TRACE_CONFIG` names, or else
    /// `codex-trace/codex-trace.toml` in `$XDG_CONFIG_HOME` or `~/.config`.
    #[arg(long, value_name = "FILE", help_heading = "Destinations")]
    pub config: Option<PathBuf>,

    /// Directory of the ledger [default: $XDG_STATE_HOME/codex-trace]
    #[arg(long, value_name = "DIR", help_heading = "Destinations")]
    pub state_dir: Option<PathBuf>,

    /// How long a request may take [default: what the destination's settings say, else 2m]
    #[arg(long, value_name = "DURATION", help_heading = "Destinations")]
    pub timeout: Option<String>,
}

/// How to write what goes out as OTLP.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct OtlpArgs {
    /// Conventions to name attributes by, in OTLP [default: genai]
    #[arg(long, value_name = "WHICH", value_parser = word::<Semconv>(), help_heading = "Encoding")]
    pub semconv: Option<Semconv>,

    /// What to repeat of the history as the input of a model call [default: turn]
    #[arg(long, value_name = "WHAT", value_parser = word::<LlmInput>(), help_heading = "Encoding")]
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

pub(super) const EXAMPLES: &str = "\
Examples:
  codex-trace upload --to mlflow --dry-run            Say what would be sent
  codex-trace upload --to otlp --endpoint http://localhost:4318
  codex-trace upload --to langsmith --since 24h       The last day
  codex-trace upload --to otlp --dry-run=requests     Write the requests to files

What was sent where: `codex-trace status`. What is configured: `codex-trace doctor`.";

/// Arguments of `upload`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct UploadArgs {
    /// Which sessions.
    #[command(flatten)]
    pub select: SelectArgs,

    /// Where to.
    #[command(flatten)]
    pub place: PlaceArgs,

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

    /// Send sessions, too, that their project has switched off for the live plugin
    #[arg(long)]
    pub include_disabled: bool,

    /// Leave the files alone that live plugins keep beside rollouts
    #[arg(long)]
    pub no_sidecar: bool,

    /// Take a turn without an end for ended if its file was not written to for this long (90s, 15m, 24h)
    ///
    /// A turn may wait for hours for an approval or a tool, and most backends
    /// keep what they get first. So it is held until it ends, the next turn of
    /// its thread begins, or this time has passed. Turns before it are sent.
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub settle: String,

    /// How much content to send [default: full]
    #[arg(long, value_name = "WHAT", value_parser = word::<Capture>(), help_heading = "Encoding")]
    pub capture: Option<Capture>,

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

    /// Requests under way at once, for each destination [default: 4]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub senders: Option<usize>,

    /// How long to go on trying when a destination does not answer
    #[arg(long, value_name = "DURATION", default_value = "5m", help_heading = "Limits")]
    pub retry_for: String,

    /// How to compress requests, where the backend takes it [default: auto]
    #[arg(long, value_name = "HOW", help_heading = "Limits")]
    pub compress: Option<Compress>,

    /// Exit with 1 if any line could not be read
    #[arg(long)]
    pub strict: bool,

    /// Print one JSON object for each destination; in a dry run, for each turn before
    #[arg(long)]
    pub json: bool,
}

/// How to compress requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compress {
    /// As the backend likes best
    #[default]
    Auto,
    /// With gzip
    Gzip,
    /// With zstd
    Zstd,
    /// Not at all
    None,
}

impl Compress {
    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Compress::Auto => "auto",
            Compress::Gzip => "gzip",
            Compress::Zstd => "zstd",
            Compress::None => "none",
        }
    }
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
    /// What to look at, and to answer for with the exit code.
    #[command(flatten)]
    pub place: PlaceArgs,

    /// Ask each destination whether it is there and takes the key
    ///
    /// Sends what a destination answers without storing anything: a question
    /// for its version, its experiment, or a request without spans.
    #[arg(long)]
    pub connect: bool,

    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}
