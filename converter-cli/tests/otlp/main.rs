//! The OTLP and MLflow backends: what they write, read by others.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test says what went wrong")]

mod content;
mod contract;
mod encoding;
mod properties;
mod servers;
mod support;
