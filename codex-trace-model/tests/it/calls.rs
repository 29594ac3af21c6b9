//! Tool calls: pairing, times, families, results (rollout-format §5.2, §5.3,
//! §5.6, §7.12, §7.13).

use crate::script::check;

/// §5.6: outputs come in call order, so the line of an early one is late; the
/// items' own clocks tell: 250..300 and 250..900, both answered at 910.
#[test]
fn parallel_tools_overlap_by_their_own_clocks() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.153.0","history_mode":"paginated"}
        ordinals 1
        100 started a
        200 call slow exec_command {"cmd":"sleep 1"}
        210 call fast exec_command {"cmd":"ls"}
        220 record a r1 100/0/10/0
        300 done a {"type":"CommandExecution","id":"fast","exit_code":0,"status":"completed","started_at_ms":250,"completed_at_ms":300}
        900 done a {"type":"CommandExecution","id":"slow","exit_code":2,"status":"failed","started_at_ms":250,"completed_at_ms":900}
        910 output slow Process exited with code 2\nOutput:\n
        911 output fast Process exited with code 0\nOutput:\n
        920 complete a
        "#,
        r"
        thread t @0 +920 100/0/10/0
          turn 1 @100 +820 100/0/10/0
            model_call @100 +110 100/0/10/0 by usage_record
            tool_call exec_command @250 +650 error: exit code 2 command exit 2
            tool_call exec_command @250 +50 command exit 0
        ",
    );
}

/// Without them a line is an upper bound.
#[test]
fn parallel_tools_without_clocks_end_at_their_lines() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.98.0"}
        100 user go
        101 typed go
        200 call slow shell_command {"command":"sleep 1"}
        210 call fast shell_command {"command":"ls"}
        910 output slow Exit code: 0\nWall time: 0.7 seconds\nOutput:\n
        911 output fast Exit code: 127\nWall time: 0.1 seconds\nOutput:\n
        "#,
        r"
        thread t @0 +911 incomplete
          turn 1 @100 incomplete inferred
            model_call @100 +110 by items
            tool_call shell_command @200 +710 command exit 0
            tool_call shell_command @210 +701 error: exit code 127 command exit 127
        ",
    );
}

/// §7.12: the command goes on; `write_stdin` tells its exit code.
#[test]
fn a_command_that_a_later_input_ends_has_its_exit_code() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.144.5"}
        100 started a
        200 call c1 exec_command {"cmd":"cat"}
        300 output c1 Chunk ID: 1\nWall time: 0.1 seconds\nProcess running with session ID 77\nOutput:\n
        400 call c2 write_stdin {"session_id":77,"chars":"x"}
        500 output c2 Wall time: 0.1 seconds\nProcess running with session ID 77\nOutput:\n
        600 call c3 write_stdin {"session_id":77,"chars":"\u0004"}
        700 output c3 Wall time: 0.1 seconds\nProcess exited with code 3\nOutput:\n
        800 complete a
        "#,
        r"
        thread t @0 +800
          turn 1 @100 +700
            model_call @100 +100 by items
            tool_call exec_command @200 +100 error: exit code 3 command exit 3
            model_call @300 +100 by items
            tool_call write_stdin @400 +100 command_input
            model_call @500 +100 by items
            tool_call write_stdin @600 +100 error: exit code 3 command_input exit 3
        ",
    );
}

#[test]
fn a_call_without_output_is_incomplete_and_reported_if_its_turn_ended() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.144.5"}
        100 started a
        200 call c1 shell_command {"command":"ls"}
        300 complete a
        400 started b
        500 call c2 shell_command {"command":"ls"}
        600 aborted b interrupted
        700 started c
        800 call c3 shell_command {"command":"ls"}
        "#,
        r"
        thread t @0 +800 incomplete
          turn 1 @100 +200
            model_call @100 +100 by items
            tool_call shell_command @200 incomplete command
          turn 2 @400 +200 interrupted: interrupted
            model_call @400 +100 by items
            tool_call shell_command @500 interrupted: interrupted command
          turn 3 @700 incomplete
            model_call @700 +100 by items
            tool_call shell_command @800 incomplete command
        ? call_without_output
        ",
    );
}

