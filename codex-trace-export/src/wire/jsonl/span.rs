//! The `span` lines of `codex-trace/v1`.

use codex_rollout::item::event_msg::SecurityRiskScore;
use codex_trace_model::{
    Compaction, Event, EventKind, ModelCall, Span, SpanKind, ToolCall, Trace, Turn,
};

use crate::content::Content;
use crate::json::{self, Object};
use crate::splice;

/// Writes the fields of a span.
pub(super) fn fields(trace: &Trace<'_>, span: &Span<'_>, content: Content, o: &mut Object<'_>) {
    let thread = trace.thread_of(span);
    o.put("type", "span");
    o.put("thread_id", &thread.id);
    o.put("key", &span.key);
    if let Some(parent) = span.parent {
        let parent = trace.span(parent);
        o.put("parent_key", &parent.key);
        if parent.thread != span.thread {
            o.put("parent_thread_id", &trace.thread_of(parent).id);
        }
    }
    o.put("kind", span.kind.word());
    o.put("name", &span.name);
    o.maybe("start", span.start);
    o.maybe("end", span.end);
    o.put("status", span.status.word());
    o.maybe("status_message", span.status.message());
    o.maybe("usage", span.usage);
    o.flag("outlives_parent", span.outlives_parent);
    if let Some((start, end)) = span.recorded {
        o.object("recorded", |o| {
            o.maybe("start", start);
            o.maybe("end", end);
        });
    }
    match &span.kind {
        SpanKind::Turn(it) => o.object("attributes", |o| turn(it, content, o)),
        SpanKind::ModelCall(it) => o.object("attributes", |o| model_call(it, o)),
        SpanKind::ToolCall(it) => o.object("attributes", |o| tool_call(it, content, o)),
        SpanKind::Compaction(it) => o.object("attributes", |o| compaction(it, content, o)),
        _ => {}
    }
    if !span.links.is_empty() {
        o.array("links", &span.links, |link, out| {
            json::object(out, |o| {
                o.put("relation", link.relation.word());
                o.put("thread_id", &link.thread_id);
                o.maybe("turn_id", link.turn.map(|turn| turn.turn_id));
            });
        });
    }
    if !span.events.is_empty() {
        o.array("events", &span.events, |it, out| json::object(out, |o| event(it, content, o)));
    }
    o.object("provenance", |o| {
        let file = thread.rollouts.get(span.provenance.rollout.0 as usize);
        o.maybe("file", file.map(|rollout| &rollout.path));
        o.put("first_line", span.provenance.first_line);
        o.put("last_line", span.provenance.last_line);
    });
}

fn turn(turn: &Turn<'_>, content: Content, o: &mut Object<'_>) {
    o.maybe("turn_id", turn.turn_id);
    o.put("number", turn.number);
    o.flag("inferred", !turn.marked);
    o.maybe("model", turn.model);
    o.maybe("effort", turn.effort);
    o.maybe("service_tier", turn.service_tier);
    o.maybe("collaboration_mode", turn.collaboration_mode);
    o.maybe("personality", turn.personality);
    o.maybe("reasoning_summary", turn.reasoning_summary);
    o.maybe("cwd", turn.cwd);
    if let Some(policy) = turn.approval_policy {
        splice::value(policy, content, o.value("approval_policy"));
    }
    o.maybe("approvals_reviewer", turn.approvals_reviewer);
    o.maybe("sandbox", turn.sandbox);
    o.maybe("cyber_access_program", turn.cyber_access_program);
    if let Some(plugins) = turn.disabled_plugins {
        splice::value(plugins, content, o.value("disabled_plugins"));
    }
    o.maybe("root_turn_id", turn.root_turn_id);
    o.maybe("parent_turn_id", turn.parent_turn_id);
    o.maybe("trigger", turn.trigger);
    o.maybe("initiating_agent_path", turn.initiating_agent_path);
    o.maybe("tools", turn.tools.map(|ix| ix.0));
    o.maybe("trace_id", turn.trace_id);
    o.list("input", turn.input.iter().map(|ix| ix.0));
    o.maybe("prompt", turn.prompt);
    o.maybe("last_agent_message", turn.last_agent_message);
    o.maybe("time_to_first_token_ms", turn.time_to_first_token_ms);
    o.maybe("duration_ms", turn.duration_ms);
    o.maybe("model_context_window", turn.model_context_window);
    if let Some(review) = turn.review {
        o.object("review", |o| {
            o.maybe("hint", review.hint);
            if let Some(output) = review.output {
                splice::value(output, content, o.value("output"));
            }
        });
    }
}

fn model_call(call: &ModelCall<'_>, o: &mut Object<'_>) {
    o.maybe("model", call.model);
    o.maybe("effort", call.effort);
    o.maybe("service_tier", call.service_tier);
    o.maybe("provider", call.provider);
    o.maybe("response_id", call.response_id);
    o.object("window", |o| {
        o.put("history", call.window.history);
        o.put("end", call.window.end.0);
    });
    o.list("output", call.output.iter().map(|ix| ix.0));
    o.put("evidence", call.evidence.word());
    o.flag("compaction", call.compaction);
}

