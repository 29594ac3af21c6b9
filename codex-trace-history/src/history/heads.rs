use std::collections::HashSet;

use codex_rollout::{
    Content, Found, PassedOver, RolloutHead, RolloutPath, find_reviewed, search, share_room,
};
use rayon::ThreadPool;
use rayon::prelude::*;

use super::History;
use super::named::Place;
use crate::failure::Failure;
use crate::ids;
use crate::watch::Watch;

/// What the compressed files of a run become at most, in bytes, unless they are
/// large themselves.
const RUN_ROOM: u64 = 64 << 30;

/// What a compressed file may become while its head is looked for, in bytes.
const HEAD_ROOM: (u64, u64) = (1 << 20, 64 << 20);

/// Reads the heads of all rollouts at `places` and groups them. Finding nothing
/// is a failure only if nothing else was named.
pub(super) fn read(
    places: &[Place],
    all: bool,
    ui: &dyn Watch,
    pool: &ThreadPool,
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
                    Err(err) => history.failed(ui, &Failure::because(&cannot, &err)),
                }
            }
            Place::Tree(dir) => {
                for found in search(dir) {
                    match found {
                        Ok(Found::Rollout(rollout)) => rollouts.push((rollout, false)),
                        Ok(Found::PassedOver { path, why }) => history.passed.add(&path, why),
                        Err(err) => history.failed(ui, &Failure::of(&err)),
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
            .map(|(rollout, named)| {
                let head = read_head(rollout, *named, head_room);
                ui.step();
                head
            })
            .collect()
    });
    ui.stop();
    for head in heads {
        match head {
            Ok(head) if head.content == Content::Empty => {
                history.passed.add(&head.rollout.path, PassedOver::Empty);
            }
            Ok(head) => history.heads.push(head),
            // What is named alone and wrong is worth more than a line in passing.
            Err(err) if all && places.len() == 1 && rollouts.len() == 1 => return Err(err),
            Err(err) => history.failed(ui, &err),
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

/// Returns how far the head of each of so many compressed files is looked for.
fn head_room(n_files: usize) -> u64 {
    (RUN_ROOM / (n_files as u64).max(1)).clamp(HEAD_ROOM.0, HEAD_ROOM.1)
}

/// Reads the head of a file; fails if it is no rollout. An empty file is told
/// where it was named, and passed over where it was found.
fn read_head(rollout: &RolloutPath, named: bool, room: u64) -> Result<RolloutHead, Failure> {
    let path = rollout.path.display();
    let of_head = RolloutPath { max_decompressed: Some(room), ..rollout.clone() };
    let cannot = |err| Failure::because(&format!("cannot read `{path}`"), &err);
    let mut head = RolloutHead::read(&of_head).map_err(cannot)?;
    head.rollout.max_decompressed = None;
    let failure = match &head.content {
        Content::Rollout => return Ok(head),
        Content::Empty if !named => return Ok(head),
        Content::Empty => Failure::new(format!("not a rollout: `{path}` is empty"))
            .hint("Codex may not have written to it yet"),
        Content::ExecStream { thread_id } => {
            let what = format!("not a rollout: `{path}` is what `codex exec --json` prints");
            let place = "Codex writes the rollout itself to `sessions/` in its home";
            Failure::new(what).hint(match thread_id {
                Some(id) if ids::is_prefix(id) => format!("{place}: `codex-trace show {id}`"),
                _ => place.to_owned(),
            })
        }
        Content::Unknown => Failure::new(format!("not a rollout: `{path}`"))
            .hint("a rollout has one JSON record a line, the first of type `session_meta`"),
    };
    Err(failure)
}
