use std::path::PathBuf;

use clap::ValueEnum;

use crate::args::words::word;
use crate::args::{ContentArgs, OptionArgs, Redaction, SelectArgs};
use codex_trace_export::report::Amount;

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
A price that changed has another row with "from": "2026-08-21". Also in a row, where they matter:
"cache_write_input": 1.5
"provider": "azure"  (as Codex' configuration names it; "openai" if it is left out)
"long_context": {"above": 272000, "input": 2.5, "output": 15}
"tiers": {"priority": {"input": 2.5, "output": 20}, "flex": {…}}  (each may have a "long_context")
What the file says of a provider's model replaces all that is built in about it."#;

const COST_HELP: &str = "Add what the tokens cost at the API's list prices of the day

By model, service tier, length of the request and provider; prices are those of OpenAI's API, and what has none is said. A subscription is billed otherwise.";

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

    /// Add what the tokens cost at the API's list prices of the day
    #[arg(long, long_help = COST_HELP)]
    pub cost: bool,

    /// Read prices from a file, over those that are built in (implies `--cost`)
    #[arg(long, value_name = "FILE", long_help = PRICES_HELP)]
    pub prices: Option<PathBuf>,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// Which sessions.
    #[command(flatten)]
    pub select: SelectArgs,

    /// File to write to, or directory for a report of several pages
    ///
    /// The file is private, appears only when complete, and then takes the place
    /// of what had the name before. A history that is too large for one page goes
    /// into a directory of this name without `.html`. `-` is standard output.
    #[arg(short, long, value_name = "FILE|DIR")]
    pub output: Option<PathBuf>,

    /// How much of prompts, answers, commands and outputs to include
    #[arg(long, value_name = "AMOUNT", default_value = "short", value_parser = word::<Amount>())]
    pub content: Amount,

    /// Add what the tokens cost at the API's list prices of the day
    #[arg(long, long_help = COST_HELP)]
    pub cost: bool,

    /// Read prices from a file, over those that are built in (implies `--cost`)
    #[arg(long, value_name = "FILE", long_help = PRICES_HELP)]
    pub prices: Option<PathBuf>,

    /// What to redact.
    #[command(flatten)]
    pub redact: OptionArgs<Redaction>,
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
