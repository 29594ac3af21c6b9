//! What is left of a record that was decoded in full: its shape, its numbers
//! and its short strings.

use crate::item::compacted::{Compacted, InterAgentCommunication};
use crate::item::event_msg::{
    EnteredReviewMode, ErrorEvent, EventMsg, ExitedReviewMode, ItemCompleted, TaskComplete,
    TaskStarted, TurnAborted, TurnAttribution, UnknownEvent, UserMessage,
};
use crate::item::response_item::{
    CompactionItem, ConfigurationUpdateItem, Message, OtherItem, Reasoning, ReasoningSettings,
    ResponseItem, ToolOutputItem,
};
use crate::item::session_meta::{GitInfo, HistoryBase, SessionMeta, ThreadOrigin, ThreadSpawn};
use crate::item::turn_context::{
    ThreadSettings, ThreadSettingsApplied, TurnContext, WorldFacts, WorldState,
};
use crate::item::turn_item::{ReviewItem, TurnItem};
use crate::item::usage::{TokenCount, TokenUsageRecord};
use crate::line::{RolloutItem, RolloutLine};
use crate::scan::Cursor;
use crate::skim::Strings;
use crate::text::{JsonText, RawJson};
use crate::wire::take_tag;

/// What stands for a text that is not empty.
const SOME_TEXT: JsonText<'static> = JsonText::new(b"...");

/// Keeps of a record what does not need the line that it was read from.
pub(super) fn record<'a>(line: &RolloutLine<'_>, strings: &'a Strings, kept: &mut RolloutLine<'a>) {
    kept.position = line.position;
    kept.bytes = &[];
    kept.ordinal = line.ordinal;
    kept.timestamp = line.timestamp.map(|at| RawJson::new(strings.keep_stamp(at.raw())));
    kept.payload = None;
    kept.item = item(line, strings);
}

fn item<'a>(line: &RolloutLine<'_>, strings: &'a Strings) -> RolloutItem<'a> {
    let keep = Keep(strings);
    match &line.item {
        RolloutItem::SessionMeta(meta) => RolloutItem::SessionMeta(keep.meta(meta)),
        RolloutItem::TurnContext(context) => RolloutItem::TurnContext(TurnContext {
            turn_id: keep.text(context.turn_id),
            root_turn_id: keep.text(context.root_turn_id),
            cwd: keep.text(context.cwd),
            model: keep.text(context.model),
            effort: keep.text(context.effort),
            trace_id: keep.text(context.trace_id),
            ..TurnContext::default()
        }),
        RolloutItem::ResponseItem(item) => RolloutItem::ResponseItem(keep.response_item(item)),
        RolloutItem::EventMsg(event) => match keep.event(event) {
            Some(event) => RolloutItem::EventMsg(event),
            None => RolloutItem::Bookkeeping(keep.one(event_type(line.bytes))),
        },
        RolloutItem::Compacted(_) => RolloutItem::Compacted(Compacted::default()),
        RolloutItem::TokenUsageRecord(record) => RolloutItem::TokenUsageRecord(TokenUsageRecord {
            thread_id: keep.text(record.thread_id),
            turn_id: keep.text(record.turn_id),
            session_id: keep.text(record.session_id),
            root_turn_id: keep.text(record.root_turn_id),
            response_id: keep.text(record.response_id),
            usage: record.usage,
            turn_token_usage: record.turn_token_usage,
            thread_token_usage: record.thread_token_usage,
        }),
        RolloutItem::WorldState(world) => RolloutItem::WorldState(WorldState {
            full: world.full,
            state: world.state.map(|facts| WorldFacts { model: keep.raw(facts.model) }),
        }),
        RolloutItem::DynamicTools(_) => {
            RolloutItem::Bookkeeping(JsonText::new(b"dynamic_tools_updated"))
        }
        RolloutItem::Realtime(_) => RolloutItem::Bookkeeping(JsonText::new(b"realtime_item")),
        RolloutItem::RetainedContext(_) => {
            RolloutItem::Bookkeeping(JsonText::new(b"retained_context"))
        }
        RolloutItem::SecurityRiskScore(_) => {
            RolloutItem::Bookkeeping(JsonText::new(b"security_risk_score"))
        }
        RolloutItem::InterAgentMetadata(metadata) => RolloutItem::InterAgentMetadata(*metadata),
        RolloutItem::InterAgentCommunication(message) => {
            RolloutItem::InterAgentCommunication(InterAgentCommunication {
                author: keep.text(message.author),
                recipient: keep.text(message.recipient),
                content: None,
                trigger_turn: message.trigger_turn,
            })
        }
        RolloutItem::Bookkeeping(kind) => RolloutItem::Bookkeeping(keep.one(*kind)),
        RolloutItem::Unknown(kind) => RolloutItem::Unknown(keep.name(*kind)),
    }
}

