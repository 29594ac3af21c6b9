//! What is known of a span, ready to be named by a convention.

use std::borrow::Cow;
use std::sync::Arc;

use codex_rollout::{JsonText, RawJson};
use codex_trace_model::{
    ItemIx, ModelCall, SpanKind as Kind, Status, ToolCall, ToolDefinition, ToolFamily, Turn,
};

use super::chat;
use super::messages::{ItemReader, Message, Part as Piece, Raw, decode, joined};
use super::spans::Subject;
use super::window::{self, Input, Scope};
use crate::content::Part;

/// Returns what the user typed, or another agent asked, to begin a turn.
pub(crate) fn prompt<'a>(subject: &Subject<'_, 'a>, turn: &Turn<'a>) -> Option<Raw<'a>> {
    let reader = subject.reader();
    if let Some(hint) = turn.review.and_then(|review| review.hint) {
        // Nobody typed anything but what to look at.
        return reader.prompt(hint);
    }
    let items = turn.input.iter().filter_map(|ix| subject.item(*ix));
    let (mut parts, attached): (Vec<_>, Vec<_>) = items
        .flat_map(|item| item.message.parts.clone())
        .filter(|part| !matches!(part, Piece::Text(text) if is_image_tag(text)))
        .partition(|part| matches!(part, Piece::Text(_)));
    // A list of turns shows how this begins.
    parts.extend(attached);
    if parts.is_empty() {
        return reader.prompt(turn.prompt?);
    }
    Some(joined(parts))
}

/// Whether a text is what Codex puts before or after an image: `<image>`,
/// `<image name=[Image #1]>`, `</image>`.
pub(crate) fn is_image_tag(text: &[u8]) -> bool {
    let opens = text.strip_prefix(b"<image").is_some_and(|rest| matches!(rest, [b'>' | b' ', ..]));
    text == b"</image>"
        || opens && text.iter().position(|byte| *byte == b'>') == text.len().checked_sub(1)
}

/// Returns the agent's last word in a turn.
pub(crate) fn answer<'a>(subject: &Subject<'_, 'a>, turn: &Turn<'a>) -> Option<Raw<'a>> {
    answer_by(&subject.reader(), subject, turn)
}

/// As [`answer`], by another reader than that of the scene.
pub(crate) fn answer_by<'a>(
    reader: &ItemReader<'_>,
    subject: &Subject<'_, 'a>,
    turn: &Turn<'a>,
) -> Option<Raw<'a>> {
    let words = |ix: &ItemIx| {
        let item = subject.thread.item(*ix)?;
        let parts = reader.message(&item.body)?.parts.into_iter();
        let texts: Vec<_> = parts.filter(|it| matches!(it, Piece::Text(_))).collect();
        (!texts.is_empty()).then(|| joined(texts))
    };
    let said = || {
        let below = &subject.scene.trace.spans[subject.ix.index() + 1..];
        let own = below.iter().take_while(|span| span.parent.is_some_and(|it| it >= subject.ix));
        let calls = own.filter(|span| span.parent == Some(subject.ix));
        let calls: Vec<_> = calls
            .filter_map(|span| match &span.kind {
                Kind::ModelCall(call) => Some(call),
                _ => None,
            })
            .collect();
        calls.into_iter().rev().find_map(|call| call.output.iter().rev().find_map(words))
    };
    let recorded = turn.last_agent_message.filter(|text| !text.is_empty());
    recorded.map_or_else(said, |text| reader.text(Part::Message, text))
}

