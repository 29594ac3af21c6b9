//! The end of a thread: its own span, and all that is known of it.

use std::borrow::Cow;

use codex_rollout::{JsonText, Layout, Source, TokenUsage, parent_of};
use jiff::Timestamp;

use crate::diagnostic::Diagnostics;
use crate::resolve::ThreadBuilder;
use crate::resolve::ids::IdTable;
use crate::resolve::stamp;
use crate::resolve::tool_call::ToolTable;
use crate::resolve::write::{Written, thread_span};
use crate::span::{Fate, Provenance, Span, SpanKind};
use crate::trace::{RolloutIx, SpanIx, Thread};

/// After how many spans the pages of large files that were fetched again for them
/// are let go of: names of tools and models stay in the file.
const FETCHED: usize = 32;

/// A thread with its own spans: the thread's first, parents before children.
/// Indices of spans are into `spans`, until threads are put together.
#[derive(Debug)]
pub(crate) struct ResolvedThread<'a> {
    pub(crate) thread: Thread<'a>,
    pub(crate) spans: Vec<Span<'a>>,
    pub(crate) turns: Vec<ResolvedTurn<'a>>,
    /// Calls that made an agent known by its path only, with that path.
    pub(crate) named_agents: Vec<(SpanIx, Cow<'a, str>)>,
    pub(crate) diagnostics: Diagnostics,
}

/// What putting threads together needs to know of a turn.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedTurn<'a> {
    pub(crate) span: SpanIx,
    pub(crate) turn_id: Option<JsonText<'a>>,
    pub(crate) parent_turn_id: Option<JsonText<'a>>,
    pub(crate) root_turn_id: Option<JsonText<'a>>,
    pub(crate) review: bool,
    /// Whether its lines do not tell when it happened.
    pub(crate) restamped: bool,
    /// The reviewer's own turn, as the review shows it.
    pub(crate) forwarded: Option<JsonText<'a>>,
    /// The history that it began with, and its first item.
    pub(crate) history: usize,
    pub(crate) first_item: u32,
}