/// Returns the type of the event on a line that is known to hold one.
fn event_type(line: &[u8]) -> JsonText<'_> {
    let mut tag = None;
    let read = Cursor::new(line).object(|key, value| {
        if key == b"payload" {
            tag = take_tag(&mut value.clone())?.map(|tag| tag.name);
        }
        Ok(())
    });
    read.ok().and(tag).unwrap_or_default()
}

/// Keeps the short strings of what it is shown.
struct Keep<'a>(&'a Strings);

impl<'a> Keep<'a> {
    fn one(&self, text: JsonText<'_>) -> JsonText<'a> {
        JsonText::new(self.0.intern(text.raw()))
    }

    /// Keeps the name of an unknown type, unless there are too many of them.
    fn name(&self, name: JsonText<'_>) -> JsonText<'a> {
        JsonText::new(self.0.intern_name(name.raw()))
    }

    fn text(&self, text: Option<JsonText<'_>>) -> Option<JsonText<'a>> {
        text.map(|text| self.one(text))
    }

    fn raw(&self, value: Option<RawJson<'_>>) -> Option<RawJson<'a>> {
        value.map(|value| RawJson::new(self.0.intern(value.raw())))
    }

    fn meta(&self, meta: &SessionMeta<'_>) -> SessionMeta<'a> {
        SessionMeta {
            id: self.text(meta.id),
            session_id: self.text(meta.session_id),
            timestamp: self.text(meta.timestamp),
            cwd: self.text(meta.cwd),
            originator: self.text(meta.originator),
            cli_version: self.text(meta.cli_version),
            source: meta.source.map(|source| self.origin(&source)),
            thread_source: self.text(meta.thread_source),
            model_provider: self.text(meta.model_provider),
            forked_from_id: self.text(meta.forked_from_id),
            forked_from_ordinal_exclusive: meta.forked_from_ordinal_exclusive,
            parent_thread_id: self.text(meta.parent_thread_id),
            agent_nickname: self.text(meta.agent_nickname),
            agent_role: self.text(meta.agent_role),
            agent_path: self.text(meta.agent_path),
            history_mode: self.text(meta.history_mode),
            history_base: meta.history_base.map(|base| HistoryBase {
                rollout_id: self.text(base.rollout_id),
                end_ordinal_exclusive: base.end_ordinal_exclusive,
                end_byte_offset: base.end_byte_offset,
            }),
            subagent_history_start_ordinal: meta.subagent_history_start_ordinal,
            git: meta.git.map(|git| GitInfo {
                commit_hash: self.text(git.commit_hash),
                branch: self.text(git.branch),
                repository_url: self.text(git.repository_url),
            }),
            base_instructions: None,
            instructions: None,
            attached_thread: meta.attached_thread,
            multi_agent_version: self.text(meta.multi_agent_version),
            dynamic_tools: None,
            memory_mode: None,
            runtime_workspace_roots: None,
            context_window: None,
            creator_user_id: None,
            creator_account_id: None,
            account_scoped: None,
        }
    }

    fn origin(&self, origin: &ThreadOrigin<'_>) -> ThreadOrigin<'a> {
        match origin {
            ThreadOrigin::Program(name) => ThreadOrigin::Program(self.one(*name)),
            ThreadOrigin::Custom(name) => ThreadOrigin::Custom(self.one(*name)),
            ThreadOrigin::Internal(name) => ThreadOrigin::Internal(self.one(*name)),
            ThreadOrigin::Subagent(name) => ThreadOrigin::Subagent(self.one(*name)),
            ThreadOrigin::Spawned(spawn) => ThreadOrigin::Spawned(ThreadSpawn {
                parent_thread_id: self.text(spawn.parent_thread_id),
                depth: spawn.depth,
                agent_path: self.text(spawn.agent_path),
                agent_nickname: self.text(spawn.agent_nickname),
                agent_role: self.text(spawn.agent_role),
            }),
            ThreadOrigin::Other(raw) => ThreadOrigin::Other(RawJson::new(self.0.intern(raw.raw()))),
        }
    }

    fn response_item(&self, item: &ResponseItem<'_>) -> ResponseItem<'a> {
        match item {
            ResponseItem::Message(message) => ResponseItem::Message(Message {
                role: self.text(message.role),
                ..Message::default()
            }),
            ResponseItem::Reasoning(_)
            | ResponseItem::ToolCall(_)
            | ResponseItem::WebSearchCall(_)
            | ResponseItem::ImageGenerationCall(_) => ResponseItem::Reasoning(Reasoning::default()),
            ResponseItem::ToolOutput(_) => ResponseItem::ToolOutput(ToolOutputItem::default()),
            ResponseItem::Compaction(_)
            | ResponseItem::AgentMessage(_)
            | ResponseItem::AdditionalTools(_) => {
                ResponseItem::Compaction(CompactionItem::default())
            }
            ResponseItem::ConfigurationUpdate(update) => {
                let effort = |reasoning: ReasoningSettings<'_>| ReasoningSettings {
                    effort: self.text(reasoning.effort),
                };
                ResponseItem::ConfigurationUpdate(ConfigurationUpdateItem {
                    reasoning: update.reasoning.map(effort),
                    ..ConfigurationUpdateItem::default()
                })
            }
            ResponseItem::GhostSnapshot => ResponseItem::GhostSnapshot,
            ResponseItem::Unknown(other) => ResponseItem::Unknown(OtherItem {
                kind: other.kind.map(|kind| self.name(kind)),
                ..OtherItem::default()
            }),
        }
    }

    /// Keeps an event; `None` if its name is all that matters.
    fn event(&self, event: &EventMsg<'_>) -> Option<EventMsg<'a>> {
        Some(match event {
            EventMsg::TokenCount(count) => {
                EventMsg::TokenCount(TokenCount { info: count.info, rate_limits: None })
            }
            EventMsg::UserMessage(message) => EventMsg::UserMessage(UserMessage {
                message: message.message.map(emptiness),
                kind: self.text(message.kind),
                images: message.images.map(list_emptiness),
                local_images: message.local_images.map(list_emptiness),
            }),
            EventMsg::TaskStarted(started) => EventMsg::TaskStarted(TaskStarted {
                turn_id: self.text(started.turn_id),
                root_turn_id: self.text(started.root_turn_id),
                model_context_window: started.model_context_window,
                trace_id: self.text(started.trace_id),
                started_at: started.started_at,
                collaboration_mode_kind: None,
                attribution: started.attribution.map(|cause| TurnAttribution {
                    parent_turn_id: self.text(cause.parent_turn_id),
                    root_turn_id: self.text(cause.root_turn_id),
                    turn_trigger: self.text(cause.turn_trigger),
                    initiating_agent_path: self.text(cause.initiating_agent_path),
                }),
            }),
            EventMsg::TaskComplete(complete) => EventMsg::TaskComplete(TaskComplete {
                turn_id: self.text(complete.turn_id),
                last_agent_message: None,
                completed_at: complete.completed_at,
                duration_ms: complete.duration_ms,
                time_to_first_token_ms: complete.time_to_first_token_ms,
                error: complete.error.map(|_| ErrorEvent::default()),
            }),
            EventMsg::TurnAborted(aborted) => EventMsg::TurnAborted(TurnAborted {
                turn_id: self.text(aborted.turn_id),
                reason: self.text(aborted.reason),
                duration_ms: aborted.duration_ms,
                error: aborted.error.map(|_| ErrorEvent::default()),
            }),
            EventMsg::ThreadRolledBack(back) => EventMsg::ThreadRolledBack(*back),
            EventMsg::EnteredReviewMode(entered) => {
                EventMsg::EnteredReviewMode(EnteredReviewMode {
                    turn_id: self.text(entered.turn_id),
                    user_facing_hint: None,
                })
            }
            EventMsg::ExitedReviewMode(exited) => EventMsg::ExitedReviewMode(ExitedReviewMode {
                turn_id: self.text(exited.turn_id),
                review_output: None,
            }),
            EventMsg::ThreadSettingsApplied(applied) => {
                EventMsg::ThreadSettingsApplied(ThreadSettingsApplied {
                    thread_id: self.text(applied.thread_id),
                    thread_settings: applied.thread_settings.map(|settings| ThreadSettings {
                        model: self.text(settings.model),
                        model_provider_id: self.text(settings.model_provider_id),
                        service_tier: self.text(settings.service_tier),
                        reasoning_effort: self.text(settings.reasoning_effort),
                        ..ThreadSettings::default()
                    }),
                })
            }
            EventMsg::ItemCompleted(done) => {
                let review = |item: &ReviewItem<'_>| ReviewItem {
                    id: self.text(item.id),
                    ..ReviewItem::default()
                };
                let item = match &done.item {
                    Some(TurnItem::EnteredReviewMode(it)) => {
                        TurnItem::EnteredReviewMode(review(it))
                    }
                    Some(TurnItem::ExitedReviewMode(it)) => TurnItem::ExitedReviewMode(review(it)),
                    _ => return None,
                };
                EventMsg::ItemCompleted(ItemCompleted {
                    thread_id: self.text(done.thread_id),
                    turn_id: self.text(done.turn_id),
                    item: Some(item),
                    started_at_ms: done.started_at_ms,
                    completed_at_ms: done.completed_at_ms,
                })
            }
            EventMsg::Unknown(event) => EventMsg::Unknown(UnknownEvent {
                kind: event.kind.map(|kind| self.name(kind)),
                turn_id: None,
            }),
            _ => return None,
        })
    }
}

/// Keeps of a text whether it is empty.
fn emptiness(text: JsonText<'_>) -> JsonText<'static> {
    if text.is_empty() { JsonText::default() } else { SOME_TEXT }
}

/// Keeps of a list whether it is empty, as Codex writes that.
fn list_emptiness(list: RawJson<'_>) -> RawJson<'static> {
    RawJson::new(if list.raw() == b"[]" { b"[]" } else { b"[0]" })
}
