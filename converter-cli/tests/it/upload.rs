//! `upload` and `status` as a user runs them.

use std::fs;
use std::io::Read;
use std::time::Duration;

use crate::scripted_server::{Act, Server};
use crate::testenv::{TestEnv, place, small_rollout};

const ID: &str = "019a0000-0000-7000-8000-000000000001";
const START: &str = "2026-03-01T10:00";
const TIMELESS: &str = r#"{"type":"session_meta","payload":{"id":"019a0000-0000-7000-8000-000000000001","cwd":"/w"}}
{"type":"event_msg","payload":{"type":"task_started","turn_id":"t-1"}}
{"type":"response_item","payload":{"type":"message","role":"user","content":[{"type":"input_text","text":"hello"}]}}
{"type":"event_msg","payload":{"type":"task_complete","turn_id":"t-1"}}
"#;
const KEY: &str = "sk-proj-0123456789abcdefABCDEF";

fn home(prompt: &str) -> TestEnv {
    let env = TestEnv::new();
    let file = format!(".codex/{}", place("2026-03-01T10-00-00", ID));
    env.write(&file, small_rollout(ID, START, prompt));
    env
}

/// The arguments of an upload to `server`.
fn upload<'a>(server: &'a Server, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["upload", "--to", "otlp", "--endpoint", &server.url, "--settle", "0s"];
    args.extend(more);
    args
}

#[test]
fn uploads_once() {
    let env = home("hello");
    let server = Server::start(&[], Some(Act::Ok));
    let sentence = "uploaded 1 turn of 1 session to otlp\n";
    env.run(&upload(&server, &[])).is(0, "", sentence);
    let n = server.requests();
    assert!(n > 0);
    env.run(&upload(&server, &[])).is(
        0,
        "",
        "otlp: 1 session unchanged since uploaded\nuploaded nothing to otlp\n",
    );
    assert_eq!(server.requests(), n);
    let status = env.run(&["status", "--json"]).json();
    assert_eq!(status.len(), 1);
    assert_eq!(status[0]["sent"], 1);
    assert_eq!((&status[0]["pending"], &status[0]["failed"]), (&0.into(), &0.into()));
    env.run(&upload(&server, &["--force"])).is(0, "", sentence);
    assert!(server.requests() > n);
}

#[test]
fn secrets_stay_here_unless_told_otherwise() {
    let env = home(&format!("use {KEY} and ACME-17"));
    let seen = |more: &[&str]| {
        let server = Server::start(&[], Some(Act::Ok));
        let run = env.run(&upload(&server, &[&["--force"], more].concat()));
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let text = server.set().concat();
        ["hello", KEY, "ACME-17", "gpt-x"].map(|it| text.contains(it))
    };
    assert_eq!(seen(&[]), [false, false, true, true]);
    assert_eq!(seen(&["--no-redact"]), [false, true, true, true]);
    assert_eq!(seen(&["--redact-pattern", "ACME-[0-9]+"]), [false, false, false, true]);
    assert_eq!(seen(&["--capture", "metadata-only", "--no-redact"]), [false, false, false, true]);
}

#[test]
fn a_dry_run_sends_nothing_and_shows_everything() {
    let env = home("hello");
    let server = Server::start(&[], Some(Act::Ok));
    let mut command = env.command(&upload(&server, &["--dry-run=out", "--compress", "none"]));
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=s3cr3t");
    let run = env.finish(&mut command);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let sentence = "would upload 1 turn of 1 session to otlp in 1 request of ";
    assert!(run.stderr.starts_with(sentence), "{}", run.stderr);
    assert!(run.stderr.ends_with(", written to `out/otlp`\n"), "{}", run.stderr);
    assert_eq!(server.requests(), 0);
    let about = fs::read_to_string(env.dir().join("out/otlp/000001.json")).unwrap();
    assert!(about.contains(r#""x-api-key":"[redacted]""#), "{about}");
    let body = fs::read(env.dir().join("out/otlp/000001.body.pb")).unwrap();
    assert!(String::from_utf8_lossy(&body).contains("hello"));
    assert!(!env.dir().join(".local").exists(), "no ledger was made");
}

#[test]
fn what_cannot_be_used_is_said_before_anything_is_done() {
    let env = home("hello");
    let run = env.run(&["upload", "--to", "nobody"]);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.starts_with("error: no destination or backend `nobody`\nhint: there are: "),
        "{}",
        run.stderr
    );
    let server = Server::start(&[], Some(Act::Refuse(401, "", "who are you?")));
    let run = env.run(&upload(&server, &[]));
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.starts_with("error: otlp: status 401: who are you?\n"), "{}", run.stderr);
    let run = env.run(&upload(&server, &["--redact-pattern", "("]));
    assert_eq!((run.code, server.requests()), (Some(2), 1));
    assert!(run.stderr.contains("redaction rule `(`"), "{}", run.stderr);
    let run = env.run(&["upload", "--to", "otlp", "--max-memory", "much"]);
    assert_eq!(run.code, Some(2));
}

