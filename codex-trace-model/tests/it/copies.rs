//! Several files of one rollout: what they hold decides, never where they are,
//! what they are called, or in which order they are found.

use std::fmt::Write;
use std::path::Path;

use codex_rollout::Copies;
use codex_trace_model::{SpanKind, Tree, group};

use crate::script::{Home, compare, rollout_of};
use crate::support::{heads, testdata, with_trace};
use crate::usage_only::{facts, skimmed_facts};

const COMMON: &str = r#"
    0 meta {"id":"%a","cli_version":"0.144.5"}
    100 started %b
    110 user hi
    120 typed hi
    200 says ho
    210 count 90/0/10/0
    220 complete %b
"#;

const LAPTOP: &str = "
    1000 started %c
    1010 user laptop
    1100 says one
    1110 count 190/0/10/0
    1120 complete %c
";

const DESKTOP: &str = "
    2000 started %d
    2010 user desktop
    2100 says two
    2110 count 290/0/10/0
    2120 complete %d
";

const SESSIONS: &str = "sessions/2026/01/01/rollout-2026-01-01T00-00-00-%a.jsonl";
const ARCHIVED: &str = "archived_sessions/rollout-2026-01-01T00-00-00-%a.jsonl";

fn script(parts: &[&str]) -> Vec<u8> {
    rollout_of(&parts.concat())
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 0).unwrap()
}

/// Compares the sessions below a directory, and what was odd, in every order
/// of the files, read with and without content.
#[track_caller]
fn check(root: &Path, expected: &str) {
    let found = heads(root);
    assert!(found.len() > 1, "{found:?}");
    for turned in 0..found.len() {
        let mut heads = found.clone();
        heads.rotate_left(turned);
        for _ in 0..2 {
            heads.reverse();
            let mut text = String::new();
            let mut sessions = group(&heads, &Copies::find(&heads));
            // Sessions come in the order of the files.
            sessions.sort_by(|a, b| a.root_thread_id.cmp(&b.root_thread_id));
            for session in sessions {
                with_trace(&heads, &session, |trace| {
                    trace.validate().unwrap();
                    assert!(trace.threads.iter().all(|thread| thread.account.closes()));
                    text += &Tree(trace).to_string();
                });
                if let Some(skimmed) = skimmed_facts(&heads, &session) {
                    assert_eq!(skimmed, with_trace(&heads, &session, facts));
                }
                for odd in &session.diagnostics {
                    let line = odd.position.unwrap().line();
                    writeln!(text, "? {} {line}", odd.code.word()).unwrap();
                }
            }
            compare(&text, expected);
        }
    }
}

const WHOLE: &str = "
    thread %a @0 +1120 280/0/20/0
      turn 1 @100 +120 90/0/10/0
        model_call @100 +100 90/0/10/0 by token_count
      turn 2 @1000 +120 190/0/10/0
        model_call @1000 +100 190/0/10/0 by token_count
";

#[test]
fn the_longer_of_two_is_read_wherever_it_is_and_nothing_is_said() {
    let (old, new) = (script(&[COMMON]), script(&[COMMON, LAPTOP]));
    let torn = &new[..new.len() - 30];
    let copy = SESSIONS.replace(".jsonl", " 2.jsonl");
    let other_day = SESSIONS.replace("01/01/rollout", "02/07/rollout");
    let (zst, cut) = (zstd(&new), zstd(torn));
    let cases: [(&str, &[u8], &str, &[u8]); 8] = [
        (SESSIONS, &old, ARCHIVED, &new),
        (ARCHIVED, &old, SESSIONS, &new),
        (SESSIONS, &new, &copy, &old),
        (SESSIONS, &old, &copy, &new),
        (SESSIONS, &old, &other_day, &new),
        (SESSIONS, &old, &format!("{SESSIONS}.zst"), &zst),
        (SESSIONS, &new, &format!("{SESSIONS}.zst"), &cut),
        // A copy that was made while a line was written.
        (SESSIONS, torn, ARCHIVED, &new),
    ];
    for (nth, (one, bytes, other, others)) in cases.into_iter().enumerate() {
        let home = Home::new(&format!("longer{nth}")).file(one, bytes).file(other, others);
        check(home.root(), WHOLE);
        let heads = heads(home.root());
        let [session] = &group(&heads, &Copies::find(&heads))[..] else { unreachable!() };
        let [member] = &session.members[..] else { unreachable!() };
        assert_eq!(member.copies.len(), 1, "the other file is named: {member:?}");
    }
}

