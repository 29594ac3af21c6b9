//! What the backend writes of a trace, as spans that tests can look at.

use std::collections::BTreeMap;

use codex_trace_export::content::{Capture, Content, ContentRules};
use codex_trace_export::{Cx, Exporter, Notes, Settings, Unit, logfire};
use codex_trace_model::Trace;
use serde_json::{Value, json};

use crate::support::exporter;

/// A span, its attributes in the order of the wire.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    pub(crate) name: String,
    pub(crate) kind: i64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) status: Value,
    pub(crate) attributes: Vec<Attribute>,
}

/// Key, type and value of an attribute.
pub(crate) type Attribute = (String, String, Value);

impl Span {
    /// Returns the value of an attribute; null if there is none.
    pub(crate) fn get(&self, key: &str) -> Value {
        let found = self.attributes.iter().find(|(name, _, _)| name == key);
        found.map_or(Value::Null, |(_, _, value)| value.clone())
    }

    /// Returns a number.
    pub(crate) fn int(&self, key: &str) -> Option<u64> {
        self.get(key).as_str().map(|text| text.parse().unwrap())
    }
}

/// Everything of a trace that was written.
pub(crate) struct Written {
    pub(crate) resource: Vec<Attribute>,
    pub(crate) scope: Value,
    pub(crate) spans: Vec<Span>,
}

/// Settings of a Logfire on this machine, which writes JSON.
pub(crate) fn settings(options: &[(&str, &str)]) -> Settings {
    let mut settings =
        Settings { endpoint: Some("http://localhost:3000".to_owned()), ..Settings::default() };
    settings.env.0.insert("LOGFIRE_TOKEN".to_owned(), "pylf_v1_local_x".to_owned());
    for (key, value) in options.iter().chain(&[("protocol", "http/json")]) {
        let mut specs = codex_trace_export::options::of(logfire::BACKEND.options);
        let spec = specs.find(|spec| spec.name() == *key).unwrap();
        settings.options.put_text(spec, value).unwrap();
    }
    settings
}

/// Writes a trace with nothing redacted.
pub(crate) fn written(trace: &Trace<'_>, capture: Capture) -> Written {
    let exporter = exporter("logfire", &settings(&[]));
    let rules = ContentRules::new(capture, None, Content::default());
    written_by(&*exporter, trace, &rules, &Notes::default())
}

/// Writes a trace.
pub(crate) fn written_by(
    exporter: &dyn Exporter,
    trace: &Trace<'_>,
    rules: &ContentRules,
    notes: &Notes,
) -> Written {
    let mut all = Written { resource: Vec::new(), scope: Value::Null, spans: Vec::new() };
    exporter
        .encode(&Cx { trace, rules, notes }, &mut |unit: Unit| {
            for nth in 0..unit.pieces.len() {
                let piece: Value = serde_json::from_slice(unit.piece(nth)).unwrap();
                all.resource = attributes(&piece["resource"]["attributes"]);
                all.scope = piece["scopeSpans"][0]["scope"].clone();
                all.spans.extend(list(&piece["scopeSpans"][0]["spans"]).iter().map(span));
            }
        })
        .unwrap();
    all
}

/// By id.
pub(crate) fn by_id(spans: &[Span]) -> BTreeMap<&str, &Span> {
    let map: BTreeMap<_, _> = spans.iter().map(|span| (&*span.id, span)).collect();
    assert_eq!(map.len(), spans.len(), "no id is there twice");
    map
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Reads a span as OTLP has it in JSON.
pub(crate) fn span(it: &Value) -> Span {
    let text = |key: &str| it[key].as_str().unwrap().to_owned();
    Span {
        trace: text("traceId"),
        id: text("spanId"),
        parent: it["parentSpanId"].as_str().filter(|id| !id.is_empty()).map(str::to_owned),
        name: text("name"),
        kind: it["kind"].as_i64().unwrap(),
        start: text("startTimeUnixNano").parse().unwrap(),
        end: text("endTimeUnixNano").parse().unwrap(),
        status: it["status"].clone(),
        attributes: attributes(&it["attributes"]),
    }
}

fn attributes(all: &Value) -> Vec<Attribute> {
    let of = |it: &Value| {
        let (kind, value) = it["value"].as_object().unwrap().iter().next().unwrap();
        let value = match &**kind {
            "arrayValue" => {
                let values = list(&value["values"]).iter();
                json!(values.map(|it| it["stringValue"].clone()).collect::<Vec<_>>())
            }
            _ => value.clone(),
        };
        (it["key"].as_str().unwrap().to_owned(), kind.clone(), value)
    };
    list(all).iter().map(of).collect()
}