#[test]
fn an_output_without_call_is_an_event() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.153.0"}
        100 started a
        200 output c1 hello
        210 item {"type":"function_call_output","name":"notes","output":"of the harness"}
        300 complete a
        "#,
        r"
        thread t @0 +300
          turn 1 @100 +200 !orphan_output !orphan_output
        ? output_without_call 3
        ",
    );
}

#[test]
fn an_output_after_its_turn_is_a_late_event() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.144.5"}
        100 started a
        200 call c1 shell_command {"command":"ls"}
        300 aborted a interrupted
        400 output c1 Exit code: 0\nOutput:\n
        "#,
        r"
        thread t @0 +400 interrupted: interrupted !late
          turn 1 @100 +200 interrupted: interrupted
            model_call @100 +100 by items
            tool_call shell_command @200 interrupted: interrupted command
        ",
    );
}

/// §5.6: written again after an error. The last output counts.
#[test]
fn a_call_written_twice_is_one_call_with_the_last_output() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.98.0"}
        100 user go
        101 typed go
        200 call c1 shell_command {"command":"ls"}
        210 call c1 shell_command {"command":"ls"}
        300 output c1 Exit code: 1\nOutput:\n
        310 output c1 Exit code: 0\nOutput:\n
        400 says done
        "#,
        r"
        thread t @0 +400
          turn 1 @100 +300 inferred
            model_call @100 +110 by items
            tool_call shell_command @200 +110 command exit 0
            model_call @310 +90 by items
        ? duplicate_id 5
        ",
    );
}

/// Some providers number the calls of each response from 0.
#[test]
fn different_calls_with_one_id_are_different_spans() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.98.0"}
        100 user go
        101 typed go
        200 call call_0 shell_command {"command":"ls"}
        300 output call_0 Exit code: 1\nOutput:\n
        400 call call_0 shell_command {"command":"pwd"}
        500 output call_0 Exit code: 0\nOutput:\n
        600 says done
        "#,
        r"
        thread t @0 +600
          turn 1 @100 +500 inferred
            model_call @100 +100 by items
            tool_call shell_command @200 +100 error: exit code 1 command exit 1
            model_call @300 +100 by items
            tool_call shell_command @400 +100 command exit 0
            model_call @500 +100 by items
        ? duplicate_id
        ",
    );
}

/// §5.2: flat, namespaced, ambiguous; the end event names both and wins.
#[test]
fn mcp_tools_are_named_by_namespace_name_or_end() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.144.5"}
        100 started a
        200 call c1 mcp__srv__add {"a":1}
        210 output c1 3
        300 item {"type":"function_call","call_id":"c2","name":"add","namespace":"mcp__srv","arguments":"{}"}
        310 event {"type":"mcp_tool_call_end","call_id":"c2","invocation":{"server":"srv","tool":"add"},"duration":{"secs":0,"nanos":5000000},"result":{"Ok":{"content":[],"isError":true}}}
        320 output c2 Wall time: 0.005 seconds\nOutput:\nno
        400 call c3 mcp__a__b__c {}
        410 event {"type":"mcp_tool_call_end","call_id":"c3","invocation":{"server":"a__b","tool":"c"},"result":{"Err":"gone"}}
        420 output c3 gone
        500 complete a
        "#,
        r"
        thread t @0 +500
          turn 1 @100 +400
            model_call @100 +100 by items
            tool_call mcp__srv__add @200 +10 mcp srv.add
            model_call @210 +90 by items
            tool_call add @300 +10 error: the tool answered with an error mcp srv.add
            model_call @320 +80 by items
            tool_call mcp__a__b__c @400 +10 error: gone mcp a__b.c
        ",
    );
}

#[test]
fn what_the_provider_ran_needs_no_output() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.144.5"}
        100 started a
        200 item {"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search","query":"x"}}
        201 event {"type":"web_search_end","call_id":"ws_1","query":"x","action":{"type":"search","query":"x"}}
        300 item {"type":"web_search_call","status":"completed","action":{"type":"open_page"}}
        310 item {"type":"web_search_call","status":"completed","action":{"type":"open_page"}}
        400 item {"type":"image_generation_call","id":"ig_1","status":"failed","result":""}
        500 complete a
        "#,
        r"
        thread t @0 +500
          turn 1 @100 +400
            model_call @100 +300 by items
            tool_call web_search @200 +0 web_search
            tool_call web_search @300 +0 web_search
            tool_call web_search @310 +0 web_search
            tool_call image_generation @400 +0 error: failed image_generation
        ",
    );
}

