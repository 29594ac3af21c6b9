//! Lines as no Codex should write them, and eras without most of what later
//! ones record (rollout-format §2 and §8).

use std::path::Path;

use crate::script::{Home, bytes_of, check, rollout_of, with_script};
use crate::support::testdata;

#[test]
fn an_empty_file_is_a_thread_without_turns() {
    check(
        "",
        r"
        thread made
        ? no_meta
        ",
    );
    check(
        "raw   ",
        r"
        thread made
        ? no_meta
        ",
    );
}

#[test]
fn a_meta_alone_is_a_thread_without_turns() {
    check(
        r#"0 meta {"id":"t","cli_version":"0.44.0"}"#,
        r"
        thread t @0 +0
        ",
    );
}

/// The thread is what the file is called; what its lines say of threads cannot
/// be checked.
#[test]
fn a_file_without_meta_has_its_turns() {
    check(
        r#"
        100 started a
        200 says hi
        210 line token_usage_record {"thread_id":"t","turn_id":"a","response_id":"r","usage":{"input_tokens":90,"output_tokens":10}}
        300 complete a
        "#,
        r"
        thread made @0 +200 90/0/10/0
          turn 1 @0 +200 90/0/10/0
            model_call @0 +100 90/0/10/0 by usage_record
        ? no_meta
        ",
    );
}

/// §3: the same id updates, another one is an ancestor's.
#[test]
fn a_later_meta_changes_no_identity() {
    check(
        r#"
        0 meta {"id":"t","cli_version":"0.144.5"}
        100 started a
        200 meta {"id":"t","memory_mode":"disabled"}
        210 meta {"id":"u"}
        300 complete a
        "#,
        r"
        thread t @0 +300
          turn 1 @100 +200
        ",
    );
}

#[test]
fn numbers_and_nonsense_as_timestamps() {
    check(
        r#"
        0 meta {"id":"t"}
        raw {"timestamp":1767225600.5,"type":"event_msg","payload":{"type":"task_started","turn_id":"a"}}
        raw {"timestamp":1767225601000,"type":"response_item","payload":{"type":"message","role":"assistant","content":[]}}
        raw {"timestamp":"yesterday","type":"response_item","payload":{"type":"message","role":"assistant","content":[]}}
        raw {"timestamp":-1e99,"type":"response_item","payload":{"type":"message","role":"assistant","content":[]}}
        raw {"timestamp":"2026-01-01T00:00:02Z","type":"event_msg","payload":{"type":"task_complete","turn_id":"a"}}
        "#,
        r"
        thread t @0 +2000
          turn 1 @500 +1500
            model_call @500 by items
        ? bad_timestamp 4
        ? bad_timestamp 5
        ",
    );
}

#[test]
fn absurd_dates_stay_within_their_turn() {
    check(
        r#"
        0 meta {"id":"t"}
        100 started a
        raw {"timestamp":"0001-01-01T00:00:00Z","type":"response_item","payload":{"type":"function_call","call_id":"c","name":"shell","arguments":"{}"}}
        raw {"timestamp":"9999-01-01T00:00:00Z","type":"response_item","payload":{"type":"function_call_output","call_id":"c","output":""}}
        400 complete a
        "#,
        r"
        thread t @0 +400
          turn 1 @100 +300
            model_call @100 by items
            tool_call shell command
        ? bad_timestamp 3
        ? bad_timestamp 4
        ",
    );
}

