//! Formats, byte by byte.

pub mod jsonl;
