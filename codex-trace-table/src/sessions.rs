//! The table of sessions.

use codex_trace_export::content::Part;
use codex_trace_model::{Span, SpanKind, Timestamp, Trace};

use crate::batch::{Batch, Column, Kind, Row};
use crate::common::{self, About};

#[rustfmt::skip]
pub(crate) const COLUMNS: &[Column] = &[
    ("home", Kind::Text, false),
    ("session_id", Kind::Text, true),
    ("started_at", Kind::Time, false),
    ("ended_at", Kind::Time, false),
    ("day", Kind::Text, false),
    ("duration_ms", Kind::Int, false),
    ("status", Kind::Text, true),
    ("name", Kind::Text, false),
    ("models", Kind::Text, false),
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
    ("threads", Kind::Int, true),
    ("turns", Kind::Int, true),
    ("model_calls", Kind::Int, true),
    ("tool_calls", Kind::Int, true),
    ("input_tokens", Kind::Int, false),
    ("cached_input_tokens", Kind::Int, false),
    ("cache_write_input_tokens", Kind::Int, false),
    ("output_tokens", Kind::Int, false),
    ("reasoning_output_tokens", Kind::Int, false),
    ("total_tokens", Kind::Int, false),
    ("cost_usd", Kind::Float, false),
    ("problems", Kind::Int, true),
    ("file", Kind::Text, false),
    ("files", Kind::Int, true),
    ("prompt", Kind::Text, false),
];

/// Adds the row of a session.
pub(crate) fn add(trace: &Trace<'_>, about: &About<'_>, batch: &mut Batch) {
    let root = trace.root();
    let texts = about.texts;
    let (start, end) = (trace.started_at(), trace.ended_at());
    let length = |start: Timestamp, end: Timestamp| end.as_millisecond() - start.as_millisecond();
    let rollouts = || trace.threads.iter().flat_map(|thread| &thread.rollouts);
    let n_of = |is: fn(&SpanKind<'_>) -> bool| {
        Some(trace.spans.iter().filter(|span| is(&span.kind)).count())
    };
    batch.row(|row| {
        row.text("home", about.home);
        row.text("session_id", Some(trace.session_id()));
        row.time("started_at", start);
        row.time("ended_at", end);
        row.text("day", start.map(|at| at.to_string()[..10].to_owned()));
        row.int("duration_ms", start.zip(end).map(|(start, end)| length(start, end)));
        row.text("status", Some(trace.standing().word()));
        row.text("name", common::text(texts, Part::Message, root.name));
        models(trace, about, row);
        row.text("model_provider", common::label(texts, root.meta.model_provider));
        common::origin(root, texts, row);
        row.int("threads", Some(trace.threads.len()));
        row.int("turns", n_of(|kind| matches!(kind, SpanKind::Turn(_))));
        row.int("model_calls", n_of(|kind| matches!(kind, SpanKind::ModelCall(_))));
        row.int("tool_calls", n_of(|kind| matches!(kind, SpanKind::ToolCall(_))));
        common::tokens(Some(trace.usage()), row);
        row.float("cost_usd", cost(trace, about));
        row.int("problems", Some(trace.diagnostics.iter().map(|it| it.count).sum::<usize>()));
        row.text("file", rollouts().next().map(|it| &it.path));
        row.int("files", Some(rollouts().count()));
        let first = trace.spans.iter().find_map(|span| match &span.kind {
            SpanKind::Turn(turn) if trace.thread_of(span).span == root.span => Some(turn),
            _ => None,
        });
        row.text("prompt", common::decoded(first.and_then(|turn| texts.prompt(root, turn))));
    });
}

/// The models of the calls, in order of their first use, with commas between them.
fn models(trace: &Trace<'_>, about: &About<'_>, row: &mut Row<'_>) {
    let mut models: Vec<std::borrow::Cow<'_, str>> = Vec::new();
    for call in trace.model_calls() {
        let SpanKind::ModelCall(it) = &call.kind else { continue };
        if let Some(model) = common::label(about.texts, it.model)
            && !models.contains(&model)
        {
            models.push(model);
        }
    }
    row.text("models", (!models.is_empty()).then(|| models.join(", ")));
}

/// The sum of what has a price.
fn cost(trace: &Trace<'_>, about: &About<'_>) -> Option<f64> {
    let prices = about.prices?;
    let of = |span: &Span<'_>| {
        let SpanKind::ModelCall(call) = &span.kind else { return None };
        prices(call, &span.usage.unwrap_or_default(), trace.made_at(span))
    };
    trace.model_calls().filter_map(of).reduce(|sum, cost| sum + cost)
}
