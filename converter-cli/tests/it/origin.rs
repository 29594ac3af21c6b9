//! Where a history goes is the user's choice alone, and a key goes only to the
//! place that it was set for.

#![expect(clippy::unwrap_used, reason = "in helpers, too, it is the test that fails")]

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::scripted_server::{Act, Server};
use crate::testenv::{Run, TestEnv, place, small_rollout};

const ID: &str = "019a0000-0000-7000-8000-000000000003";
const FILE: &str = ".config/codex-trace/codex-trace.toml";
const MINE: &str = "http://127.0.0.1:7001";
const THEIRS: &str = "http://127.0.0.1:7002";
const FLAG: &str = "http://127.0.0.1:7003";

/// A home with a session, and beside it a repository that somebody else made.
struct Case {
    env: TestEnv,
    vars: Vec<(&'static str, String)>,
    cwd: PathBuf,
}

/// The first request of each destination: address, headers.
type Requests = Vec<(String, Value)>;

impl Case {
    fn new() -> Case {
        let env = TestEnv::new();
        let rollout = small_rollout(ID, "2026-03-01T10:00", "hello");
        env.write(&format!(".codex/{}", place("2026-03-01T10-00-00", ID)), rollout);
        fs::create_dir_all(env.dir().join("repo/.codex")).unwrap();
        let cwd = env.dir().join("repo");
        Case { env, vars: Vec::new(), cwd }
    }

    fn file(self, path: &str, text: impl AsRef<[u8]>) -> Case {
        self.env.write(path, text);
        self
    }

    fn var(mut self, name: &'static str, value: &str) -> Case {
        self.vars.push((name, value.to_owned()));
        self
    }

    fn command(&self, args: &[&str]) -> Run {
        let mut command = self.env.command(args);
        command.current_dir(&self.cwd).envs(self.vars.iter().map(|(name, value)| (name, value)));
        self.env.finish(&mut command)
    }

    fn upload(&self, args: &[&str]) -> Run {
        self.command(&[&["upload", "--settle", "0s"], args].concat())
    }

