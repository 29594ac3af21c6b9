use std::io::Read;

use memchr::{memchr, memchr_iter, memrchr};

use crate::discover::{Encoding, Layout, RolloutPath};
use crate::error::{Error, ErrorKind, Result};
use crate::position::Position;
use crate::reader::{BYTE_ORDER_MARK, DEFAULT_MAX_LINE_LEN, RolloutReader};
use crate::source::{Opened, open_stream, too_large};

/// How much is read at a time, in bytes: what stays in a core's own cache.
const CHUNK: usize = 1 << 18;

/// How much is read at first where only the head of a rollout is wanted. Each
/// further chunk is twice as long, up to [`CHUNK`].
const HEAD_CHUNK: usize = 1 << 15;

/// Reads a rollout in bounded memory: two chunks, or the longest line if that
/// is longer.
///
/// For jobs that need few of the bytes and none of them for long; a trace
/// borrows its content and wants a [`Source`](crate::Source).
///
/// ```
/// use codex_rollout::LineStream;
///
/// let input = &b"{\"type\":\"a\",\"payload\":{}}\n{\"type\":\"b\",\"payload\":{}}\n"[..];
/// let mut stream = LineStream::new(Box::new(input));
/// let mut n_records = 0;
/// while let Some(records) = stream.next_records()? {
///     n_records += records.filter(Result::is_ok).count();
/// }
/// assert_eq!(n_records, 2);
/// # Ok::<(), codex_rollout::Error>(())
/// ```
pub struct LineStream {
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// The unread part of the buffer.
    start: usize,
    end: usize,
    at: Position,
    /// How much to read next.
    chunk: usize,
    /// How many bytes were read, and how many may be.
    n_read: u64,
    max_len: u64,
    /// The size of the file, as it is stored.
    stored: u64,
    max_line_len: usize,
    done: bool,
    /// Why there is no more than was read: told when that has been handed out.
    failure: Option<Error>,
    /// The start of the last line, if that was handed out without a newline.
    cut: Option<Position>,
    encoding: Encoding,
}

/// What [`LineStream::advance`] found at the front of the buffer.
enum Front {
    /// At least one whole line, or the last one, which may lack its newline:
    /// the first ends, newline excluded, after so many bytes.
    Line(usize),
    /// A line of so many bytes that was longer than the limit and is dropped,
    /// all but the newline.
    TooLong(u64),
    /// Nothing: the input has ended.
    End,
}

impl LineStream {
    /// Opens a rollout of one record a line.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, or is one JSON document.
    pub fn open(rollout: &RolloutPath) -> Result<LineStream> {
        LineStream::open_within(rollout, None)
    }

