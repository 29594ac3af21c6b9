//! What we would send for a recording.

use std::collections::BTreeMap;
use std::path::PathBuf;

use codex_trace_export::codex_otel::{BACKEND, openmetrics};
use codex_trace_export::content::ContentRules;
use codex_trace_export::otlp::ids::Hex;
use codex_trace_export::otlp::log_proto::{ExportLogsServiceRequest, LogRecord};
use codex_trace_export::otlp::proto::{KeyValue, Value as Any};
use codex_trace_export::{ConfigFiles, Cx, Exporter, Notes, Settings, Unit};
use prost::Message as _;
use serde_json::Value;

use crate::recorded::Recording;
use crate::support::for_each_trace;

/// A record that we would send.
pub(crate) struct SentRecord {
    pub(crate) resource: BTreeMap<String, Value>,
    pub(crate) record: LogRecord,
    pub(crate) attributes: BTreeMap<String, Value>,
}

impl SentRecord {
    /// Returns the trace id in hex.
    pub(crate) fn trace_id(&self) -> String {
        Hex(&self.record.trace_id).to_string()
    }
}

/// Makes exporters by a `config.toml`.
pub(crate) fn connected(config: &str) -> Vec<Box<dyn Exporter>> {
    let home = PathBuf::from("/codex");
    let files = BTreeMap::from([(home.join("config.toml"), config.to_owned())]);
    let settings = Settings {
        endpoint: Some("http://localhost:3100/otlp".to_owned()),
        codex_home: Some(home),
        files: ConfigFiles::new(files),
        ..Settings::default()
    };
    (BACKEND.connect)(&settings).unwrap()
}

/// Returns the records that we would send, in order.
pub(crate) fn logs(recording: &Recording) -> Vec<SentRecord> {
    let config = format!(
        "[otel]\nlog_user_prompt = {}\nlog_agent_responses = {}\n",
        recording.is_on("log_user_prompt"),
        recording.is_on("log_agent_responses")
    );
    logs_of(&recording.dir, &config)
}

/// Returns the records that we would send of a directory by a `config.toml`, in
/// order.
pub(crate) fn logs_of(dir: &std::path::Path, config: &str) -> Vec<SentRecord> {
    let exporter = connected(config).remove(0);
    let rules = ContentRules::default();
    let mut records = Vec::new();
    for_each_trace(dir, |trace| {
        let cx = Cx { trace, rules: &rules, notes: &Notes::default() };
        exporter
            .encode(&cx, &mut |unit: Unit| {
                for nth in 0..unit.pieces.len() {
                    records.extend(decoded(unit.piece(nth)));
                }
            })
            .unwrap();
    });
    records.sort_by_key(|it| it.record.time_unix_nano);
    records
}

fn decoded(piece: &[u8]) -> Vec<SentRecord> {
    let request = ExportLogsServiceRequest::decode(piece).unwrap();
    let mut records = Vec::new();
    for logs in request.resource_logs {
        let resource = map(&logs.resource.unwrap().attributes);
        for record in logs.scope_logs.into_iter().flat_map(|it| it.log_records) {
            let attributes = map(&record.attributes);
            records.push(SentRecord { resource: resource.clone(), record, attributes });
        }
    }
    records
}

/// Returns attributes as JSON values: the type is part of the contract. Names are
/// there once.
fn map(attributes: &[KeyValue]) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for attribute in attributes {
        let value = match attribute.value.clone().unwrap().value.unwrap() {
            Any::String(text) => Value::from(text),
            Any::Bool(flag) => Value::from(flag),
            Any::Int(number) => Value::from(number),
            other => panic!("{other:?}"),
        };
        assert!(all.insert(attribute.key.to_string(), value).is_none(), "{} twice", attribute.key);
    }
    all
}

/// Returns what the text for Prometheus has of a directory: the last value of each
/// series, by name with its suffix and labels.
pub(crate) fn openmetrics(dir: &std::path::Path) -> BTreeMap<(String, String), (f64, u64)> {
    let mut last = BTreeMap::new();
    let rules = ContentRules::default();
    for_each_trace(dir, |trace| {
        let mut text = Vec::new();
        openmetrics::write(trace, &rules, &mut text);
        for line in String::from_utf8(text).unwrap().lines() {
            let (series, rest) = line.rsplit_once("} ").unwrap();
            let (name, labels) = series.split_once('{').unwrap();
            let (value, at) = rest.split_once(' ').unwrap();
            let (value, at): (u64, f64) = (value.parse().unwrap(), at.parse().unwrap());
            let key = (name.to_owned(), labels.to_owned());
            let before = last.insert(key, (at, value));
            assert!(before.is_none_or(|(then, less)| then < at && less <= value), "{line}");
        }
    });
    last
}
