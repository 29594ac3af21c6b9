//! The command against a real MLflow, killed and troubled: what is there in
//! the end is what one clean run puts there. See docs/testing-servers.md.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use codex_trace_deliver::ledger::Ledger;
use serde_json::Value;

use crate::proxy::{Fault, Proxy};
use crate::servers::{
    agent, alone_at_mlflow, forget_mlflow, get, mlflow_traces, server, without_revision,
};
use crate::support::Random;

/// A place to upload to, empty at first.
pub(crate) struct Stage {
    base: String,
    experiment: String,
    history: PathBuf,
    state: tempfile::TempDir,
}

impl Stage {
    pub(crate) fn new(base: &str, experiment: &str, history: &str) -> Stage {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata");
        let state = tempfile::tempdir().unwrap();
        let stage = Stage {
            base: base.to_owned(),
            experiment: experiment.to_owned(),
            history: root.join(history),
            state,
        };
        forget_mlflow(&agent(), base, experiment);
        stage
    }

    /// Starts an upload by way of `endpoint`.
    pub(crate) fn upload(&self, endpoint: &str, more: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_codex-trace"))
            .args(["upload", "--to", "mlflow", "--settle", "0s", "--endpoint", endpoint])
            .args(["--project", &self.experiment, "--state-dir"])
            .arg(self.state.path())
            .args(more)
            .arg(&self.history)
            .env_clear()
            .env("HOME", self.state.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    #[track_caller]
    pub(crate) fn completes(&self, endpoint: &str, more: &[&str]) {
        let output = self.upload(endpoint, more).wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
    }

    /// Returns how much the ledger knows to be there, in units.
    pub(crate) fn n_sent(&self) -> u64 {
        let ledger = Ledger::open_existing(self.state.path()).unwrap();
        let standings = ledger.map(|it| it.standings().unwrap()).unwrap_or_default();
        standings.first().map_or(0, |it| it.sent)
    }

    /// Takes everything out again, in a form that does not depend on where and
    /// when it was put there.
    pub(crate) fn take_out(&self) -> Vec<Value> {
        let agent = agent();
        let (base, name) = (&self.base, &self.experiment);
        let url = format!("{base}/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}");
        let found = get(&agent, &url);
        let experiment = found["experiment"]["experiment_id"].as_str().unwrap();
        let mut traces = without_revision(mlflow_traces(&agent, base, experiment));
        for trace in &mut traces {
            let info = trace["trace_info"].as_object_mut().unwrap();
            info.remove("trace_location");
            info["tags"].as_object_mut().unwrap().remove("mlflow.artifactLocation");
        }
        forget_mlflow(&agent, base, name);
        traces
    }
}

#[expect(clippy::disallowed_methods, reason = "when to kill depends on how long it takes")]
fn time(job: impl FnOnce()) -> Duration {
    let started = Instant::now();
    job();
    started.elapsed()
}

#[track_caller]
pub(crate) fn same(found: &[Value], clean: &[Value]) {
    assert_eq!(found.len(), clean.len(), "traces");
    for (found, clean) in found.iter().zip(clean) {
        differs(clean["trace_info"]["trace_id"].as_str().unwrap(), found, clean);
    }
}

/// Says where two values differ, if they do.
#[track_caller]
fn differs(place: &str, found: &Value, clean: &Value) {
    match (found, clean) {
        (Value::Object(found), Value::Object(clean)) if found.len() == clean.len() => {
            for (key, clean) in clean {
                differs(&format!("{place}.{key}"), &found[key], clean);
            }
        }
        (Value::Array(found), Value::Array(clean)) if found.len() == clean.len() => {
            for (nth, (found, clean)) in found.iter().zip(clean).enumerate() {
                differs(&format!("{place}[{nth}]"), found, clean);
            }
        }
        _ => assert_eq!(found, clean, "{place}"),
    }
}

#[test]
fn killed_at_fifty_moments_it_ends_as_a_clean_run() {
    let Some(base) = server("mlflow", "http://127.0.0.1:5101") else { return };
    let _alone = alone_at_mlflow();
    let slowly = ["--jobs", "1", "--senders", "2"];
    let stage = Stage::new(&base, "codex-trace-clean", "homes");
    let took = time(|| stage.completes(&base, &slowly));
    let clean = stage.take_out();

    let stage = Stage::new(&base, "codex-trace-killed", "homes");
    let mut random = Random::new(50);
    let (mut n_killed, mut n_done) = (0, 0);
    while n_killed < 50 {
        // Once all is there, send it again: to be killed at that is the same.
        let more = if n_done > 0 { &["--force"] } else { &[][..] };
        let mut child = stage.upload(&base, &[&slowly, more].concat());
        let most = u64::try_from(took.as_millis()).unwrap() / 4;
        std::thread::sleep(Duration::from_millis(random.below(most)));
        if child.try_wait().unwrap().is_some() {
            n_done += 1;
            continue;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        n_killed += 1;
    }
    stage.completes(&base, &slowly);
    let spans = |traces: &[Value]| -> usize {
        traces.iter().map(|it| it["spans"].as_array().unwrap().len()).sum()
    };
    println!(
        "mlflow: {} traces of {} spans in {took:.1?}; {n_killed} kills, {n_done} runs that ended",
        clean.len(),
        spans(&clean)
    );
    same(&stage.take_out(), &clean);
}

#[test]
fn troubled_it_ends_as_a_clean_run() {
    const FAULTS: [Fault; 8] = [
        Fault::Status(429),
        Fault::Status(500),
        Fault::Status(503),
        Fault::Silence,
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::Half,
        Fault::Slow,
    ];
    let Some(base) = server("mlflow", "http://127.0.0.1:5101") else { return };
    let _alone = alone_at_mlflow();
    let stage = Stage::new(&base, "codex-trace-clean", "tree");
    stage.completes(&base, &[]);
    let clean = stage.take_out();
    for (fault, seed) in FAULTS.into_iter().zip(1..) {
        let stage = Stage::new(&base, "codex-trace-troubled", "tree");
        let proxy = Proxy::start(&base, fault, seed);
        stage.completes(&proxy.url, &["--timeout", "5s"]);
        let (n_requests, n_faults) = proxy.counts();
        println!("mlflow, {fault:?}: {n_faults} of {n_requests} requests");
        assert!(n_faults > 0, "{fault:?}");
        same(&stage.take_out(), &clean);
    }
}
