//! What the hooks of Codex tell the live exporter of a turn, read from the
//! rollout: the prompt, the tools by the names that hooks have for them, the
//! last answer.

use std::borrow::Cow;

use codex_rollout::item::response_item::ToolCallForm;
use codex_rollout::{JsonText, ResponseItem};
use codex_trace_model::{SpanIx, SpanKind as Kind, Status, ToolCall, ToolFamily, Turn};

use super::script;
use crate::content::{ContentRules, Part};
use crate::otlp::messages::{ItemReader, Part as Piece, Raw, decode, quoted};
use crate::otlp::{Scene, Subject, facts};

/// A tool call as `PostToolUse` tells it.
#[derive(Debug)]
pub(super) struct Tool<'a> {
    /// The tool.
    pub(super) name: String,
    /// What joins call and result.
    pub(super) id: Option<JsonText<'a>>,
    /// What it was given, as a JSON value.
    pub(super) input: Option<Raw<'a>>,
    /// What it gave back, as a JSON value.
    pub(super) response: Option<Raw<'a>>,
}

/// How long the texts of a turn are, in characters, before anything is cut out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lengths {
    pub(super) prompt: Option<usize>,
    pub(super) answer: Option<usize>,
}

/// Measures the texts of a turn, whether or not they may be sent.
pub(super) fn lengths<'a>(subject: &Subject<'_, 'a>, turn: &Turn<'a>) -> Lengths {
    let rules = ContentRules::default();
    let reader = ItemReader { rules: &rules, field_limit: usize::MAX, ..subject.reader() };
    let answer = facts::answer_by(&reader, subject, turn).map(|raw| decode(&raw));
    let count = |text: Option<String>| text.map(|text| text.chars().count()).filter(|n| *n > 0);
    Lengths { prompt: count(prompt_by(&reader, subject, turn)), answer: count(answer) }
}

/// Returns what the user typed to begin a turn, or another agent asked.
pub(super) fn prompt(subject: &Subject<'_, '_>, turn: &Turn<'_>) -> Option<String> {
    prompt_by(&subject.reader(), subject, turn).filter(|text| !text.is_empty())
}

/// Hooks are told the text alone: attachments are not in it.
fn prompt_by(
    reader: &ItemReader<'_>,
    subject: &Subject<'_, '_>,
    turn: &Turn<'_>,
) -> Option<String> {
    if let Some(hint) = turn.review.and_then(|review| review.hint) {
        return reader.prompt(hint).map(|raw| decode(&raw));
    }
    let items = turn.input.iter().filter_map(|ix| subject.thread.item(*ix));
    let parts = items.filter_map(|item| reader.message(&item.body)).flat_map(|it| it.parts);
    let texts: Vec<String> = parts
        .filter_map(|part| match part {
            Piece::Text(text) if !facts::is_image_tag(&text) => Some(decode(&text)),
            _ => None,
        })
        .collect();
    if texts.is_empty() {
        return reader.prompt(turn.prompt?).map(|raw| decode(&raw));
    }
    Some(texts.join("\n"))
}

/// Returns the agent's last message.
pub(super) fn answer<'a>(subject: &Subject<'_, 'a>, turn: &Turn<'a>) -> Option<String> {
    let text = facts::answer(subject, turn).map(|raw| decode(&raw));
    text.filter(|text| !text.is_empty())
}

/// Returns the tool calls of a turn that hooks tell of, in the order in which
/// their ends are recorded.
pub(super) fn tools<'s, 'a>(
    turn: &Subject<'s, 'a>,
    is_in: impl Fn(SpanIx) -> bool,
) -> Vec<Subject<'s, 'a>> {
    let trace = turn.scene.trace;
    let below = trace.spans.iter().zip(0..).skip(turn.ix.index() + 1);
    let below = below.take_while(|(span, _)| span.parent.is_some_and(|it| it >= turn.ix));
    let mut tools: Vec<_> = below
        .filter(|(span, ix)| {
            matches!(&span.kind, Kind::ToolCall(call) if is_hooked(turn.scene, SpanIx(*ix), call))
                && is_in(SpanIx(*ix))
        })
        .filter_map(|(_, ix)| turn.other(SpanIx(ix)))
        .collect();
    tools.sort_by_key(|tool| tool.span.provenance.last_line);
    tools
}

