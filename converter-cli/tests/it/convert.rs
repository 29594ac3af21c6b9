use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::testenv::{TestEnv, place, small_rollout, testdata};

const ID: &str = "01a1fc00-0000-7000-8000-000000000001";

fn one_session() -> (TestEnv, String) {
    let env = TestEnv::new();
    let file = place("2026-11-21T05-00-00", ID);
    env.write(&format!(".codex/{file}"), small_rollout(ID, "2026-11-21T05:00", "do it"));
    (env, format!("[DIR]/.codex/{file}"))
}

/// All of the output for all of an input, by hand.
#[test]
fn a_turn_becomes_these_lines() {
    let (env, file) = one_session();
    let run = env.run(&["convert"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let usage = json!({
        "input_tokens": 100, "cached_input_tokens": 40, "output_tokens": 7,
        "reasoning_output_tokens": 3, "total_tokens": 107,
    });
    let mut totals = usage.clone();
    totals["model_calls"] = json!(1);
    totals["cache_write_input_tokens"] = json!(0);
    let expected = [
        json!({
            "type": "trace", "format": "codex-trace/v1", "session_id": ID,
            "started_at": "2026-11-21T05:00:00Z", "ended_at": "2026-11-21T05:00:04Z",
            "status": "complete", "usage": totals,
            "threads": [{
                "thread_id": ID, "span": format!("thread:{ID}"), "depth": 0,
                "created": "2026-11-21T05:00:00Z", "cwd": "/home/u/work/small",
                "originator": "codex_exec", "cli_version": "0.120.0", "source": "exec",
                "files": [file], "n_items": 2, "histories": [{"from": 0}], "last_total": usage,
                "account": {
                    "lines": 8, "items": 2, "spans": 5, "ignored": {"echo of an item": 1}, "diagnosed": 0,
                },
            }],
        }),
        json!({
            "type": "item", "thread_id": ID, "index": 0, "kind": "message", "turn": "turn:t-1",
            "at": "2026-11-21T05:00:01Z", "role": "user",
            "content": [{"type": "input_text", "text": "do it"}],
            "provenance": {"file": file, "line": 4},
        }),
        json!({
            "type": "item", "thread_id": ID, "index": 1, "kind": "message", "turn": "turn:t-1",
            "at": "2026-11-21T05:00:03Z", "role": "assistant",
            "content": [{"type": "output_text", "text": "done"}],
            "provenance": {"file": file, "line": 6},
        }),
        json!({
            "type": "span", "thread_id": ID, "key": format!("thread:{ID}"), "kind": "thread",
            "name": "thread", "start": "2026-11-21T05:00:00Z", "end": "2026-11-21T05:00:04Z",
            "status": "ok", "usage": usage,
            "provenance": {"file": file, "first_line": 1, "last_line": 8},
        }),
        json!({
            "type": "span", "thread_id": ID, "key": "turn:t-1",
            "parent_key": format!("thread:{ID}"), "kind": "turn", "name": "turn 1",
            "start": "2026-11-21T05:00:01Z", "end": "2026-11-21T05:00:04Z", "status": "ok",
            "usage": usage,
            "attributes": {
                "turn_id": "t-1", "number": 1, "model": "gpt-x", "cwd": "/home/u/work/small",
                "approval_policy": "never", "sandbox": "read-only", "input": [0],
                "last_agent_message": "done", "model_context_window": 1000,
            },
            "provenance": {"file": file, "first_line": 2, "last_line": 8},
        }),
        json!({
            "type": "span", "thread_id": ID, "key": "llm:t-1:0", "parent_key": "turn:t-1",
            "kind": "model_call", "name": "gpt-x", "start": "2026-11-21T05:00:01Z",
            "end": "2026-11-21T05:00:03Z", "status": "ok", "usage": usage,
            "attributes": {
                "model": "gpt-x", "window": {"history": 0, "end": 1}, "output": [1],
                "evidence": "token_count",
            },
            "provenance": {"file": file, "first_line": 6, "last_line": 7},
        }),
    ];
    let lines = run.json();
    for (line, expected) in lines.iter().zip(&expected) {
        assert_eq!(line, expected, "\n{line:#}");
    }
    assert_eq!(lines.len(), expected.len());
}

/// What the scripted server answered, as `truth.json` says.
#[test]
fn usage_is_what_the_server_answered() {
    for home in ["sp169", "s144", "rev148.0", "d153.0", "rb144"] {
        let env = TestEnv::new();
        let dir = testdata("homes").join(home);
        let truth = fs::read_to_string(dir.join("truth.json")).unwrap();
        let truth: Value = serde_json::from_str(&truth).unwrap();
        let run = env.run(&["convert".as_ref(), dir.as_os_str()]);
        let traces: Vec<Value> =
            run.json().into_iter().filter(|line| line["type"] == "trace").collect();
        for key in ["model_calls", "input_tokens", "cached_input_tokens", "output_tokens"] {
            let sum: u64 = traces.iter().map(|it| it["usage"][key].as_u64().unwrap()).sum();
            assert_eq!(Some(sum), truth[key].as_u64(), "{home}: {key}");
        }
    }
}

#[test]
fn any_number_of_threads_writes_the_same() {
    let env = TestEnv::new();
    let homes = testdata("homes");
    let convert =
        |jobs: &str| env.run(&["convert".as_ref(), homes.as_os_str(), jobs.as_ref()]).bytes;
    let one = convert("-j1");
    assert!(one.len() > 1_000_000);
    for jobs in ["-j2", "-j7"] {
        assert!(convert(jobs) == one, "{jobs} differs from -j1");
    }
}

#[test]
fn encrypted_reasoning_needs_to_be_asked_for() {
    let env = TestEnv::new();
    let tree = testdata("homes/sp169");
    let encrypted = |line: &Value| line.get("encrypted_content").is_some();
    let without = env.run(&["convert".as_ref(), tree.as_os_str()]);
    assert!(!without.json().iter().any(encrypted));
    let with = env.run(&["convert".as_ref(), tree.as_os_str(), "--encrypted".as_ref()]);
    let n_reasoning = with.json().iter().filter(|line| line["kind"] == "reasoning").count();
    assert!(n_reasoning > 0);
    assert_eq!(with.json().iter().filter(|line| encrypted(line)).count(), n_reasoning);
}

#[test]
fn a_file_appears_whole_private_and_compressed_by_its_name() {
    let (env, _) = one_session();
    let plain = env.run(&["convert"]).bytes;
    env.run(&["convert", "-o", "out.jsonl"]).is(0, "", "");
    env.run(&["convert", "-o", "out.jsonl.gz"]).is(0, "", "");
    assert_eq!(fs::read(env.dir().join("out.jsonl")).unwrap(), plain);
    let packed = fs::File::open(env.dir().join("out.jsonl.gz")).unwrap();
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(env.dir().join("out.jsonl")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert_eq!(names(&env, ""), [".codex", "out.jsonl", "out.jsonl.gz"]);
}

fn names(env: &TestEnv, dir: &str) -> Vec<String> {
    let entries = fs::read_dir(env.dir().join(dir)).expect("a directory");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("plain names"))
        .collect();
    names.sort();
    names
}

/// What a collector's file receiver reads: a request a line.
#[test]
fn otlp_goes_into_files_too() {
    let (env, _) = one_session();
    let run = env.run(&["convert", "--to", "otlp-json", "--llm-input", "none"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let requests = run.json();
    assert_eq!(requests.len(), 1, "one turn");
    let scope = &requests[0]["resourceSpans"][0]["scopeSpans"][0];
    assert_eq!(scope["spans"].as_array().expect("spans").len(), 2);
    assert_eq!(run.stdout.matches("gen_ai.operation.name").count(), 2);
    assert_eq!(run.stdout.matches("gen_ai.input.messages").count(), 1, "that of the turn");

    let args = ["convert", "--to", "otlp-proto", "--semconv", "openinference", "-o", "out/"];
    env.run(&args).is(0, "", "");
    let body = fs::read(env.dir().join(format!("out/{ID}.pb"))).expect("a file of the session");
    let body = String::from_utf8_lossy(&body);
    assert!(body.contains("openinference.span.kind") && body.contains("do it"), "{body}");

    env.run(&["convert", "--semconv", "genai"]).is(
        2,
        "",
        "error: `--semconv` is not an option of `--to spans`\n\
         hint: add `--to otlp-json` or `--to otlp-proto`\n",
    );
}

#[test]
fn a_directory_gets_one_file_per_session() {
    let env = TestEnv::new();
    let tree = testdata("homes/i169");
    env.run(&["convert".as_ref(), tree.as_os_str(), "-o".as_ref(), "out/".as_ref()]).is(0, "", "");
    let all = env.run(&["convert".as_ref(), tree.as_os_str()]).stdout;
    let names = names(&env, "out");
    let ids = [
        "01a1fc85-2057-7233-a15a-ac593e47bf3d.jsonl",
        "01a1fc85-4c02-7d63-9a88-7dd23f18c9e7.jsonl",
        "01a1fc85-6395-7301-b5df-ef92eadb556b.jsonl",
    ];
    assert_eq!(names, ids);
    let joined: String = ids
        .iter()
        .map(|name| fs::read_to_string(env.dir().join("out").join(name)).unwrap())
        .collect::<String>()
        .replace(&testdata("").display().to_string(), "[TESTDATA]/");
    assert_eq!(joined, all);
}

/// A device is written to, not replaced by a file.
#[cfg(unix)]
#[test]
fn what_is_no_file_stays_what_it_is() {
    use std::os::unix::fs::FileTypeExt;
    let (env, _) = one_session();
    env.run(&["convert", "-o", "/dev/null"]).is(0, "", "");
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

#[test]
fn an_output_that_cannot_be_made_is_refused_before_anything_is_written() {
    let (env, _) = one_session();
    env.run(&["convert", "-o", "no/such/out.jsonl"]).is(
        2,
        "",
        "error: cannot write `no/such/out.jsonl`: there is no directory `no/such`\n\
         hint: make the directory first\n",
    );
}

#[test]
fn whoever_stops_reading_has_had_enough() {
    let env = TestEnv::new();
    let homes = testdata("homes");
    let mut child = env
        .command(&["convert".as_ref(), homes.as_os_str()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    reader.read_line(&mut first).unwrap();
    drop(reader);
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
    assert!(first.starts_with(r#"{"type":"trace""#));
}

#[test]
fn a_bad_line_is_told_and_is_a_failure_only_if_asked() {
    let env = TestEnv::new();
    let text = small_rollout(ID, "2026-11-21T05:00", "do it").replacen(
        '\n',
        "\n{\"timestamp\":\"2026-11-21T05:00:00.500Z\",\"type\":}\n",
        1,
    );
    env.write("bad.jsonl", text);
    let told = "converted 1 session (3 spans), 1 problem: 1 bad_line\nhint: `codex-trace list --problems bad.jsonl` shows where\n";
    for (args, code) in
        [(&["convert", "bad.jsonl"][..], 0), (&["convert", "bad.jsonl", "--strict"], 1)]
    {
        let run = env.run(args);
        assert_eq!((run.code, run.stderr.as_str()), (Some(code), told), "{args:?}");
        let lines = run.json();
        assert_eq!(lines.len(), 6, "the rest is there");
        let diagnostic = &lines[0]["diagnostics"][0];
        assert_eq!((&diagnostic["code"], &diagnostic["line"]), (&json!("bad_line"), &json!(2)));
    }
    assert_eq!(env.run(&["convert", "-q", "bad.jsonl"]).stderr, "");
}

#[test]
fn one_file_that_cannot_be_read_does_not_stop_the_rest() {
    let (env, _) = one_session();
    let other = ID.replace("0001", "0002");
    env.write(
        &format!(".codex/{}.zst", place("2026-11-21T06-00-00", &other)),
        b"\x28\xB5\x2F\xFDnot zstd",
    );
    let run = env.run(&["convert"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_eq!(run.json().len(), 6);
    assert!(run.stderr.starts_with("error: cannot read `[DIR]/.codex/sessions/2026/11/21/rollout-2026-11-21T06-00-00-01a1fc00-0000-7000-8000-000000000002.jsonl.zst`: "), "{}", run.stderr);
    assert!(
        run.stderr.contains("\nconverted 1 session (3 spans), 1 unreadable\n"),
        "{}",
        run.stderr
    );
}

/// Every reference of every line leads somewhere: parents before children,
/// items of the right kind, windows into histories that are there.
#[test]
fn references_lead_somewhere() {
    let env = TestEnv::new();
    let run = env.run(&["convert".as_ref(), testdata("homes").as_os_str()]);
    let mut threads: HashMap<String, Value> = HashMap::new();
    let mut items: HashMap<String, Vec<Value>> = HashMap::new();
    let mut spans: HashMap<(String, String), Value> = HashMap::new();
    let text = |value: &Value| value.as_str().map(str::to_owned).expect("a string");
    let (mut n_crossings, mut n_replaced) = (0, 0);
    for line in run.json() {
        if line["type"] == "trace" {
            // A thread is in one session only; duplicates across homes begin anew.
            (threads, items, spans) = Default::default();
            for thread in line["threads"].as_array().expect("threads") {
                threads.insert(text(&thread["thread_id"]), thread.clone());
            }
            continue;
        }
        let thread_id = text(&line["thread_id"]);
        let thread = &threads[&thread_id];
        let of_thread = items.entry(thread_id.clone()).or_default();
        if line["type"] == "item" {
            assert_eq!(line["index"], of_thread.len(), "items are numbered without gaps");
            of_thread.push(line);
            continue;
        }
        assert_eq!(thread["n_items"], of_thread.len());
        let item = |ix: &Value| {
            &of_thread[usize::try_from(ix.as_u64().expect("an index")).expect("small")]
        };
        let parent_thread = line.get("parent_thread_id").map_or(thread_id.clone(), text);
        n_crossings += usize::from(parent_thread != thread_id);
        match line.get("parent_key") {
            Some(key) => assert!(spans.contains_key(&(parent_thread, text(key))), "{line}"),
            None => assert_eq!((spans.len(), &line["kind"]), (0, &json!("thread")), "{line}"),
        }
        let attributes = &line["attributes"];
        if let Some(window) = attributes.get("window") {
            let history =
                usize::try_from(window["history"].as_u64().expect("an index")).expect("small");
            let history = &thread["histories"][history];
            assert!(history["from"].as_u64() <= window["end"].as_u64(), "{line}");
            n_replaced += usize::from(history.get("replaced_by").is_some());
        }
        for ix in attributes["output"].as_array().into_iter().flatten() {
            assert_ne!(item(ix)["role"], "user", "what a model says is not the user's: {line}");
        }
        for ix in attributes["input"].as_array().into_iter().flatten() {
            assert!(
                ["message", "agent_message"].contains(&text(&item(ix)["kind"]).as_str()),
                "{line}"
            );
        }
        if let Some(ix) = attributes.get("output_item") {
            assert_eq!(item(ix)["kind"], "tool_output", "{line}");
            assert_eq!(item(ix).get("call_id"), attributes.get("call_id"), "{line}");
        }
        let before = spans.insert((thread_id, text(&line["key"])), line);
        assert!(before.is_none(), "a key came up twice: {before:?}");
    }
    assert!(n_crossings >= 6, "the homes hold {n_crossings} subagents");
    assert!(n_replaced >= 3, "{n_replaced} calls saw a compacted history");
}

/// The first Codex CLI wrote one indented document: no line break of it may
/// come between those of the output.
#[test]
fn a_document_of_the_first_cli_becomes_lines() {
    let env = TestEnv::new();
    let document = json!({
        "session": {"timestamp": "2025-05-02T10:11:12.345Z", "id": ID, "instructions": ""},
        "items": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a\nb"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "c"}]},
        ],
    });
    let name = format!("rollout-2025-05-02-{ID}.json");
    env.write(&name, format!("{document:#}"));
    let run = env.run(&["convert", &name]);
    let lines = run.json();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(lines[0]["session_id"], ID);
    assert_eq!(lines[1]["content"], json!([{"type": "input_text", "text": "a\nb"}]));
    assert_eq!(lines[2]["content"], json!([{"type": "output_text", "text": "c"}]));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    let (env, _) = one_session();
    for args in [&["convert"][..], &["list"], &["show", ID], &["completions", "bash"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        let run = env.finish(env.command(args).stdout(full));
        run.is(
            2,
            "",
            "error: cannot write to standard output: No space left on device (os error 28)\n",
        );
    }
}
