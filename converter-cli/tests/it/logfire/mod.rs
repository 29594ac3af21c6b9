//! Uploads to Logfire, against a receiver on this machine.

#![expect(clippy::unwrap_used, reason = "in helpers, too, it is the test that fails")]

mod content;
mod faults;
mod live;
mod server;
mod settings;

use std::path::Path;
use std::process::Command;

use crate::testenv::{Run, TestEnv};
use server::{Server, TOKEN};

/// Prepares an upload to a server.
fn upload(env: &TestEnv, server: &Server, paths: &[&Path], more: &[&str]) -> Command {
    let mut args: Vec<&str> = vec!["upload", "--to", "logfire", "--settle", "0s"];
    args.extend(paths.iter().map(|path| path.to_str().unwrap()));
    args.extend(more);
    let mut command = env.command(&args);
    command.env("LOGFIRE_TOKEN", TOKEN).env("LOGFIRE_BASE_URL", &server.url);
    command
}

/// Uploads to a server, without redaction.
fn run(env: &TestEnv, server: &Server, paths: &[&Path], more: &[&str]) -> Run {
    env.finish(upload(env, server, paths, more).arg("--no-redact"))
}
