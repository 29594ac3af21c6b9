//! What a model call saw and said, within a budget of bytes, newest first.

use std::collections::BTreeMap;

use codex_rollout::{RawJson, ResponseItem};
use codex_trace_model::{Item, ItemIx, ModelCall, SpanIx, Thread};

use crate::choice::Choice;

use super::messages::{ItemReader, Message, push_message};

/// How much of the history a model call is given as its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LlmInput {
    /// All that the model saw
    Full,
    /// What the model saw of the turn
    #[default]
    Turn,
    /// What was new since the call before
    Delta,
    /// Nothing
    None,
}

impl Choice for LlmInput {
    #[rustfmt::skip]
    const WORDS: &[(LlmInput, &str, &str)] = &[
        (LlmInput::Full, "full", "All that the model saw"),
        (LlmInput::Turn, "turn", "What the model saw of the turn"),
        (LlmInput::Delta, "delta", "What was new since the call before"),
        (LlmInput::None, "none", "Nothing"),
    ];
}

/// The input of a model call.
#[derive(Debug, Default)]
pub(crate) struct Input<'a> {
    /// The messages, in order.
    pub messages: Vec<Message<'a>>,
    /// Whether older items did not fit.
    pub truncated: bool,
}

/// Which items to look for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    /// How much of the history.
    pub what: LlmInput,
    /// How many bytes of it.
    pub budget: usize,
    /// The turn of the call.
    pub turn: Option<SpanIx>,
    /// Up to where the call before had seen, in the same turn.
    pub seen_before: Option<ItemIx>,
}

/// The items that were read last, of one thread: a call sees what the call
/// before it saw, and little more.
#[derive(Debug, Default)]
pub(crate) struct Recent<'a> {
    thread: Option<SpanIx>,
    messages: BTreeMap<ItemIx, Option<Message<'a>>>,
    bytes: usize,
}

impl<'a> Recent<'a> {
    /// Reads an item, unless it was read before; keeps about `budget` bytes of
    /// the newest.
    fn message(
        &mut self,
        reader: &ItemReader<'_>,
        thread: &Thread<'a>,
        (ix, item): (ItemIx, &Item<'a>),
        budget: usize,
    ) -> Option<Message<'a>> {
        if self.thread != Some(thread.span) {
            *self = Recent { thread: Some(thread.span), ..Recent::default() };
        }
        if let Some(message) = self.messages.get(&ix) {
            return message.clone();
        }
        let message = reader.message(&item.body);
        self.bytes += message.as_ref().map_or(0, Message::len);
        self.messages.insert(ix, message.clone());
        while self.bytes > budget.saturating_mul(2)
            && let Some((_, oldest)) = self.messages.pop_first()
        {
            self.bytes -= oldest.as_ref().map_or(0, Message::len);
        }
        message
    }
}

/// Returns what a call saw.
pub(crate) fn input<'a>(
    reader: &ItemReader<'_>,
    recent: &mut Recent<'a>,
    thread: &Thread<'a>,
    call: &ModelCall<'a>,
    scope: Scope,
) -> Input<'a> {
    let mut backwards = Vec::new();
    let mut left = scope.budget;
    // Returns whether it fits.
    let mut take = |message: Option<Message<'a>>| {
        let Some(message) = message else { return true };
        let len = message.len();
        let fits = len <= left;
        if fits {
            left -= len;
            backwards.push(message);
        }
        fits
    };
    let mut truncated = false;
    if scope.what == LlmInput::None {
        return Input::default();
    }
    for (ix, item) in thread.newest_first(call.window.history, call.window.end) {
        let done = match scope.what {
            LlmInput::Full => false,
            LlmInput::Turn => item.turn != scope.turn,
            LlmInput::Delta => {
                item.turn != scope.turn || scope.seen_before.is_some_and(|seen| ix < seen)
            }
            LlmInput::None => true,
        };
        if done {
            break;
        }
        // What the call before said is its output; it is no news to the model.
        let said =
            scope.what == LlmInput::Delta && scope.seen_before.is_some() && item.made_by_model;
        if !said && !take(recent.message(reader, thread, (ix, item), scope.budget)) {
            truncated = true;
            break;
        }
    }
    if let Some(replacement) = replacement(thread, call, scope).filter(|_| !truncated) {
        let items = ResponseItem::list(replacement);
        let mut items = items.iter().rev().filter_map(|(_, item)| item.as_ref());
        truncated = !items.all(|item| take(reader.message(item)));
    }
    let mut messages = Vec::with_capacity(backwards.len());
    backwards.into_iter().rev().for_each(|message| push_message(&mut messages, message));
    Input { messages, truncated }
}

/// Returns what a call said, as one message; `None` if nothing of it may be sent.
pub(crate) fn output<'a>(
    reader: &ItemReader<'_>,
    thread: &Thread<'a>,
    call: &ModelCall<'a>,
) -> Option<Message<'a>> {
    let items = call.output.iter().filter_map(|ix| thread.item(*ix));
    let parts: Vec<_> = items
        .filter_map(|item| reader.message(&item.body))
        .flat_map(|message| message.parts)
        .collect();
    (!parts.is_empty()).then_some(Message { role: "assistant", name: None, parts })
}

/// What a compaction put in the place of the older history, if the scope
/// reaches back to it.
fn replacement<'a>(thread: &Thread<'a>, call: &ModelCall<'a>, scope: Scope) -> Option<RawJson<'a>> {
    let history = thread.histories.get(call.window.history as usize)?;
    let within_turn = || {
        let before = history.from.checked_sub(1).and_then(|ix| thread.items.get(ix as usize));
        before.is_some_and(|item| item.turn == scope.turn)
    };
    let wanted = match scope.what {
        LlmInput::Full => true,
        LlmInput::Turn => within_turn(),
        LlmInput::Delta => {
            within_turn() && scope.seen_before.is_none_or(|seen| seen.0 <= history.from)
        }
        LlmInput::None => false,
    };
    history.replacement.filter(|_| wanted)
}
