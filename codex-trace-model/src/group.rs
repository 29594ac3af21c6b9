use codex_rollout::{Encoding, RolloutHead};
use hashbrown::{HashMap, HashSet};

use crate::diagnostic::{Code, Diagnostic};

/// The files of one session: a root thread and every thread below it.
#[derive(Clone, Debug)]
pub struct SessionGroup {
    /// The root thread.
    pub root_thread_id: String,
    /// The files, the root thread's first, each thread's in the order written.
    pub members: Vec<Member>,
    /// What was odd about the grouping.
    pub diagnostics: Vec<Diagnostic>,
}

/// One file of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The index of the file's head.
    pub head: usize,
    /// The index of the head of the file whose history this one continues or
    /// holds a copy of, if that file is here.
    pub ancestor: Option<usize>,
}

/// Groups rollouts into sessions by what their heads say, in the order of the
/// heads of the root threads.
///
/// A rollout that is present twice counts once: uncompressed rather than
/// compressed, active rather than archived. A thread whose parent is not here
/// is a root. Threads that name each other as parents are cut apart at the oldest.
pub fn group(heads: &[RolloutHead]) -> Vec<SessionGroup> {
    let (kept, mut odd) = once_each(heads);
    let mut threads: HashMap<&str, Vec<usize>> = HashMap::new();
    for &ix in &kept {
        threads.entry(&heads[ix].thread_id).or_default().push(ix);
    }
    for files in threads.values_mut() {
        files.sort_by(|a, b| heads[*a].rollout_id.cmp(&heads[*b].rollout_id));
    }
    let by_rollout: HashMap<&str, usize> =
        kept.iter().map(|&ix| (heads[ix].rollout_id.as_str(), ix)).collect();

    let oldest_forks = oldest_forks(heads, &kept);

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
        let members = threads[thread].iter().map(|&head| Member {
            head,
            ancestor: ancestor_of(head, heads, &threads, &by_rollout, &oldest_forks),
        });
        groups[at].members.extend(members);
        groups[at].diagnostics.extend(cycle.then(|| cycle_note(&heads[ix])));
        for &file in &threads[thread] {
            groups[at].diagnostics.extend(odd.remove(heads[file].rollout_id.as_str()));
        }
    }
    for group in &mut groups {
        let root = group.root_thread_id.as_str();
        group.members.sort_by_key(|member| heads[member.head].thread_id != root);
    }
    groups
}

/// Keeps one file of each rollout; notes the others under the rollout's id.
fn once_each(heads: &[RolloutHead]) -> (Vec<usize>, HashMap<&str, Diagnostic>) {
    let rank = |ix: usize| {
        let rollout = &heads[ix].rollout;
        let items = std::cmp::Reverse(heads[ix].document_items.len());
        (items, rollout.encoding != Encoding::Plain, rollout.archived, ix)
    };
    let saves = saves_of_one(heads);
    let mut best: HashMap<&str, usize> = HashMap::new();
    let mut odd = HashMap::new();
    for (ix, head) in heads.iter().enumerate() {
        let id = saves.get(&ix).map_or(head.rollout_id.as_str(), |last| &heads[*last].rollout_id);
        let kept = best.entry(id).or_insert(ix);
        if *kept == ix {
            continue;
        }
        let (winner, loser) = if rank(ix) < rank(*kept) { (ix, *kept) } else { (*kept, ix) };
        *kept = winner;
        odd.insert(
            id,
            Diagnostic {
                code: Code::Duplicate,
                path: heads[loser].rollout.path.display().to_string(),
                position: None,
                column: None,
                text: format!(
                    "the same rollout is also at `{}`, which was read instead",
                    heads[winner].rollout.path.display()
                ),
                count: 1,
            },
        );
    }
    let kept: HashSet<usize> = best.into_values().collect();
    ((0..heads.len()).filter(|ix| kept.contains(ix)).collect(), odd)
}

/// Finds the whole-file rollouts that are earlier saves of another one: the
/// same items as far as they go.
fn saves_of_one(heads: &[RolloutHead]) -> HashMap<usize, usize> {
    let items = |ix: usize| heads[ix].document_items.as_slice();
    let mut sorted: Vec<usize> =
        (0..heads.len()).filter(|ix| !heads[*ix].document_items.is_empty()).collect();
    // Whatever a save is the beginning of comes right after it.
    sorted.sort_by(|a, b| items(*a).cmp(items(*b)).then(a.cmp(b)));
    let mut saves = HashMap::new();
    // Saves that are the beginning of none before them, with the longest that
    // each is the beginning of.
    let mut later: Vec<(usize, usize)> = Vec::new();
    for &ix in sorted.iter().rev() {
        let mut last = ix;
        while let Some((_, longest)) = later.pop_if(|(save, _)| items(*save).starts_with(items(ix)))
        {
            last =
                [last, longest].into_iter().max_by_key(|ix| (items(*ix).len(), *ix)).unwrap_or(ix);
        }
        if last != ix {
            saves.insert(ix, last);
        }
        later.push((ix, last));
    }
    saves
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

fn ancestor_of(
    ix: usize,
    heads: &[RolloutHead],
    threads: &HashMap<&str, Vec<usize>>,
    by_rollout: &HashMap<&str, usize>,
    oldest_forks: &HashMap<&str, usize>,
) -> Option<usize> {
    let head = &heads[ix];
    if let Some(base) = &head.base_rollout_id {
        return by_rollout.get(base.as_str()).copied();
    }
    let origin = origin_of(head)?;
    let parent = threads.get(origin).and_then(|files| files.first());
    parent.or_else(|| oldest_forks.get(origin)).copied().filter(|ancestor| *ancestor != ix)
}
