//! One small rollout, and by hand what must become of it.

use codex_trace_export::content::{Capture, ContentRules};
use codex_trace_export::otlp::{Amount, LlmInput, Options, Semconv, encode_json};
use serde_json::{Value, json};

use crate::support::with_bytes;

/// One turn: a prompt, a shell command that fails, an answer. The trace id is
/// recorded; the repository's address holds a password.
const ROLLOUT: &str = concat!(
    r#"{"timestamp":"2026-05-01T10:00:00.000Z","type":"session_meta","payload":{"id":"th1","timestamp":"2026-05-01T10:00:00.000Z","cwd":"/w","originator":"codex-tui","cli_version":"0.144.5","model_provider":"openai","git":{"branch":"main","repository_url":"https://me:secret@example.com/a/b.git"},"base_instructions":{"text":"Be good"}}}"#,
    "\n",
    r#"{"timestamp":"2026-05-01T10:00:01.000Z","type":"event_msg","payload":{"type":"task_started","turn_id":"tu1","trace_id":"0af7651916cd43dd8448eb211c80319c"}}"#,
    "\n",
    r#"{"timestamp":"2026-05-01T10:00:01.001Z","type":"turn_context","payload":{"turn_id":"tu1","cwd":"/w","model":"gpt-5-codex","effort":"low","approval_policy":"never"}}"#,
    "\n",
    r#"{"timestamp":"2026-05-01T10:00:01.002Z","type":"response_item","payload":{"type":"message","role":"user","content":[{"type":"input_text","text":"say \"hi\"\n"}]}}"#,
    "\n",
    r#"{"timestamp":"2026-05-01T10:00:01.003Z","type":"event_msg","payload":{"type":"user_message","message":"say \"hi\"\n","images":[]}}"#,
    "\n",
    r#"{"timestamp":"2026-05-01T10:00:03.000Z","type":"response_item","payload":{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"gAAAAsecret"}}"#,
    "\n",
    r#"{"timestamp":"2026-05-01T10:00:03.500Z","type":"response_item","payload":{"type":"function_call","name":"shell_command","arguments":"{\"command\":\"false\"}","call_id":"call_1"}}"#,
    "\n",
    r#"{"timestamp":"2026-05-01T10:00:03.600Z","type":"event_msg","payload":{"type":"token_count","info":{"total_token_usage":{"input_tokens":100,"cached_input_tokens":60,"output_tokens":20,"reasoning_output_tokens":8,"total_tokens":120},"last_token_usage":{"input_tokens":100,"cached_input_tokens":60,"output_tokens":20,"reasoning_output_tokens":8,"total_tokens":120}}}}"#,
    "\n",
    r#"{"timestamp":"2026-05-01T10:00:04.000Z","type":"response_item","payload":{"type":"function_call_output","call_id":"call_1","output":"Exit code: 1\nWall time: 0.1 seconds\nOutput:\n"}}"#,
    "\n",
    r#"{"timestamp":"2026-05-01T10:00:05.000Z","type":"response_item","payload":{"type":"message","role":"assistant","content":[{"type":"output_text","text":"done"}]}}"#,
    "\n",
    r#"{"timestamp":"2026-05-01T10:00:05.100Z","type":"event_msg","payload":{"type":"token_count","info":{"total_token_usage":{"input_tokens":250,"cached_input_tokens":160,"output_tokens":25,"reasoning_output_tokens":8,"total_tokens":275},"last_token_usage":{"input_tokens":150,"cached_input_tokens":100,"output_tokens":5,"reasoning_output_tokens":0,"total_tokens":155}}}}"#,
    "\n",
    r#"{"timestamp":"2026-05-01T10:00:05.500Z","type":"event_msg","payload":{"type":"task_complete","turn_id":"tu1","last_agent_message":"done","duration_ms":4500,"time_to_first_token_ms":1500}}"#,
    "\n",
);

fn encoded(rules: &ContentRules, options: &Options) -> Value {
    with_bytes(ROLLOUT, |trace| {
        let mut out = Vec::new();
        encode_json(trace, rules, options, &mut out, &mut |_| true).unwrap();
        serde_json::from_slice(&out).unwrap()
    })
}

