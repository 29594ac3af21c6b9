//! What users do wrong: what happened, where, and what to do next.

use crate::testenv::{TestEnv, place, small_rollout};

const ONE: &str = "01a1fc00-0000-7000-8000-000000000001";
const TWO: &str = "01a1fc00-0000-7000-8000-000000000002";

fn two_sessions() -> TestEnv {
    let env = TestEnv::new();
    for (id, stamp, start) in [
        (ONE, "2026-11-20T05-00-00", "2026-11-20T05:00"),
        (TWO, "2026-11-21T05-00-00", "2026-11-21T05:00"),
    ] {
        env.write(&format!(".codex/{}", place(stamp, id)), small_rollout(id, start, "x"));
    }
    env
}

#[test]
fn no_history_at_all() {
    let env = TestEnv::new();
    env.run(&["list"]).is(
        2,
        "",
        "error: no Codex history at `[DIR]/.codex` (the default)\n\
         hint: set CODEX_HOME, or name a directory, a rollout file or `--codex-home DIR`\n",
    );
    let mut command = env.command(&["convert"]);
    env.finish(command.env("CODEX_HOME", "/no/such/place")).is(
        2,
        "",
        "error: no Codex history at `/no/such/place` (CODEX_HOME)\n\
         hint: CODEX_HOME names it: is that right? A path or `--codex-home DIR` names another\n",
    );
}

#[test]
fn a_directory_without_rollouts() {
    let env = TestEnv::new();
    env.write("stuff/notes.txt", "nothing");
    env.run(&["list", "stuff"]).is(
        2,
        "",
        "error: no rollouts in `stuff`\n\
         hint: rollouts are named `rollout-<time>-<id>.jsonl`; a Codex home has them in `sessions/`\n",
    );
}

#[test]
fn something_that_is_not_there() {
    let env = two_sessions();
    env.run(&["convert", "missing.jsonl"]).is(
        2,
        "",
        "error: no such file or directory, and no session id: `missing.jsonl`\n\
         hint: name a directory, a rollout file, or the first 4 or more characters of an id as `codex-trace list` shows it\n",
    );
}

#[test]
fn an_unknown_id() {
    let env = two_sessions();
    env.run(&["show", "deadbeef"]).is(
        2,
        "",
        "error: no session or thread whose id begins with `deadbeef` in `[DIR]/.codex`\n\
         hint: `codex-trace list` shows the ids; a directory named before the id is searched instead\n",
    );
}

#[test]
fn an_ambiguous_id() {
    let env = two_sessions();
    env.run(&["show", "01a1fc00"]).is(
        2,
        "",
        "error: `01a1fc00` begins the ids of 2 sessions\n  \
         01a1fc00-0000-7000-8000-000000000001  2026-11-20T05:00:00.000Z  /home/u/work/small\n  \
         01a1fc00-0000-7000-8000-000000000002  2026-11-21T05:00:00.000Z  /home/u/work/small\n\
         hint: type more of the id\n",
    );
}

#[test]
fn a_file_that_is_no_rollout() {
    let env = two_sessions();
    let expected = |name: &str| {
        format!(
            "error: not a rollout: `{name}`\n\
             hint: a rollout has one JSON record per line, the first of type `session_meta`\n"
        )
    };
    for (name, text) in
        [("notes.md", "# Notes\n\nSome.\n"), ("data.jsonl", "{\"a\":1}\n{\"b\":2}\n")]
    {
        env.write(name, text);
        env.run(&["convert", name]).is(2, "", &expected(name));
    }
    // Among others it is told, and the others are done.
    let run = env.run(&["convert", "notes.md", ONE]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_eq!(run.json().len(), 6);
    assert!(run.stderr.starts_with("error: not a rollout: `notes.md`\n"), "{}", run.stderr);
}

#[test]
fn an_empty_file_is_no_session() {
    let env = two_sessions();
    env.write("empty.jsonl", "");
    env.run(&["list", "--json", "empty.jsonl"]).is(
        2,
        "",
        "error: not a rollout: `empty.jsonl` is empty\n\
         hint: Codex may not have written to it yet\n",
    );
    // Among others it is passed over, and told when asked.
    env.write(
        ".codex/sessions/rollout-2026-11-20T05-00-00-01a1fc00-0000-7000-8000-00000000000f.jsonl",
        "",
    );
    let run = env.run(&["list", "--json"]);
    assert_eq!((run.code, run.json().len(), run.stderr.as_str()), (Some(0), 2, ""));
    let told = env.run(&["list", "-v"]).stderr;
    assert!(told.contains("00000000000f.jsonl`: empty\n"), "{told}");
}

#[test]
fn what_codex_exec_prints_is_no_rollout() {
    let env = two_sessions();
    let lines = r#"{"type":"thread.started","thread_id":"01a1fc00-0000-7000-8000-000000000001"}
{"type":"turn.started"}
{"type":"item.completed","item":{"id":"item_0","type":"agent_message","text":"hi"}}
{"type":"turn.completed","usage":{"input_tokens":1,"cached_input_tokens":0,"output_tokens":1}}
"#;
    env.write("out.jsonl", lines);
    for command in ["convert", "list", "usage"] {
        env.run(&[command, "out.jsonl"]).is(
            2,
            "",
            "error: not a rollout: `out.jsonl` is what `codex exec --json` prints\n\
             hint: Codex writes the rollout itself to `sessions/` in its home: \
             `codex-trace show 01a1fc00-0000-7000-8000-000000000001`\n",
        );
    }
}

#[test]
fn a_path_through_a_file() {
    let env = TestEnv::new();
    env.write("file", "x");
    env.run(&["list", "file/below"]).is(
        2,
        "",
        "error: cannot read `file/below`: Not a directory (os error 20)\n",
    );
}

/// The superuser can read everything: then there is nothing to see.
#[cfg(unix)]
#[test]
fn a_directory_that_cannot_be_read() {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    let env = two_sessions();
    let secret = env.dir().join(".codex/sessions/2026/11/20");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    let readable = fs::read_dir(&secret).is_ok();
    let run = env.run(&["list", "--json"]);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o755)).unwrap();
    if readable {
        return;
    }
    assert_eq!((run.code, run.json().len()), (Some(1), 1));
    assert!(run.stderr.contains(".codex/sessions/2026/11/20: Permission denied"), "{}", run.stderr);
}