    /// Returns where an upload goes, and what is said of it.
    #[track_caller]
    fn goes(&self, args: &[&str]) -> (Requests, String) {
        let out = tempfile::tempdir().unwrap();
        let dir = format!("--dry-run={}", out.path().display());
        let run = self.upload(&[args, &[&dir, "--assume-backfill-allowed"]].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let mut requests = Vec::new();
        let mut names: Vec<PathBuf> =
            fs::read_dir(out.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        for name in names {
            let text = fs::read_to_string(name.join("000001.json")).unwrap();
            let about: Value = serde_json::from_str(&text).unwrap();
            requests.push((about["url"].as_str().unwrap().to_owned(), about["headers"].clone()));
        }
        (requests, run.stderr)
    }

    /// Returns what is said where nothing may be sent.
    #[track_caller]
    fn refused(&self, args: &[&str]) -> String {
        for dry in [&["--dry-run"][..], &[]] {
            let run = self.upload(&[args, dry].concat());
            assert_eq!(run.code, Some(2), "{}", run.stderr);
            assert!(run.stderr.contains("\nhint: "), "{}", run.stderr);
        }
        let doctor = self.command(&[&["doctor", "--json"], args].concat());
        assert_eq!(doctor.code, Some(1), "doctor: {}{}", doctor.stdout, doctor.stderr);
        self.upload(args).stderr
    }
}

const TO_MLFLOW: [&str; 2] = ["--to", "mlflow"];
const TO_LANGSMITH: [&str; 2] = ["--to", "langsmith"];

fn tracking(uri: &str) -> String {
    format!(r#"{{"trackingUri":"{uri}","experimentId":"7"}}"#)
}

#[test]
fn a_projects_file_does_not_lead_a_history_away_from_mlflow() {
    let case = Case::new()
        .file("repo/.codex/mlflow-tracing.json", tracking(THEIRS))
        .var("MLFLOW_TRACKING_TOKEN", "t0ken-of-mine");
    // The project's file alone is no place at all.
    let words = case.refused(&TO_MLFLOW);
    assert!(words.contains("no MLflow server is named") && words.contains("--trust-project"));

    let case = case.file(".codex/mlflow-tracing.json", tracking(MINE));
    let (requests, words) = case.goes(&TO_MLFLOW);
    assert_eq!(requests[0].0, format!("{MINE}/v1/traces"));
    assert_eq!(
        requests[0].1["Authorization"], "[redacted]",
        "the user's own settings belong together"
    );
    let told =
        "`[DIR]/repo/.codex/mlflow-tracing.json` (`trackingUri`, `experimentId`) is not followed";
    assert!(words.contains(told), "{words}");
    let doctor = case.command(&["doctor", "--to", "mlflow"]);
    assert!(doctor.stdout.contains(told) && doctor.stdout.contains(MINE), "{}", doctor.stdout);
    assert!(!doctor.stdout.contains(THEIRS), "{}", doctor.stdout);

    // Trusted, it says where to, but takes no key along.
    let words = case.refused(&["--to", "mlflow", "--trust-project"]);
    assert!(words.contains(THEIRS) && words.contains("`MLFLOW_TRACKING_TOKEN`"), "{words}");
    assert!(!words.contains("t0ken"), "{words}");
    let mut case = case;
    case.vars.clear();
    let (requests, words) = case.goes(&["--to", "mlflow", "--trust-project"]);
    assert_eq!(requests[0].0, format!("{THEIRS}/v1/traces"));
    assert_eq!(requests[0].1["x-mlflow-experiment-id"], "7");
    assert!(!words.contains("not followed"), "{words}");
}

#[test]
fn a_projects_file_does_not_lead_a_history_away_from_langsmith() {
    let key = "lsv2_pt_0123456789abcdef";
    let case = Case::new()
        .file("repo/.codex/langsmith.json", format!(r#"{{"api_url":"{THEIRS}","project":"x"}}"#))
        .file("repo/langsmith-plugins.json", r#"{"api_key":"lsv2_pt_of_somebody_else"}"#)
        .file(".codex/langsmith.json", format!(r#"{{"api_key":"{key}"}}"#));
    let (requests, words) = case.goes(&TO_LANGSMITH);
    assert!(requests[0].0.starts_with("https://api.smith.langchain.com/"), "{requests:?}");
    for told in [
        "`[DIR]/repo/.codex/langsmith.json` (`api_url`, `project`) is not followed",
        "`[DIR]/repo/langsmith-plugins.json` (`api_key`) is not followed",
    ] {
        assert!(words.contains(told), "{words}");
    }
    let doctor = case.command(&["doctor", "--to", "langsmith"]);
    assert!(doctor.stdout.contains("langsmith.json` (`api_url`, `project`) is not followed"));
    assert!(!doctor.stdout.contains(THEIRS), "{}", doctor.stdout);

    // Trusted, place and key of the project do not mix with the user's own.
    let words = case.refused(&["--to", "langsmith", "--trust-project"]);
    assert!(words.contains("do not belong together"), "{words}");
    let one = format!(r#"{{"api_url":"{THEIRS}","api_key":"lsv2_pt_of_somebody_else"}}"#);
    let case = case.file("repo/.codex/langsmith.json", one);
    let (requests, _) = case.goes(&["--to", "langsmith", "--trust-project"]);
    assert!(requests[0].0.starts_with(THEIRS), "both from one file");

    // Replicas are places, too.
    let replicas = format!(r#"{{"replicas":[{{"apiUrl":"{THEIRS}","projectName":"x"}}]}}"#);
    let case = case.file("repo/.codex/langsmith.json", replicas);
    let (requests, _) = case.goes(&TO_LANGSMITH);
    assert_eq!((requests.len(), requests[0].0.contains(THEIRS)), (1, false));
    fs::remove_file(case.env.dir().join("repo/langsmith-plugins.json")).unwrap();
    let words = case.refused(&["--to", "langsmith", "--trust-project"]);
    assert!(words.contains(THEIRS), "{words}");
}

/// At home, `./.codex` is the user's own.
#[test]
fn the_users_own_directory_is_no_project() {
    let mut case = Case::new().file(".codex/mlflow-tracing.json", tracking(MINE));
    case.cwd = case.env.dir().to_owned();
    let (requests, words) = case.goes(&TO_MLFLOW);
    assert_eq!(requests[0].0, format!("{MINE}/v1/traces"));
    assert!(!words.contains("not followed"), "{words}");
}

#[test]
fn a_home_given_as_data_is_no_configuration() {
    let rollout = || small_rollout(ID, "2026-03-01T10:00", "hello");
    let config =
        format!("[otel]\ntrace_exporter = {{ otlp-http = {{ endpoint = '{THEIRS}' }} }}\n");
    let case = Case::new()
        .file(&format!("bob/{}", place("2026-03-01T10-00-00", ID)), rollout())
        .file("bob/mlflow-tracing.json", tracking(THEIRS))
        .file("bob/config.toml", config)
        .var("MLFLOW_TRACKING_TOKEN", "t")
        .var("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t");
    let bob = case.env.dir().join("bob");
    let bob = bob.to_str().unwrap();
    let words = case.refused(&["--to", "mlflow", "--codex-home", bob]);
    assert!(words.contains("no MLflow server is named"), "{words}");
    let (requests, words) = case.goes(&["--to", "otlp", "--codex-home", bob]);
    assert_eq!(requests[0].0, "http://localhost:4318/v1/traces");
    let told = "`[DIR]/bob/config.toml` is not followed: a home given by `--codex-home` is history";
    assert!(words.contains(told), "{words}");

    // The user's own settings hold for it.
    let case = case.file(".codex/mlflow-tracing.json", tracking(MINE));
    let (requests, words) = case.goes(&["--to", "mlflow", "--codex-home", bob]);
    assert_eq!(requests[0].0, format!("{MINE}/v1/traces"));
    assert!(words.contains("`[DIR]/bob/mlflow-tracing.json` is not followed"), "{words}");
    let doctor = case.command(&["doctor", "--to", "mlflow", "--codex-home", bob]);
    assert!(doctor.stdout.contains("bob/mlflow-tracing.json` is not followed"));

    // `CODEX_HOME` says which home is the user's.
    let case = case.var("CODEX_HOME", bob);
    let (requests, words) = case.goes(&["--to", "mlflow", "--codex-home", bob]);
    assert_eq!(requests[0].0, format!("{THEIRS}/v1/traces"));
    assert!(!words.contains("not followed"), "{words}");
}

/// Each backend's variables: a key, the place beside it, and how it is sent.
#[test]
fn a_flag_takes_no_key_that_was_set_for_another_place() {
    #[rustfmt::skip]
    let cases = [
        ("mlflow",    "MLFLOW_TRACKING_TOKEN",      "t",   "MLFLOW_TRACKING_URI",         "Authorization"),
        ("langsmith", "LANGSMITH_API_KEY",          "ls",  "LANGSMITH_ENDPOINT",          "x-api-key"),
        ("langsmith", "LANGSMITH_CODEX_API_KEY",    "ls",  "LANGSMITH_CODEX_ENDPOINT",    "x-api-key"),
        ("otlp",      "OTEL_EXPORTER_OTLP_HEADERS", "k=t", "OTEL_EXPORTER_OTLP_ENDPOINT", "k"),
        ("otlp",      "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "k=t", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "k"),
    ];
    for (to, key, value, beside, header) in cases {
        let args = ["--to", to, "--endpoint", FLAG];
        let case = Case::new().var(key, value);
        // The flag is the one place that is named.
        let (requests, _) = case.goes(&args);
        assert!(requests[0].0.starts_with(FLAG));
        assert_eq!(requests[0].1[header], "[redacted]", "{key}");
        let whole = if beside.contains("TRACES") { "/v1/traces" } else { "" };
        let case = case.var(beside, &format!("{MINE}{whole}"));
        let words = case.refused(&args);
        for part in [MINE, FLAG, key, beside, "--endpoint", "codex-trace.toml"] {
            assert!(words.contains(part), "{part}: {words}");
        }
        // The place that it was set for, in another spelling.
        let (requests, _) = case.goes(&["--to", to, "--endpoint", "HTTP://127.0.0.1:7001/"]);
        assert_eq!(requests[0].1[header], "[redacted]", "{key}");
        // What is empty is not set.
        let case = case.var(key, "");
        let (requests, _) = case.goes(&args);
        assert!(requests[0].1[header].is_null(), "{key}");
    }
    // Name and password, and certificates, are keys.
    let case = Case::new().var("MLFLOW_TRACKING_URI", MINE).var("MLFLOW_TRACKING_USERNAME", "u");
    let case = case.var("MLFLOW_TRACKING_PASSWORD", "p");
    let words = case.refused(&["--to", "mlflow", "--endpoint", FLAG]);
    assert!(words.contains("`MLFLOW_TRACKING_PASSWORD`"), "{words}");
    let case = Case::new()
        .var("OTEL_EXPORTER_OTLP_ENDPOINT", MINE)
        .var("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/c.pem");
    let words = case.refused(&["--to", "otlp", "--endpoint", FLAG]);
    assert!(words.contains("`OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE`"), "{words}");
}

#[test]
fn a_file_of_the_plugin_gives_its_key_to_no_other_place() {
    let own = format!(r#"{{"api_url":"{MINE}","api_key":"ls"}}"#);
    let case = Case::new().file(".codex/langsmith.json", own);
    let words = case.refused(&["--to", "langsmith", "--endpoint", FLAG]);
    assert!(words.contains(".codex/langsmith.json"), "{words}");
    let case = case.var("LANGSMITH_ENDPOINT", THEIRS);
    let words = case.refused(&TO_LANGSMITH);
    assert!(words.contains(MINE) && words.contains("LANGSMITH_ENDPOINT"), "{words}");
    let case = case.var("LANGSMITH_API_KEY", "of the variables");
    let (requests, _) = case.goes(&TO_LANGSMITH);
    assert!(requests[0].0.starts_with(THEIRS), "place and key are both in the environment");
}

/// A table's key is for the endpoint of the table.
#[test]
fn a_flag_takes_no_key_of_a_table_elsewhere() {
    let table = |access: &str| {
        format!("[destinations.t]\nbackend = 'mlflow'\nendpoint = '{MINE}'\n{access}\n")
    };
    for access in [
        "key = { env = 'K' }",
        "username = 'u'\npassword = { env = 'K' }",
        "headers = { X-Key = { env = 'K' } }",
        "headers = { X-Key = 'plain' }",
        "tls.client_cert_file = 'c.pem'",
    ] {
        let case = Case::new().file(FILE, table(access)).var("K", "k");
        let words = case.refused(&["--to", "t", "--endpoint", FLAG]);
        assert!(words.contains(MINE) && words.contains(FLAG), "{words}");
        assert!(words.contains("codex-trace.toml:"), "{words}");
    }
    let case = Case::new().file(FILE, table("key = { env = 'K' }")).var("K", "k");
    let (requests, _) = case.goes(&["--to", "t", "--endpoint", &format!("{MINE}/")]);
    assert_eq!(requests[0].1["Authorization"], "[redacted]");
    // Without an endpoint, the table's key is for what is named.
    let case = case.file(FILE, "[destinations.t]\nbackend = 'mlflow'\nkey = { env = 'K' }\n");
    let (requests, _) = case.goes(&["--to", "t", "--endpoint", FLAG]);
    assert_eq!(requests[0].1["Authorization"], "[redacted]");
}

#[test]
fn flags_and_tables_stand_above_replicas() {
    let replicas = format!(r#"[{{"apiUrl":"{MINE}","apiKey":"ls","projectName":"project-prod"}}]"#);
    let case = Case::new().var("LANGSMITH_CODEX_RUNS_ENDPOINTS", &replicas);
    let told = "the replicas in `LANGSMITH_CODEX_RUNS_ENDPOINTS` are not used: `--endpoint`";
    let args = ["--to", "langsmith", "--endpoint", FLAG, "--project", "flag"];
    let (requests, words) = case.goes(&args);
    assert_eq!(requests.len(), 1);
    assert!(requests[0].0.starts_with(FLAG) && requests[0].1["x-api-key"].is_null());
    assert!(words.contains(told), "{words}");
    let doctor = case.command(&[&["doctor"], &args[..]].concat());
    let lines =
        ["api_url = http://127.0.0.1:7003  (--endpoint)", "project = flag  (--project)", told];
    for line in lines {
        assert!(doctor.stdout.contains(line), "{}", doctor.stdout);
    }
    assert!(!doctor.stdout.contains(MINE), "{}", doctor.stdout);

    // The replicas' places and keys are their own affair.
    let (requests, words) = case.goes(&TO_LANGSMITH);
    assert!(requests[0].0.starts_with(MINE), "{requests:?}");
    assert!(!words.contains("warning"), "{words}");
    let doctor = case.command(&["doctor", "--to", "langsmith"]);
    let line =
        "replica = http://127.0.0.1:7001 project-prod, key [set]  (LANGSMITH_CODEX_RUNS_ENDPOINTS)";
    assert!(doctor.stdout.contains(line), "{}", doctor.stdout);
    assert!(!doctor.stdout.contains("api.smith"), "nothing goes there: {}", doctor.stdout);

    // Other flags and tables do the same.
    let case = case.var("LANGSMITH_API_KEY", "ls").var("LANGSMITH_ENDPOINT", THEIRS);
    let (requests, words) = case.goes(&["--to", "langsmith", "--project", "flag"]);
    assert!(requests[0].0.starts_with(THEIRS) && words.contains("`--project` names"), "{words}");
    for table in
        ["project = 'p'", "key = { env = 'LANGSMITH_API_KEY' }", &format!("endpoint = '{FLAG}'")]
    {
        let case = Case::new()
            .file(FILE, format!("[destinations.t]\nbackend = 'langsmith'\n{table}\n"))
            .var("LANGSMITH_CODEX_RUNS_ENDPOINTS", &replicas)
            .var("LANGSMITH_API_KEY", "ls")
            .var("LANGSMITH_ENDPOINT", THEIRS);
        let (requests, _) = case.goes(&["--to", "t"]);
        assert!(!requests[0].0.starts_with(MINE), "{table}: {requests:?}");
    }
}

/// A replica without a key takes that of the one place, if that is its own.
#[test]
fn a_replica_takes_no_key_that_was_set_for_another_place() {
    let replicas = format!(r#"[{{"apiUrl":"{THEIRS}","projectName":"x"}}]"#);
    let case =
        Case::new().var("LANGSMITH_CODEX_RUNS_ENDPOINTS", &replicas).var("LANGSMITH_API_KEY", "ls");
    let (requests, _) = case.goes(&TO_LANGSMITH);
    assert_eq!(requests[0].1["x-api-key"], "[redacted]", "no other place is named");
    let case = case.var("LANGSMITH_ENDPOINT", MINE);
    let words = case.refused(&TO_LANGSMITH);
    assert!(words.contains(MINE) && words.contains(THEIRS), "{words}");
}

#[test]
fn keys_are_taken_without_the_space_around_them_and_errors_name_them() {
    let server = Server::start(&[], Some(Act::Ok));
    let case =
        Case::new().var("MLFLOW_TRACKING_TOKEN", " 't0ken'\r\n").var("MLFLOW_EXPERIMENT_ID", " ");
    let (requests, _) = case.goes(&["--to", "mlflow", "--endpoint", FLAG]);
    assert_eq!(requests[0].1["x-mlflow-experiment-id"], "codex-trace", "blank is not set");
    let case = Case::new()
        .var("OTEL_EXPORTER_OTLP_HEADERS", "x-key=k\n")
        .var("OTEL_EXPORTER_OTLP_ENDPOINT", "\n");
    let run = case.upload(&["--to", "otlp", "--endpoint", &server.url]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(server.saw("x-key: k"));
    for (to, name) in [("mlflow", "MLFLOW_TRACKING_TOKEN"), ("langsmith", "LANGSMITH_API_KEY")] {
        let case = Case::new().var(name, "s3cr3t\nkey");
        let words = case.refused(&["--to", to, "--endpoint", FLAG]);
        assert!(words.contains(&format!("the key in `{name}` cannot be sent")), "{words}");
        assert!(!words.contains("s3cr3t"), "{words}");
    }
    // A file of the plugin's, and one that a table names.
    let case = Case::new().file(".codex/langsmith.json", r#"{"api_key":"k\u00e9y"}"#);
    let words = case.refused(&TO_LANGSMITH);
    assert!(words.contains(".codex/langsmith.json` cannot be sent"), "{words}");
    let table = "[destinations.t]\nbackend = 'otlp'\nkey.file = '~/k'\n";
    let case = Case::new().file(FILE, table).file("k", "a\nb\n");
    let words = case.refused(&["--to", "t"]);
    assert!(words.contains("`~/k, named in") && words.contains("cannot be sent"), "{words}");
}

/// A password is where it should not be because somebody mistyped the address.
#[test]
fn no_password_is_shown_however_wrong_the_address() {
    let addresses = [
        "http://user:hun/ter2pass@h:4318",
        "http://user:hun#ter2pass@h:4318",
        "http://user:hun?ter2pass@h:4318",
        "http://user:12?ter2pass@h:4318",
        "http://user:ter2pass@h:99999",
        "user:ter2pass@h:4318",
        "https//user:ter2pass@h",
        "http:/user:ter2pass@h",
        "http://a b:ter2pass@h",
        "ftp://user:ter2pass@h",
        "http://h:x/?key=ter2pass",
    ];
    let case = Case::new();
    for (to, variable) in [
        ("otlp", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("mlflow", "MLFLOW_TRACKING_URI"),
        ("langsmith", "LANGSMITH_ENDPOINT"),
    ] {
        for address in addresses {
            let table = format!("[destinations.t]\nbackend = '{to}'\nendpoint = '{address}'\n");
            let mut said = Case::new().var(variable, address).file(FILE, table);
            said.vars.push(("K", String::new()));
            let flag = ["--to", to, "--endpoint", address];
            for (case, args) in [(&case, &flag[..]), (&said, &flag[..2]), (&said, &["--to", "t"])] {
                let run = case.upload(&[args, &["--dry-run"]].concat());
                assert_eq!(run.code, Some(2), "{address}: {}", run.stderr);
                let doctor = case.command(&[&["doctor", "--json"], args].concat());
                let seen = run.stderr + &doctor.stderr + &doctor.stdout;
                assert!(!seen.contains("ter2") && !seen.contains("hun"), "{to} {address}: {seen}");
            }
        }
    }
}

/// Whatever becomes of an upload: a key in the query of an address is for the
/// wire alone.
#[test]
fn no_key_of_a_query_is_shown_or_kept() {
    const KEY: &str = "QKEY0123456789";
    for (act, code) in [
        (Act::Ok, 0),
        (Act::Refuse(401, "", "denied"), 2),
        (Act::Refuse(400, "", "wrong"), 2),
        (Act::Drop, 2),
    ] {
        let server = Server::start(&[], Some(act));
        let base = server.url.trim_end_matches("/units");
        let endpoint = format!("{base}/v1/traces?api_key={KEY}&plain");
        let case = Case::new().var("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint);
        let to = ["--to", "otlp"];
        let mut seen = String::new();
        for args in [
            &["--json", "--retry-for", "1s"][..],
            &["--dry-run", "--json", "--force"],
            &["--dry-run=out", "--force"],
        ] {
            let run = case.upload(&[&to, args].concat());
            if args[0] == "--json" {
                assert_eq!(run.code, Some(code), "{}", run.stderr);
            }
            seen += &(run.stderr + &run.stdout);
        }
        for args in [
            &["status"][..],
            &["status", "--json"],
            &["doctor"],
            &["doctor", "--json", "--connect", "--to", "otlp"],
        ] {
            let run = case.command(args);
            seen += &(run.stderr + &run.stdout);
        }
        assert!(
            server.saw(&format!("post /v1/traces?api_key={}&plain http/1.1", KEY.to_lowercase()))
        );
        assert!(!seen.contains(KEY), "{seen}");
        assert!(seen.contains("api_key=[set]"), "{seen}");
        let mut dirs = vec![case.env.dir().to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                } else {
                    let bytes = fs::read(&path).unwrap();
                    assert!(
                        memchr::memmem::find(&bytes, KEY.as_bytes()).is_none(),
                        "{}",
                        path.display()
                    );
                }
            }
        }
    }
}
