//! Holds our spans against those that the live exporter 0.1.0 was recorded to
//! send, in its three capture modes. Where we differ on purpose, the difference
//! has a name, which is a row of the table in `docs/logfire.md`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use codex_trace_export::content::Capture;
use regex::{Captures, Regex};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::spans::{Attribute, Span, Written, by_id, written};
use crate::support::with_session_of;

#[derive(Deserialize)]
struct Document {
    fixture: String,
    mode: String,
    live: bool,
    resource: Vec<Attribute>,
    scope: Option<Value>,
    spans: Vec<Recorded>,
}

#[derive(Deserialize)]
struct Recorded {
    trace: String,
    id: String,
    parent: Option<String>,
    name: String,
    kind: i64,
    status: Value,
    attributes: Vec<Attribute>,
}

/// Where we differ on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deviation {
    /// The usage of a turn is under names that are not added up.
    UsageOnCalls,
    /// What the session's hooks said and the file does not.
    NotInTheFile,
    /// A fork is not charged with its parent's tokens, and a turn is with those
    /// of its compaction.
    OwnUsage,
    /// A failed tool is an error.
    ToolFailures,
    /// A subagent belongs to its root's session.
    SubagentSession,
    /// The recording's hooks were made up from the file, and not as Codex calls
    /// them: the script of code mode instead of its commands, tools that are not
    /// there, outputs as the model saw them, a model `unknown`.
    MadeUpHooks,
    /// Turns that a hook was made up for and that Codex gave no id.
    MadeUpTurns,
    /// `--capture metadata-only` leaves out the working directory.
    Places,
}

const ALL: [Deviation; 8] = [
    Deviation::UsageOnCalls,
    Deviation::NotInTheFile,
    Deviation::OwnUsage,
    Deviation::ToolFailures,
    Deviation::SubagentSession,
    Deviation::MadeUpHooks,
    Deviation::MadeUpTurns,
    Deviation::Places,
];

#[test]
fn every_span_is_the_exporters_but_for_what_has_a_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/golden");
    let text = std::fs::read_to_string(root.join("logfire/exporter-0.1.0.jsonl")).unwrap();
    let mut seen = BTreeSet::new();
    let (mut n_spans, mut n_live) = (0, 0);
    for line in text.lines() {
        let document: Document = serde_json::from_str(line).unwrap();
        let capture = match &*document.mode {
            "full" => Capture::Full,
            "no_tool_content" => Capture::NoToolContent,
            "metadata_only" => Capture::MetadataOnly,
            other => panic!("{other}"),
        };
        n_spans += document.spans.len();
        n_live += if document.live { document.spans.len() } else { 0 };
        with_session_of(&root.join(&document.fixture), |trace| {
            compare(&document, capture, &written(trace, capture), &mut seen);
        });
    }
    assert_eq!((n_spans, n_live), (93, 13), "all recordings are here");
    assert_eq!(seen, BTreeSet::from(ALL), "no name is of something that does not occur");
}

fn compare(document: &Document, capture: Capture, ours: &Written, seen: &mut BTreeSet<Deviation>) {
    let spans = by_id(&ours.spans);
    if let Some(scope) = &document.scope {
        assert_eq!(&ours.scope, scope);
        assert_eq!(ours.resource[..document.resource.len()], document.resource);
        assert!(
            ours.resource[document.resource.len()..]
                .iter()
                .all(|it| it.0.starts_with("telemetry.distro."))
        );
    }
    for recorded in &document.spans {
        let place = format!("{} {} {}", document.fixture, recorded.name, recorded.id);
        let span = if let Some(span) = spans.get(&*recorded.id) {
            assert_eq!((&span.trace, &span.parent), (&recorded.trace, &recorded.parent), "{place}");
            *span
        } else {
            assert!(!document.live, "{place}");
            let other = match recorded.get("gen_ai.tool.call.id") {
                Value::Null => same(&ours.spans, recorded, "codex turn", &["codex.turn_id"]),
                _ => same(
                    &ours.spans,
                    recorded,
                    "codex tool",
                    &["codex.turn_id", "gen_ai.tool.call.id"],
                ),
            };
            let Some(span) = other else {
                // No turn of this Codex has an id, and no hook was ever called.
                assert!(
                    recorded.get("codex.turn_id").as_str().unwrap().starts_with("turn-"),
                    "{place}"
                );
                seen.insert(Deviation::MadeUpTurns);
                continue;
            };
            assert_ne!(span.get("codex.session_id"), recorded.get("codex.session_id"), "{place}");
            seen.insert(Deviation::SubagentSession);
            span
        };
        assert_eq!(span.kind, recorded.kind, "{place}");
        Comparison { recorded, span, live: document.live, capture, place: &place, seen }.run();
    }
}

/// Returns our span that has the same ids as a recorded one.
fn same<'s>(spans: &'s [Span], recorded: &Recorded, name: &str, keys: &[&str]) -> Option<&'s Span> {
    spans.iter().find(|span| {
        span.name.starts_with(name) && keys.iter().all(|key| span.get(key) == recorded.get(key))
    })
}

struct Comparison<'c> {
    recorded: &'c Recorded,
    span: &'c Span,
    live: bool,
    capture: Capture,
    place: &'c str,
    seen: &'c mut BTreeSet<Deviation>,
}

