//! The spans of the live exporter 0.1.0: its attributes in its order, byte for
//! byte. What it does not know of comes after them, in `names`.

use std::borrow::Cow;

use codex_rollout::TokenUsage;
use codex_trace_model::{SpanKind as Kind, Status, ToolCall, Turn};

use super::names::Names;
use super::{hooks, json, limits};
use crate::content::Part;
use crate::otlp::messages::Raw;
use crate::otlp::{Attributes, Subject, facts};

/// What Logfire calls how important a span is.
pub(super) mod level {
    pub(crate) const INFO: u64 = 9;
    pub(crate) const WARN: u64 = 13;
    pub(crate) const ERROR: u64 = 17;
}

/// How many characters of a prompt name a turn.
const PREVIEW: usize = 120;

/// The most that the messages of a turn take, in bytes: Logfire cuts the
/// attributes of a span at 10 MB.
const MESSAGES_LIMIT: usize = 4 << 20;

/// What Logfire is to read as JSON in the attributes of a turn.
const TURN_SCHEMA: &str = r#"{"properties":{"final_result":{"type":"string"},"pydantic_ai.all_messages":{"type":"array"}},"type":"object"}"#;

/// Describes a turn.
pub(super) fn turn<'a>(
    names: &Names<'_>,
    subject: &Subject<'_, 'a>,
    turn: &Turn<'a>,
    out: &mut Attributes,
) {
    let lengths = hooks::lengths(subject, turn);
    let cut = |text: String| if names.exporter_limits { limits::cut(text) } else { text };
    let prompt = hooks::prompt(subject, turn).map(cut);
    let answer = hooks::answer(subject, turn).map(cut);
    let model = model(subject, turn);
    let tools = hooks::tools(subject, |ix| names.places.turn(ix) == Some(subject.ix));
    let messages = Messages::of(prompt.as_deref(), &tools, answer.as_deref());
    let said = prompt.as_deref().or(answer.as_deref());
    let message = match (said, lengths.prompt) {
        (Some(text), _) => format!("Codex turn: {}", preview(text)),
        (None, length) => {
            let model = model.as_deref().unwrap_or("unknown model");
            let length = length.map_or_else(String::new, |n| format!(", {n} prompt chars"));
            format!("Codex turn ({model}{length})")
        }
    };
    let tags: &[&str] = if messages.is_empty() { &["Codex"] } else { &["Codex", "LLM"] };
    head(out, &message, level_of(&subject.span.status), tags);
    names.identify(subject, out);
    out.text("codex.cwd", subject.place(turn.cwd.or(subject.thread.meta.cwd)));
    out.text("codex.model", model.clone());
    out.text("codex.logfire_project", names.project.map(Cow::Borrowed));
    let completed = subject.span.status == Status::Ok;
    out.flag("codex.stop_hook_active", completed.then_some(false));
    out.int("codex.prompt.length", lengths.prompt.map(|n| n as u64));
    out.int("codex.response.length", lengths.answer.map(|n| n as u64));
    let provider = facts::provider(subject).unwrap_or(Cow::Borrowed("openai"));
    out.text("gen_ai.system", Some(provider));
    out.word("gen_ai.operation.name", "chat");
    out.text("gen_ai.request.model", model.clone());
    out.text("gen_ai.response.model", model.clone());
    if completed {
        out.words("gen_ai.response.finish_reasons", &["stop"]);
    }
    out.int("gen_ai.tool.call.count", tools.len() as u64);
    out.word("agent_name", "codex");
    out.text("model_name", model);
    if let Some(usage) = &subject.span.usage {
        aggregated_usage(usage, turn, out);
    }
    let has_answer = answer.is_some();
    out.text("codex.prompt", prompt.map(Cow::Owned));
    out.text("codex.last_assistant_message", answer.clone().map(Cow::Owned));
    if !messages.is_empty() {
        let truncated = messages.truncated;
        out.json("pydantic_ai.all_messages", Some(messages.finish()));
        out.word("logfire.json_schema", TURN_SCHEMA);
        if truncated {
            out.flag("codex.all_messages.truncated", true);
        }
    }
    if has_answer {
        out.text("final_result", answer.map(Cow::Owned));
    }
}

/// Adds what every span of the exporter begins with.
pub(super) fn head(out: &mut Attributes, message: &str, level: u64, tags: &[&str]) {
    out.word("logfire.msg", message);
    out.word("logfire.span_type", "span");
    out.int("logfire.level_num", level);
    out.words("logfire.tags", tags);
}

/// Returns how important a span is by how it ended.
pub(super) fn level_of(status: &Status<'_>) -> u64 {
    match status {
        Status::Error { .. } => level::ERROR,
        Status::Interrupted { .. } => level::WARN,
        _ => level::INFO,
    }
}

/// Returns the model that the last hook of a turn names: that of the turn's last
/// request.
fn model<'t>(subject: &Subject<'t, '_>, turn: &Turn<'t>) -> Option<Cow<'t, str>> {
    let calls = subject.scene.trace.children(subject.ix);
    let asked = calls.filter_map(|(_, span)| match &span.kind {
        Kind::ModelCall(call) if !call.compaction => call.model,
        _ => None,
    });
    subject.label(asked.last().or(turn.model))
}

/// Adds the usage of a turn. Not under the names that model calls have theirs
/// under, where sums over all spans would count everything twice: Pydantic AI
/// has it so, too, for the runs of an agent.
fn aggregated_usage(usage: &TokenUsage, turn: &Turn<'_>, out: &mut Attributes) {
    for (name, n) in [
        ("input_tokens", usage.input_tokens),
        ("cache_read_input_tokens", usage.cached_input_tokens),
        ("output_tokens", usage.output_tokens),
        ("reasoning_tokens", usage.reasoning_output_tokens),
        ("total_tokens", usage.total_tokens),
    ] {
        out.int(format!("gen_ai.aggregated_usage.{name}"), Some(n).filter(|n| *n > 0));
    }
    out.int("codex.token_usage.context_window", turn.model_context_window);
    out.word("codex.token_usage.source", "codex_rollout_token_count");
}

