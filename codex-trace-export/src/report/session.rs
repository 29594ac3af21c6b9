//! What the view of one session needs: its threads, then its spans.

use codex_trace_model::{
    Event, EventKind, Fate, ModelCall, Span, SpanKind, Status, Thread, Timestamp, ToolCall, Trace,
    Turn,
};

use super::Options;
use super::labels::{self, Reader};
use crate::content::Part;
use crate::json::{self, Json, Object};

/// Appends a session: a line for its threads, then one for each span, parents
/// first. Calls `pass` where the output may be cut; it may take away what is
/// there, and ends the encoding by returning `false`.
pub fn session(
    trace: &Trace<'_>,
    options: &Options<'_>,
    out: &mut Vec<u8>,
    mut pass: impl FnMut(&mut Vec<u8>) -> bool,
) {
    let writer = Writer { trace, options, reader: Reader::new(options) };
    json::object(out, |o| {
        o.array("threads", &trace.threads, |it, out| json::object(out, |o| writer.thread(it, o)));
    });
    out.push(b'\n');
    for span in &trace.spans {
        if !pass(out) {
            return;
        }
        json::object(out, |o| writer.span(span, o));
        out.push(b'\n');
    }
}

struct Writer<'w, 'a> {
    trace: &'w Trace<'a>,
    options: &'w Options<'w>,
    reader: Reader<'w>,
}

impl Writer<'_, '_> {
    fn thread(&self, thread: &Thread<'_>, o: &mut Object<'_>) {
        let meta = &thread.meta;
        o.maybe("id", self.reader.made(Part::Label, &thread.id));
        let name = thread.name.map(codex_rollout::JsonText::decode);
        o.maybe("name", name.as_deref().and_then(|it| self.reader.made(Part::Message, it)));
        labels::put(o, "nickname", self.reader.label(meta.agent_nickname));
        labels::put(o, "role", self.reader.label(meta.agent_role));
        labels::put(o, "cwd", self.reader.label(meta.cwd));
        labels::put(o, "provider", self.reader.label(meta.model_provider));
        labels::put(o, "forked", self.reader.label(thread.forked_from_id));
        let files = thread.rollouts.iter();
        let files = files.filter_map(|it| self.reader.made(Part::Label, &it.path));
        o.list("files", files);
    }

    fn span(&self, span: &Span<'_>, o: &mut Object<'_>) {
        o.put("k", span.kind.word());
        o.maybe("p", span.parent.map(|ix| ix.0));
        o.put("t", span.thread.0);
        o.maybe("n", self.reader.made(Part::Label, &span.name));
        o.maybe("s", span.start.map(Timestamp::as_millisecond));
        o.maybe("e", span.end.map(Timestamp::as_millisecond));
        self.status(span, o);
        self.usage(span, o);
        match &span.kind {
            SpanKind::Turn(turn) => self.turn(span, turn, o),
            SpanKind::ModelCall(call) => self.model_call(span, call, o),
            SpanKind::ToolCall(call) => self.tool_call(span, call, o),
            SpanKind::Compaction(it) => {
                let summary = self.reader.texts.text(Part::Message, it.summary);
                labels::put(o, "out", summary);
            }
            _ => {}
        }
        o.flag("outlives", span.outlives_parent);
        let events: Vec<&Event<'_>> = span.events().iter().filter(|it| is_shown(it)).collect();
        if !events.is_empty() {
            o.array("ev", events, |it, out| json::object(out, |o| self.event(it, o)));
        }
        let at = &span.provenance;
        o.put("f", at.rollout.0);
        o.array("l", [at.first_line, at.last_line], |line, out| line.write(out));
    }

    fn status(&self, span: &Span<'_>, o: &mut Object<'_>) {
        if span.status == Status::Ok {
            return;
        }
        o.put("st", span.status.word());
        // What a tool failed with is its content.
        let part = match span.kind {
            SpanKind::ToolCall(_) => Part::Tool,
            _ => Part::Message,
        };
        o.maybe("m", span.status.message().and_then(|text| self.reader.reason(part, text)));
    }

    /// Writes the tokens of model calls alone: those of what is around them are
    /// their sum.
    fn usage(&self, span: &Span<'_>, o: &mut Object<'_>) {
        let SpanKind::ModelCall(call) = &span.kind else { return };
        let Some(it) = span.usage else { return };
        let counts = [
            it.input_tokens,
            it.cached_input_tokens,
            it.output_tokens,
            it.reasoning_output_tokens,
            it.total_tokens,
        ];
        o.array("u", counts, |n, out| n.write(out));
        let cost = self.options.cost.filter(|_| !it.is_empty());
        if let Some(cost) = cost.and_then(|cost| cost(self.trace, span, call)) {
            o.value("c").extend_from_slice(cost.to_string().as_bytes());
        }
    }

    fn turn(&self, span: &Span<'_>, turn: &Turn<'_>, o: &mut Object<'_>) {
        labels::put(o, "md", self.reader.label(turn.model));
        labels::put(o, "ef", self.reader.label(turn.effort));
        o.maybe("window", turn.model_context_window);
        o.maybe("fate", Some(turn.fate).filter(|it| *it != Fate::Kept).map(Fate::word));
        let (thread, texts) = (self.trace.thread_of(span), &self.reader.texts);
        labels::put(o, "in", texts.prompt(thread, turn));
        labels::put(o, "out", texts.answer(turn));
    }

    fn model_call(&self, span: &Span<'_>, call: &ModelCall<'_>, o: &mut Object<'_>) {
        labels::put(o, "md", self.reader.label(call.model));
        labels::put(o, "ef", self.reader.label(call.effort));
        labels::put(o, "tier", self.reader.label(call.service_tier));
        o.flag("compacts", call.compaction);
        let (thread, texts) = (self.trace.thread_of(span), &self.reader.texts);
        labels::put(o, "rs", texts.thought(thread, &call.output));
        labels::put(o, "out", texts.said(thread, &call.output));
    }

    fn tool_call(&self, span: &Span<'_>, call: &ToolCall<'_>, o: &mut Object<'_>) {
        o.put("fam", call.family.word());
        o.maybe("exit", call.exit_code);
        if let Some((server, _)) = call.extras().mcp {
            labels::put(o, "mcp", self.reader.label(Some(server)));
        }
        let (thread, texts) = (self.trace.thread_of(span), &self.reader.texts);
        labels::put(o, "in", texts.given(thread, call));
        labels::put(o, "out", texts.output(thread, call));
    }

    fn event(&self, event: &Event<'_>, o: &mut Object<'_>) {
        o.put("k", event.kind.word());
        o.maybe("at", event.at.map(Timestamp::as_millisecond));
        o.put("l", event.line);
        let texts = &self.reader.texts;
        let text = match &event.kind {
            EventKind::Steering(text) | EventKind::ThreadNamed(text) | EventKind::Plan(text) => {
                texts.text(Part::Message, Some(*text))
            }
            EventKind::Error { message, .. } => texts.text(Part::Message, *message),
            EventKind::AgentMessage(it) => texts.text(Part::Message, it.content),
            EventKind::Voice(it) => texts.text(Part::Message, it.said().text),
            EventKind::MessageNotes(it) => texts.text(Part::Message, it.text),
            EventKind::GuardianAssessment(it) => texts.text(Part::Message, it.rationale),
            EventKind::Unknown { kind } => self.reader.label(*kind),
            _ => None,
        };
        labels::put(o, "text", text);
    }
}

/// Whether the view shows an event: rate limits have a chart of their own.
fn is_shown(event: &Event<'_>) -> bool {
    !matches!(event.kind, EventKind::RateLimits(_))
}
