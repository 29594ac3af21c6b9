//! `upload --watch`.

use std::fs;
use std::process::{Child, Command, Stdio};

use super::{Sink, User, id};
use crate::testenv::{place, small_rollout};

fn watch(user: &User) -> Child {
    let mut command = user.env.command(&["upload", "--watch", "--json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("as prepared")
}

#[test]
fn what_is_new_grown_compressed_or_archived_arrives_once() {
    let sink = Sink::start(0);
    let user = User::new(&sink);
    user.session(1);
    let child = watch(&user);
    user.until("what was there", || sink.spans() == user.clean().spans());
    // A new one, in a directory that was not there.
    let file = format!(".codex/{}", place("2026-03-02T10-00-00", &id(2)));
    let path = user.env.write(&file, small_rollout(&id(2), "2026-03-02T10:00", "new"));
    user.until("a new one", || sink.spans() == user.clean().spans());
    user.append(
        1,
        "{\"timestamp\":\"2026-03-01T10:05:01.000Z\",\"type\":\"event_msg\",\"payload\":{\"type\":\"task_started\",\"turn_id\":\"t-2\"}}\n{\"timestamp\":\"2026-03-01T10:05:04.000Z\",\"type\":\"event_msg\",\"payload\":{\"type\":\"task_complete\",\"turn_id\":\"t-2\"}}\n",
    );
    user.until("a grown one", || sink.spans() == user.clean().spans());
    let requests = sink.requests();
    let bytes = zstd::encode_all(&*fs::read(&path).unwrap(), 3).unwrap();
    fs::write(path.with_extension("jsonl.zst"), bytes).unwrap();
    fs::remove_file(&path).unwrap();
    let archive = user.env.dir().join(".codex/archived_sessions");
    fs::create_dir_all(&archive).unwrap();
    let name = user.rollout(1).file_name().unwrap().to_owned();
    fs::rename(user.rollout(1), archive.join(name)).unwrap();
    let file = format!(".codex/{}", place("2026-03-03T10-00-00", &id(3)));
    user.env.write(&file, small_rollout(&id(3), "2026-03-03T10:00", "last"));
    let has_last = || sink.spans().values().any(|span| span.to_string().contains(&id(3)));
    user.until("the last one", has_last);
    assert_eq!(sink.requests(), requests + 1, "nothing else is sent again");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["type"], &line["name"]), (&"destination".into(), &"sink".into()));
    }
}

#[test]
fn a_destination_that_comes_back_is_found_again() {
    let sink = Sink::start(0);
    let user = User::new(&sink);
    user.session(1);
    sink.set_down(true);
    let mut child = watch(&user);
    std::thread::sleep(std::time::Duration::from_millis(500));
    sink.set_down(false);
    user.until("it is there", || !sink.spans().is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    let run = user.env.run(&["upload"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    user.is_as_clean(&sink);
}
