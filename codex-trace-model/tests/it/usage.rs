//! Which lines stand for a model response, and what it used (rollout-format
//! §7.2 and §7.3). Usage is `input/cached/output/reasoning`.

use crate::script::check;

/// One count for each response, after its items.
#[test]
fn counts_of_0_32_to_0_39_close_the_items_before_them() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.34.0"}
        100 user go
        101 typed go
        200 call c1 shell {"command":["ls"]}
        300 output c1 {"output":"","metadata":{"exit_code":0,"duration_seconds":0.1}}
        310 count 100/0/10/5
        400 says done
        410 count 200/100/20/0
        "#,
        r"
        thread t @0 +410 300/100/30/5
          turn 1 @100 +310 300/100/30/5 inferred
            model_call @100 +100 100/0/10/5 by token_count
            tool_call shell @200 +100 command exit 0
            model_call @300 +100 200/100/20/0 by token_count
        ",
    );
}

/// Two counts for each response, both before its items: the old total, the new.
#[test]
fn counts_of_0_40_to_0_65_come_before_their_items() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.44.0"}
        100 user go
        101 typed go
        110 context {"model":"m"}
        200 event {"type":"token_count","info":null,"rate_limits":{"primary":{"used_percent":1.0}}}
        210 count 100/0/10/5
        220 call c1 shell {"command":["ls"]}
        300 output c1 {"output":"","metadata":{"exit_code":0,"duration_seconds":0.1}}
        310 call c2 shell {"command":["pwd"]}
        390 output c2 {"output":"","metadata":{"exit_code":0,"duration_seconds":0.1}}
        395 context {"model":"m"}
        400 repeat
        410 count 200/100/20/0
        420 says done
        "#,
        r"
        thread t @0 +420 300/100/30/5
          turn 1 @100 +320 300/100/30/5 inferred !rate_limits
            model_call m @100 +120 100/0/10/5 by token_count
            tool_call shell @220 +80 command exit 0
            tool_call shell @310 +80 command exit 0
            model_call m @390 +30 200/100/20/0 by token_count
        ",
    );
}

/// Two counts for each response: the old total before its items, the new one
/// between calls and outputs.
#[test]
fn counts_of_0_66_to_0_130_stand_between_calls_and_outputs() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.98.0"}
        100 user go
        101 typed go
        110 context {"model":"m"}
        150 event {"type":"token_count","info":null,"rate_limits":{"primary":{"used_percent":1.0}}}
        200 item {"type":"reasoning","summary":[]}
        210 call c1 shell_command {"command":"ls"}
        220 count 100/0/10/5
        300 output c1 Exit code: 0\nOutput:\n
        310 context {"model":"m"}
        350 repeat
        400 says done
        410 count 200/100/20/0
        "#,
        r"
        thread t @0 +410 300/100/30/5
          turn 1 @100 +310 300/100/30/5 inferred !rate_limits
            model_call m @100 +110 100/0/10/5 by token_count
            tool_call shell_command @210 +90 command exit 0
            model_call m @300 +100 200/100/20/0 by token_count
        ",
    );
}

/// One count for each response, when its tools have finished.
#[test]
fn counts_since_0_131_come_after_the_tools() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.144.5"}
        100 started a
        101 context {"turn_id":"a","model":"m"}
        110 user go
        111 typed go
        200 item {"type":"reasoning","summary":[]}
        210 call c1 shell_command {"command":"ls"}
        900 output c1 Exit code: 0\nOutput:\n
        910 count 100/0/10/5
        1000 says done
        1010 count 200/100/20/0
        1020 complete a
        "#,
        r"
        thread t @0 +1020 300/100/30/5
          turn 1 @100 +920 300/100/30/5
            model_call m @100 +110 100/0/10/5 by token_count
            tool_call shell_command @210 +690 command exit 0
            model_call m @900 +100 200/100/20/0 by token_count
        ",
    );
}

/// A record for each response right after its items; the count is its echo.
#[test]
fn records_since_0_153_count_and_their_counts_do_not() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.153.0"}
        100 started a
        101 context {"turn_id":"a","model":"m"}
        110 user go
        200 call c1 shell_command {"command":"ls"}
        205 record a r1 100/0/10/5
        900 output c1 Exit code: 0\nOutput:\n
        910 count 100/0/10/5
        1000 says done
        1005 record a r2 200/100/20/0
        1010 count 200/100/20/0
        1020 complete a
        "#,
        r"
        thread t @0 +1020 300/100/30/5
          turn 1 @100 +920 300/100/30/5
            model_call m @100 +100 100/0/10/5 by usage_record
            tool_call shell_command @200 +700 command exit 0
            model_call m @900 +100 200/100/20/0 by usage_record
        ",
    );
}

