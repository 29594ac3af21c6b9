//! By how much sessions are moved that a destination finds too old.

use codex_trace_model::Trace;

use crate::delivery::Engine;
use crate::failure::Failure;
use codex_trace_export::Shift;

impl Engine<'_> {
    /// Returns by how much a session is moved: as before, or so that it ends
    /// now, if it is too old and the user wants it.
    pub(super) fn shift(&self, trace: &Trace<'_>) -> Result<Option<Shift>, Failure> {
        let contract = self.exporter.contract();
        let Some(ledger) = self.run.ledger else {
            return Ok(self.new_shift(trace));
        };
        let session = trace.session_id();
        if let Some(shift) = ledger.shift(&contract.destination, session)? {
            return Ok(Some(shift));
        }
        let Some(shift) = self.new_shift(trace) else { return Ok(None) };
        // Before anything is sent: another run must not find another one.
        if !self.run.options.dry_run {
            ledger.keep_shift(&contract.destination, session, shift)?;
        }
        Ok(Some(shift))
    }

    fn new_shift(&self, trace: &Trace<'_>) -> Option<Shift> {
        let max_age = self.exporter.contract().max_age.filter(|_| self.run.options.time_shift)?;
        let now = self.run.options.now.as_millisecond();
        let ended = trace.ended_at()?.as_millisecond();
        let started = trace.started_at()?.as_millisecond();
        let too_old = now.saturating_sub(started) > i64::try_from(max_age.as_millis()).ok()?;
        too_old.then_some(Shift { millis: now.saturating_sub(ended), found: now })
    }
}
