//! Uploads all homes to real servers and compares what they say they have with
//! the trees. See docs/testing-servers.md.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codex_trace_deliver::transport::{Header, Method, Request, Response};
use codex_trace_export::options::OptionSet;
use codex_trace_export::otlp::SEMCONV;
use codex_trace_export::{Address, Body, Exporter, Learned, Question, Settings, Verdict};
use codex_trace_model::{Span, SpanKind as Kind, Status, Trace};
use serde_json::{Value, json};

use crate::support::{exporter, for_each_trace, units, with_bytes};

/// Returns the address of a server to test on, or says why there is none.
#[expect(clippy::disallowed_methods, reason = "the tests' own switch")]
pub(crate) fn server(name: &str, default: &str) -> Option<String> {
    if std::env::var_os("CODEX_TRACE_SERVERS").is_none() {
        println!("skipped: set CODEX_TRACE_SERVERS=1 to test on a real {name}");
        return None;
    }
    let variable = format!("CODEX_TRACE_{}_URL", name.to_uppercase());
    Some(std::env::var(variable).unwrap_or_else(|_| default.to_owned()))
}

/// Waits until no other test is at MLflow, where a session's traces are in one
/// experiment at a time, whichever asked for them last.
pub(crate) fn alone_at_mlflow() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        // A server may close what was idle just when the next request goes out.
        .max_idle_connections(0)
        .timeout_global(Some(Duration::from_secs(120)));
    config.build().into()
}

pub(crate) fn send(agent: &ureq::Agent, request: &Request) -> Response {
    let mut builder =
        ureq::http::Request::builder().method(request.method.word()).uri(request.url.expose());
    for header in &request.headers {
        builder = builder.header(header.name.as_ref(), header.wire_value());
    }
    let mut answer = agent.run(builder.body(request.body.to_bytes().as_ref()).unwrap()).unwrap();
    Response::new(answer.status().as_u16(), answer.body_mut().read_to_vec().unwrap())
}

pub(crate) fn get(agent: &ureq::Agent, url: &str) -> Value {
    let request = Request {
        method: Method::Get,
        url: Address::unchecked(url),
        headers: Vec::new(),
        body: Body::default(),
    };
    let answer = send(agent, &request);
    assert_eq!(answer.status, 200, "{} {}", request.url, answer.reason());
    serde_json::from_slice(&answer.body).unwrap()
}

