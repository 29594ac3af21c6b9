use crate::scripted_server::{Act, Server};
use crate::testenv::{Run, TestEnv, place, small_rollout};

const ID: &str = "0199a213-81c0-7800-8aa1-bbab2a035a53";
const KEY: &str = "lsv2_pt_0123456789abcdef0123";

fn env() -> TestEnv {
    let env = TestEnv::new();
    let rollout = small_rollout(ID, "2025-10-01T10:00", "hello");
    env.write(&format!(".codex/{}", place("2025-10-01T10-00-00", ID)), rollout);
    env
}

#[test]
fn settings_are_told_with_their_origin_and_no_key_in_full() {
    let env = env();
    env.write(".codex/langsmith.json", format!(r#"{{"api_key":"{KEY}","project":"p"}}"#));
    for json in [true, false] {
        let args = ["doctor", "--to", "langsmith,mlflow", if json { "--json" } else { "-v" }];
        let run = env.finish(
            env.command(&args)
                .env("MLFLOW_TRACKING_URI", "http://user:hidden@host:5000")
                .env("MLFLOW_TRACKING_TOKEN", "a-token-of-some-length"),
        );
        assert_eq!(run.code, Some(0), "{run:?}");
        let all = format!("{}{}", run.stdout, run.stderr);
        assert!(all.contains("lsv2_…0123") && all.contains("[DIR]/.codex/langsmith.json"), "{all}");
        for secret in [KEY, "hidden", "a-token-of-some-length"] {
            assert!(!all.contains(secret), "{all}");
        }
        if json {
            assert_eq!(
                (&run.json()[0]["rollouts"], &run.json()[1]["exists"]),
                (&1.into(), &false.into())
            );
        }
    }
}

#[test]
fn what_is_missing_or_malformed_is_told() {
    let env = env();
    env.write(".codex/langsmith.json", "{");
    let run = env.run(&["doctor", "--to", "langsmith"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    for words in ["not usable", "no API key", ".codex/langsmith.json` is not used", "hint"] {
        assert!(run.stdout.contains(words), "{}", run.stdout);
    }
    let run = TestEnv::new().run(&["doctor", "--to", "mlflow"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stdout.contains("no MLflow server is named"), "{}", run.stdout);
}

/// The value and the origin of a setting of the first destination.
fn setting(run: &Run, name: &str) -> Option<(String, String)> {
    let report = &run.json()[3];
    let all = report["settings"].as_array().expect("as documented");
    let found = all.iter().find(|it| it["name"] == name)?;
    let text = |key: &str| found[key].as_str().expect("as documented").to_owned();
    Some((text("value"), text("from")))
}

#[track_caller]
fn says(run: &Run, name: &str, value: &str, from: &str) {
    let found = setting(run, name);
    assert_eq!(found, Some((value.to_owned(), from.to_owned())), "{}", run.stdout);
}

#[test]
fn every_setting_has_an_origin() {
    let env = env();
    let otel = "[otel]\nlog_user_prompt = true\ntrace_exporter = { otlp-http = { endpoint = 'http://t:1/x', protocol = 'json', headers = { k = 'a-header-of-some-length' } } }\n";
    env.write(".codex/config.toml", otel);
    let doctor = |args: &[&str], vars: &[(&str, &str)]| {
        let args = [&["doctor", "--json"], args].concat();
        env.finish(env.command(&args).envs(vars.iter().copied()))
    };
    let run = doctor(&["--to", "otlp"], &[]);
    let live = "[DIR]/.codex/config.toml (otel.trace_exporter)";
    says(&run, "endpoint", "http://t:1/x", live);
    says(&run, "protocol", "json", live);
    says(&run, "header k", "a-hea…ngth", live);
    says(&run, "log_user_prompt", "true", "[DIR]/.codex/config.toml (otel.log_user_prompt)");
    says(&run, "capture", "full", "the default");
    let vars =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://e"), ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "7")];
    let run = doctor(&["--to", "otlp"], &vars);
    says(&run, "endpoint", "http://e/v1/traces", "OTEL_EXPORTER_OTLP_ENDPOINT");
    says(&run, "timeout", "7 ms", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT");
    assert_eq!(setting(&run, "header k"), None);
    let run = doctor(&["--to", "otlp", "--endpoint", "http://f", "--timeout", "9s"], &vars);
    says(&run, "endpoint", "http://f/v1/traces", "--endpoint");
    assert!(run.stdout.contains(r#"{"name":"timeout","value":"9 s","from":"--timeout"}"#));

    let plugin = r#"{"trackingUri":"http://m:5000/","experimentId":12}"#;
    env.write(".codex/mlflow-tracing.json", plugin);
    let run = doctor(&["--to", "mlflow"], &[("MLFLOW_WORKSPACE", "w")]);
    let file = |key: &str| format!("[DIR]/.codex/mlflow-tracing.json ({key})");
    says(&run, "tracking uri", "http://m:5000/", &file("trackingUri"));
    says(&run, "experiment", "id 12", &file("experimentId"));
    says(&run, "workspace", "w", "MLFLOW_WORKSPACE");

    let rules = r#"{"redact":false,"redact_extra_rules":[{"pattern":"x"}],"api_key":"lsv2_pt_0123456789abcdef0123"}"#;
    env.write(".codex/langsmith.json", rules);
    let run = doctor(&["--to", "langsmith"], &[("LANGSMITH_WORKSPACE_ID", "ws")]);
    let file = "[DIR]/.codex/langsmith.json";
    says(&run, "redact", "false", file);
    says(&run, "redact_extra_rules", "1 rules", file);
    says(&run, "workspace", "ws", "LANGSMITH_WORKSPACE_ID");
    says(&run, "project", "codex", "the default");

    let toml = "\n[destinations.x]\nbackend = 'mlflow'\nendpoint = 'http://x'\nkey = { env = 'X' }\ncapture = 'no-tool-content'\n";
    env.write("c.toml", toml);
    let run = doctor(&["--config", "c.toml"], &[("X", "a-token-of-some-length")]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    says(&run, "tracking uri", "http://x", "c.toml:4");
    says(&run, "token", "a-tok…ngth", "X, named in c.toml:5");
    says(&run, "capture", "no-tool-content", "c.toml:6");
    let asked: Vec<_> = run.json()[3..].iter().map(|it| it["asked_for"].clone()).collect();
    assert_eq!(
        asked,
        [true, false, false, false, false, false, false],
        "the table, then every backend"
    );
    let run = doctor(&["--config", "c.toml"], &[]);
    assert_eq!(run.code, Some(1), "a key is missing");
    assert!(run.stdout.contains("the variable `X` is not set"), "{}", run.stdout);
}

#[test]
fn history_and_ledger_are_looked_at() {
    let env = env();
    let run = env.run(&["doctor", "--json", "--to", "otlp"]);
    let report = run.json();
    assert_eq!(report[0]["versions"], serde_json::json!({"0.120.0": 1}));
    assert_eq!(report[1]["exists"], false);
    assert_eq!((&report[2]["type"], &report[2]["exists"]), (&"config".into(), &false.into()));
    let server = Server::start(&[], Some(Act::Ok));
    let to = ["--to", "otlp", "--endpoint", &server.url];
    let run = env.run(&[&["upload", "--settle", "0s"], &to[..]].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let report = env.run(&[&["doctor", "--json"], &to[..]].concat()).json();
    assert_eq!((&report[1]["sent"], &report[3]["places"][0]["sent"]), (&1.into(), &1.into()));
    env.write("broken.toml", "x");
    let run = env.run(&["doctor", "--config", "broken.toml"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stdout.contains("config     not usable") && run.stdout.contains("`broken.toml`:1"),
        "{}",
        run.stdout
    );
}

#[test]
fn destinations_are_asked_if_the_user_wants_it() {
    let env = env();
    let asked = |act: Act, to: &str| {
        let server = Server::start(&[], Some(act));
        let args = ["doctor", "--json", "--connect", "--to", to, "--endpoint", &server.url];
        let run = env.finish(env.command(&args).env("LANGSMITH_API_KEY", "k"));
        let report = &run.json()[3];
        assert!(server.requests() > 0);
        assert!(server.lines().is_empty(), "nothing that could be stored was sent");
        (run.code, report["connect"][0]["state"].as_str().unwrap().to_owned())
    };
    for to in ["otlp", "langsmith"] {
        assert_eq!(asked(Act::Refuse(200, "", ""), to), (Some(0), "reachable".to_owned()), "{to}");
    }
    for to in ["otlp", "langsmith", "mlflow"] {
        let states = [(401, "key-refused"), (404, "wrong-path"), (500, "failed")];
        for (status, state) in states {
            let answer = asked(Act::Refuse(status, "", "no"), to);
            assert_eq!(answer, (Some(1), state.to_owned()), "{to} {status}");
        }
    }
    let absent = r#"{"error_code":"RESOURCE_DOES_NOT_EXIST"}"#;
    assert_eq!(asked(Act::Refuse(404, "", absent), "mlflow"), (Some(0), "reachable".to_owned()));
    let page = asked(Act::Refuse(200, "", "<html>"), "mlflow");
    assert_eq!(page, (Some(1), "wrong-path".to_owned()));
    let args = ["doctor", "--connect", "--to", "otlp", "--endpoint", "http://127.0.0.1:1"];
    let run = env.run(&args);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stdout
            .contains("connect    no-answer  http://127.0.0.1:1/v1/traces: Connection refused"),
        "{}",
        run.stdout
    );
}

#[cfg(unix)]
#[test]
fn files_with_keys_are_for_nobody_else() {
    use std::os::unix::fs::PermissionsExt;
    let env = env();
    let path = env.write(".codex/langsmith.json", format!(r#"{{"api_key":"{KEY}"}}"#));
    for (mode, warned) in [(0o644, true), (0o600, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let run = env.run(&["doctor", "--to", "langsmith"]);
        assert_eq!(run.code, Some(0), "a warning, no more");
        assert_eq!(run.stdout.contains("others may read"), warned, "{}", run.stdout);
    }
}

/// Directories, because no permission keeps the superuser out.
#[test]
fn files_that_cannot_be_read_are_told() {
    let env = env();
    for name in ["config.toml", "mlflow-tracing.json", "langsmith.json"] {
        std::fs::create_dir(env.dir().join(".codex").join(name)).unwrap();
    }
    let run = env.run(&["doctor", "--to", "otlp,mlflow,langsmith", "--json"]);
    for (nth, name, what) in [
        (3, "config.toml", "cannot read `[DIR]/.codex/config.toml`: "),
        (4, "mlflow-tracing.json", "cannot read `[DIR]/.codex/mlflow-tracing.json`: "),
        (5, "langsmith.json", "`[DIR]/.codex/langsmith.json` is not used: "),
    ] {
        let problems = run.json()[nth]["problems"].to_string();
        assert!(problems.contains(what), "{name}: {problems}");
    }
    env.write("c.toml", "[destinations.x]\nbackend = 'langsmith'\nredact_rules = 'r.toml'\n");
    env.write("r.toml", "[[rule]]\npattern = '('\n");
    let run = env.run(&["doctor", "--config", "c.toml", "--to", "x"]);
    assert!(run.stdout.contains("redaction rule `(`"), "{}", run.stdout);
}

#[test]
fn an_address_that_is_none_is_told() {
    let env = env();
    for (endpoint, why) in [
        ("localhost:4318", "neither http:// nor https://"),
        ("grpc://h:4317", "`grpc` is neither http nor https"),
        ("http://h:99999", "its port"),
    ] {
        for to in ["otlp", "mlflow", "langsmith"] {
            let run = env.run(&["doctor", "--to", to, "--endpoint", endpoint]);
            assert_eq!(run.code, Some(1), "{run:?}");
            assert!(run.stdout.contains(why), "{}", run.stdout);
        }
    }
}

/// As curl has it: a proxy is for the scheme of the address, a server may be
/// excepted, and a proxy that cannot be used is not gone around.
#[test]
fn proxies_are_those_of_the_environment() {
    let env = env();
    let server = Server::start(&[], Some(Act::Refuse(200, "", "")));
    let args = ["doctor", "--json", "--connect", "--to", "otlp", "--endpoint", &server.url];
    let nowhere = "http://127.0.0.1:1";
    #[rustfmt::skip]
    let cases = [
        (vec![],                                                       true),
        (vec![("HTTPS_PROXY", nowhere)],                               true),
        (vec![("HTTP_PROXY", nowhere)],                                false),
        (vec![("HTTP_PROXY", nowhere), ("NO_PROXY", "a 127.0.0.0/8")], true),
        (vec![("ALL_PROXY", "socks5://127.0.0.1:1")],                  false),
        (vec![("ALL_PROXY", "foo://127.0.0.1:1")],                     false),
    ];
    for (vars, reached) in cases {
        let run = env.finish(env.command(&args).envs(vars.iter().copied()));
        let state = run.json()[3]["connect"][0]["state"].clone();
        assert_eq!(state == "reachable", reached, "{vars:?}: {}", run.stdout);
    }
    let args = ["doctor", "-v", "--to", "otlp", "--endpoint", &server.url];
    let run = env.finish(env.command(&args).env("http_proxy", "http://u:s3cret@proxy:3128"));
    let shown = run.stdout.contains("http://[set]@proxy:3128") && run.stdout.contains("http_proxy");
    assert!(shown && !run.stdout.contains("s3cret"), "{}", run.stdout);
}
