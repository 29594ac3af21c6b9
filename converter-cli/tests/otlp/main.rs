//! The OTLP and MLflow backends: what they write, read by others.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test says what went wrong")]

mod collector;
mod content;
mod contract;
mod encoding;
mod faults;
mod newest;
mod outage;
mod properties;
mod proxy;
mod servers;
mod support;
mod variables;
