//! A turn's runs, serialised: what each is given, gives back, costs and says
//! about itself.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use codex_rollout::{JsonText, RawJson, TokenUsage};
use codex_trace_model::{
    ItemIx, Span, SpanIx, SpanKind, Status, Thread, Timestamp, ToolCall, Trace, Turn,
};

use crate::content::{ContentRules, Part};
use crate::exporters::langsmith::messages::{self, Written, put_text, put_value};
use crate::exporters::langsmith::metadata::{Kind, Metadata};
use crate::exporters::langsmith::plan::{Answered, Group, Place, Plan, TurnPlan};
use crate::exporters::langsmith::wire::{Format, Run};
use crate::exporters::langsmith::{LlmInput, ids};
use crate::exporters::{UnitBuilder, UnitKey};
use crate::json::{self, Json, Object};

/// What the plugin puts in the place of content that is private.
const MUTED: &str = "[LangSmith system notice: content omitted because tracing is muted.]";

/// How to encode, for all turns of a session.
pub(super) struct Encoder<'e, 'a> {
    pub(super) trace: &'e Trace<'a>,
    pub(super) rules: &'e ContentRules,
    pub(super) plan: &'e Plan<'e, 'a>,
    pub(super) format: &'e Format,
    pub(super) own: &'e serde_json::Map<String, serde_json::Value>,
    pub(super) llm_input: LlmInput,
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
    /// Absent where the turn is private.
    written: Option<Written>,
    next: u32,
    /// When the last run so far ended.
    end: i64,
    pieces: Vec<Vec<u8>>,
}

impl<'a> Encoder<'_, 'a> {
    /// Encodes a turn with everything below it but subagents' turns.
    pub(super) fn turn(&self, plan: &TurnPlan<'a>, muted: bool, route: usize) -> UnitBuilder {
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
        let end = plan.messages.iter().rfind(|it| it.from < it.to).map(|it| it.end + plan.shift);
        let turn = TurnEncoder {
            all: self,
            plan,
            thread,
            turn,
            metadata,
            written,
            next: plan.next,
            end: end.unwrap_or(plan.root.start.millis).max(plan.root.start.millis),
            pieces: Vec::new(),
        };
        let key = UnitKey { thread_id: thread.id.clone(), turn: Some(span.key.clone()) };
        let mut unit = UnitBuilder::new(key, route);
        turn.write(span, &mut unit);
        if matches!(span.status, Status::Incomplete) {
            unit.incomplete();
        }
        unit.starts_at(Timestamp::from_millisecond(plan.root.start.millis).ok());
        unit
    }
}

impl<'a> TurnEncoder<'_, '_, 'a> {
    fn write(mut self, span: &Span<'a>, unit: &mut UnitBuilder) {
        let below = self.below();
        let calls = self.usage_by_group(&below);
        let mut runs_of: HashMap<SpanIx, Place> = HashMap::new();
        for (nth, group) in self.plan.groups.iter().enumerate() {
            self.llm(nth, group, calls.get(&nth));
            for tool in &group.tools {
                let span = find_tool(self.all.trace, &below, tool.call_id);
                let place = self.tool(group, tool, span);
                if let Some(span) = span {
                    runs_of.insert(span, place);
                }
            }
        }
        self.what_the_plugin_lacks(&below, &mut runs_of);
        // It goes first, but does not end before what is below it.
        let root = self.root(span);
        unit.body().extend_from_slice(&root);
        unit.end_piece(1);
        for piece in self.pieces {
            unit.body().extend_from_slice(&piece);
            unit.end_piece(1);
        }
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
        let position: HashMap<ItemIx, usize> =
            self.plan.items.iter().zip(0..).map(|(item, nth)| (*item, nth)).collect();
        let mut found: HashMap<usize, Vec<SpanIx>> = HashMap::new();
        for &ix in below {
            let SpanKind::ModelCall(call) = &self.all.trace.span(ix).kind else { continue };
            let last = call.output.iter().rev().find_map(|item| {
                let nth = position.get(item)?;
                self.plan.groups.iter().position(|group| {
                    let message = self.plan.messages[group.message];
                    (message.from..message.to).contains(nth)
                })
            });
            if let Some(group) = last {
                found.entry(group).or_default().push(ix);
            }
        }
        found
    }

