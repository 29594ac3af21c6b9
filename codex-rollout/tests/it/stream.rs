//! The same lines, however the bytes come in.

use std::collections::VecDeque;
use std::io::{self, Read};

use codex_rollout::{ErrorKind, LineStream, Position, RolloutPath, RolloutReader};
use proptest::prelude::*;

use crate::facts;
use crate::lines::damaged_file;

/// Hands out a text in pieces of given sizes, then in one; now and then it is
/// interrupted.
struct Chunks {
    text: Vec<u8>,
    at: usize,
    sizes: VecDeque<usize>,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.sizes.pop_front().unwrap_or(usize::MAX);
        if size == 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let n = size.min(buffer.len()).min(self.text.len() - self.at);
        buffer[..n].copy_from_slice(&self.text[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

fn stream(text: &[u8], sizes: impl IntoIterator<Item = usize>) -> LineStream {
    let sizes = sizes.into_iter().collect();
    LineStream::new(Box::new(Chunks { text: text.to_vec(), at: 0, sizes }))
}

type Line = (Vec<u8>, Position, bool);

fn lines(mut stream: LineStream) -> Vec<Line> {
    let mut lines = Vec::new();
    while let Some((line, position, complete)) = stream.next_line().expect("the input is good") {
        lines.push((line.to_vec(), position, complete));
    }
    lines
}

/// The lines by a plain split.
fn split(text: &[u8]) -> Vec<Line> {
    let (text, mut byte) = text.strip_prefix(b"\xEF\xBB\xBF").map_or((text, 0), |text| (text, 3));
    let pieces: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let mut lines = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let complete = index + 1 < pieces.len();
        if complete || !piece.is_empty() {
            lines.push((piece.to_vec(), Position::new(index as u64 + 1, byte), complete));
        }
        byte += piece.len() as u64 + 1;
    }
    lines
}

/// Everything a reader says, as text.
fn said(reader: RolloutReader<'_>) -> Vec<String> {
    reader
        .map(|result| match result {
            Ok(line) => format!("{} {:?}", line.position, facts::ours(&line)),
            Err(err) => err.to_string(),
        })
        .collect()
}

fn said_by_stream(mut stream: LineStream) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(records) = stream.next_records().expect("the input is good") {
        all.extend(said(records));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn lines_do_not_depend_on_chunks(
        bytes in damaged_file(),
        sizes in prop::collection::vec(0..300_usize, 0..200),
    ) {
        prop_assert_eq!(lines(stream(&bytes, sizes)), split(&bytes));
    }

    #[test]
    fn any_bytes_give_the_same_lines_one_by_one(bytes: Vec<u8>) {
        prop_assert_eq!(lines(stream(&bytes, vec![1; bytes.len()])), split(&bytes));
    }

    #[test]
    fn records_do_not_depend_on_chunks(
        bytes in damaged_file(),
        sizes in prop::collection::vec(0..300_usize, 0..200),
    ) {
        prop_assert_eq!(said_by_stream(stream(&bytes, sizes)), said(RolloutReader::new(&bytes)));
    }
}

/// Several chunks of a megabyte, lines of all lengths around and above one.
#[test]
fn long_lines_span_chunks() {
    let mut text = b"\xEF\xBB\xBF".to_vec();
    for (n, len) in [3, (1 << 20) - 1, 1 << 20, 10, 5 << 20, 0, 700_000, 1].iter().enumerate() {
        let letters = "x".repeat(*len);
        text.extend(format!("{{\"type\":\"{n}\",\"payload\":\"{letters}\"}}\n").bytes());
    }
    text.extend(b"{\"type\":\"torn");
    for size in [usize::MAX, 1 << 20, 65_536, 4097] {
        let sizes = || std::iter::repeat_n(size, text.len() / size + 2);
        assert!(lines(stream(&text, sizes())) == split(&text), "chunks of {size}");
        let expected = said(RolloutReader::new(&text));
        assert!(said_by_stream(stream(&text, sizes())) == expected, "chunks of {size}");
    }
}

#[test]
fn line_too_long_is_dropped_and_the_next_one_read() {
    let long = "x".repeat(3 << 20);
    let text = format!("short\n{long}\nlast");
    let mut stream = stream(text.as_bytes(), []).max_line_len(1000);
    assert_eq!(stream.next_line().unwrap().unwrap().0, b"short");
    let err = stream.next_line().unwrap_err();
    assert!(matches!(err.kind(), ErrorKind::LineTooLong { limit: 1000 }));
    assert_eq!(
        err.to_string(),
        "line longer than the limit of 1000 bytes at line 2, byte 6, column 1"
    );
    let (line, position, complete) = stream.next_line().unwrap().unwrap();
    assert_eq!((line, position, complete), (&b"last"[..], Position::new(3, 3_145_735), false));
    assert!(stream.next_line().unwrap().is_none());
    assert!(stream.next_line().unwrap().is_none(), "the end stays the end");
}

#[test]
fn line_too_long_is_a_record_of_its_own() {
    let long = "x".repeat(3 << 20);
    let text = format!("{{\"record_type\":\"a\"}}\n{long}\n{{\"record_type\":\"b\"}}\n");
    let said = said_by_stream(stream(text.as_bytes(), []).max_line_len(1000));
    let reader = RolloutReader::new(text.as_bytes()).max_line_len(1000);
    assert_eq!(said, self::said(reader));
    assert_eq!(said.len(), 3);
}

#[test]
fn failing_input_is_an_error_with_its_cause() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is on fire"))
        }
    }
    let err = LineStream::new(Box::new(Failing)).next_line().unwrap_err();
    assert_eq!(err.to_string(), "cannot read the rollout");
    let source = std::error::Error::source(&err).unwrap();
    assert_eq!(source.to_string(), "the disk is on fire");
    assert!(!err.is_about_a_line());
}

#[test]
fn documents_are_not_streamed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rollout-2025-04-20-8c0f6f0e-95a7-4b3e-a1a1-000000000001.json");
    std::fs::write(&path, "{}").unwrap();
    let err = LineStream::open(&RolloutPath::from_file(&path)).unwrap_err();
    assert!(matches!(err.kind(), ErrorKind::NotARecord));
}
