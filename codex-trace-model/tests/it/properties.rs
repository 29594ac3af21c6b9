//! What holds of every history, real or mutilated (style guide, invariants 4,
//! 5 and 6).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use codex_rollout::{Copies, RolloutHead, Source};
use codex_trace_model::{RolloutInput, SpanKind, TokenUsage, Trace, Tree, group, resolve};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::{directories, for_each_trace, heads, testdata, with_bytes, with_trace};

/// Every history: a home of `testdata/homes` or a part of `testdata/golden`.
fn histories() -> Vec<PathBuf> {
    let mut found = directories(&testdata("homes"));
    found.extend(directories(&testdata("golden/e2e")));
    found
}

fn sum_of(usage: TokenUsage) -> [u64; 4] {
    let TokenUsage { input_tokens, cached_input_tokens, .. } = usage;
    [input_tokens, cached_input_tokens, usage.output_tokens, usage.reasoning_output_tokens]
}

fn numbers(usage: &Value) -> [u64; 4] {
    ["input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens"]
        .map(|key| usage[key].as_u64().unwrap_or(0))
}

/// Adds up distinct responses by the lines alone: without turns, boundaries or
/// anything else of the model. A record counts once by thread, turn and
/// response; a count where its total is new among the totals of all files, which
/// leaves copies out, and where the file has no records.
fn plain_sum(files: &[Vec<Value>]) -> [u64; 4] {
    let mut sum = [0; 4];
    let mut add = |usage: &Value| {
        for (sum, number) in sum.iter_mut().zip(numbers(usage)) {
            *sum += number;
        }
    };
    let mut records = HashSet::new();
    for lines in files {
        for line in lines.iter().filter(|line| line["type"] == "token_usage_record") {
            let it = &line["payload"];
            let key = ["thread_id", "turn_id", "response_id"].map(|key| it[key].to_string());
            if records.insert(key) {
                add(&it["usage"]);
            }
        }
    }
    for lines in files {
        let recorded: HashSet<String> = lines
            .iter()
            .filter(|line| line["type"] == "token_usage_record")
            .map(|line| line["payload"]["turn_id"].to_string())
            .collect();
        let copied = lines.iter().filter(|line| line["type"] == "session_meta").count() > 1;
        let id = lines.first().map(|line| line["payload"]["id"].clone()).unwrap_or_default();
        let (mut turn, mut own, mut total) = (String::new(), !copied, Value::Null);
        for line in lines {
            let it = &line["payload"];
            if it["type"] == "task_started" {
                turn = it["turn_id"].to_string();
                own |= it["turn_id"].as_str() > id.as_str();
            }
            if it["type"] != "token_count" || it["info"].is_null() {
                continue;
            }
            let info = &it["info"];
            let moved = total != info["total_token_usage"];
            total = info["total_token_usage"].clone();
            if own && moved && !recorded.contains(&turn) {
                add(&info["last_token_usage"]);
            }
        }
    }
    sum
}

