//! From traces to bytes: one module for each format.

pub mod jsonl;
mod jsonl_item;
mod jsonl_span;
