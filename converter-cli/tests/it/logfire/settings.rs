//! Which project it goes to, by whose token, and how.

use std::fs;

use serde_json::{Value, json};

use super::server::{Rule, Server, TOKEN, hex, spans_of, text};
use super::{run, upload};
use crate::testenv::{TestEnv, place, small_rollout, testdata};

const ID: &str = "019a0000-0000-7000-8000-000000000001";

fn home(env: &TestEnv) -> std::path::PathBuf {
    let rollout = small_rollout(ID, "2026-03-01T10:00", "do it");
    env.write(&format!("home/{}", place("2026-03-01T10-00-00", ID)), rollout);
    env.dir().join("home")
}

#[test]
fn a_token_of_another_project_is_refused_before_anything_is_sent() {
    let (env, server) = (TestEnv::new(), Server::start());
    let home = home(&env);
    let other = run(&env, &server, &[&home], &["--project", "theirs"]);
    assert_eq!(other.code, Some(2), "{}", other.stderr);
    for words in ["the project `mine`", "not for `theirs`"] {
        assert!(other.stderr.contains(words), "{}", other.stderr);
    }
    assert!(server.asked("/v1/traces").is_empty());
    let own = run(&env, &server, &[&home], &["--project", "mine"]);
    assert_eq!((own.code, server.spans().len()), (Some(0), 2), "{}", own.stderr);
    let info = &server.asked("/v1/info")[0];
    assert_eq!(info.headers["authorization"], TOKEN);
}

/// A wrong token is not an empty project.
#[test]
fn a_wrong_token_is_refused_before_anything_is_sent() {
    let (env, server) = (TestEnv::new(), Server::start());
    let mut command = upload(&env, &server, &[&home(&env)], &[]);
    let refused = env.finish(command.env("LOGFIRE_TOKEN", "pylf_v1_local_other9876543210"));
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("the token is refused"), "{}", refused.stderr);
    assert!(refused.stderr.contains("LOGFIRE_TOKEN") && !refused.stderr.contains("other98"));
    assert!(server.asked("/v1/traces").is_empty());
}

/// A key goes only where it was meant to: none of one origin meets a place of
/// another.
#[test]
fn tokens_and_places_of_different_origins_never_meet() {
    // A flag, and a token that is set beside another place.
    let (env, server) = (TestEnv::new(), Server::start());
    let home = home(&env);
    let mut command = upload(&env, &server, &[&home], &["--endpoint", &server.url]);
    let refused = env.finish(command.env("LOGFIRE_BASE_URL", "http://127.0.0.1:9"));
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("http://127.0.0.1:9"), "{}", refused.stderr);

    // The exporter's file names token and place; a flag leads elsewhere.
    let file = format!("LOGFIRE_TOKEN={TOKEN}\nLOGFIRE_BASE_URL=http://127.0.0.1:9\n");
    let path = ".config/logfire-exporter/config.env";
    env.write(path, file);
    let args = ["upload", "--to", "logfire", "--settle", "0s", "home"];
    let refused = env.run(&[&args[..], &["--endpoint", &server.url]].concat());
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("config.env"), "{}", refused.stderr);
    fs::remove_file(env.dir().join(path)).unwrap();

    // What came with a project names a place: no token of the user's goes there.
    let credentials = json!({ "token": "pylf_v1_local_theirs0123456789", "project_name": "p", "logfire_api_url": server.url });
    env.write("repo/.logfire/logfire_credentials.json", credentials.to_string());
    let there = |more: &[&str], token: Option<&str>| {
        let args = ["upload", "--to", "logfire", "--settle", "0s", "../home", "--dry-run"];
        let mut command = env.command(&[&args[..], more].concat());
        command.current_dir(env.dir().join("repo"));
        env.finish(command.envs(token.map(|token| ("LOGFIRE_TOKEN", token))))
    };
    let unfollowed = there(&[], Some(TOKEN));
    assert!(unfollowed.stderr.contains("is not followed"), "{}", unfollowed.stderr);
    let trusted = there(&["--trust-project"], Some(TOKEN));
    assert_eq!(trusted.code, Some(2), "{}", trusted.stderr);
    assert!(trusted.stderr.contains("`LOGFIRE_TOKEN`"), "{}", trusted.stderr);
    assert_eq!(there(&["--trust-project"], None).code, Some(0), "both from one file");

    // A table with a place of its own takes nothing from the environment.
    let table = format!("[destinations.l]\nbackend = 'logfire'\nendpoint = '{}'\n", server.url);
    env.write("c.toml", table);
    let args = ["upload", "--config", "c.toml", "--to", "l", "--settle", "0s", "home"];
    let mut command = env.command(&args);
    let bare = env.finish(command.env("LOGFIRE_TOKEN", TOKEN));
    assert_ne!(bare.code, Some(0), "{}", bare.stderr);
    assert!(server.asked("/v1/traces").is_empty(), "nothing was sent anywhere");
    let came = server.asked("/v1/info");
    assert!(came.iter().all(|it| !it.headers.contains_key("authorization")), "{came:?}");
}

