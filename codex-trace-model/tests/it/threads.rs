//! Threads of a session and where their own lines begin (rollout-format §7.7
//! to §7.10). Ids are older the earlier their letter.

use codex_trace_model::SpanKind;

use crate::script::{Home, bytes_of, check, rollout_of, with_script};
use crate::support::testdata;

/// A turn of the parent's, 100 tokens, that heads are copied from.
const PARENT: &str = r#"
    0 meta {"id":"%a","cli_version":"0.144.5"}
    100 started %b
    110 user one
    111 typed one
    200 says 1
    210 count 90/0/10/0
    220 complete %b
"#;

/// §7.7 rule 2: own lines begin at the first turn made after the thread.
#[test]
fn a_legacy_fork_begins_at_its_first_own_turn() {
    check(
        r#"
        1000 meta {"id":"%c","forked_from_id":"%a","cli_version":"0.144.5"}
        1000 meta {"id":"%a","cli_version":"0.144.5"}
        1000 started %b
        1000 user one
        1000 typed one
        1000 says 1
        1000 count 90/0/10/0
        1000 complete %b
        1001 event {"type":"thread_settings_applied","thread_settings":{"model":"m"}}
        2000 started %d
        2010 user two
        2011 typed two
        2100 says 2
        2110 count 180/90/20/0
        2120 complete %d
        "#,
        r"
        thread %c @0 +1120 180/90/20/0 forked_from %a
          turn 1 @1000 +120 180/90/20/0
            model_call @1000 +100 180/90/20/0 by token_count
        ",
    );
}

/// §7.7, nested: the nearest ancestor's meta comes first.
#[test]
fn a_fork_of_a_fork_is_linked_to_the_nearest() {
    check(
        r#"
        3000 meta {"id":"%e","cli_version":"0.144.5"}
        3000 meta {"id":"%c","forked_from_id":"%a","cli_version":"0.144.5"}
        3000 meta {"id":"%a","cli_version":"0.144.5"}
        3000 started %b
        3000 count 90/0/10/0
        3000 complete %b
        3000 started %d
        3000 count 180/90/20/0
        3000 complete %d
        4000 started %f
        4100 says 3
        4110 count 200/180/30/0
        4120 complete %f
        "#,
        r"
        thread %e @0 +1120 200/180/30/0 forked_from %c
          turn 1 @1000 +120 200/180/30/0
            model_call @1000 +100 200/180/30/0 by token_count
        ",
    );
}

/// §7.7 rule 3: before 0.100 the copy is told by its content.
#[test]
fn a_fork_before_0_100_begins_where_it_differs_from_its_parent() {
    let parent = r#"
        0 meta {"id":"%a","cli_version":"0.98.0"}
        110 user one
        111 typed one
        200 says 1
        210 count 90/0/10/0
    "#;
    let fork = r#"
        1000 meta {"id":"%c","forked_from_id":"%a","cli_version":"0.98.0"}
        1000 meta {"id":"%a","cli_version":"0.98.0","timestamp":"2026-01-01T00:00:00.000Z"}
        1000 user one
        1000 typed one
        1000 says 1
        1000 count 90/0/10/0
        1001 developer <permissions instructions>
        2010 user two
        2011 typed two
        2100 says 2
        2110 count 180/90/20/0
    "#;
    Home::new("fork_098").script("%a", parent).script("%c", fork).check(
        r"
        thread %a @0 +210 90/0/10/0
          turn 1 @110 +100 90/0/10/0 inferred
            model_call @110 +90 90/0/10/0 by token_count
        thread %c @0 +1110 180/90/20/0 forked_from %a
          turn 1 @1010 +100 180/90/20/0 inferred
            model_call @1010 +90 180/90/20/0 by token_count
        ",
    );
    // §7.7 rule 4: without the parent's file by the time a model takes.
    Home::new("fork_098_alone").script("%c", fork).check(
        r"
        thread %c @0 +1110 180/90/20/0 forked_from %a
          turn 1 @1010 +100 180/90/20/0 inferred
            model_call @1010 +90 180/90/20/0 by token_count
        ? inferred_boundary
        ",
    );
}

