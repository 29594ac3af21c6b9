//! Events of spans.

use std::borrow::Cow;
use std::collections::HashMap;

use codex_rollout::{JsonText, RawJson};
use codex_trace_model::{Event as TreeEvent, EventKind, Span, SpanIx, SpanKind as Kind, Trace};

use super::attributes::Attributes;
use super::messages::decode;
use super::proto::Event;
use super::spans::Subject;
use crate::content::Part;

/// Returns what happened during a span. The first span of a trace also tells
/// what happened in the thread since the turn before.
pub(super) fn events(subject: &Subject<'_, '_>) -> Vec<Event> {
    let scene = subject.scene;
    let between = scene.events_before(subject.ix).filter(|_| subject.is_root);
    between.chain(subject.span.events()).map(|it| event(subject, it)).collect()
}

/// Finds the turn that comes next after each event of the root thread.
pub(super) fn between_turns(trace: &Trace<'_>) -> HashMap<SpanIx, Vec<usize>> {
    let mut next: HashMap<SpanIx, Vec<usize>> = HashMap::new();
    let root = &trace.spans[0];
    if root.events().is_empty() {
        return next;
    }
    let turns: Vec<(SpanIx, &Span<'_>)> =
        trace.children(SpanIx(0)).filter(|(_, span)| matches!(span.kind, Kind::Turn(_))).collect();
    for (nth, event) in root.events().iter().enumerate() {
        let comes_after = |(_, turn): &&(SpanIx, &Span<'_>)| match (event.at, turn.start) {
            (Some(at), Some(start)) => at <= start,
            _ => event.line < turn.provenance.first_line,
        };
        if let Some((turn, _)) = turns.iter().find(comes_after) {
            next.entry(*turn).or_default().push(nth);
        }
    }
    next
}

fn event(subject: &Subject<'_, '_>, event: &TreeEvent<'_>) -> Event {
    let mut out = Attributes::default();
    let (at, known) = subject.moment(event.at);
    if !known {
        out.word("codex.time.start_from", "parent");
    }
    let name = match &event.kind {
        // The name and attributes that OpenTelemetry has for it.
        EventKind::Error { .. } => "exception".to_owned(),
        kind => format!("codex.{}", kind.word()),
    };
    describe(subject, &event.kind, &mut out);
    Event { time_unix_nano: at, name, attributes: out.0 }
}

fn describe(subject: &Subject<'_, '_>, kind: &EventKind<'_>, out: &mut Attributes) {
    let reader = subject.reader();
    let said = |text: Option<JsonText<'_>>| {
        text.and_then(|text| reader.decoded(Part::Message, text)).map(Cow::Owned)
    };
    let value = |sort, raw: Option<RawJson<'_>>| {
        raw.and_then(|raw| reader.value(sort, raw)).map(Cow::into_owned)
    };
    match kind {
        EventKind::Steering(text) => {
            let typed = reader.prompt(*text).map(|raw| Cow::Owned(decode(&raw)));
            out.text("codex.text", typed);
        }
        EventKind::Plan(text) => out.text("codex.plan", said(Some(*text))),
        EventKind::ThreadNamed(text) => out.text("codex.thread.name", said(Some(*text))),
        EventKind::Error { message, info } => {
            out.word("exception.type", "codex.error");
            out.text("exception.message", said(*message));
            out.json("codex.error.info", value(Part::Message, *info));
        }
        EventKind::RateLimits(raw) => {
            out.json("codex.rate_limits", value(Part::Label, Some(*raw)));
        }
        EventKind::Goal(raw) => out.json("codex.goal", value(Part::Tool, Some(*raw))),
        EventKind::HookPrompt(raw) => out.json("codex.hook_prompt", value(Part::Message, *raw)),
        EventKind::Voice(it) => {
            out.text("codex.what", subject.label(it.kind));
            out.text("codex.voice.session_id", subject.label(it.session_id));
            out.text("codex.voice.role", subject.label(it.said().role));
            out.text("codex.text", said(it.said().text));
            out.text("codex.turn.id", subject.label(it.turn_id));
            out.text("codex.voice.outcome", subject.label(it.outcome));
        }
        EventKind::DynamicTools(tools) => {
            out.json(super::semconv::TOOL_DEFINITIONS, value(Part::Message, Some(*tools)));
        }
        EventKind::RetainedContext(it) => {
            out.text("codex.what", subject.label(it.kind));
            out.text("gen_ai.tool.call.id", subject.label(it.call_id));
            out.json("codex.questions", value(Part::Message, it.questions));
            out.text("codex.text", said(it.text));
        }
        EventKind::MessageNotes(it) => {
            out.text("codex.item.id", subject.label(it.id));
            out.text("codex.delivery", subject.label(it.delivery));
            out.text("codex.text", said(it.text));
            out.json("codex.questions", value(Part::Message, it.questions));
            out.json("codex.memory_citation", value(Part::Message, it.memory_citation));
            out.json("codex.moderation", value(Part::Message, it.moderation));
        }
        EventKind::RolledBack(turns) => out.int("codex.turns", *turns),
        EventKind::GuardianAssessment(it) => {
            out.text("codex.item.id", subject.label(it.target_item_id));
            out.text("codex.guardian.status", subject.label(it.status));
            out.text("codex.guardian.risk_level", subject.label(it.risk_level));
            // It speaks of what a tool was given.
            let rationale = it.rationale.and_then(|text| reader.decoded(Part::Tool, text));
            out.text("codex.guardian.rationale", rationale.map(Cow::Owned));
        }
        EventKind::SecurityRiskScore(it) => {
            out.text("gen_ai.tool.call.id", subject.label(it.call_id));
            out.json("codex.security_risk.scores", value(Part::Label, it.scores));
            out.json("codex.security_risk.action", value(Part::Tool, it.action));
        }
        EventKind::SubAgentActivity(it) => {
            out.text("codex.activity", subject.label(it.kind));
            out.text("codex.thread.id", subject.label(it.agent_thread_id));
            out.text("codex.agent.path", subject.label(it.agent_path));
            out.text("codex.agent.model", subject.label(it.model));
            out.text("codex.agent.reasoning_effort", subject.label(it.reasoning_effort));
        }
        EventKind::AgentMessage(it) => {
            out.text("codex.author", subject.label(it.author));
            out.text("codex.recipient", subject.label(it.recipient));
            out.text("codex.text", said(it.content));
        }
        EventKind::OrphanOutput { call_id, name, .. } => {
            out.text("gen_ai.tool.call.id", subject.label(*call_id));
            out.text("codex.what", subject.label(*name));
        }
        EventKind::Late { what, id, exit_code } => {
            out.word("codex.what", what);
            out.text("codex.item.id", subject.label(*id));
            out.signed("process.exit.code", *exit_code);
        }
        EventKind::Unknown { kind } => out.text("codex.type", subject.label(*kind)),
        _ => {}
    }
}
