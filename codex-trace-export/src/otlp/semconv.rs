//! The names of the OpenTelemetry conventions for generative AI.
//!
//! They follow `semantic-conventions-genai` as of May 2026 (the text that moved
//! there from semantic-conventions on 2026-05-05), with its later changes up to
//! November: `cache_write` for `cache_creation`, no `gen_ai.agent.version` on
//! agents that run here, parts of our own as `generic`. All of it is still
//! "Development" upstream; when it changes, this file does. Names of our own
//! begin with `codex.`.

/// `chat`, `execute_tool`, `invoke_agent`.
pub(crate) const OPERATION: &str = "gen_ai.operation.name";
/// `openai`, `azure.ai.openai`, …
pub(crate) const PROVIDER: &str = "gen_ai.provider.name";
/// The session.
pub(crate) const CONVERSATION_ID: &str = "gen_ai.conversation.id";
/// The session, under the name that OpenTelemetry has for any kind of them.
pub(crate) const SESSION_ID: &str = "session.id";
/// The model asked for.
pub(crate) const REQUEST_MODEL: &str = "gen_ai.request.model";
/// Whether the answer was to come in pieces, as Codex asks for it.
pub(crate) const STREAM: &str = "gen_ai.request.stream";
/// The reasoning effort asked for.
pub(crate) const REASONING_LEVEL: &str = "gen_ai.request.reasoning.level";
/// The service tier asked for, of OpenAI.
pub(crate) const SERVICE_TIER: &str = "openai.request.service_tier";
/// The provider's id of the response.
pub(crate) const RESPONSE_ID: &str = "gen_ai.response.id";
/// Why the model stopped.
pub(crate) const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
/// In seconds.
pub(crate) const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
/// Tokens of the request, cached ones included.
pub(crate) const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
/// Tokens of the response, reasoning included.
pub(crate) const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
/// Part of the input.
pub(crate) const CACHE_READ_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
/// Part of the input.
pub(crate) const CACHE_WRITE_TOKENS: &str = "gen_ai.usage.cache_write.input_tokens";
/// What the attribute before was called until 2026, which most readers know.
pub(crate) const CACHE_CREATION_TOKENS: &str = "gen_ai.usage.cache_creation.input_tokens";
/// Part of the output.
pub(crate) const REASONING_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";
/// What the model was given, as JSON.
pub(crate) const INPUT_MESSAGES: &str = "gen_ai.input.messages";
/// What the model answered, as JSON.
pub(crate) const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";
/// The system prompt, as JSON.
pub(crate) const SYSTEM_INSTRUCTIONS: &str = "gen_ai.system_instructions";
/// The agent.
pub(crate) const AGENT_NAME: &str = "gen_ai.agent.name";
/// The agent's thread.
pub(crate) const AGENT_ID: &str = "gen_ai.agent.id";
/// The tool.
pub(crate) const TOOL_NAME: &str = "gen_ai.tool.name";
/// What joins call and result.
pub(crate) const TOOL_CALL_ID: &str = "gen_ai.tool.call.id";
/// `function`: run here; `extension`: run by the provider.
pub(crate) const TOOL_TYPE: &str = "gen_ai.tool.type";
pub(crate) const TOOL_DESCRIPTION: &str = "gen_ai.tool.description";
/// The conventions have no word for an operation that shortens a conversation,
/// and allow others.
pub(crate) const COMPACT: &str = "compact";
pub(crate) const TOOL_DEFINITIONS: &str = "gen_ai.tool.definitions";
/// What the tool was given, as JSON.
pub(crate) const TOOL_ARGUMENTS: &str = "gen_ai.tool.call.arguments";
/// What it gave back.
pub(crate) const TOOL_RESULT: &str = "gen_ai.tool.call.result";
/// What a server of the Model Context Protocol was asked for.
pub(crate) const MCP_METHOD: &str = "mcp.method.name";
/// A low-cardinality word for a failure.
pub(crate) const ERROR_TYPE: &str = "error.type";
/// The exit code of a command.
pub(crate) const EXIT_CODE: &str = "process.exit.code";
/// The working directory of a turn or a command.
pub(crate) const WORKING_DIRECTORY: &str = "process.working_directory";