/// §7.7: no copy; totals go on from the base point: 140 of them are another's.
#[test]
fn a_paginated_fork_counts_its_own_lines() {
    let base = r#"
        ordinals 0
        0 meta {"id":"%a","history_mode":"paginated","cli_version":"0.148.0"}
        100 started %b
        150 count 30/0/10/0
        200 says 1
        210 count 90/0/10/0
        220 complete %b
    "#;
    let fork = r#"
        ordinals 6
        1000 meta {"id":"%c","history_mode":"paginated","forked_from_id":"%a","history_base":{"thread_id":"%a","end_ordinal_exclusive":6,"end_byte_offset":9}}
        1001 count 90/0/10/0 of 120/0/20/0
        2000 started %d
        2100 says 2
        2110 count 180/90/20/0
        2120 complete %d
    "#;
    Home::new("paginated_fork").script("%a", base).script("%c", fork).check(
        r"
        thread %a @0 +220 120/0/20/0
          turn 1 @100 +120 120/0/20/0
            model_call @100 +50 30/0/10/0 by token_count
            model_call @150 +50 90/0/10/0 by token_count
        thread %c @0 +1120 180/90/20/0 forked_from %a
          turn 1 @1000 +120 180/90/20/0
            model_call @1000 +100 180/90/20/0 by token_count
        ",
    );
    Home::new("paginated_fork_alone").script("%c", fork).check(
        r"
        thread %c @0 +1120 180/90/20/0 forked_from %a
          turn 1 @1000 +120 180/90/20/0
            model_call @1000 +100 180/90/20/0 by token_count
        ? missing_thread
        ",
    );
}

const ORIGINAL: &str = r#"
    ordinals 0
    0 meta {"id":"%a","history_mode":"paginated","cli_version":"0.148.0"}
    100 started %b
    200 says 1
    210 count 90/0/10/0
    220 complete %b
    300 started %c
    400 says 2
    410 count 180/90/20/0
    420 complete %c
"#;

/// §7.8: the second turn taken back and asked anew. All was spent: 100 + 200 + 300.
#[test]
fn a_revert_abandons_the_turns_after_the_cut() {
    Home::new("revert")
        .script("%a", ORIGINAL)
        .script(
            "%a_%d",
            r#"
            ordinals 5
            1000 meta {"id":"%a","history_mode":"paginated","history_base":{"thread_id":"%a","end_ordinal_exclusive":5,"end_byte_offset":9}}
            1100 started %e
            1200 says 2b
            1210 count 270/90/30/0 of 360/90/40/0
            1220 complete %e
            "#,
        )
        .check(
            r"
            thread %a @0 +1220 540/180/60/0
              turn 1 @100 +120 90/0/10/0
                model_call @100 +100 90/0/10/0 by token_count
              turn 2 @300 +120 180/90/20/0 abandoned
                model_call @300 +100 180/90/20/0 by token_count
              turn 3 @1100 +120 270/90/30/0
                model_call @1100 +100 270/90/30/0 by token_count
            ",
        );
}

/// Three files: the third cuts into the second, whose ordinals begin again at
/// the first cut. Kept are turns 1, 3 and 5.
#[test]
fn a_second_revert_cuts_into_the_first() {
    Home::new("revert_twice")
        .script("%a", ORIGINAL)
        .script(
            "%a_%d",
            r#"
            ordinals 5
            1000 meta {"id":"%a","history_mode":"paginated","history_base":{"thread_id":"%a","end_ordinal_exclusive":5}}
            1100 started %e
            1200 says 3
            1220 complete %e
            1300 started %f
            1400 says 4
            1420 complete %f
            "#,
        )
        .script(
            "%a_%g",
            r#"
            ordinals 9
            2000 meta {"id":"%a","history_mode":"paginated","history_base":{"thread_id":"%d","end_ordinal_exclusive":9}}
            2100 started %h
            2200 says 5
            2220 complete %h
            "#,
        )
        .check(
            r"
            thread %a @0 +2220 270/90/30/0
              turn 1 @100 +120 90/0/10/0
                model_call @100 +100 90/0/10/0 by token_count
              turn 2 @300 +120 180/90/20/0 abandoned
                model_call @300 +100 180/90/20/0 by token_count
              turn 3 @1100 +120
                model_call @1100 +100 by items
              turn 4 @1300 +120 abandoned
                model_call @1300 +100 by items
              turn 5 @2100 +120
                model_call @2100 +100 by items
            ",
        );
}

