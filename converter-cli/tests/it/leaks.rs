//! What must not leave, whatever else happens: looked for in all that is sent,
//! printed and kept, for every backend, with a server that repeats what it was
//! sent in every answer.

#![expect(clippy::unwrap_used, reason = "in helpers, too, it is the test that fails")]

use std::fs;
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::marked::{FIELDS, Sort, rollout};
use crate::scripted_server::read_as_sent;
use crate::testenv::{Run, TestEnv, place};

const ID: &str = "019a0000-0000-7000-8000-000000000001";

/// The keys of whoever uploads, by the variable that has them.
const KEYS: &[(&str, &str)] = &[
    ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20ownKeyOfOtlp0123456789"),
    ("MLFLOW_TRACKING_TOKEN", "ownKeyOfMlflow0123456789"),
    ("LANGSMITH_API_KEY", "ownKeyOfLangsmith0123456789"),
    ("BRAINTRUST_API_KEY", "ownKeyOfBraintrust0123456789"),
    ("LOGFIRE_TOKEN", "pylf_v1_us_ownKeyOfLogfire0123456789"),
];

/// A key in the path of an address, as web hooks have it.
const PATH_KEY: &str = "ownKeyInPath0123456789";

/// Codex' own telemetry, with all content.
const TELEMETRY: &str = "[destinations.telemetry]
backend = 'codex-otel'
signals = ['logs', 'traces']
log_user_prompt = true
log_agent_responses = true
";

/// Every backend, in every form that it has.
const TARGETS: &[&[&str]] = &[
    &["--to", "otlp"],
    &["--to", "otlp", "--semconv", "openinference"],
    &["--to", "mlflow", "--project", "p"],
    &["--to", "langsmith", "--assume-backfill-allowed"],
    &["--to", "braintrust"],
    &["--to", "logfire", "--assume-backfill-allowed"],
    &["--to", "telemetry"],
];

/// Answers every upload with all of it, as an error.
struct Echo {
    url: String,
    seen: Arc<Mutex<String>>,
}

impl Echo {
    fn start(status: u16) -> Echo {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook/{PATH_KEY}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<String>> = Arc::default();
        let of_thread = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let seen = Arc::clone(&of_thread);
                std::thread::spawn(move || stream.map(|stream| answer(&stream, status, &seen)));
            }
        });
        Echo { url, seen }
    }
}

