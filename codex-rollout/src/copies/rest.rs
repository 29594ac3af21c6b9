//! What a file has after it parted from others, and they have not.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use super::compare::{Facts, Lines};
use crate::discover::RolloutPath;
use crate::position::Position;

/// What is known of the files that are read before: hashes, not content.
#[derive(Default)]
pub(super) struct Seen {
    /// Lines with a time.
    lines: HashSet<u64>,
    /// The times of lines.
    times: HashSet<u64>,
    /// Turns that have begun.
    turns: HashSet<u64>,
}

/// The lines of a file that are its own.
pub(super) struct Rest {
    /// As half-open ranges.
    pub(super) own: Vec<Range<u64>>,
    /// The first of them.
    pub(super) at: Position,
}

/// Whose turn it is that lines after the parting belong to.
enum Whose {
    /// Another file has it as well.
    Theirs,
    /// No other file has it.
    Own,
    /// It has no id, or had begun before the parting: each line tells.
    Unknown,
}

impl Seen {
    /// Takes in a file from a line on.
    pub(super) fn take_in(&mut self, rollout: &RolloutPath, from: u64) {
        let Ok(mut lines) = Lines::open(rollout) else { return };
        while lines.advance() {
            if lines.at.line() < from {
                continue;
            }
            let time = Facts::of(&lines.text).time;
            if !time.is_empty() {
                self.times.insert(hash(time));
                self.lines.insert(hash(&lines.text));
            }
            self.turns.extend(Facts::begun_turn(&lines.text).map(|turn| hash(&turn)));
        }
    }

    /// Finds the lines of a file, from where it parted from the others, that
    /// none of them has. A turn that they have as well is theirs, however this
    /// file records it, unless it had begun before the parting.
    ///
    /// With `migrated`, lines of the same time stand for the same: Codex keeps
    /// the times when it writes a file anew.
    pub(super) fn rest_of(
        &self,
        rollout: &RolloutPath,
        from: Position,
        migrated: bool,
    ) -> Option<Rest> {
        let mut lines = Lines::open(rollout).ok()?;
        let mut rest: Option<Rest> = None;
        let mut common = HashSet::new();
        let mut turn = Whose::Unknown;
        while lines.advance() {
            let begun = Facts::begun_turn(&lines.text).map(|turn| hash(&turn));
            let line = lines.at.line();
            if line < from.line() {
                common.extend(begun);
                continue;
            }
            if let Some(id) = begun.filter(|id| !common.contains(id)) {
                turn = if self.turns.contains(&id) { Whose::Theirs } else { Whose::Own };
            }
            let time = Facts::of(&lines.text).time;
            let is_known = match turn {
                Whose::Theirs => true,
                Whose::Own => false,
                Whose::Unknown => {
                    (!time.is_empty() && self.lines.contains(&hash(&lines.text)))
                        || (migrated && self.times.contains(&hash(time)))
                }
            };
            if is_known {
                continue;
            }
            let rest = rest.get_or_insert_with(|| Rest { own: Vec::new(), at: lines.at });
            match rest.own.last_mut() {
                Some(last) if last.end == line => last.end += 1,
                _ => rest.own.push(line..line + 1),
            }
        }
        rest
    }
}

fn hash<T: Hash + ?Sized>(what: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
