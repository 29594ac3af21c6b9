//! What is too large, refused, or no longer let in: nothing counts as delivered
//! that was not acknowledged, and what was not is named.

use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use super::server::{Answer, Asked, Rule, Server, nothing};
use super::{run, upload};
use crate::testenv::{TestEnv, place, small_rollout, testdata};

const ID: &str = "019a0000-0000-7000-8000-000000000001";

/// Writes a home of one session with one turn, which asks for 250 000 bytes.
fn large(env: &TestEnv) -> std::path::PathBuf {
    let rollout = small_rollout(ID, "2026-03-01T10:00", &"long ".repeat(50_000));
    env.write(&format!("home/{}", place("2026-03-01T10-00-00", ID)), rollout);
    env.dir().join("home")
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a rule gives")]
fn answer(status: u16, body: &Value) -> Answer {
    Some((status, String::new(), body.to_string()))
}

fn is_overflow(asked: &Asked) -> bool {
    asked.path == "/logs3" && asked.json()["rows"]["type"] == "logs3_overflow"
}

/// Splits a form into its parts: what is said of each, and what it holds.
fn parts(asked: &Asked) -> Vec<(String, Vec<u8>)> {
    let kind = &asked.headers["content-type"];
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let body = String::from_utf8(asked.body.clone()).unwrap();
    let body = body.strip_suffix(&format!("--{boundary}--\r\n")).unwrap();
    let part = |part: &str| {
        let (head, content) = part.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), content.strip_suffix("\r\n").unwrap().as_bytes().to_vec())
    };
    body.split(&format!("--{boundary}\r\n")).skip(1).map(part).collect()
}

