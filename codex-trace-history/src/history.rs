//! From what the user named to sessions: finds files, reads their heads,
//! groups them, and leaves out what the heads say is not wanted.

mod pick;

use std::collections::{BTreeSet, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use codex_rollout::{
    Content, Copies, Found, PassedOver, Piped, RolloutHead, RolloutPath, SessionIndex, compare_set,
    find_reviewed, home_of, search, session_dirs, share_room,
};
use codex_trace_model::{Code, Diagnostic, SessionGroup, group};
use rayon::ThreadPool;
use rayon::prelude::*;

use crate::failure::Failure;
use crate::heads::{HeadCache, head_room, read_head};
use crate::inputs::Inputs;
use crate::owned::OwnedTrace;
use crate::passed::Passed;
use crate::pipeline::{self, Look};
use crate::select::Selection;
use crate::watch::Watch;
use crate::{ids, words};
use pick::pick;

/// What the compressed files of a session become at most, in bytes, unless they
/// are large themselves: they are open at the same time.
const SESSION_ROOM: u64 = 16 << 30;

/// The same for all files of a run.
pub(crate) const RUN_ROOM: u64 = 64 << 30;

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
    /// What they are, and why; their paths are those of files, or of the
    /// directories in which something could not be read.
    pub failures: Vec<Diagnostic>,
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

/// Something named that is on disk.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Tree(PathBuf),
    File(PathBuf),
    /// What can be read once only.
    Pipe(PathBuf),
}

impl Place {
    pub(crate) fn path(&self) -> &Path {
        let (Place::Tree(path) | Place::File(path) | Place::Pipe(path)) = self;
        path
    }
}

/// What was named, by what it is.
#[derive(Debug)]
pub struct Named {
    pub(crate) places: Vec<Place>,
    pub(crate) ids: Vec<String>,
}

impl Named {
    /// Sorts what `selection` names, or the Codex home; reads no rollout.
    ///
    /// # Errors
    ///
    /// If something named is not there.
    pub fn sort(selection: &Selection, ui: &dyn Watch) -> Result<Named, Failure> {
        let mut paths = selection.paths.clone();
        if let Some(list) = &selection.files_from {
            paths.extend(listed(list)?);
        } else if paths.is_empty() {
            paths.extend(codex_homes(ui)?);
        }
        let mut named = Named { places: Vec::new(), ids: Vec::new() };
        for path in paths {
            match path.metadata() {
                Ok(metadata) if metadata.is_dir() => named.places.push(Place::Tree(path)),
                Ok(metadata) if metadata.is_file() => named.places.push(Place::File(path)),
                Ok(metadata) if Piped::is_pipe(&metadata) => named.places.push(Place::Pipe(path)),
                Ok(_) => {
                    return Err(Failure::new(format!(
                        "neither a file nor a directory: `{}`",
                        path.display()
                    ))
                    .hint("name a rollout, a directory, or a pipe that a rollout comes out of"));
                }
                Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
                    let id = path.to_str().and_then(ids::typed);
                    named.ids.push(id.ok_or_else(|| nothing_there(&path))?);
                }
                Err(err) => {
                    return Err(Failure::because(
                        &format!("cannot read `{}`", path.display()),
                        &err,
                    ));
                }
            }
        }
        Ok(named)
    }

    /// Finds the sessions.
    ///
    /// # Errors
    ///
    /// If nothing is found, or something named is not clear.
    pub fn find(
        &self,
        selection: &Selection,
        ui: &dyn Watch,
        pool: &ThreadPool,
    ) -> Result<History, Failure> {
        self.find_again(selection, ui, pool, &mut HeadCache::default())
    }

    /// As [`find`](Self::find), for somebody who looks again and again: reads the
    /// heads of files that are not as `cache` knows them.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub fn find_again(
        &self,
        selection: &Selection,
        ui: &dyn Watch,
        pool: &ThreadPool,
        cache: &mut HeadCache,
    ) -> Result<History, Failure> {
        // An id is looked up in the directories named beside it, else in the homes.
        let (trees, others): (Vec<_>, Vec<_>) =
            self.places.iter().cloned().partition(|place| matches!(place, Place::Tree(_)));
        let places = if self.ids.is_empty() { &self.places } else { &others };
        let mut history = History::default();
        if !places.is_empty() {
            history = read(places, self.ids.is_empty(), ui, pool, cache)?;
        }
        if !self.ids.is_empty() {
            let trees = if trees.is_empty() {
                codex_homes(ui)?.into_iter().map(Place::Tree).collect()
            } else {
                trees
            };
            let all = read(&trees, true, ui, pool, &mut HeadCache::default())?;
            history.add(pick(all, &self.ids, &trees)?, pool);
        }
        history.inputs.extend(self.searched(ui));
        history.retain(selection);
        history.tell_copies(ui);
        history.passed.tell(ui);
        Ok(history)
    }

    /// Returns the directories that are searched, and those in which Codex keeps
    /// its history in any case.
    pub fn searched(&self, ui: &dyn Watch) -> Inputs {
        let mut inputs = Inputs::default();
        for place in &self.places {
            if let Place::Tree(dir) = place {
                inputs.add_tree(dir);
            }
        }
        for dir in ui.codex_homes().0.iter().flat_map(|home| session_dirs(home)) {
            inputs.add_tree(&dir);
        }
        inputs
    }
}

fn nothing_there(path: &Path) -> Failure {
    Failure::new(format!("no such file or directory, and no session id: `{}`", path.display()))
        .hint("name a directory, a rollout file, or the first 4 or more characters of an id as `codex-trace list` shows it")
}

