//! Delivers a history to destinations: resolves and encodes sessions, joins
//! units into requests, sends, tries again, isolates what is refused, records.
//!
//! Each destination has a pipeline of its own: workers that compute, a queue
//! bounded in bytes, senders that block on the network. So a destination that
//! is slow or dead holds up nobody else; the price is that a session is
//! resolved once for each destination, which is the cheap part. When a
//! destination does not recover, its pipeline stops taking sessions: they
//! remain for the next run.
//!
//! A unit is recorded after it is acknowledged, and only then. Killed at any
//! moment, the next run sends at most what was under way once more, with the
//! same ids.

mod account;
mod beside;
mod body;
mod dead_letter;
mod decide;
mod detour;
mod fate;
mod feed;
mod flight;
mod lines;
mod preflight;
mod progress;
mod queue;
mod resend;
mod rest;
mod send;
mod session;
mod share;
mod shift;
mod sorted;
mod stamp;
mod store;
mod stream;
mod takes;
mod taking;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codex_trace_model::{Timestamp, Trace};

use crate::clock::Clock;
use crate::companions::Companion;
use crate::failure::Failure;
use crate::history::History;
use crate::ledger::{Entry, FileStamp, Ledger, Outcome};
use crate::pipeline;
use crate::retry::{Pace, RetryPolicy};
use crate::text;
use crate::transport::{Compression, Transport};
use codex_trace_export::content::{ContentRules, Part};
use codex_trace_export::{Exporter, Fingerprint, Order, Route, UnitKey, shortened};

pub use account::Account;
use beside::CopiedHeads;
pub use dead_letter::DeadLetters;
pub use fate::{Fate, Tally, TurnOf};
use flight::{Part as UnitPart, Slice, Whole};
pub use progress::{Progress, Waits};
use queue::{LOOK, Packing, Queue};
pub use resend::{Resent, resend};
use session::{Ready, Session};
use share::Share;
use store::Store;
pub use takes::{Goes, Takes, cwd_of};

/// How long, in a run, to wait for live plugins that hold their files.
const PATIENCE: Duration = Duration::from_secs(30);

/// After which failed attempt of a request people are told.
const TELL_AT: u32 = 3;

/// How to deliver.
#[derive(Clone, Debug)]
pub struct Options {
    /// The most threads that resolve and encode, for each destination: fewer
    /// where they would not fit into the memory.
    pub jobs: usize,
    /// Requests under way at once, for each destination.
    pub senders: usize,
    /// Bytes held at once of what is read, encoded and under way, for all
    /// destinations together.
    pub max_memory: usize,
    /// How long a file must have been left alone before a turn without an end
    /// counts as ended.
    pub settle: Duration,
    /// Whether to send what was sent before.
    pub force: bool,
    /// Whether nothing is really sent, nor recorded.
    pub dry_run: bool,
    /// Whether to move the times of sessions that a destination finds too old.
    pub time_shift: bool,
    /// When to try again.
    pub retry: RetryPolicy,
    /// The time of the run.
    pub now: Timestamp,
    /// Which compressions may be used, of those that a backend takes.
    pub compressions: Vec<Compression>,
    /// The directory for files without a name, for what does not fit into the memory.
    pub scratch: PathBuf,
    /// What else the encoded bytes depend on, so that a change of it makes
    /// unchanged files be looked at again.
    pub encoding: String,
}

/// A place to deliver to.
pub struct Destination {
    /// The backend's name.
    pub name: String,
    /// How to encode, and what the answers mean.
    pub exporter: Box<dyn Exporter>,
    /// What reads and writes beside rollouts for it.
    pub companion: Option<Box<dyn Companion>>,
    /// Which sessions it takes.
    pub takes: Takes,
    /// How to get there.
    pub transport: Box<dyn Transport>,
    /// What holds for it in the place of what the run says.
    pub own: Option<Arc<Own>>,
}

/// What may differ from destination to destination.
#[derive(Debug)]
pub struct Own {
    /// What may leave the machine.
    pub rules: ContentRules,
    /// How to deliver.
    pub options: Options,
}

