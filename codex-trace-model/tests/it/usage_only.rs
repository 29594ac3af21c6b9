//! Reading for usage alone: the same model calls as in the full tree.

use codex_rollout::{Copies, LineStream, RolloutHead, SkimReader, Source, Strings, TokenUsage};
use codex_trace_model::{
    RolloutFile, SessionGroup, SpanKind, Status, Timestamp, Trace, UsageInput, group, resolve_usage,
};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

use crate::script::rollout_of;
use crate::support::{directories, heads, testdata, with_bytes, with_trace};

/// What must be the same of a session, however it was read.
#[derive(Debug, PartialEq)]
pub(crate) struct Facts {
    session_id: String,
    cwd: Option<String>,
    status: Status<'static>,
    /// In the order of threads.
    calls: Vec<Call>,
}

/// Thread, end, what it was made with, usage, first and last line.
type Call = (String, Option<Timestamp>, [Option<String>; 4], Option<TokenUsage>, u64, u64);

pub(crate) fn facts(trace: &Trace<'_>) -> Facts {
    let mut calls: Vec<_> = trace
        .model_calls()
        .map(|span| {
            let SpanKind::ModelCall(call) = &span.kind else { unreachable!() };
            let settings = [call.model, call.effort, call.service_tier, call.provider];
            let settings = settings.map(|it| it.map(|it| it.decode().into_owned()));
            let place = &span.provenance;
            let thread = trace.thread_of(span).id.clone();
            (thread, span.end, settings, span.usage, place.first_line, place.last_line)
        })
        .collect();
    calls.sort_by_key(|call| (call.0.clone(), call.4, call.5));
    Facts {
        session_id: trace.session_id().to_owned(),
        cwd: trace.root().meta.cwd.map(|cwd| cwd.decode().into_owned()),
        status: match trace.status() {
            Status::Error { message } => Status::Error { message: message.to_string().into() },
            Status::Interrupted { reason } => {
                Status::Interrupted { reason: reason.to_string().into() }
            }
            other if *other == Status::Ok => Status::Ok,
            _ => Status::Incomplete,
        },
        calls,
    }
}

pub(crate) fn skimmed_facts(heads: &[RolloutHead], session: &SessionGroup) -> Option<Facts> {
    let strings = Strings::new();
    let inputs: Option<Vec<_>> = session
        .members
        .iter()
        .map(|member| {
            let lines = SkimReader::open(&heads[member.head].rollout, &strings).ok()?;
            Some(UsageInput { file: member.file(heads), lines })
        })
        .collect();
    resolve_usage(inputs?).map(|trace| facts(&trace))
}

#[test]
fn every_session_has_the_same_calls_with_and_without_content() {
    let mut homes = directories(&testdata("homes"));
    homes.extend(directories(&testdata("golden/rollouts")));
    homes.extend([testdata("golden/e2e"), testdata("tree"), testdata("../../shared/corpus")]);
    let (mut same, mut refused) = (0, 0);
    for home in homes.iter().filter(|home| home.is_dir()) {
        let heads = heads(home);
        for session in group(&heads, &Copies::find(&heads)) {
            match skimmed_facts(&heads, &session) {
                Some(skimmed) => {
                    let full = with_trace(&heads, &session, facts);
                    assert_eq!(skimmed, full, "{}", home.display());
                    same += 1;
                }
                None => refused += 1,
            }
        }
    }
    eprintln!("{same} sessions the same, {refused} need all of their bytes");
    assert!(same > 40, "{same} sessions, {refused} refused");
}

const ID: &str = "019c1838-3300-7000-8000-000000000001";

fn lines_of(text: &str) -> Option<Vec<Option<TokenUsage>>> {
    let source = Source::from_bytes(text.as_bytes().to_vec());
    let input = UsageInput::new("made", ID, source.lines());
    resolve_usage([input]).map(|trace| trace.model_calls().map(|span| span.usage).collect())
}

