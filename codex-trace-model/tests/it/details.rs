//! What events tell of tool calls: beginnings, ends, what a script runs.

use crate::script::check;

/// §6.2: a request of the embedding program's tool, and its response; the
/// request is not its end.
#[test]
fn a_dynamic_tool_begins_with_its_request() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.107.0"}
        100 started a
        200 call c1 lookup {}
        210 event {"type":"dynamic_tool_call_request","callId":"c1","turnId":"a","tool":"lookup","arguments":{}}
        800 event {"type":"dynamic_tool_call_response","call_id":"c1","turn_id":"a","tool":"lookup","success":false,"error":"no","duration":{"secs":0,"nanos":590000000}}
        810 output c1 no
        900 call c2 lookup {}
        910 event {"type":"dynamic_tool_call_request","callId":"c2","turnId":"a","tool":"lookup","arguments":{}}
        990 output c2 yes
        1000 complete a
        "#,
        r"
        thread t @0 +1000
          turn 1 @100 +900
            model_call @100 +100 by items
            tool_call lookup @200 +600 error: no function
            model_call @810 +90 by items
            tool_call lookup @900 +90 function
        ",
    );
}

/// The item tells that it ended, though its output got lost.
#[test]
fn an_end_without_an_output_is_an_end() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.153.0","history_mode":"paginated"}
        ordinals 1
        100 started a
        200 call c1 exec_command {"cmd":"ls"}
        300 done a {"type":"CommandExecution","id":"c1","exit_code":0,"status":"completed","started_at_ms":210,"completed_at_ms":290}
        "#,
        r"
        thread t @0 +300 incomplete
          turn 1 @100 incomplete
            model_call @100 +100 by items
            tool_call exec_command @210 +80 command exit 0
        ",
    );
}

/// §7.13, paginated: nested by position; a yielded cell goes on in `wait`.
#[test]
fn what_a_script_runs_lies_within_it() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.169.0","history_mode":"paginated"}
        ordinals 1
        100 started a
        200 item {"type":"custom_tool_call","call_id":"c1","name":"exec","input":"await tools.exec_command({})"}
        300 done a {"type":"CommandExecution","id":"exec-1","command":["bash","-lc","ls"],"exit_code":0,"status":"completed","started_at_ms":210,"completed_at_ms":290}
        310 done a {"type":"McpToolCall","id":"exec-2","server":"s","tool":"t","status":"failed","error":{"message":"no"},"started_at_ms":300,"completed_at_ms":305}
        400 item {"type":"custom_tool_call_output","call_id":"c1","output":[{"type":"input_text","text":"Script running with cell ID 4\nWall time 0.2 seconds\nOutput:\n"}]}
        500 call c2 wait {"cell_id":"4"}
        600 done a {"type":"CommandExecution","id":"exec-3","command":["pwd"],"exit_code":0,"status":"completed","started_at_ms":510,"completed_at_ms":590}
        700 item {"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"Script completed\nWall time 0.2 seconds\nOutput:\n"}]}
        800 complete a
        "#,
        r"
        thread t @0 +800
          turn 1 @100 +700
            model_call @100 +100 by items
            tool_call exec @200 +200 code_mode
              tool_call exec_command @210 +80 command exit 0
              tool_call t @300 +5 error: no mcp s.t
            model_call @400 +100 by items
            tool_call wait @500 +200 code_mode
              tool_call exec_command @510 +80 command exit 0
        ",
    );
}

/// §7.13, legacy: only ends of patches and MCP tools survive.
#[test]
fn a_legacy_script_shows_its_patches() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.144.5"}
        100 started a
        200 item {"type":"custom_tool_call","call_id":"c1","name":"exec","input":"x"}
        300 event {"type":"patch_apply_end","call_id":"exec-1","turn_id":"a","success":true,"changes":{}}
        400 item {"type":"custom_tool_call_output","call_id":"c1","output":[{"type":"input_text","text":"Script failed\nWall time 0.2 seconds\nOutput:\n"}]}
        800 complete a
        "#,
        r"
        thread t @0 +800
          turn 1 @100 +700
            model_call @100 +100 by items
            tool_call exec @200 +200 error: Script failed code_mode
              tool_call apply_patch patch
        ",
    );
}

#[test]
fn the_end_of_a_lost_call_is_a_call() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.153.0","history_mode":"paginated"}
        ordinals 1
        100 started a
        300 done a {"type":"CommandExecution","id":"c1","command":["ls"],"exit_code":0,"status":"completed","started_at_ms":210,"completed_at_ms":290}
        310 done a {"type":"CommandExecution","id":"c1","command":["ls"],"exit_code":1,"status":"failed","started_at_ms":210,"completed_at_ms":300}
        400 complete a
        "#,
        r"
        thread t @0 +400
          turn 1 @100 +300
            tool_call exec_command @210 +90 error: exit code 1 command exit 1
        ? output_without_call
        ",
    );
}

/// Clocks of other machines, or set back: the line's order wins, what was
/// recorded stays.
#[test]
fn clocks_that_disagree_are_moved_into_the_turn() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.153.0","history_mode":"paginated"}
        ordinals 1
        1000 started a
        1200 call c1 exec_command {"cmd":"ls"}
        1300 done a {"type":"CommandExecution","id":"c1","exit_code":0,"status":"completed","started_at_ms":500,"completed_at_ms":99000}
        1310 output c1 Process exited with code 0\nOutput:\n
        1100 says done
        900 complete a
        "#,
        r"
        thread t @0 +1310
          turn 1 @1000 +310 recorded @1000 +-100
            model_call @1000 +200 by items
            tool_call exec_command @1000 +310 recorded @500 +810 command exit 0
            model_call @1310 +0 recorded @1310 +-210 by items
        ",
    );
}

/// §6.4: what extensions of the harness do has items and no calls, outside of
/// code mode.
#[test]
fn extensions_are_calls_of_their_own() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.153.0","history_mode":"paginated"}
        ordinals 1
        100 started a
        200 done a {"type":"Extension","id":"e1","kind":"web.search","query":"x","started_at_ms":150,"completed_at_ms":190}
        300 done a {"type":"Sleep","id":"e2","durationMs":50,"started_at_ms":240,"completed_at_ms":290}
        400 complete a
        "#,
        r"
        thread t @0 +400
          turn 1 @100 +300
            tool_call web.search @150 +40 web_search
            tool_call extension @240 +50 function
        ",
    );
}

/// Calls that are named after their turn has ended, as two processes may do,
/// change nothing of that turn.
#[test]
fn a_call_of_an_ended_turn_is_a_late_event() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.153.0"}
        100 started a
        200 complete a
        300 item {"type":"function_call","call_id":"c","name":"shell","arguments":"{}","internal_chat_message_metadata_passthrough":{"turn_id":"a"}}
        "#,
        r"
        thread t @0 +300 !late
          turn 1 @100 +100
        ",
    );
}