    fn root(&self, span: &Span<'a>) -> Vec<u8> {
        let (error, interrupted) = match &span.status {
            Status::Error { message } => (Some(message.clone()), false),
            Status::Interrupted { reason } if reason == "interrupted" => {
                (Some("Turn interrupted".into()), true)
            }
            Status::Interrupted { reason } => {
                (Some(format!("Turn aborted: {reason}").into()), false)
            }
            Status::Incomplete => (Some("Turn did not end: the transcript does".into()), true),
            _ => (None, false),
        };
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        match &self.written {
            None => muted(&mut inputs, &mut outputs),
            Some(written) => self.talk(written, &mut inputs, &mut outputs),
        }
        let kind = Kind::Root { interrupted, total: span.usage };
        let extra = self.extra(kind, error.is_some(), self.plan.root.start.millis, |_| {});
        self.piece(&Run {
            place: &self.plan.root,
            name: b"\"openai.codex\"".into(),
            run_type: "chain",
            end: self.end,
            error: error.map(|it| self.error(&it, Part::Label)),
            inputs: &[&inputs],
            outputs: &outputs,
            extra: &extra,
            events: b"",
        })
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
        let from = asked.map_or(0, |asked| asked + 1);
        let before = outputs.len();
        written.tail(self.thread, items, &self.plan.messages, from, outputs);
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

    fn llm(&mut self, nth: usize, group: &Group<'a>, calls: Option<&Vec<SpanIx>>) {
        let trace = self.all.trace;
        let calls = calls.map_or(&[][..], Vec::as_slice);
        let mut spans = calls.iter().map(|ix| trace.span(*ix));
        let usage: Option<TokenUsage> =
            spans.clone().filter_map(|span| span.usage).reduce(|a, b| [a, b].into_iter().sum());
        let id = self.all.plan.id(self.plan.thread, &self.plan.key, &format!("llm:{nth}"));
        let place = self.plan.root.child(id, group.start + self.plan.shift, group.order);
        let end = (group.end + self.plan.shift).max(place.start.millis);
        let kind = Kind::Llm { span: spans.next_back(), usage };
        let extra = self.extra(kind, false, place.start.millis, |_| {});
        let events = if nth == 0 { self.first_token(&place, end) } else { Vec::new() };
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        let mut spliced: [&[u8]; 3] = [b"", b"", b""];
        match &self.written {
            None => {
                muted(&mut inputs, &mut outputs);
                spliced[0] = &inputs;
            }
            Some(written) => {
                outputs.extend_from_slice(b"{\"messages\":[");
                outputs.extend_from_slice(written.messages(group.message, group.message + 1));
                outputs.extend_from_slice(b"]}");
                let from = match self.all.llm_input {
                    LlmInput::Turn => 0,
                    LlmInput::Delta => {
                        nth.checked_sub(1).map_or(0, |before| self.plan.groups[before].message + 1)
                    }
                    LlmInput::None => group.message,
                };
                let room = self.all.format.max_bytes.saturating_sub(outputs.len() + (64 << 10));
                inputs.extend_from_slice(b"{\"messages\":[");
                let from = written.fitting(from, group.message, room);
                if from.1 {
                    inputs.extend_from_slice(b"{\"role\":\"system\",\"content\":[");
                    messages::text_part(b"[earlier messages omitted: too long]", &mut inputs);
                    inputs.extend_from_slice(b"]}");
                    if from.0 < group.message {
                        inputs.push(b',');
                    }
                }
                spliced = [&inputs, written.messages(from.0, group.message), b"]}"];
            }
        }
        let piece = self.piece(&Run {
            place: &place,
            name: b"\"openai.codex.turn\"".into(),
            run_type: "llm",
            end,
            error: None,
            inputs: &spliced,
            outputs: &outputs,
            extra: &extra,
            events: &events,
        });
        self.add(piece, end);
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

    fn tool(&mut self, group: &Group<'a>, tool: &Answered<'a>, span: Option<SpanIx>) -> Place {
        let call_id = tool.call_id.decode();
        let run = format!("tool:{call_id}");
        let id = self.all.plan.id(self.plan.thread, &self.plan.key, &run);
        let message = self.plan.messages[tool.message];
        let span = span.map(|ix| self.all.trace.span(ix));
        let said = self.plan.messages[group.message].start;
        let shift = self.plan.shift;
        let place = self.plan.root.child(id, message.start.min(said) + shift, tool.order);
        let told = span.and_then(|span| span.end).map(Timestamp::as_millisecond);
        let end = (message.end.max(told.unwrap_or(message.end)) + shift).max(place.start.millis);
        let name = match tool.call.form {
            codex_rollout::item::response_item::ToolCallForm::ToolSearch => {
                Some(JsonText::new(b"tool_search_call"))
            }
            _ => tool.call.fields.name,
        };
        let mut inputs = Vec::new();
        if self.written.is_some() {
            let arguments = messages::Arguments::of(&tool.call, self.all.rules);
            json::object(&mut inputs, |o| o.value("input").extend_from_slice(&arguments.json));
        }
        let answer = self.written.as_ref().map(|it| it.messages(tool.message, tool.message + 1));
        let mut named = Vec::new();
        name.unwrap_or(JsonText::new(b"openai.codex.tool")).write(&mut named);
        let piece = self.tool_run(&place, named, span, end, inputs, answer);
        self.add(piece, end);
        for (skill, order) in tool.skills.iter().zip(tool.order + 1..) {
            self.skill(skill, &call_id, &place, end, order, span);
        }
        place
    }

    fn skill(
        &mut self,
        skill: &str,
        call_id: &str,
        tool: &Place,
        end: i64,
        order: u32,
        span: Option<&Span<'a>>,
    ) {
        let run = format!("skill:{call_id}:{skill}");
        let id = self.all.plan.id(self.plan.thread, &self.plan.key, &run);
        let place = self.plan.root.child(id, tool.start.millis, order);
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        let worked = span.is_none_or(|span| matches!(span.status, Status::Ok));
        if self.written.is_none() {
            muted(&mut inputs, &mut outputs);
        } else {
            json::object(&mut inputs, |o| o.object("input", |o| o.put("skill", skill)));
            json::object(&mut outputs, |o| {
                o.object("output", |o| {
                    o.put("commandName", skill);
                    o.put("success", worked);
                });
            });
        }
        let extra = self.extra(Kind::Skill { name: skill }, false, place.start.millis, |_| {});
        let piece = self.piece(&Run {
            place: &place,
            name: b"\"Skill\"".into(),
            run_type: "tool",
            end,
            error: None,
            inputs: &[&inputs],
            outputs: &outputs,
            extra: &extra,
            events: b"",
        });
        self.add(piece, end);
    }

    fn tool_run(
        &self,
        place: &Place,
        name: Vec<u8>,
        span: Option<&Span<'a>>,
        end: i64,
        mut inputs: Vec<u8>,
        answer: Option<&[u8]>,
    ) -> Vec<u8> {
        let mut outputs = Vec::new();
        let call = span.and_then(|span| match &span.kind {
            SpanKind::ToolCall(call) => Some(&**call),
            _ => None,
        });
        let (error, interrupted) = match (span.map(|span| &span.status), call) {
            (Some(Status::Error { .. }), Some(ToolCall { exit_code: Some(code), .. })) => {
                (Some(Cow::Owned(format!("Exit code: {code}"))), false)
            }
            (Some(Status::Error { message }), _) => (Some(self.error(message, Part::Tool)), false),
            (Some(Status::Interrupted { reason }), _) => {
                (Some(self.error(reason, Part::Tool)), true)
            }
            (Some(Status::Incomplete), _) => (Some("No output was recorded".into()), true),
            _ => (None, false),
        };
        if self.written.is_none() {
            inputs.clear();
            muted(&mut inputs, &mut outputs);
        } else {
            json::object(&mut outputs, |o| {
                if let Some(call) = call {
                    self.facts(call, error.is_some(), o);
                }
                if let Some(answer) = answer {
                    let out = o.value("messages");
                    out.push(b'[');
                    out.extend_from_slice(answer);
                    out.push(b']');
                }
            });
        }
        let kind = Kind::Tool { name: None };
        let started = span.and_then(|span| span.start).map(Timestamp::as_millisecond);
        let extra = self.extra(kind, error.is_some(), place.start.millis, |o| {
            if interrupted {
                o.put("ls_is_error_interrupt", true);
            }
            if let Some(call) = call {
                o.put("codex.tool_family", call.family.word());
            }
            // The run's own start is that of the model's message, as the plugin has it.
            o.maybe("codex.called_at", started.map(|it| ids::time(it + self.plan.shift)));
        });
        self.piece(&Run {
            place,
            name: name.into(),
            run_type: "tool",
            end,
            error,
            inputs: &[&inputs],
            outputs: &outputs,
            extra: &extra,
            events: b"",
        })
    }

    /// Writes what is known of a call, under the names of Codex' own events.
    fn facts(&self, call: &ToolCall<'a>, failed: bool, o: &mut Object<'_>) {
        let rules = self.all.rules;
        let text = |part, text: &Option<Cow<'a, str>>| {
            text.as_deref().and_then(|text| rules.text(part, text).map(Cow::into_owned))
        };
        o.maybe("command", text(Part::Tool, &call.command));
        o.maybe("cwd", text(Part::Label, &call.cwd));
        if let Some(code) = call.exit_code {
            o.put("exit_code", code);
            o.put("status", if failed { "failed" } else { "completed" });
        }
        if let Some(success) = call.success {
            o.put("success", success);
        }
        if let Some(took) = call.duration {
            o.object("duration", |o| {
                o.put("secs", took.as_secs());
                o.put("nanos", i64::from(took.subsec_nanos()));
            });
        }
        if let Some((server, tool)) = call.mcp {
            o.put("server", server);
            o.put("tool", tool);
        }
        if rules.keeps(Part::Tool) {
            if let Some(changes) = call.changes {
                put_value("changes", changes, Part::Tool, rules, o);
            }
            if let Some(search) = call.search {
                put_value("action", search, Part::Tool, rules, o);
            }
            if let Some(output) = call.output_text {
                put_value("aggregated_output", output, Part::Tool, rules, o);
            }
        }
        o.list("spawned", call.spawned.iter());
    }

    /// Writes the runs that the plugin does not make: web searches, images, the
    /// provider's shell, what ran inside of code mode, calls without an answer,
    /// compactions, requests of which nothing is left.
    fn what_the_plugin_lacks(&mut self, below: &[SpanIx], runs_of: &mut HashMap<SpanIx, Place>) {
        let trace = self.all.trace;
        let grouped: HashSet<ItemIx> = self
            .plan
            .groups
            .iter()
            .map(|group| self.plan.messages[group.message])
            .flat_map(|message| self.plan.items[message.from..message.to].iter().copied())
            .collect();
        for &ix in below {
            let span = trace.span(ix);
            match &span.kind {
                SpanKind::ToolCall(call) if !runs_of.contains_key(&ix) => {
                    let parent = span.parent.and_then(|parent| runs_of.get(&parent)).cloned();
                    let place = self.more_tool(span, call, parent.as_ref());
                    runs_of.insert(ix, place);
                }
                SpanKind::Compaction(_) => self.compaction(ix, span),
                SpanKind::ModelCall(call)
                    if !call.compaction && !call.output.iter().any(|it| grouped.contains(it)) =>
                {
                    self.more_llm(span);
                }
                _ => {}
            }
        }
    }

    fn more_place(&mut self, run: &str, span: &Span<'a>, parent: Option<&Place>) -> (Place, i64) {
        let id = self.all.plan.id(self.plan.thread, &self.plan.key, run);
        let parent = parent.unwrap_or(&self.plan.root);
        let start =
            span.start.map_or(parent.start.millis, |it| it.as_millisecond() + self.plan.shift);
        let place = parent.child(id, start, self.next);
        self.next += 1;
        let end = span.end.map_or(start, |it| it.as_millisecond() + self.plan.shift);
        let end = end.max(place.start.millis);
        (place, end)
    }

    fn more_tool(&mut self, span: &Span<'a>, call: &ToolCall<'a>, parent: Option<&Place>) -> Place {
        // `tool:<call id>`, as its key is.
        let (place, end) = self.more_place(&span.key, span, parent);
        let mut inputs = Vec::new();
        let mut answer = Vec::new();
        if self.written.is_some() {
            let item = call.call_item.map(|it| &self.thread.items[it.0 as usize]);
            json::object(&mut inputs, |o| self.more_input(call, o));
            if let Some(item) = item {
                let mut image = Vec::new();
                if messages::image_part(item, self.all.rules, &mut image) {
                    answer.extend_from_slice(b"{\"role\":\"tool\",\"content\":[");
                    answer.extend_from_slice(&image);
                    answer.extend_from_slice(b"]}");
                }
            }
            let output = call.output_item.map(|it| &self.thread.items[it.0 as usize].body);
            if let Some(codex_rollout::ResponseItem::ToolOutput(output)) = output {
                answer.extend_from_slice(
                    b"{\"role\":\"tool\",\"content\":[{\"type\":\"text\",\"text\":",
                );
                messages::output_text(output, self.all.rules, &mut answer);
                answer.extend_from_slice(b"}]}");
            }
        }
        let mut name = Vec::new();
        match call.tool {
            Some(tool) => tool.write(&mut name),
            None => span.name.write(&mut name),
        }
        let answer = (!answer.is_empty()).then_some(&*answer);
        let piece = self.tool_run(&place, name, Some(span), end, inputs, answer);
        self.add(piece, end);
        place
    }

    fn more_input(&self, call: &ToolCall<'a>, o: &mut Object<'_>) {
        use codex_rollout::ResponseItem;
        let rules = self.all.rules;
        let item = call.call_item.map(|it| &self.thread.items[it.0 as usize].body);
        let value: Option<RawJson<'a>> = match item {
            Some(ResponseItem::ToolCall(call)) => {
                let arguments = messages::Arguments::of(call, rules);
                o.value("input").extend_from_slice(&arguments.json);
                return;
            }
            Some(ResponseItem::WebSearchCall(call)) => call.action,
            Some(ResponseItem::ImageGenerationCall(call)) => {
                if let Some(prompt) = call.revised_prompt {
                    put_text("input", prompt, Part::Tool, rules, o);
                }
                return;
            }
            _ => call.arguments.or(call.search),
        };
        if let Some(value) = value {
            put_value("input", value, Part::Tool, rules, o);
        }
    }

