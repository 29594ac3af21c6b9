//! docs/scripting.md and docs/configuration.md know every field of `--json`.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::scripted_server::{Act, Server};
use crate::testenv::{Run, TestEnv, testdata};

/// The names of all fields, at any depth but those of tables that are named by
/// what is in them.
fn fields(value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                out.insert(key.clone());
                if key != "versions" {
                    fields(value, out);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| fields(value, out)),
        _ => {}
    }
}

#[test]
fn every_field_is_documented() {
    let page = |name: &str| fs::read_to_string(testdata("../docs").join(name)).expect("a page");
    let pages = page("scripting.md") + &page("configuration.md");
    let env = TestEnv::new();
    let tree = testdata("tree").display().to_string();
    let good = Server::start(&[], Some(Act::Ok));
    let bad = Server::start(&[], Some(Act::Refuse(400, "", "no")));
    let upload = |server: &Server| {
        let to = ["upload", &tree, "--to", "otlp", "--endpoint", &server.url];
        let run = env.run(&[&to[..], &["--json", "--settle", "0s"]].concat());
        assert_eq!(run.json().len(), 1, "{}", run.stderr);
        run
    };
    let json = |args: &[&str]| env.run(&[args, &["--json"]].concat());
    let runs: Vec<Run> = vec![
        upload(&good),
        upload(&bad),
        json(&["upload", &tree, "--to", "otlp", "--endpoint", &good.url, "--dry-run"]),
        json(&["status"]),
        json(&["list", &tree]),
        json(&["usage", &tree]),
        json(&["usage", &tree, "--by", "session,model"]),
        json(&["usage", &tree, "--by", "tool"]),
        json(&["usage", &tree, "--limits"]),
        json(&["doctor", "--connect", "--to", "otlp", "--endpoint", &good.url]),
        json(&["bench", &tree, "--repeat", "1"]),
    ];
    for run in runs {
        let mut names = BTreeSet::new();
        run.json().iter().for_each(|line| fields(line, &mut names));
        assert!(!names.is_empty(), "{}", run.stderr);
        for name in names {
            assert!(pages.contains(&format!("`{name}`")), "`{name}` is not documented");
        }
    }
}
