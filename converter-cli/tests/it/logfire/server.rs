//! A receiver of OTLP that remembers its spans, and says which project it is, as
//! Logfire does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// What is asked of the server.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// As it came, but for compression.
    pub(crate) body: Vec<u8>,
}

/// An answer: status, type, body. None: the connection is cut.
pub(crate) type Answer = Option<(u16, &'static str, Vec<u8>)>;

/// Answers in the place of the server; `None` leaves it to the server. With how
/// many requests for spans there have been.
pub(crate) type Rule = Box<dyn Fn(&Asked, usize) -> Option<Answer> + Send + Sync>;

/// The server, running.
pub(crate) struct Server {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    rule: Rule,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    /// By id, and as often as they came.
    spans: BTreeMap<String, Vec<Span>>,
}

pub(crate) const TOKEN: &str = "pylf_v1_local_0123456789abcdef";

impl Server {
    pub(crate) fn start() -> Server {
        Server::with(Box::new(|_, _| None))
    }

    pub(crate) fn with(rule: Rule) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { rule, state: Mutex::default() });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&of_thread);
                thread::spawn(move || shared.serve(&stream));
            }
        });
        Server { url, shared }
    }

    /// Returns the spans that were taken, by id, each as it came first.
    pub(crate) fn spans(&self) -> BTreeMap<String, Span> {
        let state = self.shared.state.lock().unwrap();
        state.spans.iter().map(|(id, spans)| (id.clone(), spans[0].clone())).collect()
    }

    /// Returns how many spans were taken, again and again included, and whether
    /// all that came under one id are the same.
    pub(crate) fn taken(&self) -> (usize, bool) {
        let state = self.shared.state.lock().unwrap();
        let same = state.spans.values().all(|it| it.iter().all(|span| *span == it[0]));
        (state.spans.values().map(Vec::len).sum(), same)
    }

    /// Returns the requests for a path.
    pub(crate) fn asked(&self, path: &str) -> Vec<Asked> {
        let state = self.shared.state.lock().unwrap();
        state.asked.iter().filter(|it| it.path == path).cloned().collect()
    }
}

impl Shared {
    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let asked = read(&mut reader)?;
            let nth = {
                let mut state = self.state.lock().unwrap();
                state.asked.push(asked.clone());
                state.asked.iter().filter(|it| it.path == "/v1/traces").count()
            };
            let answer = (self.rule)(&asked, nth).unwrap_or_else(|| Some(self.answer(&asked)));
            let (status, kind, body) = answer?;
            let mut head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
            if !kind.is_empty() {
                write!(head, "Content-Type: {kind}\r\n").expect("memory");
            }
            let mut to = stream;
            to.write_all(&[head.as_bytes(), b"\r\n", &body].concat()).ok()?;
        }
    }

    fn answer(&self, asked: &Asked) -> (u16, &'static str, Vec<u8>) {
        const JSON: &str = "application/json";
        if asked.headers.get("authorization").map(String::as_str) != Some(TOKEN) {
            return (401, JSON, br#"{"detail":"invalid token"}"#.to_vec());
        }
        match &*asked.path {
            "/v1/info" => {
                (200, JSON, br#"{"project_name":"mine","project_url":"http://l/mine"}"#.to_vec())
            }
            "/v1/traces" => {
                self.keep(asked);
                (200, "application/x-protobuf", Vec::new())
            }
            path => panic!("nobody asks for {path}"),
        }
    }

    /// Keeps the spans of a request; those of JSON are the test's to read.
    fn keep(&self, asked: &Asked) {
        if asked.headers["content-type"] != "application/x-protobuf" {
            return;
        }
        let mut state = self.state.lock().unwrap();
        for span in spans_of(&asked.body) {
            let id = hex(span.trace_id.iter().chain(&span.span_id));
            state.spans.entry(id).or_default().push(span);
        }
    }
}

/// Writes bytes as digits.
pub(crate) fn hex<'b>(bytes: impl IntoIterator<Item = &'b u8>) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// Returns the spans of a request.
pub(crate) fn spans_of(body: &[u8]) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let scopes = request.resource_spans.into_iter().flat_map(|it| it.scope_spans);
    scopes.flat_map(|it| it.spans).collect()
}

/// Returns the text of an attribute.
pub(crate) fn text<'s>(span: &'s Span, key: &str) -> Option<&'s str> {
    match span.attributes.iter().find(|it| it.key == key)?.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// Returns the sum of a number over spans.
pub(crate) fn sum<'s>(spans: impl IntoIterator<Item = &'s Span>, key: &str) -> i64 {
    let numbers = spans.into_iter().flat_map(|span| &span.attributes).filter(|it| it.key == key);
    let number = |value: &Value| match value {
        Value::IntValue(n) => *n,
        _ => 0,
    };
    numbers.filter_map(|it| it.value.as_ref()?.value.as_ref()).map(number).sum()
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let path = line.split_whitespace().nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let len = headers.get("content-length").map_or(0, |len| len.parse().unwrap());
    let mut body = vec![0; len];
    reader.read_exact(&mut body).ok()?;
    if headers.get("content-encoding").is_some_and(|it| it == "gzip") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(body.as_slice()).read_to_end(&mut plain).ok()?;
        body = plain;
    }
    Some(Asked { path, headers, body })
}