fn tool_call(call: &ToolCall<'_>, content: Content, o: &mut Object<'_>) {
    o.maybe("call_id", call.call_id);
    o.maybe("tool", call.tool);
    o.maybe("namespace", call.namespace);
    o.put("family", call.family.word());
    o.maybe("call_item", call.call_item.map(|ix| ix.0));
    o.maybe("output_item", call.output_item.map(|ix| ix.0));
    o.maybe("command", call.command.as_ref());
    o.maybe("cwd", call.cwd.as_ref());
    o.maybe("exit_code", call.exit_code);
    o.maybe("success", call.success);
    o.maybe("duration_s", call.duration);
    o.maybe("running_session", call.running_session.as_ref());
    if let Some((server, tool)) = call.mcp {
        o.object("mcp", |o| {
            o.put("server", server);
            o.put("tool", tool);
            if let Some(origin) = &call.mcp_origin {
                o.maybe("app_name", origin.app_name);
                o.maybe("action_name", origin.action_name);
                o.maybe("connector_id", origin.connector_id);
                o.maybe("read_only_hint", origin.read_only_hint);
                o.maybe("environment_id", origin.environment_id);
            }
        });
    }
    for (key, value) in [
        ("arguments", call.arguments),
        ("output_text", call.output_text),
        ("changes", call.changes),
        ("search", call.search),
        ("parsed_cmd", call.parsed_cmd),
    ] {
        if let Some(value) = value {
            splice::value(value, content, o.value(key));
        }
    }
    o.list("spawned", &call.spawned);
    o.maybe("source", call.source);
    o.maybe("process_id", call.process_id);
    o.maybe("plugin_id", call.plugin_id);
    o.maybe("script_path", call.script_path);
    if let Some(agents) = &call.agents {
        o.object("agents", |o| {
            o.maybe("model", agents.model);
            o.maybe("reasoning_effort", agents.reasoning_effort);
            o.maybe("path", agents.path);
            if let Some(states) = agents.states {
                splice::value(states, content, o.value("states"));
            }
        });
    }
    if let Some(escalation) = &call.escalation {
        o.flag("escalated", true);
        o.maybe("justification", escalation.justification.as_ref());
    }
    if let Some(risk) = &call.risk {
        o.object("security_risk_score", |o| risk_score(risk, content, o));
    }
}

fn risk_score(risk: &SecurityRiskScore<'_>, content: Content, o: &mut Object<'_>) {
    for (key, value) in [("scores", risk.scores), ("action", risk.action)] {
        if let Some(value) = value {
            splice::value(value, content, o.value(key));
        }
    }
}

fn compaction(compaction: &Compaction<'_>, content: Content, o: &mut Object<'_>) {
    o.maybe("summary", compaction.summary);
    if let Some(history) = compaction.replacement_history {
        splice::value(history, content, o.value("replacement_history"));
    }
    o.maybe("window_number", compaction.window_number);
    o.maybe("window_id", compaction.window_id);
    o.maybe("previous_window_id", compaction.previous_window_id);
}

fn event(event: &Event<'_>, content: Content, o: &mut Object<'_>) {
    o.put("kind", event.kind.word());
    o.maybe("at", event.at);
    o.put("line", event.line);
    let raw = |key: &str, value, o: &mut Object<'_>| splice::value(value, content, o.value(key));
    match &event.kind {
        EventKind::Steering(text) | EventKind::ThreadNamed(text) | EventKind::Plan(text) => {
            splice::text(*text, content, o.value("text"));
        }
        EventKind::Error { message, info } => {
            o.maybe("message", *message);
            if let Some(info) = info {
                raw("info", *info, o);
            }
        }
        EventKind::RateLimits(limits) => raw("rate_limits", *limits, o),
        EventKind::Goal(goal) => raw("goal", *goal, o),
        EventKind::HookPrompt(Some(prompt)) => raw("prompt", *prompt, o),
        EventKind::GuardianAssessment(it) => {
            o.maybe("target_item_id", it.target_item_id);
            o.maybe("assessment", it.status);
            o.maybe("risk_level", it.risk_level);
            o.maybe("rationale", it.rationale);
        }
        EventKind::SecurityRiskScore(it) => {
            o.maybe("call_id", it.call_id);
            risk_score(it, content, o);
        }
        EventKind::SubAgentActivity(it) => {
            o.maybe("activity", it.kind);
            o.maybe("agent_thread_id", it.agent_thread_id);
            o.maybe("agent_path", it.agent_path);
            o.maybe("agent_model", it.model);
            o.maybe("agent_reasoning_effort", it.reasoning_effort);
        }
        EventKind::AgentMessage(it) => {
            o.maybe("author", it.author);
            o.maybe("recipient", it.recipient);
            o.maybe("text", it.content);
        }
        EventKind::Voice(it) => {
            o.maybe("what", it.kind);
            o.maybe("voice_session_id", it.session_id);
            o.maybe("role", it.said().role);
            o.maybe("text", it.said().text);
            o.maybe("turn_id", it.turn_id);
            o.maybe("outcome", it.outcome);
        }
        EventKind::RetainedContext(it) => {
            o.maybe("what", it.kind);
            o.maybe("call_id", it.call_id);
            o.maybe("turn_id", it.turn_id);
            if let Some(questions) = it.questions {
                raw("questions", questions, o);
            }
            o.maybe("text", it.text);
        }
        EventKind::MessageNotes(it) => {
            o.maybe("id", it.id);
            o.maybe("delivery", it.delivery);
            o.maybe("text", it.text);
            for (key, value) in [
                ("questions", it.questions),
                ("memory_citation", it.memory_citation),
                ("moderation", it.moderation),
            ] {
                if let Some(value) = value {
                    raw(key, value, o);
                }
            }
        }
        EventKind::RolledBack(turns) => o.put("turns", *turns),
        EventKind::OrphanOutput { call_id, name, item } => {
            o.maybe("call_id", *call_id);
            o.maybe("name", *name);
            o.put("item", item.0);
        }
        EventKind::Late { what, id, exit_code } => {
            o.put("what", what);
            o.maybe("id", *id);
            o.maybe("exit_code", *exit_code);
        }
        EventKind::Unknown { kind } => o.maybe("recorded_kind", *kind),
        _ => {}
    }
}
