//! OTLP over gRPC, from the command line to a server.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use codex_trace_export::otlp::log_proto::ExportLogsServiceRequest;
use flate2::read::GzDecoder;
use prost::Message as _;

use crate::grafana::home;
use crate::grpc_server::{Act, GrpcServer};
use crate::loki::{Loki, Rules};
use crate::testenv::{Run, TestEnv, testdata};
use crate::tls::{authority, small_home};

const GRPC: (&str, &str) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");

fn upload(env: &TestEnv, server: &str, vars: &[(&str, &str)], more: &[&str]) -> Run {
    let args = ["upload", "--endpoint", server, "--settle", "0s"];
    let mut command = env.command(&[&args[..], more].concat());
    env.finish(command.envs(vars.iter().copied().chain([GRPC])))
}

/// Sends the small home to a server.
fn send(server: &GrpcServer, more: &[&str]) -> Run {
    upload(&small_home(), &server.url, &[], &[&["--to", "otlp"], more].concat())
}

/// Returns the bodies that would go over HTTP, unpacked.
fn bodies(env: &TestEnv, signal: &str) -> Vec<Vec<u8>> {
    let dir = env.dir().join(format!("dry-{signal}"));
    let dry_run = format!("--dry-run={}", dir.display());
    let args = ["upload", "--to", "codex-otel", "--signal", signal, "--settle", "0s", &dry_run];
    let run = env.run(&args);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let mut files: Vec<_> = fs::read_dir(dir.join("codex-otel")).expect("requests").collect();
    files.sort_by_key(|it| it.as_ref().expect("a file").path());
    let files = files.into_iter().map(|it| it.expect("a file").path());
    let body = |path: std::path::PathBuf| {
        let file = fs::read(&path).expect("a file");
        let mut plain = Vec::new();
        match path.extension()?.to_str()? {
            "gz" => drop(GzDecoder::new(&*file).read_to_end(&mut plain).expect("gzip")),
            "pb" => plain = file,
            _ => return None,
        }
        Some(plain)
    };
    files.filter_map(body).collect()
}

/// A request of any signal: what its resources have to say.
#[derive(Clone, PartialEq, prost::Message)]
struct AnyRequest {
    #[prost(bytes = "vec", repeated, tag = "1")]
    resources: Vec<Vec<u8>>,
}

/// Returns the parts of requests, however they were put together.
fn parts(messages: impl IntoIterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let decode = |it: Vec<u8>| AnyRequest::decode(it.as_slice()).expect("protobuf").resources;
    let mut all: Vec<_> = messages.into_iter().flat_map(decode).collect();
    all.sort();
    all
}

/// Returns how many log records are in some messages.
fn n_records(messages: impl IntoIterator<Item = Vec<u8>>) -> usize {
    let decode = |it: Vec<u8>| ExportLogsServiceRequest::decode(it.as_slice()).expect("logs");
    let logs = messages.into_iter().map(decode).flat_map(|it| it.resource_logs);
    logs.flat_map(|it| it.scope_logs).map(|it| it.log_records.len()).sum()
}

