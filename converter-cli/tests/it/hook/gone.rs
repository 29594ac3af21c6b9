//! Codex is killed in the middle of a turn: no file says that it has ended.

use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use codex_trace_model::Timestamp;

use super::{Sink, User, id, payload};

/// Writes as Codex does, with the times of now; returns the file, open as Codex
/// has it until it ends.
struct Codex {
    file: File,
}

fn now() -> String {
    let now = std::time::SystemTime::now();
    format!("{:.3}", Timestamp::try_from(now).expect("a time of this age"))
}

impl Codex {
    fn start(user: &User, nth: usize) -> Codex {
        let path = user.rollout(nth);
        fs::create_dir_all(path.parent().expect("a directory")).expect("as prepared");
        let mut codex = Codex { file: File::create_new(path).expect("as prepared") };
        codex.say(
            "session_meta",
            &format!(
                r#""id":"{}","timestamp":"{}","cwd":"/w","originator":"codex_exec","cli_version":"0.171.0","source":"exec""#,
                id(nth),
                now()
            ),
        );
        codex
    }

    fn resume(user: &User, nth: usize) -> Codex {
        let file = File::options().append(true).open(user.rollout(nth)).expect("as prepared");
        Codex { file }
    }

    fn say(&mut self, kind: &str, payload: &str) {
        let now = now();
        writeln!(self.file, r#"{{"timestamp":"{now}","type":"{kind}","payload":{{{payload}}}}}"#)
            .expect("as prepared");
    }

    fn event(&mut self, kind: &str, turn: &str) {
        self.say("event_msg", &format!(r#""type":"{kind}","turn_id":"{turn}""#));
    }

    /// Begins a turn, and has a command run in it.
    fn begin(&mut self, turn: &str) {
        self.event("task_started", turn);
        self.say(
            "response_item",
            &format!(r#""type":"message","role":"user","content":[{{"type":"input_text","text":"do {turn}"}}]"#),
        );
        self.say(
            "response_item",
            &format!(r#""type":"function_call","name":"shell","arguments":"{{}}","call_id":"call-{turn}""#),
        );
    }
}

fn has(sink: &Sink, text: &str) -> bool {
    sink.spans().values().any(|span| span.to_string().contains(text))
}

/// The worker stays until it can tell, and knows who is there from who was killed;
/// what goes on later is a turn of its own.
#[test]
fn a_turn_that_was_killed_is_sent_soon_and_what_goes_on_comes_once() {
    let sink = Sink::start(0);
    let user = User::new(&sink);
    let (mut killed, mut waits) = (Codex::start(&user, 1), Codex::start(&user, 2));
    for (codex, turn) in [(&mut killed, "t-killed"), (&mut waits, "t-waits")] {
        codex.begin(turn);
    }
    for nth in [1, 2] {
        user.call(payload("SessionStart", &id(nth)).as_bytes()).is(0, "", "");
    }
    drop(killed);
    let begun = Instant::now();
    user.until("the killed one", || has(&sink, "t-killed"));
    assert!(begun.elapsed() >= Duration::from_secs(15), "it was quiet before");
    assert!(!has(&sink, "t-waits"), "it waits for an approval");
    let mut resumed = Codex::resume(&user, 1);
    resumed.begin("t-next");
    user.call(payload("SessionStart", &id(1)).as_bytes()).is(0, "", "");
    resumed.event("task_complete", "t-next");
    waits.event("task_complete", "t-waits");
    user.call(payload("Stop", &id(2)).as_bytes()).is(0, "", "");
    drop((resumed, waits));
    user.drained();
    user.is_as_clean(&sink);
    let n = sink.requests();
    let run = user.env.run(&["upload"]);
    assert!(run.stderr.contains("uploaded nothing"), "{}", run.stderr);
    assert_eq!(sink.requests(), n);
}

/// No worker ran when it happened: the next call, of whatever session, finds it,
/// and so does a plain upload.
#[test]
fn the_next_call_and_the_watch_find_it() {
    let (sink, watched) = (Sink::start(0), Sink::start(0));
    let user = User::new(&sink);
    user.session(5);
    user.call(payload("Stop", &id(5)).as_bytes()).is(0, "", "");
    user.drained();
    user.env.write(
        ".config/codex-trace/watch.toml",
        format!("to = [\"watched\"]\n[destinations.watched]\nbackend = \"otlp\"\nendpoint = \"{}\"\nprotocol = \"http/json\"\ncompression = \"none\"\n", watched.url),
    );
    let config = user.env.dir().join(".config/codex-trace/watch.toml");
    let mut command = user.env.command(&["upload", "--watch", "--state-dir", "watch", "--config"]);
    command.arg(config).stdout(Stdio::null()).stderr(Stdio::null());
    let mut watch = command.spawn().expect("as prepared");
    Codex::start(&user, 1).begin("t-killed");
    user.until("the watch has it", || has(&watched, "t-killed"));
    let ended = Command::new("kill").args(["-TERM", &watch.id().to_string()]).status();
    assert!(ended.expect("as prepared").success() && watch.wait().expect("as prepared").success());
    assert!(!has(&sink, "t-killed"));
    // Of another session.
    user.call(payload("SessionStart", &id(6)).as_bytes()).is(0, "", "");
    user.until("the worker has it", || has(&sink, "t-killed"));
    user.drained();
    assert_eq!(sink.spans(), watched.spans());
    user.is_as_clean(&sink);
}