fn ask(agent: &ureq::Agent, url: &str, body: &Value) -> Value {
    let headers = vec![Header::new("Content-Type", "application/json")];
    let (url, body) = (Address::unchecked(url), serde_json::to_vec(body).unwrap().into());
    let answer = send(agent, &Request { method: Method::Post, url, headers, body });
    assert_eq!(answer.status, 200, "{}", answer.reason());
    serde_json::from_slice(&answer.body).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Asks what is to be asked before, then sends every unit of every home, a
/// session's on the same route together.
pub(crate) fn upload(agent: &ureq::Agent, exporter: &mut Box<dyn Exporter>) -> usize {
    prepare(agent, exporter);
    let exporter = &**exporter;
    let mut requests = 0;
    for_each_trace(|home, trace| {
        let mut units = units(exporter, trace);
        units.sort_by_key(|unit| unit.route);
        for (nth, route) in exporter.contract().routes.iter().enumerate() {
            let alone = route.limits.max_pieces == 1;
            let mine = units.iter().filter(|it| it.route == nth);
            let pieces = mine.flat_map(|unit| (0..unit.pieces.len()).map(|nth| unit.piece(nth)));
            let pieces: Vec<&[u8]> = pieces.collect();
            for pieces in pieces.chunks(if alone { 1 } else { pieces.len().max(1) }) {
                let (open, between, close) =
                    (&route.framing.open, &*route.framing.between, &route.framing.close);
                let body = [open, pieces.join(between).as_slice(), close].concat();
                let mut headers = route.headers.clone();
                headers.push(Header::new("Content-Type", route.content_type.clone()));
                let zipped = !route.compressions.is_empty();
                if zipped {
                    headers.push(Header::new("Content-Encoding", "gzip"));
                }
                let body = if zipped { gzip(&body) } else { body }.into();
                let url = route.url.clone();
                let answer = send(agent, &Request { method: route.method, url, headers, body });
                assert_eq!(exporter.verdict(nth, &answer), Verdict::Done, "{home}");
                requests += 1;
            }
        }
    });
    requests
}

/// What of a span must come back.
#[derive(Debug, PartialEq)]
pub(crate) struct Facts {
    pub(crate) name: String,
    pub(crate) parent: Option<String>,
    pub(crate) start: Option<i128>,
    pub(crate) end: Option<i128>,
    pub(crate) total_tokens: Option<u64>,
    pub(crate) is_error: bool,
}

/// `thread/key` of a span.
fn place(trace: &Trace<'_>, span: &Span<'_>) -> String {
    format!("{}/{}", trace.thread_of(span).id, span.key)
}

/// The facts of all spans of all homes but the root threads', by place.
pub(crate) fn expected(
    name: impl Fn(&Trace<'_>, &Span<'_>) -> Option<String>,
) -> BTreeMap<String, Facts> {
    let mut all = BTreeMap::new();
    for_each_trace(|home, trace| {
        for (_, span) in trace.iter().skip(1) {
            let parent = span.parent.filter(|it| it.0 > 0).map(|it| place(trace, trace.span(it)));
            let own = matches!(span.kind, Kind::ModelCall(_)).then_some(span.usage).flatten();
            let facts = Facts {
                name: name(trace, span).unwrap_or_default(),
                parent,
                start: span.start.map(codex_trace_model::Timestamp::as_nanosecond),
                end: span.start.and(span.end).map(codex_trace_model::Timestamp::as_nanosecond),
                total_tokens: own.map(|it| it.input_tokens + it.output_tokens),
                is_error: matches!(span.status, Status::Error { .. } | Status::Interrupted { .. }),
            };
            // Some threads are in two homes, once of them compressed.
            let place = place(trace, span);
            if let Some(before) = all.get(&place) {
                assert_eq!(*before, facts, "{home}: {place}");
            }
            all.insert(place, facts);
        }
    });
    all
}

/// What a server gave back, in the same shape.
pub(crate) fn found(
    spans: Vec<(String, Option<String>, String, Facts)>,
) -> BTreeMap<String, Facts> {
    let ids: BTreeMap<String, String> =
        spans.iter().map(|(id, _, place, _)| (id.clone(), place.clone())).collect();
    spans
        .into_iter()
        .map(|(_, parent, place, facts)| {
            let parent = parent.map(|id| ids.get(&id).cloned().unwrap_or(id));
            (place, Facts { parent, ..facts })
        })
        .collect()
}

pub(crate) fn compare(
    server: &str,
    expected: &BTreeMap<String, Facts>,
    found: &BTreeMap<String, Facts>,
) {
    assert_eq!(found.len(), expected.len(), "{server}: spans");
    for (place, expected) in expected {
        let found = found.get(place).unwrap_or_else(|| panic!("{server} lacks {place}"));
        let start = expected.start.or(found.start);
        let end = expected.end.or(found.end);
        let name = if expected.name.is_empty() { &found.name } else { &expected.name };
        let expected =
            Facts { name: name.clone(), start, end, parent: expected.parent.clone(), ..*expected };
        assert_eq!(*found, expected, "{server}: {place}");
    }
}

/// An attribute as the server gives it back: JSON texts have become values.
fn attribute<'v>(span: &'v Value, key: &str) -> Option<&'v Value> {
    let attribute = span["attributes"].as_array()?.iter().find(|it| it["key"] == key)?;
    attribute["value"].as_object()?.values().next()
}

fn number(value: &Value) -> Option<i128> {
    value.as_str().map_or_else(|| value.as_i64().map(i128::from), |text| text.parse().ok())
}