/// Returns the texts that a turn is listed by. Where nobody asked anything, a
/// command that the user ran and what it gave back, or that the history was
/// compacted; where there was no answer, how the turn ended.
pub(crate) fn asked_and_answered<'a>(
    subject: &Subject<'_, 'a>,
    prompt: Option<Raw<'a>>,
    answer: Option<Raw<'a>>,
) -> (Option<Raw<'a>>, Option<Raw<'a>>) {
    let first = subject.scene.trace.children(subject.ix).next().map(|(_, span)| span);
    let word = |text: &'static str| Some(Cow::Borrowed(text.as_bytes()));
    let (asked, answered) = match (&prompt, first.map(|span| &span.kind)) {
        (None, Some(Kind::Compaction(it))) => {
            let reader = subject.reader();
            (word("compaction"), it.summary.and_then(|text| reader.text(Part::Message, text)))
        }
        (None, Some(Kind::ToolCall(call))) => {
            let command = subject.thread.command_of(call).line.map(|it| format!("!{it}"));
            let command = command
                .and_then(|it| Some(subject.scene.rules.text(Part::Tool, &it)?.into_owned()));
            (command.map(|it| raw(&it)), tool_result(subject, call))
        }
        _ => (None, None),
    };
    let ended = || match subject.span.status {
        Status::Ok => None,
        ref other => word(other.word()),
    };
    (prompt.or(asked), answer.or(answered).or_else(ended))
}

/// Makes a raw JSON text.
fn raw(text: &str) -> Raw<'static> {
    let mut json = Vec::with_capacity(text.len() + 2);
    super::json::text(&mut json, text);
    json.pop();
    json.remove(0);
    Cow::Owned(json)
}

/// Returns what a model call saw, as much as is to be sent.
pub(crate) fn model_input<'a>(subject: &Subject<'_, 'a>, call: &ModelCall<'a>) -> Input<'a> {
    let amount = subject.scene.amount;
    let scope = Scope {
        what: amount.llm_input,
        budget: amount.llm_input_bytes,
        turn: subject.turn(),
        seen_before: subject.scene.seen_before(subject.ix),
    };
    let mut recent = subject.scene.recent.borrow_mut();
    window::input(&subject.reader(), &mut recent, subject.thread, call, scope)
}

/// Returns what a model call answered, as one message; `None` if nothing of it may be
/// sent.
pub(crate) fn model_output<'a>(
    subject: &Subject<'_, 'a>,
    call: &ModelCall<'a>,
) -> Option<Message<'a>> {
    let items = call.output.iter().filter_map(|ix| subject.item(*ix));
    let parts: Vec<_> = items.flat_map(|item| item.message.parts.clone()).collect();
    (!parts.is_empty()).then_some(Message { role: "assistant", name: None, parts })
}

/// Returns why the model stopped. The file does not say; a call of a tool in the
/// answer does, and so does it that the answer was complete: then its tokens
/// were counted, or the turn was completed with it. Else nobody knows.
pub(crate) fn finish_reason(
    subject: &Subject<'_, '_>,
    message: &Message<'_>,
) -> Option<&'static str> {
    if message.parts.iter().any(|it| matches!(it, Piece::ToolCall(_))) {
        return Some("tool_call");
    }
    let turn = subject.turn().map(|ix| subject.scene.trace.span(ix));
    let completed = || turn.is_some_and(|it| it.status == Status::Ok);
    (subject.span.usage.is_some() || completed()).then_some("stop")
}

/// Returns the time to the first token in seconds, on the first call of a turn:
/// it is recorded for the turn, which that call begins with.
pub(crate) fn time_to_first_token(subject: &Subject<'_, '_>) -> Option<f64> {
    let turn = subject.span.parent.map(|ix| subject.scene.trace.span(ix))?;
    let Kind::Turn(it) = &turn.kind else { return None };
    let first = subject.scene.seen_before(subject.ix).is_none() && turn.start == subject.span.start;
    let millis = u32::try_from(it.time_to_first_token_ms?).ok()?;
    first.then(|| f64::from(millis) / 1000.0)
}

