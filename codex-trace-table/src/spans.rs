//! The table of spans.

use codex_rollout::JsonText;
use codex_trace_export::content::Part;
use codex_trace_export::texts::Texts;
use codex_trace_export::wire::jsonl::{self, FORMAT};
use codex_trace_model::{ModelCall, Span, SpanIx, SpanKind, Thread, ToolCall, Trace, Turn};

use crate::batch::{Batch, Column, Kind, Row};
use crate::common::{self, About};

#[rustfmt::skip]
pub(crate) const COLUMNS: &[Column] = &[
    ("home", Kind::Text, false),
    ("session_id", Kind::Text, true),
    ("thread_id", Kind::Text, true),
    ("key", Kind::Text, true),
    ("parent_thread_id", Kind::Text, false),
    ("parent_key", Kind::Text, false),
    ("depth", Kind::Int, true),
    ("kind", Kind::Text, true),
    ("name", Kind::Text, false),
    ("start", Kind::Time, false),
    ("end", Kind::Time, false),
    ("duration_ms", Kind::Int, false),
    ("status", Kind::Text, true),
    ("status_message", Kind::Text, false),
    ("outlives_parent", Kind::Bool, true),
    ("turn_key", Kind::Text, false),
    ("turn_number", Kind::Int, false),
    ("turn_id", Kind::Text, false),
    ("trace_id", Kind::Text, false),
    ("fate", Kind::Text, false),
    ("model", Kind::Text, false),
    ("effort", Kind::Text, false),
    ("model_provider", Kind::Text, false),
    ("cwd", Kind::Text, false),
    ("git_repository", Kind::Text, false),
    ("git_branch", Kind::Text, false),
    ("git_commit", Kind::Text, false),
    ("cli_version", Kind::Text, false),
    ("originator", Kind::Text, false),
    ("source", Kind::Text, false),
    ("agent_role", Kind::Text, false),
    ("agent_nickname", Kind::Text, false),
    ("tool", Kind::Text, false),
    ("namespace", Kind::Text, false),
    ("tool_family", Kind::Text, false),
    ("call_id", Kind::Text, false),
    ("command", Kind::Text, false),
    ("exit_code", Kind::Int, false),
    ("success", Kind::Bool, false),
    ("duration_recorded_ms", Kind::Int, false),
    ("mcp_server", Kind::Text, false),
    ("mcp_tool", Kind::Text, false),
    ("response_id", Kind::Text, false),
    ("evidence", Kind::Text, false),
    ("compaction", Kind::Bool, false),
    ("input_tokens", Kind::Int, false),
    ("cached_input_tokens", Kind::Int, false),
    ("cache_write_input_tokens", Kind::Int, false),
    ("output_tokens", Kind::Int, false),
    ("reasoning_output_tokens", Kind::Int, false),
    ("total_tokens", Kind::Int, false),
    ("file", Kind::Text, false),
    ("first_line", Kind::Int, true),
    ("last_line", Kind::Int, true),
    ("format", Kind::Text, true),
    ("input_bytes", Kind::Int, false),
    ("output_bytes", Kind::Int, false),
    ("json", Kind::Text, false),
    ("input", Kind::Text, false),
    ("output", Kind::Text, false),
];