#[test]
fn conventions_and_the_amount_of_history_are_the_users_choice() {
    let env = home("hello");
    let seen = |more: &[&str]| {
        let server = Server::start(&[], Some(Act::Ok));
        let run = env.run(&upload(&server, &[&["--force"], more].concat()));
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let lines = server.lines().into_iter();
        let text: String = lines.map(|(line, n)| line.repeat(n)).collect();
        ["gen_ai.operation.name", "gen_ai.input.messages", "openinference.span.kind"]
            .map(|it| text.matches(it).count())
    };
    assert_eq!(seen(&[]), [2, 2, 0], "the turn and its model call");
    assert_eq!(seen(&["--semconv", "genai", "--llm-input", "none"]), [2, 1, 0]);
    assert_eq!(seen(&["--semconv", "openinference", "--llm-input", "full"]), [0, 0, 2]);
}

/// What is wrong with a file is not wrong with the program.
#[test]
fn a_file_that_says_nowhere_when_it_was_is_said_to_be_one() {
    let env = TestEnv::new();
    env.write("a.jsonl", TIMELESS);
    let server = Server::start(&[], Some(Act::Ok));
    let run = env.run(&upload(&server, &["a.jsonl"]));
    assert_eq!((run.code, server.requests()), (Some(2), 0), "{}", run.stderr);
    for run in [run, env.run(&["convert", "--to", "otlp-json", "a.jsonl"])] {
        assert!(run.code.is_some_and(|code| code > 0), "{}", run.stderr);
        let why = "its file does not record when it was, and OTLP requires a time";
        assert!(run.stderr.contains(why) && !run.stderr.contains("fault"), "{}", run.stderr);
    }
}

/// What was uploaded, by `upload --json`, by `status --json` and by what was sent,
/// is the same number, and nobody is told to wait for what will not come.
#[test]
fn the_account_adds_up() {
    let env = home("hello");
    let more = "019a0000-0000-7000-8000-000000000002";
    let open = small_rollout(more, START, "hello").replace("task_complete", "token_count");
    env.write(&format!(".codex/{}", place("2026-03-01T11-00-00", more)), open);
    let server = Server::start(&[], Some(Act::Ok));
    let args = ["upload", "--to", "otlp", "--endpoint", &server.url, "--json"];
    let dry = env.run(&[&args[..], &["--dry-run"]].concat());
    let outcomes: Vec<_> = dry.json().into_iter().map(|it| it["outcome"].clone()).collect();
    assert_eq!(outcomes, ["sent".into(), "open".into(), serde_json::Value::Null], "{}", dry.stdout);
    let run = env.run(&args);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let account = run.json().remove(0);
    assert_eq!(
        (&account["turns"], &account["sessions"]),
        (&dry.json()[2]["turns"], &dry.json()[2]["sessions"])
    );
    assert_eq!((&account["turns"]["sent"], &account["turns"]["open"]), (&1.into(), &1.into()));
    let status = env.run(&["status", "--json"]).json().remove(0);
    assert_eq!((&status["sent"], &status["pending"]), (&1.into(), &1.into()));
    assert_eq!(status["destination"], account["destination"]);
    let again = env.run(&[&args[..], &["--settle", "0s"]].concat()).json().remove(0);
    assert_eq!((&again["turns"]["sent"], &again["sessions"]["unchanged"]), (&1.into(), &1.into()));
}

/// Nobody answers: where, since when it is tried, what is pending and why.
#[test]
fn a_server_that_is_not_there_is_named() {
    let env = home("hello");
    let args = ["upload", "--to", "otlp", "--endpoint", "http://127.0.0.1:1", "--settle", "0s"];
    let run = env.run(&[&args[..], &["--retry-for", "2s"]].concat());
    let reason = "no answer from http://127.0.0.1:1/v1/traces: Connection refused";
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains(&format!("warning: otlp: {reason}")), "{}", run.stderr);
    assert!(run.stderr.contains("; trying again for up to 2 s\n"), "{}", run.stderr);
    assert!(run.stderr.contains(&format!("error: otlp: {reason}")), "{}", run.stderr);
    let ending = "otlp: 1 turn not sent\nuploaded nothing to otlp\nhint: `codex-trace doctor --to otlp --connect` shows the settings, where they come from, and what the destination answers\n";
    assert!(run.stderr.ends_with(ending), "{}", run.stderr);
    let status = env.run(&["status"]);
    assert!(status.stdout.contains(&format!("  1 pending: {reason}")), "{}", status.stdout);
    assert!(status.stderr.starts_with("hint: run `codex-trace upload` again"), "{}", status.stderr);
}

