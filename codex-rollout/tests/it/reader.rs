//! What holds for any file.

use codex_rollout::{Error, ErrorKind, Position, Result, RolloutLine, RolloutReader};
use proptest::prelude::*;

use crate::lines::damaged_file;

/// Where a record or an error lies.
pub(crate) fn position(result: &Result<RolloutLine<'_>>) -> Position {
    result.as_ref().map_or_else(Error::position, |line| line.position)
}

/// The lines of a file that are not blank, with the place of each.
fn lines_of(bytes: &[u8]) -> Vec<(Position, &[u8])> {
    let mut offset = 0;
    let mut lines = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let text =
            if offset == 0 { line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line) } else { line };
        if !text.trim_ascii().is_empty() {
            let byte = offset + line.len() - text.len();
            lines.push((Position::new(index as u64 + 1, byte as u64), text));
        }
        offset += line.len() + 1;
    }
    lines
}

/// Checks that the results account for every byte of every line: by a record,
/// or by one error for each stretch that is none.
pub(crate) fn account(bytes: &[u8], results: &[Result<RolloutLine<'_>>]) {
    let mut results = results.iter().peekable();
    for (at, text) in lines_of(bytes) {
        let end = at.byte() + text.len() as u64;
        let (mut covered, mut torn) = (at.byte(), false);
        while let Some(result) = results.next_if(|next| position(next).byte() < end) {
            assert_eq!(position(result).line(), at.line());
            let start = position(result).byte();
            assert!(start == covered || (torn && start > covered), "from {covered} to {start}");
            match result {
                Ok(line) => {
                    let offset = usize::try_from(start - at.byte()).expect("in memory");
                    assert!(text[offset..].starts_with(line.bytes));
                    covered = start + line.bytes.len() as u64;
                    torn = false;
                }
                Err(err) => assert!(!torn, "reported before: {err}"),
            }
            torn |= result.is_err();
        }
        assert!(torn || covered == end, "a result for every line");
    }
    assert!(results.next().is_none(), "a result for no line");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn any_bytes_are_read_to_the_end(bytes: Vec<u8>) {
        account(&bytes, &RolloutReader::new(&bytes).collect::<Vec<_>>());
    }

    #[test]
    fn every_line_is_accounted_for(bytes in damaged_file()) {
        account(&bytes, &RolloutReader::new(&bytes).collect::<Vec<_>>());
    }

    #[test]
    fn positions_only_rise(bytes in damaged_file()) {
        let mut last = None;
        for result in RolloutReader::new(&bytes) {
            prop_assert!(last < Some(position(&result)));
            last = Some(position(&result));
        }
    }

    /// Documents too are read to the end, and what they hold is inside them.
    #[test]
    fn any_document_is_read_to_the_end(bytes in damaged_file()) {
        for result in RolloutReader::document(&bytes) {
            prop_assert!(position(&result).byte() <= bytes.len() as u64);
        }
    }

    /// Only the last line can be a truncated tail, and only without newline.
    #[test]
    fn only_the_tail_is_truncated(bytes in damaged_file()) {
        let results: Vec<_> = RolloutReader::new(&bytes).collect();
        for result in &results {
            let Err(err) = result else { continue };
            if matches!(err.kind(), ErrorKind::TruncatedTail) {
                let rest = &bytes[usize::try_from(err.position().byte()).expect("short")..];
                prop_assert!(!rest.contains(&b'\n'));
                let eof = serde_json::from_slice::<serde_json::Value>(rest);
                let huge = |err: &serde_json::Error| err.to_string().starts_with("number out of");
                prop_assert!(eof.is_err_and(|err| err.is_eof() || huge(&err) || rest.contains(&0xFF)
                    || std::str::from_utf8(rest).is_err()));
            }
        }
    }

    #[test]
    fn a_limit_is_kept(bytes in damaged_file(), limit in 0..400_usize) {
        for result in RolloutReader::new(&bytes).max_line_len(limit) {
            match result {
                Ok(line) => prop_assert!(line.bytes.len() <= limit),
                Err(err) if matches!(err.kind(), ErrorKind::LineTooLong { .. }) => {
                    let message = err.to_string();
                    let start = format!("line longer than the limit of {limit} bytes at line ");
                    prop_assert!(message.starts_with(&start), "{}", message);
                }
                Err(_) => {}
            }
        }
    }
}
