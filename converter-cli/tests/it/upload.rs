//! `upload` and `status` as a user runs them.

use std::fs;

use crate::scripted_server::{Act, Server};
use crate::testenv::{TestEnv, place, small_rollout};

const ID: &str = "019a0000-0000-7000-8000-000000000001";
const START: &str = "2026-03-01T10:00";
const TIMELESS: &str = r#"{"type":"session_meta","payload":{"id":"019a0000-0000-7000-8000-000000000001","cwd":"/w"}}
{"type":"event_msg","payload":{"type":"task_started","turn_id":"t-1"}}
{"type":"response_item","payload":{"type":"message","role":"user","content":[{"type":"input_text","text":"hello"}]}}
{"type":"event_msg","payload":{"type":"task_complete","turn_id":"t-1"}}
"#;
const KEY: &str = "sk-proj-0123456789abcdefABCDEF";

fn home(prompt: &str) -> TestEnv {
    let env = TestEnv::new();
    let file = format!(".codex/{}", place("2026-03-01T10-00-00", ID));
    env.write(&file, small_rollout(ID, START, prompt));
    env
}

/// The arguments of an upload to `server`.
fn upload<'a>(server: &'a Server, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["upload", "--to", "otlp", "--endpoint", &server.url, "--settle", "0s"];
    args.extend(more);
    args
}

#[test]
fn uploads_once() {
    let env = home("hello");
    let server = Server::start(&[], Some(Act::Ok));
    let sentence = "uploaded 1 turn of 1 thread to otlp, 0 rejected, 0 rollouts unreadable\n";
    env.run(&upload(&server, &[])).is(0, "", sentence);
    let n = server.requests();
    assert!(n > 0);
    env.run(&upload(&server, &[])).is(
        0,
        "",
        "otlp: 1 session unchanged since uploaded\nuploaded 0 turns of 0 threads to otlp, 0 rejected, 0 rollouts unreadable\n",
    );
    assert_eq!(server.requests(), n);
    let status = env.run(&["status", "--json"]).json();
    assert_eq!(status.len(), 1);
    assert_eq!(status[0]["sent"], 1);
    assert_eq!((&status[0]["pending"], &status[0]["failed"]), (&0.into(), &0.into()));
    env.run(&upload(&server, &["--force"])).is(0, "", sentence);
    assert!(server.requests() > n);
}

#[test]
fn secrets_stay_here_unless_told_otherwise() {
    let env = home(&format!("use {KEY} and ACME-17"));
    let seen = |more: &[&str]| {
        let server = Server::start(&[], Some(Act::Ok));
        let run = env.run(&upload(&server, &[&["--force"], more].concat()));
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let text = server.set().concat();
        ["hello", KEY, "ACME-17", "gpt-x"].map(|it| text.contains(it))
    };
    assert_eq!(seen(&[]), [false, false, true, true]);
    assert_eq!(seen(&["--no-redact"]), [false, true, true, true]);
    assert_eq!(seen(&["--redact-pattern", "ACME-[0-9]+"]), [false, false, false, true]);
    assert_eq!(seen(&["--capture", "metadata-only", "--no-redact"]), [false, false, false, true]);
}

