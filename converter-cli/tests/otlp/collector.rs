//! Uploads all homes to a real OpenTelemetry Collector, in both encodings, and
//! gives it converted files; compares what it writes out with the trees. See
//! docs/testing-servers.md.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::Command;

use codex_trace_deliver::transport::{Header, Method, Request};
use codex_trace_export::content::ContentRules;
use codex_trace_export::{Address, Notes, Settings, logfire};
use serde_json::Value;

use crate::logfire::spans::{self, Span, written_by};
use crate::servers::{Facts, agent, compare, expected, found, send, server, upload};
use crate::support::{exporter, for_each_trace, homes};

/// The collector, and the file that it appends each request to.
struct Collector {
    base: String,
    file: PathBuf,
}

impl Collector {
    fn find() -> Option<Collector> {
        let base = server("collector", "http://127.0.0.1:5318")?;
        let file = std::env::var_os("CODEX_TRACE_COLLECTOR_FILE");
        let file = file.expect("CODEX_TRACE_COLLECTOR_FILE says where the collector writes");
        Some(Collector { base, file: file.into() })
    }

    /// Returns the spans that come out while `job` puts some in.
    fn spans(&self, job: impl FnOnce()) -> Vec<Value> {
        let before = fs::metadata(&self.file).map_or(0, |it| it.len());
        job();
        let mut file = fs::File::open(&self.file).unwrap();
        file.seek(SeekFrom::Start(before)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let all = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let resources = lines.flat_map(|line| all(&line, "resourceSpans"));
        let scopes = resources.flat_map(|resource| all(&resource, "scopeSpans"));
        scopes.flat_map(|scope| all(&scope, "spans")).collect()
    }

    /// Sends a file that `convert` has written.
    fn give(&self, content_type: &'static str, body: &[u8]) {
        let request = Request {
            method: Method::Post,
            url: Address::unchecked(&format!("{}/v1/traces", self.base)),
            headers: vec![Header::new("Content-Type", content_type)],
            body: body.to_vec(),
        };
        let answer = send(&agent(), &request);
        assert_eq!(answer.status, 200, "{}", answer.reason());
    }
}

fn convert(format: &str) -> Vec<u8> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_codex-trace"));
    command.args(["convert", "--to", format]).args(homes());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn collected(span: &Value) -> (String, Option<String>, String, Facts) {
    let attribute = |key: &str| {
        let attributes = span["attributes"].as_array()?;
        let found = attributes.iter().find(|it| it["key"] == key)?;
        found["value"].as_object()?.values().next()
    };
    let text = |value: &Value| value.as_str().filter(|it| !it.is_empty()).map(str::to_owned);
    let word = |key: &str| attribute(key).and_then(text).unwrap();
    let int = |key: &str| attribute(key)?.as_str()?.parse::<u64>().ok();
    let time = |key: &str| text(&span[key]).map(|it| it.parse().unwrap());
    let usage = int("gen_ai.usage.input_tokens").zip(int("gen_ai.usage.output_tokens"));
    let facts = Facts {
        name: text(&span["name"]).unwrap(),
        parent: None,
        start: time("startTimeUnixNano"),
        end: time("endTimeUnixNano"),
        total_tokens: usage.map(|(input, output)| input + output),
        is_error: span["status"]["code"] == 2,
    };
    let place = format!("{}/{}", word("codex.thread.id"), word("codex.span.key"));
    (word_of(&span["spanId"]), text(&span["parentSpanId"]), place, facts)
}

fn word_of(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[test]
fn the_collector_writes_what_the_trees_have() {
    let Some(collector) = Collector::find() else { return };
    let expected = expected(|_, _| None);
    let check = |how: &str, spans: &[Value]| {
        println!("collector, {how}: {} spans", spans.len());
        compare(how, &expected, &found(spans.iter().map(collected).collect()));
    };
    for protocol in ["http/protobuf", "http/json"] {
        let mut settings =
            Settings { endpoint: Some(collector.base.clone()), ..Settings::default() };
        let variable = "OTEL_EXPORTER_OTLP_PROTOCOL".to_owned();
        settings.env.0.insert(variable, protocol.to_owned());
        let mut exporter = exporter("otlp", &settings);
        let spans = collector.spans(|| {
            upload(&agent(), exporter.as_mut());
        });
        check(protocol, &spans);
    }
    let spans =
        collector.spans(|| collector.give("application/x-protobuf", &convert("otlp-proto")));
    check("a file of otlp-proto", &spans);
    let spans = collector.spans(|| {
        let lines = convert("otlp-json");
        lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).for_each(|line| {
            collector.give("application/json", line);
        });
    });
    check("lines of otlp-json", &spans);
}

/// What a span says, by its ids.
fn said(spans: impl IntoIterator<Item = Span>) -> BTreeMap<(String, String), String> {
    let of = |span: Span| {
        let Span { trace, id, parent, name, kind, start, end, status, attributes } = span;
        let code = status["code"].as_i64().unwrap_or_default();
        let message = status["message"].as_str().unwrap_or_default().to_owned();
        let all = (parent, name, kind, start, end, code, message, attributes);
        ((trace, id), format!("{all:?}"))
    };
    spans.into_iter().map(of).collect()
}

/// Every span of Logfire's, attribute by attribute.
#[test]
fn the_collector_writes_what_logfire_is_sent() {
    let Some(collector) = Collector::find() else { return };
    let mut expected = Vec::new();
    let as_json = exporter("logfire", &spans::settings(&[]));
    for_each_trace(|_, trace| {
        let (rules, notes) = (ContentRules::default(), Notes::default());
        expected.extend(written_by(&*as_json, trace, &rules, &notes).spans);
    });
    let expected = said(expected);
    for protocol in ["http/protobuf", "http/json"] {
        let mut settings = spans::settings(&[]);
        settings.endpoint = Some(collector.base.clone());
        let mut specs = codex_trace_export::options::of(logfire::BACKEND.options);
        let spec = specs.find(|spec| spec.name() == "protocol").unwrap();
        settings.options.put_text(spec, protocol).unwrap();
        let mut exporter = exporter("logfire", &settings);
        let found = collector.spans(|| {
            upload(&agent(), exporter.as_mut());
        });
        println!("collector, logfire by {protocol}: {} spans", found.len());
        let found = said(found.iter().map(spans::span));
        assert_eq!(found.len(), expected.len(), "{protocol}");
        for (id, expected) in &expected {
            assert_eq!(found.get(id), Some(expected), "{protocol} {id:?}");
        }
    }
}
