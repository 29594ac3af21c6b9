//! What may still change while files are being written waits, and is sent once it
//! is sure.

#![expect(clippy::unwrap_used, reason = "in helpers, too, it is the test that fails")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::scripted_server::{Act, Server};
use crate::testenv::{Run, TestEnv, testdata};

/// Writes the rollouts of a home anew, so that they are being written to; some of
/// them, or as many lines of each as wanted.
fn written(env: &TestEnv, home: &str, take: impl Fn(&Path, &str) -> Option<String>) {
    for rollout in codex_rollout::discover(&testdata("homes").join(home)).map(Result::unwrap) {
        let relative: PathBuf = rollout.path.strip_prefix(testdata("homes")).unwrap().to_owned();
        let text = fs::read_to_string(&rollout.path).unwrap();
        if let Some(text) = take(&rollout.path, &text) {
            env.write(relative.to_str().unwrap(), text);
        }
    }
}

fn upload(env: &TestEnv, server: &Server, home: &str, args: &[&str]) -> Run {
    let to = ["upload", "--to", "otlp", "--endpoint", &server.url, "--json"];
    env.run(&[&to, args, &[home]].concat())
}

fn turns(run: &Run, fate: &str) -> u64 {
    run.json()[0]["turns"][fate].as_u64().unwrap()
}

/// Its place in the trace of its parent is known when that shows the call.
#[test]
fn a_subagent_waits_until_its_parent_shows_who_spawned_it() {
    let (env, server) = (TestEnv::new(), Server::start(&[], Some(Act::Ok)));
    let is_parent = |text: &str| text.matches("\"type\":\"session_meta\"").count() == 1;
    written(&env, "s144", |_, text| (!is_parent(text)).then(|| text.to_owned()));
    let run = upload(&env, &server, "s144", &[]);
    assert_eq!((turns(&run, "sent"), run.code), (0, Some(0)), "{}", run.stderr);
    assert!(turns(&run, "open") > 0 && server.set().is_empty(), "{}", run.stderr);
    written(&env, "s144", |_, text| Some(text.to_owned()));
    let run = upload(&env, &server, "s144", &[]);
    assert!(turns(&run, "sent") > 0 && run.code == Some(0), "{}", run.stderr);
    let run = upload(&env, &server, "s144", &["--settle", "0s"]);
    assert_eq!((turns(&run, "kept"), run.code), (0, Some(0)), "{}", run.stderr);
    // One whose parent is lost is sent in the end.
    let env = TestEnv::new();
    written(&env, "s144", |_, text| (!is_parent(text)).then(|| text.to_owned()));
    let run = upload(&env, &server, "s144", &["--settle", "0s"]);
    assert!(turns(&run, "sent") > 0, "{}", run.stderr);
}

/// Versions before 0.100 write no ends of turns.
#[test]
fn a_turn_of_a_version_without_ends_waits_for_the_next_one() {
    let (env, server) = (TestEnv::new(), Server::start(&[], Some(Act::Ok)));
    let lines = |n: usize| {
        move |_: &Path, text: &str| Some(text.lines().take(n).collect::<Vec<_>>().join("\n") + "\n")
    };
    let mut sent = 0;
    for n in 1..=46 {
        written(&env, "r98", lines(n));
        let run = upload(&env, &server, "r98", &[]);
        assert_eq!(run.code, Some(0), "{n}: {}", run.stderr);
        sent += turns(&run, "sent");
        assert_eq!(turns(&run, "kept"), 0, "{n}: {}", run.stderr);
    }
    let run = upload(&env, &server, "r98", &["--settle", "0s"]);
    assert_eq!((sent, turns(&run, "sent")), (2, 1), "{}", run.stderr);
}
