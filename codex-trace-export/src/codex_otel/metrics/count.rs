//! What a turn adds to the series of its thread.

use codex_rollout::{JsonText, ResponseItem};
use codex_trace_model::{SpanKind as Kind, Status, ToolFamily};

use super::{Labels, Metric, Series};
use crate::codex_otel::calls::Call;
use crate::codex_otel::told::ToldTurn;
use crate::otlp::times::{Times, nanos};

/// Adds that a thread was started, and by whom.
pub(super) fn of_thread(turn: ToldTurn<'_, '_>, added: &mut Vec<(Series, u64)>) {
    added.push(((Metric::ThreadStarted, common(turn, turn.turn.model)), 1));
}

/// Adds what a turn did.
pub(super) fn of_turn(turn: ToldTurn<'_, '_>, times: Times, added: &mut Vec<(Series, u64)>) {
    tokens(turn, added);
    let labels = || common(turn, turn.turn.model);
    if turn.span.status != Status::Incomplete {
        let measured = (times.end_from.is_none() && times.start_from.is_none())
            .then(|| (times.end - times.start) / 1_000_000);
        let lasted = turn.turn.duration_ms.or(measured);
        added.extend(lasted.map(|it| ((Metric::TurnDuration, labels()), it)));
    }
    if turn.version.since(125) {
        let first = turn.turn.time_to_first_token_ms;
        added.extend(first.map(|it| ((Metric::TurnFirstToken, labels()), it)));
        let first = first_message(turn, times);
        added.extend(first.map(|it| ((Metric::TurnFirstMessage, labels()), it)));
    }
    if turn.turn.review.is_some() {
        added.push(((Metric::TaskReview, labels()), 1));
    }
    for (_, span) in turn.below() {
        if matches!(span.kind, Kind::Compaction(_)) {
            added.push(((Metric::TaskCompact, labels()), 1));
        }
    }
    tools(turn, added);
}

/// Adds the tokens of all answers, by the model that gave them.
fn tokens(turn: ToldTurn<'_, '_>, added: &mut Vec<(Series, u64)>) {
    let calls = turn.below().filter_map(|(_, span)| match &span.kind {
        Kind::ModelCall(call) => Some((call.model.or(turn.turn.model), span.usage?)),
        _ => None,
    });
    let mut by_model: Vec<(Option<JsonText<'_>>, codex_rollout::TokenUsage)> = Vec::new();
    for (model, usage) in calls {
        match by_model.iter_mut().find(|(it, _)| *it == model) {
            Some((_, sum)) => *sum += usage,
            None => by_model.push((model, usage)),
        }
    }
    for (model, usage) in by_model {
        let writes = usage.cache_write_input_tokens.filter(|_| turn.version.since(155));
        let counts = [
            ("total", Some(usage.total_tokens)),
            ("input", Some(usage.input_tokens)),
            ("cached_input", Some(usage.cached_input_tokens)),
            ("cache_write_input", writes),
            ("output", Some(usage.output_tokens)),
            ("reasoning_output", Some(usage.reasoning_output_tokens)),
        ];
        for (what, n) in counts {
            let mut labels = common(turn, model);
            labels.push(("token_type", what.to_owned()));
            added.extend(n.map(|n| ((Metric::TokenUsage, labels), n)));
        }
    }
}

fn tools(turn: ToldTurn<'_, '_>, added: &mut Vec<(Series, u64)>) {
    let mut n = 0;
    for call in Call::of(turn) {
        n += 1;
        let mut labels = common(turn, turn.turn.model);
        let name = call.metric_name();
        if name.ends_with("spawn_agent") && call.tool.family == ToolFamily::Agents {
            added.push(((Metric::AgentSpawn, labels.clone()), 1));
        }
        let millis = call.duration().and_then(|it| u64::try_from(it.as_millis()).ok());
        if call.tool.family == ToolFamily::Mcp {
            of_server(&call, labels.clone(), millis, added);
        }
        labels.push(("tool", name));
        labels.extend(call.success().map(|it| ("success", it.to_string())));
        added.push(((Metric::ToolCall, labels.clone()), 1));
        added.extend(millis.map(|it| ((Metric::ToolCallDuration, labels), it)));
    }
    // As the live telemetry: of what ended as it should.
    if turn.span.status == Status::Ok && turn.version.since(110) {
        added.push(((Metric::TurnToolCall, common(turn, turn.turn.model)), n));
    }
}

/// Adds a call of an MCP server's tool, by the labels that its version had.
fn of_server(
    call: &Call<'_, '_>,
    mut labels: Labels,
    millis: Option<u64>,
    added: &mut Vec<(Series, u64)>,
) {
    let version = call.turn.version;
    if version.since(171) {
        labels.extend(call.server().map(|it| ("server", it)));
    }
    if version.since(142) {
        labels.push(("tool", call.log_name().0));
    }
    let failed = version.since(171) && call.success() == Some(false);
    labels.push(("status", if failed { "error" } else { "ok" }.to_owned()));
    added.push(((Metric::McpCall, labels.clone()), 1));
    added.extend(millis.map(|it| ((Metric::McpCallDuration, labels), it)));
}

/// Returns how long it took to the first message of the agent, in milliseconds.
fn first_message(turn: ToldTurn<'_, '_>, times: Times) -> Option<u64> {
    let outputs = turn.below().filter_map(|(_, span)| match &span.kind {
        Kind::ModelCall(call) => Some(&call.output),
        _ => None,
    });
    let items = outputs.flatten().filter_map(|ix| turn.thread.item(*ix));
    let mut messages = items.filter(|item| {
        let ResponseItem::Message(message) = &item.body else { return false };
        message.role.is_some_and(|role| role.is("assistant"))
    });
    let first = messages.next()?.at.and_then(nanos)?;
    (times.start_from.is_none()).then(|| first.saturating_sub(times.start) / 1_000_000)
}

/// Returns the labels that each series has.
fn common(turn: ToldTurn<'_, '_>, model: Option<JsonText<'_>>) -> Labels {
    let texts = &turn.told.texts;
    let meta = &turn.thread.meta;
    let all = [
        ("model", texts.label(model)),
        ("originator", texts.label(meta.originator)),
        ("app.version", texts.label(meta.cli_version)),
    ];
    all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}
