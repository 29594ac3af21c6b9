//! The table of model calls.

use codex_trace_model::{Span, SpanIx, SpanKind, Trace};

use crate::batch::{Batch, Column, Kind};
use crate::common::{self, About};

#[rustfmt::skip]
pub(crate) const COLUMNS: &[Column] = &[
    ("home", Kind::Text, false),
    ("session_id", Kind::Text, true),
    ("thread_id", Kind::Text, true),
    ("turn_key", Kind::Text, false),
    ("key", Kind::Text, true),
    ("at", Kind::Time, false),
    ("day", Kind::Text, false),
    ("start", Kind::Time, false),
    ("duration_ms", Kind::Int, false),
    ("status", Kind::Text, true),
    ("model", Kind::Text, false),
    ("effort", Kind::Text, false),
    ("service_tier", Kind::Text, false),
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
    ("depth", Kind::Int, true),
    ("compaction", Kind::Bool, true),
    ("fate", Kind::Text, false),
    ("input_tokens", Kind::Int, false),
    ("cached_input_tokens", Kind::Int, false),
    ("cache_write_input_tokens", Kind::Int, false),
    ("output_tokens", Kind::Int, false),
    ("reasoning_output_tokens", Kind::Int, false),
    ("total_tokens", Kind::Int, false),
    ("cost_usd", Kind::Float, false),
];

/// Adds the row of a span, if it is a model call.
pub(crate) fn add(
    trace: &Trace<'_>,
    (ix, span): (SpanIx, &Span<'_>),
    turns: &[Option<SpanIx>],
    about: &About<'_>,
    batch: &mut Batch,
) {
    let texts = about.texts;
    let SpanKind::ModelCall(call) = &span.kind else { return };
    let (turn_span, turn) = common::turn(trace, turns[ix.index()]);
    let thread = trace.thread_of(span);
    let at = trace.made_at(span);
    batch.row(|row| {
        row.text("home", about.home);
        row.text("session_id", Some(trace.session_id()));
        row.text("thread_id", Some(&thread.id));
        row.text("turn_key", turn_span.map(|it| &it.key));
        row.text("key", Some(&span.key));
        row.time("at", at);
        row.text("day", at.map(|at| at.to_string()[..10].to_owned()));
        row.time("start", span.start);
        row.int("duration_ms", common::duration(span));
        row.text("status", Some(span.status.word()));
        row.text("model", common::label(texts, call.model));
        row.text("effort", common::label(texts, call.effort));
        row.text("service_tier", common::label(texts, call.service_tier));
        row.text(
            "model_provider",
            common::label(texts, call.provider.or(thread.meta.model_provider)),
        );
        common::origin(thread, texts, row);
        row.int("depth", Some(thread.depth));
        row.bool("compaction", Some(call.compaction));
        row.text("fate", common::fate(turn));
        common::tokens(span.usage, row);
        let usage = span.usage.unwrap_or_default();
        row.float("cost_usd", about.prices.and_then(|cost| cost(call, &usage, at)));
    });
}
