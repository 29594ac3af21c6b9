//! Records and counts that lack something, and what they tell together
//! (rollout-format §7.2 and §7.3). Usage is `input/cached/output/reasoning`.

use crate::script::check;

/// 0.34 to 0.40: one count for each response, before its items.
#[test]
fn counts_of_0_34_to_0_40_come_before_their_items() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.36.0"}
        100 user go
        101 typed go
        110 context {"model":"m"}
        200 count 100/0/10/5
        201 item {"type":"reasoning","summary":[]}
        202 call c1 shell {"command":["ls"]}
        300 output c1 {"output":"","metadata":{"exit_code":0,"duration_seconds":0.1}}
        301 call c2 shell {"command":["pwd"]}
        390 output c2 {"output":"","metadata":{"exit_code":0,"duration_seconds":0.1}}
        395 context {"model":"m"}
        410 count 200/100/20/0
        411 item {"type":"reasoning","summary":[]}
        420 says done
        "#,
        r"
        thread t @0 +420 300/100/30/5
          turn 1 @100 +320 300/100/30/5 inferred
            model_call m @100 +101 100/0/10/5 by token_count
            tool_call shell @202 +98 command exit 0
            tool_call shell @301 +89 command exit 0
            model_call m @390 +21 200/100/20/0 by token_count
        ",
    );
}

/// A record in the middle is lost; its count is there.
#[test]
fn a_count_that_no_record_explains_is_a_call() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.169.0"}
        100 started %a
        200 call c1 shell {"command":["ls"]}
        201 record %a r1 100/0/10/0 of 110
        300 output c1 {"output":""}
        310 count 100/0/10/0
        400 call c2 shell {"command":["ls"]}
        raw {"timestamp":"2026-01-01T00:00:00.401Z","type":"token_usage_record","payload":{"turn_id":"
        500 output c2 {"output":""}
        510 count 120/0/10/0
        600 says done
        601 record %a r3 140/0/10/0 of 390
        610 count 140/0/10/0
        700 complete %a
        "#,
        r"
        thread t @0 +700 360/0/30/0
          turn 1 @100 +600 360/0/30/0
            model_call @100 +100 100/0/10/0 by usage_record
            tool_call shell @200 +100 command
            model_call @300 +100 120/0/10/0 by token_count
            tool_call shell @400 +100 command
            model_call @500 +100 140/0/10/0 by usage_record
        ? bad_line 8
        ",
    );
}

/// Nothing tells of the response in the middle but the thread's total.
#[test]
fn records_that_do_not_add_up_are_reported() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.169.0"}
        100 started %a
        200 says one
        201 record %a r1 100/0/10/0 of 110
        600 says done
        601 record %a r3 140/0/10/0 of 390
        700 complete %a
        "#,
        r"
        thread t @0 +700 240/0/20/0
          turn 1 @100 +600 240/0/20/0
            model_call @100 +100 100/0/10/0 by usage_record
            model_call @200 +400 140/0/10/0 by usage_record
        ? usage_mismatch
        ",
    );
}

#[test]
fn a_record_without_usage_has_that_of_its_count() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.169.0"}
        100 started %a
        200 says one
        201 record %a r1 -
        210 count 100/0/10/0
        700 complete %a
        "#,
        r"
        thread t @0 +700 100/0/10/0
          turn 1 @100 +600 100/0/10/0
            model_call @100 +100 100/0/10/0 by usage_record
        ",
    );
}

/// A gateway that gives every response the same id: the thread's total moves.
#[test]
fn responses_of_one_id_are_as_many_as_the_total_moved() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.169.0"}
        100 started %a
        200 call c1 shell {"command":["ls"]}
        201 record %a r 100/0/10/0 of 110
        202 record %a r 100/0/10/0 of 110
        300 output c1 {"output":""}
        310 count 100/0/10/0
        400 says done
        401 record %a r 100/0/10/0 of 220
        410 count 100/0/10/0
        700 complete %a
        "#,
        r"
        thread t @0 +700 200/0/20/0
          turn 1 @100 +600 200/0/20/0
            model_call @100 +100 100/0/10/0 by usage_record
            tool_call shell @200 +100 command
            model_call @300 +100 100/0/10/0 by usage_record
        ? duplicate_id 5
        ",
    );
}