    fn compaction(&mut self, ix: SpanIx, span: &Span<'a>) {
        let SpanKind::Compaction(compaction) = &span.kind else { return };
        let below = self.all.children[ix.index()].iter();
        let request = below.map(|ix| self.all.trace.span(*ix)).find(|it| it.usage.is_some());
        let usage = request.and_then(|it| it.usage);
        let nth = span.key.rsplit(':').next().unwrap_or("0");
        let (place, end) = self.more_place(&format!("compaction:{nth}"), span, None);
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        match (&self.written, compaction.summary) {
            (None, _) => muted(&mut inputs, &mut outputs),
            (Some(_), summary) => {
                inputs.extend_from_slice(b"{\"messages\":[]}");
                json::object(&mut outputs, |o| {
                    o.array("messages", summary, |summary, out| {
                        out.extend_from_slice(b"{\"role\":\"ai\",\"content\":[");
                        let text = self.all.rules.json_text(Part::Message, summary);
                        let text = text.as_deref().unwrap_or(messages::OMITTED.as_bytes());
                        messages::text_part(text, out);
                        out.extend_from_slice(b"]}");
                    });
                    o.maybe("window_number", compaction.window_number);
                });
            }
        }
        let extra = self.extra(Kind::Compaction { usage }, false, place.start.millis, |_| {});
        let piece = self.piece(&Run {
            place: &place,
            name: b"\"openai.codex.compaction\"".into(),
            // Only what cost tokens is a model's run.
            run_type: if usage.is_some() { "llm" } else { "chain" },
            end,
            error: None,
            inputs: &[&inputs],
            outputs: &outputs,
            extra: &extra,
            events: b"",
        });
        self.add(piece, end);
    }

