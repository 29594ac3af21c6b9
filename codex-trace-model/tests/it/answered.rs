//! Homes that real Codex programs wrote, against what the model server answered
//! them: call by call, each in its thread and turn.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use codex_rollout::{JsonText, ResponseItem};
use codex_trace_model::{Span, SpanKind, Status, TokenUsage, Trace};
use serde_json::Value;

use crate::support::{directories, for_each_trace, testdata};

/// A response: what the server says of it, or what was resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    /// Input, cached, output, reasoning: no two answers of a home have the same.
    usage: [u64; 4],
    thread: String,
    /// `None` before turns had ids.
    turn: Option<String>,
    model: Option<String>,
    /// The ids of its calls.
    tools: Vec<String>,
}

/// What a home's files cannot tell, or do not tell yet.
struct Exception {
    home: &'static str,
    /// Whether a response is left out or changed on both sides.
    of: fn(&mut Answer),
    why: &'static str,
}

const EXCEPTIONS: &[Exception] =
    &[Exception { home: "mini34", of: |answer| answer.model = None, why: "0.34 records no model" }];

/// Responses that broke off: they happened, and no usage of them is known.
const BROKEN_OFF: &[(&str, usize)] = &[("fails171", 2)];

fn answered(home: &Path) -> Vec<Answer> {
    let truth = std::fs::read(home.join("truth.json")).unwrap();
    let truth: Value = serde_json::from_slice(&truth).unwrap();
    let calls = truth["calls"].as_array().map_or(&[][..], Vec::as_slice);
    // A response that reached its limit of tokens is one; one that was cut or
    // refused has no usage.
    let counted = |call: &&Value| call["failed"].is_null() || call["failed"] == "incomplete";
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let answer = |call: &Value| {
        let usage = &call["usage"];
        let tools = call["tools"].as_array().unwrap().iter();
        // The provider's own tools got no ids in some versions.
        let paired = tools.filter(|tool| tool[2] != "web_search_call");
        let mut tools: Vec<String> = paired.filter_map(|tool| text(&tool[0])).collect();
        tools.sort();
        Answer {
            usage: [
                usage["input_tokens"].as_u64().unwrap(),
                usage["input_tokens_details"]["cached_tokens"].as_u64().unwrap_or(0),
                usage["output_tokens"].as_u64().unwrap(),
                usage["output_tokens_details"]["reasoning_tokens"].as_u64().unwrap_or(0),
            ],
            thread: text(&call["thread_id"]).unwrap(),
            turn: text(&call["turn_id"]),
            model: text(&call["model"]),
            tools,
        }
    };
    calls.iter().filter(counted).map(answer).collect()
}

fn resolved(trace: &Trace<'_>, span: &Span<'_>, usage: TokenUsage) -> Answer {
    let SpanKind::ModelCall(call) = &span.kind else { unreachable!() };
    let thread = trace.thread_of(span);
    let mut above = span.parent;
    let turn = loop {
        let span = trace.span(above.unwrap());
        match &span.kind {
            SpanKind::Turn(turn) => break turn.turn_id,
            _ => above = span.parent,
        }
    };
    let items = call.output.iter().map(|ix| &thread[*ix].body);
    let mut tools: Vec<String> = items
        .filter_map(|item| match item {
            ResponseItem::ToolCall(it) => it.fields.call_id.or(it.fields.id),
            ResponseItem::ImageGenerationCall(it) => it.id,
            _ => None,
        })
        .map(|id| id.decode().into_owned())
        .collect();
    tools.sort();
    let owned = |text: JsonText<'_>| text.decode().into_owned();
    Answer {
        usage: [
            usage.input_tokens,
            usage.cached_input_tokens,
            usage.output_tokens,
            usage.reasoning_output_tokens,
        ],
        thread: thread.id.clone(),
        turn: turn.map(owned),
        model: call.model.map(owned),
        tools,
    }
}