/// What all destinations share.
#[derive(Clone, Copy)]
pub struct Run<'r> {
    /// What to deliver.
    pub history: &'r History,
    /// Which sessions of it are wanted.
    pub wanted: &'r (dyn Fn(&Trace<'_>) -> bool + Sync),
    /// What may leave the machine, for destinations that have no rules of
    /// their own.
    pub rules: &'r ContentRules,
    /// What was delivered before; absent before the first time, in a dry run.
    pub ledger: Option<&'r Ledger>,
    /// Where to note what was refused.
    pub dead_letters: &'r DeadLetters,
    /// How, for the same.
    pub options: &'r Options,
    /// Set once the user wants it to end: what is under way is finished.
    pub interrupted: &'r AtomicBool,
    /// How far it is.
    pub progress: &'r Arc<Progress>,
    /// Called with what somebody who waits should know.
    pub notice: &'r (dyn Fn(String) + Sync),
}

/// Delivers to every destination at once; returns what became of it, in the
/// same order.
///
/// # Errors
///
/// If the system has no threads left.
pub fn run(run: &Run<'_>, destinations: Vec<Destination>) -> Result<Vec<Account>, Failure> {
    let budget = run.options.max_memory / destinations.len().max(1);
    let bytes: u64 = run.history.sessions.iter().map(|it| run.history.len_of(it)).sum();
    run.progress.add_total(bytes.saturating_mul(destinations.len() as u64));
    let results: Vec<Result<Account, Failure>> = std::thread::scope(|scope| {
        let started: Vec<_> = destinations
            .into_iter()
            .map(|destination| scope.spawn(move || deliver(run, destination, budget)))
            .collect();
        let joined = started.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined
            .map(|result| result.unwrap_or_else(|fault| std::panic::resume_unwind(fault)))
            .collect()
    });
    results.into_iter().collect()
}

fn deliver(run: &Run<'_>, mut destination: Destination, budget: usize) -> Result<Account, Failure> {
    let own = destination.own.clone();
    let run = &match &own {
        Some(own) => Run { rules: &own.rules, options: &own.options, ..*run },
        None => *run,
    };
    let asked = if run.options.dry_run { Ok(true) } else { preflight::ask(run, &mut destination) };
    run.progress.go_on(&destination.name);
    let heard = match asked {
        Ok(heard) => heard,
        Err(reason) => {
            return Ok(Account { down: Some(reason), ..Account::of(&destination, run) });
        }
    };
    // One after the other, so that what a dry run says is the same each time.
    let alone = run.options.dry_run;
    let one_by_one = alone || destination.exporter.order() != Order::Any;
    let senders = if one_by_one { 1 } else { run.options.senders };
    let share = Share::of(budget, run.options);
    let share = if alone { Share { workers: 1, ..share } } else { share };
    let pool = pipeline::pool(share.workers).map_err(|err| Failure::new(format!("{err:#}")))?;
    let others = others(run, &*destination.exporter)?;
    let store = sorted::store(run, &*destination.exporter)?;
    let engine = Engine::new(run, &destination, (share, store), others, heard);
    std::thread::scope(|scope| {
        for _ in 0..senders {
            scope.spawn(|| engine.send_all());
        }
        let next = AtomicUsize::new(0);
        pool.in_place_scope(|scope| {
            for _ in 0..share.workers {
                scope.spawn(|_| engine.feed_all(&next));
            }
        });
        engine.queue.close();
    });
    Ok(engine.finish())
}

/// Returns the places that share ids with a destination whose server does not
/// say where an id is, as far as the ledger knows. Who forces knows better.
fn others(run: &Run<'_>, exporter: &dyn Exporter) -> Result<Vec<String>, Failure> {
    let space = exporter.id_space().filter(|space| !space.is_told && !run.options.force);
    let (Some(space), Some(ledger)) = (space, run.ledger) else { return Ok(Vec::new()) };
    let own = &exporter.contract().destination;
    let shares = |place: &String| {
        let rest = place.strip_prefix(&*space.server);
        place != own && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
    };
    let places = ledger.standings()?.into_iter().filter(|it| it.sent > 0).map(|it| it.destination);
    Ok(places.filter(shares).collect())
}

/// Says that a destination does not answer as it should, and what is done.
fn tell_of_trouble(run: &Run<'_>, name: &str, reason: &str, budget: Duration) {
    let seconds = budget.as_secs();
    (run.notice)(format!("{name}: {reason}; trying again for up to {seconds} s"));
}

