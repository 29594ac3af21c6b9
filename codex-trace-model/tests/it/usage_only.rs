//! Reading for usage alone: the same model calls as in the full tree.

use codex_rollout::{Copies, RolloutHead, SkimReader, Source, Strings, TokenUsage};
use codex_trace_model::{
    SessionGroup, SpanKind, Status, Timestamp, Trace, UsageInput, group, resolve_usage,
};

use crate::support::{directories, heads, testdata, with_trace};

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
