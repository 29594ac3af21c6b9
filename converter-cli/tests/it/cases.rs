//! Small homes made after public reports, each with what is right of it; and
//! that `usage`, `list` and `convert` say the same of every home at hand.

#![expect(clippy::unwrap_used, reason = "in helpers, too, it is the test that fails")]
#![expect(clippy::print_stderr, reason = "a test says why it has tested nothing")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::testenv::{TestEnv, testdata};

/// The counts that all three commands print of a session.
const COUNTS: [&str; 7] = [
    "model_calls",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
    "total_tokens",
];

/// Counts by the session's id.
type BySession = BTreeMap<String, [u64; 7]>;

fn counts(of: &Value) -> [u64; 7] {
    COUNTS.map(|key| of[key].as_u64().unwrap_or_else(|| panic!("{key} in {of}")))
}

/// What the commands say of some paths.
struct Said {
    total: Value,
    list: Vec<Value>,
    by_session: [BySession; 3],
    /// The spans that `convert` writes, of all sessions.
    spans: Vec<Value>,
    /// Whether every line of every thread is accounted for.
    closes: bool,
}

/// Returns what is said of paths; nothing if they are refused as no rollouts.
fn said(env: &TestEnv, dir: &Path, paths: &[&str]) -> Option<Said> {
    let run = |words: &[&str]| {
        let args: Vec<&str> = words.iter().chain(paths).copied().collect();
        env.finish(env.command(&args).current_dir(dir))
    };
    let usage = run(&["usage", "--by", "session", "--json"]);
    if usage.code == Some(2) {
        return None;
    }
    let usage = usage.json().remove(0);
    let list = run(&["list", "--json"]).json();
    let lines = run(&["convert"]).json();
    let traces: Vec<&Value> = lines.iter().filter(|line| line["type"] == "trace").collect();
    let spans = lines.iter().filter(|line| line["type"] == "span").cloned().collect();
    let id = |of: &Value, key: &str| of[key].as_str().unwrap().to_owned();
    // A session without calls has no row.
    let used = |(_, counts): &(String, [u64; 7])| *counts != [0; 7];
    let rows = usage["rows"].as_array().unwrap().iter();
    let by_session = [
        rows.map(|row| (id(row, "key"), counts(row))).filter(used).collect(),
        list.iter().map(|it| (id(it, "session_id"), counts(&it["usage"]))).filter(used).collect(),
        traces.iter().map(|it| (id(it, "session_id"), counts(&it["usage"]))).filter(used).collect(),
    ];
    let closes = traces.iter().flat_map(|it| it["threads"].as_array().unwrap()).all(|thread| {
        let account = &thread["account"];
        let ignored = account["ignored"].as_object().unwrap().values();
        let kept = ["items", "spans", "diagnosed"].iter().map(|key| account[*key].as_u64());
        let sum = kept.chain(ignored.map(Value::as_u64)).map(Option::unwrap).sum::<u64>();
        account["lines"] == sum
    });
    Some(Said { total: usage["total"].clone(), list, by_session, spans, closes })
}

#[track_caller]
fn agree(said: &Said, of: &str) {
    let [usage, list, convert] = &said.by_session;
    assert_eq!(usage, list, "usage and list, {of}");
    assert_eq!(list, convert, "list and convert, {of}");
    assert!(said.closes, "{of}: a line is not accounted for");
}

fn directories(of: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(of) else {
        eprintln!("skipped: {} is not there", of.display());
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.is_dir());
    found.sort();
    found
}

