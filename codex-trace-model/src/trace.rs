use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use codex_rollout::{JsonText, Layout, Position, RawJson, ResponseItem, SessionMeta, TokenUsage};
use jiff::Timestamp;

use crate::diagnostic::Diagnostic;
use crate::span::{CopiedTurn, Span, SpanKind, Status};
use crate::standing::Standing;

/// The index of a span in [`Trace::spans`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanIx(pub u32);

impl SpanIx {
    /// Returns the index as a number.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The index of a thread in [`Trace::threads`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadIx(pub u32);

/// The index of an item in [`Thread::items`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemIx(pub u32);

/// The index of a file in [`Thread::rollouts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RolloutIx(pub u32);

/// A session: a root thread with every subagent's thread under it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trace<'a> {
    /// The root thread first.
    pub threads: Vec<Thread<'a>>,
    /// Parents before their children; a turn's children in file order.
    pub spans: Vec<Span<'a>>,
    /// What was odd, where, and what was made of it.
    pub diagnostics: Vec<Diagnostic>,
}

/// One conversation of one agent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Thread<'a> {
    /// Codex' id of the thread, or one made from the file's name.
    pub id: String,
    /// The session that Codex says the thread belongs to (since 0.142).
    pub session_id: Option<JsonText<'a>>,
    /// The thread's span.
    pub span: SpanIx,
    /// The thread that spawned this one, whether its file is here or not.
    pub parent_thread_id: Option<String>,
    /// The thread whose history this one continues or holds a copy of.
    pub forked_from_id: Option<JsonText<'a>>,
    /// The last turn of that history, where it is known and has an id.
    pub forked_at: Option<CopiedTurn<'a>>,
    /// The turns whose starts the copied heads of its files show, with the file:
    /// they are of the threads that were copied.
    pub copied_turns: Vec<(RolloutIx, JsonText<'a>)>,
    /// The distance from the root thread: 0 for the root itself.
    pub depth: u32,
    /// The files it was read from: one, or several after reverts.
    pub rollouts: Vec<Rollout>,
    /// The first line of the file, which says where the thread comes from.
    pub meta: SessionMeta<'a>,
    /// When the thread was made.
    pub created: Option<Timestamp>,
    /// When the thread was made, by the local clock of its machine: all that
    /// versions from May to September 2025 recorded.
    pub created_local: Option<JsonText<'a>>,
    /// The thread's name, if it got one.
    pub name: Option<JsonText<'a>>,
    /// How many turns it has had, abandoned ones too: the number of the last.
    pub n_turns: u32,
    /// The conversation: what the model saw and said, once, in file order.
    pub items: Vec<Item<'a>>,
    /// What model calls saw of the items; see [`Window`](crate::Window).
    pub histories: Vec<History<'a>>,
    /// The file's own last running total, inherited history included.
    pub last_total: Option<TokenUsage>,
    /// What became of every line.
    pub account: Account,
}

/// One file of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rollout {
    /// What to call the file in provenance and diagnostics: its path as given.
    /// A label for people; the bytes of a path may not survive in it.
    pub path: String,
    /// The file itself; absent where bytes were given.
    pub file: Option<PathBuf>,
    /// How its records are laid out.
    pub layout: Layout,
    /// Other files that hold the same, or its beginning.
    pub copies: Vec<PathBuf>,
    /// Other paths of the same file.
    pub links: Vec<PathBuf>,
}

/// One entry of a conversation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Item<'a> {
    /// When it was written.
    pub at: Option<Timestamp>,
    /// The file it is in.
    pub rollout: RolloutIx,
    /// Where it is in the file.
    pub position: Position,
    /// Its logical place in the thread's lineage (paginated rollouts only).
    pub ordinal: Option<u64>,
    /// The turn it belongs to; `None` before the first one.
    pub turn: Option<SpanIx>,
    /// Whether the harness wrote it in somebody's name: context, instructions,
    /// notifications.
    pub synthetic: bool,
    /// Whether the model made it; not so where the parent of a review repeats
    /// the reviewer's answer.
    pub made_by_model: bool,
    /// What it is.
    pub body: ResponseItem<'a>,
}

