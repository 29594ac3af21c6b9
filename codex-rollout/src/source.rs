#![expect(clippy::disallowed_methods, reason = "rollouts are opened here")]

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::discover::{Encoding, Layout, RolloutPath};
use crate::error::{Error, ErrorKind, Result};
use crate::magic::{Foreign, MAGIC_LEN, encoding_of};
use crate::mapped::MappedFile;
use crate::piped::{Piped, PipedReader};
use crate::position::Position;
use crate::reader::RolloutReader;
use crate::room::max_decompressed;

/// Up to this size the bytes are read into memory: that costs less than the
/// page faults of a mapping, and nothing can take them away again.
const READ_UP_TO: u64 = 16 << 20;

/// The same where memory matters more: beyond, a mapping lets go of what was
/// looked at.
const LEAN_READ_UP_TO: u64 = 1 << 20;

/// How much of a lean mapping stays in memory behind the reader, in bytes.
const LEAN_STEP: usize = 1 << 20;

/// The bytes of one rollout, opened; decompressed if need be.
///
/// A large file is mapped, if the program asked for it by
/// [`map_large_files`](crate::map_large_files), and read into memory otherwise.
/// Should another process shorten a mapped one meanwhile, the lost bytes read as zeros and [`was_shortened`](Self::was_shortened) tells.
#[derive(Debug)]
pub struct Source {
    bytes: Bytes,
    layout: Layout,
    /// The file, if it was opened here.
    path: Option<PathBuf>,
    /// Whether the memory of what was looked at is let go.
    lean: bool,
    /// Why there is no more than these bytes, if there should be.
    failure: Option<Failure>,
}

/// Why a compressed rollout could not be read to its end.
#[derive(Clone, Debug)]
enum Failure {
    Io(io::ErrorKind, String),
    TooLarge { compressed: u64, limit: u64 },
}

impl Failure {
    fn of(err: &io::Error) -> Failure {
        Failure::Io(err.kind(), err.to_string())
    }

    fn error(&self) -> Error {
        match self {
            Failure::Io(kind, text) => io::Error::new(*kind, text.clone()).into(),
            Failure::TooLarge { compressed, limit } => too_large(*compressed, *limit),
        }
    }
}

/// Says that a compressed file of `compressed` bytes becomes too large.
pub(crate) fn too_large(compressed: u64, limit: u64) -> Error {
    let kind = ErrorKind::TooLarge { limit, compressed: Some(compressed) };
    Error::new(kind, Position::default())
}

#[derive(Debug)]
enum Bytes {
    Owned(Vec<u8>),
    Mapped(MappedFile),
}

impl Source {
    /// Opens a rollout.
    ///
    /// If the file has gone, the name that Codex gives it when it compresses
    /// or decompresses it is tried as well.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, or is not compressed and cannot be read.
    ///
    /// A compressed file that is cut short or damaged, or becomes too large, is
    /// read as far as that goes: an error is the last of its
    /// [`lines`](Self::lines). Too large is more than 64 MiB and 256 times the
    /// size of the file, or more than 16 GiB; or more than the rollout's own
    /// [limit](RolloutPath::max_decompressed).
    pub fn open(rollout: &RolloutPath) -> Result<Source> {
        Source::open_within(rollout, None)
    }