/// Whether Codex tells hooks of a tool call: not of what the provider runs, not
/// of a script of code mode itself, not of what has not ended, was refused or
/// is not there.
pub(super) fn is_hooked(scene: &Scene<'_, '_>, ix: SpanIx, call: &ToolCall<'_>) -> bool {
    let status = &scene.trace.span(ix).status;
    let never = matches!(
        call.family,
        ToolFamily::WebSearch
            | ToolFamily::ImageGeneration
            | ToolFamily::CodeMode
            | ToolFamily::CommandInput
    );
    let still_runs = call.extras().running_session.is_some() && call.exit_code.is_none();
    let ended = !matches!(status, Status::Interrupted { .. } | Status::Incomplete);
    let declined = matches!(status, Status::Error { message } if message == "declined");
    let of_user = call.extras().source.is_some();
    let is_answered = call.output_item.is_some() || call.extras().output_text.is_some();
    !(never || still_runs || declined || of_user)
        && ended
        && is_answered
        && is_known(scene, ix, call)
}

/// Whether the tool is there: Codex answers itself for one that is not.
fn is_known(scene: &Scene<'_, '_>, ix: SpanIx, call: &ToolCall<'_>) -> bool {
    let thread = scene.trace.thread_of(scene.trace.span(ix));
    let item = call.output_item.and_then(|ix| thread.item(ix));
    let output = item.and_then(|item| match &item.body {
        ResponseItem::ToolOutput(it) => it.output?.as_text(),
        _ => None,
    });
    output.is_none_or(|text| !text.raw().starts_with(b"unsupported call: "))
}

/// Tells of a tool call by the words of hooks.
pub(super) fn tool<'a>(subject: &Subject<'_, 'a>, call: &ToolCall<'a>) -> Tool<'a> {
    Tool {
        name: name(subject, call),
        id: call.call_id,
        input: input(subject, call),
        response: response(subject, call),
    }
}

/// Returns the name that hooks have for a tool.
pub(super) fn name(subject: &Subject<'_, '_>, call: &ToolCall<'_>) -> String {
    let label = |text| subject.label(text).unwrap_or_default();
    match (call.family, call.extras().mcp) {
        (ToolFamily::Command, _) => "Bash".to_owned(),
        (ToolFamily::Patch, _) => "apply_patch".to_owned(),
        (_, Some((server, tool))) => format!("mcp__{}__{}", label(Some(server)), label(Some(tool))),
        _ => {
            let namespace = label(call.namespace.filter(|_| call.tool.is_some()));
            format!("{namespace}{}", facts::short_tool_name(subject, call))
        }
    }
}

fn input<'a>(subject: &Subject<'_, 'a>, call: &ToolCall<'a>) -> Option<Raw<'a>> {
    let command = |text: Cow<'_, str>| {
        let mut value = b"{\"command\":".to_vec();
        crate::otlp::json::text(&mut value, &text);
        value.push(b'}');
        Cow::Owned(value)
    };
    let reader = subject.reader();
    let rules = subject.scene.rules;
    match call.family {
        ToolFamily::Command => match subject.thread.command_of(call).line {
            Some(text) => rules.text(Part::Tool, &text).map(command),
            None => facts::tool_arguments(subject, call),
        },
        ToolFamily::Patch => match custom_input(subject, call) {
            Some(patch) => reader.decoded(Part::Tool, patch).map(|it| command(it.into())),
            None => match script::patch(subject, call) {
                Some(patch) => rules.text(Part::Tool, &patch).map(command),
                None => facts::tool_arguments(subject, call),
            },
        },
        _ => match custom_input(subject, call) {
            Some(text) => {
                let text = reader.text(Part::Tool, text)?;
                Some(Cow::Owned([b"{\"input\":", &*quoted(&text), b"}"].concat()))
            }
            None => facts::tool_arguments(subject, call),
        },
    }
}

/// Returns the text that a tool was given which takes no JSON.
fn custom_input<'a>(subject: &Subject<'_, 'a>, call: &ToolCall<'a>) -> Option<JsonText<'a>> {
    match &subject.thread.item(call.call_item?)?.body {
        ResponseItem::ToolCall(item) if item.form == ToolCallForm::Custom => item.fields.input,
        _ => None,
    }
}

/// What hooks are told before the output of a patch that was applied.
const PATCH_APPLIED: &[u8] = br"Exit code: 0\nWall time: 0 seconds\nOutput:\n";

fn response<'a>(subject: &Subject<'_, 'a>, call: &ToolCall<'a>) -> Option<Raw<'a>> {
    let reader = subject.reader();
    let output = || facts::tool_result(subject, call).map(|text| Cow::Owned(quoted(&text)));
    let Some(reported) = call.reported_output else { return output() };
    match call.family {
        ToolFamily::Command => reader.output(reported).map(|text| Cow::Owned(quoted(&text))),
        ToolFamily::Patch if subject.span.status == Status::Ok => {
            let text = [PATCH_APPLIED, &*reader.output(reported)?].concat();
            Some(Cow::Owned(quoted(&text)))
        }
        ToolFamily::Mcp => reader.value(Part::Tool, reported),
        _ => output(),
    }
}
