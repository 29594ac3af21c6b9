//! Uploads to Braintrust, against a server that keeps to its contract.

#![expect(clippy::unwrap_used, reason = "in helpers, too, it is the test that fails")]

mod faults;
mod golden;
mod older;
pub(crate) mod server;
mod settings;
mod wire;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::testenv::{Run, TestEnv, testdata};
use server::Server;

/// Prepares an upload to a server.
fn upload(env: &TestEnv, server: &Server, paths: &[&Path], more: &[&str]) -> Command {
    let mut args: Vec<&str> = vec!["upload", "--to", "braintrust", "--settle", "0s"];
    args.extend(paths.iter().map(|path| path.to_str().unwrap()));
    args.extend(more);
    let mut command = env.command(&args);
    command
        .env("BRAINTRUST_API_KEY", "sk-test-0123456789")
        .env("BRAINTRUST_API_URL", &server.url)
        .env("BRAINTRUST_ORG_NAME", "acme")
        .env("USER", "u");
    command
}

/// Uploads to a server, without redaction.
fn run(env: &TestEnv, server: &Server, paths: &[&Path], more: &[&str]) -> Run {
    env.finish(upload(env, server, paths, more).arg("--no-redact"))
}

/// Returns the sums of all model calls: input, cached, output, reasoning tokens.
fn tokens(rows: &BTreeMap<String, Value>) -> [u64; 4] {
    let keys = [
        "prompt_tokens",
        "prompt_cached_tokens",
        "completion_tokens",
        "completion_reasoning_tokens",
    ];
    let mut sums = [0; 4];
    for row in rows.values().filter(|row| row["span_attributes"]["type"] == "llm") {
        for (sum, key) in sums.iter_mut().zip(keys) {
            *sum += row["metrics"][key].as_u64().unwrap_or(0);
        }
        let total = row["metrics"]["prompt_tokens"].as_u64().unwrap_or(0)
            + row["metrics"]["completion_tokens"].as_u64().unwrap_or(0);
        assert_eq!(row["metrics"]["tokens"].as_u64().unwrap_or(0), total, "{row}");
    }
    sums
}

/// What a version did not record, so that no upload can have it: 0.29 no usage at
/// all, 0.144 not that of the request that compacted.
const UNRECORDED: [(&str, [u64; 4]); 2] =
    [("r29", [2300, 1150, 100, 20]), ("r144", [5000, 0, 200, 0])];

/// Every home, with what its model server answered.
#[test]
fn the_tokens_of_all_model_calls_are_those_that_were_answered() {
    let mut n_homes = 0;
    for home in std::fs::read_dir(testdata("homes")).unwrap() {
        let home = home.unwrap().path();
        let Ok(truth) = std::fs::read_to_string(home.join("truth.json")) else { continue };
        let truth: Value = serde_json::from_str(&truth).unwrap();
        let (env, server) = (TestEnv::new(), Server::start());
        let run = run(&env, &server, &[&home], &[]);
        let name = home.file_name().unwrap().to_str().unwrap();
        assert_eq!(run.code, Some(0), "{name}: {}", run.stderr);
        let missing = UNRECORDED.iter().find(|it| it.0 == name).map_or([0; 4], |it| it.1);
        let keys =
            ["input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens"];
        let sums = tokens(&server.rows());
        for ((key, sum), missing) in keys.iter().zip(sums).zip(missing) {
            assert_eq!(sum + missing, truth[*key].as_u64().unwrap(), "{name} {key}");
        }
        n_homes += 1;
    }
    assert_eq!(n_homes, 19);
}
