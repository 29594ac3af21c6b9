//! A service that misbehaves, and a run that is killed: in the end all is there,
//! once, and the plugin knows.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use codex_trace_deliver::clock::Clock;
use codex_trace_deliver::companions::{Companion, Deadline, TurnFile};
use codex_trace_export::{Beside, Receipt};
use serde_json::Value;

use super::server::{Rules, Server};
use super::{Upload, beside, prompts, rollout, turns};
use crate::testenv::{TestEnv, testdata};

/// What the plugin loses for good: a long string, or a first answer that is no
/// success.
#[test]
fn whatever_the_first_answer_a_turn_arrives() {
    for status in [422, 429, 500] {
        let server = Server::start(Rules { faults: vec![status], ..Rules::default() });
        let env = TestEnv::new();
        let long = "x".repeat(64 << 10);
        let file = rollout(&env, &turns(2).replace("prompt 1", &long));
        let upload = Upload::new(&server.url);
        let account = upload.run(&[file]);
        assert_eq!(
            (account.turns(), account.rejected),
            (2, 0),
            "{status}: {}",
            upload.dead_letters()
        );
        assert_eq!(prompts(&server), [long.as_str(), "prompt 2"], "{status}");
        assert_eq!((server.runs().len(), server.n("/runs/multipart", status)), (4, 1));
    }
}

/// Refused again when it was alone: a dead letter, which the next run sends.
#[test]
fn what_was_refused_is_tried_by_the_next_run() {
    let server = Server::start(Rules { faults: vec![422, 422], ..Rules::default() });
    let env = TestEnv::new();
    let file = rollout(&env, &turns(1));
    let upload = Upload::beside_the_plugin(&server.url);
    let account = upload.run(std::slice::from_ref(&file));
    assert_eq!((account.turns(), account.rejected), (0, 1), "{account:?}");
    assert!(upload.dead_letters().contains("a fault"), "{}", upload.dead_letters());
    assert!(!beside(&file, ".langsmith").exists(), "the plugin may still send it");
    assert_eq!(upload.run(&[file]).turns(), 1);
    assert_eq!(server.runs().len(), 2);
}

/// Each of 429, 500, 503, silence, resets, half answers and answers byte by
/// byte at one in five, before and after the service has stored the request.
#[test]
fn whatever_befalls_requests_all_is_there_once() {
    let files = [testdata("homes")];
    let clean = Server::start(Rules { max_runs: 12, ..Rules::default() });
    Upload::new(&clean.url).run(&files);
    clean.is_clean();
    let server = Server::start(Rules { max_runs: 12, chaos: 20, ..Rules::default() });
    let mut upload = Upload::new(&server.url);
    let mut runs = 0;
    loop {
        // Longer and longer, should the machine be too busy for a short one.
        upload.timeout = Duration::from_millis(150 << (runs / 4).min(6));
        let account = upload.run(&files);
        runs += 1;
        if account.is_complete() {
            break;
        }
        assert!(runs < 40, "{account:?}");
    }
    assert_eq!(server.runs(), clean.runs());
    let faulty = server.state().log.iter().filter(|it| !it.answered || it.status >= 400).count();
    assert!(faulty > 50, "{faulty} faults in {runs} runs");
}

/// Not a test of its own: what the test below runs as a process to be killed.
#[test]
fn child() {
    let Some(spec) = std::env::var_os("CODEX_TRACE_TEST_LANGSMITH") else { return };
    let spec = spec.into_string().unwrap();
    let [url, state, home] = spec.split('|').collect::<Vec<_>>()[..] else { panic!("{spec}") };
    let mut upload = Upload::beside_the_plugin(url);
    upload.at = Some(PathBuf::from(state));
    assert!(upload.run(&[PathBuf::from(home)]).is_complete());
}