/// A stretch of a thread during which the model's history only grew.
///
/// A compaction, a rollback or a revert begins another one.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct History<'a> {
    /// What the history was replaced by, if a compaction began it.
    pub replacement: Option<RawJson<'a>>,
    /// The earlier items that still count, as half-open ranges.
    pub base: Vec<(ItemIx, ItemIx)>,
    /// The first item of this stretch; it and all later ones count.
    pub from: u32,
    /// Whether the model also saw the history of the thread that this one was
    /// forked from, which is not repeated here.
    pub inherited: bool,
}

/// What became of every line of a thread's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// Lines that are not blank.
    pub lines: u64,
    /// Lines that became items.
    pub items: u64,
    /// Lines that say something about spans: brackets, usage, details, events.
    pub spans: u64,
    /// Lines left out on purpose, by name.
    pub ignored: BTreeMap<&'static str, u64>,
    /// Lines that are reported in [`Trace::diagnostics`].
    pub diagnosed: u64,
}

impl Account {
    /// Returns whether every line is accounted for.
    pub fn closes(&self) -> bool {
        self.lines == self.items + self.spans + self.ignored.values().sum::<u64>() + self.diagnosed
    }
}

/// An item by an index that comes from this thread.
///
/// # Panics
///
/// If the index is of another thread.
impl<'a> std::ops::Index<ItemIx> for Thread<'a> {
    type Output = Item<'a>;

    fn index(&self, ix: ItemIx) -> &Item<'a> {
        &self.items[ix.0 as usize]
    }
}

impl<'a> Thread<'a> {
    /// Returns an item of this thread; none if the index is of another one.
    pub fn item(&self, ix: ItemIx) -> Option<&Item<'a>> {
        self.items.get(ix.0 as usize)
    }

    /// Returns what a history holds before the item `end`, newest first; what a
    /// compaction put in the place of older items is not among them.
    pub fn newest_first(
        &self,
        history: u32,
        end: ItemIx,
    ) -> impl Iterator<Item = (ItemIx, &Item<'a>)> {
        let history = self.histories.get(history as usize);
        let own = history.map(|it| (ItemIx(it.from), end));
        let base = history.map_or(&[][..], |it| &it.base);
        own.into_iter()
            .chain(base.iter().rev().copied())
            .flat_map(|(from, to)| (from.0..to.0).rev().map(ItemIx))
            .filter_map(|ix| Some((ix, self.item(ix)?)))
    }

    /// Returns a file of this thread; none if the index is of another one.
    pub fn rollout(&self, ix: RolloutIx) -> Option<&Rollout> {
        self.rollouts.get(ix.0 as usize)
    }
}

