//! A server that takes and refuses what LangSmith does, as far as that is
//! known, on `std::net` alone. A request is stored as a whole or not at all.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use codex_trace_model::Timestamp;
use converter_cli::transport::{Http, NoAnswer, Request, Response, Transport};
use serde_json::{Map, Value, json};

/// What the server is to do.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Refuses what began earlier than this many milliseconds before `now`.
    pub(crate) window: Option<i64>,
    pub(crate) now: i64,
    pub(crate) max_runs: usize,
    pub(crate) max_bytes: usize,
    /// Statuses to answer with before anything is looked at, first one first.
    pub(crate) faults: Vec<u16>,
    /// 422 if the body contains this.
    pub(crate) poison: Option<&'static str>,
    /// Stores, and answers with nothing, this many times.
    pub(crate) lose_answers: usize,
    /// Whether there is a multipart endpoint.
    pub(crate) multipart: bool,
    pub(crate) zstd: bool,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            window: None,
            now: 0,
            max_runs: 100,
            max_bytes: 20 << 20,
            faults: Vec::new(),
            poison: None,
            lose_answers: 0,
            multipart: true,
            zstd: true,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) rules: Rules,
    pub(crate) runs: BTreeMap<String, Value>,
    /// Path, status and, if refused, why, of every request.
    pub(crate) log: Vec<(String, u16, String)>,
    /// How old the runs of each stored request were, youngest and oldest start.
    pub(crate) spread: Vec<(i64, i64)>,
    pub(crate) headers: Vec<String>,
}

/// The server, running.
pub(crate) struct Server {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub(crate) fn start(rules: Rules) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State { rules, ..State::default() }));
        let of_thread = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&of_thread);
                thread::spawn(move || stream.map(|stream| serve(&state, stream)).ok());
            }
        });
        Server { url, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    /// Returns the runs stored, in the order of `dotted_order`.
    pub(crate) fn runs(&self) -> Vec<Value> {
        let mut runs: Vec<Value> = self.state().runs.values().cloned().collect();
        runs.sort_by_key(|run| run["dotted_order"].as_str().unwrap_or_default().to_owned());
        runs
    }

    /// Returns how many requests for a path were answered with a status.
    pub(crate) fn n(&self, path: &str, status: u16) -> usize {
        self.state().log.iter().filter(|it| it.0 == path && it.1 == status).count()
    }

    /// Checks that nothing was refused and that every parent is there.
    #[track_caller]
    pub(crate) fn is_clean(&self) {
        let state = self.state();
        // A request whose answer was lost on a busy machine is sent again; that
        // its runs are there already is for the client to find out.
        let refused: Vec<_> = state.log.iter().filter(|it| it.1 >= 400 && it.1 != 409).collect();
        assert!(refused.is_empty(), "{refused:#?}");
        for run in state.runs.values() {
            if let Some(parent) = run["parent_run_id"].as_str() {
                assert!(state.runs.contains_key(parent), "an orphan: {}", run["name"]);
            }
        }
    }
}

/// Brings what is addressed to the hosted service to the server.
pub(crate) struct Rerouted(pub(crate) Http, pub(crate) String);

impl Transport for Rerouted {
    fn send(&self, request: &Request) -> Result<Response, NoAnswer> {
        let url = request.url.replace("https://api.smith.langchain.com", &self.1);
        self.0.send(&Request { url, ..request.clone() })
    }
}

type Refusal = (u16, String);

fn serve(state: &Mutex<State>, stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let (path, headers, body) = read_request(&mut reader)?;
        let mut state = state.lock().ok()?;
        state.headers.push(headers.clone());
        let is_upload = path == "/runs/multipart" || path == "/runs/batch";
        let fault = is_upload && !state.rules.faults.is_empty();
        let answer = if fault {
            let status = state.rules.faults.remove(0);
            Err((status, "a fault".to_owned()))
        } else {
            handle(&mut state, &path, &headers, &body)
        };
        let (status, text) = match answer {
            Ok(value) => (if is_upload { 202 } else { 200 }, value.to_string()),
            Err((status, why)) => (status, why),
        };
        state.log.push((path, status, if status >= 400 { text.clone() } else { String::new() }));
        if is_upload && status == 202 && state.rules.lose_answers > 0 {
            state.rules.lose_answers -= 1;
            return None;
        }
        drop(state);
        let more = if status == 429 { "Retry-After: 0\r\n" } else { "" };
        let len = text.len();
        write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {len}\r\n{more}\r\n{text}").ok()?;
    }
}

