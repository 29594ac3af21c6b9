//! Holds our runs against those that the live plugin 0.0.6 was recorded to
//! upload, for every fixture. Where we differ on purpose, the difference has a
//! name, which is a row of the table in `docs/langsmith.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Upload, server::Rules, server::Server};
use crate::testenv::testdata;

#[derive(Deserialize)]
struct Document {
    fixture: String,
    runs: Vec<Recorded>,
}

#[derive(Deserialize)]
struct Recorded {
    name: String,
    #[serde(rename = "type")]
    run_type: String,
    parent: Option<usize>,
    start: i64,
    order: i64,
    end: i64,
    error: Option<String>,
    #[serde(rename = "in")]
    inputs: Vec<String>,
    arguments: Value,
    out: Vec<String>,
    facts: Vec<String>,
    metadata: BTreeMap<String, Value>,
    usage: Option<u64>,
}

/// Where we differ on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deviation {
    RootStart,
    RunsBeyond,
    TurnsBeyond,
    UsageOnCalls,
    ToolFailures,
    FactsOfTools,
    SubagentInput,
    ScopedMetadata,
    LateEvents,
}

const ALL: [Deviation; 9] = [
    Deviation::RootStart,
    Deviation::RunsBeyond,
    Deviation::TurnsBeyond,
    Deviation::UsageOnCalls,
    Deviation::ToolFailures,
    Deviation::FactsOfTools,
    Deviation::SubagentInput,
    Deviation::ScopedMetadata,
    Deviation::LateEvents,
];

#[test]
fn every_turn_is_the_plugins_but_for_what_has_a_name() {
    let text = std::fs::read_to_string(testdata("golden/langsmith/plugin-0.0.6.jsonl")).unwrap();
    let mut seen: BTreeSet<Deviation> = BTreeSet::new();
    let mut n_runs = 0;
    for line in text.lines() {
        let document: Document = serde_json::from_str(line).unwrap();
        n_runs += document.runs.len();
        let server = Server::start(Rules::default());
        let file = testdata("golden").join(&document.fixture);
        let upload = Upload::new(&server.url);
        upload.run(&files(&document, &file));
        server.is_clean();
        compare(&document, &server.runs(), &mut seen);
    }
    assert_eq!(n_runs, 124, "all that was recorded");
    assert_eq!(seen, BTreeSet::from(ALL), "a deviation that nothing shows is none");
}

/// The plugin looked for subagents' files itself.
fn files(document: &Document, file: &Path) -> Vec<std::path::PathBuf> {
    let mut files = vec![file.to_owned()];
    let ids: BTreeSet<&str> = document
        .runs
        .iter()
        .filter_map(|run| run.metadata.get("ls_subagent_id")?.as_str())
        .collect();
    for entry in std::fs::read_dir(file.parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path != file && ids.iter().any(|id| name.ends_with(&format!("{id}.jsonl"))) {
            files.push(path);
        }
    }
    files
}

fn compare(document: &Document, ours: &[Value], seen: &mut BTreeSet<Deviation>) {
    let fixture = &document.fixture;
    if document.runs.is_empty() {
        // No turn ids, or no end: the plugin uploads nothing.
        assert!(!ours.is_empty(), "{fixture}");
        seen.insert(Deviation::TurnsBeyond);
        return;
    }
    // By turn and by the order of creation, which the ids do not tell.
    let key = |run: &Value| {
        let order = run["dotted_order"].as_str().unwrap();
        let root = order.split('.').next().unwrap().to_owned();
        let start = run["start_time"].as_str().unwrap();
        (root, start[23..26].parse::<i64>().unwrap())
    };
    let mut ours: Vec<&Value> = ours.iter().collect();
    ours.sort_by_key(|run| key(run));
    let mut place: BTreeMap<&str, usize> = BTreeMap::new();
    let mut left = ours.iter().copied();
    for (nth, theirs) in document.runs.iter().enumerate() {
        let what = format!("{fixture}, run {nth} ({})", theirs.name);
        // Ours beyond theirs come last in their trace.
        let run = loop {
            let run = left.next().unwrap_or_else(|| panic!("{what}: missing"));
            let beyond = key(run).1 > theirs.order
                || run["name"] != *theirs.name && run["name"] == "openai.codex.compaction";
            if !beyond {
                break run;
            }
            seen.insert(Deviation::RunsBeyond);
        };
        place.insert(run["id"].as_str().unwrap(), nth);
        compare_run(&what, theirs, run, &place, seen);
    }
    if left.next().is_some() {
        seen.insert(Deviation::RunsBeyond);
    }
    let total = |usages: &mut dyn Iterator<Item = u64>| usages.sum::<u64>();
    let theirs = total(&mut document.runs.iter().filter_map(|run| run.usage));
    let usage = |run: &&Value| run["extra"]["metadata"]["usage_metadata"]["total_tokens"].as_u64();
    let spent = total(&mut ours.iter().filter_map(usage));
    assert!(spent >= theirs, "{fixture}: {spent} tokens, theirs {theirs}");
}

