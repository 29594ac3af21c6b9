//! `init` finds what is there, writes it once, and takes nothing of the user's.

use std::fs;
use std::net::TcpListener;

use crate::pty::Terminal;
use crate::testenv::{Run, TestEnv};

const FILE: &str = ".config/codex-trace/codex-trace.toml";
const KEY: &str = "lsv2_pt_0123456789abcdef";

fn env() -> TestEnv {
    let env = TestEnv::new();
    env.write(".codex/mlflow-tracing.json", r#"{"trackingUri":"http://127.0.0.1:7001"}"#);
    let otel = "[otel]\ntrace_exporter = { otlp-http = { endpoint = 'http://127.0.0.1:7002' } }\n";
    env.write(".codex/config.toml", otel);
    env
}

fn init(env: &TestEnv, args: &[&str]) -> Run {
    let mut command = env.command(&[&["init", "--no-ports"], args].concat());
    env.finish(command.env("LANGSMITH_API_KEY", KEY).env("HONEYCOMB_API_KEY", "hc-secret"))
}

#[test]
fn what_is_found_is_written_without_a_key() {
    let env = env();
    let run = init(&env, &["--yes"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let text = fs::read_to_string(env.dir().join(FILE)).expect("it was written");
    for part in [
        "[destinations.langsmith]",
        "LANGSMITH_API_KEY",
        "[destinations.mlflow]",
        "mlflow-tracing.json",
        "[destinations.otlp]",
        "config.toml",
        "[destinations.honeycomb]",
        "backend = \"honeycomb\"",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("[destinations.logfire]"), "{text}");
    for secret in [KEY, "hc-secret"] {
        assert!(
            !text.contains(secret) && !run.stderr.contains(secret) && !run.stdout.contains(secret)
        );
    }
    // It works as it stands.
    let mut doctor = env.command(&["doctor", "--json", "--to", "mlflow,langsmith,honeycomb,otlp"]);
    let doctor = doctor.env("LANGSMITH_API_KEY", KEY).env("HONEYCOMB_API_KEY", "hc-secret");
    let doctor = env.finish(doctor);
    for line in doctor.json().iter().filter(|line| line["type"] == "destination") {
        assert_eq!(line["usable"], true, "{line}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(env.dir().join(FILE)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

/// One `[otel]` table of Codex is about one backend: of two destinations that send
/// traces to the same address, one is written.
#[test]
fn no_turn_goes_to_one_address_twice() {
    let traces =
        "trace_exporter = { otlp-http = { endpoint = 'http://127.0.0.1:7002/v1/traces' } }\n";
    let logs = "exporter = { otlp-http = { endpoint = 'http://127.0.0.1:7002/v1/logs' } }\n";
    let elsewhere = "exporter = { otlp-http = { endpoint = 'http://127.0.0.1:7003/v1/logs' } }\n";
    for (otel, kept, left_out) in [
        (format!("[otel]\n{traces}"), "otlp", "codex-otel"),
        (format!("[otel]\n{traces}{logs}"), "codex-otel", "otlp"),
        (format!("[otel]\n{traces}{elsewhere}"), "codex-otel", "otlp"),
    ] {
        let env = TestEnv::new();
        env.write(".codex/config.toml", &otel);
        let run = env.finish(&mut env.command(&["init", "--no-ports", "--yes"]));
        let text = fs::read_to_string(env.dir().join(FILE)).expect("it was written");
        assert!(text.contains(&format!("[destinations.{kept}]")), "{otel} {text}");
        assert!(!text.contains(&format!("[destinations.{left_out}]")), "{otel} {text}");
        let note = format!("`{left_out}` is left out: `{kept}` sends traces to the same address");
        assert!(text.contains(&note) && run.stderr.contains(&note), "{otel} {text} {}", run.stderr);
    }
}

#[test]
fn a_file_that_is_there_stays_as_it_is() {
    let env = env();
    env.write(FILE, "# mine\n");
    for args in [&["--yes"][..], &["--json", "--yes"]] {
        let run = init(&env, args);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert!(run.stderr.contains("exists and was left as it is"), "{}", run.stderr);
        assert!(run.stdout.contains("destinations.mlflow"), "what to add is shown");
    }
    assert_eq!(fs::read_to_string(env.dir().join(FILE)).expect("a file"), "# mine\n");
}

#[test]
fn a_dry_run_and_json_write_nothing() {
    let env = env();
    let run = init(&env, &["--dry-run"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("[destinations.langsmith]"), "{}", run.stdout);
    let run = init(&env, &["--json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let report = &run.json()[0];
    assert_eq!((&report["written"], &report["exists"]), (&false.into(), &false.into()));
    let names: Vec<&str> = report["found"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|it| it["name"].as_str())
        .collect();
    assert!(names.contains(&"mlflow") && names.contains(&"otlp"), "{names:?}");
    assert!(!env.dir().join(FILE).exists());
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let env = env();
    let run = init(&env, &[]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("hint: `--yes`"), "{}", run.stderr);
    assert!(!env.dir().join(FILE).exists());
}

/// What Codex would do if it were told nothing is no finding.
#[test]
fn of_an_empty_home_nothing_is_found() {
    let env = TestEnv::new();
    env.write(".codex/config.toml", "model = 'gpt-x'\n");
    let run = env.run(&["init", "--no-ports", "--json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(run.json()[0]["found"], serde_json::json!([]));
}

/// Each question has an answer of its own: what is refused is not written.
#[test]
fn each_step_is_asked() {
    let env = env();
    let Some(mut terminal) = Terminal::start(&env, &["init", "--no-ports"], &[]) else { return };
    let answers = [
        ("Add `otlp`? [Y/n]", "n\n"),
        ("Add `mlflow`? [Y/n]", "y\n"),
        ("Upload to `mlflow` by default? [y/N]", "yes\n"),
        (".config/codex-trace/codex-trace.toml? [Y/n]", "\n"),
    ];
    for (question, answer) in answers {
        terminal.wait_for(question);
        terminal.press(answer);
    }
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen:#?}");
    let text = fs::read_to_string(env.dir().join(FILE)).expect("it was written");
    assert!(text.contains("\nto = [\"mlflow\"]\n"), "{text}");
    assert!(text.contains("[destinations.mlflow]") && !text.contains("[destinations.otlp]"));
}

#[test]
fn nothing_is_written_that_was_not_agreed_to() {
    let env = env();
    let Some(mut terminal) = Terminal::start(&env, &["init", "--no-ports"], &[]) else { return };
    for question in ["Add `otlp`?", "Add `mlflow`?", ".toml? [Y/n]"] {
        terminal.wait_for(question);
        terminal.press("n\n");
    }
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen:#?}");
    assert!(!env.dir().join(".config").exists(), "{screen:#?}");
    assert!(screen.iter().any(|line| line.starts_with("# to =")), "it is shown: {screen:#?}");
}

/// A server on one of the usual ports is found, and only while it listens.
#[test]
fn listening_ports_are_found() {
    let cases = [
        (4318, "collector", "otlp", None),
        (6006, "phoenix", "phoenix", None),
        (5000, "mlflow", "mlflow", None),
        (4317, "collector", "otlp", Some("grpc")),
    ];
    let env = TestEnv::new();
    let found = |endpoint: &str| {
        let run = env.run(&["init", "--json"]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let report = run.json().remove(0);
        let all = report["found"].as_array().expect("a list").clone();
        let text = report["text"].as_str().expect("a text").to_owned();
        (all.into_iter().find(|it| it["endpoint"] == endpoint), text)
    };
    for (port, name, backend, protocol) in cases {
        let endpoint = format!("http://localhost:{port}");
        // Somebody's server may be there, or hide it: no place for this test.
        let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) else { continue };
        std::thread::spawn(move || listener.accept().map(drop));
        let (it, text) = found(&endpoint);
        let Some(it) = it else {
            assert_eq!(port, 4317, "only this one is needless beside others: {text}");
            continue;
        };
        assert_eq!((&it["name"], &it["backend"]), (&name.into(), &backend.into()));
        let because = it["because"][0].as_str().expect("a reason");
        assert!(because.starts_with(&format!("port {port} is open")), "{because}");
        assert!(text.contains(&format!("endpoint = \"{endpoint}\"")), "{text}");
        let says = protocol.map(|it| format!("protocol = \"{it}\""));
        assert!(says.is_none_or(|says| text.contains(&says)), "{text}");
        assert!(found(&endpoint).0.is_none(), "nobody listens any more");
    }
}
