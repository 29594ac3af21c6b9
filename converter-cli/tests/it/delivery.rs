//! Delivery against a server that misbehaves: whatever happens, what is there
//! in the end is what one clean run would have put there.

mod crashes;
mod faults;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use codex_trace_deliver::delivery::Fate;
use codex_trace_deliver::ledger::{Ledger, Outcome, Reason};
use codex_trace_deliver::transport::{Client, Http, Transport};
use codex_trace_export::{Absent, Rewrite};
use converter_cli::exit::{ExitStatus, of_upload};
use tempfile::TempDir;

use crate::scripted_server::{Act, Server};
use crate::toy::{Case, Fails, Toy};

/// Writes a history of `threads` threads of `turns` turns each.
fn history(dir: &Path, threads: usize, turns: usize) -> PathBuf {
    let home = dir.join("home");
    for thread in 0..threads {
        let path = rollout_path(&home, thread);
        fs::create_dir_all(path.parent().expect("a file has one")).expect("directories");
        let mut text = format!(
            r#"{{"timestamp":"2026-03-01T10:00:00.000Z","type":"session_meta","payload":{{"id":"{}","timestamp":"2026-03-01T10:00:00.000Z","cwd":"/w","originator":"codex_exec","cli_version":"0.120.0","source":"exec"}}}}"#,
            id(thread)
        );
        text.push('\n');
        for turn in 0..turns {
            text.push_str(&opened(turn));
            text.push_str(&completed(turn, &format!("answer {thread}.{turn}.")));
        }
        fs::write(path, text).expect("a file");
    }
    home
}

fn id(thread: usize) -> String {
    format!("019a0000-0000-7000-8000-{thread:012}")
}

pub(crate) fn rollout_path(home: &Path, thread: usize) -> PathBuf {
    home.join(format!("sessions/2026/03/01/rollout-2026-03-01T10-00-00-{}.jsonl", id(thread)))
}

pub(crate) fn opened(turn: usize) -> String {
    format!(
        "{{\"timestamp\":\"2026-03-01T10:{turn:02}:01.000Z\",\"type\":\"event_msg\",\"payload\":{{\"type\":\"task_started\",\"turn_id\":\"t-{turn}\",\"model_context_window\":1000}}}}\n"
    )
}

pub(crate) fn completed(turn: usize, answer: &str) -> String {
    format!(
        "{{\"timestamp\":\"2026-03-01T10:{turn:02}:04.000Z\",\"type\":\"event_msg\",\"payload\":{{\"type\":\"task_complete\",\"turn_id\":\"t-{turn}\",\"last_agent_message\":\"{answer}\"}}}}\n"
    )
}

/// A history, a state directory and what a clean run puts on a server.
pub(crate) struct Stage {
    dir: TempDir,
    pub(crate) case: Case,
    pub(crate) clean: Vec<String>,
}

impl Stage {
    pub(crate) fn new(threads: usize, turns: usize) -> Stage {
        let dir = tempfile::tempdir().expect("a directory");
        let home = history(dir.path(), threads, turns);
        let server = Server::start(&[], Some(Act::Ok));
        let account = Case::new(&home, &dir.path().join("clean"))
            .upload(Toy::new(&server.url))
            .expect("a ledger");
        assert_eq!(
            (account.turns(), account.tally.sessions(Fate::Sent)),
            (threads * turns, threads)
        );
        let clean = server.set();
        assert_eq!(clean.len(), threads * (turns + 1), "{clean:?}");
        let case = Case::new(&home, &dir.path().join("state"));
        Stage { dir, case, clean }
    }

    /// Uploads until nothing is left, to a server with this script.
    #[track_caller]
    pub(crate) fn arrives(&self, script: &[Act], always: &Act) -> Server {
        let server = Server::start(script, Some(always.clone()));
        let account = self.case.upload(Toy::new(&server.url)).expect("a ledger");
        assert!(account.is_complete(), "{account:?}");
        assert_eq!(server.set(), self.clean);
        server
    }
}