#[test]
fn what_went_on_on_two_machines_is_read_once_and_then_both() {
    let name = "rollout-2026-01-01T00-00-00-%a.jsonl";
    let home = Home::new("machines")
        .file(&format!("sessions/a/{name}"), &script(&[COMMON, DESKTOP]))
        .file(&format!("sessions/b/{name}"), &script(&[COMMON, LAPTOP]));
    check(
        home.root(),
        "
        thread %a @0 +2120 570/0/30/0
          turn 1 @100 +120 90/0/10/0
            model_call @100 +100 90/0/10/0 by token_count
          turn 2 @1000 +120 190/0/10/0
            model_call @1000 +100 190/0/10/0 by token_count
          turn 3 @2000 +120 290/0/10/0
            model_call @2000 +100 290/0/10/0 by token_count
        ? diverged 8
        ",
    );
    // Each call saw what its own file has before it, and spans name their file.
    let heads = heads(home.root());
    let sessions = group(&heads, &Copies::find(&heads));
    with_trace(&heads, &sessions[0], |trace| {
        let seen: Vec<(u32, char)> = trace
            .model_calls()
            .map(|call| {
                let SpanKind::ModelCall(it) = &call.kind else { unreachable!() };
                let thread = trace.thread_of(call);
                let history = &thread.histories[it.window.history as usize];
                let base: u32 = history.base.iter().map(|range| range.1.0 - range.0.0).sum();
                let file = &thread.rollouts[call.provenance.rollout.0 as usize].path;
                let machine = file.rsplit('/').nth(1).unwrap().chars().next().unwrap();
                (base + it.window.end.0 - history.from, machine)
            })
            .collect();
        assert_eq!(seen, [(1, 'b'), (3, 'b'), (3, 'a')]);
    });
}

