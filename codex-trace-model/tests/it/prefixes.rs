//! A rollout that has grown changes no turn that was complete before.

use std::collections::BTreeMap;
use std::fmt::Write;

use codex_rollout::Source;
use codex_trace_model::{SpanKind, Status, Trace};

use crate::support::{heads, testdata, with_bytes};

/// Returns every complete turn, by its key, as text: the turn and all below it.
///
/// Complete is a turn whose end the file itself marks. Whether the user took
/// it back later is not part of it.
fn complete_turns(trace: &Trace<'_>) -> BTreeMap<String, String> {
    let mut turns = BTreeMap::new();
    for (ix, span) in trace.iter() {
        let SpanKind::Turn(turn) = &span.kind else { continue };
        if !turn.marked || span.end.is_none() || span.status == Status::Incomplete {
            continue;
        }
        let mut text = format!("{span:?}");
        for fate in ["Kept", "RolledBack", "Abandoned"] {
            text = text.replace(&format!("fate: {fate}"), "fate");
        }
        let mut below = vec![ix];
        for (child_ix, child) in trace.iter().skip(ix.index() + 1) {
            if child.parent.is_some_and(|parent| below.contains(&parent)) {
                below.push(child_ix);
                writeln!(text, "{child:?}").unwrap();
            }
        }
        for item in &trace.root().items {
            if item.turn == Some(ix) {
                writeln!(text, "{item:?}").unwrap();
            }
        }
        turns.insert(span.key.clone(), text);
    }
    turns
}

fn check_prefix(whole: &BTreeMap<String, String>, bytes: &[u8], what: &str) -> usize {
    let before = with_bytes(bytes, |trace| {
        trace.validate().unwrap_or_else(|err| panic!("{what}: {err}"));
        assert!(trace.root().account.closes(), "{what}: {:?}", trace.root().account);
        complete_turns(trace)
    });
    for (key, text) in &before {
        assert_eq!(Some(text), whole.get(key), "{what}: {key} changed");
    }
    before.len()
}

#[test]
fn complete_turns_never_change() {
    let mut files = 0;
    for head in [heads(&testdata("homes")), heads(&testdata("golden"))].concat() {
        let source = Source::open(&head.rollout).unwrap();
        let bytes = source.bytes();
        let whole = with_bytes(bytes, complete_turns);
        let name = head.rollout.path.display().to_string();
        let mut seen = 0;
        let ends =
            bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        for end in ends {
            seen = check_prefix(&whole, &bytes[..end], &format!("{name} up to byte {end}"));
        }
        assert_eq!(seen, whole.len(), "{name}");
        files += 1;
    }
    assert!(files > 40, "{files}");
}

/// Every byte of a small file: whatever a crash leaves is read to its end.
#[test]
fn every_byte_of_a_small_file_is_a_place_to_stop() {
    for home in ["homes/r44", "homes/r29"] {
        for head in heads(&testdata(home)) {
            let source = Source::open(&head.rollout).unwrap();
            let whole = with_bytes(source.bytes(), complete_turns);
            for end in 0..source.bytes().len() {
                check_prefix(&whole, &source.bytes()[..end], &format!("{home} up to byte {end}"));
            }
        }
    }
}