/// §7.8: no base, ordinals from 0.
#[test]
fn a_revert_before_the_first_turn_abandons_all() {
    Home::new("revert_all")
        .script("%a", ORIGINAL)
        .script(
            "%a_%d",
            r#"
            ordinals 0
            1000 meta {"id":"%a","history_mode":"paginated"}
            1100 started %e
            1200 says new
            1210 count 90/0/10/0
            1220 complete %e
            "#,
        )
        .check(
            r"
            thread %a @0 +1220 360/90/40/0
              turn 1 @100 +120 90/0/10/0 abandoned
                model_call @100 +100 90/0/10/0 by token_count
              turn 2 @300 +120 180/90/20/0 abandoned
                model_call @300 +100 180/90/20/0 by token_count
              turn 3 @1100 +120 90/0/10/0
                model_call @1100 +100 90/0/10/0 by token_count
            ",
        );
}

/// What each model call saw: the items of its history, as `from..to`, then
/// those up to its own. A replaced history is marked.
fn windows(script: &str) -> String {
    with_script(script, |trace| {
        let thread = trace.root();
        let mut seen = Vec::new();
        for span in trace.model_calls() {
            let SpanKind::ModelCall(call) = &span.kind else { continue };
            let history = &thread.histories[call.window.history as usize];
            let base = history.base.iter().map(|range| format!("{}..{} ", range.0.0, range.1.0));
            let replaced = history.replacement.map_or("", |_| "new ");
            let base: Vec<String> = base.collect();
            seen.push(format!(
                "{replaced}{}{}..{}",
                base.concat(),
                history.from,
                call.window.end.0
            ));
        }
        seen.join(", ")
    })
}

/// The second turn (items 2 and 3) is taken back; the third sees the first and
/// itself. Then the third, which was compacted, is taken back as well: the
/// fourth sees what the third saw at its begin.
#[test]
fn a_rollback_gives_the_model_its_earlier_history_back() {
    assert_eq!(
        windows(
            r#"
            0 meta {"id":"t","cli_version":"0.144.5"}
            100 started a
            110 user one
            120 says 1
            130 complete a
            200 started b
            210 user two
            220 says 2
            230 complete b
            240 event {"type":"thread_rolled_back","num_turns":1}
            300 started c
            310 user three
            320 line compacted {"message":"","replacement_history":[]}
            330 says 3
            340 complete c
            350 event {"type":"thread_rolled_back","num_turns":1}
            400 started d
            410 user four
            420 says 4
            430 complete d
            "#
        ),
        "0..1, 0..3, new 5..5, 0..2 6..7"
    );
}

/// Nobody does that; but a history must not cost more the more there are.
#[test]
fn a_thousand_rollbacks_keep_short_histories() {
    use std::fmt::Write;
    let mut script = r#"0 meta {"id":"t","cli_version":"0.144.5"}"#.to_owned();
    for n in 0..1_000 {
        write!(script, "\n1 started a{n}\n2 user x\n3 complete a{n}\n4 started b{n}\n5 user y")
            .unwrap();
        write!(
            script,
            "\n6 complete b{n}\n7 event {{\"type\":\"thread_rolled_back\",\"num_turns\":1}}"
        )
        .unwrap();
    }
    with_script(&script, |trace| {
        let ranges: usize = trace.root().histories.iter().map(|it| it.base.len()).sum();
        assert!(ranges < 1_001 * 65, "{ranges}");
    });
}

