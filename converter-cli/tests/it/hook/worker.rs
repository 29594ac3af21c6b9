//! The worker: what arrives is what one clean upload would have put there.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Sink, User, id, payload};
use crate::testenv::small_rollout;

/// A turn that begins, and its end.
pub(super) fn turn(nth: usize) -> (String, String) {
    let minute = format!("2026-03-01T10:{nth:02}");
    let begin = format!(
        "{{\"timestamp\":\"{minute}:01.000Z\",\"type\":\"event_msg\",\"payload\":{{\"type\":\"task_started\",\"turn_id\":\"t-{nth}\"}}}}\n"
    );
    let end = format!(
        "{{\"timestamp\":\"{minute}:04.000Z\",\"type\":\"event_msg\",\"payload\":{{\"type\":\"task_complete\",\"turn_id\":\"t-{nth}\",\"last_agent_message\":\"done {nth}\"}}}}\n"
    );
    (begin, end)
}

#[test]
fn a_turn_is_delivered_when_its_file_says_that_it_has_ended() {
    let sink = Sink::start(0);
    let user = User::new(&sink);
    user.session(1);
    let (begin, end) = turn(2);
    user.append(1, &begin);
    // Codex calls before it writes the end.
    user.call(payload("Stop", &id(1)).as_bytes()).is(0, "", "");
    user.until("the first turn is there", || !sink.spans().is_empty());
    assert_eq!(user.queue()["waiting"], 1);
    user.append(1, &end);
    user.drained();
    user.is_as_clean(&sink);
    let queue = user.queue();
    assert!(queue["called_at"].is_string() && queue["errors"].as_object().unwrap().is_empty());
}

