//! A turn's runs, serialised: what each is given, gives back, costs and says
//! about itself.

mod input;
mod more;
mod tools;

use std::borrow::Cow;
use std::collections::HashMap;

use codex_rollout::{JsonText, TokenUsage};
use codex_trace_model::{
    Event, EventKind, ItemIx, Span, SpanIx, SpanKind, Status, Thread, Timestamp, Trace, Turn,
};

use crate::Keep;
use crate::UnitBuilder;
use crate::content::{Part, is_word_for_end};
use crate::json::{self, Object};
use crate::langsmith::ids;
use crate::langsmith::limited::LimitedRules;
use crate::langsmith::messages;
use crate::langsmith::metadata::{Metadata, RunKind};
use crate::langsmith::plan::{Group, Place, Plan, TurnPlan};
use crate::langsmith::runs::input::{Given, Inputs};
use crate::langsmith::wire::{Format, Run};
use crate::langsmith::written::Written;
use crate::otlp::LlmInput;

/// What the plugin puts in the place of content that is private.
const MUTED: &str = "[LangSmith system notice: content omitted because tracing is muted.]";

/// How to encode, for all turns of a session.
pub(super) struct Encoder<'e, 'a> {
    pub(super) trace: &'e Trace<'a>,
    pub(super) rules: &'e LimitedRules<'e>,
    pub(super) plan: &'e Plan<'e, 'a>,
    pub(super) format: &'e Format,
    pub(super) own: &'e serde_json::Map<String, serde_json::Value>,
    pub(super) llm_input: LlmInput,
    /// The most of that, in bytes.
    pub(super) input_bytes: Option<usize>,
    /// The spans directly below each span.
    pub(super) children: &'e [Vec<SpanIx>],
}

/// One turn while it is encoded.
struct TurnEncoder<'t, 'e, 'a> {
    all: &'t Encoder<'e, 'a>,
    plan: &'t TurnPlan<'a>,
    thread: &'t Thread<'a>,
    turn: &'t Turn<'a>,
    metadata: Metadata<'t, 'a>,
    /// Whether its user wants the turn to be private.
    private: bool,
    /// Absent where the turn goes without content.
    written: Option<Written>,
    inputs: Inputs,
    next: u32,
}

impl<'a> Encoder<'_, 'a> {
    /// Encodes a turn with everything below it but subagents' turns.
    pub(super) fn turn(&self, plan: &TurnPlan<'a>, mode: Keep, mut unit: UnitBuilder<'_>) {
        let private = mode == Keep::Metadata;
        let muted = private || !self.rules.keeps(Part::Message);
        let span = self.trace.span(plan.span);
        let SpanKind::Turn(turn) = &span.kind else { unreachable!("only turns are planned") };
        let thread = self.trace.thread_of(span);
        let written = (!muted).then(|| {
            let mut prompt = Vec::new();
            if let Some(text) = thread.meta.base_instructions.and_then(|it| it.text) {
                let text = self.rules.json_text(Part::Message, text);
                let text = text.as_deref().unwrap_or(messages::OMITTED.as_bytes());
                messages::text_part(text, &mut prompt);
            }
            Written::new(thread, &plan.items, &plan.messages, &prompt, self.rules)
        });
        let metadata =
            Metadata { thread, turn, rules: self.rules, own: self.own, muted, turn_id: &plan.key };
        let turn = TurnEncoder {
            all: self,
            plan,
            thread,
            turn,
            metadata,
            private,
            written,
            inputs: Inputs::new(self.input_bytes),
            next: plan.next,
        };
        if self.trace.is_open(span) {
            unit.open_in(&thread.id);
        }
        unit.starts_at(Timestamp::from_millisecond(plan.root.start.millis).ok());
        turn.write(span, &mut unit);
        unit.finish();
    }
}

