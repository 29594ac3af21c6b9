//! What a call is about: its family, its command, its server, by its name and
//! arguments (rollout-format §5.2).

use std::borrow::Cow;

use codex_rollout::item::response_item::{ToolCallForm, ToolCallItem};
use codex_rollout::item::turn_item::{McpError, McpResult};
use codex_rollout::{Cursor, JsonText, RawJson, ValueKind, file_uri_path};

use crate::tool::{Command, Escalation, ToolFamily};

/// Tells the family of a call.
pub(crate) fn family(
    form: ToolCallForm,
    tool: Option<JsonText<'_>>,
    namespace: Option<JsonText<'_>>,
    arguments: Option<RawJson<'_>>,
) -> ToolFamily {
    match form {
        ToolCallForm::LocalShell => return ToolFamily::Command,
        ToolCallForm::ToolSearch => return ToolFamily::ToolSearch,
        ToolCallForm::Other => return ToolFamily::Unknown,
        ToolCallForm::Function | ToolCallForm::Custom => {}
    }
    if namespace.is_some_and(|namespace| namespace.raw().starts_with(b"mcp__")) {
        return ToolFamily::Mcp;
    }
    match tool.map_or(&b""[..], JsonText::raw) {
        b"exec" if form == ToolCallForm::Custom => ToolFamily::CodeMode,
        b"js_repl" | b"exec_wait" => ToolFamily::CodeMode,
        b"wait" if mentions(arguments, b"cell_id") => ToolFamily::CodeMode,
        b"shell" | b"container.exec" | b"shell_command" | b"exec_command" | b"unified_exec"
        | b"local_shell" => ToolFamily::Command,
        b"write_stdin" => ToolFamily::CommandInput,
        b"apply_patch" => ToolFamily::Patch,
        b"update_plan" => ToolFamily::Plan,
        b"view_image" => ToolFamily::ImageView,
        b"spawn_agent" | b"send_input" | b"wait" | b"wait_agent" | b"close_agent"
        | b"resume_agent" | b"send_message" | b"followup_task" | b"assign_task"
        | b"list_agents" | b"interrupt_agent" => ToolFamily::Agents,
        b"tool_search" | b"search_tool_bm25" => ToolFamily::ToolSearch,
        b"web_search" | b"web.run" => ToolFamily::WebSearch,
        name if name.starts_with(b"mcp__") => ToolFamily::Mcp,
        name if name.starts_with(b"image_gen") => ToolFamily::ImageGeneration,
        _ if namespace.is_some_and(|namespace| namespace.is("web")) => ToolFamily::WebSearch,
        _ => ToolFamily::Function,
    }
}

fn mentions(arguments: Option<RawJson<'_>>, word: &[u8]) -> bool {
    arguments.is_some_and(|raw| memchr::memmem::find(raw.raw(), word).is_some())
}

/// Splits the name of an MCP tool into server and tool. An end event, which
/// names both apart, is better evidence and overrides it.
pub(crate) fn mcp<'a>(
    family: ToolFamily,
    tool: Option<JsonText<'a>>,
    namespace: Option<JsonText<'a>>,
) -> Option<(JsonText<'a>, JsonText<'a>)> {
    if family != ToolFamily::Mcp {
        return None;
    }
    let tool = tool?;
    if let Some(server) = namespace.and_then(|namespace| namespace.raw().strip_prefix(b"mcp__")) {
        return Some((JsonText::new(server), tool));
    }
    let rest = tool.raw().strip_prefix(b"mcp__")?;
    let split = memchr::memmem::find(rest, b"__")?;
    Some((JsonText::new(&rest[..split]), JsonText::new(&rest[split + 2..])))
}

/// Reads what the arguments of a command say.
pub(crate) fn command<'a>(family: ToolFamily, call: &ToolCallItem<'a>) -> Command<'a> {
    let mut read = Command::default();
    let arguments = call.fields.arguments.or(call.fields.action);
    let Some(arguments) = arguments.filter(|_| family == ToolFamily::Command) else { return read };
    let text = arguments.as_text().map(JsonText::decode);
    let json = text.as_deref().map_or(arguments.raw(), str::as_bytes);
    let (mut escalated, mut justification) = (false, None);
    // Arguments are what a model wrote: they need not be JSON.
    let whole = Cursor::new(json).object(|key, value| {
        let text = |raw: RawJson<'_>| raw.as_text().map(|text| owned(text.decode()));
        match key {
            b"command" | b"cmd" | b"input" => read.line = words(value.raw()?).map(owned),
            b"workdir" | b"working_directory" => read.cwd = text(value.raw()?),
            b"with_escalated_permissions" => escalated |= value.raw()?.raw() == b"true",
            b"sandbox_permissions" => {
                escalated |= value.raw()?.raw() == br#""require_escalated""#;
            }
            b"justification" => justification = text(value.raw()?),
            _ => {}
        }
        Ok(())
    });
    if whole.is_err() {
        return Command::default();
    }
    read.escalation = escalated.then_some(Escalation { justification });
    read
}

