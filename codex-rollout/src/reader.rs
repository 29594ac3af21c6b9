use std::collections::VecDeque;

use memchr::{memchr, memmem};

use crate::error::{Error, ErrorKind, Result};
use crate::legacy::{self, Part};
use crate::line::RolloutLine;
use crate::position::Position;
use crate::source::Source;

/// The longest line decoded unless told otherwise, in bytes.
pub(crate) const DEFAULT_MAX_LINE_LEN: usize = 256 << 20;

/// How much of a line that may be too long is looked at at once, in bytes.
const STEP: usize = 16 << 20;

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
    /// What else was found on the last line.
    pending: VecDeque<Result<RolloutLine<'a>>>,
    /// What a whole-file rollout was split into, and why not into more.
    parts: VecDeque<Part<'a>>,
    /// Why there is no more: what comes last.
    failure: Option<Error>,
    /// The start of the last line, if that has no newline.
    cut: Option<Position>,
    /// What the lines are of, if it is a whole file.
    source: Option<&'a Source>,
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
        RolloutReader {
            rest,
            at,
            max_line_len,
            pending: VecDeque::new(),
            parts: VecDeque::new(),
            failure: None,
            cut: None,
            source: None,
        }
    }

    /// Reads the lines of a file.
    pub(crate) fn of_source(source: &'a Source) -> RolloutReader<'a> {
        RolloutReader { source: Some(source), ..RolloutReader::new(source.bytes()) }
    }

    /// Yields nothing but `err`.
    pub(crate) fn failed(err: Error) -> RolloutReader<'a> {
        RolloutReader { failure: Some(err), ..RolloutReader::new(&[]) }
    }

    /// Reads the whole-file form of the TypeScript CLI.
    pub fn document(bytes: &'a [u8]) -> RolloutReader<'a> {
        let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let (parts, failure) = legacy::split_document(text, bytes.len() - text.len());
        RolloutReader {
            parts: parts.into(),
            failure: failure.map(|(at, kind)| Error::new(kind, at)),
            ..RolloutReader::new(&[])
        }
    }

    /// Yields `err` after the last record, unless there is an error there.
    pub(crate) fn ending_in(mut self, err: Error) -> RolloutReader<'a> {
        self.failure.get_or_insert(err);
        self
    }

    /// Sets the longest line, or item of a whole-file rollout, to decode, in
    /// bytes. The default is 256 MiB.
    #[must_use]
    pub fn max_line_len(mut self, limit: usize) -> RolloutReader<'a> {
        self.max_line_len = limit;
        self
    }

    /// Takes the next line if it is a record that begins at once, as nearly
    /// all are: its end is found by reading it, not by looking for a newline.
    ///
    /// Reads into `line`: a record is large, and every move is a copy.
    fn take_record(&mut self, line: &mut RolloutLine<'a>) -> bool {
        let found = self.rest.first() == Some(&b'{')
            && line.decode_first(self.rest)
            && line.bytes.len() <= self.max_line_len;
        if found {
            self.pass(line.bytes.len());
        }
        found
    }

    /// Goes on behind a line of so many bytes.
    fn pass(&mut self, len: usize) {
        self.cut = (len == self.rest.len()).then_some(self.at);
        self.at = Position::new(self.at.line() + 1, self.at.byte() + len as u64 + 1);
        self.rest = self.rest.get(len + 1..).unwrap_or_default();
    }

    /// Takes the next line; says where it was and whether a newline ended it.
    fn take_line(&mut self) -> (&'a [u8], Position, bool) {
        let at = self.at;
        let newline = memchr(b'\n', self.rest);
        let line = &self.rest[..newline.unwrap_or(self.rest.len())];
        self.pass(line.len());
        (line, at, newline.is_some())
    }

    /// Takes the next line if it is too long, step by step, so that no more of
    /// it than a step is in memory.
    fn take_too_long(&mut self) -> Option<Error> {
        let at = self.at;
        let mut len = 0;
        loop {
            let step = &self.rest[len..self.rest.len().min(len + STEP)];
            let newline = memchr(b'\n', step);
            let end = len + newline.unwrap_or(step.len());
            if newline.is_some() && end <= self.max_line_len {
                return None;
            }
            if let Some(source) = self.source {
                let start = self.rest.as_ptr().addr() - source.bytes().as_ptr().addr();
                source.pass_over(start + len..start + end);
            }
            len = end;
            if newline.is_some() || step.is_empty() {
                break;
            }
        }
        self.pass(len);
        Some(self.too_long(at))
    }

    fn too_long(&self, at: Position) -> Error {
        Error::new(ErrorKind::LineTooLong { limit: self.max_line_len }, at)
    }

    fn decode(&mut self, line: &'a [u8], at: Position, complete: bool) -> Result<RolloutLine<'a>> {
        if line.len() > self.max_line_len {
            return Err(self.too_long(at));
        }
        let err = match RolloutLine::decode(line, at) {
            Ok(record) => return Ok(record),
            Err(err) => err,
        };
        if self.split(line, at, complete)
            && let Some(first) = self.pending.pop_front()
        {
            return first;
        }
        let offset = err.column() - 1;
        if complete || offset < line.len() {
            return Err(err);
        }
        Err(Error::at_column(ErrorKind::TruncatedTail, at, offset))
    }

    /// Splits a line that is no record into the records on it, if there are
    /// any, and what is torn: once for each stretch of it.
    fn split(&mut self, line: &'a [u8], at: Position, complete: bool) -> bool {
        let place = |offset: usize| Position::new(at.line(), at.byte() + offset as u64);
        let torn = |from: usize, ends: bool| {
            RolloutLine::decode(&line[from..], place(from)).map_err(|err| {
                let truncated = ends && !complete && from + err.column() > line.len();
                if !truncated {
                    return err;
                }
                Error::at_column(ErrorKind::TruncatedTail, err.position(), err.column() - 1)
            })
        };
        let mut heads = memmem::find_iter(line, HEAD).peekable();
        let (mut start, mut torn_from, mut n_found) = (0, None, 0);
        while start < line.len() {
            let record = RolloutLine::decode_front(&line[start..], place(start));
            let record = record.filter(|record| {
                let rest = &line[start + record.bytes.len()..];
                rest.is_empty() || rest.starts_with(HEAD)
            });
            if let Some(record) = record {
                self.pending.extend(torn_from.take().map(|from| torn(from, false)));
                start += record.bytes.len();
                self.pending.push_back(Ok(record));
                n_found += 1;
                continue;
            }
            torn_from.get_or_insert(start);
            while heads.next_if(|head| *head <= start).is_some() {}
            start = heads.next().unwrap_or(line.len());
        }
        if n_found > 0 {
            self.pending.extend(torn_from.map(|from| torn(from, true)));
        }
        n_found > 0
    }
}

