//! What a round is made of: each destination gets what is due by itself, so that
//! one that takes a connection and is silent keeps nobody from the others.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::anyhow;
use codex_trace_deliver::delivery::{Account, Fate};
use codex_trace_export::secret::without_password;
use codex_trace_history::{History, panics};

use super::{ALL, Home, Worker, now};
use crate::commands::upload::Outcome;
use crate::live::state::{Ack, State, Waiting};
use crate::ui::Ui;

/// The most deliveries at once, of all homes.
const MOST: usize = 16;

/// A session that was handed over.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) root: String,
    /// The thread that waits for it, and which of its entries.
    pub(super) thread: String,
    pub(super) nth: u64,
    /// What it was like.
    pub(super) stamp: u64,
}

/// What became of a delivery to a destination.
pub(super) struct Done {
    home: PathBuf,
    /// As `to` has it.
    name: String,
    asked: Arc<Vec<Asked>>,
    result: anyhow::Result<Option<Outcome>>,
}

impl<'scope, 'a: 'scope> Worker<'scope, 'a> {
    /// Hands sessions over to every destination that lacks one and is not busy.
    pub(super) fn hand_over(
        &mut self,
        home: &mut Home<'a>,
        path: &Path,
        (history, asked): (History, Vec<Asked>),
        ui: &Ui,
    ) -> anyhow::Result<()> {
        home.names = home.rounds.names(ui)?;
        home.places.retain(|name, _| home.names.contains(name));
        let at = now();
        let (history, asked) = (Arc::new(history), Arc::new(asked));
        for name in &home.names {
            let mut waiting = asked.iter().filter_map(|it| home.waiting.get(&it.thread));
            if waiting.any(|it| self.may_take(home, path, name, it, at)) {
                self.start(home, path, name, (&history, &asked), ui);
            }
        }
        for it in &*asked {
            if let Some(waiting) = home.waiting.get_mut(&it.thread) {
                waiting.state = State::Destination;
            }
        }
        self.let_go(home);
        Ok(())
    }

    /// Whether a destination lacks a session and can be asked to take it.
    pub(super) fn may_take(
        &self,
        home: &Home<'_>,
        path: &Path,
        name: &str,
        waiting: &Waiting,
        at: Instant,
    ) -> bool {
        let is_busy = self.busy.iter().any(|(home, of)| home == path && of == name);
        if is_busy || self.busy.len() >= MOST || self.backoffs.is_waiting(ALL, at) {
            return false;
        }
        match home.places.get(name) {
            // It was not asked before.
            None => true,
            Some(places) => places
                .iter()
                .any(|place| waiting.lacks(place) && !self.backoffs.is_waiting(place, at)),
        }
    }

    fn start(
        &mut self,
        home: &Home<'a>,
        path: &Path,
        name: &str,
        (history, asked): (&Arc<History>, &Arc<Vec<Asked>>),
        ui: &Ui,
    ) {
        let (history, asked) = (Arc::clone(history), Arc::clone(asked));
        let (path, name) = (path.to_owned(), name.to_owned());
        self.busy.insert((path.clone(), name.clone()));
        let left_out = self.backoffs.all_waiting(now());
        let (deliverer, ui) = (home.rounds.deliverer(), Ui::new(ui.settings().clone()));
        let done = self.done.0.clone();
        self.scope.spawn(move || {
            let deliver = || {
                let is_left_out = |place: &str| left_out.contains(place);
                deliverer.deliver(&history, Some(&name), &is_left_out, &ui)
            };
            let result = panics::catch(deliver).unwrap_or_else(|what| Err(anyhow!(what)));
            // The worker waits for it.
            done.send(Done { home: path, name, asked, result }).ok();
        });
    }

    /// Takes in what became of deliveries.
    pub(super) fn take_done(&mut self) {
        while let Ok(done) = self.done.1.try_recv() {
            self.busy_at = now();
            self.busy.remove(&(done.home.clone(), done.name.clone()));
            let Some(mut home) = self.homes.remove(&done.home) else { continue };
            match done.result {
                Ok(Some(outcome)) => self.judge(&done.name, &outcome, &done.asked, &mut home),
                Ok(None) => {}
                Err(err) => self.fail(&err),
            }
            self.homes.insert(done.home, home);
            // `status` says a little less where it cannot be written.
            self.noted.write(&self.queue).ok();
        }
    }

    /// Notes what is wrong with all destinations at once.
    pub(super) fn fail(&mut self, err: &anyhow::Error) {
        self.backoffs.fail(ALL, now());
        let reason = format!("{err:#}");
        if self.noted.errors.get(ALL) != Some(&reason) {
            self.say(&format!("cannot deliver: {reason}"));
        }
        self.noted.errors.insert(ALL.to_owned(), reason);
    }

    /// Notes what became of sessions, and lets go those that are done.
    fn judge(&mut self, name: &str, outcome: &Outcome, asked: &[Asked], home: &mut Home<'_>) {
        self.backoffs.answers(ALL);
        self.noted.errors.remove(ALL);
        home.places.insert(name.to_owned(), outcome.names.iter().cloned().collect());
        for account in &outcome.accounts {
            self.note(account);
        }
        for it in asked {
            // Codex may have called about it again: that is not there yet.
            let waiting = home.waiting.get_mut(&it.thread);
            if let Some(waiting) = waiting.filter(|waiting| waiting.nth == it.nth) {
                take_stock(waiting, it, &outcome.accounts);
            }
        }
        self.forget_names(home);
        self.let_go(home);
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

    /// Forgets what was noted of destinations that are not named any more.
    fn forget_names(&mut self, home: &Home<'_>) {
        let places = || self.homes.values().chain([home]).flat_map(|home| home.places.values());
        let known: BTreeSet<String> = places().flatten().cloned().collect();
        self.backoffs.keep(&known);
        self.noted.errors.retain(|name, _| known.contains(name));
    }

    /// Lets go the sessions that every destination has.
    fn let_go(&mut self, home: &mut Home<'_>) {
        let Home { waiting, places, names, .. } = home;
        let places: Option<Vec<_>> = names.iter().map(|name| places.get(name)).collect();
        let Some(places) = places else { return };
        waiting.retain(|_, waiting| {
            let is_there = waiting.state == State::Destination
                && places.iter().copied().flatten().all(|place| !waiting.lacks(place));
            if !is_there {
                return true;
            }
            if waiting.is_open() {
                waiting.await_end();
                self.queue.keep(&waiting.entry).ok();
                return true;
            }
            self.noted.delivered_at = Some(self.ui.settings().at_present().now.as_millisecond());
            self.queue.remove(&waiting.entry).ok();
            false
        });
    }
}

/// Notes which destinations have all of a session, as far as it has ended.
pub(super) fn take_stock(waiting: &mut Waiting, asked: &Asked, accounts: &[Account]) {
    for account in accounts.iter().filter(|it| it.down.is_none() && !it.cut_short) {
        let fate = account.tally.worst(&asked.root);
        let is_fault = || account.faults.iter().any(|fault| fault.contains(&asked.root));
        if fate.is_none() && is_fault() {
            waiting.has_fault = true;
        } else if fate != Some(Fate::Unsent) {
            let is_open = matches!(fate, Some(Fate::Open | Fate::Held));
            let ack = if is_open { Ack::Open(asked.stamp) } else { Ack::All };
            waiting.acknowledged.insert(account.name.clone(), ack);
        }
    }
}