/// Returns what a tool was given, as a JSON value.
pub(crate) fn tool_arguments<'a>(
    subject: &Subject<'_, 'a>,
    call: &ToolCall<'a>,
) -> Option<Raw<'a>> {
    if let Some(ix) = call.call_item.filter(|ix| subject.thread.item(*ix).is_some()) {
        return subject.item(ix)?.message.parts.iter().find_map(|part| match part {
            Piece::ToolCall(call) | Piece::ServerToolCall(call) => call.arguments.clone(),
            _ => None,
        });
    }
    let reader = subject.reader();
    let search = || call.extras().search.and_then(|raw| reader.value(Part::Tool, raw));
    let changes = || call.extras().changes.and_then(|raw| reader.value(Part::Tool, raw));
    let command = || {
        let line = subject.thread.command_of(call).line?;
        let text = subject.scene.rules.text(Part::Tool, &line)?;
        let mut value = b"{\"command\":".to_vec();
        super::json::text(&mut value, &text);
        value.push(b'}');
        Some(Cow::Owned(value))
    };
    let given = call.extras().arguments.and_then(|raw| reader.arguments(raw));
    given.or_else(search).or_else(command).or_else(changes)
}

/// Returns what the model was told of the tool that it called.
fn tool_definition<'a>(
    subject: &Subject<'_, 'a>,
    call: &ToolCall<'a>,
) -> Option<ToolDefinition<'a>> {
    let turn = subject.turn().map(|ix| subject.scene.trace.span(ix));
    let Some(Kind::Turn(turn)) = turn.map(|span| &span.kind) else { return None };
    subject.thread.definition_of(turn, call)
}

/// Returns what the tool is for, as the model was told.
pub(crate) fn tool_description<'a>(
    subject: &Subject<'_, 'a>,
    call: &ToolCall<'a>,
) -> Option<Arc<String>> {
    let text = tool_definition(subject, call)?.description?;
    let mut recent = subject.scene.recent.borrow_mut();
    recent.description(&subject.reader(), subject.thread, text)
}

/// Returns the schema of the tool's arguments, as the model was told.
pub(crate) fn tool_parameters<'a>(
    subject: &Subject<'_, 'a>,
    call: &ToolCall<'a>,
) -> Option<Raw<'a>> {
    let raw = tool_definition(subject, call)?.parameters?;
    subject.reader().value(Part::Message, raw)
}

/// Returns the list of tools that the model was given, on the turn that it was
/// written in.
pub(crate) fn new_tools<'a>(subject: &Subject<'_, 'a>, turn: &Turn<'a>) -> Option<RawJson<'a>> {
    subject.thread.new_tools(turn, subject.turn()?)
}

/// Returns the definitions of the tools that the model was given, on the first
/// call of the turn that they were written in.
pub(crate) fn tools_of_call<'a>(subject: &Subject<'_, 'a>) -> Vec<Raw<'a>> {
    let turn = subject.span.parent.map(|ix| &subject.scene.trace.span(ix).kind);
    let Some(Kind::Turn(turn)) = turn else { return Vec::new() };
    if subject.scene.seen_before(subject.ix).is_some() {
        return Vec::new();
    }
    let (reader, mut tools) = (subject.reader(), Vec::new());
    if let Some(list) = new_tools(subject, turn) {
        let read = list.cursor().array(|entry| {
            tools.extend(reader.value(Part::Message, entry.raw()?));
            Ok(())
        });
        debug_assert!(read.is_ok(), "the reader has checked it");
    }
    tools
}

/// Returns what a prompt asks for, without what an editor, a voice session or
/// another agent's message puts around it.
pub(crate) fn asked(prompt: &[u8]) -> String {
    decode(codex_trace_model::request(JsonText::new(prompt)).raw())
}

/// Returns what a tool gave back, as a raw JSON text.
pub(crate) fn tool_result<'a>(subject: &Subject<'_, 'a>, call: &ToolCall<'a>) -> Option<Raw<'a>> {
    if let Some(ix) = call.output_item.filter(|ix| subject.thread.item(*ix).is_some()) {
        return subject.item(ix)?.message.parts.iter().find_map(|part| match part {
            Piece::ToolResult { content, .. } => content.clone(),
            _ => None,
        });
    }
    call.extras().output_text.and_then(|raw: RawJson<'a>| subject.reader().output(raw))
}

