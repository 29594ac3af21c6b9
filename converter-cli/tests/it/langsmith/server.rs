//! A server that takes and refuses what LangSmith does, as far as that is
//! known, on `std::net` alone. A request is stored as a whole or not at all.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use codex_trace_deliver::transport::{Http, NoAnswer, Request, Response, Transport};
use codex_trace_model::Timestamp;
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
    /// How many of a hundred uploads each kind of fault befalls.
    pub(crate) chaos: u64,
    /// How long to keep an answer to an upload back.
    pub(crate) delay: Duration,
    /// How long to think about one that holds a run that others hang under.
    pub(crate) slow_parents: Duration,
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
            chaos: 0,
            delay: Duration::ZERO,
            slow_parents: Duration::ZERO,
            multipart: true,
            zstd: true,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) rules: Rules,
    pub(crate) runs: BTreeMap<String, Value>,
    pub(crate) log: Vec<Logged>,
    /// What the faults are drawn from.
    dice: u64,
    /// How old the runs of each stored request were, youngest and oldest start.
    pub(crate) spread: Vec<(i64, i64)>,
    pub(crate) headers: Vec<String>,
}

/// A request, as far as it was answered.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) path: String,
    pub(crate) status: u16,
    /// Why, if it was refused.
    pub(crate) why: String,
    /// The connection, by number, and whether the answer got out.
    pub(crate) connection: usize,
    pub(crate) answered: bool,
}

impl Logged {
    fn told(&self) -> String {
        let Logged { path, status, why, connection, answered } = self;
        let answered = if *answered { "answered" } else { "no answer" };
        format!("{path} on connection {connection}: {status}, {answered} {why}")
    }
}

/// What befalls an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Status(u16),
    /// Nothing for longer than the client waits; stored or not.
    Silence {
        stored: bool,
    },
    /// The connection ends, before or after it is stored.
    Reset {
        stored: bool,
    },
    /// Half of the answer, and the end.
    HalfAnswer,
    /// The answer byte by byte.
    SlowLoris,
}

const FAULTS: [Fault; 9] = [
    Fault::Status(429),
    Fault::Status(500),
    Fault::Status(503),
    Fault::Silence { stored: false },
    Fault::Silence { stored: true },
    Fault::Reset { stored: false },
    Fault::Reset { stored: true },
    Fault::HalfAnswer,
    Fault::SlowLoris,
];

/// The server, running.
pub(crate) struct Server {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub(crate) fn start(rules: Rules) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state =
            Arc::new(Mutex::new(State { rules, dice: 88_172_645_463_325_252, ..State::default() }));
        let of_thread = Arc::clone(&state);
        thread::spawn(move || {
            for (nth, stream) in listener.incoming().enumerate() {
                let state = Arc::clone(&of_thread);
                thread::spawn(move || stream.map(|stream| serve(&state, stream, nth)).ok());
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
        self.state().log.iter().filter(|it| it.path == path && it.status == status).count()
    }

    /// Checks that nothing was refused and that every parent is there.
    #[track_caller]
    pub(crate) fn is_clean(&self) {
        let state = self.state();
        // A request whose answer was lost on a busy machine is sent again; that
        // its runs are there already is for the client to find out.
        let lost = state.log.iter().any(|it| !it.answered);
        let is_refusal = |it: &Logged| it.status >= 400 && !(lost && it.status == 409);
        let told: Vec<String> = state.log.iter().map(Logged::told).collect();
        assert!(!state.log.iter().any(is_refusal), "{told:#?}");
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
        let url = request.url.expose().replace("https://api.smith.langchain.com", &self.1);
        let url = codex_trace_export::Address::unchecked(&url);
        self.0.send(&Request { url, ..request.clone() })
    }
}

type Refusal = (u16, String);

fn serve(shared: &Mutex<State>, stream: TcpStream, connection: usize) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let (path, headers, body) = read_request(&mut reader)?;
        let is_upload = path == "/runs/multipart" || path == "/runs/batch";
        if is_upload && memchr::memmem::find(&body, br#""run_type":"chain""#).is_some() {
            let slow_parents = shared.lock().ok()?.rules.slow_parents;
            thread::sleep(slow_parents);
        }
        let mut state = shared.lock().ok()?;
        state.headers.push(headers.clone());
        let fault = if is_upload { state.fault() } else { None };
        let answer = match fault {
            Some(Fault::Status(status)) => Err((status, "a fault".to_owned())),
            Some(Fault::Silence { stored: false } | Fault::Reset { stored: false }) => {
                Err((0, "not even looked at".to_owned()))
            }
            _ => handle(&mut state, &path, &headers, &body),
        };
        let (status, text) = match answer {
            Ok(value) => (if is_upload { 202 } else { 200 }, value.to_string()),
            Err((status, why)) => (status, why),
        };
        let why = if status >= 400 { text.clone() } else { String::new() };
        let nth = state.log.len();
        state.log.push(Logged { path, status, why, connection, answered: false });
        let delay = if is_upload { state.rules.delay } else { Duration::ZERO };
        drop(state);
        thread::sleep(delay);
        let more = if status == 429 { "Retry-After: 0\r\n" } else { "" };
        let len = text.len();
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {len}\r\n{more}\r\n{text}");
        match fault {
            Some(Fault::Silence { .. }) => {
                // Until the client has had enough, which it shows by going.
                reader.fill_buf().ok()?;
                return None;
            }
            Some(Fault::Reset { .. }) => return None,
            Some(Fault::HalfAnswer) => {
                stream.write_all(&answer.as_bytes()[..answer.len() / 2]).ok()?;
                return None;
            }
            Some(Fault::SlowLoris) => {
                for byte in answer.as_bytes() {
                    stream.write_all(&[*byte]).ok()?;
                    thread::sleep(Duration::from_millis(1));
                }
            }
            _ => stream.write_all(answer.as_bytes()).ok()?,
        }
        shared.lock().ok()?.log[nth].answered = true;
    }
}