    /// A request whose answer left no item: its tokens were spent all the same.
    fn more_llm(&mut self, span: &Span<'a>) {
        let (place, end) = self.more_place(&format!("call:{}", span.key), span, None);
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        if self.written.is_none() {
            muted(&mut inputs, &mut outputs);
        } else {
            inputs.extend_from_slice(b"{\"messages\":[]}");
            outputs.extend_from_slice(b"{\"messages\":[]}");
        }
        let kind = Kind::Llm { span: Some(span), usage: span.usage };
        let extra = self.extra(kind, false, place.start.millis, |_| {});
        let piece = self.piece(&Run {
            place: &place,
            name: b"\"openai.codex.turn\"".into(),
            run_type: "llm",
            end,
            error: None,
            inputs: &[&inputs],
            outputs: &outputs,
            extra: &extra,
            events: b"",
        });
        self.add(piece, end);
    }

    fn extra(
        &self,
        kind: Kind<'_, 'a>,
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

    fn error(&self, text: &str, part: Part) -> Cow<'static, str> {
        let kept = self.all.rules.text(part, text);
        let kept = kept.filter(|_| self.written.is_some() || part == Part::Label);
        kept.map_or("failed".into(), |text| text.into_owned().into())
    }

    fn piece(&self, run: &Run<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        self.all.format.write(run, &mut out);
        out
    }

    fn add(&mut self, piece: Vec<u8>, end: i64) {
        self.end = self.end.max(end);
        self.pieces.push(piece);
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

fn find_tool(trace: &Trace<'_>, below: &[SpanIx], call_id: JsonText<'_>) -> Option<SpanIx> {
    below.iter().copied().find(|ix| match &trace.span(*ix).kind {
        SpanKind::ToolCall(call) => call.call_id == Some(call_id),
        _ => false,
    })
}
