use codex_rollout::Source;
use codex_trace_model::{RolloutInput, resolve};
use serde_json::{Value, json};

use super::*;

/// The row of a session whose first line and one token count have this in them.
fn row_of(git: &str, limits: &str) -> Value {
    let text = format!(
        r#"{{"timestamp":"2026-01-02T03:04:05.000Z","type":"session_meta","payload":{{"id":"t1","timestamp":"2026-01-02T03:04:05.000Z","cwd":"/w","git":{{"repository_url":"{git}"}}}}}}
{{"timestamp":"2026-01-02T03:04:06.000Z","type":"event_msg","payload":{{"type":"task_started","turn_id":"a"}}}}
{{"timestamp":"2026-01-02T03:04:07.000Z","type":"event_msg","payload":{{"type":"token_count","info":null,"rate_limits":{limits}}}}}
"#
    );
    let source = Source::from_bytes(text.into_bytes());
    let trace = resolve(&[RolloutInput::new("a.jsonl", "t1", &source)]);
    let mut out = Vec::new();
    row(&trace, &Options::new(Amount::Short, None, None), &mut out);
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn a_repository_is_one_however_it_was_cloned() {
    for address in [
        "https://github.com/o/r.git",
        "https://user:key@github.com/o/r",
        "git@github.com:o/r.git",
        "ssh://git@github.com/o/r/",
    ] {
        assert_eq!(row_of(address, "null")["repo"], "github.com/o/r", "{address}");
    }
    assert_eq!(row_of("/srv/git/r.git", "null")["repo"], "/srv/git/r");
}

/// Every form that was recorded: flat (0.40), nested, one of two, none.
#[test]
fn rate_limits_of_every_era() {
    let at = 1_767_323_047_000_i64;
    for (recorded, expected) in [
        (
            r#"{"primary_used_percent":12.5,"secondary_used_percent":3,"primary_window_minutes":300,"secondary_window_minutes":10080}"#,
            json!([[at, 300, 12.5], [at, 10_080, 3]]),
        ),
        (
            r#"{"primary":{"used_percent":26.0,"window_minutes":300,"resets_at":1},"secondary":null}"#,
            json!([[at, 300, 26]]),
        ),
        (r#"{"primary":{"used_percent":null,"window_minutes":300},"secondary":null}"#, Value::Null),
        (r#"{"primary":"x"}"#, Value::Null),
    ] {
        assert_eq!(row_of("x", recorded)["limits"], expected, "{recorded}");
    }
}