#[track_caller]
pub(crate) fn no_doubles(server: &Server) {
    let doubles: Vec<_> = server.lines().into_iter().filter(|(_, n)| *n > 1).collect();
    assert!(doubles.is_empty(), "{doubles:?}");
}

#[test]
fn a_second_run_sends_nothing_and_opens_nothing() {
    let stage = Stage::new(5, 4);
    let server = stage.arrives(&[], &Act::Ok);
    no_doubles(&server);
    let n_requests = server.requests();
    let account = stage.case.upload(Toy::new(&server.url)).unwrap();
    assert_eq!((account.unchanged, account.sent, server.requests()), (5, 0, n_requests));
}

#[test]
fn a_session_that_has_grown_sends_what_is_new() {
    let stage = Stage::new(2, 2);
    let server = stage.arrives(&[], &Act::Ok);
    let mut file = OpenOptions::new().append(true).open(rollout_path(&stage.case.home, 1)).unwrap();
    write!(file, "{}{}", opened(2), completed(2, "new")).unwrap();
    let account = stage.case.upload(Toy::new(&server.url)).unwrap();
    assert_eq!((account.unchanged, account.turns(), account.already), (1, 1, 3));
    no_doubles(&server);
}

const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const REWRITES: [Rewrite; 3] = [Rewrite::Replaces, Rewrite::Ignored, Rewrite::Doubles];

/// Adds to the first rollout, as long ago as `age` by the clock of the run.
pub(crate) fn append(stage: &Stage, text: &str, age: Duration) {
    let path = rollout_path(&stage.case.home, 0);
    let mut file = OpenOptions::new().append(true).open(path).expect("a rollout");
    file.write_all(text.as_bytes()).expect("room");
    let now = u64::try_from(stage.case.options.now.as_second()).expect("after 1970");
    let now = std::time::UNIX_EPOCH + Duration::from_secs(now);
    file.set_modified(now - age).expect("a time");
}

pub(crate) fn as_if(rewrite: Rewrite, server: &Server) -> Toy {
    let mut toy = Toy::new(&server.url);
    toy.contract.rewrite = rewrite;
    toy
}

#[test]
fn a_turn_that_runs_is_left_for_the_next_run() {
    let mut stage = Stage::new(1, 2);
    stage.case.options.settle = DAY;
    append(&stage, &opened(2), MINUTE);
    let server = Server::start(&[], Some(Act::Ok));
    let account = stage.case.upload(Toy::new(&server.url)).unwrap();
    assert_eq!((account.turns(), account.open), (2, 2), "the open turn, and the thread around it");
    assert!(account.is_complete(), "{account:?}");
    let ledger = Ledger::open(&stage.case.state).unwrap();
    assert_eq!(ledger.standings().unwrap()[0].pending, 2);
    stage.case.options.settle = Duration::ZERO;
    let account = stage.case.upload(Toy::new(&server.url)).unwrap();
    assert_eq!((account.turns(), account.open, account.already), (1, 0, 2));
    no_doubles(&server);
}

/// Lunch-time approvals, long builds: whatever the backend does with a second
/// version, it gets one, and the whole one.
#[test]
fn a_turn_that_waits_is_held_until_it_ends() {
    for rewrite in REWRITES {
        let mut stage = Stage::new(1, 2);
        stage.case.options.settle = DAY;
        let server = Server::start(&[], Some(Act::Ok));
        append(&stage, &opened(2), 20 * MINUTE);
        for _ in 0..2 {
            let account = stage.case.upload(as_if(rewrite, &server)).unwrap();
            assert_eq!((account.open, account.held), (0, 2), "{account:?}");
            assert_eq!(of_upload(&[account], false, false), ExitStatus::Partial);
            let ledger = Ledger::open(&stage.case.state).unwrap();
            let standing = ledger.standings().unwrap().remove(0);
            assert_eq!((standing.sent, standing.pending, standing.stale), (2, 2, 0));
            assert!(standing.reasons[0].note.starts_with("no end of it yet: held until"));
        }
        append(&stage, &completed(2, "at last"), 20 * MINUTE);
        let account = stage.case.upload(as_if(rewrite, &server)).unwrap();
        assert_eq!((account.turns(), account.held, account.kept), (1, 0, 0));
        assert!(account.is_complete());
        no_doubles(&server);
        assert!(server.set().iter().any(|line| line.contains("at last")));
        assert_eq!(Ledger::open(&stage.case.state).unwrap().standings().unwrap()[0].pending, 0);
    }
}