#[test]
fn damaged_lines_are_skipped_and_reported() {
    check(
        r#"
        0 meta {"id":"t"}
        100 started a
        raw {"timestamp":"2026-01-01T00:00:00.150Z","type":"event_msg","payload":{"type":"agent_
        raw {"timestamp":"2026-01-01T00:00:00.150Z","type":"resp{"timestamp":"2026-01-01T00:00:00.200Z","type":"response_item","payload":{"type":"message","role":"assistant","content":[]}}
        raw []
        raw {"a":"\ud83d"}
        raw {"timestamp":"2026-01-01T00:00:00.250Z","type":"event_msg","payload":7}
        raw {"timestamp":"2026-01-01T00:00:00.250Z","type":"response_item","payload":{"type":"novel_item"}}
        300 complete a
        "#,
        r"
        thread t @0 +300
          turn 1 @100 +200 !unknown
            model_call @100 +100 by items
        ? bad_line 3
        ? bad_line 4
        ? bad_line 5
        ? bad_line 6
        ? unknown_type 7
        ? unknown_type 8
        ",
    );
}

/// §8, 1 and 5: the tail is for later, a mark at the start is none of it.
#[test]
fn a_truncated_tail_and_a_byte_order_mark() {
    let mut bytes = b"\xEF\xBB\xBF".to_vec();
    bytes.extend(rollout_of(
        r#"
        0 meta {"id":"%a"}
        100 started a
        200 complete a
        "#,
    ));
    bytes.extend(b"{\"timestamp\":\"2026-01-01T00:00:01Z\",\"type\":\"eve");
    Home::new("tail")
        .file("sessions/2026/01/01/rollout-2026-01-01T00-00-00-%a.jsonl", &bytes)
        .check(
            r"
        thread %a @0 +200
          turn 1 @100 +100
        ? truncated_tail 4
        ",
        );
}

/// §8, 2 and 6.
#[test]
fn torn_characters_and_zeros_damage_their_line_only() {
    let mut bytes = rollout_of(
        r#"
        0 meta {"id":"%a"}
        100 started a
        "#,
    );
    bytes.extend(b"{\"timestamp\":\"2026-01-01T00:00:01Z\",\"type\":\"x\",\"payload\":{\"a\":\"\xE2\x82\"}}\n\0\0\0\n");
    bytes.extend(rollout_of("200 complete a"));
    Home::new("torn")
        .file("sessions/2026/01/01/rollout-2026-01-01T00-00-00-%a.jsonl", &bytes)
        .check(
            r"
        thread %a @0 +200
          turn 1 @100 +100
        ? bad_line 3
        ? bad_line 4
        ",
        );
}

/// §2.2: local time with a false Z is no instant; before that it was UTC.
#[test]
fn the_first_rust_versions_knew_no_time_but_the_first() {
    let created = |timestamp: &str| {
        with_script(&format!(r#"raw {{"id":"x","timestamp":"{timestamp}"}}"#), |trace| {
            let thread = trace.root();
            (thread.created.is_some(), thread.created_local.is_some())
        })
    };
    assert_eq!(created("2025-05-08T10:00:00.000Z"), (true, false));
    assert_eq!(created("2025-08-01T10:00:00.000Z"), (false, true));
}

/// §2.2 and §5.6: calls and outputs of one response in turns; then a line of
/// state, where there are any.
#[test]
fn state_lines_part_the_responses_of_bare_rollouts() {
    let items = |state: &str| {
        let call = |id: &str| {
            format!(
                r#"
                raw {{"type":"function_call","name":"shell","arguments":"{{}}","call_id":"{id}"}}
                raw {{"type":"function_call_output","call_id":"{id}","output":""}}
                "#
            )
        };
        format!(
            r#"
            raw {{"id":"t","timestamp":"2025-08-01T12:00:00.123Z"}}
            raw {{"type":"message","role":"user","content":[{{"type":"input_text","text":"go"}}]}}
            {state}
            {}{}
            {state}
            raw {{"type":"message","role":"assistant","content":[{{"type":"output_text","text":"2"}}]}}
            "#,
            call("c1"),
            call("c2"),
        )
    };
    check(
        &items(r#"raw {"record_type":"state"}"#),
        r"
        thread t
          turn 1 inferred
            model_call by items
            tool_call shell command
            tool_call shell command
            model_call by items
        ",
    );
    // Without them each answer to a tool is a response of its own.
    check(
        &items(""),
        r"
        thread t
          turn 1 inferred
            model_call by items
            tool_call shell command
            model_call by items
            tool_call shell command
            model_call by items
        ",
    );
}

/// §2.1: written anew by another name after each item, by one name later. The
/// clock was right in that program.
#[test]
fn saves_of_one_typescript_session_are_one() {
    let save = |count: usize| {
        let all = [
            r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}"#,
            r#"{"type":"function_call","id":"fc","call_id":"c","name":"shell","arguments":"{}"}"#,
            r#"{"type":"function_call_output","call_id":"c","output":"{\"output\":\"aborted\",\"metadata\":{\"exit_code\":1,\"duration_seconds\":0}}"}"#,
            r#"{"type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"ho","annotations":[]}]}"#,
        ];
        let items = all[..count].join(",\n");
        format!(
            r#"{{
  "session": {{"timestamp":"2025-06-02T23:59:12.345Z","id":"s{count}","instructions":""}},
  "items": [{items}]
}}"#
        )
    };
    let name = |n: u8| {
        format!(
            "sessions/rollout-2025-06-0{}-00000000-0000-4000-8000-00000000000{n}.json",
            2 + n / 3
        )
    };
    Home::new("typescript")
        .file(&name(1), save(1).as_bytes())
        .file(&name(2), save(3).as_bytes())
        .file(&name(3), save(4).as_bytes())
        .check(
            r"
            thread s4 @0
              turn 1 inferred
                model_call by items
                tool_call shell interrupted: aborted command exit 1
                model_call by items
            ",
        );
}

/// §2.1: a session across midnight leaves two files of one id.
#[test]
fn a_typescript_session_across_midnight_is_one() {
    let save = |items: &str| {
        format!(
            r#"{{"session":{{"timestamp":"2025-05-02T23:59:12.345Z","id":"s"}},"items":[{items}]}}"#
        )
    };
    let one = r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}"#;
    let two = r#"{"type":"message","role":"assistant","content":[]}"#;
    let id = "00000000-0000-4000-8000-000000000001";
    Home::new("midnight")
        .file(&format!("sessions/rollout-2025-05-02-{id}.json"), save(one).as_bytes())
        .file(
            &format!("sessions/rollout-2025-05-03-{id}.json"),
            save(&format!("{one},{two}")).as_bytes(),
        )
        .check(
            r"
            thread s @0
              turn 1 inferred
                model_call by items
            ",
        );
}

