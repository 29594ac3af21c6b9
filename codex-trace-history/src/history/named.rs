use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use codex_rollout::{RolloutHead, session_dirs};
use rayon::ThreadPool;

use super::{History, heads};
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::select::Selection;
use crate::watch::Watch;
use crate::{ids, words};

/// Something named that is on disk.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Tree(PathBuf),
    File(PathBuf),
    /// What can be read once only.
    Pipe(PathBuf),
}

impl Place {
    pub(super) fn path(&self) -> &Path {
        let (Place::Tree(path) | Place::File(path) | Place::Pipe(path)) = self;
        path
    }
}

/// What was named, by what it is.
#[derive(Debug)]
pub struct Named {
    places: Vec<Place>,
    ids: Vec<String>,
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
                Ok(metadata) if is_pipe(&metadata) => named.places.push(Place::Pipe(path)),
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
        // An id is looked up in the directories named beside it, else in the homes.
        let (trees, others): (Vec<_>, Vec<_>) =
            self.places.iter().cloned().partition(|place| matches!(place, Place::Tree(_)));
        let places = if self.ids.is_empty() { &self.places } else { &others };
        let mut history = History::default();
        if !places.is_empty() {
            history = heads::read(places, self.ids.is_empty(), ui, pool)?;
        }
        if !self.ids.is_empty() {
            let trees = if trees.is_empty() {
                codex_homes(ui)?.into_iter().map(Place::Tree).collect()
            } else {
                trees
            };
            let all = heads::read(&trees, true, ui, pool)?;
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

#[cfg(unix)]
fn is_pipe(metadata: &std::fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&metadata.file_type())
}

#[cfg(not(unix))]
fn is_pipe(_: &std::fs::Metadata) -> bool {
    false
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

/// Keeps the sessions that one of `prefixes` names.
fn pick(mut all: History, prefixes: &[String], trees: &[Place]) -> Result<History, Failure> {
    let mut wanted = HashSet::new();
    for prefix in prefixes {
        let mut hits: Vec<(usize, &RolloutHead)> = Vec::new();
        for (nth, session) in all.sessions.iter().enumerate() {
            let heads = session.members.iter().map(|member| &all.heads[member.head]);
            hits.extend(heads.filter(|head| ids::matches(head, prefix)).map(|head| (nth, head)));
        }
        hits.dedup_by_key(|(nth, head)| (*nth, head.thread_id.clone()));
        let exact: Vec<_> =
            hits.iter().filter(|(_, head)| head.thread_id == *prefix).copied().collect();
        let hits = if exact.is_empty() { hits } else { exact };
        let sessions: HashSet<usize> = hits.iter().map(|(nth, _)| *nth).collect();
        match sessions.len() {
            1 => wanted.extend(sessions),
            0 => {
                let trees: Vec<String> =
                    trees.iter().map(|tree| format!("`{}`", tree.path().display())).collect();
                return Err(Failure::new(format!(
                    "no session or thread whose id begins with `{prefix}` in {}",
                    trees.join(" or ")
                ))
                .hint("`codex-trace list` shows the ids; a directory named before the id is searched instead"));
            }
            n => return Err(ambiguous(prefix, n, &hits)),
        }
    }
    let mut nth = 0;
    all.sessions.retain(|_| {
        nth += 1;
        wanted.contains(&(nth - 1))
    });
    Ok(all)
}

fn ambiguous(prefix: &str, n: usize, hits: &[(usize, &RolloutHead)]) -> Failure {
    const SHOWN: usize = 8;
    let mut lines: Vec<String> = hits
        .iter()
        .take(SHOWN)
        .map(|(_, head)| {
            let created = head.created.as_deref().unwrap_or("unknown time");
            let cwd = head.cwd.as_deref().unwrap_or_default();
            format!("{}  {}  {}", head.thread_id, created, cwd).trim_end().to_owned()
        })
        .collect();
    if hits.len() > SHOWN {
        lines.push(format!("and {} more", hits.len() - SHOWN));
    }
    Failure::new(format!("`{prefix}` begins the ids of {}", words::count(n, "session")))
        .details(lines)
        .hint("type more of the id")
}