#[test]
fn all_signals_are_the_same_as_over_http() {
    let env = home(&["0.171.0-shell", "0.110.0-tools"]);
    for (signal, service) in [
        ("logs", "logs.v1.LogsService"),
        ("metrics", "metrics.v1.MetricsService"),
        ("traces", "trace.v1.TraceService"),
    ] {
        let server = GrpcServer::start(&[], Act::Ok);
        let run = upload(&env, &server.url, &[], &["--to", "codex-otel", "--signal", signal]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let taken = server.taken();
        let path = format!("/opentelemetry.proto.collector.{service}/Export");
        for call in &taken {
            assert_eq!(call.path, path);
            assert_eq!(call.header("content-type"), Some("application/grpc+proto"));
            assert_eq!(call.header("grpc-encoding"), Some("gzip"));
            assert_eq!(call.header("te"), Some("trailers"));
        }
        let messages = parts(taken.into_iter().map(|it| it.message));
        assert!(!messages.is_empty() && messages == parts(bodies(&env, signal)), "{signal}");
        let run = upload(&env, &server.url, &[], &["--to", "codex-otel", "--signal", signal]);
        assert_eq!((run.code, server.connections()), (Some(0), 1), "nothing is sent again");
    }
}

/// Nobody is there, and nobody is asked.
#[test]
fn a_dry_run_says_what_would_be_sent() {
    let env = home(&["0.171.0-shell"]);
    for to in [&["otlp"][..], &["codex-otel"], &["codex-otel", "--signal", "traces"]] {
        for (nth, how) in ["--dry-run", "--dry-run=requests"].iter().enumerate() {
            let run = upload(&env, "http://127.0.0.1:1", &[], &[&["--to"], to, &[*how]].concat());
            assert_eq!(run.code, Some(0), "{}", run.stderr);
            assert!(run.stderr.contains("would upload 1 turn of 1 session"), "{}", run.stderr);
            let dir = env.dir().join("requests");
            assert_eq!(dir.exists(), nth == 1, "{to:?}");
            if nth == 1 {
                fs::remove_dir_all(dir).expect("it was made");
            }
        }
    }
}

#[test]
fn headers_go_along_and_keys_are_never_shown() {
    let env = small_home();
    let key = "s3cr3t-t0ken";
    let server = GrpcServer::start(&[], Act::Status(16, "who is s3cr3t-t0ken? ä", None));
    let vars = [("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cr3t-t0ken,X-Org=o")];
    let run = upload(&env, &server.url, &vars, &["--to", "otlp", "-v"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("UNAUTHENTICATED: who is ************? ä"), "{}", run.stderr);
    let call = server.calls().remove(0);
    assert_eq!(call.header("authorization"), Some("Bearer s3cr3t-t0ken"));
    assert_eq!(call.header("x-org"), Some("o"));
    let doctor = ["doctor", "--to", "otlp", "--endpoint", &server.url, "--connect"];
    let run = env.finish(env.command(&doctor).envs(vars).envs([GRPC]));
    assert!(run.stdout.contains("refuses the key"), "{}", run.stdout);
    assert!(run.stdout.contains(&format!("otlp {}", server.url)), "{}", run.stdout);
    assert!(!format!("{}{}", run.stdout, run.stderr).contains(key));
}

#[test]
fn doctor_asks_over_grpc() {
    let env = small_home();
    let server = GrpcServer::start(&[], Act::Ok);
    let args = ["doctor", "--to", "otlp,codex-otel", "--connect", "--json"];
    let config =
        format!("[otel]\nexporter = {{ otlp-grpc = {{ endpoint = '{}/ignored' }} }}\n", server.url);
    env.write(".codex/config.toml", config);
    let run = env.run(&args);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert_eq!(run.stdout.matches("\"reachable\"").count(), 2, "{}", run.stdout);
    assert_eq!(run.stdout.matches("\"grpc\"").count(), 2, "{}", run.stdout);
    let paths: BTreeSet<String> = server.calls().into_iter().map(|it| it.path).collect();
    let of = |name: &str| format!("/opentelemetry.proto.collector.{name}/Export");
    assert_eq!(paths, BTreeSet::from([of("logs.v1.LogsService"), of("trace.v1.TraceService")]));
    assert!(server.calls().iter().all(|it| it.message.is_empty()), "nothing is stored");
}

/// `Status{code: 8, details: [Any{RetryInfo{Duration{1 ms}}}]}`, by hand.
const SOON: &str = "CAgaMgoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIGCgQQwIQ9";

#[test]
fn what_passes_is_tried_again() {
    let script = [
        Act::Status(14, "just now", None),
        Act::Status(4, "", None),
        Act::Half,
        Act::Wordless,
        Act::Reset,
        Act::Refuse,
    ];
    let server = GrpcServer::start(&script, Act::Ok);
    let run = send(&server, &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(server.calls().len(), 7);

    // What is used up is not asked for again, unless the server says when.
    let server = GrpcServer::start(&[], Act::Status(8, "the quota of today is used up", None));
    let run = send(&server, &[]);
    assert_eq!((run.code, server.calls().len()), (Some(2), 1), "{}", run.stderr);
    assert!(run.stderr.contains("RESOURCE_EXHAUSTED: the quota of today"), "{}", run.stderr);
    let server = GrpcServer::start(&[Act::Status(8, "slow down", Some(SOON))], Act::Ok);
    assert_eq!((send(&server, &[]).code, server.calls().len()), (Some(0), 2));
}

#[test]
fn a_server_that_leaves_in_good_order_costs_nothing() {
    let env = home(&["0.171.0-shell", "0.110.0-tools", "0.44.0-shell"]);
    let server = GrpcServer::start(&[Act::Leave], Act::Ok);
    let more =
        ["--to", "codex-otel", "--signal", "metrics", "--signal", "traces", "--senders", "1"];
    let run = upload(&env, &server.url, &[], &more);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(server.connections() > 1);
    assert_eq!(server.calls().len(), server.taken().len());
}

#[test]
fn a_message_that_is_too_large_is_cut() {
    let dirs = fs::read_dir(testdata("codex-otel")).expect("recordings");
    let names: Vec<_> = dirs.map(|it| it.expect("one").file_name().into_string()).collect();
    let names: Vec<&str> = names.iter().map(|it| it.as_deref().expect("UTF-8")).collect();
    let env = home(&names);
    // More than a piece has, less than all of them, which meet while the first waits.
    let wait = Act::Status(14, "not yet", None);
    let server = GrpcServer::start(&[wait.clone(), wait.clone(), wait], Act::Limit(70_000));
    let more = ["--to", "codex-otel", "--signal", "logs", "--senders", "1"];
    let run = upload(&env, &server.url, &[], &more);
    assert!(server.calls().len() > server.taken().len() + 3, "some were too large");
    let taken = n_records(server.taken().into_iter().map(|it| it.message));
    assert_eq!((run.code, taken), (Some(0), n_records(bodies(&env, "logs"))), "{}", run.stderr);
}

#[test]
fn partial_success_is_told_in_the_words_of_the_signal() {
    // `partial_success { rejected: 2, error_message: "too old" }`
    let message = b"\x0a\x0b\x08\x02\x12\x07too old".to_vec();
    for (signal, words) in
        [("logs", "2 log records"), ("metrics", "2 data points"), ("traces", "2 spans")]
    {
        let env = home(&["0.171.0-shell"]);
        let server = GrpcServer::start(&[Act::Message(message.clone())], Act::Ok);
        let run = upload(&env, &server.url, &[], &["--to", "codex-otel", "--signal", signal]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        assert!(run.stderr.contains(&format!("{words} rejected")), "{signal}: {}", run.stderr);
        assert!(run.stderr.contains("too old"), "{}", run.stderr);
    }
}

/// The first that a server of HTTP/2 says: its settings.
const SETTINGS: &[u8] = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00";

/// A port where somebody says something to whoever comes.
fn says(words: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || -> std::io::Result<()> {
                let mut stream = stream?;
                stream.read_exact(&mut [0; 8])?;
                stream.write_all(words)?;
                stream.flush()?;
                std::io::copy(&mut stream, &mut std::io::sink()).map(drop)
            });
        }
    });
    port
}

