//! What is asked, what is sent, and what answers mean.

use serde_json::{Value, json};

use super::server::{Answer, Rule, Server, nothing};
use super::{run, upload};
use crate::testenv::{TestEnv, place, small_rollout, testdata};

const ID: &str = "019a0000-0000-7000-8000-000000000001";

/// Writes a home of one session with one turn.
fn small(env: &TestEnv, prompt: &str) -> std::path::PathBuf {
    let rollout = small_rollout(ID, "2026-03-01T10:00", prompt);
    env.write(&format!("home/{}", place("2026-03-01T10-00-00", ID)), rollout);
    env.dir().join("home")
}

fn rule(
    path: &'static str,
    answer: impl Fn(usize) -> Option<Answer> + Send + Sync + 'static,
) -> Rule {
    Box::new(move |asked, nth| if asked.path == path { answer(nth) } else { None })
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a rule gives")]
fn status(status: u16, body: &str) -> Answer {
    Some((status, String::new(), body.to_owned()))
}

#[test]
fn a_session_is_a_few_rows_in_a_project() {
    let (env, server) = (TestEnv::new(), Server::start());
    let home = small(&env, "do it");
    let run = run(&env, &server, &[&home], &["--project", "mine"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let rows = server.rows();
    let named = |name: &str| {
        rows.values().find(|row| row["span_attributes"]["name"] == name).unwrap().clone()
    };
    let (session, turn, call) = (named("codex: small"), named("turn: t-1"), named("gpt-x"));
    assert_eq!(rows.len(), 3);
    for row in rows.values() {
        assert_eq!((&row["project_id"], &row["log_id"]), (&json!("p-1"), &json!("g")));
        assert_eq!((&row["id"], &row["root_span_id"]), (&row["span_id"], &session["id"]));
    }
    assert!(server.merged().is_empty());
    assert_eq!(session["created"], "2026-03-01T10:00:00.000Z");
    assert_eq!(session["metadata"]["project"], "mine");
    assert_eq!(
        session["input"],
        json!({ "cwd": "/home/u/work/small", "model": "gpt-x", "source": "import" })
    );
    assert_eq!((&turn["input"], &turn["output"]), (&json!("do it"), &json!("done")));
    assert_eq!(turn["span_parents"], json!([session["id"]]));
    assert_eq!(turn["metadata"]["turn_span_id"], turn["id"]);
    assert_eq!(call["span_parents"], json!([turn["id"]]));
    assert_eq!(call["metadata"]["turn_span_id"], turn["id"]);
    assert_eq!(call["input"], json!([{ "role": "user", "content": "do it" }]));
    assert_eq!(call["output"], json!({ "role": "assistant", "content": "done" }));
    // 10:00:01 and 10:00:03, counted by hand.
    assert_eq!(
        (&call["metrics"]["start"], &call["metrics"]["end"]),
        (&json!(1_772_359_201.0), &json!(1_772_359_203.0))
    );
    assert_eq!(
        server.asked("/v1/project")[0].json(),
        json!({ "name": "mine", "org_name": "acme" })
    );
    assert_eq!(server.asked("/logs3")[0].headers["x-bt-org-name"], "acme");
}

#[test]
fn who_names_no_api_is_led_there() {
    let (env, server) = (TestEnv::new(), Server::start());
    let home = small(&env, "do it");
    let mut command = upload(&env, &server, &[&home], &[]);
    command.env_remove("BRAINTRUST_API_URL").env("BRAINTRUST_APP_URL", &server.url);
    let led = env.finish(&mut command);
    assert_eq!(led.code, Some(0), "{}", led.stderr);
    assert_eq!(server.rows().len(), 3);
    // Of several organisations one must be named.
    let env = TestEnv::new();
    let home = small(&env, "do it");
    let mut command = upload(&env, &server, &[&home], &[]);
    command.env_remove("BRAINTRUST_API_URL").env_remove("BRAINTRUST_ORG_NAME");
    let refused = env.finish(command.env("BRAINTRUST_APP_URL", &server.url));
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("`acme`, `other`"), "{}", refused.stderr);
}

#[test]
fn what_is_too_large_goes_round() {
    let limit = 200_000;
    let (env, server) = (TestEnv::new(), Server::with(Box::new(|_, _| None), limit, None));
    let home = small(&env, &"long ".repeat(50_000));
    let run = run(&env, &server, &[&home], &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(server.rows().len(), 3);
    let places = server.asked("/place/");
    assert_eq!(places.len(), 2, "the turn and its model call");
    for asked in places {
        assert_eq!((&*asked.method, &*asked.headers["content-type"]), ("PUT", "application/json"));
        assert_eq!(asked.headers["x-amz-meta-a"], "b");
    }
    // All else went the usual way, and nothing was refused on it.
    let usual = server.asked("/logs3").into_iter().filter(|it| it.path == "/logs3");
    assert!(usual.map(|it| it.body.len()).max().unwrap() <= limit);
}

#[test]
fn a_place_that_is_refused_costs_the_row_alone_and_is_told() {
    for path in ["/logs3/overflow", "/place/k0-250497"] {
        let rule: Rule = Box::new(move |asked, _| {
            let matches = asked.path == path
                || path.starts_with("/place") && asked.path.starts_with("/place");
            if matches { Some(status(403, "{\"error\":\"no room\"}")) } else { None }
        });
        let (env, server) = (TestEnv::new(), Server::with(rule, 200_000, None));
        let home = small(&env, &"long ".repeat(50_000));
        let run = run(&env, &server, &[&home], &[]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        assert!(run.stderr.contains("no room"), "{}", run.stderr);
        assert_eq!(server.rows().len(), 1, "the session itself");
    }
}

#[test]
fn a_server_that_takes_less_than_it_says_is_sent_less() {
    // It says 6 MiB, and takes 3 000 bytes.
    let rule: Rule = Box::new(|asked, _| {
        let large = asked.path == "/logs3" && asked.body.len() > 3_000;
        if large { Some(status(413, "{\"error\":\"too large\"}")) } else { None }
    });
    let (env, server) = (TestEnv::new(), Server::with(rule, 6 << 20, None));
    let run = run(&env, &server, &[&testdata("homes/c169")], &["--llm-input", "none"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(server.rows().len(), 8);
}

#[test]
fn trouble_is_waited_out() {
    for (code, n) in [(429, 1), (500, 2), (503, 1)] {
        let rule =
            rule("/logs3", move |nth| if nth <= n { Some(status(code, "{}")) } else { None });
        let (env, server) = (TestEnv::new(), Server::with(rule, 6 << 20, None));
        let run = run(&env, &server, &[&small(&env, "do it")], &[]);
        assert_eq!(run.code, Some(0), "{code}: {}", run.stderr);
        assert_eq!(server.rows().len(), 3, "{code}");
    }
    let cut = rule("/logs3", |nth| if nth == 1 { Some(None) } else { None });
    let (env, server) = (TestEnv::new(), Server::with(cut, 6 << 20, None));
    let run = run(&env, &server, &[&small(&env, "do it")], &[]);
    assert_eq!((run.code, server.rows().len()), (Some(0), 3), "{}", run.stderr);
}

#[test]
fn a_wrong_key_ends_the_run_and_the_next_one_goes_on() {
    let (env, server) = (TestEnv::new(), Server::start());
    let home = small(&env, "do it");
    let mut command = upload(&env, &server, &[&home], &[]);
    let wrong = env.finish(command.env("BRAINTRUST_API_KEY", "sk-wrong-0123456789"));
    assert_ne!(wrong.code, Some(0));
    assert!(wrong.stderr.contains("invalid key"), "{}", wrong.stderr);
    assert!(!wrong.stderr.contains("sk-wrong"), "{}", wrong.stderr);
    assert!(server.rows().is_empty());
    let right = run(&env, &server, &[&home], &[]);
    assert_eq!((right.code, server.rows().len()), (Some(0), 3), "{}", right.stderr);
}

/// The key is taken back in the middle: what was acknowledged is not sent again.
#[test]
fn a_key_that_goes_wrong_midway_loses_nothing() {
    let gone =
        rule(
            "/logs3",
            |nth| if nth > 1 { Some(status(401, "{\"error\":\"revoked\"}")) } else { None },
        );
    let (env, server) = (TestEnv::new(), Server::with(gone, 16_000, None));
    let home = testdata("homes/r144");
    let first = run(&env, &server, &[&home], &["--llm-input", "none"]);
    assert_ne!(first.code, Some(0));
    let some = server.rows().len();
    assert!(some < 17, "{some}");
    let good = Server::start();
    let second = run(&env, &good, &[&home], &["--llm-input", "none"]);
    assert_eq!(second.code, Some(0), "{}", second.stderr);
}

#[test]
fn what_is_there_is_not_sent_twice_and_what_has_grown_is() {
    let (env, server) = (TestEnv::new(), Server::start());
    let home = testdata("homes/c169");
    assert_eq!(run(&env, &server, &[&home], &[]).code, Some(0));
    let n = server.inserted().len();
    assert_eq!(run(&env, &server, &[&home], &[]).code, Some(0));
    assert_eq!(server.inserted().len(), n, "nothing is new");
}

/// What `bt` or a live tracer has sent is merged into: nothing of it is lost.
#[test]
fn rows_that_are_there_keep_what_we_do_not_know() {
    let (env, first) = (TestEnv::new(), Server::start());
    let home = small(&env, "do it");
    run(&env, &first, &[&home], &[]);
    let rows = first.rows();
    let session = rows.values().find(|row| row["span_parents"].is_null()).unwrap().clone();
    let turn = rows.values().find(|row| row["span_attributes"]["name"] == "turn: t-1").unwrap();
    let id = session["id"].as_str().unwrap().to_owned();
    let mut live = session.clone();
    live["metadata"]["permission_mode"] = json!("default");
    live["metadata"]["session_source"] = json!("startup");
    live["created"] = json!("2026-11-21T00:00:00Z");
    let mut live_turn = turn.clone();
    live_turn["output"] = json!("what another turn said");
    let there = json!({ "sessions": [{ "span_id": id, "root_span_id": id, "session_id": ID }] });
    let (env, server) = (TestEnv::new(), Server::with(Box::new(|_, _| None), 6 << 20, Some(there)));
    server.put(&[live, live_turn]);
    let home = small(&env, "do it");
    let run = run(&env, &server, &[&home], &["--capture", "metadata-only"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(server.merged().len(), 3);
    let rows = server.rows();
    let session = &rows[&id];
    assert_eq!(session["metadata"]["permission_mode"], "default");
    assert_eq!(session["metadata"]["session_source"], "startup");
    assert_eq!(session["created"], "2026-11-21T00:00:00Z");
    let turn = &rows[turn["id"].as_str().unwrap()];
    assert_eq!(turn["input"], "do it", "content that is not sent is not taken away");
}

/// The older plugin's ids are random: its turns are known by their own.
#[test]
fn turns_of_the_older_plugin_are_not_doubled() {
    let there = |turns: Value| {
        let sessions = json!([{ "span_id": "s-1", "root_span_id": "r-1", "session_id": ID }]);
        Some(json!({ "sessions": sessions, "turns": turns }))
    };
    let all = there(json!([{ "span_id": "s-2", "root_span_id": "r-1", "turn_id": "t-1" }]));
    let (env, server) = (TestEnv::new(), Server::with(Box::new(|_, _| None), 6 << 20, all));
    let run_all = run(&env, &server, &[&small(&env, "do it")], &[]);
    assert_eq!((run_all.code, server.rows().len()), (Some(0), 0), "{}", run_all.stderr);
    // A turn that it missed is joined to what is there.
    let none = there(json!([]));
    let (env, server) = (TestEnv::new(), Server::with(Box::new(|_, _| None), 6 << 20, none));
    let joined = run(&env, &server, &[&small(&env, "do it")], &[]);
    assert_eq!((joined.code, server.rows().len()), (Some(0), 2), "{}", joined.stderr);
    for row in server.rows().values() {
        assert_eq!(row["root_span_id"], "r-1");
    }
    let rows = server.rows();
    let turn = rows.values().find(|row| row["span_attributes"]["name"] == "turn: t-1").unwrap();
    assert_eq!(turn["span_parents"], json!(["s-1"]));
}

#[test]
fn history_is_given_as_the_user_wants_it() {
    let messages = |mode: &str| {
        let (env, server) = (TestEnv::new(), Server::start());
        let run = run(&env, &server, &[&testdata("homes/rb144")], &["--llm-input", mode]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let mut calls: Vec<Value> = server.rows().into_values().collect();
        calls.retain(|row| row["span_attributes"]["type"] == "llm");
        calls.sort_by(|a, b| {
            a["metrics"]["start"]
                .as_f64()
                .unwrap()
                .total_cmp(&b["metrics"]["start"].as_f64().unwrap())
        });
        let len = |row: &Value| row["input"].as_array().map(Vec::len);
        calls.iter().map(len).collect::<Vec<_>>()
    };
    // Of the file: four messages before the first prompt, then a prompt, a thought
    // and an answer for each turn; two turns are taken back before the last.
    assert_eq!(messages("full"), [Some(5), Some(8), Some(11), Some(8)]);
    assert_eq!(messages("none"), [None; 4]);
    assert_eq!(messages("turn"), messages("delta"), "each turn has one call");
}

/// Whatever became of the runs before, the last one ends as a single clean one.
#[test]
fn errors_and_kills_end_in_the_same_rows() {
    let homes = ["r144", "s144", "d153.0"].map(|name| testdata(&format!("homes/{name}")));
    let paths: Vec<&std::path::Path> = homes.iter().map(std::path::PathBuf::as_path).collect();
    let (env, clean) = (TestEnv::new(), Server::start());
    assert_eq!(run(&env, &clean, &paths, &[]).code, Some(0));
    let expected = clean.rows();
    assert_eq!(expected.len(), 17 + 27 + 28);

    let failing = rule("/logs3", |nth| (nth % 5 == 0).then(|| status(500, "{}")));
    let (env, server) = (TestEnv::new(), Server::with(failing, 100_000, Some(nothing())));
    let run_on = run(&env, &server, &paths, &[]);
    assert_eq!(run_on.code, Some(0), "{}", run_on.stderr);
    assert!(server.rows() == expected, "one request in five failed");

    let (env, server) =
        (TestEnv::new(), Server::with(Box::new(|_, _| None), 100_000, Some(nothing())));
    for millis in [30, 60, 90, 120, 180, 240, 360] {
        let mut child = upload(&env, &server, &paths, &["--no-redact"]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(millis));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(run(&env, &server, &paths, &[]).code, Some(0));
    assert!(server.rows() == expected, "runs were killed");
}
