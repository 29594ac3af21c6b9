//! What is known of a session beside its files: the plugin's notes on its
//! turns, what its user wants private, by how much its times are moved.

use std::collections::HashMap;
use std::path::Path;

use codex_trace_model::{Span, SpanIx, SpanKind, Trace};

use crate::exporters::Notes;
use crate::exporters::langsmith::lost::was_lost;
use crate::exporters::langsmith::plan::{Known, Plan, TurnPlan};
use crate::exporters::langsmith::sidecar::{self, Mode, Policy, State, Topology};

/// What an exporter finds beside a session, for itself to read.
pub(super) type Any = Box<dyn std::any::Any + Send + Sync>;

/// The plugin's notes on the turns of a session.
#[derive(Debug, Default)]
pub(super) struct Beside {
    turns: HashMap<SpanIx, Note>,
}

#[derive(Debug)]
struct Note {
    state: Option<State>,
    topology: Option<Topology>,
    mode: Option<Mode>,
    /// Whether we have noted it as uploaded.
    ours: bool,
}

impl Beside {
    /// Reads the sidecars of a session's files, and the user's privacy file.
    pub(super) fn read(trace: &Trace<'_>, home: Option<&Path>) -> Result<Beside, String> {
        let policy = Policy::read(home);
        let mut files: HashMap<&Path, sidecar::Lines> = HashMap::new();
        let mut beside = Beside::default();
        for (ix, span) in trace.iter() {
            let Some(id) = sidecar_turn(span) else { continue };
            let thread = trace.thread_of(span);
            // Not its label: what is private would not be found by it.
            let rollout = thread.rollouts.get(span.provenance.rollout.0 as usize);
            let path = rollout.and_then(|rollout| rollout.file.as_deref());
            if let Some(path) = path.filter(|path| !files.contains_key(path)) {
                let lines = sidecar::lines(path).map_err(|err| {
                    format!("cannot read the sidecar of `{}`: {err}", path.display())
                });
                files.insert(path, lines?);
            }
            let lines = path.and_then(|path| files.get(path));
            let ours = lines.is_some_and(|lines| lines.ours.contains(&id));
            let state = lines.and_then(|lines| lines.states.get(&id).copied());
            let mode = policy.mode(&thread.id, &id);
            // A bare line says nothing of a turn that the plugin is known to
            // have lost.
            let lost = state == Some(State::Claimed)
                && thread.items.iter().any(|it| it.turn == Some(ix) && was_lost(&it.body));
            let state = state.filter(|_| !lost);
            let topology = path.and_then(|path| sidecar::topology(path, &id));
            if state.is_some() || mode.is_some() || topology.is_some() || ours {
                beside.turns.insert(ix, Note { state, topology, mode, ours });
            }
        }
        Ok(beside)
    }

    /// Whether the plugin has uploaded the turn.
    pub(super) fn is_there(&self, turn: SpanIx) -> bool {
        let state = self.turns.get(&turn).and_then(|note| note.state);
        matches!(state, Some(State::Claimed | State::Uploaded))
    }

    /// Whether we have noted the turn as uploaded.
    pub(super) fn is_ours(&self, turn: SpanIx) -> bool {
        self.turns.get(&turn).is_some_and(|note| note.ours)
    }

    /// Returns how much of each turn may be uploaded: what is said of it, or
    /// what holds for the turn that spawned it, or the default.
    pub(super) fn modes(&self, plan: &Plan<'_, '_>, default: Mode) -> Vec<Mode> {
        let mut modes: Vec<Mode> = Vec::with_capacity(plan.turns.len());
        for turn in &plan.turns {
            let note = self.turns.get(&turn.span);
            let above = turn.parent.map_or(default, |parent| modes[parent]);
            let off = note.is_some_and(|note| note.state == Some(State::Off));
            let said = if off { Some(Mode::Off) } else { note.and_then(|note| note.mode) };
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
        let foreign = |it: &Note| it.state == Some(State::Claimed) && it.topology.is_none();
        self.of_plugin && note.is_some_and(foreign)
    }

    fn shift(&self, millis: i64) -> i64 {
        self.notes.shift_of(millis)
    }
}

/// Returns the id that a sidecar knows a turn by.
pub(super) fn sidecar_turn(span: &Span<'_>) -> Option<String> {
    match &span.kind {
        SpanKind::Turn(turn) => turn.turn_id.map(|id| id.decode().into_owned()),
        _ => None,
    }
}

/// Returns what the topology file of a turn is to say.
pub(super) fn checkpoint(turn: &TurnPlan<'_>) -> String {
    let root = &turn.root;
    let topology = Topology {
        parent_run_id: root.parent.clone(),
        trace_id: root.trace_id.clone(),
        dotted_order: root.dotted_order.clone(),
        execution_order: root.start.order.max(1),
        child_execution_order: root.start.order.max(1),
    };
    serde_json::to_string(&topology).expect("strings and numbers")
}