/// Removes what an earlier run has stored: spans of a trace that is there go to
/// where it is.
pub(crate) fn forget_mlflow(agent: &ureq::Agent, base: &str, name: &str) {
    let url = format!("{base}/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}");
    let request = Request {
        method: Method::Get,
        url: Address::unchecked(&url),
        headers: Vec::new(),
        body: Body::default(),
    };
    let found = send(agent, &request);
    if found.status == 200 {
        let found: Value = serde_json::from_slice(&found.body).unwrap();
        let id = &found["experiment"]["experiment_id"];
        let all = json!({ "experiment_id": id, "max_timestamp_millis": i64::MAX / 1_000_000 });
        ask(agent, &format!("{base}/api/3.0/mlflow/traces/delete-traces"), &all);
    }
}

pub(crate) fn mlflow_traces(agent: &ureq::Agent, base: &str, experiment: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut token = Value::Null;
    loop {
        let search = json!({
            "locations": [{
                "type": "MLFLOW_EXPERIMENT",
                "mlflow_experiment": { "experiment_id": experiment },
            }],
            "max_results": 100,
            "page_token": token,
        });
        let page = ask(agent, &format!("{base}/api/3.0/mlflow/traces/search"), &search);
        for info in page["traces"].as_array().into_iter().flatten() {
            let id = info["trace_id"].as_str().unwrap();
            let whole = get(agent, &format!("{base}/api/3.0/mlflow/traces/get?trace_id={id}"));
            all.push(whole["trace"].clone());
        }
        token = page["next_page_token"].clone();
        if token.as_str().is_none_or(str::is_empty) {
            all.sort_by_key(|trace| trace["trace_info"]["trace_id"].to_string());
            return all;
        }
    }
}

fn mlflow_span(span: &Value) -> (String, Option<String>, String, Facts) {
    let text = |key: &str| span[key].as_str().filter(|it| !it.is_empty()).map(str::to_owned);
    let word = |key: &str| attribute(span, key).and_then(Value::as_str).unwrap();
    let place = format!("{}/{}", word("codex.thread.id"), word("codex.span.key"));
    let usage = attribute(span, "mlflow.chat.tokenUsage").map(|it| &it["values"]);
    let total = usage.and_then(|it| it.as_array()?.iter().find(|it| it["key"] == "total_tokens"));
    let facts = Facts {
        name: text("name").unwrap(),
        parent: None,
        start: number(&span["start_time_unix_nano"]),
        end: number(&span["end_time_unix_nano"]),
        total_tokens: total.and_then(|it| it["value"]["int_value"].as_u64()),
        is_error: span["status"]["code"].to_string().contains("ERROR")
            || span["status"]["code"] == 2,
    };
    (text("span_id").unwrap(), text("parent_span_id"), place, facts)
}

