//! Every rollout of a folder beside the workspace, where there is one.

use std::io::Write;
use std::path::{Path, PathBuf};

use codex_rollout::{Layout, RolloutPath, Source, discover};
use serde_json::Value;

use crate::facts;
use crate::reader::account;

pub(crate) fn rollouts_of(folder: &Path) -> Vec<RolloutPath> {
    let mut rollouts = Vec::new();
    let mut dirs = vec![folder.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        if codex_rollout::is_codex_home(&dir) {
            rollouts.extend(discover(&dir).map(|rollout| rollout.expect("it can be read")));
            continue;
        }
        for entry in std::fs::read_dir(&dir).expect("it can be read") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() {
                dirs.push(path);
            } else if is_rollout(&path) {
                rollouts.push(RolloutPath::from_file(&path));
            }
        }
    }
    rollouts
}

fn is_rollout(path: &Path) -> bool {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("jsonl" | "zst") => true,
        Some("json") => is_document(path),
        _ => false,
    }
}

fn is_document(path: &Path) -> bool {
    let text = std::fs::read(path).expect("it can be read");
    serde_json::from_slice::<Value>(&text)
        .is_ok_and(|value| value["session"].is_object() && value["items"].is_array())
}

/// Checks one rollout; returns the number of its records and of its errors.
fn check(rollout: &RolloutPath) -> (usize, usize) {
    let source = Source::open(rollout).expect("it can be read");
    let results: Vec<_> = source.lines().collect();
    if rollout.layout == Layout::Lines {
        account(source.bytes(), &results);
    }
    for result in &results {
        let Ok(line) = result else { continue };
        let value = serde_json::from_slice::<Value>(line.bytes).expect("serde_json reads it too");
        let at = format!("{} at {}", rollout.path.display(), line.position);
        assert_eq!(Some(facts::ours(line)), facts::theirs(&value), "{at}");
    }
    // What we refuse, serde_json refuses or finds to be no record.
    for err in results.iter().filter_map(|result| result.as_ref().err()) {
        let start = usize::try_from(err.position().byte()).expect("in memory");
        let text = source.bytes()[start..].split(|byte| *byte == b'\n').next().unwrap_or_default();
        let record = serde_json::from_slice::<Value>(text).ok().and_then(|v| facts::theirs(&v));
        assert!(record.is_none(), "{}: {err}", rollout.path.display());
    }
    let n_errors = results.iter().filter(|result| result.is_err()).count();
    (results.len() - n_errors, n_errors)
}

#[test]
fn every_rollout_of_the_corpus_says_what_serde_json_says() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("in a workspace");
    let folder: PathBuf = workspace.join("../shared/corpus");
    if !folder.is_dir() {
        writeln!(std::io::stderr(), "no corpus at {}: nothing was checked", folder.display()).ok();
        return;
    }
    let rollouts = rollouts_of(&folder);
    let (mut n_records, mut n_errors) = (0, 0);
    for rollout in &rollouts {
        let (records, errors) = check(rollout);
        n_records += records;
        n_errors += errors;
    }
    assert!(n_records > 0, "{} rollouts without a record", rollouts.len());
    let n_rollouts = rollouts.len();
    writeln!(
        std::io::stderr(),
        "{n_rollouts} rollouts: {n_records} records, {n_errors} errors, all as serde_json has them"
    )
    .ok();
}
