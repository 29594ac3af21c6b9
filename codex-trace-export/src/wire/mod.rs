//! Formats, byte by byte.

pub mod jsonl;
pub mod perfetto;
