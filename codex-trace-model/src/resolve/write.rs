//! The spans of one thread: what becomes of each draft.

use std::borrow::Cow;
use std::fmt::{self, Write};

use codex_rollout::JsonText;
use hashbrown::HashMap;
use jiff::Timestamp;

use crate::diagnostic::{Code, Diagnostics};
use crate::resolve::clock::{keep_within, times};
use crate::resolve::finish::{ResolvedTurn, sum};
use crate::resolve::keys::Keys;
use crate::resolve::model_call::{self, CallDraft};
use crate::resolve::tool_call::ToolDraft;
use crate::resolve::turn::TurnDraft;
use crate::resolve::{ThreadBuilder, oddity};
use crate::span::{Compaction, ModelCall, Provenance, Span, SpanExtras, SpanKind, Status, Turn};
use crate::tool::ToolFamily;
use crate::trace::{RolloutIx, SpanIx, ThreadIx, span_ix};

/// The spans of a thread, as far as they are written.
#[derive(Debug, Default)]
pub(super) struct Written<'a> {
    /// The thread's own first.
    pub(super) spans: Vec<Span<'a>>,
    keys: Keys,
    pub(super) turns: Vec<ResolvedTurn<'a>>,
    /// Calls that made an agent known by its path only, with that path.
    pub(super) named_agents: Vec<(SpanIx, Cow<'a, str>)>,
    /// Whether the key of the last turn had not come up before.
    has_own_key: bool,
    /// What was odd about details without calls, and about spans: told when all
    /// lines have been read.
    pub(super) of_details: Diagnostics,
    pub(super) of_spans: Diagnostics,
}

/// A child of a turn, to be put in file order: by indices.
#[derive(Clone, Copy)]
enum Child {
    /// With the request that was made for it.
    Compaction(usize, Option<usize>),
    ModelCall(usize),
    Tool(usize),
}

impl<'a> ThreadBuilder<'a> {
    /// Makes spans of the turns that have ended, as far as none before them may
    /// still go on; returns where the first of those begins in its file.
    #[inline]
    pub(super) fn write_ended_turns(&mut self) -> Option<u64> {
        let mut first_byte = None;
        // Until it is known what wrote the file, and for whom.
        while self.meta.is_some()
            && let Some(turn) = self.turns.take_ended()
        {
            first_byte = first_byte.or(Some(turn.first_byte));
            self.write_turn(turn);
        }
        first_byte
    }

    /// Makes spans of a turn that has ended.
    pub(super) fn write_turn(&mut self, mut draft: TurnDraft<'a>) {
        if self.written.spans.is_empty() {
            // The thread's own, of which more is known in the end.
            self.written.spans.push(thread_span());
        }
        self.settle_details(self.written.turns.len(), &mut draft);
        let turn = self.turn_span(draft);
        self.written.turns.push(turn);
    }