    /// As [`open`](Self::open), with another limit for decompressed bytes; the
    /// default is that of [`Source::open`](crate::Source::open). A rollout that
    /// is larger ends with an error after as many bytes.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_limited(rollout: &RolloutPath, max_decompressed: u64) -> Result<LineStream> {
        LineStream::open_within(rollout, Some(max_decompressed))
    }

    fn open_within(rollout: &RolloutPath, limit: Option<u64>) -> Result<LineStream> {
        if rollout.layout == Layout::Document {
            return Err(Error::new(ErrorKind::NotARecord, Position::default()));
        }
        LineStream::open_as_lines(rollout, limit)
    }

    /// As [`open`](Self::open), whatever the layout of the file.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened.
    pub(crate) fn open_any(rollout: &RolloutPath) -> Result<LineStream> {
        LineStream::open_as_lines(rollout, None)
    }

    fn open_as_lines(rollout: &RolloutPath, limit: Option<u64>) -> Result<LineStream> {
        let opened = open_stream(rollout)?;
        let max_len = opened.max_decompressed(rollout).map(|max_len| limit.unwrap_or(max_len));
        let Opened { input, len, encoding } = opened;
        let mut stream = LineStream { encoding, stored: len, ..LineStream::new(input) };
        if let Some(max_len) = max_len {
            stream.max_len = max_len;
        } else {
            // Room for all of a small file, and to see that it has ended.
            let len = usize::try_from(len).unwrap_or(usize::MAX).min(CHUNK);
            stream.chunk = CHUNK.min(2 * len + 64);
        }
        Ok(stream)
    }

    /// Reads lines from `input`.
    pub fn new(input: Box<dyn Read + Send>) -> LineStream {
        LineStream {
            input,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            at: Position::new(1, 0),
            chunk: CHUNK,
            n_read: 0,
            max_len: u64::MAX,
            stored: 0,
            max_line_len: DEFAULT_MAX_LINE_LEN,
            done: false,
            failure: None,
            cut: None,
            encoding: Encoding::Plain,
        }
    }

    /// Returns how the file is stored, by its first bytes.
    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Reads little at first, for jobs that seldom go beyond the first lines.
    #[must_use]
    pub fn head_first(mut self) -> LineStream {
        self.chunk = self.chunk.min(HEAD_CHUNK);
        self
    }

    /// Reads into a buffer that another stream has read into before: memory that
    /// is at hand costs less than memory that is new.
    #[must_use]
    pub fn with_buffer(mut self, buffer: Vec<u8>) -> LineStream {
        self.buffer = buffer;
        self
    }

    /// Returns the buffer, for another stream to read into.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Sets the longest line to keep, in bytes. The default is 256 MiB.
    #[must_use]
    pub fn max_line_len(mut self, limit: usize) -> LineStream {
        self.max_line_len = limit;
        self
    }

    /// Returns the next line without its newline, where it starts, and
    /// whether a newline ended it.
    ///
    /// Blank lines are lines here; a byte order mark is not part of the first.
    ///
    /// # Errors
    ///
    /// If reading fails, or the line is longer than the limit, which does not
    /// end the stream; or if there is more than a compressed rollout may hold.
    pub fn next_line(&mut self) -> Result<Option<(&[u8], Position, bool)>> {
        let Some((text, at, complete)) = self.next_text()? else { return Ok(None) };
        Ok(Some((&text[..text.len() - usize::from(complete)], at, complete)))
    }

    /// As [`next_line`](Self::next_line), with the newline if there is one.
    pub(crate) fn next_text(&mut self) -> Result<Option<(&[u8], Position, bool)>> {
        let len = match self.advance()? {
            Front::Line(len) => len,
            Front::TooLong(len) => return Err(self.too_long(len)),
            Front::End => return Ok(None),
        };
        let line = self.start..self.start + len;
        let at = self.at;
        let complete = line.end < self.end;
        self.cut = (!complete).then_some(at);
        self.start = line.end + usize::from(complete);
        self.at = Position::new(at.line() + 1, at.byte() + len as u64 + 1);
        Ok(Some((&self.buffer[line.start..self.start], at, complete)))
    }

    /// Returns the records of the next lines, as many as are at hand.
    ///
    /// What comes out of all the readers together is what one
    /// [`RolloutReader`] over the whole text would yield.
    ///
    /// # Errors
    ///
    /// If reading fails.
    pub fn next_records(&mut self) -> Result<Option<RolloutReader<'_>>> {
        match self.advance()? {
            Front::Line(_) => {}
            Front::TooLong(len) => {
                let err = self.too_long(len);
                return Ok(Some(RolloutReader::failed(err)));
            }
            Front::End => return Ok(None),
        }
        let unread = &self.buffer[self.start..self.end];
        let len =
            if self.done { unread.len() } else { memrchr(b'\n', unread).map_or(0, |n| n + 1) };
        let batch = self.start..self.start + len;
        let at = self.at;
        let newlines = memchr_iter(b'\n', &unread[..len]).count() as u64;
        let last = memrchr(b'\n', &unread[..len]).map_or(0, |newline| newline + 1);
        self.cut =
            (last < len).then(|| Position::new(at.line() + newlines, at.byte() + last as u64));
        self.start = batch.end;
        self.at = Position::new(at.line() + newlines, at.byte() + len as u64);
        Ok(Some(RolloutReader::resume(&self.buffer[batch], at, self.max_line_len)))
    }

    fn too_long(&mut self, len: u64) -> Error {
        let at = self.at;
        self.at = Position::new(at.line() + 1, at.byte() + len + 1);
        Error::new(ErrorKind::LineTooLong { limit: self.max_line_len }, at)
    }

    /// Reads on until the next line is in the buffer.
    fn advance(&mut self) -> Result<Front> {
        let mut searched = self.start;
        let mut dropped = 0;
        loop {
            let found = memchr(b'\n', &self.buffer[searched..self.end]);
            let len = match found {
                Some(offset) => searched + offset - self.start,
                None if self.done => self.end - self.start,
                None => {
                    if self.end - self.start > self.max_line_len {
                        dropped += (self.end - self.start) as u64;
                        self.end = self.start;
                    }
                    searched = self.fill();
                    continue;
                }
            };
            if dropped > 0 || len > self.max_line_len {
                self.start += len + usize::from(found.is_some());
                return Ok(Front::TooLong(dropped + len as u64));
            }
            let is_end = len == 0 && found.is_none();
            return match self.failure.take_if(|_| is_end) {
                Some(failure) => Err(failure.found_at(self.cut.unwrap_or(self.at))),
                None if is_end => Ok(Front::End),
                None => Ok(Front::Line(len)),
            };
        }
    }

    /// Reads more behind what is unread, which moves to the front only if there
    /// is no room left; returns the offset in the buffer at which the new bytes
    /// begin.
    fn fill(&mut self) -> usize {
        if self.start > 0 && self.buffer.len() - self.end < self.chunk / 2 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() < self.chunk || self.buffer.len() - self.end < self.chunk / 2 {
            // Of a long file, every second chunk can stay where the one before is.
            let chunks = if self.chunk == CHUNK { 2 * CHUNK } else { self.chunk };
            let wanted = self.end + chunks.max(self.end / 2);
            self.buffer.reserve_exact(wanted - self.buffer.len());
            self.buffer.resize(wanted, 0);
        }
        let before = self.end;
        // However large the buffer has become: what was read is to be looked
        // at before it has left the cache.
        let room = before..self.buffer.len().min(before + self.chunk);
        match self.input.read(&mut self.buffer[room]) {
            Ok(0) => self.done = true,
            Ok(n) => self.take_in(n),
            Err(err) if err.kind() == std::io::ErrorKind::Interrupted => {}
            Err(err) => self.fail(err.into()),
        }
        self.strip_byte_order_mark();
        before.max(self.start)
    }

    fn take_in(&mut self, n: usize) {
        self.chunk = (2 * self.chunk).min(CHUNK);
        let room = usize::try_from(self.max_len - self.n_read).unwrap_or(usize::MAX);
        if n > room {
            self.fail(too_large(self.stored, self.max_len));
        }
        let n = n.min(room);
        self.n_read += n as u64;
        self.end += n;
    }

    fn fail(&mut self, failure: Error) {
        self.failure = Some(failure);
        self.done = true;
    }

    /// Drops the mark that some foreign writers put before the first line.
    fn strip_byte_order_mark(&mut self) {
        let at_start = self.at == Position::new(1, 0);
        if at_start && self.buffer[..self.end].starts_with(BYTE_ORDER_MARK) {
            self.start = BYTE_ORDER_MARK.len();
            self.at = Position::new(1, self.start as u64);
        }
    }
}

impl std::fmt::Debug for LineStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineStream").field("at", &self.at).finish_non_exhaustive()
    }
}
