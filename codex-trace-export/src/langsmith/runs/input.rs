//! What a model call was given.

use codex_rollout::ResponseItem;
use codex_trace_model::{ItemIx, SpanKind};

use super::TurnEncoder;
use crate::langsmith::written::{Messages, omitted};
use crate::otlp::LlmInput;

/// How much of the history the calls of a turn are given all in all, in bytes,
/// lest a long turn grow with the square of its length; and how much a call is
/// given all the same, if that is more than what came since the call before.
const PER_TURN: usize = 128 << 20;
const PER_CALL: usize = 64 << 10;

/// More than what a run says about itself takes, in bytes.
const METADATA: usize = 64 << 10;

/// How much of the history from before the turn a call is given, in bytes.
const BEFORE_TURN: usize = 1 << 20;

/// What a turn's calls are given.
#[derive(Debug)]
pub(super) struct Inputs {
    /// What is left for calls to come, in bytes.
    left: usize,
    /// The most that one call is given, in bytes.
    per_call: usize,
    /// What came before the turn, of the history with this index.
    older: Option<(u32, Messages)>,
    /// Whether something of that did not fit.
    cut: bool,
}

impl Inputs {
    pub(super) fn new(per_call: Option<usize>) -> Inputs {
        let per_call = per_call.unwrap_or(usize::MAX);
        Inputs { left: PER_TURN, per_call, older: None, cut: false }
    }

    /// Notes what a call was given.
    pub(super) fn took(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }
}

/// The input of one call: parts of its JSON, one after the other.
#[derive(Debug, Default)]
pub(super) struct Given<'w> {
    /// What comes before everything else.
    head: Vec<u8>,
    older: &'w [u8],
    turn: &'w [u8],
}

impl Given<'_> {
    pub(super) fn parts(&self) -> [&[u8]; 5] {
        let comma = |before: bool, after: &[u8]| -> &[u8] {
            if before && !after.is_empty() { b"," } else { b"" }
        };
        let some = !self.head.is_empty();
        let first = if self.older.is_empty() { self.turn } else { self.older };
        let second = if self.older.is_empty() { b"".as_slice() } else { self.turn };
        [&self.head, comma(some, first), first, comma(true, second), second]
    }

    pub(super) fn len(&self) -> usize {
        self.head.len() + self.older.len() + self.turn.len()
    }
}

impl TurnEncoder<'_, '_, '_> {
    /// Makes ready what came before the turn, as a call saw it.
    pub(super) fn look_back(&mut self, history: Option<u32>) {
        let (LlmInput::Full, Some(nth)) = (self.all.llm_input, history) else { return };
        let thread = self.thread;
        let Some(history) = thread.histories.get(nth as usize) else { return };
        if self.inputs.older.as_ref().is_some_and(|it| it.0 == nth) {
            return;
        }
        let turn = self.plan.items.first().map_or(history.from, |it| it.0);
        let replaced = history.replacement.map(ResponseItem::list).unwrap_or_default();
        let replaced = replaced.iter().rev().filter_map(|(_, item)| item.as_ref());
        // What comes before the turn, or before the compaction within it.
        let items = thread.newest_first(nth, ItemIx(turn)).map(|(_, item)| &item.body);
        let items = items.chain(replaced);
        let room = BEFORE_TURN.min(self.inputs.per_call);
        let (older, cut) = Messages::older(items, self.all.rules, room);
        (self.inputs.older, self.inputs.cut) = (Some((nth, older)), cut);
    }

    /// Returns how much more fits into a run that holds so many bytes.
    pub(super) fn room(&self, taken: usize) -> usize {
        self.all.format.max_run().saturating_sub(taken + METADATA)
    }

    /// Returns what a call was given that answered with the message `said`, as
    /// far as there is room beside `taken` bytes: of what does not fit, the
    /// oldest is left out. `before` is the model's message before.
    pub(super) fn given(&self, before: Option<usize>, said: usize, taken: usize) -> Given<'_> {
        let Some(written) = &self.written else { return Given::default() };
        let messages = written.messages();
        let news = messages.range(before.map_or(0, |before| before + 1), said).len();
        let room = self.room(taken).min(self.inputs.per_call);
        let room = room.min(self.inputs.left.max(PER_CALL).max(news));
        let (plan, mut given) = (self.plan, Given::default());
        let mut prompt: &[u8] = b"";
        let from = match self.all.llm_input {
            LlmInput::Turn => 0,
            LlmInput::Delta => before.map_or(0, |before| before + 1),
            LlmInput::None => said,
            LlmInput::Full => {
                let has_prompt = plan.messages.first().is_some_and(|it| it.prompt);
                prompt = messages.range(0, usize::from(has_prompt));
                self.after_compaction().max(usize::from(has_prompt))
            }
        };
        let to = said.max(from);
        let first = messages.fitting(from, to, room);
        given.turn = messages.range(first, to);
        let mut cut = first > from;
        if let Some((_, older)) = &self.inputs.older {
            let room = if cut { 0 } else { room - given.turn.len() };
            let first = older.fitting(0, older.n(), room);
            given.older = older.range(first, older.n());
            cut |= first > 0 || self.inputs.cut;
        }
        given.head.extend_from_slice(prompt);
        if cut {
            if !prompt.is_empty() {
                given.head.push(b',');
            }
            omitted(&mut given.head);
        }
        given
    }

    /// Returns the first message of the turn that the last compaction within it
    /// left to be seen.
    fn after_compaction(&self) -> usize {
        let older = self.inputs.older.as_ref();
        let history = older.and_then(|(nth, _)| self.thread.histories.get(*nth as usize));
        let from = history.map_or(0, |history| history.from);
        let is_seen = |message: usize| {
            let first = self.plan.messages[message].from;
            self.plan.items.get(first).is_some_and(|item| item.0 >= from)
        };
        (0..self.plan.messages.len()).find(|nth| is_seen(*nth)).unwrap_or(0)
    }

    /// Returns the history that the calls of a group saw.
    pub(super) fn history_of(&self, calls: &[codex_trace_model::SpanIx]) -> Option<u32> {
        calls.iter().rev().find_map(|ix| match &self.all.trace.span(*ix).kind {
            SpanKind::ModelCall(call) => Some(call.window.history),
            _ => None,
        })
    }
}
