use std::ops::Range;
use std::path::PathBuf;

use codex_rollout::{Branch, Copies, Copy, JsonText, RolloutHead, Share};
use hashbrown::{HashMap, HashSet};

use crate::diagnostic::{Code, Diagnostic};
use crate::session::RolloutFile;

/// The files of one session: a root thread and every thread below it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionGroup {
    /// The root thread.
    pub root_thread_id: String,
    /// The files, the root thread's first, each thread's in the order written.
    pub members: Vec<Member>,
    /// What was odd about the grouping.
    pub diagnostics: Vec<Diagnostic>,
}

/// One file of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The index of the file's head.
    pub head: usize,
    /// The indices of the heads of the files of the rollout whose history this
    /// one continues or holds a copy of, if it is here; several, if they went on
    /// apart. [`nearest_ancestor`](crate::nearest_ancestor) tells which it is.
    pub ancestors: Vec<usize>,
    /// The file's path as it is called in provenance and diagnostics.
    pub path: String,
    /// The files that this one stands for.
    pub copies: Vec<PathBuf>,
    /// Other paths of the file.
    pub links: Vec<PathBuf>,
    /// The lines after which other files leave this one, in rising order.
    pub forks: Vec<u64>,
    /// Where it leaves another file of the same rollout, if it does.
    pub branch: Option<BranchOf>,
}

/// Where a file leaves another one of the same rollout, and what it adds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BranchOf {
    /// The path of the other file.
    pub path: String,
    /// The last line of the other file that both have; 0 if none.
    pub after_line: u64,
    /// The lines of this file that no other one has, as half-open ranges.
    pub own: Vec<Range<u64>>,
}

impl Member {
    /// Returns what the resolver needs to know of the file beside its lines.
    pub fn file<'m>(&'m self, heads: &'m [RolloutHead]) -> RolloutFile<'m> {
        RolloutFile {
            path: &self.path,
            thread_id: &heads[self.head].thread_id,
            name: heads[self.head].name.as_ref().map(|name| JsonText::new(name.as_bytes())),
            copies: &self.copies,
            links: &self.links,
            forks: &self.forks,
            branch: self.branch.as_ref(),
        }
    }
}

/// Groups rollouts into sessions by what their heads say, in the order of the
/// heads of the root threads.
///
/// Files of one rollout count once: `copies` says what is read of each. A thread
/// whose parent is not here is a root. Threads that name each other as parents
/// are cut apart at the oldest.
pub fn group(heads: &[RolloutHead], copies: &Copies) -> Vec<SessionGroup> {
    let is_branch = |ix: usize| branch_of(copies, ix).is_some();
    let is_copy = |ix: usize| matches!(copies.share(ix), Share::Copy(_));
    let kept: Vec<usize> = (0..heads.len()).filter(|ix| !is_copy(*ix)).collect();
    let mut threads: HashMap<&str, Vec<usize>> = HashMap::new();
    for &ix in &kept {
        threads.entry(&heads[ix].thread_id).or_default().push(ix);
    }
    for files in threads.values_mut() {
        // What a branch leaves comes before it.
        files.sort_by_key(|ix| (is_branch(*ix), &heads[*ix].rollout_id, branch_of(copies, *ix)));
    }
    let whole: Vec<usize> = kept.iter().copied().filter(|ix| !is_branch(*ix)).collect();
    let mut by_rollout: HashMap<&str, Vec<usize>> = HashMap::new();
    for &ix in &kept {
        by_rollout.entry(&heads[ix].rollout_id).or_default().push(ix);
    }
    for files in by_rollout.values_mut() {
        files.sort_by_key(|ix| branch_of(copies, *ix));
    }
    let mut families = Families::new(heads, copies);

    let oldest_forks = oldest_forks(heads, &whole);

    let mut groups: Vec<SessionGroup> = Vec::new();
    let mut group_of: HashMap<&str, usize> = HashMap::new();
    let mut seen = HashSet::new();
    let mut roots = HashMap::new();
    for &ix in &kept {
        let thread = heads[ix].thread_id.as_str();
        if !seen.insert(thread) {
            continue;
        }
        let Root { thread: root, cycle } = root_of(thread, heads, &threads, &mut roots);
        let at = *group_of.entry(root).or_insert_with(|| {
            groups.push(SessionGroup {
                root_thread_id: root.to_owned(),
                members: Vec::new(),
                diagnostics: Vec::new(),
            });
            groups.len() - 1
        });
        groups[at].diagnostics.extend(cycle.then(|| cycle_note(&heads[ix])));
        for &file in &threads[thread] {
            let ancestors = ancestors_of(file, heads, &threads, &by_rollout, &oldest_forks);
            let member = families.member(file, ancestors);
            groups[at].members.push(member);
            groups[at].diagnostics.append(&mut families.odd(file));
        }
    }
    for group in &mut groups {
        let root = group.root_thread_id.as_str();
        group.members.sort_by_key(|member| heads[member.head].thread_id != root);
    }
    groups
}