/// The other way that the service may name: signed by fields of a form, as S3
/// takes it.
#[test]
fn a_place_that_takes_a_form_gets_one() {
    let url: Arc<OnceLock<String>> = Arc::default();
    let of_rule = Arc::clone(&url);
    let rule: Rule = Box::new(move |asked, nth| match &*asked.path {
        "/logs3/overflow" => Some(answer(
            200,
            &json!({
                "method": "POST",
                "signedUrl": format!("{}/form", of_rule.get().unwrap()),
                "headers": { "Content-Type": "text/plain", "x-a": "b" },
                "fields": { "key": format!("k{nth}"), "policy": "p+/=", "Content-Type": "application/json" },
                "key": format!("k{nth}"),
            }),
        )),
        "/form" => Some(answer(204, &Value::Null)),
        _ if is_overflow(asked) => Some(answer(200, &json!({ "ids": [] }))),
        _ => None,
    });
    let (env, server) = (TestEnv::new(), Server::with(rule, 200_000, None));
    url.set(server.url.clone()).unwrap();
    let run = run(&env, &server, &[&large(&env)], &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let forms = server.asked("/form");
    let questions = server.asked("/logs3/overflow");
    let sent: Vec<Asked> = server.asked("/logs3").into_iter().filter(is_overflow).collect();
    assert_eq!((forms.len(), questions.len(), sent.len()), (2, 2, 2), "a turn and its call");
    let mut names = Vec::new();
    for form in &forms {
        assert!(!form.headers.contains_key("authorization"), "the key is not for this place");
        assert_eq!(form.headers["x-a"], "b");
        let parts = parts(form);
        let (file, fields) = parts.split_last().unwrap();
        let field = |name: &str| {
            let head = format!("Content-Disposition: form-data; name=\"{name}\"");
            let found = fields.iter().find(|(it, _)| *it == head);
            String::from_utf8(found.unwrap_or_else(|| panic!("{name}: {fields:?}")).1.clone())
                .unwrap()
        };
        assert_eq!(
            (field("policy"), field("Content-Type")),
            ("p+/=".into(), "application/json".into())
        );
        assert!(
            file.0.contains("name=\"file\"") && file.0.ends_with("Content-Type: application/json")
        );
        let rows: Value = serde_json::from_slice(&file.1).unwrap();
        assert_eq!((&rows["api_version"], rows["rows"].as_array().unwrap().len()), (&json!(2), 1));
        names.push(rows["rows"][0]["span_attributes"]["name"].as_str().unwrap().to_owned());
        let size = json!(file.1.len());
        let asked = questions.iter().map(Asked::json).find(|it| it["size_bytes"] == size).unwrap();
        assert_eq!(asked["rows"][0]["input_row"]["byte_size"], size);
        assert_eq!(asked["rows"][0]["object_ids"], json!({ "project_id": "p-1", "log_id": "g" }));
        let key = field("key");
        assert!(sent.iter().any(|it| it.json()["rows"]["key"] == key.as_str()), "{key}");
    }
    names.sort();
    assert_eq!(names, ["gpt-x", "turn: t-1"]);
}

/// Older servers know no other way, and no request is large enough.
#[test]
fn a_text_that_fits_nowhere_is_refused_by_name_and_costs_nothing_else() {
    let newer = Arc::new(OnceLock::new());
    let of_rule = Arc::clone(&newer);
    let rule: Rule = Box::new(move |asked, _| {
        let refuses = asked.path == "/logs3/overflow" && of_rule.get().is_none();
        refuses.then(|| answer(404, &json!({ "error": "no such path" })))
    });
    let (env, server) = (TestEnv::new(), Server::with(rule, 200_000, None));
    let home = large(&env);
    let other = small_rollout("019a0000-0000-7000-8000-000000000002", "2026-03-02T10:00", "short");
    let other_at = place("2026-03-02T10-00-00", "019a0000-0000-7000-8000-000000000002");
    env.write(&format!("home/{other_at}"), other);
    let refused = run(&env, &server, &[&home], &["--json"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert_eq!(server.rows().len(), 3 + 1, "the other session, and the row of this one");
    let letters = env.dir().join(".local/state/codex-trace/dead-letters-braintrust.jsonl");
    let letters =
        std::fs::read_to_string(&letters).unwrap_or_else(|err| panic!("{err}: {letters:?}"));
    for line in letters.lines() {
        let letter: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (&letter["thread_id"], &letter["turn"]),
            (&json!(ID), &json!("turn:t-1")),
            "{line}"
        );
        assert!(line.contains("no such path"), "{line}");
    }
    assert!(!letters.is_empty());
    // Where there is another way, the next run sends what is missing.
    newer.set(()).unwrap();
    let second = run(&env, &server, &[&home], &[]);
    assert_eq!((second.code, server.rows().len()), (Some(0), 6), "{}", second.stderr);
}

/// An answer that makes no sense is not "nothing": what a live tracer elsewhere
/// has sent stays.
#[test]
fn an_answer_that_makes_no_sense_empties_nothing() {
    for (body, merges) in [
        (json!({ "rows": [] }), true),
        (json!({ "data": [{ "metadata": { "session_id": ID } }] }), true),
        (json!({ "data": [] }), false),
    ] {
        let answered = body.clone();
        let rule: Rule =
            Box::new(move |asked, _| (asked.path == "/btql").then(|| answer(200, &answered)));
        let (env, server) = (TestEnv::new(), Server::with(rule, 6 << 20, None));
        let rollout = small_rollout(ID, "2026-03-01T10:00", "do it");
        env.write(&format!("home/{}", place("2026-03-01T10-00-00", ID)), rollout);
        let home = env.dir().join("home");
        let run = run(&env, &server, &[&home], &["--user", "ada"]);
        assert_eq!(run.code, Some(0), "{body}: {}", run.stderr);
        let (merged, inserted) = (server.merged().len(), server.inserted().len());
        assert_eq!((merged, inserted), if merges { (3, 0) } else { (0, 3) }, "{body}");
        let rows = server.rows();
        let session = rows.values().find(|row| row["span_parents"].is_null()).unwrap();
        assert_eq!(session["metadata"]["username"], "ada", "{body}");
        let said = session["metadata"].get("session_source").is_some();
        assert_eq!(said, !merges, "{body}: what a live tracer would know better");
    }
}

/// The key is taken back in the middle of a run: what was acknowledged is known,
/// what was not is sent by the next run, and nothing twice.
#[test]
fn a_key_that_is_taken_back_midway_leaves_a_true_ledger() {
    let homes = ["r144", "s144", "d153.0"].map(|name| testdata(&format!("homes/{name}")));
    let paths: Vec<&std::path::Path> = homes.iter().map(std::path::PathBuf::as_path).collect();
    let (env, clean) = (TestEnv::new(), Server::start());
    assert_eq!(run(&env, &clean, &paths, &[]).code, Some(0));
    let expected = clean.rows();

    for status in [401, 403] {
        let taken_back = Arc::new(OnceLock::new());
        let of_rule = Arc::clone(&taken_back);
        let rule: Rule = Box::new(move |asked, nth| {
            let refuses = nth > 3 && of_rule.get().is_none();
            let refuses = asked.path == "/logs3" && refuses;
            refuses.then(|| answer(status, &json!({ "error": "the key was revoked" })))
        });
        let (env, server) = (TestEnv::new(), Server::with(rule, 100_000, Some(nothing())));
        let more = ["--senders", "1", "--json"];
        let first = run(&env, &server, &paths, &more);
        assert_eq!(first.code, Some(1), "{}", first.stderr);
        assert!(first.stderr.contains("the key was revoked"), "{}", first.stderr);
        let some = server.inserted();
        assert!(!some.is_empty() && some.len() < expected.len(), "{}", some.len());
        let asked = server.asked("/logs3").len();
        assert!(asked <= 3 + 2, "{asked}: it is not tried again and again");
        taken_back.set(()).unwrap();
        let second = run(&env, &server, &paths, &more);
        assert_eq!(second.code, Some(0), "{}", second.stderr);
        assert!(server.rows() == expected, "all is there");
        // A unit of which a part was acknowledged is sent anew; no other is.
        let again = server.inserted().len() - expected.len();
        assert!(again < some.len(), "{again} of {} rows came twice", some.len());
        let third = run(&env, &server, &paths, &more);
        assert_eq!(third.code, Some(0), "{}", third.stderr);
        assert_eq!(server.inserted().len(), expected.len() + again, "nothing is left to send");
    }
}

/// A login that nobody but `bt` can use is no key; the way out is told.
#[test]
fn a_profile_without_a_key_is_refused_with_the_way_out() {
    for (kind, kept) in [("oauth", "by OAuth"), ("api_key", "in the system's store")] {
        let (env, server) = (TestEnv::new(), Server::start());
        let login = json!({ "auth_kind": kind, "app_url": server.url, "api_url": server.url,
            "oauth_client_id": "c", "org_name": "acme" });
        let profiles = json!({ "profiles": { "work": login } });
        env.write(".config/bt/auth.json", profiles.to_string());
        let mut command = upload(&env, &server, &[&large(&env)], &[]);
        command.env_remove("BRAINTRUST_API_KEY").env_remove("BRAINTRUST_API_URL");
        let refused = env.finish(&mut command);
        assert_eq!(refused.code, Some(2), "{kind}: {}", refused.stderr);
        for words in ["`work`", kept, "BRAINTRUST_API_KEY"] {
            assert!(refused.stderr.contains(words), "{kind}, {words}: {}", refused.stderr);
        }
        let doctor = env.run(&["doctor", "--to", "braintrust"]);
        assert!(doctor.stdout.contains(kept), "{kind}: {}", doctor.stdout);
        assert!(server.asked("").is_empty(), "nobody is asked without a key");
        // With a key from elsewhere, the profile still says where to.
        command.env("BRAINTRUST_API_KEY", "sk-test-0123456789");
        let run = env.finish(&mut command);
        assert_eq!((run.code, server.rows().len()), (Some(0), 3), "{kind}: {}", run.stderr);
    }
}

/// Name, answers, settings, whether at the login address, exit code, state, detail.
type Case = (
    &'static str,
    Rule,
    &'static [(&'static str, &'static str)],
    bool,
    i32,
    &'static str,
    &'static str,
);

/// What `doctor --connect` finds, and that it makes nothing.
#[test]
fn a_doctor_tells_what_is_wrong_and_makes_nothing() {
    let ask = |rule: Rule, vars: &[(&str, &str)], at_app: bool| {
        let (env, server) = (TestEnv::new(), Server::with(rule, 6 << 20, None));
        let at = if at_app { "BRAINTRUST_APP_URL" } else { "BRAINTRUST_API_URL" };
        let rollout = small_rollout(ID, "2026-03-01T10:00", "do it");
        env.write(&format!(".codex/{}", place("2026-03-01T10-00-00", ID)), rollout);
        let args = ["doctor", "--json", "--connect", "--to", "braintrust"];
        let mut command = env.command(&args);
        command.env("BRAINTRUST_API_KEY", "sk-test-0123456789").env(at, &server.url);
        let run = env.finish(command.envs(vars.iter().copied()));
        let made =
            server.asked("").iter().any(|it| it.method == "POST" && !it.path.contains("login"));
        assert!(!made, "nothing is made");
        let connect = run.json().last().unwrap()["connect"][0].clone();
        let text = |key: &str| connect[key].as_str().unwrap_or_default().to_owned();
        (run.code, text("state"), text("detail"))
    };
    let all = |status: u16, body: &'static str| -> Rule {
        Box::new(move |_, _| Some(Some((status, String::new(), body.to_owned()))))
    };
    let well = || -> Rule { Box::new(|_, _| None) };
    #[rustfmt::skip]
    let cases: Vec<Case> = vec![
        ("all is well",         well(),               &[("BRAINTRUST_PROJECT", "new")], false, 0, "reachable",   "the project `new` will be made"),
        ("the project is there", Box::new(|asked, _| asked.path.starts_with("/v1/project").then(|| answer(200, &json!({ "objects": [{ "id": "p" }] })))),
                                                      &[],                              false, 0, "reachable",   ""),
        ("no such project",     Box::new(|asked, _| asked.path.starts_with("/v1/project").then(|| answer(404, &json!({ "error": "no project" })))),
                                                      &[("BRAINTRUST_PROJECT_ID", "p")], false, 1, "failed",     "no project"),
        ("another key",         well(),               &[("BRAINTRUST_API_KEY", "sk-other-0123456789")], false, 1, "key-refused", "invalid key"),
        ("a page",              all(200, "<html>"),   &[],                              false, 1, "wrong-path",  ""),
        ("another server",      all(404, "no"),       &[],                              false, 1, "wrong-path",  ""),
        ("a broken server",     all(500, "down"),     &[],                              false, 1, "failed",      "down"),
        ("the login address",   well(),               &[("BRAINTRUST_ORG_NAME", "acme")], true, 0, "reachable",  "the API is at http://127.0.0.1"),
        ("another organisation", well(),              &[("BRAINTRUST_ORG_NAME", "no")], true,  1, "failed",      ""),
        ("another key there",   well(),               &[("BRAINTRUST_API_KEY", "sk-other-0123456789")], true, 1, "key-refused", ""),
    ];
    for (why, rule, vars, at_app, code, state, detail) in cases {
        let (found_code, found_state, found_detail) = ask(rule, vars, at_app);
        assert_eq!((found_code, &*found_state), (Some(code), state), "{why}: {found_detail}");
        assert!(found_detail.contains(detail), "{why}: {found_detail}");
    }
}
