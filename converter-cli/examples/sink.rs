//! Takes whatever is posted to it and answers 200, at once or after a while:
//! `cargo run --release --example sink -- ADDRESS [MILLISECONDS]`
//!
//! To `upload --to mlflow` it is a server with one experiment and no traces, to
//! `--to braintrust` and to `bt` one with one project and no rows, to
//! `--to logfire` a project.
//!
//! Says on standard error how much came, whenever a connection ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{io, thread};

static BYTES: AtomicU64 = AtomicU64::new(0);

#[expect(clippy::print_stderr, reason = "it is what the example is for")]
fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:4318".to_owned());
    let delay = args.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    for stream in TcpListener::bind(address)?.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            drop(serve(stream, Duration::from_millis(delay)));
            eprintln!("{} bytes so far", BYTES.load(Ordering::Relaxed));
        });
    }
    Ok(())
}

fn serve(mut stream: TcpStream, delay: Duration) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 18, stream.try_clone()?);
    let mut line = String::new();
    loop {
        let (mut answer, mut len) = (None, 0);
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            answer = answer.or_else(|| Some(answer_to(&line)));
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                len = value.trim().parse().unwrap_or(0);
            }
        }
        let taken = io::copy(&mut (&mut reader).take(len), &mut io::sink())?;
        BYTES.fetch_add(taken, Ordering::Relaxed);
        thread::sleep(delay);
        let answer = answer.unwrap_or_default();
        // In one write: several would wait for each other's acknowledgement.
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len());
        stream.write_all(answer.as_bytes())?;
    }
}

/// Returns the body for a request line: something where MLflow, Braintrust or
/// Logfire is asked before an upload, else nothing.
fn answer_to(line: &str) -> &'static str {
    let path = line.split(' ').nth(1).unwrap_or_default();
    match path {
        "/api/3.0/mlflow/traces/search" => r#"{"traces":[]}"#,
        _ if path.starts_with("/api/2.0/mlflow/experiments/get") => {
            r#"{"experiment":{"experiment_id":"1"}}"#
        }
        "/version" => r#"{"logs3_payload_max_bytes":6291456}"#,
        "/btql" => r#"{"data":[]}"#,
        "/v1/project" => r#"{"id":"p"}"#,
        "/api/project/register" => r#"{"project":{"id":"p","name":"codex"}}"#,
        "/logs3" => "{}",
        "/v1/info" => r#"{"project_name":"p"}"#,
        _ => "",
    }
}