#[test]
fn another_protocol_is_told_by_its_name() {
    let env = small_home();
    let told = |url: &str| {
        let run = upload(&env, url, &[], &["--to", "otlp"]);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        run.stderr
    };
    let port = says(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let words = told(&format!("http://127.0.0.1:{port}"));
    assert!(words.contains("HTTP/1.1 is spoken there") && words.contains("4318"), "{words}");
    let port = says(b"\x15\x03\x01\x00\x02\x02\x0a");
    let words = told(&format!("http://127.0.0.1:{port}"));
    assert!(words.contains("should begin with https://"), "{words}");
    let port = says(SETTINGS);
    let words = told(&format!("https://127.0.0.1:{port}"));
    assert!(words.contains("should begin with http://"), "{words}");
    // A web server that speaks HTTP/2, and one that sends us elsewhere.
    let page = GrpcServer::start(&[], Act::Http(200, "text/html", "<p>Welcome"));
    let words = told(&page.url);
    assert!(words.contains("no gRPC is spoken there"), "{words}");
    let moved = GrpcServer::start(&[], Act::Http(302, "text/plain", "moved"));
    let words = told(&moved.url);
    assert!(words.contains("status 302: it is at `https://[set]@h/x`"), "{words}");
    let words = told("http://u:pw@127.0.0.1:1");
    assert!(words.contains("no name and password") && !words.contains("pw@"), "{words}");
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("one");
    let words = told(&format!("http://{closed}"));
    assert!(words.contains("no answer from http://127.0.0.1"), "{words}");
    // The other way round: HTTP to a port of gRPC.
    // It says its settings first, and here it goes on listening: one that closes at once
    // may be faster with that than with what it says.
    let url = format!("http://127.0.0.1:{}", says(SETTINGS));
    let http = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    let args = ["upload", "--to", "otlp", "--endpoint", &url, "--settle", "0s"];
    let run = env.finish(env.command(&args).envs([http]));
    assert!(run.stderr.contains("no HTTP is spoken there"), "{}", run.stderr);
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let env = small_home();
    let server = GrpcServer::start(&[], Act::Silence);
    let vars = [("OTEL_EXPORTER_OTLP_TIMEOUT", "300")];
    let run = upload(&env, &server.url, &vars, &["--to", "otlp", "--retry-for", "1s"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("within 0.3 s"), "{}", run.stderr);
    assert_eq!(server.calls()[0].header("grpc-timeout"), Some("300m"));
}

#[test]
fn certificates_of_the_variables_and_of_codex() {
    let env = small_home();
    let server = GrpcServer::start_with(&[], Act::Ok, Some(authority(&env, &[b"h2"])));
    let file = |name: &str| env.dir().join(name).display().to_string();
    let run = upload(&env, &server.url, &[], &["--to", "otlp"]);
    assert!(run.code == Some(2) && run.stderr.contains("UnknownIssuer"), "{}", run.stderr);
    let (ca, cert, key) = (file("ca.pem"), file("us.pem"), file("us.key"));
    let ca = ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca.as_str());
    let run = upload(&env, &server.url, &[ca], &["--to", "otlp"]);
    assert!(run.code == Some(2) && run.stderr.contains("CertificateRequired"), "{}", run.stderr);
    let ours = [
        ca,
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", cert.as_str()),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", key.as_str()),
    ];
    let run = upload(&env, &server.url, &ours, &["--to", "otlp"]);
    assert_eq!((run.code, server.taken().len()), (Some(0), 1), "{}", run.stderr);

    // The live telemetry's own: its files lie beside its configuration.
    let config = format!(
        "[otel]\nexporter = 'none'\ntrace_exporter = {{ otlp-grpc = {{ endpoint = '{}', headers = {{ x-key = 'k3y-of-codex' }}, tls = {{ ca-certificate = '../ca.pem', client-certificate = '../us.pem', client-private-key = '../us.key' }} }} }}\n",
        server.url
    );
    env.write(".codex/config.toml", config);
    let run = env.run(&["upload", "--to", "otlp", "--settle", "0s", "--force"]);
    assert_eq!((run.code, server.taken().len()), (Some(0), 2), "{}", run.stderr);
    assert_eq!(server.taken()[1].header("x-key"), Some("k3y-of-codex"));
    let http = GrpcServer::start_with(&[], Act::Ok, Some(authority(&env, &[b"http/1.1"])));
    let run = upload(&env, &http.url, &ours, &["--to", "otlp"]);
    assert!(run.stderr.contains("not HTTP/2"), "{}", run.stderr);
}

