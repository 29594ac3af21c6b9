//! A server that fails, refuses, or has it already.

use std::sync::Arc;
use std::time::{Duration, Instant};

use codex_trace_deliver::ledger::{Ledger, Outcome, Reason};
use codex_trace_deliver::transport::Http;
use codex_trace_export::Contract;

use super::{Stage, no_doubles};
use crate::scripted_server::{Act, Server};
use crate::toy::Toy;

#[test]
fn transient_faults_are_waited_out() {
    let refuse = |status, headers| Act::Refuse(status, headers, "later");
    #[rustfmt::skip]
    let scripts = [
        ("503",              vec![refuse(503, ""), refuse(502, ""), refuse(500, "")]),
        ("429",              vec![refuse(429, "Retry-After: 0\r\n"), refuse(429, "Retry-After: 1\r\n")]),
        ("no answer at all", vec![Act::Drop, Act::Drop]),
        ("slow",             vec![Act::Slowly(Duration::from_millis(2)), Act::Delay(Duration::from_millis(30))]),
    ];
    for (why, script) in scripts {
        let stage = Stage::new(4, 5);
        let server = stage.arrives(&script, &Act::Ok);
        assert!(server.requests() >= script.len(), "{why}");
        no_doubles(&server);
    }
}

/// Whoever looks on sees how far it is, and why and how long a destination waits.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test waits for another thread")]
fn progress_tells_bytes_and_waits() {
    let mut stage = Stage::new(3, 3);
    stage.case.options.retry.max_wait = Duration::from_secs(2);
    stage.case.options.senders = 1;
    let busy = Act::Refuse(429, "Retry-After: 2\r\n", "slow down");
    let server = Server::start(&[Act::Ok, busy], Some(Act::Ok));
    let progress = Arc::clone(&stage.case.progress);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| stage.case.upload(Toy::new(&server.url)).unwrap());
        let until = Instant::now() + Duration::from_secs(10);
        let waits = loop {
            assert!(Instant::now() < until, "nothing waits");
            if let [(name, waits)] = &progress.waits()[..] {
                assert_eq!(name, "toy");
                break waits.clone();
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        assert_eq!((waits.reason.as_str(), waits.attempts), ("status 429: slow down", 1));
        assert!(waits.left() > Duration::from_secs(1), "{waits:?}");
        // Encoded is not done with: a request is still under way.
        assert!(progress.sent() > 0 && progress.done() < progress.total());
        let account = run.join().expect("no panic");
        assert!(account.is_complete());
        assert_eq!(progress.sent(), account.bytes);
    });
    assert!(progress.waits().is_empty(), "it went on");
    assert_eq!(progress.done(), progress.total());
    let len = |path: std::path::PathBuf| path.metadata().map_or(0, |it| it.len());
    let files = codex_rollout::discover(&stage.case.home).filter_map(Result::ok);
    assert_eq!(progress.total(), files.map(|it| len(it.path)).sum::<u64>());
}

/// The server has it and we do not know: sent once more, with the same ids.
#[test]
fn a_lost_answer_doubles_nothing_but_the_count() {
    for lost in [Act::StoreAndDrop, Act::Truncate] {
        let stage = Stage::new(4, 5);
        let server = stage.arrives(&[lost.clone(), lost], &Act::Ok);
        assert!(server.lines().values().all(|n| *n <= 3));
        assert!(server.lines().values().any(|n| *n > 1));
    }
}

#[test]
fn what_is_there_already_is_done() {
    let stage = Stage::new(2, 2);
    let server = Server::start(&[], Some(Act::Refuse(409, "", "exists")));
    let account = stage.case.upload(Toy::new(&server.url)).unwrap();
    assert!(account.is_complete(), "{account:?}");
}

#[test]
fn too_large_is_split_until_it_fits() {
    let stage = Stage::new(4, 10);
    let server = stage.arrives(&[], &Act::Limit(120));
    no_doubles(&server);
}