/// Before turns had ids, only the file that was copied tells how much was.
#[test]
fn a_fork_may_have_left_either_of_two_copies() {
    let own = "
        5000 context {\"cwd\":\"/w\"}
        5010 user fork
        5020 typed fork
        5100 says done
        5110 count 7/0/1/0
    ";
    let meta = r#"
        5000 meta {"id":"%e","forked_from_id":"%a","cli_version":"0.98.0"}
    "#;
    let old = |text: &str| text.replace("0.144.5", "0.98.0");
    for went_on in [LAPTOP, DESKTOP] {
        let name = "rollout-2026-01-01T00-00-00-%a.jsonl";
        let home = Home::new("forked-copy")
            .file(&format!("sessions/a/{name}"), &script(&[&old(COMMON), DESKTOP]))
            .file(&format!("sessions/b/{name}"), &script(&[&old(COMMON), LAPTOP]))
            .file(
                "sessions/b/rollout-2026-01-01T00-00-05-%e.jsonl",
                &script(&[meta, &old(COMMON), went_on, own]),
            );
        for session in group(&heads(home.root()), &Copies::find(&heads(home.root()))) {
            let n_calls = with_trace(&heads(home.root()), &session, |it| it.model_calls().count());
            let expected = if session.members.len() == 2 { 3 } else { 1 };
            assert_eq!(n_calls, expected, "{went_on}");
        }
    }
}

/// A fork names its base by a byte and an ordinal: only one of two files that
/// went on apart has both.
#[test]
fn a_paginated_fork_continues_the_file_that_has_its_base() {
    let ordinals = |text: &str| {
        let common = COMMON.replace(r#""%a","#, r#""%a","history_mode":"paginated","#);
        script(&["ordinals 0\n", &common, text])
    };
    // The totals that the turns before come to; the fork repeats them.
    for (nth, (went_on, total)) in [(LAPTOP, 280), (DESKTOP, 380)].into_iter().enumerate() {
        let base = ordinals(went_on);
        let (end, lines) = (base.len(), base.split(|byte| *byte == b'\n').count() - 1);
        let fork = format!(
            r#"
            ordinals {lines}
            5000 meta {{"id":"%e","cli_version":"0.148.0","history_mode":"paginated","forked_from_id":"%a","history_base":{{"thread_id":"%a","end_ordinal_exclusive":{lines},"end_byte_offset":{end}}}}}
            5001 count {last}/0/10/0 of {total}/0/20/0
            5010 started %f
            5100 says done
            5110 count 7/0/1/0
            5120 complete %f
            "#,
            last = total - 90,
        );
        let name = "rollout-2026-01-01T00-00-00-%a.jsonl";
        let home = Home::new(&format!("base-of-two{nth}"))
            .file(&format!("sessions/a/{name}"), &ordinals(DESKTOP))
            .file(&format!("sessions/b/{name}"), &ordinals(LAPTOP))
            .file("sessions/b/rollout-2026-01-01T00-00-05-%e.jsonl", &script(&[&fork]));
        let sessions = group(&heads(home.root()), &Copies::find(&heads(home.root())));
        let fork = sessions.iter().find(|session| session.members.len() == 1).unwrap();
        let calls = with_trace(&heads(home.root()), fork, |trace| {
            let usage = trace.model_calls().map(|call| call.usage.unwrap().input_tokens);
            usage.collect::<Vec<_>>()
        });
        assert_eq!(calls, [7], "{went_on}");
    }
}

/// Somebody gave two threads one id, as tests of other tools do: all of both is
/// read, even what has the same turn id, and it is said that they do not belong
/// together.
#[test]
fn files_that_begin_otherwise_are_read_whole() {
    let other = r#"
        7000 meta {"id":"%a","cli_version":"0.120.0","cwd":"/elsewhere"}
        7100 started t-1
        7110 user other
        7200 says so
        7210 count 500/0/10/0
        7220 complete t-1
    "#;
    let one = COMMON.replace("%b", "t-1");
    let home =
        Home::new("one-id").file(SESSIONS, &script(&[&one])).file(ARCHIVED, &script(&[other]));
    check(
        home.root(),
        "
        thread %a @0 +7220 590/0/20/0
          turn 1 @100 +120 90/0/10/0
            model_call @100 +100 90/0/10/0 by token_count
          turn 2 @7100 +120 500/0/10/0
            model_call @7100 +100 500/0/10/0 by token_count
        ? diverged 2
        ",
    );
    let found = heads(home.root());
    let odd = &group(&found, &Copies::find(&found))[0].diagnostics;
    assert!(odd[0].text.contains("and begins otherwise"), "{odd:?}");
    // Of those that begin alike, it is said where they part.
    let home = Home::new("one-thread")
        .file(SESSIONS, &script(&[&one, LAPTOP]))
        .file(ARCHIVED, &script(&[&one, DESKTOP]));
    let found = heads(home.root());
    let odd = &group(&found, &Copies::find(&found))[0].diagnostics;
    assert!(odd[0].text.contains("(line 8 there)"), "{odd:?}");
}

/// A third machine went on from where the second one had been for a while, and
/// somebody kept a copy of the beginning.
#[test]
fn a_branch_may_leave_a_branch() {
    let third = "
        3000 started %e
        3010 user phone
        3100 says three
        3110 count 390/0/10/0
        3120 complete %e
    ";
    let name = "rollout-2026-01-01T00-00-00-%a.jsonl";
    let home = Home::new("branches")
        .file(&format!("sessions/c/{name}"), &script(&[COMMON, LAPTOP]))
        .file(&format!("sessions/b/{name}"), &script(&[COMMON, DESKTOP]))
        .file(&format!("sessions/a/{name}"), &script(&[COMMON, DESKTOP, third]))
        .file(
            &format!("sessions/d/{name}"),
            &script(&[COMMON, DESKTOP, &third.replace("%e", "%f")]),
        )
        .file(&format!("sessions/e/{name}"), &script(&[COMMON]));
    check(
        home.root(),
        "
        thread %a @0 +3120 1350/0/50/0
          turn 1 @100 +120 90/0/10/0
            model_call @100 +100 90/0/10/0 by token_count
          turn 2 @1000 +120 190/0/10/0
            model_call @1000 +100 190/0/10/0 by token_count
          turn 3 @2000 +120 290/0/10/0
            model_call @2000 +100 290/0/10/0 by token_count
          turn 4 @3000 +120 390/0/10/0
            model_call @3000 +100 390/0/10/0 by token_count
          turn 5 @3000 +120 390/0/10/0
            model_call @3000 +100 390/0/10/0 by token_count
        ? diverged 8
        ? diverged 13
        ",
    );
}

/// The file was copied in the middle of a turn, which then ended in one of them.
#[test]
fn the_rest_of_a_turn_is_read_where_it_went_on() {
    let cut = "
        1000 started %c
        1010 user long
        1020 typed long
        1100 call c1 shell {}
        1110 count 100/0/10/0
    ";
    let ended = "
        1300 output c1 done
        1400 says one
        1410 count 190/0/10/0
        1420 complete %c
    ";
    let resumed = "
        1200 aborted %c interrupted
        2000 started %d
        2010 user other
        2100 says two
        2110 count 290/0/10/0
        2120 complete %d
    ";
    let home = Home::new("midturn")
        .file(SESSIONS, &script(&[COMMON, cut, resumed]))
        .file(ARCHIVED, &script(&[COMMON, cut, ended]));
    check(
        home.root(),
        "
        thread %a @0 +2120 670/0/40/0
          turn 1 @100 +120 90/0/10/0
            model_call @100 +100 90/0/10/0 by token_count
          turn 2 @1000 +200 interrupted: interrupted 100/0/10/0
            model_call @1000 +100 100/0/10/0 by token_count
            tool_call shell @1100 interrupted: interrupted command
          turn 3 @2000 +120 290/0/10/0
            model_call @2000 +100 290/0/10/0 by token_count
          turn 4 @1300 +120 190/0/10/0 !late
            model_call @1300 +100 190/0/10/0 by token_count
        ? diverged 13
        ",
    );
}

/// Tools that switch providers write the first line of every file anew.
#[test]
fn a_first_line_that_a_tool_has_rewritten_is_no_other_history() {
    let rewritten = COMMON.replace("0.144.5\"", "0.144.5\",\"model_provider\":\"azure\"");
    let home = Home::new("switched")
        .file(SESSIONS, &script(&[&rewritten, LAPTOP]))
        .file(ARCHIVED, &script(&[COMMON, LAPTOP]));
    check(home.root(), &format!("{WHOLE}    ? duplicate 1\n"));
}

/// Somebody took a secret out of a copy, and lines out of another one.
#[test]
fn copies_with_lines_changed_or_left_out_add_nothing() {
    let whole = String::from_utf8(script(&[COMMON, LAPTOP])).unwrap();
    let redacted = whole.replace("laptop", "[redacted]");
    let fewer: Vec<&str> = whole.lines().filter(|line| !line.contains("\"ho\"")).collect();
    let home = Home::new("edited")
        .file(SESSIONS, whole.as_bytes())
        .file(ARCHIVED, redacted.as_bytes())
        .file("sessions/2026/rollout-2026-01-01T00-00-00-%a.jsonl", fewer.join("\n").as_bytes());
    let found = heads(home.root());
    let sessions = group(&found, &Copies::find(&found));
    let usage =
        with_trace(&found, &sessions[0], |trace| (trace.usage().total_tokens, trace.spans.len()));
    assert_eq!(usage, (300, 5));
    let odd: Vec<_> = sessions[0].diagnostics.iter().map(|it| it.code.word()).collect();
    assert_eq!(odd, ["duplicate", "duplicate"]);
}

/// §1.6: a backup from before the migration, and the migrated file, in which
/// the thread went on.
#[test]
fn a_migrated_rollout_and_its_backup_are_one_history() {
    let migrated = r#"
        ordinals 0
        0 meta {"id":"%a","cli_version":"0.144.5","history_mode":"paginated"}
        100 started %b
        110 user hi
        120 done %b {"type":"UserMessage","id":"item-1","content":[{"type":"text","text":"hi"}]}
        200 says ho
        210 count 90/0/10/0
        220 complete %b
    "#;
    let home = Home::new("migrated")
        .file(SESSIONS, &script(&[migrated, LAPTOP]))
        .file(ARCHIVED, &script(&[COMMON]));
    check(home.root(), &format!("{WHOLE}    ? diverged 8\n"));
}

#[cfg(unix)]
#[test]
fn one_file_of_two_names_is_one_file() {
    let home = Home::new("linked").file(SESSIONS, &script(&[COMMON, LAPTOP]));
    let one = heads(home.root())[0].rollout.path.clone();
    let two = one.file_name().unwrap();
    std::fs::hard_link(&one, home.root().join("sessions").join(two)).unwrap();
    check(home.root(), WHOLE);
    let heads = heads(home.root());
    assert!(group(&heads, &Copies::find(&heads))[0].members[0].copies.is_empty());
}

/// Copies are compared as they are in real homes, too: the beginning of each
/// file beside the whole of it changes nothing.
#[test]
fn the_beginning_of_a_real_file_beside_it_changes_nothing() {
    for name in ["r98", "r144", "s144", "r169", "fk98.0", "rb144"] {
        let mut home = Home::new(&format!("beginning-{name}"));
        let mut whole = String::new();
        let found = heads(&testdata("homes").join(name));
        for session in group(&found, &Copies::find(&found)) {
            with_trace(&found, &session, |trace| whole += &Tree(trace).to_string());
        }
        for head in &found {
            let bytes = std::fs::read(&head.rollout.path).unwrap();
            let file = head.rollout.path.file_name().unwrap().to_str().unwrap();
            home = home.file(&format!("archived_sessions/{file}"), &bytes);
            home = home.file(&format!("sessions/{file}"), &bytes[..bytes.len() * 2 / 3]);
        }
        let found = heads(home.root());
        let mut text = String::new();
        for session in group(&found, &Copies::find(&found)) {
            assert_eq!(session.diagnostics, [], "{name}");
            with_trace(&found, &session, |trace| text += &Tree(trace).to_string());
        }
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&text), sorted(&whole), "{name}");
    }
}

