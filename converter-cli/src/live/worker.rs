//! The worker: takes what hooks have noted, delivers it, and ends when nothing
//! is left that it could do.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use codex_trace_deliver::delivery::{Account, Fate};
use codex_trace_export::secret::without_password;
use codex_trace_history::History;

use crate::args::{HookArgs, UploadArgs};
use crate::commands::upload::{Outcome, Rounds};
use crate::config::{self, Settings};
use crate::exit::ExitStatus;
use crate::interrupt;
use crate::live::event::Occasion;
use crate::live::hook;
use crate::live::queue::{self, Entry, Queue};
use crate::live::standing::Noted;
use crate::live::state::{self, Backoffs, Rest, State, Waiting};
use crate::ui::Ui;

/// How often to look for something to do.
const LOOK: Duration = Duration::from_millis(100);

/// How long before it is written that a turn has ended a hook says so, about.
const ENDING: Duration = Duration::from_millis(100);

/// How often to look whether Codex has ended without a word.
const LOOK_FOR_CODEX: Duration = Duration::from_secs(2);

/// How long another worker may take to end.
const CHANGE: Duration = Duration::from_secs(1);

/// How long to try to reach a destination. What waits is kept after that, too.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// How often a session may not be found, or not be read.
const MOST_TRIES: u32 = 10;

/// How old a file system's time may be, in milliseconds.
const SLACK: i64 = 2000;

/// The largest log, in bytes. As much again is kept of what was before.
const LARGEST_LOG: u64 = 1 << 20;

/// What is wrong with all destinations at once goes by this name.
const ALL: &str = "upload";

/// Delivers what waits, and what comes while it works.
///
/// # Errors
///
/// If there is no place for the queue.
pub fn run(args: &HookArgs, upload: &UploadArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    if args.detached {
        hook::leave_session();
    }
    let linger = config::age("--linger", &args.linger)?;
    let queue = Queue::within(&config::state_dir(None, ui.settings())?);
    queue.make()?;
    let Some(lock) = begin(&queue)? else { return Ok(ExitStatus::Complete) };
    let mut worker = Worker {
        ui,
        noted: Noted::read(&queue),
        queue,
        upload,
        interrupted: interrupt::flag(ui),
        linger,
        settle: config::age("--settle", &upload.settle)?,
        homes: BTreeMap::new(),
        backoffs: Backoffs::default(),
        busy_at: now(),
        look_for_codex_at: now(),
    };
    worker.work(lock)?;
    let interrupted = worker.interrupted.load(Ordering::Relaxed);
    Ok(if interrupted { ExitStatus::Interrupted } else { ExitStatus::Complete })
}

#[expect(clippy::disallowed_methods, reason = "the worker waits")]
fn now() -> Instant {
    Instant::now()
}

/// Becomes the one worker, unless another one goes on.
fn begin(queue: &Queue) -> io::Result<Option<File>> {
    let until = now() + CHANGE;
    loop {
        match queue.begin()? {
            None if now() < until => std::thread::sleep(LOOK / 5),
            result => return Ok(result),
        }
    }
}

/// A Codex home, and what waits in it.
struct Home<'a> {
    settings: Settings,
    rounds: Rounds<'a>,
    waiting: BTreeMap<String, Waiting>,
    /// Whether to look for what earlier sessions have left.
    look_through: bool,
}

struct Worker<'a> {
    ui: &'a Ui,
    queue: Queue,
    upload: &'a UploadArgs,
    interrupted: Arc<AtomicBool>,
    linger: Duration,
    /// How long a file must be left alone so that a turn in it is over.
    settle: Duration,
    homes: BTreeMap<PathBuf, Home<'a>>,
    backoffs: Backoffs,
    noted: Noted,
    /// When there was last something to do.
    busy_at: Instant,
    /// When to look again whether Codex has ended without a word.
    look_for_codex_at: Instant,
}

