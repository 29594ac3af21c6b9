use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use codex_rollout::RolloutHead;
use codex_trace_export::{Beside, Receipt};
use codex_trace_model::{RolloutIx, SpanKind, ThreadIx, Trace};

use crate::companions::{Deadline, TurnFile};
use crate::delivery::Engine;
use crate::delivery::session::{Session, Told};

/// Where the rollouts of a session are: the model knows them by a label, which
/// is not always a path.
#[derive(Debug, Default)]
pub(super) struct Files(HashMap<(ThreadIx, RolloutIx), PathBuf>);

impl Files {
    /// Finds the rollouts of a trace.
    ///
    /// # Errors
    ///
    /// If two of them are called the same.
    pub(super) fn of(trace: &Trace<'_>, heads: &[&RolloutHead]) -> Result<Files, String> {
        let mut paths: HashMap<String, &Path> = HashMap::new();
        for head in heads {
            let path = &head.rollout.path;
            let label = path.display().to_string();
            if paths.insert(label.clone(), path).is_some_and(|other| other != path) {
                return Err(format!(
                    "two rollouts are called `{label}`, and one cannot be told from the other"
                ));
            }
        }
        let mut files = HashMap::new();
        for (thread, nth) in trace.threads.iter().zip(0..) {
            for (rollout, ix) in thread.rollouts.iter().zip(0..) {
                if let Some(path) = paths.get(&rollout.path) {
                    files.insert((ThreadIx(nth), RolloutIx(ix)), path.to_path_buf());
                }
            }
        }
        Ok(Files(files))
    }

    /// Returns what the plugin is to be told of a unit, and where.
    pub(super) fn told(&self, receipt: Option<Receipt>) -> Option<Told> {
        let receipt = receipt?;
        Some(Told { file: self.0.get(&receipt.rollout)?.clone(), receipt })
    }

    /// Returns the turns of a trace that have an id, with their files.
    fn turns<'s>(&'s self, trace: &'s Trace<'_>) -> Vec<TurnFile<'s>> {
        let turns = trace.iter().filter_map(|(ix, span)| {
            let SpanKind::Turn(turn) = &span.kind else { return None };
            Some(TurnFile {
                span: ix,
                thread_id: &trace.thread_of(span).id,
                turn_id: turn.turn_id?.decode().into_owned(),
                file: self.0.get(&(span.thread, span.provenance.rollout))?,
            })
        });
        turns.collect()
    }
}

impl Engine<'_> {
    /// Reads what a live plugin has left beside the files of a session.
    ///
    /// # Errors
    ///
    /// Why the session must be left alone.
    pub(super) fn look_beside(&self, trace: &Trace<'_>, files: &Files) -> Result<Beside, String> {
        self.companion.map_or_else(|| Ok(Beside::default()), |it| it.look(&files.turns(trace)))
    }

    /// Tells the live plugin of units that the ledger has. A session of which it
    /// could not be told is looked at again the next time.
    pub(super) fn hand_over<'t>(&self, all: impl Iterator<Item = (&'t Told, &'t Session)>) {
        let Some(companion) = self.companion.filter(|_| !self.run.options.dry_run) else { return };
        let mut by_file: BTreeMap<&Path, Vec<(&Receipt, &Session)>> = BTreeMap::new();
        for (told, session) in all {
            by_file.entry(&told.file).or_default().push((&told.receipt, session));
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
