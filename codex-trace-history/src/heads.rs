//! Heads of rollouts: read, and kept for whoever looks again.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use codex_rollout::{Content, FileId, RolloutHead, RolloutPath};

use crate::failure::Failure;
use crate::history::RUN_ROOM;
use crate::ids;

/// What a compressed file may become while its head is looked for, in bytes.
const HEAD_ROOM: (u64, u64) = (1 << 20, 64 << 20);

/// The heads of a history as they were when it was last looked at: who looks
/// again reads those of files that have changed since.
#[derive(Debug, Default)]
pub struct HeadCache {
    heads: HashMap<PathBuf, RolloutHead>,
    changed: HashSet<PathBuf>,
}

impl HeadCache {
    /// Returns the files that were new, or not as before, when the history was
    /// last looked at.
    pub fn changed(&self) -> &HashSet<PathBuf> {
        &self.changed
    }

    /// Returns the head of a file, if the file is as it was.
    pub(crate) fn get(&self, rollout: &RolloutPath) -> Option<&RolloutHead> {
        let head = self.heads.get(&rollout.path).filter(|_| rollout.piped.is_none())?;
        is_as_before(head, &rollout.path).then_some(head)
    }

    /// Keeps these heads and no others.
    pub(crate) fn replace<'h>(&mut self, heads: impl Iterator<Item = &'h RolloutHead>) {
        let before = std::mem::take(&mut self.heads);
        self.changed.clear();
        for head in heads {
            let path = &head.rollout.path;
            let same = |old: &RolloutHead| (old.len, old.modified) == (head.len, head.modified);
            if !before.get(path).is_some_and(same) {
                self.changed.insert(path.clone());
            }
            self.heads.insert(path.clone(), head.clone());
        }
    }
}

fn is_as_before(head: &RolloutHead, path: &Path) -> bool {
    let Ok(metadata) = path.metadata() else { return false };
    metadata.len() == head.len
        && metadata.modified().ok() == head.modified
        && FileId::with(path, &metadata) == head.file_id
}

/// Returns how far the head of each of so many compressed files is looked for.
pub(crate) fn head_room(n_files: usize) -> u64 {
    (RUN_ROOM / (n_files as u64).max(1)).clamp(HEAD_ROOM.0, HEAD_ROOM.1)
}

/// The largest buffer that is kept for the next head, in bytes: one that a very
/// long line needed goes.
const MAX_BUFFER: usize = 1 << 20;

/// Reads the head of a file by way of a buffer; fails if it is no rollout. An
/// empty file is told where it was named, and passed over where it was found.
pub(crate) fn read_head(
    rollout: &RolloutPath,
    named: bool,
    room: u64,
    buffer: &mut Vec<u8>,
) -> Result<RolloutHead, Failure> {
    let path = rollout.path.display();
    let of_head = RolloutPath { max_decompressed: Some(room), ..rollout.clone() };
    let cannot = |err| Failure::because(&format!("cannot read `{path}`"), &err);
    let mut head = RolloutHead::read_with(&of_head, buffer).map_err(cannot)?;
    if buffer.len() > MAX_BUFFER {
        *buffer = Vec::new();
    }
    head.rollout.max_decompressed = None;
    let failure = match &head.content {
        Content::Rollout => return Ok(head),
        Content::Empty if !named => return Ok(head),
        Content::Empty => Failure::new(format!("not a rollout: `{path}` is empty"))
            .hint("Codex may not have written to it yet"),
        Content::ExecStream { thread_id } => {
            let what = format!("not a rollout: `{path}` is what `codex exec --json` prints");
            let place = "Codex writes the rollout itself to `sessions/` in its home";
            Failure::new(what).hint(match thread_id {
                Some(id) if ids::is_prefix(id) => format!("{place}: `codex-trace show {id}`"),
                _ => place.to_owned(),
            })
        }
        Content::Unknown => Failure::new(format!("not a rollout: `{path}`"))
            .hint("a rollout has one JSON record per line, the first of type `session_meta`"),
    };
    Err(failure)
}
