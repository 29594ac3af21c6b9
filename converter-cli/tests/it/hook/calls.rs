//! The call itself: never a word, never a fault, whatever comes.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use super::{Sink, User, id, payload};

fn nowhere() -> (Sink, User) {
    let sink = Sink::start(0);
    let user = User::new(&sink);
    (sink, user)
}

/// Holds the worker's place, so that calls only write to the queue.
fn held(user: &User) -> fs::File {
    let live = user.state().join("live");
    fs::create_dir_all(&live).expect("as prepared");
    let file = fs::File::options()
        .create(true)
        .append(true)
        .open(live.join("worker.lock"))
        .expect("as prepared");
    file.try_lock().expect("as prepared");
    file
}

fn inbox(user: &User) -> Vec<serde_json::Value> {
    let files = fs::read_dir(user.state().join("live/inbox")).expect("as prepared");
    let read =
        |path| serde_json::from_slice(&fs::read(path).expect("as prepared")).expect("as prepared");
    files.map(|file| read(file.expect("as prepared").path())).collect()
}

#[test]
fn hooks_and_notify_name_their_session() {
    let (_sink, user) = nowhere();
    let _lock = held(&user);
    user.call(payload("Stop", &id(1)).as_bytes()).is(0, "", "");
    let notify = format!(
        r#"{{"type":"agent-turn-complete","thread-id":"{}","turn-id":"1","input-messages":[],"last-assistant-message":"x"}}"#,
        id(2)
    );
    user.env.run(&["hook", &notify]).is(0, "", "");
    let mut entries = inbox(&user);
    entries.sort_by_key(|entry| entry["thread"].as_str().unwrap_or_default().to_owned());
    let threads: Vec<_> = entries.iter().map(|entry| entry["thread"].clone()).collect();
    assert_eq!(threads, [id(1), id(2)]);
    let home = user.env.dir().join(".codex");
    assert!(entries.iter().all(|entry| entry["home"] == home.to_str().unwrap()));
}

#[test]
fn garbage_is_no_reason_to_fail_or_to_speak() {
    let (_sink, user) = nowhere();
    let _lock = held(&user);
    let deep = "[".repeat(3 << 20);
    let huge = format!("{{\"last_assistant_message\":\"{}\"}}", "x".repeat(20 << 20));
    let texts: [&[u8]; 8] = [
        b"",
        b"null",
        b"{",
        b"\xFF\0\xFE",
        b"{\"session_id\":\"../../../../../../../../etc/passwd\",\"transcript_path\":\"/dev/zero\"}",
        b"{\"session_id\":{\"a\":[]},\"hook_event_name\":17}",
        deep.as_bytes(),
        huge.as_bytes(),
    ];
    for text in texts {
        user.call(text).is(0, "", "");
    }
    for args in [vec!["hook", ""], vec!["hook", "{", "}"], vec!["hook", "\u{7f}"]] {
        user.env.run(&args).is(0, "", "");
    }
    let entries = inbox(&user);
    assert_eq!(entries.len(), 1, "one for the home: {entries:?}");
    assert!(entries[0]["thread"].is_null());
}

#[test]
fn a_pipe_that_nobody_writes_to_does_not_hold_the_turn() {
    let (_sink, user) = nowhere();
    let _lock = held(&user);
    let mut command = user.env.command(&["hook"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let _open = child.stdin.take();
    assert!(child.wait().unwrap().success());
}

#[test]
fn twenty_calls_at_once_are_twenty_entries_and_one_worker() {
    let (sink, user) = nowhere();
    for nth in 0..20 {
        user.session(nth);
    }
    std::thread::scope(|scope| {
        for nth in 0..20 {
            let user = &user;
            scope.spawn(move || user.call(payload("Stop", &id(nth)).as_bytes()).is(0, "", ""));
        }
    });
    user.drained();
    user.is_as_clean(&sink);
}

/// As long as the worker runs, whoever reads what Codex' pipes carry must see
/// their end.
#[test]
fn the_worker_holds_no_pipe_of_its_caller() {
    let (sink, user) = nowhere();
    sink.set_down(true);
    user.session(1);
    // `call` reads stdout and stderr to their ends.
    user.call(payload("Stop", &id(1)).as_bytes()).is(0, "", "");
    user.until("a worker runs", || user.queue()["working"] == true);
}

#[cfg(unix)]
#[test]
fn a_state_directory_that_cannot_be_used_is_no_fault_of_the_turn() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (_sink, user) = nowhere();
    let state = user.state();
    fs::create_dir_all(state.parent().unwrap()).unwrap();
    // A full disk, as far as a file is concerned.
    symlink("/dev/full", &state).unwrap();
    user.call(payload("Stop", &id(1)).as_bytes()).is(0, "", "");
    fs::remove_file(&state).unwrap();
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o500)).unwrap();
    user.call(payload("Stop", &id(1)).as_bytes()).is(0, "", "");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = user.env.command(&["hook", "{}"]);
    command.env_remove("HOME").env("CODEX_HOME", "/nowhere");
    user.env.finish(&mut command).is(0, "", "");
}