fn spawn(url: &str, state: &Path, home: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "langsmith::faults::child"])
        .env("CODEX_TRACE_TEST_LANGSMITH", format!("{url}|{}|{}", state.display(), home.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A home with a few sessions of several turns, and one with subagents.
fn home(env: &TestEnv) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for nth in 1..=20 {
        let id = format!("019a0000-0000-7000-8000-{nth:012}");
        let text = turns(10).replace(super::ID, &id);
        files.push(env.write(&format!("sessions/rollout-2026-03-01T10-00-00-{id}.jsonl"), text));
    }
    let spawned = "golden/rollouts/langsmith/sessions/2026/04/23";
    for entry in fs::read_dir(testdata(spawned)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with("rollout-subagents") {
            files.push(env.copy(&format!("{spawned}/{name}"), &format!("sessions/{name}")));
        }
    }
    files
}

/// Returns the turns that a file's sidecar names twice over, for both
/// generations of the plugin.
fn noted(file: &Path) -> (Vec<String>, Vec<String>) {
    let text = fs::read_to_string(beside(file, ".langsmith")).unwrap();
    let (mut json, mut bare) = (Vec::new(), Vec::new());
    for line in text.lines() {
        match serde_json::from_str::<Value>(line) {
            Ok(line) => json.push(line["turnId"].as_str().unwrap().to_owned()),
            Err(_) => bare.push(line.to_owned()),
        }
    }
    json.sort();
    bare.sort();
    (json, bare)
}

#[test]
fn killed_at_any_moment_all_is_there_once_and_the_plugin_knows() {
    let clean = Server::start(Rules::default());
    let of_clean = TestEnv::new();
    let clean_files = home(&of_clean);
    Upload::beside_the_plugin(&clean.url).run(&[of_clean.dir().to_owned()]);
    clean.is_clean();

    let delay = Duration::from_millis(15);
    let server = Server::start(Rules { max_runs: 6, delay, ..Rules::default() });
    let env = TestEnv::new();
    let files = home(&env);
    let state = tempfile::tempdir().unwrap();
    let mut n_killed = 0;
    for nth in 1..=30 {
        let before = server.state().log.len();
        let mut child = spawn(&server.url, state.path(), env.dir());
        let started = Clock::start();
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success());
                break true;
            }
            // One that waits for the lock of one that was killed is of no use here.
            let waits = started.elapsed() > Duration::from_secs(1);
            if server.state().log.len() > before + nth % 5 || waits {
                break false;
            }
            std::thread::yield_now();
        };
        if ended {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        n_killed += 1;
    }
    assert!(n_killed > 2, "{n_killed}");
    let mut upload = Upload::beside_the_plugin(&server.url);
    upload.at = Some(state.path().to_owned());
    let account = upload.run(&[env.dir().to_owned()]);
    assert!(account.is_complete() && account.not_noted.is_none(), "{account:?}");
    assert_eq!(server.runs(), clean.runs());
    for (file, clean) in files.iter().zip(&clean_files) {
        let (json, bare) = noted(file);
        assert_eq!((&json, &bare), (&bare, &noted(clean).0), "{}", file.display());
        assert!(!beside(file, ".langsmith.lock").exists());
    }
    let topologies = |files: &[PathBuf]| {
        let dir = fs::read_dir(files[0].parent().unwrap()).unwrap();
        let names = dir.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        // Who is killed when a lock is already free leaves a word that nobody reads.
        let names = names.filter(|name| name.contains("langsmith") && !name.contains(".recover-"));
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    assert_eq!(topologies(&files), topologies(&clean_files), "nothing else is left either");
}

