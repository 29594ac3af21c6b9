//! Spans in the OpenTelemetry conventions for generative AI; names and version
//! are in [`semconv`].

use std::borrow::Cow;

use codex_rollout::into_text;
use codex_trace_model::{ModelCall, SpanKind as Kind, Status, ToolCall, Turn};

use super::attributes::Attributes;
use super::messages::decode;
use super::spans::{Subject, Vocabulary};
use super::{chat, codex, facts, semconv};
use crate::content::Part;

/// The conventions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GenAi;

impl Vocabulary for GenAi {
    fn name(&self, subject: &Subject<'_, '_>) -> String {
        match &subject.span.kind {
            Kind::ModelCall(call) => match subject.label(call.model) {
                Some(model) => format!("chat {model}"),
                None => "chat".to_owned(),
            },
            Kind::ToolCall(call) => format!("execute_tool {}", facts::tool_name(subject, call)),
            Kind::Compaction(_) => "compaction".to_owned(),
            _ => format!("invoke_agent {}", subject.agent()),
        }
    }

    fn describe(&self, subject: &Subject<'_, '_>, out: &mut Attributes) {
        out.text(semconv::CONVERSATION_ID, Some(subject.scene.session_id()));
        out.text(semconv::SESSION_ID, Some(subject.scene.session_id()));
        out.text(semconv::ERROR_TYPE, subject.error_type().map(Cow::from));
        match &subject.span.kind {
            Kind::Thread => agent(subject, out),
            Kind::Turn(turn) => {
                agent(subject, out);
                describe_turn(subject, turn, out);
            }
            Kind::ModelCall(call) => describe_call(subject, call, out),
            Kind::ToolCall(call) => describe_tool(subject, call, out),
            Kind::Compaction(compaction) => {
                out.word(semconv::OPERATION, semconv::COMPACT);
                let reader = subject.reader();
                let summary = compaction.summary.and_then(|it| reader.decoded(Part::Message, it));
                // Phoenix has no kind for it otherwise.
                out.word("openinference.span.kind", "CHAIN");
                out.text("output.value", summary.clone().map(Cow::Owned));
                out.text("codex.compaction.summary", summary.map(Cow::Owned));
            }
            _ => {}
        }
        codex::describe(subject, out);
    }
}

fn agent(subject: &Subject<'_, '_>, out: &mut Attributes) {
    let meta = &subject.thread.meta;
    out.word(semconv::OPERATION, "invoke_agent");
    out.text(semconv::AGENT_NAME, Some(subject.agent()));
    out.word(semconv::AGENT_ID, &subject.thread.id);
    out.text("codex.cli_version", subject.label(meta.cli_version));
    out.text(semconv::PROVIDER, facts::provider(subject));
}

