use std::{error, fmt, io, result};

use crate::position::Position;

/// The result of reading rollouts.
pub type Result<T> = result::Result<T, Error>;

/// A failure to read a rollout or one record of it.
///
/// One word wide, so that `Result<RolloutLine, Error>` stays cheap.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    position: Position,
    column: usize,
}

/// What went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file could not be opened, mapped or read.
    Io(io::Error),
    /// The line is not JSON.
    Syntax(&'static str),
    /// The line is JSON, but not a record of any known era: not an object, or
    /// an object that names no type.
    NotARecord,
    /// The line holds bytes that are not UTF-8.
    InvalidUtf8,
    /// The line holds NUL bytes, as a crash of the file system leaves them.
    NulBytes,
    /// A `\u` escape names one half of a surrogate pair, which no text can hold.
    LoneSurrogate,
    /// The last line stops short: Codex is still writing, or was killed.
    TruncatedTail,
    /// The line is longer than the reader was told to accept.
    LineTooLong {
        /// The longest line accepted, in bytes.
        limit: usize,
    },
    /// The line nests deeper than any reader of Codex's own would follow.
    TooDeep {
        /// The deepest nesting accepted, in arrays and objects.
        limit: usize,
    },
    /// The file is stored in a way that is not read: the name of it.
    Encoding(&'static str),
    /// A compressed rollout, or what comes through a pipe, is larger than the
    /// reader accepts.
    TooLarge {
        /// The most bytes accepted, decompressed.
        limit: u64,
        /// The size of the compressed file in bytes, if it is one.
        compressed: Option<u64>,
    },
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, position: Position) -> Error {
        Error::at_column(kind, position, 0)
    }

    pub(crate) fn at_column(kind: ErrorKind, position: Position, column: usize) -> Error {
        Error(Box::new(Inner { kind, position, column }))
    }

    /// Says where it was, unless that is known.
    pub(crate) fn found_at(mut self, position: Position) -> Error {
        if self.0.position == Position::default() {
            self.0.position = position;
        }
        self
    }

    /// Returns what went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Returns the start of the line concerned: the first that cannot be read to
    /// its end, where the rest of the file cannot be. The default position if the
    /// whole file is concerned.
    pub fn position(&self) -> Position {
        self.0.position
    }

    /// Returns the byte within the line at which reading stopped, starting at 1.
    pub fn column(&self) -> usize {
        self.0.column + 1
    }

    /// Returns whether a line was at fault, so that the next one can be read.
    pub fn is_about_a_line(&self) -> bool {
        !matches!(
            self.0.kind,
            ErrorKind::Io(_) | ErrorKind::TooLarge { .. } | ErrorKind::Encoding(_)
        )
    }
}

impl From<io::Error> for Error {
    fn from(err: io::Error) -> Error {
        Error::new(ErrorKind::Io(err), Position::default())
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorKind::Io(_) => f.write_str("cannot read the rollout"),
            ErrorKind::Syntax(what) => write!(f, "not JSON: {what}"),
            ErrorKind::NotARecord => f.write_str("not a rollout record"),
            ErrorKind::InvalidUtf8 => f.write_str("invalid UTF-8"),
            ErrorKind::NulBytes => f.write_str("NUL bytes"),
            ErrorKind::LoneSurrogate => f.write_str("lone surrogate in a \\u escape"),
            ErrorKind::TruncatedTail => f.write_str("rollout ends mid-record"),
            ErrorKind::LineTooLong { limit } => {
                write!(f, "line longer than the limit of {limit} bytes")
            }
            ErrorKind::TooDeep { limit } => write!(f, "nested deeper than the limit of {limit}"),
            ErrorKind::Encoding("UTF-16") => f.write_str("is text in UTF-16, not in UTF-8"),
            ErrorKind::Encoding("tar" | "zip" | "7z") => {
                f.write_str("is an archive; unpack it and name the directory")
            }
            ErrorKind::Encoding(name) => {
                write!(f, "is compressed with {name}, which is not read; decompress it first")
            }
            ErrorKind::TooLarge { limit, compressed: Some(compressed) } => write!(
                f,
                "decompresses from {compressed} bytes to more than the limit of {limit}; \
                 decompress it yourself to have all of it read"
            ),
            ErrorKind::TooLarge { limit, compressed: None } => {
                write!(f, "has more than the limit of {limit} bytes")
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_about_a_line() {
            write!(f, "{} at {}, column {}", self.0.kind, self.0.position, self.column())
        } else {
            write!(f, "{}", self.0.kind)
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0.kind {
            ErrorKind::Io(err) => Some(err),
            _ => None,
        }
    }
}