#[test]
fn a_turn_ends_when_the_next_begins_or_a_day_has_passed() {
    let mut stage = Stage::new(1, 2);
    stage.case.options.settle = DAY;
    let server = Server::start(&[], Some(Act::Ok));
    append(&stage, &(opened(2) + &opened(3)), MINUTE);
    let account = stage.case.upload(Toy::new(&server.url)).unwrap();
    assert_eq!((account.turns(), account.tally.turns(Fate::Open)), (3, 1));
    append(&stage, "", DAY);
    let account = stage.case.upload(Toy::new(&server.url)).unwrap();
    assert_eq!((account.turns(), account.tally.turns(Fate::Open)), (1, 0));
    no_doubles(&server);
}

/// It is not what it should be there, and every run says so until it is.
#[test]
fn what_cannot_be_replaced_is_not_sent_again() {
    for rewrite in [Rewrite::Ignored, Rewrite::Doubles] {
        let stage = Stage::new(1, 1);
        let server = stage.arrives(&[], &Act::Ok);
        let path = rollout_path(&stage.case.home, 0);
        let before = fs::read_to_string(&path).unwrap();
        fs::write(&path, before.replace("answer 0.0.", "another")).unwrap();
        for _ in 0..2 {
            let account = stage.case.upload(as_if(rewrite, &server)).unwrap();
            assert_eq!((account.kept, account.sent), (1, 0));
            assert_eq!(of_upload(&[account], false, false), ExitStatus::Partial);
            let ledger = Ledger::open(&stage.case.state).unwrap();
            let standing = ledger.standings().unwrap().remove(0);
            assert_eq!((standing.sent, standing.stale, standing.pending), (2, 1, 0));
            let why = "changed after it was sent, and cannot be replaced there".to_owned();
            let reason = Reason { outcome: Outcome::Stale, note: why, turns: 1 };
            assert_eq!(standing.reasons, [reason]);
        }
        // What is there is what is here again.
        fs::write(&path, &before).unwrap();
        assert!(stage.case.upload(as_if(rewrite, &server)).unwrap().is_complete());
        let ledger = Ledger::open(&stage.case.state).unwrap();
        assert_eq!(ledger.standings().unwrap()[0].stale, 0);
        fs::write(&path, before.replace("answer 0.0.", "a third")).unwrap();
        assert_eq!(stage.case.upload(as_if(rewrite, &server)).unwrap().kept, 1);
        let account = stage.case.upload(Toy::new(&server.url)).unwrap();
        assert_eq!(account.sent, 1, "kept is done, unless it can be replaced");
        assert_eq!(Ledger::open(&stage.case.state).unwrap().standings().unwrap()[0].stale, 0);
    }
}

/// A turn of so many tool calls, the output of each as long as the toy makes it.
fn busy(calls: usize) -> String {
    let call = |nth: usize| {
        format!(
            concat!(
                r#"{{"timestamp":"2026-03-01T10:00:02.{:03}Z","type":"response_item","payload":{{"type":"function_call","name":"shell","arguments":"{{}}","call_id":"call-{}"}}}}"#,
                "\n",
                r#"{{"timestamp":"2026-03-01T10:00:02.{:03}Z","type":"response_item","payload":{{"type":"function_call_output","call_id":"call-{}","output":"done"}}}}"#,
                "\n"
            ),
            nth, nth, nth, nth
        )
    };
    opened(1) + &(0..calls).map(call).collect::<String>() + &completed(1, "answer")
}

