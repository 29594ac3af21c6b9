//! The rows of model calls, tools and compactions.

use std::borrow::Cow;

use codex_rollout::{JsonText, ResponseItem, TokenUsage};
use codex_trace_model::{
    Compaction, ItemIx, ModelCall, Span, SpanIx, SpanKind, Status, Thread, Timestamp, ToolCall,
};
use serde::Deserialize;

use crate::UnitBuilder;
use crate::braintrust::conversation::{Before, Conversation, list};
use crate::braintrust::messages::{self, Called, Given};
use crate::braintrust::rows::{Encoder, Scope, times};
use crate::braintrust::wire::{Name, RowKind};
use crate::content::Part;
use crate::json::{self, Id, Object};

/// Why there are no tokens, in the words of `bt`.
const NO_COUNT: &str = "codex_transcript_missing_token_count";

impl<'a> Encoder<'_, 'a> {
    pub(super) fn model_call(
        &self,
        ix: SpanIx,
        call: &ModelCall<'a>,
        scope: Option<&mut Scope<'_, 'a>>,
        conversation: &mut Conversation<'_, 'a>,
        unit: &mut UnitBuilder<'_>,
    ) {
        let span = self.trace.span(ix);
        let before = scope.as_ref().map_or(Before::default(), |scope| scope.before);
        let turn_id = scope.as_ref().and_then(|scope| scope.turn_id.clone());
        let of_turn = scope.as_ref().and_then(|scope| scope.turn.model);
        let first_token = scope.and_then(|scope| scope.first_token.take());
        let model = call.model.or(of_turn);
        self.row(ix, self.model_name(model), RowKind::Llm, unit, |o| {
            if let Some(input) = conversation.input(call, before) {
                input.write(o.value("input"));
            }
            if self.rules.keeps(Part::Message) {
                match conversation.output(call).as_slice() {
                    [] => {}
                    [one] => o.value("output").extend_from_slice(&one[1..]),
                    several => list(several, o.value("output")),
                }
            }
            o.object("metadata", |o| {
                self.of_model(model, turn_id.as_deref(), o);
                o.maybe("reasoning_effort", call.effort.map(|it| self.rules.label(it)));
                o.maybe("response_id", call.response_id.map(Id));
                match span.usage {
                    None => o.put("usage_unavailable_reason", NO_COUNT),
                    // Whoever read the counts alone may have missed it.
                    Some(_) if self.merge => o.null("usage_unavailable_reason"),
                    Some(_) => {}
                }
                self.common(ix, self.trace.thread_of(span), o);
            });
            o.object("metrics", |o| {
                times(self.began(ix), span.end, o);
                if let Some(usage) = span.usage {
                    tokens(&usage, o);
                }
                o.maybe("time_to_first_token", first_token.map(Millis));
            });
            self.error(&span.status, Part::Message, o);
        });
    }

    fn model_name(&self, model: Option<JsonText<'a>>) -> Name<'a> {
        match model {
            Some(model) => Name::Recorded(self.rules.label(model)),
            None => Name::Ours("llm".to_owned()),
        }
    }

    fn of_model(&self, model: Option<JsonText<'a>>, turn_id: Option<&str>, o: &mut Object<'_>) {
        o.maybe("model", model.map(|model| self.rules.label(model)));
        o.maybe("turn_id", turn_id);
    }

    pub(super) fn compaction(
        &self,
        ix: SpanIx,
        compaction: &Compaction<'a>,
        scope: Option<&Scope<'_, 'a>>,
        unit: &mut UnitBuilder<'_>,
    ) {
        let span = self.trace.span(ix);
        let request = self.plan.children(ix).iter().find_map(|child| {
            let span = self.trace.span(*child);
            match &span.kind {
                SpanKind::ModelCall(call) => Some((span, call)),
                _ => None,
            }
        });
        let model = request.and_then(|(_, call)| call.model);
        let model = model.or(scope.and_then(|scope| scope.turn.model));
        let usage = request.and_then(|(span, _)| span.usage);
        self.row(ix, self.model_name(model), RowKind::Llm, unit, |o| {
            if self.rules.keeps(Part::Message) {
                o.object("output", |o| self.kept(compaction, o));
            }
            o.object("metadata", |o| {
                self.of_model(model, scope.and_then(|scope| scope.turn_id.as_deref()), o);
                o.put("compaction", true);
                self.common(ix, self.trace.thread_of(span), o);
            });
            o.object("metrics", |o| {
                times(self.began(ix), span.end, o);
                match usage {
                    Some(usage) => tokens(&usage, o),
                    // What is there is the size of the new context, which
                    // nobody was charged for.
                    None if self.merge => o.put("tokens", 0_u32),
                    None => {}
                }
            });
            self.error(&span.status, Part::Message, o);
        });
    }

    fn kept(&self, compaction: &Compaction<'a>, o: &mut Object<'_>) {
        let items = compaction.replacement_history.map(ResponseItem::list).unwrap_or_default();
        let is_summary =
            |item: &Option<ResponseItem<'_>>| matches!(item, Some(ResponseItem::Compaction(_)));
        match compaction.summary.filter(|text| !text.is_empty()) {
            Some(text) => messages::put_text(o, "summary", text, Part::Message, self.rules),
            None if items.iter().any(|(_, item)| is_summary(item)) => {
                o.put("summary", "[summary unavailable — encrypted by Codex]");
            }
            None => o.put("summary", "[no summary]"),
        }
        if compaction.replacement_history.is_none() {
            return o.put("kept_messages", "[unavailable]");
        }
        let kept = items.iter().filter(|(_, item)| !is_summary(item));
        o.array("kept_messages", kept, |(raw, _), out| {
            let kept = self.rules.json_value(Part::Message, *raw);
            out.extend_from_slice(&kept.unwrap_or(Cow::Borrowed(b"null")));
        });
    }

    pub(super) fn tool_call(
        &self,
        ix: SpanIx,
        call: &ToolCall<'a>,
        scope: Option<&Scope<'_, 'a>>,
        unit: &mut UnitBuilder<'_>,
    ) {
        let span = self.trace.span(ix);
        let thread = self.trace.thread_of(span);
        let item = call.call_item.and_then(|ix| thread.item(ix));
        let called = item.and_then(|item| match &item.body {
            ResponseItem::ToolCall(item) => Some(Called::of(item)),
            _ => None,
        });
        let given = called.as_ref().map_or(call.extras().arguments.map(Given::of), |it| it.given);
        let name = match &called {
            Some(called) => Name::Recorded(self.rules.label(called.name)),
            None => Name::Ours(self.rules.text(Part::Label, &span.name).unwrap_or_default().into()),
        };
        let permission = given.and_then(Permission::of);
        self.row(ix, name, RowKind::Tool, unit, |o| {
            let command = given.is_none().then(|| thread.command_of(call).line).flatten();
            match (given, command) {
                (Some(_), _) => messages::put_given(o, "input", given, self.rules),
                (None, Some(command)) => {
                    o.maybe("input", self.rules.text(Part::Tool, &command));
                }
                (None, None) => {
                    messages::put_given(
                        o,
                        "input",
                        call.extras().search.map(Given::Value),
                        self.rules,
                    );
                }
            }
            let output =
                output(thread, call.output_item).or(call.extras().output_text.map(Given::of));
            messages::put_given(o, "output", output, self.rules);
            o.object("metadata", |o| {
                match &called {
                    Some(called) => o.put("tool_name", self.rules.label(called.name)),
                    None => o.maybe("tool_name", self.rules.text(Part::Label, &span.name)),
                }
                o.maybe("call_id", call.call_id.map(Id));
                o.maybe("turn_id", scope.and_then(|scope| scope.turn_id.as_ref()));
                o.put("tool_approval", "approved");
                if let Some(permission) = &permission {
                    permission.put(self, o);
                }
                o.maybe("exit_code", call.exit_code);
                if let Some((server, tool)) = call.extras().mcp {
                    o.put("mcp_server", self.rules.label(server));
                    o.put("mcp_tool", self.rules.label(tool));
                }
                self.common(ix, thread, o);
            });
            o.object("metrics", |o| {
                let (start, end) = called_at(self.began(ix), span, call, thread);
                times(start, end, o);
            });
            o.list("tags", permission.as_ref().map(|_| "permission-request"));
            if span.status == Status::Incomplete {
                o.put("error", "Tool output missing before turn ended");
            } else {
                self.error(&span.status, Part::Tool, o);
            }
        });
    }
}

