use std::collections::HashMap;

use memchr::memmem::Finder;

use crate::discover::Layout;
use crate::head::{MAX_HEAD_LINE, RolloutHead};
use crate::item::event_msg::EventMsg;
use crate::line::{RolloutItem, RolloutLine};
use crate::stream::LineStream;

/// How many lines of a reviewer's file are searched for its first turn.
const FIRST_LINES: usize = 16;

/// Finds the threads that were reviewed by others that do not name them (0.100
/// to 0.135), and notes them as their parents.
///
/// A thread that is reviewed shows the start of the reviewer's first turn. Of
/// several that do, the oldest is the one: others hold copies of its lines. Only
/// threads of the same working directory are looked at, and none if no reviewer
/// lacks a parent. A file that cannot be read shows nothing.
pub fn find_reviewed(heads: &mut [RolloutHead]) {
    let mut reviewers: HashMap<String, usize> = HashMap::new();
    for (ix, head) in heads.iter().enumerate() {
        let orphan = head.parent_thread_id.is_none() && head.source.as_deref() == Some("review");
        if orphan && let Some(turn) = turns_of(head, FIRST_LINES).into_iter().next() {
            reviewers.insert(turn, ix);
        }
    }
    let mut reviewed: HashMap<usize, usize> = HashMap::new();
    for (ix, head) in heads.iter().enumerate() {
        let may_be = |reviewer: &usize| {
            let reviewer = &heads[*reviewer];
            reviewer.cwd == head.cwd && head.created <= reviewer.created
        };
        if head.source.as_deref() == Some("review") || !reviewers.values().any(may_be) {
            continue;
        }
        for turn in turns_of(head, usize::MAX) {
            let Some(reviewer) = reviewers.get(&turn).copied().filter(may_be) else { continue };
            let oldest = reviewed.entry(reviewer).or_insert(ix);
            if heads[ix].created < heads[*oldest].created {
                *oldest = ix;
            }
        }
    }
    for (reviewer, parent) in reviewed {
        heads[reviewer].parent_thread_id = Some(heads[parent].thread_id.clone());
    }
}

/// Returns the ids of the turns whose starts the first lines of a file show.
fn turns_of(head: &RolloutHead, n_lines: usize) -> Vec<String> {
    let finder = Finder::new(br#""task_started""#);
    let mut turns = Vec::new();
    if head.rollout.layout == Layout::Document {
        return turns;
    }
    let Ok(stream) = LineStream::open(&head.rollout) else { return turns };
    let mut stream = stream.max_line_len(MAX_HEAD_LINE);
    for _ in 0..n_lines {
        match stream.next_line() {
            Ok(Some((bytes, at, _))) => {
                // Long lines hold content.
                let start = &bytes[..bytes.len().min(256)];
                let event = finder.find(start).and_then(|_| RolloutLine::decode(bytes, at).ok());
                if let Some(RolloutItem::EventMsg(EventMsg::TaskStarted(started))) =
                    event.map(|line| line.item)
                {
                    turns.extend(started.turn_id.map(|id| id.decode().into_owned()));
                }
            }
            Err(err) if err.is_about_a_line() => {}
            Ok(None) | Err(_) => break,
        }
    }
    turns
}
