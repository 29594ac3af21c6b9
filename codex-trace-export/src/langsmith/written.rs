//! Messages, each serialised once: a model call's input repeats nothing but
//! bytes.

use codex_rollout::{JsonText, ResponseItem};
use codex_trace_model::{ItemIx, Thread};

use crate::json::{Id, Json};
use crate::langsmith::limited::LimitedRules;
use crate::langsmith::messages::{Message, Role, answered, parts, text_part};

/// Messages with commas between them.
#[derive(Debug, Default)]
pub(super) struct Messages {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Messages {
    fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.bytes.is_empty() {
            self.bytes.push(b',');
        }
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Returns how many there are.
    pub(super) fn n(&self) -> usize {
        self.ends.len()
    }

    /// Returns some consecutive messages with commas between them.
    pub(super) fn range(&self, from: usize, to: usize) -> &[u8] {
        if from >= to {
            return b"";
        }
        let start = from.checked_sub(1).map_or(0, |before| self.ends[before] + 1);
        &self.bytes[start..self.ends[to - 1]]
    }

    /// Returns where to begin so that the messages from `from` up to `to` take
    /// no more than `room` bytes.
    pub(super) fn fitting(&self, from: usize, to: usize, room: usize) -> usize {
        (from..to).find(|first| self.range(*first, to).len() <= room).unwrap_or(to)
    }

    /// Puts older items together to messages, from the newest back as far as
    /// they fit into `room` bytes; says whether some did not. What a compaction
    /// put in the place of what is older still comes first.
    pub(super) fn older<'t, 'a: 't>(
        newest_first: impl Iterator<Item = &'t ResponseItem<'a>>,
        rules: &LimitedRules<'_>,
        room: usize,
    ) -> (Messages, bool) {
        let mut taken: Vec<(Role<'a>, Vec<u8>, Option<JsonText<'a>>)> = Vec::new();
        let mut left = room;
        let mut cut = false;
        for body in newest_first {
            let mut part = Vec::new();
            parts(body, rules, &mut part);
            let Some(rest) = left.checked_sub(part.len()) else {
                cut = true;
                break;
            };
            left = rest;
            taken.push((Role::of(body), part, answered(body)));
        }
        let mut messages = Messages::default();
        let mut taken = taken.into_iter().rev().peekable();
        while let Some((role, part, call)) = taken.next() {
            let mut of_message = vec![part];
            while role.merges()
                && let Some((_, part, _)) = taken.next_if(|next| next.0 == role)
            {
                of_message.push(part);
            }
            messages.add(|out| message(role, of_message.iter().map(Vec::as_slice), call, out));
        }
        (messages, cut)
    }
}

/// The parts of a turn's items and the messages made of them.
#[derive(Debug)]
pub(super) struct Written {
    parts: Vec<u8>,
    ends: Vec<usize>,
    messages: Messages,
}

impl Written {
    /// Serialises the items of a turn. `prompt` is the part of the system
    /// prompt, already serialised.
    pub(super) fn new<'a>(
        thread: &Thread<'a>,
        items: &[ItemIx],
        messages: &[Message<'a>],
        prompt: &[u8],
        rules: &LimitedRules<'_>,
    ) -> Written {
        let mut written = Written {
            parts: Vec::new(),
            ends: Vec::with_capacity(items.len()),
            messages: Messages::default(),
        };
        for item in items {
            parts(&thread[*item].body, rules, &mut written.parts);
            written.ends.push(written.parts.len());
        }
        let mut all = Messages::default();
        for it in messages {
            let before = if it.prompt { prompt } else { b"" };
            all.add(|out| written.message(thread, items, it.role, before, it.from..it.to, out));
        }
        written.messages = all;
        written
    }

    fn message<'a>(
        &self,
        thread: &Thread<'a>,
        items: &[ItemIx],
        role: Role<'a>,
        before: &[u8],
        of: std::ops::Range<usize>,
        out: &mut Vec<u8>,
    ) {
        let first = items.get(of.start);
        let call = first.and_then(|it| answered(&thread[*it].body));
        let parts = std::iter::once(before).chain(of.map(|nth| self.part(nth)));
        message(role, parts, call, out);
    }

    fn part(&self, nth: usize) -> &[u8] {
        let start = nth.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.parts[start..self.ends[nth]]
    }

    /// Returns the messages of the turn.
    pub(super) fn messages(&self) -> &Messages {
        &self.messages
    }

    /// Appends the message of one item.
    pub(super) fn one(&self, thread: &Thread<'_>, items: &[ItemIx], nth: usize, out: &mut Vec<u8>) {
        let role = Role::of(&thread[items[nth]].body);
        self.message(thread, items, role, b"", nth..nth + 1, out);
    }

    /// Appends the messages of the items from `from` on, put together anew; the
    /// newest of them, if they do not all fit into `room` bytes.
    pub(super) fn tail<'a>(
        &self,
        thread: &Thread<'a>,
        items: &[ItemIx],
        messages: &[Message<'a>],
        from: usize,
        room: usize,
        out: &mut Vec<u8>,
    ) {
        let of_items = |it: &Message<'_>| it.to > from && it.from < it.to;
        let first = messages.iter().position(of_items).unwrap_or(messages.len());
        let fitting = self.messages.fitting(first, messages.len(), room);
        let mut tail = Messages::default();
        if fitting > first {
            tail.add(omitted);
        }
        for (nth, it) in messages.iter().enumerate().skip(fitting).filter(|it| of_items(it.1)) {
            if it.from >= from && !it.prompt {
                tail.add(|out| out.extend_from_slice(self.messages.range(nth, nth + 1)));
            } else {
                let of = it.from.max(from)..it.to;
                tail.add(|out| self.message(thread, items, it.role, b"", of, out));
            }
        }
        out.extend_from_slice(&tail.bytes);
    }
}

fn message<'p>(
    role: Role<'_>,
    parts: impl Iterator<Item = &'p [u8]>,
    call: Option<JsonText<'_>>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"{\"role\":\"");
    out.extend_from_slice(&role.word());
    out.extend_from_slice(b"\",\"content\":[");
    let mut empty = true;
    for part in parts.filter(|part| !part.is_empty()) {
        if !std::mem::take(&mut empty) {
            out.push(b',');
        }
        out.extend_from_slice(part);
    }
    out.push(b']');
    if let Some(call) = call.filter(|_| role == Role::Tool) {
        out.extend_from_slice(b",\"tool_call_id\":");
        Id(call).write(out);
    }
    out.push(b'}');
}

/// Appends the message that stands for those that are left out.
pub(super) fn omitted(out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"role\":\"system\",\"content\":[");
    text_part(b"[earlier messages omitted: too long]", out);
    out.extend_from_slice(b"]}");
}
