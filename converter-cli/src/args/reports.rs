use std::path::PathBuf;

use clap::ValueEnum;

use crate::args::words::word;
use crate::args::{ContentArgs, OptionArgs, Redaction, SelectArgs};
use codex_trace_export::report::Amount;
use codex_trace_usage::By;

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct ListArgs {
    /// Which sessions.
    #[command(flatten)]
    pub select: SelectArgs,

    /// Take sessions that were active in this time (7d: so many days, with today)
    #[arg(long, value_name = "AGE", conflicts_with = "since", help_heading = "Filters")]
    pub last: Option<String>,

    /// Take sessions in whose prompts or name TEXT stands, capitals or not
    #[arg(long, value_name = "TEXT", help_heading = "Filters")]
    pub grep: Option<String>,

    /// Take sessions that called this tool (`exec_command`, `server.tool`)
    #[arg(long, value_name = "NAME", help_heading = "Filters")]
    pub tool: Option<String>,

    /// Take sessions in which a tool call failed (with `--tool`: one of that tool)
    ///
    /// A call failed if it ended with an error, timed out, or was declined. Calls
    /// that were interrupted or have no end did not fail.
    #[arg(long, help_heading = "Filters")]
    pub failed_tools: bool,

    /// Print only the first N sessions
    #[arg(short = 'n', long, value_name = "N")]
    pub limit: Option<usize>,

    /// What to sort by, largest or newest first
    #[arg(long, value_name = "WHAT", default_value = "started")]
    pub sort: SortBy,

    /// Turn the order around
    #[arg(short, long)]
    pub reverse: bool,

    /// How to print: `table`, `json`, `csv`, `tsv`, or text with fields in braces
    #[arg(long, value_name = "FORMAT", conflicts_with = "json", long_help = FORMAT_HELP)]
    pub format: Option<String>,

    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,

    /// Read everything, even what has not changed since the last time
    #[arg(long)]
    pub no_cache: bool,

    /// List only sessions with problems, and say what they are
    #[arg(long)]
    pub problems: bool,
}

const FORMAT_HELP: &str = "How to print: `table`, `json`, `csv`, `tsv`, or text with fields in braces

`--format '{session_id} {cost_usd:short}'` prints a line for each row; `:short` writes a value as the table does. The fields are the columns of `--format csv`.";

/// What `list` can sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SortBy {
    /// When it began
    Started,
    /// When the last thing in it happened
    Ended,
    /// How long it lasted
    Duration,
    /// How many turns it has
    Turns,
    /// How many tokens it used
    Tokens,
    /// What it cost
    Cost,
    /// How many tool calls failed
    FailedTools,
}

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// Which session: an id or its beginning, a rollout file or its name.
    #[command(flatten)]
    pub select: SelectArgs,

    /// Show the newest session that matches (the default if no PATH is given)
    #[arg(long)]
    pub last: bool,

    /// Show what was said: prompts, answers, what tools got and printed
    ///
    /// On a terminal, long input and output of tools is cut; `-v` shows all of
    /// it, and in a pipe nothing is cut.
    #[arg(long, conflicts_with = "json")]
    pub text: bool,

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

const PRICES_HELP: &str = r#"Read prices from a file, over those that are built in

In US dollars per million tokens, as JSON:
{"prices": [{"model": "gpt-x", "input": 1.25, "cached_input": 0.125, "output": 10}]}
A price that changed has another row with "from": "2026-08-21". Also in a row, where they matter:
"cache_write_input": 1.5
"provider": "azure"  (as Codex' configuration names it; "openai" if it is left out)
"long_context": {"above": 272000, "input": 2.5, "output": 15}
"tiers": {"priority": {"input": 2.5, "output": 20}, "flex": {…}}  (each may have a "long_context")
What the file says of a provider's model replaces all that is built in about it."#;

const COST_HELP: &str = "Add what the tokens cost at the API's list prices of the day

By model, service tier, length of the request and provider; prices are those of OpenAI's API, and models without a list price are named. A subscription is billed otherwise.";

/// Arguments of `usage`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct UsageArgs {
    /// Which sessions.
    #[command(flatten)]
    pub select: SelectArgs,

    /// Count this time up to now (7d: so many days, with today)
    #[arg(long, value_name = "AGE", conflicts_with = "since", help_heading = "Filters")]
    pub last: Option<String>,

    /// What a row stands for; several with commas between them: `day,model`
    #[arg(long, value_name = "WHAT[,…]", value_delimiter = ',', default_value = "day", value_parser = word::<By>())]
    pub by: Vec<By>,

    /// Costs are always shown; this option of earlier versions changes nothing
    #[arg(long, hide = true)]
    pub cost: bool,

    /// Read prices from a file, over those that are built in
    #[arg(long, value_name = "FILE", long_help = PRICES_HELP)]
    pub prices: Option<PathBuf>,

    /// Show the account's rate limits as last recorded, instead of tokens
    ///
    /// How much of each window was used, when that was recorded, and when the
    /// window resets.
    #[arg(long, conflicts_with_all = ["by", "prices"])]
    pub limits: bool,

    /// How to print: `table`, `json`, `csv`, `tsv`, or text with fields in braces
    #[arg(long, value_name = "FORMAT", conflicts_with = "json", long_help = FORMAT_HELP)]
    pub format: Option<String>,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,

    /// Read everything, even what has not changed since the last time
    #[arg(long)]
    pub no_cache: bool,
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
