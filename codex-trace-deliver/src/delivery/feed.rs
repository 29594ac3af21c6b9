use std::collections::hash_map::Entry as MapEntry;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use codex_trace_model::{Code, Diagnostic, SessionGroup, Trace};

use crate::delivery::decide::Decision;
use crate::delivery::flight::Whole;
use crate::delivery::progress::OnTheWay;
use crate::delivery::rest::Rests;
use crate::delivery::session::Session;
use crate::delivery::stamp::bytes_in_memory;
use crate::delivery::taking::{Feeding, Taking};
use crate::delivery::{Engine, Fate, Goes};
use crate::failure::Failure;
use crate::ledger::{Entry, FileStamp, Known, Lines, Outcome, Past};
use crate::panics;
use crate::pipeline::{self, Look};
use codex_trace_export::{Absent, Cx, Fingerprint, Notes, Rewrite, Unit, UnitKey, Units};
use codex_trace_history::OwnedTrace;

/// Why units are not sent, as the ledger keeps it.
const OPEN: &str = "still open";
const HELD: &str = "no end of it yet: held until it ends, the next turn begins, Codex has gone, or its file has been left alone for a day (`--settle`)";
const KEPT: &str = "changed after it was sent, and cannot be replaced there";
const ABOVE: &str = "what it hangs under is at another place of the server";
const TOO_OLD: &str = "older than the destination accepts";

/// How a unit is written, and of what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) fingerprint: Fingerprint,
    pub(super) lines: Option<Lines>,
}

impl Form {
    fn of(past: &Past) -> Form {
        Form { fingerprint: past.fingerprint, lines: past.lines }
    }
}