#[test]
fn the_provider_s_calls_need_no_times() {
    check(
        r#"
        raw {"id":"t","timestamp":"2025-08-01T12:00:00.123Z"}
        raw {"type":"message","role":"user","content":[{"type":"input_text","text":"one"}]}
        raw {"type":"web_search_call","status":"completed","action":{"type":"search"}}
        raw {"type":"local_shell_call","id":"lsh_1","status":"completed","action":{"type":"exec","command":["ls"]}}
        raw {"type":"function_call_output","call_id":"lsh_1","output":""}
        "#,
        r"
        thread t incomplete
          turn 1 incomplete inferred
            model_call by items
            tool_call web_search web_search
            tool_call local_shell command
        ",
    );
}

/// §5.2: families by form, name and namespace.
#[test]
fn families_are_told_by_form_and_name() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.144.5"}
        100 started a
        200 item {"type":"local_shell_call","call_id":"c1","status":"completed","action":{"type":"exec","command":["bash","-lc","ls"]}}
        201 output c1 {"output":"","metadata":{"exit_code":0,"duration_seconds":0.0}}
        210 item {"type":"tool_search_call","call_id":"c2","execution":"client","arguments":{"query":"x"}}
        211 item {"type":"tool_search_output","call_id":"c2","status":"completed","execution":"client","tools":[]}
        220 item {"type":"custom_tool_call","call_id":"c3","name":"apply_patch","input":"*** Begin Patch"}
        221 item {"type":"custom_tool_call_output","call_id":"c3","output":"Exit code: 0\nWall time: 0 seconds\nOutput:\nSuccess"}
        230 call c4 update_plan {"plan":[]}
        231 output c4 Plan updated
        240 call c5 view_image {"path":"/p"}
        241 item {"type":"function_call_output","call_id":"c5","output":[{"type":"input_image","image_url":"data:"}]}
        250 call c6 nothing_known not json
        251 output c6 unsupported call: nothing_known
        260 item {"type":"function_call","call_id":"c7","name":"run","namespace":"web","arguments":""}
        261 output c7 x
        270 call c8 request_user_input {}
        271 output c8 {}
        300 complete a
        "#,
        r"
        thread t @0 +300
          turn 1 @100 +200
            model_call @100 +100 by items
            tool_call local_shell @200 +1 command exit 0
            model_call @201 +9 by items
            tool_call tool_search @210 +1 tool_search
            model_call @211 +9 by items
            tool_call apply_patch @220 +1 patch exit 0
            model_call @221 +9 by items
            tool_call update_plan @230 +1 plan
            model_call @231 +9 by items
            tool_call view_image @240 +1 image_view
            model_call @241 +9 by items
            tool_call nothing_known @250 +1 error: unsupported call: nothing_known function
            model_call @251 +9 by items
            tool_call run @260 +1 web_search
            model_call @261 +9 by items
            tool_call request_user_input @270 +1 function
        ",
    );
}

#[test]
fn a_patch_that_fails_or_is_declined_is_an_error() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.144.5"}
        100 started a
        200 item {"type":"custom_tool_call","call_id":"c1","name":"apply_patch","input":"x"}
        210 event {"type":"patch_apply_end","call_id":"c1","turn_id":"a","success":false,"stderr":"no such file","status":"failed","changes":{}}
        220 item {"type":"custom_tool_call_output","call_id":"c1","output":"failed"}
        300 call c2 shell_command {"command":"rm -r /"}
        310 done a {"type":"CommandExecution","id":"c2","status":"declined"}
        320 output c2 rejected by user
        400 complete a
        "#,
        r"
        thread t @0 +400
          turn 1 @100 +300
            model_call @100 +100 by items
            tool_call apply_patch @200 +10 error: no such file patch
            model_call @220 +80 by items
            tool_call shell_command @300 +10 error: declined command
        ",
    );
}