impl<'a> ThreadBuilder<'a> {
    /// Ends the thread: what still runs stays open.
    pub(crate) fn finish(mut self) -> ResolvedThread<'a> {
        self.open = None;
        self.turns.close_all();
        self.responses = IdTable::default();
        let sources = std::mem::take(&mut self.sources);
        let mut n_told = self.written.spans.len();
        while let Some(turn) = self.turns.take_ended() {
            self.write_turn(turn);
            if self.written.spans.len() >= n_told + FETCHED {
                pass_all(&sources);
                n_told = self.written.spans.len();
            }
        }
        pass_all(&sources);
        self.tools = ToolTable::default();
        self.diagnostics.append(std::mem::take(&mut self.written.of_details));
        self.check_usage();
        self.diagnostics.append(std::mem::take(&mut self.written.of_spans));
        let Written { spans, named_agents, turns: resolved, .. } =
            std::mem::take(&mut self.written);
        let spans = self.finish_thread_span(spans, &resolved);
        for (name, n) in std::mem::take(&mut self.ignored) {
            *self.account.ignored.entry(name).or_default() += n;
        }
        let (meta, true_clock) = (self.meta.unwrap_or_default(), self.has_true_clock());
        let mut items = self.items;
        for item in &mut items {
            item.turn = item.turn.map(|turn| resolved[turn.index()].span);
        }
        let (created, created_local) = created(&meta, true_clock);
        let n_turns = u32::try_from(resolved.len()).unwrap_or(u32::MAX);
        ResolvedThread {
            thread: Thread {
                id: self.thread_id,
                session_id: meta.session_id,
                span: SpanIx(0),
                parent_thread_id: parent_of(&meta),
                forked_from_id: meta.forked_from_id.or(self.copied_from),
                // A migration numbers turns without ids anew in each file.
                forked_at: self.copied_turn.filter(|it| !it.turn_id.raw().starts_with(b"rollout-")),
                copied_turns: self.copied_turns,
                depth: 0,
                rollouts: self.rollouts,
                meta,
                created,
                created_local,
                name: self.name.or(self.indexed_name),
                n_turns,
                items,
                histories: self.histories,
                last_total: self.usage.total(),
                account: self.account,
            },
            spans,
            turns: resolved,
            named_agents,
            diagnostics: self.diagnostics,
        }
    }

    /// Whether what wrote the file told UTC from local time: what wrote times
    /// into lines, and the program in TypeScript, whose files are whole documents.
    fn has_true_clock(&self) -> bool {
        let layout = self.rollouts.first().map(|rollout| rollout.layout);
        self.first_at.is_some() || layout == Some(Layout::Document)
    }

    fn finish_thread_span(
        &mut self,
        mut spans: Vec<Span<'a>>,
        turns: &[ResolvedTurn<'a>],
    ) -> Vec<Span<'a>> {
        if spans.is_empty() {
            spans.push(thread_span());
        }
        let meta = self.meta.unwrap_or_default();
        let (created, _) = created(&meta, self.has_true_clock());
        let kept = |span: &SpanIx| match &spans[span.index()].kind {
            SpanKind::Turn(turn) => turn.fate == Fate::Kept,
            _ => false,
        };
        let mut kept = turns.iter().map(|turn| turn.span).filter(kept);
        // Of files that went on apart, the one that went on last tells.
        let last = if self.forks.is_empty() {
            kept.next_back()
        } else {
            kept.max_by_key(|turn| spans[turn.index()].start)
        };
        let status = last.map(|turn| spans[turn.index()].status.clone()).unwrap_or_default();
        let usage = sum(spans.iter().filter(|span| matches!(span.kind, SpanKind::ModelCall(_))));
        let starts = spans.iter().skip(1).filter_map(|span| span.start);
        let start = created.into_iter().chain(self.first_at).chain(starts).min();
        // An import or a migration writes lines again, long after what they tell.
        let restamped = turns.last().filter(|turn| turn.restamped);
        let last_at = match restamped {
            Some(turn) => spans[turn.span.index()].end,
            None => self.last_at,
        };
        let last_line = self.last_line.max(1);
        let thread = &mut spans[0];
        thread.key = format!("thread:{}", self.thread_id);
        thread.provenance = Provenance { rollout: RolloutIx(0), first_line: 1, last_line };
        thread.start = start;
        thread.end = last_at.max(start.filter(|_| last_at.is_some()));
        thread.status = status;
        thread.usage = usage;
        if !self.events.is_empty() {
            thread.extras_mut().events = std::mem::take(&mut self.events);
        }
        spans
    }
}

/// Lets go of the pages of files that are in memory again.
fn pass_all(sources: &[&Source]) {
    for source in sources {
        source.passed_all();
    }
}

/// When a thread was made. From 13 May 2025 until 0.30 Codex wrote local time
/// and called it UTC; such a time is no instant. Those files have UUIDv4 names
/// and lines without times.
fn created<'a>(
    meta: &codex_rollout::SessionMeta<'a>,
    true_clock: bool,
) -> (Option<Timestamp>, Option<JsonText<'a>>) {
    let Some(text) = meta.timestamp else { return (None, None) };
    let id = meta.id.map(JsonText::decode).unwrap_or_default();
    let v7 = id.len() == 36 && id.as_bytes()[14] == b'7';
    let before_local = text.decode().as_ref() < "2025-05-13";
    if true_clock || v7 || before_local || meta.cli_version.is_some() {
        return (stamp::parse_text(&text.decode()), None);
    }
    (None, Some(text))
}

/// Returns the sum of the usage of spans, or nothing if none has any.
pub(super) fn sum<'s, 'a: 's>(spans: impl Iterator<Item = &'s Span<'a>>) -> Option<TokenUsage> {
    spans.filter_map(|span| span.usage).fold(None, |sum, usage| {
        let mut sum = sum.unwrap_or_default();
        sum += usage;
        Some(sum)
    })
}