#[test]
fn mlflow_has_what_the_trees_have() {
    let Some(base) = server("mlflow", "http://127.0.0.1:5101") else { return };
    let _alone = alone_at_mlflow();
    let agent = agent();
    let name = "codex-trace-test".to_owned();
    forget_mlflow(&agent, &base, &name);
    let settings = Settings {
        endpoint: Some(base.clone()),
        project: Some(name.clone()),
        ..Settings::default()
    };
    let mut exporter = exporter("mlflow", &settings);
    let requests = upload(&agent, &mut exporter);
    let url = format!("{base}/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}");
    let experiment = get(&agent, &url)["experiment"]["experiment_id"].as_str().unwrap().to_owned();
    let first = mlflow_traces(&agent, &base, &experiment);
    let spans: Vec<Value> =
        first.iter().flat_map(|it| it["spans"].as_array().unwrap().clone()).collect();
    println!("mlflow {name}: {} traces, {} spans, {requests} requests", first.len(), spans.len());
    let names = |_: &Trace<'_>, span: &Span<'_>| match &span.kind {
        Kind::ModelCall(_) => Some("llm_call".to_owned()),
        _ => None,
    };
    compare("mlflow", &expected(names), &found(spans.iter().map(mlflow_span).collect()));

    let by_session = |traces: &[Value]| {
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        for trace in traces {
            let metadata = &trace["trace_info"]["trace_metadata"];
            let usage = metadata["mlflow.trace.tokenUsage"].as_str().unwrap_or("{}");
            let usage: Value = serde_json::from_str(usage).unwrap();
            let session = metadata["mlflow.trace.session"].as_str().unwrap().to_owned();
            *sums.entry(session).or_default() += usage["total_tokens"].as_u64().unwrap_or(0);
        }
        sums
    };
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for_each_trace(|_, trace| {
        if trace.spans.len() > 1 {
            // The compressed copy of one is older than the other.
            let sum: &mut u64 = sums.entry(trace.session_id().to_owned()).or_default();
            *sum = trace.usage().total_tokens.max(*sum);
        }
    });
    assert_eq!(by_session(&first), sums, "mlflow: sessions and their tokens");

    upload(&agent, &mut exporter);
    let second = mlflow_traces(&agent, &base, &experiment);
    assert_eq!(
        without_revision(second),
        without_revision(first),
        "the second upload changes nothing"
    );
}

/// Asks all that is asked before anything is sent.
fn prepare(agent: &ureq::Agent, exporter: &mut Box<dyn Exporter>) {
    let mut next = exporter.preflight();
    while let Some(Question { request, inquiry }) = next.take() {
        match inquiry.learn(&send(agent, &request)).unwrap() {
            Learned::More(question) => next = Some(question),
            Learned::All(learned) => *exporter = learned,
        }
    }
}

/// The live plugin sends traces without tags, and with ids of its own.
#[test]
fn mlflow_does_not_get_again_what_the_plugin_has_sent() {
    let Some(base) = server("mlflow", "http://127.0.0.1:5101") else { return };
    let _alone = alone_at_mlflow();
    let agent = agent();
    let name = "codex-trace-test-live".to_owned();
    forget_mlflow(&agent, &base, &name);
    let settings = Settings {
        endpoint: Some(base.clone()),
        project: Some(name.clone()),
        ..Settings::default()
    };
    let mut exporter = exporter("mlflow", &settings);
    prepare(&agent, &mut exporter);
    let line = |at: u32, kind: &str, payload: Value| {
        let at = format!("2026-05-01T10:00:{at:02}.123Z");
        json!({ "timestamp": at, "type": kind, "payload": payload }).to_string() + "\n"
    };
    let event = |at, kind: &str, turn: &str| {
        line(at, "event_msg", json!({ "type": kind, "turn_id": turn }))
    };
    let rollout = [
        line(0, "session_meta", json!({ "id": "live-thread" })),
        event(1, "task_started", "one"),
        event(2, "task_complete", "one"),
        event(3, "task_started", "two"),
        event(4, "task_complete", "two"),
    ]
    .concat();
    let turns = |exporter: &dyn Exporter| -> Vec<String> {
        let units = with_bytes(&rollout, |trace| units(exporter, trace));
        let sent = units.into_iter().filter(|it| it.route == 0 && !it.pieces.is_empty());
        sent.filter_map(|it| it.key.turn).collect()
    };
    assert_eq!(turns(exporter.as_ref()), ["turn:one", "turn:two"]);

    let url = format!("{base}/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}");
    let experiment = get(&agent, &url)["experiment"]["experiment_id"].clone();
    let live = json!({ "trace": { "trace_info": {
        "trace_id": "tr-00000000000000000000000000c0dec5",
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": { "experiment_id": experiment },
        },
        "request_time": "2026-05-01T10:00:01.123Z",
        "execution_duration": "1s",
        "state": "OK",
        "trace_metadata": {
            "mlflow.trace_schema.version": "3",
            "mlflow.trace.session": "live-thread",
            "mlflow.trace.user": "tester",
        },
        "tags": {},
        "assessments": [],
    } } });
    ask(&agent, &format!("{base}/api/3.0/mlflow/traces"), &live);
    prepare(&agent, &mut exporter);
    assert_eq!(turns(exporter.as_ref()), ["turn:two"]);
}