#[test]
fn nothing_uploaded_is_said_so() {
    let env = TestEnv::new();
    env.run(&["status"]).is(
        0,
        "",
        "nothing has been uploaded yet, according to `[DIR]/.local/state/codex-trace`\n",
    );
}

/// Any text of a line, whatever its field.
#[test]
fn convert_redacts_if_asked_to() {
    let env = TestEnv::new();
    let text = small_rollout(ID, START, KEY)
        .replace("/home/u/work/small", &format!("/home/{KEY}/x"))
        .replace(
            "\"done\"",
            r#""{\"password\":\"hunter22\"} sk\u002dproj-0123456789abcdefABCDEF""#,
        );
    env.write("a.jsonl", text);
    let plain = env.run(&["convert", "a.jsonl"]);
    assert!(plain.stdout.contains(KEY) && plain.stdout.contains("hunter22"));
    let run = env.run(&["convert", "a.jsonl", "--redact"]);
    assert_eq!(run.code, Some(0));
    for secret in ["0123456789abcdef", "hunter22"] {
        assert!(!run.stdout.contains(secret), "{}", run.stdout);
    }
    assert!(run.json().len() == plain.json().len(), "still JSON");
}

/// Starts an upload and waits until the server has a request of it.
#[cfg(unix)]
fn under_way(env: &TestEnv, server: &Server) -> std::process::Child {
    let mut command = env.command(&upload(server, &["--senders", "1", "--jobs", "1"]));
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().expect("the command runs");
    while server.requests() == 0 {
        assert!(child.try_wait().expect("a child").is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

/// Sends a signal, by the name that `kill` has for it.
#[cfg(unix)]
pub(crate) fn signal(child: &std::process::Child, name: &str) {
    let pid = child.id().to_string();
    let mut kill = std::process::Command::new("kill");
    assert!(kill.args([name, &pid]).status().expect("kill runs").success());
}

#[cfg(unix)]
#[test]
fn the_first_interrupt_finishes_what_is_under_way() {
    for name in ["-INT", "-TERM", "-HUP"] {
        let env = home("hello");
        let server = Server::start(&[Act::Delay(Duration::from_secs(1))], Some(Act::Ok));
        let child = under_way(&env, &server);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!server.set().is_empty(), "it was stored, and waited for");
        let status = env.run(&["status", "--json"]).json();
        assert_eq!((&status[0]["sent"], &status[0]["pending"]), (&1.into(), &0.into()));
        assert_eq!(env.run(&upload(&server, &[])).code, Some(0));
        assert_eq!(server.requests(), 1, "nothing is sent twice");
    }
}

#[cfg(unix)]
#[test]
fn the_second_interrupt_ends_at_once() {
    let env = home("hello");
    let server = Server::start(&[Act::Delay(Duration::from_secs(60))], Some(Act::Ok));
    let mut child = under_way(&env, &server);
    let status = loop {
        // Two that come too close together are one to the system.
        signal(&child, "-INT");
        std::thread::sleep(Duration::from_millis(20));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
    };
    assert_eq!(status.code(), Some(130));
    assert!(server.set().is_empty(), "it did not wait for the answer");
    assert_eq!(env.run(&upload(&server, &[])).code, Some(0), "the next run sends it");
    assert!(!server.set().is_empty());
}

/// What cannot be noted as refused must not be taken for done.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_for_dead_letters_ends_it_and_says_so() {
    let env = home("hello");
    let server = Server::start(&[], Some(Act::Refuse(422, "", "no")));
    let letters = env.dir().join("state/dead-letters-otlp.jsonl");
    fs::create_dir_all(letters.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/dev/full", &letters).unwrap();
    let run = env.run(&upload(&server, &["--state-dir", "state"]));
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("dead-letters-otlp.jsonl`: No space left"), "{}", run.stderr);
    // What was sent before is told, and counts.
    let other = ID.replace("0001", "0002");
    let file = format!(".codex/{}", place("2026-03-01T10-00-00", &other));
    env.write(&file, small_rollout(&other, START, "poison"));
    let server = Server::start(&[], Some(Act::Poison("poison")));
    let run = env.run(&upload(&server, &["--state-dir", "state", "--senders", "1", "--jobs", "1"]));
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("uploaded 1 turn of 1 session to otlp"), "{}", run.stderr);
    fs::remove_file(&letters).unwrap();
    let server = Server::start(&[], Some(Act::Ok));
    let run = env.run(&upload(&server, &["--state-dir", "state"]));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("uploaded 2 turns of 2 sessions to otlp"), "{}", run.stderr);
}