fn compare_run(
    what: &str,
    theirs: &Recorded,
    run: &Value,
    place: &BTreeMap<&str, usize>,
    seen: &mut BTreeSet<Deviation>,
) {
    let millis = |key: &str| {
        let at: codex_trace_model::Timestamp = run[key].as_str().unwrap().parse().unwrap();
        at.as_millisecond()
    };
    let metadata = &run["extra"]["metadata"];
    assert_eq!(run["name"], *theirs.name, "{what}");
    assert_eq!(run["run_type"], *theirs.run_type, "{what}");
    assert_eq!(run["parent_run_id"].as_str().map(|id| place[id]), theirs.parent, "{what}");
    let is_root = theirs.run_type == "chain";
    if is_root && millis("start_time") != theirs.start {
        // The coming engine takes the time out of the turn's id.
        let id = metadata["turn_id"].as_str().unwrap().replace('-', "");
        let of_id = i64::from_str_radix(&id[..12], 16).unwrap();
        assert_eq!(millis("start_time"), of_id, "{what}");
        assert!(of_id < theirs.start, "{what}");
        seen.insert(Deviation::RootStart);
    } else {
        assert_eq!(millis("start_time"), theirs.start, "{what}: start");
    }
    let (end, theirs_end) = (millis("end_time"), theirs.end);
    assert!(end <= theirs_end, "{what}: ends at {end}, theirs {theirs_end}");
    if end < theirs_end {
        // An event was written after the output that it is about.
        assert_eq!(theirs.run_type, "tool", "{what}: {end}, theirs {theirs_end}");
        seen.insert(Deviation::LateEvents);
    }
    let digests = |messages: &Value| -> Vec<String> {
        messages["messages"].as_array().into_iter().flatten().map(digest).collect()
    };
    if digests(&run["inputs"]) == theirs.inputs {
        assert_eq!(digests(&run["outputs"]), theirs.out, "{what}: {:#}", run["outputs"]);
    } else {
        // The plugin knows no other input than a user's.
        let is_subagents = is_root && theirs.inputs.is_empty();
        assert!(is_subagents, "{what}: {:#}", run["inputs"]);
        seen.insert(Deviation::SubagentInput);
    }
    if theirs.run_type == "tool" {
        assert_eq!(run["inputs"]["input"], theirs.arguments, "{what}");
        let facts = run["outputs"].as_object().unwrap().keys().filter(|key| *key != "messages");
        if !facts.eq(theirs.facts.iter()) {
            seen.insert(Deviation::FactsOfTools);
        }
    }
    let error = run["error"].as_str().map(str::to_owned);
    if error != theirs.error {
        assert!(theirs.error.is_none() && theirs.run_type == "tool", "{what}: {error:?}");
        seen.insert(Deviation::ToolFailures);
    }
    let used = metadata["usage_metadata"]["total_tokens"].as_u64();
    if used != theirs.usage {
        let moved = theirs.run_type == "tool" && used.is_none()
            || theirs.run_type == "llm" && theirs.usage.is_none();
        assert!(moved, "{what}: {used:?}, theirs {:?}", theirs.usage);
        seen.insert(Deviation::UsageOnCalls);
    }
    for (key, value) in &theirs.metadata {
        // What the SDK hands down to runs that it says nothing about.
        let scoped = ["ls_subagent_id", "ls_subagent_type", "ls_is_error_interrupt"];
        if metadata[key] != *value {
            assert!(!is_root && scoped.contains(&&**key), "{what}: {key} is {}", metadata[key]);
            seen.insert(Deviation::ScopedMetadata);
        }
    }
    if metadata["model"].is_null() && !is_root {
        seen.insert(Deviation::ScopedMetadata);
    }
}

/// The same digest as `reduce.py` makes.
fn digest(message: &Value) -> String {
    let part = |part: &Value| match part["type"].as_str() {
        Some("reasoning") => json!({
            "type": "reasoning", "reasoning": part["reasoning"], "extras": part["extras"]
        }),
        Some("non_standard") => json!({"type": "non_standard", "value": part["value"]["type"]}),
        _ => part.clone(),
    };
    let content: Vec<Value> = message["content"].as_array().unwrap().iter().map(part).collect();
    let kept = json!({
        "role": message["role"], "content": content, "call": message["tool_call_id"]
    });
    let mut text = String::new();
    canonical(&kept, &mut text);
    let digest = Sha256::digest(text.as_bytes());
    let head = digest.first_chunk().expect("a digest has 32 bytes");
    format!("{:016x}", u64::from_be_bytes(*head))
}

/// Keys in order, no spaces.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            out.push('{');
            for (nth, (key, value)) in sorted.into_iter().enumerate() {
                if nth > 0 {
                    out.push(',');
                }
                out.push_str(&json!(key).to_string());
                out.push(':');
                canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(values) => {
            out.push('[');
            for (nth, value) in values.iter().enumerate() {
                if nth > 0 {
                    out.push(',');
                }
                canonical(value, out);
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}
