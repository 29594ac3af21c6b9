//! Where a child hangs that no call names, and what its parent shows of it
//! (rollout-format §7.9, §7.10). Ids are older the earlier their letter.

use codex_rollout::{ResponseItem, Source};
use codex_trace_model::{UsageInput, resolve_usage};

use crate::script::{Home, check, rollout_of, with_script};
use crate::support::{for_each_trace, testdata};

/// A guardian says no more than which turn of the user led to it (0.153 to 0.162).
#[test]
fn a_guardian_hangs_under_the_turn_that_it_judged() {
    Home::new("guardian")
        .script(
            "%a",
            r#"
            0 meta {"id":"%a","session_id":"%a","cli_version":"0.160.0"}
            100 started %b
            110 user one
            111 typed one
            120 record %b r1 100/0/10/0
            200 complete %b
            300 started %c
            310 user two
            311 typed two
            320 record %c r2 200/0/10/0
            900 complete %c
            "#,
        )
        .script(
            "%d",
            r#"
            400 meta {"id":"%d","session_id":"%a","parent_thread_id":"%a","cli_version":"0.160.0","source":{"subagent":{"other":"guardian"}}}
            410 started %e
            420 context {"turn_id":"%e","root_turn_id":"%c","model":"codex-auto-review"}
            430 user may it?
            431 typed may it?
            500 line token_usage_record {"thread_id":"%d","turn_id":"%e","root_turn_id":"%c","response_id":"r3","usage":{"input_tokens":50,"output_tokens":5,"total_tokens":55}}
            600 complete %e
            "#,
        )
        .check(
            r"
            thread %a @0 +900 300/0/20/0
              turn 1 @100 +100 100/0/10/0
                model_call @100 +20 100/0/10/0 by usage_record
              turn 2 @300 +600 200/0/10/0
                thread %d @400 +200 50/0/5/0
                  turn 1 @410 +190 50/0/5/0
                    model_call codex-auto-review @410 +90 50/0/5/0 by usage_record
                model_call @300 +20 200/0/10/0 by usage_record
            ",
        );
}

/// The user's turn was in a thread above both: the parent's turn that it led
/// to and that ran then is the one.
#[test]
fn a_grandchild_hangs_under_the_turn_of_its_parent_that_ran() {
    Home::new("grandchild")
        .script(
            "%a",
            r#"
            0 meta {"id":"%a","cli_version":"0.160.0"}
            100 started %b
            900 complete %b
            "#,
        )
        .script(
            "%c",
            r#"
            200 meta {"id":"%c","parent_thread_id":"%a","cli_version":"0.160.0"}
            210 started %d
            220 context {"turn_id":"%d","root_turn_id":"%b"}
            300 complete %d
            400 started %e
            410 context {"turn_id":"%e","root_turn_id":"%b"}
            800 complete %e
            "#,
        )
        .script(
            "%f",
            r#"
            500 meta {"id":"%f","parent_thread_id":"%c","cli_version":"0.160.0"}
            510 started %g
            520 context {"turn_id":"%g","root_turn_id":"%b"}
            600 complete %g
            "#,
        )
        .check(
            r"
            thread %a @0 +900
              turn 1 @100 +800
                thread %c @200 +600
                  turn 1 @210 +90
                  turn 2 @400 +400
                    thread %f @500 +100
                      turn 1 @510 +90
            ",
        );
}

/// Of two reviews, the one in which the reviewer's turn shows, whatever the
/// clocks say.
#[test]
fn a_reviewer_hangs_under_the_review_that_shows_its_turn() {
    Home::new("forwarded")
        .script(
            "%a",
            r#"
            0 meta {"id":"%a","cli_version":"0.140.0"}
            100 event {"type":"entered_review_mode","user_facing_hint":"one"}
            110 started %d
            200 event {"type":"exited_review_mode","review_output":{}}
            210 complete %c
            300 event {"type":"entered_review_mode","user_facing_hint":"two"}
            310 started %g
            400 event {"type":"exited_review_mode","review_output":{}}
            410 complete %f
            "#,
        )
        .script(
            "%e",
            r#"
            150 meta {"id":"%e","parent_thread_id":"%a","cli_version":"0.140.0","source":{"subagent":"review"}}
            310 started %g
            400 complete %g
            "#,
        )
        .check(
            r"
            thread %a @0 +410
              turn 1 @100 +110 inferred review
              turn 2 @300 +110 inferred review
                thread %e @300 +100 recorded @150 +250
                  turn 1 @310 +90
            ",
        );
}

