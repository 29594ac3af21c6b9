//! What a search passed over: counted, with the first few of each kind by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use codex_rollout::PassedOver;

use crate::watch::Watch;
use crate::words;

/// How many of a kind are kept by name.
const NAMED: usize = 20;

/// What was passed over.
#[derive(Clone, Debug, Default)]
pub struct Passed {
    kinds: BTreeMap<PassedOver, Kind>,
}

#[derive(Clone, Debug, Default)]
struct Kind {
    count: usize,
    /// The first few.
    paths: Vec<PathBuf>,
}

impl Passed {
    /// Takes in a file or directory.
    pub fn add(&mut self, path: &Path, why: PassedOver) {
        let kind = self.kinds.entry(why).or_default();
        kind.count += 1;
        if kind.paths.len() < NAMED {
            kind.paths.push(path.to_path_buf());
        }
    }

    /// Takes in what another search passed over.
    pub fn extend(&mut self, other: Passed) {
        for (why, more) in other.kinds {
            let kind = self.kinds.entry(why).or_default();
            kind.count += more.count;
            let room = NAMED.saturating_sub(kind.paths.len());
            kind.paths.extend(more.paths.into_iter().take(room));
        }
    }

    /// Says how many may be rollouts, and to the curious where everything is.
    pub fn tell(&self, ui: &dyn Watch) {
        let of_rollouts = |(why, kind): (&PassedOver, &Kind)| {
            why.may_be_rollout().then(|| (kind.count, format!("{} {why}", kind.count)))
        };
        let (counts, kinds): (Vec<usize>, Vec<String>) =
            self.kinds.iter().filter_map(of_rollouts).unzip();
        if !kinds.is_empty() {
            let files = words::count(counts.iter().sum(), "file");
            ui.warn(format!(
                "passed over {files} that may be rollouts: {} (`codex-trace list -v` names them)",
                kinds.join(", ")
            ));
        }
        self.names().for_each(|line| ui.detail(line));
    }

    /// Returns a line for each thing that is known by name: where it is, and
    /// why it was passed over; and one for the rest of each kind.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.kinds.iter().flat_map(|(why, kind)| {
            let more = kind.count - kind.paths.len();
            let named = kind.paths.iter();
            named
                .map(move |path| format!("passed over `{}`: {why}", path.display()))
                .chain((more > 0).then(|| format!("passed over {more} more: {why}")))
        })
    }

    /// Returns what may be rollouts: the file, why it was passed over, and for how
    /// many it stands; the last of a kind has no name where there are many.
    pub fn possible(&self) -> Vec<(Option<String>, String, usize)> {
        let mut possible = Vec::new();
        for (why, kind) in self.kinds.iter().filter(|(why, _)| why.may_be_rollout()) {
            let named = kind.paths.iter().map(|path| Some(path.display().to_string()));
            possible.extend(named.map(|path| (path, why.to_string(), 1)));
            let more = kind.count - kind.paths.len();
            possible.extend((more > 0).then(|| (None, why.to_string(), more)));
        }
        possible
    }

    /// Returns the counts by kind.
    pub fn counts(&self) -> impl Iterator<Item = (PassedOver, usize)> {
        self.kinds.iter().map(|(why, kind)| (*why, kind.count))
    }
}
