//! Turns that the live exporter has sent.

use std::collections::BTreeSet;
use std::path::Path;

use codex_trace_export::content::ContentRules;
use codex_trace_export::logfire::BARE;
use codex_trace_export::{Cx, Notes, Shift, TurnNote, TurnState, Unit};
use codex_trace_model::{SpanIx, SpanKind, Trace};
use serde_json::{Value, json};

use super::spans::{Span, settings, written_by};
use crate::support::{exporter, for_each_trace, with_session_of};

/// A session with a subagent, two tools and four model calls.
fn with_spawn(check: impl FnOnce(&Trace<'_>)) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../testdata/golden/e2e/spawn/rollouts/sessions/2026/11/21");
    let name = "rollout-2026-11-21T06-07-38-01a1fcb7-ae10-7df2-b727-4cf1deed9574.jsonl";
    with_session_of(&dir.join(name), check);
}

/// Says of all turns that the exporter has sent them.
fn sent(trace: &Trace<'_>, place: Option<&str>) -> Notes {
    let turns = trace.iter().filter(|(_, span)| matches!(span.kind, SpanKind::Turn(_)));
    let turns = turns.filter(|(_, span)| span.parent == Some(SpanIx(0)));
    let note = TurnNote {
        state: Some(TurnState::Claimed),
        place: place.map(str::to_owned),
        ..TurnNote::default()
    };
    Notes { beside: turns.map(|(ix, _)| (ix, note.clone())).collect(), ..Notes::default() }
}

fn write(trace: &Trace<'_>, options: &[(&str, &str)], notes: &Notes) -> Vec<Span> {
    let exporter = exporter("logfire", &settings(options));
    written_by(&*exporter, trace, &ContentRules::default(), notes).spans
}

fn input(spans: &[Span], key: &str) -> u64 {
    spans.iter().filter_map(|span| span.int(key)).sum()
}

#[test]
fn a_turn_that_was_sent_is_skipped_and_accounted_for() {
    with_spawn(|trace| {
        let exporter = exporter("logfire", &settings(&[]));
        let notes = sent(trace, None);
        let rules = ContentRules::default();
        let mut units = Vec::new();
        let cx = Cx { trace, rules: &rules, notes: &notes };
        exporter.encode(&cx, &mut |unit: Unit| units.push(unit)).unwrap();
        assert_eq!(units.len(), 1);
        assert!(units[0].pieces.is_empty() && units[0].key.turn.is_some());
    });
}

/// What there is with and without the exporter's turn is what there would be
/// without the exporter, and tokens are counted once.
#[test]
fn a_turn_that_was_sent_is_completed_if_asked_for() {
    with_spawn(|trace| {
        let all = write(trace, &[], &Notes::default());
        let ids = |spans: &[Span]| -> BTreeSet<String> {
            spans.iter().map(|span| span.id.clone()).collect()
        };
        let add = [("add_missing", "true")];
        for (place, left) in [
            (
                None,
                vec![
                    "codex tool collaborationspawn_agent",
                    "codex tool collaborationwait_agent",
                    "codex turn",
                ],
            ),
            (Some(BARE), vec!["codex turn"]),
        ] {
            let more = write(trace, &add, &sent(trace, place));
            assert!(ids(&more).is_subset(&ids(&all)));
            let missing = all.iter().filter(|span| !ids(&more).contains(&span.id));
            let mut missing: Vec<&str> = missing.map(|span| &*span.name).collect();
            missing.sort_unstable();
            assert_eq!(missing, left);
            // truth.json: 5 000 in all; the exporter's recording has 3 800 for the turn.
            let counted = if place.is_none() { 1_200 } else { 0 };
            assert_eq!(input(&more, "gen_ai.usage.input_tokens"), counted);
            assert_eq!(input(&more, "codex.usage.input_tokens"), 5_000 - counted);
            let below =
                |span: &&Span| span.parent.as_ref().is_some_and(|id| !ids(&all).contains(id));
            assert_eq!(
                more.iter().find(below).map(|span| &span.name),
                None,
                "no parent is missing"
            );
        }
    });
}

/// Every span moves by as much, and says when it really was.
#[test]
fn a_session_that_is_moved_moves_as_a_whole() {
    for_each_trace(|home, trace| {
        let Some(ended) = trace.ended_at() else { return };
        let millis = 86_400_000;
        let shift = Shift { millis, found: ended.as_millisecond() + millis };
        let notes = Notes { shift: Some(shift), ..Notes::default() };
        let (before, after) = (write(trace, &[], &Notes::default()), write(trace, &[], &notes));
        assert_eq!(before.len(), after.len());
        for (before, after) in before.iter().zip(&after) {
            let place = format!("{home} {}", after.name);
            let by = |at: u64| at + 86_400_000_000_000;
            assert_eq!((by(before.start), by(before.end)), (after.start, after.end), "{place}");
            assert_eq!(before.id, after.id, "{place}");
            assert_eq!(before.get("codex.time_shift_ms"), Value::Null);
            assert_eq!(after.get("codex.time_shift_ms"), json!("86400000"), "{place}");
            assert!(after.get("codex.original_start_time").is_string(), "{place}");
        }
    });
}