impl<'e, 'a> TurnEncoder<'_, 'e, 'a> {
    fn write(mut self, span: &Span<'a>, unit: &mut UnitBuilder<'_>) {
        let below = self.below();
        let calls = self.usage_by_group(&below);
        let mut runs_of: HashMap<SpanIx, Place> = HashMap::new();
        let tools: HashMap<JsonText<'a>, SpanIx> = below
            .iter()
            .rev()
            .filter_map(|ix| match &self.all.trace.span(*ix).kind {
                SpanKind::ToolCall(call) => Some((call.call_id?, *ix)),
                _ => None,
            })
            .collect();
        self.root(span, self.last_end(&below), unit);
        for (nth, group) in self.plan.groups.iter().enumerate() {
            self.llm(nth, group, calls.get(&nth), unit);
            for tool in &group.tools {
                let span = tools.get(&tool.call_id).copied();
                let place = self.tool(group, tool, span, unit);
                if let Some(span) = span {
                    runs_of.insert(span, place);
                }
            }
        }
        self.what_the_plugin_lacks(&below, &mut runs_of, unit);
    }

    /// Returns when the last of the turn's runs ends: the root goes first, but
    /// does not end before what is below it.
    fn last_end(&self, below: &[SpanIx]) -> i64 {
        let messages = &self.plan.messages;
        let said = messages.iter().rfind(|it| it.from < it.to).map(|it| it.end);
        let groups = self.plan.groups.iter();
        let of_groups = groups.flat_map(|group| {
            let tools = group.tools.iter().map(|tool| messages[tool.message].end);
            tools.chain([group.end])
        });
        let spans = below.iter().map(|ix| self.all.trace.span(*ix));
        let of_spans = spans.filter_map(|span| Some(span.end.or(span.start)?.as_millisecond()));
        let last = said.into_iter().chain(of_groups).chain(of_spans).max();
        last.map_or(i64::MIN, |last| last + self.plan.shift).max(self.plan.root.start.millis)
    }

    /// Returns the spans of the turn but subagents', parents first.
    fn below(&self) -> Vec<SpanIx> {
        let mut below = Vec::new();
        let mut stack = vec![self.plan.span];
        while let Some(ix) = stack.pop() {
            for &child in self.all.children[ix.index()].iter().rev() {
                if self.all.trace.span(child).kind.word() != "thread" {
                    stack.push(child);
                }
            }
            if ix != self.plan.span {
                below.push(ix);
            }
        }
        below
    }

    /// Finds the model calls that each group came from: the last group that
    /// holds something a call made.
    fn usage_by_group(&self, below: &[SpanIx]) -> HashMap<usize, Vec<SpanIx>> {
        let mut group_of: HashMap<ItemIx, usize> = HashMap::new();
        for (nth, group) in self.plan.groups.iter().enumerate() {
            let message = self.plan.messages[group.message];
            let items = &self.plan.items[message.from..message.to];
            group_of.extend(items.iter().map(|item| (*item, nth)));
        }
        let mut found: HashMap<usize, Vec<SpanIx>> = HashMap::new();
        for &ix in below {
            let SpanKind::ModelCall(call) = &self.all.trace.span(ix).kind else { continue };
            let last = call.output.iter().rev().find_map(|item| group_of.get(item).copied());
            if let Some(group) = last {
                found.entry(group).or_default().push(ix);
            }
        }
        found
    }

    fn root(&self, span: &Span<'a>, end: i64, unit: &mut UnitBuilder<'_>) {
        let failed = |message: Cow<'a, str>| {
            // What a provider says may quote what it was asked.
            if self.private { "failed".into() } else { self.error(&message, Part::Message) }
        };
        let (error, interrupted) = match &span.status {
            Status::Error { message } => (Some(failed(message.clone())), false),
            Status::Interrupted { reason } if reason == "interrupted" => {
                (Some("Turn interrupted".into()), true)
            }
            Status::Interrupted { reason } => {
                let reason = self.all.rules.reason(Part::Message, reason);
                let reason = reason.filter(|reason| !self.private || is_word_for_end(reason));
                let why = reason.map_or(String::new(), |reason| format!(": {reason}"));
                (Some(format!("Turn aborted{why}").into()), false)
            }
            Status::Incomplete => (Some("Turn did not end: the transcript does".into()), true),
            _ => (self.failure(span).map(failed), false),
        };
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        match &self.written {
            None => muted(&mut inputs, &mut outputs),
            Some(written) => self.talk(written, &mut inputs, &mut outputs),
        }
        let kind = RunKind::Root { interrupted, total: span.usage };
        let extra = self.extra(kind, error.is_some(), self.plan.root.start.millis, |_| {});
        let run = Run {
            place: &self.plan.root,
            name: b"\"openai.codex\"".into(),
            run_type: "chain",
            end,
            error,
            inputs: &[&inputs],
            outputs: &outputs,
            extra: &extra,
            events: &self.voice(span),
        };
        self.piece(&run, unit);
    }

    /// Adds the tools that the model was given where they were written, under the
    /// name that the service shows them by.
    fn with_tools(&self, mut extra: Vec<u8>) -> Vec<u8> {
        let tools = self.thread.new_tools(self.turn, self.plan.span);
        let rules = &self.all.rules;
        let keeps = self.written.is_some() && rules.keeps(Part::Message);
        if let (Some(tools), Some(b'}')) = (tools.filter(|_| keeps), extra.last()) {
            extra.pop();
            extra.extend_from_slice(b",\"invocation_params\":{\"tools\":");
            extra.extend_from_slice(&messages::value(tools, Part::Message, rules));
            extra.extend_from_slice(b"}}");
        }
        extra
    }

    /// Returns what is recorded of the thread between the turn before this one
    /// and this one. What follows the last turn waits for the next: a turn that
    /// was sent does not change.
    fn events_before(&self, span: &Span<'a>) -> &'e [Event<'a>] {
        let trace = self.all.trace;
        let siblings = &self.all.children[self.thread.span.index()];
        let earlier = siblings.partition_point(|ix| *ix < self.plan.span);
        let mut earlier = siblings[..earlier].iter().rev().map(|ix| trace.span(*ix));
        let before = earlier.find(|span| matches!(span.kind, SpanKind::Turn(_)));
        let start = |span: &Span<'_>| (span.provenance.rollout, span.provenance.first_line);
        let events = trace.span(self.thread.span).events();
        let at = |event: &Event<'_>| (event.rollout, event.line);
        let from = before.map_or(0, |it| events.partition_point(|event| at(event) < start(it)));
        let to = events.partition_point(|event| at(event) < start(span));
        events.get(from..to).unwrap_or_default()
    }

    /// Writes what was said in a voice session while the turn ran, or before it
    /// and after the one before.
    fn voice(&self, span: &Span<'a>) -> Vec<u8> {
        let voice = |event: &Event<'a>| match event.kind {
            EventKind::Voice(it) => Some((event.at?.as_millisecond(), it)),
            _ => None,
        };
        let before = self.events_before(span).iter();
        let mut said = before.chain(span.events()).filter_map(voice).peekable();
        let mut out = Vec::new();
        if self.written.is_none() || said.peek().is_none() {
            return out;
        }
        let rules = &self.all.rules;
        json::array(&mut out, said, |(at, it), out| {
            json::object(out, |o| {
                o.put("name", "voice");
                o.put("time", ids::time(at + self.plan.shift));
                o.object("kwargs", |o| {
                    o.maybe("what", rules.label(it.kind));
                    o.maybe("role", rules.label(it.said().role));
                    if let Some(text) = it.said().text {
                        messages::put_text("text", text, Part::Message, rules, o);
                    }
                    o.maybe("outcome", rules.label(it.outcome));
                });
            });
        });
        out
    }

    /// Returns what the turn failed with, if it ended without an answer: older
    /// files say so in an event alone.
    fn failure(&self, span: &Span<'a>) -> Option<Cow<'a, str>> {
        let message = |event: &Event<'a>| match event.kind {
            EventKind::Error { message, .. } => message.map(JsonText::decode),
            _ => None,
        };
        let last = span.events().iter().rev().find_map(message);
        last.filter(|_| self.turn.last_agent_message.is_none())
    }

    /// Writes what the user asked, and all that came of it.
    fn talk(&self, written: &Written, inputs: &mut Vec<u8>, outputs: &mut Vec<u8>) {
        let items = &self.plan.items;
        let asked = self.turn.input.first().and_then(|it| items.iter().position(|at| at == it));
        inputs.extend_from_slice(b"{\"messages\":[");
        match (asked, self.turn.prompt) {
            (Some(asked), _) => written.one(self.thread, items, asked, inputs),
            (None, Some(prompt)) => {
                let text = self.all.rules.json_text(Part::Message, prompt);
                let text = text.as_deref().unwrap_or(messages::OMITTED.as_bytes());
                inputs.extend_from_slice(b"{\"role\":\"user\",\"content\":[");
                messages::text_part(text, inputs);
                inputs.extend_from_slice(b"]}");
            }
            (None, None) => {}
        }
        inputs.extend_from_slice(b"]}");
        outputs.extend_from_slice(b"{\"messages\":[");
        // Where nobody asked, what the harness wrote to begin with is no outcome.
        let begun = || {
            let made =
                |ix: &ItemIx| self.thread.item(*ix).is_some_and(|item| item.body.is_answer());
            items.iter().position(made).filter(|_| self.turn.prompt.is_none()).unwrap_or(0)
        };
        let from = asked.map_or_else(begun, |asked| asked + 1);
        let before = outputs.len();
        let room = self.room(inputs.len());
        written.tail(self.thread, items, &self.plan.messages, from, room, outputs);
        if outputs.len() == before
            && let Some(last) = self.turn.last_agent_message
        {
            let text = self.all.rules.json_text(Part::Message, last);
            let text = text.as_deref().unwrap_or(messages::OMITTED.as_bytes());
            outputs.extend_from_slice(b"{\"role\":\"ai\",\"content\":[");
            messages::text_part(text, outputs);
            outputs.extend_from_slice(b"]}");
        }
        outputs.extend_from_slice(b"]}");
    }

    fn llm(
        &mut self,
        nth: usize,
        group: &Group<'a>,
        calls: Option<&Vec<SpanIx>>,
        unit: &mut UnitBuilder<'_>,
    ) {
        let trace = self.all.trace;
        let calls = calls.map_or(&[][..], Vec::as_slice);
        let mut spans = calls.iter().map(|ix| trace.span(*ix));
        let usage: Option<TokenUsage> =
            spans.clone().filter_map(|span| span.usage).reduce(|a, b| [a, b].into_iter().sum());
        let id = self.all.plan.id(self.plan.thread, &self.plan.key, &format!("llm:{nth}"));
        let place = self.plan.root.child(id, group.start + self.plan.shift, group.order);
        let end = (group.end + self.plan.shift).max(place.start.millis);
        let kind = RunKind::Llm { span: spans.next_back(), usage };
        let extra = self.extra(kind, false, place.start.millis, |_| {});
        let events = if nth == 0 { self.first_token(&place, end) } else { Vec::new() };
        let extra = if nth == 0 { self.with_tools(extra) } else { extra };
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        self.look_back(self.history_of(calls));
        let mut given = Given::default();
        match &self.written {
            None => muted(&mut inputs, &mut outputs),
            Some(written) => {
                outputs.extend_from_slice(b"{\"messages\":[");
                let said = written.messages().range(group.message, group.message + 1);
                outputs.extend_from_slice(said);
                outputs.extend_from_slice(b"]}");
                inputs.extend_from_slice(b"{\"messages\":[");
                let before = nth.checked_sub(1).map(|nth| self.plan.groups[nth].message);
                given = self.given(before, group.message, outputs.len());
            }
        }
        let mut spliced: Vec<&[u8]> = vec![&inputs];
        spliced.extend(given.parts());
        if self.written.is_some() {
            spliced.push(b"]}");
        }
        let took = given.len();
        let run = Run {
            place: &place,
            name: b"\"openai.codex.turn\"".into(),
            run_type: "llm",
            end,
            error: None,
            inputs: &spliced,
            outputs: &outputs,
            extra: &extra,
            events: &events,
        };
        self.piece(&run, unit);
        self.inputs.took(took);
    }

    /// Says when the first token came, in the way that LangSmith measures it.
    fn first_token(&self, place: &Place, end: i64) -> Vec<u8> {
        let mut out = Vec::new();
        let started = self.all.trace.span(self.plan.span).start;
        let waited = self.turn.time_to_first_token_ms.and_then(|it| i64::try_from(it).ok());
        if let (Some(started), Some(waited)) = (started, waited) {
            let at = started.as_millisecond() + self.plan.shift + waited;
            let at = at.clamp(place.start.millis, end);
            json::array(&mut out, [at], |at, out| {
                json::object(out, |o| {
                    o.put("name", "new_token");
                    o.put("time", ids::time(at));
                });
            });
        }
        out
    }

    fn extra(
        &self,
        kind: RunKind<'_, 'a>,
        failed: bool,
        start: i64,
        more: impl FnOnce(&mut Object<'_>),
    ) -> Vec<u8> {
        let mut out = Vec::new();
        json::object(&mut out, |o| {
            o.object("metadata", |o| {
                self.metadata.write(kind, failed, more, o);
                if self.plan.shift != 0 {
                    o.put("codex.original_start_time", ids::time(start - self.plan.shift));
                    o.put("codex.time_shift_ms", self.plan.shift);
                }
            });
            if self.written.is_some() {
                o.object("runtime", |o| {
                    o.put("library", "codex-trace");
                    o.put("runtime", "rust");
                    o.put("sdk", "codex-trace");
                    o.put("sdk_version", env!("CARGO_PKG_VERSION"));
                });
            }
        });
        out
    }

    /// Returns what went wrong, as far as it may be said.
    fn error(&self, text: &str, part: Part) -> Cow<'static, str> {
        let kept = self.all.rules.reason(part, text).filter(|_| self.written.is_some());
        kept.map_or("failed".into(), |text| text.into_owned().into())
    }

    /// Serialises a run. One that the service would find too large still goes
    /// without what it was given and gave back.
    fn piece(&self, run: &Run<'_>, unit: &mut UnitBuilder<'_>) {
        let out = unit.body();
        let start = out.len();
        self.all.format.write(run, out);
        let len = out.len() - start;
        if len > self.all.format.max_run() {
            let mut note = Vec::new();
            let what = format!("[omitted: {len} bytes, more than a run can hold]");
            json::object(&mut note, |o| o.put("omitted", what));
            out.truncate(start);
            let kept = Run { inputs: &[&note], outputs: &note, events: b"", ..run.clone() };
            self.all.format.write(&kept, out);
        }
        unit.end_piece(1);
    }
}

fn muted(inputs: &mut Vec<u8>, outputs: &mut Vec<u8>) {
    for (role, out) in [("user", inputs), ("assistant", outputs)] {
        json::object(out, |o| {
            o.array("messages", [role], |role, out| {
                json::object(out, |o| {
                    o.put("role", role);
                    o.put("content", MUTED);
                });
            });
        });
    }
}
