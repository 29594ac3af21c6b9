//! A log record while it is put together.

use codex_trace_model::Timestamp;

use super::texts::cut_to;
use crate::otlp::Attributes;
use crate::otlp::ids::TraceId;
use crate::otlp::log_proto::LogRecord;
use crate::otlp::proto::{KeyValue, Value};
use crate::otlp::times::nanos;

/// The most that Loki takes of the names and values of a record is 65 536 bytes,
/// those that it adds included: of the resource, the scope, the severity.
const MOST: usize = 60_000;

/// A text is never cut to less than this, in bytes.
const LEAST: usize = 1024;

/// An event of Codex' telemetry.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Nanoseconds since 1970.
    pub(crate) at: u64,
    name: &'static str,
    trace_id: Option<TraceId>,
    /// What it says.
    pub(crate) attributes: Attributes,
}

impl Record {
    /// Begins an event of a name, at a time in nanoseconds since 1970.
    pub(crate) fn new(name: &'static str, at: u64) -> Record {
        let mut attributes = Attributes::default();
        attributes.word("event.name", name);
        Record { at, name, trace_id: None, attributes }
    }

    /// Adds the same time as it stands on the event itself.
    pub(crate) fn stamped(mut self) -> Record {
        let millis = i64::try_from(self.at / 1_000_000).ok();
        if let Some(at) = millis.and_then(|millis| Timestamp::from_millisecond(millis).ok()) {
            self.attributes.word("event.timestamp", &format!("{at:.3}"));
        }
        self
    }

    /// Says which trace it belongs to.
    pub(crate) fn in_trace(mut self, id: Option<TraceId>) -> Record {
        self.trace_id = id;
        self
    }

    /// Returns the record, of which Loki takes all.
    pub(crate) fn finish(mut self) -> LogRecord {
        fit(&mut self.attributes.0);
        LogRecord {
            time_unix_nano: self.at,
            severity_number: 9,
            severity_text: "INFO".to_owned(),
            attributes: self.attributes.0,
            flags: u32::from(self.trace_id.is_some()),
            trace_id: self.trace_id.map_or_else(Vec::new, |id| id.to_vec()),
            event_name: self.name.to_owned(),
        }
    }
}

/// Cuts the longest texts until all of them fit.
fn fit(attributes: &mut [KeyValue]) {
    loop {
        let total: usize = attributes.iter().map(len).sum();
        let Some(over) = total.checked_sub(MOST).filter(|over| *over > 0) else { return };
        let longest = attributes.iter_mut().max_by_key(|it| len(it));
        let Some(Value::String(text)) = longest.and_then(|it| it.value.as_mut()?.value.as_mut())
        else {
            return;
        };
        if text.len() <= LEAST {
            return;
        }
        let keep = text.len().saturating_sub(over).max(LEAST);
        *text = cut_to(std::mem::take(text), keep);
    }
}

fn len(attribute: &KeyValue) -> usize {
    let value = match attribute.value.as_ref().and_then(|it| it.value.as_ref()) {
        Some(Value::String(text)) => text.len(),
        _ => 20,
    };
    attribute.key.len() + value
}

/// Makes records differ that Loki would take for one and the same: those that
/// say the same at the same time. They are in order.
pub(crate) fn tell_apart(records: &mut [Record]) {
    for nth in 1..records.len() {
        let (before, rest) = records.split_at_mut(nth);
        let record = &mut rest[0];
        let twins = before.iter().rev().take_while(|it| it.at >= record.at);
        let n = twins.filter(|it| it.attributes == record.attributes).count();
        record.at += n as u64;
    }
}

/// Returns an instant, or else the one to fall back on.
pub(crate) fn at_or(at: Option<Timestamp>, fallback: u64) -> u64 {
    at.and_then(nanos).unwrap_or(fallback)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'r>(record: &'r LogRecord, key: &str) -> &'r str {
        let found = record.attributes.iter().find(|it| it.key == key).unwrap();
        match found.value.as_ref().unwrap().value.as_ref().unwrap() {
            Value::String(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn records_fit_into_loki() {
        let mut record = Record::new("codex.tool_result", 1_795_935_325_967_000_000).stamped();
        record.attributes.word("arguments", &"ä".repeat(40_000));
        record.attributes.word("output", &"x".repeat(50_000));
        record.attributes.word("call_id", "call_1");
        let record = record.finish();
        assert!(record.attributes.iter().map(len).sum::<usize>() <= MOST);
        assert!(text(&record, "arguments").ends_with("[... telemetry preview truncated ...]"));
        assert_eq!(text(&record, "call_id"), "call_1");
        assert_eq!(text(&record, "event.timestamp"), "2026-11-29T06:55:25.967Z");
    }

    #[test]
    fn twins_are_told_apart_and_others_are_left_alone() {
        let record = |at, id: &str| {
            let mut record = Record::new("codex.sse_event", at);
            record.attributes.word("id", id);
            record
        };
        let mut all =
            [record(5, "a"), record(5, "b"), record(5, "a"), record(5, "a"), record(9, "a")];
        tell_apart(&mut all);
        assert_eq!(all.map(|it| it.at), [5, 5, 6, 7, 9]);
    }
}
