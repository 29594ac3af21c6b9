//! What is right of the small homes in `testdata/cases` beside their counts:
//! each `README.md` says why. Where a thread hangs and what became of a tool is
//! tested with the model.

#![expect(clippy::unwrap_used, reason = "in helpers, too, it is the test that fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::scripted_server::{Act, Server};
use crate::testenv::{Run, TestEnv, testdata};

/// Returns the home of a case, and what is expected of it.
fn case(name: &str) -> (PathBuf, Value) {
    let dir = testdata("cases").join(name);
    let expected = std::fs::read(dir.join("expected.json")).unwrap();
    (dir.join("home"), serde_json::from_slice(&expected).unwrap())
}

/// Runs a command on the home of a case.
#[track_caller]
fn run(name: &str, args: &[&str]) -> Run {
    let (home, _) = case(name);
    let args: Vec<&str> = args.iter().copied().chain([home.to_str().unwrap()]).collect();
    let run = TestEnv::new().run(&args);
    assert_eq!(run.code, Some(0), "{args:?}: {}", run.stderr);
    run
}

fn spans(name: &str, kind: &str) -> Vec<Value> {
    run(name, &["convert"]).json().into_iter().filter(|line| line["kind"] == kind).collect()
}

/// Two sessions have a turn of the same id: all three turns have ids of their own.
#[test]
fn imported_turns_arrive_all() {
    let name = "01-external-import";
    let lines = run(name, &["convert", "--to", "otlp-json"]).json();
    let mut ids = BTreeSet::new();
    for line in &lines {
        for resource in line["resourceSpans"].as_array().unwrap() {
            for scope in resource["scopeSpans"].as_array().unwrap() {
                let spans = scope["spans"].as_array().unwrap().iter();
                ids.extend(spans.map(|span| span["spanId"].to_string()));
            }
        }
    }
    let turns = spans(name, "turn");
    assert_eq!(turns.len(), 3);
    let n_named = turns
        .iter()
        .filter(|turn| turn["attributes"]["turn_id"].as_str() == Some("external-import-turn-1"));
    assert_eq!(n_named.count(), 2);
    assert!(ids.len() >= 3, "{ids:?}");
}

#[test]
fn directories_are_found_as_they_are_recorded_on_any_system() {
    for name in ["06-wsl-lowercased-cwd", "07-windows-drive-case", "25-no-project"] {
        let (_, expected) = case(name);
        for (dir, n) in expected["cwd_filter"].as_object().unwrap() {
            let found = run(name, &["list", "--json", "--cwd", dir]).json().len() as u64;
            assert_eq!(Some(found), n.as_u64(), "{name}: {dir}");
        }
        let rows = run(name, &["usage", "--by", "directory", "--json"]).json()[0]["rows"].clone();
        let rows = rows.as_array().unwrap();
        assert_eq!(rows.len(), 1, "{name}: {rows:?}");
    }
    let rows = run("25-no-project", &["usage", "--by", "directory", "--json"]).json();
    assert_eq!(rows[0]["rows"][0]["key"], "unknown");
}

/// The editor's wrapper around the request, and a content that is a string.
#[test]
fn turns_show_what_the_user_asked_for() {
    for name in ["08-ide-context-prompt", "09-content-as-string"] {
        let (home, expected) = case(name);
        let session = run(name, &["list", "--json"]).json()[0]["session_id"].clone();
        let home = home.to_str().unwrap().to_owned();
        let args = ["show", session.as_str().unwrap(), "--codex-home", &home];
        let shown = TestEnv::new().run(&args);
        let prompt = expected["show_prompt"].as_str().unwrap();
        assert!(shown.stdout.contains(prompt), "{name}: {}{}", shown.stdout, shown.stderr);
        if let Some(wrapper) = expected["not_prompt"].as_str() {
            assert!(!shown.stdout.contains(wrapper), "{name}: {}", shown.stdout);
        }
    }
    // The recorded text itself stays whole.
    let items = run("08-ide-context-prompt", &["convert"]).stdout;
    assert!(items.contains("# Context from my IDE setup"), "{items}");
    let (_, expected) = case("09-content-as-string");
    let items = run("09-content-as-string", &["convert"]).stdout;
    for text in expected["items_text"].as_array().unwrap() {
        assert!(items.contains(text.as_str().unwrap()), "{text}: {items}");
    }
}

/// Returns a row of usage without what the cases say nothing of: its cost and its time.
fn counts(row: &Value) -> Value {
    let mut row = row.clone();
    let fields = row.as_object_mut().unwrap();
    fields.retain(|name, _| name.ends_with("_tokens") || name == "model_calls");
    row
}

