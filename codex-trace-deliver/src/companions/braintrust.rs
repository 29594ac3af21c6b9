//! What Braintrust's tracers have noted on this machine: the files that `bt`
//! keeps of sessions, and the state of the older plugin. Neither proves that
//! anything was delivered; they are looked at where the service does not say
//! what it has. Nothing is written.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::UNIX_EPOCH;
use std::{fs, io};

use codex_trace_export::braintrust::{NOTED_BY_BT, id_of_session};
use codex_trace_export::{Beside, Receipt, Settings, TurnNote, TurnState};

use crate::companions::{Companion, Deadline, TurnFile};

/// Where the older plugin keeps its state, in a Codex home.
const OLDER: &str = "plugins/data/trace-codex-braintrust-codex-plugins/state";

/// How many files of `bt` are looked at, at most.
const MAX_FILES: usize = 1 << 20;

/// The length of a UUID as text.
const UUID_LEN: usize = 36;

/// The companion of Braintrust.
#[derive(Debug)]
struct Braintrust {
    /// Directories in which `bt` keeps a file for each session.
    of_bt: Vec<PathBuf>,
    /// Directories of the older plugin's state.
    of_older: Vec<PathBuf>,
    /// The sessions that `bt` has a file of, by its own id.
    sessions: OnceLock<HashSet<String>>,
}

/// Makes the companion for the settings of a destination.
pub fn companion(settings: &Settings) -> Box<dyn Companion> {
    let home = settings.home.as_ref();
    let state = settings.var("XDG_STATE_HOME").map(PathBuf::from);
    let bases = [
        state.map(|dir| dir.join("braintrust")),
        home.map(|dir| dir.join(".local").join("state").join("braintrust")),
        home.map(|dir| dir.join(".braintrust").join("state")),
    ];
    let daemons = bases.into_iter().flatten().map(|base| base.join("bt-daemon"));
    let of_bt = daemons.flat_map(|dir| [dir.join("delivery-ledger"), dir.join("journal")]);
    let codex = settings.codex_home.clone().into_iter().chain(home.map(|dir| dir.join(".codex")));
    Box::new(Braintrust {
        of_bt: of_bt.collect(),
        of_older: codex.map(|dir| dir.join(OLDER)).collect(),
        sessions: OnceLock::new(),
    })
}

impl Braintrust {
    /// Whether `bt` has a file of a session.
    fn is_known_to_bt(&self, session: &str) -> bool {
        let sessions = self.sessions.get_or_init(|| {
            let entries = self.of_bt.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten();
            let names = entries.flatten().take(MAX_FILES).map(|entry| entry.file_name());
            names.filter_map(|name| Some(name.to_str()?.get(..UUID_LEN)?.to_owned())).collect()
        });
        !sessions.is_empty() && sessions.contains(&id_of_session(session))
    }

    /// Returns when the older plugin last wrote its state of a session, in
    /// milliseconds since 1970.
    fn written_by_older(&self, session: &str) -> Option<u128> {
        // It is part of a path, and came from a file.
        let is_id = session.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let name = is_id.then(|| format!("{session}.json"))?;
        let written = |dir: &PathBuf| fs::metadata(dir.join(&name)).ok()?.modified().ok();
        let written = self.of_older.iter().filter_map(written).max()?;
        Some(written.duration_since(UNIX_EPOCH).ok()?.as_millis())
    }
}

impl Companion for Braintrust {
    fn look(&self, turns: &[TurnFile<'_>]) -> Result<Beside, String> {
        let mut beside = Beside::default();
        for turn in turns {
            if self.is_known_to_bt(turn.thread_id) {
                let place = Some(NOTED_BY_BT.to_owned());
                beside.insert(turn.span, TurnNote { place, ..TurnNote::default() });
            } else if let Some(written) = self.written_by_older(turn.thread_id) {
                let state = Some(TurnState::Claimed);
                let place = Some(written.to_string());
                beside.insert(turn.span, TurnNote { state, place, ..TurnNote::default() });
            }
        }
        Ok(beside)
    }

    fn tell(
        &self,
        _rollout: &Path,
        _receipts: &[&Receipt],
        _until: &Deadline<'_>,
    ) -> io::Result<bool> {
        Ok(false)
    }
}
