//! What the live plugin of LangSmith keeps: sidecars beside rollouts, and its
//! user's file of what is private.

mod alive;
mod lock;
mod project;
mod sidecar;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use codex_trace_export::langsmith::SIDECAR;
use codex_trace_export::{Beside, Receipt, Settings, TurnNote, TurnState};

use crate::companions::{Companion, Deadline, OfProject, TurnFile};
use project::Projects;
use sidecar::Policy;

/// The companion of LangSmith.
#[derive(Debug)]
struct LangSmith {
    home: Option<PathBuf>,
    projects: Projects,
    /// Whether the user wants notes, whether there is a plugin or not.
    is_asked: bool,
    /// Whether there are traces of the plugin in a directory.
    traces: Mutex<HashMap<PathBuf, bool>>,
}

impl LangSmith {
    /// Whether there are traces of the plugin: its user's settings, or what it has
    /// left beside a rollout of the same directory.
    fn has_plugin(&self, rollout: &Path) -> bool {
        let codex = self.home.as_ref().map(|home| home.join(".codex"));
        let set_up = |codex: PathBuf| SETTINGS.iter().any(|name| codex.join(name).is_file());
        if codex.is_some_and(set_up) {
            return true;
        }
        let Some(dir) = rollout.parent() else { return false };
        let mut traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        *traces.entry(dir.to_owned()).or_insert_with(|| sidecar::is_in(dir))
    }
}

/// The files that the plugin's user has in `~/.codex`.
const SETTINGS: &[&str] =
    &["langsmith.json", "langsmith-plugins.json", "langsmith-state.privacy.json"];

/// Makes the companion for the settings of a destination.
pub fn companion(settings: &Settings) -> Box<dyn Companion> {
    Box::new(LangSmith {
        home: settings.home.clone(),
        projects: Projects::new(settings),
        is_asked: settings.get(&SIDECAR).is_some_and(|said| said.value),
        traces: Mutex::default(),
    })
}

impl Companion for LangSmith {
    fn look(&self, turns: &[TurnFile<'_>]) -> Result<Beside, String> {
        let policy = Policy::read(self.home.as_deref());
        let mut files: HashMap<&Path, sidecar::Lines> = HashMap::new();
        let mut beside = Beside::default();
        for TurnFile { span, thread_id, turn_id, other_ids, file, others } in turns {
            let ids = || std::iter::once(turn_id).chain(other_ids);
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
            let states = ids().flat_map(|id| lines().filter_map(|it| it.states.get(id).copied()));
            let note = TurnNote {
                // What is to stay at home stays there, whatever else is noted.
                state: states.min_by_key(|state| *state != TurnState::Off),
                // The most private of what is said of it.
                keep: ids().filter_map(|id| policy.mode(thread_id, id)).max(),
                place: ids().find_map(|id| all().find_map(|file| sidecar::topology(file, id))),
                ours: ids().all(|id| lines().any(|lines| lines.ours.contains(id))),
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

    fn tell(
        &self,
        rollout: &Path,
        receipts: &[&Receipt],
        until: &Deadline<'_>,
    ) -> io::Result<bool> {
        if !self.is_asked && !self.has_plugin(rollout) {
            return Ok(false);
        }
        sidecar::note(rollout, receipts, until)?;
        Ok(true)
    }
}
