//! Which tool calls failed: by what is recorded of them, and by what the tool
//! answers when it works (rollout-format §5.3).

use std::collections::BTreeSet;

use codex_rollout::ResponseItem;
use codex_trace_model::{EventKind, SpanKind, Status, Trace};
use serde_json::{Value, json};

use crate::script::{check, with_script};
use crate::support::{for_each_trace, testdata};

/// Returns why the only tool call of a script failed.
fn failure_of(mode: &str, call: &Value, output: &Value, more: &str) -> Option<String> {
    let script = format!(
        r#"
        0 meta {{"id":"t","cli_version":"0.140.0","history_mode":"{mode}"}}
        100 started a
        200 item {call}
        {more}
        300 item {output}
        400 complete a
        "#
    );
    with_script(&script, |trace| {
        let (_, tool) = trace
            .iter()
            .find(|(_, span)| matches!(span.kind, SpanKind::ToolCall(_)))
            .expect("the script has a call");
        match &tool.status {
            Status::Ok => None,
            Status::Error { message } => Some(message.to_string()),
            other => panic!("{other:?}"),
        }
    })
}

fn function(namespace: Option<&str>, name: &str, arguments: &str) -> Value {
    json!({"type": "function_call", "call_id": "c", "namespace": namespace, "name": name,
        "arguments": arguments})
}

fn output(output: &Value) -> Value {
    json!({"type": "function_call_output", "call_id": "c", "output": output})
}

#[track_caller]
fn check_answer(mode: &str, tool: &str, answer: &Value, failed: bool) {
    let (namespace, name) = match tool.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, tool),
    };
    let failure = failure_of(mode, &function(namespace, name, "{}"), &output(answer), "");
    assert_eq!(failure.is_some(), failed, "{mode} {tool} {answer}: {failure:?}");
}

#[test]
fn tools_that_answer_json_have_failed_when_they_answer_a_sentence() {
    let sentence = json!("something went wrong that no list can know");
    for tool in [
        "spawn_agent",
        "multi_agent_v1/wait_agent",
        "collaboration/list_agents",
        "send_input",
        "close_agent",
        "resume_agent",
        "get_goal",
        "create_goal",
        "update_goal",
        "request_user_input",
        "list_mcp_resources",
        "list_mcp_resource_templates",
        "read_mcp_resource",
        "send_message_to_user_async",
        "collaboration/send_message",
        "followup_task",
        "interrupt_agent",
        "update_plan",
        "view_image",
    ] {
        for mode in ["legacy", "paginated"] {
            check_answer(mode, tool, &sentence, true);
        }
    }
    // Tools of others may answer what they like, whatever they are called.
    for tool in ["lookup", "slack/send_message", "mcp__demo/spawn_agent"] {
        check_answer("legacy", tool, &sentence, false);
    }
}

