//! What the newest versions of Codex record, by the names of the conventions.

use codex_trace_export::content::{Capture, Content, ContentRules};
use codex_trace_export::otlp::{Amount, Options, Semconv, encode_json};
use serde_json::{Value, json};

use crate::support::with_bytes;

/// A turn of two requests: another model, effort and tier after the first.
const ROLLOUT: &str = concat!(
    r#"{"timestamp":"2026-11-20T10:00:00.000Z","type":"session_meta","payload":{"id":"th1","timestamp":"2026-11-20T10:00:00.000Z","cwd":"/w","cli_version":"0.171.0","model_provider":"custom"}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:00.500Z","type":"event_msg","payload":{"type":"thread_settings_applied","thread_id":"th1","thread_settings":{"model":"gpt-6.2-sol","model_provider_id":"openai","service_tier":"priority"}}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:01.000Z","type":"event_msg","payload":{"type":"task_started","turn_id":"tu1","collaboration_mode_kind":"plan"}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:01.100Z","type":"turn_context","payload":{"turn_id":"tu1","cwd":"/w","model":"gpt-6.2-sol","personality":"friendly"}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:02.000Z","type":"response_item","payload":{"type":"function_call","name":"exec_command","arguments":"{}","call_id":"c1"}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:02.100Z","type":"token_usage_record","payload":{"thread_id":"th1","turn_id":"tu1","response_id":"r1","usage":{"input_tokens":10,"cache_write_input_tokens":4,"output_tokens":1}}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:03.000Z","type":"response_item","payload":{"type":"function_call_output","call_id":"c1","output":"x"}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:03.100Z","type":"world_state","payload":{"full":false,"state":{"model":{"model":"gpt-6.1-sol"}}}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:03.200Z","type":"response_item","payload":{"type":"configuration_update","reasoning":{"effort":"high"}}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:03.300Z","type":"realtime_item","payload":{"realtime_session_id":"s","type":"frame","channels":{"voice_transcript":{"role":"user","text":"SAID"}}}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:03.400Z","type":"retained_context","payload":{"type":"verified_answer","call_id":"c1","questions":[{"question":"ASKED","answer":"blue"}]}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:03.500Z","type":"event_msg","payload":{"type":"item_completed","thread_id":"th1","turn_id":"tu1","item":{"type":"AgentMessage","id":"c2","content":[{"type":"Text","text":"TOLD"}],"delivery":"async"}}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:04.000Z","type":"response_item","payload":{"type":"message","role":"assistant","content":[{"type":"output_text","text":"done"}]}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:04.100Z","type":"token_usage_record","payload":{"thread_id":"th1","turn_id":"tu1","response_id":"r2","usage":{"input_tokens":20,"output_tokens":2}}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:05.000Z","type":"event_msg","payload":{"type":"task_complete","turn_id":"tu1","last_agent_message":"done"}}"#,
    "\n",
);

fn encoded(rollout: &str, capture: Capture, semconv: Semconv) -> (Vec<Value>, String) {
    with_bytes(rollout, |trace| {
        let rules = ContentRules::new(capture, None, Content::default());
        let options = Options { semconv, amount: Amount::default(), ..Options::default() };
        let mut out = Vec::new();
        encode_json(trace, &rules, &options, &mut out, &mut |_| true).unwrap();
        let request: Value = serde_json::from_slice(&out).unwrap();
        let pieces = request["resourceSpans"].as_array().unwrap().clone();
        let spans = pieces
            .iter()
            .flat_map(|it| it["scopeSpans"][0]["spans"].as_array().unwrap().clone())
            .collect();
        (spans, String::from_utf8(out).unwrap())
    })
}

/// The value of an attribute, without its type; null if there is none.
fn attribute(of: &Value, key: &str) -> Value {
    let attributes = of["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|it| it["key"] == key);
    found
        .map_or(Value::Null, |it| it["value"].as_object().unwrap().values().next().unwrap().clone())
}

fn span<'v>(spans: &'v [Value], key: &str) -> &'v Value {
    spans.iter().find(|it| attribute(it, "codex.span.key") == json!(key)).unwrap()
}

