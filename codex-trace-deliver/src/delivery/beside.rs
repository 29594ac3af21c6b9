use std::collections::BTreeMap;
use std::path::Path;
use std::sync::PoisonError;

use codex_trace_export::{Beside, Receipt};
use codex_trace_model::{SpanKind, Trace};

use crate::companions::{Deadline, TurnFile};
use crate::delivery::Engine;
use crate::delivery::session::Session;

/// Returns the turns of a trace that have an id, with their files.
fn turns<'s>(trace: &'s Trace<'_>) -> Vec<TurnFile<'s>> {
    let turns = trace.iter().filter_map(|(ix, span)| {
        let SpanKind::Turn(turn) = &span.kind else { return None };
        let thread = trace.thread_of(span);
        let rollout = thread.rollouts.get(span.provenance.rollout.0 as usize);
        Some(TurnFile {
            span: ix,
            thread_id: &thread.id,
            turn_id: turn.turn_id?.decode().into_owned(),
            // Not its label: what is private would not be found by it.
            file: rollout.and_then(|rollout| rollout.file.as_deref()),
        })
    });
    turns.collect()
}

impl Engine<'_> {
    /// Reads what a live plugin has left beside the files of a session.
    ///
    /// # Errors
    ///
    /// Why the session must be left alone.
    pub(super) fn look_beside(&self, trace: &Trace<'_>) -> Result<Beside, String> {
        self.companion.map_or_else(|| Ok(Beside::default()), |it| it.look(&turns(trace)))
    }

    /// Tells the live plugin of units that the ledger has. A session of which it
    /// could not be told is looked at again the next time.
    pub(super) fn hand_over<'t>(&self, all: impl Iterator<Item = (&'t Receipt, &'t Session)>) {
        let Some(companion) = self.companion.filter(|_| !self.run.options.dry_run) else { return };
        let mut by_file: BTreeMap<&Path, Vec<(&Receipt, &Session)>> = BTreeMap::new();
        for (receipt, session) in all {
            by_file.entry(&receipt.file).or_default().push((receipt, session));
        }
        for (file, told) in by_file {
            let receipts: Vec<&Receipt> = told.iter().map(|it| it.0).collect();
            let left = *self.patience.lock().unwrap_or_else(PoisonError::into_inner);
            let until = Deadline::new(left, self.run.interrupted);
            let noted = companion.tell(file, &receipts, &until);
            let mut left = self.patience.lock().unwrap_or_else(PoisonError::into_inner);
            *left = left.saturating_sub(until.rested());
            drop(left);
            if let Err(err) = noted {
                let what = format!("beside `{}`: {err}", file.display());
                self.account().not_noted.get_or_insert(what);
                for (_, session) in told {
                    session.look_again();
                }
            }
        }
    }
}
