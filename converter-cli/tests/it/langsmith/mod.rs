//! Uploads to LangSmith, against a server that keeps to its contract.

#![expect(clippy::unwrap_used, reason = "in helpers, too, it is the test that fails")]

mod beside;
mod faults;
mod features;
mod golden;
mod input;
mod known_ids;
pub(crate) mod server;
mod settings;
mod sizes;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use codex_trace_deliver::companions::Companion;
use codex_trace_deliver::delivery::{self, Account, DeadLetters, Destination, Options, Run, Takes};
use codex_trace_deliver::ledger::Ledger;
use codex_trace_deliver::retry::RetryPolicy;
use codex_trace_deliver::transport::{Compression, Http};
use codex_trace_export::content::{Capture, Content, ContentRules};
use codex_trace_export::environment::Environment;
use codex_trace_export::langsmith::{ASSUME_BACKFILL_ALLOWED, SIDECAR};
use codex_trace_export::options::OptionSet;
use codex_trace_export::redact::Redactor;
use codex_trace_history::{history, pipeline};
use codex_trace_model::Timestamp;
use converter_cli::backends::{self, BACKENDS};
use converter_cli::config;
use converter_cli::config::Selection;
use converter_cli::ui::Ui;
use serde_json::Value;
use tempfile::TempDir;

use crate::testenv::{TestEnv, small_rollout, testdata};
use server::{Rerouted, Rules, Server};

const ID: &str = "019a0000-0000-7000-8000-000000000001";
const START: &str = "2026-03-01T10:00";
const HOSTED: &str = "https://api.smith.langchain.com";
const DAY: i64 = 24 * 60 * 60 * 1000;

type Between = fn(Box<dyn Companion>) -> Box<dyn Companion>;

/// A history to upload, and where to remember what was sent of it.
struct Upload {
    server: String,
    state: TempDir,
    /// Where the ledger is, if not in `state`.
    at: Option<PathBuf>,
    home: TempDir,
    endpoint: String,
    options: OptionSet,
    env: Vec<(&'static str, String)>,
    now: String,
    time_shift: bool,
    timeout: Duration,
    settle: Duration,
    redact: bool,
    max_image_bytes: usize,
    /// What else the bytes depend on: another one, and files are looked at again.
    encoding: String,
    /// What comes between the run and the plugin's files.
    between: Option<Between>,
}

impl Upload {
    fn new(server: &str) -> Upload {
        Upload {
            server: server.to_owned(),
            state: tempfile::tempdir().unwrap(),
            at: None,
            home: tempfile::tempdir().unwrap(),
            endpoint: server.to_owned(),
            options: OptionSet::default().with(&SIDECAR, false),
            env: vec![("LANGSMITH_API_KEY", "lsv2_pt_secret_0123456789".to_owned())],
            // After the files were written, whenever that is.
            now: "2099-01-01T00:00:00Z".to_owned(),
            time_shift: false,
            timeout: Duration::from_secs(60),
            settle: Duration::ZERO,
            redact: false,
            max_image_bytes: Content::default().max_image_bytes,
            encoding: String::new(),
            between: None,
        }
    }

    /// With the plugin's files beside the rollouts; the plugin uploads to the
    /// same place.
    fn beside_the_plugin(server: &str) -> Upload {
        let mut upload = Upload::new(server);
        upload.options = OptionSet::default().with(&SIDECAR, true);
        upload.env.push(("LANGSMITH_ENDPOINT", server.to_owned()));
        upload
    }

    fn run(&self, files: &[PathBuf]) -> Account {
        let mut accounts = self.run_all(files);
        assert_eq!(accounts.len(), 1);
        accounts.remove(0)
    }

    fn settings(&self) -> codex_trace_export::Settings {
        let own = |(key, value): &(&str, String)| ((*key).to_owned(), value.clone());
        codex_trace_export::Settings {
            endpoint: (!self.endpoint.is_empty()).then(|| self.endpoint.clone()),
            options: self.options.clone(),
            env: Environment(self.env.iter().map(own).collect()),
            files: codex_trace_export::ConfigFiles::new(codex_trace_deliver::private::Disk),
            home: Some(self.home.path().to_owned()),
            ..codex_trace_export::Settings::default()
        }
    }

    fn connect(&self) -> codex_trace_export::Connected {
        let backend = BACKENDS.iter().find(|it| it.name == "langsmith").unwrap();
        (backend.connect)(&self.settings())
    }

