//! A turn's messages, each serialised once: a model call's input repeats
//! nothing but bytes.

use codex_rollout::JsonText;
use codex_trace_model::{ItemIx, Thread};

use crate::content::ContentRules;
use crate::exporters::langsmith::messages::{Message, Role, answered, parts};
use crate::json::Json;

/// The parts of items and the messages made of them, each serialised once.
#[derive(Debug)]
pub(super) struct Written {
    parts: Vec<u8>,
    ends: Vec<usize>,
    /// The messages, with commas between them.
    messages: Vec<u8>,
    message_ends: Vec<usize>,
}

impl Written {
    /// Serialises the items of a turn. `prompt` is the part of the system
    /// prompt, already serialised.
    pub(super) fn new<'a>(
        thread: &Thread<'a>,
        items: &[ItemIx],
        messages: &[Message<'a>],
        prompt: &[u8],
        rules: &ContentRules,
    ) -> Written {
        let mut written = Written {
            parts: Vec::new(),
            ends: Vec::with_capacity(items.len()),
            messages: Vec::new(),
            message_ends: Vec::with_capacity(messages.len()),
        };
        for item in items {
            parts(&thread.items[item.0 as usize].body, rules, &mut written.parts);
            written.ends.push(written.parts.len());
        }
        let mut out = std::mem::take(&mut written.messages);
        for message in messages {
            if !out.is_empty() {
                out.push(b',');
            }
            let call = items.get(message.from).and_then(|it| answered(thread, *it));
            let before = if message.prompt { prompt } else { b"" };
            written.message(message.role, before, message.from, message.to, call, &mut out);
            written.message_ends.push(out.len());
        }
        written.messages = out;
        written
    }

    fn message(
        &self,
        role: Role<'_>,
        before: &[u8],
        from: usize,
        to: usize,
        call: Option<JsonText<'_>>,
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(b"{\"role\":\"");
        out.extend_from_slice(&role.word());
        out.extend_from_slice(b"\",\"content\":[");
        out.extend_from_slice(before);
        let mut empty = before.is_empty();
        for nth in from..to {
            let part = self.part(nth);
            if part.is_empty() {
                continue;
            }
            if !std::mem::take(&mut empty) {
                out.push(b',');
            }
            out.extend_from_slice(part);
        }
        out.push(b']');
        if let Some(call) = call.filter(|_| role == Role::Tool) {
            out.extend_from_slice(b",\"tool_call_id\":");
            call.write(out);
        }
        out.push(b'}');
    }

    fn part(&self, nth: usize) -> &[u8] {
        let start = nth.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.parts[start..self.ends[nth]]
    }

    /// Returns some consecutive messages with commas between them.
    pub(super) fn messages(&self, from: usize, to: usize) -> &[u8] {
        if from >= to {
            return b"";
        }
        let start = from.checked_sub(1).map_or(0, |before| self.message_ends[before] + 1);
        &self.messages[start..self.message_ends[to - 1]]
    }

    /// Appends the message of one item.
    pub(super) fn one(&self, thread: &Thread<'_>, items: &[ItemIx], nth: usize, out: &mut Vec<u8>) {
        let role = Role::of(&thread.items[items[nth].0 as usize].body);
        self.message(role, b"", nth, nth + 1, answered(thread, items[nth]), out);
    }

    /// Returns where to begin so that the messages up to `to` take no more
    /// than `room` bytes, and whether something is left out for it.
    pub(super) fn fitting(&self, from: usize, to: usize, room: usize) -> (usize, bool) {
        let fits = |from: usize| self.messages(from, to).len() <= room;
        match (from..to).find(|from| fits(*from)) {
            Some(first) => (first, first > from),
            // Not even the last one does.
            None => (to, from < to),
        }
    }

    /// Appends the messages of the items from `from` on, put together anew.
    pub(super) fn tail<'a>(
        &self,
        thread: &Thread<'a>,
        items: &[ItemIx],
        messages: &[Message<'a>],
        from: usize,
        out: &mut Vec<u8>,
    ) {
        let mut empty = true;
        for (nth, message) in messages.iter().enumerate() {
            if message.to <= from || message.from == message.to {
                continue;
            }
            if !std::mem::take(&mut empty) {
                out.push(b',');
            }
            if message.from >= from && !message.prompt {
                out.extend_from_slice(self.messages(nth, nth + 1));
            } else {
                let first = message.from.max(from);
                let call = answered(thread, items[first]);
                self.message(message.role, b"", first, message.to, call, out);
            }
        }
    }
}