/// Compares a case with what it expects; returns what differs.
fn wrong(env: &TestEnv, case: &Path) -> Vec<String> {
    let expected = std::fs::read(case.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    let runs = expected["runs"].as_array().cloned().unwrap_or_else(|| vec!["home".into()]);
    let mut odd = Vec::new();
    for run in &runs {
        let run = run.as_str().unwrap();
        let paths: Vec<&str> = run.split(' ').collect();
        let Some(said) = said(env, case, &paths) else { continue };
        agree(&said, &format!("{} {run}", case.display()));
        check_turns(case, &expected, &said);
        let mut compare = |what: &str, found: u64, wanted: &Value| {
            if wanted.as_u64().is_some_and(|wanted| wanted != found) {
                odd.push(format!("{run}: {what} {found}, not {wanted}"));
            }
        };
        for key in COUNTS {
            compare(key, said.total[key].as_u64().unwrap(), &expected["usage"][key]);
        }
        compare(
            "model_calls",
            said.total["model_calls"].as_u64().unwrap(),
            &expected["model_calls"],
        );
        compare("sessions", said.list.len() as u64, &expected["sessions"]);
        for key in ["turns", "tool_calls"] {
            let sum = said.list.iter().map(|it| it[key].as_u64().unwrap()).sum();
            compare(key, sum, &expected[key]);
        }
    }
    odd
}

/// Compares the turns of a case with what it expects of them.
fn check_turns(case: &Path, expected: &Value, said: &Said) {
    let mut turns: Vec<&Value> = said.spans.iter().filter(|it| it["kind"] == "turn").collect();
    turns.sort_by_key(|turn| turn["start"].to_string());
    let at = |turn: &Value, key: &str| turn[key].as_str().unwrap().parse::<jiff::Timestamp>();
    for (turn, start) in turns.iter().zip(expected["turn_starts"].as_array().into_iter().flatten())
    {
        let found = turn["start"].as_str().unwrap();
        assert!(found.starts_with(start.as_str().unwrap()), "{}: {found}", case.display());
    }
    for (turn, status) in turns.iter().zip(expected["turn_status"].as_array().into_iter().flatten())
    {
        assert_eq!(turn["status"], *status, "{}", case.display());
    }
    for (turn, secs) in turns.iter().zip(expected["durations_s"].as_array().into_iter().flatten()) {
        let took = at(turn, "end").unwrap().duration_since(at(turn, "start").unwrap());
        let off = (took.as_secs_f64() - secs.as_f64().unwrap()).abs();
        assert!(off < 0.1, "{}: {took:?}", case.display());
    }
    if let Some(words) = expected["turn1_message_contains"].as_str() {
        assert!(turns[0].to_string().contains(words), "{}: {}", case.display(), turns[0]);
    }
    if expected["usage_on_spans"].is_string() {
        assert!(said.spans.iter().all(|span| span["usage"].is_null()), "{}", case.display());
    }
    if expected["threads"].is_array() {
        assert_eq!(said.list[0]["thread_ids"], expected["threads"], "{}", case.display());
    }
}

/// Cases that are not right yet, and why.
const NOT_YET: &[(&str, &str)] = &[];

#[test]
fn every_case_counts_as_it_should() {
    let env = TestEnv::new();
    let mut odd = Vec::new();
    let mut cases = directories(&testdata("cases"));
    cases.extend(directories(&testdata("../../shared/cases")));
    for case in cases.iter().filter(|case| case.join("expected.json").is_file()) {
        let name = case.file_name().unwrap().to_str().unwrap();
        let known = NOT_YET.iter().find(|(it, _)| name.starts_with(it));
        match (wrong(&env, case), known) {
            (found, None) => odd.extend(found.iter().map(|it| format!("{name}: {it}"))),
            (found, Some((_, why))) => {
                assert!(!found.is_empty(), "{name} is right now; take it off the list ({why})");
            }
        }
    }
    assert!(odd.is_empty(), "{}", odd.join("\n"));
}

#[test]
fn usage_list_and_convert_agree_on_every_home() {
    let env = TestEnv::new();
    let mut homes = directories(&testdata("homes"));
    homes.extend(directories(&testdata("../../shared/corpus/real-codex-2")));
    for home in homes {
        let said = said(&env, &home, &["."]).expect("a home");
        agree(&said, &home.display().to_string());
    }
}
