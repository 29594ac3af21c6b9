//! What the plugin's users have set for it.

use std::fs;

use codex_trace_export::options::common::REDACT;

use super::server::{Rules, Server};
use super::{ID, Upload, prompts, rollout, turns};
use crate::testenv::TestEnv;

const MUTED: &str = "[LangSmith system notice: content omitted because tracing is muted.]";

/// Writes the plugin's file; returns what there is to know before an upload.
fn set(upload: &Upload, json: &str) -> Vec<String> {
    let dir = upload.home.path().join(".codex");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("langsmith.json"), json).unwrap();
    let exporters = upload.connect().unwrap();
    exporters.iter().flat_map(|it| it.remarks()).map(|it| it.message.clone()).collect()
}

#[test]
fn extra_rules_act_everywhere_and_only_here() {
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    let text =
        turns(2).replace("prompt 2", r"ask ACME-17\nof user=ann, sk-proj-0123456789abcdefABCDEF");
    let text = text.replace("/home/u/work/small", "/home/u/ACME-18");
    let file = rollout(&env, &text);
    let mut upload = Upload::new(&server.url);
    upload.redact = true;
    let rules = r#"{"redact_extra_rules":[{"pattern":"ACME-\\d+\\s"},{"pattern":"(user=)\\w+","replace":"$1***"},{"pattern":"ACME-\\d+","replace":"<acme>"}]}"#;
    assert_eq!(set(&upload, rules), Vec::<String>::new());
    assert_eq!(upload.run(std::slice::from_ref(&file)).turns(), 2);
    server.is_clean();
    assert_eq!(prompts(&server), ["prompt 1", "ask [redacted]of user=***, [SECRET_DETECTED]"]);
    let all = serde_json::to_string(&server.runs()).unwrap();
    assert!(!all.contains("ACME-1"), "in a path, too: {all}");
    assert_eq!(server.runs()[0]["extra"]["metadata"]["cwd"], "/home/u/<acme>");
    // Nobody is told that something is redacted which is not.
    let mut upload = Upload::new(&server.url);
    server.state().runs.clear();
    set(&upload, rules);
    upload.options = upload.options.with(&REDACT, false);
    upload.run(&[file]);
    assert!(prompts(&server)[1].contains("ACME-17\nof user=ann"), "{:?}", prompts(&server));
}

#[test]
fn a_rule_that_cannot_be_kept_is_no_rule_to_drop() {
    let mut upload = Upload::new("http://127.0.0.1:1");
    let dir = upload.home.path().join(".codex");
    fs::create_dir_all(&dir).unwrap();
    for pattern in ["(?<=key )[a-z]+", "(", "x*"] {
        let json = serde_json::json!({"redact_extra_rules": [{ "pattern": pattern }]}).to_string();
        fs::write(dir.join("langsmith.json"), json).unwrap();
        let Err(err) = upload.connect() else { panic!("{pattern} is taken") };
        assert!(err.message.contains("`redact_extra_rules`"), "{}", err.message);
        assert!(err.hint.unwrap().contains("--no-redact"));
    }
    upload.options = upload.options.with(&REDACT, false);
    assert!(upload.connect().is_ok());
}

