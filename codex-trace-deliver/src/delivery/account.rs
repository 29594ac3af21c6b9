use std::collections::{BTreeMap, BTreeSet};

use codex_trace_export::View;
use codex_trace_model::Timestamp;

use crate::delivery::{Destination, Fate, Run, Tally};

/// What became of everything, for one destination.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// The destination's name.
    pub name: String,
    /// What the ledger calls it.
    pub destination: String,
    /// What to do or know once something was sent.
    pub afterwards: Vec<&'static str>,
    /// The sessions that were to be looked at.
    pub sessions: usize,
    /// How many of them were.
    pub sessions_seen: usize,
    /// What became of each turn of those.
    pub tally: Tally,
    /// Units acknowledged: turns, threads, and what else a backend needs.
    pub sent: usize,
    /// Units that were there before.
    pub already: usize,
    /// Sessions whose files have not changed since all of them was sent.
    pub unchanged: usize,
    /// Their ids, in a dry run.
    pub unchanged_ids: Vec<String>,
    /// Units that are there as an earlier version, or other settings, wrote them.
    pub earlier_form: usize,
    /// Units that changed after they were sent and cannot be replaced there.
    pub kept: usize,
    /// Units refused by the destination.
    pub rejected: usize,
    /// What one of the things is called that requests have: span, log record, …
    pub thing: &'static str,
    /// Spans, or other such things, refused in requests that were otherwise
    /// accepted.
    pub rejected_spans: u64,
    /// What the destination said when it first refused something.
    pub why_rejected: Option<String>,
    /// Units that are still being written.
    pub open: usize,
    /// Units that may still change, though nothing was written for a while.
    pub held: usize,
    /// Units that are older than the destination accepts.
    pub too_old: usize,
    /// The files of projects that have switched their sessions off.
    pub switched_off: BTreeSet<String>,
    /// Why sessions are left out that their projects want at other places.
    pub other_places: BTreeSet<String>,
    /// Units that another place of the server has.
    pub elsewhere: usize,
    /// Which place has the first of them.
    pub why_elsewhere: Option<String>,
    /// Units encoded and not sent, because the run ended before.
    pub unsent: usize,
    /// Whether sessions were left out because the run ended before.
    pub cut_short: bool,
    /// Rollouts and directories that could not be read.
    pub unreadable: usize,
    /// Lines that could not be read.
    pub bad_lines: usize,
    /// Rollouts that could not be read and sessions that could not be encoded,
    /// and why.
    pub faults: Vec<String>,
    /// Why a live plugin could not be told of what was sent: the first time.
    pub not_noted: Option<String>,
    /// Rollouts beside which the live plugin was told of what is there.
    pub noted: usize,
    /// How often each rule for secrets found something in what was encoded.
    pub redacted: BTreeMap<String, u64>,
    /// Where people see what was sent.
    pub view: Option<View>,
    /// When the oldest of what was sent began.
    pub oldest: Option<Timestamp>,
    /// Why nothing more was sent.
    pub down: Option<String>,
    /// What to do about that, if it is more than to run the command again.
    pub advice: Option<String>,
    /// Requests made, repetitions included.
    pub requests: usize,
    /// Bytes of their bodies, as sent.
    pub bytes: u64,
    /// The most bytes of encoded units that were held at once.
    pub peak: usize,
}

impl Account {
    /// Begins the account of a destination.
    pub(super) fn of(destination: &Destination, run: &Run<'_>) -> Account {
        Account {
            name: destination.name.clone(),
            destination: destination.exporter.contract().destination.clone(),
            afterwards: destination.exporter.afterwards().to_vec(),
            thing: destination.exporter.signals().first().map_or("span", |it| it.thing()),
            sessions: run.history.sessions.len(),
            unreadable: run.history.n_failures,
            tally: if run.options.dry_run { Tally::with_names() } else { Tally::default() },
            ..Account::default()
        }
    }

    /// Returns how many turns the destination has acknowledged.
    pub fn turns(&self) -> usize {
        self.tally.turns(Fate::Sent)
    }

    /// Returns how many sessions were not looked at, because the run ended before.
    pub fn sessions_left(&self) -> usize {
        self.sessions - self.sessions_seen.min(self.sessions)
    }

    /// Returns whether everything asked for was done. A turn that is being
    /// written is nothing to be done yet; one that only waits is. So is a note for
    /// a live plugin: until it is there, that one may send the turn, too.
    pub fn is_complete(&self) -> bool {
        self.down.is_none()
            && self.rejected == 0
            && self.rejected_spans == 0
            && self.too_old == 0
            && self.elsewhere == 0
            && self.kept == 0
            && self.held == 0
            && self.unsent == 0
            && self.unreadable == 0
            && self.not_noted.is_none()
            && self.faults.is_empty()
            && !self.cut_short
    }

    /// Returns whether anything is there, now or before.
    pub fn is_useful(&self) -> bool {
        self.sent + self.already + self.earlier_form + self.unchanged + self.kept > 0
    }
}
