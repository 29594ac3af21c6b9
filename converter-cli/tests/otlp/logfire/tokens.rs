//! Where the tokens of a history stand, and that nothing is added up twice.

use std::collections::BTreeMap;

use serde_json::Value;

use codex_trace_export::content::Capture;

use super::spans::{Span, written};
use crate::support::{for_each_trace, homes};

/// Input, cached input, output and reasoning.
type Tokens = [u64; 4];

const OF_CALLS: [&str; 4] = [
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.reasoning.output_tokens",
];

const OF_TURNS: [&str; 4] = [
    "gen_ai.aggregated_usage.input_tokens",
    "gen_ai.aggregated_usage.cache_read_input_tokens",
    "gen_ai.aggregated_usage.output_tokens",
    "gen_ai.aggregated_usage.reasoning_tokens",
];

/// What a version did not record: see `codex-trace-model/tests/it/truth.rs`.
const UNRECORDED: [(&str, Tokens); 2] =
    [("r29", [2300, 1150, 100, 20]), ("r144", [5000, 0, 200, 0])];

fn add(all: &mut Tokens, span: &Span, keys: [&str; 4]) {
    for (sum, key) in all.iter_mut().zip(keys) {
        *sum += span.int(key).unwrap_or_default();
    }
}

#[test]
fn turns_and_model_calls_have_the_tokens_that_were_answered() {
    let mut calls: BTreeMap<String, Tokens> = BTreeMap::new();
    let mut turns: BTreeMap<String, Tokens> = BTreeMap::new();
    for_each_trace(|home, trace| {
        for span in &written(trace, Capture::MetadataOnly).spans {
            add(calls.entry(home.to_owned()).or_default(), span, OF_CALLS);
            add(turns.entry(home.to_owned()).or_default(), span, OF_TURNS);
            let counts = span.attributes.iter().any(|it| it.0.starts_with("gen_ai.usage."));
            assert!(!counts || span.name.starts_with("chat"), "{home}: {}", span.name);
            let sums =
                span.attributes.iter().any(|it| it.0.starts_with("gen_ai.aggregated_usage."));
            assert!(!sums || span.name == "codex turn", "{home}: {}", span.name);
        }
    });
    let mut compared = 0;
    for home in homes() {
        let Ok(truth) = std::fs::read(home.join("truth.json")) else { continue };
        let truth: Value = serde_json::from_slice(&truth).unwrap();
        let name = home.file_name().unwrap().to_str().unwrap();
        let missing = UNRECORDED.iter().find(|it| it.0 == name).map_or([0; 4], |it| it.1);
        let keys =
            ["input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens"];
        let expected: Vec<u64> =
            keys.iter().zip(missing).map(|(key, n)| truth[*key].as_u64().unwrap() - n).collect();
        assert_eq!(calls[name].to_vec(), expected, "{name}: model calls");
        assert_eq!(turns[name].to_vec(), expected, "{name}: turns");
        compared += 1;
    }
    assert_eq!(compared, 19);
}
