//! Compactions, and the requests that they took.

use crate::script::check;

/// §7.3 rule 5: the request that compacted is in no total.
#[test]
fn a_legacy_compaction_within_a_turn_has_no_request() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.144.5"}
        100 started a
        200 call c1 shell_command {"command":"ls"}
        300 output c1 Exit code: 0\nOutput:\n
        310 count 100/0/10/0
        800 line compacted {"message":"","replacement_history":[]}
        801 event {"type":"context_compacted"}
        810 count 0/0/0/50 of 100/0/10/0
        820 context {"turn_id":"a","model":"m"}
        900 says done
        910 count 60/0/10/0
        920 complete a
        "#,
        r"
        thread t @0 +920 160/0/20/0
          turn 1 @100 +820 160/0/20/0
            model_call @100 +100 100/0/10/0 by token_count
            tool_call shell_command @200 +100 command exit 0
            compaction @310 +490
            model_call m @800 +100 60/0/10/0 by token_count
        ",
    );
}

/// §7.5, since 0.153: the record is the request's.
#[test]
fn a_manual_compaction_is_a_turn_with_one_request() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.169.0","history_mode":"paginated"}
        ordinals 1
        100 started a
        700 record a r1 5000/0/200/0
        710 line compacted {"message":"","compaction_response_id":"r1","window_number":2,"replacement_history":[]}
        720 line world_state {"full":true,"state":{}}
        730 context {"turn_id":"a","model":"m"}
        740 count 0/0/0/50 of 0/0/0/0
        750 done a {"type":"ContextCompaction","id":"x","started_at_ms":110,"completed_at_ms":705}
        760 complete a
        "#,
        r"
        thread t @0 +760 5000/0/200/0
          turn 1 @100 +660 5000/0/200/0
            compaction @110 +595
              model_call @110 +590 recorded @100 +600 5000/0/200/0 by usage_record
        ",
    );
}

#[test]
fn a_paginated_compaction_within_a_turn_holds_its_request() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.169.0","history_mode":"paginated"}
        ordinals 1
        100 started a
        200 call c1 exec_command {"cmd":"ls"}
        210 record a r1 100/0/10/0
        300 output c1 Process exited with code 0\nOutput:\n
        700 record a r2 5000/0/200/0
        710 line compacted {"message":"","replacement_history":[]}
        750 done a {"type":"ContextCompaction","id":"x","started_at_ms":310,"completed_at_ms":705}
        800 says done
        810 record a r3 60/0/10/0
        820 complete a
        "#,
        r"
        thread t @0 +820 5160/0/220/0
          turn 1 @100 +720 5160/0/220/0
            model_call @100 +100 100/0/10/0 by usage_record
            tool_call exec_command @200 +100 command exit 0
            compaction @310 +395
              model_call @310 +390 recorded @300 +400 5000/0/200/0 by usage_record
            model_call @710 +90 60/0/10/0 by usage_record
        ",
    );
}

/// §7.1: a compaction outside of any turn opens one.
#[test]
fn a_legacy_compaction_between_turns_is_a_turn_of_its_own() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.144.5"}
        100 started a
        200 says hi
        210 count 100/0/10/0
        220 complete a
        500 line compacted {"message":"summary"}
        501 event {"type":"context_compacted"}
        600 started b
        700 complete b
        "#,
        r"
        thread t @0 +700 100/0/10/0
          turn 1 @100 +120 100/0/10/0
            model_call @100 +100 100/0/10/0 by token_count
          turn 2 @500 +0 inferred
            compaction @500 +0
          turn 3 @600 +100
        ",
    );
}