#[cfg(unix)]
#[test]
fn a_fifo_in_the_place_of_a_file_holds_nobody() {
    let (_sink, user) = nowhere();
    let live = user.state().join("live");
    fs::create_dir_all(&live).unwrap();
    for name in ["worker.lock", "log"] {
        let made = std::process::Command::new("mkfifo").arg(live.join(name)).status().unwrap();
        assert!(made.success());
    }
    let mut command = user.env.command(&["hook", "{}"]);
    let mut child = command.spawn().unwrap();
    let begun = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("it hangs");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Paths of a payload are not looked at, and what is no file is no rollout.
#[cfg(unix)]
#[test]
fn paths_of_a_payload_lead_nowhere() {
    let (sink, user) = nowhere();
    user.session(1);
    let pipe = |path: &std::path::Path| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    let outside = user.env.dir().join("outside.jsonl");
    fs::copy(user.rollout(1), &outside).unwrap();
    let odd = user.env.dir().join("pipe");
    pipe(&odd);
    // One that has the name and the place of a rollout.
    pipe(&user.rollout(2));
    for (nth, path) in [(1, &*odd), (2, &user.rollout(2)), (3, &outside), (4, "/root/x".as_ref())] {
        let payload = format!(
            r#"{{"session_id":"{}","transcript_path":"{}","cwd":"/root","hook_event_name":"Stop"}}"#,
            id(nth),
            path.display()
        );
        user.call(payload.as_bytes()).is(0, "", "");
    }
    user.drained();
    user.is_as_clean(&sink);
    let mut command = user.env.command(&["hook", "{}"]);
    command.env("CODEX_HOME", &odd);
    user.env.finish(&mut command).is(0, "", "");
    user.drained();
}

/// A disk that is full and one that cannot be written to hold nobody, and what
/// ended meanwhile is found once there is room.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_and_a_read_only_one_lose_nothing() {
    const SCRIPT: &str = r#"
        mount -t tmpfs -o size=8m none "$STATE" || exit 77
        call() { printf '%s' "$1" | "$PROGRAM" hook; echo "$?"; }
        drained() {
            until "$PROGRAM" status --json | grep -q '"waiting":0'; do sleep 0.1; done
            kill "$(cat "$STATE/live/worker.lock")"
            while "$PROGRAM" status --json | grep -q '"working":true'; do sleep 0.1; done
        }
        call "$START"
        drained
        dd if=/dev/zero of="$STATE/fill" bs=4k 2>"$STATE/../said"
        cp -r "$ROLLOUT.new" "$ROLLOUT"
        call "$STOP"
        kill "$(cat "$STATE/live/worker.lock")"
        until mount -o remount,ro "$STATE"; do sleep 0.1; done
        call "$STOP"
        mount -o remount,rw "$STATE"
        rm "$STATE/fill"
        call "$START"
        drained
    "#;
    let (sink, user) = nowhere();
    user.session(1);
    let second = user.session(2);
    fs::rename(&second, second.with_extension("jsonl.new")).unwrap();
    fs::create_dir_all(user.state()).unwrap();
    let told = user.env.command(&["hook"]);
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", SCRIPT]);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    for (name, value) in told.get_envs().filter(|(name, _)| *name != "PATH") {
        command.env(name, value.unwrap_or_default());
    }
    command.env("STATE", user.state()).env("ROLLOUT", &second).env("PROGRAM", told.get_program());
    command.env("START", payload("SessionStart", &id(1))).env("STOP", payload("Stop", &id(2)));
    let run = command.current_dir(user.env.dir()).output();
    let Ok(run) = run else { return };
    if matches!(run.status.code(), Some(77 | 1)) {
        return; // No namespaces of one's own here.
    }
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert_eq!(said, "0\n0\n0\n0\n", "{}", String::from_utf8_lossy(&run.stderr));
    user.is_as_clean(&sink);
}

#[test]
fn without_a_payload_people_are_told_what_to_do() {
    let (_sink, user) = nowhere();
    let run = user.env.run(&["hook", "--linger", "1s"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("hook --install"), "{}", run.stderr);
}