/// Returns what a tool gave back, without escapes.
pub(crate) fn tool_result_words<'a>(
    subject: &Subject<'_, 'a>,
    call: &ToolCall<'a>,
) -> Option<Arc<String>> {
    match call.output_item.filter(|ix| subject.thread.item(*ix).is_some()) {
        Some(ix) => {
            let item = subject.item(ix)?;
            matches!(item.message.parts[..], [Piece::ToolResult { .. }]).then(|| item.words())?
        }
        None => tool_result(subject, call).map(|text| Arc::new(decode(&text))),
    }
}

/// Returns the tool's name as the model says it, without its namespace.
pub(crate) fn short_tool_name<'t>(subject: &Subject<'t, '_>, call: &ToolCall<'_>) -> Cow<'t, str> {
    let tool = subject.label(call.tool);
    tool.map_or_else(
        || Cow::Owned(subject.span.name.clone().into_owned()),
        |tool| Cow::Owned(tool.into_owned()),
    )
}

/// Returns the tool's name, with its namespace before it.
pub(crate) fn tool_name<'t>(subject: &Subject<'t, '_>, call: &ToolCall<'_>) -> Cow<'t, str> {
    let tool = short_tool_name(subject, call);
    match subject.label(call.namespace).filter(|_| call.tool.is_some()) {
        Some(namespace) => Cow::Owned(format!("{namespace}.{tool}")),
        None => tool,
    }
}

/// Returns what a model call answered in words.
pub(crate) fn words_of<'t>(message: &'t Message<'_>) -> Option<Cow<'t, [u8]>> {
    chat::texts(&message.parts, |part| match part {
        Piece::Text(text) => Some(text),
        _ => None,
    })
}

/// Returns whether the provider runs the tool, and not Codex.
pub(crate) fn runs_at_provider(call: &ToolCall<'_>) -> bool {
    matches!(call.family, ToolFamily::WebSearch | ToolFamily::ImageGeneration)
}

/// Returns the provider by the name that the conventions have for it: that of
/// a model call's own request, else the thread's.
pub(crate) fn provider<'t>(subject: &Subject<'t, '_>) -> Option<Cow<'t, str>> {
    let of_call = match &subject.span.kind {
        Kind::ModelCall(call) => call.provider,
        _ => None,
    };
    let recorded = subject.label(of_call.or(subject.thread.meta.model_provider))?;
    Some(match recorded.as_ref() {
        "openai" | "openai-chat-completions" => Cow::Borrowed("openai"),
        "azure" => Cow::Borrowed("azure.ai.openai"),
        "amazon-bedrock" | "bedrock" => Cow::Borrowed("aws.bedrock"),
        _ => Cow::Owned(recorded.into_owned()),
    })
}

/// Returns the address of the repository, without name and password.
pub(crate) fn repository(subject: &Subject<'_, '_>) -> Option<String> {
    let address = subject.place(subject.thread.meta.git?.repository_url)?;
    let Some((scheme, rest)) = address.split_once("://") else {
        return Some(address.into_owned());
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    Some(format!("{scheme}://{host}/{path}"))
}

/// Returns the system prompt.
pub(crate) fn instructions<'a>(subject: &Subject<'_, 'a>) -> Option<Raw<'a>> {
    let text = subject.thread.meta.base_instructions?.text?;
    subject.reader().text(Part::Message, text)
}

/// Returns the name that Codex gave to the file that a span was read from: the
/// same however the file was moved, compressed or copied since.
pub(crate) fn file_name<'t>(subject: &Subject<'t, '_>) -> Option<Cow<'t, str>> {
    let rollout = subject.thread.rollout(subject.span.provenance.rollout)?;
    codex_rollout::codex_name(&rollout.path).map(Cow::Borrowed)
}

/// Returns the kind of a span, in the words that `OpenInference` and `MLflow` share.
pub(crate) fn kind(kind: &Kind<'_>) -> &'static str {
    match kind {
        Kind::ModelCall(_) => "LLM",
        Kind::ToolCall(_) => "TOOL",
        Kind::Compaction(_) => "CHAIN",
        _ => "AGENT",
    }
}
