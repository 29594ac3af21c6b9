//! Rows on the wire: what every one begins with, and how many become a request.

use codex_trace_model::Timestamp;

use crate::content::Text;
use crate::json::{self, Json, Object};
use crate::uuid::Uuid;
use crate::{Framing, Limits};

/// What the service takes unless it says otherwise, in bytes.
pub(super) const MAX_BYTES: usize = 6 << 20;

/// How many rows a request has at most, as the vendor's own clients have it.
const MAX_ROWS: u32 = 100;

/// Where rows go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Log {
    /// The logs of a project, by its id.
    Project(String),
    /// An experiment, by its id.
    Experiment(String),
}

impl Log {
    /// Writes the fields that name it.
    pub(super) fn write(&self, o: &mut Object<'_>) {
        match self {
            Log::Project(id) => {
                o.put("project_id", id);
                o.put("log_id", "g");
            }
            Log::Experiment(id) => o.put("experiment_id", id),
        }
    }
}

/// What kind of span a row is, in the service's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowKind {
    Task,
    Llm,
    Tool,
}

impl RowKind {
    fn word(self) -> &'static str {
        match self {
            RowKind::Task => "task",
            RowKind::Llm => "llm",
            RowKind::Tool => "tool",
        }
    }
}

/// What every row begins with.
pub(super) struct Head<'r> {
    pub(super) id: Uuid,
    pub(super) root: &'r str,
    pub(super) parent: Option<&'r str>,
    pub(super) name: Name<'r>,
    pub(super) kind: RowKind,
    /// When it began, or what comes next to that.
    pub(super) created: Option<Timestamp>,
}

/// What a row is called: a text of ours, and one that was recorded.
pub(super) enum Name<'r> {
    Ours(String),
    Recorded(Text<'r>),
}

impl Json for Name<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Name::Ours(text) => text.write(out),
            Name::Recorded(text) => text.write(out),
        }
    }
}

impl Head<'_> {
    /// Writes the fields.
    pub(super) fn write(&self, o: &mut Object<'_>) {
        let id = self.id.to_string();
        o.put("id", &id);
        o.put("span_id", &id);
        o.put("root_span_id", self.root);
        o.list("span_parents", self.parent);
        o.maybe("created", self.created.map(json::time));
        o.object("span_attributes", |o| {
            o.put("name", &self.name);
            o.put("type", self.kind.word());
        });
    }
}

/// A time, in seconds since 1970, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seconds(i64);

impl Seconds {
    /// Takes a time; none before 1970, which the service refuses.
    pub(super) fn of(at: Timestamp) -> Option<Seconds> {
        Some(Seconds(at.as_millisecond())).filter(|it| it.0 >= 0)
    }
}

impl Json for Seconds {
    fn write(&self, out: &mut Vec<u8>) {
        let text = format!("{}.{:03}", self.0 / 1000, self.0 % 1000);
        out.extend_from_slice(text.as_bytes());
    }
}

/// How rows become a request. What says where they go is the same for all of
/// them, and no part of a row until then.
pub(super) fn framing(log: &Log, merge: bool) -> Framing {
    let mut same = Vec::new();
    json::fields(&mut same, |o| {
        log.write(o);
        o.flag("_is_merge", merge);
    });
    same.push(b',');
    Framing {
        open: [b"{\"rows\":[{".as_slice(), &same].concat().into(),
        between: [b"},{".as_slice(), &same].concat().into(),
        close: b"}],\"api_version\":2}".as_slice().into(),
    }
}

/// How much goes into a request of a service that takes so many bytes: half of
/// it, as the vendor's own clients have it.
pub(super) fn limits(max_bytes: usize) -> Limits {
    Limits { max_bytes: max_bytes / 2, max_pieces: MAX_ROWS as usize, max_spans: MAX_ROWS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_to_the_millisecond() {
        let at: Timestamp = "2026-11-21T06:07:38.077Z".parse().unwrap();
        let mut out = Vec::new();
        Seconds::of(at).unwrap().write(&mut out);
        assert_eq!(out, b"1795241258.077");
        assert_eq!(json::time(at), "2026-11-21T06:07:38.077Z");
        assert_eq!(Seconds::of("1969-12-31T23:59:59Z".parse().unwrap()), None);
    }

    #[test]
    fn a_request_is_an_object_of_rows() {
        let body = |log: &Log, merge| {
            let framing = framing(log, merge);
            let parts =
                [&*framing.open, b"\"id\":1", &framing.between, b"\"id\":2", &framing.close];
            serde_json::from_slice::<serde_json::Value>(&parts.concat()).unwrap()
        };
        assert_eq!(
            body(&Log::Project("p\"1".to_owned()), false),
            serde_json::json!({"rows": [
                {"project_id": "p\"1", "log_id": "g", "id": 1},
                {"project_id": "p\"1", "log_id": "g", "id": 2},
            ], "api_version": 2})
        );
        assert_eq!(
            body(&Log::Experiment("e".to_owned()), true)["rows"][1],
            serde_json::json!({"experiment_id": "e", "_is_merge": true, "id": 2})
        );
    }
}