impl State {
    /// Draws what befalls an upload: what the test wants next, or one of the
    /// faults, each tried in turn.
    fn fault(&mut self) -> Option<Fault> {
        if !self.rules.faults.is_empty() {
            return Some(Fault::Status(self.rules.faults.remove(0)));
        }
        if self.rules.lose_answers > 0 {
            self.rules.lose_answers -= 1;
            return Some(Fault::Reset { stored: true });
        }
        FAULTS.into_iter().find(|_| {
            // xorshift: the same in every run, whatever its order.
            self.dice ^= self.dice << 13;
            self.dice ^= self.dice >> 7;
            self.dice ^= self.dice << 17;
            self.dice % 100 < self.rules.chaos
        })
    }
}

fn handle(state: &mut State, path: &str, headers: &str, body: &[u8]) -> Result<Value, Refusal> {
    let rules = state.rules.clone();
    if let Some(name) = path.strip_prefix("/sessions?limit=1&name=") {
        let known = state.runs.values().any(|run| run["session_name"] == *name);
        return Ok(if known { json!([{"id": project(name), "name": name}]) } else { json!([]) });
    }
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
            let runs = runs.map(|mut run| {
                // As the service: not the name of its project, but its id.
                let name = run.as_object_mut().and_then(|run| run.remove("session_name"));
                run["session_id"] = project(name.unwrap_or_default().as_str().unwrap_or("")).into();
                run
            });
            Ok(json!({ "runs": runs.collect::<Vec<_>>() }))
        }
        _ => Err((404, "no such thing".to_owned())),
    }
}

/// Returns the id of a project.
fn project(name: &str) -> String {
    format!("00000000-0000-4000-8000-{:012x}", name.len())
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

/// Checks one run by itself, and against its parent.
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
    // A parent comes first, and is what its child says it is.
    if let Some(parent) = parent {
        let parent = seen.get(parent).or(stored.get(parent));
        let parent = parent.ok_or_else(|| bad(format!("{id} comes before its parent")))?;
        let above = parent["dotted_order"].as_str().unwrap_or_default();
        if segments[..segments.len() - 1].join(".") != above {
            return Err(bad(format!("{id} is not where its parent is")));
        }
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
        let packed = body.len();
        body = zstd::decode_all(&*body).ok()?;
        // What the service's own clients say.
        let says = |what: &str, len: usize| {
            lower.contains(&format!("x-{what}-compressed-size: {len}\r\n"))
        };
        if !says("pre", body.len()) || !says("post", packed) {
            return None;
        }
    }
    Some((path, headers, body))
}
