//! What remains after an upload: an address to look at, places to forget, notes
//! that could not be written, counts of what was redacted.

use std::fs;

use crate::scripted_server::{Act, Server};
use crate::testenv::{Run, TestEnv, place, small_rollout};

const ID: &str = "019a0000-0000-7000-8000-000000000001";

fn home(prompt: &str) -> TestEnv {
    let env = TestEnv::new();
    let text = small_rollout(ID, "2026-03-01T10:00", prompt);
    env.write(&format!(".codex/{}", place("2026-03-01T10-00-00", ID)), text);
    env
}

fn upload(env: &TestEnv, args: &[&str]) -> Run {
    env.run(&[&["upload", "--settle", "0s", "--retry-for", "0s"], args].concat())
}

#[test]
fn a_place_that_took_nothing_can_be_forgotten_and_no_other() {
    let env = home("hello");
    let good = Server::start(&[], Some(Act::Ok));
    let bad = Server::start(&[], Some(Act::Refuse(400, "", "no")));
    assert_eq!(upload(&env, &["--to", "otlp", "--endpoint", &good.url]).code, Some(0));
    assert_eq!(upload(&env, &["--to", "otlp", "--endpoint", &bad.url]).code, Some(2));
    let place = |server: &Server| format!("otlp {}/v1/traces", server.url);
    let status = || env.run(&["status"]).stdout;
    assert!(status().contains(&place(&good)) && status().contains(&place(&bad)));
    let run = env.run(&["status", "--forget", &place(&good)]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(
        run.stderr.contains("has accepted 1 turn, and the next upload would send them again"),
        "{}",
        run.stderr
    );
    let run = env.run(&["status", "--forget", "otlp http://nowhere"]);
    assert!(run.code == Some(2) && run.stderr.contains("has no place `otlp http://nowhere`"));
    let run = env.run(&["status", "--forget", &place(&bad)]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(status().contains(&place(&good)) && !status().contains(&place(&bad)));
    // What was forgotten can be sent there as for the first time.
    bad.set_always(Act::Ok);
    assert_eq!(upload(&env, &["--to", "otlp", "--endpoint", &bad.url]).code, Some(0));
    assert!(status().contains(&format!("{}: 1 turn sent", place(&bad))));
}

/// Keys in the address of a place are not in the name that `status` has for it.
#[test]
fn a_place_with_a_key_in_its_path_is_forgotten_by_the_name_that_is_shown() {
    let env = home("hello");
    let bad = Server::start(&[], Some(Act::Refuse(400, "", "no")));
    let endpoint = format!("{}/hook/SECRETKEY12345", bad.url);
    upload(&env, &["--to", "otlp", "--endpoint", &endpoint]);
    let status = env.run(&["status"]).stdout;
    let shown = status.split(": ").next().unwrap();
    assert!(shown.contains("/hook/~") && !status.contains("SECRETKEY"), "{status}");
    assert_eq!(env.run(&["status", "--forget", shown]).code, Some(0));
    assert_eq!(env.run(&["status"]).stdout, "");
}

#[test]
fn after_an_upload_it_is_said_where_to_look() {
    let env = home("hello");
    let server = Server::start(&[], Some(Act::Ok));
    let origin = server.url.strip_suffix("/units").unwrap();
    // A receiver of which nothing is known but that it takes OTLP.
    let run = upload(&env, &["--to", "otlp", "--endpoint", &server.url]);
    assert!(run.code == Some(0) && !run.stderr.contains("look at"), "{}", run.stderr);
    // Who is told a project is Phoenix, whose page shows seven days.
    let args = ["--to", "otlp", "--endpoint", &server.url, "--project", "p", "--json", "--force"];
    let run = upload(&env, &args);
    let told = format!(
        "hint: look at it at {origin}; it shows the last 7 days at first, and some of this is older: choose a longer range of time on the page\n"
    );
    assert!(run.stderr.contains(&told), "{}", run.stderr);
    assert_eq!(run.json()[0]["view"], origin);
    // Nothing to look at, where nothing was sent.
    let run = upload(&env, &args[..6]);
    assert!(!run.stderr.contains("look at"), "{}", run.stderr);
    // Of what LangSmith's pages hide nothing is known.
    let server = Server::start(&[Act::OkWith(200, "{}")], Some(Act::OkWith(202, "{}")));
    let origin = server.url.strip_suffix("/units").unwrap();
    let run = upload(&env, &["--to", "langsmith", "--endpoint", &server.url]);
    assert!(run.stderr.contains(&format!("hint: look at it at {origin}\n")), "{}", run.stderr);
}

/// By rule, never what it was; where, for who asks.
#[test]
fn what_redaction_did_is_counted() {
    let key = "sk-proj-0123456789abcdefABCDEF";
    let env = home(&format!("use {key} and ACME-77"));
    let rollout = format!(".codex/{}", place("2026-03-01T10-00-00", ID));
    let args = ["--to", "otlp", "--dry-run", "--json", "--redact-pattern", "ACME-[0-9]+"];
    let run = upload(&env, &args);
    let found = run.json().last().unwrap()["redacted"].clone();
    let (of_rule, own) = (&found["OpenAI and Anthropic keys"], &found["`ACME-[0-9]+`"]);
    assert!(of_rule.as_u64() > Some(0) && of_rule == own, "{found}");
    assert!(run.stderr.contains("otlp: redacted "), "{}", run.stderr);
    assert!(!run.stderr.contains(key) && !run.stdout.contains(key));
    assert!(!run.stderr.contains(&rollout), "only with -v");
    // The prompt is on two lines of the rollout.
    let run = upload(&env, &[&["-v"], &args[..]].concat());
    for line in [4, 5] {
        let told = format!(
            "secrets: [DIR]/{rollout}:{line}: OpenAI and Anthropic keys 1, `ACME-[0-9]+` 1\n"
        );
        assert!(run.stderr.contains(&told), "{told}: {}", run.stderr);
    }
    assert_eq!(run.stderr.matches("secrets: ").count(), 2, "{}", run.stderr);
    let run = env.run(&["convert", "--redact", "-o", "out.jsonl"]);
    let placeholders = fs::read_to_string(env.dir().join("out.jsonl")).unwrap();
    let n = placeholders.matches("[SECRET_DETECTED]").count();
    let told = "redacted 1 place: OpenAI and Anthropic keys 1\n";
    assert!(n == 1 && run.stderr.contains(told), "{told}: {}", run.stderr);
    // Where nothing is found nothing is said.
    let env = home("hello");
    let run = upload(&env, &["--to", "otlp", "--dry-run", "--json"]);
    assert_eq!(run.json().last().unwrap()["redacted"], serde_json::json!({}));
    assert!(!run.stderr.contains("redacted"), "{}", run.stderr);
}