/// A file of 0.144 that 0.169 went on in has records in its newer turns only.
#[test]
fn records_and_counts_in_one_file_count_turn_by_turn() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.144.5"}
        100 started a
        200 says one
        210 count 100/0/10/0
        220 complete a
        300 started b
        400 says two
        405 record b r1 200/100/20/0
        410 count 200/100/20/0
        420 complete b
        430 repeat
        "#,
        r"
        thread t @0 +430 300/100/30/0
          turn 1 @100 +120 100/0/10/0
            model_call @100 +100 100/0/10/0 by token_count
          turn 2 @300 +120 200/100/20/0
            model_call @300 +100 200/100/20/0 by usage_record
        ",
    );
}

/// Written again after an I/O error; and once more for another turn, by a
/// server that began to count anew.
#[test]
fn a_record_written_twice_counts_once() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.153.0"}
        100 started a
        200 says one
        205 record a r1 100/0/10/0
        206 record a r1 100/0/10/0
        220 complete a
        300 started b
        400 says two
        405 record b r1 200/100/20/0
        420 complete b
        "#,
        r"
        thread t @0 +420 300/100/30/0
          turn 1 @100 +120 100/0/10/0
            model_call @100 +100 100/0/10/0 by usage_record
          turn 2 @300 +120 200/100/20/0
            model_call @300 +100 200/100/20/0 by usage_record
        ? duplicate_id 5
        ",
    );
}

#[test]
fn a_record_of_another_thread_does_not_count() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.153.0"}
        100 started a
        200 says one
        205 line token_usage_record {"thread_id":"t","turn_id":"a","response_id":"r1","usage":{"input_tokens":100,"output_tokens":10}}
        206 line token_usage_record {"thread_id":"u","turn_id":"a","response_id":"r2","usage":{"input_tokens":900,"output_tokens":90}}
        220 complete a
        "#,
        r"
        thread t @0 +220 100/0/10/0
          turn 1 @100 +120 100/0/10/0
            model_call @100 +100 100/0/10/0 by usage_record
        ",
    );
}

#[test]
fn a_count_after_the_last_turn_with_records_is_an_echo() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.153.0"}
        100 started a
        200 says one
        205 record a r1 100/0/10/0
        210 aborted a interrupted
        220 count 100/0/10/0
        "#,
        r"
        thread t @0 +220 interrupted: interrupted 100/0/10/0
          turn 1 @100 +110 interrupted: interrupted 100/0/10/0
            model_call @100 +100 100/0/10/0 by usage_record
        ",
    );
}

/// §7.3 rule 4: before 0.78 a resume began at 0 again. The last total is that
/// of the second process: 110.
#[test]
fn a_total_that_fell_was_begun_anew() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.34.0"}
        100 user one
        101 typed one
        200 says 1
        210 count 100/0/10/0
        300 user two
        301 typed two
        400 says 2
        410 count 200/100/20/0
        5000 user three
        5001 typed three
        5100 says 3
        5110 count 100/0/10/0 of 100/0/10/0
        "#,
        r"
        thread t @0 +5110 400/100/40/0
          turn 1 @100 +110 100/0/10/0 inferred
            model_call @100 +100 100/0/10/0 by token_count
          turn 2 @300 +110 200/100/20/0 inferred
            model_call @300 +100 200/100/20/0 by token_count
          turn 3 @5000 +110 100/0/10/0 inferred
            model_call @5000 +100 100/0/10/0 by token_count
        ",
    );
}

/// Since 0.78 a resume goes on, after repeating the last count.
#[test]
fn a_resume_that_repeats_the_last_count_adds_nothing() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.124.0"}
        100 started a
        200 says one
        210 count 100/0/10/0
        220 complete a
        5000 repeat
        5100 started b
        5200 says two
        5210 count 200/100/20/0
        5220 complete b
        "#,
        r"
        thread t @0 +5220 300/100/30/0
          turn 1 @100 +120 100/0/10/0
            model_call @100 +100 100/0/10/0 by token_count
          turn 2 @5100 +120 200/100/20/0
            model_call @5100 +100 200/100/20/0 by token_count
        ",
    );
}

/// §7.3 rule 4: the total is overwritten with the size of the context window.
#[test]
fn a_context_window_that_is_full_is_not_usage() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.98.0"}
        100 user one
        101 typed one
        200 says 1
        210 count 100/0/10/0
        300 user two
        301 typed two
        400 count 0/0/0/1000 of 0/0/0/1110
        500 user three
        501 typed three
        600 says 3
        610 count 50/0/5/0 of 50/0/5/0
        "#,
        r"
        thread t @0 +610 150/0/15/0
          turn 1 @100 +110 100/0/10/0 inferred
            model_call @100 +100 100/0/10/0 by token_count
          turn 2 @300 incomplete inferred
          turn 3 @500 +110 50/0/5/0 inferred
            model_call @500 +100 50/0/5/0 by token_count
        ",
    );
}