    /// Returns what is known of a turn, whether it has its span or not.
    pub(super) fn turn_mut(&mut self, turn: usize) -> &mut Turn<'a> {
        if let Some(written) = self.written.turns.get(turn)
            && let SpanKind::Turn(turn) = &mut self.written.spans[written.span.index()].kind
        {
            return turn;
        }
        &mut self.turns[turn].turn
    }

    /// Returns the history that a turn began with, and its first item.
    pub(super) fn beginning_of(&self, turn: usize) -> (usize, u32) {
        match self.written.turns.get(turn) {
            Some(written) => (written.history, written.first_item),
            None => (self.turns[turn].history, self.turns[turn].first_item),
        }
    }

    /// Gives a span whose key came up before one of its own.
    fn make_key_unique(&mut self, span: &mut Span<'a>) {
        let is_own = self.written.keys.insert(&span.key, &self.written.spans);
        if let SpanKind::Turn(_) = span.kind {
            self.written.has_own_key = is_own;
        }
        if is_own {
            return;
        }
        let base = std::mem::take(&mut span.key);
        span.key = self.written.keys.another(&base, &self.written.spans);
        let Provenance { rollout, first_line: line, .. } = span.provenance;
        self.diagnose_written(
            |written| &mut written.of_spans,
            rollout,
            Code::DuplicateId,
            format_args!(
                "line {line}: the id of `{base}` came up before; this span is `{}`",
                span.key
            ),
        );
    }

    /// Adds a span within its parent; its key becomes unique.
    fn push_span(&mut self, mut span: Span<'a>) -> SpanIx {
        self.make_key_unique(&mut span);
        self.push_keyed(span)
    }

    /// As [`push_span`](Self::push_span), for a span whose key need not be looked at.
    fn push_keyed(&mut self, mut span: Span<'a>) -> SpanIx {
        if let Some(parent) = span.parent {
            let parent = &self.written.spans[parent.index()];
            // A thread's own times are those of its turns.
            let whole = matches!(parent.kind, SpanKind::Thread);
            let (start, end) = if whole { (None, None) } else { (parent.start, parent.end) };
            keep_within(&mut span, start, end);
        }
        self.written.spans.push(span);
        span_ix(self.written.spans.len() - 1)
    }

    fn turn_span(&mut self, mut draft: TurnDraft<'a>) -> ResolvedTurn<'a> {
        let mut calls = model_call::model_calls(&draft, self.counts_lead());
        if draft.is_imported() {
            calls.retain(|call| call.usage.is_some());
        }
        let turn = std::mem::take(&mut draft.turn);
        let (turn_id, parent_turn_id) = (turn.turn_id, turn.parent_turn_id);
        let (root_turn_id, forwarded) = (turn.root_turn_id, draft.forwarded);
        let review = turn.review.is_some();
        let mut turn = Turn { prompt: turn.prompt.filter(|_| turn.input.is_empty()), ..turn };
        if let Some(first) = calls.first() {
            // What is not said of the turn, and holds for it all the same.
            turn.effort = turn.effort.or(first.settings.effort);
            turn.service_tier = first.settings.service_tier;
            turn.personality = turn.personality.or(first.settings.personality);
            turn.reasoning_summary = turn.reasoning_summary.or(first.settings.reasoning_summary);
        }
        if turn.last_agent_message.is_none() && calls.iter().all(|call| call.items.is_empty()) {
            turn.last_agent_message = draft.last_answer.filter(|text| !text.is_empty());
        }
        // A clock set back before the turn began says nothing about its end.
        let backwards = draft.end.zip(draft.start).is_some_and(|(end, start)| end < start);
        let recorded = backwards.then_some((draft.start, draft.end));
        let events = std::mem::take(&mut draft.events);
        let end = if backwards { draft.last_at } else { draft.end };
        let span = self.push_span(Span {
            key: format!("turn:{}", draft.id),
            thread: ThreadIx(0),
            parent: Some(SpanIx(0)),
            name: Cow::Owned(format!("turn {}", turn.number)),
            start: draft.start,
            end,
            status: draft.status.clone(),
            usage: None,
            kind: SpanKind::Turn(Box::new(turn)),
            extras: (recorded.is_some() || !events.is_empty())
                .then(|| Box::new(SpanExtras { events, recorded, ..SpanExtras::default() })),
            provenance: provenance(&draft, draft.first_line, draft.last_line),
            outlives_parent: false,
        });
        self.children(&draft, calls, span);
        let below = self.written.spans[span.index()..].iter();
        let usage = sum(below.filter(|span| matches!(span.kind, SpanKind::ModelCall(_))));
        self.written.spans[span.index()].usage = usage;
        ResolvedTurn {
            span,
            turn_id,
            parent_turn_id,
            root_turn_id,
            review,
            restamped: draft.restamped,
            forwarded,
            history: draft.history,
            first_item: draft.first_item,
        }
    }

    fn children(&mut self, draft: &TurnDraft<'a>, mut calls: Vec<CallDraft<'a>>, turn: SpanIx) {
        let n_children = calls.len() + draft.compactions.len() + draft.tools.len();
        let mut children: Vec<(u64, Child)> = Vec::with_capacity(n_children);
        let mut requests: Vec<Option<usize>> = vec![None; draft.compactions.len()];
        for (n, call) in calls.iter().enumerate() {
            match call.compaction {
                Some(ix) => requests[ix] = Some(n),
                None => children.push((call.first_line, Child::ModelCall(n))),
            }
        }
        for (ix, request) in requests.into_iter().enumerate() {
            let line = request.map_or(draft.compactions[ix].line, |n| calls[n].first_line);
            children.push((line, Child::Compaction(ix, request)));
        }
        let mut nested: HashMap<usize, Vec<usize>> = HashMap::new();
        for &tool in &draft.tools {
            let Some(call) = self.tools.draft(tool) else { continue };
            match call.inside {
                Some(script) => nested.entry(script).or_default().push(tool),
                None => children.push((call.first_line, Child::Tool(tool))),
            }
        }
        children.sort_by_key(|(line, _)| *line);
        self.join_exits(draft);
        let waited = times_before_compactions(draft);
        for (_, child) in children {
            match child {
                Child::Compaction(ix, request) => {
                    let span = self.compaction_span(draft, ix, waited[ix], turn);
                    if let Some(n) = request {
                        self.model_call_span(draft, n, &mut calls[n], span);
                    }
                }
                Child::ModelCall(n) => self.model_call_span(draft, n, &mut calls[n], turn),
                Child::Tool(tool) => {
                    let span = self.tool_span(draft, tool, turn);
                    for inner in nested.remove(&tool).unwrap_or_default() {
                        self.tool_span(draft, inner, span);
                    }
                }
            }
        }
    }

    /// A command that went on after its call had returned may end in a later
    /// `write_stdin`, whose output then tells the exit code.
    fn join_exits(&mut self, draft: &TurnDraft<'a>) {
        let mut running: HashMap<Cow<'a, str>, usize> = HashMap::new();
        for &tool in &draft.tools {
            let Some(ToolDraft { call, outcome, session, .. }) = self.tools.draft(tool) else {
                continue;
            };
            if call.family == ToolFamily::Command
                && let Some(session) = outcome.running_session()
            {
                running.insert(session.clone(), tool);
            } else if let (Some(session), Some(code)) = (session, outcome.exit_code)
                && let Some(command) = running.remove(session.as_str())
                && let Some(command) = self.tools.draft(command)
            {
                command.call.exit_code.get_or_insert(code);
            }
        }
    }

    fn compaction_span(
        &mut self,
        draft: &TurnDraft<'a>,
        ix: usize,
        waited: Option<Timestamp>,
        turn: SpanIx,
    ) -> SpanIx {
        let compaction = &draft.compactions[ix];
        self.push_span(Span {
            key: numbered_key("compaction:", &draft.id, ix),
            thread: ThreadIx(0),
            parent: Some(turn),
            name: Cow::Borrowed("compaction"),
            start: compaction.started.or(waited),
            end: compaction.completed.or(compaction.at),
            status: Status::Ok,
            usage: None,
            kind: SpanKind::Compaction(Box::new(Compaction {
                summary: compaction.summary,
                replacement_history: compaction.replacement,
                window_number: compaction.window_number,
                window_id: compaction.window_id,
                previous_window_id: compaction.previous_window_id,
            })),
            extras: None,
            provenance: provenance(draft, compaction.line, compaction.line),
            outlives_parent: false,
        })
    }

    fn model_call_span(
        &mut self,
        draft: &TurnDraft<'a>,
        n: usize,
        call: &mut CallDraft<'a>,
        parent: SpanIx,
    ) {
        let usage = call.usage.map(|usage| draft.usages[usage as usize]);
        let model = call.settings.model;
        let provider = self.meta.and_then(|meta| meta.model_provider);
        // Calls that are only counted need neither: their keys are unique if
        // their turn's is.
        let counted = self.outline && self.written.has_own_key;
        let name = model.filter(|_| !counted).map(JsonText::decode);
        let span = Span {
            key: if counted { String::new() } else { numbered_key("llm:", &draft.id, n) },
            thread: ThreadIx(0),
            parent: Some(parent),
            name: name.unwrap_or(Cow::Borrowed("model call")),
            start: call.start,
            end: call.end,
            status: Status::Ok,
            usage: usage.and_then(|usage| usage.usage),
            kind: SpanKind::ModelCall(Box::new(ModelCall {
                model,
                effort: call.settings.effort,
                service_tier: call.settings.service_tier,
                provider: call.settings.provider.or(provider),
                response_id: usage.and_then(|usage| usage.response_id),
                window: call.window,
                output: std::mem::take(&mut call.items),
                evidence: call.evidence,
                compaction: call.compaction.is_some(),
            })),
            extras: None,
            provenance: provenance(draft, call.first_line, call.last_line),
            outlives_parent: false,
        };
        if counted {
            self.push_keyed(span)
        } else {
            self.push_span(span)
        };
    }

    fn tool_span(&mut self, draft: &TurnDraft<'a>, tool: usize, parent: SpanIx) -> SpanIx {
        let mut tool = *self.tools.take(tool).expect("a call is of one turn, and there once");
        let outcome = &mut tool.outcome;
        let call = &mut tool.call;
        call.exit_code = call.exit_code.or(outcome.exit_code);
        call.duration = call.duration.or(outcome.duration);
        call.success = tool.told.succeeded;
        if call.family == ToolFamily::Agents
            && let Some(agent) = outcome.more.as_mut().and_then(|it| it.agent_id.take())
            && !call.extras().spawned.contains(&agent)
            && call.tool.is_some_and(|tool| tool.is("spawn_agent"))
        {
            call.extras_mut().spawned.push(agent);
        }
        let (start, end) = times(&tool);
        let status = self.tool_status(draft, &tool);
        let more = tool.outcome.more.take().map(|it| *it).unwrap_or_default();
        let mut call = tool.call;
        call.put(more.running_session, |extras, it| extras.running_session = Some(it));
        let (key, name) = (tool.key, tool.name);
        let provenance = provenance(draft, tool.first_line, tool.last_line);
        let span = self.push_span(Span {
            key,
            thread: ThreadIx(0),
            parent: Some(parent),
            name,
            start,
            end,
            status,
            usage: None,
            provenance,
            kind: SpanKind::ToolCall(call),
            extras: None,
            outlives_parent: false,
        });
        self.written.named_agents.extend(more.task_name.map(|path| (span, path)));
        span
    }

    fn tool_status(&mut self, draft: &TurnDraft<'a>, tool: &ToolDraft<'a>) -> Status<'a> {
        let error = |message: Cow<'a, str>| Status::Error { message };
        let told = &tool.told;
        let more = tool.outcome.more.as_deref();
        if let Some(reason) = more.and_then(|it| it.aborted.as_ref()) {
            return Status::Interrupted { reason: reason.clone() };
        }
        if told.declined {
            return error("declined".into());
        }
        let complaint = more.and_then(|it| it.complaint.as_ref()).filter(|_| !told.worked);
        match (tool.call.exit_code, complaint) {
            // What Codex writes for a process that it could not start.
            (Some(-1), Some(complaint)) => return error(complaint.clone()),
            (Some(code), _) if code != 0 => return error(format!("exit code {code}").into()),
            _ => {}
        }
        // An item may say no more than that it failed.
        let failed = told.failed.as_ref().filter(|why| *why != "failed" || complaint.is_none());
        if let Some(failed) = failed.or(complaint) {
            return error(failed.clone());
        }
        let answered = tool.call.output_item.is_some() || tool.whole || told.ended;
        if answered || tool.call.call_item.is_none() {
            return Status::Ok;
        }
        if let Status::Interrupted { reason } = &draft.status {
            return Status::Interrupted { reason: reason.clone() };
        }
        if draft.end.is_some() {
            let line = tool.first_line;
            self.diagnose_written(
                |written| &mut written.of_spans,
                draft.rollout,
                Code::CallWithoutOutput,
                format_args!("line {line}: a call without an output, though its turn ended"),
            );
        }
        Status::Incomplete
    }

    /// Notes something odd about what is written before all lines are read.
    pub(super) fn diagnose_written(
        &mut self,
        list: for<'w> fn(&'w mut Written<'a>) -> &'w mut Diagnostics,
        file: RolloutIx,
        code: Code,
        text: impl fmt::Display,
    ) {
        let files = &self.rollouts;
        list(&mut self.written).push(file, code, None, || oddity(files, file, code, None, text));
    }
}

