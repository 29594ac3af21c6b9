//! A wrong address is told at once, and says what is wrong with it.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::scripted_server::{Act, Server};
use crate::testenv::{Run, TestEnv, place, small_rollout};

const ID: &str = "019a0000-0000-7000-8000-000000000003";

fn home() -> TestEnv {
    let env = TestEnv::new();
    let rollout = small_rollout(ID, "2026-03-01T10:00", "hello");
    env.write(&format!(".codex/{}", place("2026-03-01T10-00-00", ID)), rollout);
    env
}

/// Uploads with more patience than any test has.
#[track_caller]
fn upload(env: &TestEnv, to: &str, endpoint: &str) -> Run {
    let args =
        ["upload", "--to", to, "--endpoint", endpoint, "--project", "p", "--retry-for", "2h"];
    let mut command = env.command(&args);
    command.env("LANGSMITH_API_KEY", "k").env("OTEL_EXPORTER_OTLP_HEADERS", "");
    let run = env.finish(command.args(["--settle", "0s"]));
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    run
}

/// A server that says the same to whoever connects, whatever he sends.
fn says(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let read = stream.read(&mut [0; 1 << 10]);
            drop(read.and_then(|_| stream.write_all(bytes)));
        }
    });
    port
}

#[test]
fn an_address_where_nobody_is_costs_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    for to in ["otlp", "mlflow", "langsmith"] {
        let run = upload(&home(), to, &format!("http://127.0.0.1:{port}"));
        assert!(run.stderr.contains("Connection refused"), "{to}: {}", run.stderr);
    }
    let run = upload(&home(), "otlp", "http://no-such-host.invalid:4318");
    assert!(
        run.stderr.contains("error: otlp: no answer from http://no-such-host"),
        "{}",
        run.stderr
    );
}

#[test]
fn another_protocol_is_told_by_its_name() {
    // An alert of TLS: unexpected message.
    let port = says(b"\x15\x03\x01\x00\x02\x02\x0a");
    let run = upload(&home(), "otlp", &format!("http://127.0.0.1:{port}"));
    assert!(
        run.stderr.contains("no HTTP is spoken there; a port for TLS wants https://"),
        "{}",
        run.stderr
    );
    // The settings with which a server of HTTP/2 begins, as one for gRPC does.
    let port = says(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00");
    let run = upload(&home(), "otlp", &format!("http://127.0.0.1:{port}"));
    assert!(run.stderr.contains("OTLP over HTTP mostly port 4318"), "{}", run.stderr);
    let port = says(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let run = upload(&home(), "otlp", &format!("https://127.0.0.1:{port}"));
    assert!(run.stderr.contains("the address should begin with http://"), "{}", run.stderr);
    let server =
        Server::start(&[], Some(Act::Refuse(307, "Location: https://u:pw@h/x?k=v\r\n", "")));
    let run = upload(&home(), "otlp", &server.url);
    assert!(run.stderr.contains("status 307: it is at `https://[set]@h/x`"), "{}", run.stderr);
}

/// Arguments, more of the table, variables, and what the error says.
type Case<'c> = (&'c [&'c str], &'c str, &'c [(&'c str, &'c str)], &'c str);

/// What a run would stop at before it has sent anything, a dry run stops at.
#[test]
fn a_dry_run_fails_where_the_run_would() {
    const LANGSMITH: [&str; 2] = ["--to", "langsmith"];
    let table = "[destinations.x]\nbackend = 'otlp'\nendpoint = 'http://127.0.0.1:1'\n";
    #[rustfmt::skip]
    let cases: &[Case<'_>] = &[
        (&["--to", "otlp", "--endpoint", "127.0.0.1:4318"], "", &[], "is not an address"),
        (&LANGSMITH, "", &[], "key"),
        (&["--to", "otlp", "--semconv", "x"], "", &[], "--semconv"),
        (&["--to", "x"], "tls.ca_file = '/no-such-file'\n", &[], "no-such-file"),
        (&["--to", "x"], "key.env = 'NOT_SET'\n", &[], "NOT_SET"),
        (&["--to", "x"], "", &[("http_proxy", "ftp://proxy:1")], "proxy"),
        (&["--to", "x,x"], "", &[], "x"),
        (&["--to", "otlp"], "", &[("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon")], "carrier-pigeon"),
    ];
    for (args, more, vars, expected) in cases {
        let env = home();
        env.write(".config/codex-trace/codex-trace.toml", format!("{table}{more}"));
        let run = |dry: &[&str]| {
            let all = [&["upload", "--settle", "0s"], *args, dry].concat();
            env.finish(env.command(&all).envs(vars.iter().copied()))
        };
        let (dry, real) = (run(&["--dry-run"]), run(&["--retry-for", "0s"]));
        assert_eq!((dry.code, real.code), (Some(2), Some(2)), "{args:?} {more}: {}", dry.stderr);
        assert_eq!(dry.stderr, real.stderr, "{args:?} {more}");
        assert!(dry.stderr.contains(expected), "{args:?} {more}: {}", dry.stderr);
    }
}
