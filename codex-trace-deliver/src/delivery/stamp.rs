//! What tells, without reading a file, whether it has changed.

use std::io::Read;

use codex_rollout::{Encoding, RolloutHead};
use codex_trace_model::Timestamp;
use sha2::{Digest, Sha256};

use crate::delivery::Engine;
use crate::ledger::FileStamp;

/// How much of a file's beginning tells it from another, in bytes.
const HEAD: u64 = 4 << 10;

/// How much larger a compressed rollout usually is than its file.
const USUAL_RATIO: u64 = 8;

/// The most bytes of a rollout that are held in memory: larger ones are mapped.
const MAX_IN_MEMORY: u64 = 16 << 20;

impl Engine<'_> {
    /// Returns what tells whether a file has changed, or how it is encoded.
    pub(super) fn stamp(&self, head: &RolloutHead) -> Option<FileStamp> {
        let path = &head.rollout.path;
        if head.rollout.piped.is_some() {
            return None; // There is nothing any more to look at.
        }
        let mut file = std::fs::File::open(path).ok()?;
        let metadata = file.metadata().ok()?;
        let modified = Timestamp::try_from(metadata.modified().ok()?).ok()?;
        let mut beginning = Vec::new();
        file.by_ref().take(HEAD).read_to_end(&mut beginning).ok()?;
        let mut hasher = Sha256::new();
        hasher.update(metadata.len().to_le_bytes());
        hasher.update(modified.as_nanosecond().to_le_bytes());
        hasher.update(&self.run.options.encoding);
        hasher.update([0]);
        hasher.update(&beginning);
        let path = std::path::absolute(path).ok()?.display().to_string();
        Some(FileStamp { path, stamp: hasher.finalize().into() })
    }
}

/// Returns how much memory a rollout takes while it is read, about. What is
/// mapped the system can take back.
pub(super) fn bytes_in_memory(head: &RolloutHead) -> usize {
    let len = head.rollout.path.metadata().map_or(0, |it| it.len());
    let len = match head.rollout.encoding {
        Encoding::Plain => len,
        _ => len.saturating_mul(USUAL_RATIO),
    };
    usize::try_from(len.min(MAX_IN_MEMORY)).unwrap_or(usize::MAX)
}
