//! Two projects of one real Phoenix, by ledgers that know nothing of each other.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::servers::{agent, get, server};

const FIRST: &str = "codex-trace-test-first";
const SECOND: &str = "codex-trace-test-second";

fn upload(base: &str, project: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_codex-trace"));
    command.env_clear().env("HOME", dir.path()).args(["upload", "--to", "otlp", "--settle", "0s"]);
    command.args(["--endpoint", base, "--project", project]);
    let home = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/homes/r169");
    command.arg(home).output().unwrap()
}

#[test]
fn what_a_first_project_has_is_not_called_uploaded_to_a_second() {
    let Some(base) = server("phoenix", "http://127.0.0.1:6106") else { return };
    let agent = agent();
    for project in [FIRST, SECOND, "codex-trace-test"] {
        agent.delete(format!("{base}/v1/projects/{project}")).call().unwrap();
    }
    let first = upload(&base, FIRST);
    assert!(first.status.success(), "{first:?}");
    let n_traces = || {
        let page = get(&agent, &format!("{base}/v1/projects/{FIRST}/traces?limit=1000"));
        page["data"].as_array().unwrap().len()
    };
    // It answers before it stores; the project itself comes with the first span.
    let is_there = |project: &str| {
        let all = get(&agent, &format!("{base}/v1/projects?limit=1000"));
        all["data"].as_array().unwrap().iter().any(|it| it["name"] == project)
    };
    let begun = Instant::now();
    while !is_there(FIRST) || n_traces() < 5 {
        assert!(begun.elapsed() < Duration::from_secs(60), "it stores nothing");
        std::thread::sleep(Duration::from_millis(200));
    }
    let second = upload(&base, SECOND);
    let words = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(2), "{words}");
    assert!(words.contains("the project `codex-trace-test-first` of this Phoenix has it"));
    assert_eq!((n_traces(), is_there(SECOND)), (5, false));
}
