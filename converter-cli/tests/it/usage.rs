use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::generated::{self, History, Options, Truth};
use crate::testenv::{Run, TestEnv, place, small_rollout, testdata};

/// The contract of `usage --json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    total: Counts,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
struct Counts {
    model_calls: u64,
    input_tokens: u64,
    cached_input_tokens: u64,
    cache_write_input_tokens: u64,
    output_tokens: u64,
    reasoning_output_tokens: u64,
    total_tokens: u64,
}

#[derive(Debug, Deserialize)]
struct Row {
    key: String,
    model_calls: u64,
    input_tokens: u64,
    cached_input_tokens: u64,
    cache_write_input_tokens: u64,
    output_tokens: u64,
    reasoning_output_tokens: u64,
    total_tokens: u64,
}

impl Row {
    fn counts(&self) -> Counts {
        Counts {
            model_calls: self.model_calls,
            input_tokens: self.input_tokens,
            cached_input_tokens: self.cached_input_tokens,
            cache_write_input_tokens: self.cache_write_input_tokens,
            output_tokens: self.output_tokens,
            reasoning_output_tokens: self.reasoning_output_tokens,
            total_tokens: self.total_tokens,
        }
    }
}

impl Report {
    fn by_key(&self) -> BTreeMap<String, Counts> {
        self.rows.iter().map(|row| (row.key.clone(), row.counts())).collect()
    }
}

impl From<Truth> for Counts {
    fn from(truth: Truth) -> Counts {
        let [input_tokens, cached_input_tokens, output_tokens, reasoning_output_tokens] =
            truth.tokens;
        Counts {
            model_calls: truth.calls,
            input_tokens,
            cached_input_tokens,
            cache_write_input_tokens: 0,
            output_tokens,
            reasoning_output_tokens,
            total_tokens: input_tokens + output_tokens,
        }
    }
}

#[track_caller]
fn report(run: &Run) -> Report {
    assert!(matches!(run.code, Some(0 | 1)), "{run:?}");
    serde_json::from_str(&run.stdout).expect("the report is as documented")
}

/// Adds up the model calls that `convert` writes, by a key.
fn sums_of_spans(
    spans: &[Value],
    key: impl Fn(&Value, &str) -> Option<String>,
) -> BTreeMap<String, Counts> {
    let mut sums: BTreeMap<String, Counts> = BTreeMap::new();
    let mut session = String::new();
    for line in spans {
        if line["type"] == "trace" {
            line["session_id"].as_str().expect("an id").clone_into(&mut session);
        }
        if line["kind"] != "model_call" {
            continue;
        }
        let row = sums.entry(key(line, &session).unwrap_or("unknown".into())).or_default();
        let tokens = |name: &str| line["usage"][name].as_u64().unwrap_or(0);
        row.model_calls += 1;
        row.input_tokens += tokens("input_tokens");
        row.cached_input_tokens += tokens("cached_input_tokens");
        row.cache_write_input_tokens += tokens("cache_write_input_tokens");
        row.output_tokens += tokens("output_tokens");
        row.reasoning_output_tokens += tokens("reasoning_output_tokens");
        row.total_tokens += tokens("total_tokens");
    }
    sums
}