/// Opens ways to servers, and notes which.
fn proxy(answer: &'static str) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://us:p%40ss@{}", listener.local_addr().expect("an address"));
    let (asked, heard) = std::sync::mpsc::channel();
    thread::spawn(move || -> std::io::Result<()> {
        for stream in listener.incoming() {
            let mut client = stream?;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte)?;
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let to = head.split(' ').nth(1).expect("a place").to_owned();
            asked.send(head).ok();
            client.write_all(answer.as_bytes())?;
            if answer.contains(" 200 ") {
                let server = TcpStream::connect(to)?;
                let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
                thread::spawn(move || std::io::copy(&mut from, &mut to));
                let mut server = server;
                thread::spawn(move || std::io::copy(&mut client, &mut server));
            }
        }
        Ok(())
    });
    (url, heard)
}

#[test]
fn a_proxy_is_gone_through() {
    let env = small_home();
    let server = GrpcServer::start(&[], Act::Ok);
    let (url, heard) = proxy("HTTP/1.1 200 Connection established\r\n\r\n");
    let run = upload(&env, &server.url, &[("http_proxy", &url)], &["--to", "otlp"]);
    assert_eq!((run.code, server.taken().len()), (Some(0), 1), "{}", run.stderr);
    let head = heard.recv().expect("asked");
    assert!(head.starts_with(&format!("CONNECT {} ", &server.url["http://".len()..])), "{head}");
    // `us:p@ss`
    assert!(head.contains("Proxy-Authorization: Basic dXM6cEBzcw==\r\n"), "{head}");
    let (url, _heard) = proxy("HTTP/1.1 407 Who are you\r\n\r\n");
    let run = upload(
        &env,
        &server.url,
        &[("http_proxy", &url)],
        &["--to", "otlp", "--force", "--retry-for", "1s"],
    );
    assert!(run.code == Some(2) && run.stderr.contains("407 Who are you"), "{}", run.stderr);
    assert!(!run.stderr.contains("p%40ss"), "{}", run.stderr);
    let tls = [("http_proxy", "https://127.0.0.1:1")];
    let run = upload(&env, &server.url, &tls, &["--to", "otlp", "--force"]);
    assert!(run.stderr.contains("only through a proxy of http://"), "{}", run.stderr);
}

