use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::generated::{self, Options};
use crate::testenv::{TestEnv, place, small_rollout, testdata};
use crate::usage::homes;

const OLD: &str = "01a1fc00-0000-7000-8000-000000000001";
const NEW: &str = "01a1fd00-0000-7000-8000-000000000002";

fn two_sessions() -> TestEnv {
    let env = TestEnv::new();
    let at = |stamp: &str, id: &str| format!(".codex/{}", place(stamp, id));
    env.write(
        &at("2026-11-20T05-00-00", OLD),
        small_rollout(OLD, "2026-11-20T05:00", "the old one"),
    );
    let open = small_rollout(NEW, "2026-11-21T07:30", "the new one")
        .replace("/home/u/work/small", "/home/u/work/big")
        .replace("gpt-x", "gpt-y");
    let without_end = open.trim_end().rsplit_once('\n').expect("lines").0;
    env.write(&at("2026-11-21T07-30-00", NEW), format!("{without_end}\n"));
    env
}

#[test]
fn people_get_a_table_newest_first() {
    let env = two_sessions();
    let mut command = env.command(&["list"]);
    command
        .env("COLUMNS", "140")
        .env("HOME", "/home/u")
        .env("CODEX_HOME", env.dir().join(".codex"));
    env.finish(&mut command).is(
        0,
        "\
STARTED (UTC)     ID        WHERE         MODEL  TURNS  CALLS  TOOLS  TOKENS  COST  STATUS    FIRST PROMPT
2026-11-21 07:30  01a1fd00  ~/work/big    gpt-y      1      1      0     107     ?  open      the new one
2026-11-20 05:00  01a1fc00  ~/work/small  gpt-x      1      1      0     107     ?  complete  the old one
",
        "",
    );
}

#[test]
fn no_line_is_wider_than_asked_for() {
    let env = TestEnv::new();
    for columns in ["80", "100", "120", "200"] {
        let tree = testdata("tree");
        let mut command = env.command(&["list".as_ref(), tree.as_os_str()]);
        let run = env.finish(command.env("COLUMNS", columns));
        let widest = run.stdout.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= columns.parse().unwrap(), "{widest} > {columns}\n{}", run.stdout);
        assert_eq!(run.stdout.lines().count(), 14, "a head and thirteen sessions");
    }
}

