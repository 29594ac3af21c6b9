//! OTLP/JSON of log records.

use super::ids::Hex;
use super::json::{attributes, put, resource, scope, text};
use super::log_proto::{LogRecord, ResourceLogs};
use crate::json::list;

/// Appends records of one resource as an object.
pub(crate) fn resource_logs(out: &mut Vec<u8>, logs: &ResourceLogs) {
    resource(out, logs.resource.as_ref());
    out.extend_from_slice(b",\"scopeLogs\":");
    list(out, &logs.scope_logs, |out, scope_logs| {
        scope(out, scope_logs.scope.as_ref());
        out.extend_from_slice(b",\"logRecords\":");
        list(out, &scope_logs.log_records, record);
        out.push(b'}');
    });
    out.push(b'}');
}

fn record(out: &mut Vec<u8>, record: &LogRecord) {
    put(out, format_args!("{{\"timeUnixNano\":\"{}\"", record.time_unix_nano));
    put(out, format_args!(",\"severityNumber\":{},\"severityText\":", record.severity_number));
    text(out, &record.severity_text);
    out.push(b',');
    attributes(out, &record.attributes);
    if !record.trace_id.is_empty() {
        put(out, format_args!(",\"flags\":{}", record.flags));
        put(out, format_args!(",\"traceId\":\"{}\"", Hex(&record.trace_id)));
    }
    out.extend_from_slice(b",\"eventName\":");
    text(out, &record.event_name);
    out.push(b'}');
}