/// Describes a tool call.
pub(super) fn tool<'a>(
    names: &Names<'_>,
    subject: &Subject<'_, 'a>,
    call: &ToolCall<'a>,
    out: &mut Attributes,
) {
    let tool = hooks::tool(subject, call);
    // As hooks have it, which are not told that all went well.
    let status = match &subject.span.status {
        Status::Error { .. } => Some("error"),
        Status::Interrupted { .. } => Some("interrupted"),
        _ => None,
    };
    let message = format!("Codex tool {} {}", tool.name, status.unwrap_or("completed"));
    head(out, &message, level_of(&subject.span.status), &["Codex"]);
    names.identify(subject, out);
    out.text("codex.tool.status", status.map(Cow::Borrowed));
    let ended = subject.span.status != Status::Incomplete;
    out.flag("codex.tool.success", ended.then_some(status.is_none()));
    out.word("gen_ai.operation.name", "execute_tool");
    out.word("gen_ai.tool.name", &tool.name);
    out.text("gen_ai.tool.call.id", subject.label(tool.id));
    out.word(
        "gen_ai.tool.type",
        if facts::runs_at_provider(call) { "extension" } else { "function" },
    );
    let duration = call.duration.and_then(|it| u64::try_from(it.as_millis()).ok());
    out.int("codex.tool.duration_ms", duration);
    if status.is_some() {
        out.word("error.type", "tool_execution_error");
    }
    let value = |raw: Option<Raw<'_>>| {
        let mut text = Vec::new();
        json::value(&mut text, &raw?);
        Some(text)
    };
    out.json("gen_ai.tool.call.arguments", value(tool.input));
    out.json("gen_ai.tool.call.result", value(tool.response));
}

/// Returns the first characters of a text in a line.
fn preview(text: &str) -> String {
    // Python counts these as white space, too.
    let is_space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
    let words: Vec<&str> = text.split(is_space).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    if line.chars().nth(PREVIEW).is_none() {
        return line;
    }
    let cut: String = line.chars().take(PREVIEW - 1).collect();
    format!("{}...", cut.trim_end())
}

/// The conversation of a turn as Logfire's panel for agents shows it.
struct Messages {
    json: Vec<u8>,
    truncated: bool,
}

impl Messages {
    /// Writes prompt, tool calls and answer.
    fn of(prompt: Option<&str>, tools: &[Subject<'_, '_>], answer: Option<&str>) -> Messages {
        let mut all = Messages { json: Vec::new(), truncated: false };
        if let Some(text) = prompt {
            all.text("user", text);
        }
        // Names and ids of tools are no content, but messages are.
        let kept = tools.iter().filter(|tool| tool.scene.rules.keeps(Part::Tool));
        for (nth, tool) in kept.enumerate() {
            if all.json.len() > MESSAGES_LIMIT {
                all.truncated = true;
                break;
            }
            all.tool(nth, tool);
        }
        if let Some(text) = answer {
            all.text("assistant", text);
        }
        all
    }

    fn is_empty(&self) -> bool {
        self.json.is_empty()
    }

    fn finish(mut self) -> Vec<u8> {
        self.json.push(b']');
        self.json
    }

    fn message(&mut self, role: &str, part: impl FnOnce(&mut Vec<u8>)) {
        self.json.push(if self.json.is_empty() { b'[' } else { b',' });
        self.json.extend_from_slice(b"{\"parts\":[{");
        part(&mut self.json);
        self.json.extend_from_slice(b"}],\"role\":");
        json::text(&mut self.json, role);
        self.json.push(b'}');
    }

    fn text(&mut self, role: &str, text: &str) {
        self.message(role, |out| {
            out.extend_from_slice(b"\"content\":");
            json::text(out, text);
            out.extend_from_slice(b",\"type\":\"text\"");
        });
    }

    fn tool(&mut self, nth: usize, subject: &Subject<'_, '_>) {
        let Kind::ToolCall(call) = &subject.span.kind else { return };
        let tool = hooks::tool(subject, call);
        let id = subject.label(tool.id);
        let id = id.unwrap_or_else(|| Cow::Owned(format!("tool-{}", nth + 1)));
        let named = |out: &mut Vec<u8>| {
            out.extend_from_slice(b"\"id\":");
            json::text(out, &id);
            out.extend_from_slice(b",\"name\":");
            json::text(out, &tool.name);
        };
        if let Some(input) = &tool.input {
            self.message("assistant", |out| {
                out.extend_from_slice(b"\"arguments\":");
                json::value(out, input);
                out.push(b',');
                named(out);
                out.extend_from_slice(b",\"type\":\"tool_call\"");
            });
        }
        if let Some(response) = &tool.response {
            self.message("user", |out| {
                named(out);
                out.extend_from_slice(b",\"result\":");
                json::value(out, response);
                out.extend_from_slice(b",\"type\":\"tool_call_response\"");
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand, after the exporter's rule: 120 characters whole, of more the
    /// first 119 without blanks at their end, and three full stops.
    #[test]
    fn a_preview_is_cut_as_the_exporter_cuts() {
        assert_eq!(preview(" a \n\t b\u{a0}c\u{1c}d "), "a b c d");
        let whole = "é".repeat(120);
        assert_eq!(preview(&whole), whole);
        let long = "x".repeat(118) + " yz";
        assert_eq!(preview(&long), "x".repeat(118) + "...");
    }
}
