//! Rollouts from before the envelope (April to September 2025), lifted to
//! today's records. Deletable as one file, with its two uses.

use crate::error::ErrorKind;
use crate::item::response_item::ResponseItem;
use crate::item::session_meta::SessionMeta;
use crate::line::RolloutItem;
use crate::position::Position;
use crate::scan::{Cursor, Syntax};
use crate::text::JsonText;
use crate::wire::Field;

/// Makes a record of a line without a payload: an item, the header or a state
/// line of the first Rust versions. `None` if it is nothing of the kind.
pub(crate) fn lift(line: &[u8]) -> Result<Option<RolloutItem<'_>>, Syntax> {
    let mut record_type = None;
    let (mut typed, mut has_id, mut has_time) = (false, false, false);
    Cursor::new(line).object(|key, value| {
        match key {
            b"record_type" => record_type = JsonText::read(value)?,
            b"type" => typed = JsonText::read(value)?.is_some(),
            b"id" => has_id = JsonText::read(value)?.is_some(),
            b"timestamp" => has_time = JsonText::read(value)?.is_some(),
            _ => value.skip()?,
        }
        Ok(())
    })?;
    if let Some(record_type) = record_type {
        return Ok(Some(RolloutItem::Bookkeeping(record_type)));
    }
    if typed {
        let item = ResponseItem::decode(&mut Cursor::new(line))?;
        return Ok(item.map(RolloutItem::ResponseItem));
    }
    if has_id && has_time {
        let meta = SessionMeta::read(&mut Cursor::new(line))?;
        return Ok(meta.map(RolloutItem::SessionMeta));
    }
    Ok(None)
}

/// One part of a whole-file rollout of the TypeScript CLI, as raw JSON.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub(crate) position: Position,
    pub(crate) bytes: &'a [u8],
}

/// Splits a whole-file rollout, `{"session": …, "items": […]}`, into the
/// session and its items; each of them then reads like a bare line.
///
/// The second value tells where the file stops short or stops being JSON.
/// Positions count the bytes `before` the text as well.
pub(crate) fn split_document(
    bytes: &[u8],
    before: usize,
) -> (Vec<Part<'_>>, Option<(Position, ErrorKind)>) {
    let mut cursor = Cursor::new(bytes);
    let mut ranges = Vec::new();
    let mut take = |value: &mut Cursor<'_>| {
        let start = value.offset_of_value();
        value.skip()?;
        ranges.push(start..value.offset());
        Ok(())
    };
    let result = cursor.object(|key, value| match key {
        b"session" => take(value),
        b"items" => value.array(&mut take),
        _ => value.skip(),
    });
    let failure = result.and_then(|()| cursor.end()).err();

    let mut lines = LineCounter { bytes, counted: 0, line: 1 };
    let mut position =
        |offset: usize| Position::new(lines.line_of(offset), (before + offset) as u64);
    let parts = ranges
        .into_iter()
        .map(|range| Part { position: position(range.start), bytes: &bytes[range] })
        .collect();
    let failure = failure.map(|Syntax { kind, offset }| {
        let kind = if offset == bytes.len() { ErrorKind::TruncatedTail } else { kind };
        (position(offset.min(bytes.len())), kind)
    });
    (parts, failure)
}

/// Counts newlines once, however often it is asked, if asked in rising order.
struct LineCounter<'a> {
    bytes: &'a [u8],
    counted: usize,
    line: u64,
}

impl LineCounter<'_> {
    fn line_of(&mut self, offset: usize) -> u64 {
        if offset > self.counted {
            let newlines = memchr::memchr_iter(b'\n', &self.bytes[self.counted..offset]).count();
            self.line += newlines as u64;
            self.counted = offset;
        }
        self.line
    }
}
