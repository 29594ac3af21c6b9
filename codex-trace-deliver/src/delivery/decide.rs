//! What to do with a unit, by what is known of it.

use std::time::Duration;

use codex_trace_export::{Fingerprint, Rewrite, Unit};

use crate::delivery::Engine;
use crate::delivery::lines::Record;
use crate::delivery::rest::Rest;
use crate::ledger::{Outcome, Past};

/// What to do with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Send,
    /// It is there, byte by byte.
    Already,
    /// It is there, as it was written before; what it is made of is the same.
    EarlierForm,
    /// An older version of it is there, and cannot be replaced.
    Keep,
    /// It may still change: it is being written.
    Wait,
    /// It may still change, though nothing was written for a while.
    Hold,
    TooOld,
    /// Another place of the server has it.
    Elsewhere,
}

impl Engine<'_> {
    pub(super) fn decide(
        &self,
        unit: &Unit,
        fingerprint: Fingerprint,
        past: Option<&Past>,
        (record, before): (Option<Record>, impl FnOnce() -> Option<Record>),
        rest: Rest,
    ) -> Decision {
        let contract = self.exporter.contract();
        if let Some(past) = past.filter(|past| past.outcome.is_there())
            && !self.run.options.force
        {
            if past.fingerprint == fingerprint {
                return Decision::Already;
            }
            if contract.rewrite != Rewrite::Replaces {
                // Of what is stale and has no lines, the time is that of a later run.
                let is_told = past.lines.is_some() || past.outcome == Outcome::Sent;
                let is_of = |record: Option<Record>| record.is_some_and(|it| it.is_of(past));
                let same = is_told && (is_of(record) || is_of(before()));
                return if same { Decision::EarlierForm } else { Decision::Keep };
            }
        }
        self.readiness(unit, rest)
    }

    /// What to do with a unit of which nothing is there, or what is there does not
    /// matter: that depends on when it was, not on what it says.
    pub(super) fn readiness(&self, unit: &Unit, rest: Rest) -> Decision {
        let (now, max_age) = (self.run.options.now, self.exporter.contract().max_age);
        match rest {
            Rest::Running => return Decision::Wait,
            Rest::Silent => return Decision::Hold,
            Rest::Settled => {}
        }
        let age = unit.starts_at.map(|at| now.duration_since(at));
        let too_old = age
            .and_then(|age| Duration::try_from(age).ok())
            .is_some_and(|age| max_age.is_some_and(|max_age| age > max_age));
        if too_old { Decision::TooOld } else { Decision::Send }
    }
}
