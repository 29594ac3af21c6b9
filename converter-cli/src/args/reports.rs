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

    /// Only sessions that were active in this time (7d: the last seven days including today)
    #[arg(long, value_name = "AGE", conflicts_with = "since", help_heading = "Filters")]
    pub last: Option<String>,

    /// Only sessions whose prompts or name contain TEXT, in upper or lower case
    #[arg(long, value_name = "TEXT", help_heading = "Filters")]
    pub grep: Option<String>,

    /// Only sessions that called this tool (`exec_command`, `server.tool`)
    #[arg(long, value_name = "NAME", help_heading = "Filters")]
    pub tool: Option<String>,

    /// Only sessions in which a tool call failed (with `--tool`: a call of that tool)
    ///
    /// A call failed if it ended with an error, timed out, or was declined. Calls
    /// that were interrupted or have no end did not fail.
    #[arg(long, help_heading = "Filters")]
    pub failed_tools: bool,

    /// Print only the first N sessions
    #[arg(short = 'n', long, value_name = "N")]
    pub limit: Option<usize>,

    /// Sort by this, largest or newest first
    #[arg(long, value_name = "WHAT", default_value = "started")]
    pub sort: SortBy,

    /// Reverse the order
    #[arg(short, long)]
    pub reverse: bool,

    /// How to print: `table`, `json`, `csv`, `tsv`, or text with fields in braces
    #[arg(long, value_name = "FORMAT", conflicts_with = "json", long_help = FORMAT_HELP)]
    pub format: Option<String>,

    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,

    /// Read all files, even those that have not changed since the last time
    #[arg(long)]
    pub no_cache: bool,

    /// List only sessions with problems, and show the problems
    #[arg(long)]
    pub problems: bool,
}

const FORMAT_HELP: &str = "How to print: `table`, `json`, `csv`, `tsv`, or text with fields in braces

`--format '{session_id} {cost_usd:short}'` prints a line for each row; `:short` formats a value as in the table. The fields are the columns of `--format csv`.";

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

    /// Show the conversation: prompts, answers, input and output of tools
    ///
    /// On a terminal, long input and output of tools is cut; `-v` shows all of it.
    /// In a pipe nothing is cut.
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

const PRICES_HELP: &str = r#"Read prices from a file, which take precedence over the built-in ones

In US dollars per million tokens, as JSON:
{"prices": [{"model": "gpt-x", "input": 1.25, "cached_input": 0.125, "output": 10}]}
For a price that has changed, add another row with "from": "2026-08-21". A row may also have:
"cache_write_input": 1.5
"provider": "azure"  (as Codex' configuration names it; "openai" if it is left out)
"long_context": {"above": 272000, "input": 2.5, "output": 15}
"tiers": {"priority": {"input": 2.5, "output": 20}, "flex": {…}}  (each may have a "long_context")
The rows of a model and provider replace all built-in rows for them."#;

const COST_HELP: &str = "Add costs, at the API's list prices on the day of each call

Prices depend on model, service tier, length of the request and provider. They are those of OpenAI's API; models without a list price are named. A subscription is billed otherwise.";

/// Arguments of `usage`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct UsageArgs {
    /// Which sessions.
    #[command(flatten)]
    pub select: SelectArgs,

    /// Count this time up to now (7d: the last seven days including today)
    #[arg(long, value_name = "AGE", conflicts_with = "since", help_heading = "Filters")]
    pub last: Option<String>,

    /// What a row stands for, or several separated by commas: `day,model`
    #[arg(long, value_name = "WHAT[,…]", value_delimiter = ',', default_value = "day", value_parser = word::<By>())]
    pub by: Vec<By>,

    /// Costs are always shown; this option of earlier versions changes nothing
    #[arg(long, hide = true)]
    pub cost: bool,

    /// Read prices from a file, which take precedence over the built-in ones
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

    /// Read all files, even those that have not changed since the last time
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
    /// The file is private, appears only when it is complete, and then replaces a
    /// file of the same name. A history that is too large for one page is written to
    /// a directory of this name without `.html`. `-` is standard output.
    #[arg(short, long, value_name = "FILE|DIR")]
    pub output: Option<PathBuf>,

    /// How much of prompts, answers, commands and outputs to include
    #[arg(long, value_name = "AMOUNT", default_value = "short", value_parser = word::<Amount>())]
    pub content: Amount,

    /// Add costs, at the API's list prices on the day of each call
    #[arg(long, long_help = COST_HELP)]
    pub cost: bool,

    /// Read prices from a file, which take precedence over the built-in ones (implies `--cost`)
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

    /// Numbers of threads to measure with [default: 1 and the number of `--jobs`]
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub threads: Vec<usize>,

    /// How often each stage is run
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub repeat: usize,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}
