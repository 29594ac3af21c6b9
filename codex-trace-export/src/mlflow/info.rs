//! The call that makes a trace final: what OTLP cannot carry.

use std::borrow::Cow;

use codex_rollout::JsonText;
use codex_trace_model::{SpanKind as Kind, Status, TokenUsage, request};
use serde_json::{Map, Value, json};

use super::settings::Server;
use super::vocabulary::usage_json;
use crate::content::Part;
use crate::otlp::messages::decode;
use crate::otlp::{Group, Scene, Subject, facts};

/// The longest preview that the server keeps, in characters.
const PREVIEW: usize = 1000;
/// The longest value of metadata that the server keeps, in characters.
const METADATA: usize = 250;

/// The longest value of a tag that the server takes, in characters.
const TAG: usize = 4096;

/// Returns the body of `POST /api/3.0/mlflow/traces`.
pub(super) fn body(
    scene: &Scene<'_, '_>,
    group: &Group,
    root: &Subject<'_, '_>,
    server: &Server,
    trace_id: &str,
) -> Vec<u8> {
    let mut info = json!({
        "trace_id": trace_id,
        "client_request_id": format!("{}:{}", root.thread.id, label(root)),
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": { "experiment_id": server.experiment_id() },
        },
        "request_time": rfc3339(root.times.start),
        "execution_duration": seconds(root.times.end - root.times.start),
        "state": state(&root.span.status),
        "trace_metadata": metadata(scene, group, root, server),
        "tags": tags(scene, group, root),
        "assessments": [],
    });
    if let Kind::Turn(turn) = &root.span.kind {
        let preview = |text: Cow<'_, [u8]>| decode(&text).chars().take(PREVIEW).collect::<String>();
        let (prompt, answer) = (facts::prompt(root, turn), facts::answer(root, turn));
        let (prompt, answer) = facts::asked_and_answered(root, prompt, answer);
        if let Some(prompt) = prompt {
            let asked = request(JsonText::new(&prompt)).raw();
            info["request_preview"] = Value::from(preview(Cow::Borrowed(asked)));
        }
        if let Some(answer) = answer {
            info["response_preview"] = Value::from(preview(answer));
        }
    }
    let call = json!({ "trace": { "trace_info": info } });
    serde_json::to_vec(&call).expect("memory takes everything")
}

/// Codex' id of the turn, or the span's key.
fn label(root: &Subject<'_, '_>) -> String {
    let id = match &root.span.kind {
        Kind::Turn(turn) => turn.turn_id.map(|id| id.decode().into_owned()),
        _ => None,
    };
    id.unwrap_or_else(|| root.span.key.clone())
}

fn state(status: &Status<'_>) -> &'static str {
    match status {
        Status::Ok => "OK",
        Status::Error { .. } | Status::Interrupted { .. } => "ERROR",
        _ => "IN_PROGRESS",
    }
}

fn metadata(
    scene: &Scene<'_, '_>,
    group: &Group,
    root: &Subject<'_, '_>,
    server: &Server,
) -> Map<String, Value> {
    let mut all = Map::new();
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            let value: String = value.chars().take(METADATA).collect();
            all.insert(key.to_owned(), Value::from(value));
        }
    };
    put("mlflow.trace.session", Some(scene.session_id().into_owned()));
    // First, as what is known stands above it.
    for (key, value) in &server.added.resource {
        put(key, Some(value.clone()));
    }
    put("mlflow.trace.user", server.user.clone());
    let turn = match &root.span.kind {
        Kind::Turn(turn) => turn.cwd,
        _ => None,
    };
    let cwd = root.place(turn.or(root.thread.meta.cwd));
    put("process.working_directory", cwd.map(Cow::into_owned));
    put("mlflow.trace_schema.version", Some("3".to_owned()));
    let usages: Vec<TokenUsage> = group
        .members
        .iter()
        .map(|ix| scene.trace.span(*ix))
        .filter(|span| matches!(span.kind, Kind::ModelCall(_)))
        .filter_map(|span| span.usage)
        .collect();
    if !usages.is_empty() {
        let sum = usages.into_iter().sum();
        put("mlflow.trace.tokenUsage", Some(usage_json(&sum)));
    }
    if let Some(git) = root.thread.meta.git {
        let text = |it| root.place(it).map(Cow::into_owned);
        put("mlflow.source.git.commit", text(git.commit_hash));
        put("mlflow.source.git.branch", text(git.branch));
        put("mlflow.source.git.repoURL", facts::repository(root));
    }
    all
}

fn tags(scene: &Scene<'_, '_>, group: &Group, root: &Subject<'_, '_>) -> Map<String, Value> {
    let mut all = Map::new();
    let mut put = |key: &str, value: String| {
        let value: String = value.chars().take(TAG).collect();
        all.insert(key.to_owned(), Value::from(value));
    };
    put("mlflow.traceName", "codex_conversation".to_owned());
    put("codex.backfill", "true".to_owned());
    put("codex.status", root.span.status.word().to_owned());
    if let Some(version) = root.label(root.thread.meta.cli_version) {
        put("codex.version", version.into_owned());
    }
    if let Some(originator) = root.label(root.thread.meta.originator) {
        put("codex.originator", originator.into_owned());
    }
    if let Kind::Turn(turn) = &root.span.kind {
        // It may change when the user goes back: here it is overwritten.
        put("codex.turn.fate", turn.fate.word().to_owned());
    }
    if let Some(name) = root.thread.name.and_then(|it| scene.rules.decoded(Part::Message, it)) {
        put("codex.thread.name", name.into_owned());
    }
    for ix in &group.members {
        let span = scene.trace.span(*ix);
        if matches!(span.kind, Kind::Compaction(_)) {
            put("codex.compacted", "true".to_owned());
        }
    }
    all
}

fn rfc3339(nanos: u64) -> String {
    let at = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or_default();
    at.to_string()
}

/// A duration as protobuf's JSON has it.
fn seconds(nanos: u64) -> String {
    format!("{}.{:09}s", nanos / 1_000_000_000, nanos % 1_000_000_000)
}
