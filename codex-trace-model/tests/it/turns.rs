//! Turns: where they begin and end, in every era (rollout-format §7.1).

use crate::script::check;

/// 0.32 to 0.99: a typed message begins a turn, the next one ends it.
#[test]
fn a_typed_message_begins_an_unmarked_turn() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.44.0"}
        10 user <environment_context>x</environment_context>
        1000 user first
        1001 typed first
        2000 says one
        2001 count 100/0/10/0
        5000 user second
        5001 typed second
        6000 says two
        6001 count 200/100/20/5
        "#,
        r"
        thread t @0 +6001 300/100/30/5
          turn 1 @1000 +1001 100/0/10/0 inferred
            model_call @1000 +1000 100/0/10/0 by token_count
          turn 2 @5000 +1001 200/100/20/5 inferred
            model_call @5000 +1000 200/100/20/5 by token_count
        ",
    );
}

#[test]
fn an_image_looked_at_and_harness_messages_begin_no_turn() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.98.0"}
        1000 user look
        1001 typed look
        1500 event {"type":"user_message","message":"<environment_context>","kind":"environment_context"}
        2000 call c1 view_image {"path":"/p"}
        2500 output c1 attached local image path
        2501 item {"type":"message","role":"user","content":[{"type":"input_image","image_url":"data:"}]}
        2502 event {"type":"user_message","message":"","images":["data:"]}
        3000 says nice
        "#,
        r"
        thread t @0 +3000
          turn 1 @1000 +2000 inferred
            model_call @1000 +1000 by items
            tool_call view_image @2000 +500 image_view
            model_call @2500 +500 by items
        ",
    );
}

#[test]
fn era_a_turns_begin_at_each_typed_message() {
    check(
        r#"
        raw {"id":"t","timestamp":"2025-08-01T12:00:00.123Z","instructions":null,"git":{}}
        raw {"record_type":"state"}
        raw {"type":"message","id":null,"role":"user","content":[{"type":"input_text","text":"one"}]}
        raw {"type":"message","id":null,"role":"assistant","content":[{"type":"output_text","text":"1"}]}
        raw {"record_type":"state"}
        raw {"type":"message","id":null,"role":"user","content":[{"type":"input_text","text":"two"}]}
        raw {"type":"function_call","name":"shell","arguments":"{\"command\":[\"ls\"]}","call_id":"c1"}
        raw {"type":"function_call_output","call_id":"c1","output":"{\"output\":\"a\",\"metadata\":{\"exit_code\":0,\"duration_seconds\":0.1}}"}
        raw {"record_type":"state"}
        raw {"type":"message","id":null,"role":"assistant","content":[{"type":"output_text","text":"2"}]}
        "#,
        r"
        thread t
          turn 1 inferred
            model_call by items
          turn 2 inferred
            model_call by items
            tool_call shell command exit 0
            model_call by items
        ",
    );
}

#[test]
fn a_message_in_a_marked_turn_steers_it() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.144.5"}
        1000 started a
        1010 user go
        1011 typed go
        2000 call c1 shell_command {"command":"ls"}
        3000 output c1 Exit code: 0\nOutput:\n
        3001 count 50/0/5/0
        3010 user faster
        3011 typed faster
        4000 says ok
        4001 count 100/0/10/0
        4002 complete a
        "#,
        r"
        thread t @0 +4002 150/0/15/0
          turn 1 @1000 +3002 150/0/15/0 !steering
            model_call @1000 +1000 50/0/5/0 by token_count
            tool_call shell_command @2000 +1000 command exit 0
            model_call @3000 +1000 100/0/10/0 by token_count
        ",
    );
}

