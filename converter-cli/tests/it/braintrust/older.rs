//! Holds our rows against those that the older plugin (0.1.0) was recorded to
//! send: structure, tokens and texts, as its ids are random. Where we differ on
//! purpose, the difference has a name, which is a row of a table in
//! `docs/braintrust.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::golden::content;
use super::run;
use super::server::Server;
use crate::testenv::{TestEnv, testdata};

#[derive(Deserialize)]
struct Document {
    fixture: String,
    rows: Vec<Recorded>,
}

/// A row, named by what it is of: `turn:<turn id>`, `llm:<turn id>:<n>`, …
#[derive(Deserialize)]
struct Recorded {
    key: String,
    parent: Option<String>,
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
    Compaction,
    Failures,
    GitOfTheFile,
    Images,
    MessagesOfAgents,
    OwnAnswer,
    OwnCall,
    OwnModel,
    PromptOfItems,
    SortedKeys,
    ToldByHooks,
    V2Subagents,
}

use Deviation::*;

const ALL: [Deviation; 12] = [
    Compaction,
    Failures,
    GitOfTheFile,
    Images,
    MessagesOfAgents,
    OwnAnswer,
    OwnCall,
    OwnModel,
    PromptOfItems,
    SortedKeys,
    ToldByHooks,
    V2Subagents,
];

/// A row of ours, and the key of its parent.
struct Ours<'r> {
    parent: Option<String>,
    row: &'r Value,
}

