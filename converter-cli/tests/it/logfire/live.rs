//! Turns that the live exporter has sent: left alone, or completed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::time::{Duration, UNIX_EPOCH};

use opentelemetry_proto::tonic::trace::v1::Span;
use sha2::{Digest, Sha256};

use super::run;
use super::server::{Server, hex, sum, text};
use crate::testenv::{TestEnv, place, small_rollout, testdata};

/// The session of `golden/e2e/spawn`, and its one turn of the root thread.
const SESSION: &str = "01a1fcb7-ae10-7df2-b727-4cf1deed9574";
const TURN: &str = "01a1fcb7-ae40-72c2-b29e-5757570ab117";

const STATE: &str = ".local/state/logfire-exporter";

/// Where the exporter keeps a session.
fn session_file() -> String {
    let name = hex(&Sha256::digest(SESSION));
    format!("{STATE}/sessions/{name}.json")
}

fn names(spans: &BTreeMap<String, Span>) -> Vec<&str> {
    let mut names: Vec<&str> = spans.values().map(|span| &*span.name).collect();
    names.sort_unstable();
    names
}

#[test]
fn turns_that_were_sent_live_are_skipped_and_completed_if_asked_for() {
    let home = testdata("golden/e2e/spawn/rollouts");
    let (env, server) = (TestEnv::new(), Server::start());
    assert_eq!(run(&env, &server, &[&home], &[]).code, Some(0));
    let whole = server.spans();
    // truth.json: 5 000 tokens of input; the exporter's recording has 3 800.
    assert_eq!(sum(whole.values(), "gen_ai.usage.input_tokens"), 5_000);

    // A minute after 1970 began is before the turn.
    let of_0_1_0 =
        (session_file(), format!(r#"{{"session_id":"{SESSION}","started_at_ns":60000000000}}"#));
    let of_0_2_0 = (
        format!("{STATE}/logs/logfire-exporter.log"),
        format!("2026-11-21T06:08:00+00:00 exported session={SESSION} turn={TURN} spans=1\n"),
    );
    let tools = ["codex tool collaborationspawn_agent", "codex tool collaborationwait_agent"];
    for ((path, text), left, counted) in [
        (
            of_0_1_0,
            &[
                "codex tool collaborationspawn_agent",
                "codex tool collaborationwait_agent",
                "codex turn",
            ][..],
            1_200,
        ),
        (of_0_2_0, &["codex turn"], 0),
    ] {
        let (env, server) = (TestEnv::new(), Server::start());
        env.write(&path, &text);
        let skipped = run(&env, &server, &[&home], &["--json"]);
        assert_eq!(skipped.code, Some(0), "{path}: {}", skipped.stderr);
        assert!(server.spans().is_empty(), "{path}");
        let all = format!("{}{}", skipped.stdout, skipped.stderr);
        assert!(all.contains("live"), "it is said why: {all}");

        let added = run(&env, &server, &[&home], &["--add-missing"]);
        assert_eq!(added.code, Some(0), "{path}: {}", added.stderr);
        let spans = server.spans();
        assert!(spans.iter().all(|(id, span)| whole[id].name == span.name), "{path}");
        let missing: BTreeMap<String, Span> = whole
            .iter()
            .filter(|(id, _)| !spans.contains_key(*id))
            .map(|(id, span)| (id.clone(), span.clone()))
            .collect();
        assert_eq!(names(&missing), left, "{path}");
        assert_eq!(sum(spans.values(), "gen_ai.usage.input_tokens"), counted, "{path}");
        assert_eq!(sum(spans.values(), "codex.usage.input_tokens"), 5_000 - counted, "{path}");
        assert_eq!(
            tools.iter().filter(|it| names(&spans).contains(it)).count(),
            2 * usize::from(counted == 0)
        );

        let taken = server.taken();
        let again = run(&env, &server, &[&home], &["--add-missing"]);
        assert_eq!((again.code, server.taken()), (Some(0), taken), "{path}: nothing twice");
    }
}

/// Release 0.2.0 without its log leaves nothing but directories.
#[test]
#[expect(clippy::print_stderr, reason = "a test says why it has tested nothing")]
fn turns_of_a_time_at_which_the_exporter_was_at_work_are_skipped() {
    let (env, server) = (TestEnv::new(), Server::start());
    let turns = env.dir().join(STATE).join("turns");
    fs::create_dir_all(&turns).unwrap();
    let Ok(made) = fs::metadata(&turns).unwrap().created() else {
        eprintln!("skipped: this disk does not keep when a directory was made");
        return;
    };
    let hour = Duration::from_secs(3_600);
    File::open(&turns).unwrap().set_modified(made + hour).unwrap();
    let id_at = |at: Duration| {
        let digits = format!("{:012x}", at.as_millis());
        format!("{}-{}-7000-8000-000000000001", &digits[..8], &digits[8..])
    };
    let made = made.duration_since(UNIX_EPOCH).unwrap();
    let [before, during, after] =
        [made.saturating_sub(hour), made + hour / 2, made + hour * 2].map(id_at);
    let mut nth = 0;
    let mut session = |turn: &str, is_done: bool| {
        nth += 1;
        let id = format!("019a0000-0000-7000-8000-00000000000{nth}");
        let mut rollout = small_rollout(&id, "2026-03-01T10:00", turn).replace("t-1", turn);
        if !is_done {
            rollout = rollout.replace("task_complete", "turn_aborted");
        }
        env.write(&format!("home/{}", place("2026-03-01T10-00-00", &id)), rollout);
    };
    session(&before, true);
    session(&during, true);
    session(&during.replace("000000000001", "000000000002"), false);
    session(&after, true);
    let home = env.dir().join("home");
    let run_it = run(&env, &server, &[&home], &[]);
    assert_eq!(run_it.code, Some(0), "{}", run_it.stderr);
    let prompts: Vec<String> = server
        .spans()
        .values()
        .filter_map(|span| text(span, "codex.prompt").map(str::to_owned))
        .collect();
    let has = |turn: &str| prompts.iter().any(|it| it == turn);
    assert!(has(&before) && has(&after), "{prompts:?}");
    assert!(has(&during.replace("000000000001", "000000000002")), "no hook tells of an interrupt");
    assert!(!has(&during), "it was sent live: {prompts:?}");

    // Whoever knows better names another directory, before it was decided.
    let more = ["--no-redact", "--state-dir", "other"];
    let mut command = super::upload(&env, &server, &[&home], &more);
    let all = env.finish(command.env("CODEX_LOGFIRE_STATE_DIR", env.dir().join("empty")));
    assert_eq!(all.code, Some(0), "{}", all.stderr);
    assert!(server.spans().values().any(|span| text(span, "codex.prompt") == Some(&during)));
}