impl<'a> Trace<'a> {
    /// Returns the root thread.
    pub fn root(&self) -> &Thread<'a> {
        &self.threads[0]
    }

    /// Returns the session's id: that of its root thread.
    pub fn session_id(&self) -> &str {
        &self.root().id
    }

    /// Returns a span.
    pub fn span(&self, ix: SpanIx) -> &Span<'a> {
        &self.spans[ix.index()]
    }

    /// Returns the thread of a span.
    pub fn thread_of(&self, span: &Span<'a>) -> &Thread<'a> {
        &self.threads[span.thread.0 as usize]
    }

    /// Returns whether a span may still go on, or get another place, however long
    /// ago its last line was written. So may a turn of which the files have no
    /// end (those before 0.100 have none at all), and no later turn of its
    /// thread; and what is of a subagent whose parent's file does not yet show
    /// the call that spawned it.
    pub fn is_open(&self, span: &Span<'a>) -> bool {
        let thread = self.thread_of(span);
        let is_adrift = || {
            let above = self.span(thread.span).parent.map(|above| &self.span(above).kind);
            thread.parent_thread_id.is_some() && matches!(above, None | Some(SpanKind::Thread))
        };
        match &span.kind {
            SpanKind::Turn(turn) => {
                let has_no_end = span.status == Status::Incomplete || !turn.marked;
                has_no_end && turn.number == thread.n_turns || is_adrift()
            }
            SpanKind::Thread => is_adrift(),
            _ => false,
        }
    }

    /// Returns the spans directly below another one, in file order.
    pub fn children(&self, of: SpanIx) -> impl Iterator<Item = (SpanIx, &Span<'a>)> {
        // Everything below a span comes right after it.
        let after = self.spans.iter().enumerate().skip(of.index() + 1);
        after
            .take_while(move |(_, span)| span.parent >= Some(of))
            .filter(move |(_, span)| span.parent == Some(of))
            .map(|(ix, span)| (span_ix(ix), span))
    }

    /// Returns all spans with their indices, parents first.
    pub fn iter(&self) -> impl Iterator<Item = (SpanIx, &Span<'a>)> {
        self.spans.iter().enumerate().map(|(ix, span)| (span_ix(ix), span))
    }

    /// Returns the usage of the whole session: the sum of all its model calls.
    pub fn usage(&self) -> TokenUsage {
        self.model_calls().filter_map(|span| span.usage).sum()
    }

    /// Returns every model call of the session, in file order.
    pub fn model_calls(&self) -> impl Iterator<Item = &Span<'a>> {
        self.spans.iter().filter(|span| matches!(span.kind, SpanKind::ModelCall(_)))
    }

    /// Returns when a call was made, as well as can be told: when it ended, else
    /// when it began, else when its thread was made (by the local clock of its
    /// machine, where that is all that was recorded).
    pub fn made_at(&self, span: &Span<'a>) -> Option<Timestamp> {
        let thread = self.thread_of(span);
        let local = || thread.created_local?.decode().parse().ok();
        span.end.or(span.start).or(thread.created).or_else(local)
    }

    /// Returns how the session stands: as its root thread does.
    pub fn status(&self) -> &Status<'a> {
        &self.span(self.root().span).status
    }

    /// Returns how the session stands, in a word.
    pub fn standing(&self) -> Standing {
        match self.status() {
            Status::Error { .. } => Standing::Error,
            Status::Interrupted { .. } => Standing::Interrupted,
            Status::Incomplete => Standing::Open,
            _ => Standing::Complete,
        }
    }

    /// Returns when the session began.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.span(self.root().span).start.or(self.root().created)
    }

    /// Returns when the last thing in the session happened.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.spans.iter().filter_map(|span| span.end.or(span.start)).max()
    }

    /// Counts how far each thread is from the root.
    pub(crate) fn set_depths(&mut self) {
        for ix in 1..self.threads.len() {
            let parent = self.span(self.threads[ix].span).parent;
            let upper = parent.map_or(0, |parent| self.span(parent).thread.0 as usize);
            self.threads[ix].depth = self.threads[upper].depth + 1;
        }
    }

    /// Checks what every trace promises: one root, parents first, keys unique
    /// within a thread, children within their parents.
    ///
    /// # Errors
    ///
    /// If the promise is broken, which is always a fault of this program.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut keys = std::collections::HashSet::new();
        for (ix, span) in self.iter() {
            let fault = |what| Err(Invalid { key: span.key.clone(), what });
            if !keys.insert((span.thread, span.key.as_str())) {
                return fault("its key is not unique");
            }
            let Some(parent) = span.parent else {
                if ix.0 != 0 {
                    return fault("it is a second root");
                }
                continue;
            };
            if parent >= ix {
                return fault("it comes before its parent");
            }
            let parent = self.span(parent);
            if let (Some(outer), Some(inner)) = (parent.start, span.start)
                && inner < outer
            {
                return fault("it starts before its parent");
            }
            if let (Some(outer), Some(inner)) = (parent.end, span.end.or(span.start))
                && inner > outer
                && !span.outlives_parent
            {
                return fault("it ends after its parent");
            }
            if let (Some(start), Some(end)) = (span.start, span.end)
                && end < start
            {
                return fault("it ends before it starts");
            }
        }
        Ok(())
    }
}

/// Returns the index of a span as spans keep it.
pub(crate) fn span_ix(ix: usize) -> SpanIx {
    SpanIx(u32::try_from(ix).expect("fewer than 2^32 spans"))
}

/// A broken promise of a [`Trace`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    key: String,
    what: &'static str,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "span `{}`: {}", self.key, self.what)
    }
}

impl std::error::Error for Invalid {}
