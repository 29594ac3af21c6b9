//! Single oddities, each with the exact message.

use codex_rollout::{
    ErrorKind, EventMsg, JsonText, ResponseItem, Result, RolloutItem, RolloutLine, RolloutReader,
    TurnItem,
};

const GOOD: &str = r#"{"timestamp":"2026-01-02T03:04:05.678Z","type":"event_msg","payload":{"type":"user_message","message":"hi"}}"#;

fn read(bytes: &[u8]) -> Vec<Result<RolloutLine<'_>>> {
    RolloutReader::new(bytes).collect()
}

/// What is wrong with the only line of `bytes`.
#[track_caller]
fn message(bytes: &[u8]) -> String {
    let [result] = read(bytes).try_into().expect("one line");
    result.expect_err("a bad line").to_string()
}

/// The only record of `text`.
#[track_caller]
fn record(text: &str) -> RolloutItem<'_> {
    let [result] = read(text.as_bytes()).try_into().expect("one line");
    result.expect("a good line").item
}

/// A line whose payload is a string with `text` in it.
fn with_string(text: &[u8]) -> Vec<u8> {
    [b"{\"type\":\"x\",\"payload\":\"", text, b"\"}\n"].concat()
}

#[test]
fn half_written_last_line_is_a_truncated_tail() {
    let bytes = format!("{GOOD}\n{{\"timest");
    let [first, second] = read(bytes.as_bytes()).try_into().unwrap();
    first.unwrap();
    let err = second.unwrap_err();
    assert!(matches!(err.kind(), ErrorKind::TruncatedTail));
    assert_eq!(err.to_string(), "rollout ends mid-record at line 2, byte 109, column 9");
}

#[test]
fn last_line_without_newline_is_read() {
    assert!(matches!(record(GOOD), RolloutItem::EventMsg(EventMsg::UserMessage(_))));
}

#[test]
fn last_line_of_garbage_is_no_truncated_tail() {
    assert_eq!(message(b"oops"), "not JSON: expected a value at line 1, byte 0, column 1");
    let trailing = format!("{GOOD}x");
    let expected = "not JSON: trailing characters at line 1, byte 0, column 109";
    assert_eq!(message(trailing.as_bytes()), expected);
}