/// A small turn and one of some megabytes, and memory for a part of it.
fn large_stage(calls: usize) -> (Stage, impl Fn(&Server, bool) -> Toy) {
    let mut stage = Stage::new(1, 1);
    append(&stage, &busy(calls), DAY);
    stage.case.options.max_memory = 8 << 20;
    let toy = |server: &Server, in_order| {
        let mut toy = Toy::new(&server.url);
        (toy.padding, toy.last) = (300 << 10, true);
        toy.contract.routes[0].in_order = in_order;
        toy
    };
    (stage, toy)
}

/// However slow it is to be, it ends when it is told to.
#[test]
fn a_rate_is_kept_to_and_keeps_nobody_waiting_at_the_end() {
    let stage = Stage::new(6, 1);
    let server = Server::start(&[], Some(Act::Ok));
    let mut toy = Toy::new(&server.url);
    toy.contract.routes[0].limits.max_pieces = 1;
    let http = Box::new(Http::new(3, Duration::from_secs(10)));
    let client: Box<dyn Transport> = Box::new(Client::new(http, Vec::new(), Some(2.0)));
    let accounts = std::thread::scope(|scope| {
        let run = scope.spawn(|| stage.case.upload_all(vec![(toy, client)]).unwrap());
        std::thread::sleep(Duration::from_millis(1_200));
        stage.case.interrupted.store(true, Ordering::Relaxed);
        let told = std::time::SystemTime::now();
        let accounts = run.join().expect("no panic");
        let took = told.elapsed().expect("a time");
        assert!(took < Duration::from_millis(450), "{took:?}: it waited for its next turn");
        accounts
    });
    assert!((1..=3).contains(&server.requests()), "two a second: {}", server.requests());
    assert!(accounts[0].cut_short || accounts[0].unsent > 0);
}

/// Whatever is in a turn, not all of it is held at once.
#[test]
fn a_turn_larger_than_the_memory_goes_out_part_by_part() {
    const CALLS: usize = 60;
    for in_order in [false, true] {
        let (stage, toy) = large_stage(CALLS);
        let server = Server::start(&[], Some(Act::Ok));
        let account = stage.case.upload(toy(&server, in_order)).unwrap();
        assert!(account.is_complete(), "{account:?}");
        assert_eq!((account.turns(), account.sent, account.unsent), (2, 4, 0));
        assert!(account.bytes < 2 << 20, "compressed, {} bytes", account.bytes);
        assert!(account.peak < 6 << 20, "{} bytes were held at once", account.peak);
        let all = |server: &Server| {
            let lines = server.set().into_iter();
            lines.map(|line| line.trim_end_matches('x').to_owned()).collect::<Vec<_>>()
        };
        let lines = all(&server);
        for nth in 0..CALLS {
            assert_eq!(lines.iter().filter(|it| it.contains(&format!("call-{nth} "))).count(), 1);
        }
        no_doubles(&server);
        let account = stage.case.upload(toy(&server, in_order)).unwrap();
        assert_eq!((account.unchanged, account.sent), (1, 0));
        // What was sent in parts is known as a whole.
        append(&stage, &(opened(2) + &completed(2, "more")), DAY);
        let account = stage.case.upload(toy(&server, in_order)).unwrap();
        assert_eq!((account.already, account.sent), (3, 2), "{account:?}");
    }
}