#[test]
fn a_session_belongs_to_the_months_of_its_calls() {
    let name = "14-across-months";
    let (home, expected) = case(name);
    let by_month = |zone: &str, timezone: &str| {
        let env = TestEnv::new();
        let home = home.to_str().unwrap();
        let args = ["usage", "--by", "month", "--json", "--timezone", zone, home];
        let usage = env.finish(env.command(&args).env("TZ", timezone)).json().remove(0);
        let rows = usage["rows"].as_array().unwrap().clone();
        let row = |mut row: Value| {
            let month = row.as_object_mut().unwrap().remove("key").unwrap();
            (month.as_str().unwrap().to_owned(), counts(&row))
        };
        rows.into_iter().map(row).collect::<BTreeMap<String, Value>>()
    };
    let wanted = |key: &str| -> BTreeMap<String, Value> {
        serde_json::from_value(expected[key].clone()).unwrap()
    };
    assert_eq!(by_month("utc", "America/Los_Angeles"), wanted("by_month_utc"));
    assert_eq!(by_month("local", "America/Los_Angeles"), wanted("by_month_local_los_angeles"));
    let since = run(name, &["usage", "--json", "--since", "2026-06-01"]).json();
    assert_eq!(counts(&since[0]["total"]), expected["since_june"]);
    let until = run(name, &["usage", "--json", "--until", "2026-05-31"]).json();
    assert_eq!(counts(&until[0]["total"]), expected["until_may"]);
}

/// Two calls of the same size, of which the second one has another tier, or is
/// long: it costs more than the first. And a local model costs what nobody knows.
#[test]
fn costs_follow_tier_length_and_provider() {
    for name in ["15-fast-tier-cost", "15b-long-context-cost"] {
        let calls = spans(name, "model_call");
        let tokens = |call: &Value| call["usage"]["input_tokens"].as_f64().unwrap();
        let usage = run(name, &["usage", "--cost", "--json"]).json().remove(0);
        let total = usage["total"]["cost_usd"].as_f64().unwrap();
        // At the rate of a call that is short and of the default tier.
        let plain = match name {
            // 5 dollars for a million input tokens, 30 for a million output tokens.
            "15-fast-tier-cost" => 2.0 * (0.1 * 5.0 + 0.001 * 30.0),
            // 2.5 and 15.
            _ => 0.56 * 2.5 + 0.002 * 15.0,
        };
        assert_eq!(calls.len(), 2, "{name}");
        assert!(calls.iter().map(tokens).sum::<f64>() >= 200_000.0);
        assert!(total > plain * 1.05, "{name}: {total}, plainly {plain}");
    }
    let usage =
        run("16-local-model-shares-a-name", &["usage", "--cost", "--json"]).json().remove(0);
    assert_eq!(usage["total"]["unpriced_tokens"], 202_000);
}

/// A folder of sessions that several homes share by way of a link, and a home
/// that is a link itself: each shows the session, and all together show it once.
#[cfg(unix)]
#[test]
fn homes_that_share_their_sessions_by_a_link_count_them_once() {
    let (home, expected) = case("17-homes-that-share-sessions");
    let env = TestEnv::new();
    let mut n_files = 0;
    for found in codex_rollout::discover(&home.join("main")) {
        let path = found.unwrap().path;
        let relative = path.strip_prefix(&home).unwrap();
        let to = format!("home/{}", relative.display());
        env.write(&to, std::fs::read(&path).unwrap());
        n_files += 1;
    }
    assert_eq!(n_files, 1);
    std::fs::create_dir(env.dir().join("home/task1")).unwrap();
    std::os::unix::fs::symlink("../main/sessions", env.dir().join("home/task1/sessions")).unwrap();
    std::os::unix::fs::symlink("main", env.dir().join("home/alias")).unwrap();
    for paths in expected["runs"].as_array().unwrap() {
        let paths = paths.as_str().unwrap();
        let args = |command| [command, "--json"].into_iter().chain(paths.split(' '));
        let usage = env.run(&args("usage").collect::<Vec<_>>());
        assert_eq!(usage.code, Some(0), "{paths}: {}", usage.stderr);
        assert_eq!(counts(&usage.json()[0]["total"]), expected["usage"], "{paths}");
        let list = env.run(&args("list").collect::<Vec<_>>());
        assert_eq!(list.json().len(), 1, "{paths}: {}", list.stdout);
        let convert = env.run(&["convert"].into_iter().chain(paths.split(' ')).collect::<Vec<_>>());
        let n_traces = convert.json().iter().filter(|line| line["type"] == "trace").count();
        assert_eq!(n_traces, 1, "{paths}");
    }
}