/// But for what is joined into one request, which is a matter of time.
#[test]
fn what_a_dry_run_writes_is_what_is_sent() {
    let env = home("hello");
    let server = Server::start(&[], Some(Act::Ok));
    env.run(&upload(&server, &["--dry-run=out"]));
    let written = fs::read(env.dir().join("out/otlp/000001.body.pb.gz")).unwrap();
    let mut body = Vec::new();
    flate2::read::GzDecoder::new(written.as_slice()).read_to_end(&mut body).unwrap();
    let about = fs::read_to_string(env.dir().join("out/otlp/000001.json")).unwrap();
    let about: serde_json::Value = serde_json::from_str(&about).unwrap();
    env.run(&upload(&server, &[]));
    assert_eq!(server.requests(), 1);
    assert_eq!(String::from_utf8_lossy(&body), server.last());
    assert_eq!(about["url"], format!("{}/v1/traces", server.url));
    for (name, value) in about["headers"].as_object().unwrap() {
        let line = format!("{name}: {}", value.as_str().unwrap()).to_lowercase();
        assert!(server.saw(&line), "{line}");
    }
}

/// What was refused is told at once, with the server's words, and kept apart.
#[test]
fn what_is_refused_is_told_with_its_reason() {
    let env = home("hello");
    let server = Server::start(&[], Some(Act::Refuse(400, "", "too strange")));
    let run = env.run(&upload(&server, &[]));
    let letters = "[DIR]/.local/state/codex-trace/dead-letters-otlp.jsonl";
    run.is(
        2,
        "",
        &format!(
            "error: otlp: it did not accept everything: status 400: too strange\n\
             uploaded nothing to otlp, 1 rejected\n\
             hint: what was rejected, and why, is in `{letters}`\n"
        ),
    );
    let status = env.run(&["status"]);
    assert!(
        status
            .stdout
            .contains(": 0 turns sent, 0 pending, 1 failed\n  1 failed: status 400: too strange\n"),
        "{}",
        status.stdout
    );
    assert!(status.stderr.starts_with("hint: what was refused"), "{}", status.stderr);
}

/// A receiver that refuses whatever comes is not asked about every turn of a
/// history: what it was not asked about is pending.
#[test]
fn who_takes_nothing_is_soon_left_alone() {
    let env = TestEnv::new();
    for nth in 0..40 {
        let id = format!("019a0000-0000-7000-8000-0000000000{nth:02}");
        let file = format!(".codex/{}", place(&format!("2026-03-01T10-{nth:02}-00"), &id));
        env.write(&file, small_rollout(&id, START, "hello"));
    }
    let server = Server::start(&[], Some(Act::Refuse(400, "", "oh")));
    let run = env.run(&upload(&server, &["--json"]));
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(
        run.stderr.contains("error: otlp: it accepts nothing: status 400: oh\n"),
        "{}",
        run.stderr
    );
    let account = run.json().remove(0);
    let n = |what: &str| account["turns"][what].as_u64().expect("a number");
    // Ten, and what the other senders had under way.
    assert!((10..20).contains(&n("rejected")), "{account}");
    let status = env.run(&["status", "--json"]).json().remove(0);
    assert_eq!(
        (&status["failed"], &status["pending"]),
        (&n("rejected").into(), &n("unsent").into())
    );
}

