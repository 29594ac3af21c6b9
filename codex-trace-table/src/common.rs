//! What several tables say.

use codex_rollout::JsonText;
use codex_trace_export::content::Part;
use codex_trace_export::texts::Texts;
use codex_trace_model::{
    Fate, ModelCall, Span, SpanIx, SpanKind, Thread, Timestamp, TokenUsage, Trace, Turn,
};

use crate::batch::Row;

/// What a call cost, in US dollars; `None` if it has no price.
pub type Prices<'p> =
    dyn Fn(&ModelCall<'_>, &TokenUsage, Option<Timestamp>) -> Option<f64> + Sync + 'p;

/// What holds for all rows of a session.
pub(crate) struct About<'a> {
    /// The home that it is of.
    pub(crate) home: Option<&'a str>,
    /// Texts as they are to be written.
    pub(crate) texts: &'a Texts<'a>,
    /// Texts as they are recorded, to be measured.
    pub(crate) whole: &'a Texts<'a>,
    /// What calls cost.
    pub(crate) prices: Option<&'a Prices<'a>>,
    /// Whether there is room for all that the neutral format says.
    pub(crate) has_json: bool,
}

/// Returns the turn that each span is in, itself included.
pub(crate) fn turns(trace: &Trace<'_>) -> Vec<Option<SpanIx>> {
    let mut turns: Vec<Option<SpanIx>> = Vec::with_capacity(trace.spans.len());
    for (ix, span) in trace.iter() {
        let turn = match span.kind {
            SpanKind::Turn(_) => Some(ix),
            // A subagent's thread begins anew.
            SpanKind::Thread => None,
            _ => span.parent.and_then(|parent| turns[parent.index()]),
        };
        turns.push(turn);
    }
    turns
}

/// Returns the turn of a span, and what is known of it as such.
pub(crate) fn turn<'t, 'a>(
    trace: &'t Trace<'a>,
    ix: Option<SpanIx>,
) -> (Option<&'t Span<'a>>, Option<&'t Turn<'a>>) {
    let span = ix.map(|ix| trace.span(ix));
    let turn = span.and_then(|span| match &span.kind {
        SpanKind::Turn(turn) => Some(&**turn),
        _ => None,
    });
    (span, turn)
}

pub(crate) fn fate(turn: Option<&Turn<'_>>) -> Option<&'static str> {
    turn.map(|turn| turn.fate).map(Fate::word)
}

/// Returns a recorded text of some sort, redacted.
pub(crate) fn text<'a>(
    texts: &Texts<'_>,
    part: Part,
    text: Option<JsonText<'a>>,
) -> Option<std::borrow::Cow<'a, str>> {
    texts.rules().decoded(part, text?)
}

/// Returns a recorded name, redacted.
pub(crate) fn label<'a>(
    texts: &Texts<'_>,
    it: Option<JsonText<'a>>,
) -> Option<std::borrow::Cow<'a, str>> {
    text(texts, Part::Label, it)
}

/// Returns a text that is raw JSON text as what it says.
pub(crate) fn decoded(raw: Option<std::borrow::Cow<'_, [u8]>>) -> Option<String> {
    raw.map(|raw| JsonText::new(&raw).decode().into_owned())
}

/// Writes where a thread comes from.
pub(crate) fn origin(thread: &Thread<'_>, texts: &Texts<'_>, row: &mut Row<'_>) {
    let meta = &thread.meta;
    let place = |it| text(texts, Part::Place, it);
    row.text("cwd", place(meta.cwd));
    row.text("git_repository", place(meta.git.and_then(|git| git.repository_url)));
    row.text("git_branch", place(meta.git.and_then(|git| git.branch)));
    row.text("git_commit", place(meta.git.and_then(|git| git.commit_hash)));
    row.text("cli_version", label(texts, meta.cli_version));
    row.text("originator", label(texts, meta.originator));
    let source = meta.source.map(|source| codex_rollout::source_word(&source));
    let source = source.as_deref().and_then(|it| texts.rules().text(Part::Label, it));
    row.text("source", source);
    row.text("agent_role", label(texts, meta.agent_role));
    row.text("agent_nickname", label(texts, meta.agent_nickname));
}

/// Writes tokens as they were recorded.
pub(crate) fn tokens(usage: Option<TokenUsage>, row: &mut Row<'_>) {
    row.int("input_tokens", usage.map(|it| it.input_tokens));
    row.int("cached_input_tokens", usage.map(|it| it.cached_input_tokens));
    row.int("cache_write_input_tokens", usage.and_then(|it| it.cache_write_input_tokens));
    row.int("output_tokens", usage.map(|it| it.output_tokens));
    row.int("reasoning_output_tokens", usage.map(|it| it.reasoning_output_tokens));
    row.int("total_tokens", usage.map(|it| it.total_tokens));
}

/// Returns how long a span took, in milliseconds.
pub(crate) fn duration(span: &Span<'_>) -> Option<i64> {
    Some(span.end?.as_millisecond() - span.start?.as_millisecond())
}
