//! What is accepted and what is said, against `serde_json` and `simd-json`.

use std::fmt::Write;

use codex_rollout::{Cursor, ErrorKind, JsonText, Position, RolloutLine};
use proptest::prelude::*;
use serde_json::Value;

use crate::facts;
use crate::lines::{LINES, damaged_line, repeats_a_key, soup};

/// Accepts what our reader accepts of a whole text.
fn accepts(text: &[u8]) -> bool {
    let mut cursor = Cursor::new(text);
    let structure = cursor.skip().and_then(|()| cursor.end());
    structure.is_ok() && (!cursor.has_non_ascii() || std::str::from_utf8(text).is_ok())
}

/// Accepts what `serde_json` accepts; `None` where it meets a number that no
/// float can hold, which is the one thing that it refuses and we pass on.
fn serde_accepts(text: &[u8]) -> Option<bool> {
    match serde_json::from_slice::<Value>(text) {
        Ok(_) => Some(true),
        Err(err) => (!err.to_string().starts_with("number out of range")).then_some(false),
    }
}

fn compare_acceptance(text: &[u8]) -> Result<(), TestCaseError> {
    if let Some(expected) = serde_accepts(text) {
        prop_assert_eq!(accepts(text), expected);
    }
    Ok(())
}

fn compare(text: &[u8]) -> Result<(), TestCaseError> {
    if serde_accepts(text).is_none() {
        return Ok(()); // Differs on purpose; see `numbers_of_any_size_pass`.
    }
    let position = Position::new(1, 0);
    let ours = RolloutLine::decode(text, position);
    let Ok(value) = serde_json::from_slice::<Value>(text) else {
        let err = ours.expect_err("serde_json refuses the line");
        prop_assert!(!matches!(err.kind(), ErrorKind::NotARecord), "refused for another reason");
        return Ok(());
    };
    let Some(theirs) = facts::theirs(&value) else {
        let err = ours.expect_err("it is no record");
        prop_assert!(matches!(err.kind(), ErrorKind::NotARecord), "{err}");
        return Ok(());
    };
    let line = ours.expect("serde_json accepts the line, and it is a record");
    if repeats_a_key(text, |key| key == b"type") {
        return Ok(()); // Differs on purpose: of two types we take the first.
    }
    prop_assert_eq!(facts::ours(&line), theirs);
    prop_assert_eq!(line.bytes, text);

    let mut copy = text.to_vec();
    if let Ok(value) = simd_json::serde::from_slice::<Value>(&mut copy) {
        prop_assert_eq!(Some(facts::ours(&line)), facts::theirs(&value));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn any_bytes_are_accepted_as_by_serde_json(text: Vec<u8>) {
        compare_acceptance(&text)?;
    }

    #[test]
    fn soup_of_json_is_accepted_as_by_serde_json(text in soup()) {
        compare_acceptance(&text)?;
    }

    #[test]
    fn damaged_lines_are_accepted_as_by_serde_json(text in damaged_line()) {
        compare_acceptance(&text)?;
    }

    #[test]
    fn damaged_lines_say_what_serde_json_says(text in damaged_line()) {
        compare(&text)?;
    }

    /// A text that more bytes could complete fails at its very end, and no other.
    #[test]
    fn prefixes_fail_at_their_end(line in prop::sample::select(LINES), cut in 0.0..1.0) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1")]
        #[expect(clippy::cast_precision_loss, reason = "a line is short")]
        let cut = (cut * line.len() as f64) as usize;
        let prefix = &line.as_bytes()[..cut];
        let mut cursor = Cursor::new(prefix);
        let syntax = cursor.skip().expect_err("half an object");
        prop_assert_eq!(syntax.offset, prefix.len());
    }

    #[test]
    fn any_string_is_decoded_as_it_was(text: String) {
        let json = serde_json::to_vec(&text).expect("a string can be written");
        let mut cursor = Cursor::new(&json);
        prop_assert_eq!(cursor.text().expect("a string").decode(), text);
    }

    /// Nothing but escapes: the same text as ASCII.
    #[test]
    fn escaped_strings_are_decoded_as_they_were(text: String) {
        let mut units = String::new();
        for unit in text.encode_utf16() {
            write!(units, "\\u{unit:04X}").expect("a string takes everything");
        }
        prop_assert_eq!(JsonText::new(units.as_bytes()).decode(), text);
    }

    #[test]
    fn any_raw_text_is_decoded_to_something(raw: Vec<u8>, limit in 0..40_usize) {
        let text = JsonText::new(&raw);
        let whole = text.decode();
        prop_assert!(whole.len() <= 3 * raw.len());
        prop_assert!(text.decode_prefix(limit).len() <= 3 * raw.len());
    }

    /// The head of a text is the head of the decoded text.
    #[test]
    fn prefix_is_the_head_of_the_whole(text: String, limit in 0..40_usize) {
        let json = serde_json::to_string(&text).expect("a string can be written");
        let raw = JsonText::new(&json.as_bytes()[1..json.len() - 1]);
        let head = raw.decode_prefix(limit);
        prop_assert!(text.starts_with(&*head), "{:?} of {:?}", head, text);
        prop_assert!(head.len() + 16 >= limit.min(text.len()));
    }
}

#[test]
fn every_shape_of_line_says_what_serde_json_says() {
    for line in LINES {
        compare(line.as_bytes()).unwrap();
    }
}

#[test]
fn texts_at_the_edge_are_accepted_as_by_serde_json() {
    let nested = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
    let object = |n: usize| [b"{\"a\":".repeat(n), b"1".to_vec(), vec![b'}'; n]].concat();
    let texts = [
        (nested(127), true),
        (nested(128), false),
        (object(127), true),
        (object(128), false),
        (br#""\ud83d\ude80""#.to_vec(), true),
        (br#""\ud83d""#.to_vec(), false),
        (br#""\ude80\ud83d""#.to_vec(), false),
        (br#"{"\ud83d":1}"#.to_vec(), false),
        (b"\"\xed\xa0\x80\"".to_vec(), false),
        (b"\"\x7f\"".to_vec(), true),
        (b"-0".to_vec(), true),
        (b"01".to_vec(), false),
        (b"1e-999".to_vec(), true),
        (b"123456789012345678901234567890".to_vec(), true),
        (b"\xEF\xBB\xBF1".to_vec(), false),
        (b" \t\r\n1 \t\r\n".to_vec(), true),
        (b"1\x0c".to_vec(), false),
        (b"[1,]".to_vec(), false),
        (b"{\"a\":1,}".to_vec(), false),
        (b"nul".to_vec(), false),
        (b"".to_vec(), false),
    ];
    for (text, expected) in texts {
        let shown = String::from_utf8_lossy(&text);
        assert_eq!(serde_json::from_slice::<Value>(&text).is_ok(), expected, "serde_json: {shown}");
        assert_eq!(accepts(&text), expected, "ours: {shown}");
    }
}

/// The one difference: `serde_json` makes a float of it and fails; nobody
/// here asks for the value of a number that is not a known field.
#[test]
fn numbers_of_any_size_pass() {
    for text in [&b"1e999"[..], b"[-1e400]", &[b'9'; 400]] {
        assert!(serde_json::from_slice::<Value>(text).is_err());
        assert!(accepts(text));
    }
    let line = br#"{"timestamp":1e999,"type":"x","payload":1}"#;
    let line = RolloutLine::decode(line, Position::new(1, 0)).unwrap();
    assert_eq!(line.timestamp.unwrap().raw(), b"1e999");
}