fn handle(state: &mut State, path: &str, headers: &str, body: &[u8]) -> Result<Value, Refusal> {
    let rules = state.rules.clone();
    match path {
        "/info" => Ok(json!({
            "batch_ingest_config": {
                "use_multipart_endpoint": rules.multipart.then_some(true),
                "size_limit": rules.max_runs, "size_limit_bytes": rules.max_bytes
            },
            "instance_flags": {"gzip_body_enabled": true, "zstd_compression_enabled": rules.zstd}
        })),
        "/runs/multipart" if rules.multipart => {
            let runs = parts(headers, body)?;
            store(state, &runs, body)
        }
        "/runs/batch" => {
            let batch: Value = serde_json::from_slice(body).map_err(|err| bad(err.to_string()))?;
            let runs = batch["post"].as_array().cloned().unwrap_or_default();
            store(state, &runs, body)
        }
        "/runs/query" => {
            let query: Value = serde_json::from_slice(body).map_err(|err| bad(err.to_string()))?;
            let ids = query["id"].as_array().cloned().unwrap_or_default();
            let runs = ids.iter().filter_map(|id| state.runs.get(id.as_str()?)).cloned();
            Ok(json!({ "runs": runs.collect::<Vec<_>>() }))
        }
        _ => Err((404, "no such thing".to_owned())),
    }
}

fn bad(why: impl Into<String>) -> Refusal {
    (422, why.into())
}

fn store(state: &mut State, runs: &[Value], body: &[u8]) -> Result<Value, Refusal> {
    let rules = &state.rules;
    if body.len() > rules.max_bytes || runs.len() > rules.max_runs {
        return Err((413, format!("{} bytes, {} runs", body.len(), runs.len())));
    }
    if let Some(poison) = rules.poison
        && String::from_utf8_lossy(body).contains(poison)
    {
        return Err(bad("poison"));
    }
    let mut seen: BTreeMap<String, Value> = BTreeMap::new();
    let mut starts = Vec::new();
    for run in runs {
        let (id, start) = check(run, &seen, &state.runs)?;
        if rules.window.is_some_and(|window| (rules.now - start).abs() > window) {
            return Err(bad(format!("run {id} is outside of the time window")));
        }
        starts.push(start);
        if seen.insert(id.clone(), run.clone()).is_some() {
            return Err(bad(format!("run {id} is there twice")));
        }
    }
    if let Some(known) = seen.keys().find(|id| state.runs.contains_key(*id)) {
        return Err((409, format!("run {known} already exists")));
    }
    state.runs.extend(seen);
    let youngest = starts.iter().copied().max().unwrap_or_default();
    let oldest = starts.iter().copied().min().unwrap_or_default();
    state.spread.push((youngest, oldest));
    Ok(json!({}))
}