/// Returns the session of the command that a `write_stdin` call writes to.
pub(crate) fn input_session(family: ToolFamily, arguments: Option<RawJson<'_>>) -> Option<String> {
    let text = arguments.filter(|_| family == ToolFamily::CommandInput)?.as_text()?.decode();
    let mut session = None;
    let read = Cursor::new(text.as_bytes()).object(|key, value| {
        if key == b"session_id" {
            let raw = value.raw()?;
            let text = raw.as_text().map_or(raw.raw(), JsonText::raw);
            session = Some(String::from_utf8_lossy(text).into_owned());
        }
        Ok(())
    });
    read.ok().and(session)
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

/// Returns a command as text: a string as it is; of an array of words the
/// script, if a shell runs one, and all words otherwise.
pub(crate) fn words(raw: RawJson<'_>) -> Option<Cow<'_, str>> {
    if let Some(text) = raw.as_text() {
        return Some(text.decode());
    }
    let words = texts(Some(raw));
    match words.as_slice() {
        [] => None,
        [shell, flag, script]
            if (shell.ends_with("sh") || shell.ends_with("sh.exe")) && flag.starts_with('-') =>
        {
            Some(script.clone())
        }
        _ => Some(Cow::Owned(words.join(" "))),
    }
}

/// Returns the strings of an array.
pub(crate) fn texts(raw: Option<RawJson<'_>>) -> Vec<Cow<'_, str>> {
    let mut texts = Vec::new();
    let Some(raw) = raw else { return texts };
    let read = raw.cursor().array(|word| {
        if word.kind()? == ValueKind::String {
            texts.push(word.text()?.decode());
        }
        Ok(())
    });
    if read.is_err() {
        texts.clear();
    }
    texts
}

/// Returns a path, given as such or as a `file:` URI (since 0.141).
pub(crate) fn path(text: JsonText<'_>) -> Cow<'_, str> {
    let text = text.decode();
    file_uri_path(&text).map_or(text, Cow::Owned)
}

/// Returns why an MCP call failed, if its result says that it did.
pub(crate) fn mcp_failure(result: Option<RawJson<'_>>) -> Option<Cow<'_, str>> {
    let result = McpResult::from_raw(result?)?;
    if let Some(err) = result.err {
        return Some(err.decode());
    }
    let failed = result.is_error.or(result.ok.and_then(|answer| answer.is_error));
    (failed == Some(true)).then(|| "the tool answered with an error".into())
}

/// Returns how an agent stands, if by that Codex takes a call about it for
/// failed: it is not there, or it failed itself.
pub(crate) fn agent_failure(status: RawJson<'_>) -> Option<Cow<'_, str>> {
    if let Some(word) = status.as_text() {
        return word.is("not_found").then(|| word.decode());
    }
    let mut failure = None;
    let read = status.cursor().object(|key, value| {
        if key == b"errored" {
            let why = value.raw()?.as_text().map(JsonText::decode);
            failure = Some(why.unwrap_or(Cow::Borrowed("errored")));
        }
        Ok(())
    });
    read.ok().and(failure)
}

/// The same of several agents: a map of thread to status.
pub(crate) fn any_agent_failure(statuses: RawJson<'_>) -> Option<Cow<'_, str>> {
    let mut failure = None;
    let read = statuses.cursor().object(|_, value| {
        let status = value.raw()?;
        failure = failure.take().or_else(|| agent_failure(status));
        Ok(())
    });
    read.ok().and(failure)
}

/// Returns what an error says: a text, or the message of an object.
pub(crate) fn error_text(error: RawJson<'_>) -> Option<Cow<'_, str>> {
    let message = || McpError::from_raw(error)?.message;
    error.as_text().or_else(message).map(JsonText::decode)
}
