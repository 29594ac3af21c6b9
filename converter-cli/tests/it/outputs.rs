//! A user's file is never the price of a command: what is read is not written
//! to, and a file takes its name when it is whole.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::generated;
use crate::testenv::{TestEnv, place, small_rollout, testdata};

const IDS: [&str; 2] =
    ["01a1fc00-0000-7000-8000-000000000001", "01a1fc00-0000-7000-8000-000000000002"];

/// Two sessions in a directory, named as `convert` would name their outputs.
fn two_sessions() -> TestEnv {
    let env = TestEnv::new();
    for id in IDS {
        env.write(&format!("data/{id}.jsonl"), small_rollout(id, "2026-11-21T05:00", "do it"));
    }
    env
}

/// All files below a directory with what is in them.
fn all(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(all(&path));
        } else {
            files.push((path.display().to_string(), fs::read(&path).expect("a file")));
        }
    }
    files.sort();
    files
}

/// Runs a command that must be refused, and change nothing.
#[track_caller]
fn refused(env: &TestEnv, args: &[&str], stderr: impl AsRef<str>) {
    let before = all(env.dir());
    env.run(args).is(2, "", stderr.as_ref());
    assert!(all(env.dir()) == before, "something has changed: {args:?}");
}

#[cfg(unix)]
#[test]
fn what_is_read_is_not_written_to_by_whatever_name() {
    let env = two_sessions();
    let one = format!("data/{}.jsonl", IDS[0]);
    let is_read = |path: &str| {
        format!(
            "error: `{path}` is a rollout that is read, and would be lost\n\
             hint: name another place with `--output`\n"
        )
    };
    fs::hard_link(env.dir().join(&one), env.dir().join("hard.jsonl")).unwrap();
    std::os::unix::fs::symlink(&one, env.dir().join("soft.jsonl")).unwrap();
    std::os::unix::fs::symlink("data", env.dir().join("linked")).unwrap();
    for output in [&one, "hard.jsonl", "soft.jsonl", &format!("linked/{}.jsonl", IDS[0])] {
        refused(&env, &["convert", &one, "-o", output], is_read(output));
    }
    // The session's own file in a directory has the name of the input.
    refused(&env, &["convert", &one, "-o", "data/"], is_read(&one));
    refused(
        &env,
        &["convert", "soft.jsonl", "-o", "linked"],
        is_read(&format!("linked/{}.jsonl", IDS[0])),
    );
    refused(
        &env,
        &["convert", &one, "--to", "otlp-json", "-o", "hard.jsonl"],
        is_read("hard.jsonl"),
    );
    // Another file beside it is nobody's.
    env.run(&["convert", &one, "-o", "data/new.jsonl"]).is(0, "", "");
}

#[cfg(unix)]
#[test]
fn nothing_is_written_where_rollouts_are_looked_for() {
    let env = two_sessions();
    let file = place("2026-11-21T05-00-00", IDS[0]);
    env.write(&format!(".codex/{file}"), small_rollout(IDS[0], "2026-11-21T05:00", "do it"));
    fs::create_dir_all(env.dir().join("data/sub")).unwrap();
    std::os::unix::fs::symlink("data", env.dir().join("linked")).unwrap();
    let within = |path: &str, tree: &str| {
        format!(
            "error: `{path}` is inside `{tree}`, which is searched for rollouts\n\
             hint: name a place outside of it\n"
        )
    };
    for output in ["data/one.jsonl", "data/", "linked/new/", "data/sub/x.jsonl", "data/a/b/c/"] {
        refused(&env, &["convert", "data", "-o", output], within(output, "data"));
    }
    let sessions = ".codex/sessions/";
    refused(&env, &["convert", ".codex", "-o", sessions], within(sessions, ".codex"));
    let home = env.dir().join(".codex").display().to_string();
    refused(&env, &["convert", "-o", sessions], within(sessions, "[DIR]/.codex"));
    refused(
        &env,
        &["convert", IDS[0], "-o", ".codex/sessions/x.jsonl"],
        within(".codex/sessions/x.jsonl", "[DIR]/.codex/sessions"),
    );
    // Also if something else is read.
    refused(
        &env,
        &["convert", "data", "-o", ".codex/sessions/2026/x.jsonl"],
        within(".codex/sessions/2026/x.jsonl", "[DIR]/.codex/sessions"),
    );
    let dry_run = format!("--dry-run={home}/sessions");
    let url = ["--endpoint", "http://127.0.0.1:1"];
    refused(
        &env,
        &["upload", "--to", "otlp", url[0], url[1], &dry_run],
        within("[DIR]/.codex/sessions", "[DIR]/.codex"),
    );
}

