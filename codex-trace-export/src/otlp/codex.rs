//! Attributes of our own, which are the same in every convention.

use std::borrow::Cow;

use codex_rollout::RawJson;
use codex_trace_model::{Command, SpanKind as Kind, Status, ToolCall, Turn};

use super::attributes::Attributes;
use super::messages::decode;
use super::spans::Subject;
use super::{facts, semconv};
use crate::content::Part;

/// Adds what Codex recorded and no convention has a name for.
pub(crate) fn describe(subject: &Subject<'_, '_>, out: &mut Attributes) {
    let span = subject.span;
    out.word("codex.span.kind", span.kind.word());
    out.word("codex.span.key", &span.key);
    out.word("codex.thread.id", &subject.thread.id);
    out.text("codex.rollout.file", facts::file_name(subject));
    out.int("codex.rollout.first_line", span.provenance.first_line);
    out.int("codex.rollout.last_line", span.provenance.last_line);
    if span.status != Status::Ok {
        out.word("codex.status", span.status.word());
    }
    if subject.is_root {
        // Live telemetry of the same turn may be in the same trace.
        out.flag("codex.backfill", true);
    }
    match &span.kind {
        Kind::Turn(turn) => describe_turn(subject, turn, out),
        Kind::ModelCall(call) => {
            out.text("codex.turn.reasoning_effort", subject.label(call.effort));
            out.text(semconv::SERVICE_TIER, subject.label(call.service_tier));
            out.word("codex.model_call.evidence", call.evidence.word());
            if call.compaction {
                out.flag("codex.model_call.compaction", true);
            }
        }
        Kind::ToolCall(call) => describe_tool(subject, call, out),
        Kind::Compaction(compaction) => {
            out.int("codex.compaction.window_number", compaction.window_number);
            out.text("codex.compaction.window_id", subject.label(compaction.window_id));
        }
        Kind::Thread => {
            let meta = &subject.thread.meta;
            out.int("codex.thread.depth", u64::from(subject.thread.depth));
            out.text("codex.agent.role", subject.label(meta.agent_role));
            out.text("codex.agent.nickname", subject.label(meta.agent_nickname));
            out.text("codex.agent.path", subject.label(meta.agent_path));
        }
        _ => {}
    }
}

fn describe_turn(subject: &Subject<'_, '_>, turn: &Turn<'_>, out: &mut Attributes) {
    let meta = &subject.thread.meta;
    out.text("codex.turn.id", subject.label(turn.turn_id));
    out.int("codex.turn.number", u64::from(turn.number));
    out.flag("codex.turn.marked", turn.marked);
    out.text("codex.turn.reasoning_effort", subject.label(turn.effort));
    out.text("codex.turn.collaboration_mode", subject.label(turn.collaboration_mode));
    out.text("codex.turn.personality", subject.label(turn.personality));
    out.text("codex.turn.reasoning_summary", subject.label(turn.reasoning_summary));
    out.text("codex.turn.trigger", subject.label(turn.trigger));
    out.text("codex.turn.initiating_agent_path", subject.label(turn.initiating_agent_path));
    out.text("codex.turn.approvals_reviewer", subject.label(turn.approvals_reviewer));
    out.text("codex.turn.sandbox", subject.label(turn.sandbox));
    out.text("codex.turn.approval_policy", turn.approval_policy.and_then(|it| word(subject, it)));
    out.int("codex.turn.duration_ms", turn.duration_ms);
    out.int("codex.turn.time_to_first_token_ms", turn.time_to_first_token_ms);
    out.int("codex.turn.context_window", turn.model_context_window);
    out.text(semconv::WORKING_DIRECTORY, subject.place(turn.cwd.or(meta.cwd)));
    if !subject.is_root {
        // A subagent's turn is in its parent's trace.
        out.text("codex.turn.trace_id", subject.label(turn.trace_id));
    }
    if let Some(review) = &turn.review {
        let reader = subject.reader();
        let hint = review.hint.and_then(|it| reader.prompt(it));
        out.text("codex.review.hint", hint.map(|it| Cow::Owned(decode(&it))));
        let findings = review.output.and_then(|it| reader.value(Part::Message, it));
        out.json("codex.review.output", findings.map(Cow::into_owned));
    }
    if let Some(git) = meta.git {
        out.text("vcs.ref.head.revision", subject.place(git.commit_hash));
        out.text("vcs.ref.head.name", subject.place(git.branch));
        out.text("vcs.repository.url.full", facts::repository(subject).map(Cow::Owned));
    }
}

