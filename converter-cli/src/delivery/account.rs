use crate::delivery::{Destination, Fate, Run, Tally};
use crate::exit::ExitStatus;

/// What became of everything, for one destination.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// The destination's name.
    pub name: String,
    /// What the ledger calls it.
    pub destination: String,
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
    /// Units that changed after they were sent and cannot be replaced there.
    pub kept: usize,
    /// Units refused by the destination.
    pub rejected: usize,
    /// Spans refused in requests that were otherwise accepted.
    pub rejected_spans: u64,
    /// What the destination said when it first refused something.
    pub why_rejected: Option<String>,
    /// Units that are still being written.
    pub open: usize,
    /// Units that may still change, though nothing was written for a while.
    pub held: usize,
    /// Units that are older than the destination accepts.
    pub too_old: usize,
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
    /// written is nothing to be done yet; one that only waits is.
    pub fn is_complete(&self) -> bool {
        self.down.is_none()
            && self.rejected == 0
            && self.rejected_spans == 0
            && self.too_old == 0
            && self.kept == 0
            && self.held == 0
            && self.unsent == 0
            && self.unreadable == 0
            && self.faults.is_empty()
            && !self.cut_short
    }

    /// Returns whether anything is there, now or before.
    pub fn is_useful(&self) -> bool {
        self.sent + self.already + self.unchanged + self.kept > 0
    }
}

/// Returns the exit code of a run.
pub fn status(accounts: &[Account], interrupted: bool, strict: bool) -> ExitStatus {
    if interrupted {
        return ExitStatus::Interrupted;
    }
    let strictly = strict && accounts.iter().any(|account| account.bad_lines > 0);
    if accounts.iter().all(Account::is_complete) {
        return ExitStatus::partial_if(strictly);
    }
    // To hold something back is no failure, if that is all.
    let only_holds = |it: &Account| it.held > 0 && Account { held: 0, ..it.clone() }.is_complete();
    let partial = accounts.iter().any(|it| it.is_useful() || only_holds(it));
    if partial { ExitStatus::Partial } else { ExitStatus::Failed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account { name: "langsmith".to_owned(), sent: 900, ..Account::default() }
    }

    #[test]
    fn exit_codes() {
        let down = || Some("no".to_owned());
        #[rustfmt::skip]
        let cases = [
            ("all done",                    vec![account()],                                      false, false, 0),
            ("nothing to do",               vec![Account::default()],                             false, false, 0),
            ("some rejected",               vec![Account { rejected: 1, ..account() }],           false, false, 1),
            ("down half way",               vec![Account { down: down(), ..account() }],          false, false, 1),
            ("down with turns still open",  vec![Account { down: down(), open: 1, unsent: 3, ..Account::default() }], false, false, 2),
            ("down from the start",         vec![Account { down: down(), ..Account::default() }], false, false, 2),
            ("one still being written",     vec![Account { open: 1, ..Account::default() }],      false, false, 0),
            ("one held back",               vec![Account { held: 1, ..Account::default() }],      false, false, 1),
            ("one there as it was first",   vec![Account { kept: 1, ..Account::default() }],      false, false, 1),
            ("one of two down",             vec![account(), Account { down: down(), ..Account::default() }], false, false, 1),
            ("interrupted",                 vec![account()],                                      true,  false, 130),
            ("bad lines",                   vec![Account { bad_lines: 1, ..account() }],          false, false, 0),
            ("bad lines, and that matters", vec![Account { bad_lines: 1, ..account() }],          false, true,  1),
        ];
        for (why, accounts, interrupted, strict, code) in cases {
            assert_eq!(status(&accounts, interrupted, strict).code(), code, "{why}");
        }
    }
}