/// Checks one run by itself, and against its parent if that is known.
fn check(
    run: &Value,
    seen: &BTreeMap<String, Value>,
    stored: &BTreeMap<String, Value>,
) -> Result<(String, i64), Refusal> {
    let text = |key: &str| run[key].as_str().ok_or_else(|| bad(format!("no {key}: {run}")));
    let id = text("id")?.to_owned();
    let segments: Vec<&str> = text("dotted_order")?.split('.').collect();
    let mut before: Option<(&str, &str)> = None;
    let mut parent = None;
    for segment in &segments {
        let (time, of) = segment.split_once('Z').ok_or_else(|| bad("bad dotted_order"))?;
        let digits = time.len() == 21 && time.as_bytes()[8] == b'T';
        if !digits || time.bytes().any(|b| !b.is_ascii_digit() && b != b'T') || !is_uuid(of) {
            return Err(bad(format!("bad dotted_order: {segment}")));
        }
        if before.is_some_and(|(earlier, _)| time[..18] < earlier[..18]) {
            return Err(bad(format!("{id} starts before its parent")));
        }
        parent = before.map(|(_, of)| of);
        before = Some((time, of));
    }
    let (time, last) = before.ok_or_else(|| bad("no dotted_order"))?;
    let first = segments[0].split_once('Z').map_or("", |(_, of)| of);
    let start_time = text("start_time")?;
    let flat: String = start_time.chars().filter(|c| !matches!(c, '-' | ':' | '.' | 'Z')).collect();
    let ends = run["end_time"].as_str().map(str::parse::<Timestamp>);
    let starts: Timestamp = start_time.parse().map_err(|_| bad("bad start_time"))?;
    let ends_well = matches!(ends, Some(Ok(end)) if end >= starts);
    let fits = last == id
        && first == text("trace_id")?
        && run["parent_run_id"].as_str() == parent
        && flat == time
        && matches!(text("run_type")?, "chain" | "llm" | "tool")
        && !text("name")?.is_empty()
        && !text("session_name")?.is_empty()
        && run["inputs"].is_object()
        && run["outputs"].is_object()
        && ends_well;
    if !fits {
        return Err(bad(format!("a run that does not fit together: {run}")));
    }
    // Whoever is in the same request or there already must be what it is said to be.
    if let Some(parent) = parent.and_then(|parent| seen.get(parent).or(stored.get(parent))) {
        let above = parent["dotted_order"].as_str().unwrap_or_default();
        if segments[..segments.len() - 1].join(".") != above {
            return Err(bad(format!("{id} is not where its parent is")));
        }
    } else if let Some(parent) = parent
        && seen.len() > 1
        && !stored.contains_key(parent)
        && seen.values().any(|it| it["parent_run_id"] == *parent)
    {
        return Err(bad(format!("{id} comes before its parent")));
    }
    Ok((id, starts.as_millisecond()))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(nth, byte)| match nth {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        })
}

/// Puts the parts of a form together to runs, in order.
fn parts(headers: &str, body: &[u8]) -> Result<Vec<Value>, Refusal> {
    let boundary = headers.split("boundary=").nth(1).and_then(|it| it.split_whitespace().next());
    let boundary = format!("--{}", boundary.ok_or_else(|| bad("no boundary"))?);
    let mut rest = body;
    let mut runs: Vec<Map<String, Value>> = Vec::new();
    loop {
        rest = rest.strip_prefix(boundary.as_bytes()).ok_or_else(|| bad("no boundary here"))?;
        if rest == b"--\r\n" {
            return Ok(runs.into_iter().map(Value::Object).collect());
        }
        let end = memchr::memmem::find(rest, b"\r\n\r\n").ok_or_else(|| bad("no head"))?;
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 4..];
        let len = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let len: usize = len.and_then(|it| it.parse().ok()).ok_or_else(|| bad("no length"))?;
        let name = head.split("name=\"").nth(1).and_then(|it| it.split('"').next());
        let name = name.and_then(|it| it.strip_prefix("post.")).ok_or_else(|| bad("no name"))?;
        let (id, field) = name.split_once('.').map_or((name, None), |(id, it)| (id, Some(it)));
        let value: Value =
            serde_json::from_slice(&rest[..len]).map_err(|err| bad(format!("{name}: {err}")))?;
        rest = rest[len..].strip_prefix(b"\r\n").ok_or_else(|| bad("a wrong length"))?;
        match (field, runs.last_mut()) {
            (None, _) if is_uuid(id) && value["id"] == id => {
                runs.push(value.as_object().cloned().unwrap_or_default());
            }
            (Some(field), Some(run)) if run["id"] == id => {
                run.insert(field.to_owned(), value);
            }
            _ => return Err(bad(format!("a part that does not belong: {name}"))),
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<(String, String, Vec<u8>)> {
    let mut first = String::new();
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    let path = first.split_whitespace().nth(1)?.to_owned();
    let (mut length, mut headers) = (0, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim_end().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        headers.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let lower = headers.to_ascii_lowercase();
    if lower.contains("content-encoding: gzip") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&*body).read_to_end(&mut plain).ok()?;
        body = plain;
    } else if lower.contains("content-encoding: zstd") {
        body = zstd::decode_all(&*body).ok()?;
    }
    Some((path, headers, body))
}
