//! What a thread has taken over or given up: forks, reverts, rollbacks.

use codex_trace_model::SpanKind;

use crate::script::{Home, check, with_script};

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