/// Returns when a call and its output were written, as `bt` has it, or what
/// is known beside.
fn called_at<'a>(
    began: Option<Timestamp>,
    span: &Span<'a>,
    call: &ToolCall<'a>,
    thread: &Thread<'a>,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let at = |ix: Option<ItemIx>| ix.and_then(|ix| thread.item(ix)?.at);
    (at(call.call_item).or(began), at(call.output_item).or(span.end))
}

fn output<'a>(thread: &Thread<'a>, ix: Option<ItemIx>) -> Option<Given<'a>> {
    match &thread.item(ix?)?.body {
        ResponseItem::ToolOutput(item) => item.output.or(item.tools).map(Given::of),
        _ => None,
    }
}

/// Writes what was used. Prompt includes what was cached, completion what was
/// reasoned.
fn tokens(usage: &TokenUsage, o: &mut Object<'_>) {
    o.put("prompt_tokens", usage.input_tokens);
    o.put("completion_tokens", usage.output_tokens);
    o.put("tokens", usage.total_tokens);
    o.put("prompt_cached_tokens", usage.cached_input_tokens);
    o.put("completion_reasoning_tokens", usage.reasoning_output_tokens);
    o.maybe("prompt_cache_creation_tokens", usage.cache_write_input_tokens);
}

/// Milliseconds, written in seconds.
struct Millis(u64);

impl json::Json for Millis {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{}.{:03}", self.0 / 1000, self.0 % 1000).as_bytes());
    }
}

/// What a call asks for beyond the sandbox.
#[derive(Deserialize)]
struct Permission {
    sandbox_permissions: String,
    justification: Option<String>,
    prefix_rule: Option<Vec<String>>,
}

impl Permission {
    /// Reads the arguments of a call; `None` if it asks for nothing.
    fn of(given: Given<'_>) -> Option<Permission> {
        let Given::Text(text) = given else { return None };
        let arguments = text.decode();
        if !arguments.contains("sandbox_permissions") {
            return None;
        }
        let permission: Permission = serde_json::from_str(&arguments).ok()?;
        Some(permission).filter(|it| it.sandbox_permissions != "use_default")
    }

    fn put(&self, encoder: &Encoder<'_, '_>, o: &mut Object<'_>) {
        let kept = |text: &str| encoder.rules.text(Part::Tool, text).map(Cow::into_owned);
        o.object("permission", |o| {
            o.put("sandbox_permissions", &self.sandbox_permissions);
            o.maybe("justification", self.justification.as_deref().and_then(kept));
            let rule = self.prefix_rule.iter().flatten();
            o.list("prefix_rule", rule.filter_map(|word| kept(word)));
        });
    }
}