/// Waits, unless the user wants the run to end.
fn pause(run: &Run<'_>, wait: Duration) -> Result<(), String> {
    let clock = Clock::start();
    while let Some(left) = wait.checked_sub(clock.elapsed()).filter(|left| !left.is_zero()) {
        if run.interrupted.load(Ordering::Relaxed) {
            return Err("interrupted".to_owned());
        }
        std::thread::sleep(left.min(LOOK));
    }
    Ok(())
}

/// Returns the routes of a destination with requests no larger than need be.
fn routes(destination: &Destination, max_bytes: usize) -> Vec<Route> {
    let mut routes = destination.exporter.contract().routes.clone();
    for route in &mut routes {
        route.limits.max_bytes = route.limits.max_bytes.min(max_bytes);
    }
    routes
}

/// The pipeline of one destination.
struct Engine<'e> {
    run: &'e Run<'e>,
    name: &'e str,
    exporter: &'e dyn Exporter,
    companion: Option<&'e dyn Companion>,
    /// The files that hold copies of other threads' turns.
    copied_heads: CopiedHeads,
    /// How long to wait, in this run, for live plugins that hold their files;
    /// whoever tells a plugin something has it.
    patience: Mutex<Duration>,
    takes: &'e Takes,
    transport: &'e dyn Transport,
    routes: Vec<Route>,
    queue: Queue,
    store: Arc<Store>,
    /// Bodies of requests that have ended: as many as there are senders.
    buffers: Mutex<Vec<Vec<u8>>>,
    clock: Clock,
    pace: Mutex<Flow>,
    flow_changed: Condvar,
    account: Mutex<Account>,
    /// Whether the ledger has failed, which ends everything.
    failed: AtomicBool,
    /// Requests that the destination took.
    n_good: AtomicUsize,
    /// Whether the destination has ever answered, whatever it said.
    heard: AtomicBool,
    /// Whether it was said that it does not answer as it should.
    told: AtomicBool,
    /// Other places of the server that may have the same ids, and say nothing.
    others: Vec<String>,
}

/// How fast it goes.
struct Flow {
    pace: Pace,
    under_way: usize,
}

impl<'e> Engine<'e> {
    fn new(
        run: &'e Run<'e>,
        destination: &'e Destination,
        (share, store): (Share, Store),
        others: Vec<String>,
        heard: bool,
    ) -> Engine<'e> {
        let packing = if run.options.dry_run { Packing::BySize } else { Packing::InTime };
        Engine {
            run,
            name: &destination.name,
            exporter: &*destination.exporter,
            companion: destination.companion.as_deref(),
            copied_heads: match destination.companion {
                Some(_) => CopiedHeads::find(run.history),
                None => CopiedHeads::default(),
            },
            patience: Mutex::new(PATIENCE),
            takes: &destination.takes,
            transport: &*destination.transport,
            queue: Queue::new(share.units, packing, destination.exporter.order()),
            routes: routes(destination, share.request),
            store: Arc::new(store),
            buffers: Mutex::default(),
            clock: Clock::start(),
            pace: Mutex::new(Flow {
                pace: Pace::new(run.options.senders, destination.transport.pause()),
                under_way: 0,
            }),
            flow_changed: Condvar::new(),
            account: Mutex::new(Account::of(destination, run)),
            failed: AtomicBool::new(false),
            n_good: AtomicUsize::new(0),
            heard: AtomicBool::new(heard),
            told: AtomicBool::new(false),
            others,
        }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what became of a unit.
    fn note(&self, session: &Session, key: &UnitKey, fate: Fate) {
        self.account().tally.note(&session.id, key, fate);
    }

    fn interrupted(&self) -> bool {
        self.run.interrupted.load(Ordering::Relaxed)
    }

    /// Ends the pipeline for a reason that no other attempt would change, and
    /// says what to do, if that is more than to try another time.
    fn give_up(&self, reason: String, advice: Option<&str>) {
        let mut account = self.account();
        if account.down.is_none() {
            account.down = Some(reason);
            account.advice = advice.map(str::to_owned);
        }
        drop(account);
        self.queue.stop();
    }

    /// Ends the pipeline because of what is written here, the ledger above all:
    /// to go on would be to forget what was sent.
    fn fail(&self, failure: &Failure) {
        self.failed.store(true, Ordering::Relaxed);
        self.give_up(failure.to_string(), failure.hint_line());
    }

