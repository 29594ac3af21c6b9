//! What the plugin keeps beside files, and its user says there.

use codex_trace_export::options::OptionSet;

use super::server::{Rules, Server};
use super::{ID, Upload, beside, prompts, rollout, turns};
use crate::testenv::TestEnv;

/// A path need not be UTF-8, and what is private stays so.
#[cfg(unix)]
#[test]
fn what_is_private_stays_at_home_whatever_its_path_is() {
    use std::os::unix::ffi::OsStrExt;
    let env = TestEnv::new();
    let file = rollout(&env, &turns(2));
    let private = "{\"turnId\":\"t-1\",\"state\":\"off\"}\n";
    for name in [&b"good"[..], b"bad\xff", b"\xed\xa0\x80 half a pair"] {
        let server = Server::start(Rules::default());
        let dir = env.dir().join(std::ffi::OsStr::from_bytes(name));
        std::fs::create_dir(&dir).unwrap();
        let here = dir.join(file.file_name().unwrap());
        std::fs::copy(&file, &here).unwrap();
        std::fs::write(beside(&here, ".langsmith"), private).unwrap();
        let upload = Upload::beside_the_plugin(&server.url);
        assert_eq!(upload.run(std::slice::from_ref(&here)).turns(), 1, "{name:?}");
        assert_eq!(prompts(&server), ["prompt 2"], "{name:?}");
        let noted = std::fs::read_to_string(beside(&here, ".langsmith")).unwrap();
        assert!(noted.starts_with(private) && noted.contains("\nt-2\n"), "{noted}");
    }
}

/// The plugin knew the turns by the file that was there before the fuller one:
/// active and archived, restored from a backup, a copy.
#[test]
fn what_is_private_stays_at_home_whichever_copy_is_read() {
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    let file = rollout(&env, &turns(3));
    let name = file.file_name().unwrap().to_str().unwrap();
    let older = env.write(&format!("older/{name}"), turns(2));
    let private = "t-1\n{\"turnId\":\"t-2\",\"state\":\"off\"}\n";
    std::fs::write(beside(&older, ".langsmith"), private).unwrap();
    let upload = Upload::beside_the_plugin(&server.url);
    assert_eq!(upload.run(&[file, older]).turns(), 1);
    assert_eq!(prompts(&server), ["prompt 3"]);
}

#[test]
fn what_the_plugin_has_done_is_left_alone() {
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    let file = rollout(&env, &turns(6));
    let sidecar = "t-1\n{\"turnId\":\"t-2\",\"state\":\"uploaded\"}\n{\"turnId\":\"t-3\",\"state\":\"off\"}\n{\"turnId\":\"t-4\",\"state\":\"backlog\"}\n";
    std::fs::write(beside(&file, ".langsmith"), sidecar).unwrap();
    let upload = Upload::beside_the_plugin(&server.url);
    let privacy = format!(
        r#"{{"version":1,"threads":{{"{ID}":{{"turns":{{"t-5":"metadata","t-6":"off"}}}}}}}}"#
    );
    std::fs::create_dir(upload.home.path().join(".codex")).unwrap();
    std::fs::write(upload.home.path().join(".codex/langsmith-state.privacy.json"), privacy)
        .unwrap();
    upload.run(std::slice::from_ref(&file));
    server.is_clean();
    let muted = "[LangSmith system notice: content omitted because tracing is muted.]";
    assert_eq!(prompts(&server), ["prompt 4", muted]);
    let all = serde_json::to_string(&server.runs()).unwrap();
    assert!(!all.contains("prompt 5") && !all.contains("prompt 6") && !all.contains("prompt 3"));
    // Then the plugin: both generations find what we have uploaded.
    let noted = std::fs::read_to_string(beside(&file, ".langsmith")).unwrap();
    for turn in ["t-4", "t-5"] {
        assert!(noted.lines().any(|line| line == turn), "{noted}");
        let json =
            format!("{{\"turnId\":\"{turn}\",\"state\":\"uploaded\",\"by\":\"codex-trace\"}}");
        assert!(noted.lines().any(|line| line == json), "{noted}");
    }
    assert!(!noted.contains("t-6"), "{noted}");
    assert!(!beside(&file, ".langsmith.lock").exists());
    // What the plugin does not upload to, it says nothing of.
    let mut elsewhere = Upload::new(&server.url);
    elsewhere.options = OptionSet::default();
    server.state().runs.clear();
    elsewhere.run(&[file]);
    assert_eq!(prompts(&server).len(), 5, "all but the one marked off");
}

#[test]
fn what_has_grown_is_continued() {
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    let file = rollout(&env, &turns(2));
    let upload = Upload::beside_the_plugin(&server.url);
    upload.run(std::slice::from_ref(&file));
    rollout(&env, &turns(4));
    let account = upload.run(std::slice::from_ref(&file));
    assert_eq!((account.turns(), account.already), (2, 2), "{account:?}");
    server.is_clean();
    assert_eq!(server.runs().len(), 8);
}

/// The plugin had begun: its place is kept, its ids are ours.
#[test]
fn a_root_that_the_plugin_has_placed_stays_there() {
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    let file = rollout(&env, &turns(1));
    let upload = Upload::beside_the_plugin(&server.url);
    upload.run(std::slice::from_ref(&file));
    let root = server.runs()[0]["dotted_order"].as_str().unwrap().to_owned();
    let topology = std::fs::read_dir(file.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.display().to_string().contains("langsmith-topology-"))
        .unwrap();
    let text = std::fs::read_to_string(&topology).unwrap();
    assert!(text.contains(&root), "{text}");
    let moved = root.replace("T100001", "T095959");
    std::fs::write(&topology, text.replace(&root, &moved)).unwrap();
    server.state().runs.clear();
    let again = Upload::beside_the_plugin(&server.url);
    again.run(&[file]);
    server.is_clean();
    assert_eq!(server.runs()[0]["dotted_order"], *moved);
    assert_eq!(server.runs()[0]["start_time"], "2026-03-01T09:59:59.000001Z");
}
