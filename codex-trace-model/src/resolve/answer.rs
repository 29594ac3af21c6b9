//! What the tools of the harness answer when they work. Codex records no
//! success flag with an output, and answers errors as plain text: an answer of
//! another shape is one (rollout-format §5.3).

use std::borrow::Cow;

use codex_rollout::{JsonText, RawJson, ValueKind};

use crate::resolve::output::{self, LOOK, Outcome};
use crate::tool::{ToolCall, ToolFamily};

/// The shape of a tool's answer when it worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// JSON.
    Json,
    /// JSON, or an empty text.
    JsonOrNothing,
    /// An image; until 0.98 the text said that one was attached.
    Image,
    /// A text that begins like this.
    Text(&'static str),
    /// How a script of code mode stands.
    Script,
    /// A header with a time or an exit code, or JSON with those.
    Report,
    /// Whatever an MCP server says, but not this, where the server said nothing.
    ServerAnswer,
    /// Nobody knows.
    Any,
}

/// The tools of the harness whose answers have a shape of their own, by name.
#[rustfmt::skip]
const TOOLS: &[(&str, Shape)] = &[
    // Agents, first generation.
    ("spawn_agent", Shape::Json),
    ("send_input", Shape::Json),
    ("wait", Shape::Json),
    ("wait_agent", Shape::Json),
    ("close_agent", Shape::Json),
    ("resume_agent", Shape::Json),
    // Agents, second generation.
    ("list_agents", Shape::Json),
    ("send_message", Shape::JsonOrNothing),
    ("followup_task", Shape::JsonOrNothing),
    ("assign_task", Shape::JsonOrNothing),
    ("interrupt_agent", Shape::JsonOrNothing),
    // The user.
    ("request_user_input", Shape::Json),
    ("request_user_input_async", Shape::Json),
    ("send_message_to_user_async", Shape::Json),
    // Goals and plans.
    ("get_goal", Shape::Json),
    ("create_goal", Shape::Json),
    ("update_goal", Shape::Json),
    ("update_plan", Shape::Text("Plan updated")),
    // Resources of MCP servers.
    ("list_mcp_resources", Shape::Json),
    ("list_mcp_resource_templates", Shape::Json),
    ("read_mcp_resource", Shape::Json),
    ("view_image", Shape::Image),
];

/// What the harness says instead of any tool: how its answers begin.
const REFUSALS: &[&str] = &[
    "unsupported call: ",
    "unsupported custom tool call: ",
    "failed to parse function arguments",
    "Command blocked by PreToolUse hook: ",
    "Tool call blocked by PreToolUse hook: ",
];

/// What is said instead of a report when nothing ran: how it begins. Other
/// programs write the bare output of a command, so that a legacy file without
/// a report tells nothing by itself.
const COMPLAINTS: &[&str] = &[
    "failed in sandbox",
    "exec error: ",
    "execution error: ",
    "exec_command failed",
    "write_stdin failed",
    "unknown session id ",
    "command timed out after ",
    "apply_patch verification failed",
    "patch rejected",
    "error: invalid hunk ",
    "error: Failed to ",
];

/// What comes between the words of a command that a policy forbids and why.
const FORBIDDEN: &[u8] = b"` rejected: ";

/// What Codex says where an MCP server did not answer, and what comes before it.
const NO_ANSWER: &[&[u8]] = &[b"tool call error: ", br#"err: \""#];
const HEADER_END: &[u8] = br"Output:\n";

/// Where a tool is called, as far as that tells what it answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    /// Whether Codex wrote the file, and a report with every command.
    pub(crate) paginated: bool,
    /// The tools of the embedding program, which may have any name.
    pub(crate) dynamic_tools: Option<RawJson<'a>>,
}

/// Returns what an output says, if it is not what the tool answers when it works.
pub(crate) fn complaint<'a>(
    call: &ToolCall<'a>,
    output: RawJson<'a>,
    outcome: &Outcome<'a>,
    scene: Scene<'_>,
) -> Option<Cow<'a, str>> {
    let text = output.as_text().or_else(|| output::first_text(output));
    if let Some(text) = text.filter(|text| begins(*text, REFUSALS)) {
        return Some(first_line(text));
    }
    let fits = match shape_of(call, scene) {
        Shape::Any => true,
        Shape::Json => text.is_none_or(is_json),
        Shape::JsonOrNothing => text.is_none_or(|text| text.is_empty() || is_json(text)),
        Shape::Text(start) => text.is_none_or(|text| begins(text, &[start])),
        Shape::Script => {
            text.is_none_or(|text| begins(text, &["Script "]) && !begins(text, &["Script failed"]))
        }
        Shape::Image => has_image(output) || text.is_some_and(|text| begins(text, &["attached "])),
        Shape::Report => {
            outcome.reports() || text.is_none_or(|text| is_json(text) || ran(text, scene))
        }
        Shape::ServerAnswer => return server_failure(output),
    };
    if fits {
        return None;
    }
    Some(text.map_or(Cow::Borrowed("failed"), first_line))
}