/// §7.9, 0.90 to 0.106: nothing copied; V1 names the child in its output.
#[test]
fn v1_subagents_hang_under_the_calls_that_spawned_them() {
    Home::new("v1")
        .script(
            "%a",
            r#"
            0 meta {"id":"%a","cli_version":"0.105.0"}
            100 started %b
            200 call c1 spawn_agent {"message":"x"}
            300 output c1 {"agent_id":"%c","nickname":"N"}
            900 says done
            1000 complete %b
            "#,
        )
        .script(
            "%c",
            r#"
            250 meta {"id":"%c","cli_version":"0.105.0","source":{"subagent":{"thread_spawn":{"parent_thread_id":"%a","depth":1}}}}
            260 started %d
            300 call c1 spawn_agent {"message":"y"}
            400 output c1 {"agent_id":"%e","nickname":"M"}
            700 complete %d
            "#,
        )
        .script(
            "%e",
            r#"
            350 meta {"id":"%e","cli_version":"0.105.0","source":{"subagent":{"thread_spawn":{"parent_thread_id":"%c","depth":2}}}}
            360 started %f
            500 says deep
            510 count 90/0/10/0
            1500 complete %f
            "#,
        )
        .check(
            r"
            thread %a @0 +1500
              turn 1 @100 +900
                model_call @100 +100 by items
                tool_call spawn_agent @200 +100 agents
                  thread %c @250 +450 outlives parent
                    turn 1 @260 +440
                      model_call @260 +40 by items
                      tool_call spawn_agent @300 +100 agents
                        thread %e @350 +1150 90/0/10/0 outlives parent
                          turn 1 @360 +1140 90/0/10/0
                            model_call @360 +140 90/0/10/0 by token_count
                model_call @300 +600 by items
            ",
        );
}

/// §7.9, V2 before 0.139: only the agent's path tells.
#[test]
fn v2_subagents_are_found_by_path_or_by_activity() {
    let child = |at: u64, id: &str, path: &str| {
        format!(
            r#"
            {at} meta {{"id":"{id}","parent_thread_id":"%a","agent_path":"{path}","cli_version":"0.138.0"}}
            400 started %x
            500 complete %x
            "#
        )
    };
    Home::new("v2")
        .script(
            "%a",
            r#"
            0 meta {"id":"%a","cli_version":"0.138.0"}
            100 started %b
            200 call c1 spawn_agent {"task_name":"one"}
            300 output c1 {"task_name":"/root/one"}
            310 call c2 spawn_agent {"task_name":"two"}
            311 event {"type":"sub_agent_activity","event_id":"c2","kind":"started","agent_thread_id":"%d","agent_path":"/root/two"}
            320 output c2 {"task_name":"/root/two"}
            900 complete %b
            "#,
        )
        .script("%c", &child(250, "%c", "/root/one"))
        .script("%d", &child(315, "%d", "/root/two"))
        .check(
            r"
            thread %a @0 +900
              turn 1 @100 +800 !sub_agent_activity
                model_call @100 +100 by items
                tool_call spawn_agent @200 +100 agents
                  thread %c @250 +250 outlives parent
                    turn 1 @400 +100
                model_call @300 +10 by items
                tool_call spawn_agent @310 +10 agents
                  thread %d @315 +185 outlives parent
                    turn 1 @400 +100
            ",
        );
}

/// §7.9, 0.107 to 0.118: a full copy, and an output for the spawning call.
#[test]
fn a_fully_copied_head_is_inherited() {
    let head = PARENT.replace("0 meta", "1000 meta");
    let child = format!(
        r#"
        1000 meta {{"id":"%c","forked_from_id":"%a","parent_thread_id":"%a","cli_version":"0.110.0"}}
        {head}
        1000 call c1 spawn_agent {{}}
        1000 output c1 You are the newly spawned agent
        1100 started %d
        1110 typed child
        1200 says hi
        1210 count 40/0/10/0
        1220 complete %d
        "#
    );
    check(
        &child,
        r"
        thread %c @0 +220 40/0/10/0 spawned_by %a
          turn 1 @100 +120 40/0/10/0
            model_call @100 +100 40/0/10/0 by token_count
        ? missing_thread
        ",
    );
}

