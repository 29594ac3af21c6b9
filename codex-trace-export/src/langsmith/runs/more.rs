//! The runs that the plugin does not make.

use std::collections::{HashMap, HashSet};

use codex_rollout::RawJson;
use codex_trace_model::{ItemIx, ModelCall, Span, SpanIx, SpanKind, ToolCall};

use super::{TurnEncoder, muted};
use crate::UnitBuilder;
use crate::content::Part;
use crate::json::Object;
use crate::json::{self, Id, Json};
use crate::langsmith::messages::{self, put_text, put_value};
use crate::langsmith::metadata::RunKind;
use crate::langsmith::plan::Place;
use crate::langsmith::wire::Run;

impl<'a> TurnEncoder<'_, '_, 'a> {
    /// Writes the runs that the plugin does not make: web searches, images, the
    /// provider's shell, what ran inside of code mode, calls without an answer,
    /// compactions, requests of which nothing is left.
    pub(super) fn what_the_plugin_lacks(
        &mut self,
        below: &[SpanIx],
        runs_of: &mut HashMap<SpanIx, Place>,
        unit: &mut UnitBuilder<'_>,
    ) {
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
                    let place = self.more_tool(span, call, parent.as_ref(), unit);
                    runs_of.insert(ix, place);
                }
                SpanKind::Compaction(_) => self.compaction(ix, span, unit),
                SpanKind::ModelCall(call)
                    if !call.compaction && !call.output.iter().any(|it| grouped.contains(it)) =>
                {
                    self.more_llm(span, call, unit);
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

    fn more_tool(
        &mut self,
        span: &Span<'a>,
        call: &ToolCall<'a>,
        parent: Option<&Place>,
        unit: &mut UnitBuilder<'_>,
    ) -> Place {
        // `tool:<call id>`, as its key is.
        let (place, end) = self.more_place(&span.key, span, parent);
        let mut inputs = Vec::new();
        let mut answer = Vec::new();
        if self.written.is_some() {
            let item = call.call_item.map(|it| &self.thread[it]);
            json::object(&mut inputs, |o| self.more_input(call, o));
            if let Some(item) = item {
                let mut image = Vec::new();
                if messages::image_part(item, self.all.rules, &mut image) {
                    answer.extend_from_slice(b"{\"role\":\"tool\",\"content\":[");
                    answer.extend_from_slice(&image);
                    end_of_answer(call, b"]", &mut answer);
                }
            }
            let output = call.output_item.map(|it| &self.thread[it].body);
            if let Some(codex_rollout::ResponseItem::ToolOutput(output)) = output {
                answer.extend_from_slice(
                    b"{\"role\":\"tool\",\"content\":[{\"type\":\"text\",\"text\":",
                );
                messages::output_text(output, self.all.rules, &mut answer);
                end_of_answer(call, b"}]", &mut answer);
            }
        }
        let mut name = Vec::new();
        if let Some(tool) = call.tool {
            messages::label(tool, self.all.rules, &mut name);
        } else {
            let text = self.all.rules.text(Part::Label, &span.name);
            text.unwrap_or_default().write(&mut name);
        }
        let answer = (!answer.is_empty()).then_some(&*answer);
        self.tool_run(&place, name, Some(span), end, inputs, answer, unit);
        place
    }

    fn more_input(&self, call: &ToolCall<'a>, o: &mut Object<'_>) {
        use codex_rollout::ResponseItem;
        let rules = self.all.rules;
        let item = call.call_item.map(|it| &self.thread[it].body);
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
            _ => call.extras().arguments.or(call.extras().search),
        };
        if let Some(value) = value {
            put_value("input", value, Part::Tool, rules, o);
        }
    }

    fn compaction(&mut self, ix: SpanIx, span: &Span<'a>, unit: &mut UnitBuilder<'_>) {
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
        let extra = self.extra(RunKind::Compaction { usage }, false, place.start.millis, |_| {});
        let run = Run {
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
        };
        self.piece(&run, unit);
    }

    /// A request that is in no group: its answer is of a kind that the plugin
    /// does not take for the model's, or left no item. Its tokens were spent
    /// all the same.
    fn more_llm(&mut self, span: &Span<'a>, call: &ModelCall<'a>, unit: &mut UnitBuilder<'_>) {
        let (place, end) = self.more_place(&format!("call:{}", span.key), span, None);
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        if let Some(written) = &self.written {
            let (messages, items) = (&self.plan.messages, &self.plan.items);
            let message_of = |item: &ItemIx| {
                let at = items.binary_search_by_key(&item.0, |it| it.0).ok()?;
                Some(messages.partition_point(|message| message.to <= at))
            };
            let mut said: Vec<usize> = call.output.iter().filter_map(message_of).collect();
            said.dedup();
            outputs.extend_from_slice(b"{\"messages\":[");
            for (nth, message) in said.iter().enumerate() {
                if nth > 0 {
                    outputs.push(b',');
                }
                outputs.extend_from_slice(written.messages().range(*message, *message + 1));
            }
            outputs.extend_from_slice(b"]}");
            inputs.extend_from_slice(b"{\"messages\":[");
            if let Some(said) = said.first() {
                let mut groups = self.plan.groups.iter().map(|group| group.message);
                let before = groups.rfind(|message| message < said);
                let given = self.given(before, *said, outputs.len());
                given.parts().iter().for_each(|part| inputs.extend_from_slice(part));
            }
            inputs.extend_from_slice(b"]}");
        } else {
            muted(&mut inputs, &mut outputs);
        }
        let kind = RunKind::Llm { span: Some(span), usage: span.usage };
        let extra = self.extra(kind, false, place.start.millis, |_| {});
        let run = Run {
            place: &place,
            name: b"\"openai.codex.turn\"".into(),
            run_type: "llm",
            end,
            error: None,
            inputs: &[&inputs],
            outputs: &outputs,
            extra: &extra,
            events: b"",
        };
        self.piece(&run, unit);
        self.inputs.took(inputs.len());
    }
}

/// Ends the message of what a tool gave back, with the call that it answers.
fn end_of_answer(call: &ToolCall<'_>, content: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(content);
    if let Some(id) = call.call_id {
        out.extend_from_slice(b",\"tool_call_id\":");
        Id(id).write(out);
    }
    out.push(b'}');
}
