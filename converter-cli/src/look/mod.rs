//! The facts of every session of a history: read, or remembered from the last
//! time, if nothing has changed since.
//!
//! Two things are remembered. Of a history in which no file has changed, the
//! facts of all sessions; not even the heads of files are read again. Of one in
//! which some have, the facts of every session whose own files, with all that
//! was put together with them, are what they were.

mod inventory;
mod pack;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use codex_trace_history::failure::Failure;
use codex_trace_history::history::{History, Named};
use codex_trace_history::ids;
use codex_trace_history::passed::Passed;
use codex_trace_history::pipeline::Lost;
use codex_trace_history::select::Selection;
use codex_trace_model::SessionGroup;
pub use codex_trace_usage::facts::{Facts, Kind};
use codex_trace_usage::stored;
use rayon::ThreadPool;
use rayon::prelude::*;

use self::inventory::{Inventory, Key};
use self::pack::{NewPack, Pack};
use crate::config::{self, ConfigFile};
use crate::interrupt::Late;
use crate::ui::Ui;

/// How many sessions a thread takes at once from what is remembered.
const BATCH: usize = 64;

/// What a look came to, besides the facts.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The sessions of which nothing came.
    pub lost: Vec<Lost>,
    /// How many files and directories could not be read.
    pub n_failures: usize,
    /// How much of an id tells sessions apart.
    pub id_len: usize,
    /// What was not looked into.
    pub passed: Passed,
}

/// Where results are remembered: nowhere, if the user does not want that.
#[derive(Debug)]
pub struct Memory {
    dir: Option<PathBuf>,
}

impl Memory {
    /// Finds the place: none with `--no-cache`, nor with `cache = false` in
    /// `codex-trace.toml`, nor where everything is to be told.
    pub fn find(no_cache: bool, ui: &Ui) -> Memory {
        let settings = ui.settings();
        // What is wrong with the file is told where it matters.
        let is_wanted = || ConfigFile::find(None, settings).map_or(true, |file| file.cache);
        let dir = config::state_dir(None, settings).ok();
        Memory { dir: dir.filter(|_| !no_cache && !settings.verbose && is_wanted()) }
    }
}

/// What is looked at, how, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Looking<'l> {
    /// How much is to be known of each session.
    pub kind: Kind,
    /// Which sessions.
    pub selection: &'l Selection,
    /// Where results are remembered.
    pub memory: &'l Memory,
    /// The threads to work with.
    pub pool: &'l ThreadPool,
    /// Set, if the user wants it to end. Asked for once the history is found:
    /// before that, an interrupt ends the process at once.
    pub interrupted: &'l Late,
    /// Who looks on.
    pub ui: &'l Ui,
}