/// Reads a list of paths: one a line, or ended by NUL as `find -print0` does.
fn listed(list: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut text = String::new();
    if list == Path::new("-") {
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|err| Failure::because("cannot read standard input", &err))?;
    } else {
        let cannot = format!("cannot read `{}`", list.display());
        text = std::fs::read_to_string(list).map_err(|err| Failure::because(&cannot, &err))?;
    }
    let end = if text.contains('\0') { '\0' } else { '\n' };
    let names = text.split(end).map(|name| name.strip_suffix('\r').unwrap_or(name));
    Ok(names.filter(|name| !name.is_empty()).map(PathBuf::from).collect())
}

/// Returns the Codex homes: all of them must be there.
fn codex_homes(ui: &dyn Watch) -> Result<Vec<PathBuf>, Failure> {
    let (homes, from) = ui.codex_homes();
    if homes.is_empty() {
        return Err(Failure::new("there is no home directory to look for `.codex` in")
            .hint("set CODEX_HOME or name a directory"));
    }
    for home in homes {
        if home.is_dir() {
            ui.detail(format!("reading `{}` ({from})", home.display()));
            continue;
        }
        let hint = match from {
            "CODEX_HOME" => {
                "CODEX_HOME names it: is that right? A path or `--codex-home DIR` names another"
            }
            "--codex-home" => "name the directory that has `sessions/` in it",
            _ => "set CODEX_HOME, or name a directory, a rollout file or `--codex-home DIR`",
        };
        let what = format!("no Codex history at `{}` ({from})", home.display());
        return Err(Failure::new(what).hint(hint));
    }
    Ok(homes.to_vec())
}

/// Reads the heads of all rollouts at `places` and groups them. Finding nothing
/// is a failure only if nothing else was named.
fn read(
    places: &[Place],
    all: bool,
    ui: &dyn Watch,
    pool: &ThreadPool,
    cache: &mut HeadCache,
) -> Result<History, Failure> {
    let mut history = History::default();
    let mut rollouts: Vec<(RolloutPath, bool)> = Vec::new();
    let mut read_once = HashSet::new();
    for place in places {
        match place {
            Place::File(path) => rollouts.push((RolloutPath::from_file(path), true)),
            Place::Pipe(path) if !read_once.insert(path) => {}
            Place::Pipe(path) => {
                let cannot = format!("cannot read `{}`", path.display());
                match RolloutPath::from_pipe(path) {
                    Ok(rollout) => rollouts.push((rollout, true)),
                    Err(err) => history.failed(ui, path, &Failure::because(&cannot, &err)),
                }
            }
            Place::Tree(dir) => {
                for found in search(dir) {
                    match found {
                        Ok(Found::Rollout(rollout)) => rollouts.push((rollout, false)),
                        Ok(Found::PassedOver { path, why }) => history.passed.add(&path, why),
                        Err(err) => history.failed(ui, dir, &Failure::of(&err)),
                    }
                }
            }
        }
    }
    for (rollout, _) in &rollouts {
        history.inputs.add_file(&rollout.path);
    }
    let mut seen = HashSet::new();
    rollouts.retain(|(rollout, _)| seen.insert(rollout.path.clone()));
    let head_room = head_room(rollouts.len());

    ui.start("reading heads", rollouts.len());
    let heads: Vec<Result<RolloutHead, Failure>> = pool.install(|| {
        rollouts
            .par_iter()
            .map_init(Vec::new, |buffer, (rollout, named)| {
                let known = cache.get(rollout).cloned().map(Ok);
                let head = known.unwrap_or_else(|| read_head(rollout, *named, head_room, buffer));
                ui.step();
                head
            })
            .collect()
    });
    ui.stop();
    cache.replace(heads.iter().flatten());
    for (head, (rollout, _)) in heads.into_iter().zip(&rollouts) {
        match head {
            Ok(head) if head.content == Content::Empty => {
                history.passed.add(&head.rollout.path, PassedOver::Empty);
            }
            Ok(head) => history.heads.push(head),
            // What is named alone and wrong is worth more than a line in passing.
            Err(err) if all && places.len() == 1 && rollouts.len() == 1 => return Err(err),
            Err(err) => history.failed(ui, &rollout.path, &err),
        }
    }
    if all && history.heads.is_empty() {
        return Err(nothing_found(places, history.n_failures));
    }
    let all: Vec<usize> = (0..history.heads.len()).collect();
    share_room(&mut history.heads, &all, RUN_ROOM);
    find_reviewed(&mut history.heads);
    history.name_threads();
    history.group(pool);
    Ok(history)
}

fn nothing_found(places: &[Place], n_failures: usize) -> Failure {
    let [place] = places else { return Failure::new("no rollouts in any of the paths given") };
    let failure = Failure::new(format!("no rollouts in `{}`", place.path().display()));
    if n_failures > 0 {
        return failure.hint("see above for what could not be read");
    }
    failure.hint(
        "rollouts are named `rollout-<time>-<id>.jsonl`; a Codex home has them in `sessions/`",
    )
}

impl History {
    fn failed(&mut self, ui: &dyn Watch, path: &Path, err: &Failure) {
        self.n_failures += 1;
        self.failures.push(Diagnostic {
            code: Code::Unreadable,
            path: path.display().to_string(),
            position: None,
            column: None,
            text: err.to_string(),
            count: 1,
        });
        ui.error(err.to_string());
    }

    /// Adds the sessions of another history, of which this one may have files.
    fn add(&mut self, other: History, pool: &ThreadPool) {
        self.n_failures += other.n_failures;
        self.failures.extend(other.failures);
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

    /// Leaves out the sessions whose heads say that they are not wanted.
    fn retain(&mut self, selection: &Selection) {
        let heads = std::mem::take(&mut self.heads);
        self.sessions.retain(|session| selection.may_take(&heads[session.members[0].head]));
        self.heads = heads;
    }
}
