//! What a model call saw and said, within a budget of bytes, newest first.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use codex_rollout::{JsonText, RawJson, ResponseItem, into_text};
use codex_trace_model::{Item, ItemIx, ModelCall, SpanIx, Thread};

use crate::choice::Choice;
use crate::content::Part as Sort;

use super::chat;
use super::joined::Joined;
use super::messages::{ItemReader, Message, Part, decode};

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

/// An item as a model call sees it. A call sees most of what the call before it saw,
/// so each item is read, and written, once.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    /// What it says.
    pub message: Message<'a>,
    /// About how many bytes it takes.
    len: usize,
    /// Its parts as the GenAI conventions have them, with commas between them.
    genai: OnceCell<Arc<String>>,
    /// Its texts, without escapes.
    words: OnceCell<Option<Arc<String>>>,
}

impl<'a> Seen<'a> {
    fn of(message: Message<'a>) -> Seen<'a> {
        let len = message.len();
        Seen { message, len, genai: OnceCell::new(), words: OnceCell::new() }
    }

    /// Returns its parts as the GenAI conventions have them.
    fn genai(&self) -> &Arc<String> {
        self.genai.get_or_init(|| {
            let mut json = Vec::with_capacity(self.len + 128);
            chat::genai_parts(&mut json, &self.message.parts);
            Arc::new(into_text(json))
        })
    }

    /// Returns what it says in words, or what a tool gave back.
    pub(crate) fn words(&self) -> Option<Arc<String>> {
        let words = || words(&self.message.parts).map(Arc::new);
        self.words.get_or_init(words).clone()
    }

    /// Returns whether the item after it continues the same message: one author's
    /// messages are one.
    fn goes_on(&self, next: &Seen<'_>) -> bool {
        self.message.role == "assistant" && next.message.role == "assistant"
    }
}

/// Returns what parts say in words, and what tools gave back, without escapes.
fn words<'t, 'a: 't>(parts: impl IntoIterator<Item = &'t Part<'a>>) -> Option<String> {
    let texts = chat::texts(parts, |part| match part {
        Part::Text(text) => Some(text),
        Part::ToolResult { content, .. } => content.as_ref(),
        _ => None,
    });
    texts.map(|text| decode(&text))
}

/// The input of a model call.
#[derive(Debug, Default)]
pub(crate) struct Input<'a> {
    /// The items, in order.
    items: Vec<Rc<Seen<'a>>>,
    /// Whether older items did not fit.
    pub truncated: bool,
}

impl<'a> Input<'a> {
    /// Returns whether there are no messages.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns the items of each message.
    fn by_message(&self) -> impl DoubleEndedIterator<Item = &[Rc<Seen<'a>>]> {
        self.items.chunk_by(|one, next| one.goes_on(next))
    }