/// Two processes that write whole lines to one file: each line belongs to the
/// turn that it names (rollout-format §1.2).
#[test]
fn interleaved_turns_of_two_processes_keep_their_own_lines() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.145.0"}
        100 started a
        200 started b
        300 item {"type":"message","role":"assistant","content":[],"internal_chat_message_metadata_passthrough":{"turn_id":"a"}}
        400 item {"type":"message","role":"assistant","content":[],"internal_chat_message_metadata_passthrough":{"turn_id":"b"}}
        500 complete a
        600 complete b
        "#,
        r"
        thread t @0 +600
          turn 1 @100 +400
            model_call @100 +200 by items
          turn 2 @200 +400
            model_call @200 +200 by items
        ",
    );
}

#[test]
fn a_turn_without_an_end_is_incomplete_when_another_begins() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.145.0"}
        100 started a
        110 user go
        111 typed go
        200 call c1 shell_command {"command":"ls"}
        9000 started b
        9100 says hi
        9200 complete b
        "#,
        r"
        thread t @0 +9200
          turn 1 @100 incomplete
            model_call @100 +100 by items
            tool_call shell_command @200 incomplete command
          turn 2 @9000 +200
            model_call @9000 +100 by items
        ",
    );
}

#[test]
fn an_end_of_an_unknown_turn_closes_the_open_one_and_else_is_a_turn_of_its_own() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.145.0"}
        100 started a
        200 says hi
        300 complete x
        400 complete y
        "#,
        r"
        thread t @0 +400
          turn 1 @100 +200
            model_call @100 +100 by items
          turn 2 @400 +0
        ",
    );
}

#[test]
fn a_late_end_of_an_ended_turn_changes_nothing() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.145.0"}
        100 started a
        300 complete a
        400 aborted a interrupted
        "#,
        r"
        thread t @0 +400 !late
          turn 1 @100 +200
        ",
    );
}

/// rollout-format §7.11: the killed command's item comes after the abort.
#[test]
fn a_late_item_of_an_aborted_turn_is_an_event() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.153.0","history_mode":"paginated"}
        ordinals 1
        100 started a
        200 call c1 exec_command {"cmd":"sleep 9"}
        900 output c1 Wall time: 0.7 seconds\naborted by user
        910 count 100/0/10/0
        920 user <turn_aborted> x
        930 aborted a interrupted
        950 done a {"type":"CommandExecution","id":"c1","status":"failed","exit_code":-1,"completed_at_ms":940}
        "#,
        r"
        thread t @0 +950 interrupted: interrupted 100/0/10/0 !late
          turn 1 @100 +830 interrupted: interrupted 100/0/10/0
            model_call @100 +100 100/0/10/0 by token_count
            tool_call exec_command @200 +700 interrupted: aborted by user command
        ",
    );
}

#[test]
fn a_review_that_ends_has_not_been_interrupted() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.145.0"}
        100 started a
        200 aborted a review_ended
        300 started b
        400 aborted b replaced
        500 started c
        600 aborted c budget_limited
        "#,
        r"
        thread t @0 +600 interrupted: budget_limited
          turn 1 @100 +100
          turn 2 @300 +100 interrupted: replaced
          turn 3 @500 +100 interrupted: budget_limited
        ",
    );
}

/// rollout-format §6.2: failed turns end in `task_complete`.
#[test]
fn a_failed_turn_ends_in_task_complete() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.145.0"}
        100 started a
        150 event {"type":"error","message":"503","codex_error_info":"other"}
        200 event {"type":"task_complete","turn_id":"a","error":{"message":"stream disconnected"}}
        300 started b
        400 event {"type":"turn_aborted","turn_id":"b","reason":"interrupted","error":{"message":"gone"}}
        "#,
        r"
        thread t @0 +400 interrupted: interrupted
          turn 1 @100 +100 error: stream disconnected !error
          turn 2 @300 +100 interrupted: interrupted !error
        ",
    );
}

#[test]
fn an_error_outside_of_a_turn_belongs_to_the_thread() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.145.0"}
        100 event {"type":"error","message":"503"}
        "#,
        r"
        thread t @0 +100 !error
        ",
    );
}