/// Something that records are read from, one after the other.
pub trait ReadRecords<'a> {
    /// Reads the next record into `line`, whatever was there: a record is large,
    /// and every move is a copy. After an error, `line` holds anything.
    fn read_next(&mut self, line: &mut RolloutLine<'a>) -> Option<Result<()>>;
}

impl<'a> Iterator for RolloutReader<'a> {
    type Item = Result<RolloutLine<'a>>;

    fn next(&mut self) -> Option<Result<RolloutLine<'a>>> {
        let mut line = RolloutLine::empty(Position::default());
        Some(self.read_next(&mut line)?.map(|()| line))
    }
}

impl<'a> ReadRecords<'a> for RolloutReader<'a> {
    fn read_next(&mut self, line: &mut RolloutLine<'a>) -> Option<Result<()>> {
        let mut put = |record: Result<RolloutLine<'a>>| record.map(|record| *line = record);
        if let Some(record) = self.pending.pop_front() {
            return Some(put(record));
        }
        if let Some(Part { position, bytes }) = self.parts.pop_front() {
            return Some(if bytes.len() > self.max_line_len {
                Err(self.too_long(position))
            } else {
                put(RolloutLine::decode(bytes, position))
            });
        }
        while !self.rest.is_empty() {
            if self.rest.len() > self.max_line_len
                && let Some(err) = self.take_too_long()
            {
                return Some(Err(err));
            }
            line.clear(self.at);
            if self.take_record(line) {
                return Some(Ok(()));
            }
            let (text, at, complete) = self.take_line();
            if !text.trim_ascii().is_empty() {
                return Some(self.decode(text, at, complete).map(|record| *line = record));
            }
        }
        let failure = self.failure.take()?;
        Some(Err(match self.source {
            Some(_) => failure.found_at(self.cut.unwrap_or(self.at)),
            None => failure,
        }))
    }
}
