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
    /// A backend named here uses the settings of its live plugin: existing variables
    /// and files. A name of codex-trace.toml has an endpoint, project, key,
    /// certificates and limits of its own. Without the flag, `upload` uses the
    /// destinations that `to` in codex-trace.toml lists, and `doctor` checks all.
    #[arg(long, value_name = "NAME[,…]", value_delimiter = ',', help_heading = "Destinations")]
    #[arg(add = ArgValueCompleter::new(complete::destinations))]
    pub to: Vec<String>,

    /// What holds for every destination.
    #[command(flatten)]
    pub options: OptionArgs<Place>,

    /// Follow the addresses in files of the project in the working directory
    ///
    /// These files are `.codex/langsmith.json`, `langsmith-plugins.json` and
    /// `.codex/mlflow-tracing.json`, which may have come with a cloned repository.
    /// Without the flag they do not affect where a history is sent.
    #[arg(long, help_heading = "Destinations")]
    pub trust_project: bool,

    /// Configuration file to read
    ///
    /// The default is `$CODEX_TRACE_CONFIG`, or else `codex-trace/codex-trace.toml` in
    /// `$XDG_CONFIG_HOME` or `~/.config`.
    #[arg(long, value_name = "FILE", help_heading = "Destinations")]
    pub config: Option<PathBuf>,

    /// Directory of the ledger [default: $XDG_STATE_HOME/codex-trace]
    #[arg(long, value_name = "DIR", help_heading = "Destinations")]
    pub state_dir: Option<PathBuf>,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  codex-trace upload --to mlflow --dry-run            Show what would be sent
  codex-trace upload --to otlp --endpoint http://localhost:4318
  codex-trace upload --to langsmith --since 24h       The last day
  codex-trace upload --to otlp --dry-run=requests     Write the requests to files

`codex-trace status` shows what was sent where, `codex-trace doctor` the configuration.";

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

    /// Send nothing; show what would be sent, or write the requests to DIR
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    pub dry_run: Option<Option<PathBuf>>,

    /// Send everything again, even what was sent before
    #[arg(long)]
    pub force: bool,

    /// Keep every request and its answer in DIR
    ///
    /// The files are those of `--dry-run=DIR`, and one for each answer. They are
    /// private, and keys are masked.
    #[arg(long, value_name = "DIR", conflicts_with = "dry_run")]
    pub record: Option<PathBuf>,

    /// Send the requests that `--record` or `--dry-run` has written to DIR
    ///
    /// No history is read. The ledger is neither read nor written, so a destination
    /// may receive something twice. The current keys are used.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["dry_run", "record", "force", "paths"])]
    pub resend: Option<PathBuf>,

    /// Send a turn without an end once its file has not changed for this long (90s, 15m, 24h)
    ///
    /// A turn may wait for hours for an approval or a tool, and most backends keep
    /// the first version that they receive. So such a turn is held until it ends, the
    /// next turn of its thread begins, Codex has ended (which can be seen on Linux, on
    /// the machine that Codex runs on), or this time has passed. Turns before it are
    /// sent.
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub settle: String,

    /// Keep uploading what is new, until interrupted
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

    /// Maximum memory for data that is encoded and not yet sent
    #[arg(long, value_name = "SIZE", default_value = "512MiB", help_heading = "Limits")]
    pub max_memory: String,

    /// How long to retry when a destination does not answer
    #[arg(long, value_name = "DURATION", default_value = "5m", help_heading = "Limits")]
    pub retry_for: String,

    /// Exit with 1 if any line could not be read
    #[arg(long)]
    pub strict: bool,

    /// Print one JSON object per destination, in a dry run also one per turn
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// Print one JSON object per line, one for each destination
    #[arg(long)]
    pub json: bool,

    /// Remove a destination that has never accepted anything
    ///
    /// PLACE is its name in `status`. Destinations that have accepted something are
    /// not removed: the next upload would send it again.
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

    /// Write all destinations that are found, without asking
    #[arg(short, long)]
    pub yes: bool,

    /// Print what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not look for servers on the usual ports of this machine
    #[arg(long)]
    pub no_ports: bool,

    /// Print one JSON object; with `--yes`, also write the file
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// What to check.
    #[command(flatten)]
    pub place: PlaceArgs,

    /// Ask each destination whether it can be reached and accepts the key
    ///
    /// Sends a request that stores nothing: it asks for the version or the
    /// experiment, or contains no spans.
    #[arg(long)]
    pub connect: bool,

    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `hook`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub struct HookArgs {
    /// The event, as Codex passes it to `notify` [default: standard input]
    pub payload: Vec<std::ffi::OsString>,

    /// Configure Codex to call codex-trace, in its config.toml
    #[arg(long, conflicts_with_all = ["uninstall", "work", "payload"])]
    pub install: bool,

    /// Remove from config.toml what `--install` has written
    #[arg(long, conflicts_with_all = ["work", "payload"])]
    pub uninstall: bool,

    /// Use `.codex/config.toml` of the working directory, for all users who trust the project
    #[arg(long)]
    pub project: bool,

    /// Change nothing; print what would be written or removed
    #[arg(long)]
    pub dry_run: bool,

    /// Upload the sessions in the queue now
    ///
    /// Calls by Codex start this in the background. It ends when nothing is left to
    /// do; what a destination has not accepted waits for the next call.
    #[arg(long, conflicts_with = "payload")]
    pub work: bool,

    /// Detach from the terminal, because a call by Codex has started it
    #[arg(long, hide = true, requires = "work")]
    pub detached: bool,

    /// How long `--work` waits for more sessions before it ends
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub linger: String,
}
