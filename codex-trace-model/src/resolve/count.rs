//! What was used: records and counts, and the turns that they belong to
//! (rollout-format §7.3).

use codex_rollout::JsonText;
use codex_rollout::item::usage::{TokenCount, TokenCountInfo, TokenUsageRecord};

use crate::diagnostic::Code;
use crate::resolve::turn::{self, MarkKind, UsageDraft};
use crate::resolve::usage::Count;
use crate::resolve::{FOREIGN, Outcome, Place, ThreadBuilder};
use crate::span::EventKind;

impl<'a> ThreadBuilder<'a> {
    pub(super) fn take_record(&mut self, record: &TokenUsageRecord<'a>, place: Place) -> Outcome {
        if !self.is_own(record.thread_id) {
            return Outcome::Ignored(FOREIGN);
        }
        let Some(usage) = record.usage else {
            return Outcome::Ignored("token_usage_record without usage");
        };
        let response = record.response_id.map_or(&b""[..], JsonText::raw);
        let turn_id = record.turn_id.map_or(&b""[..], JsonText::raw);
        if !response.is_empty() && self.responses.insert((turn_id, response), ()).is_some() {
            self.diagnose(
                Code::DuplicateId,
                Some(place.position),
                "a usage record that was written before; counted once",
            );
            return Outcome::Ignored("repeated token_usage_record");
        }
        let turn = self.turn_for_work(record.turn_id, place);
        let draft = &mut self.turns[turn];
        draft.turn.root_turn_id = draft.turn.root_turn_id.or(record.root_turn_id);
        draft.has_records = true;
        draft.usages.push(UsageDraft { usage, response_id: record.response_id });
        let kind = MarkKind::Record(turn::index(&draft.usages));
        self.mark(turn, kind, place);
        Outcome::Span
    }

    pub(super) fn take_count(&mut self, count: &TokenCount<'a>, place: Place) -> Outcome {
        let limits = count.rate_limits;
        if limits.is_some() && limits != self.rate_limits {
            self.rate_limits = limits;
            if let Some(limits) = limits {
                self.push_event(place, EventKind::RateLimits(limits));
            }
        }
        if self.is_of_history_before(count) {
            self.usage.inherit(count.info);
            return Outcome::Ignored("token_count of the history before");
        }
        match self.usage.count(count.info) {
            Count::Estimate => Outcome::Ignored("token_count that estimates the context"),
            Count::Repeated => {
                if let Some(turn) = self.open {
                    self.mark(turn, MarkKind::Repeated, place);
                }
                Outcome::Ignored("repeated token_count")
            }
            Count::Moved(_) if self.open.is_none() && self.last_turn_has_records() => {
                Outcome::Ignored("token_count of a token_usage_record")
            }
            Count::Moved(usage) => {
                let open = self.open.or_else(|| self.unended_turn());
                let turn = open.unwrap_or_else(|| self.turn_for_work(None, place));
                let draft = &mut self.turns[turn];
                if let Some(window) = count.info.and_then(|info| info.model_context_window) {
                    draft.turn.model_context_window.get_or_insert(window);
                }
                draft.usages.push(UsageDraft { usage, response_id: None });
                let kind = MarkKind::Moved(turn::index(&draft.usages));
                self.mark(turn, kind, place);
                Outcome::Span
            }
        }
    }

    /// Returns a turn that has not ended though a later one has: another
    /// process' turn, to which a count between turns belongs.
    fn unended_turn(&self) -> Option<usize> {
        const PROCESSES: usize = 8;
        let first = self.turns.len().saturating_sub(PROCESSES);
        let unended = |turn: &usize| !self.turns[*turn].closed && self.turns[*turn].answered;
        (first..self.turns.len()).rev().find(unended)
    }

    /// Whether a count before all turns tells what a history had used that the
    /// file continues and that is not here: more than one response.
    fn is_of_history_before(&self, count: &TokenCount<'a>) -> bool {
        let meta = self.meta.unwrap_or_default();
        let usages = |info: TokenCountInfo| info.total_token_usage.zip(info.last_token_usage);
        self.turns.is_empty()
            && self.usage.total().is_none()
            && (meta.history_base.is_some() || meta.forked_from_id.is_some())
            && count.info.and_then(usages).is_some_and(|(total, last)| total != last)
    }

    /// Whether a count after the last turn repeats what its records have said.
    fn last_turn_has_records(&self) -> bool {
        self.turns.last().is_some_and(|turn| turn.has_records)
    }

    /// Compares what was counted with what the file's running total says.
    pub(super) fn check_usage(&mut self) {
        if let Some((counted, risen)) = self.usage.mismatch() {
            self.diagnose(
                Code::UsageMismatch,
                None,
                format_args!(
                    "its token counts add up to {counted} tokens, but its running total rose by \
                     {risen}; the counts of single responses were used"
                ),
            );
        }
    }
}
