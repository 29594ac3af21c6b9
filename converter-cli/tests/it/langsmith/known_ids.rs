//! Turns by the ids that a file names them by: the live plugins go through whole
//! files, and send every turn of them that is not noted. So a review is looked up
//! and noted by the reviewer's turn, and what a fork or a subagent has copied is
//! noted beside the copy.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::server::{Rules, Server};
use super::{Upload, beside};
use crate::testenv::{TestEnv, testdata};

/// A home of the test data, where sidecars can be written.
fn home(env: &TestEnv, name: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for rollout in codex_rollout::discover(&testdata("homes").join(name)).map(Result::unwrap) {
        let path = rollout.path.strip_prefix(testdata("homes")).unwrap().to_owned();
        files.push(env.write(path.to_str().unwrap(), fs::read(&rollout.path).unwrap()));
    }
    files
}

/// The turns whose starts a file shows, as the plugins look for them.
fn shown(file: &Path) -> BTreeSet<String> {
    let started = Regex::new(r#""type":"task_started","turn_id":"([^"]+)""#).unwrap();
    let text = String::from_utf8(fs::read(file).unwrap()).unwrap_or_default();
    started.captures_iter(&text).map(|it| it[1].to_owned()).collect()
}

/// The turns that are noted for the released plugin.
fn noted(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(beside(file, ".langsmith")).unwrap_or_default();
    text.lines().filter(|line| !line.starts_with('{')).map(str::to_owned).collect()
}

#[test]
fn every_turn_that_a_file_shows_is_noted_beside_it() {
    let (mut n_files, mut n_turns) = (0, 0);
    for name in ["rev148.0", "rb144", "s144", "v144", "d153.0", "r144", "a169"] {
        let server = Server::start(Rules::default());
        let env = TestEnv::new();
        let files = home(&env, name);
        Upload::beside_the_plugin(&server.url).run(&files);
        server.is_clean();
        for file in files.iter().filter(|file| !shown(file).is_empty()) {
            let missing: Vec<String> = shown(file).difference(&noted(file)).cloned().collect();
            assert!(missing.is_empty(), "{}: {missing:?}", file.display());
            n_files += 1;
            n_turns += shown(file).len();
        }
    }
    assert!(n_files > 10 && n_turns > 20, "{n_files} files, {n_turns} turns");
}

/// With notes as the plugin makes them: all turns of a file, one a line.
#[test]
fn what_the_plugin_has_sent_by_any_id_is_not_sent_again() {
    for name in ["d153.0", "s144", "v144"] {
        let server = Server::start(Rules::default());
        let env = TestEnv::new();
        let files = home(&env, name);
        for file in &files {
            let lines = shown(file).into_iter().collect::<Vec<_>>().join("\n");
            fs::write(beside(file, ".langsmith"), lines + "\n").unwrap();
        }
        let account = Upload::beside_the_plugin(&server.url).run(&files);
        assert_eq!((account.turns(), server.runs().len()), (0, 0), "{name}: {account:?}");
    }
}

/// What is said of a review is said of the reviewer's turn.
#[test]
fn a_review_that_is_private_stays_at_home() {
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    let files = home(&env, "d153.0");
    let own = Regex::new(r#""type":"turn_context","payload":\{"turn_id":"([^"]+)""#).unwrap();
    let ended = Regex::new(r#""type":"task_complete","turn_id":"([^"]+)""#).unwrap();
    let (mut n_reviews, mut reviews) = (0, Vec::new());
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        let own: BTreeSet<String> = own.captures_iter(&text).map(|it| it[1].to_owned()).collect();
        let reviewers: Vec<String> = shown(file).difference(&own).cloned().collect();
        n_reviews += reviewers.len();
        let ended = ended.captures_iter(&text).map(|it| it[1].to_owned());
        reviews.extend(ended.filter(|turn| !shown(file).contains(turn)));
        let off = |turn: &String| format!("{{\"turnId\":\"{turn}\",\"state\":\"off\"}}\n");
        fs::write(beside(file, ".langsmith"), reviewers.iter().map(off).collect::<String>())
            .unwrap();
    }
    assert!(n_reviews > 0 && reviews.len() == n_reviews);
    // Wherever it goes.
    let account = Upload::new(&server.url).run(&files);
    let kept_back = account.tally.turns(codex_trace_deliver::delivery::Fate::OfPlugin);
    assert!(kept_back >= n_reviews && account.turns() > 0, "{account:?}");
    let all = serde_json::to_string(&server.runs()).unwrap();
    for turn in &reviews {
        assert!(!all.contains(turn.as_str()), "{turn}");
    }
}