#[test]
fn what_nobody_was_told_of_is_found_at_the_next_start() {
    let sink = Sink::start(0);
    let user = User::new(&sink);
    // Before the first call: that is for `upload`.
    let old = user.session(1);
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
    fs::File::options().append(true).open(old).unwrap().set_modified(long_ago).unwrap();
    user.session(2);
    user.call(payload("SessionStart", &id(2)).as_bytes()).is(0, "", "");
    user.drained();
    let before = sink.spans();
    // Written without a call: interrupted, then Codex was killed in the next turn.
    user.session(3);
    let ((begin, _), (next, _)) = (turn(2), turn(3));
    user.append(3, &(begin + &next));
    user.call(payload("SessionStart", &id(4)).as_bytes()).is(0, "", "");
    user.until("it was found", || sink.spans().len() > before.len());
    let has = |text: &str| sink.spans().values().any(|span| span.to_string().contains(text));
    user.until("the turn before the last", || has("t-2"));
    assert!(!has("t-3"), "it may go on");
    assert!(!has(&id(1)), "what was there before the first call");
    // The user sends the rest.
    let run = user.env.run(&["upload", "--settle", "0s"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    user.is_as_clean(&sink);
}

#[test]
fn a_destination_that_is_down_keeps_what_waits_for_it_and_nobody_else() {
    let (good, bad) = (Sink::start(0), Sink::start(0));
    let user = User::new(&good);
    user.configure(&[("good", &good), ("bad", &bad)]);
    bad.set_down(true);
    for nth in 1..4 {
        user.session(nth);
        user.call(payload("Stop", &id(nth)).as_bytes()).is(0, "", "");
    }
    let clean = user.clean().spans();
    user.until("one of them has it", || good.spans() == clean);
    user.until("the other is named", || user.queue()["errors"]["bad"].is_string());
    assert_eq!(user.queue()["waiting"], 3);
    bad.set_down(false);
    user.drained();
    assert_eq!(bad.spans(), clean);
    assert_eq!(user.queue()["errors"], serde_json::json!({}));
}

/// Its requests time out after two minutes; nobody else waits for that.
#[test]
fn a_destination_that_is_silent_delays_nobody_else() {
    let (good, silent) = (Sink::start(0), Sink::start(0));
    let user = User::new(&good);
    user.configure(&[("good", &good), ("silent", &silent)]);
    silent.set_silent(true);
    user.session(1);
    for round in 2..6 {
        let (begin, end) = turn(round);
        user.append(1, &begin);
        user.call(payload("Stop", &id(1)).as_bytes()).is(0, "", "");
        user.append(1, &end);
        let begun = std::time::Instant::now();
        let name = format!("t-{round}");
        let has = || good.spans().values().any(|span| span.to_string().contains(&name));
        user.until("the good one has it", has);
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
    assert_eq!(user.queue()["waiting"], 1);
    silent.set_silent(false);
    user.drained();
    assert_eq!(good.spans(), silent.spans());
    user.is_as_clean(&good);
}

#[test]
fn without_a_destination_what_ends_waits() {
    let sink = Sink::start(0);
    let user = User::new(&sink);
    user.env.write(".config/codex-trace/codex-trace.toml", "");
    user.session(1);
    user.call(payload("Stop", &id(1)).as_bytes()).is(0, "", "");
    user.until("it says so", || user.queue()["errors"]["upload"].is_string());
    assert_eq!(user.queue()["waiting"], 1);
    user.configure(&[("sink", &sink)]);
    user.drained();
    user.is_as_clean(&sink);
}

/// A clock that was ahead and was set back, or a machine that has slept.
#[test]
fn a_mark_that_is_yet_to_come_hides_nothing() {
    let sink = Sink::start(0);
    let user = User::new(&sink);
    user.session(1);
    user.call(payload("Stop", &id(1)).as_bytes()).is(0, "", "");
    user.drained();
    let live = user.state().join("live");
    let is_mark = |name: &str| name.starts_with("since-");
    let files = fs::read_dir(&live).unwrap().map(|file| file.unwrap().path());
    let mark = files.into_iter().find(|path| is_mark(path.file_name().unwrap().to_str().unwrap()));
    let mark = mark.unwrap();
    let mut value: serde_json::Value = serde_json::from_slice(&fs::read(&mark).unwrap()).unwrap();
    value["since"] = (value["since"].as_i64().unwrap() + 86_400_000).into();
    fs::write(&mark, value.to_string()).unwrap();
    user.session(2);
    user.call(payload("SessionStart", &id(3)).as_bytes()).is(0, "", "");
    let has = || sink.spans().values().any(|span| span.to_string().contains(&id(2)));
    user.until("what nobody was told of", has);
    let now: serde_json::Value = serde_json::from_slice(&fs::read(&mark).unwrap()).unwrap();
    assert!(now["since"].as_i64() < value["since"].as_i64());
}

#[test]
fn two_homes_are_two_histories() {
    let sink = Sink::start(0);
    let user = User::new(&sink);
    user.session(1);
    let other = user.env.dir().join("other");
    let file = format!("other/{}", crate::testenv::place("2026-03-01T10-00-00", &id(2)));
    user.env.write(&file, small_rollout(&id(2), "2026-03-01T10:00", "elsewhere"));
    user.call(payload("Stop", &id(1)).as_bytes()).is(0, "", "");
    let mut command = user.env.command(&["hook", &payload("Stop", &id(2))]);
    user.env.finish(command.env("CODEX_HOME", &other)).is(0, "", "");
    user.drained();
    let has = |text: &str| sink.spans().values().any(|span| span.to_string().contains(text));
    assert!(has(&id(1)) && has(&id(2)));
}

#[test]
fn a_session_that_is_not_there_is_left_to_the_next_call() {
    let sink = Sink::start(0);
    let user = User::new(&sink);
    user.session(1);
    user.call(payload("SessionStart", &id(9)).as_bytes()).is(0, "", "");
    user.drained();
    assert!(sink.spans().is_empty() || user.clean().spans() == sink.spans());
}

fn start_worker(user: &User) -> Child {
    let mut command = user.env.command(&["hook", "--work", "--linger", "5s"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("as prepared")
}

/// Ends whichever worker runs, at once.
fn kill_worker(user: &User) {
    let pid = fs::read_to_string(user.state().join("live/worker.lock")).unwrap_or_default();
    if user.queue()["working"] == true && !pid.is_empty() {
        Command::new("kill")
            .args(["-9", &pid])
            .stderr(Stdio::null())
            .status()
            .expect("as prepared");
    }
}

/// Sessions grow turn by turn, the worker is killed thirty times, and a fifth of
/// all requests fail.
#[test]
fn killed_at_any_moment_and_with_faults_it_ends_as_a_clean_upload() {
    let sink = Sink::start(20);
    let user = User::new(&sink);
    let n_sessions = 6;
    for nth in 0..n_sessions {
        user.session(nth);
    }
    let mut workers: Vec<Child> = Vec::new();
    for round in 0..30 {
        let nth = round % n_sessions;
        let (begin, end) = turn(round + 2);
        user.append(nth, &begin);
        user.call(payload("Stop", &id(nth)).as_bytes()).is(0, "", "");
        user.append(nth, &end);
        let before = sink.requests();
        workers.push(start_worker(&user));
        // Until it has sent something, or is done: the moment of the kill is
        // whatever it happens to be.
        user.until("it works", || {
            sink.requests() >= before + round % 3 || user.queue()["waiting"] == 0
        });
        kill_worker(&user);
    }
    for mut worker in workers {
        worker.wait().unwrap();
    }
    user.call(payload("SessionStart", &id(0)).as_bytes()).is(0, "", "");
    user.drained();
    assert!(sink.requests() > 10);
    user.is_as_clean(&sink);
    let run = user.env.run(&["upload"]);
    assert!(run.stderr.contains("uploaded nothing"), "{}", run.stderr);
}

#[test]
fn a_request_to_terminate_leaves_the_rest_to_the_next() {
    let sink = Sink::start(0);
    let user = User::new(&sink);
    sink.set_down(true);
    user.session(1);
    user.call(payload("Stop", &id(1)).as_bytes()).is(0, "", "");
    user.until("a worker runs", || user.queue()["working"] == true);
    let pid = fs::read_to_string(user.state().join("live/worker.lock")).unwrap();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    user.until("it has ended", || user.queue()["working"] == false);
    assert_eq!(user.queue()["waiting"], 1);
    sink.set_down(false);
    let run = user.work();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(user.queue()["waiting"], 0);
    user.is_as_clean(&sink);
}
