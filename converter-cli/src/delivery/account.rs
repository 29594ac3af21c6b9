use std::collections::HashSet;

use crate::exit::ExitStatus;
use crate::text::count;
use crate::ui::Ui;

/// What became of everything, for one destination.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// The backend's name.
    pub name: String,
    /// Turns that the destination has acknowledged.
    pub turns: usize,
    /// The threads of everything acknowledged.
    pub threads: HashSet<String>,
    /// Units acknowledged: turns, threads, and what else a backend needs.
    pub sent: usize,
    /// Units that were there before.
    pub already: usize,
    /// Sessions whose files have not changed since all of them was sent.
    pub unchanged: usize,
    /// Units that changed after they were sent and cannot be replaced there.
    pub kept: usize,
    /// Units refused by the destination.
    pub rejected: usize,
    /// Spans refused in requests that were otherwise accepted.
    pub rejected_spans: u64,
    /// Units that may still change.
    pub open: usize,
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
    /// Sessions that could not be encoded, and why.
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
    /// Returns the one sentence that says it.
    pub fn sentence(&self, dry_run: bool) -> String {
        format!(
            "{} {} of {} to {}, {} rejected, {} unreadable",
            if dry_run { "would upload" } else { "uploaded" },
            count(self.turns, "turn"),
            count(self.threads.len(), "thread"),
            self.name,
            self.rejected,
            count(self.unreadable, "rollout"),
        )
    }

    /// Says what became of the rest, then the one sentence, then what to do.
    pub fn tell(&self, dry_run: bool, dead_letters: &str, ui: &Ui) {
        let to = &self.name;
        for fault in &self.faults {
            ui.error(fault);
        }
        if let Some(reason) = &self.down {
            ui.error(format!("{to}: {reason}"));
        }
        if let Some(what) = &self.not_noted {
            ui.warn(format!("{to}: the live plugin could not be told what is there: {what}"));
        }
        if !ui.settings().quiet {
            for (n, what) in self.remarks() {
                if n > 0 {
                    ui.say(format!("{to}: {} {what}", count(n, "unit")));
                }
            }
            if self.rejected_spans > 0 {
                let n = self.rejected_spans;
                ui.say(format!("{to}: {n} spans rejected in requests that were accepted"));
            }
            if self.unchanged > 0 {
                let n = count(self.unchanged, "session");
                ui.say(format!("{to}: {n} unchanged since uploaded"));
            }
            if dry_run {
                let n = count(self.requests, "request");
                ui.say(format!("{to}: {n}, {} bytes in all", self.bytes));
            }
            ui.say(self.sentence(dry_run));
        }
        if let Some(hint) = self.hint(dry_run, dead_letters) {
            ui.hint(hint);
        }
    }

    fn remarks(&self) -> [(usize, &'static str); 5] {
        [
            (self.already, "already there"),
            (
                self.kept,
                "changed after being sent, kept there as first sent (`--force` sends again)",
            ),
            (self.open, "still open, to be sent when settled"),
            (self.too_old, "older than the destination accepts, not sent"),
            (self.unsent, "not sent"),
        ]
    }

    fn hint(&self, dry_run: bool, dead_letters: &str) -> Option<String> {
        if dry_run && self.down.is_some() {
            return Some("give `--dry-run=DIR` an empty directory with room for all".to_owned());
        }
        if self.advice.is_some() {
            return self.advice.clone();
        }
        if self.down.is_some() || self.cut_short || self.unsent > 0 {
            return Some("run the same command again: it goes on where it stopped".to_owned());
        }
        let rejected = self.rejected > 0 || self.rejected_spans > 0;
        rejected.then(|| format!("what was rejected, and why, is in `{dead_letters}`"))
    }

    /// Returns whether everything asked for was done.
    pub fn is_complete(&self) -> bool {
        self.down.is_none()
            && self.rejected == 0
            && self.rejected_spans == 0
            && self.too_old == 0
            && self.unsent == 0
            && self.unreadable == 0
            && self.faults.is_empty()
            && !self.cut_short
    }

    /// Returns whether anything was achieved, now or before.
    pub fn is_useful(&self) -> bool {
        self.sent + self.already + self.unchanged + self.open > 0
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
    if accounts.iter().any(Account::is_useful) { ExitStatus::Partial } else { ExitStatus::Failed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account {
            name: "langsmith".to_owned(),
            turns: 812,
            sent: 900,
            threads: (0..97).map(|n| n.to_string()).collect(),
            ..Account::default()
        }
    }

    #[test]
    fn the_sentence() {
        let account = Account { rejected: 3, unreadable: 5, ..account() };
        assert_eq!(
            account.sentence(false),
            "uploaded 812 turns of 97 threads to langsmith, 3 rejected, 5 rollouts unreadable"
        );
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
            ("down from the start",         vec![Account { down: down(), ..Account::default() }], false, false, 2),
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