fn answer(stream: &TcpStream, status: u16, seen: &Mutex<String>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (heads, body) = read_as_sent(&mut reader)?;
        let first = heads.first()?.clone();
        // What comes before an upload is answered as it should be.
        let known = [
            ("get-by-name", r#"{"experiment":{"experiment_id":"1","name":"p"}}"#),
            ("experiments/search", r#"{"experiments":[{"experiment_id":"1","name":"p"}]}"#),
            ("traces/search", r#"{"traces":[]}"#),
            ("/info ", "{}"),
            ("/version ", "{}"),
            ("/v1/project ", r#"{"id":"p"}"#),
            ("/btql ", r#"{"data":[]}"#),
        ];
        let before = known.iter().find(|(path, _)| first.contains(path));
        let (status, text) = if let Some((_, text)) = before {
            (200, (*text).to_owned())
        } else {
            seen.lock().unwrap().push_str(&body);
            // All of it, and not in one line.
            let all = format!("refused:\n{}\n{}", heads.join("\n"), body);
            (status, serde_json::json!({ "error": all, "message": all }).to_string())
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            text.len()
        );
        let mut out = stream;
        out.write_all(head.as_bytes()).ok()?;
        out.write_all(text.as_bytes()).ok()?;
    }
}

/// A home with one rollout.
fn home(text: &str) -> TestEnv {
    let env = TestEnv::new();
    env.write(&format!(".codex/{}", place("2026-03-01T10-00-00", ID)), text);
    env.write(".config/codex-trace/codex-trace.toml", TELEMETRY);
    env
}

fn run(env: &TestEnv, args: &[&str]) -> Run {
    env.finish(env.command(args).envs(KEYS.iter().copied()))
}

/// Returns all that is in the files of a directory, as text.
fn files(dir: &Path) -> String {
    let mut text = String::new();
    let Ok(entries) = fs::read_dir(dir) else { return text };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &files(&path);
        } else {
            text += &String::from_utf8_lossy(&fs::read(path).unwrap());
        }
    }
    text
}

/// Returns, by where it is, all that comes of an upload: what is sent, printed and
/// kept.
fn all_places(text: &str, target: &[&str], more: &[&str], status: u16) -> Vec<(String, String)> {
    let env = home(text);
    let echo = Echo::start(status);
    let upload = |args: &[&str]| {
        let to = ["--endpoint", echo.url.as_str(), "--settle", "0s", "--retry-for", "0s"];
        let all =
            [&["upload", "-v"][..], target, &to, &["--compress", "none"], more, args].concat();
        run(&env, &all)
    };
    let dry = upload(&["--dry-run=dry", "--json"]);
    let real = upload(&["--json"]);
    assert_ne!(real.code, Some(0), "{status}: {}", real.stderr);
    let said = [
        ("dry run", dry),
        ("upload", real),
        ("second upload", upload(&[])),
        ("status", run(&env, &["status"])),
        ("status --json", run(&env, &["status", "--json"])),
        ("doctor", run(&env, &["doctor", "-v"])),
        ("doctor of it", {
            let to = [&["doctor", "--json", "--connect"][..], target, &["--endpoint", &echo.url]];
            let to = to.concat();
            let to: Vec<&str> =
                to.into_iter().filter(|it| *it != "--assume-backfill-allowed").collect();
            run(&env, &to)
        }),
    ];
    let mut all = Vec::new();
    for (what, run) in said {
        all.push((format!("standard output of {what}"), run.stdout));
        all.push((format!("standard error of {what}"), run.stderr));
    }
    all.push(("what was sent".to_owned(), echo.seen.lock().unwrap().clone()));
    all.push(("the dry run's files".to_owned(), files(&env.dir().join("dry"))));
    all.push(("ledger and dead letters".to_owned(), files(&env.dir().join(".local"))));
    all
}

#[track_caller]
fn holds_none(places: &[(String, String)], target: &[&str], secrets: &[String]) {
    for (place, text) in places {
        let plain = text.replace('\\', "");
        for secret in secrets {
            assert!(!plain.contains(secret.as_str()), "{target:?}: `{secret}` is in {place}");
        }
    }
}

/// The keys of whoever uploads, as a server sees them.
fn own_keys() -> Vec<String> {
    let last =
        |text: &str| text.rsplit(['=', '%']).next().unwrap().trim_start_matches("20").to_owned();
    KEYS.iter().map(|(_, key)| last(key)).chain([PATH_KEY.to_owned()]).collect()
}

#[test]
fn no_secret_and_no_key_is_anywhere() {
    let secret = |field: &str| {
        let nth = FIELDS.iter().position(|(it, _)| *it == field).unwrap_or(99);
        format!("ghp_{nth:02}0123456789abcdefghijABCDEFGHIJ0123")
    };
    let text = rollout(|field| format!("{field} {}", secret(field)));
    let mut secrets: Vec<String> = FIELDS.iter().map(|(field, _)| secret(field)).collect();
    secrets.extend(own_keys());
    for target in TARGETS {
        for status in [400, 401, 500] {
            let places = all_places(&text, target, &[], status);
            holds_none(&places, target, &secrets);
            let (_, sent) = places.iter().find(|(place, _)| place == "what was sent").unwrap();
            // What is wrong at first stops some of them before they send.
            let finds = sent.contains("[SECRET_DETECTED]") || status != 400;
            assert!(finds, "{target:?}: something was sent");
        }
    }
}

#[test]
fn without_content_none_is_anywhere() {
    let mark = |field: &str| format!("Zq{field}qZ");
    let text = rollout(mark);
    let of = |sorts: &[Sort]| {
        let fields = FIELDS.iter().filter(|(_, sort)| sorts.contains(sort));
        fields.map(|(field, _)| mark(field)).collect::<Vec<_>>()
    };
    for target in TARGETS {
        for (capture, sorts) in [
            ("metadata-only", &[Sort::Message, Sort::Tool, Sort::Place][..]),
            ("no-tool-content", &[Sort::Tool]),
        ] {
            let places = all_places(&text, target, &["--capture", capture], 400);
            holds_none(&places, target, &of(sorts));
            let (_, sent) = places.iter().find(|(place, _)| place == "what was sent").unwrap();
            assert!(sent.contains(&mark("model")), "{target:?}: something was sent");
        }
    }
}
