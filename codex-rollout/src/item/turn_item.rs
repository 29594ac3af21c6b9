//! The details of what a turn did: one record for a legacy `…_end` event and
//! for the paginated item of the same meaning, since their fields are the same.

use crate::scan::{Cursor, Syntax};
use crate::text::{JsonText, RawJson};
use crate::wire::{Field, Tag, take_tag, wire};

/// The item of an `item_completed` event. Its `id` is what joins it to a call.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum TurnItem<'a> {
    /// What the user typed.
    UserMessage(MessageItem<'a>),
    /// What the agent answered.
    AgentMessage(AnswerItem<'a>),
    /// What the model thought.
    Reasoning(MessageItem<'a>),
    /// A plan.
    Plan(MessageItem<'a>),
    /// A prompt put in by a hook.
    HookPrompt(MessageItem<'a>),
    /// A command.
    CommandExecution(CommandExecution<'a>),
    /// A patch.
    FileChange(PatchApply<'a>),
    /// A call of an MCP tool.
    McpToolCall(McpToolCall<'a>),
    /// A call of a tool of the embedding program.
    DynamicToolCall(DynamicToolCall<'a>),
    /// A call that concerns other agents.
    CollabAgentToolCall(CollabCall<'a>),
    /// Another agent started, was spoken to, was interrupted or completed.
    SubAgentActivity(SubAgentActivity<'a>),
    /// A web search.
    WebSearch(WebSearch<'a>),
    /// An image shown to the model.
    ImageView(ViewImage<'a>),
    /// An image made.
    ImageGeneration(ImageGeneration<'a>),
    /// A tool of a Codex extension: `clock.sleep`, `web.search`, `image_gen.generation`.
    Extension(Extension<'a>),
    /// A review begins.
    EnteredReviewMode(ReviewItem<'a>),
    /// A review ends.
    ExitedReviewMode(ReviewItem<'a>),
    /// An output that the harness put in (since 0.152).
    FunctionCallOutput(MessageItem<'a>),
    /// The history was compacted.
    ContextCompaction(MessageItem<'a>),
    /// An item of a type that this version does not know.
    Unknown(UnknownItem<'a>),
}

wire! {
    /// An item that says no more than the `response_item` of the same meaning.
    pub struct MessageItem<'a> {
        /// The item.
        pub id: JsonText<'a> = b"id",
        /// The content, in the shape of its type.
        pub content: RawJson<'a> = b"content",
        /// The text of a plan.
        pub text: JsonText<'a> = b"text",
        /// What a hook put in: a list of texts, each with the hook's run.
        pub fragments: RawJson<'a> = b"fragments",
    }
}

wire! {
    /// What the agent answered: of the `response_item` of the same meaning, and
    /// how it was delivered.
    pub struct AnswerItem<'a> {
        /// The item; the call, if a tool of Codex sent the message.
        pub id: JsonText<'a> = b"id",
        /// An array of texts.
        pub content: RawJson<'a> = b"content",
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
    /// A span of time as Rust serialises it.
    pub struct RecordedDuration {
        /// Whole seconds.
        pub secs: u64 = b"secs",
        /// The rest in nanoseconds.
        pub nanos: u64 = b"nanos",
    }
}

wire! {
    /// A command: `exec_command_end` or `CommandExecution`.
    pub struct CommandExecution<'a> {
        /// The call; `exec-…` for one nested in code mode.
        pub id: JsonText<'a> = b"call_id" | b"id",
        /// The turn (events only).
        pub turn_id: JsonText<'a> = b"turn_id",
        /// The session of the running process, which a later `write_stdin` names.
        pub process_id: JsonText<'a> = b"process_id",
        /// The words of the command.
        pub command: RawJson<'a> = b"command",
        /// Where it ran: a path, or a `file:` URI since 0.141.
        pub cwd: JsonText<'a> = b"cwd",
        /// `agent`, `user_shell`, `unified_exec_startup`, `unified_exec_interaction`.
        pub source: JsonText<'a> = b"source",
        /// `completed`, `failed`, `declined`, `in_progress`.
        pub status: JsonText<'a> = b"status",
        /// What it printed, shortened.
        pub aggregated_output: RawJson<'a> = b"aggregated_output",
        /// The exit code.
        pub exit_code: i64 = b"exit_code",
        /// How long the process ran.
        pub duration: RecordedDuration = b"duration",
        /// When it ended, in Unix milliseconds (events since 0.129).
        pub completed_at_ms: i64 = b"completed_at_ms",
        /// What the command does, as Codex reads it: a list of `read`,
        /// `list_files`, `search`, `unknown`.
        pub parsed_cmd: RawJson<'a> = b"parsed_cmd",
        /// The plugin that it belongs to.
        pub plugin_id: JsonText<'a> = b"plugin_id",
        /// The plugin's script.
        pub script_path: JsonText<'a> = b"script_path",
    }
}

wire! {
    /// A patch: `patch_apply_end` or `FileChange`.
    pub struct PatchApply<'a> {
        /// The call.
        pub id: JsonText<'a> = b"call_id" | b"id",
        /// The turn (events only).
        pub turn_id: JsonText<'a> = b"turn_id",
        /// Whether it was applied (events only).
        pub success: bool = b"success",
        /// `completed`, `failed`, `declined`.
        pub status: JsonText<'a> = b"status",
        /// What the tool printed.
        pub stdout: RawJson<'a> = b"stdout",
        /// What the tool complained about.
        pub stderr: JsonText<'a> = b"stderr",
        /// A map of path to change.
        pub changes: RawJson<'a> = b"changes",
    }
}

wire! {
    /// A call of an MCP tool: `mcp_tool_call_end` or `McpToolCall`.
    pub struct McpToolCall<'a> {
        /// The call.
        pub id: JsonText<'a> = b"call_id" | b"id",
        /// The turn (events since 0.144).
        pub turn_id: JsonText<'a> = b"turn_id",
        /// Server, tool and arguments (events only).
        pub invocation: McpInvocation<'a> = b"invocation",
        /// The server (items only).
        pub server: JsonText<'a> = b"server",
        /// The tool (items only).
        pub tool: JsonText<'a> = b"tool",
        /// The arguments (items only).
        pub arguments: RawJson<'a> = b"arguments",
        /// `inProgress`, `completed`, `failed` (items only).
        pub status: JsonText<'a> = b"status",
        /// The result: wrapped in `Ok` or `Err` in events.
        pub result: RawJson<'a> = b"result",
        /// Why it failed (items only).
        pub error: McpError<'a> = b"error",
        /// How long it took.
        pub duration: RecordedDuration = b"duration",
        /// The app that offers the tool.
        pub app_name: JsonText<'a> = b"app_name" | b"appName",
        /// What the app calls it.
        pub action_name: JsonText<'a> = b"action_name" | b"actionName",
        /// The connector to the app.
        pub connector_id: JsonText<'a> = b"connector_id" | b"connectorId",
        /// The plugin that brought the server.
        pub plugin_id: JsonText<'a> = b"plugin_id" | b"pluginId",
        /// Whether the server says that the tool changes nothing.
        pub read_only_hint: bool = b"read_only_hint" | b"readOnlyHint",
        /// The environment that the server runs in (since 0.171).
        pub environment_id: JsonText<'a> = b"environment_id" | b"environmentId",
    }
}

wire! {
    /// Which MCP tool was called.
    pub struct McpInvocation<'a> {
        /// The server.
        pub server: JsonText<'a> = b"server",
        /// The tool.
        pub tool: JsonText<'a> = b"tool",
        /// The arguments.
        pub arguments: RawJson<'a> = b"arguments",
    }
}

wire! {
    /// Why an MCP call failed.
    pub struct McpError<'a> {
        /// For people.
        pub message: JsonText<'a> = b"message",
    }
}

wire! {
    /// The result of an MCP call as the event wraps it.
    pub struct McpResult<'a> {
        /// An answer, good or bad.
        pub ok: McpAnswer = b"Ok",
        /// No answer: why.
        pub err: JsonText<'a> = b"Err",
        /// Whether the answer is an error (items, which do not wrap).
        pub is_error: bool = b"isError" | b"is_error",
    }
}

wire! {
    /// The answer of an MCP server.
    pub struct McpAnswer {
        /// Whether the tool itself says that it failed.
        pub is_error: bool = b"isError" | b"is_error",
    }
}

wire! {
    /// A call of a tool of the embedding program.
    pub struct DynamicToolCall<'a> {
        /// The call.
        pub id: JsonText<'a> = b"call_id" | b"callId" | b"id",
        /// The turn (events only).
        pub turn_id: JsonText<'a> = b"turn_id" | b"turnId",
        /// The tool.
        pub tool: JsonText<'a> = b"tool",
        /// The namespace.
        pub namespace: JsonText<'a> = b"namespace",
        /// The arguments.
        pub arguments: RawJson<'a> = b"arguments",
        /// `inProgress`, `completed`, `failed` (items only).
        pub status: JsonText<'a> = b"status",
        /// Whether it worked.
        pub success: bool = b"success",
        /// Why it failed.
        pub error: RawJson<'a> = b"error",
        /// How long it took.
        pub duration: RecordedDuration = b"duration",
        /// When it began, in Unix milliseconds (requests only).
        pub started_at_ms: i64 = b"startedAtMs",
        /// When it ended, in Unix milliseconds (responses only).
        pub completed_at_ms: i64 = b"completed_at_ms",
    }
}

wire! {
    /// A call that concerns other agents: `collab_…_end` or `CollabAgentToolCall`.
    pub struct CollabCall<'a> {
        /// The call.
        pub id: JsonText<'a> = b"call_id" | b"id",
        /// `spawn_agent`, `send_input`, `wait`, … (items only).
        pub tool: JsonText<'a> = b"tool",
        /// The calling thread.
        pub sender_thread_id: JsonText<'a> = b"sender_thread_id",
        /// The thread made (`collab_agent_spawn_end`).
        pub new_thread_id: JsonText<'a> = b"new_thread_id",
        /// The threads concerned (items only).
        pub receiver_thread_ids: RawJson<'a> = b"receiver_thread_ids",
        /// The model of the agent.
        pub model: JsonText<'a> = b"model",
        /// The reasoning effort of the agent.
        pub reasoning_effort: JsonText<'a> = b"reasoning_effort",
        /// How each agent stands: a map of thread to a word or an object
        /// (items only).
        pub agents_states: RawJson<'a> = b"agents_states",
        /// Items: `completed`, `failed`. Events: how the agent stands, a word
        /// or an object.
        pub status: RawJson<'a> = b"status",
        /// How each agent that was waited for stands (`collab_waiting_end`).
        pub statuses: RawJson<'a> = b"statuses",
        /// When it ended, in Unix milliseconds (events since 0.129).
        pub completed_at_ms: i64 = b"completed_at_ms",
    }
}

wire! {
    /// What another agent did: `sub_agent_activity` or `SubAgentActivity`.
    pub struct SubAgentActivity<'a> {
        /// The spawning or messaging call, or `subagent-completed-` + turn id.
        pub id: JsonText<'a> = b"event_id" | b"id",
        /// `started`, `interacted`, `interrupted`, `completed`.
        pub kind: JsonText<'a> = b"kind",
        /// The other agent's thread.
        pub agent_thread_id: JsonText<'a> = b"agent_thread_id",
        /// The other agent's path.
        pub agent_path: JsonText<'a> = b"agent_path",
        /// The other agent's model.
        pub model: JsonText<'a> = b"model",
        /// The other agent's reasoning effort.
        pub reasoning_effort: JsonText<'a> = b"reasoning_effort",
        /// When, in Unix milliseconds (events only).
        pub occurred_at_ms: i64 = b"occurred_at_ms",
    }
}

wire! {
    /// A web search: `web_search_end` or `WebSearch`.
    pub struct WebSearch<'a> {
        /// The call.
        pub id: JsonText<'a> = b"call_id" | b"id",
        /// What was looked for.
        pub query: JsonText<'a> = b"query",
        /// What was searched, opened or looked for, as the provider says it.
        pub action: RawJson<'a> = b"action",
        /// What was found.
        pub results: RawJson<'a> = b"results",
    }
}

wire! {
    /// An image shown to the model.
    pub struct ViewImage<'a> {
        /// The call.
        pub id: JsonText<'a> = b"call_id" | b"id",
        /// The file.
        pub path: JsonText<'a> = b"path",
    }
}

wire! {
    /// An image made: `image_generation_end` or `ImageGeneration`.
    pub struct ImageGeneration<'a> {
        /// The call.
        pub id: JsonText<'a> = b"call_id" | b"id",
        /// `completed`, …
        pub status: JsonText<'a> = b"status",
        /// The prompt as the provider rewrote it.
        pub revised_prompt: JsonText<'a> = b"revised_prompt",
        /// Where the image was saved.
        pub saved_path: JsonText<'a> = b"saved_path",
    }
}

wire! {
    /// A tool of a Codex extension.
    pub struct Extension<'a> {
        /// The call.
        pub id: JsonText<'a> = b"id",
        /// `image_gen.generation`, `clock.sleep`, `web.search`.
        pub kind: JsonText<'a> = b"kind",
        /// What a search looked for.
        pub query: JsonText<'a> = b"query",
        /// How long a sleep was to be, in milliseconds.
        pub duration_ms: u64 = b"durationMs",
    }
}

wire! {
    /// The begin or the end of a review.
    pub struct ReviewItem<'a> {
        /// The item.
        pub id: JsonText<'a> = b"id",
        /// What is reviewed, for people.
        pub user_facing_hint: JsonText<'a> = b"user_facing_hint",
        /// The findings.
        pub review_output: RawJson<'a> = b"review_output",
    }
}

wire! {
    /// An item of a type that this version does not know.
    pub struct UnknownItem<'a> {
        /// Its type.
        pub kind: JsonText<'a> = b"type",
        /// The item.
        pub id: JsonText<'a> = b"id",
    }
}

impl<'a> UnknownItem<'a> {
    fn tagged(tag: &Tag<'a>, cursor: &mut Cursor<'a>) -> Result<Option<UnknownItem<'a>>, Syntax> {
        Ok(tag.read(cursor)?.map(|read| UnknownItem { kind: Some(tag.name), ..read }))
    }
}

impl<'a> Field<'a> for TurnItem<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Option<Self>, Syntax> {
        let Some(tag) = take_tag(cursor)? else {
            cursor.skip()?;
            return Ok(None);
        };
        Ok(match tag.name.raw() {
            b"UserMessage" => tag.read(cursor)?.map(TurnItem::UserMessage),
            b"AgentMessage" => tag.read(cursor)?.map(TurnItem::AgentMessage),
            b"Reasoning" => tag.read(cursor)?.map(TurnItem::Reasoning),
            b"Plan" => tag.read(cursor)?.map(TurnItem::Plan),
            b"HookPrompt" => tag.read(cursor)?.map(TurnItem::HookPrompt),
            b"CommandExecution" => tag.read(cursor)?.map(TurnItem::CommandExecution),
            b"FileChange" => tag.read(cursor)?.map(TurnItem::FileChange),
            b"McpToolCall" => tag.read(cursor)?.map(TurnItem::McpToolCall),
            b"DynamicToolCall" => tag.read(cursor)?.map(TurnItem::DynamicToolCall),
            b"CollabAgentToolCall" => tag.read(cursor)?.map(TurnItem::CollabAgentToolCall),
            b"SubAgentActivity" => tag.read(cursor)?.map(TurnItem::SubAgentActivity),
            b"WebSearch" => tag.read(cursor)?.map(TurnItem::WebSearch),
            b"ImageView" => tag.read(cursor)?.map(TurnItem::ImageView),
            b"ImageGeneration" => tag.read(cursor)?.map(TurnItem::ImageGeneration),
            b"Extension" | b"Sleep" => tag.read(cursor)?.map(TurnItem::Extension),
            b"EnteredReviewMode" => tag.read(cursor)?.map(TurnItem::EnteredReviewMode),
            b"ExitedReviewMode" => tag.read(cursor)?.map(TurnItem::ExitedReviewMode),
            b"FunctionCallOutput" => tag.read(cursor)?.map(TurnItem::FunctionCallOutput),
            b"ContextCompaction" => tag.read(cursor)?.map(TurnItem::ContextCompaction),
            _ => UnknownItem::tagged(&tag, cursor)?.map(TurnItem::Unknown),
        })
    }
}