impl Comparison<'_> {
    fn run(mut self) {
        let failed = self.span.get("codex.tool.success") == json!(false);
        if failed {
            self.seen.insert(Deviation::ToolFailures);
            assert_eq!(self.span.status["code"], 2, "{}", self.place);
        } else {
            assert_eq!(self.span.status, self.recorded.status, "{}", self.place);
        }
        if self.span.name != self.recorded.name {
            self.deviate(Deviation::MadeUpHooks, "name");
        }
        let mut places = Vec::new();
        for (key, kind, expected) in &self.recorded.attributes {
            let of_usage = key.strip_prefix("gen_ai.usage.");
            let key =
                of_usage.map_or(key.clone(), |name| format!("gen_ai.aggregated_usage.{name}"));
            let at = self.span.attributes.iter().position(|it| it.0 == key);
            let Some(at) = at else {
                self.absent(&key, expected);
                continue;
            };
            let (_, our_kind, value) = &self.span.attributes[at];
            assert_eq!(our_kind, kind, "{} {key}", self.place);
            places.push(at);
            let value = as_the_exporter_redacts(&key, value);
            if value == *expected {
                if of_usage.is_some() {
                    self.seen.insert(Deviation::UsageOnCalls);
                }
                continue;
            }
            self.differs(&key, &value, expected, failed);
        }
        assert!(places.is_sorted(), "{}: the order of attributes", self.place);
    }

    fn absent(&mut self, key: &str, expected: &Value) {
        let deviation = match key {
            "codex.source" | "codex.transcript_path" => Deviation::NotInTheFile,
            "codex.cwd" if self.capture == Capture::MetadataOnly => Deviation::Places,
            "codex.model" | "gen_ai.request.model" | "gen_ai.response.model" | "model_name"
                if expected == "unknown" =>
            {
                Deviation::MadeUpHooks
            }
            _ => panic!("{} {key}: not there, {expected}", self.place),
        };
        self.deviate(deviation, key);
    }

    fn differs(&mut self, key: &str, value: &Value, expected: &Value, failed: bool) {
        let deviation = match key {
            "logfire.msg" | "logfire.level_num" | "codex.tool.success" if failed => {
                Deviation::ToolFailures
            }
            "gen_ai.aggregated_usage.input_tokens"
            | "gen_ai.aggregated_usage.total_tokens"
            | "gen_ai.aggregated_usage.cache_read_input_tokens"
            | "gen_ai.aggregated_usage.output_tokens"
            | "gen_ai.aggregated_usage.reasoning_tokens" => Deviation::OwnUsage,
            "codex.conversation_id" | "codex.session_id" => Deviation::SubagentSession,
            "codex.model"
            | "gen_ai.request.model"
            | "gen_ai.response.model"
            | "model_name"
            | "logfire.msg"
            | "gen_ai.tool.name"
            | "gen_ai.tool.call.count"
            | "pydantic_ai.all_messages"
            | "gen_ai.tool.call.result" => Deviation::MadeUpHooks,
            _ => panic!("{} {key}:\n{value}\n{expected}", self.place),
        };
        self.deviate(deviation, &format!("{key}\n  {value}\n  {expected}"));
    }

    fn deviate(&mut self, deviation: Deviation, what: &str) {
        let made_up = [Deviation::MadeUpHooks, Deviation::SubagentSession, Deviation::OwnUsage];
        assert!(!self.live || !made_up.contains(&deviation), "{}: {what}", self.place);
        self.seen.insert(deviation);
    }
}

impl Recorded {
    fn get(&self, key: &str) -> Value {
        let found = self.attributes.iter().find(|(name, _, _)| name == key);
        found.map_or(Value::Null, |(_, _, value)| value.clone())
    }
}

/// Takes out of a value what the exporter takes out, before it is made JSON.
fn as_the_exporter_redacts(key: &str, value: &Value) -> Value {
    let Some(text) = value.as_str() else { return value.clone() };
    match key {
        "codex.prompt" | "codex.last_assistant_message" | "final_result" | "logfire.msg" => {
            json!(redacted(text))
        }
        "pydantic_ai.all_messages" | "gen_ai.tool.call.arguments" | "gen_ai.tool.call.result" => {
            let parsed: Value = serde_json::from_str(text).unwrap();
            json!(dumped(&redacted_value(parsed)))
        }
        _ => value.clone(),
    }
}

fn redacted_value(value: Value) -> Value {
    static NAMES: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("(?i)api[_-]?key|token|secret|password").unwrap());
    match value {
        Value::String(text) => json!(redacted(&text)),
        Value::Array(items) => items.into_iter().map(redacted_value).collect(),
        Value::Object(fields) => {
            let field = |(key, value): (String, Value)| {
                let value =
                    if NAMES.is_match(&key) { json!("[REDACTED]") } else { redacted_value(value) };
                (key, value)
            };
            Value::Object(fields.into_iter().map(field).collect::<Map<_, _>>())
        }
        other => other,
    }
}

fn redacted(text: &str) -> String {
    static NAMED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?i)(api[_-]?key|token|secret|password)(["'\s:=]+)([^"'\s,}]+)"#).unwrap()
    });
    static SHAPED: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\b(?:sk-|glc_)[A-Za-z0-9_-]{20,}\b").unwrap());
    let text =
        NAMED.replace_all(text, |it: &Captures<'_>| format!("{}{}[REDACTED]", &it[1], &it[2]));
    SHAPED.replace_all(&text, "[REDACTED]").into_owned()
}

/// Writes JSON as Python does: keys sorted, ASCII alone.
fn dumped(value: &Value) -> String {
    let mut value = value.clone();
    value.sort_all_objects();
    let mut out = String::new();
    for c in serde_json::to_string(&value).unwrap().chars() {
        if c.is_ascii() && c != '\u{7f}' {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            write!(out, "\\u{unit:04x}").expect("a string takes everything");
        }
    }
    out
}
