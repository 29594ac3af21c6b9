//! `convert --to parquet`: the tables of `codex-trace-table` as Parquet files.
//!
//! Built with the feature `parquet` alone: what it needs takes a third of the
//! time that everything else takes to build. Without it the format is there, and
//! says how to get it.

use codex_trace_export::choice::Choice;
use codex_trace_export::options::{Flag, Opt, OptionSpec};
use codex_trace_export::{ConfigError, FileEncoder, FileFormat, FileSettings, Layout};

#[cfg(feature = "parquet")]
mod encode;
#[cfg(feature = "parquet")]
mod frame;
#[cfg(feature = "parquet")]
mod sink;

/// How rows are divided into files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// By the day on which the session began, in UTC.
    Day,
}

impl Choice for Partition {
    const WORDS: &[(Partition, &str, &str)] =
        &[(Partition::Day, "day", "By the day (UTC) on which the session began")];
}

/// Whether there are directories of parts.
const PARTITION: Opt<Partition> =
    Opt::without_key("Divide Parquet files into directories, as in `spans/day=2026-11-21/`")
        .flag(Flag::Value { name: "partition", value: "HOW" }, Some("Encoding"));

const OPTIONS: &[OptionSpec] = &[PARTITION.spec];

/// The format.
pub const FILE: FileFormat = FileFormat {
    name: "parquet",
    summary: "Tables of spans, model calls, items, sessions and problems as Parquet files in a directory",
    endings: &["parquet"],
    is_text: false,
    layout: Layout::Directory(&[
        "spans.parquet",
        "calls.parquet",
        "items.parquet",
        "sessions.parquet",
        "problems.parquet",
    ]),
    options: OPTIONS,
    open,
};

#[cfg(feature = "parquet")]
#[expect(clippy::unnecessary_wraps, reason = "as the other one")]
fn open(settings: FileSettings) -> Result<Box<dyn FileEncoder>, ConfigError> {
    let partition = settings.options.get(&PARTITION).map(|said| said.value);
    Ok(Box::new(encode::Rows::new(settings, partition)))
}

#[cfg(not(feature = "parquet"))]
fn open(_: FileSettings) -> Result<Box<dyn FileEncoder>, ConfigError> {
    Err(ConfigError::new("this codex-trace was built without Parquet").hint(
        "`cargo install --locked --path converter-cli --features parquet` builds it in, and \
         `--to spans` writes JSON lines",
    ))
}