#[test]
fn what_they_answer_when_they_work_is_no_failure() {
    let cases = [
        ("spawn_agent", json!(r#"{"agent_id":"x","nickname":"Erdos"}"#)),
        ("list_mcp_resources", json!("{\n  \"resources\": []\n}")),
        ("collaboration/send_message", json!("")),
        ("followup_task", json!(r#"{"ok":true}"#)),
        ("update_plan", json!("Plan updated")),
        ("view_image", json!([{"type": "input_image", "image_url": "data:image/png;base64,AA=="}])),
        ("view_image", json!("attached local image path")),
        ("lookup", json!("value of x")),
    ];
    for (tool, answer) in &cases {
        for mode in ["legacy", "paginated"] {
            check_answer(mode, tool, answer, false);
        }
    }
}

/// Codex reports how every command went; where nothing ran, it says so.
#[test]
fn a_command_without_a_report_never_ran() {
    for complaint in [
        "Command blocked by PreToolUse hook: not allowed. Command: echo forbidden",
        "write_stdin failed: Unknown process id 424242",
        "exec_command failed: CreateProcess { message: \"Rejected(\\\"rejected by user\\\")\" }",
        "`ls -l` rejected: blocked by policy",
        "failed in sandbox MacosSeatbelt with execution error: sandbox denied exec error, exit code: 1",
        "error: invalid hunk at line 3, '[workspace]' is not a valid hunk header.",
    ] {
        for mode in ["legacy", "paginated"] {
            check_answer(mode, "exec_command", &json!(complaint), true);
        }
    }
    let unforeseen = json!("the exec server went away");
    check_answer("paginated", "exec_command", &unforeseen, true);
    check_answer("paginated", "apply_patch", &unforeseen, true);
    // Other programs write what a command printed, and nothing else.
    check_answer("legacy", "exec_command", &json!("a.txt\nb.txt"), false);
    check_answer("paginated", "exec_command", &json!("Wall time: 0.1 seconds\nOutput:\nx"), false);
}

/// An item that says that the command ran is better evidence.
#[test]
fn a_command_that_is_said_to_have_run_has_run() {
    let ran =
        r#"250 done a {"type":"CommandExecution","id":"c","status":"completed","exit_code":0}"#;
    let call = function(None, "exec_command", r#"{"cmd":"ls"}"#);
    assert_eq!(failure_of("paginated", &call, &output(&json!("a.txt")), ran), None);
}

#[test]
fn scripts_of_code_mode_say_how_they_stand() {
    let call = json!({"type": "custom_tool_call", "call_id": "c", "name": "exec", "input": "1"});
    let answer = |text: &str| {
        let output = json!([{"type": "input_text", "text": text}]);
        let item = json!({"type": "custom_tool_call_output", "call_id": "c", "output": output});
        failure_of("paginated", &call, &item, "")
    };
    assert_eq!(answer("Script completed\nWall time 0.1 seconds\nOutput:\n"), None);
    assert_eq!(
        answer("Script failed\nWall time 0.1 seconds\nOutput:\n").as_deref(),
        Some("Script failed")
    );
    assert_eq!(answer("exec cell 7 not found").as_deref(), Some("exec cell 7 not found"));
}

/// Before 0.129 no event told how a call of an MCP tool went.
#[test]
fn an_mcp_server_that_did_not_answer_is_a_failure_wherever_that_stands() {
    let call = function(Some("mcp__demo"), "add", "{}");
    let said = "tool call error: tool call failed for `demo/add`";
    let failures = [
        json!(format!("Wall time: 0.0062 seconds\nOutput:\n{said}")),
        json!([{"type": "input_text", "text": "Wall time: 0.0062 seconds\nOutput:"},
            {"type": "input_text", "text": format!("{said}\n\nCaused by:\n    Transport closed")}]),
        json!(said),
    ];
    for answer in &failures {
        assert_eq!(failure_of("legacy", &call, &output(answer), "").as_deref(), Some(said));
    }
    let quoted = json!([{"type": "input_text", "text": "Wall time: 0.1 seconds\nOutput:"},
        {"type": "input_text", "text": format!("the log says: {said}")}]);
    assert_eq!(failure_of("legacy", &call, &output(&quoted), ""), None);
}

/// The embedding program's tools may have the names of Codex' own.
#[test]
fn a_dynamic_tool_answers_as_it_likes() {
    let script = r#"
        0 meta {"id":"t","cli_version":"0.140.0","dynamic_tools":[{"name":"wait","description":"","inputSchema":{}}]}
        100 started a
        200 call c1 wait {}
        300 output c1 waited long enough
        400 complete a
        "#;
    check(
        script,
        r"
        thread t @0 +400
          turn 1 @100 +300
            model_call @100 +100 by items
            tool_call wait @200 +100 agents
        ",
    );
}

/// What `CollabAgentToolCall` and the legacy `collab_…_end` events record.
#[test]
fn the_recorded_status_of_a_call_about_agents_counts() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.171.0","history_mode":"paginated"}
        100 started a
        200 call c1 wait_agent {"targets":["x"]}
        210 done a {"type":"CollabAgentToolCall","id":"c1","tool":"wait","status":"failed","agents_states":{"x":"not_found"}}
        220 output c1 {"status":{"x":"not_found"},"timed_out":false}
        300 call c2 close_agent {"target":"x"}
        310 done a {"type":"CollabAgentToolCall","id":"c2","tool":"close_agent","status":"failed"}
        320 output c2 agent with id x not found
        400 call c3 wait_agent {"targets":["y"]}
        410 event {"type":"collab_waiting_end","call_id":"c3","statuses":{"y":{"errored":"out of credits"}}}
        420 output c3 {"status":{"y":{"errored":"out of credits"}},"timed_out":false}
        500 call c4 close_agent {"target":"y"}
        510 event {"type":"collab_close_end","call_id":"c4","status":{"completed":"all done"}}
        520 output c4 {"previous_status":{"completed":"all done"}}
        600 call c5 send_input {"target":"z"}
        610 event {"type":"collab_agent_interaction_end","call_id":"c5","status":"not_found"}
        620 output c5 agent with id z not found
        700 complete a
        "#,
        r"
        thread t @0 +700
          turn 1 @100 +600
            model_call @100 +100 by items
            tool_call wait_agent @200 +10 error: failed agents
            model_call @220 +80 by items
            tool_call close_agent @300 +10 error: agent with id x not found agents
            model_call @320 +80 by items
            tool_call wait_agent @400 +10 error: out of credits agents
            model_call @420 +80 by items
            tool_call close_agent @500 +10 agents
            model_call @520 +80 by items
            tool_call send_input @600 +10 error: not_found agents
        ",
    );
}

/// Versions from 0.30 to 0.141 wrote items of the provider's tools without
/// ids, and their end events with them, in either order.
#[test]
fn an_end_and_an_item_without_id_of_one_deed_are_one_call() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.130.0"}
        100 started a
        200 event {"type":"web_search_end","call_id":"ws_1","query":"x","action":{"type":"search","query":"x"}}
        201 item {"type":"web_search_call","status":"completed","action":{"type":"search","query":"x"}}
        300 item {"type":"web_search_call","status":"completed","action":{"type":"open_page","url":"u"}}
        301 event {"type":"web_search_end","call_id":"ws_2","query":"u","action":{"type":"open_page","url":"u"}}
        400 event {"type":"web_search_end","call_id":"ws_3","query":"x","action":{"type":"search","query":"x"}}
        401 item {"type":"web_search_call","status":"completed","action":{"type":"search","query":"x"}}
        500 event {"type":"image_generation_end","call_id":"ig_1","status":"completed","revised_prompt":"a dot","result":"AA=="}
        501 item {"type":"image_generation_call","status":"completed","revised_prompt":"a dot","result":"AA=="}
        600 item {"type":"web_search_call","status":"completed","action":{"type":"search","query":"y"}}
        700 complete a
        "#,
        r"
        thread t @0 +700
          turn 1 @100 +600
            model_call @100 +500 by items
            tool_call web_search @201 +0 web_search
            tool_call web_search @300 +0 web_search
            tool_call web_search @401 +0 web_search
            tool_call image_generation @501 +0 image_generation
            tool_call web_search @600 +0 web_search
        ",
    );
}

/// Another deed is another call.
#[test]
fn an_end_of_another_deed_is_not_joined() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.130.0"}
        100 started a
        200 event {"type":"web_search_end","call_id":"ws_1","query":"x","action":{"type":"search","query":"x"}}
        201 item {"type":"web_search_call","status":"completed","action":{"type":"search","query":"y"}}
        300 complete a
        "#,
        r"
        thread t @0 +300
          turn 1 @100 +200
            tool_call web_search web_search
            model_call @100 +101 by items
            tool_call web_search @201 +0 web_search
        ? output_without_call
        ",
    );
}