    /// As [`open`](Self::open), with another limit for decompressed bytes.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_limited(rollout: &RolloutPath, max_decompressed: u64) -> Result<Source> {
        Source::open_within(rollout, Some(max_decompressed))
    }

    fn open_within(rollout: &RolloutPath, limit: Option<u64>) -> Result<Source> {
        let (input, encoding) = open_either(rollout)?;
        let len = input.len()?;
        let limit = limit.or(rollout.max_decompressed).unwrap_or_else(|| max_decompressed(len));
        let (bytes, failure) = match encoding {
            Encoding::Plain => (plain(&input, READ_UP_TO)?, None),
            Encoding::Zstd => decompressed(zstd::Decoder::new(input)?, len, limit)?,
            Encoding::Gzip => decompressed(MultiGzDecoder::new(input), len, limit)?,
        };
        Ok(Source::of(bytes, rollout, false, failure))
    }

    /// As [`open`](Self::open), for who looks at the content once, from front
    /// to back, and says how far that is with [`passed`](Self::passed): what
    /// was passed takes no memory, unless there is little of it.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_lean(rollout: &RolloutPath) -> Result<Source> {
        let (input, encoding) = open_either(rollout)?;
        if encoding != Encoding::Plain {
            return Ok(Source { lean: true, ..Source::open(rollout)? });
        }
        let bytes = plain(&input, LEAN_READ_UP_TO)?;
        Ok(Source::of(bytes, rollout, true, None))
    }

    fn of(bytes: Bytes, rollout: &RolloutPath, lean: bool, failure: Option<Failure>) -> Source {
        let path = Some(rollout.path.clone());
        Source { bytes, layout: rollout.layout, path, lean, failure }
    }

    /// Takes the bytes of an uncompressed JSON-lines rollout.
    pub fn from_bytes(bytes: Vec<u8>) -> Source {
        Source {
            bytes: Bytes::Owned(bytes),
            layout: Layout::Lines,
            path: None,
            lean: false,
            failure: None,
        }
    }

    /// Returns the path that the rollout was opened by, whatever its bytes are;
    /// nothing where bytes were given.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Returns how the file's records are laid out.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Returns the rollout's text.
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Owned(bytes) => bytes,
            Bytes::Mapped(file) => file.bytes(),
        }
    }

    /// Returns the records, in file order; last an error, if the file could not
    /// be read to its end.
    pub fn lines(&self) -> RolloutReader<'_> {
        let reader = match self.layout {
            Layout::Lines => RolloutReader::of_source(self),
            Layout::Document => RolloutReader::document(self.bytes()),
        };
        match &self.failure {
            Some(failure) => reader.ending_in(failure.error()),
            None => reader,
        }
    }

    /// Says that the bytes before `end` were looked at, of which those before
    /// `start` were told before; returns the `start` for the next time. They
    /// stay readable, but may have to be fetched again.
    pub fn passed(&self, start: usize, end: usize) -> usize {
        match &self.bytes {
            Bytes::Mapped(file) if self.lean && end >= start + LEAN_STEP => {
                file.let_go(start..end);
                end
            }
            _ => start,
        }
    }

    /// Says that some of the bytes are of no use to anybody.
    pub(crate) fn pass_over(&self, bytes: std::ops::Range<usize>) {
        if let Bytes::Mapped(file) = &self.bytes {
            file.let_go(bytes);
        }
    }

    /// Says that all bytes were looked at, and that from now on only a few of
    /// them will be.
    pub fn passed_all(&self) {
        if let Bytes::Mapped(file) = &self.bytes
            && self.lean
        {
            file.let_go(0..file.bytes().len());
            file.expect_leaps();
        }
    }

    /// Returns whether the file lost bytes after it was opened.
    pub fn was_shortened(&self) -> bool {
        match &self.bytes {
            Bytes::Owned(_) => false,
            Bytes::Mapped(file) => file.was_shortened(),
        }
    }
}

/// What a rollout is read from.
enum Input {
    File(File),
    Piped(PipedReader, Piped),
}

impl Input {
    /// Returns how many bytes there are, as they are stored.
    fn len(&self) -> io::Result<u64> {
        match self {
            Input::File(file) => Ok(file.metadata()?.len()),
            Input::Piped(_, piped) => piped.len(),
        }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Input::File(file) => file.read(buffer),
            Input::Piped(reader, _) => reader.read(buffer),
        }
    }
}

/// Opens the file or, if it has just been compressed or decompressed, its twin;
/// tells by its first bytes how it is encoded.
fn open_either(rollout: &RolloutPath) -> Result<(Input, Encoding)> {
    let mut start = [0; MAGIC_LEN];
    let input = if let Some(piped) = &rollout.piped {
        read_start(&mut piped.reader(), &mut start)?;
        Input::Piped(piped.reader(), piped.clone())
    } else {
        let mut file = match File::open(&rollout.path) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => {
                File::open(rollout.twin().ok_or(err)?)?
            }
            file => file?,
        };
        if read_start(&mut file, &mut start)? > 0 {
            file.rewind()?;
        }
        Input::File(file)
    };
    match encoding_of(&start) {
        Ok(encoding) => Ok((input, encoding)),
        Err(Foreign(encoding)) => {
            Err(Error::new(ErrorKind::Encoding(encoding), Position::default()))
        }
    }
}