#[test]
fn a_poisonous_unit_is_isolated_and_the_rest_arrives() {
    for act in [Act::Poison("answer 2.3."), Act::Broken("answer 2.3.")] {
        let mut stage = Stage::new(5, 6);
        stage.case.options.retry.budget = Duration::from_millis(300);
        let server = Server::start(&[], Some(act));
        let account = stage.case.upload(Toy::new(&server.url)).unwrap();
        assert_eq!((account.rejected, account.turns()), (1, 29), "{account:?}");
        stage.clean.retain(|line| !line.contains("answer 2.3."));
        assert_eq!(server.set(), stage.clean);
        let letters = stage.case.dead_letters();
        assert_eq!(letters.lines().count(), 1, "{letters}");
        assert!(letters.contains(r#""turn":"turn:t-3""#) && !letters.contains("2.3."), "{letters}");
        let standing = Ledger::open(&stage.case.state).unwrap().standings().unwrap().remove(0);
        assert_eq!((standing.sent, standing.failed), (34, 1));
    }
}

#[test]
fn partial_success_is_read() {
    let stage = Stage::new(1, 1);
    let server = Server::start(&[Act::OkWith(200, "rejected 1")], Some(Act::Ok));
    let account = stage.case.upload(Toy::new(&server.url)).unwrap();
    assert_eq!(account.rejected_spans, 1);
    assert!(!account.is_complete());
    assert!(stage.case.dead_letters().contains("1 row rejected of a request that was taken"));
    let standing = Ledger::open(&stage.case.state).unwrap().standings().unwrap().remove(0);
    assert_eq!((standing.sent, standing.failed), (2, 0));
    let said = |it: &Reason| it.outcome == Outcome::Sent && it.note.starts_with("1 row rejected ");
    assert!(standing.reasons.iter().any(said), "{standing:?}");
}

#[test]
fn a_wrong_key_ends_it_at_once_and_loses_nothing() {
    let stage = Stage::new(20, 5);
    let server = Server::start(&[], Some(Act::Refuse(401, "", "who are you?")));
    let account = stage.case.upload(Toy::new(&server.url)).unwrap();
    assert_eq!(account.down.as_deref(), Some("status 401: who are you?"));
    assert_eq!(account.sent, 0);
    assert!(server.requests() <= 3, "one for each sender");
    let standing = Ledger::open(&stage.case.state).unwrap().standings().unwrap().remove(0);
    assert!(standing.reasons.iter().all(|it| !it.note.contains("interrupted")), "{standing:?}");
    stage.arrives(&[], &Act::Ok);
}

#[test]
fn a_server_that_is_down_is_given_up_and_the_next_run_goes_on() {
    let mut stage = Stage::new(8, 8);
    let server = Server::start(&[Act::Ok, Act::Ok], Some(Act::Drop));
    stage.case.options.retry.budget = Duration::from_millis(200);
    let account = stage.case.upload(Toy::new(&server.url)).unwrap();
    assert!(account.down.is_some() && account.turns() > 0, "{account:?}");
    let left = stage.clean.len() - server.set().len();
    let second = Server::start(&[], Some(Act::Ok));
    let account = stage.case.upload(Toy::new(&second.url)).unwrap();
    assert!(account.is_complete(), "{account:?}");
    assert_eq!(second.set().len(), left, "only what was missing");
    let mut all = server.set();
    all.extend(second.set());
    all.sort();
    assert_eq!(all, stage.clean);
}

#[test]
fn a_dead_destination_does_not_hold_up_another() {
    let mut stage = Stage::new(10, 10);
    stage.case.options.max_memory = 4 << 10;
    stage.case.options.retry.budget = Duration::from_secs(1);
    let dead = Server::start(&[], Some(Act::Drop));
    let alive = Server::start(&[], Some(Act::Ok));
    let to = |server: &Server, name: &str| {
        let mut toy = Toy::new(&server.url);
        toy.contract = Contract { destination: name.to_owned(), ..toy.contract };
        (toy, Box::new(Http::new(3, Duration::from_secs(5))) as Box<_>)
    };
    let accounts = stage.case.upload_all(vec![to(&dead, "dead"), to(&alive, "alive")]).unwrap();
    assert!(accounts[0].down.is_some() && accounts[0].sent == 0);
    assert!(accounts[1].is_complete());
    assert_eq!(alive.set(), stage.clean);
}
