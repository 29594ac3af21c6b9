//! `codex-trace.toml` as a user has it: destinations by name.

use std::fs;

use crate::scripted_server::{Act, Server};
use crate::testenv::{Run, TestEnv, place, small_rollout};

const ID: &str = "019a0000-0000-7000-8000-000000000002";
const FILE: &str = ".config/codex-trace/codex-trace.toml";

fn env() -> TestEnv {
    let env = TestEnv::new();
    let rollout = small_rollout(ID, "2026-03-01T10:00", "hello");
    env.write(&format!(".codex/{}", place("2026-03-01T10-00-00", ID)), rollout);
    env
}

fn server() -> Server {
    Server::start(&[], Some(Act::Ok))
}

/// A table of a destination of OTLP.
fn table(name: &str, server: &Server, more: &str) -> String {
    format!("[destinations.{name}]\nbackend = 'otlp'\nendpoint = '{}'\n{more}\n", server.url)
}

fn upload(env: &TestEnv, more: &[&str]) -> Run {
    env.run(&[&["upload", "--settle", "0s"], more].concat())
}

#[track_caller]
fn ok(run: &Run) {
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

#[test]
fn two_of_a_backend_each_in_its_own_manner() {
    let env = env();
    let (one, two) = (server(), server());
    let text = "to = ['one', 'two']\n".to_owned()
        + &table("one", &one, "project = 'p'\ncapture = 'metadata-only'\nheaders = { X-A = 'a' }")
        + &table("two", &two, "key = { env = 'TWO' }\nllm_input = 'none'\nworkspace = 'w'");
    env.write(FILE, text);
    let run = env.finish(
        env.command(&["upload", "--settle", "0s"])
            .env("TWO", "k2")
            // Of another place: none of it goes to these two.
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
            .env("OTEL_EXPORTER_OTLP_HEADERS", "x-elsewhere=secret"),
    );
    ok(&run);
    for name in ["one", "two"] {
        let sentence = format!("uploaded 1 turn of 1 session to {name}\n");
        assert!(run.stderr.contains(&sentence), "{}", run.stderr);
    }
    let has = |server: &Server, text: &str| server.set().concat().contains(text);
    assert!(!has(&one, "hello") && has(&one, "openinference.project.name"));
    let of_turn_alone = two.set().concat().matches("gen_ai.input.messages").count() == 1;
    assert!(has(&two, "hello") && of_turn_alone);
    assert!(one.saw("x-a: a") && !one.saw("authorization: bearer k2"));
    assert!(two.saw("authorization: bearer k2") && two.saw("x-scope-orgid: w"));
    assert!(!one.saw("x-elsewhere: secret") && !two.saw("x-elsewhere: secret"));
}

#[test]
fn a_name_is_not_what_the_ledger_goes_by() {
    let env = env();
    let server = server();
    env.write(FILE, table("old", &server, "project = 'p'"));
    ok(&upload(&env, &["--to", "old"]));
    let stored = server.lines();
    assert!(!stored.is_empty());
    env.write(FILE, table("new", &server, "project = 'p'"));
    ok(&upload(&env, &["--to", "new"]));
    // As without a file.
    ok(&upload(&env, &["--to", "otlp", "--endpoint", &server.url, "--project", "p"]));
    assert_eq!(server.lines(), stored, "all of it was there");

    let both = table("a", &server, "project = 'q'") + &table("b", &server, "project = 'q'");
    env.write(FILE, both);
    for dry in [&["--dry-run"][..], &[]] {
        let run = upload(&env, &[&["--to", "a,b"], dry].concat());
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert!(
            run.stderr.starts_with("error: `a` and `b` are the same place: "),
            "{}",
            run.stderr
        );
    }
    assert_eq!(server.lines(), stored);
}

#[test]
fn flags_win_and_secrets_are_read_from_where_they_are() {
    let env = env();
    let (named, other) = (server(), server());
    let key = env.write("keys/k", "from-a-file\n");
    env.write(FILE, table("x", &named, "key.file = '~/keys/k'\ncapture = 'metadata-only'"));
    // The key is for the place that the table names.
    let run = upload(&env, &["--to", "x", "--endpoint", &other.url]);
    assert_eq!((run.code, named.requests(), other.requests()), (Some(2), 0, 0), "{}", run.stderr);
    ok(&upload(&env, &["--to", "x", "--endpoint", &named.url, "--capture", "full"]));
    assert!(named.set().concat().contains("hello"));
    assert!(named.saw("authorization: bearer from-a-file"));

    ok(&upload(&env, &["--to", "x", "--dry-run=out", "--force"]));
    let about = fs::read_to_string(env.dir().join("out/x/000001.json")).unwrap();
    assert!(about.contains(r#""Authorization":"[redacted]""#), "{about}");

    fs::remove_file(key).unwrap();
    let run = upload(&env, &["--to", "x"]);
    assert_eq!(run.code, Some(2));
    let words = "error: x: `key` ([DIR]/.config/codex-trace/codex-trace.toml:4): cannot read `[DIR]/keys/k`";
    assert!(run.stderr.starts_with(words), "{}", run.stderr);
}

/// An id can be on a server once: who wants two copies there says so.
#[test]
fn two_projects_of_one_server_have_ids_of_their_own() {
    let env = env();
    let server = server();
    let both = |own: &str| {
        table("a", &server, "project = 'p'\nprotocol = 'http/json'")
            + &table("b", &server, &format!("project = 'q'\nprotocol = 'http/json'\n{own}"))
    };
    env.write(FILE, both(""));
    let run = upload(&env, &["--to", "a,b"]);
    assert_eq!((run.code, server.requests()), (Some(2), 0));
    assert!(run.stderr.starts_with("error: `a` and `b` are on one server"), "{}", run.stderr);
    ok(&upload(&env, &["--to", "a"]));
    let run = upload(&env, &["--to", "b", "--dry-run"]);
    assert!(run.stderr.contains("warning: b: sessions that were uploaded to"), "{}", run.stderr);

    env.write(FILE, both("own_ids = true"));
    let run = upload(&env, &["--to", "a,b", "--dry-run=out", "--compress", "none", "--force"]);
    ok(&run);
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    let ids = |name: &str| {
        let file = env.dir().join(format!("out/{name}/000001.body.json"));
        let text = fs::read_to_string(file).unwrap();
        let ids = text.split("Id\":\"").skip(1).map(|rest| rest[..16].to_owned());
        ids.collect::<Vec<_>>()
    };
    let (a, b) = (ids("a"), ids("b"));
    assert!(a.len() == b.len() && a.len() > 3, "{a:?} {b:?}");
    assert!(a.iter().all(|id| !b.contains(id)), "{a:?} {b:?}");
    let same = |ids: &[String]| {
        ids.iter().map(|id| ids.iter().position(|it| it == id)).collect::<Vec<_>>()
    };
    assert_eq!(same(&a), same(&b), "of the same tree");
}

#[test]
fn redaction_is_a_destinations_own() {
    const KEY: &str = "sk-proj-0123456789abcdefABCDEF";
    let env = TestEnv::new();
    let rollout = small_rollout(ID, "2026-03-01T10:00", &format!("use {KEY} and ACME-17"));
    env.write(&format!(".codex/{}", place("2026-03-01T10-00-00", ID)), rollout);
    let servers = [server(), server(), server()];
    env.write(".config/codex-trace/rules.toml", "[[rule]]\npattern = 'ACME'\n");
    let text = table("a", &servers[0], "redact = false")
        + &table("b", &servers[1], "redact_rules = 'rules.toml'")
        + &table("c", &servers[2], "redact_patterns = ['ACME-[0-9]+']");
    env.write(FILE, text);
    let seen = |more: &[&str]| {
        ok(&upload(&env, &[&["--to", "a,b,c", "--force"], more].concat()));
        servers.each_ref().map(|server| {
            let last = server.last();
            [KEY, "ACME", "-17"].map(|text| last.contains(text))
        })
    };
    assert_eq!(seen(&[]), [[true, true, true], [false, false, true], [false, false, false]]);
    assert_eq!(seen(&["--no-redact"]), [[true; 3]; 3]);
}

#[test]
fn what_is_wrong_with_the_file_is_said() {
    let env = env();
    let server = server();
    env.write(FILE, table("team", &server, "projekt = 'p'"));
    let run = upload(&env, &["--to", "team"]);
    run.is(
        2,
        "",
        "error: `[DIR]/.config/codex-trace/codex-trace.toml`:4: unknown key `projekt`\nhint: did you mean `project`?\n",
    );
    let run = upload(&env, &["--to", "team", "--config", "elsewhere.toml"]);
    assert!(run.stderr.starts_with("error: cannot read `elsewhere.toml`: "), "{}", run.stderr);

    env.write("mine.toml", table("team", &server, "") + &table("tame", &server, ""));
    let mut command = env.command(&["upload", "--to", "tem", "--dry-run"]);
    let run = env.finish(command.env("CODEX_TRACE_CONFIG", "mine.toml"));
    run.is(2, "", "error: no destination or backend `tem`\nhint: did you mean `team`?\n");
    let several = ["--to", "team,tame", "--endpoint", "http://x", "--config", "mine.toml"];
    let run = upload(&env, &several);
    assert!(run.stderr.contains("`--endpoint` is for one destination"), "{}", run.stderr);
    let run = upload(&env, &["--config", "mine.toml"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.starts_with("error: no destination is named\nhint: "), "{}", run.stderr);
    assert_eq!(server.requests(), 0);
}

/// With a place of its own, a key of the environment stays where it is.
#[test]
fn no_key_goes_where_it_was_not_meant_to() {
    let env = env();
    let hosted = "[destinations.hosted]\nbackend = 'langsmith'\nendpoint = 'https://eu.api.smith.langchain.com'\n";
    let near = "[destinations.near]\nbackend = 'langsmith'\nproject = 'mine'\n";
    let tracking = "[destinations.ml]\nbackend = 'mlflow'\nendpoint = 'http://127.0.0.1:1'\n";
    env.write(FILE, [hosted, near, tracking].concat());
    let run = |to: &str| {
        let dry = format!("--dry-run=out-{to}");
        let mut command = env.command(&[
            "upload",
            "--settle",
            "0s",
            "--to",
            to,
            &dry,
            "--assume-backfill-allowed",
        ]);
        let vars = [
            ("LANGSMITH_API_KEY", "ls"),
            ("LANGSMITH_PROJECT", "theirs"),
            ("MLFLOW_TRACKING_TOKEN", "ml"),
            ("MLFLOW_EXPERIMENT_ID", "7"),
        ];
        env.finish(command.envs(vars))
    };
    let refused = run("hosted");
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.starts_with("error: hosted: there is no API key"), "{}", refused.stderr);
    let about = |to: &str| {
        ok(&run(to));
        fs::read_to_string(env.dir().join(format!("out-{to}/{to}/000001.json"))).unwrap()
    };
    assert!(about("near").contains(r#""x-api-key":"[redacted]""#));
    let ml = about("ml");
    assert!(
        !ml.contains("Authorization") && ml.contains(r#""x-mlflow-experiment-id":"codex-trace""#),
        "{ml}"
    );
}

#[test]
fn what_to_do_with_old_sessions_is_a_destinations_own() {
    let env = env();
    let hosted =
        "backend = 'langsmith'\nendpoint = 'https://eu.api.smith.langchain.com'\nkey.env = 'K'\n";
    let text = format!(
        "[destinations.moved]\n{hosted}time_shift = true\n[destinations.plain]\n{hosted}project = 'b'\nown_ids = true\n"
    );
    env.write(FILE, text);
    let args = ["upload", "--to", "moved,plain", "--dry-run", "--settle", "0s"];
    let run = env.finish(env.command(&args).env("K", "ls"));
    for (name, warned, sent) in [
        ("moved", false, "1 turn of 1 session to moved in 1 request"),
        ("plain", true, "nothing to plain\n"),
    ] {
        let warning = format!("warning: {name}: 1 of 1 sessions began more than 24 hours ago");
        assert_eq!(run.stderr.contains(&warning), warned, "{}", run.stderr);
        let sentence = format!("would upload {sent}");
        assert!(run.stderr.contains(&sentence), "{}", run.stderr);
    }
}