/// F15 and ctx#614: whose file it is, is told by the name's id wherever the
/// `session_meta` with it stands; grouping and resolving go by the same.
#[test]
fn own_meta_may_come_after_the_ancestors() {
    let parent = r#"
        0 meta {"id":"%a","cli_version":"0.144.5"}
        100 started %b
        110 user hi
        200 says ho
        210 count 90/0/10/0
        220 complete %b
    "#;
    let own = r#"meta {"id":"%c","cli_version":"0.144.5","forked_from_id":"%a"}"#;
    let copied = "
        1000 started %b
        1000 user hi
        1000 says ho
        1000 count 90/0/10/0
        1000 complete %b
    ";
    let rest = "
        1100 started %d
        1110 user more
        1200 says yes
        1210 count 190/0/10/0
        1220 complete %d
    ";
    let first = r#"1000 meta {"id":"%a","cli_version":"0.144.5"}"#;
    for (nth, child) in [
        format!("{first}\n1000 {own}\n{copied}{rest}"),
        format!("1000 {own}\n{first}\n{copied}{rest}"),
        format!("{first}\n{copied}\n1000 {own}\n{rest}"),
    ]
    .iter()
    .enumerate()
    {
        let home = Home::new(&format!("own-meta{nth}")).script("%a", parent).script("%c", child);
        check(
            home.root(),
            "
            thread %a @0 +220 90/0/10/0
              turn 1 @100 +120 90/0/10/0
                model_call @100 +100 90/0/10/0 by token_count
            thread %c @0 +220 190/0/10/0 forked_from %a
              turn 1 @100 +120 190/0/10/0
                model_call @100 +100 190/0/10/0 by token_count
            ",
        );
    }
}