/// What a file is called says nothing of what wrote it: a document tells UTC
/// from local time, whatever its label.
#[test]
fn a_label_is_no_path() {
    use codex_rollout::{RolloutPath, Source};
    use codex_trace_model::{RolloutInput, resolve};
    let text = r#"{"session":{"timestamp":"2025-07-20T10:00:00.000Z","id":"s"},"items":[{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}]}"#;
    let id = "00000000-0000-4000-8000-000000000001";
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("a-label-is-no-path");
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join(format!("rollout-2025-07-20-{id}.json"));
    std::fs::write(&file, text).unwrap();
    let source = Source::open(&RolloutPath::from_file(&file)).unwrap();
    let made = "2025-07-20T10:00:00Z".parse().ok();
    for label in ["as it is to be called", "a.jsonl", file.to_str().unwrap()] {
        let input = RolloutInput::new(label, "s", &source);
        let trace = resolve(&[input]);
        let thread = &trace.threads[0];
        assert_eq!((thread.created, trace.spans[0].start), (made, made), "{label}");
        let rollout = &thread.rollouts[0];
        assert_eq!((&*rollout.path, rollout.file.as_deref()), (label, Some(&*file)));
    }
}

/// Every file of `testdata/rollouts`, and its tree beside it in this test.
#[test]
fn every_fixture_has_its_tree() {
    let mut names: Vec<String> = std::fs::read_dir(testdata("rollouts"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["glued-retry.jsonl", "two-processes.jsonl"]);
    for name in names {
        let bytes = bytes_of(&testdata("rollouts").join(&name));
        let expected = match name.as_str() {
            "glued-retry.jsonl" => GLUED,
            _ => TWO_PROCESSES,
        };
        let home = Home::new(&name);
        home.file("sessions/2026/01/01/rollout-2026-01-01T00-00-00-%a.jsonl", &bytes)
            .check(expected);
    }
}

/// An older writer's retry after an I/O error: glued to the torn line, then
/// once more. Output counted 10 times once: 90/0/10/0.
const GLUED: &str = r"
thread %a @0 +500 90/0/10/0
  turn 1 @100 +400 90/0/10/0 inferred
    model_call @100 +100 90/0/10/0 by token_count
    tool_call shell_command @200 +200 command exit 0
    model_call @400 +100 by items
? bad_line 6
";

/// A resume of a thread that another process still had open: each counts from
/// the total that it found (100), and ends its own turn.
const TWO_PROCESSES: &str = r"
thread %a @0 +1710 570/0/30/0
  turn 1 @100 +30 90/0/10/0
    model_call @100 +10 90/0/10/0 by token_count
  turn 2 @1000 +710 290/0/10/0
    model_call @1000 +500 290/0/10/0 by token_count
  turn 3 @1100 +520 190/0/10/0
    model_call @1100 +500 190/0/10/0 by token_count
? usage_mismatch
";