/// Reviewers of 0.100 to 0.135 name no parent: the thread that shows their turn
/// is it, and of two the older one, which the other one copied.
#[test]
fn a_reviewer_without_a_parent_is_found_by_its_turn() {
    let reviewed = r#"
        0 meta {"id":"%a","cli_version":"0.128.0","cwd":"/w"}
        100 event {"type":"entered_review_mode","user_facing_hint":"one"}
        110 started %d
        200 event {"type":"exited_review_mode","review_output":{}}
        210 complete %c
    "#;
    let fork = r#"
        300 meta {"id":"%e","forked_from_id":"%a","cli_version":"0.128.0","cwd":"/w"}
        300 meta {"id":"%a","cli_version":"0.128.0","cwd":"/w"}
        300 event {"type":"entered_review_mode","user_facing_hint":"one"}
        300 started %d
        300 event {"type":"exited_review_mode","review_output":{}}
        300 complete %c
    "#;
    let reviewer = r#"
        105 meta {"id":"%b","cli_version":"0.128.0","source":{"subagent":"review"},"cwd":"/w"}
        110 started %d
        120 says done
        130 count 40/0/5/0
        190 complete %d
    "#;
    Home::new("orphaned").script("%a", reviewed).script("%b", reviewer).script("%e", fork).check(
        r"
        thread %a @0 +210
          turn 1 @100 +110 inferred review
            thread %b @105 +85 40/0/5/0
              turn 1 @110 +80 40/0/5/0
                model_call @110 +10 40/0/5/0 by token_count
        thread %e @0 +0 forked_from %a
        ",
    );
}

/// What `codex migrate-rollouts` makes of a review: brackets of its own around
/// the beginning, and the reviewer's turn in the place of the review's.
const MIGRATED_REVIEW: &str = r#"
    ordinals 0
    0 meta {"id":"%a","cli_version":"0.140.0","history_mode":"paginated"}
    100 started rollout-13
    100 done rollout-13 {"type":"EnteredReviewMode","id":"item-4","thread_id":"%a","user_facing_hint":"changes"}
    150 complete rollout-13
    150 started %c
    160 done %c {"type":"UserMessage","id":"item-5","thread_id":"%a","content":[{"type":"text","text":"review this"}]}
    161 done %c {"type":"UserMessage","id":"item-6","thread_id":"%a","content":[{"type":"text","text":"review this"}]}
    200 done %c {"type":"Reasoning","id":"item-7","thread_id":"%a","summary_text":["**Thinking**"]}
    300 user <user_action> the findings
    301 done %c {"type":"ExitedReviewMode","id":"item-9","thread_id":"%a","review_output":{"findings":[]}}
    302 says done
    303 done %c {"type":"AgentMessage","id":"item-10","thread_id":"%a","content":[{"type":"Text","text":"done"}]}
    310 complete %b
    400 started %d
    410 context {"turn_id":"%d","model":"m"}
    420 user next
    430 says yes
    440 count 100/0/10/0
    450 complete %d
"#;

