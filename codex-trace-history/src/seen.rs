//! What a search comes upon, without a look inside.

use std::path::{Path, PathBuf};

use codex_rollout::{Found, RolloutPath, home_of, search};

use crate::history::{Named, Place};

impl Named {
    /// Calls `f` with every file that [`find`](Named::find) would come upon, and
    /// why it was passed over, if it was; indices of names come last. Returns
    /// `false` if that does not say what would be found: an id was named, a pipe,
    /// or something cannot be looked into.
    pub fn each_seen(&self, f: &mut dyn FnMut(&Path, Option<String>)) -> bool {
        if !self.ids.is_empty() {
            return false;
        }
        let mut homes: Vec<PathBuf> = Vec::new();
        // Files of one directory come one after the other, and have one home.
        let mut dir = PathBuf::new();
        let mut see = |rollout: &RolloutPath, f: &mut dyn FnMut(&Path, Option<String>)| {
            f(&rollout.path, None);
            let parent = rollout.path.parent().unwrap_or(Path::new(""));
            if parent.as_os_str() == dir.as_os_str() {
                return;
            }
            parent.clone_into(&mut dir);
            if let Some(home) = home_of(&rollout.path).filter(|home| !homes.contains(home)) {
                homes.push(home);
            }
        };
        for place in &self.places {
            match place {
                Place::Pipe(_) => return false,
                Place::File(path) => see(&RolloutPath::from_file(path), f),
                Place::Tree(dir) => {
                    for found in search(dir) {
                        match found {
                            Ok(Found::Rollout(rollout)) => see(&rollout, f),
                            Ok(Found::PassedOver { path, why }) => f(&path, Some(why.to_string())),
                            Err(_) => return false,
                        }
                    }
                }
            }
        }
        for home in homes {
            f(&home.join("session_index.jsonl"), None);
        }
        true
    }

    /// Returns the files and directories that were named.
    pub fn places(&self) -> impl Iterator<Item = &Path> {
        self.places.iter().map(Place::path)
    }
}
