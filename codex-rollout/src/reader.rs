use std::collections::VecDeque;

use memchr::{memchr, memmem};

use crate::error::{Error, ErrorKind, Result};
use crate::legacy;
use crate::line::RolloutLine;
use crate::position::Position;

/// The longest line decoded unless told otherwise, in bytes.
pub(crate) const DEFAULT_MAX_LINE_LEN: usize = 256 << 20;

/// What some foreign writers put before the first line.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// How a record begins: Codex writes the time first. A quote inside a string is
/// escaped, so that this cannot be part of one.
pub(crate) const HEAD: &[u8] = br#"{"timestamp":""#;

/// An iterator over the records of a rollout, in file order.
///
/// Blank lines are skipped. An error never ends the iteration: the next call
/// goes on with the next line, so the caller decides what is fatal. A record
/// that an older writer glued to the torn end of another one is found again.
#[derive(Debug)]
pub struct RolloutReader<'a> {
    rest: &'a [u8],
    at: Position,
    max_line_len: usize,
    /// What a whole-file rollout was split into, or what was glued to a torn line.
    pending: VecDeque<Result<RolloutLine<'a>>>,
}

impl<'a> RolloutReader<'a> {
    /// Reads the lines of `bytes`.
    pub fn new(bytes: &'a [u8]) -> RolloutReader<'a> {
        let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let at = Position::new(1, (bytes.len() - text.len()) as u64);
        RolloutReader::resume(text, at, DEFAULT_MAX_LINE_LEN)
    }

    /// Reads lines of which the first starts at `at`.
    pub(crate) fn resume(rest: &'a [u8], at: Position, max_line_len: usize) -> RolloutReader<'a> {
        RolloutReader { rest, at, max_line_len, pending: VecDeque::new() }
    }

    /// Yields nothing but `err`.
    pub(crate) fn failed(err: Error) -> RolloutReader<'a> {
        let mut reader = RolloutReader::new(&[]);
        reader.pending.push_back(Err(err));
        reader
    }

    /// Reads the whole-file form of the TypeScript CLI.
    pub fn document(bytes: &'a [u8]) -> RolloutReader<'a> {
        let (parts, failure) = legacy::split_document(bytes);
        let mut reader = RolloutReader::new(&[]);
        reader.pending = parts
            .into_iter()
            .map(|part| RolloutLine::decode(part.bytes, part.position))
            .chain(failure.map(|(at, kind)| Err(Error::new(kind, at))))
            .collect();
        reader
    }

    /// Sets the longest line to decode, in bytes. The default is 256 MiB.
    #[must_use]
    pub fn max_line_len(mut self, limit: usize) -> RolloutReader<'a> {
        self.max_line_len = limit;
        self
    }

    /// Takes the next line if it is a record that begins at once, as nearly
    /// all are: its end is found by reading it, not by looking for a newline.
    fn take_record(&mut self) -> Option<RolloutLine<'a>> {
        if self.rest.first() != Some(&b'{') {
            return None;
        }
        let line = RolloutLine::decode_first(self.rest, self.at)?;
        let len = line.bytes.len();
        if len > self.max_line_len {
            return None;
        }
        self.at = Position::new(self.at.line() + 1, self.at.byte() + len as u64 + 1);
        self.rest = self.rest.get(len + 1..).unwrap_or_default();
        Some(line)
    }

    /// Takes the next line; says where it was and whether a newline ended it.
    fn take_line(&mut self) -> (&'a [u8], Position, bool) {
        let at = self.at;
        let (line, rest, complete) = match memchr(b'\n', self.rest) {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..], true),
            None => (self.rest, &self.rest[self.rest.len()..], false),
        };
        self.at = Position::new(at.line() + 1, at.byte() + line.len() as u64 + 1);
        self.rest = rest;
        (line, at, complete)
    }

    fn decode(&mut self, line: &'a [u8], at: Position, complete: bool) -> Result<RolloutLine<'a>> {
        if line.len() > self.max_line_len {
            let kind = ErrorKind::LineTooLong { limit: self.max_line_len };
            return Err(Error::new(kind, at));
        }
        let err = match RolloutLine::decode(line, at) {
            Ok(record) => return Ok(record),
            Err(err) => err,
        };
        let offset = err.column() - 1;
        if self.recover_glued(line, at) || complete || offset < line.len() {
            return Err(err);
        }
        Err(Error::at_column(ErrorKind::TruncatedTail, at, offset))
    }

    /// Looks for a whole record behind a torn one.
    fn recover_glued(&mut self, line: &'a [u8], at: Position) -> bool {
        for start in memmem::find_iter(line, HEAD).filter(|start| *start > 0) {
            let position = Position::new(at.line(), at.byte() + start as u64);
            if let Ok(record) = RolloutLine::decode(&line[start..], position) {
                self.pending.push_back(Ok(record));
                return true;
            }
        }
        false
    }
}

impl<'a> Iterator for RolloutReader<'a> {
    type Item = Result<RolloutLine<'a>>;

    fn next(&mut self) -> Option<Result<RolloutLine<'a>>> {
        if let Some(record) = self.pending.pop_front() {
            return Some(record);
        }
        while !self.rest.is_empty() {
            if let Some(line) = self.take_record() {
                return Some(Ok(line));
            }
            let (line, at, complete) = self.take_line();
            if !line.trim_ascii().is_empty() {
                return Some(self.decode(line, at, complete));
            }
        }
        None
    }
}