#[test]
fn every_row_of_the_older_plugin_is_here_but_for_what_has_a_name() {
    let text = std::fs::read_to_string(testdata("golden/braintrust/plugin-0.1.0.jsonl")).unwrap();
    let mut seen: BTreeSet<Deviation> = BTreeSet::new();
    let (mut n_rows, mut wrong) = (0, Vec::new());
    for line in text.lines() {
        let document: Document = serde_json::from_str(line).unwrap();
        let (env, server) = (TestEnv::new(), Server::start());
        let run = run(&env, &server, &[&home_of(&document.fixture)], &[]);
        assert_eq!(run.code, Some(0), "{}: {}", document.fixture, run.stderr);
        let rows = server.rows();
        let ours = by_key(&rows, &document.rows[0].metadata["session_id"]);
        for theirs in &document.rows {
            n_rows += 1;
            let place = format!("{}, {}", document.fixture, theirs.key);
            let Some(row) = ours.get(&theirs.key) else {
                wrong.push(format!("{place}: missing"));
                continue;
            };
            for (what, why) in differences(theirs, row) {
                match why {
                    Some(why) => {
                        seen.insert(why);
                    }
                    None => wrong.push(format!("{place}: {what}")),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(n_rows, 151, "all that was recorded");
    assert_eq!(seen, BTreeSet::from(ALL), "a deviation that nothing shows is none");
}

/// The home of a rollout, or the rollout where it is in none.
fn home_of(fixture: &str) -> PathBuf {
    let file = testdata(fixture);
    let home = file.ancestors().find(|dir| dir.join("sessions").is_dir());
    home.map_or(file.clone(), Path::to_owned)
}

/// Names the rows of a session as the recordings do.
fn by_key<'r>(rows: &'r BTreeMap<String, Value>, session: &Value) -> BTreeMap<String, Ours<'r>> {
    let root = rows
        .values()
        .find(|row| row.get("span_parents").is_none() && row["metadata"]["session_id"] == *session);
    let root = &root.unwrap_or_else(|| panic!("no session {session}"))["span_id"];
    let mut rows: Vec<&Value> = rows.values().filter(|row| row["root_span_id"] == *root).collect();
    rows.sort_by(|a, b| {
        let start = |row: &Value| row["metrics"]["start"].as_f64().unwrap_or_default();
        start(a).total_cmp(&start(b))
    });
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    let mut keys: BTreeMap<&str, String> = BTreeMap::new();
    for row in &rows {
        let about = &row["metadata"];
        let text = |key: &str| about[key].as_str().unwrap_or_default().to_owned();
        let key = match row["span_attributes"]["type"].as_str().unwrap() {
            "tool" => format!("tool:{}", text("call_id")),
            "llm" if about["compaction"] == true => format!("llm:{}:compaction", text("turn_id")),
            "llm" => {
                let turn = text("turn_id");
                let nth = calls.entry(turn.clone()).or_default();
                *nth += 1;
                format!("llm:{turn}:{}", *nth - 1)
            }
            _ if row["span_id"] == *root => "root".to_owned(),
            _ if about["agent_id"].is_string() => format!("subagent:{}", text("agent_id")),
            _ => format!("turn:{}", text("turn_id")),
        };
        keys.insert(row["span_id"].as_str().unwrap(), key);
    }
    let ours = |row: &&'r Value| {
        let parent = row["span_parents"][0].as_str().map(|id| keys[id].clone());
        (keys[row["span_id"].as_str().unwrap()].clone(), Ours { parent, row })
    };
    rows.iter().map(ours).collect()
}

/// Returns where a row differs, and by which name.
fn differences(theirs: &Recorded, ours: &Ours<'_>) -> Vec<(String, Option<Deviation>)> {
    let mut found = Vec::new();
    let row = ours.row;
    let mut differ = |what: &str, theirs: Value, ours: Value, why: Option<Deviation>| {
        if theirs != ours {
            found.push((format!("{what}: {theirs} {ours}"), why));
        }
    };
    let is_root = theirs.key == "root";
    let of_kind = |kind: &str, why| theirs.key.starts_with(kind).then_some(why);
    let compacts = theirs.key.ends_with(":compaction");
    differ("type", json!(theirs.kind), row["span_attributes"]["type"].clone(), None);
    // It names all model calls after the first model.
    let why = of_kind("llm:", OwnModel);
    differ("name", json!(theirs.name), row["span_attributes"]["name"].clone(), why);
    let v2 = theirs.parent.as_deref() == Some("root") && theirs.key.starts_with("subagent:");
    differ("parent", json!(theirs.parent), json!(ours.parent), v2.then_some(V2Subagents));
    differ("tags", json!(theirs.tags), row.get("tags").cloned().unwrap_or(json!([])), None);
    differ("error", json!(theirs.error), row["error"].clone(), Some(Failures));
    let output = content(row.get("output"));
    let absent = theirs.output.is_none();
    differ("output", json!(theirs.output), output, absent.then_some(OwnAnswer));
    for (key, n) in theirs.metrics.iter().filter(|(key, _)| key.contains("tokens")) {
        let ours = json!(row["metrics"][key].as_f64());
        differ(key, json!(n), ours, compacts.then_some(Compaction));
    }
    for (key, value) in &theirs.metadata {
        let why = match &**key {
            "agent_type" | "permission_mode" | "source" => Some(ToldByHooks),
            "git_branch" => Some(GitOfTheFile),
            "model" => Some(OwnModel),
            "compaction" => Some(Compaction),
            _ => None,
        };
        differ(key, value.clone(), row["metadata"][key].clone(), why);
    }
    match (&theirs.input, row.get("input")) {
        (Some(Value::Array(list)), Some(Value::Array(ours))) => messages(list, ours, &mut found),
        (theirs_input, input) => {
            let why = match theirs_input {
                _ if is_root => Some(ToldByHooks),
                _ if compacts => Some(Compaction),
                None => of_kind("turn:", PromptOfItems),
                Some(_) => None,
            };
            let input = content(input);
            if json!(theirs_input) != input {
                found.push((format!("input: {theirs_input:?} {input}"), why));
            }
        }
    }
    found
}

/// Compares what a model call was given, message by message.
fn messages(theirs: &[Value], ours: &[Value], found: &mut Vec<(String, Option<Deviation>)>) {
    let is_of_agent = |message: &&Value| {
        message["content"].as_str().is_some_and(|text| text.starts_with("Message Type: "))
    };
    let (of_agents, ours): (Vec<&Value>, Vec<&Value>) = ours.iter().partition(is_of_agent);
    if !of_agents.is_empty() {
        found.push(("input: messages of agents".to_owned(), Some(MessagesOfAgents)));
    }
    if theirs.len() > ours.len() + 1 {
        // What came before the compaction.
        found.push((format!("input: {} and {}", theirs.len(), ours.len()), Some(Compaction)));
        return;
    }
    if theirs.len() > ours.len() {
        found.push(("input: the call that opens it".to_owned(), Some(OwnCall)));
    }
    if theirs.len() < ours.len() {
        found.push((format!("input: {} and {}", theirs.len(), ours.len()), None));
    }
    for (theirs, ours) in theirs.iter().zip(ours) {
        let why = match ours["role"].as_str() {
            Some("tool") => Some(SortedKeys),
            Some("user") if ours["content"].is_array() => Some(Images),
            _ => None,
        };
        let as_ours = &content(Some(&json!([ours])))[0];
        if theirs != as_ours {
            found.push((format!("input: {theirs} {ours}"), why));
        }
    }
}
