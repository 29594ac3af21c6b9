//! A rollout with a text of its own in every place that can hold one.

use serde_json::{Value, json};

/// A text field of a rollout, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sort {
    /// What somebody or the model said.
    Message,
    /// What a tool was given or gave back, or what is said of that.
    Tool,
    /// Where it was.
    Place,
    /// A name, a model, a version.
    Label,
}

/// Every text field, by the name that [`rollout`] calls it.
#[rustfmt::skip]
pub(crate) const FIELDS: &[(&str, Sort)] = &[
    ("prompt", Sort::Message), ("answer", Sort::Message), ("last-answer", Sort::Message),
    ("summary", Sort::Message), ("reasoning", Sort::Message), ("instructions", Sort::Message),
    ("compaction", Sort::Message), ("developer", Sort::Message), ("thread-name", Sort::Message),
    ("voice", Sort::Message), ("retained", Sort::Message), ("told", Sort::Message),
    ("hook", Sort::Message), ("error", Sort::Message), ("error-info", Sort::Message),
    ("aborted", Sort::Message), ("abort-error", Sort::Message), ("review-hint", Sort::Message),
    ("review-output", Sort::Message), ("plan", Sort::Message), ("steering", Sort::Message),
    ("citation", Sort::Message), ("stream-error", Sort::Message), ("complete-error", Sort::Message),
    ("rationale", Sort::Tool), ("goal", Sort::Tool), ("justification", Sort::Tool),
    ("risk-action", Sort::Tool), ("mcp-error", Sort::Tool), ("orphan", Sort::Tool),
    ("arguments", Sort::Tool), ("output", Sort::Tool), ("command", Sort::Tool),
    ("stdout", Sort::Tool), ("stderr", Sort::Tool), ("patch", Sort::Tool),
    ("patch-output", Sort::Tool), ("patch-content", Sort::Tool), ("mcp-argument", Sort::Tool),
    ("mcp-result", Sort::Tool), ("query", Sort::Tool),
    ("patch-path", Sort::Tool), ("mcp-server", Sort::Label), ("mcp-tool", Sort::Label),
    ("tool-name", Sort::Label), ("cwd", Sort::Place), ("tool-cwd", Sort::Place),
    ("git-url", Sort::Place), ("branch", Sort::Place), ("model", Sort::Label),
    ("originator", Sort::Label), ("version", Sort::Label), ("provider", Sort::Label),
    ("commit", Sort::Place), ("sandbox", Sort::Label), ("approval", Sort::Label),
];

