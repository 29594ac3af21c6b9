//! Uploads all homes to a real OpenTelemetry Collector, in both encodings, and
//! gives it converted files; compares what it writes out with the trees. Sends it
//! all signals of Codex' own telemetry, over HTTP and gRPC. See
//! docs/testing-servers.md.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use codex_trace_deliver::transport::{Header, Method, Request};
use codex_trace_export::content::ContentRules;
use codex_trace_export::{Address, Notes, Settings, logfire};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest as Logs;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest as Metrics;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest as Traces;
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::logfire::spans::{self, Span, written_by};
use crate::servers::{Facts, agent, compare, expected, found, send, server, upload};
use crate::support::{exporter, for_each_trace, for_each_trace_in, homes, recordings};
use crate::telemetry::{bodies, connect};

/// The collector, and the file that it appends each request to, for one test at
/// a time.
struct Collector {
    base: String,
    file: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

impl Collector {
    fn find() -> Option<Collector> {
        static TURN: Mutex<()> = Mutex::new(());
        let base = server("collector", "http://127.0.0.1:5318")?;
        let file = std::env::var_os("CODEX_TRACE_COLLECTOR_FILE");
        let file = file.expect("CODEX_TRACE_COLLECTOR_FILE says where the collector writes");
        let alone = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Collector { base, file: file.into(), _alone: alone })
    }

    /// Returns the lines that are added to a file while `job` runs.
    fn lines(&self, name: &str, job: impl FnOnce()) -> Vec<String> {
        let path = self.file.with_file_name(name);
        let before = fs::metadata(&path).map_or(0, |it| it.len());
        job();
        let mut file = fs::File::open(&path).unwrap();
        file.seek(SeekFrom::Start(before)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Returns the spans that come out while `job` puts some in.
    fn spans(&self, job: impl FnOnce()) -> Vec<Value> {
        let lines = self.lines("traces.jsonl", job);
        let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
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
            body: body.to_vec().into(),
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
            upload(&agent(), &mut exporter);
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

/// Sends the recordings by the command.
fn command(endpoint: &str, protocol: &str, signal: &str) {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_codex-trace"));
    command.env_clear().env("HOME", home.path());
    command.args(["upload", "--to", "codex-otel", "--settle", "0s", "--no-redact"]);
    command.args(["--endpoint", endpoint, "--protocol", protocol, "--signal", signal]);
    let output = command.args(recordings()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What of a request can be told apart: each record with what it comes from.
trait Parts: DeserializeOwned + Message + Default {
    const SIGNAL: &'static str;

    fn parts(self) -> Vec<Vec<u8>>;
}

macro_rules! parts {
    ($request:ident, $signal:literal, $resources:ident, $scopes:ident, $records:ident) => {
        impl Parts for $request {
            const SIGNAL: &'static str = $signal;

            fn parts(self) -> Vec<Vec<u8>> {
                let mut all = Vec::new();
                for by_resource in self.$resources {
                    for by_scope in by_resource.$scopes {
                        for record in by_scope.$records {
                            let mut part = by_resource.resource.clone().unwrap().encode_to_vec();
                            part.extend(by_scope.scope.clone().unwrap().encode_to_vec());
                            part.extend(record.encode_to_vec());
                            all.push(part);
                        }
                    }
                }
                all
            }
        }
    };
}

parts!(Logs, "logs", resource_logs, scope_logs, log_records);
parts!(Metrics, "metrics", resource_metrics, scope_metrics, metrics);
parts!(Traces, "traces", resource_spans, scope_spans, spans);

/// Reads what the collector has written. It says of a record without a body that
/// the body is empty.
fn read<T: Parts>(line: &str) -> T {
    serde_json::from_str(&line.replace("\"body\":{},", "")).unwrap()
}

fn sorted<T: Parts>(requests: impl Iterator<Item = T>) -> Vec<Vec<u8>> {
    let mut parts: Vec<_> = requests.flat_map(Parts::parts).collect();
    parts.sort();
    parts
}

fn over_all_ways<T: Parts>(collector: &Collector) {
    let exporter = connect(T::SIGNAL, "http/protobuf");
    let mut meant = Vec::new();
    for dir in recordings() {
        for_each_trace_in(&dir, |trace| meant.extend(bodies(&*exporter, trace)));
    }
    let meant = sorted(meant.iter().map(|it| T::decode(it.as_slice()).unwrap()));
    let (host, port) = collector.base.rsplit_once(':').unwrap();
    let grpc = format!("{host}:{}", port.parse::<u16>().unwrap() - 1);
    for (protocol, endpoint) in
        [("grpc", &grpc), ("http/protobuf", &collector.base), ("http/json", &collector.base)]
    {
        let lines = collector.lines(&format!("{}.jsonl", T::SIGNAL), || {
            command(endpoint, protocol, T::SIGNAL);
        });
        let written = sorted(lines.iter().map(|it| read::<T>(it)));
        println!("collector, {} over {protocol}: {}", T::SIGNAL, written.len());
        assert!(!written.is_empty() && written == meant, "{} over {protocol}", T::SIGNAL);
    }
}

#[test]
fn the_collector_writes_all_signals_as_they_were_meant() {
    let Some(collector) = Collector::find() else { return };
    over_all_ways::<Logs>(&collector);
    over_all_ways::<Metrics>(&collector);
    over_all_ways::<Traces>(&collector);
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
            upload(&agent(), &mut exporter);
        });
        println!("collector, logfire by {protocol}: {} spans", found.len());
        let found = said(found.iter().map(spans::span));
        assert_eq!(found.len(), expected.len(), "{protocol}");
        for (id, expected) in &expected {
            assert_eq!(found.get(id), Some(expected), "{protocol} {id:?}");
        }
    }
}
