//! A receiver that misbehaves, and runs that are killed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;

use super::server::{Answer, Asked, Rule, Server};
use super::{run, upload};
use crate::testenv::{TestEnv, testdata};

/// Three homes, so that there are many requests.
fn homes() -> Vec<PathBuf> {
    ["r144", "s144", "d153.0"].map(|name| testdata(&format!("homes/{name}"))).to_vec()
}

/// Answers requests for spans.
fn spans(answer: impl Fn(usize) -> Option<Answer> + Send + Sync + 'static) -> Rule {
    Box::new(move |asked: &Asked, nth| if asked.path == "/v1/traces" { answer(nth) } else { None })
}

/// One turn a request, so that there are many.
const SLOWLY: [&str; 4] = ["--jobs", "1", "--senders", "2"];

/// Whatever became of the runs before, the last one ends as a single clean one.
#[test]
fn errors_and_kills_end_in_the_same_spans() {
    let homes = homes();
    let paths: Vec<&Path> = homes.iter().map(PathBuf::as_path).collect();
    let (env, clean) = (TestEnv::new(), Server::start());
    assert_eq!(run(&env, &clean, &paths, &[]).code, Some(0));
    let expected = clean.spans();
    assert_eq!(clean.taken(), (expected.len(), true), "each once");
    // As many as Braintrust has rows, but for those of the four sessions.
    assert_eq!(expected.len(), 17 + 27 + 28 - 4);

    // One in five, each kind in its turn. What is cut off was not taken.
    let faults = spans(|nth| {
        let no = |status| Some(Some((status, "application/json", b"{}".to_vec())));
        match nth % 20 {
            4 => no(500),
            9 => no(503),
            14 => no(429),
            19 => Some(None),
            _ => None,
        }
    });
    let (env, server) = (TestEnv::new(), Server::with(faults));
    // Each home alone, so that there are as many requests as can be.
    for path in &paths {
        let run = run(&env, &server, &[path], &SLOWLY);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }
    assert!(server.spans() == expected, "one request in five failed");

    let (env, server) = (TestEnv::new(), Server::start());
    for millis in [20, 40, 60, 80, 100, 140, 180, 240, 320, 400] {
        let mut child =
            upload(&env, &server, &paths, &["--no-redact"]).args(SLOWLY).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(millis));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(run(&env, &server, &paths, &SLOWLY).code, Some(0));
    assert!(server.spans() == expected, "runs were killed");
    assert!(server.taken().1, "what came twice came as the same");
    let taken = server.taken().0;
    assert_eq!(run(&env, &server, &paths, &SLOWLY).code, Some(0));
    assert_eq!(server.taken().0, taken, "nothing is left to send");
}

#[test]
fn a_token_that_is_taken_back_midway_leaves_a_true_ledger() {
    let homes = homes();
    let paths: Vec<&Path> = homes.iter().map(PathBuf::as_path).collect();
    let (env, clean) = (TestEnv::new(), Server::start());
    assert_eq!(run(&env, &clean, &paths, &[]).code, Some(0));

    let revoked = br#"{"detail":"the token was revoked"}"#;
    let is_revoked = Arc::new(AtomicBool::new(false));
    let of_rule = Arc::clone(&is_revoked);
    let rule = spans(move |_| {
        let refuses = of_rule.load(Ordering::SeqCst);
        refuses.then(|| Some((401, "application/json", revoked.to_vec())))
    });
    let (env, server) = (TestEnv::new(), Server::with(rule));
    // The first home is there before that.
    assert_eq!(run(&env, &server, &paths[..1], &[]).code, Some(0));
    let some = server.taken().0;
    is_revoked.store(true, Ordering::SeqCst);
    let refused = run(&env, &server, &paths, &["--senders", "1"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("the token was revoked"), "{}", refused.stderr);
    assert!(!refused.stderr.contains(super::TOKEN), "{}", refused.stderr);
    assert_eq!(server.taken().0, some, "nothing was taken after that");
    is_revoked.store(false, Ordering::SeqCst);
    assert_eq!(run(&env, &server, &paths, &[]).code, Some(0));
    assert!(server.spans() == clean.spans());
    assert_eq!(server.taken(), (clean.taken().0, true), "and nothing twice");
}

/// What it rejects of a request that it takes is told, and not sent again.
#[test]
fn what_was_rejected_of_a_request_is_told() {
    let proto = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 2,
            error_message: "too old for this project".to_owned(),
        }),
    }
    .encode_to_vec();
    let json =
        br#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old for this project"}}"#;
    for (kind, body) in [("application/x-protobuf", proto), ("application/json", json.to_vec())] {
        let rule = spans(move |nth| (nth == 1).then(|| Some((200, kind, body.clone()))));
        let (env, server) = (TestEnv::new(), Server::with(rule));
        let home = testdata("homes/c169");
        let told = run(&env, &server, &[&home], &["--json"]);
        assert_eq!(told.code, Some(1), "{kind}: {}", told.stderr);
        assert!(told.stderr.contains("too old for this project"), "{kind}: {}", told.stderr);
        let letters = env.dir().join(".local/state/codex-trace/dead-letters-logfire.jsonl");
        let letters = std::fs::read_to_string(letters).unwrap();
        assert!(letters.contains("2 spans rejected"), "{kind}: {letters}");
        let n = server.asked("/v1/traces").len();
        let again = run(&env, &server, &[&home], &["--json"]);
        assert_eq!(again.code, Some(0), "{kind}: {}", again.stderr);
        assert_eq!(server.asked("/v1/traces").len(), n, "{kind}: it has what it took");
    }
}
