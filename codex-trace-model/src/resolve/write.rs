//! The spans of one thread: what becomes of each draft.

use std::borrow::Cow;
use std::fmt::Write;

use codex_rollout::JsonText;
use hashbrown::HashMap;
use jiff::Timestamp;

use crate::diagnostic::Code;
use crate::resolve::ThreadBuilder;
use crate::resolve::clock::{keep_within, times};
use crate::resolve::finish::{ResolvedTurn, sum};
use crate::resolve::keys::Keys;
use crate::resolve::model_call::{self, CallDraft};
use crate::resolve::tool_call::ToolDraft;
use crate::resolve::turn::TurnDraft;
use crate::span::{Compaction, ModelCall, Provenance, Span, SpanKind, Status, Turn};
use crate::tool::ToolFamily;
use crate::trace::{RolloutIx, SpanIx, ThreadIx};

/// Writes the spans of one thread.
pub(super) struct SpanWriter<'b, 'a> {
    pub(super) builder: &'b mut ThreadBuilder<'a>,
    /// The thread's tool calls, as long as they have no spans.
    tools: Vec<Option<Box<ToolDraft<'a>>>>,
    pub(super) spans: Vec<Span<'a>>,
    keys: Keys,
    pub(super) named_agents: Vec<(SpanIx, Cow<'a, str>)>,
    /// The provider that the thread was made with.
    provider: Option<JsonText<'a>>,
    /// Whether the key of the last turn had not come up before.
    has_own_key: bool,
}

/// A child of a turn, to be put in file order: by indices.
#[derive(Clone, Copy)]
enum Child {
    /// With the request that was made for it.
    Compaction(usize, Option<usize>),
    ModelCall(usize),
    Tool(usize),
}

impl<'a> SpanWriter<'_, 'a> {
    pub(super) fn new<'b>(builder: &'b mut ThreadBuilder<'a>) -> SpanWriter<'b, 'a> {
        let last_line = builder.last_line;
        let id = builder.thread_id.clone();
        let thread = Span {
            key: format!("thread:{id}"),
            thread: ThreadIx(0),
            parent: None,
            name: Cow::Borrowed("thread"),
            start: None,
            end: None,
            status: Status::Ok,
            usage: None,
            kind: SpanKind::Thread,
            links: Vec::new(),
            events: Vec::new(),
            recorded: None,
            provenance: Provenance {
                rollout: RolloutIx(0),
                first_line: 1,
                last_line: last_line.max(1),
            },
            outlives_parent: false,
        };
        let n_spans = builder.expected_spans();
        let (mut keys, mut spans) = (Keys::with_capacity(n_spans), Vec::with_capacity(n_spans));
        keys.insert(&thread.key, &spans);
        spans.push(thread);
        let tools = std::mem::take(&mut builder.tools).calls.into_iter().map(Some).collect();
        let provider = builder.meta.and_then(|meta| meta.model_provider);
        SpanWriter {
            builder,
            tools,
            spans,
            keys,
            named_agents: Vec::new(),
            provider,
            has_own_key: false,
        }
    }

    /// Gives a span whose key came up before one of its own.
    fn make_key_unique(&mut self, span: &mut Span<'a>) {
        let is_own = self.keys.insert(&span.key, &self.spans);
        if let SpanKind::Turn(_) = span.kind {
            self.has_own_key = is_own;
        }
        if is_own {
            return;
        }
        let base = std::mem::take(&mut span.key);
        span.key = self.keys.another(&base, &self.spans);
        let Provenance { rollout, first_line: line, .. } = span.provenance;
        self.builder.diagnose_in(
            rollout,
            Code::DuplicateId,
            None,
            format_args!(
                "line {line}: the id of `{base}` came up before; this span is `{}`",
                span.key
            ),
        );
    }

    /// Adds a span within its parent; its key becomes unique.
    fn push(&mut self, mut span: Span<'a>) -> SpanIx {
        self.make_key_unique(&mut span);
        self.push_keyed(span)
    }

    /// As [`push`](Self::push), for a span whose key need not be looked at.
    fn push_keyed(&mut self, mut span: Span<'a>) -> SpanIx {
        if let Some(parent) = span.parent {
            let parent = &self.spans[parent.index()];
            // A thread's own times are those of its turns.
            let whole = matches!(parent.kind, SpanKind::Thread);
            let (start, end) = if whole { (None, None) } else { (parent.start, parent.end) };
            keep_within(&mut span, start, end);
        }
        self.spans.push(span);
        SpanIx(u32::try_from(self.spans.len() - 1).expect("fewer than 2^32 spans"))
    }

    pub(super) fn turn(&mut self, mut draft: TurnDraft<'a>) -> ResolvedTurn<'a> {
        let mut calls = model_call::model_calls(&draft, self.builder.counts_lead());
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
        let end = if backwards { draft.last_at } else { draft.end };
        let span = self.push(Span {
            key: format!("turn:{}", draft.id),
            thread: ThreadIx(0),
            parent: Some(SpanIx(0)),
            name: Cow::Owned(format!("turn {}", turn.number)),
            start: draft.start,
            end,
            status: draft.status.clone(),
            usage: None,
            kind: SpanKind::Turn(Box::new(turn)),
            links: Vec::new(),
            events: std::mem::take(&mut draft.events),
            recorded,
            provenance: provenance(&draft, draft.first_line, draft.last_line),
            outlives_parent: false,
        });
        self.children(&draft, calls, span);
        let below = self.spans[span.index()..].iter();
        let usage = sum(below.filter(|span| matches!(span.kind, SpanKind::ModelCall(_))));
        self.spans[span.index()].usage = usage;
        let restamped = draft.restamped;
        ResolvedTurn { span, turn_id, parent_turn_id, root_turn_id, review, restamped, forwarded }
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
            let Some(call) = &self.tools[tool] else { continue };
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
                    let span = self.compaction(draft, ix, waited[ix], turn);
                    if let Some(n) = request {
                        self.model_call(draft, n, &mut calls[n], span);
                    }
                }
                Child::ModelCall(n) => self.model_call(draft, n, &mut calls[n], turn),
                Child::Tool(tool) => {
                    let span = self.tool(draft, tool, turn);
                    for inner in nested.remove(&tool).unwrap_or_default() {
                        self.tool(draft, inner, span);
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
            let Some(ToolDraft { call, outcome, session, .. }) = self.tools[tool].as_deref() else {
                continue;
            };
            if call.family == ToolFamily::Command
                && let Some(session) = outcome.running_session()
            {
                running.insert(session.clone(), tool);
            } else if let (Some(session), Some(code)) = (session, outcome.exit_code)
                && let Some(command) = running.remove(session.as_str())
                && let Some(command) = &mut self.tools[command]
            {
                command.call.exit_code.get_or_insert(code);
            }
        }
    }

    fn compaction(
        &mut self,
        draft: &TurnDraft<'a>,
        ix: usize,
        waited: Option<Timestamp>,
        turn: SpanIx,
    ) -> SpanIx {
        let compaction = &draft.compactions[ix];
        self.push(Span {
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
            links: Vec::new(),
            events: Vec::new(),
            recorded: None,
            provenance: provenance(draft, compaction.line, compaction.line),
            outlives_parent: false,
        })
    }

    fn model_call(
        &mut self,
        draft: &TurnDraft<'a>,
        n: usize,
        call: &mut CallDraft<'a>,
        parent: SpanIx,
    ) {
        let usage = call.usage.map(|usage| draft.usages[usage as usize]);
        let model = call.settings.model;
        // Calls that are only counted need neither: their keys are unique if
        // their turn's is.
        let counted = self.builder.outline && self.has_own_key;
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
                provider: call.settings.provider.or(self.provider),
                response_id: usage.and_then(|usage| usage.response_id),
                window: call.window,
                output: std::mem::take(&mut call.items),
                evidence: call.evidence,
                compaction: call.compaction.is_some(),
            })),
            links: Vec::new(),
            events: Vec::new(),
            recorded: None,
            provenance: provenance(draft, call.first_line, call.last_line),
            outlives_parent: false,
        };
        if counted {
            self.push_keyed(span)
        } else {
            self.push(span)
        };
    }

    fn tool(&mut self, draft: &TurnDraft<'a>, tool: usize, parent: SpanIx) -> SpanIx {
        let mut tool = *self.tools[tool].take().expect("a call is of one turn, and there once");
        let outcome = &mut tool.outcome;
        let call = &mut tool.call;
        call.exit_code = call.exit_code.or(outcome.exit_code);
        call.duration = call.duration.or(outcome.duration);
        call.success = tool.told.succeeded;
        if call.family == ToolFamily::Agents
            && let Some(agent) = outcome.more.as_mut().and_then(|it| it.agent_id.take())
            && !call.spawned.contains(&agent)
            && call.tool.is_some_and(|tool| tool.is("spawn_agent"))
        {
            call.spawned.push(agent);
        }
        let (start, end) = times(&tool);
        let status = self.builder.tool_status(draft, &tool);
        let more = tool.outcome.more.take().map(|it| *it).unwrap_or_default();
        let mut call = tool.call;
        call.running_session = more.running_session;
        let (key, name) = (tool.key, tool.name);
        let provenance = provenance(draft, tool.first_line, tool.last_line);
        let span = self.push(Span {
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
            links: Vec::new(),
            events: Vec::new(),
            recorded: None,
            outlives_parent: false,
        });
        self.named_agents.extend(more.task_name.map(|path| (span, path)));
        span
    }
}

impl<'a> ThreadBuilder<'a> {
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
            self.diagnose_in(
                draft.rollout,
                Code::CallWithoutOutput,
                None,
                format_args!("line {line}: a call without an output, though its turn ended"),
            );
        }
        Status::Incomplete
    }

    /// Returns how many spans there are going to be, more or less.
    fn expected_spans(&self) -> usize {
        let calls = |turn: &TurnDraft<'_>| turn.usages.len().max(1) + turn.compactions.len();
        1 + self.turns.iter().map(|turn| 1 + calls(turn)).sum::<usize>() + self.tools.calls.len()
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
