//! A thread's conversation, each item of it written once: what a model call was
//! given repeats nothing but bytes.

use codex_rollout::{RawJson, ResponseItem};
use codex_trace_model::{ItemIx, ModelCall, SpanIx, Thread, Window};

use crate::braintrust::messages;
use crate::content::{ContentRules, Part};
use crate::otlp::LlmInput;

/// What stands for messages that did not fit.
const EARLIER: &[u8] = br#",{"content":"[earlier messages omitted: too long]","role":"developer"}"#;

/// The messages of a thread, the newest of them in memory.
pub(super) struct Conversation<'c, 'a> {
    thread: &'c Thread<'a>,
    rules: &'c ContentRules,
    input: LlmInput,
    /// The most that one call is given, in bytes.
    budget: usize,
    /// What is in memory: messages with a comma before each.
    bytes: Vec<u8>,
    /// The first item in memory.
    first: usize,
    /// How many bytes were there before `bytes`.
    gone: usize,
    /// Where each item from `first` on ends, counted from the very first byte.
    ends: Vec<usize>,
    /// What a compaction put in the place of older items: of the history with
    /// this index.
    replacement: Option<(u32, Vec<u8>)>,
}

/// What a call comes after, in its turn.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before<'b> {
    /// The turn's first item.
    pub(super) turn_from: usize,
    /// The call before it: up to where it had seen, and what it said.
    pub(super) call: Option<(ItemIx, &'b [ItemIx])>,
}

impl<'c, 'a> Conversation<'c, 'a> {
    pub(super) fn new(
        thread: &'c Thread<'a>,
        rules: &'c ContentRules,
        input: LlmInput,
        budget: usize,
    ) -> Conversation<'c, 'a> {
        Conversation {
            thread,
            rules,
            input,
            budget,
            bytes: Vec::new(),
            first: 0,
            gone: 0,
            ends: Vec::new(),
            replacement: None,
        }
    }