/// The keys of tool calls that did not end well.
fn failed(trace: &Trace<'_>, found: &mut BTreeSet<String>) {
    for (_, span) in trace.iter() {
        let is_call = matches!(span.kind, SpanKind::ToolCall(_));
        if is_call && matches!(span.status, Status::Error { .. }) {
            found.insert(span.key.trim_start_matches("tool:").to_owned());
        }
    }
}

/// Homes that real programs wrote, if they are there: each call that was made
/// to fail, and no other.
#[test]
fn calls_that_were_made_to_fail_are_known_to_have_failed() {
    let corpus = testdata("../../shared/corpus/real-codex-2");
    if !corpus.is_dir() {
        eprintln!("skipped: {} is not there", corpus.display());
        return;
    }
    // 22 calls of which 19 fail: not so the command that ran, the agent that
    // was made under a bad name, and the question whether there is a goal.
    let worked = ["003a", "009a", "020a"];
    let calls = (1..=23).filter(|n| *n != 11).map(|n| format!("{n:03}a"));
    let failtools = calls.filter(|id| !worked.contains(&id.as_str()));
    let expected = [
        ("failtools171", failtools.map(|id| format!("call_{id}")).collect()),
        ("hooks171", ["call_001a", "call_005a"].map(str::to_owned).to_vec()),
        ("guard171", vec!["call_008a".to_owned()]),
        ("plan171", vec!["call_004a".to_owned()]),
        ("goals171", vec![]),
        ("asyncmsg171", vec![]),
        // The user's own command, and a tool of the embedding program.
        (
            "misc171",
            vec!["42191466-09b1-4be4-b693-f038bf0f431c".to_owned(), "call_002b".to_owned()],
        ),
    ];
    for (home, expected) in expected {
        let mut found = BTreeSet::new();
        for_each_trace(&corpus.join(home), |trace| failed(trace, &mut found));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected, "{home}");
    }
}