/// §7.3 rule 3: nothing but a total, and the running total as it was.
#[test]
fn an_estimate_of_the_context_is_not_usage() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.144.5"}
        100 started a
        200 says one
        210 count 100/0/10/0
        220 count 0/0/0/5000 of 100/0/10/0
        230 event {"type":"token_count","info":{"total_token_usage":{"input_tokens":0,"output_tokens":0,"total_tokens":0},"last_token_usage":{"input_tokens":0,"output_tokens":0,"total_tokens":0}},"rate_limits":null}
        240 complete a
        "#,
        r"
        thread t @0 +240 100/0/10/0
          turn 1 @100 +140 100/0/10/0
            model_call @100 +100 100/0/10/0 by token_count
        ",
    );
}

#[test]
fn rate_limits_are_an_event_when_they_change() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.144.5"}
        100 started a
        200 event {"type":"token_count","info":null,"rate_limits":{"primary":{"used_percent":26.0}}}
        210 event {"type":"token_count","info":null,"rate_limits":{"primary":{"used_percent":26.0}}}
        220 event {"type":"token_count","info":null,"rate_limits":{"primary":{"used_percent":27,"resets_at":"2026-01-01"}}}
        240 complete a
        "#,
        r"
        thread t @0 +240
          turn 1 @100 +140 !rate_limits !rate_limits
        ",
    );
}

/// §7.2: a model call without any item.
#[test]
fn an_empty_response_is_a_model_call() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.153.0"}
        100 started a
        200 record a r1 100/0/0/0
        300 says two
        310 record a r2 100/100/5/0
        320 complete a
        400 started b
        500 count 100/0/0/0
        600 complete b
        "#,
        r"
        thread t @0 +600 300/100/5/0
          turn 1 @100 +220 200/100/5/0
            model_call @100 +100 100/0/0/0 by usage_record
            model_call @200 +100 100/100/5/0 by usage_record
          turn 2 @400 +200 100/0/0/0
            model_call @400 +100 100/0/0/0 by token_count
        ",
    );
}

/// Commentary and answer of one response.
#[test]
fn one_response_may_say_several_things() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.153.0"}
        100 started a
        200 item {"type":"reasoning","summary":[]}
        210 says I look
        220 says done
        230 record a r1 100/0/10/5
        320 complete a
        "#,
        r"
        thread t @0 +320 100/0/10/5
          turn 1 @100 +220 100/0/10/5
            model_call @100 +120 100/0/10/5 by usage_record
        ",
    );
}

/// §7.11: killed after the calls; since 0.131 their count never came.
#[test]
fn the_last_response_of_a_killed_process_has_no_usage() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.144.5"}
        100 started a
        200 call c1 shell_command {"command":"ls"}
        300 output c1 Exit code: 0\nOutput:\n
        310 count 100/0/10/0
        400 call c2 shell_command {"command":"sleep 9"}
        "#,
        r"
        thread t @0 +400 incomplete 100/0/10/0
          turn 1 @100 incomplete 100/0/10/0
            model_call @100 +100 100/0/10/0 by token_count
            tool_call shell_command @200 +100 command exit 0
            model_call @300 +100 by items
            tool_call shell_command @400 incomplete command
        ",
    );
}

/// §7.4: the model of a request is that of the settings before it.
#[test]
fn a_model_switch_takes_effect_with_the_next_settings() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.153.0"}
        100 started a
        101 context {"turn_id":"a","model":"m1"}
        200 says one
        210 record a r1 100/0/10/0
        220 complete a
        290 event {"type":"thread_settings_applied","thread_settings":{"model":"m2"}}
        300 started b
        400 says two
        410 record b r2 100/0/10/0
        420 complete b
        "#,
        r"
        thread t @0 +420 200/0/20/0
          turn 1 @100 +120 100/0/10/0
            model_call m1 @100 +100 100/0/10/0 by usage_record
          turn 2 @300 +120 100/0/10/0
            model_call m2 @300 +100 100/0/10/0 by usage_record
        ",
    );
}

/// Before 0.107 the only evidence of a request whose response got lost is that
/// settings were written for the next one.
#[test]
fn settings_part_responses_without_counts() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.98.0"}
        100 user go
        101 typed go
        110 context {"model":"m"}
        200 call c1 shell_command {"command":"ls"}
        300 output c1 Exit code: 0\nOutput:\n
        310 context {"model":"m"}
        400 says done
        "#,
        r"
        thread t @0 +400
          turn 1 @100 +300 inferred
            model_call m @100 +100 by turn_context
            tool_call shell_command @200 +100 command exit 0
            model_call m @300 +100 by items
        ",
    );
}
