use std::collections::BTreeMap;
use std::fmt;

use codex_rollout::Position;

use crate::trace::{Rollout, RolloutIx};

/// Something odd in a rollout: what, where, and what was made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of oddity.
    pub code: Code,
    /// The file, as given.
    pub path: String,
    /// The line, if one line is concerned.
    pub position: Option<Position>,
    /// The byte within the line, starting at 1, if known.
    pub column: Option<usize>,
    /// What was found and what was made of it, for people.
    pub text: String,
    /// How many oddities it tells of: 1, or more where it sums up those of a
    /// kind that are too many to be told one by one.
    pub count: usize,
}

/// What kind of oddity a [`Diagnostic`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    /// A line could not be read; it was skipped.
    BadLine,
    /// The last line stops short; it was left for later.
    TruncatedTail,
    /// The file could not be read, or not to its end.
    Unreadable,
    /// The file has no `session_meta`.
    NoMeta,
    /// A record of a type that this version does not know; kept as an event.
    UnknownType,
    /// A call id came up again; the later span's key has a suffix.
    DuplicateId,
    /// A call has no output, though its turn ended.
    CallWithoutOutput,
    /// An output has no call; kept as an event.
    OutputWithoutCall,
    /// A timestamp could not be read, or is absurd; the span has none.
    BadTimestamp,
    /// The usage of the spans and the file's own last total differ.
    UsageMismatch,
    /// A thread that this one refers to has no file here.
    MissingThread,
    /// Threads name each other as parents; the oldest was made the root.
    ParentCycle,
    /// Which lines are the thread's own was decided by times alone, or could
    /// not be decided.
    InferredBoundary,
    /// The file shrank or changed while it was read.
    Changed,
    /// A file that holds the same rollout as another one, written otherwise; it
    /// was left out.
    Duplicate,
    /// Two files of one rollout went on apart after a common beginning; both
    /// were read.
    Diverged,
}

impl Code {
    /// All of them.
    pub const ALL: &[Code] = &[
        Code::BadLine,
        Code::TruncatedTail,
        Code::Unreadable,
        Code::NoMeta,
        Code::UnknownType,
        Code::DuplicateId,
        Code::CallWithoutOutput,
        Code::OutputWithoutCall,
        Code::BadTimestamp,
        Code::UsageMismatch,
        Code::MissingThread,
        Code::ParentCycle,
        Code::InferredBoundary,
        Code::Changed,
        Code::Duplicate,
        Code::Diverged,
    ];

    /// Returns the word for it, as in the neutral output.
    pub fn word(self) -> &'static str {
        match self {
            Code::BadLine => "bad_line",
            Code::TruncatedTail => "truncated_tail",
            Code::Unreadable => "unreadable",
            Code::NoMeta => "no_meta",
            Code::UnknownType => "unknown_type",
            Code::DuplicateId => "duplicate_id",
            Code::CallWithoutOutput => "call_without_output",
            Code::OutputWithoutCall => "output_without_call",
            Code::BadTimestamp => "bad_timestamp",
            Code::UsageMismatch => "usage_mismatch",
            Code::MissingThread => "missing_thread",
            Code::ParentCycle => "parent_cycle",
            Code::InferredBoundary => "inferred_boundary",
            Code::Changed => "changed",
            Code::Duplicate => "duplicate",
            Code::Diverged => "diverged",
        }
    }
}

/// How many oddities of a kind are told one by one, for each file.
const TOLD: usize = 20;

/// What was odd in the files of a thread: of each kind and file the first few,
/// and how many more there were. However many there are, they cost no memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Diagnostics {
    told: Vec<(RolloutIx, Diagnostic)>,
    seen: BTreeMap<(RolloutIx, Code), Seen>,
}

/// How many oddities of a kind a file has.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    count: usize,
    /// The last line that is known to have one.
    last: Option<Position>,
}

impl Diagnostics {
    /// Takes in an oddity of a file; makes its text only if it is told.
    pub(crate) fn push(
        &mut self,
        file: RolloutIx,
        code: Code,
        position: Option<Position>,
        diagnostic: impl FnOnce() -> Diagnostic,
    ) {
        let seen = self.seen.entry((file, code)).or_default();
        seen.count += 1;
        seen.last = position.or(seen.last);
        if seen.count <= TOLD {
            self.told.push((file, diagnostic()));
        }
    }

    /// Takes in oddities that were found meanwhile, after those that are here.
    pub(crate) fn append(&mut self, later: Diagnostics) {
        for (file, diagnostic) in later.told {
            let seen = self.seen.entry((file, diagnostic.code)).or_default();
            seen.count += 1;
            if seen.count <= TOLD {
                self.told.push((file, diagnostic));
            }
        }
        for (of, later) in later.seen {
            let seen = self.seen.entry(of).or_default();
            // The first ones have just been counted.
            seen.count += later.count.saturating_sub(TOLD);
            seen.last = later.last.or(seen.last);
        }
    }

    /// Returns what is told, with a sum for each kind that had too many.
    pub(crate) fn finish(self, files: &[Rollout]) -> Vec<Diagnostic> {
        let mut told: Vec<Diagnostic> = self.told.into_iter().map(|(_, it)| it).collect();
        for ((file, code), seen) in self.seen {
            let count = seen.count.saturating_sub(TOLD);
            if count == 0 {
                continue;
            }
            let last = seen.last.map(|at| format!(", the last one on line {}", at.line()));
            told.push(Diagnostic {
                code,
                path: files.get(file.0 as usize).map_or_else(String::new, |it| it.path.clone()),
                position: None,
                column: None,
                text: format!("{count} more of the kind{}", last.unwrap_or_default()),
                count,
            });
        }
        told
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if let Some(position) = self.position {
            write!(f, ":{}", position.line())?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        write!(f, ": {}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: RolloutIx = RolloutIx(0);

    fn tell(to: &mut Diagnostics, code: Code, n: u64) {
        let position = n.is_multiple_of(3).then(|| Position::new(n + 1, 0));
        to.push(FILE, code, position, || Diagnostic {
            code,
            path: String::new(),
            position,
            column: None,
            text: n.to_string(),
            count: 1,
        });
    }

    proptest! {
        /// What is found meanwhile and told later is told as if it were found later.
        #[test]
        fn what_is_appended_is_told_as_if_found_then(before in 0..50_u64, other in 0..50_u64, after in 0..50_u64) {
            let (mut first, mut meanwhile, mut all) = <(Diagnostics, Diagnostics, Diagnostics)>::default();
            let early = (0..before).map(|n| (Code::BadLine, n)).chain((0..other).map(|n| (Code::NoMeta, n)));
            let late = (before..before + after).map(|n| (Code::BadLine, n));
            for (code, n) in early {
                tell(&mut first, code, n);
                tell(&mut all, code, n);
            }
            for (code, n) in late {
                tell(&mut meanwhile, code, n);
                tell(&mut all, code, n);
            }
            first.append(meanwhile);
            prop_assert_eq!(first.finish(&[]), all.finish(&[]));
        }
    }
}