fn describe_tool<'a>(subject: &Subject<'_, 'a>, call: &ToolCall<'a>, out: &mut Attributes) {
    let said = |part, text: &Option<Cow<'_, str>>| {
        let kept = text.as_deref().and_then(|it| subject.scene.rules.text(part, it));
        kept.map(|it| Cow::Owned(it.into_owned()))
    };
    let (extras, command) = (call.extras(), subject.thread.command_of(call));
    out.word("codex.tool.family", call.family.word());
    out.text("codex.tool.namespace", subject.label(call.namespace));
    out.signed(semconv::EXIT_CODE, call.exit_code);
    out.flag("codex.tool.success", call.success);
    let duration = call.duration.and_then(|it| u64::try_from(it.as_millis()).ok());
    out.int("codex.tool.duration_ms", duration);
    out.text(semconv::WORKING_DIRECTORY, said(Part::Place, &command.cwd));
    out.text("codex.tool.running_session", said(Part::Label, &extras.running_session));
    out.text("codex.tool.source", subject.label(extras.source));
    if let Some((server, tool)) = extras.mcp {
        out.text("codex.mcp.server", subject.label(Some(server)));
        out.text("codex.mcp.tool", subject.label(Some(tool)));
    }
    describe_origin(subject, call, &command, out);
    if !extras.spawned.is_empty() {
        let ids: Vec<&str> = extras.spawned.iter().map(AsRef::as_ref).collect();
        out.words("codex.tool.spawned", &ids);
    }
}

/// Adds where a tool comes from, what it did to whom, and what was allowed.
fn describe_origin(
    subject: &Subject<'_, '_>,
    call: &ToolCall<'_>,
    command: &Command<'_>,
    out: &mut Attributes,
) {
    let value = |sort, raw: Option<RawJson<'_>>| {
        raw.and_then(|raw| subject.reader().value(sort, raw)).map(Cow::into_owned)
    };
    let extras = call.extras();
    out.text("codex.tool.process_id", subject.label(call.process_id));
    out.json("codex.tool.parsed_cmd", value(Part::Tool, call.parsed_cmd));
    out.text("codex.plugin.id", subject.label(extras.plugin_id));
    out.text("codex.plugin.script_path", subject.place(extras.script_path));
    if let Some(origin) = &extras.mcp_origin {
        out.text("codex.mcp.app_name", subject.label(origin.app_name));
        out.text("codex.mcp.action_name", subject.label(origin.action_name));
        out.text("codex.mcp.connector_id", subject.label(origin.connector_id));
        out.text("codex.mcp.environment_id", subject.label(origin.environment_id));
        out.flag("codex.mcp.read_only_hint", origin.read_only_hint);
    }
    if let Some(agents) = &extras.agents {
        out.text("codex.agent.model", subject.label(agents.model));
        out.text("codex.agent.reasoning_effort", subject.label(agents.reasoning_effort));
        out.text("codex.agent.path", subject.label(agents.path));
        out.json("codex.agent.states", value(Part::Tool, agents.states));
    }
    if let Some(escalation) = &command.escalation {
        out.flag("codex.tool.escalated", true);
        let why = escalation.justification.as_deref();
        let why = why.and_then(|why| subject.scene.rules.text(Part::Tool, why));
        out.text("codex.tool.justification", why.map(|why| Cow::Owned(why.into_owned())));
    }
    if let Some(risk) = &extras.risk {
        out.json("codex.security_risk.scores", value(Part::Label, risk.scores));
        out.json("codex.security_risk.action", value(Part::Tool, risk.action));
    }
}

/// A setting that is a word, or else an object.
fn word<'t>(subject: &Subject<'t, '_>, raw: RawJson<'t>) -> Option<Cow<'t, str>> {
    if let Some(text) = raw.as_text() {
        return subject.label(Some(text));
    }
    let value = subject.reader().value(Part::Label, raw)?;
    Some(Cow::Owned(String::from_utf8_lossy(&value).into_owned()))
}