fn span<'v>(request: &'v Value, key: &str) -> &'v Value {
    let pieces = request["resourceSpans"].as_array().unwrap();
    let spans = pieces.iter().flat_map(|it| it["scopeSpans"][0]["spans"].as_array().unwrap());
    let mut found = spans.filter(|it| attribute(it, "codex.span.key") == json!(key));
    found.next().unwrap_or_else(|| panic!("no span {key}"))
}

/// The value of an attribute, without its type; null if there is none.
fn attribute(span: &Value, key: &str) -> Value {
    let attributes = span["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|it| it["key"] == key);
    found
        .map_or(Value::Null, |it| it["value"].as_object().unwrap().values().next().unwrap().clone())
}

fn parsed(value: &Value) -> Value {
    serde_json::from_str(value.as_str().unwrap()).unwrap()
}

#[test]
fn a_turn_becomes_a_trace_with_the_recorded_id() {
    let request = encoded(&ContentRules::default(), &Options::default());
    let resource = &request["resourceSpans"][0]["resource"];
    assert_eq!(attribute(resource, "service.name"), "codex_cli_rs");
    assert_eq!(attribute(resource, "service.version"), "0.144.5");

    let turn = span(&request, "turn:tu1");
    assert_eq!(turn["traceId"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(turn["parentSpanId"], Value::Null);
    assert_eq!(turn["name"], "invoke_agent codex");
    assert_eq!(turn["kind"], 1);
    // 2026-05-01T10:00:01Z and 10:00:05.5Z
    assert_eq!(turn["startTimeUnixNano"], "1777629601000000000");
    assert_eq!(turn["endTimeUnixNano"], "1777629605500000000");
    assert_eq!(turn["status"], json!({ "code": 1 }));
    assert_eq!(attribute(turn, "gen_ai.conversation.id"), "th1");
    assert_eq!(attribute(turn, "input.value"), "say \"hi\"\n");
    assert_eq!(attribute(turn, "output.value"), "done");
    assert_eq!(attribute(turn, "codex.turn.duration_ms"), "4500");
    assert_eq!(attribute(turn, "vcs.repository.url.full"), "https://example.com/a/b.git");
    assert_eq!(
        parsed(&attribute(turn, "gen_ai.system_instructions")),
        json!([{ "type": "text", "content": "Be good" }])
    );
    assert_eq!(attribute(turn, "gen_ai.usage.input_tokens"), Value::Null);
}

#[test]
fn a_model_call_says_what_it_saw_and_what_it_cost() {
    let request = encoded(&ContentRules::default(), &Options::default());
    let first = span(&request, "llm:tu1:0");
    assert_eq!(first["name"], "chat gpt-5-codex");
    assert_eq!(first["kind"], 3);
    assert_eq!(first["parentSpanId"], span(&request, "turn:tu1")["spanId"]);
    assert_eq!(first["startTimeUnixNano"], "1777629601000000000");
    assert_eq!(first["endTimeUnixNano"], "1777629603500000000");
    assert_eq!(attribute(first, "gen_ai.provider.name"), "openai");
    assert_eq!(attribute(first, "gen_ai.response.time_to_first_chunk"), 1.5);
    assert_eq!(attribute(first, "gen_ai.usage.input_tokens"), "100");
    assert_eq!(attribute(first, "gen_ai.usage.cache_read.input_tokens"), "60");
    assert_eq!(attribute(first, "gen_ai.usage.cache_write.input_tokens"), Value::Null);
    assert_eq!(attribute(first, "gen_ai.usage.output_tokens"), "20");
    assert_eq!(attribute(first, "gen_ai.usage.reasoning.output_tokens"), "8");
    let call = json!({
        "type": "tool_call", "id": "call_1", "name": "shell_command",
        "arguments": { "command": "false" },
    });
    let said = json!([{
        "role": "assistant", "finish_reason": "tool_call",
        "parts": [{ "type": "reasoning", "content": "hm" }, call],
    }]);
    assert_eq!(parsed(&attribute(first, "gen_ai.output.messages")), said);

    let second = span(&request, "llm:tu1:1");
    assert_eq!(attribute(second, "gen_ai.response.time_to_first_chunk"), Value::Null);
    let response = "Exit code: 1\nWall time: 0.1 seconds\nOutput:\n";
    let saw = json!([
        { "role": "user", "parts": [{ "type": "text", "content": "say \"hi\"\n" }] },
        { "role": "assistant", "parts": [{ "type": "reasoning", "content": "hm" }, call] },
        { "role": "tool", "parts": [
            { "type": "tool_call_response", "id": "call_1", "response": response },
        ] },
    ]);
    assert_eq!(parsed(&attribute(second, "gen_ai.input.messages")), saw);
}

/// Phoenix' list of spans has a column for it.
#[test]
fn a_model_call_has_an_output_for_lists() {
    let request = encoded(&ContentRules::default(), &Options::default());
    let first = span(&request, "llm:tu1:0");
    assert_eq!(attribute(first, "output.value"), attribute(first, "gen_ai.output.messages"));
    assert_eq!(attribute(first, "output.mime_type"), "application/json");
    assert_eq!(attribute(span(&request, "llm:tu1:1"), "output.value"), "done");
}

#[test]
fn a_tool_call_that_fails_is_an_error() {
    let request = encoded(&ContentRules::default(), &Options::default());
    let tool = span(&request, "tool:call_1");
    assert_eq!(tool["name"], "execute_tool shell_command");
    assert_eq!(tool["status"], json!({ "code": 2, "message": "exit code 1" }));
    assert_eq!(attribute(tool, "error.type"), "exit_code");
    assert_eq!(attribute(tool, "process.exit.code"), "1");
    assert_eq!(attribute(tool, "gen_ai.tool.call.id"), "call_1");
    assert_eq!(attribute(tool, "gen_ai.tool.call.arguments"), r#"{"command":"false"}"#);
}

#[test]
fn a_budget_keeps_the_newest_items() {
    let amount = Amount { llm_input_bytes: 60, ..Amount::default() };
    let request = encoded(&ContentRules::default(), &Options { amount, ..Options::default() });
    let second = span(&request, "llm:tu1:1");
    let saw = parsed(&attribute(second, "gen_ai.input.messages"));
    assert_eq!(saw.as_array().unwrap().len(), 1);
    assert_eq!(saw[0]["role"], "tool");
    assert_eq!(attribute(second, "codex.input.truncated"), true);
}

/// Cut before the escape that the limit would go through.
#[test]
fn a_long_text_is_cut() {
    let amount = Amount { field_bytes: 13, ..Amount::default() };
    let request = encoded(&ContentRules::default(), &Options { amount, ..Options::default() });
    let tool = span(&request, "tool:call_1");
    // `Exit code: 1\nWall …`, 47 bytes as JSON has it.
    let result = "Exit code: 1… [47 bytes in all]";
    assert_eq!(attribute(tool, "gen_ai.tool.call.result"), result);
}

#[test]
fn delta_is_what_is_new_to_the_model() {
    let amount = Amount { llm_input: LlmInput::Delta, ..Amount::default() };
    let request = encoded(&ContentRules::default(), &Options { amount, ..Options::default() });
    let roles = |key| {
        let saw = parsed(&attribute(span(&request, key), "gen_ai.input.messages"));
        let roles: Vec<String> = saw
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["role"].as_str().unwrap().to_owned())
            .collect();
        roles
    };
    assert_eq!(roles("llm:tu1:0"), ["user"]);
    assert_eq!(roles("llm:tu1:1"), ["tool"]);
}

#[test]
fn metadata_only_means_no_content() {
    let request = encoded(
        &ContentRules::new(
            Capture::MetadataOnly,
            None,
            codex_trace_export::content::Content::default(),
        ),
        &Options::default(),
    );
    let text = request.to_string();
    for content in ["hi", "done", "hm", "Wall time", "Be good", "command\\\":"] {
        assert!(!text.contains(content), "{content} is sent");
    }
    assert!(text.contains("shell_command") && text.contains("gpt-5-codex"));
}

#[test]
fn openinference_flattens_messages() {
    let options = Options { semconv: Semconv::OpenInference, ..Options::default() };
    let request = encoded(&ContentRules::default(), &options);
    let first = span(&request, "llm:tu1:0");
    assert_eq!(first["name"], "gpt-5-codex");
    let said = "llm.output_messages.0.message";
    for (key, value) in [
        ("openinference.span.kind".to_owned(), "LLM"),
        ("llm.model_name".to_owned(), "gpt-5-codex"),
        ("llm.request.model_name".to_owned(), "gpt-5-codex"),
        ("llm.provider".to_owned(), "openai"),
        ("llm.system".to_owned(), "openai"),
        ("llm.invocation_parameters".to_owned(), r#"{"reasoning":{"effort":"low"}}"#),
        ("llm.finish_reason".to_owned(), "tool_call"),
        ("llm.token_count.total".to_owned(), "120"),
        ("llm.token_count.prompt_details.cache_read".to_owned(), "60"),
        ("llm.input_messages.0.message.role".to_owned(), "user"),
        (format!("{said}.contents.0.message_content.type"), "reasoning"),
        (format!("{said}.contents.0.message_content.text"), "hm"),
        (format!("{said}.tool_calls.0.tool_call.function.name"), "shell_command"),
        (format!("{said}.tool_calls.0.tool_call.function.arguments"), r#"{"command":"false"}"#),
    ] {
        assert_eq!(attribute(first, &key), value, "{key}");
    }
    // It said nothing, and its page is not to be empty.
    let called = attribute(first, "output.value");
    assert!(called.as_str().is_some_and(|it| it.contains(r#""name":"shell_command""#)), "{called}");
    assert_eq!(attribute(first, "output.mime_type"), "application/json");
    let second = span(&request, "llm:tu1:1");
    assert_eq!(attribute(second, "output.value"), "done");
    assert_eq!(attribute(second, "llm.finish_reason"), "stop");
}

/// OpenInference has other words for providers.
#[test]
fn providers_have_the_names_of_the_convention() {
    #[rustfmt::skip]
    let cases = [
        // recorded          of OpenTelemetry     of OpenInference  what it serves
        ("openai",           "openai",            "openai",         json!("openai")),
        ("azure",            "azure.ai.openai",   "azure",          json!("openai")),
        ("amazon-bedrock",   "aws.bedrock",       "aws",            Value::Null),
        ("ollama",           "ollama",            "ollama",         Value::Null),
    ];
    for (recorded, genai, openinference, system) in cases {
        let rollout = ROLLOUT
            .replace(r#""model_provider":"openai""#, &format!(r#""model_provider":"{recorded}""#));
        let encoded = |semconv| {
            with_bytes(&rollout, |trace| {
                let options = Options { semconv, ..Options::default() };
                let mut out = Vec::new();
                encode_json(trace, &ContentRules::default(), &options, &mut out, &mut |_| true)
                    .unwrap();
                serde_json::from_slice::<Value>(&out).unwrap()
            })
        };
        let by_otel = encoded(Semconv::GenAi);
        assert_eq!(attribute(span(&by_otel, "llm:tu1:0"), "gen_ai.provider.name"), genai);
        let by_other = encoded(Semconv::OpenInference);
        let call = span(&by_other, "llm:tu1:0");
        assert_eq!(attribute(call, "llm.provider"), openinference, "{recorded}");
        assert_eq!(attribute(call, "llm.system"), system, "{recorded}");
    }
}

/// A turn that was stopped while the model still spoke: no tokens were counted.
#[test]
fn nobody_claims_to_know_why_an_interrupted_model_stopped() {
    let rollout = ROLLOUT
        .replace(
            r#"{"type":"task_complete","turn_id":"tu1","last_agent_message":"done","duration_ms":4500,"time_to_first_token_ms":1500}"#,
            r#"{"type":"turn_aborted","turn_id":"tu1","reason":"interrupted"}"#,
        )
        .lines()
        .filter(|line| !line.contains(r#""output_tokens":25"#))
        .collect::<Vec<_>>()
        .join("\n");
    with_bytes(&rollout, |trace| {
        let mut out = Vec::new();
        encode_json(trace, &ContentRules::default(), &Options::default(), &mut out, &mut |_| true)
            .unwrap();
        let request: Value = serde_json::from_slice(&out).unwrap();
        let reasons = "gen_ai.response.finish_reasons";
        let said = |key: &str| parsed(&attribute(span(&request, key), "gen_ai.output.messages"));
        assert_eq!(said("llm:tu1:0")[0]["finish_reason"], "tool_call", "it did call one");
        assert_eq!(attribute(span(&request, "llm:tu1:1"), reasons), Value::Null);
        assert_eq!(said("llm:tu1:1")[0].get("finish_reason"), None);
        assert_eq!(said("turn:tu1")[0].get("finish_reason"), None);
        assert_eq!(span(&request, "turn:tu1")["status"]["code"], 2);
    });
}

/// 66000 bytes of `x`; the digest by sha256sum.
#[test]
fn a_large_image_is_told_by_its_digest_wherever_it_is_repeated() {
    use base64::Engine as _;
    let image = base64::prelude::BASE64_STANDARD.encode(vec![b'x'; 66_000]);
    let tag = |text: &str| format!(r#"{{"type":"input_text","text":"{text}"}},"#);
    let part = format!(r#"{{"type":"input_image","image_url":"data:image/png;base64,{image}"}},"#);
    let part = tag("<image name=[Image #1]>") + &part + &tag("</image>");
    let rollout =
        ROLLOUT.replace(r#"{"type":"input_text","#, &format!(r#"{part}{{"type":"input_text","#));
    with_bytes(&rollout, |trace| {
        let mut out = Vec::new();
        encode_json(trace, &ContentRules::default(), &Options::default(), &mut out, &mut |_| true)
            .unwrap();
        assert!(out.len() < 60_000, "the image is not there");
        let request: Value = serde_json::from_slice(&out).unwrap();
        let expected = json!({
            "type": "generic", "generic_type": "omitted", "modality": "image", "mime_type": "image/png", "bytes": 66_000,
            "sha256": "3b6336b7d86e77a7d5910275e563a2a8ae1540529cb69204e862400fa32241b2",
        });
        for call in ["llm:tu1:0", "llm:tu1:1"] {
            let input = parsed(&attribute(span(&request, call), "gen_ai.input.messages"));
            assert_eq!(input[0]["parts"][1], expected, "{call}");
        }
        assert_eq!(
            attribute(span(&request, "turn:tu1"), "input.value"),
            "say \"hi\"\n\n[omitted image/png, 66000 bytes, sha256 3b6336b7d86e77a7d5910275e563a2a8ae1540529cb69204e862400fa32241b2]",
            "what was typed comes first; the tags nobody typed"
        );
    });
}

/// Without a message at the end of the turn, what was said last counts, and not
/// what was said on the way there.
#[test]
fn the_last_word_is_the_answer() {
    let before = r#""content":[{"type":"output_text","text":"done"}]}}"#;
    let rollout = ROLLOUT
        .replace(
            &format!(r#"{{"timestamp":"2026-05-01T10:00:05.000Z","type":"response_item","payload":{{"type":"message","role":"assistant",{before}"#),
            &format!(
                "{0}\n{1}",
                r#"{"timestamp":"2026-05-01T10:00:04.500Z","type":"response_item","payload":{"type":"message","role":"assistant","content":[{"type":"output_text","text":"nearly"}]}}"#,
                r#"{"timestamp":"2026-05-01T10:00:05.000Z","type":"response_item","payload":{"type":"message","role":"assistant","content":[{"type":"output_text","text":"done"}]}}"#,
            ),
        )
        .replace(r#""last_agent_message":"done","#, "");
    with_bytes(&rollout, |trace| {
        let mut out = Vec::new();
        encode_json(trace, &ContentRules::default(), &Options::default(), &mut out, &mut |_| true)
            .unwrap();
        let request: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(attribute(span(&request, "turn:tu1"), "output.value"), "done");
        assert_eq!(attribute(span(&request, "llm:tu1:1"), "output.value"), "nearly\n\ndone");
    });
}

/// A fork points to the turn that it goes on from: where Codex recorded a trace
/// id, that turn is in that trace. Ids by sha256sum.
#[test]
fn a_fork_is_linked_to_the_turn_that_it_goes_on_from() {
    let rollout = concat!(
        r#"{"timestamp":"2026-11-01T10:00:00Z","type":"session_meta","payload":{"id":"01a1fc83-0000-7000-8000-000000000000","forked_from_id":"01a1fc80-0000-7000-8000-000000000000","cli_version":"0.144.5"}}"#,
        "\n",
        r#"{"timestamp":"2026-11-01T10:00:00Z","type":"session_meta","payload":{"id":"01a1fc80-0000-7000-8000-000000000000","cli_version":"0.144.5"}}"#,
        "\n",
        r#"{"timestamp":"2026-11-01T10:00:00Z","type":"event_msg","payload":{"type":"task_started","turn_id":"01a1fc81-0000-7000-8000-000000000000"}}"#,
        "\n",
        r#"{"timestamp":"2026-11-01T10:00:00Z","type":"event_msg","payload":{"type":"task_complete","turn_id":"01a1fc81-0000-7000-8000-000000000000"}}"#,
        "\n",
        r#"{"timestamp":"2026-11-01T10:00:00Z","type":"event_msg","payload":{"type":"task_started","turn_id":"01a1fc82-0000-7000-8000-000000000000","trace_id":"0af7651916cd43dd8448eb211c80319c"}}"#,
        "\n",
        r#"{"timestamp":"2026-11-01T10:00:00Z","type":"turn_context","payload":{"turn_id":"01a1fc82-0000-7000-8000-000000000000","cwd":"/w","model":"m"}}"#,
        "\n",
        r#"{"timestamp":"2026-11-01T10:00:00Z","type":"event_msg","payload":{"type":"task_complete","turn_id":"01a1fc82-0000-7000-8000-000000000000"}}"#,
        "\n",
        r#"{"timestamp":"2026-11-01T10:00:05Z","type":"event_msg","payload":{"type":"task_started","turn_id":"01a1fc84-0000-7000-8000-000000000000"}}"#,
        "\n",
        r#"{"timestamp":"2026-11-01T10:00:06Z","type":"event_msg","payload":{"type":"task_complete","turn_id":"01a1fc84-0000-7000-8000-000000000000"}}"#,
        "\n",
    );
    let links = |rollout: &str| {
        with_bytes(rollout, |trace| {
            let mut out = Vec::new();
            encode_json(
                trace,
                &ContentRules::default(),
                &Options::default(),
                &mut out,
                &mut |_| true,
            )
            .unwrap();
            let request: Value = serde_json::from_slice(&out).unwrap();
            let spans = &request["resourceSpans"][0]["scopeSpans"][0]["spans"];
            assert_eq!(spans.as_array().unwrap().len(), 1, "{spans}");
            spans[0]["links"].clone()
        })
    };
    let recorded = links(rollout);
    assert_eq!(recorded.as_array().unwrap().len(), 1, "{recorded}");
    assert_eq!(recorded[0]["traceId"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(recorded[0]["spanId"], "dc6a836365e56373");
    for (key, value) in [
        ("codex.link.relation", "forked_from"),
        ("codex.thread.id", "01a1fc80-0000-7000-8000-000000000000"),
        ("codex.turn.id", "01a1fc82-0000-7000-8000-000000000000"),
    ] {
        assert_eq!(attribute(&recorded[0], key), value, "{key}");
    }
    let unrecorded = rollout.replace(r#","trace_id":"0af7651916cd43dd8448eb211c80319c""#, "");
    let derived = links(&unrecorded);
    assert_eq!(derived[0]["traceId"], "beca5c1d83349fad943b094065fed297");
    assert_eq!(derived[0]["spanId"], "dc6a836365e56373");
}