/// Removes what the server itself counts up.
pub(crate) fn without_revision(mut traces: Vec<Value>) -> Vec<Value> {
    for trace in &mut traces {
        let spans = trace["spans"].as_array_mut().unwrap();
        spans.sort_by_key(|span| span["span_id"].to_string());
        for span in spans {
            span["attributes"].as_array_mut().unwrap().sort_by_key(|it| it["key"].to_string());
        }
    }
    traces
}

fn phoenix_spans(agent: &ureq::Agent, base: &str, project: &str, expect: usize) -> Vec<Value> {
    let mut tries = 0;
    loop {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let url = format!("{base}/v1/projects/{project}/spans?limit=1000{cursor}");
            let request = Request {
                method: Method::Get,
                url: Address::unchecked(&url),
                headers: Vec::new(),
                body: Body::default(),
            };
            let answer = send(agent, &request);
            if answer.status == 404 {
                break;
            }
            let page: Value = serde_json::from_slice(&answer.body).unwrap();
            all.extend(page["data"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        tries += 1;
        // It answers before it stores.
        if all.len() >= expect || tries > 100 {
            all.sort_by_key(|span| span["context"]["span_id"].to_string());
            return all;
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Phoenix keeps microseconds.
fn micros(text: &Value) -> Option<i128> {
    let at: codex_trace_model::Timestamp = text.as_str()?.parse().ok()?;
    Some(at.as_nanosecond())
}

fn phoenix_span(span: &Value) -> (String, Option<String>, String, Facts) {
    let attribute = |key: &str| &span["attributes"][key];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let place = format!(
        "{}/{}",
        attribute("codex.thread.id").as_str().unwrap(),
        attribute("codex.span.key").as_str().unwrap()
    );
    let prompt = attribute("llm.token_count.prompt").as_u64();
    let completion = attribute("llm.token_count.completion").as_u64();
    let facts = Facts {
        name: text(&span["name"]).unwrap(),
        parent: None,
        start: micros(&span["start_time"]),
        end: micros(&span["end_time"]),
        total_tokens: prompt.zip(completion).map(|(prompt, completion)| prompt + completion),
        is_error: span["status_code"] == "ERROR",
    };
    let id = text(&span["context"]["span_id"]).unwrap();
    (id, text(&span["parent_id"]), place, facts)
}

fn phoenix(semconv: &str) {
    let Some(base) = server("phoenix", "http://127.0.0.1:6106") else { return };
    let agent = agent();
    let project = "codex-trace-test".to_owned();
    // Span ids are the same in all conventions, and what is there stays as it is.
    let gone = agent.delete(format!("{base}/v1/projects/{project}")).call().unwrap();
    assert!(matches!(gone.status().as_u16(), 204 | 404), "{}", gone.status());
    let mut options = OptionSet::default();
    options.put_text(&SEMCONV.spec, semconv).unwrap();
    let settings = Settings {
        endpoint: Some(base.clone()),
        project: Some(project.clone()),
        options,
        ..Settings::default()
    };
    let mut exporter = exporter("otlp", &settings);
    let expected = expected(|_, _| None);
    let requests = upload(&agent, &mut exporter);
    let first = phoenix_spans(&agent, &base, &project, expected.len());
    println!("phoenix {project}: {} spans, {requests} requests", first.len());
    compare("phoenix", &expected, &found(first.iter().map(phoenix_span).collect()));

    upload(&agent, &mut exporter);
    std::thread::sleep(Duration::from_secs(5));
    let second = phoenix_spans(&agent, &base, &project, expected.len());
    assert_eq!(second, first, "the second upload changes nothing");
}

#[test]
fn phoenix_has_what_the_trees_have() {
    phoenix("openinference");
    phoenix("genai");
}
