//! A destination of your own, in one file: how it encodes, what its answers mean,
//! and a run of the real engine to a server on this machine.
//!
//! `cargo run -p codex-trace-deliver --example own_destination -- PATH…`

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use codex_trace_deliver::delivery::{self, DeadLetters, Destination, Options, Run, Takes};
use codex_trace_deliver::ledger::Ledger;
use codex_trace_deliver::retry::RetryPolicy;
use codex_trace_deliver::transport::Http;
use codex_trace_export::content::{Capture, Content, ContentRules, Part};
use codex_trace_export::redact::Redactor;
use codex_trace_export::{
    Address, Contract, Cx, Encode, EncodeError, Framing, Limits, Method, Protocol, Rewrite, Route,
    Signal, UnitBuilder, UnitKey, Units,
};
use codex_trace_history::History;
use codex_trace_model::{SpanKind, Timestamp};

/// Takes a line of text for each turn: its key and what the agent said last.
struct Lines(Contract);

impl Encode for Lines {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Rows]
    }

    fn encode(&self, cx: &Cx<'_, '_>, units: &mut dyn Units) -> Result<(), EncodeError> {
        for (_, span) in cx.trace.iter() {
            let SpanKind::Turn(turn) = &span.kind else { continue };
            let thread_id = cx.trace.thread_of(span).id.clone();
            let key = UnitKey { thread_id, turn: Some(span.key.clone()) };
            // Nothing recorded is written but by way of the rules.
            let answer = turn.last_agent_message.and_then(|it| cx.rules.decoded(Part::Message, it));
            let line = format!("{} {:?}\n", span.key, answer.unwrap_or_default());
            let mut unit = UnitBuilder::new(key, 0, units);
            unit.starts_at(span.start);
            if cx.trace.is_open(span) {
                unit.open_in(&cx.trace.thread_of(span).id);
            }
            unit.body().extend_from_slice(line.as_bytes());
            unit.end_piece(1);
            unit.finish();
        }
        Ok(())
    }
}

/// What is left out is as for most servers: the status says it all.
impl Protocol for Lines {
    fn contract(&self) -> &Contract {
        &self.0
    }
}

fn lines(url: &str) -> Lines {
    let route = Route {
        name: "lines",
        method: Method::Post,
        url: Address::unchecked(url),
        headers: Vec::new(),
        content_type: "text/plain".into(),
        framing: Framing::CONCATENATED,
        compressions: &[],
        limits: Limits { max_bytes: 1 << 20, max_pieces: 100, max_spans: 1000 },
        in_order: false,
        tells_sizes: false,
    };
    Lines(Contract {
        destination: format!("lines {url}"),
        routes: vec![route],
        rewrite: Rewrite::Replaces,
        max_age: None,
    })
}

/// Reads one request after the other, prints the bodies and says that it has them.
#[expect(clippy::print_stdout, reason = "it is what the example shows")]
fn serve(stream: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut len = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                len = value.trim().parse().ok()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; len];
        reader.read_exact(&mut body).ok()?;
        print!("{}", String::from_utf8_lossy(&body));
        let mut to = stream;
        to.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
    }
}

#[expect(clippy::print_stdout, reason = "it is what the example shows")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "testdata/tree".to_owned());
    let history = History::open(Path::new(&path))?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/lines", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(&stream));
        }
    });

    let state = tempfile::tempdir()?;
    let ledger = Ledger::open(state.path())?;
    let dead_letters = DeadLetters::within(state.path());
    let rules = ContentRules::new(Capture::Full, Some(Redactor::default()), Content::default());
    let options = Options {
        jobs: 2,
        senders: 2,
        max_memory: 64 << 20,
        settle: Duration::ZERO,
        force: false,
        dry_run: false,
        time_shift: false,
        retry: RetryPolicy::default(),
        now: Timestamp::UNIX_EPOCH,
        compressions: Vec::new(),
        scratch: state.path().to_owned(),
        encoding: String::new(),
    };
    let run = Run {
        history: &history,
        wanted: &|_| true,
        rules: &rules,
        ledger: Some(&ledger),
        dead_letters: &dead_letters,
        options: &options,
        interrupted: &AtomicBool::new(false),
        progress: &Arc::default(),
        notice: &|text| println!("{text}"),
    };
    for _ in 0..2 {
        let accounts = delivery::run(
            &run,
            vec![Destination {
                name: "lines".to_owned(),
                exporter: Box::new(lines(&url)),
                companion: None,
                transport: Box::new(Http::new(2, Duration::from_secs(10))),
                takes: Takes::default(),
                own: None,
            }],
        )?;
        let account = &accounts[0];
        println!("{} turns sent, {} sessions unchanged", account.turns(), account.unchanged);
    }
    Ok(())
}
