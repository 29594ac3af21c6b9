//! What is shown of keys and passwords: nothing.

use std::fs;

use super::{Case, FILE, FLAG, TO_LANGSMITH};
use crate::scripted_server::{Act, Server};

#[test]
fn keys_are_taken_without_the_space_around_them_and_errors_name_them() {
    let server = Server::start(&[], Some(Act::Ok));
    let case =
        Case::new().var("MLFLOW_TRACKING_TOKEN", " 't0ken'\r\n").var("MLFLOW_EXPERIMENT_ID", " ");
    let (requests, _) = case.goes(&["--to", "mlflow", "--endpoint", FLAG]);
    assert_eq!(requests[0].1["x-mlflow-experiment-id"], "codex-trace", "blank is not set");
    let case = Case::new()
        .var("OTEL_EXPORTER_OTLP_HEADERS", "x-key=k\n")
        .var("OTEL_EXPORTER_OTLP_ENDPOINT", "\n");
    let run = case.upload(&["--to", "otlp", "--endpoint", &server.url]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(server.saw("x-key: k"));
    for (to, name) in [("mlflow", "MLFLOW_TRACKING_TOKEN"), ("langsmith", "LANGSMITH_API_KEY")] {
        let case = Case::new().var(name, "s3cr3t\nkey");
        let words = case.refused(&["--to", to, "--endpoint", FLAG]);
        assert!(words.contains(&format!("the key in `{name}` cannot be sent")), "{words}");
        assert!(!words.contains("s3cr3t"), "{words}");
    }
    // A file of the plugin's, and one that a table names.
    let case = Case::new().file(".codex/langsmith.json", r#"{"api_key":"k\u00e9y"}"#);
    let words = case.refused(&TO_LANGSMITH);
    assert!(words.contains(".codex/langsmith.json` cannot be sent"), "{words}");
    let table = "[destinations.t]\nbackend = 'otlp'\nkey.file = '~/k'\n";
    let case = Case::new().file(FILE, table).file("k", "a\nb\n");
    let words = case.refused(&["--to", "t"]);
    assert!(words.contains("`~/k, named in") && words.contains("cannot be sent"), "{words}");
}

/// A password is where it should not be because somebody mistyped the address.
#[test]
fn no_password_is_shown_however_wrong_the_address() {
    let addresses = [
        "http://user:hun/ter2pass@h:4318",
        "http://user:hun#ter2pass@h:4318",
        "http://user:hun?ter2pass@h:4318",
        "http://user:12?ter2pass@h:4318",
        "http://user:ter2pass@h:99999",
        "user:ter2pass@h:4318",
        "https//user:ter2pass@h",
        "http:/user:ter2pass@h",
        "http://a b:ter2pass@h",
        "ftp://user:ter2pass@h",
        "http://h:x/?key=ter2pass",
    ];
    let case = Case::new();
    for (to, variable) in [
        ("otlp", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("mlflow", "MLFLOW_TRACKING_URI"),
        ("langsmith", "LANGSMITH_ENDPOINT"),
    ] {
        for address in addresses {
            let table = format!("[destinations.t]\nbackend = '{to}'\nendpoint = '{address}'\n");
            let mut said = Case::new().var(variable, address).file(FILE, table);
            said.vars.push(("K", String::new()));
            let flag = ["--to", to, "--endpoint", address];
            for (case, args) in [(&case, &flag[..]), (&said, &flag[..2]), (&said, &["--to", "t"])] {
                let run = case.upload(&[args, &["--dry-run"]].concat());
                assert_eq!(run.code, Some(2), "{address}: {}", run.stderr);
                let doctor = case.command(&[&["doctor", "--json"], args].concat());
                let seen = run.stderr + &doctor.stderr + &doctor.stdout;
                assert!(!seen.contains("ter2") && !seen.contains("hun"), "{to} {address}: {seen}");
            }
        }
    }
}

/// Whatever becomes of an upload: a key in the query of an address is for the
/// wire alone.
#[test]
fn no_key_of_a_query_is_shown_or_kept() {
    const KEY: &str = "QKEY0123456789";
    for (act, code) in [
        (Act::Ok, 0),
        (Act::Refuse(401, "", "denied"), 2),
        (Act::Refuse(400, "", "wrong"), 2),
        (Act::Drop, 2),
    ] {
        let server = Server::start(&[], Some(act));
        let base = server.url.trim_end_matches("/units");
        let endpoint = format!("{base}/v1/traces?api_key={KEY}&plain");
        let case = Case::new().var("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint);
        let to = ["--to", "otlp"];
        let mut seen = String::new();
        for args in [
            &["--json", "--retry-for", "1s"][..],
            &["--dry-run", "--json", "--force"],
            &["--dry-run=out", "--force"],
        ] {
            let run = case.upload(&[&to, args].concat());
            if args[0] == "--json" {
                assert_eq!(run.code, Some(code), "{}", run.stderr);
            }
            seen += &(run.stderr + &run.stdout);
        }
        for args in [
            &["status"][..],
            &["status", "--json"],
            &["doctor"],
            &["doctor", "--json", "--connect", "--to", "otlp"],
        ] {
            let run = case.command(args);
            seen += &(run.stderr + &run.stdout);
        }
        assert!(
            server.saw(&format!("post /v1/traces?api_key={}&plain http/1.1", KEY.to_lowercase()))
        );
        assert!(!seen.contains(KEY), "{seen}");
        assert!(seen.contains("api_key=[set]"), "{seen}");
        let mut dirs = vec![case.env.dir().to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                } else {
                    let bytes = fs::read(&path).unwrap();
                    assert!(
                        memchr::memmem::find(&bytes, KEY.as_bytes()).is_none(),
                        "{}",
                        path.display()
                    );
                }
            }
        }
    }
}
