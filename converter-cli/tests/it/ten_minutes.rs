//! The questions of the first ten minutes, each answered by one command.

use serde_json::Value;

use crate::testenv::{Run, TestEnv, place, small_rollout, testdata};

const PARSER: &str = "01a1fc00-0000-7000-8000-000000000001";
const LOGIN: &str = "01a2fd00-0000-7000-8000-000000000002";
const DOCS: &str = "01a3fe00-0000-7000-8000-000000000003";

/// Three sessions with a model of a known price. One of them is in a repository,
/// and its account had used an eighth of its five hours.
fn three_sessions() -> TestEnv {
    let env = TestEnv::new();
    let write = |id: &str, stamp: &str, change: &dyn Fn(String) -> String| {
        let start = &stamp[..16];
        let prompt = match id {
            PARSER => "rename the parser",
            LOGIN => "fix the login\\nand test it",
            _ => "write the docs",
        };
        let text = small_rollout(id, start, prompt).replace("gpt-x", "gpt-5.6-sol");
        let path = format!(".codex/{}", place(&format!("{start}:00").replace(':', "-"), id));
        env.write(&path, change(text));
    };
    write(PARSER, "2026-10-05T23:30", &|text| text);
    write(LOGIN, "2026-11-20T10:00", &|text| {
        let git = r#""git":{"branch":"login","commit_hash":"c0ffee","repository_url":"git@github.com:team/shop.git"},"source":"exec"#;
        let limits = r#""rate_limits":{"limit_id":"codex","plan_type":"plus","primary":{"used_percent":12.5,"window_minutes":300,"resets_at":1795262400}},"info""#;
        text.replace(r#""source":"exec"#, git).replace(r#""info""#, limits)
    });
    write(DOCS, "2026-11-21T10:00", &|text| {
        text.replace("/home/u/work/small", "/home/u/work/docs")
    });
    env
}

fn run(env: &TestEnv, command: &str) -> Run {
    let words: Vec<&str> = command.split(' ').collect();
    let run = env.run(&words);
    assert_eq!(run.code, Some(0), "{command}: {}", run.stderr);
    run
}

/// Each call has 60 tokens of input at $4, 40 cached ones at $0.40 and 7 of
/// output at $20, each per million: $0.000396.
#[test]
fn which_session_was_that() {
    let env = three_sessions();
    let ids = |command: &str| -> Vec<String> {
        let lines = run(&env, command).json();
        lines.iter().map(|it| it["session_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("list --json -n 1"), [DOCS]);
    assert_eq!(ids("list --json --grep PARSER"), [PARSER]);
    assert_eq!(ids("list --json --grep test"), [LOGIN], "beyond the first line");
    assert_eq!(ids("list --json --branch login"), [LOGIN]);
    assert_eq!(ids("list --json --repo shop"), [LOGIN]);
    assert_eq!(ids("list --json --since 2026-11 --reverse"), [LOGIN, DOCS]);
    assert_eq!(ids("list --json --until 2026-W41"), [PARSER]);
    let by_hand = env.finish(env.command(&["list", "--grep", "login"]).env("COLUMNS", "80"));
    assert!(by_hand.stdout.contains("fix the login and t"), "{}", by_hand.stdout);
    assert!(by_hand.stdout.lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn what_did_it_do() {
    let env = three_sessions();
    assert!(run(&env, "show").stdout.starts_with(&format!("session {DOCS}")));
    assert!(
        run(&env, "show --last --branch login").stdout.starts_with(&format!("session {LOGIN}"))
    );
    let name = format!("rollout-2026-11-20T10-00-00-{LOGIN}.jsonl");
    for named in ["01a2", &name, ".codex 01a2fd"] {
        let shown = run(&env, &format!("show {named} --text")).stdout;
        assert!(shown.starts_with(&format!("session {LOGIN}")), "{named}: {shown}");
        assert!(shown.contains("\n> fix the login\n> and test it\n"), "{shown}");
        assert!(shown.ends_with("\ndone\n"), "{shown}");
    }
    // What tools got and printed, of one turn of the sample.
    let tree = testdata("tree").display().to_string();
    let shown = run(&env, &format!("show {tree} 01a1fca4 --text --turn 1")).stdout;
    for line in
        ["  $ echo one; exit 4", "  | Process exited with code 4", "  $ +hi there", "done direct"]
    {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    assert!(!shown.contains("turn 2"), "{shown}");
}

#[test]
fn what_did_it_cost() {
    let env = three_sessions();
    let rows = |command: &str| run(&env, command).json()[0]["rows"].clone();
    let cost = |row: &Value| row["cost_usd"].to_string();
    let days = rows("usage --json --by day,model");
    assert_eq!(days.as_array().map(Vec::len), Some(3));
    assert_eq!((&days[0]["day"], &days[0]["model"]), (&"2026-10-05".into(), &"gpt-5.6-sol".into()));
    assert_eq!(cost(&days[0]), "0.000396");
    let sessions = rows("usage --json --by session --since 2026-11-21");
    assert_eq!(sessions[0]["title"], "write the docs");
    assert_eq!(sessions[0]["cwd"], "/home/u/work/docs");
    let repositories = rows("usage --json --by repository");
    let keys: Vec<&str> =
        repositories.as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect();
    assert!(keys.contains(&"github.com/team/shop") && keys.contains(&"/home/u/work/docs"));
    assert_eq!(rows("usage --json --by hour")[0]["hour"], "2026-10-05 23:00");
    let month = "usage --since 2026-11 --until 2026-11 --by total --format";
    let template = "{model_calls}:{total_tokens}:{cost_usd}";
    assert_eq!(run(&env, &format!("{month} {template}")).stdout, "2:214:0.000792\n");
    assert_eq!(run(&env, "list -n 1 --format {cost_usd:short}").stdout, "<$0.01\n");
}

/// A day without calls is an answer for a status line.
#[test]
fn nothing_today_is_nought() {
    let env = three_sessions();
    let run = run(&env, "usage -q --since 2027 --by total --format {total_tokens:short}");
    assert_eq!(run.stdout, "0\n");
}

#[test]
fn how_much_is_left() {
    let env = three_sessions();
    let limits = run(&env, "usage --limits --json").json()[0]["limits"].clone();
    assert_eq!(
        limits,
        serde_json::json!([{
            "limit": "codex", "window_minutes": 300, "used_percent": 12.5, "plan": "plus",
            "resets_at": "2026-11-21T12:00:00Z", "recorded_at": "2026-11-20T10:00:03.5Z",
            "over": limits[0]["over"],
        }])
    );
    assert!(run(&env, "usage --limits").stdout.contains("5h   12%"));
}

#[test]
fn which_tools_fail() {
    let env = TestEnv::new();
    let tree = testdata("tree").display().to_string();
    // By the spans that `convert` writes.
    let spans = run(&env, &format!("convert -q {tree}")).json();
    let is_call = |it: &&Value| it["type"] == "span" && it["kind"] == "tool_call";
    let calls: Vec<&Value> = spans.iter().filter(is_call).collect();
    let failed = calls.iter().filter(|span| span["status"] == "error").count();
    let rows = run(&env, &format!("usage {tree} --json --by tool")).json()[0]["rows"].clone();
    let sum = |field: &str| -> usize {
        let values = rows.as_array().unwrap().iter().map(|row| row[field].as_u64().unwrap());
        usize::try_from(values.sum::<u64>()).unwrap()
    };
    assert!(failed > 5);
    assert_eq!((sum("calls"), sum("failed")), (calls.len(), failed));
    let add = rows.as_array().unwrap().iter().find(|row| row["tool"] == "add").unwrap();
    assert_eq!(
        (&add["server"], &add["calls"], &add["failed"]),
        (&"demo".into(), &2.into(), &1.into())
    );
    let listed = run(&env, &format!("list {tree} --json --tool demo.add --failed-tools")).json();
    assert_eq!(listed.len(), 1);
    assert!(listed[0]["session_id"].as_str().unwrap().starts_with("01a1fca4"));
}

#[test]
fn one_zone_for_what_is_typed_and_what_is_printed() {
    let env = three_sessions();
    let in_zone = |args: &[&str]| {
        let mut command = env.command(args);
        env.finish(command.env("TZ", "EAST-9"))
    };
    // 23:30 in UTC is half past eight of the next day, nine hours to the east.
    let days = in_zone(&["usage", "--timezone", "local", "--until", "2026-10-06"]).stdout;
    assert!(days.starts_with("DAY (local)") && days.contains("2026-10-06"), "{days}");
    let none = in_zone(&["usage", "--timezone", "local", "--until", "2026-10-05"]);
    assert_eq!(none.stdout, "");
    let listed = in_zone(&["list", "--timezone", "local", "--reverse", "-n", "1"]).stdout;
    assert!(listed.contains("STARTED (local)") && listed.contains("2026-10-06 08:30"), "{listed}");
}

#[test]
fn a_script_gets_everything() {
    let env = three_sessions();
    let long = "x".repeat(300);
    let cwd = format!("/home/u/{long}");
    let id = "01a4ff00-0000-7000-8000-000000000004";
    let text = small_rollout(id, "2026-11-22T10:00", "tab").replace("/home/u/work/small", &cwd);
    env.write(&format!(".codex/{}", place("2026-11-22T10-00-00", id)), text);
    assert!(run(&env, "list -n 1").stdout.contains(&cwd), "nothing is cut in a pipe");
    let csv = run(&env, "list --format csv --sort started -n 2").stdout;
    let lines: Vec<&str> = csv.split("\r\n").collect();
    let names: Vec<&str> = lines[0].split(',').collect();
    let values: Vec<&str> = lines[1].split(',').collect();
    assert_eq!(names.len(), values.len());
    let value = |name: &str| values[names.iter().position(|it| *it == name).unwrap()];
    assert_eq!(
        (value("session_id"), value("cwd"), value("total_tokens")),
        (id, cwd.as_str(), "107")
    );
}

#[test]
fn hints_can_be_pasted() {
    let env = TestEnv::new();
    let id = "01a1fc00-0000-7000-8000-000000000001";
    let text = small_rollout(id, "2026-11-21T05:00", "bad").replacen('\n', "\n{\"broken\n", 1);
    env.write(&format!("my home/{}", place("2026-11-21T05-00-00", id)), text);
    for command in [
        &["usage", "--codex-home", "my home", "--since", "2026"][..],
        &["list", "my home"],
        &["show", "--codex-home", "my home", "01a1fc00"],
        &["show", "my home"],
    ] {
        let run = env.run(command);
        let hint = run.stderr.split('`').find(|part| part.starts_with("codex-trace list"));
        let hint = hint.unwrap_or_else(|| panic!("{command:?}: {}", run.stderr));
        let script = hint.replacen("codex-trace", env!("CARGO_BIN_EXE_codex-trace"), 1);
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &script]).env_clear().env("HOME", env.dir()).current_dir(env.dir());
        let pasted = env.finish(&mut shell);
        assert!(pasted.stdout.contains("bad_line: line 2"), "{hint}\n{}", pasted.stderr);
    }
}
