//! What is wrong costs no memory, however much of it there is.

use std::io::Cursor;

use codex_rollout::{LineStream, SkimReader, Source, Strings};
use codex_trace_model::{Code, RolloutInput, Trace, UsageInput, resolve, resolve_usage};

use crate::rollout::{Rollout, id};

/// How many wrong lines a file has.
const LINES: usize = 50_000;

/// The most memory that reading them may take, in bytes: buffers, and a stamp
/// for each line that has one.
const MOST: u64 = 4 << 20;

/// A session of one turn and of many lines that `line` makes.
fn file(line: impl Fn(usize) -> String) -> String {
    let mut rollout = Rollout::new(0);
    rollout.turn(0, 1);
    for n in 0..LINES {
        rollout.text += &line(n);
        rollout.text.push('\n');
    }
    rollout.text
}

/// Checks that all lines are told of, and few of them one by one.
fn tells(trace: &Trace<'_>, code: Code, expected: usize) {
    let of_kind = || trace.diagnostics.iter().filter(|it| it.code == code);
    assert_eq!(of_kind().map(|it| it.count).sum::<usize>(), expected, "{code:?}");
    assert!(of_kind().count() < 50, "{code:?}: {}", of_kind().count());
    assert!(trace.threads.iter().all(|thread| thread.account.closes()));
}

fn skimmed(text: &str, code: Code, expected: usize) {
    let input = Cursor::new(text.as_bytes().to_vec());
    let strings = Strings::new();
    let lines = SkimReader::new(LineStream::new(Box::new(input)), &strings);
    let mut trace = None;
    let thread = id(0);
    let work = allocation_counter::measure(|| {
        trace = resolve_usage([UsageInput::new("rollout", &thread, lines)]);
    });
    tells(&trace.unwrap(), code, expected);
    assert!(work.bytes_max < MOST, "{code:?}: {} bytes", work.bytes_max);
}

fn read(text: &str, code: Code, expected: usize) {
    let source = Source::from_bytes(text.as_bytes().to_vec());
    let thread = id(0);
    let input = RolloutInput::new("rollout", &thread, &source);
    let mut trace = None;
    let work = allocation_counter::measure(|| trace = Some(resolve(&[input])));
    tells(&trace.unwrap(), code, expected);
    assert!(work.bytes_max < MOST, "{code:?}: {} bytes", work.bytes_max);
}

fn both(line: impl Fn(usize) -> String, code: Code, expected: usize) {
    let text = file(line);
    skimmed(&text, code, expected);
    read(&text, code, expected);
}

#[test]
fn damaged_lines_take_no_memory() {
    both(|_| "{}".to_owned(), Code::BadLine, LINES);
    both(|n| format!("{{\"timestamp\":\"2026{n}"), Code::BadLine, LINES);
}

/// A file of nothing else, as a bomb is: to tell that takes a few lines.
#[test]
fn a_file_of_damage_alone_is_not_held() {
    let text = "{\n".repeat(LINES);
    let strings = Strings::new();
    let stream = LineStream::new(Box::new(Cursor::new(text.into_bytes())));
    let lines = SkimReader::new(stream, &strings);
    let work = allocation_counter::measure(|| {
        assert!(resolve_usage([UsageInput::new("rollout", "t", lines)]).is_none());
    });
    assert!(work.bytes_max < 1 << 20, "{} bytes", work.bytes_max);
}

#[test]
fn unknown_types_take_no_memory() {
    let stamp = "2026-01-01T00:00:00.000Z";
    let record = |n| format!(r#"{{"timestamp":"{stamp}","type":"new_{n}","payload":{{}}}}"#);
    both(record, Code::UnknownType, LINES);
    let event = |n| {
        let payload = format!(r#"{{"type":"new_{n}","turn_id":"{}"}}"#, id(n));
        format!(r#"{{"timestamp":"{stamp}","type":"event_msg","payload":{payload}}}"#)
    };
    both(event, Code::UnknownType, LINES);
    // One type is one oddity, however often it comes.
    both(|_| record(7), Code::UnknownType, 1);
}

#[test]
fn bad_times_take_no_memory() {
    let line = |_| {
        r#"{"timestamp":"soon","type":"event_msg","payload":{"type":"context_compacted"}}"#
            .to_owned()
    };
    both(line, Code::BadTimestamp, LINES);
}

#[test]
fn repeated_records_take_no_memory() {
    let payload = format!(
        r#"{{"thread_id":"{}","turn_id":"{}","response_id":"r","usage":{{"input_tokens":3,"output_tokens":2,"total_tokens":5}}}}"#,
        id(0),
        id(0)
    );
    let line = |_| {
        format!(
            r#"{{"timestamp":"2026-01-01T00:00:00.000Z","type":"token_usage_record","payload":{payload}}}"#
        )
    };
    both(line, Code::DuplicateId, LINES - 1);
}
