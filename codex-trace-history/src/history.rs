//! From what the user named to sessions: finds files, reads their heads,
//! groups them, and leaves out what the heads say is not wanted.

mod heads;
mod named;

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use codex_rollout::{Copies, RolloutHead, SessionIndex, compare_set, home_of, share_room};
use codex_trace_model::{Diagnostic, SessionGroup, group};
use rayon::ThreadPool;
use rayon::prelude::*;

use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::owned::OwnedTrace;
use crate::passed::Passed;
use crate::pipeline::{self, Look};
use crate::select::Selection;
use crate::watch::Watch;
use crate::words;

pub use named::Named;

/// What the compressed files of a session become at most, in bytes, unless they
/// are large themselves: they are open at the same time.
const SESSION_ROOM: u64 = 16 << 30;

/// The sessions found, and what they are made of.
#[derive(Debug, Default)]
pub struct History {
    /// The heads of all files.
    pub heads: Vec<RolloutHead>,
    /// The sessions wanted, oldest first as far as file names tell; their
    /// members are indices into [`heads`](Self::heads).
    pub sessions: Vec<SessionGroup>,
    /// How many files and directories could not be read.
    pub n_failures: usize,
    /// What was looked at, wanted or not.
    pub inputs: Inputs,
    /// What was not looked into.
    pub passed: Passed,
}

impl History {
    /// Finds all sessions of a Codex home, a directory or a file, on one thread.
    ///
    /// What could not be read is counted in [`n_failures`](Self::n_failures);
    /// [`find`] tells a [`Watch`] of each.
    ///
    /// # Errors
    ///
    /// As [`find`].
    pub fn open(path: &Path) -> Result<History, Failure> {
        find(&Selection::of(path), &Unwatched, &pipeline::pool(1)?)
    }

    /// Opens and resolves one session after the other; an error says why none
    /// of its files can be read.
    pub fn traces(&self) -> impl Iterator<Item = Result<OwnedTrace, Vec<Diagnostic>>> {
        self.sessions.iter().map(|session| pipeline::open(self, session, Look::Content))
    }
}

/// Nobody watches.
#[derive(Debug)]
struct Unwatched;

impl Watch for Unwatched {
    fn codex_homes(&self) -> (&[PathBuf], &'static str) {
        (&[], "")
    }

    fn error(&self, _: String) {}
}

/// Finds what `selection` names.
///
/// # Errors
///
/// If nothing is found, or something named is not there or not clear.
pub fn find(selection: &Selection, ui: &dyn Watch, pool: &ThreadPool) -> Result<History, Failure> {
    Named::sort(selection, ui)?.find(selection, ui, pool)
}

impl History {
    fn failed(&mut self, ui: &dyn Watch, err: &Failure) {
        self.n_failures += 1;
        ui.error(err.to_string());
    }

    /// Adds the sessions of another history, of which this one may have files.
    fn add(&mut self, other: History, pool: &ThreadPool) {
        self.n_failures += other.n_failures;
        self.inputs.extend(other.inputs);
        self.passed.extend(other.passed);
        let members = other.sessions.iter().flat_map(|session| &session.members);
        let files = members.flat_map(|member| member.ancestors.iter().chain([&member.head]));
        let wanted: HashSet<String> =
            files.map(|file| other.heads[*file].rollout_id.clone()).collect();
        self.heads.extend(other.heads.into_iter().filter(|it| wanted.contains(&it.rollout_id)));
        self.group(pool);
    }

    /// Looks up the names of threads in the homes that their files lie in.
    fn name_threads(&mut self) {
        let homes: BTreeSet<PathBuf> =
            self.heads.iter().filter_map(|head| home_of(&head.rollout.path)).collect();
        let mut index = SessionIndex::default();
        for home in &homes {
            index.take_in(home);
        }
        for head in &mut self.heads {
            head.name = index.name_of(&head.thread_id).map(str::to_owned);
        }
    }

    /// Says how many files were not read because others have all of them.
    fn tell_copies(&self, ui: &dyn Watch) {
        let members = self.sessions.iter().flat_map(|session| &session.members);
        let n_copies = members.map(|member| member.copies.len()).sum();
        if n_copies > 0 {
            let files = words::count(n_copies, "file");
            ui.detail(format!("left out {files} of which others have the whole content"));
        }
    }

    /// Puts the files together to sessions.
    fn group(&mut self, pool: &ThreadPool) {
        let heads = &self.heads;
        let sets = Copies::sets(heads);
        let shares: Vec<_> =
            pool.install(|| sets.par_iter().map(|set| compare_set(heads, set)).collect());
        self.sessions = group(heads, &Copies::put_together(heads.len(), shares));
        for session in &self.sessions {
            let members = session.members.iter();
            let files = members.flat_map(|member| member.ancestors.iter().chain([&member.head]));
            let files: BTreeSet<usize> = files.copied().collect();
            share_room(&mut self.heads, &Vec::from_iter(files), SESSION_ROOM);
        }
    }

    /// Returns the head of a session's root thread.
    pub fn root(&self, session: &SessionGroup) -> &RolloutHead {
        &self.heads[session.members[0].head]
    }

    /// Returns the order to read sessions in if none must come first: what takes
    /// longest must not come last.
    pub fn largest_first(&self) -> Vec<usize> {
        let len = |nth: usize| -> u64 {
            self.sessions[nth].members.iter().map(|member| self.heads[member.head].len).sum()
        };
        let mut order: Vec<usize> = (0..self.sessions.len()).collect();
        order.sort_by_cached_key(|nth| std::cmp::Reverse(len(*nth)));
        order
    }

    /// Leaves out the sessions whose heads say that they are not wanted.
    fn retain(&mut self, selection: &Selection) {
        let heads = std::mem::take(&mut self.heads);
        self.sessions.retain(|session| selection.may_take(&heads[session.members[0].head]));
        self.heads = heads;
    }
}