/// JSON, where it is wanted, says what protobuf says.
#[test]
fn spans_go_as_json_if_wanted() {
    let (env, server) = (TestEnv::new(), Server::start());
    let table = format!(
        "[destinations.l]\nbackend = 'logfire'\nendpoint = '{}'\nkey = {{ env = 'K' }}\nprotocol = 'http/json'\n",
        server.url
    );
    env.write("c.toml", table);
    let home = testdata("golden/e2e/exec/rollouts");
    let args = ["upload", "--config", "c.toml", "--to", "l", "--settle", "0s", "--no-redact"];
    let args = [&args[..], &[home.to_str().unwrap()]].concat();
    let as_json = env.finish(env.command(&args).env("K", TOKEN));
    assert_eq!(as_json.code, Some(0), "{}", as_json.stderr);
    let requests = server.asked("/v1/traces");
    let mut of_json: Vec<(String, String)> = Vec::new();
    for request in &requests {
        assert_eq!(request.headers["content-type"], "application/json");
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let resources = body["resourceSpans"].as_array().unwrap();
        let scopes = resources.iter().flat_map(|it| it["scopeSpans"].as_array().unwrap());
        for span in scopes.flat_map(|it| it["spans"].as_array().unwrap()) {
            let text = |key: &str| span[key].as_str().unwrap().to_owned();
            of_json.push((text("spanId"), text("name")));
        }
    }
    let env = TestEnv::new();
    let proto = Server::start();
    assert_eq!(run(&env, &proto, &[&home], &[]).code, Some(0));
    let mut of_proto: Vec<(String, String)> = Vec::new();
    for request in proto.asked("/v1/traces") {
        assert_eq!(request.headers["content-type"], "application/x-protobuf");
        assert_eq!(request.headers["content-encoding"], "gzip");
        for span in spans_of(&request.body) {
            of_proto.push((hex(&span.span_id), span.name));
        }
    }
    of_json.sort();
    of_proto.sort();
    assert_eq!(of_json, of_proto);
    assert!(of_json.len() > 4, "{of_json:?}");
}

/// The hosted service drops what is older than a day: that is told, and held
/// back, before anything is sent; moved, a session ends now and keeps its times.
#[test]
fn what_is_older_than_a_day_is_held_back_or_moved() {
    let env = TestEnv::new();
    let home = home(&env);
    let home = home.to_str().unwrap();
    let hosted = |more: &[&str]| {
        let args = ["upload", "--to", "logfire", "--settle", "0s", home, "--no-redact"];
        let more = [more, &["--compress", "none"]].concat();
        let mut command = env.command(&[&args[..], &more].concat());
        env.finish(command.env("LOGFIRE_TOKEN", "pylf_v1_eu_0123456789abcdef"))
    };
    let held = hosted(&["--dry-run=held"]);
    for words in ["1 session", "24", "--time-shift"] {
        assert!(held.stderr.contains(words), "{words}: {}", held.stderr);
    }
    assert!(!env.dir().join("held/logfire/000001.json").exists(), "nothing would be sent");
    let spans = |dir: &str| {
        let about = fs::read_to_string(env.dir().join(dir).join("logfire/000001.json")).unwrap();
        assert!(about.contains("https://logfire-eu.pydantic.dev/v1/traces"), "{about}");
        spans_of(&fs::read(env.dir().join(dir).join("logfire/000001.body.pb")).unwrap())
    };
    let moved = hosted(&["--dry-run=moved", "--time-shift"]);
    assert_eq!(moved.code, Some(0), "{}", moved.stderr);
    let as_is = hosted(&["--dry-run=asis", "--assume-backfill-allowed"]);
    assert_eq!(as_is.code, Some(0), "{}", as_is.stderr);
    let (moved, as_is) = (spans("moved"), spans("asis"));
    assert_eq!((moved.len(), as_is.len()), (2, 2));
    let by = moved[0].start_time_unix_nano - as_is[0].start_time_unix_nano;
    for (moved, as_is) in moved.iter().zip(&as_is) {
        assert_eq!(moved.span_id, as_is.span_id);
        assert_eq!(moved.start_time_unix_nano - as_is.start_time_unix_nano, by);
        assert_eq!(moved.end_time_unix_nano - as_is.end_time_unix_nano, by);
        let own = text(moved, "codex.original_start_time").unwrap();
        assert!(own.starts_with("2026-03-01T10:00:01"), "{own}");
    }
}

#[test]
fn a_doctor_tells_which_project_it_is_and_what_is_wrong() {
    let ask = |rule: Rule, token: &str| {
        let (env, server) = (TestEnv::new(), Server::with(rule));
        let rollout = small_rollout(ID, "2026-03-01T10:00", "do it");
        env.write(&format!(".codex/{}", place("2026-03-01T10-00-00", ID)), rollout);
        let mut command = env.command(&["doctor", "--json", "--connect", "--to", "logfire"]);
        let run =
            env.finish(command.env("LOGFIRE_TOKEN", token).env("LOGFIRE_BASE_URL", &server.url));
        assert!(server.asked("/v1/traces").is_empty(), "nothing is sent");
        let connect = run.json().last().unwrap()["connect"][0].clone();
        let text = |key: &str| connect[key].as_str().unwrap_or_default().to_owned();
        (run.code, text("state"), text("detail"))
    };
    let all = |status: u16, body: &'static str| -> Rule {
        Box::new(move |_, _| Some(Some((status, "application/json", body.as_bytes().to_vec()))))
    };
    let other = "pylf_v1_local_other9876543210";
    #[rustfmt::skip]
    let cases: Vec<(&str, Rule, &str, i32, &str, &str)> = vec![
        ("all is well",       Box::new(|_, _| None), TOKEN, 0, "reachable",   "project http://l/mine"),
        ("another token",     Box::new(|_, _| None), other, 1, "key-refused", "invalid token"),
        ("a broken server",   all(500, "down"),      TOKEN, 1, "failed",      "down"),
        ("no Logfire",        all(404, "no"),        TOKEN, 0, "reachable",   "no Logfire"),
    ];
    for (why, rule, token, code, state, detail) in cases {
        let (found_code, found_state, found_detail) = ask(rule, token);
        assert_eq!((found_code, &*found_state), (Some(code), state), "{why}: {found_detail}");
        assert!(found_detail.contains(detail), "{why}: {found_detail}");
        assert!(!found_detail.contains(token), "{why}");
    }
}
