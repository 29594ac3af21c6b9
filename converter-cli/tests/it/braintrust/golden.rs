//! Holds our rows against those that `bt` 0.20.0 was recorded to import, for
//! every fixture. Where we differ on purpose, the difference has a name, which is
//! a row of the table in `docs/braintrust.md`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::run;
use super::server::Server;
use crate::testenv::{TestEnv, testdata};

#[derive(Deserialize)]
struct Document {
    home: String,
    files: BTreeMap<String, String>,
    rows: Vec<Recorded>,
}

#[derive(Deserialize)]
struct Recorded {
    id: String,
    root: String,
    parents: Vec<String>,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    metadata: BTreeMap<String, Value>,
    metrics: BTreeMap<String, f64>,
    #[serde(default)]
    tags: Vec<String>,
    error: Option<String>,
    input: Option<Value>,
    output: Option<Value>,
}

/// Where we differ on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deviation {
    AbandonedTurns,
    CompactionUsage,
    Failures,
    Images,
    InheritedHistory,
    Interruptions,
    MessagesOfAgents,
    ModelUnknown,
    MoreMetadata,
    OpenTurns,
    OwnAnswer,
    ResponsesApart,
    Reviews,
    RowsBeyond,
    SessionEnd,
    SessionStart,
    UsageRecords,
    WebSearch,
    ZeroCounts,
}

use Deviation::*;

const ALL: [Deviation; 19] = [
    AbandonedTurns,
    CompactionUsage,
    Failures,
    Images,
    InheritedHistory,
    Interruptions,
    MessagesOfAgents,
    ModelUnknown,
    MoreMetadata,
    OpenTurns,
    OwnAnswer,
    ResponsesApart,
    Reviews,
    RowsBeyond,
    SessionEnd,
    SessionStart,
    UsageRecords,
    WebSearch,
    ZeroCounts,
];