impl Looking<'_> {
    /// Adds up the facts of every session that the heads of files do not rule
    /// out, in any order, one sum for each thread.
    ///
    /// # Errors
    ///
    /// If nothing is found, or something named is not there.
    pub fn each<A: Default + Send>(
        self,
        add: impl Fn(&mut A, Facts) + Sync,
    ) -> Result<(Vec<A>, Outcome), Failure> {
        let named = Named::sort(self.selection, self.ui)?;
        let shelf = self.memory.dir.as_ref().and_then(|dir| Shelf::open(dir, self, &named));
        if let Some(shelf) = &shelf
            && shelf.pack.whole == Some(shelf.inventory.whole())
            && let Some(sums) = self.remember(&shelf.pack, &add)
        {
            return Ok((sums, Outcome { id_len: shelf.pack.id_len, ..Outcome::default() }));
        }
        let history = named.find(self.selection, self.ui, self.pool)?;
        LazyLock::force(self.interrupted);
        let new = Mutex::new(Some(Vec::new()));
        let (sums, lost) = self.read(&history, shelf.as_ref(), &new, &add);
        let id_len = ids::shortest_unique(history.heads.iter().map(|it| it.thread_id.as_str()));
        let is_whole = lost.is_empty() && history.n_failures == 0;
        if let Some(shelf) = &shelf
            && let Some(entries) = new.into_inner().unwrap_or_else(PoisonError::into_inner)
            && !self.interrupted.load(Ordering::Relaxed)
        {
            let tells = history.passed.counts().any(|(why, _)| why.may_be_rollout());
            let is_whole = is_whole && !tells && self.selection.until.is_none();
            shelf.store(entries, is_whole, id_len);
        }
        let (n_failures, passed) = (history.n_failures, history.passed);
        Ok((sums, Outcome { lost, n_failures, id_len, passed }))
    }

    /// Adds up what is remembered; nothing, if it cannot be read.
    fn remember<A: Default + Send>(
        self,
        pack: &Pack,
        add: &(impl Fn(&mut A, Facts) + Sync),
    ) -> Option<Vec<A>> {
        let all: Vec<&[u8]> = pack.all().map(|(_, facts)| facts).collect();
        self.pool.install(|| {
            all.par_chunks(BATCH)
                .map(|batch| {
                    let mut sum = A::default();
                    for bytes in batch {
                        add(&mut sum, stored::read(bytes).ok()?);
                    }
                    Some(sum)
                })
                .collect()
        })
    }

    /// Reads every session of which nothing is remembered.
    fn read<A: Default + Send>(
        self,
        history: &History,
        shelf: Option<&Shelf>,
        new: &Mutex<Option<Vec<u8>>>,
        add: &(impl Fn(&mut A, Facts) + Sync),
    ) -> (Vec<A>, Vec<Lost>) {
        let order = history.large_apart(self.pool.current_num_threads());
        let next = AtomicUsize::new(0);
        let done: Mutex<(Vec<A>, Vec<Lost>)> = Mutex::default();
        let bytes = order.iter().map(|nth| history.len_of(&history.sessions[*nth])).sum();
        self.ui.start_bytes("reading", bytes);
        let work = || {
            let (mut sum, mut lost) = (A::default(), Vec::new());
            loop {
                let nth = next.fetch_add(1, Ordering::Relaxed);
                let stop = self.interrupted.load(Ordering::Relaxed);
                let Some(&nth) = order.get(nth).filter(|_| !stop) else { break };
                let session = &history.sessions[nth];
                match self.look_at(history, session, shelf, new) {
                    Ok(facts) => add(&mut sum, facts),
                    Err(what) => lost.push(what),
                }
                self.ui.advance(history.len_of(session));
            }
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.0.push(sum);
            done.1.extend(lost);
        };
        self.pool.in_place_scope(|scope| {
            for _ in 0..self.pool.current_num_threads() {
                scope.spawn(|_| work());
            }
        });
        self.ui.stop();
        done.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn look_at(
        self,
        history: &History,
        session: &SessionGroup,
        shelf: Option<&Shelf>,
        new: &Mutex<Option<Vec<u8>>>,
    ) -> Result<Facts, Lost> {
        let key = shelf.and_then(|it| it.inventory.key_of(history, session));
        let known = shelf.zip(key).and_then(|(shelf, key)| shelf.pack.get(&key));
        if let Some(bytes) = known
            && let Ok(facts) = stored::read(bytes)
        {
            keep(new, key, bytes);
            return Ok(facts);
        }
        let facts = Facts::read(history, session, self.kind)?;
        if shelf.is_some() {
            let mut bytes = Vec::new();
            stored::write(&facts, &mut bytes);
            keep(new, key, &bytes);
        }
        Ok(facts)
    }
}

/// Notes what is to be remembered: all of it or nothing, so that it is bounded
/// and nobody takes a part for the whole.
fn keep(new: &Mutex<Option<Vec<u8>>>, key: Option<Key>, facts: &[u8]) {
    let mut new = new.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(key) = key else { return };
    if let Some(entries) = &mut *new {
        pack::put_entry(entries, &key, facts);
        if entries.len() > pack::MAX_LEN {
            *new = None;
        }
    }
}

/// What is remembered of the history that is looked at.
#[derive(Debug)]
struct Shelf {
    path: PathBuf,
    inventory: Inventory,
    pack: Pack,
}

impl Shelf {
    fn open(dir: &std::path::Path, looking: Looking<'_>, named: &Named) -> Option<Shelf> {
        let places: Vec<&[u8]> =
            named.places().map(|place| place.as_os_str().as_encoded_bytes()).collect();
        // What heads rule out is not read: it makes another history.
        let Selection { cwd, source, .. } = looking.selection;
        let heads = format!("{:?} {cwd:?} {source:?}", looking.kind);
        let cwd = looking.ui.settings().cwd.clone().unwrap_or_default();
        let parts = [&places[..], &[heads.as_bytes(), cwd.as_os_str().as_encoded_bytes()]].concat();
        let path = pack::path(dir, &parts);
        let (inventory, pack) = looking.pool.join(|| Inventory::take(named), || Pack::open(&path));
        Some(Shelf { inventory: inventory?, pack, path })
    }

    /// Remembers results, if there is something new among them.
    fn store(&self, entries: Vec<u8>, is_whole: bool, id_len: usize) {
        let is_whole = is_whole && self.inventory.is_settled();
        let whole = is_whole.then(|| self.inventory.whole());
        NewPack { whole, id_len, entries }.store(&self.path);
    }
}