#[test]
fn a_request_has_the_settings_that_it_was_made_with() {
    let (spans, _) = encoded(ROLLOUT, Capture::Full, Semconv::GenAi);
    for (key, model, effort) in
        [("llm:tu1:0", "gpt-6.2-sol", Value::Null), ("llm:tu1:1", "gpt-6.1-sol", json!("high"))]
    {
        let call = span(&spans, key);
        assert_eq!(attribute(call, "gen_ai.request.model"), model);
        assert_eq!(attribute(call, "gen_ai.provider.name"), "openai");
        assert_eq!(attribute(call, "gen_ai.request.reasoning.level"), effort);
        assert_eq!(attribute(call, "openai.request.service_tier"), "priority");
        assert_eq!(attribute(call, "gen_ai.request.stream"), true);
    }
    // Under the name of today, and under the one that most readers know.
    let first = span(&spans, "llm:tu1:0");
    assert_eq!(attribute(first, "gen_ai.usage.cache_write.input_tokens"), "4");
    assert_eq!(attribute(first, "gen_ai.usage.cache_creation.input_tokens"), "4");
    let turn = span(&spans, "turn:tu1");
    assert_eq!(attribute(turn, "codex.turn.collaboration_mode"), "plan");
    assert_eq!(attribute(turn, "codex.turn.personality"), "friendly");
    assert_eq!(attribute(turn, "codex.cli_version"), "0.171.0");
    assert_eq!(attribute(turn, "gen_ai.agent.version"), Value::Null);

    let (spans, _) = encoded(ROLLOUT, Capture::Full, Semconv::OpenInference);
    let asked = attribute(span(&spans, "llm:tu1:1"), "llm.invocation_parameters");
    let asked: Value = serde_json::from_str(asked.as_str().unwrap()).unwrap();
    assert_eq!(asked, json!({"reasoning": {"effort": "high"}, "service_tier": "priority"}));
}

#[test]
fn what_was_said_is_told_where_content_may_leave() {
    let (spans, _) = encoded(ROLLOUT, Capture::Full, Semconv::GenAi);
    let events = span(&spans, "turn:tu1")["events"].as_array().unwrap();
    let names: Vec<&str> = events.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["codex.voice", "codex.retained_context", "codex.message_notes"]);
    assert_eq!(attribute(&events[0], "codex.voice.role"), "user");
    assert_eq!(attribute(&events[0], "codex.text"), "SAID");
    assert!(attribute(&events[1], "codex.questions").as_str().unwrap().contains("ASKED"));
    assert_eq!(attribute(&events[2], "codex.text"), "TOLD");
    assert_eq!(attribute(&events[2], "codex.delivery"), "async");

    let (_, text) = encoded(ROLLOUT, Capture::MetadataOnly, Semconv::GenAi);
    for content in ["SAID", "ASKED", "blue", "TOLD", "done"] {
        assert!(!text.contains(content), "{content}");
    }
}