impl<'a> Worker<'a> {
    fn work(&mut self, lock: File) -> io::Result<()> {
        let mut lock = Some(lock);
        for entry in self.queue.all_waiting() {
            self.admit(entry, now());
        }
        while !self.interrupted.load(Ordering::Relaxed) {
            for entry in self.queue.take()? {
                self.noted.called_at = self.noted.called_at.max(Some(entry.at));
                self.busy_at = now();
                self.admit(entry, now() + ENDING);
            }
            self.wake();
            let due: Vec<PathBuf> = self.due_homes().collect();
            for home in &due {
                self.round(home);
                self.busy_at = now();
            }
            if due.is_empty() && self.is_idle() {
                // Who comes between the last look and the end of the lock has seen
                // a worker, and would wait for the next call.
                drop(lock.take());
                if !self.queue.has_new() {
                    break;
                }
                lock = begin(&self.queue)?;
                if lock.is_none() {
                    break;
                }
            }
            std::thread::sleep(LOOK);
        }
        drop(lock);
        Ok(())
    }

    /// Takes in an entry.
    fn admit(&mut self, entry: Entry, at: Instant) {
        let is_new = !self.homes.contains_key(&entry.home);
        let home = self.homes.entry(entry.home.clone()).or_insert_with(|| Home {
            settings: of_home(self.ui.settings(), &entry.home),
            rounds: Rounds::new(self.upload, Arc::clone(&self.interrupted)),
            waiting: BTreeMap::new(),
            look_through: false,
        });
        if self.queue.since(&entry.home).is_none() {
            // What was there before the first call is for `upload`.
            self.queue.set_since(&entry.home, entry.at).ok();
        }
        home.look_through |=
            is_new || entry.thread.is_none() || entry.occasion == Occasion::SessionStarted;
        let Some(thread) = entry.thread.clone() else {
            self.queue.remove(&entry).ok();
            return;
        };
        if home.waiting.len() >= queue::MOST && !home.waiting.contains_key(&thread) {
            // It is found again, as its file was written to since.
            let since = self.queue.since(&entry.home).unwrap_or(entry.at);
            self.queue.set_since(&entry.home, since.min(entry.at - SLACK)).ok();
            self.queue.remove(&entry).ok();
            return;
        }
        home.waiting.insert(thread, Waiting::due(entry, at));
    }

    /// Wakes sessions whose turn may have ended meanwhile, or that a destination
    /// may take now.
    fn wake(&mut self) {
        let (now, time) = (now(), self.time());
        let looks_for_codex = self.look_for_codex_at <= now;
        if looks_for_codex {
            self.look_for_codex_at = now + LOOK_FOR_CODEX;
        }
        for home in self.homes.values_mut() {
            for waiting in home.waiting.values_mut() {
                let wakes = match waiting.state {
                    State::Due(_) => false,
                    State::TurnToEnd => {
                        waiting.has_news()
                            || looks_for_codex && waiting.turns_out_over(time, self.settle)
                    }
                    State::Destination => self.backoffs.may_ask(&waiting.acknowledged, now),
                };
                if wakes {
                    waiting.state = State::Due(now);
                }
            }
        }
    }

