//! The same facts of every record, extracted in different ways.

use std::borrow::Cow;

use codex_rollout::{EventMsg, ResponseItem, RolloutItem, RolloutReader};
use serde::Deserialize;

/// What is extracted: enough that every record must be looked into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Records.
    pub records: u64,
    /// The bytes of all timestamps.
    pub timestamps: u64,
    /// Calls of functions and of custom tools.
    pub calls: u64,
    /// The bytes of their ids and names.
    pub names: u64,
    /// Outputs of those calls.
    pub outputs: u64,
    /// The tokens of all `token_count` lines, repeats included.
    pub tokens: u64,
}

/// One way to extract them from the bytes of a file.
pub type Way = fn(&[u8]) -> Facts;

/// With the reader of this workspace.
pub fn ours(bytes: &[u8]) -> Facts {
    let mut facts = Facts::default();
    for line in RolloutReader::new(bytes).flatten() {
        facts.records += 1;
        // Without its quotes.
        facts.timestamps += line.timestamp.map_or(0, |at| at.raw().len() as u64 - 2);
        match &line.item {
            RolloutItem::ResponseItem(ResponseItem::ToolCall(call)) => {
                let fields = &call.fields;
                let len = |text: Option<codex_rollout::JsonText<'_>>| {
                    text.map_or(0, |text| text.decode().len() as u64)
                };
                facts.calls += 1;
                facts.names += len(fields.call_id) + len(fields.name);
            }
            RolloutItem::ResponseItem(ResponseItem::ToolOutput(_)) => facts.outputs += 1,
            RolloutItem::EventMsg(EventMsg::TokenCount(count)) => {
                let last = count.info.and_then(|info| info.last_token_usage);
                facts.tokens += last.map_or(0, |usage| usage.total_tokens);
            }
            _ => {}
        }
    }
    facts
}

/// With a tree of everything: what most programs do.
pub fn value(bytes: &[u8]) -> Facts {
    let mut facts = Facts::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(record) = serde_json::from_slice::<serde_json::Value>(line) else { continue };
        let text = |value: &serde_json::Value| value.as_str().map_or(0, |text| text.len() as u64);
        facts.records += 1;
        facts.timestamps += text(&record["timestamp"]);
        let payload = &record["payload"];
        match payload["type"].as_str() {
            Some("function_call" | "custom_tool_call") => {
                facts.calls += 1;
                facts.names += text(&payload["call_id"]) + text(&payload["name"]);
            }
            Some("function_call_output" | "custom_tool_call_output") => facts.outputs += 1,
            Some("token_count") => {
                let last = &payload["info"]["last_token_usage"];
                facts.tokens += last["total_tokens"].as_u64().unwrap_or(0);
            }
            _ => {}
        }
    }
    facts
}

/// As [`value`], with the tree of simd-json.
pub fn simd_value(bytes: &[u8]) -> Facts {
    use simd_json::prelude::*;

    let mut facts = Facts::default();
    let mut scratch = Vec::new();
    let mut buffers = simd_json::Buffers::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        scratch.clear();
        scratch.extend_from_slice(line);
        let Ok(record) = simd_json::to_borrowed_value_with_buffers(&mut scratch, &mut buffers)
        else {
            continue;
        };
        let text = |value: Option<&simd_json::BorrowedValue<'_>>| {
            value.as_str().map_or(0, |text| text.len() as u64)
        };
        facts.records += 1;
        facts.timestamps += text(record.get("timestamp"));
        let payload = record.get("payload");
        match payload.get_str("type") {
            Some("function_call" | "custom_tool_call") => {
                facts.calls += 1;
                facts.names += text(payload.get("call_id")) + text(payload.get("name"));
            }
            Some("function_call_output" | "custom_tool_call_output") => facts.outputs += 1,
            Some("token_count") => {
                let last = payload.get("info").get("last_token_usage").cloned();
                facts.tokens += last.get_u64("total_tokens").unwrap_or(0);
            }
            _ => {}
        }
    }
    facts
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow, default)]
    timestamp: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    payload: Payload<'a>,
}

#[derive(Default, Deserialize)]
struct Payload<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    call_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(default)]
    info: Option<Info>,
}

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    last_token_usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    total_tokens: u64,
}

/// With types that take what is wanted and skip the rest.
pub fn typed(bytes: &[u8]) -> Facts {
    let mut facts = Facts::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(record) = serde_json::from_slice::<Record<'_>>(line) {
            facts.take(&record);
        }
    }
    facts
}

/// As [`typed`], with simd-json.
pub fn simd_typed(bytes: &[u8]) -> Facts {
    let mut facts = Facts::default();
    let mut scratch = Vec::new();
    let mut buffers = simd_json::Buffers::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        scratch.clear();
        scratch.extend_from_slice(line);
        let record = simd_json::serde::from_slice_with_buffers(&mut scratch, &mut buffers);
        if let Ok(record) = record {
            facts.take(&record);
        }
    }
    facts
}

impl Facts {
    fn take(&mut self, record: &Record<'_>) {
        let len = |text: &Option<Cow<'_, str>>| text.as_ref().map_or(0, |text| text.len() as u64);
        self.records += 1;
        self.timestamps += len(&record.timestamp);
        let payload = &record.payload;
        match payload.kind.as_deref() {
            Some("function_call" | "custom_tool_call") => {
                self.calls += 1;
                self.names += len(&payload.call_id) + len(&payload.name);
            }
            Some("function_call_output" | "custom_tool_call_output") => self.outputs += 1,
            Some("token_count") => {
                let last = payload.info.as_ref().and_then(|info| info.last_token_usage.as_ref());
                self.tokens += last.map_or(0, |usage| usage.total_tokens);
            }
            _ => {}
        }
    }
}
