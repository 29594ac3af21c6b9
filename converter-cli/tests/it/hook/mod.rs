//! Live delivery: what Codex calls, and the worker behind it.

mod backends;
mod calls;
#[cfg(target_os = "linux")]
mod gone;
mod install;
mod sink;
mod watch;
mod worker;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::testenv::{Run, TestEnv, place, small_rollout};
use sink::Sink;

/// As long as a machine under load may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A user with a Codex home and a destination.
struct User {
    env: TestEnv,
}

/// The id of a thread.
fn id(nth: usize) -> String {
    format!("019a0000-0000-7000-8000-{nth:012}")
}

/// What Codex says of a thread, as a hook.
fn payload(event: &str, thread: &str) -> String {
    format!(
        r#"{{"session_id":"{thread}","transcript_path":"/elsewhere/rollout.jsonl","cwd":"/w","hook_event_name":"{event}","model":"gpt-x","permission_mode":"default"}}"#
    )
}

impl User {
    fn new(sink: &Sink) -> User {
        let user = User { env: TestEnv::new() };
        fs::create_dir_all(user.env.dir().join(".codex/sessions")).expect("as prepared");
        user.configure(&[("sink", sink)]);
        user
    }

    /// Names destinations in codex-trace.toml.
    fn configure(&self, sinks: &[(&str, &Sink)]) {
        let names: Vec<_> = sinks.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let tables = sinks.iter().map(|(name, sink)| {
            let url = &sink.url;
            format!("[destinations.{name}]\nbackend = \"otlp\"\nendpoint = \"{url}\"\nprotocol = \"http/json\"\ncompression = \"none\"\n")
        });
        let text = format!("to = [{}]\n{}", names.join(", "), tables.collect::<String>());
        self.env.write(".config/codex-trace/codex-trace.toml", text);
    }

    fn state(&self) -> PathBuf {
        self.env.dir().join(".local/state/codex-trace")
    }

    fn rollout(&self, nth: usize) -> PathBuf {
        self.env.dir().join(".codex").join(place("2026-03-01T10-00-00", &id(nth)))
    }

    /// Writes a session of one turn that has ended.
    fn session(&self, nth: usize) -> PathBuf {
        let file = format!(".codex/{}", place("2026-03-01T10-00-00", &id(nth)));
        self.env.write(&file, small_rollout(&id(nth), "2026-03-01T10:00", &format!("hello {nth}")))
    }

    fn append(&self, nth: usize, text: &str) {
        let mut file =
            fs::OpenOptions::new().append(true).open(self.rollout(nth)).expect("as prepared");
        file.write_all(text.as_bytes()).expect("as prepared");
    }

    /// Calls as Codex calls a hook.
    fn call(&self, payload: &[u8]) -> Run {
        let mut command = self.env.command(&["hook"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("as prepared");
        // It need not read to the end.
        child.stdin.take().expect("as prepared").write_all(payload).ok();
        let output = child.wait_with_output().expect("as prepared");
        Run {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            bytes: output.stdout,
        }
    }

    /// Delivers what waits, and returns when that is done.
    fn work(&self) -> Run {
        self.env.run(&["hook", "--work", "--linger", "0s"])
    }

    /// What `status --json` says of the queue.
    fn queue(&self) -> serde_json::Value {
        let lines = self.env.run(&["status", "--json"]).json();
        lines.into_iter().find(|line| line["type"] == "queue").unwrap_or_default()
    }

    /// Waits until nothing waits any more.
    #[track_caller]
    fn drained(&self) {
        self.until("the queue is empty", || self.queue()["waiting"] == 0);
    }

    #[track_caller]
    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            if begun.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.state().join("live/log")).unwrap_or_default();
                panic!("{what}: not after {PATIENCE:?}\n{}\n{log}", self.queue());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What a clean upload of what is there now puts into a sink.
    fn clean(&self) -> Sink {
        let sink = Sink::start(0);
        let args = [
            "upload",
            "--to",
            "otlp",
            "--endpoint",
            &sink.url,
            "--settle",
            "0s",
            "--state-dir",
            "clean",
        ];
        let mut command = self.env.command(&args);
        command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
        let run = self.env.finish(&mut command);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        sink
    }

    /// Compares what has arrived with that.
    #[track_caller]
    fn is_as_clean(&self, sink: &Sink) {
        let (live, clean) = (sink.spans(), self.clean().spans());
        let keys = |spans: &sink::Spans| spans.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&live), keys(&clean));
        assert!(!clean.is_empty());
        assert_eq!(live, clean);
    }
}
