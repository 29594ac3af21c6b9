use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use crate::config::UploadSettings;
use crate::redacted;
use crate::text::{bytes, count};
use crate::ui::Ui;
use codex_trace_deliver::delivery::{Account, DeadLetters, Fate};
use codex_trace_export::View;
use codex_trace_export::json;
use codex_trace_export::secret::without_password;

/// What to do about traces that another place of the server has.
const ELSEWHERE: &str = "for a second copy, give the destination a table with `own_ids = true` in codex-trace.toml, so that its ids are its own; or upload to the place that has them";

/// Says what a run came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report<'r> {
    pub(super) upload: &'r UploadSettings,
    pub(super) dead_letters: &'r DeadLetters,
}

impl Report<'_> {
    /// Says to people what went wrong, what became of the rest, the one sentence,
    /// and what to do.
    pub(super) fn tell(self, account: &Account, ui: &Ui) {
        let to = &account.name;
        for fault in &account.faults {
            ui.error(fault);
        }
        if let Some(reason) = &account.down {
            ui.error(format!("{to}: {}", without_password(reason)));
        }
        if let Some(reason) = &account.why_rejected {
            ui.error(format!("{to}: it did not accept everything: {}", without_password(reason)));
        }
        for file in &account.switched_off {
            ui.warn(format!("{to}: `{file}` switches tracing off for the sessions below it: they are left out (`--include-disabled` sends them)"));
        }
        for why in &account.other_places {
            ui.warn(format!("{to}: {why}"));
        }
        if let Some(why) = &account.why_elsewhere {
            ui.error(format!(
                "{to}: some turns cannot be stored there, because a trace can be in only one place of a server: {why}"
            ));
        }
        if let Some(what) = &account.not_noted {
            ui.warn(format!("{to}: the notes for the live plugin could not be written: {what}"));
        }
        if !ui.settings().quiet {
            for remark in remarks(account) {
                ui.say(format!("{to}: {remark}"));
            }
            ui.say(self.sentence(account));
            if let Some(what) = redacted::sentence(&account.redacted) {
                ui.say(format!("{to}: {what}"));
            }
            if account.turns() > 0 && !self.upload.dry_run {
                account.afterwards.iter().for_each(|what| ui.say(format!("{to}: {what}")));
            }
        }
        if let Some(hint) = self.hint(account) {
            ui.hint(hint);
        }
        if let Some(view) = account.view.as_ref().filter(|_| self.sends(account)) {
            ui.hint(where_to_look(view, account, ui));
        }
    }

    /// Whether something was really sent.
    fn sends(self, account: &Account) -> bool {
        !self.upload.dry_run && account.turns() > 0
    }

    /// Returns the one sentence that says it.
    fn sentence(self, account: &Account) -> String {
        let dry = self.upload.dry_run;
        let n_turns = account.turns();
        let mut text = if dry { "would upload " } else { "uploaded " }.to_owned();
        if n_turns == 0 {
            text += "nothing";
        } else {
            let sessions = count(account.tally.sessions(Fate::Sent), "session");
            text.extend([&*count(n_turns, "turn"), " of ", &sessions]);
        }
        text.extend([" to ", &account.name]);
        if dry && account.requests > 0 {
            let requests = count(account.requests, "request");
            text.extend([" in ", &requests, " of ", &bytes(account.bytes), " in all"]);
        }
        if let Some(dir) = &self.upload.dry_run_dir {
            text.extend([", written to `", &dir.join(&account.name).display().to_string(), "`"]);
        }
        let rejected = account.tally.turns(Fate::Rejected);
        if rejected > 0 {
            text.extend([", ", &rejected.to_string(), " rejected"]);
        }
        if account.unreadable > 0 {
            text.extend([", ", &count(account.unreadable, "rollout"), " unreadable"]);
        }
        text
    }

    /// Returns what to do next.
    fn hint(self, account: &Account) -> Option<String> {
        if account.down.is_some() && self.upload.dry_run {
            return Some("give `--dry-run=DIR` an empty directory with room for all".to_owned());
        }
        if account.why_elsewhere.is_some() {
            return Some(ELSEWHERE.to_owned());
        }
        if account.advice.is_some() {
            return account.advice.clone();
        }
        if account.down.is_some() && !account.is_useful() {
            let name = account.name.split('#').next().unwrap_or_default();
            return Some(format!(
                "`codex-trace doctor --to {name} --connect` shows the settings, where they come from, and what the destination answers"
            ));
        }
        if account.down.is_some() || account.cut_short || account.unsent > 0 {
            return Some("run the same command again: it continues where it stopped".to_owned());
        }
        if account.rejected > 0 || account.rejected_spans > 0 {
            let path = self.dead_letters(account);
            return Some(format!("what was rejected, and why, is in `{path}`"));
        }
        if account.not_noted.is_some() {
            return Some("run the same command again, so that the plugin does not send the same turns; `--no-sidecar` is for histories that cannot be written to".to_owned());
        }
        let counts_alone = self.upload.dry_run && self.upload.dry_run_dir.is_none();
        (counts_alone && account.turns() > 0).then(|| {
            "`--json` names every turn, and `--dry-run=DIR` writes the requests to files".to_owned()
        })
    }

    fn dead_letters(self, account: &Account) -> String {
        self.dead_letters.path(&account.name).display().to_string()
    }

    /// Writes all accounts as JSON.
    pub(super) fn write_all(self, accounts: &[Account], ui: &Ui) -> io::Result<()> {
        let mut out = ui.out();
        accounts.iter().try_for_each(|account| self.write(account, &mut out))?;
        out.flush()
    }

    /// Writes the account as JSON, in a dry run after what would become of each
    /// turn.
    pub(super) fn write(self, account: &Account, out: &mut impl Write) -> io::Result<()> {
        let mut text = Vec::new();
        for id in &account.unchanged_ids {
            json::object(&mut text, |o| {
                o.put("type", "session");
                o.put("name", &account.name);
                o.put("session_id", id);
                o.put("outcome", "unchanged");
            });
            text.push(b'\n');
        }
        for (turn, fate) in account.tally.named() {
            json::object(&mut text, |o| {
                o.put("type", "turn");
                o.put("name", &account.name);
                o.put("session_id", &turn.session_id);
                o.put("thread_id", &turn.key.thread_id);
                o.maybe("turn", turn.key.turn.as_ref());
                o.put("outcome", fate.word());
            });
            text.push(b'\n');
        }
        json::object(&mut text, |o| self.fields(account, o));
        text.push(b'\n');
        out.write_all(&text)
    }

    fn fields(self, account: &Account, o: &mut json::Object<'_>) {
        o.put("type", "destination");
        o.put("name", &account.name);
        o.put("destination", without_password(&account.destination));
        o.put("dry_run", self.upload.dry_run);
        o.put("complete", account.is_complete());
        o.object("turns", |o| {
            for fate in Fate::ALL {
                o.put(fate.word(), account.tally.turns(fate));
            }
        });
        o.object("sessions", |o| {
            o.put("sent", account.tally.sessions(Fate::Sent));
            o.put("unchanged", account.unchanged);
            o.put("left", account.sessions_left());
        });
        redacted::fields(&account.redacted, o);
        o.put("rejected_spans", account.rejected_spans);
        o.put("unreadable", account.unreadable);
        o.put("bad_lines", account.bad_lines);
        o.maybe(
            "view",
            account.view.as_ref().filter(|_| self.sends(account)).map(|it| &it.address),
        );
        o.put("requests", account.requests);
        o.put("bytes", account.bytes);
        let reasons =
            account.down.iter().chain(&account.why_rejected).chain(&account.why_elsewhere);
        let reasons = reasons.map(|reason| without_password(reason));
        let errors: Vec<String> = account.faults.iter().cloned().chain(reasons).collect();
        o.array("errors", &errors, json::Json::write);
        let letters = account.rejected > 0 || account.rejected_spans > 0;
        o.maybe("dead_letters", letters.then(|| self.dead_letters(account)));
    }
}

