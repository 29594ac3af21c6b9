//! What the user interface saw.

use crate::item::turn_context::ThreadSettingsApplied;
use crate::item::turn_item::{
    CollabCall, CommandExecution, DynamicToolCall, ImageGeneration, McpToolCall, PatchApply,
    SubAgentActivity, TurnItem, ViewImage, WebSearch,
};
use crate::item::usage::TokenCount;
use crate::scan::{Cursor, Syntax};
use crate::text::{JsonText, RawJson};
use crate::wire::{Tag, take_tag, wire};

/// A line of type `event_msg`. Only what a release ever wrote to disk is here.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum EventMsg<'a> {
    /// What the user typed.
    UserMessage(UserMessage<'a>),
    /// What the agent answered.
    AgentMessage(AgentMessage<'a>),
    /// A part of the reasoning summary, or of the raw reasoning.
    AgentReasoning(AgentReasoning<'a>),
    /// Token counts, rate limits, or both.
    TokenCount(TokenCount<'a>),
    /// A turn starts (since 0.100).
    TaskStarted(TaskStarted<'a>),
    /// A turn ends, failed or not (since 0.100).
    TaskComplete(TaskComplete<'a>),
    /// A turn is cut short.
    TurnAborted(TurnAborted<'a>),
    /// The last turns are taken back.
    ThreadRolledBack(ThreadRolledBack),
    /// The history was compacted; follows the `compacted` line.
    ContextCompacted,
    /// A review begins.
    EnteredReviewMode(EnteredReviewMode<'a>),
    /// A review ends.
    ExitedReviewMode(ExitedReviewMode<'a>),
    /// A command ended.
    ExecCommandEnd(CommandExecution<'a>),
    /// An MCP tool ended.
    McpToolCallEnd(McpToolCall<'a>),
    /// A patch was applied, or was not.
    PatchApplyEnd(PatchApply<'a>),
    /// A web search ended.
    WebSearchEnd(WebSearch<'a>),
    /// An image was made.
    ImageGenerationEnd(ImageGeneration<'a>),
    /// An image was shown to the model.
    ViewImageToolCall(ViewImage<'a>),
    /// A tool of the embedding program was asked.
    DynamicToolCallRequest(DynamicToolCall<'a>),
    /// A tool of the embedding program answered.
    DynamicToolCallResponse(DynamicToolCall<'a>),
    /// A tool that concerns another agent ended.
    CollabEnd(CollabCall<'a>),
    /// Another agent started, was spoken to, was interrupted or completed.
    SubAgentActivity(SubAgentActivity<'a>),
    /// A guardian judged an action.
    GuardianAssessment(GuardianAssessment<'a>),
    /// The thread got a name.
    ThreadNameUpdated(ThreadNameUpdated<'a>),
    /// The thread's goal changed.
    ThreadGoalUpdated(ThreadGoalUpdated<'a>),
    /// The thread's settings changed (since 0.144).
    ThreadSettingsApplied(ThreadSettingsApplied<'a>),
    /// Something failed.
    Error(ErrorEvent<'a>),
    /// An item of the turn is complete (since 0.93; all of them in paginated rollouts).
    ItemCompleted(ItemCompleted<'a>),
    /// The undo function ran; of no concern to a trace.
    UndoCompleted,
    /// An event of a type that this version does not know.
    Unknown(UnknownEvent<'a>),
}

wire! {
    /// What the user typed.
    pub struct UserMessage<'a> {
        /// The text; empty where only an image was put in.
        pub message: JsonText<'a> = b"message",
        /// `plain`, or what the harness wrote in the user's name (0.30 to 0.47).
        pub kind: JsonText<'a> = b"kind",
        /// Data URLs of images.
        pub images: RawJson<'a> = b"images",
        /// Paths of images.
        pub local_images: RawJson<'a> = b"local_images",
    }
}

wire! {
    /// What the agent answered.
    pub struct AgentMessage<'a> {
        /// The text.
        pub message: JsonText<'a> = b"message",
        /// `commentary`, `final_answer`, …
        pub phase: JsonText<'a> = b"phase",
        /// `async`: while the agent worked on.
        pub delivery: JsonText<'a> = b"delivery",
        /// What the user is asked.
        pub questions: RawJson<'a> = b"questions",
        /// The memories that the answer refers to (since 0.116).
        pub memory_citation: RawJson<'a> = b"memory_citation",
        /// What a moderator made of it.
        pub moderation: RawJson<'a> = b"moderation",
    }
}

wire! {
    /// A stretch of reasoning.
    pub struct AgentReasoning<'a> {
        /// The text.
        pub text: JsonText<'a> = b"text",
    }
}

wire! {
    /// A turn starts.
    pub struct TaskStarted<'a> {
        /// The turn.
        pub turn_id: JsonText<'a> = b"turn_id",
        /// The user's turn that led to it, in whichever thread (since 0.157).
        pub root_turn_id: JsonText<'a> = b"root_turn_id",
        /// The model's context window, in tokens.
        pub model_context_window: u64 = b"model_context_window",
        /// The W3C trace id of the turn (since 0.112).
        pub trace_id: JsonText<'a> = b"trace_id",
        /// Unix seconds (since 0.120).
        pub started_at: i64 = b"started_at",
        /// What the agent is to do: `plan`, `default` (since 0.93).
        pub collaboration_mode_kind: JsonText<'a> = b"collaboration_mode_kind",
        /// What caused the turn (since 0.163).
        pub attribution: TurnAttribution<'a> = b"turn_attribution",
    }
}

wire! {
    /// What caused a turn.
    pub struct TurnAttribution<'a> {
        /// The spawning turn.
        pub parent_turn_id: JsonText<'a> = b"parent_turn_id",
        /// The user's turn that led to it, in whichever thread.
        pub root_turn_id: JsonText<'a> = b"root_turn_id",
        /// `exec`, `daemon_recovery`, …
        pub turn_trigger: JsonText<'a> = b"turn_trigger",
        /// The agent that asked for the turn, by its path.
        pub initiating_agent_path: JsonText<'a> = b"initiating_agent_path",
    }
}

wire! {
    /// A turn ends.
    pub struct TaskComplete<'a> {
        /// The turn.
        pub turn_id: JsonText<'a> = b"turn_id",
        /// The agent's last message.
        pub last_agent_message: JsonText<'a> = b"last_agent_message",
        /// How long the turn took, in milliseconds (since 0.120).
        pub duration_ms: u64 = b"duration_ms",
        /// Unix seconds (since 0.120).
        pub completed_at: i64 = b"completed_at",
        /// From the turn's start to the first token, in milliseconds (since 0.124).
        pub time_to_first_token_ms: u64 = b"time_to_first_token_ms",
        /// Why the turn failed (since 0.145).
        pub error: ErrorEvent<'a> = b"error",
    }
}

wire! {
    /// A turn is cut short.
    pub struct TurnAborted<'a> {
        /// The turn (since 0.100).
        pub turn_id: JsonText<'a> = b"turn_id",
        /// `interrupted`, `replaced`, `review_ended`, `budget_limited`.
        pub reason: JsonText<'a> = b"reason",
        /// How long the turn took, in milliseconds (since 0.120).
        pub duration_ms: u64 = b"duration_ms",
        /// Why (since 0.160).
        pub error: ErrorEvent<'a> = b"error",
    }
}

wire! {
    /// The last turns are taken back.
    pub struct ThreadRolledBack {
        /// How many.
        pub num_turns: u64 = b"num_turns",
    }
}

wire! {
    /// A review begins.
    pub struct EnteredReviewMode<'a> {
        /// The parent's turn that the review is (since 0.144).
        pub turn_id: JsonText<'a> = b"turn_id",
        /// What is reviewed, for people.
        pub user_facing_hint: JsonText<'a> = b"user_facing_hint",
    }
}

wire! {
    /// A review ends.
    pub struct ExitedReviewMode<'a> {
        /// The parent's turn that the review is (since 0.144).
        pub turn_id: JsonText<'a> = b"turn_id",
        /// The findings.
        pub review_output: RawJson<'a> = b"review_output",
    }
}

wire! {
    /// A guardian judged an action.
    pub struct GuardianAssessment<'a> {
        /// The call judged.
        pub target_item_id: JsonText<'a> = b"target_item_id",
        /// The turn concerned.
        pub turn_id: JsonText<'a> = b"turn_id",
        /// `in_progress`, `approved`, `denied`, `aborted`.
        pub status: JsonText<'a> = b"status",
        /// How risky the action was found.
        pub risk_level: JsonText<'a> = b"risk_level",
        /// Why.
        pub rationale: JsonText<'a> = b"rationale",
    }
}

wire! {
    /// How risky something was found: a line of type `security_risk_score`
    /// (since 0.148).
    pub struct SecurityRiskScore<'a> {
        /// A map of what was looked for to a number.
        pub scores: RawJson<'a> = b"scores",
        /// What was done about it.
        pub action: RawJson<'a> = b"action",
        /// The call concerned, if it was one.
        pub call_id: JsonText<'a> = b"call_id",
    }
}

wire! {
    /// The thread got a name.
    pub struct ThreadNameUpdated<'a> {
        /// The name.
        pub thread_name: JsonText<'a> = b"thread_name",
    }
}

wire! {
    /// The thread's goal changed.
    pub struct ThreadGoalUpdated<'a> {
        /// The goal and how far it is.
        pub goal: RawJson<'a> = b"goal",
    }
}

wire! {
    /// Something failed.
    pub struct ErrorEvent<'a> {
        /// What, for people.
        pub message: JsonText<'a> = b"message",
        /// A code, or an object with one key.
        pub codex_error_info: RawJson<'a> = b"codex_error_info",
        /// More of it.
        pub additional_details: JsonText<'a> = b"additional_details",
    }
}

wire! {
    /// An item of the turn is complete.
    pub struct ItemCompleted<'a> {
        /// The thread whose item it is: not always the file's own.
        pub thread_id: JsonText<'a> = b"thread_id",
        /// The turn whose item it is.
        pub turn_id: JsonText<'a> = b"turn_id",
        /// The item.
        pub item: TurnItem<'a> = b"item",
        /// When it began, in Unix milliseconds (since 0.146).
        pub started_at_ms: i64 = b"started_at_ms",
        /// When it ended, in Unix milliseconds (since 0.129); 0 if unknown.
        pub completed_at_ms: i64 = b"completed_at_ms",
    }
}

wire! {
    /// An event of a type that this version does not know.
    pub struct UnknownEvent<'a> {
        /// Its type.
        pub kind: JsonText<'a> = b"type",
        /// The turn it belongs to, if it says so.
        pub turn_id: JsonText<'a> = b"turn_id",
    }
}

impl<'a> UnknownEvent<'a> {
    fn tagged(tag: &Tag<'a>, cursor: &mut Cursor<'a>) -> Result<Option<UnknownEvent<'a>>, Syntax> {
        Ok(tag.read(cursor)?.map(|read| UnknownEvent { kind: Some(tag.name), ..read }))
    }
}

impl<'a> EventMsg<'a> {
    pub(crate) fn decode(cursor: &mut Cursor<'a>) -> Result<Option<EventMsg<'a>>, Syntax> {
        let Some(tag) = take_tag(cursor)? else {
            cursor.skip()?;
            return Ok(None);
        };
        let event = match tag.name.raw() {
            b"token_count" => tag.read(cursor)?.map(EventMsg::TokenCount),
            b"item_completed" => tag.read(cursor)?.map(EventMsg::ItemCompleted),
            b"user_message" => tag.read(cursor)?.map(EventMsg::UserMessage),
            b"agent_message" => tag.read(cursor)?.map(EventMsg::AgentMessage),
            b"agent_reasoning" | b"agent_reasoning_raw_content" => {
                tag.read(cursor)?.map(EventMsg::AgentReasoning)
            }
            b"task_started" | b"turn_started" => tag.read(cursor)?.map(EventMsg::TaskStarted),
            b"task_complete" | b"turn_complete" => tag.read(cursor)?.map(EventMsg::TaskComplete),
            b"turn_aborted" => tag.read(cursor)?.map(EventMsg::TurnAborted),
            _ => return EventMsg::decode_seldom(&tag, cursor),
        };
        Ok(event)
    }

    fn decode_seldom(
        tag: &Tag<'a>,
        cursor: &mut Cursor<'a>,
    ) -> Result<Option<EventMsg<'a>>, Syntax> {
        let event = match tag.name.raw() {
            b"thread_rolled_back" => tag.read(cursor)?.map(EventMsg::ThreadRolledBack),
            b"context_compacted" => {
                tag.skip(cursor)?;
                Some(EventMsg::ContextCompacted)
            }
            b"undo_completed" => {
                tag.skip(cursor)?;
                Some(EventMsg::UndoCompleted)
            }
            b"entered_review_mode" => tag.read(cursor)?.map(EventMsg::EnteredReviewMode),
            b"exited_review_mode" => tag.read(cursor)?.map(EventMsg::ExitedReviewMode),
            b"exec_command_end" => tag.read(cursor)?.map(EventMsg::ExecCommandEnd),
            b"mcp_tool_call_end" => tag.read(cursor)?.map(EventMsg::McpToolCallEnd),
            b"patch_apply_end" => tag.read(cursor)?.map(EventMsg::PatchApplyEnd),
            b"web_search_end" => tag.read(cursor)?.map(EventMsg::WebSearchEnd),
            b"image_generation_end" => tag.read(cursor)?.map(EventMsg::ImageGenerationEnd),
            b"view_image_tool_call" => tag.read(cursor)?.map(EventMsg::ViewImageToolCall),
            b"dynamic_tool_call_request" => tag.read(cursor)?.map(EventMsg::DynamicToolCallRequest),
            b"dynamic_tool_call_response" => {
                tag.read(cursor)?.map(EventMsg::DynamicToolCallResponse)
            }
            b"collab_agent_spawn_end"
            | b"collab_agent_interaction_end"
            | b"collab_waiting_end"
            | b"collab_close_end"
            | b"collab_resume_end" => tag.read(cursor)?.map(EventMsg::CollabEnd),
            b"sub_agent_activity" => tag.read(cursor)?.map(EventMsg::SubAgentActivity),
            b"guardian_assessment" => tag.read(cursor)?.map(EventMsg::GuardianAssessment),
            b"thread_name_updated" => tag.read(cursor)?.map(EventMsg::ThreadNameUpdated),
            b"thread_goal_updated" => tag.read(cursor)?.map(EventMsg::ThreadGoalUpdated),
            b"thread_settings_applied" => tag.read(cursor)?.map(EventMsg::ThreadSettingsApplied),
            b"error" | b"stream_error" => tag.read(cursor)?.map(EventMsg::Error),
            _ => UnknownEvent::tagged(tag, cursor)?.map(EventMsg::Unknown),
        };
        Ok(event)
    }
}