impl Engine<'_> {
    /// Resolves and encodes sessions until there are none left.
    pub(super) fn feed_all(&self, next: &AtomicUsize) {
        while let Some(session) =
            self.run.history.sessions.get(next.fetch_add(1, Ordering::Relaxed))
        {
            if self.queue.is_stopped() || self.interrupted() {
                self.account().cut_short = true;
                return;
            }
            match panics::catch(|| self.feed(session)) {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => return self.fail(&failure),
                Err(fault) => {
                    let id = &session.root_thread_id;
                    let what = format!("session {id}: a fault of codex-trace: {fault}");
                    self.account().faults.push(what);
                }
            }
            self.account().sessions_seen += 1;
        }
    }

    fn feed(&self, group: &SessionGroup) -> Result<(), Failure> {
        let way = OnTheWay::new(self.run.progress, self.run.history.len_of(group));
        let goes = self.takes.elsewhere(self.run.history, group);
        if let Some(Goes::To(_)) = goes {
            return Ok(());
        }
        let heads: Vec<_> =
            group.members.iter().map(|member| &self.run.history.heads[member.head]).collect();
        let files = heads.iter().filter_map(|head| self.stamp(head)).collect::<Vec<_>>();
        let destination = &self.exporter.contract().destination;
        if let Some(ledger) = self.run.ledger
            && files.len() == heads.len()
            && !self.run.options.force
            && !self.exporter.doubts(&group.root_thread_id)
            && ledger.unchanged(destination, &files)?
        {
            let mut account = self.account();
            account.unchanged += 1;
            if self.run.options.dry_run {
                account.unchanged_ids.push(group.root_thread_id.clone());
            }
            return Ok(());
        }
        let rests = Rests::of(&heads, self.run.options.now, self.run.options.settle);
        let room = self.queue.open(heads.iter().map(|head| bytes_in_memory(head)).sum());
        let read = pipeline::open(self.run.history, group, Look::Content).map(|owned| {
            let trace = owned.get();
            if (self.run.wanted)(trace) {
                if let Some(Goes::Nowhere(why)) = goes {
                    self.account().other_places.insert(why.clone());
                    self.leave_out(trace, Fate::OtherPlace);
                    return Ok(());
                }
                self.count_oddities(trace);
                self.encode(&owned, files, rests, way)
            } else {
                Ok(())
            }
        });
        drop(room);
        match read {
            Ok(result) => result,
            Err(diagnostics) => {
                self.count_unreadable(diagnostics.iter());
                Ok(())
            }
        }
    }

    fn count_oddities(&self, trace: &Trace<'_>) {
        let of = |code| trace.diagnostics.iter().filter(move |it| it.code == code);
        self.count_unreadable(of(Code::Unreadable));
        self.account().bad_lines += of(Code::BadLine).map(|it| it.count).sum::<usize>();
    }

    /// Counts rollouts that could not be read, and keeps which and why.
    fn count_unreadable<'d>(&self, diagnostics: impl Iterator<Item = &'d Diagnostic>) {
        let mut account = self.account();
        for diagnostic in diagnostics {
            account.unreadable += 1;
            account.faults.push(diagnostic.to_string());
        }
    }

    fn encode(
        &self,
        owned: &OwnedTrace,
        stamps: Vec<FileStamp>,
        rests: Rests,
        way: OnTheWay,
    ) -> Result<(), Failure> {
        let trace = owned.get();
        let of_project = self.of_project(trace);
        if let Some(file) = of_project.left_out {
            self.account().switched_off.insert(file);
            self.leave_out(trace, Fate::SwitchedOff);
            return Ok(());
        }
        if let Some(why) = of_project.refused {
            self.account().faults.push(format!("session {}: {why}", trace.session_id()));
            return Ok(());
        }
        self.reopen(trace, &stamps)?;
        let session = Arc::new(Session::new(trace.session_id(), stamps.clone()).counting(way));
        let mut result = Ok(());
        let mut beside = match self.look_beside(trace) {
            Ok(beside) => beside,
            Err(reason) => {
                let what = format!("session {}: {reason}", trace.session_id());
                self.account().faults.push(what);
                return Ok(());
            }
        };
        if of_project.muted {
            Self::mute(trace, &mut beside);
        }
        let own_rules;
        let rules = if of_project.rules.is_empty() {
            self.run.rules
        } else {
            own_rules = self.run.rules.and(&of_project.rules);
            &own_rules
        };
        let now = Some(self.run.options.now);
        let notes = Notes { now, shift: self.shift(trace)?, beside };
        let cx = Cx { trace, rules, notes: &notes };
        let owned = self.run.ledger.map(|_| owned);
        let mut taking = Taking::new(rests, stamps, owned);
        let mut first = Feeding::of(&self.store, |unit| {
            if result.is_ok() {
                result = self.take(unit, &session, &mut taking);
            }
        });
        let mut encoded = self.run_encoder(&cx, &mut first);
        self.give_up_stream(&mut taking);
        if result.is_ok() && !taking.deferred.is_empty() {
            let mut second =
                Feeding::of(&self.store, |unit| self.stream(unit, &session, &mut taking));
            let again = self.run_encoder(&cx, &mut second);
            encoded = encoded.and(again);
            self.give_up_stream(&mut taking);
        }
        if let Err(why) = encoded {
            let mut account = self.account();
            account.faults.push(format!("session {}: {why}", trace.session_id()));
            // Its files must be looked at again.
            session.miss(&UnitKey { thread_id: trace.session_id().to_owned(), turn: None });
        }
        result?;
        self.add_lines(&taking.without_lines)?;
        self.hand_over(taking.told.iter().map(|told| (told, &*session)));
        let mut files = Vec::new();
        self.proceed(session.encoded(), &mut files);
        self.record(&[], &files);
        Ok(())
    }

    /// Encodes a session; returns why not all of it, for people. After a fault of ours,
    /// too, what was handed out before has to come to an end.
    fn run_encoder(&self, cx: &Cx<'_, '_>, units: &mut dyn Units) -> Result<(), String> {
        match panics::catch(|| self.exporter.encode(cx, units)) {
            Ok(encoded) => encoded.map_err(|err| err.to_string()),
            Err(fault) => Err(format!("a fault of codex-trace: {fault}")),
        }
    }

    /// Takes back what the ledger says of a session that is sent again: killed
    /// half way, the next run must not take it for done. What cannot be replaced
    /// stays as it is, or it would be doubled.
    fn reopen(&self, trace: &Trace<'_>, files: &[FileStamp]) -> Result<(), Failure> {
        let contract = self.exporter.contract();
        let Some(ledger) = self.run.ledger.filter(|_| !self.run.options.dry_run) else {
            return Ok(());
        };
        if !self.run.options.force || contract.rewrite != Rewrite::Replaces {
            return Ok(());
        }
        ledger.reopen(&contract.destination, trace.threads.iter().map(|it| &*it.id), files)
    }

    /// Takes a unit as it comes out of the encoder.
    fn take(
        &self,
        unit: Unit,
        session: &Arc<Session>,
        taking: &mut Taking<'_>,
    ) -> Result<(), Failure> {
        self.drop_unfinished(&unit, taking);
        match &unit.absent {
            Some(Absent::Elsewhere(why)) => {
                return self.leave_elsewhere(&unit, session, taking, why);
            }
            Some(Absent::OfPlugin) => {
                self.note(session, &unit.key, Fate::OfPlugin);
                return Ok(());
            }
            None if unit.pieces.is_empty() => {
                self.note(session, &unit.key, Fate::Nothing);
                return Ok(());
            }
            None => {}
        }
        let begins = taking.parts.is_none();
        let fingerprint = taking.fingerprint(&unit);
        if begins && unit.more && self.goes_in_any_case(&unit, taking)? {
            self.note_oldest(&unit);
            taking.streamed = Some(self.begin_stream(&unit, session, taking));
        }
        if taking.streamed.is_some() {
            self.stream_on(unit, fingerprint, taking);
            return Ok(());
        }
        let Some(fingerprint) = fingerprint else {
            self.store.reuse(unit.body);
            return Ok(());
        };
        let before = self.before(&unit, taking)?;
        let rest = taking.rests.least(&unit.open_in);
        let record = taking.recorded.get(&unit.key);
        let form = Form { fingerprint, lines: record.map(|record| record.lines) };
        let records = (record, || taking.recorded_before(&unit.key));
        let mut decision = self.decide(&unit, fingerprint, before.as_ref(), records, rest);
        // What hangs under something that is not there would hang in the air.
        let above = unit.under.as_ref().and_then(|above| taking.withheld.get(above));
        if let (Decision::Send, Some(above)) = (decision, above) {
            decision = *above;
        }
        if matches!(decision, Decision::Wait | Decision::Hold | Decision::TooOld) {
            taking.withheld.insert(unit.key.clone(), decision);
        }
        if decision == Decision::Send
            && let Some(why) = self.known_elsewhere(&unit.key, taking)?
        {
            return self.leave_elsewhere(&unit, session, taking, &why);
        }
        if decision == Decision::Send {
            self.note_oldest(&unit);
        }
        match decision {
            Decision::Send if taking.is_for_later(&unit) => {
                self.store.reuse(unit.body);
                taking.deferred_keys.insert(unit.key.clone());
                taking.deferred.insert((unit.key, unit.route), fingerprint);
            }
            Decision::Send => self.enqueue(unit, form, session),
            Decision::Already | Decision::EarlierForm => {
                if decision == Decision::Already {
                    self.account().already += 1;
                    self.note(session, &unit.key, Fate::AlreadyThere);
                } else {
                    self.account().earlier_form += 1;
                    self.note(session, &unit.key, Fate::EarlierForm);
                }
                self.confirm(&unit, form, before.as_ref(), taking);
                taking.told.extend(unit.receipts);
            }
            Decision::Keep => {
                self.account().kept += 1;
                self.note(session, &unit.key, Fate::Kept);
                let before = before.as_ref().map_or(form, Form::of);
                let entry = self.entry_of(&unit, before, Outcome::Stale, Some(KEPT));
                self.record(&[entry], &[]);
                // As it is there, the plugin is not to add it once more.
                taking.told.extend(unit.receipts);
                // Not all is done, and the next run is to say so, too.
                session.look_again();
            }
            Decision::Wait => {
                self.account().open += 1;
                self.note(session, &unit.key, Fate::Open);
                self.withhold(&unit, form, before.as_ref(), session, OPEN);
            }
            Decision::Hold => {
                self.account().held += 1;
                self.note(session, &unit.key, Fate::Held);
                self.withhold(&unit, form, before.as_ref(), session, HELD);
            }
            Decision::TooOld => {
                self.account().too_old += 1;
                self.note(session, &unit.key, Fate::TooOld);
                self.withhold(&unit, form, None, session, TOO_OLD);
            }
            Decision::Elsewhere => return self.leave_elsewhere(&unit, session, taking, ABOVE),
        }
        taking.parts = None;
        Ok(())
    }

    /// Returns what the ledger knows of a unit.
    pub(super) fn before(
        &self,
        unit: &Unit,
        taking: &mut Taking<'_>,
    ) -> Result<Option<Past>, Failure> {
        let destination = &self.exporter.contract().destination;
        let thread = match taking.known.entry(unit.key.thread_id.clone()) {
            MapEntry::Occupied(entry) => entry.into_mut(),
            MapEntry::Vacant(entry) => entry.insert(match self.run.ledger {
                Some(ledger) => ledger.known(destination, &unit.key.thread_id)?,
                None => Known::new(),
            }),
        };
        let turn = unit.key.turn.clone().unwrap_or_default();
        Ok(thread.get(&(turn, self.routes[unit.route].name.to_owned())).cloned())
    }

    /// Notes when what is sent began.
    fn note_oldest(&self, unit: &Unit) {
        if let Some(at) = unit.starts_at {
            let mut account = self.account();
            account.oldest = Some(account.oldest.map_or(at, |oldest| oldest.min(at)));
        }
    }

    /// Notes that a unit is there, where the ledger says less.
    fn confirm(&self, unit: &Unit, form: Form, past: Option<&Past>, taking: &mut Taking<'_>) {
        let Some(past) = past else { return };
        if past.outcome == Outcome::Stale {
            let form = Form { fingerprint: past.fingerprint, ..form };
            self.record(&[self.entry_of(unit, form, Outcome::Sent, None)], &[]);
        } else if let (None, Some(lines)) = (past.lines, form.lines) {
            let route = self.routes[unit.route].name;
            taking.without_lines.push((unit.key.clone(), route, lines));
        }
    }

    /// Makes up for what an older version did not note.
    fn add_lines(&self, units: &[(UnitKey, &'static str, Lines)]) -> Result<(), Failure> {
        match self.run.ledger.filter(|_| !self.run.options.dry_run && !units.is_empty()) {
            Some(ledger) => ledger.add_lines(&self.exporter.contract().destination, units),
            None => Ok(()),
        }
    }

    /// Notes that a unit is left where it is: another place of the server has it.
    fn leave_elsewhere(
        &self,
        unit: &Unit,
        session: &Session,
        taking: &mut Taking<'_>,
        why: &str,
    ) -> Result<(), Failure> {
        let mut account = self.account();
        account.elsewhere += 1;
        account.why_elsewhere.get_or_insert_with(|| why.to_owned());
        drop(account);
        self.note(session, &unit.key, Fate::Elsewhere);
        taking.withheld.insert(unit.key.clone(), Decision::Elsewhere);
        taking.parts = None;
        if let Some(ledger) = self.run.ledger.filter(|_| !self.run.options.dry_run) {
            let destination = &self.exporter.contract().destination;
            ledger.lose(destination, &unit.key, &taking.files, why)?;
        }
        let form = Form { fingerprint: unit.fingerprint(), lines: None };
        self.withhold(unit, form, None, session, why);
        Ok(())
    }

    /// Returns which other place of a server has a turn that keeps the first
    /// version and says nothing, as far as the ledger knows.
    pub(super) fn known_elsewhere(
        &self,
        key: &UnitKey,
        taking: &mut Taking<'_>,
    ) -> Result<Option<String>, Failure> {
        let Some(ledger) = self.run.ledger else { return Ok(None) };
        let turn = key.turn.as_deref().unwrap_or_default();
        for other in &self.others {
            let place = (other.clone(), key.thread_id.clone());
            let known = match taking.known_of_others.entry(place) {
                MapEntry::Occupied(entry) => entry.into_mut(),
                MapEntry::Vacant(entry) => entry.insert(ledger.known(other, &key.thread_id)?),
            };
            let is_there =
                |((of, _), past): (&(String, _), &Past)| of == turn && past.outcome.is_there();
            if known.iter().any(is_there) {
                return Ok(Some(format!(
                    "it was uploaded to `{other}`, on the same server, which keeps what came first"
                )));
            }
        }
        Ok(None)
    }

    /// Notes that a unit is not sent in this run; one that is there stays there
    /// as it is.
    fn withhold(
        &self,
        unit: &Unit,
        form: Form,
        before: Option<&Past>,
        session: &Session,
        why: &str,
    ) {
        session.miss(&unit.key);
        let entry = match before {
            Some(past) if past.outcome.is_there() => {
                self.entry_of(unit, Form::of(past), Outcome::Stale, Some(why))
            }
            _ => self.entry_of(unit, form, Outcome::Pending, Some(why)),
        };
        self.record(&[entry], &[]);
    }

    fn entry_of(&self, unit: &Unit, form: Form, outcome: Outcome, note: Option<&str>) -> Entry {
        Entry {
            key: unit.key.clone(),
            route: self.routes[unit.route].name,
            fingerprint: form.fingerprint,
            lines: form.lines,
            outcome,
            note: note.map(str::to_owned),
        }
    }

    /// Puts a unit into the queue, as soon as there is room.
    pub(super) fn enqueue(&self, unit: Unit, form: Form, session: &Arc<Session>) {
        if !self.queue.reserve(self.store.room_for(unit.body.len())) {
            // The run ends before it was queued.
            self.note(session, &unit.key, Fate::Unsent);
            self.account().cut_short = true;
            self.withhold(&unit, form, None, session, &self.why_ended());
            return;
        }
        let whole = Whole::new(&unit, form.lines, session, self.in_order(unit.route));
        whole.add(unit, &self.store);
        whole.seal(form.fingerprint);
        self.proceed(session.enter(&whole), &mut Vec::new());
        self.check_store();
    }
}