/// rollout-format §7.1: `thread_rolled_back` counts explicit and implicit turns
/// alike; their tokens were spent (§7.3 rule 6): 30 + 60 + 40 = 130.
#[test]
fn rolled_back_turns_stay_and_their_tokens_count() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.98.0"}
        100 user one
        101 typed one
        200 says 1
        201 count 20/0/10/0
        300 user two
        301 typed two
        400 says 2
        401 count 50/20/10/0
        500 repeat
        501 event {"type":"thread_rolled_back","num_turns":1}
        600 user three
        601 typed three
        700 says 3
        701 count 30/20/10/0
        "#,
        r"
        thread t @0 +701 100/40/30/0 !rolled_back
          turn 1 @100 +101 20/0/10/0 inferred
            model_call @100 +100 20/0/10/0 by token_count
          turn 2 @300 +101 50/20/10/0 inferred rolled_back
            model_call @300 +100 50/20/10/0 by token_count
          turn 3 @600 +101 30/20/10/0 inferred
            model_call @600 +100 30/20/10/0 by token_count
        ",
    );
}

#[test]
fn more_rolled_back_turns_than_there_are_take_all() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.144.5"}
        100 started a
        200 complete a
        300 event {"type":"thread_rolled_back","num_turns":9}
        400 event {"type":"thread_rolled_back","num_turns":1}
        500 started b
        600 complete b
        "#,
        r"
        thread t @0 +600 !rolled_back !rolled_back
          turn 1 @100 +100 rolled_back
          turn 2 @500 +100
        ",
    );
}

/// rollout-format §7.1: a tool that ended outside of any turn makes one.
#[test]
fn a_users_own_command_is_a_tool_call_without_a_model_call() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.153.0","history_mode":"paginated"}
        ordinals 1
        100 started a
        200 done a {"type":"CommandExecution","id":"0a","command":["bash","-lc","ls"],"source":"user_shell","exit_code":1,"status":"failed","started_at_ms":110,"completed_at_ms":190}
        210 user <user_shell_command> ls
        220 complete a
        300 event {"type":"exec_command_end","call_id":"0b","turn_id":"b","command":["bash","-lc","pwd"],"source":"user_shell","exit_code":0}
        "#,
        r"
        thread t @0 +300
          turn 1 @100 +120
            tool_call exec_command @110 +80 error: exit code 1 command exit 1
          turn 2 @300 +0 inferred
            tool_call exec_command command exit 0
        ",
    );
}

#[test]
fn guardians_goals_names_and_plans_are_events() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.145.0"}
        50 event {"type":"thread_name_updated","thread_id":"t","thread_name":"N"}
        100 started a
        110 event {"type":"guardian_assessment","id":"g","target_item_id":"c1","turn_id":"a","status":"approved"}
        120 event {"type":"thread_goal_updated","threadId":"t","goal":{"objective":"x"}}
        130 done a {"type":"Plan","id":"p","text":"1. x"}
        140 done a {"type":"HookPrompt","id":"h","fragments":[]}
        150 event {"type":"never_heard_of"}
        160 event {"type":"never_heard_of"}
        170 line novel {}
        180 done a {"type":"Novel","id":"n"}
        200 complete a
        "#,
        r"
        thread t @0 +200 !thread_named
          turn 1 @100 +100 !guardian_assessment !goal !plan !hook_prompt !unknown !unknown !unknown !unknown
        ? unknown_type 8
        ? unknown_type 10
        ? unknown_type 11
        ",
    );
}

#[test]
fn a_message_alone_begins_a_turn_in_a_file_without_events() {
    check(
        r#"
        0 meta {"id":"t"}
        100 user one
        200 says 1
        300 user two
        400 says 2
        500 user three
        "#,
        r"
        thread t @0 +500 incomplete
          turn 1 @100 +100 inferred
            model_call @100 +100 by items
          turn 2 @300 +100 inferred
            model_call @300 +100 by items
          turn 3 @500 incomplete inferred
        ",
    );
}