    /// Writes what a call was given, as a list of messages; nothing if it is to
    /// go without.
    pub(super) fn input(&mut self, call: &ModelCall<'a>, before: Before<'_>) -> Option<Input<'_>> {
        if self.input == LlmInput::None || !self.rules.keeps(Part::Message) {
            return None;
        }
        self.read_to(call.window.end.0 as usize);
        match (self.input, before.call) {
            (LlmInput::Delta, Some((seen, said))) => {
                let news = (seen.0..call.window.end.0).filter(|ix| !said.contains(&ItemIx(*ix)));
                let news = news.map(|ix| self.range(ix as usize, ix as usize + 1));
                Some(Input(news.collect()))
            }
            (LlmInput::Full, _) => Some(self.newest(call.window, 0)),
            _ => Some(self.newest(call.window, before.turn_from)),
        }
    }

    /// Puts together the newest items from `from` on that the budget allows.
    fn newest(&mut self, window: Window, from: usize) -> Input<'_> {
        let thread = self.thread;
        let history = thread.histories.get(window.history as usize);
        let begun = history.map_or(0, |history| history.from as usize);
        let replaced = history.and_then(|it| it.replacement).filter(|_| begun > from || from == 0);
        if let Some(items) = replaced {
            self.replace(window.history, items);
        }
        let base = history.map_or(&[][..], |history| &history.base);
        let base = base.iter().map(|(from, to)| (from.0 as usize, to.0 as usize));
        let mut parts = Vec::new();
        let mut left = self.budget;
        let mut cut = false;
        for (start, end) in base.chain([(begun, window.end.0 as usize)]).rev() {
            let start = start.max(from);
            if cut || start >= end {
                continue;
            }
            let fitting = self.fitting(start, end, left);
            cut = fitting > start;
            let part = self.range(fitting, end);
            left -= part.len();
            parts.push(part);
        }
        if let Some((_, bytes)) = self.replacement.as_ref().filter(|_| replaced.is_some() && !cut) {
            cut = bytes.len() > left;
            parts.extend((!cut).then_some(&**bytes));
        }
        parts.extend(cut.then_some(EARLIER));
        parts.reverse();
        Input(parts)
    }

    /// Returns what a call said, as messages with a comma before each.
    pub(super) fn output(&mut self, call: &ModelCall<'a>) -> Vec<&[u8]> {
        let Some(last) = call.output.last() else { return Vec::new() };
        self.read_to(last.0 as usize + 1);
        let items = call.output.iter().map(|ix| ix.0 as usize);
        items.map(|ix| self.range(ix, ix + 1)).filter(|message| !message.is_empty()).collect()
    }

    fn replace(&mut self, history: u32, items: RawJson<'a>) {
        if self.replacement.as_ref().is_some_and(|(of, _)| *of == history) {
            return;
        }
        let mut bytes = Vec::new();
        let items = ResponseItem::list(items);
        let is_summary =
            |item: &Option<ResponseItem<'_>>| matches!(item, Some(ResponseItem::Compaction(_)));
        // The summary comes first, as `bt` has it.
        for first in [true, false] {
            for (raw, item) in &items {
                if is_summary(item) == first {
                    bytes.push(b',');
                    let kept = self.rules.json_value(Part::Message, *raw);
                    bytes.extend_from_slice(&kept.unwrap_or_default());
                }
            }
        }
        self.replacement = Some((history, bytes));
    }

    /// Writes the items up to one, and lets go of the oldest.
    fn read_to(&mut self, end: usize) {
        let end = end.min(self.thread.items.len());
        for ix in self.first + self.ends.len()..end {
            messages::message(&self.thread.items[ix].body, self.rules, &mut self.bytes);
            self.ends.push(self.gone + self.bytes.len());
        }
        if self.bytes.len() > self.budget.saturating_mul(2) {
            let keep_from = self.gone + self.bytes.len() - self.budget;
            let n = self.ends.partition_point(|end| *end <= keep_from);
            // The newest stays, however large it is.
            let n = n.min(self.ends.len() - 1);
            let at = n.checked_sub(1).map_or(self.gone, |last| self.ends[last]);
            self.bytes.drain(..at - self.gone);
            self.ends.drain(..n);
            (self.first, self.gone) = (self.first + n, at);
        }
    }

    /// Returns where an item begins, in the bytes that are in memory.
    fn begin(&self, ix: usize) -> usize {
        let nth = ix.saturating_sub(self.first);
        nth.checked_sub(1).map_or(0, |last| self.ends[last.min(self.ends.len() - 1)] - self.gone)
    }

    fn range(&self, from: usize, to: usize) -> &[u8] {
        if self.ends.is_empty() { &[] } else { &self.bytes[self.begin(from)..self.begin(to)] }
    }

    /// Returns where to begin so that the items up to `to` take no more than
    /// `room` bytes.
    fn fitting(&self, from: usize, to: usize, room: usize) -> usize {
        let from = from.max(self.first.min(to));
        if self.ends.is_empty() {
            return from;
        }
        let end = self.begin(to);
        let (mut low, mut high) = (from, to);
        while low < high {
            let middle = usize::midpoint(low, high);
            if end - self.begin(middle) <= room {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}

/// What a call was given: bytes, one after the other.
pub(super) struct Input<'c>(Vec<&'c [u8]>);

impl Input<'_> {
    /// Appends it as a list.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        list(&self.0, out);
    }
}

/// Appends messages, each with a comma before it, as a list.
pub(super) fn list(messages: &[&[u8]], out: &mut Vec<u8>) {
    out.push(b'[');
    let mut messages = messages.iter().filter(|bytes| !bytes.is_empty());
    if let Some(first) = messages.next() {
        out.extend_from_slice(&first[1..]);
    }
    messages.for_each(|bytes| out.extend_from_slice(bytes));
    out.push(b']');
}

/// Returns the first item of each turn of a thread.
pub(super) fn first_items(thread: &Thread<'_>) -> std::collections::HashMap<SpanIx, usize> {
    let mut first = std::collections::HashMap::new();
    for (ix, item) in thread.items.iter().enumerate() {
        if let Some(turn) = item.turn {
            first.entry(turn).or_insert(ix);
        }
    }
    first
}