    fn due_homes(&self) -> impl Iterator<Item = PathBuf> {
        let now = now();
        let is_due = move |home: &Home<'_>| {
            let due = |it: &Waiting| matches!(it.state, State::Due(at) if at <= now);
            home.look_through || home.waiting.values().any(due)
        };
        self.homes.iter().filter(move |(_, home)| is_due(home)).map(|(path, _)| path.clone())
    }

    /// Whether there is nothing to do, and was not for a while.
    fn is_idle(&self) -> bool {
        let now = now();
        let all = || self.homes.values().flat_map(|home| home.waiting.values());
        let due = all().any(|it| matches!(it.state, State::Due(_)));
        let hopes = all().any(|it| it.state == State::Destination)
            && self.backoffs.is_hopeful(now, PATIENCE);
        let time = self.time();
        let is_ending = |it: &Waiting| {
            it.state == State::TurnToEnd
                && state::rest(&it.files, time, self.settle) == Rest::Ending
        };
        !due && !hopes && now.duration_since(self.busy_at) >= self.linger && !all().any(is_ending)
    }

    fn time(&self) -> SystemTime {
        self.ui.settings().at_present().now.into()
    }

    /// Delivers what is due of a home.
    fn round(&mut self, path: &Path) {
        self.bound_log();
        let Some(mut home) = self.homes.remove(path) else { return };
        let ui = Ui::new(home.settings.at_present());
        let result = self.deliver(&mut home, path, &ui);
        if let Err(err) = result {
            self.backoffs.fail(ALL, now());
            let reason = format!("{err:#}");
            if self.noted.errors.get(ALL) != Some(&reason) {
                self.say(&format!("cannot deliver: {reason}"));
            }
            self.noted.errors.insert(ALL.to_owned(), reason);
            home.look_through = false;
            for waiting in home.waiting.values_mut().filter(|it| it.state != State::TurnToEnd) {
                waiting.state = State::Destination;
            }
        }
        self.homes.insert(path.to_owned(), home);
        // `status` says a little less where it cannot be written.
        self.noted.write(&self.queue).ok();
    }

    fn deliver(&mut self, home: &mut Home<'a>, path: &Path, ui: &Ui) -> anyhow::Result<()> {
        let mut history = home.rounds.look(ui)?;
        let by_thread = by_thread(&history);
        if std::mem::take(&mut home.look_through) {
            self.find_left(home, path, &history, ui.settings());
        }
        let mut sessions: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let started = now();
        for (thread, waiting) in &mut home.waiting {
            if !matches!(waiting.state, State::Due(at) if at <= started) {
                continue;
            }
            let Some(&nth) = by_thread.get(thread) else {
                waiting.tries += 1;
                waiting.state = State::Due(started + LOOK * (1 << waiting.tries.min(5)));
                continue;
            };
            waiting.files = state::files(&history, &history.sessions[nth]);
            let seen = waiting.entry.seen.take();
            waiting.turns_out_over(ui.settings().now.into(), self.settle);
            if seen == Some(state::stamp(&waiting.files)) && !waiting.is_over {
                waiting.entry.seen = seen;
                waiting.state = State::TurnToEnd;
                continue;
            }
            sessions.entry(nth).or_default().push(thread.clone());
        }
        self.forget_lost(home);
        if sessions.is_empty() {
            return Ok(());
        }
        let mut roots = Vec::new();
        let mut chosen = Vec::new();
        for (nth, threads) in sessions {
            let session = &history.sessions[nth];
            roots.push((session.root_thread_id.clone(), threads));
            chosen.push(session.clone());
        }
        history.sessions = chosen;
        let backoffs = &self.backoffs;
        let delivered =
            home.rounds.deliver(&history, &|name| backoffs.is_waiting(name, started), ui)?;
        let Some(outcome) = delivered else { return Ok(()) };
        self.backoffs.answers(ALL);
        self.noted.errors.remove(ALL);
        self.judge(&outcome, &roots, home);
        Ok(())
    }

    /// Notes what became of sessions, and lets go those that are done.
    fn judge(&mut self, outcome: &Outcome, roots: &[(String, Vec<String>)], home: &mut Home<'_>) {
        self.backoffs.keep(&outcome.names);
        self.noted.errors.retain(|name, _| outcome.names.contains(name));
        for account in &outcome.accounts {
            self.note(account);
        }
        for (root, threads) in roots {
            for thread in threads {
                let Some(waiting) = home.waiting.get_mut(thread) else { continue };
                let has_open = take_stock(waiting, root, &outcome.accounts);
                let all = outcome.names.iter().all(|name| waiting.acknowledged.contains(name));
                if all && !has_open {
                    self.noted.delivered_at =
                        Some(self.ui.settings().at_present().now.as_millisecond());
                    self.queue.remove(&waiting.entry).ok();
                    home.waiting.remove(thread);
                } else if all {
                    waiting.acknowledged.clear();
                    waiting.entry.seen = Some(state::stamp(&waiting.files));
                    waiting.state = State::TurnToEnd;
                    self.queue.keep(&waiting.entry).ok();
                } else {
                    waiting.state = State::Destination;
                }
            }
        }
        self.forget_lost(home);
    }

    fn note(&mut self, account: &Account) {
        let name = &account.name;
        if let Some(reason) = account.down.as_ref().or(account.faults.first()) {
            self.backoffs.fail(name, now());
            let reason = without_password(reason);
            self.say(&format!("{name}: {reason}"));
            self.noted.errors.insert(name.clone(), reason);
            return;
        }
        self.backoffs.answers(name);
        self.noted.errors.remove(name);
        let n = account.turns();
        if n > 0 {
            let sessions = account.tally.sessions(Fate::Sent);
            self.say(&format!("{name}: {n} turns of {sessions} sessions"));
        }
    }

    /// Gives up what cannot be found or read. It is found again once its file is
    /// written to; `upload` sends it in any case.
    fn forget_lost(&self, home: &mut Home<'_>) {
        home.waiting.retain(|thread, waiting| {
            let is_lost = waiting.tries >= MOST_TRIES;
            if is_lost {
                self.queue.remove(&waiting.entry).ok();
                self.say(&format!(
                    "thread {thread} cannot be found or read: left to the next call"
                ));
            }
            !is_lost
        });
    }

    /// Finds the sessions that were written to since the last time: of those that
    /// were interrupted, killed or offline nobody was told.
    fn find_left(&self, home: &mut Home<'_>, path: &Path, history: &History, at: &Settings) {
        let looked_at = at.now.as_millisecond() - SLACK;
        let since = self.queue.since(path).unwrap_or(looked_at);
        let mut left: Vec<(i64, &str)> = Vec::new();
        for session in &history.sessions {
            let heads = session.members.iter().map(|member| &history.heads[member.head]);
            let written = heads.filter_map(|head| head.modified).max().map(millis);
            if let Some(written) = written.filter(|written| *written >= since) {
                left.push((written, &session.root_thread_id));
            }
        }
        left.sort_unstable();
        let mut next = looked_at;
        for (written, root) in left {
            if home.waiting.contains_key(root) {
                continue;
            }
            if home.waiting.len() >= queue::MOST {
                next = next.min(written);
                break;
            }
            let entry = Entry {
                home: path.to_owned(),
                thread: Some(root.to_owned()),
                occasion: Occasion::Other,
                at: written,
                seen: None,
            };
            if self.queue.keep(&entry).is_err() {
                return;
            }
            home.waiting.insert(root.to_owned(), Waiting::due(entry, now()));
        }
        self.queue.set_since(path, next.max(since)).ok();
    }

    /// Writes a line into the log.
    fn say(&self, text: &str) {
        let at = self.ui.settings().at_present().now;
        // Nobody is there to be told that it cannot be written.
        writeln!(io::stderr(), "{at:.0} {}", crate::text::escape(text)).ok();
    }

    /// Begins the log anew when it is large.
    fn bound_log(&self) {
        let log = self.queue.log();
        let is_large = log.metadata().is_ok_and(|it| it.is_file() && it.len() > LARGEST_LOG);
        if is_large && fs::copy(&log, log.with_extension("old")).is_ok() {
            // Standard error appends to it.
            File::options().write(true).open(&log).and_then(|file| file.set_len(0)).ok();
        }
    }
}