/// A session is encoded a second time only where all of a large turn has to be seen
/// before it is known whether to send it.
#[test]
fn a_large_turn_is_encoded_once_unless_something_of_it_is_there() {
    let (stage, toy) = large_stage(30);
    let server = Server::start(&[], Some(Act::Ok));
    let upload = |n_sent: usize| {
        let toy = toy(&server, false);
        let n_encoded = std::sync::Arc::clone(&toy.n_encoded);
        let account = stage.case.upload(toy).unwrap();
        assert!(account.is_complete() && account.sent == n_sent, "{account:?}");
        n_encoded.load(Ordering::Relaxed)
    };
    assert_eq!(upload(4), 1, "nothing of it is there");
    append(&stage, &(opened(2) + &completed(2, "more")), DAY);
    assert_eq!(upload(2), 1, "the large turn is there as it is");
    // A line of the large turn is another one now, and so is what waits for all turns.
    let path = rollout_path(&stage.case.home, 0);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches("\"answer\"").count(), 1);
    fs::write(&path, text.replace("\"answer\"", "\"another answer\"")).unwrap();
    append(&stage, "", DAY);
    assert_eq!(upload(2), 2, "it has changed");
}

/// What was sent of a turn that could not be encoded to its end is no turn, and no
/// beginning of the next one.
#[test]
fn a_large_turn_that_cannot_be_encoded_to_its_end_is_left() {
    for (how, n_left) in [(Fails::Says, 2), (Fails::Panics, 3)] {
        for in_order in [false, true] {
            let (stage, toy) = large_stage(14);
            append(&stage, &(opened(2) + &completed(2, "more")), DAY);
            let server = Server::start(&[], Some(Act::Ok));
            let failing = Toy { fails: Some((10, how)), ..toy(&server, in_order) };
            let account = stage.case.upload(failing).unwrap();
            assert_eq!(account.faults.len(), 1, "{account:?}");
            assert_eq!(account.sent, 5 - n_left, "{how:?}: {account:?}");
            let account = stage.case.upload(toy(&server, in_order)).unwrap();
            assert!(account.is_complete(), "{account:?}");
            assert_eq!((account.already, account.sent), (5 - n_left, n_left), "{how:?}");
            let lines = server.set();
            for nth in 0..14 {
                assert!(lines.iter().any(|it| it.contains(&format!("call-{nth} "))), "{nth}");
            }
        }
    }
}

#[test]
fn a_large_turn_that_is_refused_in_part_or_cut_short_is_told_as_a_whole() {
    for in_order in [false, true] {
        let (stage, toy) = large_stage(30);
        let server = Server::start(&[], Some(Act::Poison("call-13 ")));
        let account = stage.case.upload(toy(&server, in_order)).unwrap();
        assert_eq!(account.tally.turns(Fate::Rejected), 1, "{account:?}");
        assert_eq!((account.rejected, account.turns()), (1, 1));
        assert_eq!(stage.case.dead_letters().lines().count(), 1, "one piece");
        // The key expires in its midst.
        let gone = Act::Refuse(401, "", "who");
        let mut script = vec![Act::Ok; 8];
        script.push(gone.clone());
        let server = Server::start(&script, Some(gone));
        let account = stage.case.upload(toy(&server, in_order)).unwrap();
        assert!(account.down.is_some(), "{account:?}");
        assert_eq!(account.tally.turns(Fate::Unsent), 1, "{account:?}");
        let server = Server::start(&[], Some(Act::Ok));
        let account = stage.case.upload(toy(&server, in_order)).unwrap();
        assert!(account.is_complete(), "{account:?}");
        assert_eq!(Ledger::open(&stage.case.state).unwrap().standings().unwrap()[0].pending, 0);
    }
}

#[test]
fn memory_is_bounded_however_slow_the_destination() {
    let mut stage = Stage::new(30, 20);
    stage.case.options.max_memory = 2 << 10;
    let server = Server::start(&[], Some(Act::Delay(Duration::from_millis(1))));
    let account = stage.case.upload(Toy::new(&server.url)).unwrap();
    assert_eq!(server.set(), stage.clean);
    let largest = stage.clean.iter().map(String::len).max().unwrap_or_default() + 1;
    assert!(account.peak <= (2 << 10).max(largest), "{}", account.peak);
    assert!(server.most_at_once() <= 3);
}