fn shape_of(call: &ToolCall<'_>, scene: Scene<'_>) -> Shape {
    match call.family {
        ToolFamily::Mcp => return Shape::ServerAnswer,
        ToolFamily::Command | ToolFamily::CommandInput | ToolFamily::Patch => return Shape::Report,
        ToolFamily::CodeMode if !call.tool.is_some_and(|tool| tool.is("js_repl")) => {
            return Shape::Script;
        }
        ToolFamily::CodeMode => return Shape::Any,
        _ => {}
    }
    let Some(tool) = call.tool.filter(|_| call.namespace.is_none_or(is_of_the_harness)) else {
        return Shape::Any;
    };
    let known = TOOLS.iter().find(|(name, _)| tool.is(name));
    known.filter(|_| !is_dynamic(tool, scene)).map_or(Shape::Any, |(_, shape)| *shape)
}

/// Whether a namespace is one that Codex gives its own tools.
fn is_of_the_harness(namespace: JsonText<'_>) -> bool {
    namespace.is("collaboration") || namespace.raw().starts_with(b"multi_agent")
}

/// Whether the embedding program offers a tool of that name.
fn is_dynamic(tool: JsonText<'_>, scene: Scene<'_>) -> bool {
    let name = [b"\"", tool.raw(), b"\""].concat();
    scene.dynamic_tools.is_some_and(|tools| memchr::memmem::find(tools.raw(), &name).is_some())
}

fn begins(text: JsonText<'_>, starts: &[&str]) -> bool {
    starts.iter().any(|start| text.raw().starts_with(start.as_bytes()))
}

fn is_json(text: JsonText<'_>) -> bool {
    let start = text.raw().trim_ascii_start();
    matches!(start, [b'{' | b'[', ..] | b"null" | b"true" | b"false")
}

/// Whether a text without a report may be what a command printed.
fn ran(text: JsonText<'_>, scene: Scene<'_>) -> bool {
    let head = text.prefix(LOOK).raw();
    let forbidden = head.starts_with(b"`") && memchr::memmem::find(head, FORBIDDEN).is_some();
    !scene.paginated && !forbidden && !begins(text, COMPLAINTS)
}

fn has_image(output: RawJson<'_>) -> bool {
    let mut found = false;
    let read = output.cursor().array(|item| {
        let raw = item.raw()?;
        found |=
            memchr::memmem::find(&raw.raw()[..raw.raw().len().min(LOOK)], b"input_image").is_some();
        Ok(())
    });
    read.is_ok() && found
}

/// Returns why a server did not answer, before events told (0.129): after the
/// time, if there is one, in the same text or the next.
fn server_failure(output: RawJson<'_>) -> Option<Cow<'_, str>> {
    let body = |text: JsonText<'_>| {
        let is_timed = text.raw().starts_with(b"Wall time: ");
        let header = is_timed.then(|| memchr::memmem::find(text.raw(), HEADER_END)).flatten();
        header.map_or(0, |at| at + HEADER_END.len())
    };
    let failure = |text: JsonText<'_>| {
        let said = &text.raw()[body(text)..];
        let failed = NO_ANSWER.iter().any(|start| said.starts_with(start));
        failed.then_some(said.len())
    };
    let texts = match output.as_text() {
        Some(text) => [Some(text), None],
        None => first_texts(output),
    };
    let (text, len) = texts.into_iter().flatten().find_map(|text| Some((text, failure(text)?)))?;
    Some(first_line(JsonText::new(&text.raw()[text.raw().len() - len..])))
}

/// Returns the texts of the first two content items that have one.
fn first_texts(output: RawJson<'_>) -> [Option<JsonText<'_>>; 2] {
    let mut texts = [None; 2];
    let read = output.cursor().array(|item| {
        let Some(free) = texts.iter_mut().find(|text| text.is_none()) else { return Ok(()) };
        if item.kind()? == ValueKind::Object {
            item.object(|key, value| {
                if key == b"text" && value.kind()? == ValueKind::String {
                    *free = Some(value.text()?);
                }
                Ok(())
            })?;
        }
        Ok(())
    });
    if read.is_ok() { texts } else { [None; 2] }
}

fn first_line(text: JsonText<'_>) -> Cow<'_, str> {
    output::lines(text.prefix(LOOK)).next().unwrap_or_default().decode()
}
