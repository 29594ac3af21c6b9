//! Codex' own telemetry as a user sends it: to a receiver that holds Loki's rules
//! and answers the queries people have, and into a file for Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::loki::{Loki, Rules};
use crate::testenv::{TestEnv, place, testdata};

/// Copies recordings into a Codex home.
pub(crate) fn home(names: &[&str]) -> TestEnv {
    let env = TestEnv::new();
    for name in names {
        for entry in fs::read_dir(testdata(&format!("codex-otel/{name}"))).expect("a recording") {
            let path = entry.expect("an entry").path();
            let file = path.file_name().and_then(|it| it.to_str()).expect("a name").to_owned();
            if file.starts_with("rollout-") {
                let bytes = fs::read(&path).expect("a file");
                env.write(&format!(".codex/sessions/2026/11/29/{file}"), bytes);
            }
        }
    }
    env.write(".codex/config.toml", "[otel]\nlog_user_prompt = true\n");
    env
}

fn upload<'a>(loki: &'a Loki, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["upload", "--to", "codex-otel", "--endpoint", &loki.url, "--settle", "0s"];
    args.extend(more);
    args
}

const FOUR: [&str; 4] = ["0.44.0-shell", "0.110.0-shell", "0.171.0-shell", "0.171.0-wsshell"];
const TERMINAL: [&str; 2] = ["codex_cli_rs", "codex_exec"];

/// The rows are those that the recordings have: prompts 1 each; calls 4 each, and
/// 4 more nested in code mode; 4 answers each.
#[test]
fn the_queries_people_have_answer_on_history() {
    let env = home(&FOUR);
    let loki = Loki::start(Rules { reject_old: false, ..Rules::default() });
    let run = env.run(&upload(&loki, &[]));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("/flush"), "what to do next is said: {}", run.stderr);
    let rows = |filter: &[(&str, &str)]| loki.query(&TERMINAL, filter);
    assert_eq!(rows(&[("event_name", "codex.user_prompt")]).len(), 4);
    assert_eq!(rows(&[("event_name", "codex.tool_result")]).len(), 24);
    let answers = rows(&[("event_name", "codex.sse_event"), ("event_kind", "response.completed")]);
    assert_eq!(answers.len(), 16);
    let tokens: u64 =
        answers.iter().map(|it| it["tool_token_count"].parse::<u64>().expect("n")).sum();
    assert_eq!(tokens, 3 * 5200 + 5600);
    assert_eq!(loki.streams(), 4, "each thread is one");

    // Nothing is sent again, and sent again it is the same.
    let n = loki.requests();
    assert_eq!(env.run(&upload(&loki, &[])).code, Some(0));
    assert_eq!(loki.requests(), n);
    let rows_before = loki.rows();
    assert_eq!(env.run(&upload(&loki, &["--force"])).code, Some(0));
    assert_eq!(loki.rows(), rows_before);
}

