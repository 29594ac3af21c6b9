use std::io::Read;

use memchr::memchr;

use crate::discover::{Layout, RolloutPath};
use crate::error::{Error, ErrorKind, Result};
use crate::position::Position;
use crate::reader::DEFAULT_MAX_LINE_LEN;
use crate::source::open_stream;

/// How much is read at a time, in bytes.
const CHUNK: usize = 1 << 20;

/// Reads a rollout line by line in bounded memory: one chunk, or the longest
/// line if that is longer.
///
/// For jobs that need few of the bytes and none of them for long; a trace
/// borrows its content and wants a [`Source`](crate::Source).
pub struct LineStream {
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// The unread part of the buffer.
    start: usize,
    end: usize,
    at: Position,
    done: bool,
}

impl LineStream {
    /// Opens a rollout of one record a line.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, or is one JSON document.
    pub fn open(rollout: &RolloutPath) -> Result<LineStream> {
        if rollout.layout == Layout::Document {
            return Err(Error::new(ErrorKind::NotARecord, Position::default()));
        }
        Ok(LineStream::new(open_stream(rollout)?))
    }

    /// Reads lines from `input`.
    pub fn new(input: Box<dyn Read + Send>) -> LineStream {
        LineStream {
            input,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            at: Position::new(1, 0),
            done: false,
        }
    }

    /// Returns the next line without its newline, where it starts, and
    /// whether a newline ended it.
    ///
    /// # Errors
    ///
    /// If reading fails, or the line is longer than 256 MiB; the latter does
    /// not end the stream.
    pub fn next_line(&mut self) -> Result<Option<(&[u8], Position, bool)>> {
        let mut searched = 0;
        let mut dropped = 0;
        loop {
            let found = memchr(b'\n', &self.buffer[self.start + searched..self.end]);
            let complete = found.is_some();
            let len = match found {
                Some(offset) => searched + offset,
                None if self.done => self.end - self.start,
                None => {
                    searched = self.end - self.start;
                    if searched > DEFAULT_MAX_LINE_LEN {
                        dropped += searched;
                        self.end = self.start;
                        searched = 0;
                    }
                    self.fill()?;
                    continue;
                }
            };
            let (start, at) = (self.start, self.at);
            if len == 0 && !complete && dropped == 0 {
                return Ok(None);
            }
            self.start += len + usize::from(complete);
            self.at = Position::new(at.line() + 1, at.byte() + (dropped + len) as u64 + 1);
            if dropped > 0 {
                let kind = ErrorKind::LineTooLong { limit: DEFAULT_MAX_LINE_LEN };
                return Err(Error::new(kind, at));
            }
            return Ok(Some((&self.buffer[start..start + len], at, complete)));
        }
    }

    /// Moves what is unread to the front and reads more behind it.
    fn fill(&mut self) -> Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() - self.end < CHUNK / 2 {
            let wanted = self.end + CHUNK.max(self.end / 2);
            self.buffer.reserve_exact(wanted - self.buffer.len());
            self.buffer.resize(wanted, 0);
        }
        match self.input.read(&mut self.buffer[self.end..]) {
            Ok(0) => self.done = true,
            Ok(n) => self.end += n,
            Err(err) if err.kind() == std::io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err.into()),
        }
        Ok(())
    }
}

impl std::fmt::Debug for LineStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineStream").field("at", &self.at).finish_non_exhaustive()
    }
}
