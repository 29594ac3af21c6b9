//! A server that keeps the spans of OTLP/JSON by their ids, and fails at times.

use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::scripted_server::read_request;

/// Spans by trace and span id.
pub(super) type Spans = BTreeMap<(String, String), Value>;

#[derive(Debug, Default)]
struct Shared {
    spans: Mutex<Spans>,
    requests: AtomicUsize,
    down: AtomicBool,
    silent: AtomicBool,
    percent: usize,
}

/// The server, running.
pub(super) struct Sink {
    pub(super) url: String,
    shared: Arc<Shared>,
}

impl Sink {
    /// Starts a server that fails so many of a hundred requests, in one of five
    /// ways.
    pub(super) fn start(percent: usize) -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared { percent, ..Shared::default() });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&of_thread);
                thread::spawn(move || shared.serve(stream));
            }
        });
        Sink { url, shared }
    }

    pub(super) fn spans(&self) -> Spans {
        self.shared.spans.lock().expect("no panic").clone()
    }

    pub(super) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Takes connections and requests, and says nothing.
    pub(super) fn set_silent(&self, silent: bool) {
        self.shared.silent.store(silent, Ordering::SeqCst);
    }

    pub(super) fn set_down(&self, down: bool) {
        self.shared.down.store(down, Ordering::SeqCst);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut stream = stream;
        loop {
            let (_, body) = read_request(&mut reader)?;
            if self.down.load(Ordering::SeqCst) {
                return None;
            }
            while self.silent.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(20));
            }
            let nth = self.requests.fetch_add(1, Ordering::SeqCst);
            // The same in every run: a linear congruence.
            let random = (nth * 7919 + 13) % 101;
            let fault = (random < self.percent).then_some(nth % 5);
            match fault {
                Some(0) => return None,
                Some(1) => answer(&mut stream, "503 X", "")?,
                Some(2) => answer(&mut stream, "429 X", "Retry-After: 0\r\n")?,
                Some(3) => {
                    self.keep(&body)?;
                    return None;
                }
                Some(_) => {
                    self.keep(&body)?;
                    return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le").ok();
                }
                None => {
                    self.keep(&body)?;
                    answer(&mut stream, "200 OK", "")?;
                }
            }
        }
    }

    fn keep(&self, body: &str) -> Option<()> {
        let body: Value = serde_json::from_str(body).ok()?;
        let each = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let mut spans = self.spans.lock().expect("no panic");
        for resource in each(&body, "resourceSpans") {
            for scope in each(&resource, "scopeSpans") {
                for span in each(&scope, "spans") {
                    let id = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
                    spans.insert((id("traceId"), id("spanId")), span);
                }
            }
        }
        Some(())
    }
}

fn answer(stream: &mut TcpStream, status: &str, headers: &str) -> Option<()> {
    let head = "Content-Type: application/json\r\nContent-Length: 2";
    write!(stream, "HTTP/1.1 {status}\r\n{head}\r\n{headers}\r\n{{}}").ok()
}