#[test]
fn a_dry_run_sends_nothing_and_shows_everything() {
    let env = home("hello");
    let server = Server::start(&[], Some(Act::Ok));
    let mut command = env.command(&upload(&server, &["--dry-run=out", "--compress", "none"]));
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=s3cr3t");
    let run = env.finish(&mut command);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stderr.ends_with(
            "would upload 1 turn of 1 thread to otlp, 0 rejected, 0 rollouts unreadable\n"
        ),
        "{}",
        run.stderr
    );
    assert_eq!(server.requests(), 0);
    let about = fs::read_to_string(env.dir().join("out/otlp/000001.json")).unwrap();
    assert!(about.contains(r#""x-api-key":"[redacted]""#), "{about}");
    let body = fs::read(env.dir().join("out/otlp/000001.body.pb")).unwrap();
    assert!(String::from_utf8_lossy(&body).contains("hello"));
    assert!(!env.dir().join(".local").exists(), "no ledger was made");
}

#[test]
fn what_cannot_be_used_is_said_before_anything_is_done() {
    let env = home("hello");
    let run = env.run(&["upload", "--to", "nobody"]);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.starts_with("error: no destination or backend `nobody`\nhint: there are: "),
        "{}",
        run.stderr
    );
    let server = Server::start(&[], Some(Act::Refuse(401, "", "who are you?")));
    let run = env.run(&upload(&server, &[]));
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.starts_with("error: otlp: status 401: who are you?\n"), "{}", run.stderr);
    let run = env.run(&upload(&server, &["--redact-pattern", "("]));
    assert_eq!((run.code, server.requests()), (Some(2), 1));
    assert!(run.stderr.contains("redaction rule `(`"), "{}", run.stderr);
    let run = env.run(&["upload", "--to", "otlp", "--max-memory", "much"]);
    assert_eq!(run.code, Some(2));
}

#[test]
fn conventions_and_the_amount_of_history_are_the_users_choice() {
    let env = home("hello");
    let seen = |more: &[&str]| {
        let server = Server::start(&[], Some(Act::Ok));
        let run = env.run(&upload(&server, &[&["--force"], more].concat()));
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let lines = server.lines().into_iter();
        let text: String = lines.map(|(line, n)| line.repeat(n)).collect();
        ["gen_ai.operation.name", "gen_ai.input.messages", "openinference.span.kind"]
            .map(|it| text.matches(it).count())
    };
    assert_eq!(seen(&[]), [2, 2, 0], "the turn and its model call");
    assert_eq!(seen(&["--semconv", "genai", "--llm-input", "none"]), [2, 1, 0]);
    assert_eq!(seen(&["--semconv", "openinference", "--llm-input", "full"]), [0, 0, 2]);
}

/// What is wrong with a file is not wrong with the program.
#[test]
fn a_file_that_says_nowhere_when_it_was_is_said_to_be_one() {
    let env = TestEnv::new();
    env.write("a.jsonl", TIMELESS);
    let server = Server::start(&[], Some(Act::Ok));
    let run = env.run(&upload(&server, &["a.jsonl"]));
    assert_eq!((run.code, server.requests()), (Some(2), 0), "{}", run.stderr);
    for run in [run, env.run(&["convert", "--to", "otlp-json", "a.jsonl"])] {
        assert!(run.code.is_some_and(|code| code > 0), "{}", run.stderr);
        let why = "its file says nowhere when it was, and OTLP cannot do without";
        assert!(run.stderr.contains(why) && !run.stderr.contains("fault"), "{}", run.stderr);
    }
}

#[test]
fn nothing_uploaded_is_said_so() {
    let env = TestEnv::new();
    env.run(&["status"]).is(
        0,
        "",
        "nothing was uploaded yet, as far as `[DIR]/.local/state/codex-trace` knows\n",
    );
}

/// Any text of a line, whatever its field.
#[test]
fn convert_redacts_if_asked_to() {
    let env = TestEnv::new();
    let text = small_rollout(ID, START, KEY)
        .replace("/home/u/work/small", &format!("/home/{KEY}/x"))
        .replace(
            "\"done\"",
            r#""{\"password\":\"hunter22\"} sk\u002dproj-0123456789abcdefABCDEF""#,
        );
    env.write("a.jsonl", text);
    let plain = env.run(&["convert", "a.jsonl"]);
    assert!(plain.stdout.contains(KEY) && plain.stdout.contains("hunter22"));
    let run = env.run(&["convert", "a.jsonl", "--redact"]);
    assert_eq!(run.code, Some(0));
    for secret in ["0123456789abcdef", "hunter22"] {
        assert!(!run.stdout.contains(secret), "{}", run.stdout);
    }
    assert!(run.json().len() == plain.json().len(), "still JSON");
}
