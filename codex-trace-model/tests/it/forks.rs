//! Heads that are copies of another thread's history without saying so:
//! migrated and reduced forks, and reviews that are forks (rollout-format
//! §1.6 and §7.7). Ids are older the earlier their letter.

use crate::script::{Home, check};

/// A migration has dropped the parent's meta: ids of turns still tell.
#[test]
fn a_migrated_fork_begins_at_its_first_own_turn() {
    check(
        r#"
        ordinals 0
        1000 meta {"id":"%c","forked_from_id":"%a","cli_version":"0.140.0","history_mode":"paginated"}
        1000 started %b
        1000 user one
        1000 says 1
        1000 count 90/0/10/0
        1000 complete %b
        2000 started %d
        2010 user two
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

/// A fork whose first turn is its own has copied nothing, whatever stands
/// before that turn.
#[test]
fn a_fork_that_begins_with_an_own_turn_has_no_copy() {
    check(
        r#"
        1000 meta {"id":"%c","forked_from_id":"%a","cli_version":"0.140.0"}
        1000 developer rules
        1000 event {"type":"thread_settings_applied","thread_settings":{"model":"m"}}
        2000 started %d
        2010 user two
        2100 says 2
        2110 count 180/90/20/0
        2120 complete %d
        "#,
        r"
        thread %c @0 +1120 180/90/20/0 forked_from %a
          turn 1 @1000 +120 180/90/20/0
            model_call m @1000 +100 180/90/20/0 by token_count
        ",
    );
}

/// The parent of a fork of 0.98, after the migration, and its fork, whose
/// copied turn ends on the far side of what the fork added.
const MIGRATED_PARENT: &str = r#"
    ordinals 0
    0 meta {"id":"%a","cli_version":"0.98.0","history_mode":"paginated"}
    100 user one
    100 started rollout-2
    300 says 1
    310 count 90/0/10/0
    900 user other
    900 complete rollout-2
    900 started rollout-7
    1100 says other
    1110 count 190/0/20/0
    1110 complete rollout-7
"#;
const MIGRATED_FORK: &str = r#"
    ordinals 0
    700 meta {"id":"%c","forked_from_id":"%a","cli_version":"0.98.0","history_mode":"paginated"}
    700 user one
    700 started rollout-3
    700 done rollout-3 {"type":"UserMessage","id":"item-1"}
    700 says 1
    701 count 90/0/10/0
    701 user two
    701 complete rollout-3
    701 started rollout-8
    701 done rollout-8 {"type":"UserMessage","id":"item-3"}
    950 says 2
    960 count 180/90/20/0
    960 complete rollout-8
"#;

#[test]
fn a_migrated_fork_before_0_100_is_told_by_its_parent() {
    let home = Home::new("migrated-fork").script("%a", MIGRATED_PARENT).script("%c", MIGRATED_FORK);
    home.check(
        r"
        thread %a @0 +1110 280/0/30/0
          turn 1 @100 +800 90/0/10/0
            model_call @100 +200 90/0/10/0 by token_count
          turn 2 @900 +210 190/0/20/0
            model_call @900 +200 190/0/20/0 by token_count
        thread %c @0 +260 180/90/20/0 forked_from %a
          turn 1 @1 +259 180/90/20/0
            model_call @1 +249 180/90/20/0 by token_count
        ",
    );
}

/// The parent as it was written, before any migration: only items and counts
/// can be compared.
#[test]
fn a_migrated_fork_is_told_by_a_parent_of_the_old_form() {
    let parent = r#"
        0 meta {"id":"%a","cli_version":"0.98.0"}
        100 user one
        101 typed one
        300 says 1
        310 count 90/0/10/0
    "#;
    let home = Home::new("mixed-fork").script("%a", parent).script("%c", MIGRATED_FORK);
    home.check(
        r"
        thread %a @0 +310 90/0/10/0
          turn 1 @100 +210 90/0/10/0 inferred
            model_call @100 +200 90/0/10/0 by token_count
        thread %c @0 +260 180/90/20/0 forked_from %a
          turn 1 @1 +259 180/90/20/0
            model_call @1 +249 180/90/20/0 by token_count
        ",
    );
}

/// Without the parent, its lines were written faster than a model answers.
#[test]
fn a_migrated_fork_alone_is_told_by_time() {
    check(
        MIGRATED_FORK,
        r"
        thread %c @0 +260 180/90/20/0 forked_from %a
          turn 1 @1 +259 180/90/20/0
            model_call @1 +249 180/90/20/0 by token_count
        ? inferred_boundary
        ",
    );
}

/// Forks of which a tool has left no more than counts.
const COUNTS: &str = r"
    0 count 90/0/10/0
    1000 count 180/90/20/0
";

fn reduced(id: &str, origin: &str, own: &str) -> String {
    format!(
        r#"
        0 meta {{"id":"{id}","forked_from_id":{origin}}}
        0 context {{"model":"m"}}
        {COUNTS}
        {own}
        "#
    )
}

/// Its own calls are made with the settings of the copied head, as nothing else
/// is said.
#[test]
fn a_reduced_fork_is_told_by_the_counts_of_its_parent() {
    let home = Home::new("reduced-fork")
        .script("%a", &reduced("%a", "null", "1500 count 5/0/5/0"))
        .script("%c", &reduced("%c", r#""%a""#, "2000 count 300/0/30/0"));
    home.check(
        r"
        thread %a @0 +1500 incomplete 275/90/35/0
          turn 1 @0 incomplete 275/90/35/0 inferred
            model_call m @0 +0 90/0/10/0 by token_count
            model_call m @0 +1000 180/90/20/0 by token_count
            model_call m @1000 +500 5/0/5/0 by token_count
        thread %c @0 +2000 incomplete 300/0/30/0 forked_from %a
          turn 1 @2000 incomplete 300/0/30/0 inferred
            model_call m @2000 +0 300/0/30/0 by token_count
        ",
    );
}

/// What the forks of a thread that is not here have in common counts once, and
/// that the first of them may have it from there is said.
#[test]
fn reduced_forks_of_a_lost_thread_share_its_counts() {
    let home = Home::new("reduced-siblings")
        .script("%c", &reduced("%c", r#""%a""#, "2000 count 300/0/30/0"))
        .script("%d", &reduced("%d", r#""%a""#, "2000 count 5/0/5/0"));
    home.check(
        r"
        thread %c @0 +2000 incomplete 570/90/60/0 forked_from %a
          turn 1 @0 incomplete 570/90/60/0 inferred
            model_call m @0 +0 90/0/10/0 by token_count
            model_call m @0 +1000 180/90/20/0 by token_count
            model_call m @1000 +1000 300/0/30/0 by token_count
        ? inferred_boundary
        thread %d @0 +2000 incomplete 5/0/5/0 forked_from %a
          turn 1 @2000 incomplete 5/0/5/0 inferred
            model_call m @2000 +0 5/0/5/0 by token_count
        ",
    );
}

/// A migration puts brackets around the beginning of a review; its findings
/// come under the id of the reviewer's turn, which is in another file.
#[test]
fn a_migrated_review_is_one_turn() {
    check(
        r#"
        ordinals 0
        0 meta {"id":"%a","cli_version":"0.140.0","history_mode":"paginated"}
        100 started rollout-13
        100 done rollout-13 {"type":"EnteredReviewMode","id":"item-4","user_facing_hint":"look"}
        300 complete rollout-13
        300 started %c
        310 done %c {"type":"UserMessage","id":"item-5","content":[{"type":"text","text":"look"}]}
        900 user <user_action>found</user_action>
        900 done %c {"type":"ExitedReviewMode","id":"item-9","review_output":{"findings":[]}}
        900 says done
        910 complete %b
        1000 started %d
        1000 context {"turn_id":"%d","model":"m"}
        1010 user next
        1100 says 2
        1110 count 180/90/20/0
        1120 complete %d
        "#,
        r"
        thread %a @0 +1120 180/90/20/0
          turn 1 @100 +810 review
          turn 2 @1000 +120 180/90/20/0
            model_call m @1000 +100 180/90/20/0 by token_count
        ",
    );
}

/// A review in a thread of its own is a fork: its first own line comes before
/// the reviewer's turn, and the answer is the reviewer's.
#[test]
fn a_detached_review_begins_with_its_first_line() {
    check(
        r#"
        1000 meta {"id":"%c","forked_from_id":"%a","cli_version":"0.140.0"}
        1000 meta {"id":"%a","cli_version":"0.140.0"}
        1000 started %b
        1000 user one
        1000 says 1
        1000 count 90/0/10/0
        1000 complete %b
        1040 event {"type":"entered_review_mode","user_facing_hint":"look"}
        1300 started %e
        1900 user <user_action>found</user_action>
        1900 event {"type":"exited_review_mode","review_output":{"findings":[]}}
        1900 says done
        1910 complete %d
        "#,
        r"
        thread %c @0 +910 forked_from %a
          turn 1 @40 +870 inferred review
        ",
    );
}
