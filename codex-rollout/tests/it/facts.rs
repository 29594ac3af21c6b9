//! The facts of a record, once from our reader and once from `serde_json`.

use std::collections::BTreeMap;

use codex_rollout::item::turn_item::TurnItem;
use codex_rollout::{
    EventMsg, JsonText, RawJson, ResponseItem, RolloutItem, RolloutLine, TokenUsage,
};
use serde_json::{Value, json};

/// Facts by name; an absent one is null.
pub(crate) type Facts = BTreeMap<&'static str, Value>;

fn text(text: Option<JsonText<'_>>) -> Value {
    text.map_or(Value::Null, |text| Value::from(text.decode()))
}

/// Parses what was handed out as raw: it must be a value of its own.
fn raw(raw: Option<RawJson<'_>>) -> Value {
    raw.map_or(Value::Null, |raw| serde_json::from_slice(raw.raw()).expect("raw text is a value"))
}

fn usage(usage: Option<TokenUsage>) -> Value {
    usage.map_or(Value::Null, |usage| {
        json!([
            usage.input_tokens,
            usage.cached_input_tokens,
            usage.cache_write_input_tokens,
            usage.output_tokens,
            usage.reasoning_output_tokens,
            usage.total_tokens
        ])
    })
}

/// Returns what our reader says about a record.
pub(crate) fn ours(line: &RolloutLine<'_>) -> Facts {
    let mut facts = Facts::new();
    facts.insert("ordinal", json!(line.ordinal));
    facts.insert("timestamp", raw(line.timestamp));
    match &line.item {
        RolloutItem::SessionMeta(meta) => {
            facts.insert("id", text(meta.id));
            facts.insert("cwd", text(meta.cwd));
            facts.insert("cli_version", text(meta.cli_version));
            facts.insert("branch", text(meta.git.and_then(|git| git.branch)));
            facts.insert("prompt", text(meta.base_instructions.and_then(|prompt| prompt.text)));
        }
        RolloutItem::TurnContext(context) => {
            facts.insert("turn_id", text(context.turn_id));
            facts.insert("model", text(context.model));
            facts.insert("approval", raw(context.approval_policy));
        }
        RolloutItem::ResponseItem(item) => response_item(item, &mut facts),
        RolloutItem::EventMsg(event) => event_msg(event, &mut facts),
        RolloutItem::Compacted(compacted) => {
            facts.insert("message", text(compacted.message));
            facts.insert("history", raw(compacted.replacement_history));
            facts.insert("window", json!(compacted.window_number));
        }
        RolloutItem::TokenUsageRecord(record) => {
            facts.insert("response_id", text(record.response_id));
            facts.insert("usage", usage(record.usage));
        }
        RolloutItem::WorldState(world) => {
            facts.insert("full", json!(world.full));
            facts.insert("model", text(world.model()));
        }
        RolloutItem::Realtime(item) => {
            facts.insert("role", text(item.said().role));
            facts.insert("said", text(item.said().text));
            facts.insert("observed", json!(item.observed_at_ms));
        }
        RolloutItem::DynamicTools(it) => {
            facts.insert("tools", raw(it.tools));
        }
        RolloutItem::RetainedContext(kept) => {
            facts.insert("questions", raw(kept.questions));
            facts.insert("said", text(kept.text));
        }
        RolloutItem::SecurityRiskScore(risk) => {
            facts.insert("scores", raw(risk.scores));
            facts.insert("call_id", text(risk.call_id));
        }
        RolloutItem::Bookkeeping(kind) | RolloutItem::Unknown(kind) => {
            facts.insert("kind", text(Some(*kind)));
        }
        _ => {}
    }
    facts
}

fn response_item(item: &ResponseItem<'_>, facts: &mut Facts) {
    facts.insert("turn_id", text(item.turn_id()));
    match item {
        ResponseItem::Message(message) => {
            facts.insert("role", text(message.role));
            facts.insert("content", raw(message.content));
        }
        ResponseItem::Reasoning(reasoning) => {
            facts.insert("id", text(reasoning.id));
            facts.insert("summary", raw(reasoning.summary));
            facts.insert("encrypted", text(reasoning.encrypted_content));
        }
        ResponseItem::ToolCall(call) => {
            facts.insert("call_id", text(call.fields.call_id));
            facts.insert("name", text(call.fields.name));
            facts.insert("arguments", raw(call.fields.arguments));
            facts.insert("input", text(call.fields.input));
        }
        ResponseItem::ToolOutput(output) => {
            facts.insert("call_id", text(output.call_id));
            facts.insert("output", raw(output.output));
        }
        ResponseItem::Unknown(other) => {
            facts.insert("kind", text(other.kind));
        }
        _ => {}
    }
}

