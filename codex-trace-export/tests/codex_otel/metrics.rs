//! Metrics against the live ones, and against what the model's server answered.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::recorded::{Recording, recordings};
use crate::sent;
use crate::support::{directories, testdata};

/// The sums of a recording, by name and what tells its series apart.
type Sums = BTreeMap<(String, String), u64>;

#[test]
fn sums_are_those_of_the_live_metrics() {
    let mut wrong = Vec::new();
    for recording in recordings() {
        if recording.metrics().is_empty() {
            continue; // Codex 0.44 has none, and app servers had none until 0.160.
        }
        let (live, sent) = (live(&recording), sent(&recording));
        for (key, theirs) in &live {
            let ours = sent.get(key).copied();
            let known =
                KNOWN.iter().find(|it| (it.0, it.1, it.2) == (&recording.name, &key.0, &key.1));
            let expected = known.map_or(*theirs, |it| it.3);
            if ours.unwrap_or_default() != expected {
                wrong.push(format!("{} {key:?}: {ours:?}, live {theirs}", recording.name));
            }
        }
        for (key, ours) in sent.iter().filter(|(key, _)| !live.contains_key(*key)) {
            let known =
                KNOWN.iter().find(|it| (it.0, it.1, it.2) == (&recording.name, &key.0, &key.1));
            if known.is_none_or(|it| it.3 != *ours) {
                wrong.push(format!("{} {key:?}: {ours}, live none", recording.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What differs, and has to: recording, metric, series, our value.
#[rustfmt::skip]
const KNOWN: &[(&str, &str, &str, u64)] = &[
    // The live telemetry loses what a compaction used…
    ("0.171.0-compact", "codex_turn_token_usage_sum", "token_type=input", 7400),
    ("0.171.0-compact", "codex_turn_token_usage_sum", "token_type=output", 300),
    ("0.171.0-compact", "codex_turn_token_usage_sum", "token_type=total", 7700),
    // … and an interrupted turn.
    ("0.171.0-interrupt", "codex_turn_token_usage_sum", "token_type=cached_input", 1150),
    ("0.171.0-interrupt", "codex_turn_token_usage_sum", "token_type=input", 2300),
    ("0.171.0-interrupt", "codex_turn_token_usage_sum", "token_type=output", 100),
    ("0.171.0-interrupt", "codex_turn_token_usage_sum", "token_type=reasoning_output", 20),
    ("0.171.0-interrupt", "codex_turn_token_usage_sum", "token_type=total", 2400),
    // Nested calls that were refused or failed are in no file.
    ("0.171.0-deny", "codex_tool_call_total", "tool=exec_command success=false", 0),
    ("0.171.0-deny", "codex_turn_tool_call_sum", "", 1),
    ("0.171.0-turns", "codex_tool_call_total", "tool=apply_patch success=false", 0),
    ("0.171.0-turns", "codex_turn_tool_call_sum", "", 11),
    // Nor is the thread that made a title.
    ("0.171.0-tuind", "codex_turn_token_usage_sum", "token_type=cached_input", 3450),
    ("0.171.0-tuind", "codex_turn_token_usage_sum", "token_type=input", 6900),
    ("0.171.0-tuind", "codex_turn_token_usage_sum", "token_type=output", 250),
    ("0.171.0-tuind", "codex_turn_token_usage_sum", "token_type=reasoning_output", 50),
    ("0.171.0-tuind", "codex_turn_token_usage_sum", "token_type=total", 7150),
];

/// The metrics of which the sums are exact.
const EXACT: [(&str, &[&str]); 5] = [
    ("codex_turn_token_usage_sum", &["token_type"]),
    ("codex_turn_tool_call_sum", &[]),
    ("codex_tool_call_total", &["tool", "success"]),
    ("codex_mcp_call_total", &["tool", "status", "server"]),
    ("codex_task_compact_total", &[]),
];

fn live(recording: &Recording) -> Sums {
    let mut sums = Sums::new();
    for (name, labels, sum) in recording.metrics() {
        let name = name.replace('.', "_");
        let found = EXACT
            .iter()
            .find(|(it, _)| it.strip_suffix("_sum").or(it.strip_suffix("_total")) == Some(&name));
        if let Some((name, keys)) = found {
            let of = |key: &&str| Some(format!("{key}={}", labels.get(*key)?.as_str()?));
            let series: Vec<String> = keys.iter().filter_map(of).collect();
            *sums.entry((name.to_string(), series.join(" "))).or_default() += sum;
        }
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

fn sent(recording: &Recording) -> Sums {
    let mut sums = Sums::new();
    for ((name, labels), (_, value)) in sent::openmetrics(&recording.dir) {
        if let Some((_, keys)) = EXACT.iter().find(|(it, _)| *it == name) {
            let of = |key: &&str| Some(format!("{key}={}", label(&labels, key)?));
            let series: Vec<String> = keys.iter().filter_map(of).collect();
            *sums.entry((name, series.join(" "))).or_default() += value;
        }
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

fn label<'l>(labels: &'l str, key: &str) -> Option<&'l str> {
    let start = format!("{key}=\"");
    let at = labels.find(&start)? + start.len();
    labels[at..].split('"').next()
}

/// The sum over all threads is what was used, whichever version wrote them: in
/// metrics and in logs.
#[test]
fn tokens_are_those_of_the_truth() {
    let mut wrong = Vec::new();
    let mut n = 0;
    for home in directories(&testdata("homes")) {
        let Ok(text) = std::fs::read(home.join("truth.json")) else { continue };
        let truth: Value = serde_json::from_slice(&text).unwrap();
        let sums = sent::openmetrics(&home);
        let of_metrics = |kind: &str| -> u64 {
            let own = sums.iter().filter(|((name, labels), _)| {
                name == "codex_turn_token_usage_sum" && label(labels, "token_type") == Some(kind)
            });
            own.map(|(_, (_, value))| value).sum()
        };
        let records = sent::logs_of(&home, "[otel]");
        let of_logs = |key: &str| -> u64 {
            let counts = records.iter().filter_map(|it| it.attributes.get(key));
            counts.map(|it| it.as_str().unwrap().parse::<u64>().unwrap()).sum()
        };
        let tag = home.file_name().unwrap().to_str().unwrap();
        let unrecorded = UNRECORDED.iter().find(|(name, _)| *name == tag);
        let [input, output] = unrecorded.map_or([0; 2], |(_, tokens)| *tokens);
        let input = truth["input_tokens"].as_u64().unwrap() - input;
        let output = truth["output_tokens"].as_u64().unwrap() - output;
        let ours = [
            of_metrics("input"),
            of_logs("input_token_count"),
            of_metrics("output"),
            of_logs("output_token_count"),
            of_metrics("total"),
            of_logs("tool_token_count"),
        ];
        if ours != [input, input, output, output, input + output, input + output] {
            wrong.push(format!("{}: {ours:?}, answered {input} and {output}", home.display()));
        }
        n += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(n, 19);
}

/// Input and output that a version did not write down: 0.29 nothing at all, and
/// none before 0.153 what a compaction used.
const UNRECORDED: [(&str, [u64; 2]); 2] = [("r29", [2300, 100]), ("r144", [5000, 200])];