#[test]
fn arguments_that_make_no_sense() {
    let env = two_sessions();
    env.run(&["list", "--since", "someday"]).is(
        2,
        "",
        "error: `--since` cannot be `someday`\n\
         hint: give a time (2026-11-21T05:39:08Z, 14:30), a day, week, month or year \
         (today, yesterday, 2026-11-21, 2026-W44, 2026-10, last-month) or an age (90m, 24h, 7d, 1mo)\n",
    );
    env.run(&["list", "-j0"]).is(2, "", "error: `--jobs` needs at least one thread\n");
    env.run(&["convert", "--gzip"]).is(
        2,
        "",
        "error: `--gzip` is for output directories\n\
         hint: name a file that ends in `.gz`, or a directory, with `--output`\n",
    );
    assert_eq!(env.run(&["frobnicate"]).code, Some(2));
    assert_eq!(env.run::<&str>(&[]).code, Some(2));
    for args in [&["--help"][..], &["--version"], &["convert", "--help"], &["help", "list"]] {
        let run = env.run(args);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

/// What somebody names as a file may be anything: nothing is waited for, and
/// nothing is read without end.
#[cfg(unix)]
#[test]
fn what_is_named_as_a_file_is_one_and_of_some_size() {
    let env = two_sessions();
    let made = std::process::Command::new("mkfifo").arg(env.dir().join("pipe")).status();
    assert!(made.unwrap().success());
    let huge = std::fs::File::create(env.dir().join("huge")).unwrap();
    huge.set_len(1 << 40).unwrap();
    env.write(
        ".config/codex-trace/codex-trace.toml",
        "[destinations.x]\nbackend = 'otlp'\nendpoint = 'https://localhost:1'\ntls.ca_file = '/dev/zero'\n",
    );
    for (file, what) in [
        ("pipe", "it is not a regular file"),
        ("/dev/zero", "it is not a regular file"),
        ("huge", "it is larger than 4194304 bytes"),
        ("missing", "No such file or directory (os error 2)"),
    ] {
        for args in [
            &["upload", "--to", "otlp", "--dry-run", "--redact-rules", file][..],
            &["convert", "--redact-rules", file],
            &["usage", "--prices", file],
        ] {
            let expected = format!("error: cannot read `{file}`: {what}\n");
            env.run(args).is(2, "", &expected);
        }
    }
    let run = env.run(&["upload", "--to", "x", "--dry-run"]);
    assert!(run.stderr.contains("`/dev/zero`: it is not a regular file"), "{}", run.stderr);
}

/// Other tools' documents have `_` where we have `-`.
#[test]
fn words_are_taken_in_either_spelling() {
    let env = two_sessions();
    let ours = env.run(&["convert", "--to", "otlp-json", "--llm-input", "delta", ONE]);
    let theirs = env.run(&["convert", "--to", "otlp_json", "--llm-input", "delta", ONE]);
    assert_eq!((ours.code, &ours.stdout), (Some(0), &theirs.stdout), "{}", theirs.stderr);
    let upload = |to: &str, capture: &str| {
        let dir = tempfile::tempdir().unwrap();
        let dry = format!("--dry-run={}", dir.path().display());
        let args = ["upload", "--to", to, "--capture", capture, "--settle", "0s", "--json", &dry];
        let run = env.run(&args);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.stdout
    };
    assert_eq!(upload("codex-otel", "metadata-only"), upload("codex_otel", "metadata_only"));
    let text = "[destinations.x]\nbackend = 'otlp'\ncapture = 'no_tool_content'\n";
    env.write(".config/codex-trace/codex-trace.toml", text);
    let doctor = env.run(&["doctor", "--to", "x"]);
    assert!(doctor.stdout.contains("capture = no-tool-content"), "{}", doctor.stdout);
    // What is no word in any spelling is refused as it was typed.
    let run = env.run(&["upload", "--to", "otlp", "--capture", "no_such", "--dry-run"]);
    assert!(run.code == Some(2) && run.stderr.contains("'no_such'"), "{}", run.stderr);
}
