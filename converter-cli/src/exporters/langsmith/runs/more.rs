//! The runs that the plugin does not make.

use std::collections::{HashMap, HashSet};

use codex_rollout::RawJson;
use codex_trace_model::{ItemIx, Span, SpanIx, SpanKind, ToolCall};

use super::{TurnEncoder, muted};
use crate::content::Part;
use crate::exporters::langsmith::messages::{self, put_text, put_value};
use crate::exporters::langsmith::metadata::Kind;
use crate::exporters::langsmith::plan::Place;
use crate::exporters::langsmith::wire::Run;
use crate::json::Object;
use crate::json::{self, Json};

impl<'a> TurnEncoder<'_, '_, 'a> {
    /// Writes the runs that the plugin does not make: web searches, images, the
    /// provider's shell, what ran inside of code mode, calls without an answer,
    /// compactions, requests of which nothing is left.
    pub(super) fn what_the_plugin_lacks(
        &mut self,
        below: &[SpanIx],
        runs_of: &mut HashMap<SpanIx, Place>,
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
        if let Some(tool) = call.tool {
            messages::label(tool, self.all.rules, &mut name);
        } else {
            let text = self.all.rules.text(Part::Label, &span.name);
            text.unwrap_or_default().write(&mut name);
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
}
