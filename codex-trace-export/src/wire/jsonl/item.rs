//! The `item` lines of `codex-trace/v1`.

use codex_rollout::item::response_item::{CallOutcome, ToolCallForm, ToolCallItem};
use codex_rollout::{JsonText, RawJson, ResponseItem};
use codex_trace_model::{Item, Thread, Trace};

use crate::content::Content;
use crate::json::Object;
use crate::splice;
use crate::wire::jsonl::recorded::Recorded as _;

/// Writes the fields of an item.
pub(super) fn fields(
    trace: &Trace<'_>,
    thread: &Thread<'_>,
    index: usize,
    item: &Item<'_>,
    content: Content,
    o: &mut Object<'_>,
) {
    o.put("type", "item");
    o.put("thread_id", &thread.id);
    o.put("index", index);
    o.put("kind", kind(&item.body));
    o.maybe("turn", item.turn.map(|turn| &trace.span(turn).key));
    o.maybe("at", item.at);
    o.flag("synthetic", item.synthetic);
    o.maybe("ordinal", item.ordinal);
    body(&item.body, &mut Fields { content, o });
    o.object("provenance", |o| {
        o.maybe("file", thread.rollout(item.rollout).map(|rollout| &rollout.path));
        o.put("line", item.position.line());
    });
}

/// Returns the word for what an item is.
pub fn kind(item: &ResponseItem<'_>) -> &'static str {
    match item {
        ResponseItem::Message(_) => "message",
        ResponseItem::Reasoning(_) => "reasoning",
        ResponseItem::ToolCall(_) => "tool_call",
        ResponseItem::ToolOutput(_) => "tool_output",
        ResponseItem::WebSearchCall(_) => "web_search_call",
        ResponseItem::ImageGenerationCall(_) => "image_generation_call",
        ResponseItem::Compaction(_) => "compaction",
        ResponseItem::AgentMessage(_) => "agent_message",
        ResponseItem::AdditionalTools(_) => "additional_tools",
        ResponseItem::ConfigurationUpdate(_) => "configuration_update",
        ResponseItem::GhostSnapshot => "ghost_snapshot",
        _ => "unknown",
    }
}

/// An object that content is spliced into.
struct Fields<'f, 'o> {
    content: Content,
    o: &'f mut Object<'o>,
}

impl Fields<'_, '_> {
    fn word(&mut self, key: &str, text: Option<JsonText<'_>>) {
        self.o.recorded(key, text);
    }

    fn json(&mut self, key: &str, value: Option<RawJson<'_>>) {
        if let Some(value) = value {
            splice::value(value, self.content, self.o.value(key));
        }
    }

    fn encrypted(&mut self, text: Option<JsonText<'_>>) {
        self.o.recorded("encrypted_content", text.filter(|_| self.content.encrypted));
    }
}

fn body(item: &ResponseItem<'_>, f: &mut Fields<'_, '_>) {
    match item {
        ResponseItem::Message(message) => {
            f.word("id", message.id);
            f.word("role", message.role);
            f.word("phase", message.phase);
            f.json("content", message.content);
        }
        ResponseItem::Reasoning(reasoning) => {
            f.word("id", reasoning.id);
            f.json("summary", reasoning.summary);
            f.json("content", reasoning.content);
            f.encrypted(reasoning.encrypted_content);
        }
        ResponseItem::ToolCall(call) => tool_call(call, f),
        ResponseItem::ToolOutput(output) => {
            f.word("id", output.id);
            f.word("call_id", output.call_id);
            f.word("name", output.name);
            f.word("namespace", output.namespace);
            f.json("output", output.output);
            f.json("tools", output.tools);
        }
        ResponseItem::WebSearchCall(search) => {
            f.word("id", search.id);
            f.word("status", search.status);
            f.json("action", search.action);
        }
        ResponseItem::ImageGenerationCall(image) => {
            f.word("id", image.id);
            f.word("status", image.status);
            f.word("revised_prompt", image.revised_prompt);
            if let Some(result) = image.result {
                splice::image(result, f.content, f.o.value("result"));
            }
        }
        ResponseItem::Compaction(compaction) => {
            f.word("id", compaction.id);
            f.encrypted(compaction.encrypted_content);
        }
        ResponseItem::AgentMessage(message) => {
            f.word("id", message.id);
            f.word("author", message.author);
            f.word("recipient", message.recipient);
            f.json("content", message.content);
        }
        ResponseItem::AdditionalTools(list) => {
            f.word("id", list.id);
            f.json("tools", list.tools);
        }
        ResponseItem::ConfigurationUpdate(update) => {
            f.word("id", update.id);
            f.word("effort", update.reasoning.and_then(|it| it.effort));
        }
        ResponseItem::Unknown(other) => {
            f.word("id", other.id);
            f.word("recorded_kind", other.kind);
        }
        _ => {}
    }
}

fn tool_call(call: &ToolCallItem<'_>, f: &mut Fields<'_, '_>) {
    let fields = &call.fields;
    let form = match call.form {
        ToolCallForm::Function => "function",
        ToolCallForm::Custom => "custom",
        ToolCallForm::LocalShell => "local_shell",
        ToolCallForm::ToolSearch => "tool_search",
        ToolCallForm::Other => "other",
    };
    f.o.put("form", form);
    f.word("recorded_kind", call.raw.and_then(CallOutcome::from_raw).and_then(|it| it.kind));
    f.word("id", fields.id);
    f.word("call_id", fields.call_id);
    f.word("name", fields.name);
    f.word("namespace", fields.namespace);
    f.word("status", fields.status);
    f.json("arguments", fields.arguments);
    f.word("input", fields.input);
    f.json("action", fields.action);
}
