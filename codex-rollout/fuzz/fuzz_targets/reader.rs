//! Whatever the bytes: no panic, an end, and the same answer by every way.

#![no_main]

use std::io::{self, Read};

use codex_rollout::{
    Cursor, ErrorKind, JsonText, LineStream, Position, Result, RolloutLine, RolloutReader,
    ValueKind,
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let records: Vec<String> = RolloutReader::new(bytes).map(|result| said(&result)).collect();
    let mut last = None;
    for result in RolloutReader::new(bytes) {
        let at = result.as_ref().map_or_else(|err| err.position(), |line| line.position);
        assert!(last < Some(at), "positions rise");
        last = Some(at);
        if let Ok(line) = result {
            decode_all(&mut Cursor::new(line.bytes));
        }
    }
    for result in RolloutReader::document(bytes) {
        said(&result);
    }
    assert_eq!(streamed(bytes), records);
    compare_with_serde_json(bytes);
});

/// What a reader says about a line, as text.
fn said(result: &Result<RolloutLine<'_>>) -> String {
    match result {
        Ok(line) => format!("{} {:?} {:?}", line.position, line.timestamp, line.item),
        Err(err) => err.to_string(),
    }
}

/// Decodes every string and follows every value.
fn decode_all(cursor: &mut Cursor<'_>) {
    match cursor.kind().expect("the line was read before") {
        ValueKind::String => decode(cursor.text().expect("read before")),
        ValueKind::Object => cursor
            .object(|key, value| {
                decode(JsonText::new(key));
                decode_all(value);
                Ok(())
            })
            .expect("read before"),
        ValueKind::Array => cursor
            .array(|value| {
                decode_all(value);
                Ok(())
            })
            .expect("read before"),
        _ => cursor.skip().expect("read before"),
    }
}

/// Decodes a text as `serde_json` does, and its head without a panic.
fn decode(text: JsonText<'_>) {
    let json = [b"\"", text.raw(), b"\""].concat();
    let expected: String = serde_json::from_slice(&json).expect("the line was read before");
    assert_eq!(text.decode(), expected);
    for limit in [0, 1, 5, 20] {
        assert!(expected.starts_with(&*text.decode_prefix(limit)));
    }
}

/// What comes out of a stream whose chunks are as long as the bytes say.
fn streamed(bytes: &[u8]) -> Vec<String> {
    let mut stream = LineStream::new(Box::new(Chunks { bytes: bytes.to_vec(), at: 0 }));
    let mut records = Vec::new();
    while let Some(batch) = stream.next_records().expect("memory can be read") {
        records.extend(batch.map(|result| said(&result)));
    }
    records
}

struct Chunks {
    bytes: Vec<u8>,
    at: usize,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.bytes[self.at..];
        let n = rest.first().map_or(0, |byte| usize::from(*byte) % 40 + 1);
        let n = n.min(rest.len()).min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.at += n;
        Ok(n)
    }
}

/// Accepts and refuses what `serde_json` does, but for numbers beyond a float.
fn compare_with_serde_json(bytes: &[u8]) {
    let mut cursor = Cursor::new(bytes);
    let structure = cursor.skip().and_then(|()| cursor.end());
    let accepted = structure.is_ok()
        && (!cursor.has_non_ascii() || std::str::from_utf8(bytes).is_ok());
    match serde_json::from_slice::<Value>(bytes) {
        Ok(_) => assert!(accepted, "refused"),
        Err(err) if err.to_string().starts_with("number out of range") => {}
        Err(_) => assert!(!accepted, "accepted"),
    }
    let refused = matches!(
        RolloutLine::decode(bytes, Position::default()),
        Err(err) if !matches!(err.kind(), ErrorKind::NotARecord)
    );
    assert_eq!(refused, !accepted);
}