/// A setting for what is uploaded turn by turn must not lay a whole history
/// open.
#[test]
fn redaction_is_not_switched_off_by_the_plugins_file() {
    let server = Server::start(Rules::default());
    let env = TestEnv::new();
    let file = rollout(&env, &turns(1).replace("prompt 1", "sk-proj-0123456789abcdefABCDEF"));
    let mut upload = Upload::new(&server.url);
    upload.redact = true;
    let told = set(&upload, r#"{"redact":false}"#);
    assert!(told.len() == 1 && told[0].contains("langsmith.json"), "{told:?}");
    upload.run(std::slice::from_ref(&file));
    assert_eq!(prompts(&server), ["[SECRET_DETECTED]"]);
    // Nothing to tell those who have said it here.
    let options = upload.options.clone();
    upload.options = upload.options.with(&REDACT, false);
    assert_eq!(set(&upload, r#"{"redact":false}"#), Vec::<String>::new());
    upload.options = options;
    upload.env.push(("LANGSMITH_CODEX_REDACT", "off".to_owned()));
    let told = set(&upload, "{}");
    assert!(told[0].contains("`LANGSMITH_CODEX_REDACT`"), "{told:?}");

    let mut command = env.command(&["upload", "--to", "langsmith", "--dry-run", "."]);
    let vars = [("LANGSMITH_API_KEY", "k"), ("LANGSMITH_CODEX_REDACT", "0")];
    let run = env.finish(command.envs(vars));
    assert!(run.stderr.contains("secrets are redacted all the same"), "{}", run.stderr);
    assert!(run.stderr.contains("--no-redact"), "{}", run.stderr);
    let mut command =
        env.command(&["upload", "--to", "langsmith", "--dry-run", "--no-redact", "."]);
    let run = env.finish(command.envs(vars));
    assert!(!run.stderr.contains("redact"), "{}", run.stderr);
}

#[test]
fn who_is_muted_unless_told_otherwise_stays_so() {
    let env = TestEnv::new();
    let file = rollout(&env, &turns(3));
    let uploaded = |upload: &Upload, server: &Server| {
        server.state().runs.clear();
        upload.run(std::slice::from_ref(&file));
        server.is_clean();
        prompts(server)
    };
    let server = Server::start(Rules::default());
    let upload = Upload::new(&server.url);
    set(&upload, r#"{"defaultMuted":true}"#);
    let privacy = format!(r#"{{"version":1,"threads":{{"{ID}":{{"turns":{{"t-2":"full"}}}}}}}}"#);
    fs::write(upload.home.path().join(".codex/langsmith-state.privacy.json"), privacy).unwrap();
    assert_eq!(uploaded(&upload, &server), [MUTED, "prompt 2", MUTED]);
    let mut upload = Upload::new(&server.url);
    set(&upload, r#"{"defaultMuted":true}"#);
    upload.env.push(("LANGSMITH_DEFAULT_MUTED", "False".to_owned()));
    assert_eq!(uploaded(&upload, &server), ["prompt 1", "prompt 2", "prompt 3"]);
    // As the plugin: what cannot be understood means muted.
    let mut upload = Upload::new(&server.url);
    upload.env.push(("LANGSMITH_CODEX_DEFAULT_MUTED", "maybe".to_owned()));
    assert_eq!(uploaded(&upload, &server), [MUTED; 3]);
}

/// The vendor's page changes the metadata of one copy; what no run of ours can be
/// changed in is refused, and not left out.
#[test]
fn each_replica_has_its_own_updates() {
    let env = TestEnv::new();
    let file = rollout(&env, &turns(1));
    let (one, two) = (Server::start(Rules::default()), Server::start(Rules::default()));
    let mut upload = Upload::new(&one.url);
    upload.endpoint = String::new();
    upload.env.push(("LANGSMITH_METADATA", r#"{"environment":"dev","team":"x"}"#.to_owned()));
    let replicas = |updates: &str| {
        format!(
            r#"[{{"apiUrl":"{}","apiKey":"a","projectName":"p"}},
                {{"apiUrl":"{}","apiKey":"b","projectName":"q","updates":{updates}}}]"#,
            one.url, two.url
        )
    };
    for updates in [
        r#"{"metadata":{"environment":"staging"}}"#,
        r#"{"extra":{"metadata":{"environment":"staging"}}}"#,
    ] {
        for server in [&one, &two] {
            server.state().runs.clear();
        }
        upload.state = tempfile::tempdir().unwrap();
        let mut own = upload.env.clone();
        own.push(("LANGSMITH_CODEX_RUNS_ENDPOINTS", replicas(updates)));
        let before = std::mem::replace(&mut upload.env, own);
        upload.run_all(std::slice::from_ref(&file));
        upload.env = before;
        for (server, environment) in [(&one, "dev"), (&two, "staging")] {
            assert!(!server.runs().is_empty());
            for run in server.runs() {
                let metadata = &run["extra"]["metadata"];
                assert_eq!(metadata["environment"], environment, "{updates}");
                assert_eq!(metadata["team"], "x", "what is not changed stays");
            }
        }
    }
    for (updates, name) in [(r#"{"tags":["x"]}"#, "tags"), (r#"{"name":"x"}"#, "name")] {
        upload.env.push(("LANGSMITH_CODEX_RUNS_ENDPOINTS", replicas(updates)));
        let err = upload.connect().err().unwrap();
        assert!(err.message.contains(&format!("`{name}` of a run cannot be changed")), "{err:?}");
        upload.env.pop();
    }
}

#[test]
fn roots_have_tags_and_model_calls_say_why_they_stopped() {
    let env = TestEnv::new();
    let server = Server::start(Rules::default());
    let home = crate::testenv::testdata("homes/r144");
    env.write(
        ".config/codex-trace/codex-trace.toml",
        format!(
            "[destinations.x]\nbackend = 'langsmith'\nendpoint = '{}'\ntags = ['backfill', 'a b']\n",
            server.url
        ),
    );
    let run = env.run(&["upload", "--to", "x", "--settle", "0s", home.to_str().unwrap()]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let (mut n_calls, mut n_tools) = (0, 0);
    for run in server.runs() {
        let tags = &run["tags"];
        let expected = serde_json::json!(["backfill", "a b"]);
        assert_eq!(*tags == expected, run["parent_run_id"].is_null(), "{run}");
        let reason = run["extra"]["metadata"]["stop_reason"].as_str();
        let calls_tools = run["outputs"].to_string().contains("\"type\":\"tool_call\"");
        if run["run_type"] == "llm" {
            n_calls += usize::from(reason.is_some());
            n_tools += usize::from(reason == Some("tool_calls"));
            assert_eq!(reason == Some("tool_calls"), calls_tools, "{run}");
        } else {
            assert_eq!(reason, None, "{run}");
        }
    }
    assert!(n_tools > 0 && n_calls > n_tools, "{n_calls} calls, {n_tools} with tools");
}