fn read_start(input: &mut impl Read, start: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < start.len() {
        match input.read(&mut start[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    Ok(n)
}

fn plain(input: &Input, read_up_to: u64) -> Result<Bytes> {
    let mut file = match input {
        Input::Piped(_, piped) => {
            return Ok(match piped.kept() {
                Ok(bytes) => Bytes::Owned(bytes.to_vec()),
                Err(file) => Bytes::Mapped(MappedFile::of_our_own(file)?),
            });
        }
        Input::File(file) => file,
    };
    let len = file.metadata()?.len();
    if len > read_up_to {
        return Ok(Bytes::Mapped(MappedFile::new(file)?));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 1);
    file.read_to_end(&mut bytes)?;
    Ok(Bytes::Owned(bytes))
}

/// Makes a nameless file, and says where.
pub(crate) fn temporary() -> io::Result<(File, PathBuf)> {
    let dir = std::env::temp_dir();
    let file = tempfile::tempfile_in(&dir).map_err(|err| no_room(&dir, &err))?;
    Ok((file, dir))
}

/// Says where there was no room.
pub(crate) fn no_room(dir: &Path, err: &io::Error) -> io::Error {
    io::Error::new(err.kind(), format!("no room to decompress it in `{}`: {err}", dir.display()))
}

/// Decompresses a file of `len` bytes into memory, or beyond a size into a
/// nameless temporary file that only this process can see.
fn decompressed(decoder: impl Read, len: u64, limit: u64) -> Result<(Bytes, Option<Failure>)> {
    let mut decoder = Decoder { inner: decoder, failure: None, compressed: len, limit, n_read: 0 };
    let mut bytes = Vec::new();
    decoder.by_ref().take(READ_UP_TO + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 <= READ_UP_TO {
        return match decoder.failure {
            Some(failure) if bytes.is_empty() => Err(failure.error().found_at(Position::new(1, 0))),
            failure => Ok((Bytes::Owned(bytes), failure)),
        };
    }
    let (mut file, dir) = temporary()?;
    let cannot = |err: io::Error| no_room(&dir, &err);
    io::copy(&mut bytes.as_slice(), &mut file).map_err(cannot)?;
    drop(bytes);
    io::copy(&mut decoder, &mut file).map_err(cannot)?;
    file.rewind()?;
    Ok((Bytes::Mapped(MappedFile::of_our_own(&file)?), decoder.failure))
}

/// Reads as much as can be decompressed and may be, and keeps why there is no
/// more.
struct Decoder<R> {
    inner: R,
    failure: Option<Failure>,
    /// The size of what is decompressed.
    compressed: u64,
    limit: u64,
    n_read: u64,
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failure.is_some() {
            return Ok(0);
        }
        let n = match self.inner.read(buffer) {
            Err(err) if err.kind() != io::ErrorKind::Interrupted => {
                self.failure = Some(Failure::of(&err));
                0
            }
            read => read?,
        };
        let room = usize::try_from(self.limit - self.n_read).unwrap_or(usize::MAX);
        if n > room {
            let (compressed, limit) = (self.compressed, self.limit);
            self.failure = Some(Failure::TooLarge { compressed, limit });
        }
        let n = n.min(room);
        self.n_read += n as u64;
        Ok(n)
    }
}

/// A rollout opened for reading from its start, without holding all of it.
pub(crate) struct Opened {
    pub(crate) input: Box<dyn Read + Send>,
    /// How many bytes are stored.
    pub(crate) len: u64,
    pub(crate) encoding: Encoding,
}

impl Opened {
    /// Returns how many bytes it may become by decompression, if it is the one
    /// at `rollout`; nothing if it is not compressed.
    pub(crate) fn max_decompressed(&self, rollout: &RolloutPath) -> Option<u64> {
        let limit = rollout.max_decompressed.unwrap_or_else(|| max_decompressed(self.len));
        (self.encoding != Encoding::Plain).then_some(limit)
    }
}

/// Opens a rollout for reading from its start.
///
/// # Errors
///
/// If the file cannot be opened.
pub(crate) fn open_stream(rollout: &RolloutPath) -> Result<Opened> {
    let (input, encoding) = open_either(rollout)?;
    let len = input.len()?;
    let input: Box<dyn Read + Send> = match (encoding, input) {
        (Encoding::Plain, Input::File(file)) => Box::new(file),
        (Encoding::Plain, piped) => Box::new(piped),
        (Encoding::Zstd, input) => Box::new(zstd::Decoder::new(input)?),
        (Encoding::Gzip, input) => Box::new(MultiGzDecoder::new(input)),
    };
    Ok(Opened { input, len, encoding })
}

impl Source {
    /// Opens a file by its path alone; see [`RolloutPath::from_file`].
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_file(path: &Path) -> Result<Source> {
        Source::open(&RolloutPath::from_file(path))
    }
}