#[test]
fn what_makes_a_trace_final_comes_after_it() {
    let stage = Stage::new(3, 3);
    // The first batch is refused: the last calls of its threads are not made.
    let server = Server::start(&[], Some(Act::Poison("answer 1.1.")));
    let toy = Toy { last: true, ..Toy::new(&server.url) };
    let account = stage.case.upload(toy).unwrap();
    assert_eq!((account.rejected, account.unsent), (1, 1));
    let last: Vec<_> = server.set().into_iter().filter(|line| line.ends_with(" last")).collect();
    assert_eq!(last, [format!("{} last", id(0)), format!("{} last", id(2))]);
    // The next run sends the rest, and then the last call.
    let server = Server::start(&[], Some(Act::Ok));
    let account = stage.case.upload(Toy { last: true, ..Toy::new(&server.url) }).unwrap();
    assert_eq!((account.sent, account.unsent), (2, 0));
}

/// What makes a trace final is the same, but what it is about was sent anew.
#[test]
fn what_makes_a_trace_final_comes_again_after_what_is_new() {
    let stage = Stage::new(2, 2);
    let server = Server::start(&[], Some(Act::Ok));
    let upload = || {
        let toy = Toy { last: true, ..Toy::new(&server.url) };
        stage.case.upload(toy).unwrap()
    };
    assert_eq!(upload().sent, 8);
    let mut file = OpenOptions::new().append(true).open(rollout_path(&stage.case.home, 1)).unwrap();
    write!(file, "{}{}", opened(2), completed(2, "new")).unwrap();
    let account = upload();
    assert_eq!((account.sent, account.already, account.unchanged), (2, 3, 1), "{account:?}");
    let lines = server.lines();
    let n_last = [0, 1].map(|thread| lines[&format!("{} last", id(thread))]);
    assert_eq!(n_last, [1, 2]);
}

/// Otherwise the end of a trace could be missing after its beginning was sent
/// again.
#[test]
fn what_is_sent_again_and_cut_short_is_sent_by_the_next_run() {
    let mut stage = Stage::new(2, 2);
    let server = stage.arrives(&[], &Act::Ok);
    stage.case.options.force = true;
    stage.case.options.retry.budget = Duration::from_millis(100);
    let server_down = Server::start(&[], Some(Act::Drop));
    let account = stage.case.upload(Toy::new(&server_down.url)).unwrap();
    assert!(account.down.is_some(), "{account:?}");
    stage.case.options.force = false;
    let account = stage.case.upload(Toy::new(&server.url)).unwrap();
    assert!(account.is_complete() && account.sent + account.already == 6, "{account:?}");
    assert!(account.sent > 0, "{account:?}");
    // What cannot be replaced is not doubled.
    stage.case.options.force = true;
    let mut toy = Toy::new(&server_down.url);
    toy.contract.rewrite = Rewrite::Doubles;
    assert!(stage.case.upload(toy).unwrap().down.is_some());
    stage.case.options.force = false;
    let account = stage.case.upload(Toy::new(&server.url)).unwrap();
    assert_eq!((account.sent, account.unchanged), (0, 2), "{account:?}");
}

#[test]
fn a_turn_of_which_nothing_is_sent_is_accounted_for_by_the_reason() {
    let stage = Stage::new(1, 2);
    let server = Server::start(&[], Some(Act::Ok));
    let fates = |absent: Option<Absent>| {
        let toy = Toy { hollow: true, absent, ..Toy::new(&server.url) };
        let case = Case::new(&stage.case.home, &stage.dir.path().join("hollow"));
        let account = case.upload(toy).unwrap();
        fs::remove_dir_all(&case.state).unwrap();
        Fate::ALL.map(|fate| account.tally.turns(fate)).to_vec()
    };
    let two = |fate: Fate| Fate::ALL.map(|it| if it == fate { 2 } else { 0 }).to_vec();
    assert_eq!(fates(None), two(Fate::Nothing));
    assert_eq!(fates(Some(Absent::OfPlugin)), two(Fate::OfPlugin));
    let other = Absent::Elsewhere("another place has it".to_owned());
    assert_eq!(fates(Some(other)), two(Fate::Elsewhere));
}
