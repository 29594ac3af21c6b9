//! Which of several files of one rollout are read, and what of each.
//!
//! A rollout may be on disk more than once: active and archived, plain and
//! compressed, in a backup, as the copy that a synchronizing tool keeps of a
//! conflict, on two machines. What decides is what the files hold, never where
//! they are or what they are called.

mod compare;
mod documents;
mod rest;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;

use crate::discover::{Encoding, Layout};
use crate::head::RolloutHead;
use crate::position::Position;
use compare::{Apart, Meeting, meet};
use rest::{Rest, Seen};

/// What is read of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Share {
    /// All of it.
    #[default]
    Whole,
    /// Nothing: another file has all of it.
    Copy(Copy),
    /// What no other file of the same rollout has: they have a common beginning
    /// and went on apart.
    Branch(Branch),
}

/// A file that another one stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copy {
    /// The file that is read: the index of its head.
    pub of: usize,
    /// Whether it is the same file under another name, not a copy of it.
    pub is_link: bool,
    /// The first line that is written otherwise than in the file that is read,
    /// though both stand for the same record.
    pub differs_at: Option<Position>,
}

/// A file that has a beginning in common with another one and goes its own way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Branch {
    /// The file that it leaves: the index of its head.
    pub from: usize,
    /// The last line of that file that both have, starting at 1; 0 if none.
    pub after_line: u64,
    /// Its place among the branches of the rollout: it is read after those
    /// before it. Lines that are added to a file do not change this.
    pub nth: usize,
    /// The lines of this file that no other one has, as half-open ranges.
    pub own: Vec<Range<u64>>,
    /// The first of them.
    pub at: Position,
    /// Whether the two begin alike. Else they may be of two threads that were
    /// given the same id.
    pub has_beginning: bool,
}

/// What is read of each of a list of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    shares: Vec<Share>,
}

impl Copies {
    /// Compares files that have their rollout in common.
    ///
    /// Files are read as far as they are alike, in bounded memory; of files
    /// that differ, a few bytes for each line are kept meanwhile. One that
    /// cannot be read is nobody's copy.
    pub fn find(heads: &[RolloutHead]) -> Copies {
        let sets = Copies::sets(heads);
        Copies::put_together(heads.len(), sets.iter().map(|set| compare_set(heads, set)))
    }

    /// Returns the sets of files that have their rollout in common, by the
    /// indices of their heads.
    pub fn sets(heads: &[RolloutHead]) -> Vec<Vec<usize>> {
        documents::sets(heads)
    }

    /// Makes the whole of what [`compare_set`] found for each set of `n` files.
    pub fn put_together(n: usize, shares: impl IntoIterator<Item = Vec<(usize, Share)>>) -> Copies {
        let mut copies = Copies { shares: vec![Share::Whole; n] };
        for (ix, share) in shares.into_iter().flatten() {
            copies.shares[ix] = share;
        }
        copies
    }

    /// Returns what is read of a file.
    pub fn share(&self, head: usize) -> &Share {
        const WHOLE: &Share = &Share::Whole;
        self.shares.get(head).unwrap_or(WHOLE)
    }
}

/// Compares the files of one rollout; see [`Copies::find`].
pub fn compare_set(heads: &[RolloutHead], set: &[usize]) -> Vec<(usize, Share)> {
    let (documents, mut files): (Vec<usize>, Vec<usize>) =
        set.iter().partition(|ix| heads[**ix].rollout.layout == Layout::Document);
    files.sort_by_key(|ix| rank(&heads[*ix]));
    let mut family = Family { heads, branches: Vec::new(), copies: Vec::new() };
    for file in files {
        family.take(file);
    }
    let mut shares = family.shares();
    shares.extend(documents::compare(heads, &documents));
    shares
}

/// The order in which files with the same content are wanted.
fn rank(head: &RolloutHead) -> (bool, bool, &std::path::Path) {
    let rollout = &head.rollout;
    (rollout.encoding != Encoding::Plain, rollout.archived, &rollout.path)
}

/// The files of one rollout while they are compared.
struct Family<'h> {
    heads: &'h [RolloutHead],
    /// Files of which none is the beginning of another one, in the order of
    /// their content: each has its longest common beginning with one beside it.
    branches: Vec<usize>,
    /// Files, with those that stand for them.
    copies: Vec<(usize, Copy)>,
}

