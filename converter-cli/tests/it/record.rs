//! What an upload has sent can be kept, and sent again.

#![expect(clippy::unwrap_used, reason = "in helpers, too, it is the test that fails")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::scripted_server::{Act, Server};
use crate::testenv::{Run, TestEnv, place, small_rollout};

fn home() -> TestEnv {
    let env = TestEnv::new();
    for nth in 1..=3 {
        let id = format!("019a0000-0000-7000-8000-00000000000{nth}");
        let text = small_rollout(&id, "2026-03-01T10:00", &format!("prompt {nth}"));
        env.write(&format!(".codex/{}", place("2026-03-01T10-00-00", &id)), text);
    }
    env
}

fn upload(env: &TestEnv, server: &Server, args: &[&str]) -> Run {
    let to = ["--to", "otlp", "--endpoint", &server.url, "--settle", "0s", "--retry-for", "1s"];
    let mut command = env.command(&[&["upload"], &to[..], args].concat());
    env.finish(command.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cr3tKey"))
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn what_was_sent_can_be_kept_and_sent_again() {
    let env = home();
    let server = Server::start(&[Act::Refuse(503, "", "busy")], Some(Act::Ok));
    let run = upload(&env, &server, &["--record", "kept"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let dir = env.dir().join("kept/otlp");
    let mut statuses = Vec::new();
    for path in files(&dir) {
        let bytes = fs::read(&path).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("s3cr3tKey"), "{}", path.display());
        if path.to_str().unwrap().ends_with(".answer.json") {
            let answer: Value = serde_json::from_slice(&bytes).unwrap();
            statuses.push(answer["status"].as_u64().unwrap());
        }
    }
    statuses.sort_unstable();
    assert!(statuses.len() > 1 && statuses.ends_with(&[200, 503]), "{statuses:?}");
    // The recording is not written over, nor into a history.
    assert_eq!(upload(&env, &server, &["--record", "kept", "--force"]).code, Some(2));
    assert_eq!(upload(&env, &server, &["--record", ".codex/sessions/x"]).code, Some(2));

    // To a server that has lost everything, or another one; the history may be gone.
    fs::rename(env.dir().join(".codex"), env.dir().join("elsewhere")).unwrap();
    let other = Server::start(&[Act::Refuse(503, "", "busy")], Some(Act::Ok));
    let run = upload(&env, &other, &["--resend", "kept", "--json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let both: Vec<String> = other.lines().into_keys().collect();
    assert_eq!(both, server.set(), "byte by byte");
    assert!(other.saw("authorization: bearer s3cr3tkey"), "with the key of now");
    let n = statuses.len();
    assert_eq!(run.json()[0]["sent"], n, "also what was tried twice");
    let told = format!("sent {n} requests of `kept/otlp` to otlp\n");
    assert!(run.stderr.contains(&told), "{}", run.stderr);
    // The ledger knows nothing of it.
    let status = env.run(&["status"]).stdout;
    assert!(status.contains(&server.url) && !status.contains(&other.url), "{status}");
}

#[test]
fn a_dry_run_can_be_sent_and_what_is_refused_is_told() {
    let env = home();
    let server = Server::start(&[], Some(Act::Ok));
    assert_eq!(upload(&env, &server, &["--dry-run=dry"]).code, Some(0));
    assert_eq!(server.requests(), 0);
    let run = upload(&env, &server, &["--resend", "dry"]);
    assert_eq!((run.code, server.requests()), (Some(0), 1), "{}", run.stderr);
    server.set_always(Act::Refuse(400, "", "not like this"));
    let run = upload(&env, &server, &["--resend", "dry"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("not like this") && run.stderr.contains("1 refused"));
    // What is no recording, or a hostile one.
    let run = upload(&env, &server, &["--resend", ".codex"]);
    assert!(run.code == Some(2) && run.stderr.contains("that `--record` or `--dry-run` has made"));
    let about = env.dir().join("dry/otlp/000001.json");
    let text = fs::read_to_string(&about).unwrap();
    fs::write(&about, text.replace("\"000001.body", "\"../../.codex/000001.body")).unwrap();
    let n = server.requests();
    let run = upload(&env, &server, &["--resend", "dry"]);
    assert_eq!((run.code, server.requests()), (Some(2), n), "{}", run.stderr);
    assert!(run.stderr.contains("is not the name of a body"), "{}", run.stderr);
    for args in [&["--resend", "dry", "--force"][..], &["--resend", "dry", "--dry-run"]] {
        assert_eq!(upload(&env, &server, args).code, Some(2));
    }
}

/// What was asked before an upload is no upload; ids and projects are in the
/// bodies, and the access is that of now.
#[test]
fn questions_are_not_sent_again() {
    let env = home();
    let answers = [Act::OkWith(200, "{}")];
    let server = Server::start(&answers, Some(Act::OkWith(202, "")));
    let upload = |server: &Server, args: &[&str]| {
        let to = ["upload", "--to", "langsmith", "--endpoint", &server.url, "--settle", "0s"];
        env.run(&[&to, args].concat())
    };
    let run = upload(&server, &["--record", "kept"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let other = Server::start(&answers, Some(Act::OkWith(202, "")));
    let run = upload(&other, &["--resend", "kept"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("1 left out, because they only asked something"), "{}", run.stderr);
    assert!(other.set().concat().contains("prompt 1") && other.set() == server.set());
}
