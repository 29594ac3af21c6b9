//! OTLP/JSON: the messages as the OTLP specification maps them to JSON, which
//! is protobuf's own mapping but for ids in hex and enums as numbers.

use std::io::Write as _;

use super::ids::Hex;
use super::proto::{
    AnyValue, Event, InstrumentationScope, KeyValue, Link, Resource, Span, Status, Value,
};
use crate::json::{array, list};

/// Appends spans of one resource and scope as an object.
pub(super) fn resource_spans<'s>(
    out: &mut Vec<u8>,
    of: &Resource,
    by: &InstrumentationScope,
    spans: impl IntoIterator<Item = &'s Span>,
) {
    resource(out, Some(of));
    out.extend_from_slice(b",\"scopeSpans\":[");
    scope(out, Some(by));
    out.extend_from_slice(b",\"spans\":");
    array(out, spans, |it, out| span(out, it));
    out.extend_from_slice(b"}]}");
}

/// Opens the object of what one resource has sent.
pub(super) fn resource(out: &mut Vec<u8>, resource: Option<&Resource>) {
    out.extend_from_slice(b"{\"resource\":{");
    if let Some(resource) = resource {
        attributes(out, &resource.attributes);
    }
    out.push(b'}');
}

/// Opens the object of what one scope has written.
pub(super) fn scope(out: &mut Vec<u8>, scope: Option<&InstrumentationScope>) {
    out.extend_from_slice(b"{\"scope\":{");
    if let Some(scope) = scope {
        out.extend_from_slice(b"\"name\":");
        text(out, &scope.name);
        out.extend_from_slice(b",\"version\":");
        text(out, &scope.version);
    }
    out.push(b'}');
}

fn span(out: &mut Vec<u8>, span: &Span) {
    put(out, format_args!("{{\"traceId\":\"{}\"", Hex(&span.trace_id)));
    put(out, format_args!(",\"spanId\":\"{}\"", Hex(&span.span_id)));
    if !span.parent_span_id.is_empty() {
        put(out, format_args!(",\"parentSpanId\":\"{}\"", Hex(&span.parent_span_id)));
    }
    out.extend_from_slice(b",\"name\":");
    text(out, &span.name);
    put(out, format_args!(",\"kind\":{}", span.kind));
    put(out, format_args!(",\"startTimeUnixNano\":\"{}\"", span.start_time_unix_nano));
    put(out, format_args!(",\"endTimeUnixNano\":\"{}\",", span.end_time_unix_nano));
    attributes(out, &span.attributes);
    if !span.events.is_empty() {
        out.extend_from_slice(b",\"events\":");
        list(out, &span.events, event);
    }
    if !span.links.is_empty() {
        out.extend_from_slice(b",\"links\":");
        list(out, &span.links, link);
    }
    if let Some(it) = &span.status {
        out.extend_from_slice(b",\"status\":");
        status(out, it);
    }
    out.push(b'}');
}

fn event(out: &mut Vec<u8>, event: &Event) {
    put(out, format_args!("{{\"timeUnixNano\":\"{}\",\"name\":", event.time_unix_nano));
    text(out, &event.name);
    out.push(b',');
    attributes(out, &event.attributes);
    out.push(b'}');
}

fn link(out: &mut Vec<u8>, link: &Link) {
    put(out, format_args!("{{\"traceId\":\"{}\"", Hex(&link.trace_id)));
    put(out, format_args!(",\"spanId\":\"{}\",", Hex(&link.span_id)));
    attributes(out, &link.attributes);
    out.push(b'}');
}

fn status(out: &mut Vec<u8>, status: &Status) {
    put(out, format_args!("{{\"code\":{}", status.code));
    if !status.message.is_empty() {
        out.extend_from_slice(b",\"message\":");
        text(out, &status.message);
    }
    out.push(b'}');
}

pub(super) fn attributes(out: &mut Vec<u8>, attributes: &[KeyValue]) {
    out.extend_from_slice(b"\"attributes\":");
    list(out, attributes, |out, attribute| {
        out.extend_from_slice(b"{\"key\":");
        text(out, &attribute.key);
        out.extend_from_slice(b",\"value\":");
        any_value(out, attribute.value.as_ref());
        out.push(b'}');
    });
}

fn any_value(out: &mut Vec<u8>, any: Option<&AnyValue>) {
    out.push(b'{');
    match any.and_then(|any| any.value.as_ref()) {
        Some(Value::String(value)) => {
            out.extend_from_slice(b"\"stringValue\":");
            text(out, value);
        }
        Some(Value::Joined(value)) => {
            out.extend_from_slice(b"\"stringValue\":");
            text(out, &value.to_string());
        }
        Some(Value::Bool(value)) => put(out, format_args!("\"boolValue\":{value}")),
        Some(Value::Int(value)) => put(out, format_args!("\"intValue\":\"{value}\"")),
        Some(Value::Double(value)) => {
            out.extend_from_slice(b"\"doubleValue\":");
            serde_json::to_writer(&mut *out, value).expect("memory takes everything");
        }
        Some(Value::Array(array)) => {
            out.extend_from_slice(b"\"arrayValue\":{\"values\":");
            list(out, &array.values, |out, value| any_value(out, Some(value)));
            out.push(b'}');
        }
        None => {}
    }
    out.push(b'}');
}

/// Appends a string with its quotes.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("memory takes every string");
}

pub(super) fn put(out: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    out.write_fmt(what).expect("memory takes everything");
}