    /// Returns the messages.
    pub(crate) fn messages(&self) -> Vec<Cow<'_, Message<'a>>> {
        let message = |items: &'_ [Rc<Seen<'a>>]| {
            let parts = items.iter().flat_map(|it| it.message.parts.iter().cloned());
            Message { parts: parts.collect(), ..items[0].message.head() }
        };
        let messages = self.by_message().map(|items| match items {
            [one] => Cow::Borrowed(&one.message),
            several => Cow::Owned(message(several)),
        });
        messages.collect()
    }

    /// Returns the text of the last message: what the call is listed by.
    pub(crate) fn last_words(&self) -> Option<Arc<String>> {
        match self.by_message().next_back()? {
            [one] => one.words(),
            several => words(several.iter().flat_map(|it| &it.message.parts)).map(Arc::new),
        }
    }

    /// Returns the messages as the GenAI conventions have them.
    pub(crate) fn genai(&self) -> Joined {
        const AROUND: usize = 6;
        let mut out = Joined::with_capacity(AROUND * self.items.len() + 2);
        out.fixed("[");
        for (nth, items) in self.by_message().enumerate() {
            let Message { role, name, .. } = &items[0].message;
            out.fixed(if nth == 0 { r#"{"role":""# } else { r#",{"role":""# });
            out.fixed(role);
            if let Some(name) = name {
                out.fixed(r#"","name":""#);
                out.kept(&Arc::new(into_text(name.to_vec())));
            }
            out.fixed(r#"","parts":["#);
            for (nth, item) in items.iter().enumerate() {
                out.fixed(if nth == 0 { "" } else { "," });
                out.kept(item.genai());
            }
            out.fixed("]}");
        }
        out.fixed("]");
        out
    }
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

/// The items that were read last, of one thread.
#[derive(Debug, Default)]
pub(crate) struct Recent<'a> {
    thread: Option<SpanIx>,
    items: Items<'a>,
    bytes: usize,
    /// What a compaction put in the place of older items, by its history.
    replaced: Option<(u32, Rc<[Rc<Seen<'a>>]>)>,
    /// The system prompt, as it is written.
    instructions: OnceCell<Option<Arc<String>>>,
    /// What tools are for, by the place of that in memory.
    descriptions: HashMap<usize, Option<Arc<String>>>,
}

/// An item that was read; `None` if the model did not see it.
type Read<'a> = Option<Rc<Seen<'a>>>;

/// A stretch of items of a thread, with gaps: what nothing has read yet.
#[derive(Debug, Default)]
struct Items<'a> {
    first: u32,
    items: VecDeque<Option<Read<'a>>>,
}

impl<'a> Items<'a> {
    fn get(&self, ix: ItemIx) -> Option<&Read<'a>> {
        let nth = ix.0.checked_sub(self.first)?;
        self.items.get(nth as usize)?.as_ref()
    }

    fn insert(&mut self, ix: ItemIx, read: Read<'a>) {
        if self.items.is_empty() {
            self.first = ix.0;
        }
        while ix.0 < self.first {
            self.items.push_front(None);
            self.first -= 1;
        }
        let nth = (ix.0 - self.first) as usize;
        if nth >= self.items.len() {
            self.items.resize_with(nth + 1, || None);
        }
        self.items[nth] = Some(read);
    }

    /// Takes out the oldest.
    fn pop_first(&mut self) -> Option<Read<'a>> {
        loop {
            let first = self.items.pop_front()?;
            self.first += 1;
            if first.is_some() {
                return first;
            }
        }
    }
}

/// How many descriptions of tools are kept.
const DESCRIPTIONS: usize = 256;

impl<'a> Recent<'a> {
    /// Reads an item, unless it was read before; keeps about `budget` bytes of
    /// the newest, twice: as they were read, and as they are written.
    pub(crate) fn item(
        &mut self,
        reader: &ItemReader<'_>,
        thread: &Thread<'a>,
        (ix, item): (ItemIx, &Item<'a>),
        budget: usize,
    ) -> Read<'a> {
        self.look_at(thread);
        if let Some(seen) = self.items.get(ix) {
            return seen.clone();
        }
        let seen = reader.message(&item.body).map(|message| Rc::new(Seen::of(message)));
        self.bytes += seen.as_ref().map_or(0, |it| it.len);
        self.items.insert(ix, seen.clone());
        while self.bytes > budget.saturating_mul(2)
            && let Some(oldest) = self.items.pop_first()
        {
            self.bytes -= oldest.map_or(0, |it| it.len);
        }
        seen
    }

    /// Reads what a compaction put in the place of older items, unless that was done
    /// before: newest first, about `budget` bytes of it.
    fn replaced(
        &mut self,
        reader: &ItemReader<'_>,
        thread: &Thread<'a>,
        (history, raw): (u32, RawJson<'a>),
        budget: usize,
    ) -> Rc<[Rc<Seen<'a>>]> {
        self.look_at(thread);
        if let Some((of, items)) = &self.replaced
            && *of == history
        {
            return Rc::clone(items);
        }
        let mut left = budget;
        let mut enough = false;
        let items = ResponseItem::list(raw);
        let items = items.iter().rev().filter_map(|(_, item)| item.as_ref());
        let read = items.filter_map(|item| reader.message(item)).take_while(|message| {
            // With the one that does not fit, which is how it is told that there are more.
            let wanted = !enough;
            let fits = left.checked_sub(message.len());
            (left, enough) = (fits.unwrap_or(left), fits.is_none());
            wanted
        });
        let items: Rc<[_]> = read.map(|message| Rc::new(Seen::of(message))).collect();
        self.replaced = Some((history, Rc::clone(&items)));
        items
    }

    /// Returns the system prompt of a thread as it is written, which `write` does
    /// unless it was done before.
    pub(crate) fn instructions(
        &mut self,
        thread: &Thread<'a>,
        write: impl FnOnce() -> Option<String>,
    ) -> Option<Arc<String>> {
        self.look_at(thread);
        self.instructions.get_or_init(|| write().map(Arc::new)).clone()
    }

    /// Returns what a tool is for, as it is written: a text that may be asked for by
    /// every call of the tool.
    pub(crate) fn description(
        &mut self,
        reader: &ItemReader<'_>,
        thread: &Thread<'a>,
        text: JsonText<'a>,
    ) -> Option<Arc<String>> {
        self.look_at(thread);
        if self.descriptions.len() >= DESCRIPTIONS {
            self.descriptions.clear();
        }
        let read = || reader.decoded(Sort::Message, text).map(Arc::new);
        self.descriptions.entry(text.raw().as_ptr().addr()).or_insert_with(read).clone()
    }

    /// Forgets the items of another thread.
    fn look_at(&mut self, thread: &Thread<'a>) {
        if self.thread != Some(thread.span) {
            *self = Recent { thread: Some(thread.span), ..Recent::default() };
        }
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
    let mut take = |item: Option<Rc<Seen<'a>>>| {
        let Some(item) = item else { return true };
        let fits = item.len <= left;
        if fits {
            left -= item.len;
            backwards.push(item);
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
        if !said && !take(recent.item(reader, thread, (ix, item), scope.budget)) {
            truncated = true;
            break;
        }
    }
    if let Some(replacement) = replacement(thread, call, scope).filter(|_| !truncated) {
        let replacement = (call.window.history, replacement);
        let items = recent.replaced(reader, thread, replacement, scope.budget);
        truncated = !items.iter().all(|item| take(Some(Rc::clone(item))));
    }
    backwards.reverse();
    Input { items: backwards, truncated }
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