#[test]
fn what_exec_prints_is_refused_with_words() {
    let (home, _) = case("20-exec-json-output");
    let file = home.join("codex-out.jsonl");
    for command in ["convert", "list", "usage"] {
        let run = TestEnv::new().run(&[command, file.to_str().unwrap()]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{command}");
        assert!(run.stderr.contains("`codex exec --json` prints"), "{}", run.stderr);
        assert!(run.stderr.contains("Codex writes the rollout itself"), "{}", run.stderr);
    }
}

#[test]
fn sessions_are_told_apart_by_source_and_name() {
    let name = "26-memory-consolidation";
    let (_, expected) = case(name);
    for (source, wanted) in expected["by_source"].as_object().unwrap() {
        let usage = run(name, &["usage", "--json", "--source", source]).json().remove(0);
        assert_eq!(counts(&usage["total"]), *wanted, "{source}");
    }
    let name = "30-name-in-session-index";
    assert_eq!(run(name, &["list", "--json"]).json()[0]["name"], case(name).1["name"]);
}

/// Every model, and that of the guardian; nothing is odd about a search.
#[test]
fn models_and_problems_are_as_expected() {
    let name = "02-guardian-beside-paginated";
    let rows = run(name, &["usage", "--by", "model", "--json"]).json()[0]["rows"].clone();
    let rows = rows.as_array().unwrap().iter();
    let models: BTreeMap<_, _> = rows
        .map(|row| (row["key"].as_str().unwrap().to_owned(), row["model_calls"].clone()))
        .collect();
    assert_eq!(json!(models), case(name).1["models"]);
    let root = spans(name, "turn")
        .into_iter()
        .find(|turn| turn["parent_key"] == "thread:01a11f62-0000-7e50-80b1-000000000001");
    let usage = &root.unwrap()["usage"];
    for (key, wanted) in case(name).1["root_turn_usage"].as_object().unwrap() {
        if key != "model_calls" {
            assert_eq!(usage[key], *wanted, "{key}: {usage}");
        }
    }
    let problems = run("31-web-search-end-and-idless-item", &["list", "--problems", "--json"]);
    assert_eq!(problems.stdout, "");
}

/// A tool that switches providers writes the first line anew: nothing is sent
/// twice. And of two files that went on apart, both turns are sent.
#[test]
fn uploads_hold_what_is_there_once() {
    let send = |env: &TestEnv, server: &Server, paths: &[&str]| {
        let endpoint =
            ["--endpoint", &server.url, "--compress", "none", "--settle", "0s", "--json"];
        let args = [&["upload", "--to", "otlp"], &endpoint[..], paths].concat();
        env.run(&args)
    };
    let env = TestEnv::new();
    let (home, expected) = case("33-provider-rewritten");
    let rollout = codex_rollout::discover(&home).next().unwrap().unwrap().path;
    let name = rollout.file_name().unwrap().to_str().unwrap().to_owned();
    let text = std::fs::read_to_string(&rollout).unwrap();
    env.write(&format!("home/sessions/{name}"), &text);
    let server = Server::start(&[], Some(Act::Ok));
    let run = send(&env, &server, &["home"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let n_requests = server.requests();
    assert!(n_requests > 0);
    let provider = (r#""model_provider":"openai""#, r#""model_provider":"my-relay""#);
    let rewritten = text.replacen(provider.0, provider.1, 1);
    assert_ne!(rewritten, text);
    env.write(&format!("home/sessions/{name}"), &rewritten);
    // What is there cannot be replaced, which is said.
    let run = send(&env, &server, &["home"]);
    assert!(run.stderr.contains("kept there as first sent"), "{}", run.stderr);
    let more = (server.requests() - n_requests) as u64;
    assert_eq!(Some(more), expected["second_upload"]["requests"].as_u64());

    let (home, _) = case("19-diverged-on-two-machines");
    let homes = ["laptop", "desktop"].map(|name| home.join(name).to_str().unwrap().to_owned());
    for order in [[0, 1], [1, 0]] {
        let env = TestEnv::new();
        let server = Server::start(&[], Some(Act::Ok));
        let run = send(&env, &server, &order.map(|nth| homes[nth].as_str()));
        assert_eq!(run.json()[0]["turns"]["sent"], 3, "{}", run.stdout);
    }
}