fn event_msg(event: &EventMsg<'_>, facts: &mut Facts) {
    match event {
        EventMsg::TokenCount(count) => {
            let info = count.info.unwrap_or_default();
            facts.insert("total", usage(info.total_token_usage));
            facts.insert("last", usage(info.last_token_usage));
            facts.insert("limits", raw(count.rate_limits));
        }
        EventMsg::TaskStarted(started) => {
            facts.insert("turn_id", text(started.turn_id));
            facts.insert("started_at", json!(started.started_at));
        }
        EventMsg::TaskComplete(complete) => {
            facts.insert("turn_id", text(complete.turn_id));
            facts.insert("answer", text(complete.last_agent_message));
            facts.insert("duration", json!(complete.duration_ms));
        }
        EventMsg::TurnAborted(aborted) => {
            facts.insert("turn_id", text(aborted.turn_id));
            facts.insert("reason", text(aborted.reason));
        }
        EventMsg::UserMessage(message) => {
            facts.insert("message", text(message.message));
        }
        EventMsg::AgentMessage(message) => {
            facts.insert("message", text(message.message));
        }
        EventMsg::ItemCompleted(completed) => {
            facts.insert("turn_id", text(completed.turn_id));
            if let Some(TurnItem::CommandExecution(command)) = completed.item {
                facts.insert("item", text(command.id));
            }
        }
        EventMsg::Unknown(unknown) => {
            facts.insert("kind", text(unknown.kind));
        }
        _ => {}
    }
}

fn string(value: &Value, key: &str) -> Value {
    value[key].as_str().map_or(Value::Null, Value::from)
}

/// A whole number as Codex means it; 3e2 is one, 2^63 is beyond what is read.
fn whole(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
    let from_float =
        |float: f64| (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64);
    value.as_i64().or_else(|| value.as_f64().and_then(from_float))
}

fn count(value: &Value) -> Value {
    whole(value).filter(|number| *number >= 0).map_or(Value::Null, Value::from)
}

fn usage_of(value: &Value) -> Value {
    if !value.is_object() {
        return Value::Null;
    }
    let count = |key| whole(&value[key]).and_then(|number| u64::try_from(number).ok());
    let zero = |key| count(key).unwrap_or(0);
    let sum = zero("input_tokens").saturating_add(zero("output_tokens"));
    json!([
        zero("input_tokens"),
        zero("cached_input_tokens"),
        count("cache_write_input_tokens"),
        zero("output_tokens"),
        zero("reasoning_output_tokens"),
        count("total_tokens").unwrap_or(sum)
    ])
}

/// Returns what the same line says according to `serde_json`, or `None` if
/// it is no record.
pub(crate) fn theirs(line: &Value) -> Option<Facts> {
    let mut facts = Facts::new();
    facts.insert("ordinal", count(&line["ordinal"]));
    facts.insert("timestamp", line["timestamp"].clone());
    let payload = &line["payload"];
    let has_payload = line.as_object()?.contains_key("payload");
    if !has_payload {
        return lifted(line, facts);
    }
    match line["type"].as_str()? {
        "session_meta" if payload.is_object() => session_meta(payload, &mut facts),
        "turn_context" if payload.is_object() => {
            facts.insert("turn_id", string(payload, "turn_id"));
            facts.insert("model", string(payload, "model"));
            facts.insert("approval", payload["approval_policy"].clone());
        }
        "response_item" if payload["type"].is_string() => item_of(payload, &mut facts),
        "event_msg" if payload["type"].is_string() => event_of(payload, &mut facts),
        "compacted" if payload.is_object() => {
            facts.insert("message", string(payload, "message"));
            facts.insert("history", payload["replacement_history"].clone());
            facts.insert("window", count(&payload["window_number"]));
        }
        "token_usage_record" if payload.is_object() => {
            facts.insert("response_id", string(payload, "response_id"));
            facts.insert("usage", usage_of(&payload["usage"]));
        }
        "realtime_item" if payload.is_object() => {
            let frame = &payload["channels"]["voice_transcript"];
            let said = if frame.is_object() { frame } else { payload };
            facts.insert("role", string(said, "role"));
            facts.insert("said", string(said, "text"));
            facts.insert("observed", whole(&payload["observed_at_ms"]).into());
        }
        "retained_context" if payload.is_object() => {
            facts.insert("questions", payload["questions"].clone());
            facts.insert("said", string(payload, "text"));
        }
        "security_risk_score" if payload.is_object() => {
            facts.insert("scores", payload["scores"].clone());
            facts.insert("call_id", string(payload, "call_id"));
        }
        "world_state" if payload.is_object() => {
            facts.insert("full", json!(payload["full"].as_bool()));
            let model = &payload["state"]["model"];
            let name = model.as_str().map(Value::from);
            facts.insert("model", name.unwrap_or_else(|| string(model, "model")));
        }
        "inter_agent_communication_metadata" | "inter_agent_communication"
            if payload.is_object() => {}
        kind => {
            facts.insert("kind", kind.into());
        }
    }
    Some(facts)
}

/// The bare lines of the first versions.
fn lifted(line: &Value, mut facts: Facts) -> Option<Facts> {
    if let Some(kind) = line["record_type"].as_str() {
        facts.insert("kind", kind.into());
    } else if line["type"].is_string() {
        item_of(line, &mut facts);
    } else if line["id"].is_string() && line["timestamp"].is_string() {
        session_meta(line, &mut facts);
    } else {
        return None;
    }
    Some(facts)
}