/// Returns the name of a file for people.
fn name_of(head: &RolloutHead) -> String {
    head.rollout.path.display().to_string()
}

/// Returns the place of a file among the branches of its rollout.
fn branch_of(copies: &Copies, ix: usize) -> Option<usize> {
    match copies.share(ix) {
        Share::Branch(branch) => Some(branch.nth),
        _ => None,
    }
}

/// What the files of one rollout are to each other.
struct Families<'h> {
    heads: &'h [RolloutHead],
    copies: &'h Copies,
    /// By file, the copies of it.
    copies_of: HashMap<usize, Vec<(usize, &'h Copy)>>,
    /// By file, the lines after which others leave it.
    forks: HashMap<usize, Vec<u64>>,
}

impl<'h> Families<'h> {
    fn new(heads: &'h [RolloutHead], copies: &'h Copies) -> Families<'h> {
        let mut families =
            Families { heads, copies, copies_of: HashMap::new(), forks: HashMap::new() };
        for ix in 0..heads.len() {
            match copies.share(ix) {
                Share::Copy(copy) => {
                    families.copies_of.entry(copy.of).or_default().push((ix, copy));
                }
                Share::Branch(branch) => {
                    families.forks.entry(branch.from).or_default().push(branch.after_line);
                }
                Share::Whole => {}
            }
        }
        for copies in families.copies_of.values_mut() {
            copies.sort_by_key(|(ix, _)| &heads[*ix].rollout.path);
        }
        for forks in families.forks.values_mut() {
            forks.sort_unstable();
            forks.dedup();
        }
        families
    }

    fn member(&mut self, head: usize, ancestors: Vec<usize>) -> Member {
        let branch = match self.copies.share(head) {
            Share::Branch(branch) => Some(BranchOf {
                path: name_of(&self.heads[branch.from]),
                after_line: branch.after_line,
                own: branch.own.clone(),
            }),
            _ => None,
        };
        let copies = self.copies_of.get(&head).into_iter().flatten();
        let (links, copies): (Vec<_>, Vec<_>) = copies.partition(|(_, copy)| copy.is_link);
        let paths = |files: Vec<&(usize, &Copy)>| {
            files.iter().map(|(ix, _)| self.heads[*ix].rollout.path.clone()).collect()
        };
        Member {
            head,
            ancestors,
            path: name_of(&self.heads[head]),
            copies: paths(copies),
            links: paths(links),
            forks: self.forks.remove(&head).unwrap_or_default(),
            branch,
        }
    }

    /// Says what is odd about the other files of a file's rollout.
    fn odd(&self, head: usize) -> Vec<Diagnostic> {
        let mut odd = Vec::new();
        if let Share::Branch(branch) = self.copies.share(head) {
            odd.push(Diagnostic {
                code: Code::Diverged,
                path: name_of(&self.heads[head]),
                position: Some(branch.at),
                column: None,
                text: diverged(&name_of(&self.heads[branch.from]), branch),
                count: 1,
            });
        }
        for (ix, copy) in self.copies_of.get(&head).into_iter().flatten() {
            let Some(at) = copy.differs_at else { continue };
            odd.push(Diagnostic {
                code: Code::Duplicate,
                path: name_of(&self.heads[*ix]),
                position: Some(at),
                column: None,
                text: format!(
                    "a copy of `{}` that is written otherwise from here on; it has nothing that \
                     the other one lacks, and was not read",
                    name_of(&self.heads[head])
                ),
                count: 1,
            });
        }
        odd
    }
}