/// Adds the system prompt: to the turn, and to every call that was made with it.
fn instructions(subject: &Subject<'_, '_>, out: &mut Attributes) {
    let write = || {
        let text = facts::instructions(subject)?;
        let mut json = Vec::with_capacity(text.len() + 40);
        chat::field(&mut json, br#"[{"type":"text","content":"#, &text);
        json.extend_from_slice(b"}]");
        Some(into_text(json))
    };
    let kept = subject.scene.recent.borrow_mut().instructions(subject.thread, write);
    out.kept(semconv::SYSTEM_INSTRUCTIONS, kept);
}

fn describe_turn<'a>(subject: &Subject<'_, 'a>, turn: &Turn<'a>, out: &mut Attributes) {
    out.text(semconv::REQUEST_MODEL, subject.label(turn.model));
    instructions(subject, out);
    let tools = facts::new_tools(subject, turn);
    let tools = tools.and_then(|list| subject.reader().value(Part::Message, list));
    out.json(semconv::TOOL_DEFINITIONS, tools.map(Cow::into_owned));
    let prompt = facts::prompt(subject, turn);
    let answer = facts::answer(subject, turn);
    let message = |role: &str, text: &[u8], end: &[u8]| {
        let mut json = format!(r#"[{{"role":"{role}","parts":[{{"type":"text","#).into_bytes();
        chat::field(&mut json, br#""content":"#, text);
        json.extend_from_slice(end);
        json
    };
    let user = prompt.as_ref().map(|text| message("user", text, b"}]}]"));
    // Who was interrupted has not stopped by himself.
    let end: &[u8] = match subject.span.status {
        Status::Ok => br#"}],"finish_reason":"stop"}]"#,
        _ => b"}]}]",
    };
    let assistant = answer.as_ref().map(|text| message("assistant", text, end));
    out.json(semconv::INPUT_MESSAGES, user);
    out.json(semconv::OUTPUT_MESSAGES, assistant);
    // Phoenix shows a session by these.
    let (prompt, answer) = facts::asked_and_answered(subject, prompt, answer);
    out.text("input.value", prompt.map(|text| Cow::Owned(facts::asked(&text))));
    out.text("output.value", answer.map(|text| Cow::Owned(decode(&text))));
}

fn describe_call<'a>(subject: &Subject<'_, 'a>, call: &ModelCall<'a>, out: &mut Attributes) {
    out.word(semconv::OPERATION, "chat");
    out.text(semconv::PROVIDER, facts::provider(subject));
    out.text(semconv::REQUEST_MODEL, subject.label(call.model));
    out.text(semconv::REASONING_LEVEL, subject.label(call.effort));
    if !call.compaction {
        out.flag(semconv::STREAM, true);
    }
    out.text(semconv::RESPONSE_ID, subject.label(call.response_id));
    out.double(semconv::TIME_TO_FIRST_CHUNK, facts::time_to_first_token(subject));
    if let Some(usage) = &subject.span.usage {
        out.int(semconv::INPUT_TOKENS, usage.input_tokens);
        out.int(semconv::OUTPUT_TOKENS, usage.output_tokens);
        out.int(semconv::CACHE_READ_TOKENS, usage.cached_input_tokens);
        out.int(semconv::CACHE_WRITE_TOKENS, usage.cache_write_input_tokens);
        out.int(semconv::CACHE_CREATION_TOKENS, usage.cache_write_input_tokens);
        out.int(semconv::REASONING_TOKENS, usage.reasoning_output_tokens);
    }
    instructions(subject, out);
    let input = facts::model_input(subject, call);
    if let Some(last) = input.last_words() {
        out.kept("input.value", Some(last));
        out.word("input.mime_type", "text/plain");
    }
    if !input.is_empty() {
        out.joined(semconv::INPUT_MESSAGES, input.genai());
    }
    if input.truncated {
        out.flag("codex.input.truncated", true);
    }
    if let Some(output) = facts::model_output(subject, call) {
        let finish = facts::finish_reason(subject, &output);
        let json = chat::genai_answer(&output, finish);
        if let Some(finish) = finish {
            out.words(semconv::FINISH_REASONS, &[finish]);
        }
        // Else Phoenix shows the response's id in its place.
        if let Some(words) = facts::words_of(&output) {
            out.text("output.value", Some(Cow::Owned(decode(&words))));
            // With a response's id it takes all for JSON of which nothing is said.
            out.word("output.mime_type", "text/plain");
        } else {
            out.json("output.value", Some(json.clone()));
            out.word("output.mime_type", "application/json");
        }
        out.json(semconv::OUTPUT_MESSAGES, Some(json));
    }
}

fn describe_tool<'a>(subject: &Subject<'_, 'a>, call: &ToolCall<'a>, out: &mut Attributes) {
    out.word(semconv::OPERATION, "execute_tool");
    out.text(semconv::TOOL_NAME, Some(facts::tool_name(subject, call)));
    out.text(semconv::TOOL_CALL_ID, subject.label(call.call_id));
    let kind = if facts::runs_at_provider(call) { "extension" } else { "function" };
    out.word(semconv::TOOL_TYPE, kind);
    out.kept(semconv::TOOL_DESCRIPTION, facts::tool_description(subject, call));
    if call.extras().mcp.is_some() {
        out.word(semconv::MCP_METHOD, "tools/call");
    }
    out.json(semconv::TOOL_ARGUMENTS, facts::tool_arguments(subject, call).map(Cow::into_owned));
    out.kept(semconv::TOOL_RESULT, facts::tool_result_words(subject, call));
}