    /// Says why what is left is left.
    fn why_ended(&self) -> String {
        let down = self.account().down.clone();
        down.unwrap_or_else(|| {
            let why = if self.interrupted() { "was interrupted" } else { "ended before" };
            format!("the upload {why}")
        })
    }

    /// Makes of a server's words what may be kept and shown: they may repeat
    /// what they were sent.
    fn words(&self, said: &str) -> String {
        let text = self.run.rules.text(Part::Label, said);
        text::one_line(&shortened(&text.unwrap_or_default()))
    }

    /// Says, once, that the destination does not answer as it should.
    fn tell_of_trouble(&self, reason: &str, budget: Duration) {
        if !self.told.swap(true, Ordering::Relaxed) {
            tell_of_trouble(self.run, self.name, reason, budget);
        }
    }

    fn finish(self) -> Account {
        self.run.progress.go_on(self.name);
        self.leave(self.skipped(self.queue.drain()), &self.why_ended());
        let mut account = self.account.into_inner().unwrap_or_else(PoisonError::into_inner);
        account.peak = self.queue.peak();
        account.view = self.exporter.view();
        account.redacted = self.run.rules.found();
        account
    }

    /// Notes that slices will not be sent; returns the units of which nothing is
    /// under way any more.
    fn skipped(&self, slices: Vec<Slice>) -> Vec<Arc<Whole>> {
        let mut ended = Vec::new();
        for slice in slices {
            let settlement = slice.part.skip(slice.n_pieces());
            self.queue.release(settlement.freed);
            ended.extend(settlement.ended.then(|| Arc::clone(&slice.part.whole)));
        }
        ended
    }

    /// Gives up units that have not begun; returns those of which nothing more
    /// will come.
    fn given_up(&self, units: Vec<Arc<Whole>>) -> Vec<Arc<Whole>> {
        let mut ended = Vec::new();
        for unit in units {
            let settlement = unit.give_up();
            self.queue.release(settlement.freed);
            ended.extend(settlement.ended.then_some(unit));
        }
        ended
    }

    /// Notes that units were not sent.
    fn leave(&self, units: Vec<Arc<Whole>>, why: &str) {
        let mut units = units;
        let mut entries = Vec::new();
        while let Some(unit) = units.pop() {
            self.account().unsent += 1;
            self.note(&unit.session, &unit.key, Fate::Unsent);
            entries.push(self.entry(&unit, Outcome::Pending, Some(why.to_owned())));
            let ready = unit.session.end(&unit, false);
            units.extend(self.given_up(ready.abandoned));
            units.extend(self.given_up(ready.released));
        }
        self.record(&entries, &[]);
    }

    fn entry(&self, unit: &Whole, outcome: Outcome, note: Option<String>) -> Entry {
        Entry {
            key: unit.key.clone(),
            route: self.routes[unit.route].name,
            // Nothing ends before all of it was seen.
            fingerprint: unit.fingerprint().unwrap_or(Fingerprint([0; 32])),
            lines: unit.lines,
            outcome,
            note,
        }
    }

    /// Lets go on what can.
    fn proceed(&self, ready: Ready, files: &mut Vec<FileStamp>) {
        files.extend(ready.files);
        self.leave(self.given_up(ready.abandoned), "waits for units that were not sent");
        for part in ready.released.iter().flat_map(|unit| unit.begin()) {
            self.begin(&part);
        }
    }

    /// Puts a part into the queue.
    fn begin(&self, part: &Arc<UnitPart>) {
        let route = &self.routes[part.whole.route];
        part.begin(route).into_iter().for_each(|slice| self.queue.push(slice));
    }

    /// Writes into the ledger; what cannot be written ends the run.
    fn record(&self, entries: &[Entry], files: &[FileStamp]) {
        if self.run.options.dry_run || entries.is_empty() && files.is_empty() {
            return;
        }
        // Once is enough: each attempt may wait for another process.
        if self.failed.load(Ordering::Relaxed) {
            return;
        }
        let Some(ledger) = self.run.ledger else { return };
        let destination = &self.exporter.contract().destination;
        let at = self.run.options.now.to_string();
        if let Err(failure) = ledger.record(destination, entries, files, &at) {
            self.fail(&failure);
        }
    }
}
