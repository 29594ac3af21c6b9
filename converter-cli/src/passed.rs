//! What a search passed over: counted, with the first few of each kind by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use codex_rollout::PassedOver;
use serde_json::{Value, json};

use crate::text;
use crate::ui::Ui;

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

    /// Says how many may be rollouts; with `all`, of everything where it is.
    pub fn tell(&self, all: bool, ui: &Ui) {
        let of_rollouts = |(why, kind): (&PassedOver, &Kind)| {
            why.may_be_rollout().then(|| (kind.count, format!("{} {why}", kind.count)))
        };
        let (counts, words): (Vec<usize>, Vec<String>) =
            self.kinds.iter().filter_map(of_rollouts).unzip();
        if !words.is_empty() {
            let files = text::count(counts.iter().sum(), "file");
            ui.warn(format!("passed over {files} that may be rollouts: {}", words.join(", ")));
            if !all {
                ui.hint("`codex-trace list -v` names them");
            }
        }
        if all {
            self.name(ui);
        }
    }

    /// Says of everything where it is, and why it was passed over.
    pub fn name(&self, ui: &Ui) {
        for (why, kind) in &self.kinds {
            for path in &kind.paths {
                ui.say(format!("passed over `{}`: {why}", path.display()));
            }
            let more = kind.count - kind.paths.len();
            if more > 0 {
                ui.say(format!("passed over {more} more: {why}"));
            }
        }
    }

    /// Returns the counts by kind.
    pub fn counts(&self) -> Value {
        let counts = self.kinds.iter().map(|(why, kind)| (why.to_string(), json!(kind.count)));
        Value::Object(counts.collect())
    }
}
