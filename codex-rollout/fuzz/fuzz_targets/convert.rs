//! Whatever the bytes, and however they are dealt out to files and threads: a
//! trace that keeps its promises, every line accounted for, the same twice.

#![no_main]

use codex_rollout::Source;
use codex_trace_model::{RolloutInput, Trace, Tree, resolve};
use libfuzzer_sys::fuzz_target;

/// The ids that fabricated heads have: UUIDv7, one later than the other.
const IDS: [&str; 4] = [
    "019c0000-0000-7000-8000-000000000001",
    "019c0000-0001-7000-8000-000000000002",
    "019c0000-0002-7000-8000-000000000003",
    "019c0000-0003-7000-8000-000000000004",
];

fuzz_target!(|bytes: &[u8]| {
    let alone = Source::from_bytes(bytes.to_vec());
    check(&[input(0, &alone, None)]);
    check(&[input(0, &alone, None), input(1, &alone, Some(&alone))]);
    let files: Vec<Source> = deal(bytes).into_iter().map(Source::from_bytes).collect();
    let mut inputs = Vec::new();
    for (n, source) in files.iter().enumerate() {
        // Reverts, which are files of one thread; copies of an ancestor.
        let thread = if n % 3 == 2 { n - 1 } else { n };
        let ancestor = n.checked_sub(1).map(|before| &files[before]);
        inputs.push(input(thread, source, ancestor.filter(|_| bytes.len() % 2 == 0)));
    }
    check(&inputs);
});

fn input<'a>(n: usize, source: &'a Source, ancestor: Option<&'a Source>) -> RolloutInput<'a> {
    let id = IDS[n % IDS.len()];
    RolloutInput { ancestor, ..RolloutInput::new(id, id, source) }
}

/// Deals the lines out to files, each under a head of its own.
fn deal(bytes: &[u8]) -> Vec<Vec<u8>> {
    let kind = bytes.len() % 5;
    let head = |n: usize| {
        let (id, parent) = (IDS[n], IDS[(n + IDS.len() - 1) % IDS.len()]);
        let rest = match kind {
            0 => String::new(),
            1 => format!(r#","parent_thread_id":"{parent}","forked_from_id":"{parent}""#),
            2 => format!(
                r#","history_mode":"paginated","history_base":{{"thread_id":"{parent}","end_ordinal_exclusive":3}}"#
            ),
            3 => format!(
                r#","parent_thread_id":"{parent}","agent_path":"/root/a{n}","subagent_history_start_ordinal":4"#
            ),
            _ => format!(
                r#""}}}}
{{"timestamp":"2026-01-01T00:00:00.000Z","type":"session_meta","payload":{{"id":"{parent}"#
            ),
        };
        let quote = if kind == 4 { "" } else { "\"" };
        let end = if kind == 4 { "\"" } else { "" };
        format!(
            r#"{{"timestamp":"2026-01-01T00:00:00.000Z","ordinal":0,"type":"session_meta","payload":{{"id":"{id}{quote}{rest}{end}}}}}
"#
        )
    };
    let mut files: Vec<Vec<u8>> = (0..IDS.len()).map(|n| head(n).into_bytes()).collect();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        files[line.len() % IDS.len()].extend_from_slice(line);
    }
    files
}

fn check(inputs: &[RolloutInput<'_>]) {
    let trace = resolve(inputs);
    trace.validate().expect("a trace keeps its promises");
    for thread in &trace.threads {
        assert!(thread.account.closes(), "{:?}", thread.account);
        assert_eq!(thread.items.len() as u64, thread.account.items);
    }
    check_places(&trace);
    let text = Tree(&trace).to_string();
    assert_eq!(text.lines().count(), trace.spans.len());
    assert_eq!(text, Tree(&resolve(inputs)).to_string());
}

/// Whatever one part refers to is there.
fn check_places(trace: &Trace<'_>) {
    for (ix, span) in trace.iter() {
        let below = trace.iter().filter(|(_, it)| it.parent == Some(ix)).count();
        assert_eq!(trace.children(ix).count(), below, "children of {}", span.key);
    }
    for thread in &trace.threads {
        let len = u32::try_from(thread.items.len()).expect("few items");
        for item in &thread.items {
            assert!(item.turn.is_none_or(|turn| turn.index() < trace.spans.len()));
        }
        for history in &thread.histories {
            let ends = history.base.iter().map(|range| range.1.0);
            assert!(ends.chain([history.from]).all(|end| end <= len));
        }
    }
}