fn diverged(other: &str, branch: &Branch) -> String {
    let Branch { after_line, has_beginning: true, .. } = branch else {
        return format!(
            "it has the thread id of `{other}` and begins otherwise, as if it were another \
             thread's; all of both was read, this one after the other"
        );
    };
    let line = after_line + 1;
    format!(
        "from here on it differs from `{other}` (line {line} there), a file of the same thread; \
         what both have was read once, then what each of them has alone"
    )
}

/// Where the parents of a thread lead to.
#[derive(Clone, Copy)]
struct Root<'h> {
    thread: &'h str,
    /// Whether the way went round in a circle, broken at its oldest thread.
    cycle: bool,
}

/// Follows the parents of a thread as far as their files are here.
fn root_of<'h>(
    thread: &'h str,
    heads: &'h [RolloutHead],
    threads: &HashMap<&'h str, Vec<usize>>,
    roots: &mut HashMap<&'h str, Root<'h>>,
) -> Root<'h> {
    let parent = |thread: &str| {
        let first = threads.get(thread)?.first()?;
        let parent = heads[*first].parent_thread_id.as_deref()?;
        threads.get_key_value(parent).map(|(id, _)| *id)
    };
    let mut path = vec![thread];
    let mut place: HashMap<&str, usize> = HashMap::from([(thread, 0)]);
    let mut at = thread;
    let root = loop {
        if let Some(known) = roots.get(at) {
            break *known;
        }
        let Some(next) = parent(at) else { break Root { thread: at, cycle: false } };
        if let Some(&start) = place.get(next) {
            let oldest = path[start..].iter().min_by_key(|id| {
                let head = &heads[threads[**id][0]];
                (head.created.as_deref(), head.thread_id.as_str())
            });
            break Root { thread: oldest.copied().unwrap_or(thread), cycle: true };
        }
        place.insert(next, path.len());
        path.push(next);
        at = next;
    };
    roots.extend(path.into_iter().map(|thread| (thread, root)));
    root
}

fn cycle_note(head: &RolloutHead) -> Diagnostic {
    Diagnostic {
        code: Code::ParentCycle,
        path: head.rollout.path.display().to_string(),
        position: None,
        column: None,
        text: "its parents name each other as parents; the oldest was made the root".to_owned(),
        count: 1,
    }
}

/// Returns the thread whose history a file may begin with a copy of.
fn origin_of(head: &RolloutHead) -> Option<&str> {
    head.copied_from_id.as_deref().or(head.forked_from_id.as_deref())
}

/// Finds the oldest fork of each thread: where that is not here, its forks
/// still have its history in common.
fn oldest_forks<'h>(heads: &'h [RolloutHead], kept: &[usize]) -> HashMap<&'h str, usize> {
    let mut oldest: HashMap<&str, usize> = HashMap::new();
    for &ix in kept {
        let Some(origin) = origin_of(&heads[ix]) else { continue };
        let first = oldest.entry(origin).or_insert(ix);
        if heads[ix].rollout_id < heads[*first].rollout_id {
            *first = ix;
        }
    }
    oldest
}

fn ancestors_of(
    ix: usize,
    heads: &[RolloutHead],
    threads: &HashMap<&str, Vec<usize>>,
    by_rollout: &HashMap<&str, Vec<usize>>,
    oldest_forks: &HashMap<&str, usize>,
) -> Vec<usize> {
    let head = &heads[ix];
    if let Some(base) = &head.base_rollout_id {
        return by_rollout.get(base.as_str()).cloned().unwrap_or_default();
    }
    let Some(origin) = origin_of(head) else { return Vec::new() };
    let files = match threads.get(origin) {
        Some(files) => files.as_slice(),
        None => oldest_forks.get(origin).map(std::slice::from_ref).unwrap_or_default(),
    };
    let Some(rollout_id) = files.first().map(|first| &heads[*first].rollout_id) else {
        return Vec::new();
    };
    let of_rollout = |ix: &usize| heads[*ix].rollout_id == *rollout_id;
    let is_other = *rollout_id != head.rollout_id;
    files.iter().copied().filter(of_rollout).filter(|_| is_other).collect()
}