/// A command outside of the sandbox, a tool of an app, an agent, a list of
/// tools, a refusal and an item of a type that nobody listed.
const TOOLS: &str = concat!(
    r#"{"timestamp":"2026-11-20T10:00:00.000Z","type":"session_meta","payload":{"id":"th1","timestamp":"2026-11-20T10:00:00.000Z","cwd":"/w","cli_version":"0.171.0","history_mode":"paginated"}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:01.000Z","type":"event_msg","payload":{"type":"task_started","turn_id":"tu1","turn_attribution":{"turn_id":"tu1","initiating_agent_path":"/root"}}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:01.100Z","type":"turn_context","payload":{"turn_id":"tu1","model":"gpt-6.2-sol","approvals_reviewer":"auto_review"}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:01.200Z","type":"response_item","payload":{"type":"additional_tools","id":"at_1","role":"developer","tools":[{"type":"namespace","name":"functions","tools":[{"type":"function","name":"exec_command","description":"RUNS IT","parameters":{"type":"object"}}]}]}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:02.000Z","type":"response_item","payload":{"type":"function_call","name":"exec_command","arguments":"{\"cmd\":\"cat secrets.txt\",\"sandbox_permissions\":\"require_escalated\",\"justification\":\"MAY I\"}","call_id":"c1"}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:02.100Z","type":"security_risk_score","payload":{"scores":{"exfiltration":0.25},"action":"allow","call_id":"c1"}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:02.500Z","type":"event_msg","payload":{"type":"item_completed","thread_id":"th1","turn_id":"tu1","item":{"type":"CommandExecution","id":"c1","process_id":"4242","parsed_cmd":[{"type":"read","cmd":"cat secrets.txt","name":"secrets.txt","path":"PARSED"}],"status":"completed","exit_code":0,"plugin_id":"plug"}}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:03.000Z","type":"response_item","payload":{"type":"function_call_output","call_id":"c1","output":"Process exited with code 0\nOutput:\nx"}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:03.100Z","type":"response_item","payload":{"type":"function_call","namespace":"mcp__docs","name":"find","arguments":"{}","call_id":"c2"}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:03.200Z","type":"event_msg","payload":{"type":"item_completed","thread_id":"th1","turn_id":"tu1","item":{"type":"McpToolCall","id":"c2","server":"docs","tool":"find","status":"completed","appName":"Docs","connectorId":"con1","readOnlyHint":true,"environmentId":"env1"}}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:03.300Z","type":"response_item","payload":{"type":"function_call_output","call_id":"c2","output":"hit"}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:03.400Z","type":"response_item","payload":{"type":"function_call","namespace":"multi_agent_v1","name":"wait_agent","arguments":"{}","call_id":"c3"}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:03.500Z","type":"event_msg","payload":{"type":"item_completed","thread_id":"th1","turn_id":"tu1","item":{"type":"CollabAgentToolCall","id":"c3","tool":"wait","status":"failed","model":"gpt-6.1","reasoning_effort":"low","agents_states":{"x":{"errored":"STATE"}}}}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:03.600Z","type":"response_item","payload":{"type":"function_call_output","call_id":"c3","output":"REFUSED"}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:03.700Z","type":"response_item","payload":{"type":"computer_call","call_id":"c4","action":{"type":"CLICK"},"status":"completed"}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:05.000Z","type":"event_msg","payload":{"type":"task_complete","turn_id":"tu1"}}"#,
    "\n",
);

