//! The `span` lines of `codex-trace/v1`.

use codex_rollout::item::event_msg::SecurityRiskScore;
use codex_trace_model::{
    Compaction, Event, EventKind, ModelCall, Span, SpanKind, Thread, ToolCall, Trace, Turn,
};

use crate::content::Content;
use crate::json::{self, Object};
use crate::splice;
use crate::wire::jsonl::recorded::Recorded as _;

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
    if let Some((start, end)) = span.recorded() {
        o.object("recorded", |o| {
            o.maybe("start", start);
            o.maybe("end", end);
        });
    }
    match &span.kind {
        SpanKind::Turn(it) => o.object("attributes", |o| turn(it, content, o)),
        SpanKind::ModelCall(it) => o.object("attributes", |o| model_call(it, o)),
        SpanKind::ToolCall(it) => o.object("attributes", |o| tool_call(thread, it, content, o)),
        SpanKind::Compaction(it) => o.object("attributes", |o| compaction(it, content, o)),
        _ => {}
    }
    if !span.links().is_empty() {
        o.array("links", span.links(), |link, out| {
            json::object(out, |o| {
                o.put("relation", link.relation.word());
                o.put("thread_id", &link.thread_id);
                o.recorded("turn_id", link.turn.map(|turn| turn.turn_id));
            });
        });
    }
    if !span.events().is_empty() {
        o.array("events", span.events(), |it, out| json::object(out, |o| event(it, content, o)));
    }
    o.object("provenance", |o| {
        let file = thread.rollout(span.provenance.rollout);
        o.maybe("file", file.map(|rollout| &rollout.path));
        o.put("first_line", span.provenance.first_line);
        o.put("last_line", span.provenance.last_line);
    });
}

fn turn(turn: &Turn<'_>, content: Content, o: &mut Object<'_>) {
    o.recorded("turn_id", turn.turn_id);
    o.put("number", turn.number);
    o.flag("inferred", !turn.marked);
    o.recorded("model", turn.model);
    o.recorded("effort", turn.effort);
    o.recorded("service_tier", turn.service_tier);
    o.recorded("collaboration_mode", turn.collaboration_mode);
    o.recorded("personality", turn.personality);
    o.recorded("reasoning_summary", turn.reasoning_summary);
    o.recorded("cwd", turn.cwd);
    if let Some(policy) = turn.approval_policy {
        splice::value(policy, content, o.value("approval_policy"));
    }
    o.recorded("approvals_reviewer", turn.approvals_reviewer);
    o.recorded("sandbox", turn.sandbox);
    o.recorded("cyber_access_program", turn.cyber_access_program);
    if let Some(plugins) = turn.disabled_plugins {
        splice::value(plugins, content, o.value("disabled_plugins"));
    }
    o.recorded("root_turn_id", turn.root_turn_id);
    o.recorded("parent_turn_id", turn.parent_turn_id);
    o.recorded("trigger", turn.trigger);
    o.recorded("initiating_agent_path", turn.initiating_agent_path);
    o.maybe("tools", turn.tools.map(|ix| ix.0));
    o.recorded("trace_id", turn.trace_id);
    o.list("input", turn.input.iter().map(|ix| ix.0));
    o.recorded("prompt", turn.prompt);
    o.recorded("last_agent_message", turn.last_agent_message);
    o.maybe("time_to_first_token_ms", turn.time_to_first_token_ms);
    o.maybe("duration_ms", turn.duration_ms);
    o.maybe("model_context_window", turn.model_context_window);
    if let Some(review) = turn.review {
        o.object("review", |o| {
            o.recorded("hint", review.hint);
            if let Some(output) = review.output {
                splice::value(output, content, o.value("output"));
            }
        });
    }
}

fn model_call(call: &ModelCall<'_>, o: &mut Object<'_>) {
    o.recorded("model", call.model);
    o.recorded("effort", call.effort);
    o.recorded("service_tier", call.service_tier);
    o.recorded("provider", call.provider);
    o.recorded("response_id", call.response_id);
    o.object("window", |o| {
        o.put("history", call.window.history);
        o.put("end", call.window.end.0);
    });
    o.list("output", call.output.iter().map(|ix| ix.0));
    o.put("evidence", call.evidence.word());
    o.flag("compaction", call.compaction);
}

