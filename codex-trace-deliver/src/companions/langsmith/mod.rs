//! What the live plugin of LangSmith keeps: sidecars beside rollouts, and its
//! user's file of what is private.

mod lock;
mod project;
mod sidecar;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use codex_trace_export::{Beside, Receipt, Settings, TurnNote, TurnState};

use crate::companions::{Companion, Deadline, OfProject, TurnFile};
use project::Projects;
use sidecar::Policy;

/// The companion of LangSmith.
#[derive(Debug)]
struct LangSmith {
    home: Option<PathBuf>,
    projects: Projects,
}

/// Makes the companion for the settings of a destination.
pub fn companion(settings: &Settings) -> Box<dyn Companion> {
    Box::new(LangSmith { home: settings.home.clone(), projects: Projects::new(settings) })
}

impl Companion for LangSmith {
    fn look(&self, turns: &[TurnFile<'_>]) -> Result<Beside, String> {
        let policy = Policy::read(self.home.as_deref());
        let mut files: HashMap<&Path, sidecar::Lines> = HashMap::new();
        let mut beside = Beside::default();
        for TurnFile { span, thread_id, turn_id, file, others } in turns {
            let all = || file.iter().chain(others);
            for file in all() {
                if !files.contains_key(file) {
                    let lines = sidecar::lines(file).map_err(|err| {
                        format!("cannot read the sidecar of `{}`: {err}", file.display())
                    });
                    files.insert(file, lines?);
                }
            }
            let lines = || all().filter_map(|file| files.get(file));
            let states = lines().filter_map(|lines| lines.states.get(turn_id).copied());
            let note = TurnNote {
                // What is to stay at home stays there, whatever else is noted.
                state: states.min_by_key(|state| *state != TurnState::Off),
                keep: policy.mode(thread_id, turn_id),
                place: all().find_map(|file| sidecar::topology(file, turn_id)),
                ours: lines().any(|lines| lines.ours.contains(turn_id)),
            };
            if note != TurnNote::default() {
                beside.insert(*span, note);
            }
        }
        Ok(beside)
    }

    fn project(&self, cwd: &Path) -> OfProject {
        self.projects.of(cwd)
    }

    fn tell(&self, rollout: &Path, receipts: &[&Receipt], until: &Deadline<'_>) -> io::Result<()> {
        sidecar::note(rollout, receipts, until)
    }
}
