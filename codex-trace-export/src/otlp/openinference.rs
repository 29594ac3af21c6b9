//! Spans in the conventions of OpenInference (Arize AX, Phoenix), text of
//! August 2026.

use std::borrow::Cow;

use codex_trace_model::{ModelCall, SpanKind as Kind, ToolCall, Turn};

use super::attributes::Attributes;
use super::messages::{Call, Message, Part, Raw, decode, joined};
use super::spans::{Subject, Vocabulary};
use super::{chat, codex, facts, semconv};
use crate::content::Part as Sort;

/// The conventions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenInference;

impl Vocabulary for OpenInference {
    fn name(&self, subject: &Subject<'_, '_>) -> String {
        match &subject.span.kind {
            Kind::ModelCall(call) => {
                subject.label(call.model).map_or_else(|| "model call".to_owned(), Cow::into_owned)
            }
            Kind::ToolCall(call) => facts::tool_name(subject, call).into_owned(),
            Kind::Compaction(_) => "compaction".to_owned(),
            _ => subject.agent().into_owned(),
        }
    }

    fn describe(&self, subject: &Subject<'_, '_>, out: &mut Attributes) {
        out.word("openinference.span.kind", facts::kind(&subject.span.kind));
        out.text(semconv::SESSION_ID, Some(subject.scene.session_id()));
        match &subject.span.kind {
            Kind::Turn(turn) => describe_turn(subject, turn, out),
            Kind::ModelCall(call) => describe_call(subject, call, out),
            Kind::ToolCall(call) => describe_tool(subject, call, out),
            Kind::Compaction(compaction) => {
                let reader = subject.reader();
                let summary = compaction.summary.and_then(|it| reader.text(Sort::Message, it));
                put_text(out, "output", summary);
            }
            _ => out.text("agent.name", Some(subject.agent())),
        }
        codex::describe(subject, out);
    }
}

fn describe_turn<'a>(subject: &Subject<'_, 'a>, turn: &Turn<'a>, out: &mut Attributes) {
    out.text("agent.name", Some(subject.agent()));
    let (prompt, answer) = (facts::prompt(subject, turn), facts::answer(subject, turn));
    let (prompt, answer) = facts::asked_and_answered(subject, prompt, answer);
    if let Some(prompt) = prompt {
        out.text("input.value", Some(Cow::Owned(facts::asked(&prompt))));
        out.word("input.mime_type", "text/plain");
    }
    put_text(out, "output", answer);
}

fn describe_call<'a>(subject: &Subject<'_, 'a>, call: &ModelCall<'a>, out: &mut Attributes) {
    let model = subject.label(call.model);
    out.text("llm.model_name", model.clone());
    out.text("llm.request.model_name", model);
    if let Some(recorded) = facts::provider(subject) {
        let (provider, system) = provider(&recorded);
        out.word("llm.provider", provider);
        out.text("llm.system", system.map(Cow::from));
    }
    // As OpenAI's interface has them.
    let mut asked = serde_json::Map::new();
    if let Some(effort) = subject.label(call.effort) {
        asked.insert("reasoning".to_owned(), serde_json::json!({ "effort": effort }));
    }
    if let Some(tier) = subject.label(call.service_tier) {
        asked.insert("service_tier".to_owned(), serde_json::json!(tier));
    }
    if !asked.is_empty() {
        out.word("llm.invocation_parameters", &serde_json::Value::from(asked).to_string());
    }
    if let Some(usage) = &subject.span.usage {
        out.int("llm.token_count.prompt", usage.input_tokens);
        out.int("llm.token_count.completion", usage.output_tokens);
        out.int("llm.token_count.total", usage.total_tokens);
        out.int("llm.token_count.prompt_details.cache_read", usage.cached_input_tokens);
        let written = usage.cache_write_input_tokens;
        out.int("llm.token_count.prompt_details.cache_write", written);
        let reasoning = usage.reasoning_output_tokens;
        out.int("llm.token_count.completion_details.reasoning", reasoning);
    }
    for (nth, tool) in facts::tools_of_call(subject).into_iter().enumerate() {
        out.json(format!("llm.tools.{nth}.tool.json_schema"), Some(tool.into_owned()));
    }
    let input = facts::model_input(subject, call);
    if let Some(last) = input.last_words() {
        out.kept("input.value", Some(last));
        out.word("input.mime_type", "text/plain");
    }
    for (nth, message) in input.messages().iter().enumerate() {
        describe_message(&format!("llm.input_messages.{nth}.message"), message, out);
    }
    if input.truncated {
        out.flag("codex.input.truncated", true);
    }
    if let Some(output) = facts::model_output(subject, call) {
        out.text("llm.finish_reason", facts::finish_reason(subject, &output).map(Cow::from));
        describe_message("llm.output_messages.0.message", &output, out);
        if let Some(words) = facts::words_of(&output) {
            put_text(out, "output", Some(words));
        } else {
            out.json("output.value", Some(chat::genai_answer(&output, None)));
            out.word("output.mime_type", "application/json");
        }
    }
}

