//! The worker: takes what hooks have noted, delivers it, and ends when nothing
//! is left that it could do.

mod round;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, Scope};
use std::time::{Duration, Instant, SystemTime};

use codex_trace_history::History;

use crate::args::{HookArgs, UploadArgs};
use crate::commands::upload::Rounds;
use crate::config::{self, Settings};
use crate::exit::ExitStatus;
use crate::interrupt;
use crate::live::detach;
use crate::live::event::Occasion;
use crate::live::queue::{self, Entry, Queue};
use crate::live::standing::Noted;
use crate::live::state::{self, Backoffs, Rest, State, Waiting};
use crate::ui::Ui;
use round::{Asked, Done};

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
        detach::leave_session();
    }
    let linger = config::age("--linger", &args.linger)?;
    let queue = Queue::within(&config::state_dir(None, ui.settings())?);
    queue.make()?;
    let Some(lock) = begin(&queue)? else { return Ok(ExitStatus::Complete) };
    let settle = config::age("--settle", &upload.settle)?;
    let interrupted = interrupt::flag(ui);
    thread::scope(|scope| {
        let mut worker = Worker {
            scope,
            ui,
            noted: Noted::read(&queue),
            queue,
            upload,
            interrupted: Arc::clone(&interrupted),
            linger,
            settle,
            homes: BTreeMap::new(),
            backoffs: Backoffs::default(),
            busy: BTreeSet::new(),
            done: mpsc::channel(),
            n_admitted: 0,
            busy_at: now(),
            look_for_codex_at: now(),
        };
        worker.work(lock)
    })?;
    let interrupted = interrupted.load(Ordering::Relaxed);
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
            None if now() < until => thread::sleep(LOOK / 5),
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
    /// What `to` of codex-trace.toml names.
    names: Vec<String>,
    /// The places of those that were asked before.
    places: BTreeMap<String, BTreeSet<String>>,
}

struct Worker<'scope, 'a: 'scope> {
    /// Where deliveries run.
    scope: &'scope Scope<'scope, 'a>,
    ui: &'a Ui,
    queue: Queue,
    upload: &'a UploadArgs,
    interrupted: Arc<AtomicBool>,
    linger: Duration,
    /// How long a file must be left alone so that a turn in it is over.
    settle: Duration,
    homes: BTreeMap<PathBuf, Home<'a>>,
    backoffs: Backoffs,
    /// The homes and destinations of the deliveries that run.
    busy: BTreeSet<(PathBuf, String)>,
    done: (Sender<Done>, Receiver<Done>),
    /// How many entries there were so far.
    n_admitted: u64,
    noted: Noted,
    /// When there was last something to do.
    busy_at: Instant,
    /// When to look again whether Codex has ended without a word.
    look_for_codex_at: Instant,
}

impl<'scope, 'a: 'scope> Worker<'scope, 'a> {
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
            self.take_done();
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
            thread::sleep(LOOK);
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
            names: Vec::new(),
            places: BTreeMap::new(),
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
        self.n_admitted += 1;
        home.waiting.insert(thread, Waiting::due(entry, self.n_admitted, at));
    }

    /// Wakes sessions whose turn may have ended meanwhile, or that a destination
    /// may take now.
    fn wake(&mut self) {
        let (now, time) = (now(), self.time());
        for (path, thread) in self.taken_now(now) {
            let home = self.homes.get_mut(&path);
            if let Some(waiting) = home.and_then(|home| home.waiting.get_mut(&thread)) {
                waiting.state = State::Due(now);
            }
        }
        let looks_for_codex = self.look_for_codex_at <= now;
        if looks_for_codex {
            self.look_for_codex_at = now + LOOK_FOR_CODEX;
        }
        for waiting in self.homes.values_mut().flat_map(|home| home.waiting.values_mut()) {
            if waiting.state == State::TurnToEnd
                && (waiting.has_news()
                    || looks_for_codex && waiting.turns_out_over(time, self.settle))
            {
                waiting.state = State::Due(now);
            }
        }
    }

    /// Finds the sessions that wait for destinations one of which may take them.
    fn taken_now(&self, now: Instant) -> Vec<(PathBuf, String)> {
        let mut taken = Vec::new();
        for (path, home) in &self.homes {
            let names = &home.names;
            let is_taken = |waiting: &Waiting| {
                if names.is_empty() {
                    return !self.backoffs.is_waiting(ALL, now);
                }
                names.iter().any(|name| self.may_take(home, path, name, waiting, now))
            };
            let waiting = home.waiting.iter().filter(|(_, it)| it.state == State::Destination);
            let waiting = waiting.filter(|(_, it)| is_taken(it));
            taken.extend(waiting.map(|(thread, _)| (path.clone(), thread.clone())));
        }
        taken
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
        // It has ended, and that has not been acted upon.
        let is_ending = |it: &Waiting| {
            it.state == State::TurnToEnd
                && !it.is_over
                && state::rest(&it.files, time, self.settle) != Rest::Open
        };
        !due && !hopes
            && self.busy.is_empty()
            && now.duration_since(self.busy_at) >= self.linger
            && !all().any(is_ending)
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
            self.fail(&err);
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
        let mut sessions: BTreeSet<usize> = BTreeSet::new();
        let mut asked = Vec::new();
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
            let had_fault = std::mem::take(&mut waiting.has_fault);
            waiting.tries = if had_fault { waiting.tries + 1 } else { 0 };
            waiting.files = state::files(&history, &history.sessions[nth]);
            let seen = waiting.entry.seen.take();
            waiting.turns_out_over(ui.settings().now.into(), self.settle);
            if seen == Some(state::stamp(&waiting.files)) && !waiting.is_over {
                waiting.entry.seen = seen;
                waiting.state = State::TurnToEnd;
                continue;
            }
            sessions.insert(nth);
            let root = history.sessions[nth].root_thread_id.clone();
            let stamp = waiting.stamp();
            asked.push(Asked { root, thread: thread.clone(), nth: waiting.nth, stamp });
        }
        self.forget_lost(home);
        if sessions.is_empty() {
            return Ok(());
        }
        history.sessions = sessions.iter().map(|nth| history.sessions[*nth].clone()).collect();
        self.hand_over(home, path, (history, asked), ui)
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
    fn find_left(&mut self, home: &mut Home<'_>, path: &Path, history: &History, at: &Settings) {
        let looked_at = at.now.as_millisecond() - SLACK;
        // A clock that was set back leaves a mark that is yet to come.
        let since = self.queue.since(path).unwrap_or(looked_at).min(looked_at);
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
            self.n_admitted += 1;
            let waiting = Waiting::due(entry, self.n_admitted, now());
            home.waiting.insert(root.to_owned(), waiting);
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

#[cfg(test)]
mod tests;