#[test]
fn tail_cut_within_an_escape_a_pair_or_a_word_is_truncated() {
    for tail in
        [r#"{"a":"\"#, r#"{"a":"\u00"#, r#"{"a":"\ud83d"#, r#"{"a":"\ud83d\ude"#, r#"{"a":tr"#]
    {
        let expected =
            format!("rollout ends mid-record at line 1, byte 0, column {}", tail.len() + 1);
        assert_eq!(message(tail.as_bytes()), expected, "{tail}");
    }
}

#[test]
fn broken_line_in_the_middle_is_skipped() {
    let bytes = format!("{GOOD}\n{{\"timestamp\":12,}}\n{GOOD}\n");
    let [first, second, third] = read(bytes.as_bytes()).try_into().unwrap();
    let message = second.unwrap_err().to_string();
    assert_eq!(message, "not JSON: expected a string at line 2, byte 109, column 17");
    assert_eq!(first.unwrap().item, third.unwrap().item);
}

#[test]
fn torn_line_glued_to_a_whole_record_yields_both() {
    let torn = &GOOD[..70];
    let bytes = format!("{torn}{GOOD}\n{GOOD}\n");
    let [first, glued, last] = read(bytes.as_bytes()).try_into().unwrap();
    let message = first.unwrap_err().to_string();
    assert_eq!(message, "not JSON: expected a string at line 1, byte 0, column 71");
    let glued = glued.unwrap();
    assert_eq!((glued.position.line(), glued.position.byte()), (1, 70));
    assert_eq!(glued.bytes, GOOD.as_bytes());
    assert_eq!(last.unwrap().position.line(), 2);
}

#[test]
fn record_that_quotes_another_one_is_not_taken_apart() {
    let quoted = GOOD.replace('"', "\\\"");
    let bytes = format!(r#"{{"timestamp":"t","type":"x","payload":"{quoted}","oops}}"#);
    assert_eq!(read(bytes.as_bytes()).len(), 1);
}

#[test]
fn nul_bytes_are_named() {
    assert_eq!(message(b"\0\0\0\0\n"), "NUL bytes at line 1, byte 0, column 1");
    let after = [GOOD.as_bytes(), b"\0\0"].concat();
    assert_eq!(message(&after), "NUL bytes at line 1, byte 0, column 109");
    assert_eq!(message(&with_string(b"a\0b")), "NUL bytes at line 1, byte 0, column 25");
}

#[test]
fn invalid_utf8_is_named() {
    assert_eq!(message(&with_string(b"ab\xFFc")), "invalid UTF-8 at line 1, byte 0, column 26");
    // Half a character, as a torn write leaves it.
    assert_eq!(message(&with_string(b"\xE6\xBC")), "invalid UTF-8 at line 1, byte 0, column 24");
}

#[test]
fn lone_surrogates_are_named() {
    let expected = "lone surrogate in a \\u escape at line 1, byte 0, column 25";
    assert_eq!(message(&with_string(br"a\ud83d")), expected);
    assert_eq!(message(&with_string(br"a\ud83dx")), expected);
    assert_eq!(message(&with_string(br"a\ude80\ud83d")), expected);
}

#[test]
fn control_characters_and_unknown_escapes_are_named() {
    let control = "not JSON: control character in a string at line 1, byte 0, column 25";
    assert_eq!(message(&with_string(b"a\tb")), control);
    let escape = "not JSON: invalid escape at line 1, byte 0, column 25";
    assert_eq!(message(&with_string(br"a\x")), escape);
    let unicode = "not JSON: invalid \\u escape at line 1, byte 0, column 25";
    assert_eq!(message(&with_string(br"a\u12g4")), unicode);
}

/// Would end the process if it recursed; a hundred thousand levels, both ways.
#[test]
fn deep_nesting_is_refused() {
    for bracket in ["[", "{\"a\":"] {
        let line = format!("{{\"type\":\"x\",\"payload\":{}", bracket.repeat(100_000));
        let text = message(format!("{line}\n").as_bytes());
        assert!(
            text.starts_with("nested deeper than the limit of 127 at line 1, byte 0, "),
            "{text}"
        );
    }
}

#[test]
fn line_too_long_is_refused_and_the_next_one_read() {
    let bytes = format!("{GOOD}\n{{\"record_type\":\"state\"}}\n");
    let mut reader = RolloutReader::new(bytes.as_bytes()).max_line_len(100);
    let message = reader.next().unwrap().unwrap_err().to_string();
    assert_eq!(message, "line longer than the limit of 100 bytes at line 1, byte 0, column 1");
    assert_eq!(reader.next().unwrap().unwrap().position.line(), 2);
}

#[test]
fn byte_order_mark_is_skipped_once() {
    let bytes = format!("\u{FEFF}{GOOD}\n\u{FEFF}{GOOD}\n");
    // Elsewhere it is damage, behind which the record is found.
    let [first, damage, second] = read(bytes.as_bytes()).try_into().unwrap();
    assert_eq!(first.unwrap().position.byte(), 3);
    let message = damage.unwrap_err().to_string();
    assert_eq!(message, "not JSON: expected a value at line 2, byte 112, column 1");
    assert_eq!(second.unwrap().position.byte(), 115);
}

#[test]
fn carriage_returns_and_blank_lines_are_no_records() {
    let bytes = format!("\r\n\n{GOOD}\r\n \t \r\n{GOOD}\r\n\r\n");
    let lines: Vec<u64> =
        read(bytes.as_bytes()).into_iter().map(|line| line.unwrap().position.line()).collect();
    assert_eq!(lines, [3, 5]);
}

#[test]
fn line_separators_inside_strings_are_text() {
    let text = GOOD.replace("hi", "a\u{2028}b\u{2029}c\u{85}d");
    let RolloutItem::EventMsg(EventMsg::UserMessage(message)) = record(&text) else {
        panic!("a user message");
    };
    assert_eq!(message.message.unwrap().decode(), "a\u{2028}b\u{2029}c\u{85}d");
}

#[test]
fn spaced_json_reads_like_compact_json() {
    let spaced = r#"{"timestamp": "2026-01-02T03:04:05.678Z", "type": "event_msg", "payload": {"type": "user_message", "message": "hi"}}"#;
    assert_eq!(record(spaced), record(GOOD));
}

#[test]
fn payload_may_come_before_its_type() {
    let turned = r#"{"payload":{"message":"hi","type":"user_message"},"type":"event_msg"}"#;
    assert_eq!(record(turned), record(GOOD));
}

#[test]
fn payload_before_its_type_is_checked_too() {
    let turned = with_string(br"\q");
    let turned = [b"{\"payload\":\"", &turned[23..25], b"\",\"type\":\"x\"}\n"].concat();
    assert_eq!(message(&turned), "not JSON: invalid escape at line 1, byte 0, column 13");
}

#[test]
fn numeric_timestamp_is_kept_as_it_is() {
    let text = GOOD.replace("\"2026-01-02T03:04:05.678Z\"", "1767323045678");
    let line = RolloutReader::new(text.as_bytes()).next().unwrap().unwrap();
    let timestamp = line.timestamp.unwrap();
    assert_eq!(timestamp.raw(), b"1767323045678");
    assert!(timestamp.as_text().is_none());
}

#[test]
fn unknown_types_are_kept_by_name() {
    let novel = record(r#"{"type":"novel","payload":{"a":1}}"#);
    assert_eq!(novel, RolloutItem::Unknown(JsonText::new(b"novel")));
    let known = record(r#"{"type":"session_state","payload":{"a":1}}"#);
    assert_eq!(known, RolloutItem::Bookkeeping(JsonText::new(b"session_state")));

    let event = record(r#"{"type":"event_msg","payload":{"type":"novel","turn_id":"t"}}"#);
    let RolloutItem::EventMsg(EventMsg::Unknown(event)) = event else { panic!("{event:?}") };
    assert!(event.kind.unwrap().is("novel") && event.turn_id.unwrap().is("t"));

    let item = record(r#"{"type":"response_item","payload":{"type":"novel","id":"i"}}"#);
    let RolloutItem::ResponseItem(ResponseItem::Unknown(item)) = item else { panic!("{item:?}") };
    assert!(item.kind.unwrap().is("novel") && item.id.unwrap().is("i"));

    let item = record(
        r#"{"type":"event_msg","payload":{"type":"item_completed","item":{"type":"Novel","id":"i"}}}"#,
    );
    let RolloutItem::EventMsg(EventMsg::ItemCompleted(completed)) = item else {
        panic!("{item:?}")
    };
    let Some(TurnItem::Unknown(item)) = completed.item else { panic!("{completed:?}") };
    assert!(item.kind.unwrap().is("Novel") && item.id.unwrap().is("i"));
}

#[test]
fn payload_of_another_shape_is_an_unknown_record() {
    for payload in ["null", "7", "[]", "\"text\""] {
        for kind in ["event_msg", "response_item", "session_meta"] {
            let text = format!("{{\"type\":\"{kind}\",\"payload\":{payload}}}");
            assert_eq!(
                record(&text),
                RolloutItem::Unknown(JsonText::new(kind.as_bytes())),
                "{text}"
            );
        }
    }
}

#[test]
fn json_that_is_no_record_is_named() {
    for text in ["{}", "[1]", "7", "\"text\"", "null", r#"{"payload":{}}"#, r#"{"id":"x"}"#] {
        let expected = "not a rollout record at line 1, byte 0, column 1";
        assert_eq!(message(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn bare_lines_of_the_first_versions_are_records() {
    let text = concat!(
        r#"{"id":"25eb","timestamp":"2025-08-01T12:00:00.123Z","instructions":null,"git":{"branch":"main"}}"#,
        "\n",
        r#"{"record_type":"state"}"#,
        "\n",
        r#"{"type":"function_call","id":"fc_1","name":"shell","arguments":"{}","call_id":"call_1"}"#,
        "\n",
    );
    let [meta, state, call] = read(text.as_bytes()).try_into().unwrap();
    let RolloutItem::SessionMeta(meta) = meta.unwrap().item else { panic!("a header") };
    assert!(meta.id.unwrap().is("25eb") && meta.git.unwrap().branch.unwrap().is("main"));
    assert_eq!(state.unwrap().item, RolloutItem::Bookkeeping(JsonText::new(b"state")));
    let call = call.unwrap();
    assert!(call.timestamp.is_none());
    let RolloutItem::ResponseItem(ResponseItem::ToolCall(call)) = call.item else {
        panic!("a call")
    };
    assert!(call.fields.call_id.unwrap().is("call_1"));
}

/// A whole-file rollout as the TypeScript CLI printed it.
const DOCUMENT: &str = r#"{
  "session": {
    "timestamp": "2025-05-02T10:11:12.345Z",
    "id": "8c0f",
    "instructions": ""
  },
  "items": [
    {
      "type": "message",
      "role": "user",
      "content": [{"type": "input_text", "text": "hi"}]
    },
    {
      "type": "function_call_output",
      "call_id": "call_1",
      "output": "a"
    }
  ]
}
"#;

fn lines_of_document(text: &str) -> Vec<(u64, Result<RolloutItem<'_>>)> {
    RolloutReader::document(text.as_bytes())
        .map(|result| match result {
            Ok(line) => (line.position.line(), Ok(line.item)),
            Err(err) => (err.position().line(), Err(err)),
        })
        .collect()
}

#[test]
fn document_is_read_with_the_numbers_of_its_lines() {
    let [meta, message, output] = lines_of_document(DOCUMENT).try_into().unwrap();
    assert!(matches!(meta, (2, Ok(RolloutItem::SessionMeta(meta))) if meta.id.unwrap().is("8c0f")));
    assert!(matches!(message, (8, Ok(RolloutItem::ResponseItem(ResponseItem::Message(_))))));
    assert!(matches!(output, (13, Ok(RolloutItem::ResponseItem(ResponseItem::ToolOutput(_))))));
}

#[test]
fn truncated_document_is_read_up_to_the_cut() {
    let cut = DOCUMENT.find("\"call_1").unwrap() + 5;
    let [meta, message, tail] = lines_of_document(&DOCUMENT[..cut]).try_into().unwrap();
    assert!(meta.1.is_ok() && message.1.is_ok());
    let (line, Err(err)) = tail else { panic!("a truncated tail") };
    assert_eq!(line, 15);
    assert!(matches!(err.kind(), ErrorKind::TruncatedTail));
}

#[test]
fn broken_document_is_read_up_to_the_damage() {
    let text = DOCUMENT.replace("\"role\": \"user\",", "\"role\": user,");
    let [meta, broken] = lines_of_document(&text).try_into().unwrap();
    assert!(meta.1.is_ok());
    let (10, Err(err)) = broken else { panic!("{broken:?}") };
    assert!(matches!(err.kind(), ErrorKind::Syntax("expected a value")));
}

#[test]
fn empty_rollout_has_no_records() {
    assert!(read(b"").is_empty());
    assert!(read(b"\xEF\xBB\xBF").is_empty());
    assert!(read(b"\n\n").is_empty());
}

/// What a reader says, in short: where a record is, or what an error says.
fn said(bytes: &[u8]) -> Vec<String> {
    RolloutReader::new(bytes)
        .map(|result| match result {
            Ok(line) => format!("{} of {}", line.position, line.bytes.len()),
            Err(err) => err.to_string(),
        })
        .collect()
}

#[test]
fn records_glued_together_are_all_kept() {
    let len = GOOD.len();
    let both = [format!("line 1, byte 0 of {len}"), format!("line 1, byte {len} of {len}")];
    assert_eq!(said(format!("{GOOD}{GOOD}\n").as_bytes()), both);
    assert_eq!(said(format!("{GOOD}{GOOD}").as_bytes()), both);
    let last = format!("line 2, byte {} of {len}", 2 * len + 1);
    assert_eq!(said(format!("{GOOD}{GOOD}\n{GOOD}\n").as_bytes())[2], last);
}

#[test]
fn what_is_torn_is_reported_once_and_all_behind_it_kept() {
    let len = GOOD.len();
    let text = format!("{}{}{GOOD}{GOOD}\n", &GOOD[..60], &GOOD[..50]);
    let [torn, first, second] = said(text.as_bytes()).try_into().unwrap();
    assert!(torn.contains("at line 1, byte 0, column"), "{torn}");
    assert_eq!(first, format!("line 1, byte 110 of {len}"));
    assert_eq!(second, format!("line 1, byte {} of {len}", 110 + len));

    let text = format!("{GOOD}{}{GOOD}{}", &GOOD[..50], &GOOD[..60]);
    let [_, torn, _, tail] = said(text.as_bytes()).try_into().unwrap();
    assert!(torn.contains(&format!("at line 1, byte {len}, column")), "{torn}");
    assert!(tail.starts_with("rollout ends mid-record"), "{tail}");
}

/// Heads inside of records are no records: in a string the quotes are escaped,
/// and a part of a record is not followed by another one.
#[test]
fn nested_heads_are_no_records() {
    let nested = r#"{"timestamp":"2026-01-02T03:04:05.678Z","type":"x","payload":[{"timestamp":"a","type":"message"},1]}"#;
    assert_eq!(said(nested.as_bytes()).len(), 1);
    assert_eq!(said(format!("{nested}{nested}").as_bytes()).len(), 2);
    assert_eq!(said(&nested.as_bytes()[..nested.len() - 4]).len(), 1);
}

#[test]
fn a_null_does_not_undo_what_another_name_of_the_field_said() {
    let texts = [
        r#"{"type":"event_msg","payload":{"type":"exec_command_end","call_id":"c","id":null}}"#,
        r#"{"type":"event_msg","payload":{"type":"exec_command_end","id":7,"call_id":"c"}}"#,
        r#"{"type":"event_msg","payload":{"type":"exec_command_end","call_id":"c","id":[]}}"#,
    ];
    for text in texts {
        let RolloutItem::EventMsg(EventMsg::ExecCommandEnd(end)) = record(text) else {
            panic!("another event: {text}");
        };
        assert!(end.id.unwrap().is("c"), "{text}");
    }
    let text = r#"{"type":"response_item","payload":{"type":"message","metadata":{"turn_id":"t"},"internal_chat_message_metadata_passthrough":null}}"#;
    let RolloutItem::ResponseItem(message) = record(text) else { panic!("another item") };
    assert!(message.turn_id().unwrap().is("t"));
}

/// As in `serde_json`, but for the tag of a payload that comes first.
#[test]
fn the_last_of_repeated_keys_counts() {
    let context = r#"{"model":"a","model":"b"}"#;
    let texts = [
        format!(r#"{{"type":"turn_context","payload":{context}}}"#),
        format!(r#"{{"type":"novel","type":"turn_context","payload":{context}}}"#),
        format!(r#"{{"type":"novel","payload":{context},"type":"turn_context"}}"#),
        format!(r#"{{"payload":7,"type":"turn_context","payload":{context}}}"#),
        format!(r#"{{"type":"turn_context","payload":{{"model":"c"}},"payload":{context}}}"#),
    ];
    for text in &texts {
        let RolloutItem::TurnContext(context) = record(text) else { panic!("{text}") };
        assert!(context.model.unwrap().is("b"), "{text}");
    }
    let null = r#"{"type":"turn_context","payload":{"model":"a","model":null}}"#;
    assert!(matches!(record(null), RolloutItem::TurnContext(context) if context.model.is_none()));
    let tag = r#"{"type":"event_msg","payload":{"type":"context_compacted","type":"novel"}}"#;
    assert!(matches!(record(tag), RolloutItem::EventMsg(EventMsg::ContextCompacted)));
}

#[test]
fn prefixes_end_between_escapes() {
    let slashes = "\\".repeat(100);
    let text = JsonText::new(slashes.as_bytes());
    for limit in 0..=100 {
        assert_eq!(text.decode_prefix(limit), "\\".repeat(limit / 2), "limit {limit}");
    }
    let cases = [
        (r"abc\\n12345678", 6, r"abc\n"),
        (r"abc\\\n1234567", 6, r"abc\"),
        (r"abc\\\n1234567", 7, "abc\\\n"),
        (r"ab\u00e9cd", 7, "ab"),
        (r"ab\u00e9cd", 8, "abé"),
        (r"a\ud83d\ude80z.", 12, "a"),
        (r"a\ud83d\ude80z.", 13, "a🚀"),
        (r"\né🚀.....", 5, "\né"),
        (r"\né🚀.....", 8, "\né🚀"),
    ];
    for (raw, limit, expected) in cases {
        assert_eq!(JsonText::new(raw.as_bytes()).decode_prefix(limit), expected, "{raw} {limit}");
    }
}

#[test]
fn documents_may_begin_with_a_mark_and_keep_to_limits() {
    let text = "\u{feff}{\"session\":{\"id\":\"s\",\"timestamp\":\"t\"},\n\"items\":[{\"type\":\"message\",\"role\":\"user\"},{\"type\":\"message\",\"content\":\"long\"}]}";
    let places = |limit: usize| -> Vec<std::result::Result<(u64, u64), String>> {
        RolloutReader::document(text.as_bytes())
            .max_line_len(limit)
            .map(|result| match result {
                Ok(line) => Ok((line.position.line(), line.position.byte())),
                Err(err) => Err(err.to_string()),
            })
            .collect()
    };
    assert_eq!(places(1000), [Ok((1, 14)), Ok((2, 51)), Ok((2, 84))]);
    let err = "line longer than the limit of 32 bytes at line 2, byte 84, column 1";
    assert_eq!(places(32), [Ok((1, 14)), Ok((2, 51)), Err(err.to_owned())]);
}
