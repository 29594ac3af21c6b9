//! Where settings come from, and what goes where.

use serde_json::{Value, json};

use super::server::Server;
use crate::testenv::{TestEnv, place, small_rollout};

const ID: &str = "019a0000-0000-7000-8000-000000000001";
const KEY: &str = "sk-test-0123456789";

fn home(env: &TestEnv) {
    let rollout = small_rollout(ID, "2026-03-01T10:00", "do it");
    env.write(&format!("home/{}", place("2026-03-01T10-00-00", ID)), rollout);
}

/// Uploads with nothing set but what the test says.
fn upload(env: &TestEnv, vars: &[(&str, &str)], more: &[&str]) -> crate::testenv::Run {
    let args = [&["upload", "--to", "braintrust", "--settle", "0s", "home"], more].concat();
    env.finish(env.command(&args).envs(vars.iter().copied()))
}

fn session(server: &Server) -> Value {
    let rows = server.rows();
    rows.values().find(|row| row["span_attributes"]["name"] == "codex: small").unwrap().clone()
}

/// The profile of `bt login` and the route of `bt trace enable codex`.
#[test]
fn who_uses_bt_has_nothing_to_set() {
    let (env, server) = (TestEnv::new(), Server::start());
    home(&env);
    let login = json!({ "auth_kind": "api_key", "app_url": server.url, "api_url": null, "org_name": "acme" });
    let profiles = json!({ "profiles": { "work": login, "other": { "auth_kind": "oauth" } } });
    env.write(".config/bt/auth.json", profiles.to_string());
    env.write(".config/bt/secrets.json", json!({ "secrets": { "work": KEY } }).to_string());
    let route = json!({
        "trace_to_braintrust": true,
        "route": {
            "auth": { "profile": "work", "org_name": "acme" },
            "destination": { "type": "project_logs", "project_name": "traced" },
            "additional_metadata": { "team": "tools", "source": "not theirs to say" },
        },
    });
    env.write(".codex/braintrust.json", route.to_string());
    let run = upload(&env, &[("BRAINTRUST_TAGS", "a, b")], &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let session = session(&server);
    assert_eq!(session["metadata"]["project"], "traced");
    assert_eq!(session["metadata"]["team"], "tools");
    assert_eq!(session["metadata"]["source"], "codex");
    assert_eq!(session["tags"], json!(["a", "b"]));
    // Every setting says where it is from; no key is shown.
    let doctor = env.run(&["doctor", "--json", "--to", "braintrust"]);
    for from in [".codex/braintrust.json (destination)", ".config/bt/auth.json (work, key)"] {
        assert!(doctor.stdout.contains(from), "{from}: {}", doctor.stdout);
    }
    assert!(!doctor.stdout.contains(KEY), "{}", doctor.stdout);
    let connect = env.run(&["doctor", "--json", "--to", "braintrust", "--connect"]);
    assert!(!connect.stdout.contains(KEY) && !connect.stderr.contains(KEY));
}

#[test]
fn the_file_of_the_older_plugin_is_read_and_variables_stand_above_it() {
    let (env, server) = (TestEnv::new(), Server::start());
    home(&env);
    let config = json!({ "apiKey": KEY, "apiUrl": server.url, "project": "older", "traceToBraintrust": false });
    let path = ".codex/plugins/data/trace-codex-braintrust-codex-plugins/config.json";
    env.write(path, config.to_string());
    let run = upload(&env, &[], &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(session(&server)["metadata"]["project"], "older");
    let run = upload(&env, &[("BRAINTRUST_DEFAULT_PROJECT", "said")], &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(session(&server)["metadata"]["project"], "said");
}

#[test]
fn a_key_goes_only_where_it_was_meant_to() {
    let (env, server) = (TestEnv::new(), Server::start());
    home(&env);
    let vars = [("BRAINTRUST_API_KEY", KEY), ("BRAINTRUST_API_URL", "http://127.0.0.1:9")];
    let run = upload(&env, &vars, &["--endpoint", &server.url]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("was set for http://127.0.0.1:9"), "{}", run.stderr);
    assert!(server.asked("").is_empty());
}

#[test]
fn an_experiment_or_a_span_can_be_the_destination() {
    let (env, server) = (TestEnv::new(), Server::start());
    home(&env);
    let table = format!(
        "[destinations.e]\nbackend = 'braintrust'\nendpoint = '{}'\nkey = {{ env = 'K' }}\nexperiment = 'exp-1'\nparent_span = 's-1'\nparent_root_span = 'r-1'\n",
        server.url
    );
    env.write("c.toml", table);
    let args = ["upload", "--config", "c.toml", "--to", "e", "--settle", "0s", "home"];
    let run = env.finish(env.command(&args).env("K", KEY));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let session = session(&server);
    assert_eq!(
        (&session["experiment_id"], &session["project_id"]),
        (&json!("exp-1"), &Value::Null)
    );
    assert_eq!(session["span_parents"], json!(["s-1"]));
    assert!(server.rows().values().all(|row| row["root_span_id"] == "r-1"));
    assert!(server.asked("/v1/project").is_empty());
}

#[test]
fn a_dry_run_asks_nothing_and_shows_what_would_be_sent() {
    let (env, server) = (TestEnv::new(), Server::start());
    home(&env);
    let vars = [("BRAINTRUST_API_KEY", KEY), ("BRAINTRUST_API_URL", server.url.as_str())];
    let run = upload(&env, &vars, &["--dry-run=shown"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(server.asked("").is_empty());
    let rows = |nth: u32| {
        let body = env.dir().join(format!("shown/braintrust/{nth:06}.body.json"));
        let body: Value = serde_json::from_slice(&std::fs::read(body).unwrap()).unwrap();
        body["rows"].as_array().unwrap().len()
    };
    assert_eq!((rows(1), rows(2)), (1, 2), "the session, then its turn");
    let about = std::fs::read_to_string(env.dir().join("shown/braintrust/000001.json")).unwrap();
    assert!(!about.contains(KEY), "{about}");
    // What was sent is not to be sent again, whatever the project's id.
    assert_eq!(upload(&env, &vars, &[]).code, Some(0));
    let run = upload(&env, &vars, &["--dry-run"]);
    assert!(
        run.stderr.contains("nothing") || run.stderr.contains("would upload 0"),
        "{}",
        run.stderr
    );
    let status = env.finish(env.command(&["status", "--json"]).envs(vars));
    assert_eq!(status.json()[0]["pending"], 0, "{}", status.stdout);
}

/// What the tools have noted on this machine, where the service does not say.
#[test]
fn notes_of_the_vendors_tools_count_where_the_service_does_not_say() {
    let (env, server) = (TestEnv::new(), Server::that_does_not_say());
    home(&env);
    let vars = [("BRAINTRUST_API_KEY", KEY), ("BRAINTRUST_API_URL", server.url.as_str())];
    // Computed by another implementation of UUIDs of version 5.
    let id = "d1c5f2c5-8c0d-52d0-b85a-253252bd0890";
    env.write(&format!(".local/state/braintrust/bt-daemon/delivery-ledger/{id}--0.json"), "{}");
    let run = upload(&env, &vars, &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!((server.merged().len(), server.inserted().len()), (3, 0));

    let (env, server) = (TestEnv::new(), Server::that_does_not_say());
    home(&env);
    let vars = [("BRAINTRUST_API_KEY", KEY), ("BRAINTRUST_API_URL", server.url.as_str())];
    let state = ".codex/plugins/data/trace-codex-braintrust-codex-plugins/state";
    env.write(&format!("{state}/{ID}.json"), "{}");
    let run = upload(&env, &vars, &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(server.rows().is_empty(), "the turn began before the state was written");
}

/// What the user says of all sessions is theirs to say, but for what Codex recorded.
#[test]
fn metadata_and_user_are_said_of_every_session() {
    let (env, server) = (TestEnv::new(), Server::that_does_not_say());
    home(&env);
    let vars = [("BRAINTRUST_API_KEY", KEY), ("BRAINTRUST_API_URL", &*server.url), ("USER", "me")];
    let asked = ["--metadata", "team=tools", "--metadata", "source=mine", "--user", "ada"];
    let run = upload(&env, &vars, &asked);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let session = session(&server);
    assert_eq!(session["metadata"]["team"], "tools");
    assert_eq!(session["metadata"]["source"], "codex");
    assert_eq!(session["metadata"]["username"], "ada");
    let run = upload(&env, &vars, &["--metadata", "team"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("`team` is not metadata"), "{}", run.stderr);
}
