//! A run that is interrupted or killed, or cannot keep its ledger.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use codex_trace_deliver::ledger::Ledger;

use super::{Stage, no_doubles, rollout_path};
use crate::scripted_server::{Act, Server};
use crate::toy::{Case, Toy};

#[test]
fn an_interrupted_run_goes_on_where_it_stopped() {
    let stage = Stage::new(5, 5);
    stage.case.interrupted.store(true, Ordering::SeqCst);
    let server = Server::start(&[], Some(Act::Ok));
    let account = stage.case.upload(Toy::new(&server.url)).unwrap();
    assert!(account.cut_short && server.requests() == 0);
    stage.case.interrupted.store(false, Ordering::SeqCst);
    stage.arrives(&[], &Act::Ok);
}

#[test]
fn a_rollout_that_goes_away_meanwhile_is_named() {
    let mut stage = Stage::new(3, 2);
    let gone = rollout_path(&stage.case.home, 2);
    stage.case.goes = Some(gone.clone());
    let server = Server::start(&[], Some(Act::Ok));
    let account = stage.case.upload(Toy::new(&server.url)).unwrap();
    assert_eq!((account.unreadable, account.turns()), (1, 4), "{account:?}");
    assert!(account.faults[0].contains(gone.to_str().unwrap()), "{:?}", account.faults);
}

#[test]
fn a_ledger_that_cannot_be_written_stops_everything() {
    let stage = Stage::new(3, 3);
    let mut case = Case::new(&stage.case.home, Path::new("/dev/null/state"));
    case.options.force = false;
    let server = Server::start(&[], Some(Act::Ok));
    let err = case.upload(Toy::new(&server.url)).unwrap_err();
    assert!(err.to_string().starts_with("cannot use the ledger `/dev/null/state`"), "{err}");
    assert_eq!(server.requests(), 0);
}

/// A file size limit is what a full disk is to a process: writing fails.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_stops_everything_and_the_next_run_goes_on() {
    let stage = Stage::new(20, 10);
    let server = Server::start(&[], Some(Act::Ok));
    drop(Ledger::open(&stage.case.state).unwrap());
    let spec = child_spec(&stage, &server.url);
    let exe = std::env::current_exe().unwrap();
    // In blocks of 1024 bytes; the signal for it is ignored, as a full disk sends none.
    let script = "trap '' XFSZ; ulimit -f 40; exec \"$0\" --exact delivery::crashes::child";
    let status = Command::new("bash")
        .args(["-c", script])
        .arg(exe)
        .env("CODEX_TRACE_TEST_CHILD", spec)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(!status.success());
    let account = stage.case.upload(Toy::new(&server.url)).unwrap();
    assert!(account.is_complete(), "{account:?}");
    assert_eq!(server.set(), stage.clean);
}

#[test]
fn a_ledger_held_by_another_process_is_waited_for() {
    let stage = Stage::new(3, 3);
    drop(Ledger::open(&stage.case.state).unwrap());
    let server = Server::start(&[], Some(Act::Ok));
    let held = rusqlite::Connection::open(stage.case.state.join("ledger.db")).unwrap();
    held.execute_batch("BEGIN EXCLUSIVE").unwrap();
    std::thread::scope(|scope| {
        let upload = scope.spawn(|| stage.case.upload(Toy::new(&server.url)).unwrap());
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            held.execute_batch("COMMIT").unwrap();
        });
        assert!(upload.join().unwrap().is_complete());
    });
    assert_eq!(server.set(), stage.clean);
    no_doubles(&server);
}

/// Not a test of its own: what the tests below run as a process to be killed.
#[test]
fn child() {
    let Some(spec) = std::env::var_os("CODEX_TRACE_TEST_CHILD") else { return };
    let spec = spec.into_string().unwrap();
    let parts: Vec<&str> = spec.split('|').collect();
    let case = Case::new(Path::new(parts[0]), Path::new(parts[1]));
    let account = case.upload(Toy::new(parts[2])).unwrap();
    assert!(account.is_complete(), "{account:?}");
}

fn child_spec(stage: &Stage, url: &str) -> String {
    format!("{}|{}|{url}", stage.case.home.display(), stage.case.state.display())
}

fn child_process(stage: &Stage, url: &str) -> std::process::Child {
    let spec = child_spec(stage, url);
    Command::new(std::env::current_exe().expect("this program runs"))
        .args(["--exact", "delivery::crashes::child"])
        .env("CODEX_TRACE_TEST_CHILD", spec)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this program runs")
}

/// Killed after the n-th request, for many n, with one ledger throughout; then
/// run to the end.
#[test]
fn killed_at_any_moment_the_next_run_ends_as_a_clean_one() {
    let stage = Stage::new(40, 10);
    let server = Server::start(&[], Some(Act::Delay(Duration::from_millis(2))));
    let mut n_killed = 0;
    for nth in 1..=20 {
        let before = server.requests();
        let mut child = child_process(&stage, &server.url);
        // Until it has sent something, or is done: the moment of the kill is
        // whatever it happens to be.
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success());
                break true;
            }
            if server.requests() >= before + nth % 4 {
                break false;
            }
            std::thread::yield_now();
        };
        if ended {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        n_killed += 1;
    }
    assert!(n_killed > 3, "{n_killed}");
    let account = stage.case.upload(Toy::new(&server.url)).unwrap();
    assert!(account.is_complete(), "{account:?}");
    assert_eq!(server.set(), stage.clean);
    // What was sent more than once was under way at a kill: at most three
    // requests of at most ten lines each time.
    let doubles: usize = server.lines().values().map(|n| n - 1).sum();
    assert!(doubles <= n_killed * 3 * 10, "{doubles}");
}

#[test]
fn two_uploads_at_once_end_as_one() {
    let stage = Stage::new(10, 10);
    let server = Server::start(&[], Some(Act::Ok));
    let children = [(); 2].map(|()| child_process(&stage, &server.url));
    for child in children {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
    }
    assert_eq!(server.set(), stage.clean);
    drop(stage.dir);
}

#[test]
fn a_server_that_comes_back_is_found_again() {
    let stage = Stage::new(10, 10);
    let server = Server::start(&[], Some(Act::Ok));
    server.set_down(true);
    std::thread::scope(|scope| {
        let upload = scope.spawn(|| stage.case.upload(Toy::new(&server.url)).unwrap());
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            server.set_down(false);
        });
        assert!(upload.join().unwrap().is_complete());
    });
    assert_eq!(server.set(), stage.clean);
    no_doubles(&server);
}
