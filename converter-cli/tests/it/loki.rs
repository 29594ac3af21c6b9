//! A receiver that holds the rules of Loki 3.8 for OTLP logs, as they were
//! measured: what it refuses and how it says so, what makes records the same, what
//! becomes of names. It keeps what it takes, and finds it again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use codex_trace_export::otlp::log_proto::ExportLogsServiceRequest;
use codex_trace_export::otlp::proto::{KeyValue, RpcStatus, Value};
use flate2::read::GzDecoder;
use prost::Message as _;

const HOUR: u64 = 3_600_000_000_000;

/// What the server refuses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Whether all records are older than it takes.
    pub(crate) reject_old: bool,
    pub(crate) max_streams: usize,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { reject_old: false, max_streams: 5_000 }
    }
}

/// A record: its labels and metadata.
pub(crate) type Row = BTreeMap<String, String>;

/// The server, running.
pub(crate) struct Loki {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The newest time of each stream.
    streams: BTreeMap<Row, u64>,
    rows: BTreeSet<(Row, u64)>,
    requests: usize,
}

impl Loki {
    pub(crate) fn start(rules: Rules) -> Loki {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/otlp", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State::default()));
        let of_thread = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&of_thread);
                thread::spawn(move || stream.map(|stream| serve(stream, &state, rules)).ok());
            }
        });
        Loki { url, state }
    }

    /// `{service_name=~"…"} | name="value" | …`
    pub(crate) fn query(&self, services: &[&str], filter: &[(&str, &str)]) -> Vec<Row> {
        let state = self.state.lock().expect("no panic");
        let found = state.rows.iter().map(|(row, _)| row).filter(|row| {
            services.contains(&row["service_name"].as_str())
                && filter.iter().all(|(name, value)| row.get(*name).is_some_and(|it| it == value))
        });
        found.cloned().collect()
    }

    /// All names of labels and metadata.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let state = self.state.lock().expect("no panic");
        state.rows.iter().flat_map(|(row, _)| row.keys().cloned()).collect()
    }

    pub(crate) fn rows(&self) -> usize {
        self.state.lock().expect("no panic").rows.len()
    }

    pub(crate) fn streams(&self) -> usize {
        self.state.lock().expect("no panic").streams.len()
    }

    pub(crate) fn requests(&self) -> usize {
        self.state.lock().expect("no panic").requests
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>, rules: Rules) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let body = read_request(&mut reader)?;
        let (status, message) = match take(&body, &mut state.lock().expect("no panic"), rules) {
            Ok(()) => (204, String::new()),
            Err((status, message)) => (status, message),
        };
        let body = if message.is_empty() {
            Vec::new()
        } else {
            RpcStatus { code: 0, message }.encode_to_vec()
        };
        let kind = "application/octet-stream";
        let len = body.len();
        let head =
            format!("HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {len}\r\n\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(&body).ok()?;
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let (mut len, mut is_packed) = (0, false);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    assert!(line.starts_with("POST /otlp/v1/logs "), "{line}");
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let head = line.trim().to_ascii_lowercase();
        match head.split_once(": ") {
            Some(("content-length", value)) => len = value.parse().ok()?,
            Some(("content-encoding", value)) => is_packed = value == "gzip",
            // With a charset it is refused.
            Some(("content-type", value)) => assert_eq!(value, "application/x-protobuf"),
            None => break,
            _ => {}
        }
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body).ok()?;
    if !is_packed {
        return Some(body);
    }
    let mut plain = Vec::new();
    GzDecoder::new(body.as_slice()).read_to_end(&mut plain).ok()?;
    Some(plain)
}

fn take(body: &[u8], state: &mut State, rules: Rules) -> Result<(), (u16, String)> {
    state.requests += 1;
    let request = ExportLogsServiceRequest::decode(body).expect("protobuf");
    let mut refused = Vec::new();
    let (mut expanded, mut n) = (0, 0);
    let mut taken = Vec::new();
    for logs in request.resource_logs {
        let resource = row(&logs.resource.expect("a resource").attributes);
        // These two of what we send become labels; the rest stays with each record.
        let labels = ["service_name", "service_instance_id"];
        let stream: Row =
            resource.iter().filter(|(key, _)| labels.contains(&key.as_str())).map(pair).collect();
        for scope in logs.scope_logs {
            let name = scope.scope.expect("a scope").name;
            for record in scope.log_records {
                let mut all = row(&record.attributes);
                // From 3.8 on this is metadata, too: of two, either may win.
                let event = all.insert("event_name".to_owned(), record.event_name.clone());
                assert_eq!(event.as_deref(), Some(&*record.event_name));
                all.extend(resource.iter().map(pair));
                all.insert("scope_name".to_owned(), name.clone());
                all.insert("severity_text".to_owned(), record.severity_text);
                let size: usize = all.iter().map(|(key, value)| key.len() + value.len()).sum();
                assert!(size <= 65_536 && all.len() <= 128, "structured metadata too large");
                assert!(record.time_unix_nano > 0);
                (expanded, n) = (expanded + size, n + 1);
                taken.push((stream.clone(), all, record.time_unix_nano));
            }
        }
    }
    assert!(n <= 1_000 && body.len() <= 1 << 20 && expanded < 4 << 20, "{n} records");
    for (stream, all, at) in taken {
        let newest = state.streams.get(&stream).copied();
        if newest.is_none() && state.streams.len() >= rules.max_streams {
            let message = format!(
                "maximum active stream limit exceeded when trying to create stream {}",
                shown(&stream)
            );
            return Err((429, message));
        }
        if rules.reject_old {
            let stream = shown(&stream);
            refused.push(format!("entry for stream '{stream}' has timestamp too old: {at}"));
        } else if newest.is_some_and(|newest| at + HOUR < newest) && !is_known(state, &all, at) {
            refused
                .push(format!("entry with timestamp {at} ignored, reason: 'entry too far behind'"));
        } else {
            state.streams.insert(stream, newest.unwrap_or_default().max(at));
            state.rows.insert((all, at));
        }
    }
    if refused.is_empty() { Ok(()) } else { Err((400, refused.join("\n"))) }
}

/// Writes the labels of a stream.
fn shown(stream: &Row) -> String {
    let labels: Vec<String> =
        stream.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    format!("{{{}}}", labels.join(", "))
}

fn is_known(state: &State, row: &Row, at: u64) -> bool {
    state.rows.contains(&(row.clone(), at))
}

fn pair((key, value): (&String, &String)) -> (String, String) {
    (key.clone(), value.clone())
}

/// Makes texts of values, names without dots, and leaves out what is empty.
fn row(attributes: &[KeyValue]) -> Row {
    let mut all = Row::new();
    for attribute in attributes {
        let value = match attribute.value.as_ref().and_then(|it| it.value.as_ref()) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Int(number)) => number.to_string(),
            Some(Value::Bool(flag)) => flag.to_string(),
            other => panic!("{other:?}"),
        };
        let name = attribute.key.replace(['.', '-', '/'], "_");
        if !value.is_empty() {
            assert!(all.insert(name.clone(), value).is_none(), "{name} twice");
        }
    }
    all
}