/// Killed while a call is under way, the next run sends what was not acknowledged;
/// what went to another place before stays there, once.
#[test]
fn a_kill_and_several_places() {
    let env = home(&["0.171.0-shell", "0.110.0-tools"]);
    let rows = n_records(bodies(&env, "logs"));
    let loki = Loki::start(Rules::default());
    let server = GrpcServer::start(&[Act::Silence], Act::Ok);
    let table = |name: &str, endpoint: &str, more: &str| {
        format!("[destinations.{name}]\nbackend = 'codex-otel'\nendpoint = '{endpoint}'\n{more}\n")
    };
    // One sender: while the first call is under way, there is no other one.
    let metrics = "protocol = 'grpc'\nsignals = ['metrics']\nsenders = 1";
    let tables = [table("logs", &loki.url, ""), table("numbers", &server.url, metrics)].concat();
    env.write(".config/codex-trace/codex-trace.toml", tables);
    let args = ["upload", "--to", "logs,numbers", "--settle", "0s"];
    let mut child = env.command(&args).stderr(Stdio::null()).stdout(Stdio::null()).spawn();
    let child = child.as_mut().expect("the command runs");
    while server.calls().is_empty() || loki.rows() < rows {
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert!(server.taken().is_empty());
    let run = env.run(&args);
    assert_eq!((run.code, loki.rows()), (Some(0), rows), "{}", run.stderr);
    let taken = parts(server.taken().into_iter().map(|it| it.message));
    assert!(taken == parts(bodies(&env, "metrics")));
    let n = server.calls().len();
    assert_eq!((env.run(&args).code, server.calls().len()), (Some(0), n));
    let status = env.run(&["status", "--json"]);
    assert_eq!(status.json().len(), 2, "{}", status.stdout);
}
