//! Opens homes and files of `testdata/`, and what lies beside the repository.

use std::path::{Path, PathBuf};

use codex_rollout::{Copies, RolloutHead, RolloutPath, Source, discover, find_reviewed};
use codex_trace_model::{RolloutInput, SessionGroup, Trace, group, nearest_ancestor, resolve};

/// Returns a path below `testdata/`.
pub(crate) fn testdata(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(relative)
}

/// Returns the directories directly below one, sorted.
pub(crate) fn directories(root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap_or_else(|err| panic!("{}: {err}", root.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

/// Returns the heads of all rollouts below a directory, or of one file.
pub(crate) fn heads(root: &Path) -> Vec<RolloutHead> {
    let found: Vec<RolloutPath> = if root.is_file() {
        vec![RolloutPath::from_file(root)]
    } else {
        discover(root).map(|found| found.expect("testdata can be read")).collect()
    };
    let mut heads: Vec<RolloutHead> =
        found.iter().map(|it| RolloutHead::read(it).expect("testdata can be read")).collect();
    find_reviewed(&mut heads);
    heads
}

/// Calls `check` with the trace of every session below a directory.
pub(crate) fn for_each_trace(root: &Path, mut check: impl FnMut(&Trace<'_>)) {
    let heads = heads(root);
    for session in group(&heads, &Copies::find(&heads)) {
        with_trace(&heads, &session, &mut check);
    }
}

/// Resolves one session and calls `check` with it.
pub(crate) fn with_trace<T>(
    heads: &[RolloutHead],
    session: &SessionGroup,
    mut check: impl FnMut(&Trace<'_>) -> T,
) -> T {
    let open = |head: usize| Source::open(&heads[head].rollout).expect("testdata can be opened");
    let sources: Vec<_> = session
        .members
        .iter()
        .map(|member| {
            let source = open(member.head);
            let ancestor = nearest_ancestor(&source, member.ancestors.iter().copied().map(open));
            (source, ancestor)
        })
        .collect();
    let inputs: Vec<RolloutInput<'_>> = session
        .members
        .iter()
        .zip(&sources)
        .map(|(member, (source, ancestor))| RolloutInput {
            file: member.file(heads),
            source,
            ancestor: ancestor.as_ref(),
        })
        .collect();
    check(&resolve(&inputs))
}

/// Resolves bytes as the only file of a session.
pub(crate) fn with_bytes<T>(bytes: &[u8], check: impl FnOnce(&Trace<'_>) -> T) -> T {
    let source = Source::from_bytes(bytes.to_vec());
    check(&resolve(&[RolloutInput::new("made.jsonl", "made", &source)]))
}