impl Family<'_> {
    fn take(&mut self, file: usize) {
        let (mut low, mut high) = (0, self.branches.len());
        while low < high {
            let middle = low.midpoint(high);
            let other = self.branches[middle];
            if self.same_file(file, other) {
                return self.add_copy(file, Copy { of: other, is_link: true, differs_at: None });
            }
            // A file that cannot be read says so when it is opened.
            let Ok(meeting) = meet(&self.heads[other].rollout, &self.heads[file].rollout) else {
                break;
            };
            match meeting {
                Meeting::Apart(apart) if apart.order == Ordering::Less => low = middle + 1,
                Meeting::Apart(_) => high = middle,
                Meeting::Within { first_is_longer: true, first_edit } => {
                    let differs_at = first_edit.map(|edit| edit.1);
                    return self.add_copy(file, Copy { of: other, is_link: false, differs_at });
                }
                Meeting::Within { first_is_longer: false, first_edit } => {
                    let differs_at = first_edit.map(|edit| edit.0);
                    self.branches[middle] = file;
                    return self.add_copy(other, Copy { of: file, is_link: false, differs_at });
                }
            }
        }
        self.branches.insert(low, file);
    }

    fn add_copy(&mut self, file: usize, copy: Copy) {
        self.copies.push((file, copy));
    }

    fn same_file(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.heads[a], &self.heads[b]);
        a.file_id.is_some() && a.file_id == b.file_id
    }

    fn shares(mut self) -> Vec<(usize, Share)> {
        let mut shares = Vec::new();
        let mut parted: Vec<Parted> = Vec::new();
        let mut seen = Seen::default();
        for nth in 1..self.branches.len() {
            let file = self.branches[nth];
            let before = self.branches[nth - 1];
            // The file before is read from where it parted from others itself.
            let known_from = parted.iter().find(|it| it.file == before).map_or(0, |it| it.own_from);
            seen.take_in(&self.heads[before].rollout, known_from);
            let Some(mut it) = self.part(file, before, &parted) else { continue };
            let rest = seen.rest_of(&self.heads[file].rollout, it.at, it.migrated);
            if let Some(Rest { own, at }) = rest {
                it.own_from = at.line();
                let Parted { from, after_line, has_beginning, .. } = it;
                let branch = Branch { from, after_line, nth, own, at, has_beginning };
                shares.push((file, Share::Branch(branch)));
            } else {
                let (of, differs_at) = (it.from, Some(it.at));
                self.copies.push((file, Copy { of, is_link: false, differs_at }));
            }
            parted.push(it);
        }
        let of: HashMap<usize, usize> =
            self.copies.iter().map(|(file, copy)| (*file, copy.of)).collect();
        for (file, mut copy) in self.copies {
            while let Some(next) = of.get(&copy.of) {
                copy.of = *next;
            }
            shares.push((file, Share::Copy(copy)));
        }
        shares
    }

    /// Finds where a file parts from those before it, and from which of them:
    /// the one that is read at that place. `None` if it cannot be read.
    fn part(&self, file: usize, before: usize, parted: &[Parted]) -> Option<Parted> {
        let mut from = before;
        loop {
            let meeting = meet(&self.heads[from].rollout, &self.heads[file].rollout).ok()?;
            let Meeting::Apart(Apart { after_line, at, migrated, has_beginning, .. }) = meeting
            else {
                return None;
            };
            match parted.iter().find(|it| it.file == from) {
                Some(it) if after_line < it.own_from => from = it.from,
                _ => {
                    let own_from = u64::MAX;
                    let parted =
                        Parted { file, from, after_line, at, own_from, migrated, has_beginning };
                    return Some(parted);
                }
            }
        }
    }
}

/// A file that went on apart from another one.
struct Parted {
    file: usize,
    from: usize,
    /// The last line of `from` that both have.
    after_line: u64,
    /// The first line of `file` that `from` does not have there.
    at: Position,
    /// The first line of `file` that is read; none, if it is not read at all.
    own_from: u64,
    /// Whether only one of the two was migrated.
    migrated: bool,
    has_beginning: bool,
}
