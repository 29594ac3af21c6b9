//! What the live plugin of LangSmith keeps: sidecars beside rollouts, and its
//! user's file of what is private.

mod lock;
mod sidecar;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use codex_trace_export::{Beside, Receipt, Settings, TurnNote};

use crate::companions::{Companion, Deadline, TurnFile};
use sidecar::Policy;

/// The companion of LangSmith.
#[derive(Debug)]
struct LangSmith {
    home: Option<PathBuf>,
}

/// Makes the companion for the settings of a destination.
pub fn companion(settings: &Settings) -> Box<dyn Companion> {
    Box::new(LangSmith { home: settings.home.clone() })
}

impl Companion for LangSmith {
    fn look(&self, turns: &[TurnFile<'_>]) -> Result<Beside, String> {
        let policy = Policy::read(self.home.as_deref());
        let mut files: HashMap<&Path, sidecar::Lines> = HashMap::new();
        let mut beside = Beside::default();
        for TurnFile { span, thread_id, turn_id, file } in turns {
            if let Some(file) = file.filter(|file| !files.contains_key(file)) {
                let lines = sidecar::lines(file).map_err(|err| {
                    format!("cannot read the sidecar of `{}`: {err}", file.display())
                });
                files.insert(file, lines?);
            }
            let lines = file.and_then(|file| files.get(file));
            let note = TurnNote {
                state: lines.and_then(|lines| lines.states.get(turn_id).copied()),
                keep: policy.mode(thread_id, turn_id),
                place: file.and_then(|file| sidecar::topology(file, turn_id)),
                ours: lines.is_some_and(|lines| lines.ours.contains(turn_id)),
            };
            if note != TurnNote::default() {
                beside.insert(*span, note);
            }
        }
        Ok(beside)
    }

    fn tell(&self, rollout: &Path, receipts: &[&Receipt], until: &Deadline<'_>) -> io::Result<()> {
        sidecar::note(rollout, receipts, until)
    }
}