fn lines_of(head: &RolloutHead) -> Vec<Value> {
    let source = Source::open(&head.rollout).unwrap();
    let lines = source.bytes().split(|byte| *byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

#[test]
fn the_tokens_of_a_history_are_those_of_its_distinct_responses() {
    let mut compared = 0;
    for home in histories() {
        let name = home.file_name().unwrap().to_str().unwrap();
        // Copied heads without turn ids: `truth.rs` has the numbers.
        if name.ends_with("fk98.0") {
            continue;
        }
        let files: Vec<_> = heads(&home).iter().map(lines_of).collect();
        let mut usage = TokenUsage::default();
        for_each_trace(&home, |trace| usage += trace.usage());
        assert_eq!(sum_of(usage), plain_sum(&files), "{name}");
        compared += 1;
    }
    assert!(compared > 18, "{compared}");
}

/// The usage of each thread of its own, by its id.
fn usage_by_thread(heads: &[RolloutHead]) -> BTreeMap<String, [u64; 4]> {
    let mut usages = BTreeMap::new();
    for session in group(heads, &Copies::find(heads)) {
        with_trace(heads, &session, |trace| {
            for thread in &trace.threads {
                let usage = trace.span(thread.span).usage.unwrap_or_default();
                usages.insert(thread.id.clone(), sum_of(usage));
            }
        });
    }
    usages
}

/// Whatever is missing: who is left has used what it used.
#[test]
fn a_thread_s_usage_needs_no_other_thread_s_file() {
    let mut removed = 0;
    for home in histories() {
        let all = heads(&home);
        let whole = usage_by_thread(&all);
        let threads: HashSet<&str> = all.iter().map(|head| head.thread_id.as_str()).collect();
        if threads.len() < 2 {
            continue;
        }
        for gone in threads {
            let left: Vec<RolloutHead> =
                all.iter().filter(|head| head.thread_id != gone).cloned().collect();
            for (id, usage) in usage_by_thread(&left) {
                assert_eq!(usage, whole[&id], "{} without {gone}: {id}", home.display());
            }
            removed += 1;
        }
    }
    assert!(removed > 20, "{removed}");
}

#[test]
fn no_call_id_has_two_spans_in_one_thread() {
    let mut calls = 0;
    for home in histories() {
        for_each_trace(&home, |trace| {
            let mut seen = HashSet::new();
            for span in &trace.spans {
                let SpanKind::ToolCall(call) = &span.kind else { continue };
                let Some(id) = call.call_id else { continue };
                assert!(seen.insert((span.thread, id.raw())), "{}: {}", home.display(), span.key);
                calls += 1;
            }
        });
    }
    assert!(calls > 50, "{calls}");
}

/// Real files, cut to lines, the longest left out: they tell nothing more.
fn corpus() -> Vec<Vec<Vec<u8>>> {
    let mut files = Vec::new();
    for home in histories() {
        for head in heads(&home) {
            let source = Source::open(&head.rollout).unwrap();
            let lines = source.bytes().split_inclusive(|byte| *byte == b'\n');
            files.push(lines.filter(|line| line.len() < 4_000).map(<[u8]>::to_vec).collect());
        }
    }
    files
}

/// What is done to the lines of a file; numbers are taken modulo what is there.
#[derive(Clone, Debug)]
enum Harm {
    Drop(usize),
    Repeat(usize),
    Swap(usize, usize),
    Cut(usize, usize),
    Flip(usize, usize, u8),
    /// Puts in a line of another file.
    Foreign(usize, usize, usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    let n = any::<usize>;
    prop_oneof![
        n().prop_map(Harm::Drop),
        n().prop_map(Harm::Repeat),
        (n(), n()).prop_map(|(a, b)| Harm::Swap(a, b)),
        (n(), n()).prop_map(|(line, at)| Harm::Cut(line, at)),
        (n(), n(), any::<u8>()).prop_map(|(line, at, byte)| Harm::Flip(line, at, byte)),
        (n(), n(), n()).prop_map(|(at, file, line)| Harm::Foreign(at, file, line)),
    ]
}

fn apply(lines: &mut Vec<Vec<u8>>, harm: &Harm, corpus: &[Vec<Vec<u8>>]) {
    let len = lines.len().max(1);
    if lines.is_empty() {
        return;
    }
    match *harm {
        Harm::Drop(line) => drop(lines.remove(line % len)),
        Harm::Repeat(line) => lines.insert(line % len, lines[line % len].clone()),
        Harm::Swap(a, b) => lines.swap(a % len, b % len),
        Harm::Cut(line, at) => {
            let line = &mut lines[line % len];
            line.truncate(at % line.len().max(1));
        }
        Harm::Flip(line, at, byte) => {
            let line = &mut lines[line % len];
            let at = at % line.len().max(1);
            line.get_mut(at).into_iter().for_each(|it| *it = byte);
        }
        Harm::Foreign(at, file, line) => {
            let file = &corpus[file % corpus.len()];
            if let Some(line) = file.get(line % file.len().max(1)) {
                lines.insert(at % len, line.clone());
            }
        }
    }
}

fn check(trace: &Trace<'_>) {
    trace.validate().unwrap();
    for thread in &trace.threads {
        assert!(thread.account.closes(), "{:?}", thread.account);
        assert_eq!(thread.items.len() as u64, thread.account.items);
    }
    let mut children: HashMap<_, usize> = HashMap::new();
    for span in &trace.spans {
        *children.entry(span.parent).or_default() += 1;
    }
    for (ix, span) in trace.iter() {
        let expected = children.get(&Some(ix)).copied().unwrap_or(0);
        assert_eq!(trace.children(ix).count(), expected, "{}", span.key);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutilated_files_keep_all_promises(
        file in any::<usize>(),
        harms in prop::collection::vec(harm(), 1..12),
    ) {
        let corpus = corpus_once();
        let mut lines = corpus[file % corpus.len()].clone();
        for harm in &harms {
            apply(&mut lines, harm, corpus);
        }
        let bytes = lines.concat();
        let first = with_bytes(&bytes, |trace| {
            check(trace);
            format!("{trace:?}")
        });
        prop_assert_eq!(first, with_bytes(&bytes, |trace| format!("{trace:?}")));
    }

    /// Files that have nothing to do with each other, as one session.
    #[test]
    fn files_of_anybody_make_one_session(picks in prop::collection::vec(any::<usize>(), 2..5)) {
        let corpus = corpus_once();
        let sources: Vec<Source> = picks
            .iter()
            .map(|pick| Source::from_bytes(corpus[pick % corpus.len()].concat()))
            .collect();
        let ids: Vec<String> = picks.iter().map(|pick| format!("t{}", pick % 3)).collect();
        let inputs: Vec<RolloutInput<'_>> = sources
            .iter()
            .zip(&ids)
            .map(|(source, id)| RolloutInput {
                ancestor: sources.first(),
                ..RolloutInput::new(id, id, source)
            })
            .collect();
        let trace = resolve(&inputs);
        check(&trace);
        prop_assert_eq!(Tree(&trace).to_string(), Tree(&resolve(&inputs)).to_string());
    }
}

fn corpus_once() -> &'static [Vec<Vec<u8>>] {
    static CORPUS: std::sync::LazyLock<Vec<Vec<Vec<u8>>>> = std::sync::LazyLock::new(corpus);
    &CORPUS
}

/// Work grows with the input, not with its square: with the square, each of
/// these would take minutes.
#[test]
fn huge_inputs_are_read_in_one_go() {
    use std::fmt::Write;
    const N: usize = 20_000;
    let event = |text: &mut String, payload: &str| {
        writeln!(
            text,
            r#"{{"timestamp":"2026-01-01T00:00:00Z","type":"event_msg","payload":{payload}}}"#
        )
        .unwrap();
    };
    let mut turns = String::new();
    for n in 0..N {
        // All turns of one id, rolled back each; ends that no call claims.
        event(&mut turns, r#"{"type":"task_started","turn_id":"same"}"#);
        event(
            &mut turns,
            &format!(r#"{{"type":"exec_command_end","call_id":"lost{n}","turn_id":"same"}}"#),
        );
        event(&mut turns, r#"{"type":"thread_rolled_back","num_turns":18446744073709551615}"#);
        event(&mut turns, &format!(r#"{{"type":"unknown{n}"}}"#));
    }
    let mut tools = String::new();
    event(&mut tools, r#"{"type":"task_started","turn_id":"a"}"#);
    for n in 0..N {
        let item = |text: &mut String, payload: &str| {
            writeln!(text, r#"{{"timestamp":"2026-01-01T00:00:00Z","type":"response_item","payload":{payload}}}"#).unwrap();
        };
        item(
            &mut tools,
            r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"x"}]}"#,
        );
        item(
            &mut tools,
            &format!(r#"{{"type":"custom_tool_call","call_id":"c{n}","name":"exec","input":""}}"#),
        );
        event(
            &mut tools,
            &format!(r#"{{"type":"exec_command_end","call_id":"exec-{n}","turn_id":"a"}}"#),
        );
        item(
            &mut tools,
            r#"{"type":"custom_tool_call","call_id":"same","name":"exec","input":""}"#,
        );
        writeln!(tools, r#"{{"timestamp":"2026-01-01T00:00:00Z","type":"compacted","payload":{{"message":"{n}"}}}}"#).unwrap();
    }
    for (text, least) in [(turns, 2 * N), (tools, 3 * N)] {
        with_bytes(text.as_bytes(), |trace| {
            assert!(trace.spans.len() > least);
            check(trace);
        });
    }
}

/// Each thread spawned by the next one, the last one by the first.
#[test]
fn a_circle_of_thousands_of_threads_is_one_session() {
    const N: usize = 5_000;
    let made = heads(&testdata("homes/r44")).remove(0);
    let circle: Vec<RolloutHead> = (0..N)
        .map(|n| {
            let mut head = made.clone();
            head.thread_id = format!("t{n}");
            head.rollout_id.clone_from(&head.thread_id);
            head.parent_thread_id = Some(format!("t{}", (n + 1) % N));
            head
        })
        .collect();
    assert_eq!(group(&circle, &Copies::default()).len(), 1);
}