/// Files of 0.40 to 0.65: the response is written down when all of it has come
/// and its tools have run, after the count of its tokens.
#[test]
fn a_call_that_was_written_late_began_when_its_output_says() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.63.0"}
        100 typed go
        199 event {"type":"token_count","info":null}
        200 count 90/0/10/0
        1000 call c1 shell {"command":["sleep","0.6"]}
        1001 output c1 {"output":"","metadata":{"exit_code":0,"duration_seconds":0.6}}
        1001 call c2 shell {"command":["sleep","9"]}
        1002 output c2 {"output":"","metadata":{"exit_code":0,"duration_seconds":9.0}}
        1002 call c3 shell {"command":["ls"]}
        1003 output c3 {"output":"","metadata":{"exit_code":0,"duration_seconds":0.0}}
        "#,
        r"
        thread t @0 +1003 incomplete 90/0/10/0
          turn 1 @100 incomplete 90/0/10/0 inferred
            model_call @100 +900 90/0/10/0 by token_count
            tool_call shell @401 +600 command exit 0
            tool_call shell @200 +802 command exit 0
            tool_call shell @1002 +1 command exit 0
        ",
    );
}

/// From 0.66 on calls are written as they come, and counted afterwards; what
/// took 60 ms says 0.1 s.
#[test]
fn a_call_that_was_written_in_time_began_at_its_line() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.98.0"}
        100 typed go
        150 count 90/0/10/0
        200 call c1 shell {"command":["ls"]}
        262 output c1 {"output":"","metadata":{"exit_code":0,"duration_seconds":0.1}}
        300 repeat
        400 call c2 shell {"command":["ls"]}
        410 output c2 {"output":"","metadata":{"exit_code":0,"duration_seconds":9.0}}
        "#,
        r"
        thread t @0 +410 incomplete 90/0/10/0
          turn 1 @100 incomplete 90/0/10/0 inferred
            model_call @100 +50 90/0/10/0 by token_count
            model_call @150 +50 by items
            tool_call shell @200 +62 command exit 0
            model_call @262 +138 by items
            tool_call shell @400 +10 command exit 0
        ",
    );
}