fn session_meta(payload: &Value, facts: &mut Facts) {
    facts.insert("id", string(payload, "id"));
    facts.insert("cwd", string(payload, "cwd"));
    facts.insert("cli_version", string(payload, "cli_version"));
    facts.insert("branch", string(&payload["git"], "branch"));
    facts.insert("prompt", string(&payload["base_instructions"], "text"));
}

fn item_of(item: &Value, facts: &mut Facts) {
    // The later of the two names wins; no writer uses both.
    let passed = &item["internal_chat_message_metadata_passthrough"];
    let metadata = if passed.is_object() { passed } else { &item["metadata"] };
    facts.insert("turn_id", string(metadata, "turn_id"));
    match item["type"].as_str().unwrap_or_default() {
        "message" => {
            facts.insert("role", string(item, "role"));
            facts.insert("content", item["content"].clone());
        }
        "reasoning" => {
            facts.insert("id", string(item, "id"));
            facts.insert("summary", item["summary"].clone());
            facts.insert("encrypted", string(item, "encrypted_content"));
        }
        "function_call" | "custom_tool_call" | "local_shell_call" | "tool_search_call" => {
            facts.insert("call_id", string(item, "call_id"));
            facts.insert("name", string(item, "name"));
            facts.insert("arguments", item["arguments"].clone());
            facts.insert("input", string(item, "input"));
        }
        "function_call_output" | "custom_tool_call_output" | "tool_search_output" => {
            facts.insert("call_id", string(item, "call_id"));
            facts.insert("output", item["output"].clone());
        }
        "ghost_snapshot" => {
            facts.insert("turn_id", Value::Null);
        }
        "web_search_call"
        | "image_generation_call"
        | "compaction"
        | "compaction_summary"
        | "context_compaction"
        | "compaction_trigger"
        | "agent_message"
        | "additional_tools"
        | "configuration_update" => {}
        kind => other_item_of(kind, item, facts),
    }
}

/// What no version wrote so far: a call and an output are known by their ends.
fn other_item_of(kind: &str, item: &Value, facts: &mut Facts) {
    if kind.ends_with("_call_output") {
        facts.insert("call_id", string(item, "call_id"));
        facts.insert("output", item["output"].clone());
        return;
    }
    let joins = ["call_id", "id", "status"].iter().any(|key| item[*key].is_string());
    let Some(name) = kind.strip_suffix("_call").filter(|_| joins) else {
        facts.insert("kind", kind.into());
        return;
    };
    let recorded = ["arguments", "action"].map(|key| &item[key]);
    let first = recorded.into_iter().find(|value| !value.is_null()).unwrap_or(item);
    let input = string(item, "input");
    facts.insert("arguments", if input.is_null() { first } else { recorded[0] }.clone());
    facts.insert("input", input);
    facts.insert("call_id", string(item, "call_id"));
    let own = string(item, "name");
    facts.insert("name", if own.is_null() { name.into() } else { own });
}

/// The events that carry no facts compared here.
const OTHER_EVENTS: &[&str] = &[
    "agent_reasoning",
    "agent_reasoning_raw_content",
    "thread_rolled_back",
    "context_compacted",
    "undo_completed",
    "entered_review_mode",
    "exited_review_mode",
    "exec_command_end",
    "mcp_tool_call_end",
    "patch_apply_end",
    "web_search_end",
    "image_generation_end",
    "view_image_tool_call",
    "dynamic_tool_call_request",
    "dynamic_tool_call_response",
    "collab_agent_spawn_end",
    "collab_agent_interaction_end",
    "collab_waiting_end",
    "collab_close_end",
    "collab_resume_end",
    "sub_agent_activity",
    "guardian_assessment",
    "thread_name_updated",
    "thread_goal_updated",
    "thread_settings_applied",
    "error",
    "stream_error",
];

fn event_of(event: &Value, facts: &mut Facts) {
    match event["type"].as_str().unwrap_or_default() {
        "token_count" => {
            facts.insert("total", usage_of(&event["info"]["total_token_usage"]));
            facts.insert("last", usage_of(&event["info"]["last_token_usage"]));
            facts.insert("limits", event["rate_limits"].clone());
        }
        "task_started" | "turn_started" => {
            facts.insert("turn_id", string(event, "turn_id"));
            facts.insert("started_at", json!(whole(&event["started_at"])));
        }
        "task_complete" | "turn_complete" => {
            facts.insert("turn_id", string(event, "turn_id"));
            facts.insert("answer", string(event, "last_agent_message"));
            facts.insert("duration", count(&event["duration_ms"]));
        }
        "turn_aborted" => {
            facts.insert("turn_id", string(event, "turn_id"));
            facts.insert("reason", string(event, "reason"));
        }
        "user_message" | "agent_message" => {
            facts.insert("message", string(event, "message"));
        }
        "item_completed" => {
            facts.insert("turn_id", string(event, "turn_id"));
            if event["item"]["type"] == "CommandExecution" {
                facts.insert("item", string(&event["item"], "id"));
            }
        }
        kind if OTHER_EVENTS.contains(&kind) => {}
        kind => {
            facts.insert("kind", kind.into());
        }
    }
}
