//! What a terminal shows while something takes long, and that it is gone after.

use std::time::Duration;

use crate::pty::Terminal;
use crate::scripted_server::{Act, Server};
use crate::testenv::{TestEnv, place, small_rollout};

const BUSY: Act = Act::Refuse(429, "Retry-After: 3\r\n", "slow down, please");

fn env() -> TestEnv {
    let env = TestEnv::new();
    for nth in 0..20 {
        let id = format!("019b0000-0000-7000-8000-{nth:012}");
        let rollout = small_rollout(&id, "2026-03-02T10:00", "hello");
        env.write(&format!(".codex/{}", place("2026-03-02T10-00-00", &id)), rollout);
    }
    env
}

fn upload(env: &TestEnv, server: &Server) -> Option<Terminal> {
    let url = server.url.replace("/units", "");
    let args = ["upload", "--to", "otlp", "--endpoint", &url, "--senders", "1"];
    Terminal::start(env, &args, &[])
}

/// Returns whether something of the progress is there.
fn shows_progress(screen: &[String]) -> bool {
    screen.iter().any(|line| {
        line.contains('░')
            || line.contains(" sent")
            || line.contains("attempt")
            || line.contains("^C")
    })
}

#[test]
fn an_upload_shows_bytes_rate_and_why_it_waits() {
    let env = env();
    let server = Server::start(&[BUSY], Some(Act::Ok));
    let Some(terminal) = upload(&env, &server) else { return };
    let screen = terminal.wait_for("attempt 2 in");
    let line = screen.iter().find(|line| line.starts_with("uploading")).expect("a line");
    for part in [" of ", " kB", "/s", " sent"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let waits = screen.iter().find(|line| line.contains("attempt 2")).expect("a line");
    assert!(waits.starts_with("otlp: status 429: slow down, please; attempt 2 in "), "{waits}");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen:#?}");
    assert!(!shows_progress(&screen), "{screen:#?}");
    assert!(screen.iter().any(|line| line.starts_with("uploaded 20 turns")), "{screen:#?}");
}

/// The first Ctrl-C ends it once the requests under way are answered.
#[test]
fn ctrl_c_finishes_what_is_under_way_and_leaves_nothing_on_the_screen() {
    let env = env();
    let server = Server::start(&[Act::Delay(Duration::from_secs(2))], Some(BUSY));
    let Some(mut terminal) = upload(&env, &server) else { return };
    terminal.wait_for("uploading");
    terminal.press("\x03");
    terminal.wait_for("Ctrl-C again: at once");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(130), "{screen:#?}");
    assert!(!shows_progress(&screen), "{screen:#?}");
    assert!(screen.iter().any(|line| line.starts_with("uploaded ")), "{screen:#?}");
}

/// The second ends it at once.
#[test]
fn a_second_ctrl_c_ends_it_at_once_and_leaves_nothing_on_the_screen() {
    let env = env();
    let server = Server::start(&[], Some(Act::Delay(Duration::from_secs(60))));
    let Some(mut terminal) = upload(&env, &server) else { return };
    terminal.wait_for("uploading");
    terminal.press("\x03");
    terminal.wait_for("Ctrl-C again: at once");
    terminal.press("\x03");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(130), "{screen:#?}");
    assert!(!shows_progress(&screen), "{screen:#?}");
}
