//! Threads of a session and where their own lines begin (rollout-format §7.7
//! to §7.10). Ids are older the earlier their letter.

use crate::script::{Home, bytes_of, check, rollout_of};
use crate::support::testdata;

/// §7.9, 0.90 to 0.106: nothing copied; V1 names the child in its output.
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
