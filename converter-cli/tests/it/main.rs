//! The command as a user runs it: few tests, of wiring; logic is tested below.

#![expect(clippy::disallowed_methods, reason = "tests have switches of their own")]

mod bench;
mod blame;
mod braintrust;
mod browser;
mod case_structure;
mod cases;
mod completions;
mod config;
mod contact;
mod convert;
mod copies;
mod cost;
mod databricks;
mod delivery;
mod dependencies;
mod doctor;
mod errors;
mod formats;
mod generated;
mod grafana;
mod hook;
mod langsmith;
mod layout;
mod leaks;
mod list;
mod logfire;
mod loki;
#[path = "../marked/mod.rs"]
mod marked;
mod mlflow;
mod options;
mod origin;
mod outputs;
mod parquet;
mod perfetto;
mod places;
mod readme;
mod report;
mod schema;
mod scripted_server;
mod scripting;
mod show;
mod ten_minutes;
mod terminal;
mod testenv;
mod tls;
mod toy;
mod upgrades;
mod upload;
mod usage;