/// §7.9 since 0.119: the parent's open turn was copied without its end.
#[test]
fn a_sanitized_head_is_inherited() {
    check(
        r#"
        1000 meta {"id":"%c","forked_from_id":"%a","parent_thread_id":"%a","cli_version":"0.144.5"}
        1000 meta {"id":"%a","cli_version":"0.144.5"}
        1000 started %b
        1000 typed one
        1000 count 90/0/10/0
        1000 context {"turn_id":"%b","model":"parents"}
        1100 started %d
        1101 context {"turn_id":"%d","model":"own"}
        1110 typed child
        1200 says hi
        1210 count 40/0/10/0
        1220 complete %d
        "#,
        r"
        thread %c @0 +220 40/0/10/0 spawned_by %a
          turn 1 @100 +120 40/0/10/0
            model_call own @100 +100 40/0/10/0 by token_count
        ? missing_thread
        ",
    );
}

/// §7.9, paginated: the ordinal of the first own line. The totals begin at 0.
#[test]
fn a_paginated_subagent_begins_at_its_ordinal() {
    check(
        r#"
        ordinals 0
        1000 meta {"id":"%c","parent_thread_id":"%a","history_mode":"paginated","subagent_history_start_ordinal":5}
        1000 started %b
        1000 user one
        1000 call c9 spawn_agent {}
        1000 aborted %b interrupted
        1100 started %d
        1101 developer You are now a newly spawned child agent
        1200 says hi
        1205 record %d r1 40/0/10/0
        1220 complete %d
        "#,
        r"
        thread %c @0 +220 40/0/10/0 spawned_by %a
          turn 1 @100 +120 40/0/10/0
            model_call @100 +100 40/0/10/0 by usage_record
        ? missing_thread
        ",
    );
}

/// §1.6: a migration puts that ordinal at the end of the file.
#[test]
fn a_migrated_subagent_has_its_own_turns() {
    check(
        r#"
        ordinals 0
        1000 meta {"id":"%c","parent_thread_id":"%a","history_mode":"paginated","subagent_history_start_ordinal":99}
        1000 started %b
        1000 user one
        1000 complete %b
        1000 started %d
        1000 says hi
        1000 count 40/0/10/0
        1000 complete %d
        "#,
        r"
        thread %c @0 +0 40/0/10/0 spawned_by %a
          turn 1 @0 +0 40/0/10/0
            model_call @0 +0 40/0/10/0 by token_count
        ? missing_thread
        ",
    );
    // Turns that the migration itself had to name: nothing was copied then.
    check(
        r#"
        ordinals 0
        1000 meta {"id":"%c","parent_thread_id":"%a","history_mode":"paginated","subagent_history_start_ordinal":99}
        1000 started rollout-3
        1000 says hi
        1000 count 40/0/10/0
        1000 complete rollout-3
        "#,
        r"
        thread %c @0 +0 40/0/10/0 spawned_by %a
          turn 1 @0 +0 40/0/10/0
            model_call @0 +0 40/0/10/0 by token_count
        ? missing_thread
        ",
    );
}

/// Ids of another making say nothing about age: the content and the times do.
#[test]
fn a_copied_head_without_uuid_v7_is_told_by_time() {
    check(
        r#"
        1000 meta {"id":"fork","cli_version":"0.144.5"}
        1000 meta {"id":"first","cli_version":"0.144.5"}
        1000 started t1
        1000 user one
        1000 typed one
        1000 says 1
        1000 count 90/0/10/0
        1000 complete t1
        2000 started t2
        2010 user two
        2011 typed two
        2100 says 2
        2110 count 180/90/20/0
        2120 complete t2
        "#,
        r"
        thread fork @0 +1120 180/90/20/0 forked_from first
          turn 1 @1000 +120 180/90/20/0
            model_call @1000 +100 180/90/20/0 by token_count
        ? inferred_boundary
        ",
    );
}

