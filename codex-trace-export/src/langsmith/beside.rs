//! What is known of a session beside its files: the plugin's notes on its
//! turns, what its user wants private, by how much its times are moved.

use std::collections::HashMap;

use codex_rollout::JsonText;
use codex_trace_model::{SpanIx, SpanKind, Trace};

use crate::langsmith::lost::was_lost;
use crate::langsmith::plan::{Known, Plan, TurnPlan};
use crate::langsmith::topology::Topology;
use crate::{Keep, Notes, Receipt, TurnState};

/// The plugin's notes on the turns of a session.
#[derive(Debug, Default)]
pub(super) struct Beside {
    turns: HashMap<SpanIx, Note>,
}

#[derive(Debug)]
struct Note {
    state: Option<TurnState>,
    topology: Option<Topology>,
    keep: Option<Keep>,
    ours: bool,
}

impl Beside {
    /// Makes sense of what was found.
    pub(super) fn of(trace: &Trace<'_>, notes: &Notes) -> Beside {
        let turns = notes.beside.iter().map(|(ix, note)| {
            let thread = trace.thread_of(trace.span(*ix));
            // A bare line says nothing of a turn that the plugin is known to
            // have lost.
            let lost = note.state == Some(TurnState::Claimed)
                && thread.items.iter().any(|it| it.turn == Some(*ix) && was_lost(&it.body));
            let note = Note {
                state: note.state.filter(|_| !lost),
                topology: note.place.as_deref().and_then(Topology::read),
                keep: note.keep,
                ours: note.ours,
            };
            (*ix, note)
        });
        Beside { turns: turns.collect() }
    }

    /// Whether the plugin has uploaded the turn.
    pub(super) fn is_there(&self, turn: SpanIx) -> bool {
        let state = self.turns.get(&turn).and_then(|note| note.state);
        matches!(state, Some(TurnState::Claimed | TurnState::Uploaded))
    }

    /// Whether we have noted the turn as uploaded.
    pub(super) fn is_ours(&self, turn: SpanIx) -> bool {
        self.turns.get(&turn).is_some_and(|note| note.ours)
    }

    /// Returns how much of each turn may be uploaded: what is said of it, or
    /// what holds for the turn that spawned it, or the default.
    pub(super) fn modes(&self, plan: &Plan<'_, '_>, default: Keep) -> Vec<Keep> {
        let mut modes: Vec<Keep> = Vec::with_capacity(plan.turns.len());
        for turn in &plan.turns {
            let note = self.turns.get(&turn.span);
            let above = turn.parent.map_or(default, |parent| modes[parent]);
            let off = note.is_some_and(|note| note.state == Some(TurnState::Off));
            let said = if off { Some(Keep::Off) } else { note.and_then(|note| note.keep) };
            modes.push(said.unwrap_or(above));
        }
        modes
    }
}

/// Everything that is known beside the files.
pub(super) struct Noted<'n> {
    pub(super) beside: &'n Beside,
    pub(super) notes: &'n Notes,
    /// Whether the plugin's notes are about this destination.
    pub(super) of_plugin: bool,
}

impl Known for Noted<'_> {
    fn topology(&self, turn: SpanIx) -> Option<&Topology> {
        let note = self.beside.turns.get(&turn)?;
        note.topology.as_ref().filter(|_| self.of_plugin && self.notes.shift.is_none())
    }

    fn is_foreign(&self, turn: SpanIx) -> bool {
        let note = self.beside.turns.get(&turn);
        // Its root is there under an id that nobody knows.
        let foreign = |it: &Note| it.state == Some(TurnState::Claimed) && it.topology.is_none();
        self.of_plugin && note.is_some_and(foreign)
    }

    fn shift(&self, millis: i64) -> i64 {
        self.notes.shift_of(millis)
    }
}

/// Returns what the plugin is to be told once a turn is there, so that it does
/// not send it from the same file: the turn, by each id that the file knows it
/// by, and the turns of other threads that the file begins with a copy of.
pub(super) fn receipts(trace: &Trace<'_>, turn: &TurnPlan<'_>) -> Vec<Receipt> {
    let span = trace.span(turn.span);
    let thread = trace.thread_of(span);
    let nth = span.provenance.rollout;
    let file = thread.rollout(nth).and_then(|rollout| rollout.file.clone());
    let SpanKind::Turn(of) = &span.kind else { return Vec::new() };
    let (Some(file), Some(id)) = (file, of.turn_id) else { return Vec::new() };
    let reviewers = of.review.and_then(|review| review.reviewer_turn).map(|it| it.turn_id);
    let own = std::iter::once(id).chain(reviewers).map(|id| (id, Some(checkpoint(turn))));
    let copied = thread.copied_turns.iter().filter(|(of, _)| *of == nth).map(|it| (it.1, None));
    let receipt = |(id, note): (JsonText<'_>, Option<String>)| Receipt {
        file: file.clone(),
        turn: id.decode().into_owned(),
        note,
    };
    own.chain(copied).map(receipt).collect()
}

/// Returns what the topology file of a turn is to say.
fn checkpoint(turn: &TurnPlan<'_>) -> String {
    let root = &turn.root;
    let topology = Topology {
        parent_run_id: root.parent.clone(),
        trace_id: root.trace_id.clone(),
        dotted_order: root.dotted_order.clone(),
        execution_order: root.start.order.max(1),
        child_execution_order: root.start.order.max(1),
    };
    topology.write()
}