/// An item of a type that nobody listed: a tool's, if its type says so.
#[test]
fn an_unknown_call_is_a_call_of_that_tool() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.180.0"}
        100 started a
        200 item {"type":"computer_call","id":"cu_1","call_id":"c1","action":{"type":"click"},"status":"completed"}
        250 item {"type":"computer_call_output","call_id":"c1","output":{"type":"computer_screenshot"}}
        300 item {"type":"file_search_call","id":"fs_1","queries":["x"],"results":[],"status":"completed"}
        400 item {"type":"mcp_call","id":"m_1","name":"roll","server_label":"dice","arguments":"{}","error":"no dice","status":"failed"}
        500 item {"type":"novel_call","call_id":"c2"}
        550 item {"type":"phone_call","number":7}
        600 complete a
        "#,
        r"
        thread t @0 +600
          turn 1 @100 +500
            model_call @100 +100 by items
            tool_call computer @200 +50 unknown
            model_call @250 +250 by items
            tool_call file_search @300 +0 unknown
            tool_call roll @400 +0 error: no dice unknown
            tool_call novel @500 incomplete unknown
        ? unknown_type 3
        ? unknown_type 5
        ? unknown_type 6
        ? unknown_type 7
        ? unknown_type 8
        ? call_without_output
        ",
    );
}

/// By design since 0.150: the harness puts outputs in that answer no call.
#[test]
fn an_output_of_the_harness_has_its_name_and_text() {
    let script = r#"
        0 meta {"id":"t","cli_version":"0.171.0"}
        100 started a
        200 item {"type":"function_call_output","name":"goal_objective","namespace":"agent","output":"finish it"}
        210 done a {"type":"HookPrompt","id":"h1","fragments":[{"text":"go on","hookRunId":"stop:1"}]}
        300 complete a
        "#;
    with_script(script, |trace| {
        let events: Vec<_> = trace.iter().flat_map(|(_, span)| span.events()).collect();
        let [orphan, hook] = events.as_slice() else { panic!("{events:?}") };
        let EventKind::OrphanOutput { call_id: None, name: Some(name), item } = &orphan.kind else {
            panic!("{orphan:?}")
        };
        assert_eq!(name.decode(), "goal_objective");
        let ResponseItem::ToolOutput(it) = &trace.root()[*item].body else { panic!("{orphan:?}") };
        assert_eq!(it.namespace.unwrap().decode(), "agent");
        assert_eq!(it.output.unwrap().raw(), br#""finish it""#);
        let EventKind::HookPrompt(prompt) = &hook.kind else { panic!("{hook:?}") };
        assert_eq!(prompt.unwrap().raw(), br#"[{"hookRunId":"stop:1","text":"go on"}]"#);
        assert!(trace.diagnostics.is_empty(), "{:?}", trace.diagnostics);
    });
}

/// Code mode lists what its scripts ran: that is better than where it stands.
#[test]
fn what_a_script_ran_is_where_the_script_says() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.171.0","history_mode":"paginated"}
        100 started a
        200 item {"type":"custom_tool_call","call_id":"s1","name":"exec","input":"1"}
        201 item {"type":"custom_tool_call","call_id":"s2","name":"exec","input":"2"}
        300 done a {"type":"CommandExecution","id":"exec-1","status":"completed","exit_code":0}
        310 done a {"type":"CommandExecution","id":"exec-2","status":"completed","exit_code":0}
        400 item {"type":"custom_tool_call_output","call_id":"s1","output":[{"type":"input_text","text":"Script completed\n"}],"internal_chat_message_metadata_passthrough":{"turn_id":"a","executed_tool_calls":[{"id":"exec-1","name":"exec_command"}]}}
        410 item {"type":"custom_tool_call_output","call_id":"s2","output":[{"type":"input_text","text":"Script completed\n"}],"internal_chat_message_metadata_passthrough":{"turn_id":"a","executed_tool_calls":[{"id":"exec-2","name":"exec_command"}]}}
        500 complete a
        "#,
        r"
        thread t @0 +500
          turn 1 @100 +400
            model_call @100 +101 by items
            tool_call exec @200 +200 code_mode
              tool_call exec_command command exit 0
            tool_call exec @201 +209 code_mode
              tool_call exec_command command exit 0
        ",
    );
}