/// The shape that scripts rely on, by hand.
#[test]
fn scripts_get_an_object_a_session() {
    let env = two_sessions();
    let run = env.run(&["list", "--json"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let lines = run.json();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        lines[0],
        json!({
            "session_id": NEW, "thread_ids": [NEW], "started_at": "2026-11-21T07:30:00Z",
            "ended_at": "2026-11-21T07:30:03.5Z", "duration_seconds": 3.5,
            "cwd": "/home/u/work/big", "source": "exec", "version": "0.120.0",
            "first_prompt": "the new one", "models": ["gpt-y"], "turns": 1, "model_calls": 1,
            "tool_calls": 0, "failed_tool_calls": 0, "unpriced_tokens": 107,
            "usage": {
                "model_calls": 1, "input_tokens": 100, "cached_input_tokens": 40,
                "cache_write_input_tokens": 0, "output_tokens": 7, "reasoning_output_tokens": 3,
                "total_tokens": 107,
            },
            "status": "open",
            "files": [format!("[DIR]/.codex/{}", place("2026-11-21T07-30-00", NEW))],
        }),
        "\n{:#}",
        lines[0]
    );
    assert_eq!((&lines[1]["session_id"], &lines[1]["status"]), (&json!(OLD), &json!("complete")));
}

#[test]
fn filters() {
    let env = two_sessions();
    #[rustfmt::skip]
    let cases: [(&[&str], &[&str]); 18] = [
        (&[],                                           &[NEW, OLD]),
        (&["--since", "2026-11-21"],                    &[NEW]),
        (&["--since", "2026-11-20T05:00:04Z"],          &[NEW, OLD]),
        (&["--since", "2026-11-20T05:00:05Z"],          &[NEW]),
        (&["--until", "2026-11-20"],                    &[OLD]),
        (&["--until", "2026-11-20T05:00:00Z"],          &[]),
        (&["--until", "2026-11-20T05:00:01Z"],          &[OLD]),
        (&["--cwd", "/home/u/work"],                    &[NEW, OLD]),
        (&["--cwd", "/home/u/work/big"],                &[NEW]),
        (&["--cwd", "/home/u/work/bi"],                 &[]),
        (&["--model", "PT-Y"],                          &[NEW]),
        (&["--source", "Exec"],                         &[NEW, OLD]),
        (&["--source", "cli"],                          &[]),
        (&["--status", "open"],                         &[NEW]),
        (&["--status", "open", "--status", "complete"], &[NEW, OLD]),
        (&["--status", "open,complete"],                &[NEW, OLD]),
        (&["--status", "interrupted"],                  &[]),
        (&["--status", "error"],                        &[]),
    ];
    for (filter, expected) in cases {
        let args: Vec<&str> = ["list", "--json"].iter().chain(filter).copied().collect();
        let run = env.run(&args);
        let lines = run.json();
        let ids: Vec<&str> =
            lines.iter().map(|line| line["session_id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{filter:?}");
        assert_eq!(run.code, Some(0), "{filter:?}");
        let told = format!("warning: no session matches `{}`\n", filter.join(" "));
        let told = if expected.is_empty() { told } else { String::new() };
        assert!(run.stderr.starts_with(&told), "{filter:?}: {}", run.stderr);
        assert_eq!(run.stderr.is_empty(), told.is_empty(), "{filter:?}");
    }
}

/// What nobody recorded has no values to choose from, and is said in words.
#[test]
fn what_no_session_has_is_said() {
    let env = two_sessions();
    let cases: [(&[&str], &str); 5] = [
        (&["--branch", "main"], "none of the sessions was started on a git branch"),
        (&["--repo", "x"], "none of the sessions was started in a git repository with a remote"),
        (&["--tool", "none"], "none of the sessions has called a tool"),
        (&["--failed-tools"], "no tool call failed in any of the sessions"),
        (&["--tool", "x", "--failed-tools"], "no tool call failed in any of the sessions"),
    ];
    for (filter, hint) in cases {
        let run = env.run(&[&["list"], filter].concat());
        assert!(run.stderr.ends_with(&format!("\nhint: {hint}\n")), "{filter:?}: {}", run.stderr);
    }
    // What failed is not what was called.
    let tree = testdata("tree").display().to_string();
    let run = env.run(&["list", &tree, "--failed-tools", "--tool", "exec"]);
    assert!(run.stderr.contains("hint: tools with failed calls: "), "{}", run.stderr);
    assert!(!run.stderr.contains("exec (3)"), "{}", run.stderr);
}

#[test]
fn paths_are_homes_directories_files_ids_and_lists_of_them() {
    let env = two_sessions();
    let file = format!(".codex/{}", place("2026-11-20T05-00-00", OLD));
    let list = env.write("list.txt", format!("{file}\n\n{NEW}\r\n"));
    let list = list.to_str().unwrap();
    let zeros = env.write("zeros.txt", format!("{file}\0{NEW}\0"));
    let zeros = zeros.to_str().unwrap();
    let cases: [(&[&str], &[&str]); 10] = [
        (&[".codex"], &[NEW, OLD]),
        (&[".codex/sessions"], &[NEW, OLD]),
        (&[".codex/sessions/2026/11/20"], &[OLD]),
        (&[&file], &[OLD]),
        (&["01a1fd"], &[NEW]),
        (&["01A1FD00-0000"], &[NEW]),
        (&[NEW, OLD], &[NEW, OLD]),
        (&[&file, ".codex/sessions/2026/11/20", OLD], &[OLD]),
        (&["--files-from", list], &[NEW, OLD]),
        (&["--files-from", zeros], &[NEW, OLD]),
    ];
    for (paths, expected) in cases {
        let args: Vec<&str> = ["list", "--json"].iter().chain(paths).copied().collect();
        let run = env.run(&args);
        let lines = run.json();
        let ids: Vec<&str> =
            lines.iter().map(|line| line["session_id"].as_str().unwrap()).collect();
        assert_eq!((ids.as_slice(), run.stderr.as_str()), (expected, ""), "{paths:?}");
    }
}

#[test]
fn a_list_of_paths_can_come_through_a_pipe() {
    let env = two_sessions();
    let list = env.write("list.txt", format!("{NEW}\n"));
    let mut command = env.command(&["list", "--json", "--files-from", "-"]);
    let run = env.finish(command.stdin(std::fs::File::open(list).expect("the list")));
    assert_eq!((run.code, run.json().len()), (Some(0), 1));
    assert_eq!(run.json()[0]["session_id"], NEW);
}

#[test]
fn a_relative_directory_is_one_below_the_current() {
    let env = TestEnv::new();
    let here = env.dir().display().to_string();
    let text = small_rollout(OLD, "2026-11-20T05:00", "x").replace("/home/u/work", &here);
    env.write(&format!(".codex/{}", place("2026-11-20T05-00-00", OLD)), text);
    for (dir, n) in [(".", 1), ("small", 1), ("other", 0)] {
        assert_eq!(env.run(&["list", "--json", "--cwd", dir]).json().len(), n, "{dir}");
    }
}

#[test]
fn a_subagent_is_part_of_its_session_and_its_id_finds_it() {
    let env = TestEnv::new();
    let home = testdata("homes/s144");
    let args = ["list", "--json", "--codex-home", home.to_str().unwrap(), "01a1fc96-01c8"];
    let lines = env.run(&args).json();
    assert_eq!(lines.len(), 1);
    let ids = [
        "01a1fc95-e949-7cd1-9979-80f6b9ee2923",
        "01a1fc95-ffef-77b1-bb92-0a506b574118",
        "01a1fc96-00d1-7131-a93d-904698c5d98e",
        "01a1fc96-01c8-7011-9cf5-5e592131d1ca",
    ];
    assert_eq!(lines[0]["session_id"], ids[0]);
    assert_eq!(lines[0]["thread_ids"], json!(ids));
    assert_eq!(lines[0]["files"].as_array().map(Vec::len), Some(4));
}

#[test]
fn problems_are_shown_beneath_their_session_and_nothing_else() {
    let env = two_sessions();
    let bad = small_rollout("01a1fe00-0000-7000-8000-000000000003", "2026-11-21T08:00", "bad")
        .replacen('\n', "\n{\"broken\n", 1);
    let file = place("2026-11-21T08-00-00", "01a1fe00-0000-7000-8000-000000000003");
    env.write(&format!(".codex/{file}"), bad);
    let run = env.run(&["list", "--problems"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", run.stdout);
    assert!(lines[1].starts_with("2026-11-21 08:00  01a1fe00"), "{}", run.stdout);
    assert_eq!(lines[2], format!("    ~/.codex/{file}"));
    assert!(lines[3].starts_with("      bad_line: line 2: not JSON"), "{}", run.stdout);
    let run = env.run(&["list", "--problems", "--json"]);
    let lines = run.json();
    assert_eq!(lines.len(), 1);
    let codes: Vec<&Value> =
        lines[0]["problems"].as_array().unwrap().iter().map(|it| &it["code"]).collect();
    assert_eq!(codes, ["bad_line"]);
}

#[test]
fn no_problems_is_an_answer_too() {
    let env = two_sessions();
    env.run(&["list", "--problems"]).is(0, "", "no problems in 2 sessions\n");
}

/// The title of a window, cleared screens, text that runs backwards: none of
/// it may come from a transcript.
#[test]
fn escapes_from_a_transcript_do_not_reach_the_terminal() {
    let env = TestEnv::new();
    let evil = r"\u001b]0;owned\u0007 \u202egnp.exe \u009b2J";
    let text = small_rollout(OLD, "2026-11-20T05:00", evil)
        .replace("/home/u/work/small", r"/home/\u001b[2J/x");
    env.write(&format!(".codex/{}", place("2026-11-20T05-00-00", OLD)), text);
    for args in [&["list"][..], &["show", OLD]] {
        let mut command = env.command(args);
        let run = env.finish(command.env("COLUMNS", "200"));
        let unsafe_chars = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!run.stdout.contains(unsafe_chars), "{args:?}: {:?}", run.stdout);
        assert!(
            run.stdout.contains(r"\u{1b}]0;owned\u{7} \u{202e}gnp.exe \u{9b}2J"),
            "{}",
            run.stdout
        );
    }
}

/// What `list` says of sessions, summed up from what `convert` writes of them.
fn listed_by_hand(lines: &[Value]) -> BTreeMap<String, Value> {
    let mut sessions = BTreeMap::new();
    let traces = lines.iter().enumerate().filter(|(_, line)| line["type"] == "trace");
    for (at, trace) in traces {
        let below = lines[at + 1..].iter().take_while(|line| line["type"] != "trace");
        let spans: Vec<&Value> = below.filter(|line| line["type"] == "span").collect();
        let n_of = |kind: &str| spans.iter().filter(|span| span["kind"] == kind).count();
        let mut models: Vec<&Value> = Vec::new();
        for model in spans.iter().filter_map(|span| span["attributes"].get("model")) {
            if !models.contains(&model) {
                models.push(model);
            }
        }
        let threads = trace["threads"].as_array().expect("a list");
        let of_threads = |key: &str| threads.iter().map(|it| it[key].clone()).collect::<Vec<_>>();
        let files: Vec<Value> = of_threads("files")
            .iter()
            .flat_map(|it| it.as_array().expect("a list").clone())
            .collect();
        let problems = trace.get("diagnostics").cloned().unwrap_or_else(|| json!([]));
        let session = json!({
            "session_id": trace["session_id"],
            "thread_ids": of_threads("thread_id"),
            "started_at": trace["started_at"],
            "ended_at": trace["ended_at"],
            "cwd": threads[0]["cwd"],
            "source": threads[0]["source"],
            "name": threads[0]["name"],
            "models": models,
            "turns": n_of("turn"),
            "model_calls": n_of("model_call"),
            "tool_calls": n_of("tool_call"),
            "usage": trace["usage"],
            "status": trace["status"],
            "files": files,
            "problems": problems,
        });
        sessions.insert(trace["session_id"].as_str().expect("an id").to_owned(), session);
    }
    sessions
}

fn listed(env: &TestEnv, home: &Path, options: &[&str]) -> BTreeMap<String, Value> {
    let mut args = vec!["list".as_ref(), "--json".as_ref(), home.as_os_str()];
    args.extend(options.iter().map(std::convert::AsRef::<std::ffi::OsStr>::as_ref));
    let mut sessions = BTreeMap::new();
    for mut session in env.run(&args).json() {
        let fields = session.as_object_mut().expect("an object");
        // Of a local clock; `convert` has the text of the file. The others are
        // of `list` alone.
        for key in [
            "started_at_local",
            "duration_seconds",
            "version",
            "first_prompt",
            "branch",
            "repository",
            "commit",
            "failed_tool_calls",
            "cost_usd",
            "unpriced_tokens",
        ] {
            fields.remove(key);
        }
        for key in ["started_at", "ended_at", "cwd", "source", "name"] {
            fields.entry(key).or_insert(Value::Null);
        }
        sessions.insert(fields["session_id"].as_str().expect("an id").to_owned(), session);
    }
    sessions
}

/// `list` lets files leave memory while it reads them, `convert` does not.
#[test]
fn every_session_is_listed_as_it_is_converted() {
    let env = TestEnv::new();
    // Its rollouts are large enough to be mapped.
    let large = Options { sessions: 3, turns: 12, output_len: 200_000, seed: 5, records: true };
    let mut largest = 0;
    for (path, text) in &generated::history(large).files {
        largest = largest.max(text.len());
        env.write(&format!("large/{path}"), text);
    }
    assert!(largest > 3 << 20, "{largest} bytes");
    let mut compared = 0;
    for home in homes().into_iter().chain([env.dir().join("large")]) {
        let converted = env.run(&["convert".as_ref(), home.as_os_str()]).json();
        let expected = listed_by_hand(&converted);
        let mut seen = listed(&env, &home, &[]);
        for (id, problems) in listed(&env, &home, &["--problems"]) {
            seen.insert(id, problems);
        }
        for session in seen.values_mut() {
            let fields = session.as_object_mut().unwrap();
            fields.entry("problems").or_insert_with(|| json!([]));
        }
        assert_eq!(seen, expected, "{}", home.display());
        compared += seen.len();
    }
    assert!(compared > 60, "{compared} sessions compared");
}