/// A session of a terminal whose turns begin every hour from `from` on and have a
/// call of a tool that takes half an hour; one that takes `long` hours in the last.
fn hourly(thread: &str, from: u32, long: u32) -> String {
    let mut lines = Vec::new();
    let mut add = |at: (u32, u32), kind: &str, payload: String| {
        let (hour, minute) = (at.0 % 24, at.1);
        let day = 20 + at.0 / 24;
        lines.push(format!(
            r#"{{"timestamp":"2026-11-{day}T{hour:02}:{minute:02}:00.000Z","type":"{kind}","payload":{{{payload}}}}}"#
        ));
    };
    let meta = format!(
        r#""id":"{thread}","timestamp":"2026-11-20T{from:02}:00:00.000Z","cwd":"/w","originator":"codex_exec","cli_version":"0.120.0","source":"exec""#
    );
    add((from, 0), "session_meta", meta);
    for nth in 0..5 {
        let (turn, at) = (format!(r#""turn_id":"t-{nth}""#), from + nth);
        let last = nth == 4;
        add((at, 1), "event_msg", format!(r#""type":"task_started",{turn}"#));
        add((at, 1), "turn_context", format!(r#"{turn},"cwd":"/w","model":"gpt-x""#));
        let text = r#"[{"type":"input_text","text":"go on"}]"#;
        let prompt = format!(r#""type":"message","role":"user","content":{text}"#);
        add((at, 1), "response_item", prompt);
        add((at, 1), "event_msg", r#""type":"user_message","message":"go on""#.to_owned());
        let call = format!(
            r#""type":"function_call","name":"shell","arguments":"{{}}","call_id":"c-{nth}""#
        );
        add((at, 2), "response_item", call);
        let output =
            format!(r#""type":"function_call_output","call_id":"c-{nth}","output":"done""#);
        let ended = if last { (at + long, 32) } else { (at, 32) };
        add(ended, "response_item", output);
        add(ended, "event_msg", format!(r#""type":"task_complete",{turn}"#));
    }
    lines.join("\n") + "\n"
}

/// Three sessions at the same time, which take turns, and whose last turns take
/// hours: whatever is sent, nothing of the stream is an hour newer.
#[test]
fn one_stream_of_a_service_is_in_the_order_of_time() {
    let env = TestEnv::new();
    for (nth, from, long) in [(1, 3, 6), (2, 3, 0), (3, 5, 9)] {
        let id = format!("019a0000-0000-7000-8000-{nth:012}");
        let stamp = format!("2026-11-20T{from:02}-00-00");
        env.write(&format!(".codex/{}", place(&stamp, &id)), hourly(&id, from, long));
    }
    let filter = [("event_name", "codex.tool_result")];
    let plain = Loki::start(Rules::default());
    assert_eq!(env.run(&upload(&plain, &[])).code, Some(0));
    assert_eq!((plain.streams(), plain.query(&TERMINAL, &filter).len()), (3, 15));

    let loki = Loki::start(Rules::default());
    let by_service = ["--stream", "service"];
    let dry_run = [&by_service[..], &["--dry-run"]].concat();
    let run = env.run(&upload(&loki, &dry_run));
    assert!(run.stderr.contains("one stream") && run.code == Some(0), "{}", run.stderr);
    assert_eq!(loki.requests(), 0);
    let run = env.run(&upload(&loki, &by_service));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!((loki.streams(), loki.query(&TERMINAL, &filter).len()), (1, 15));
    assert_eq!(loki.rows(), plain.rows());
    assert!(!loki.names().contains("service_instance_id"));
    let n = loki.requests();
    assert_eq!(env.run(&upload(&loki, &by_service)).code, Some(0));
    assert_eq!(loki.requests(), n, "nothing is sent again");

    // What is there stays as it is, with the other setting too; what is new goes
    // where the setting says.
    let id = "019a0000-0000-7000-8000-000000000004";
    env.write(&format!(".codex/{}", place("2026-11-21T12-00-00", id)), hourly(id, 20, 0));
    let run = env.run(&upload(&loki, &[]));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!((loki.streams(), loki.query(&TERMINAL, &filter).len()), (2, 20));

    let run = env.run(&["doctor", "--to", "codex-otel", "--endpoint", &loki.url]);
    assert!(!run.stdout.contains("one stream"), "{}", run.stdout);
    env.write(
        ".config/codex-trace/codex-trace.toml",
        format!(
            "[destinations.loki]\nbackend = 'codex-otel'\nendpoint = '{}'\nstream = 'service'\n",
            loki.url
        ),
    );
    let run = env.run(&["doctor", "--to", "loki"]);
    assert!(run.stdout.contains("one stream"), "{}", run.stdout);
    assert!(run.stdout.contains("stream") && run.stdout.contains("service"), "{}", run.stdout);
}

/// Each name is there once, and a stream is what the setting says it is.
#[test]
fn attributes_of_the_resource_are_said_once() {
    let env = home(&["0.171.0-shell"]);
    let asked = [("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=mine,team=tools")];
    for (more, is_mine) in [(&[][..], false), (&["--stream", "service"][..], true)] {
        let loki = Loki::start(Rules::default());
        let run = env.finish(env.command(&upload(&loki, more)).envs(asked));
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let rows = loki.query(&TERMINAL, &[("team", "tools")]);
        assert_eq!((rows.len(), loki.streams()), (loki.rows(), 1));
        assert_eq!(rows[0]["service_instance_id"] == "mine", is_mine, "{:?}", rows[0]);
    }
}

#[test]
fn what_loki_refuses_is_told_with_the_setting() {
    let env = home(&FOUR);
    // The recordings are of one day: to this server they are too old.
    let loki = Loki::start(Rules { reject_old: true, ..Rules::default() });
    let run = env.run(&upload(&loki, &[]));
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("reject_old_samples: false"), "{}", run.stderr);
    assert!(run.stderr.contains(" (thread"), "which ones is said: {}", run.stderr);
    // Streams that are not closed for half an hour: waiting is of no use.
    let loki = Loki::start(Rules { max_streams: 2, ..Rules::default() });
    let run = env.run(&upload(&loki, &["--force"]));
    assert_ne!(run.code, Some(0));
    assert!(run.stderr.contains("max_global_streams_per_user: 0"), "{}", run.stderr);
}

#[test]
fn prompts_stay_here_unless_codex_sends_them() {
    let env = home(&["0.171.0-shell"]);
    env.write(".codex/config.toml", "[otel]\nenvironment = 'prod'\n");
    let loki = Loki::start(Rules::default());
    assert_eq!(env.run(&upload(&loki, &[])).code, Some(0));
    let prompts = loki.query(&TERMINAL, &[("event_name", "codex.user_prompt")]);
    assert_eq!((&*prompts[0]["prompt"], &*prompts[0]["prompt_length"]), ("[REDACTED]", "19"));
    assert_eq!(prompts[0]["env"], "prod");
    let tools = loki.query(&TERMINAL, &[("event_name", "codex.tool_result")]);
    assert!(tools.iter().all(|it| !it.contains_key("arguments") && !it.contains_key("output")));
}

#[test]
fn none_is_none() {
    let env = home(&["0.171.0-shell"]);
    env.write(".codex/config.toml", "[otel]\nexporter = 'none'\n");
    let run = env.run(&["upload", "--to", "codex-otel"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("sends its logs and traces nowhere"), "{}", run.stderr);
}

/// The turn that starts a review asks for nothing and calls no tool: Codex sends
/// no event of it, and no live plugin has sent it either.
#[test]
fn a_turn_without_events_has_nothing_to_send() {
    let env = TestEnv::new();
    let home = testdata("homes/d153.0");
    let path = home.to_str().expect("UTF-8");
    let endpoint = "http://127.0.0.1:1/otlp";
    let args = ["upload", path, "--to", "codex-otel", "--endpoint", endpoint, "--settle", "0s"];
    let run = env.run(&[&args[..], &["--dry-run", "--json"]].concat());
    let turns = run.json();
    let outcome = |id: &str| {
        let key = format!("turn:{id}");
        turns.iter().find(|it| it["turn"] == *key).map(|it| it["outcome"].clone())
    };
    assert_eq!(outcome("01a1fca4-fca3-77a1-a9b7-404b465fd6ad"), Some("nothing".into()));
    assert_eq!(outcome("01a1fca4-e1ae-7fd2-b2ab-d26cae54a3b7"), Some("sent".into()));
}

/// The names of all samples, and the sum of all tokens.
fn openmetrics(names: &[&str]) -> (BTreeSet<String>, u64) {
    let env = home(names);
    let run = env.run(&["convert", "--to", "openmetrics", "-o", "out.om"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let text = fs::read_to_string(env.dir().join("out.om")).expect("a file");
    assert!(text.ends_with("# EOF\n"));
    let mut family = "";
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    let mut found = BTreeSet::new();
    let mut families = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().expect("a name");
            families.push(family);
        } else if let Some((series, rest)) = line.rsplit_once("} ") {
            let name = series.split('{').next().expect("a name");
            assert!(name.starts_with(family), "{name} stands below {family}");
            found.insert(name.to_owned());
            if name == "codex_turn_token_usage_sum" && series.contains("token_type=\"total\"") {
                let value = rest.split(' ').next().and_then(|it| it.parse().ok());
                last.insert(series, value.expect("a number"));
            }
        }
    }
    assert_eq!(families.len(), families.iter().collect::<BTreeSet<_>>().len(), "each once");
    let usage = env.run(&["usage", "--json"]).json();
    let sum: u64 = last.values().sum();
    assert_eq!(usage[0]["total"]["total_tokens"], sum);
    (found, sum)
}

#[test]
fn metrics_are_a_file_for_prometheus() {
    let (_, sum) = openmetrics(&["0.171.0-spawnfull", "0.171.0-interrupt"]);
    assert_eq!(sum, 5900 + 2400);
}

/// The queries of the dashboard name what is there: metrics, and attributes of
/// records.
#[test]
fn the_dashboard_asks_for_what_is_sent() {
    let text = fs::read_to_string(testdata("../docs/grafana/codex-history.json")).expect("a file");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let all = ["0.171.0-shell", "0.171.0-tools"];
    let (metrics, _) = openmetrics(&all);
    let env = home(&all);
    let loki = Loki::start(Rules::default());
    assert_eq!(env.run(&upload(&loki, &[])).code, Some(0));
    let known: BTreeSet<String> = loki.names();
    let panels = dashboard["panels"].as_array().expect("panels");
    assert!(panels.len() >= 9);
    for panel in panels {
        let query = panel["targets"][0]["expr"].as_str().expect("a query");
        let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let words: Vec<&str> = words.filter(|word| word.contains('_')).collect();
        let functions = ["max_over_time", "sum_over_time", "line_format", "__range"];
        for word in words.into_iter().filter(|word| !functions.contains(word)) {
            let is_label = ["token_type", "service_name"].contains(&word);
            assert!(metrics.contains(word) || known.contains(word) || is_label, "{word}: {query}");
        }
    }
}