#[test]
fn threads_that_are_not_here_are_links() {
    Home::new("missing")
        .script(
            "%c",
            r#"
            0 meta {"id":"%c","parent_thread_id":"%a","cli_version":"0.144.5"}
            100 started %d
            200 call c1 spawn_agent {"message":"x"}
            300 output c1 {"agent_id":"%e","nickname":"N"}
            400 complete %d
            "#,
        )
        .check(
            r"
            thread %c @0 +400 spawned_by %a
              turn 1 @100 +300
                model_call @100 +100 by items
                tool_call spawn_agent @200 +100 agents spawned %e
            ? missing_thread
            ? missing_thread
            ",
        );
}

#[test]
fn a_circle_of_parents_is_cut_at_the_oldest() {
    let member = |at: u64, id: &str, parent: &str| {
        format!("{at} meta {{\"id\":\"{id}\",\"parent_thread_id\":\"{parent}\"}}")
    };
    Home::new("circle")
        .script("%c", &member(200, "%c", "%b"))
        .script("%b", &member(100, "%b", "%a"))
        .script("%a", &member(0, "%a", "%c"))
        .script("%d", &member(300, "%d", "%d"))
        .check(
            r"
            ? parent_cycle
            ? parent_cycle
            ? parent_cycle
            ? parent_cycle
            thread %a @0 +200
              thread %b @100 +0 outlives parent
                thread %c @200 +0 outlives parent
            thread %d @0 +0
            ",
        );
}

/// §7.10: by the time that it was made, or by the turn that its turn names.
#[test]
fn a_reviewers_thread_hangs_under_the_review() {
    Home::new("review")
        .script(
            "%a",
            r#"
            0 meta {"id":"%a","cli_version":"0.98.0"}
            50 user hi
            51 typed hi
            60 says ho
            100 event {"type":"entered_review_mode","user_facing_hint":"x"}
            900 event {"type":"exited_review_mode","review_output":{}}
            "#,
        )
        .script(
            "%b",
            r#"
            200 meta {"id":"%b","cli_version":"0.98.0","source":{"subagent":"review"},"parent_thread_id":"%a"}
            210 user review
            211 typed review
            300 says fine
            310 count 90/0/10/0
            "#,
        )
        .check(
            r"
            thread %a @0 +900
              turn 1 @50 +10 inferred
                model_call @50 +10 by items
              turn 2 @100 +800 inferred review
                thread %b @200 +110 90/0/10/0
                  turn 1 @210 +100 90/0/10/0 inferred
                    model_call @210 +90 90/0/10/0 by token_count
            ",
        );
}

#[test]
fn one_rollout_in_several_places_counts_once() {
    let name = "rollout-2026-01-01T00-00-00-%a.jsonl";
    let bytes = rollout_of(PARENT);
    Home::new("places")
        .file(&format!("archived_sessions/{name}"), &bytes)
        .file(&format!("sessions/2026/01/01/{name}"), &bytes)
        .file(&format!("sessions/2026/01/02/{name}"), &bytes)
        .check(
            r"
            thread %a @0 +220 90/0/10/0
              turn 1 @100 +120 90/0/10/0
                model_call @100 +100 90/0/10/0 by token_count
            ",
        );
}

/// §8, 20: while Codex compresses a file both are there.
#[test]
fn a_compressed_twin_counts_once() {
    let compressed = crate::support::heads(&testdata("homes/z169"))
        .into_iter()
        .find(|head| head.rollout.path.extension().is_some_and(|it| it == "zst"))
        .unwrap();
    let name = compressed.rollout.path.file_name().unwrap().to_str().unwrap();
    let plain = format!("sessions/2026/01/01/{}", name.trim_end_matches(".zst"));
    let home = Home::new("twin").file(&plain, &bytes_of(&compressed.rollout.path)).file(
        &format!("archived_sessions/{name}"),
        &std::fs::read(&compressed.rollout.path).unwrap(),
    );
    let heads = crate::support::heads(home.root());
    let groups = codex_trace_model::group(&heads, &codex_rollout::Copies::find(&heads));
    assert_eq!((heads.len(), groups.len(), groups[0].members.len()), (2, 1, 1));
    assert!(!heads[groups[0].members[0].head].rollout.archived);
}