#[test]
fn every_row_is_that_of_bt_but_for_what_has_a_name() {
    let text = std::fs::read_to_string(testdata("golden/braintrust/bt-0.20.0.jsonl")).unwrap();
    let mut seen: BTreeSet<Deviation> = BTreeSet::new();
    let mut n_rows = 0;
    for line in text.lines().filter(|line| !line.contains(r#""live":"#)) {
        let document: Document = serde_json::from_str(line).unwrap();
        n_rows += document.rows.len();
        let (env, server) = (TestEnv::new(), Server::start());
        for (place, file) in &document.files {
            env.copy(file, &format!("home/{place}"));
        }
        let run = run(&env, &server, &[&env.dir().join("home")], &[]);
        assert_eq!(run.code, Some(0), "{}: {}", document.home, run.stderr);
        let ours = server.rows();
        if ours.len() > document.rows.len() {
            seen.insert(RowsBeyond);
        }
        for theirs in &document.rows {
            let row = ours.get(&theirs.id);
            let row = row.unwrap_or_else(|| panic!("{}: no {}", document.home, theirs.name));
            for (what, why) in differences(theirs, row, &document) {
                let why = why.unwrap_or_else(|| {
                    panic!("{}, {} {}: {what}", document.home, theirs.name, theirs.id)
                });
                seen.insert(why);
            }
        }
    }
    assert_eq!(n_rows, 243, "all that was recorded");
    assert_eq!(seen, BTreeSet::from(ALL), "a deviation that nothing shows is none");
}

/// A scenario of `golden/e2e` that `bt` traced live.
#[derive(Deserialize)]
struct Scenario {
    live: String,
    rows: Vec<LiveRow>,
}

#[derive(Deserialize)]
struct LiveRow {
    id: String,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    /// Ends are those of the hooks' clock.
    metrics: BTreeMap<String, Value>,
    output: Option<Value>,
}

/// What was traced live has the same ids, so that an upload meets it.
#[test]
fn every_row_of_a_live_session_is_met() {
    let text = std::fs::read_to_string(testdata("golden/braintrust/bt-0.20.0.jsonl")).unwrap();
    let mut n_rows = 0;
    for line in text.lines().filter(|line| line.contains(r#""live":"#)) {
        let scenario: Scenario = serde_json::from_str(line).unwrap();
        let (env, server) = (TestEnv::new(), Server::start());
        let home = testdata(&format!("golden/e2e/{}/rollouts", scenario.live));
        let run = run(&env, &server, &[&home], &[]);
        assert_eq!(run.code, Some(0), "{}: {}", scenario.live, run.stderr);
        let ours = server.rows();
        for theirs in &scenario.rows {
            let what = format!("{}, {} {}", scenario.live, theirs.name, theirs.id);
            let row = ours.get(&theirs.id).unwrap_or_else(|| panic!("{what}: missing"));
            assert_eq!(row["span_attributes"]["name"], theirs.name, "{what}");
            assert_eq!(row["span_attributes"]["type"], theirs.kind, "{what}");
            for (key, value) in theirs.metrics.iter().filter(|(key, _)| key.contains("tokens")) {
                assert_eq!(row["metrics"][key].as_f64(), value.as_f64(), "{what}: {key}");
            }
            // The tracer had no output of a V2 subagent's turn.
            if theirs.output.is_some() {
                assert_eq!(Some(content(row.get("output"))), theirs.output, "{what}");
            }
            n_rows += 1;
        }
    }
    assert_eq!(n_rows, 29, "all that was recorded");
}

/// Returns where a row differs, and by which name.
fn differences(
    theirs: &Recorded,
    row: &Value,
    document: &Document,
) -> Vec<(String, Option<Deviation>)> {
    let mut found = Vec::new();
    let mut differ = |what: &str, theirs: &Value, ours: &Value, why: Option<Deviation>| {
        if theirs != ours {
            found.push((format!("{what}: {theirs} {ours}"), why));
        }
    };
    let is_review = document.home == "d153.0" && theirs.name.contains("01a1fca4-fcd6");
    let of_review =
        theirs.metadata.get("turn_id") == Some(&json!("01a1fca4-fcd6-7803-b1c5-2d6f42579fb0"));
    let review = (is_review || of_review).then_some(Reviews);
    let attributes = json!({ "name": theirs.name, "type": theirs.kind });
    differ("attributes", &attributes, &row["span_attributes"], None);
    differ("root", &json!(theirs.root), &row["root_span_id"], None);
    let parents = row.get("span_parents").cloned().unwrap_or_else(|| json!([]));
    differ("parents", &json!(theirs.parents), &parents, review);
    differ("tags", &json!(theirs.tags), &row.get("tags").cloned().unwrap_or(json!([])), None);
    let status = &row["metadata"]["status"];
    let error = row["error"].as_str().unwrap_or_default();
    let why = if error.starts_with("interrupted") { Interruptions } else { Failures };
    differ("error", &json!(theirs.error), &row["error"], Some(why));
    let input = content(row.get("input"));
    differ("input", &json!(theirs.input), &input, why_input(theirs, row, document).or(review));
    let output = content(row.get("output"));
    let why = match &*theirs.kind {
        "task" if status == "interrupted" => Some(Interruptions),
        "task" => Some(OwnAnswer),
        "llm" if document.home == "d153.0" => Some(WebSearch),
        "llm" if document.home == "fx_mlflow" => Some(ResponsesApart),
        _ => None,
    };
    differ("output", &json!(theirs.output), &output, review.or(why));
    metadata(theirs, row, &mut differ);
    metrics(theirs, row, document, review, &mut differ);
    found
}

fn why_input(theirs: &Recorded, row: &Value, document: &Document) -> Option<Deviation> {
    let messages = row["input"].as_array();
    let has = |what: &str| messages.is_some_and(|list| json!(list).to_string().contains(what));
    match &*document.home {
        "rb144" => Some(AbandonedTurns),
        "v144" if theirs.kind == "llm" => Some(InheritedHistory),
        "fx_langsmith" => Some(Images),
        // Where no event says what was typed, it takes what stands around an image
        // for that.
        "d153.0" if row["input"] == "SCN_PLAIN look" => Some(Images),
        "e2e_spawn" | "sp169" if has("Message Type: FINAL_ANSWER") => Some(MessagesOfAgents),
        "d153.0" if has("\"web_search\"") => Some(WebSearch),
        _ => None,
    }
}

fn metadata(
    theirs: &Recorded,
    row: &Value,
    differ: &mut impl FnMut(&str, &Value, &Value, Option<Deviation>),
) {
    let ours = row["metadata"].as_object().unwrap();
    for (key, value) in &theirs.metadata {
        let why = match &**key {
            "model" if value.is_null() => Some(ModelUnknown),
            "usage_unavailable_reason" => Some(UsageRecords),
            _ => None,
        };
        differ(key, value, ours.get(key).unwrap_or(&json!("absent")), why);
    }
    let own = ours.keys().filter(|key| !theirs.metadata.contains_key(*key));
    for key in own {
        let known = [
            "agent_nickname",
            "exit_code",
            "fate",
            "forked_from_id",
            "mcp_server",
            "mcp_tool",
            "reasoning_effort",
            "response_id",
            "start_from",
            "status",
            "transcript_path",
            "turn_span_id",
            "usage_unavailable_reason",
        ];
        let why = known.contains(&&**key).then_some(MoreMetadata);
        differ(key, &json!("absent"), &ours[key], why);
    }
}

fn metrics(
    theirs: &Recorded,
    row: &Value,
    document: &Document,
    review: Option<Deviation>,
    differ: &mut impl FnMut(&str, &Value, &Value, Option<Deviation>),
) {
    let ours = row["metrics"].as_object().unwrap();
    let is_compaction = theirs.metadata.get("compaction") == Some(&json!(true));
    let is_session = theirs.parents.is_empty();
    let is_task = theirs.kind == "task";
    let status = row["metadata"]["status"].as_str().unwrap_or_default();
    let keys: BTreeSet<&String> = theirs.metrics.keys().chain(ours.keys()).collect();
    for key in keys {
        let theirs = theirs.metrics.get(key).map(|it| json!(it)).unwrap_or_default();
        let ours = ours.get(key).and_then(Value::as_f64).map(|it| json!(it)).unwrap_or_default();
        let why = match &**key {
            _ if is_compaction => Some(CompactionUsage),
            "start" if is_session || is_task && row["metadata"]["agent_id"].is_string() => {
                Some(SessionStart)
            }
            "end" if is_session => Some(SessionEnd),
            "end" if status == "incomplete" || ours.is_null() => Some(OpenTurns),
            "end" if status == "interrupted" => Some(Interruptions),
            "end" if is_task && document.home == "v144" => Some(OwnAnswer),
            "end" if document.home == "d153.0" && review.is_none() => Some(WebSearch),
            "end" if document.home == "fx_mlflow" => Some(ResponsesApart),
            "time_to_first_token" | "prompt_cache_creation_tokens" => Some(MoreMetadata),
            _ if theirs.is_null() && ours == json!(0.0) => Some(ZeroCounts),
            _ if theirs.is_null() && document.home == "i169" => Some(UsageRecords),
            _ => review,
        };
        differ(key, &theirs, &ours, why);
    }
}

/// Reduces content as `digest.py` does.
pub(super) fn content(value: Option<&Value>) -> Value {
    match value {
        None => Value::Null,
        Some(Value::Array(items)) => items.iter().map(digest).collect(),
        Some(Value::String(text)) if text.chars().count() < 80 => json!({ "text": text }),
        Some(value) => digest(value),
    }
}

fn digest(value: &Value) -> Value {
    let hash = Sha256::digest(value.to_string());
    let head = u64::from_be_bytes(hash[..8].try_into().unwrap());
    json!(format!("{head:016x}"))
}