fn tool_call<'a>(thread: &Thread<'a>, call: &ToolCall<'a>, content: Content, o: &mut Object<'_>) {
    let extras = call.extras();
    o.recorded("call_id", call.call_id);
    o.recorded("tool", call.tool);
    o.recorded("namespace", call.namespace);
    o.put("family", call.family.word());
    o.maybe("call_item", call.call_item.map(|ix| ix.0));
    o.maybe("output_item", call.output_item.map(|ix| ix.0));
    let command = thread.command_of(call);
    o.maybe("command", command.line.as_ref());
    o.maybe("cwd", command.cwd.as_ref());
    o.maybe("exit_code", call.exit_code);
    o.maybe("success", call.success);
    o.maybe("duration_s", call.duration);
    o.maybe("running_session", extras.running_session.as_ref());
    if let Some((server, tool)) = extras.mcp {
        o.object("mcp", |o| {
            o.recorded("server", server);
            o.recorded("tool", tool);
            if let Some(origin) = &extras.mcp_origin {
                o.recorded("app_name", origin.app_name);
                o.recorded("action_name", origin.action_name);
                o.recorded("connector_id", origin.connector_id);
                o.maybe("read_only_hint", origin.read_only_hint);
                o.recorded("environment_id", origin.environment_id);
            }
        });
    }
    for (key, value) in [
        ("arguments", extras.arguments),
        ("output_text", extras.output_text),
        ("changes", extras.changes),
        ("search", extras.search),
        ("parsed_cmd", call.parsed_cmd),
    ] {
        if let Some(value) = value {
            splice::value(value, content, o.value(key));
        }
    }
    o.list("spawned", &extras.spawned);
    o.recorded("source", extras.source);
    o.recorded("process_id", call.process_id);
    o.recorded("plugin_id", extras.plugin_id);
    o.recorded("script_path", extras.script_path);
    if let Some(agents) = &extras.agents {
        o.object("agents", |o| {
            o.recorded("model", agents.model);
            o.recorded("reasoning_effort", agents.reasoning_effort);
            o.recorded("path", agents.path);
            if let Some(states) = agents.states {
                splice::value(states, content, o.value("states"));
            }
        });
    }
    if let Some(escalation) = &command.escalation {
        o.flag("escalated", true);
        o.maybe("justification", escalation.justification.as_ref());
    }
    if let Some(risk) = &extras.risk {
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
    o.recorded("summary", compaction.summary);
    if let Some(history) = compaction.replacement_history {
        splice::value(history, content, o.value("replacement_history"));
    }
    o.maybe("window_number", compaction.window_number);
    o.recorded("window_id", compaction.window_id);
    o.recorded("previous_window_id", compaction.previous_window_id);
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
            o.recorded("message", *message);
            if let Some(info) = info {
                raw("info", *info, o);
            }
        }
        EventKind::RateLimits(limits) => raw("rate_limits", *limits, o),
        EventKind::Goal(goal) => raw("goal", *goal, o),
        EventKind::HookPrompt(Some(prompt)) => raw("prompt", *prompt, o),
        EventKind::GuardianAssessment(it) => {
            o.recorded("target_item_id", it.target_item_id);
            o.recorded("assessment", it.status);
            o.recorded("risk_level", it.risk_level);
            o.recorded("rationale", it.rationale);
        }
        EventKind::SecurityRiskScore(it) => {
            o.recorded("call_id", it.call_id);
            risk_score(it, content, o);
        }
        EventKind::SubAgentActivity(it) => {
            o.recorded("activity", it.kind);
            o.recorded("agent_thread_id", it.agent_thread_id);
            o.recorded("agent_path", it.agent_path);
            o.recorded("agent_model", it.model);
            o.recorded("agent_reasoning_effort", it.reasoning_effort);
        }
        EventKind::AgentMessage(it) => {
            o.recorded("author", it.author);
            o.recorded("recipient", it.recipient);
            o.recorded("text", it.content);
        }
        EventKind::Voice(it) => {
            o.recorded("what", it.kind);
            o.recorded("voice_session_id", it.session_id);
            o.recorded("role", it.said().role);
            o.recorded("text", it.said().text);
            o.recorded("turn_id", it.turn_id);
            o.recorded("outcome", it.outcome);
        }
        EventKind::DynamicTools(tools) => raw("tools", *tools, o),
        EventKind::RetainedContext(it) => {
            o.recorded("what", it.kind);
            o.recorded("call_id", it.call_id);
            o.recorded("turn_id", it.turn_id);
            if let Some(questions) = it.questions {
                raw("questions", questions, o);
            }
            o.recorded("text", it.text);
        }
        EventKind::MessageNotes(it) => {
            o.recorded("id", it.id);
            o.recorded("delivery", it.delivery);
            o.recorded("text", it.text);
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
            o.recorded("call_id", *call_id);
            o.recorded("name", *name);
            o.put("item", item.0);
        }
        EventKind::Late { what, id, exit_code } => {
            o.put("what", what);
            o.recorded("id", *id);
            o.maybe("exit_code", *exit_code);
        }
        EventKind::Unknown { kind } => o.recorded("recorded_kind", *kind),
        _ => {}
    }
}
