//! The OTLP and MLflow backends: what they write, read by others.

#![expect(clippy::disallowed_methods, reason = "tests have switches and clocks of their own")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test says what went wrong")]

mod collector;
mod content;
mod contract;
mod encoding;
mod faults;
mod logfire;
#[path = "../marked/mod.rs"]
mod marked;
mod newest;
mod outage;
mod projects;
mod properties;
mod proxy;
mod servers;
mod support;
mod telemetry;
mod variables;