/// Adds the row of a span.
pub(crate) fn add(
    trace: &Trace<'_>,
    (ix, span): (SpanIx, &Span<'_>),
    turns: &[Option<SpanIx>],
    about: &About<'_>,
    batch: &mut Batch,
) {
    let texts = about.texts;
    let thread = trace.thread_of(span);
    let (turn_span, turn) = common::turn(trace, turns[ix.index()]);
    let parent = span.parent.map(|parent| trace.span(parent));
    batch.row(|row| {
        row.text("home", about.home);
        row.text("session_id", Some(trace.session_id()));
        row.text("thread_id", Some(&thread.id));
        row.text("key", Some(&span.key));
        row.text("parent_thread_id", parent.map(|it| &trace.thread_of(it).id));
        row.text("parent_key", parent.map(|it| &it.key));
        row.int("depth", Some(thread.depth));
        row.text("kind", Some(span.kind.word()));
        row.text("name", texts.rules().text(Part::Label, &span.name));
        row.time("start", span.start);
        row.time("end", span.end);
        row.int("duration_ms", common::duration(span));
        row.text("status", Some(span.status.word()));
        let part = match span.kind {
            SpanKind::ToolCall(_) => Part::Tool,
            _ => Part::Message,
        };
        row.text(
            "status_message",
            span.status.message().and_then(|it| texts.rules().reason(part, it)),
        );
        row.bool("outlives_parent", Some(span.outlives_parent));
        row.text("turn_key", turn_span.map(|it| &it.key));
        row.int("turn_number", turn.map(|it| it.number));
        row.text("turn_id", common::label(texts, turn.and_then(|it| it.turn_id)));
        row.text("trace_id", common::label(texts, turn.and_then(|it| it.trace_id)));
        row.text("fate", common::fate(turn));
        model(span, turn, texts, row);
        let call = match &span.kind {
            SpanKind::ModelCall(call) => Some(&**call),
            _ => None,
        };
        let provider = call.and_then(|it| it.provider).or(thread.meta.model_provider);
        row.text("model_provider", common::label(texts, provider));
        common::origin(thread, texts, row);
        tool(thread, span, texts, row);
        model_call(call, texts, row);
        common::tokens(span.usage.filter(|_| call.is_some()), row);
        let at = &span.provenance;
        row.text("file", thread.rollout(at.rollout).map(|rollout| &rollout.path));
        row.int("first_line", Some(at.first_line));
        row.int("last_line", Some(at.last_line));
        row.text("format", Some(FORMAT));
        let (input_bytes, output_bytes) = content(trace, span, about.whole);
        row.int("input_bytes", input_bytes.map(|it| it.len()));
        row.int("output_bytes", output_bytes.map(|it| it.len()));
        let json = || jsonl::span_json(trace, span, texts.rules());
        row.text("json", about.has_json.then(json).flatten());
        let (input, output) = content(trace, span, texts);
        row.text("input", input);
        row.text("output", output);
    });
}

/// The model of a call is its own, that of anything else its turn's.
fn model(span: &Span<'_>, turn: Option<&Turn<'_>>, texts: &Texts<'_>, row: &mut Row<'_>) {
    let (model, effort) = match &span.kind {
        SpanKind::ModelCall(call) => (call.model, call.effort),
        _ => (turn.and_then(|it| it.model), turn.and_then(|it| it.effort)),
    };
    row.text("model", common::label(texts, model));
    row.text("effort", common::label(texts, effort));
}

fn tool<'a>(thread: &Thread<'a>, span: &Span<'a>, texts: &Texts<'_>, row: &mut Row<'_>) {
    let call: Option<&ToolCall<'a>> = match &span.kind {
        SpanKind::ToolCall(call) => Some(call),
        _ => None,
    };
    let label =
        |it: Option<JsonText<'_>>| common::label(texts, it).map(std::borrow::Cow::into_owned);
    row.text("tool", label(call.and_then(|it| it.tool)));
    row.text("namespace", label(call.and_then(|it| it.namespace)));
    row.text("tool_family", call.map(|it| it.family.word()));
    row.text("call_id", label(call.and_then(|it| it.call_id)));
    let command = call.and_then(|it| thread.command_of(it).line);
    row.text(
        "command",
        command.and_then(|it| Some(texts.rules().text(Part::Tool, &it)?.into_owned())),
    );
    row.int("exit_code", call.and_then(|it| it.exit_code));
    row.bool("success", call.and_then(|it| it.success));
    row.int("duration_recorded_ms", call.and_then(|it| it.duration).map(|it| it.as_millis()));
    row.text("mcp_server", label(call.and_then(|it| it.extras().mcp).map(|it| it.0)));
    row.text("mcp_tool", label(call.and_then(|it| it.extras().mcp).map(|it| it.1)));
}

fn model_call(call: Option<&ModelCall<'_>>, texts: &Texts<'_>, row: &mut Row<'_>) {
    row.text("response_id", common::label(texts, call.and_then(|it| it.response_id)));
    row.text("evidence", call.map(|it| it.evidence.word()));
    row.bool("compaction", call.map(|it| it.compaction));
}

/// What a turn was asked and answered, what a model call answered, what a tool
/// was given and gave back, what a compaction left.
fn content(
    trace: &Trace<'_>,
    span: &Span<'_>,
    texts: &Texts<'_>,
) -> (Option<String>, Option<String>) {
    let thread = trace.thread_of(span);
    let (input, output) = match &span.kind {
        SpanKind::Turn(turn) => (texts.prompt(thread, turn), texts.answer(turn)),
        SpanKind::ModelCall(call) => (None, texts.said(thread, &call.output)),
        SpanKind::ToolCall(call) => (texts.given(thread, call), texts.output(thread, call)),
        SpanKind::Compaction(it) => (None, texts.text(Part::Message, it.summary)),
        _ => (None, None),
    };
    (common::decoded(input), common::decoded(output))
}