#[test]
fn what_a_name_promises_is_written_or_refused() {
    let env = two_sessions();
    let plain = env.run(&["convert", "data"]).bytes;
    env.run(&["convert", "data", "-o", "out.jsonl.zst"]).is(0, "", "");
    let packed = fs::read(env.dir().join("out.jsonl.zst")).unwrap();
    assert_eq!(zstd::decode_all(packed.as_slice()).unwrap(), plain);
    refused(
        &env,
        &["convert", "data", "-o", "out.html"],
        "error: `out.html`: no `.html` is written\n\
         hint: what is written is `.jsonl`, also as `.gz` or `.zst`\n",
    );
}

#[test]
fn filters_that_match_nothing_leave_the_file_as_it_was() {
    let env = two_sessions();
    env.write("keep.jsonl", "complete");
    let warning = "warning: no session matches `--model typo`\nhint: there are: gpt-x (2)\n";
    env.run(&["convert", "data", "--model", "typo", "-o", "keep.jsonl"]).is(
        0,
        "",
        &format!("{warning}`keep.jsonl` stays as it was\n"),
    );
    assert_eq!(fs::read_to_string(env.dir().join("keep.jsonl")).unwrap(), "complete");
    env.run(&["convert", "data", "--model", "typo", "-o", "new.jsonl"]).is(
        0,
        "",
        &format!("{warning}`new.jsonl` was not written\n"),
    );
    assert_eq!(all(env.dir()).len(), 3);
}

/// The limit makes the write fail as a full disk does.
#[cfg(target_os = "linux")]
#[test]
fn an_output_that_cannot_be_finished_leaves_the_file_as_it_was() {
    let env = TestEnv::new();
    env.write("out.jsonl", "complete");
    let run = env.finish(
        std::process::Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$0\" convert \"$1\" -o out.jsonl"])
            .args([env!("CARGO_BIN_EXE_codex-trace").as_ref(), testdata("homes").as_os_str()])
            .env_clear()
            .env("HOME", env.dir())
            .current_dir(env.dir()),
    );
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("cannot write `out.jsonl`: File too large"), "{}", run.stderr);
    assert_eq!(
        all(env.dir()),
        [(env.dir().join("out.jsonl").display().to_string(), b"complete".into())]
    );
}

/// However and whenever a run is ended: the old file or the new one, and nothing
/// beside it.
#[cfg(target_os = "linux")]
#[test]
fn a_run_that_is_ended_leaves_no_part_of_a_file() {
    let env = TestEnv::new();
    let options =
        generated::Options { sessions: 30, turns: 20, output_len: 4000, seed: 7, records: false };
    for (name, text) in generated::history(options).files {
        env.write(&format!("data/{name}"), text);
    }
    let args = ["convert", "data", "-o", "out/x.jsonl"];
    fs::create_dir(env.dir().join("out")).unwrap();
    env.run(&args).is(0, "", "");
    let whole = fs::read(env.dir().join("out/x.jsonl")).unwrap();
    let ways = [&["-INT"][..], &["-TERM"], &["-HUP"], &["-INT", "-INT"], &["-KILL"]];
    for way in ways {
        let mut ended = 0;
        for delay in (0..).map(|n| Duration::from_millis(20 << n)) {
            env.write("out/x.jsonl", "complete");
            let child = env.command(&args).stderr(Stdio::piped()).spawn().unwrap();
            std::thread::sleep(delay);
            for signal in way {
                send(&child, signal);
            }
            let output = child.wait_with_output().unwrap();
            let files = all(&env.dir().join("out"));
            assert_eq!(files.len(), 1, "{way:?}: {:?}", files.iter().map(|it| &it.0));
            let done = output.status.code() == Some(0);
            // One that is killed may have renamed the file, and not yet said so.
            let may_be_whole = done || *way == ["-KILL"];
            let is_whole = may_be_whole && files[0].1 == whole;
            assert!(is_whole || !done && files[0].1 == b"complete", "{way:?} {delay:?}");
            if done {
                break;
            }
            let stderr = String::from_utf8(output.stderr).unwrap();
            let told = "warning: interrupted: `out/x.jsonl` stays as it was\n";
            if output.status.code() == Some(130) && way.len() == 1 {
                ended += usize::from(stderr == told);
            } else {
                // At once, or before there was anything to end in order.
                assert!(stderr.is_empty() || stderr == told, "{way:?}: {stderr}");
                ended += 1;
            }
        }
        assert!(ended > 0, "{way:?}: no run was ended in its midst");
    }
}

#[cfg(target_os = "linux")]
fn send(child: &Child, signal: &str) {
    // It may have ended already.
    let kill = std::process::Command::new("kill").args([signal, &child.id().to_string()]).output();
    assert!(kill.is_ok());
}

/// What `nohup` has switched off stays so.
#[cfg(target_os = "linux")]
#[test]
fn a_hang_up_that_is_ignored_ends_nothing() {
    let env = two_sessions();
    let mut child = std::process::Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$0\" convert --files-from - -o out.jsonl"])
        .arg(env!("CARGO_BIN_EXE_codex-trace"))
        .env_clear()
        .env("HOME", env.dir())
        .current_dir(env.dir())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(200));
    send(&child, "-HUP");
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"data\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(env.dir().join("out.jsonl").exists());
}