/// Captive portals and gateways answer with 200, too.
#[test]
fn a_200_that_is_no_answer_is_no_success() {
    let env = home("hello");
    for text in [r#"{"error":"invalid token"}"#, "Please log in", r#"{"code":16}"#] {
        let server = Server::start(&[], Some(Act::OkWith(200, text)));
        let run = env.run(&upload(&server, &["--state-dir", "state"]));
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        let told = format!("not the answer of an OTLP receiver: status 200: {text}");
        assert!(run.stderr.contains(&told), "{}", run.stderr);
        let status = env.run(&["status", "--json", "--state-dir", "state"]).json().remove(0);
        assert_eq!((&status["sent"], &status["pending"]), (&0.into(), &1.into()));
    }
    let server = Server::start(&[], Some(Act::OkWith(200, r#"{"partialSuccess":{}}"#)));
    assert_eq!(env.run(&upload(&server, &["--state-dir", "state"])).code, Some(0));
}

/// A server may repeat what it was sent, at any length.
#[test]
fn what_a_server_says_is_cut_and_free_of_keys() {
    let env = home("hello");
    let echo = "no: authorization=Bearer SUPERSECRETTOKEN and sk-proj-0123456789abcdefABCDEF, ";
    let words: &'static str = Box::leak((echo.to_owned() + &"A".repeat(900_000)).into_boxed_str());
    for status in [400, 401, 413] {
        let server = Server::start(&[], Some(Act::Refuse(status, "", words)));
        let mut command = env.command(&upload(&server, &["--state-dir", "state"]));
        command.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20SUPERSECRETTOKEN");
        let run = env.finish(&mut command);
        assert!(run.stderr.contains("no: authorization="), "{}", run.stderr);
        let status = env.run(&["status", "--state-dir", "state"]);
        let mut kept = String::new();
        for entry in fs::read_dir(env.dir().join("state")).unwrap() {
            kept += &String::from_utf8_lossy(&fs::read(entry.unwrap().path()).unwrap());
        }
        for text in [&run.stderr, &status.stdout, &kept] {
            assert!(!text.contains("SUPERSECRET") && !text.contains("sk-proj-"), "{text}");
        }
        assert!(run.stderr.len() < 2_000 && kept.len() < 200_000, "{}", kept.len());
    }
}

/// What it says is what will be sent, on any number of threads.
#[test]
fn a_dry_run_says_the_same_each_time() {
    let env = TestEnv::new();
    let homes = crate::testenv::testdata("homes");
    let run = |jobs: &str| {
        let place = ["--endpoint", "http://127.0.0.1:1", "--settle", "0s", "-j", jobs];
        let args = ["upload", "--to", "otlp", "--dry-run", "--json"].iter().chain(&place);
        let mut command = env.command(&args.collect::<Vec<_>>());
        env.finish(command.arg(&homes)).stdout
    };
    let first = run("1");
    assert!(first.contains("\"requests\":"), "{first}");
    for jobs in ["1", "2", "7"] {
        assert!(run(jobs) == first, "with {jobs} threads");
    }
}

#[test]
fn numbers_of_threads_have_an_end() {
    let env = home("hello");
    let server = Server::start(&[], Some(Act::Ok));
    for (flag, told) in [
        ("--senders", "error: `senders` cannot be more than 128\n"),
        ("--jobs", "error: `--jobs` takes at most 512 threads\n"),
    ] {
        let run = env.run(&upload(&server, &[flag, "100000"]));
        assert_eq!(run.code, Some(2));
        assert!(run.stderr.starts_with(told), "{}", run.stderr);
    }
    assert_eq!(server.requests(), 0);
}

/// Nobody writes to the FIFO: to open it would be to wait for ever.
#[cfg(unix)]
#[test]
fn side_files_that_are_no_files_hold_up_nobody() {
    let env = home("hello");
    let server = Server::start(&[], Some(Act::Ok));
    let fifo = |name: &str| {
        let path = env.dir().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    };
    fifo("config.toml");
    let run = env.run(&upload(&server, &["--config", "config.toml"]));
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("`config.toml`: it is not a regular file"), "{}", run.stderr);
    fifo("state/ledger.db");
    for args in [upload(&server, &["--state-dir", "state"]), vec!["status", "--state-dir", "state"]]
    {
        let run = env.run(&args);
        assert_eq!(run.code, Some(2));
        assert!(run.stderr.contains("ledger.db`: it is not a regular file"), "{}", run.stderr);
    }
    assert_eq!(server.requests(), 0);
}

#[test]
fn a_filter_that_matches_nothing_is_named() {
    let env = TestEnv::new();
    let id = "019a0000-0000-7000-8000-000000000001";
    let text = small_rollout(id, "2026-03-01T10:00", "do it");
    env.write(&format!(".codex/{}", place("2026-03-01T10-00-00", id)), text);
    let args = ["upload", "--to", "otlp", "--endpoint", "http://127.0.0.1:1", "--dry-run"];
    let run = env.run(&[&args[..], &["--model", "gpt-none"]].concat());
    assert!(
        run.stderr.contains("`--model gpt-none`") && run.stderr.contains("gpt-x"),
        "{}",
        run.stderr
    );
}