#[test]
fn a_tool_call_tells_what_ran_where_and_who_allowed_it() {
    let (spans, _) = encoded(TOOLS, Capture::Full, Semconv::GenAi);
    let turn = span(&spans, "turn:tu1");
    assert_eq!(attribute(turn, "codex.turn.approvals_reviewer"), "auto_review");
    assert_eq!(attribute(turn, "codex.turn.initiating_agent_path"), "/root");
    assert!(attribute(turn, "gen_ai.tool.definitions").as_str().unwrap().contains("RUNS IT"));
    for (key, name, value) in [
        ("tool:c1", "gen_ai.tool.description", json!("RUNS IT")),
        ("tool:c1", "codex.tool.process_id", json!("4242")),
        ("tool:c1", "codex.plugin.id", json!("plug")),
        ("tool:c1", "codex.tool.escalated", json!(true)),
        ("tool:c1", "codex.tool.justification", json!("MAY I")),
        ("tool:c1", "codex.security_risk.scores", json!(r#"{"exfiltration":0.25}"#)),
        ("tool:c2", "codex.mcp.app_name", json!("Docs")),
        ("tool:c2", "codex.mcp.connector_id", json!("con1")),
        ("tool:c2", "codex.mcp.read_only_hint", json!(true)),
        ("tool:c2", "codex.mcp.environment_id", json!("env1")),
        ("tool:c3", "codex.agent.model", json!("gpt-6.1")),
        ("tool:c3", "codex.agent.reasoning_effort", json!("low")),
        ("tool:c4", "gen_ai.tool.name", json!("computer")),
        ("tool:c4", "codex.tool.family", json!("unknown")),
    ] {
        assert_eq!(attribute(span(&spans, key), name), value, "{key} {name}");
    }
    let failed = span(&spans, "tool:c3");
    assert_eq!(failed["status"]["message"], "REFUSED");

    let (spans, _) = encoded(TOOLS, Capture::Full, Semconv::OpenInference);
    let call = span(&spans, "tool:c1");
    assert_eq!(attribute(call, "tool.description"), "RUNS IT");
    assert_eq!(attribute(call, "tool.parameters"), r#"{"type":"object"}"#);
    // The list itself stands on the first call of the turn, and on no other.
    let schemas: Vec<Value> = spans
        .iter()
        .map(|span| attribute(span, "llm.tools.0.tool.json_schema"))
        .filter(|schema| !schema.is_null())
        .collect();
    assert_eq!(schemas.len(), 1);
    assert!(schemas[0].as_str().unwrap().contains("RUNS IT"), "{schemas:?}");
    let first = span(&spans, "llm:tu1:0");
    assert_eq!(attribute(first, "llm.tools.0.tool.json_schema"), schemas[0]);
}

/// An editor's wrapper, a compaction, and tools that the embedding program
/// changed.
const EDITOR: &str = concat!(
    r#"{"timestamp":"2026-11-20T10:00:00.000Z","type":"session_meta","payload":{"id":"th1","timestamp":"2026-11-20T10:00:00.000Z","cwd":"/w","cli_version":"0.171.0"}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:01.000Z","type":"event_msg","payload":{"type":"task_started","turn_id":"tu1"}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:01.100Z","type":"dynamic_tools_updated","payload":{"thread_id":"th1","tools":[{"name":"lookup","description":"FINDS","inputSchema":{"type":"object"}}]}}"#,
    "\n",
    r##"{"timestamp":"2026-11-20T10:00:01.200Z","type":"response_item","payload":{"type":"message","role":"user","content":[{"type":"input_text","text":"# Context from my IDE setup:\n\n## Open tabs:\n- a.rs\n\n## My request for Codex:\nrename it\n"}]}}"##,
    "\n",
    r##"{"timestamp":"2026-11-20T10:00:01.300Z","type":"event_msg","payload":{"type":"user_message","message":"# Context from my IDE setup:\n\n## Open tabs:\n- a.rs\n\n## My request for Codex:\nrename it\n"}}"##,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:02.000Z","type":"response_item","payload":{"type":"function_call","name":"lookup","arguments":"{}","call_id":"c1"}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:02.500Z","type":"response_item","payload":{"type":"function_call_output","call_id":"c1","output":"x"}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:03.000Z","type":"compacted","payload":{"message":"SHORT"}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:04.000Z","type":"response_item","payload":{"type":"message","role":"assistant","content":[{"type":"output_text","text":"done"}]}}"#,
    "\n",
    r#"{"timestamp":"2026-11-20T10:00:05.000Z","type":"event_msg","payload":{"type":"task_complete","turn_id":"tu1","last_agent_message":"done"}}"#,
    "\n",
);

#[test]
fn lists_show_the_request_and_messages_all_of_the_prompt() {
    for semconv in [Semconv::GenAi, Semconv::OpenInference] {
        let (spans, text) = encoded(EDITOR, Capture::Full, semconv);
        let turn = span(&spans, "turn:tu1");
        assert_eq!(attribute(turn, "input.value"), "rename it");
        assert!(text.contains("# Context from my IDE setup"), "the model saw it");
    }
    let (spans, _) = encoded(EDITOR, Capture::Full, Semconv::GenAi);
    let turn = span(&spans, "turn:tu1");
    let messages = attribute(turn, "gen_ai.input.messages");
    assert!(messages.as_str().unwrap().contains("Open tabs"), "{messages}");
    let compaction = spans.iter().find(|it| it["name"] == "compaction").unwrap();
    assert_eq!(attribute(compaction, "gen_ai.operation.name"), "compact");
    let changed = &turn["events"][0];
    assert_eq!(changed["name"], "codex.dynamic_tools");
    assert!(attribute(changed, "gen_ai.tool.definitions").as_str().unwrap().contains("FINDS"));
    assert_eq!(attribute(span(&spans, "tool:c1"), "gen_ai.tool.description"), "FINDS");
    for semconv in [Semconv::GenAi, Semconv::OpenInference] {
        let (_, text) = encoded(EDITOR, Capture::MetadataOnly, semconv);
        for content in ["FINDS", "rename", "SHORT", "tabs"] {
            assert!(!text.contains(content), "{content}");
        }
    }
}

#[test]
fn what_tools_were_told_and_told_is_content() {
    for semconv in [Semconv::GenAi, Semconv::OpenInference] {
        let (_, text) = encoded(TOOLS, Capture::MetadataOnly, semconv);
        for content in ["RUNS IT", "MAY I", "PARSED", "STATE", "CLICK", "REFUSED", "secrets"] {
            assert!(!text.contains(content), "{content}");
        }
    }
}
