//! Other people's rollouts, where they lie beside the repository: nothing in
//! them is a secret but what was looked at and counted here.

#![expect(clippy::disallowed_methods, reason = "it reads files")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;

/// How many places in the public corpus look like secrets: looked at one by one,
/// and made up by its authors.
const KNOWN: usize = 2;

fn files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            files(&path, into);
        } else if path.extension().is_some_and(|it| it == "jsonl") {
            into.push(path);
        }
    }
}

/// Returns what has been replaced in a line, with what stands before it.
fn replaced(line: &[u8], redactor: &Redactor) -> Vec<String> {
    let Cow::Owned(redacted) = redactor.json(line) else { return Vec::new() };
    let text = String::from_utf8_lossy(&redacted).into_owned();
    let places = text.match_indices(PLACEHOLDER).map(|(at, _)| at);
    let before = |at: usize| text[..at].chars().rev().take(40).collect::<Vec<_>>();
    places.map(|at| before(at).into_iter().rev().collect()).collect()
}

#[test]
#[expect(clippy::print_stderr, reason = "says why it has tested nothing")]
fn the_public_corpus_has_few_secrets() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus/public");
    let mut paths = Vec::new();
    files(&root, &mut paths);
    if paths.is_empty() {
        eprintln!("skipped: no corpus at {}", root.display());
        return;
    }
    let redactor = Redactor::default();
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for path in paths {
        let text = std::fs::read(&path).unwrap();
        for line in text.split(|it| *it == b'\n') {
            for before in replaced(line, &redactor) {
                *found.entry(before).or_default() += 1;
            }
        }
    }
    let n: usize = found.values().sum();
    assert!(n <= KNOWN, "{n} places: {found:#?}");
}