/// Makes a rollout of two turns whose texts are what `text` says for a field.
#[expect(clippy::too_many_lines, reason = "a table of records")]
pub(crate) fn rollout(text: impl Fn(&str) -> String) -> String {
    let t = |field: &str| text(field);
    let usage = json!({"input_tokens": 100, "cached_input_tokens": 40, "output_tokens": 7,
        "reasoning_output_tokens": 3, "total_tokens": 107});
    let item = |payload: Value| ("response_item", payload);
    let event = |payload: Value| ("event_msg", payload);
    let done = |item: Value| {
        event(json!({"type": "item_completed", "turn_id": "t-1",
            "thread_id": "019a0000-0000-7000-8000-000000000001", "item": item}))
    };
    let message = |role: &str, kind: &str, field: &str| {
        item(
            json!({"type": "message", "role": role, "content": [{"type": kind, "text": t(field)}]}),
        )
    };
    let count = || {
        event(json!({"type": "token_count", "info": {"total_token_usage": usage,
            "last_token_usage": usage}}))
    };
    let call = |id: &str, name: &str, arguments: Value| {
        item(json!({"type": "function_call", "name": name, "call_id": id,
            "arguments": arguments.to_string()}))
    };
    let output = |id: &str, field: &str| {
        item(json!({"type": "function_call_output", "call_id": id, "output": t(field)}))
    };
    // The space ends what must not go on: a key's id, for one.
    let mcp_name = format!("mcp__{} __{}", t("mcp-server"), t("mcp-tool"));
    let lines = [
        (
            "session_meta",
            json!({"id": "019a0000-0000-7000-8000-000000000001",
            "timestamp": "2026-03-01T10:00:00.000Z", "cwd": t("cwd"), "originator": t("originator"),
            "cli_version": t("version"), "source": "exec", "model_provider": t("provider"),
            "base_instructions": {"text": t("instructions")},
            "git": {"commit_hash": t("commit"), "branch": t("branch"), "repository_url": t("git-url")}}),
        ),
        event(json!({"type": "task_started", "turn_id": "t-1", "model_context_window": 1000})),
        (
            "turn_context",
            json!({"turn_id": "t-1", "cwd": t("cwd"), "model": t("model"),
            "approval_policy": t("approval"), "sandbox_policy": {"type": t("sandbox")},
            "user_instructions": t("instructions"), "developer_instructions": t("developer")}),
        ),
        message("developer", "input_text", "developer"),
        message("user", "input_text", "prompt"),
        event(json!({"type": "user_message", "message": t("prompt")})),
        event(json!({"type": "agent_reasoning", "text": t("summary")})),
        item(
            json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": t("summary")}],
            "content": [{"type": "reasoning_text", "text": t("reasoning")}]}),
        ),
        call(
            "c-1",
            "exec_command",
            json!({"cmd": t("command"), "workdir": t("tool-cwd"), "why": t("arguments"),
                "sandbox_permissions": "require_escalated", "justification": t("justification")}),
        ),
        event(json!({"type": "exec_command_end", "call_id": "c-1", "turn_id": "t-1",
            "command": ["bash", "-lc", t("command")], "cwd": t("tool-cwd"), "stdout": t("stdout"),
            "stderr": t("stderr"), "aggregated_output": t("stdout"), "formatted_output": t("stdout"),
            "exit_code": 1, "duration": {"secs": 0, "nanos": 5_000_000}, "status": "failed"})),
        output("c-1", "output"),
        call("c-2", &mcp_name, json!({"a": t("mcp-argument")})),
        event(json!({"type": "mcp_tool_call_end", "call_id": "c-2",
            "invocation": {"server": t("mcp-server"), "tool": t("mcp-tool"), "arguments": {"a": t("mcp-argument")}},
            "duration": {"secs": 1, "nanos": 0},
            "result": {"Ok": {"content": [{"type": "text", "text": t("mcp-result")}], "isError": false}}})),
        output("c-2", "mcp-result"),
        item(
            json!({"type": "custom_tool_call", "name": "apply_patch", "call_id": "c-3", "status": "completed",
            "input": format!("*** Begin Patch\n*** Add File: {}\n+{}\n*** End Patch", t("patch-path"), t("patch"))}),
        ),
        event(json!({"type": "patch_apply_end", "call_id": "c-3", "turn_id": "t-1",
            "stdout": t("patch-output"), "stderr": t("stderr"), "success": false,
            "changes": {t("patch-path"): {"type": "add", "content": t("patch-content")}}})),
        item(
            json!({"type": "custom_tool_call_output", "call_id": "c-3", "output": t("patch-output")}),
        ),
        call("c-4", &t("tool-name"), json!({"a": t("arguments")})),
        output("c-4", "output"),
        item(json!({"type": "web_search_call", "status": "completed",
            "action": {"type": "search", "query": t("query")}})),
        count(),
        (
            "realtime_item",
            json!({"type": "frame", "channels": {"voice_transcript": {"role": "user", "text": t("voice")}}}),
        ),
        (
            "retained_context",
            json!({"type": "verified_answer", "questions": [{"question": t("retained")}]}),
        ),
        done(json!({"type": "AgentMessage", "id": "c-5", "delivery": "async",
            "content": [{"type": "Text", "text": t("told")}], "questions": [{"title": t("told")}]})),
        done(json!({"type": "HookPrompt", "id": "m", "fragments": [{"text": t("hook")}]})),
        message("assistant", "output_text", "answer"),
        event(json!({"type": "agent_message", "message": t("answer")})),
        count(),
        event(json!({"type": "thread_name_updated",
            "thread_id": "019a0000-0000-7000-8000-000000000001", "thread_name": t("thread-name")})),
        event(
            json!({"type": "task_complete", "turn_id": "t-1", "last_agent_message": t("last-answer")}),
        ),
        event(json!({"type": "task_started", "turn_id": "t-2", "model_context_window": 1000})),
        (
            "compacted",
            json!({"message": t("compaction"), "replacement_history": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": t("compaction")}]}]}),
        ),
        message("user", "input_text", "prompt"),
        count(),
        message("user", "input_text", "steering"),
        event(json!({"type": "user_message", "message": t("steering")})),
        event(json!({"type": "stream_error", "message": t("stream-error"),
            "codex_error_info": {"other": t("error-info")}})),
        event(json!({"type": "error", "message": t("error"),
            "codex_error_info": {"other": t("error-info")}})),
        event(json!({"type": "guardian_assessment", "id": "g-1", "target_item_id": "c-9",
            "turn_id": "t-2", "status": "denied", "risk_level": "high",
            "rationale": t("rationale"), "action": {"tool": "shell", "command": t("rationale")}})),
        event(json!({"type": "security_risk_score", "call_id": "c-9", "turn_id": "t-2",
            "scores": {"risk": 1}, "action": {"command": t("risk-action")}})),
        event(json!({"type": "thread_goal_updated",
            "thread_id": "019a0000-0000-7000-8000-000000000001",
            "goal": {"objective": t("goal"), "status": "active"}})),
        done(json!({"type": "Plan", "id": "p", "text": t("plan")})),
        done(
            json!({"type": "AgentMessage", "id": "c-6", "content": [{"type": "Text", "text": t("told")}],
            "memory_citation": {"entries": [{"note": t("citation")}]}}),
        ),
        call("c-7", "mcp__broken", json!({"a": t("mcp-argument")})),
        event(json!({"type": "mcp_tool_call_end", "call_id": "c-7",
            "invocation": {"server": t("mcp-server"), "tool": t("mcp-tool"), "arguments": {}},
            "duration": {"secs": 1, "nanos": 0}, "result": {"Err": t("mcp-error")}})),
        output("c-7", "mcp-error"),
        output("c-8", "orphan"),
        event(json!({"type": "turn_aborted", "turn_id": "t-2", "reason": t("aborted"),
            "error": {"message": t("abort-error"), "codex_error_info": {"other": t("error-info")}}})),
        event(json!({"type": "task_started", "turn_id": "t-3", "model_context_window": 1000})),
        event(json!({"type": "entered_review_mode", "user_facing_hint": t("review-hint"),
            "target": {"type": "custom", "instructions": t("review-hint")}})),
        event(json!({"type": "exited_review_mode", "review_output": {
            "findings": [{"title": t("review-output"), "body": t("review-output"),
                "code_location": {"absolute_file_path": t("review-output")}}],
            "overall_correctness": "x", "overall_explanation": t("review-output")}})),
        event(json!({"type": "task_complete", "turn_id": "t-3", "last_agent_message": null})),
        event(json!({"type": "task_started", "turn_id": "t-4", "model_context_window": 1000})),
        event(json!({"type": "task_complete", "turn_id": "t-4", "last_agent_message": null,
            "error": {"message": t("complete-error"), "codex_error_info": "other"}})),
    ];
    let mut text = String::new();
    for (nth, (kind, payload)) in lines.into_iter().enumerate() {
        let at = format!("2026-03-01T10:00:{nth:02}.000Z");
        text.push_str(&json!({"timestamp": at, "type": kind, "payload": payload}).to_string());
        text.push('\n');
    }
    text
}