/// An interrupt keeps the last count from being written: the next one rises by
/// what two records have told.
#[test]
fn a_total_that_rises_by_two_records_is_no_mismatch() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.171.0"}
        100 started %a
        200 says one
        201 record %a r1 100/0/10/0 of 110
        210 count 100/0/10/0
        300 call c1 wait_agent {}
        301 record %a r2 120/0/10/0 of 240
        400 output c1 aborted by user
        410 aborted %a interrupted
        500 started %b
        600 says two
        601 record %b r3 140/0/10/0 of 390
        610 count 140/0/10/0 of 360/0/30/0
        700 complete %b
        "#,
        r"
        thread t @0 +700 360/0/30/0
          turn 1 @100 +310 interrupted: interrupted 220/0/20/0
            model_call @100 +100 100/0/10/0 by usage_record
            model_call @200 +100 120/0/10/0 by usage_record
            tool_call wait_agent @300 +100 interrupted: aborted by user agents
          turn 2 @500 +200 140/0/10/0
            model_call @500 +100 140/0/10/0 by usage_record
        ",
    );
}

/// A compaction's request is in the records, and not in the totals of counts.
#[test]
fn a_lost_record_after_a_compaction_is_still_a_call() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.169.0"}
        100 started %a
        110 record %a r0 500/0/50/0 of 550
        120 line compacted {"message":"","replacement_history":[]}
        200 says one
        210 count 100/0/10/0
        300 says two
        301 record %a r2 120/0/10/0 of 790
        310 count 120/0/10/0
        700 complete %a
        "#,
        r"
        thread t @0 +700 720/0/70/0
          turn 1 @100 +600 720/0/70/0
            compaction @110 +10
              model_call @110 +0 recorded @100 +10 500/0/50/0 by usage_record
            model_call @120 +80 100/0/10/0 by token_count
            model_call @200 +100 120/0/10/0 by usage_record
        ",
    );
}

/// Tools that keep nothing but totals: their steps, and repeats add nothing.
#[test]
fn totals_alone_count_by_their_steps() {
    let total = |at: u64, input: u64, output: u64| {
        format!(
            r#"{at} event {{"type":"token_count","info":{{"total_token_usage":{{"input_tokens":{input},"output_tokens":{output},"total_tokens":{}}},"last_token_usage":null}}}}"#,
            input + output
        )
    };
    let script = format!(
        r#"
        0 meta {{"id":"t","cli_version":"0.160.0"}}
        100 started %a
        200 says one
        {}
        {}
        300 says two
        {}
        400 complete %a
        500 started %b
        600 says three
        {}
        700 complete %b
        "#,
        total(210, 100, 10),
        total(220, 100, 10),
        total(310, 250, 30),
        // A process that began at 0 again.
        total(610, 70, 7),
    );
    check(
        &script,
        r"
        thread t @0 +700 320/0/37/0
          turn 1 @100 +300 250/0/30/0
            model_call @100 +100 100/0/10/0 by token_count
            model_call @200 +100 150/0/20/0 by token_count
          turn 2 @500 +200 70/0/7/0
            model_call @500 +100 70/0/7/0 by token_count
        ",
    );
}

/// A stream that was cut, and the answer to the second try: a count that
/// repeats the total stands between them.
#[test]
fn a_response_that_broke_off_and_its_retry_are_two_calls() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.171.0"}
        10 started %a
        20 says before
        21 record %a r1 100/0/10/0
        30 count 100/0/10/0
        40 complete %a
        100 started %b
        200 item {"type":"reasoning","summary":[]}
        210 says half an ans
        220 repeat
        300 item {"type":"reasoning","summary":[]}
        310 says after cut
        311 record %b r2 140/0/10/0
        320 count 140/0/10/0
        700 complete %b
        "#,
        r"
        thread t @0 +700 240/0/20/0
          turn 1 @10 +30 100/0/10/0
            model_call @10 +10 100/0/10/0 by usage_record
          turn 2 @100 +600 140/0/10/0
            model_call @100 +110 by items
            model_call @210 +100 140/0/10/0 by usage_record
        ",
    );
}

/// A chat that Codex imported: its times are those of the turns, whatever the
/// lines say, and Codex has called no model for it.
#[test]
fn an_imported_chat_has_its_own_times_and_no_model_calls() {
    check(
        r#"
        864000000 meta {"id":"t","cli_version":"0.133.0"}
        864000000 event {"type":"task_started","turn_id":"external-import-turn-1","started_at":1767225600}
        864000000 user one
        864000000 typed one
        864000000 says done
        864000000 event {"type":"task_complete","turn_id":"external-import-turn-1","last_agent_message":"done","completed_at":null}
        864000000 event {"type":"task_started","turn_id":"external-import-turn-2","started_at":1767225700}
        864000000 user two
        864000000 typed two
        864000000 says done too
        864000000 count 0/0/0/812
        864000000 event {"type":"task_complete","turn_id":"external-import-turn-2","completed_at":1767225740}
        "#,
        r"
        thread t @0 +140000
          turn 1 @0 +0
          turn 2 @100000 +40000
        ",
    );
}
