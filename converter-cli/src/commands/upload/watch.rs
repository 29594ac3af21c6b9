//! `codex-trace upload --watch`: one round after the other, whenever files change.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use codex_rollout::session_dirs;
use codex_trace_deliver::delivery::{Account, Fate};
use codex_trace_history::History;
use codex_trace_model::SessionGroup;
use notify::{PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};

use super::rounds::{Outcome, Rounds};
use crate::args::UploadArgs;
use crate::config;
use crate::exit::{self, ExitStatus};
use crate::interrupt;
use crate::live::state::{self, Rest, Seen};
use crate::ui::Ui;

/// How long files must be quiet before a round begins, and the longest that one
/// is put off while they are not.
const QUIET: Duration = Duration::from_millis(300);
const LONGEST: Duration = Duration::from_secs(2);

/// How often to look whether somebody wants it to end.
const LOOK: Duration = Duration::from_millis(250);

/// How often to look whether Codex has ended without a word in a turn.
const LOOK_FOR_CODEX: Duration = Duration::from_secs(5);

/// How often to look at all files where the system tells nothing.
const POLL: Duration = Duration::from_secs(5);

/// How often to look at all files in any case: events get lost, and directories
/// come and go.
const FULL: Duration = Duration::from_secs(10 * 60);

/// The first and the longest wait for a destination that does not answer.
const WAITS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// Uploads what is there, then what comes, until interrupted.
///
/// # Errors
///
/// If the first round cannot begin.
pub(super) fn run(args: &UploadArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    let interrupted = interrupt::flag(ui);
    let (sender, receiver) = mpsc::channel();
    let mut watch = Watch { places: BTreeSet::new(), watcher: None, sender };
    let mut rounds = Rounds::new(args, Arc::clone(&interrupted));
    let settle = config::age("--settle", &args.settle)?;
    let mut left = Left { settle, ..Left::default() };
    let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
    let mut is_first = true;
    while !interrupted.load(Ordering::Relaxed) {
        watch.follow(args, ui);
        let round_ui = Ui::new(ui.settings().at_present());
        match round(&mut rounds, &mut left, is_first, watch.is_blind(), &round_ui) {
            Ok(outcome) => {
                let all = outcome.into_iter().flat_map(|it| it.accounts);
                accounts.extend(all.map(|account| (account.name.clone(), account)));
            }
            Err(err) if is_first => return Err(err),
            Err(err) => {
                ui.error(format!("{err:#}"));
                left.fails();
            }
        }
        if std::mem::take(&mut is_first) {
            ui.say("watching for changes; Ctrl-C ends it");
        }
        if !wait(&receiver, &mut left, &interrupted, ui) {
            left.look_at_open();
        }
    }
    let accounts: Vec<_> = accounts.into_values().collect();
    // To be interrupted is how it ends.
    Ok(exit::of_upload(&accounts, false, args.strict))
}

/// Uploads the sessions with files that have changed, and those that were left.
fn round(
    rounds: &mut Rounds<'_>,
    left: &mut Left,
    is_first: bool,
    watch_nothing: bool,
    ui: &Ui,
) -> anyhow::Result<Option<Outcome>> {
    let looked = rounds.look(ui);
    let mut history = match looked {
        // There will be something once Codex is used.
        Err(err) if is_first && !watch_nothing => {
            ui.warn(format!("{err:#}"));
            return Ok(None);
        }
        looked => looked?,
    };
    let changed = rounds.cache().changed();
    let again = std::mem::take(&mut left.sessions);
    let sessions = std::mem::take(&mut history.sessions);
    let mut is_wanted = |session: &SessionGroup| {
        is_first
            || again.contains(&session.root_thread_id)
            || touches(&history, session, changed) && left.may_have_ended(&history, session)
    };
    history.sessions = sessions.into_iter().filter(|session| is_wanted(session)).collect();
    if history.sessions.is_empty() && !is_first {
        return Ok(None);
    }
    let outcome = rounds.deliverer().deliver(&history, None, &|_| false, ui)?;
    let Some(outcome) = outcome else { return Ok(None) };
    left.take(&history, &outcome.accounts);
    Ok(Some(outcome))
}

fn touches(history: &History, session: &SessionGroup, changed: &HashSet<PathBuf>) -> bool {
    session.members.iter().any(|member| {
        let files = member.ancestors.iter().chain([&member.head]);
        let mut paths = files.map(|head| &history.heads[*head].rollout.path);
        paths.any(|path| changed.contains(path))
            || member.copies.iter().any(|path| changed.contains(path))
    })
}