/// Says where what was sent can be seen, and that its page hides what is old, if
/// there is such.
fn where_to_look(view: &View, account: &Account, ui: &Ui) -> String {
    let now = ui.settings().now;
    let age = account.oldest.and_then(|at| Duration::try_from(now.duration_since(at)).ok());
    let mut text = format!("look at it at {}", view.address);
    if age.is_some_and(|age| age > view.shows)
        && let Some(hint) = view.hint
    {
        let days = view.shows.as_secs() / (24 * 60 * 60);
        let _ = write!(
            text,
            "; it shows the last {days} days at first, and some of this is older: {hint}"
        );
    }
    text
}

/// Whether all was looked at and nothing was asked for.
pub(super) fn found_nothing(account: &Account) -> bool {
    account.sessions > 0
        && account.sessions_left() == 0
        && account.tally.is_empty()
        && account.unchanged == 0
        && account.unreadable == 0
        && account.faults.is_empty()
}

/// Says what became of what was not sent, each with a reason.
fn remarks(account: &Account) -> Vec<String> {
    let mut remarks = Vec::new();
    if account.unchanged > 0 {
        let n = count(account.unchanged, "session");
        remarks.push(format!("{n} unchanged since uploaded"));
    }
    let turns = [
        (Fate::AlreadyThere, "already there"),
        (
            Fate::EarlierForm,
            "stored by an earlier version or with other settings, unchanged since (`--force` sends them again)",
        ),
        (Fate::SwitchedOff, "switched off by their project"),
        (Fate::OtherPlace, "left out, because their project names another place"),
        (Fate::Nothing, "without anything to send there"),
        (Fate::OfPlugin, "sent or withheld by the live plugin"),
        (Fate::Kept, "changed after being sent, kept there as first sent (`--force` sends again)"),
        (Fate::Open, "still open, to be sent when settled (`--settle 0s` sends now)"),
        (
            Fate::Held,
            "without an end yet, held until they end, the next turn begins or `--settle` has passed (`--settle 0s` sends now)",
        ),
        (Fate::Elsewhere, "in another place of the server, left there"),
        (Fate::TooOld, "older than the destination accepts, not sent"),
        (Fate::Unsent, "not sent"),
    ];
    for (fate, what) in turns {
        let n = account.tally.turns(fate);
        if n > 0 {
            remarks.push(format!("{} {what}", count(n, "turn")));
        }
    }
    if account.noted > 0 {
        let n = count(account.noted, "rollout");
        remarks.push(format!("noted for the live plugin, beside {n}, what is there"));
    }
    if account.down.is_some() || account.cut_short {
        let n = account.sessions_left();
        if n > 0 {
            remarks.push(format!("{} not looked at", count(n, "session")));
        }
    }
    if account.rejected_spans > 0 {
        let n = usize::try_from(account.rejected_spans).unwrap_or(usize::MAX);
        remarks.push(format!("{} rejected of turns otherwise accepted", count(n, account.thing)));
    }
    remarks
}

#[cfg(test)]
mod tests;