#[test]
fn a_migrated_review_is_one_turn_and_has_ended() {
    check(
        MIGRATED_REVIEW,
        r"
        thread %a @0 +450 100/0/10/0
          turn 1 @100 +210 review
          turn 2 @400 +50 100/0/10/0
            model_call m @400 +30 100/0/10/0 by token_count
        ",
    );
    with_script(MIGRATED_REVIEW, |trace| {
        let reviews: Vec<_> = trace.spans.iter().filter_map(review_of).collect();
        assert_eq!(reviews, [("changes".to_owned(), r#"{"findings":[]}"#.to_owned())]);
    });
    assert_eq!(calls_by_usage(MIGRATED_REVIEW), Some(1));
}

/// The hint and the findings of a turn that is a review.
fn review_of(span: &codex_trace_model::Span<'_>) -> Option<(String, String)> {
    let codex_trace_model::SpanKind::Turn(turn) = &span.kind else { return None };
    let review = turn.review?;
    let output = String::from_utf8(review.output?.raw().to_vec()).unwrap();
    Some((review.hint?.decode().into_owned(), output))
}

/// How many model calls are found without content; `None` if that takes content.
fn calls_by_usage(script: &str) -> Option<usize> {
    let source = Source::from_bytes(rollout_of(script));
    let input = UsageInput::new("made", "made", source.lines());
    resolve_usage([input]).map(|trace| trace.model_calls().count())
}

/// A review that was cut short is followed by a turn with settings of its own.
#[test]
fn a_turn_after_a_migrated_review_that_was_killed_is_its_own() {
    check(
        r#"
        ordinals 0
        0 meta {"id":"%a","cli_version":"0.140.0","history_mode":"paginated"}
        100 started rollout-13
        100 done rollout-13 {"type":"EnteredReviewMode","id":"item-4","thread_id":"%a","user_facing_hint":"changes"}
        100 complete rollout-13
        400 started %d
        410 context {"turn_id":"%d","model":"m"}
        420 user next
        430 says yes
        440 count 100/0/10/0
        450 complete %d
        "#,
        r"
        thread %a @0 +450 100/0/10/0
          turn 1 @100 incomplete review
          turn 2 @400 +50 100/0/10/0
            model_call m @400 +30 100/0/10/0 by token_count
        ",
    );
}

/// A detached review of a legacy thread is a fork whose first own line is the
/// beginning of the review (0.128 to 0.142).
#[test]
fn a_detached_review_begins_before_the_reviewers_turn() {
    let parent = r#"
        0 meta {"id":"%a","cli_version":"0.140.0"}
        100 started %b
        110 user one
        111 typed one
        200 says 1
        210 count 90/0/10/0
        220 complete %b
    "#;
    let fork = r#"
        1000 meta {"id":"%c","forked_from_id":"%a","cli_version":"0.140.0"}
        1000 meta {"id":"%a","cli_version":"0.140.0"}
        1000 started %b
        1000 user one
        1000 typed one
        1000 says 1
        1000 count 90/0/10/0
        1000 complete %b
        1100 event {"type":"entered_review_mode","user_facing_hint":"detached"}
        1200 started %f
        1210 typed detached
        1211 typed detached
        1300 user <user_action> the findings
        1301 event {"type":"exited_review_mode","review_output":{"findings":[]}}
        1302 says done
        1310 complete %d
    "#;
    let reviewer = r#"
        1110 meta {"id":"%e","parent_thread_id":"%c","cli_version":"0.140.0","source":{"subagent":"review"}}
        1200 started %f
        1210 user detached
        1211 typed detached
        1250 says done
        1260 count 40/0/5/0
        1290 complete %f
    "#;
    Home::new("detached").script("%a", parent).script("%c", fork).script("%e", reviewer).check(
        r"
        thread %a @0 +220 90/0/10/0
          turn 1 @100 +120 90/0/10/0
            model_call @100 +100 90/0/10/0 by token_count
        thread %c @0 +310 forked_from %a
          turn 1 @100 +210 inferred review
            thread %e @110 +180 40/0/5/0
              turn 1 @200 +90 40/0/5/0
                model_call @200 +50 40/0/5/0 by token_count
        ",
    );
    // Lines one by one do not tell in time whose the beginning was.
    assert_eq!(calls_by_usage(fork), None);
}

/// The ancestor's review was killed, and is no beginning of the fork's turn.
#[test]
fn a_copied_review_that_was_killed_stays_the_ancestors() {
    check(
        r#"
        1000 meta {"id":"%c","forked_from_id":"%a","cli_version":"0.140.0"}
        1000 meta {"id":"%a","cli_version":"0.140.0"}
        1000 started %b
        1000 complete %b
        1000 event {"type":"entered_review_mode","user_facing_hint":"cut"}
        1200 started %f
        1205 context {"turn_id":"%f","model":"m"}
        1210 user go
        1211 typed go
        1300 says 2
        1305 count 40/0/5/0
        1310 complete %f
        "#,
        r"
        thread %c @0 +310 40/0/5/0 forked_from %a
          turn 1 @200 +110 40/0/5/0
            model_call m @200 +100 40/0/5/0 by token_count
        ",
    );
}

/// Homes that real programs wrote, if they are there: all turns have ended, a
/// thread that is no fork has none but its own, every reviewer hangs under its
/// review.
#[test]
fn reviews_of_real_homes_are_one_turn_each() {
    let corpus = testdata("../../shared/corpus/real-codex-2");
    if !corpus.is_dir() {
        eprintln!("skipped: {} is not there", corpus.display());
        return;
    }
    // Sessions, turns of the one that is no fork, reviewers under a turn.
    for (home, expected) in [
        ("review128", (2, 3, 2)),
        ("review140", (2, 3, 2)),
        ("mig-review140", (2, 3, 2)),
        ("review171", (1, 3, 1)),
    ] {
        let mut found = (0, 0, 0);
        for_each_trace(&corpus.join(home), |trace| {
            found.0 += 1;
            assert_eq!(trace.status().word(), "ok", "{home} {}", trace.session_id());
            let children = |kind: &'static str, of| {
                trace.children(of).filter(move |(_, span)| span.kind.word() == kind)
            };
            for (turn, _) in children("turn", codex_trace_model::SpanIx(0)) {
                found.1 += usize::from(trace.spans[0].links().is_empty());
                found.2 += children("thread", turn).count();
            }
        });
        assert_eq!(found, expected, "{home}");
    }
}

/// The parent of a review repeats the reviewer's answer (line 89 of the longer
/// file, line 12 of the other): the model of the parent never said it.
#[test]
fn the_echo_of_a_review_is_not_of_the_parents_model() {
    let mut made = Vec::new();
    for_each_trace(&testdata("homes/d153.0"), |trace| {
        let items = trace.threads.iter().flat_map(|thread| &thread.items);
        let answers = items.filter(|item| item.body.is_answer());
        let of_review = answers.filter(|item| {
            let ResponseItem::Message(message) = &item.body else { return false };
            message.content.is_some_and(|it| {
                String::from_utf8_lossy(it.raw()).contains(r#""text":"plain answer 008""#)
            })
        });
        made.extend(of_review.map(|item| (item.position.line(), item.made_by_model)));
    });
    made.sort_unstable();
    assert_eq!(made, [(12, true), (89, false)]);
}

/// Cases made after public reports, if they are there: their structure.
#[test]
fn cases_have_the_structure_that_they_describe() {
    let cases = testdata("../../shared/cases");
    if !cases.is_dir() {
        eprintln!("skipped: {} is not there", cases.display());
        return;
    }
    let found = |case: &str, kind: &str| {
        let mut found = Vec::new();
        for_each_trace(&cases.join(case).join("home"), |trace| {
            let spans = trace.spans.iter().filter(|span| span.kind.word() == kind);
            found.extend(spans.map(|span| {
                let parent = span.parent.map_or("", |parent| trace.span(parent).kind.word());
                format!("{} {} {parent}", span.name, span.status.word())
            }));
        });
        found
    };
    // The root, and the guardian under the turn that it judged.
    let threads = ["thread ok ", "thread ok turn"];
    assert_eq!(found("02-guardian-beside-paginated", "thread"), threads);
    let calls = ["search ok turn", "fetch error turn"];
    assert_eq!(found("23-mcp-end-only", "tool_call"), calls);
    let searches = ["web_search ok turn"; 3];
    assert_eq!(found("31-web-search-end-and-idless-item", "tool_call"), searches);
    // The memory writer is a session of its own.
    let threads = ["thread ok "; 2];
    assert_eq!(found("26-memory-consolidation", "thread"), threads);
}