fn millis(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The settings of whoever works with this Codex home.
fn of_home(settings: &Settings, home: &Path) -> Settings {
    Settings {
        codex_homes: vec![home.to_owned()],
        codex_homes_from: "hook",
        own_codex_home: Some(home.to_owned()),
        foreign_home: None,
        ..settings.clone()
    }
}

/// Finds sessions by their threads.
fn by_thread(history: &History) -> HashMap<String, usize> {
    let mut by_thread = HashMap::new();
    for (nth, session) in history.sessions.iter().enumerate() {
        by_thread.insert(session.root_thread_id.clone(), nth);
        for member in &session.members {
            by_thread.insert(history.heads[member.head].thread_id.clone(), nth);
        }
    }
    by_thread
}

/// Notes which destinations have all of a session; returns whether a turn of it
/// is open.
fn take_stock(waiting: &mut Waiting, root: &str, accounts: &[Account]) -> bool {
    let mut has_open = false;
    let mut has_fault = false;
    for account in accounts.iter().filter(|it| it.down.is_none() && !it.cut_short) {
        match account.tally.worst(root) {
            Some(Fate::Unsent) => continue,
            Some(Fate::Open | Fate::Held) => has_open = true,
            None if account.faults.iter().any(|fault| fault.contains(root)) => {
                has_fault = true;
                continue;
            }
            _ => {}
        }
        waiting.acknowledged.insert(account.name.clone());
    }
    waiting.tries = if has_fault { waiting.tries + 1 } else { 0 };
    has_open
}

#[cfg(test)]
mod tests;