/// Compares a home; returns what differs.
fn differences(home: &Path) -> Vec<String> {
    let name = home.file_name().unwrap().to_str().unwrap();
    let (mut found, mut broken_off) = (Vec::new(), 0);
    for_each_trace(home, |trace| {
        for span in trace.model_calls() {
            match span.usage {
                Some(usage) => found.push(resolved(trace, span, usage)),
                None => broken_off += 1,
            }
        }
    });
    let mut expected = answered(home);
    let by_usage: BTreeMap<[u64; 4], Option<String>> =
        expected.iter().map(|answer| (answer.usage, answer.turn.clone())).collect();
    for answer in &mut found {
        // The server does not know turns without ids.
        answer.turn.take_if(|_| by_usage.get(&answer.usage).is_none_or(Option::is_none));
    }
    for exception in EXCEPTIONS.iter().filter(|it| it.home == name) {
        eprintln!("{name}: {}", exception.why);
        expected.iter_mut().chain(&mut found).for_each(exception.of);
    }
    expected.sort();
    found.sort();
    let mut odd = Vec::new();
    odd.extend(expected.iter().filter(|it| !found.contains(it)).map(|it| format!("- {it:?}")));
    odd.extend(found.iter().filter(|it| !expected.contains(it)).map(|it| format!("+ {it:?}")));
    if expected.len() != found.len() {
        odd.push(format!("{} calls, not {}", found.len(), expected.len()));
    }
    let known = BROKEN_OFF.iter().find(|it| it.0 == name).map_or(0, |it| it.1);
    if broken_off != known {
        odd.push(format!("{broken_off} calls without usage, not {known}"));
    }
    odd
}

/// Calls that failed after their turn had ended, or been taken back.
const FAILED_LATER: &[(&str, &str, &str)] = &[
    ("tools171", "call_007a", "left running, and ended with Codex, after the turn"),
    ("i169", "exec-0a446e3e-0183-44e0-871b-7ad176166d7c", "of a script that was interrupted"),
];

/// All homes of real programs that are here.
fn all_homes() -> Vec<PathBuf> {
    let mut homes = directories(&testdata("homes"));
    let corpus = testdata("../../shared/corpus/real-codex-2");
    if corpus.is_dir() {
        homes.extend(directories(&corpus));
    } else {
        eprintln!("skipped: {} is not there", corpus.display());
    }
    homes
}

/// The homes that have the answers one by one.
fn homes() -> Vec<PathBuf> {
    let mut homes = all_homes();
    homes.retain(|home| home.join("truth.json").is_file() && !answered(home).is_empty());
    homes
}

#[test]
fn every_answer_is_a_call_of_its_thread_and_turn() {
    let mut wrong = Vec::new();
    for home in homes() {
        let odd = differences(&home);
        if !odd.is_empty() {
            wrong.push(format!("{}:\n  {}", home.display(), odd.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The ids of the calls of a home that failed.
fn failed(home: &Path) -> BTreeSet<String> {
    let mut failed = BTreeSet::new();
    for_each_trace(home, |trace| {
        for span in &trace.spans {
            if let SpanKind::ToolCall(call) = &span.kind
                && matches!(span.status, Status::Error { .. })
            {
                let id = call.call_id.map(|id| id.decode().into_owned());
                failed.insert(id.unwrap_or_else(|| span.key.clone()));
            }
        }
    });
    failed
}

#[test]
fn every_tool_that_failed_is_an_error_and_no_other() {
    let table = std::fs::read_to_string(testdata("failed-tools.tsv")).unwrap();
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let mut expected: BTreeMap<&str, BTreeSet<String>> = rows
        .map(|line| line.split_once('\t').unwrap())
        .map(|(home, ids)| (home, ids.split_whitespace().map(str::to_owned).collect()))
        .collect();
    for (home, id, why) in FAILED_LATER {
        eprintln!("{home} {id}: {why}");
        assert!(expected.get_mut(home).unwrap().remove(*id), "{home} {id}");
    }
    let mut wrong = Vec::new();
    for home in all_homes() {
        let name = home.file_name().unwrap().to_str().unwrap();
        let (found, expected) = (failed(&home), &expected[name]);
        if found != *expected {
            let missing: Vec<_> = expected.difference(&found).collect();
            let more: Vec<_> = found.difference(expected).collect();
            wrong.push(format!("{name}: failed, but ok: {missing:?}; the reverse: {more:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
