//! `codex.tool_result`: one for each call that was handled, those in scripts of
//! code mode too.

use std::borrow::Cow;

use crate::codex_otel::calls::Call;
use crate::codex_otel::record::Record;
use crate::codex_otel::told::ToldTurn;
use crate::otlp::times::Times;
use codex_trace_model::ToolFamily;

pub(super) fn add(
    turn: ToldTurn<'_, '_>,
    times: Times,
    n_tools: &mut u64,
    records: &mut Vec<Record>,
) {
    let mut calls: Vec<_> = Call::of(turn).map(|call| (call.ended_at(times.end), call)).collect();
    calls.sort_by_key(|(at, _)| *at);
    for (at, call) in calls {
        *n_tools += 1;
        records.push(result(&call, at, *n_tools));
    }
}

fn result(call: &Call<'_, '_>, at: u64, nth: u64) -> Record {
    let turn = call.turn;
    let version = turn.version;
    // What a script calls has a trace of its own.
    let trace_id = turn.trace_id().filter(|_| !call.is_nested);
    let mut record = Record::new("codex.tool_result", at).stamped().in_trace(trace_id);
    let out = &mut record.attributes;
    let (name, namespace) = call.log_name();
    out.word("tool_name", &name);
    out.text("tool_namespace", namespace.map(Cow::Owned));
    out.text("call_id", turn.told.texts.label(call.id()).map(Cow::Owned));
    let millis = call.duration().map(|it| it.as_millis().to_string());
    out.text("duration_ms", millis.map(Cow::Owned));
    out.text("success", call.success().map(|it| Cow::Owned(it.to_string())));
    out.text("arguments", call.arguments().map(Cow::Owned));
    let output = call.output().filter(|_| shows_output(call));
    if let Some((text, truncated)) = output.and_then(|raw| turn.told.texts.output(raw, version)) {
        out.word("output", &text);
        if version.since(155) && !call.is_nested {
            out.flag("output_truncated", truncated);
        }
    }
    if version.since(110) {
        out.word("mcp_server", &call.server().unwrap_or_default());
    }
    if version.since(155) {
        out.int("tool_result_seq", nth);
        out.word("agent_name", &turn.agent());
    }
    turn.common(out);
    record
}

/// Whether the file has what the live telemetry shows: of MCP servers it showed
/// a form of its own until 0.142.
fn shows_output(call: &Call<'_, '_>) -> bool {
    call.tool.family != ToolFamily::Mcp || call.turn.version.since(142)
}
