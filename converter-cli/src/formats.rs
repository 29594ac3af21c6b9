//! The registry of what `convert` can write.

use codex_trace_export::choice::is_word;
use codex_trace_export::wire::{jsonl, perfetto};
use codex_trace_export::{FileFormat, codex_otel, otlp};

/// Every format, in the order of `--help`; the first is the default.
pub const FORMATS: &[&FileFormat] = &[
    &jsonl::FILE,
    &otlp::JSON_FILE,
    &otlp::PROTO_FILE,
    &codex_otel::openmetrics::FILE,
    &perfetto::FILE,
    &crate::parquet::FILE,
];

/// Returns the format of a name.
pub fn named(name: &str) -> Option<&'static FileFormat> {
    FORMATS.iter().find(|format| is_word(format.name, name)).copied()
}
