//! Whole-file rollouts of the TypeScript CLI: every save of a session is a file
//! of its own, the first versions gave each another id.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::{Copy, Share};
use crate::head::RolloutHead;
use crate::position::Position;
use crate::source::Source;

/// Returns the sets of files that have their rollout in common, by their ids
/// or as saves of one session.
pub(super) fn sets(heads: &[RolloutHead]) -> Vec<Vec<usize>> {
    let saves = saves_of_one(heads);
    let mut sets: HashMap<&str, Vec<usize>> = HashMap::new();
    for (ix, head) in heads.iter().enumerate() {
        let id = saves.get(&ix).map_or(head.rollout_id.as_str(), |last| &heads[*last].rollout_id);
        sets.entry(id).or_default().push(ix);
    }
    let mut sets: Vec<Vec<usize>> = sets.into_values().filter(|set| set.len() > 1).collect();
    sets.sort_unstable();
    sets
}

/// Keeps the save that has most items.
pub(super) fn compare(heads: &[RolloutHead], set: &[usize]) -> Vec<(usize, Share)> {
    let rank = |ix: &usize| {
        let head = &heads[*ix];
        (Reverse(head.document_items.len()), head.document_items.as_slice(), super::rank(head))
    };
    let Some(of) = set.iter().copied().min_by(|a, b| rank(a).cmp(&rank(b))) else {
        return Vec::new();
    };
    let copies = set.iter().filter(|ix| **ix != of).map(|&ix| {
        let (longest, save) = (&heads[of], &heads[ix]);
        let is_link = save.file_id.is_some() && save.file_id == longest.file_id;
        let is_save = longest.document_items.starts_with(&save.document_items);
        let differs_at = (!is_save).then(|| first_difference(longest, save));
        (ix, Share::Copy(Copy { of, is_link, differs_at }))
    });
    copies.collect()
}

/// Returns the first item of a save that another one does not have there.
fn first_difference(longest: &RolloutHead, save: &RolloutHead) -> Position {
    let open = |head: &RolloutHead| Source::open(&head.rollout).ok();
    let (Some(longest), Some(save)) = (open(longest), open(save)) else {
        return Position::new(1, 0);
    };
    let mut others = longest.lines().filter_map(Result::ok);
    let mut own = save.lines().filter_map(Result::ok);
    let differs = |line: &crate::RolloutLine<'_>| {
        others.next().is_none_or(|other| other.bytes != line.bytes && !line.is_meta())
    };
    own.find(differs).map_or(Position::new(1, 0), |line| line.position)
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
