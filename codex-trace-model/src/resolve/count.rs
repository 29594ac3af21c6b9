//! What was used: records and counts, and the turns that they belong to
//! (rollout-format §7.3).

use codex_rollout::JsonText;
use codex_rollout::item::usage::{TokenCount, TokenCountInfo, TokenUsageRecord};

use crate::diagnostic::Code;
use crate::resolve::turn::{self, MarkKind, UsageDraft};
use crate::resolve::usage::{Count, Nameless, Sums};
use crate::resolve::{FOREIGN, Outcome, Place, ThreadBuilder};
use crate::span::EventKind;

impl<'a> ThreadBuilder<'a> {
    pub(super) fn take_record(&mut self, record: &TokenUsageRecord<'a>, place: Place) -> Outcome {
        if !self.is_own(record.thread_id) {
            return Outcome::Ignored(FOREIGN);
        }
        let response = record.response_id.map_or(&b""[..], JsonText::raw);
        let turn_id = record.turn_id.map_or(&b""[..], JsonText::raw);
        // Some gateways give every response the same id: it is another one if
        // anything was used since.
        let says = self.responses.hash_of((record.usage, record.thread_token_usage));
        if !response.is_empty() && self.responses.insert((turn_id, response), says) == Some(says) {
            self.diagnose(
                Code::DuplicateId,
                Some(place.position),
                "a usage record that was written before; counted once",
            );
            return Outcome::Ignored("repeated token_usage_record");
        }
        if record.usage.is_none() && response.is_empty() {
            return Outcome::Ignored("token_usage_record without usage");
        }
        let turn = self.turn_for_work(record.turn_id, place);
        let draft = &mut self.turns[turn];
        draft.turn.root_turn_id = draft.turn.root_turn_id.or(record.root_turn_id);
        draft.usages.push(UsageDraft { usage: record.usage, response_id: record.response_id });
        let usage = turn::index(&draft.usages);
        match record.usage {
            Some(used) => self.usage.record(turn, used, record.thread_token_usage),
            None => self.usage.nameless(Nameless { turn, usage }),
        }
        self.mark(turn, MarkKind::Record(usage), place);
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
        let window = count.info.and_then(|info| info.model_context_window);
        // A count of a turn that has ended comes before the next one begins.
        let turns = &self.turns;
        let newest = turns.len().wrapping_sub(1);
        let may_have = |turn: usize| turn == newest || !turns.has_ended(turn);
        match self.usage.count(count.info, may_have) {
            Count::Estimate => Outcome::Ignored("token_count that estimates the context"),
            Count::Repeated => {
                if let Some(turn) = self.open {
                    self.mark(turn, MarkKind::Repeated, place);
                }
                Outcome::Ignored("repeated token_count")
            }
            Count::Recorded => self.take_echo(self.open, window, place),
            Count::OfRecord(record, usage) => {
                let turn = Some(record.turn).filter(|turn| !self.turns.has_ended(*turn));
                if let Some(turn) = turn {
                    self.turns[turn].usages[record.usage as usize].usage = Some(usage);
                }
                self.take_echo(turn, window, place)
            }
            Count::Moved(usage) => {
                let open = self.open.or_else(|| self.unended_turn());
                let turn = open.unwrap_or_else(|| self.turn_for_work(None, place));
                let draft = &mut self.turns[turn];
                draft.turn.model_context_window = draft.turn.model_context_window.or(window);
                draft.usages.push(UsageDraft { usage: Some(usage), response_id: None });
                let kind = MarkKind::Moved(turn::index(&draft.usages));
                self.mark(turn, kind, place);
                Outcome::Span
            }
        }
    }

    /// Takes in a count that repeats what a record has said.
    fn take_echo(&mut self, turn: Option<usize>, window: Option<u64>, place: Place) -> Outcome {
        let Some(turn) = turn else {
            return Outcome::Ignored("token_count of a token_usage_record");
        };
        let draft = &mut self.turns[turn];
        draft.turn.model_context_window = draft.turn.model_context_window.or(window);
        draft.touch(place.line, place.at);
        Outcome::Span
    }

    /// Returns a turn that has not ended though a later one has: another
    /// process' turn, to which a count between turns belongs.
    fn unended_turn(&self) -> Option<usize> {
        const PROCESSES: usize = 8;
        let first = self.turns.len().saturating_sub(PROCESSES);
        let unended = |turn: &usize| !self.turns.has_ended(*turn) && self.turns[*turn].answered;
        (first..self.turns.len()).rev().find(unended)
    }

    /// Whether the version that began the file writes the count of a response
    /// before its items: seen in 0.34 to 0.40, and no longer in 0.42.
    pub(super) fn counts_lead(&self) -> bool {
        let version = self.meta.and_then(|meta| meta.cli_version).map(JsonText::decode);
        let minor = version.as_deref().and_then(|version| version.strip_prefix("0."));
        let minor = minor.and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
        minor.is_some_and(|minor| (32..42).contains(&minor))
    }

    /// Whether a count before all turns tells what a history had used that the
    /// file continues and that is not here: more than one response.
    fn is_of_history_before(&self, count: &TokenCount<'a>) -> bool {
        let meta = self.meta.unwrap_or_default();
        let more = |info: TokenCountInfo| {
            info.total_token_usage.is_some() && info.total_token_usage != info.last_token_usage
        };
        self.turns.is_empty()
            && self.usage.total().is_none()
            && (meta.history_base.is_some() || meta.forked_from_id.is_some())
            && count.info.is_some_and(more)
    }

    /// Compares what was counted with what the file's running total says.
    pub(super) fn check_usage(&mut self) {
        if let Some(Sums { counted, risen }) = self.usage.counts_mismatch() {
            self.diagnose(
                Code::UsageMismatch,
                None,
                format_args!(
                    "its token counts add up to {counted} tokens, but its running total rose by \
                     {risen}; the counts of single responses were used"
                ),
            );
        }
        if let Some(Sums { counted, risen }) = self.usage.records_mismatch() {
            self.diagnose(
                Code::UsageMismatch,
                None,
                format_args!(
                    "its usage records add up to {counted} tokens, but the thread's running total \
                     rose by {risen}; what single records and counts say was used"
                ),
            );
        }
    }
}
