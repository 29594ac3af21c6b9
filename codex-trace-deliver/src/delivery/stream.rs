//! Units that come in parts, and are sent part by part.

use std::sync::Arc;

use crate::delivery::Engine;
use crate::delivery::decide::Decision;
use crate::delivery::feed::Form;
use crate::delivery::flight::{Added, Whole};
use crate::delivery::session::Session;
use crate::delivery::taking::Taking;
use crate::failure::Failure;
use codex_trace_export::{Fingerprint, Unit, Waits};

impl Engine<'_> {
    /// Whether a unit is sent whatever it says, so that its parts can go before all of
    /// it was seen: nothing of it is there, and nothing keeps it back.
    pub(super) fn goes_in_any_case(
        &self,
        unit: &Unit,
        taking: &mut Taking<'_>,
    ) -> Result<bool, Failure> {
        let before = self.before(unit, taking)?;
        let is_there = before.is_some_and(|past| past.outcome.is_there());
        let withheld = |above| taking.withheld.contains_key(above);
        if is_there && !self.run.options.force
            || unit.waits != Waits::No
            || unit.under.as_ref().is_some_and(withheld)
            || taking.waits_for_deferred(unit)
        {
            return Ok(false);
        }
        let ready = self.readiness(unit, taking.rests.least(&unit.open_in));
        Ok(ready == Decision::Send && self.known_elsewhere(&unit.key, taking)?.is_none())
    }

    /// Begins to send a unit of which the first part is there.
    pub(super) fn begin_stream(
        &self,
        unit: &Unit,
        session: &Arc<Session>,
        taking: &Taking<'_>,
    ) -> Arc<Whole> {
        let lines = taking.recorded.get(&unit.key).map(|record| record.lines);
        let whole = Whole::new(unit, lines, session, self.in_order(unit.route));
        self.proceed(session.enter(&whole), &mut Vec::new());
        whole
    }

    /// Puts the next part of the unit that is being sent into the queue, as soon as
    /// there is room; `fingerprint` is that of the whole unit, once it is known.
    pub(super) fn stream_on(
        &self,
        unit: Unit,
        fingerprint: Option<Fingerprint>,
        taking: &mut Taking<'_>,
    ) {
        let Some(whole) = taking.streamed.take() else { return };
        let last = !unit.more;
        let bytes = self.store.room_for(unit.body.len());
        if whole.is_unsent() || !self.queue.reserve(bytes) {
            // The run ends, or what is not taken in part is not wanted at all.
            self.account().cut_short |= self.queue.is_stopped();
            self.queue.release(whole.give_up().freed);
        } else {
            match whole.add(unit, &self.store) {
                Added::Ready(part) => self.begin(&part),
                Added::Waits => {}
                Added::Unwanted => self.queue.release(bytes),
            }
            self.check_store();
        }
        match fingerprint.filter(|_| last) {
            None => taking.streamed = Some(whole),
            Some(fingerprint) => {
                taking.parts = None;
                if whole.seal(fingerprint) {
                    self.end(vec![whole]);
                }
            }
        }
    }

    /// Puts a unit into the queue that was left for the second time.
    pub(super) fn stream(&self, unit: Unit, session: &Arc<Session>, taking: &mut Taking<'_>) {
        self.drop_unfinished(&unit, taking);
        let place = (unit.key.clone(), unit.route);
        let Some(&fingerprint) = taking.deferred.get(&place) else {
            return self.store.reuse(unit.body);
        };
        if taking.streamed.is_none() {
            if !unit.more {
                let lines = taking.recorded.get(&unit.key).map(|record| record.lines);
                return self.enqueue(unit, Form { fingerprint, lines }, session);
            }
            taking.streamed = Some(self.begin_stream(&unit, session, taking));
        }
        self.stream_on(unit, Some(fingerprint), taking);
    }

    /// Forgets the parts of the unit before this one, if it was left unfinished: they
    /// are no beginning of this one.
    pub(super) fn drop_unfinished(&self, unit: &Unit, taking: &mut Taking<'_>) {
        if taking.cuts_short(unit) {
            self.give_up_stream(taking);
            taking.parts = None;
        }
    }

    /// Gives up the unit that is being sent: of what could not be encoded to its end,
    /// nothing more will come.
    pub(super) fn give_up_stream(&self, taking: &mut Taking<'_>) {
        if let Some(whole) = taking.streamed.take() {
            self.queue.release(whole.give_up().freed);
            if whole.seal(Fingerprint([0; 32])) {
                self.end(vec![whole]);
            }
        }
    }
}