    fn run_all(&self, files: &[PathBuf]) -> Vec<Account> {
        let ui = Ui::new(config::Settings::unresolved());
        let pool = pipeline::pool(1).unwrap();
        let selection = Selection { paths: files.to_vec(), ..Selection::default() };
        let history = history::find(&selection, &ui, &pool).unwrap();
        let ledger = Ledger::open(self.at.as_deref().unwrap_or(self.state.path())).unwrap();
        let dead_letters = DeadLetters::within(self.state.path());
        let interrupted = AtomicBool::new(false);
        let millis = Duration::from_millis;
        let options = Options {
            jobs: 2,
            senders: 3,
            max_memory: 64 << 20,
            settle: self.settle,
            force: false,
            dry_run: false,
            time_shift: self.time_shift,
            retry: RetryPolicy { initial: millis(2), max_wait: millis(20), budget: millis(5_000) },
            now: self.now.parse::<Timestamp>().unwrap(),
            compressions: vec![Compression::Gzip, Compression::Zstd],
            scratch: self.state.path().to_owned(),
            encoding: self.encoding.clone(),
        };
        let content = Content { max_image_bytes: self.max_image_bytes, ..Content::default() };
        let run = Run {
            history: &history,
            wanted: &|_| true,
            rules: &ContentRules::new(Capture::Full, self.redact.then(Redactor::default), content),
            ledger: Some(&ledger),
            dead_letters: &dead_letters,
            options: &options,
            interrupted: &interrupted,
            progress: &Arc::default(),
            notice: &|_| {},
        };
        let destinations = self.connect().unwrap().into_iter().map(|exporter| {
            let http = Http::new(3, self.timeout);
            let transport = Box::new(Rerouted(http, self.server.clone()));
            let name = "langsmith".to_owned();
            let companion = backends::companion(&name, &self.settings());
            let wrap = self.between.unwrap_or(|it| it);
            let companion = companion.map(wrap);
            Destination { name, exporter, companion, transport, takes: Takes::default(), own: None }
        });
        delivery::run(&run, destinations.collect()).unwrap()
    }

