//! Reading for numbers: records without their content.

mod head;
mod intern;
mod keep;

use std::collections::VecDeque;

use memchr::memmem::Finder;

use crate::discover::RolloutPath;
use crate::error::Result;
use crate::line::RolloutLine;
use crate::position::Position;
use crate::reader::{HEAD, ReadRecords, RolloutReader};
use crate::stream::LineStream;
use crate::text::RawJson;

use head::Head;
pub use intern::Strings;

/// How many bytes at either end of a line are searched for another record.
const SEARCHED: usize = 1 << 16;

/// An iterator over the records of a rollout that leaves out their content,
/// many times cheaper than [`RolloutReader`].
///
/// It yields the same records and errors in the same order, with the same
/// positions, ordinals and timestamps, and reads in bounded memory. Of each
/// record is left what it takes to tell turns, model calls and usage apart:
///
/// * All but instructions and tools of `session_meta`; ids, model, effort and
///   working directory of `turn_context`; the model of `world_state`; the whole
///   `token_usage_record`.
/// * Of the events about turns, reviews and usage: ids, names, reasons and
///   numbers. A text or list that the user gave is only empty or not empty.
/// * Any other event, `item_completed` of other than reviews among them, is
///   [`Bookkeeping`](crate::RolloutItem::Bookkeeping) with the event's type; so
///   are `realtime_item` and `retained_context`.
/// * A response item says who made it: a [`Message`] with its role and nothing
///   else, [`Reasoning`] for all that only models make, [`ToolOutput`],
///   [`ConfigurationUpdate`] with its effort, [`Compaction`] for all others,
///   with nothing in them.
/// * `compacted` is there, with nothing in it.
/// * [`bytes`](RolloutLine::bytes) is empty, and there is no
///   [`payload`](RolloutLine::payload).
///
/// # What it does not notice
///
/// A line in the layout that Codex writes whose head tells that nothing of it
/// is wanted is passed over: what is wrong or unusual *inside* such a line goes
/// unnoticed, be it damage or a key that is repeated. Other layouts, a line
/// that stops short, and one in which another record begins are read as
/// [`RolloutReader`] reads them; that beginning is looked for in the first and
/// the last 64 KiB of a line. So is the record after a `session_meta`: it tells
/// whether a file begins with a copy of another one.
///
/// ```
/// use codex_rollout::{LineStream, RolloutItem, SkimReader, Strings};
///
/// let text = br#"{"timestamp":"2026-01-02T03:04:05.678Z","type":"compacted","payload":{"message":"so far"}}"#;
/// let strings = Strings::new();
/// let mut reader = SkimReader::new(LineStream::new(Box::new(&text[..])), &strings);
/// let line = reader.next().unwrap()?;
/// assert!(matches!(line.item, RolloutItem::Compacted(compacted) if compacted.message.is_none()));
/// assert_eq!(line.timestamp.unwrap().raw(), br#""2026-01-02T03:04:05.678Z""#);
/// # Ok::<(), codex_rollout::Error>(())
/// ```
///
/// [`Message`]: crate::ResponseItem::Message
/// [`Reasoning`]: crate::ResponseItem::Reasoning
/// [`ToolOutput`]: crate::ResponseItem::ToolOutput
/// [`Compaction`]: crate::ResponseItem::Compaction
/// [`ConfigurationUpdate`]: crate::ResponseItem::ConfigurationUpdate
#[derive(Debug)]
pub struct SkimReader<'a> {
    stream: LineStream,
    strings: &'a Strings,
    /// What else was found on the last line.
    pending: VecDeque<Result<RolloutLine<'a>>>,
    /// Finds the beginning of another record.
    finder: Finder<'static>,
    limits: head::Limits,
    /// Whether the next record is read in full.
    in_full: bool,
    failed: bool,
}

impl<'a> SkimReader<'a> {
    /// Opens a rollout of one record a line.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, or is one JSON document.
    pub fn open(rollout: &RolloutPath, strings: &'a Strings) -> Result<SkimReader<'a>> {
        Ok(SkimReader::new(LineStream::open(rollout)?, strings))
    }

    /// Ends the reading; returns the buffer, for
    /// [another stream](LineStream::with_buffer) to read into.
    pub fn into_buffer(self) -> Vec<u8> {
        self.stream.into_buffer()
    }

    /// Reads the lines of `stream`; what records keep is put into `strings`.
    pub fn new(stream: LineStream, strings: &'a Strings) -> SkimReader<'a> {
        let finder = Finder::new(HEAD);
        let (pending, limits) = (VecDeque::new(), head::Limits::default());
        SkimReader { stream, strings, pending, finder, limits, in_full: false, failed: false }
    }
}

impl<'a> Iterator for SkimReader<'a> {
    type Item = Result<RolloutLine<'a>>;

    fn next(&mut self) -> Option<Result<RolloutLine<'a>>> {
        let mut line = RolloutLine::empty(Position::default());
        Some(self.read_next(&mut line)?.map(|()| line))
    }
}

impl<'a> ReadRecords<'a> for SkimReader<'a> {
    fn read_next(&mut self, line: &mut RolloutLine<'a>) -> Option<Result<()>> {
        while self.pending.is_empty() && !self.failed {
            let (text, at, complete) = match self.stream.next_text() {
                Ok(text) => text?,
                Err(err) => {
                    self.failed = !err.is_about_a_line();
                    return Some(Err(err));
                }
            };
            let bytes = &text[..text.len() - usize::from(complete)];
            let head = Head::read(bytes);
            if complete
                && !self.in_full
                && let Some(head) = &head
                && let Some(kind) = head.kind(&mut self.limits)
                && (kind.is_whole() || !has_other_head(&self.finder, bytes))
            {
                line.position = at;
                line.bytes = &[];
                line.ordinal = head.ordinal;
                line.timestamp = Some(RawJson::new(self.strings.keep_stamp(head.timestamp)));
                line.payload = None;
                kind.put(&mut line.item);
                return Some(Ok(()));
            }
            let mut record = RolloutLine::empty(at);
            if head.is_some_and(|head| head.decode(bytes, &mut record))
                || RolloutLine::decode(bytes, at).map(|decoded| record = decoded).is_ok()
            {
                self.limits.learn(&record);
                self.in_full = record.is_meta();
                keep::record(&record, self.strings, line);
                return Some(Ok(()));
            }
            let records = RolloutReader::resume(text, at, usize::MAX);
            self.pending.extend(records.map(|record| {
                let mut kept = RolloutLine::empty(at);
                record.map(|record| keep::record(&record, self.strings, &mut kept)).map(|()| kept)
            }));
        }
        let record = self.pending.pop_front()?;
        Some(record.map(|record| {
            self.in_full = record.is_meta();
            *line = record;
        }))
    }
}

/// Whether another record seems to begin on the line.
fn has_other_head(finder: &Finder<'_>, line: &[u8]) -> bool {
    if line.len() <= 2 * SEARCHED {
        return line.get(1..).is_some_and(|rest| finder.find(rest).is_some());
    }
    let (first, last) = (&line[1..SEARCHED], &line[line.len() - SEARCHED..]);
    finder.find(first).is_some() || finder.find(last).is_some()
}
