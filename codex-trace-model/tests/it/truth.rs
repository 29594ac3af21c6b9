//! What the model server answered while the real Codex wrote the homes.

use std::collections::BTreeMap;

use codex_trace_model::{SpanKind, TokenUsage, Trace};
use serde_json::Value;

use crate::support::{directories, for_each_trace, testdata};

/// What a version did not record, so that no converter can find it.
struct Unrecorded {
    home: &'static str,
    calls: u64,
    /// Input, cached, output, reasoning.
    tokens: [u64; 4],
    why: &'static str,
}

const UNRECORDED: &[Unrecorded] = &[
    Unrecorded {
        home: "r29",
        calls: 0,
        tokens: [2300, 1150, 100, 20],
        why: "0.29 records no usage at all",
    },
    Unrecorded {
        home: "r144",
        calls: 1,
        // 412 300 - 407 300 and 500 - 300: the request that compacted.
        tokens: [5000, 0, 200, 0],
        why: "before 0.153 the usage of a compaction call is not recorded",
    },
];

#[test]
fn every_home_has_the_calls_and_tokens_that_were_answered() {
    let mut homes = 0;
    for home in directories(&testdata("homes")) {
        let Ok(truth) = std::fs::read(home.join("truth.json")) else { continue };
        let truth: BTreeMap<String, Value> = serde_json::from_slice(&truth).unwrap();
        let truth = |key: &str| truth[key].as_u64().unwrap();
        let name = home.file_name().unwrap().to_str().unwrap();
        let missing = UNRECORDED.iter().find(|it| it.home == name);
        let [input, cached, output, reasoning] = missing.map_or([0; 4], |it| it.tokens);
        let (mut calls, mut usage) = (0, TokenUsage::default());
        for_each_trace(&home, |trace| {
            calls += trace.model_calls().count() as u64;
            usage += trace.usage();
        });
        let why = missing.map_or("", |it| it.why);
        assert_eq!(calls, truth("model_calls") - missing.map_or(0, |it| it.calls), "{name} {why}");
        assert_eq!(usage.input_tokens, truth("input_tokens") - input, "{name} {why}");
        assert_eq!(usage.cached_input_tokens, truth("cached_input_tokens") - cached, "{name}");
        assert_eq!(usage.output_tokens, truth("output_tokens") - output, "{name}");
        assert_eq!(usage.reasoning_output_tokens, truth("reasoning_output_tokens") - reasoning);
        homes += 1;
    }
    assert_eq!(homes, 19, "testdata/homes has nineteen homes with a truth.json");
}

/// `a169` has no truth file; its lines hold six usage records of 7 900 tokens.
#[test]
fn response_ids_that_a_restarted_server_gave_twice_are_two_responses() {
    let (mut calls, mut total) = (0, 0);
    for_each_trace(&testdata("homes/a169"), |trace| {
        calls += trace.model_calls().count();
        total += trace.usage().total_tokens;
    });
    assert_eq!((calls, total), (6, 7_900));
}

/// Adds up the three ends that a line can come to.
fn check_account(trace: &Trace<'_>) {
    for thread in &trace.threads {
        assert!(thread.account.closes(), "{}: {:?}", thread.rollouts[0].path, thread.account);
        assert_eq!(thread.items.len() as u64, thread.account.items);
    }
}

/// A turn's usage is the sum of its model calls; a thread's the sum of its turns.
fn check_sums(trace: &Trace<'_>) {
    let total = |usage: Option<TokenUsage>| usage.unwrap_or_default().total_tokens;
    for (ix, span) in trace.iter() {
        if !matches!(span.kind, SpanKind::Thread | SpanKind::Turn(_)) {
            continue;
        }
        let below: u64 = trace
            .children(ix)
            .filter(|(_, child)| child.thread == span.thread)
            .map(|(child_ix, child)| match child.kind {
                SpanKind::Compaction(_) => {
                    trace.children(child_ix).map(|(_, call)| total(call.usage)).sum()
                }
                _ => total(child.usage),
            })
            .sum();
        assert_eq!(total(span.usage), below, "{}", span.key);
    }
}

#[test]
fn every_trace_keeps_its_promises() {
    let mut traces = 0;
    for root in [testdata("homes"), testdata("golden")] {
        for_each_trace(&root, |trace| {
            trace.validate().unwrap();
            check_account(trace);
            check_sums(trace);
            traces += 1;
        });
    }
    assert!(traces > 30, "{traces}");
}

/// Every file of the corpus beside the repository, if it is there: whatever
/// other tools made of the format, nothing is refused and nothing is lost.
#[test]
fn the_public_corpus_is_accounted_for() {
    let corpus = testdata("../../shared/corpus");
    if !corpus.is_dir() {
        eprintln!("skipped: {} is not there", corpus.display());
        return;
    }
    let facts = std::fs::read_to_string(corpus.join("facts.tsv")).unwrap();
    let mut compared = 0;
    for line in facts.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let path = corpus.join("public").join(fields[0]);
        for_each_trace(&path, |trace| {
            trace.validate().unwrap_or_else(|err| panic!("{}: {err}", fields[0]));
            check_account(trace);
            check_sums(trace);
            // Plain arithmetic over the lines: the sum of `last` without repeats.
            let copied = trace.root().account.ignored.contains_key("inherited from another thread");
            if let Ok(expected) = fields[9].parse::<u64>()
                && !copied
                && fields[13] == "0"
            {
                assert_eq!(trace.usage().total_tokens, expected, "{}", fields[0]);
                compared += 1;
            }
        });
    }
    assert!(compared > 20, "{compared} files compared");
}