pub(crate) fn homes() -> Vec<PathBuf> {
    let below = |dir: PathBuf| {
        let entries = std::fs::read_dir(&dir).map(|it| it.flatten().collect::<Vec<_>>());
        let paths = entries.unwrap_or_default().into_iter().map(|entry| entry.path());
        paths.filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let mut homes = below(testdata("homes"));
    assert!(homes.len() > 15);
    homes.extend(below(testdata("golden")));
    homes.push(testdata("tree"));
    homes.extend(below(testdata("../../shared/corpus/public")));
    homes.extend(below(testdata("../../shared/corpus/real-codex")));
    homes
}

/// Whichever way it is read, usage is what the span trees add up to.
#[test]
fn usage_is_the_sum_of_the_span_trees() {
    let env = TestEnv::new();
    let mut compared = 0;
    for home in homes() {
        let at = home.to_str().expect("UTF-8");
        let run = env.run(&["convert", "-q", at]);
        if run.code == Some(2) {
            assert_eq!(env.run(&["usage", "-q", at]).code, Some(2), "{at}");
            continue;
        }
        let spans = run.json();
        let by = |by: &str| report(&env.run(&["usage", "-q", "--json", "--by", by, at]));
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let models = sums_of_spans(&spans, |span, _| text(&span["attributes"]["model"]));
        assert_eq!(by("model").by_key(), models, "{at}");
        let sessions = sums_of_spans(&spans, |_, session| Some(session.to_owned()));
        assert_eq!(by("session").by_key(), sessions, "{at}");
        // Before September 2025 lines had no times; their day is the file's.
        if spans.iter().all(|span| span["kind"] != "model_call" || span["end"].is_string()) {
            let days =
                sums_of_spans(&spans, |span, _| Some(span["end"].as_str()?[..10].to_owned()));
            assert_eq!(by("day").by_key(), days, "{at}");
            compared += 1;
        }
    }
    assert!(compared >= 17, "{compared} homes compared");
}

const SMALL: Options = Options { sessions: 13, turns: 3, output_len: 200, seed: 42, records: true };

fn write(env: &TestEnv, history: &History) {
    for (path, text) in &history.files {
        env.write(&format!(".codex/{path}"), text);
    }
}

#[test]
fn every_way_to_put_rows_is_true() {
    let env = TestEnv::new();
    let history = generated::history(SMALL);
    write(&env, &history);
    assert!(history.total.calls > 50);
    for (by, rows) in &history.rows {
        let report = report(&env.run(&["usage", "--json", "--by", by]));
        assert_eq!(report.total, history.total.into(), "{by}");
        let expected: BTreeMap<String, Counts> =
            rows.iter().map(|(key, truth)| (key.clone(), (*truth).into())).collect();
        assert!(expected.len() > 1, "{by}");
        assert_eq!(report.by_key(), expected, "{by}");
    }
    // 30 January 2026 is the Friday of week 5; the sessions go on to week 6.
    let weeks = report(&env.run(&["usage", "--json", "--by", "week"])).by_key();
    let days = &history.rows["day"];
    let week_5: u64 = days.range(..="2026-02-01".to_owned()).map(|(_, day)| day.calls).sum();
    assert_eq!(weeks["2026-W05"].model_calls, week_5);
    assert_eq!(weeks["2026-W06"].model_calls, history.total.calls - week_5);
    assert_eq!(weeks.len(), 2);
}

#[test]
fn rows_are_in_the_order_of_time_or_of_size() {
    let env = TestEnv::new();
    write(&env, &generated::history(SMALL));
    let days = report(&env.run(&["usage", "--json"])).rows;
    assert!(days.is_sorted_by_key(|row| row.key.clone()));
    let models = report(&env.run(&["usage", "--json", "--by", "session"])).rows;
    assert!(models.is_sorted_by_key(|row| std::cmp::Reverse(row.total_tokens)));
}

#[test]
fn filters_choose_sessions_and_calls() {
    let env = TestEnv::new();
    let history = generated::history(SMALL);
    write(&env, &history);
    let total = |args: &[&str]| {
        let args: Vec<&str> =
            ["usage", "-q", "--json"].into_iter().chain(args.iter().copied()).collect();
        report(&env.run(&args)).total
    };
    let row = |by: &str, key: &str| Counts::from(history.rows[by][key]);
    assert_eq!(total(&["--cwd", "/home/u/project-1"]), row("directory", "/home/u/project-1"));
    assert_eq!(total(&["--source", "exec"]), row("source", "exec"));
    assert_eq!(total(&["--model", "5.5"]), row("model", "gpt-5.5"));
    // Sessions last beyond midnight; their calls are told apart.
    let day = "2026-01-31";
    assert_eq!(total(&["--since", day, "--until", day]), row("day", day));
    let calls_until = total(&["--until", "2026-01-31T12:00:00Z"]).model_calls;
    let calls_since = total(&["--since", "2026-01-31T12:00:00Z"]).model_calls;
    assert_eq!(calls_until + calls_since, history.total.calls);
    assert!(calls_until > 0 && calls_since > 0);
    assert_eq!(total(&["--status", "complete"]), history.total.into());
    assert_eq!(total(&["--status", "error"]), Counts::default());
}

#[test]
fn days_begin_where_the_user_says() {
    let env = TestEnv::new();
    let id = "01a1fc00-0000-7000-8000-000000000001";
    let path = format!(".codex/{}", place("2026-11-20T20-30-00", id));
    env.write(&path, small_rollout(id, "2026-11-20T20:30", "late"));
    let days = |zone: &str| {
        let mut command = env.command(&["usage", "--json", "--timezone", zone]);
        report(&env.finish(command.env("TZ", "EAST-9"))).rows.remove(0).key
    };
    assert_eq!(days("utc"), "2026-11-20");
    assert_eq!(days("local"), "2026-11-21");
}

fn two_models() -> TestEnv {
    let env = TestEnv::new();
    let ids = ["01a1fc00-0000-7000-8000-000000000001", "01a1fd00-0000-7000-8000-000000000002"];
    let models = ["gpt-5.6-sol", "gpt-unheard-of"];
    for (id, model) in ids.into_iter().zip(models) {
        let rollout = small_rollout(id, "2026-11-20T20:30", "x").replace("gpt-x", model);
        env.write(&format!(".codex/{}", place("2026-11-20T20-30-00", id)), rollout);
    }
    env
}

/// Each call: 100 tokens in, 40 of them cached, 7 out. By the built-in table
/// of 2026-08-21: 60 × $4 + 40 × $0.40 + 7 × $20, each per million.
#[test]
fn what_has_no_price_costs_nothing_that_could_be_told() {
    let env = two_models();
    let run = env.run(&["usage", "--by", "model", "--json"]);
    let row = |key: &str, more: &str| {
        let key = match key {
            "" => String::new(),
            key => format!(r#""key":"{key}","model":"{key}","#),
        };
        let tokens = r#""model_calls":1,"input_tokens":100,"cached_input_tokens":40,"cache_write_input_tokens":0,"output_tokens":7,"reasoning_output_tokens":3,"total_tokens":107"#;
        format!("{{{key}{tokens}{more}}}")
    };
    let total = row("", r#","cost_usd":0.000396,"unpriced_tokens":107"#)
        .replace(":1,", ":2,")
        .replace(":100,", ":200,")
        .replace(":40,", ":80,")
        .replace(":7,", ":14,")
        .replace(":3,", ":6,")
        .replace(r#""total_tokens":107"#, r#""total_tokens":214"#);
    let expected = format!(
        "{{\"total\":{total},\"rows\":[{},{}]}}\n",
        row("gpt-5.6-sol", r#","cost_usd":0.000396"#),
        row("gpt-unheard-of", r#","unpriced_tokens":107"#)
    );
    run.is(0, &expected, "");
}

#[test]
fn a_file_of_prices_adds_and_replaces() {
    let env = two_models();
    env.write(
        "prices.json",
        r#"{"prices": [{"model": "gpt-unheard-of", "input": 1, "output": 1000000}, {"model": "gpt-5.6-sol", "input": 0, "output": 0}]}"#,
    );
    let mut command = env.command(&["usage", "--prices", "prices.json"]);
    env.finish(command.env("COLUMNS", "120")).is(
        0,
        "\
DAY (UTC)   CALLS  INPUT  CACHED  OUTPUT  REASONING  TOTAL   COST
2026-11-20      2    200      80      14          6    214  $7.00
total           2    200      80      14          6    214  $7.00
",
        "",
    );
    env.write("prices.json", r#"{"prices": [{"model": "m"}]}"#);
    let run = env.run(&["usage", "--prices", "prices.json"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    assert!(
        run.stderr
            .starts_with("error: no price table: `prices.json`: price 1: it has no `input`\n"),
        "{}",
        run.stderr
    );
}

#[test]
fn people_get_a_table_with_a_total() {
    let env = two_models();
    let mut command = env.command(&["usage", "--by", "directory", "-q"]);
    env.finish(
        command
            .env("COLUMNS", "120")
            .env("HOME", "/home/u")
            .env("CODEX_HOME", env.dir().join(".codex")),
    )
    .is(
        0,
        "\
DIRECTORY     CALLS  INPUT  CACHED  OUTPUT  REASONING  TOTAL      COST
~/work/small      2    200      80      14          6    214  <$0.01+?
total             2    200      80      14          6    214  <$0.01+?
",
        "\
warning: no list price for `gpt-unheard-of`: 1 call with 107 tokens are not in the cost
hint: `--prices FILE` adds prices; `codex-trace usage --help` describes the file
",
    );
}

/// Puts a blank behind every colon and comma between strings, as Python does.
fn spaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 11 / 10);
    let (mut in_string, mut escaped) = (false, false);
    for c in text.chars() {
        out.push(c);
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_string = !in_string,
            ':' | ',' if !in_string => out.push(' '),
            _ => {}
        }
    }
    out
}

/// Writes a history with something done to each of its files.
fn changed(history: &History, change: impl Fn(&TestEnv, usize, &str, &str)) -> TestEnv {
    let env = TestEnv::new();
    for (nth, (path, text)) in history.files.iter().enumerate() {
        change(&env, nth, &format!(".codex/{path}"), text);
    }
    env
}

fn archived(path: &str) -> String {
    let name = Path::new(path).file_name().expect("a file").to_str().expect("UTF-8");
    format!(".codex/archived_sessions/{name}")
}

/// What makes other counters go wrong.
#[test]
fn whatever_happened_to_the_files_the_counts_are_true() {
    let history = generated::history(SMALL);
    let cases: [(&str, TestEnv, Truth); 8] = [
        (
            "plain",
            changed(&history, |env, _, path, text| {
                env.write(path, text);
            }),
            history.total,
        ),
        (
            "half of the files are compressed",
            changed(&history, |env, nth, path, text| {
                if nth % 2 == 0 {
                    env.write(path, text);
                } else {
                    let bytes = zstd::encode_all(text.as_bytes(), 1).expect("in memory");
                    env.write(&format!("{path}.zst"), bytes);
                }
            }),
            history.total,
        ),
        (
            "half of the files are archived",
            changed(&history, |env, nth, path, text| {
                env.write(&if nth % 2 == 0 { path.to_owned() } else { archived(path) }, text);
            }),
            history.total,
        ),
        (
            "a third of the files has a copy in the archive",
            changed(&history, |env, nth, path, text| {
                env.write(path, text);
                if nth % 3 == 0 {
                    env.write(&archived(path), text);
                }
            }),
            history.total,
        ),
        (
            "a line of bad UTF-8 within, a torn one at the end",
            changed(&history, |env, _, path, text| {
                let (first, rest) = text.split_once('\n').expect("lines");
                let mut bytes = first.as_bytes().to_vec();
                bytes.extend(b"\n{\"timestamp\":\"2026-02-01T10:00:00.000Z\",\"type\":\"event_msg\",\"payload\":{\"type\":\"user_message\",\"message\":\"\xFF\xFE\"}}\n");
                bytes.extend(rest.as_bytes());
                bytes.extend(
                    b"{\"timestamp\":\"2026-02-01T10:00:00.000Z\",\"type\":\"event_msg\",\"payl",
                );
                env.write(path, bytes);
            }),
            history.total,
        ),
        (
            "lines end as on Windows",
            changed(&history, |env, _, path, text| {
                env.write(path, text.replace('\n', "\r\n"));
            }),
            history.total,
        ),
        (
            "blanks between the tokens",
            changed(&history, |env, _, path, text| {
                env.write(path, spaced(text));
            }),
            history.total,
        ),
        (
            "no token_count is left, only usage records",
            changed(&history, |env, _, path, text| {
                let kept = text.lines().filter(|line| !line.contains(r#""type":"token_count""#));
                env.write(path, kept.fold(String::new(), |all, line| all + line + "\n"));
            }),
            history.with_records,
        ),
    ];
    assert!(history.with_records.calls > 20);
    for (what, env, truth) in cases {
        let total = report(&env.run(&["usage", "-q", "--json"])).total;
        let mut expected = Counts::from(truth);
        // Calls without usage are calls all the same.
        expected.model_calls = history.total.calls;
        assert_eq!(total, expected, "{what}");
    }
}

#[test]
fn threads_make_no_difference() {
    let env = TestEnv::new();
    write(&env, &generated::history(SMALL));
    let run = |jobs: &str| env.run(&["usage", "--json", "--by", "session", "-j", jobs]).stdout;
    assert_eq!(run("1"), run("8"));
}

#[test]
fn nothing_to_count_is_an_empty_sum() {
    let env = two_models();
    let run = env.run(&["usage", "--model", "none", "--json"]);
    assert_eq!(run.code, Some(0));
    assert_eq!(
        run.stderr,
        "warning: no session matches `--model none`\n\
         hint: there are: gpt-5.6-sol (1), gpt-unheard-of (1)\n"
    );
    let report = report(&run);
    assert_eq!((report.total, report.rows.len()), (Counts::default(), 0));
}
