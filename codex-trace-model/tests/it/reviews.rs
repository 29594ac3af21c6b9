//! Reviews: turns of their own, whoever wrote their lines.

use crate::script::check;

/// rollout-format §7.10: up to 0.47 a review runs in the thread itself.
#[test]
fn an_inline_review_is_a_turn_of_its_own() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.44.0"}
        100 user hello
        101 typed hello
        200 says hi
        201 count 20/0/10/0
        300 event {"type":"entered_review_mode","prompt":"x","user_facing_hint":"changes"}
        310 user review this
        400 call c1 shell {"command":["git","diff"]}
        500 output c1 {"output":"x","metadata":{"exit_code":0,"duration_seconds":0.1}}
        501 count 40/0/10/0
        600 says fine
        601 count 60/40/10/0
        700 event {"type":"exited_review_mode","review_output":{"findings":[]}}
        800 user <user_action> review
        900 user next
        901 typed next
        950 says ok
        951 count 70/0/10/0
        "#,
        r"
        thread t @0 +951 190/40/40/0
          turn 1 @100 +101 20/0/10/0 inferred
            model_call @100 +100 20/0/10/0 by token_count
          turn 2 @300 +400 100/40/20/0 inferred review
            model_call @300 +100 40/0/10/0 by token_count
            tool_call shell @400 +100 command exit 0
            model_call @500 +100 60/40/10/0 by token_count
          turn 3 @900 +51 70/0/10/0 inferred
            model_call @900 +50 70/0/10/0 by token_count
        ",
    );
}

/// rollout-format §7.10, as 0.98 to 0.144 write it: a start of the reviewer's
/// turn that never ends here, and its prompt, twice.
#[test]
fn a_reviewers_forwarded_lines_are_not_the_parents() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.144.5"}
        100 event {"type":"entered_review_mode","turn_id":"r","user_facing_hint":"changes"}
        150 started child
        160 typed review this
        161 typed review this
        170 event {"type":"agent_reasoning","text":"x"}
        200 event {"type":"exec_command_end","call_id":"k","turn_id":"child","exit_code":0}
        900 user <user_action> result
        901 event {"type":"exited_review_mode","review_output":{"findings":[]}}
        902 says fine
        903 event {"type":"task_complete","turn_id":"r","last_agent_message":"fine","duration_ms":800}
        1000 started a
        1010 user next
        1011 typed next
        1100 says ok
        1200 complete a
        "#,
        r"
        thread t @0 +1200
          turn 1 @100 +803 review
          turn 2 @1000 +200
            model_call @1000 +100 by items
        ",
    );
}

/// The settings of a turn tell that it is no reviewer's: the parent has none
/// of those (rollout-format §4).
#[test]
fn a_turn_after_a_killed_review_is_its_own() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.144.5"}
        100 event {"type":"entered_review_mode","turn_id":"r","user_facing_hint":"changes"}
        150 started child
        9000 started a
        9001 context {"turn_id":"a","model":"m"}
        9010 user next
        9011 typed next
        9100 says ok
        9101 count 20/0/10/0
        9200 complete a
        "#,
        r"
        thread t @0 +9200 20/0/10/0
          turn 1 @100 incomplete inferred review
          turn 2 @9000 +200 20/0/10/0
            model_call m @9000 +100 20/0/10/0 by token_count
        ",
    );
}

/// rollout-format §6.4, paginated: the items name the child's thread.
#[test]
fn a_paginated_review_ignores_the_reviewers_items() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.153.0","history_mode":"paginated"}
        ordinals 1
        100 done r {"type":"EnteredReviewMode","id":"i1","thread_id":"t","user_facing_hint":"changes"}
        150 started child
        200 done child {"type":"CommandExecution","id":"k","thread_id":"other","exit_code":0}
        300 done r {"type":"ExitedReviewMode","id":"i2","thread_id":"t","review_output":{"findings":[]}}
        310 user <user_action> result
        320 says fine
        400 complete r
        "#,
        r"
        thread t @0 +400
          turn 1 @100 +300 review
        ",
    );
}