/// Waits until files have changed and are quiet, a turn turns out to be over, or
/// it is time to try again; returns whether that is for a reason, and not because
/// it is time to look at everything.
fn wait(receiver: &Receiver<()>, left: &mut Left, interrupted: &AtomicBool, ui: &Ui) -> bool {
    let begun = now();
    let mut look_for_codex_at = begun + LOOK_FOR_CODEX;
    let until = left.next.unwrap_or(begun + FULL).min(begun + FULL);
    let mut changed: Option<Instant> = None;
    while !interrupted.load(Ordering::Relaxed) {
        let pause = if changed.is_some() { QUIET } else { LOOK };
        match receiver.recv_timeout(pause) {
            Ok(()) => {
                let first = *changed.get_or_insert_with(now);
                while receiver.try_recv().is_ok() {}
                if now().duration_since(first) >= LONGEST {
                    return true;
                }
            }
            Err(RecvTimeoutError::Timeout) if changed.is_some() => return true,
            Err(RecvTimeoutError::Timeout) if now() >= until => return false,
            Err(RecvTimeoutError::Timeout) if now() >= look_for_codex_at => {
                look_for_codex_at = now() + LOOK_FOR_CODEX;
                if left.finds_over(ui.settings().at_present().now.into()) {
                    return true;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            // There is no watcher any more, which was said.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK),
        }
    }
    false
}

#[expect(clippy::disallowed_methods, reason = "it waits")]
fn now() -> Instant {
    Instant::now()
}

/// What is to be tried again.
#[derive(Debug, Default)]
struct Left {
    /// How long a file must be left alone so that a turn in it is over.
    settle: Duration,
    /// Sessions to look at in the next round, whether their files change or not.
    sessions: HashSet<String>,
    /// Sessions with a turn that has not ended, and their files.
    open: HashMap<String, Vec<Seen>>,
    failures: u32,
    next: Option<Instant>,
}

impl Left {
    fn take(&mut self, history: &History, accounts: &[Account]) {
        let mut failed = false;
        for session in &history.sessions {
            let root = &session.root_thread_id;
            let fates = || accounts.iter().map(|account| account.tally.worst(root));
            let is_down =
                accounts.iter().any(|account| account.down.is_some() || account.cut_short);
            if is_down || fates().any(|fate| fate == Some(Fate::Unsent)) {
                self.sessions.insert(root.clone());
                failed = true;
            }
            if fates().any(|fate| matches!(fate, Some(Fate::Open | Fate::Held))) {
                self.open.insert(root.clone(), state::files(history, session));
            } else {
                self.open.remove(root);
            }
        }
        if failed {
            self.fails();
        } else {
            (self.failures, self.next) = (0, None);
        }
    }

    /// Whether a session that has grown has more than before of a turn that goes
    /// on: a long turn is not read again with each of its lines.
    fn may_have_ended(&mut self, history: &History, session: &SessionGroup) -> bool {
        let Some(files) = self.open.get_mut(&session.root_thread_id) else { return true };
        // All of them are looked at, so that the next look begins at their ends.
        let news = files.iter_mut().map(Seen::has_news).filter(|news| *news).count();
        news > 0 || files.len() != state::files(history, session).len()
    }

    /// Finds the sessions with a turn that is over although no file says so. They
    /// are looked at in the next round, and open again if that says otherwise.
    fn finds_over(&mut self, now: SystemTime) -> bool {
        let settle = self.settle;
        let before = self.sessions.len();
        self.open.retain(|root, files| {
            let is_over = state::rest(files, now, settle) == Rest::Over;
            if is_over {
                self.sessions.insert(root.clone());
            }
            !is_over
        });
        self.sessions.len() > before
    }

    /// Looks at turns without an end once more, as they may have settled.
    fn look_at_open(&mut self) {
        self.sessions.extend(self.open.keys().cloned());
    }

    fn fails(&mut self) {
        let wait = WAITS.0.saturating_mul(1 << self.failures.min(16)).min(WAITS.1);
        self.failures += 1;
        self.next = Some(now() + wait);
    }
}

/// Who tells of changes of files.
struct Watch {
    places: BTreeSet<PathBuf>,
    watcher: Option<Box<dyn Watcher>>,
    sender: mpsc::Sender<()>,
}

impl Watch {
    /// Whether nothing that is named is there.
    fn is_blind(&self) -> bool {
        self.places.iter().all(|place| !place.exists())
    }

    /// Watches what there is now.
    fn follow(&mut self, args: &UploadArgs, ui: &Ui) {
        let places = places(args, ui);
        if places == self.places {
            return;
        }
        let watcher = self.watcher(&places).map_err(|err| {
            ui.warn(format!(
                "the system does not report changes ({err}): looking every {} seconds",
                POLL.as_secs()
            ));
        });
        self.watcher = watcher.ok().or_else(|| self.poller(&places));
        self.places = places;
    }

    fn watcher(&self, places: &BTreeSet<PathBuf>) -> notify::Result<Box<dyn Watcher>> {
        let mut watcher = RecommendedWatcher::new(self.tell(), notify::Config::default())?;
        for place in places {
            watcher.watch(place, RecursiveMode::Recursive)?;
        }
        Ok(Box::new(watcher))
    }

    fn poller(&self, places: &BTreeSet<PathBuf>) -> Option<Box<dyn Watcher>> {
        let config = notify::Config::default().with_poll_interval(POLL);
        let mut watcher = PollWatcher::new(self.tell(), config).ok()?;
        for place in places {
            watcher.watch(place, RecursiveMode::Recursive).ok()?;
        }
        Some(Box::new(watcher))
    }

    fn tell(&self) -> impl FnMut(notify::Result<notify::Event>) + Send + 'static {
        let sender = self.sender.clone();
        move |event| {
            let is_reading = event.is_ok_and(|event| event.kind.is_access());
            if !is_reading {
                // Nobody waits any more when it ends.
                sender.send(()).ok();
            }
        }
    }
}

/// Returns what to watch: directories that are there. Those of a home that are
/// not yet are waited for in the home itself.
fn places(args: &UploadArgs, ui: &Ui) -> BTreeSet<PathBuf> {
    let is_path = |path: &&PathBuf| path.exists();
    let mut named: Vec<PathBuf> = args.select.paths.iter().filter(is_path).cloned().collect();
    if named.is_empty() {
        named.clone_from(&ui.settings().codex_homes);
    }
    let mut places = BTreeSet::new();
    for path in named {
        let dirs: Vec<PathBuf> =
            session_dirs(&path).into_iter().filter(|dir| dir.is_dir()).collect();
        if dirs.is_empty() {
            places.insert(path);
        } else {
            places.extend(dirs);
        }
    }
    places
}