/// What cannot be told from lines one by one is refused, not guessed.
#[test]
fn files_that_need_more_than_their_lines_are_refused() {
    let meta = |fields: &str| {
        format!(
            r#"{{"timestamp":"2026-02-01T10:00:00Z","type":"session_meta","payload":{{"id":"{ID}","timestamp":"2026-02-01T10:00:00Z"{fields}}}}}
"#
        )
    };
    let foreign = r#"{"timestamp":"2026-02-01T10:00:00Z","type":"session_meta","payload":{"id":"other"}}
"#;
    let cases = [
        ("a file of today", meta(r#","cli_version":"0.160.0""#), true),
        ("no version: bare lines", meta(""), false),
        ("no meta at all", "{\"record_type\":\"state\"}\n".repeat(5), false),
        (
            "it goes on from another file",
            meta(r#","cli_version":"0.160.0","history_base":{}"#),
            false,
        ),
        ("a copied head with turn ids", meta(r#","cli_version":"0.100.0""#) + foreign, true),
        ("a copied head without", meta(r#","cli_version":"0.99.0""#) + foreign, false),
        ("nothing at all", String::new(), false),
    ];
    for (why, text, taken) in cases {
        assert_eq!(lines_of(&text).is_some(), taken, "{why}");
    }
}

/// The sums that `usage`, `list` and `convert` print of a session.
fn sums(trace: &Trace<'_>) -> (usize, TokenUsage) {
    (trace.model_calls().count(), trace.usage())
}

/// Reads a file both ways; `None` if one of them needs more than its lines.
fn both_sums(text: &[u8]) -> Option<[(usize, TokenUsage); 2]> {
    let strings = Strings::new();
    let stream = LineStream::new(Box::new(std::io::Cursor::new(text.to_vec())));
    let lines = SkimReader::new(stream, &strings);
    let file = RolloutFile { path: "made", thread_id: "made", ..RolloutFile::default() };
    let input = UsageInput { file, lines };
    let skimmed = resolve_usage([input]).map(|trace| sums(&trace))?;
    Some([skimmed, with_bytes(text, sums)])
}

/// The lines of every rollout at hand, file by file, long ones left out.
fn files_of_lines() -> Vec<Vec<Vec<u8>>> {
    let mut files = Vec::new();
    for home in directories(&testdata("homes")) {
        for head in heads(&home) {
            let source = Source::open(&head.rollout).unwrap();
            let lines = source.bytes().split(|byte| *byte == b'\n').filter(|it| !it.is_empty());
            let lines = lines
                .filter(|it| it.len() < 3_000 || it.windows(12).any(|it| it == b"session_meta"));
            files.push(lines.map(<[u8]>::to_vec).collect());
        }
    }
    files
}

/// What is done to the lines of a file.
#[derive(Clone, Debug)]
enum Damage {
    Drop(Index),
    Swap(Index, Index),
    Repeat(Index, Index),
    Cut(Index, Index),
    Flip(Index, Index, u8),
    /// A line of another file.
    Insert(Index, Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let ix = any::<Index>;
    prop_oneof![
        ix().prop_map(Damage::Drop),
        (ix(), ix()).prop_map(|(a, b)| Damage::Swap(a, b)),
        (ix(), ix()).prop_map(|(a, b)| Damage::Repeat(a, b)),
        (ix(), ix()).prop_map(|(a, b)| Damage::Cut(a, b)),
        (ix(), ix(), any::<u8>()).prop_map(|(a, b, byte)| Damage::Flip(a, b, byte)),
        (ix(), ix(), ix()).prop_map(|(a, b, c)| Damage::Insert(a, b, c)),
    ]
}

fn do_damage(files: &[Vec<Vec<u8>>], lines: &mut Vec<Vec<u8>>, damage: &Damage) {
    if lines.is_empty() {
        return;
    }
    let n = lines.len();
    match damage {
        Damage::Drop(at) => drop(lines.remove(at.index(n))),
        Damage::Swap(a, b) => lines.swap(a.index(n), b.index(n)),
        Damage::Repeat(from, to) => {
            let line = lines[from.index(n)].clone();
            lines.insert(to.index(n), line);
        }
        Damage::Cut(at, len) => {
            let line = &mut lines[at.index(n)];
            line.truncate(len.index(line.len() + 1));
        }
        Damage::Flip(at, byte, value) => {
            let line = &mut lines[at.index(n)];
            if !line.is_empty() {
                let byte = byte.index(line.len());
                line[byte] = *value;
            }
        }
        Damage::Insert(file, from, to) => {
            let file = &files[file.index(files.len())];
            if !file.is_empty() {
                lines.insert(to.index(n), file[from.index(file.len())].clone());
            }
        }
    }
}

/// Whatever was done to a file, who counts and who reads in full agree.
#[test]
fn damaged_files_have_the_same_sums_with_and_without_content() {
    let files = files_of_lines();
    let strategy = (any::<Index>(), any::<Index>(), prop::collection::vec(damage(), 0..12));
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    config.cases *= 8;
    let taken = std::cell::Cell::new(0);
    let result = TestRunner::new(config).run(&strategy, |(file, len, damages)| {
        let mut lines = files[file.index(files.len())].clone();
        lines.truncate(len.index(lines.len() + 1).max(1));
        for damage in &damages {
            do_damage(&files, &mut lines, damage);
        }
        let text = lines.join(&b'\n');
        if let Some([skimmed, full]) = both_sums(&text) {
            taken.set(taken.get() + 1);
            prop_assert_eq!(skimmed, full, "{}", String::from_utf8_lossy(&text));
        }
        Ok(())
    });
    result.unwrap_or_else(|err| panic!("{err}"));
    assert!(taken.get() > 10, "{} files were read both ways", taken.get());
}

/// Whether a file begins with a copy is told by the line after its own
/// `session_meta`: the next one that can be read, not a damaged one.
#[test]
fn a_damaged_line_between_two_metas_hides_no_copied_head() {
    let line = |kind: &str, payload: &str| {
        format!(r#"{{"timestamp":"2026-11-21T05:31:15.867Z","type":"{kind}","payload":{payload}}}"#)
    };
    let meta = |nth: u32| {
        let id = format!("01a1fc96-{nth:04}-73d3-b1e6-251dd2e5eed5");
        line("session_meta", &format!(r#"{{"id":"{id}","cli_version":"0.144.5"}}"#))
    };
    let usage = r#"{"input_tokens":40,"cached_input_tokens":0,"output_tokens":5,"reasoning_output_tokens":0,"total_tokens":45}"#;
    let text = [
        meta(1),
        line("response_item", r#"{"type":"message","role":"user""content":[]}"#),
        meta(2),
        line("event_msg", &format!(r#"{{"type":"token_count","info":{{"total_token_usage":{usage},"last_token_usage":{usage}}}}}"#)),
        line("event_msg", r#"{"type":"user_message","message":"go"}"#),
        String::new(),
    ]
    .join("\n");
    let [skimmed, full] = both_sums(text.as_bytes()).unwrap();
    assert_eq!(skimmed, full);
    assert_eq!(full.0, 0, "the call is the ancestor's");
}

/// The shortest file of the fuzzer's that was counted otherwise than listed.
#[test]
fn a_call_that_only_its_items_tell_of_is_looked_at_in_full() {
    let script = r#"
        0 meta {"id":"%a","cli_version":"0.169.0"}
        10 complete %b
        20 typed go
        30 item {"type":"reasoning","internal_chat_message_metadata_passthrough":{"turn_id":"%b"}}
    "#;
    let text = rollout_of(script);
    assert_eq!(with_bytes(&text, sums).0, 0);
    assert!(both_sums(&text).is_none());
}