    fn dead_letters(&self) -> String {
        let path = self.state.path().join("dead-letters-langsmith.jsonl");
        std::fs::read_to_string(path).unwrap_or_default()
    }
}

fn rollout(env: &TestEnv, text: &str) -> PathBuf {
    env.write(&format!("sessions/rollout-2026-03-01T10-00-00-{ID}.jsonl"), text)
}

/// A rollout of so many turns, `t-1`, `t-2`, …
fn turns(n: usize) -> String {
    let first = small_rollout(ID, START, "prompt 1");
    let mut text = first.clone();
    for nth in 2..=n {
        let more: Vec<&str> = first.lines().skip(1).collect();
        let more = more.join("\n").replace("t-1", &format!("t-{nth}"));
        let more = more.replace("prompt 1", &format!("prompt {nth}"));
        let minute = format!("2026-03-01T10:{nth:02}");
        text.push_str(&more.replace(START, &minute));
        text.push('\n');
    }
    text
}

fn beside(rollout: &Path, suffix: &str) -> PathBuf {
    let mut path = rollout.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

fn prompts(server: &Server) -> Vec<String> {
    let roots = server.runs().into_iter().filter(|run| run["parent_run_id"].is_null());
    let text = |run: Value| {
        let first = &run["inputs"]["messages"][0]["content"];
        first.as_str().or(first[0]["text"].as_str()).unwrap_or_default().to_owned()
    };
    roots.map(text).collect()
}

#[test]
fn all_test_data_is_taken_and_taken_once() {
    let server = Server::start(Rules::default());
    let upload = Upload::new(&server.url);
    let files = [testdata("homes"), testdata("golden/rollouts/langsmith")];
    let account = upload.run(&files);
    server.is_clean();
    assert!(account.faults.is_empty() && account.down.is_none(), "{account:?}");
    let n = server.runs().len();
    assert!(n > 250, "{n} runs");
    let tokens = |run: &Value| run["extra"]["metadata"]["usage_metadata"]["total_tokens"].as_u64();
    let on_tools =
        server.runs().iter().filter(|run| run["run_type"] == "tool").filter_map(tokens).count();
    assert_eq!(on_tools, 0, "tokens are spent by models");
    let requests = server.state().log.len();
    upload.run(&files);
    assert_eq!(server.state().log.len(), requests + 1, "only `/info` is asked");
    // Without the ledger, what is there is read back.
    let forgetful = Upload::new(&server.url);
    let account = forgetful.run(&files);
    assert_eq!((server.runs().len(), account.rejected), (n, 0), "{}", forgetful.dead_letters());
    assert!(server.n("/runs/multipart", 409) > 0 && server.n("/runs/query", 200) > 0);
}

#[test]
fn what_was_lost_on_the_way_back_is_not_doubled() {
    let server = Server::start(Rules { lose_answers: 1, ..Rules::default() });
    let env = TestEnv::new();
    let file = rollout(&env, &turns(3));
    let upload = Upload::new(&server.url);
    let account = upload.run(&[file]);
    assert_eq!((account.turns(), account.rejected), (3, 0), "{account:?}");
    assert_eq!(server.runs().len(), 6);
    assert!(server.n("/runs/query", 200) > 0);
}

#[test]
fn another_run_in_our_place_is_a_dead_letter() {
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    let file = rollout(&env, &turns(2));
    Upload::new(&server.url).run(std::slice::from_ref(&file));
    let root = server.runs()[0]["id"].as_str().unwrap().to_owned();
    server.state().runs.get_mut(&root).unwrap()["name"] = "something else".into();
    let upload = Upload::new(&server.url);
    let account = upload.run(&[file]);
    assert_eq!((account.rejected, account.turns()), (1, 1), "{account:?}");
    assert!(upload.dead_letters().contains("is there as another one"), "{}", upload.dead_letters());
}

#[test]
fn what_is_refused_arrives_or_is_a_dead_letter() {
    let faults = vec![500, 429, 503, 429, 500];
    let server = Server::start(Rules { faults, poison: Some("prompt 3"), ..Rules::default() });
    let env = TestEnv::new();
    let file = rollout(&env, &turns(5));
    let upload = Upload::new(&server.url);
    let account = upload.run(std::slice::from_ref(&file));
    assert_eq!((account.turns(), account.rejected), (4, 1), "{account:?}");
    let stored: Vec<_> = prompts(&server);
    assert_eq!(stored, ["prompt 1", "prompt 2", "prompt 4", "prompt 5"]);
    assert!(upload.dead_letters().contains("poison"), "{}", upload.dead_letters());
    // Once it is accepted, the next run sends what is missing, and only that.
    server.state().rules.poison = None;
    upload.run(&[file]);
    assert_eq!((server.runs().len(), prompts(&server).len()), (10, 5));
}

#[test]
fn requests_are_as_large_as_the_server_says() {
    let rules = Rules { max_runs: 3, max_bytes: 6_000, zstd: false, ..Rules::default() };
    let server = Server::start(rules);
    let env = TestEnv::new();
    let file = rollout(&env, &turns(7));
    let account = Upload::new(&server.url).run(&[file]);
    assert_eq!(account.turns(), 7);
    server.is_clean();
    assert_eq!(server.runs().len(), 14);
    assert!(server.state().headers.iter().any(|it| it.to_lowercase().contains("gzip")));
}

#[test]
fn a_server_without_multipart_gets_batches() {
    let server = Server::start(Rules { multipart: false, ..Rules::default() });
    let env = TestEnv::new();
    let file = rollout(&env, &turns(2));
    let upload = Upload::new(&server.url);
    assert_eq!(upload.run(std::slice::from_ref(&file)).turns(), 2);
    assert!(server.n("/runs/batch", 202) > 0);
    assert_eq!(server.n("/runs/multipart", 404), 1, "asked once");
    // And what is there is recognised there, too.
    assert_eq!(Upload::new(&server.url).run(&[file]).rejected, 0);
    assert_eq!(server.runs().len(), 4);
}

/// The released plugin loses such turns, and says that they are there.
#[test]
fn long_strings_arrive_whatever_the_plugin_says() {
    let long = "x".repeat(70_000);
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    let text = turns(3).replace("prompt 2", &long);
    let file = rollout(&env, &text);
    std::fs::write(beside(&file, ".langsmith"), "t-1\nt-2\n").unwrap();
    let upload = Upload::beside_the_plugin(&server.url);
    upload.run(&[file]);
    server.is_clean();
    assert_eq!(prompts(&server), [long.as_str(), "prompt 3"]);
}

fn hosted(server: &Server, now: &str) -> Upload {
    let mut upload = Upload::new(&server.url);
    HOSTED.clone_into(&mut upload.endpoint);
    now.clone_into(&mut upload.now);
    upload
}

fn strict(now: &str) -> Rules {
    let now: Timestamp = now.parse().unwrap();
    Rules { window: Some(DAY), now: now.as_millisecond(), ..Rules::default() }
}

#[test]
fn the_hosted_service_is_not_asked_to_take_what_is_old() {
    let now = "2026-03-02T10:03:00Z";
    let server = Server::start(strict(now));
    let env = TestEnv::new();
    let file = rollout(&env, &turns(5));
    let account = hosted(&server, now).run(std::slice::from_ref(&file));
    assert_eq!((account.turns(), account.too_old), (3, 2), "{account:?}");
    server.is_clean();
    // An organisation that may: what is old goes in requests of its own.
    let server = Server::start(Rules::default());
    let mut allowed = hosted(&server, now);
    allowed.options = allowed.options.with(&ASSUME_BACKFILL_ALLOWED, true);
    assert_eq!(allowed.run(&[file]).turns(), 5);
    server.is_clean();
    let now = now.parse::<Timestamp>().unwrap().as_millisecond();
    for (youngest, oldest) in &server.state().spread {
        assert_eq!(now - youngest > DAY, now - oldest > DAY, "old and fresh in one request");
    }
}

#[test]
fn a_shift_is_found_once_and_kept() {
    let now = "2026-06-01T00:00:00Z";
    let server = Server::start(strict(now));
    let env = TestEnv::new();
    let file = rollout(&env, &turns(2));
    let mut upload = hosted(&server, now);
    upload.time_shift = true;
    let account = upload.run(std::slice::from_ref(&file));
    assert_eq!((account.turns(), account.too_old), (2, 0), "{account:?}");
    server.is_clean();
    let starts = |server: &Server| -> Vec<String> {
        server.runs().iter().map(|run| run["start_time"].as_str().unwrap().to_owned()).collect()
    };
    let before = starts(&server);
    assert!(before[0].starts_with("2026-05-31T23:57:57"), "{before:?}");
    let metadata = server.runs()[0]["extra"]["metadata"].clone();
    assert_eq!(metadata["codex.original_start_time"], "2026-03-01T10:00:01.000Z");
    // Another day, another run: the same place. What came since keeps its time.
    server.state().rules.now += DAY;
    upload.now = "2026-06-02T00:00:00Z".to_owned();
    let more = turns(3).replace("2026-03-01T10:03", "2026-06-01T20:03");
    rollout(&env, &more);
    let account = upload.run(&[file]);
    assert_eq!((account.turns(), account.already), (1, 2), "{account:?}");
    server.is_clean();
    let after = starts(&server);
    assert_eq!(after[..before.len()], before[..]);
    assert!(after[before.len()].starts_with("2026-06-01T20:03:01"), "{after:?}");
}

#[test]
fn replicas_each_get_all_of_it() {
    let (one, two) = (Server::start(Rules::default()), Server::start(Rules::default()));
    let env = TestEnv::new();
    let file = rollout(&env, &turns(2));
    let mut upload = Upload::new(&one.url);
    upload.endpoint = String::new();
    let replicas = format!(
        r#"[{{"api_url":"{}","api_key":"a","project":"p"}},{{"apiUrl":"{}","apiKey":"b"}},
            {{"apiUrl":"{}","apiKey":"b","projectName":"other"}}]"#,
        one.url, two.url, two.url
    );
    upload.env.push(("LANGSMITH_CODEX_RUNS_ENDPOINTS", replicas));
    let accounts = upload.run_all(&[file]);
    assert_eq!(accounts.iter().map(Account::turns).collect::<Vec<_>>(), [2, 2, 2]);
    one.is_clean();
    two.is_clean();
    assert_eq!((one.runs().len(), two.runs().len()), (4, 8), "ids of their own in one workspace");
    let projects = |server: &Server| -> std::collections::BTreeSet<String> {
        server.runs().iter().map(|run| run["session_name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(projects(&two), ["codex", "other"].map(str::to_owned).into());
    assert!(two.state().headers.iter().all(|it| it.to_lowercase().contains("x-api-key: b")));
}

#[test]
fn what_would_be_refused_is_told_before() {
    let env = TestEnv::new();
    let file = rollout(&env, &turns(1));
    let file = file.to_str().unwrap();
    let mut command = env.command(&["upload", "--to", "langsmith", "--dry-run", file]);
    let run = env.finish(command.env("LANGSMITH_API_KEY", "lsv2_pt_secret_0123456789"));
    for part in ["1 of 1 session", "--endpoint", "--assume-backfill-allowed", "--time-shift"] {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
    assert!(!run.stderr.contains("secret"), "{}", run.stderr);
    let run = env.run(&["upload", "--to", "langsmith", "--dry-run", file]);
    assert!(run.stderr.contains("there is no API key"), "{}", run.stderr);
}
