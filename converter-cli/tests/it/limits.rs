//! Which sessions tell how things stand with the rate limits.

use std::fs::File;
use std::time::{Duration, SystemTime};

use crate::testenv::{TestEnv, place, small_rollout};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Writes a session that was started, and last written to, so many days ago;
/// with limits, of which so much is used.
fn session(env: &TestEnv, nth: u32, started: &str, written: u32, used: Option<f64>) {
    let id = format!("019a0000-0000-7000-8000-{nth:012}");
    let mut text = small_rollout(&id, &format!("{started}T10:00"), "hello");
    if let Some(used) = used {
        let limits = format!(
            r#""rate_limits":{{"limit_id":"codex","primary":{{"used_percent":{used},"window_minutes":300,"resets_at":1790697271}}}},"info""#
        );
        text = text.replace("\"info\"", &limits);
    }
    let path = env.write(&format!(".codex/{}", place(&format!("{started}T10-00-00"), &id)), text);
    let at = SystemTime::now() - DAY * written;
    File::options().write(true).open(path).expect("a file").set_modified(at).expect("a time");
}

fn used(env: &TestEnv) -> Option<f64> {
    let run = env.run(&["usage", "--limits", "--json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.json()[0]["limits"][0]["used_percent"].as_f64()
}

#[test]
fn old_limits_are_shown_if_there_are_no_newer_ones() {
    let env = TestEnv::new();
    session(&env, 1, "2026-01-01", 60, Some(12.5));
    session(&env, 2, "2026-03-01", 1, None);
    assert_eq!(used(&env), Some(12.5));
}

/// A copy may have any time of writing: the newest record counts.
#[test]
fn a_file_that_seems_old_is_not_older_than_its_thread() {
    let env = TestEnv::new();
    session(&env, 1, "2026-03-02", 10_000, Some(80.0));
    session(&env, 2, "2026-03-01", 10_000, Some(20.0));
    session(&env, 3, "2025-11-01", 10_000, Some(5.0));
    assert_eq!(used(&env), Some(80.0));
}