/// The run ends after the ledger has a turn and before the plugin is told.
#[test]
fn the_next_run_notes_what_the_last_one_could_not() {
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    let file = rollout(&env, &turns(3));
    let mut upload = Upload::beside_the_plugin(&server.url);
    upload.run(std::slice::from_ref(&file));
    let whole = noted(&file);
    // Half of it is gone, and the file is one to be looked at.
    let text = fs::read_to_string(beside(&file, ".langsmith")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    fs::write(beside(&file, ".langsmith"), lines[..2].join("\n") + "\n").unwrap();
    assert_ne!(noted(&file), whole);
    upload.encoding = "another".to_owned();
    let account = upload.run(std::slice::from_ref(&file));
    assert_eq!((account.already, account.sent), (3, 0), "{account:?}");
    assert_eq!((noted(&file), server.runs().len()), (whole, 6));
    // Somebody holds the lock: told, and tried again by the next run, whether
    // the turn was sent in this one or before.
    let blocked = |upload: &Upload| {
        fs::remove_file(beside(&file, ".langsmith")).ok();
        fs::write(beside(&file, ".langsmith.lock"), "a file is no lock").unwrap();
        let account = upload.run(std::slice::from_ref(&file));
        assert!(account.not_noted.is_some(), "{account:?}");
        fs::remove_file(beside(&file, ".langsmith.lock")).unwrap();
    };
    upload.encoding = "a third".to_owned();
    for upload in [upload, Upload::beside_the_plugin(&server.url)] {
        server.state().runs.clear();
        blocked(&upload);
        assert_eq!(upload.run(std::slice::from_ref(&file)).already, 3, "not unchanged");
        assert_eq!(noted(&file).0.len(), 3);
        assert_eq!(upload.run(std::slice::from_ref(&file)).unchanged, 1);
    }
}

/// Makes the plugin's lock of a rollout: of a process, or of one that was
/// killed before it said who it was, long ago.
fn hold(rollout: &Path, owner: Option<u32>) {
    let lock = beside(rollout, ".langsmith.lock");
    fs::create_dir(&lock).unwrap();
    match owner {
        Some(pid) => {
            let owner = format!(r#"{{"pid":{pid},"token":"x"}}"#);
            fs::write(lock.join("owner.json"), owner).unwrap();
        }
        None => fs::File::open(&lock).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap(),
    }
}

/// Above the largest id that Linux gives.
const DEAD: u32 = 4_194_305;

/// The ledger has all of it, the plugin was told of half or nothing, and every
/// kind of lock is left.
#[test]
fn what_a_killed_run_has_left_is_made_up_for() {
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    let files = home(&env);
    let mut upload = Upload::beside_the_plugin(&server.url);
    upload.run(&[env.dir().to_owned()]);
    let whole: Vec<_> = files.iter().map(|file| noted(file)).collect();
    let n_runs = server.runs().len();
    for (nth, file) in files.iter().enumerate() {
        let sidecar = beside(file, ".langsmith");
        let text = fs::read_to_string(&sidecar).unwrap();
        match nth % 3 {
            0 => fs::remove_file(&sidecar).unwrap(),
            // The first line of a turn and not its second.
            1 => fs::write(&sidecar, text.split_inclusive('\n').next().unwrap()).unwrap(),
            _ => fs::write(&sidecar, &text[..10]).unwrap(),
        }
        hold(file, (nth % 2 == 0).then_some(DEAD));
        if nth % 4 == 0 {
            let at_it = beside(file, &format!(".langsmith.lock.recover-{DEAD}"));
            fs::write(at_it, format!(r#"{{"pid":{DEAD},"token":"recovery"}}"#)).unwrap();
        }
    }
    // Killed, it has not noted that the files are done with.
    upload.encoding = "another".to_owned();
    let account = upload.run(&[env.dir().to_owned()]);
    assert!(account.is_complete() && account.not_noted.is_none(), "{account:?}");
    assert_eq!((account.sent, server.runs().len()), (0, n_runs));
    for (file, (json, bare)) in files.iter().zip(whole) {
        let text = fs::read_to_string(beside(file, ".langsmith")).unwrap();
        let has = |turn: &String| text.lines().any(|line| line == turn);
        assert!(bare.iter().all(has), "{}: {text}", file.display());
        let has = |turn: &String| text.contains(&format!(r#"{{"turnId":"{turn}","state":"up"#));
        assert!(json.iter().all(has), "{}: {text}", file.display());
        assert!(!beside(file, ".langsmith.lock").exists());
    }
}

/// Refuses whoever comes while another one notes something.
struct OneAtATime(Box<dyn Companion>, AtomicBool);

impl Companion for OneAtATime {
    fn look(&self, turns: &[TurnFile<'_>]) -> Result<Beside, String> {
        self.0.look(turns)
    }

    fn tell(
        &self,
        rollout: &Path,
        receipts: &[&Receipt],
        until: &Deadline<'_>,
    ) -> io::Result<bool> {
        if self.1.swap(true, Ordering::SeqCst) {
            return Err(io::Error::other("somebody is at it"));
        }
        std::thread::sleep(Duration::from_millis(10));
        let told = self.0.tell(rollout, receipts, until);
        self.1.store(false, Ordering::SeqCst);
        told
    }
}

/// Threads that waited for one lock side by side would each take their time
/// from the patience that the run has: one lock, and it would be gone.
#[test]
fn the_plugin_is_told_by_one_thread_at_a_time() {
    let server = Server::start(Rules { max_runs: 6, ..Rules::default() });
    let env = TestEnv::new();
    home(&env);
    let mut upload = Upload::beside_the_plugin(&server.url);
    upload.between = Some(|it| Box::new(OneAtATime(it, AtomicBool::new(false))));
    let account = upload.run(&[env.dir().to_owned()]);
    assert!(account.is_complete() && account.not_noted.is_none(), "{account:?}");
}

/// What is there in an older version is there: the plugin must not add it.
#[test]
fn what_changed_before_it_was_noted_is_noted() {
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    let file = rollout(&env, &turns(3));
    let upload = Upload::beside_the_plugin(&server.url);
    upload.run(std::slice::from_ref(&file));
    let whole = noted(&file);
    fs::remove_file(beside(&file, ".langsmith")).unwrap();
    rollout(&env, &turns(3).replace("prompt 2", "another prompt"));
    let account = upload.run(std::slice::from_ref(&file));
    assert_eq!((account.kept, account.already), (1, 2), "{account:?}");
    assert_eq!(noted(&file), whole);
}

/// The plugin lives and holds all its locks: the user need not wait for it.
#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_wait_for_the_plugin() {
    let server = Server::start(Rules { max_runs: 2, ..Rules::default() });
    let env = TestEnv::new();
    env.write(".codex/langsmith.json", "{}");
    let files: Vec<PathBuf> = (1..=6)
        .map(|nth| {
            let id = format!("019a0000-0000-7000-8000-{nth:012}");
            let text = turns(1).replace(super::ID, &id);
            env.write(&format!("sessions/rollout-2026-03-01T10-00-00-{id}.jsonl"), text)
        })
        .collect();
    for file in &files {
        hold(file, Some(std::process::id()));
    }
    let dir = env.dir().join("sessions");
    let args = ["upload", "--to", "langsmith", "--endpoint", &server.url, "--settle", "0s"];
    let mut command = env.command(&args);
    command.arg(&dir).env("LANGSMITH_API_KEY", "a-key").env("LANGSMITH_ENDPOINT", &server.url);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    while server.n("/runs/multipart", 202) == 0 {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none(), "it waits");
    crate::upload::signal(&child, "-INT");
    let interrupted = Clock::start();
    while child.try_wait().unwrap().is_none() {
        if interrupted.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("it waits on");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("the notes for the live plugin could not be written"), "{said}");
    // The next run tells it.
    for file in &files {
        assert!(!beside(file, ".langsmith").exists());
        fs::remove_dir_all(beside(file, ".langsmith.lock")).unwrap();
    }
    let run = env.finish(&mut command);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(server.runs().len(), 12);
    assert!(files.iter().all(|file| noted(file).0 == ["t-1"]));
}

/// What hangs under something else waits for it, whichever request that is in.
#[test]
fn parents_come_first() {
    let env = TestEnv::new();
    let spawned = "golden/rollouts/langsmith/sessions/2026/04/23";
    let mut files = Vec::new();
    for entry in fs::read_dir(testdata(spawned)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with("rollout-subagents") {
            files.push(env.copy(&format!("{spawned}/{name}"), &format!("sessions/{name}")));
        }
    }
    // A run a request: the server refuses what comes before its parent.
    let slow_parents = Duration::from_millis(50);
    let server = Server::start(Rules { max_runs: 1, slow_parents, ..Rules::default() });
    let account = Upload::new(&server.url).run(&files);
    assert!(account.is_complete(), "{account:?}");
    server.is_clean();
    let n = server.runs().len();
    assert!(n > 20, "{n}");
    // The spawning turn is still open: so are those below it.
    let main = files.iter().find(|it| it.ends_with("rollout-subagents.jsonl")).unwrap();
    let text = fs::read_to_string(main).unwrap();
    let open: Vec<&str> = text.lines().filter(|line| !line.contains("\"task_complete\"")).collect();
    assert!(open.len() < text.lines().count());
    fs::write(main, open.join("\n") + "\n").unwrap();
    let server = Server::start(Rules::default());
    let mut upload = Upload::new(&server.url);
    upload.settle = Duration::from_secs(1_000 * 365 * 24 * 60 * 60);
    let account = upload.run(&files);
    assert_eq!((account.turns(), server.runs().len()), (0, 0), "{account:?}");
    assert!(account.held > 0 && account.open == 0, "{account:?}");
    upload.settle = Duration::ZERO;
    assert!(upload.run(&files).is_complete());
    server.is_clean();
    assert_eq!(server.runs().len(), n);
}

/// One workspace, another project: a run is there once.
#[test]
fn what_is_in_another_project_is_not_here() {
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    let file = rollout(&env, &turns(1));
    Upload::new(&server.url).run(std::slice::from_ref(&file));
    let mut upload = Upload::new(&server.url);
    upload.env.push(("LANGSMITH_PROJECT", "another one".to_owned()));
    let account = upload.run(&[file]);
    assert_eq!((account.turns(), account.rejected), (0, 1), "{account:?}");
    assert!(upload.dead_letters().contains("in another project"), "{}", upload.dead_letters());
}