/// Makes the span of a thread of which nothing is known yet.
pub(super) fn thread_span<'a>() -> Span<'a> {
    Span {
        key: String::new(),
        thread: ThreadIx(0),
        parent: None,
        name: Cow::Borrowed("thread"),
        start: None,
        end: None,
        status: Status::Ok,
        usage: None,
        kind: SpanKind::Thread,
        extras: None,
        provenance: Provenance { rollout: RolloutIx(0), first_line: 1, last_line: 1 },
        outlives_parent: false,
    }
}

/// Returns the last time before each compaction of a turn.
fn times_before_compactions(draft: &TurnDraft<'_>) -> Vec<Option<Timestamp>> {
    let mut marks = draft.marks.iter().peekable();
    let mut last = draft.start;
    let before = draft.compactions.iter().map(|compaction| {
        while let Some(mark) = marks.next_if(|mark| mark.line < compaction.line) {
            last = mark.at.or(last);
        }
        last
    });
    before.collect()
}

fn numbered_key(kind: &str, id: &str, n: usize) -> String {
    // Room for the number, so that the text need not move.
    let mut key = String::with_capacity(kind.len() + id.len() + 8);
    key.push_str(kind);
    key.push_str(id);
    write!(key, ":{n}").expect("a string takes everything");
    key
}

fn provenance(draft: &TurnDraft<'_>, first_line: u64, last_line: u64) -> Provenance {
    Provenance { rollout: draft.rollout, first_line, last_line: last_line.max(first_line) }
}