/// The provider and what it serves, by the words that OpenInference has for
/// them. Which models come from elsewhere nobody says.
fn provider(genai: &str) -> (&str, Option<&'static str>) {
    match genai {
        "openai" => ("openai", Some("openai")),
        "azure.ai.openai" => ("azure", Some("openai")),
        "aws.bedrock" => ("aws", None),
        other => (other, None),
    }
}

fn describe_message(prefix: &str, message: &Message<'_>, out: &mut Attributes) {
    let key = |field: &str| format!("{prefix}.{field}");
    let text = |text: &Raw<'_>| Some(Cow::<str>::Owned(decode(text)));
    out.word(key("role"), message.role);
    if let Some(name) = &message.name {
        out.text(key("name"), text(name));
    }
    let (mut contents, mut calls) = (0, 0);
    for part in &message.parts {
        let mut content = |kind: &str, field: &str, value: Option<Cow<'_, str>>| {
            let at = format!("{prefix}.contents.{contents}.message_content");
            out.word(format!("{at}.type"), kind);
            out.text(format!("{at}.{field}"), value);
            contents += 1;
        };
        match part {
            Part::Text(it) => content("text", "text", text(it)),
            Part::Reasoning(it) => content("reasoning", "text", text(it)),
            Part::Image(it) => content("image", "image.image.url", text(it)),
            Part::LargeImage(_) | Part::Other(_) => {
                content("text", "text", text(&joined(vec![part.clone()])));
            }
            Part::ToolCall(call) | Part::ServerToolCall(call) => {
                describe_tool_call(&key(&format!("tool_calls.{calls}.tool_call")), call, out);
                calls += 1;
            }
            Part::ToolResult { id, content } => {
                out.text(key("tool_call_id"), id.map(|id| Cow::Owned(decode(id.raw()))));
                out.text(key("content"), content.as_ref().and_then(text));
            }
        }
    }
}

fn describe_tool_call(prefix: &str, call: &Call<'_>, out: &mut Attributes) {
    out.text(format!("{prefix}.id"), call.id.map(|id| Cow::Owned(decode(id.raw()))));
    out.text(format!("{prefix}.function.name"), Some(Cow::Owned(decode(&call.name))));
    if call.arguments.is_some() {
        let arguments = chat::arguments_text(call);
        out.text(format!("{prefix}.function.arguments"), Some(Cow::Owned(arguments)));
    }
}

fn describe_tool<'a>(subject: &Subject<'_, 'a>, call: &ToolCall<'a>, out: &mut Attributes) {
    out.text("tool.name", Some(facts::tool_name(subject, call)));
    out.text("tool.id", subject.label(call.call_id));
    out.kept("tool.description", facts::tool_description(subject, call));
    out.json("tool.parameters", facts::tool_parameters(subject, call).map(Cow::into_owned));
    if let Some(arguments) = facts::tool_arguments(subject, call) {
        out.json("input.value", Some(arguments.into_owned()));
        out.word("input.mime_type", "application/json");
    }
    put_text(out, "output", facts::tool_result(subject, call));
}

fn put_text(out: &mut Attributes, side: &str, text: Option<Raw<'_>>) {
    if let Some(text) = text {
        out.text(format!("{side}.value"), Some(Cow::Owned(decode(&text))));
        out.word(format!("{side}.mime_type"), "text/plain");
    }
}
