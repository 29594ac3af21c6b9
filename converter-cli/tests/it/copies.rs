//! Several files of one rollout: every command reads the same of them.

use serde_json::{Value, json};

use crate::testenv::{Run, TestEnv, small_rollout};

const ID: &str = "01a1fc00-0000-7000-8000-000000000001";

/// The rollout of one turn, then another turn of the id at a minute.
fn continued(turn: &str, minute: u32, total: u32) -> String {
    let at = format!("2026-11-20T06:{minute:02}");
    let more = small_rollout(ID, &at, turn)
        .replace("t-1", turn)
        .replace(
            r#""total_token_usage":{"input_tokens":100"#,
            &format!(r#""total_token_usage":{{"input_tokens":{}"#, total - 7),
        )
        .replacen(r#""total_tokens":107"#, &format!(r#""total_tokens":{total}"#), 1);
    let own = more.split_once('\n').expect("lines").1;
    small_rollout(ID, "2026-11-20T05:00", "common") + own
}

fn name() -> String {
    format!("sessions/2026/11/20/rollout-2026-11-20T05-00-00-{ID}.jsonl")
}

#[test]
fn every_command_reads_both_rests_in_any_order_of_the_homes() {
    let env = TestEnv::new();
    env.write(&format!("laptop/{}", name()), continued("t-2", 1, 214));
    env.write(&format!("desktop/{}", name()), continued("t-3", 2, 214));
    let mut seen: Vec<[String; 4]> = Vec::new();
    for paths in [&["laptop", "desktop"][..], &["desktop", "laptop"], &["."]] {
        let run = |args: &[&str]| -> Run { env.run(&[args, paths].concat()) };
        let mut usage = run(&["usage", "--json"]).json()[0]["total"].clone();
        // The model is made up.
        assert_eq!(usage.as_object_mut().unwrap().remove("unpriced_tokens"), Some(json!(321)));
        assert_eq!((&usage["model_calls"], &usage["total_tokens"]), (&json!(3), &json!(321)));
        let list = &run(&["list", "--json"]).json()[0];
        assert_eq!((&list["turns"], &list["usage"]), (&json!(3), &usage));
        assert_eq!(list["files"].as_array().unwrap().len(), 2);
        let convert = run(&["convert"]);
        assert!(convert.stderr.contains("1 diverged"), "{}", convert.stderr);
        let lines = convert.json();
        let keys: Vec<&Value> = lines.iter().filter_map(|it| it.get("key")).collect();
        let turns: Vec<_> =
            keys.iter().filter_map(|it| it.as_str()?.strip_prefix("turn:")).collect();
        assert_eq!(turns, ["t-1", "t-2", "t-3"]);
        let dry = run(&[
            "upload",
            "--to",
            "otlp",
            "--endpoint",
            "http://localhost:1",
            "--dry-run",
            "--json",
            "--settle",
            "0s",
        ]);
        assert_eq!(dry.json().last().unwrap()["turns"]["sent"], 3, "{}", dry.stdout);
        // Below one directory the paths themselves are others.
        let same = |run: &Run| run.stdout.replace("./", "");
        seen.push([
            usage.to_string(),
            list.to_string().replace("./", ""),
            same(&convert),
            String::new(),
        ]);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
}

#[test]
fn the_longer_of_two_is_read_in_silence_and_counted_when_asked() {
    let env = TestEnv::new();
    env.write(&format!(".codex/{}", name()), small_rollout(ID, "2026-11-20T05:00", "common"));
    let whole = format!(".codex/archived_sessions/rollout-2026-11-20T05-00-00-{ID}.jsonl");
    env.write(&whole, continued("t-2", 1, 214));
    let list = env.run(&["list", "--json"]);
    assert_eq!((list.code, list.stderr.as_str()), (Some(0), ""));
    let row = &list.json()[0];
    assert_eq!((&row["turns"], &row["files"]), (&json!(2), &json!([format!("[DIR]/{whole}")])));
    assert_eq!(row["copies"], json!([format!("[DIR]/.codex/{}", name())]));
    let told = env.run(&["list", "-v"]).stderr;
    assert!(told.contains("left out 1 file of which others have the whole content"), "{told}");
}
