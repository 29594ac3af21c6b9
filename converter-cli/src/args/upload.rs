use clap_complete::engine::ArgValueCompleter;

use crate::complete;
use std::path::PathBuf;

use crate::args::{ContentArgs, Manner, OptionArgs, Place, Redaction, SelectArgs};

/// Where to send to.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PlaceArgs {
    /// Destinations: `otlp`, `codex-otel`, `mlflow`, `langsmith`, `logfire`, `braintrust`, a product that takes OTLP, or names of codex-trace.toml
    ///
    /// Products that take OTLP: `phoenix`, `arize`, `langfuse`, `opik`,
    /// `grafana-cloud`, `honeycomb`, `datadog`, `jaeger`, `tempo`. Their own
    /// variables are read (docs/presets.md).
    ///
    /// A backend by its own name is found where its live plugin finds it:
    /// variables and files that are there already. A name of codex-trace.toml
    /// has an endpoint, project, key, certificates and limits of its own.
    /// Without the flag, an upload goes to what `to` of codex-trace.toml says,
    /// and doctor looks at everything.
    #[arg(long, value_name = "NAME[,…]", value_delimiter = ',', help_heading = "Destinations")]
    #[arg(add = ArgValueCompleter::new(complete::destinations))]
    pub to: Vec<String>,

    /// What holds for every destination.
    #[command(flatten)]
    pub options: OptionArgs<Place>,

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
#[expect(clippy::struct_excessive_bools, reason = "flags")]
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

    /// Keep what is sent, and what is answered, in DIR
    ///
    /// In the form of `--dry-run=DIR`, with the answers beside; the files are
    /// private, and keys are masked.
    #[arg(long, value_name = "DIR", conflicts_with = "dry_run")]
    pub record: Option<PathBuf>,

    /// Send the uploads that `--record` or `--dry-run` has written to DIR
    ///
    /// No history is read. The ledger is not asked, and learns nothing: what a
    /// destination has already may be there twice. Keys are those of now.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["dry_run", "record", "force", "paths"])]
    pub resend: Option<PathBuf>,

    /// Take a turn without an end for ended if its file was not written to for this long (90s, 15m, 24h)
    ///
    /// A turn may wait for hours for an approval or a tool, and most backends
    /// keep what they get first. So it is held until it ends, the next turn of
    /// its thread begins, Codex has ended (where that can be seen: on Linux, on
    /// the machine that Codex runs on), or this time has passed. Turns before it
    /// are sent.
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub settle: String,

    /// Go on uploading what is new, until interrupted
    ///
    /// Files that are new, grown, compressed or archived are uploaded within
    /// seconds. With `--json`, each round prints its lines.
    #[arg(long, conflicts_with_all = ["dry_run", "force", "files_from", "record", "resend"])]
    pub watch: bool,

    /// How to write to destinations.
    #[command(flatten)]
    pub options: OptionArgs<Manner>,

    /// What to redact.
    #[command(flatten)]
    pub redact: OptionArgs<Redaction>,

    /// How to write content.
    #[command(flatten)]
    pub content: ContentArgs,

    /// Most memory for what is encoded and not yet sent
    #[arg(long, value_name = "SIZE", default_value = "512MiB", help_heading = "Limits")]
    pub max_memory: String,

    /// How long to go on trying when a destination does not answer
    #[arg(long, value_name = "DURATION", default_value = "5m", help_heading = "Limits")]
    pub retry_for: String,

    /// Exit with 1 if any line could not be read
    #[arg(long)]
    pub strict: bool,

    /// Print one JSON object for each destination; in a dry run, for each turn before
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// Print one JSON object a line, one for each destination
    #[arg(long)]
    pub json: bool,

    /// Forget a place that has never taken anything
    ///
    /// PLACE is what `status` calls it. What a place has taken is not forgotten:
    /// the next upload would send it again.
    #[arg(long, value_name = "PLACE")]
    pub forget: Option<String>,

    /// Directory of the ledger [default: $XDG_STATE_HOME/codex-trace]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct InitArgs {
    /// File to write [default: codex-trace/codex-trace.toml in the user's configuration]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Write everything that is found without asking
    #[arg(short, long)]
    pub yes: bool,

    /// Show what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not look for servers on the usual ports of this machine
    #[arg(long)]
    pub no_ports: bool,

    /// Print one JSON object; with `--yes`, write the file, too
    #[arg(long)]
    pub json: bool,
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

/// Arguments of `hook`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub struct HookArgs {
    /// What Codex says, as `notify` gives it [default: standard input]
    pub payload: Vec<std::ffi::OsString>,

    /// Tell Codex to call codex-trace, in its config.toml
    #[arg(long, conflicts_with_all = ["uninstall", "work", "payload"])]
    pub install: bool,

    /// Take out of config.toml what `--install` has written
    #[arg(long, conflicts_with_all = ["work", "payload"])]
    pub uninstall: bool,

    /// In `.codex/config.toml` of the working directory, for all who trust the project
    #[arg(long)]
    pub project: bool,

    /// Change nothing; print what would be written or taken out
    #[arg(long)]
    pub dry_run: bool,

    /// Upload what waits in the queue, here and now
    ///
    /// Calls of Codex start this in the background. It ends when nothing is left
    /// to do; what a destination has not taken waits for the next call.
    #[arg(long, conflicts_with = "payload")]
    pub work: bool,

    /// Leave the terminal: it was started by a call of Codex
    #[arg(long, hide = true, requires = "work")]
    pub detached: bool,

    /// How long `--work` waits for more before it ends
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub linger: String,
}
