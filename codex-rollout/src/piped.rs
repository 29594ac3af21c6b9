//! Files that can be read once only: pipes.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::position::Position;

/// Up to this size the bytes are kept in memory.
const IN_MEMORY: u64 = 16 << 20;

/// The most bytes that are taken from a pipe.
pub(crate) const MAX_PIPED: u64 = 16 << 30;

/// What came out of a pipe, kept so that it can be read more than once: in
/// memory, or beyond a size in a nameless file that only this process can see.
#[derive(Clone, Debug)]
pub struct Piped(Arc<Kept>);

#[derive(Debug)]
enum Kept {
    Memory(Vec<u8>),
    File(File),
}

impl Piped {
    /// Reads a pipe to its end.
    ///
    /// # Errors
    ///
    /// If it cannot be read, there is no room for it, or it has more than 16 GiB.
    pub fn read(pipe: impl Read) -> Result<Piped> {
        let mut pipe = pipe.take(MAX_PIPED + 1);
        let mut bytes = Vec::new();
        pipe.by_ref().take(IN_MEMORY + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 <= IN_MEMORY {
            return Ok(Piped(Arc::new(Kept::Memory(bytes))));
        }
        let (mut file, dir) = crate::source::temporary()?;
        let room = |err| crate::source::no_room(&dir, &err);
        let begun = io::copy(&mut bytes.as_slice(), &mut file).map_err(room)?;
        let rest = io::copy(&mut pipe, &mut file).map_err(room)?;
        if begun + rest > MAX_PIPED {
            let kind = ErrorKind::TooLarge { limit: MAX_PIPED, compressed: None };
            return Err(Error::new(kind, Position::default()));
        }
        Ok(Piped(Arc::new(Kept::File(file))))
    }

    /// Returns whether a path leads to a pipe that has a name, by its metadata.
    pub fn is_pipe(metadata: &Metadata) -> bool {
        system::is_pipe(metadata)
    }

    /// Returns a reader from the start, independent of others.
    pub(crate) fn reader(&self) -> PipedReader {
        PipedReader { piped: self.clone(), at: 0 }
    }

    /// Returns how many bytes came.
    pub(crate) fn len(&self) -> io::Result<u64> {
        match &*self.0 {
            Kept::Memory(bytes) => Ok(bytes.len() as u64),
            Kept::File(file) => Ok(file.metadata()?.len()),
        }
    }

    /// Returns the bytes, or the file that has them.
    pub(crate) fn kept(&self) -> std::result::Result<&[u8], &File> {
        match &*self.0 {
            Kept::Memory(bytes) => Ok(bytes),
            Kept::File(file) => Err(file),
        }
    }
}

impl PartialEq for Piped {
    fn eq(&self, other: &Piped) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Piped {}

/// Reads what came out of a pipe.
#[derive(Debug)]
pub(crate) struct PipedReader {
    piped: Piped,
    at: u64,
}

impl Read for PipedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = match self.piped.kept() {
            Ok(bytes) => {
                let rest = usize::try_from(self.at).ok().and_then(|at| bytes.get(at..));
                rest.unwrap_or_default().read(buffer)?
            }
            Err(file) => system::read_at(file, buffer, self.at)?,
        };
        self.at += n as u64;
        Ok(n)
    }
}

#[cfg(unix)]
mod system {
    use std::fs::{File, Metadata};
    use std::io;
    use std::os::unix::fs::{FileExt, FileTypeExt};

    pub(super) fn is_pipe(metadata: &Metadata) -> bool {
        metadata.file_type().is_fifo()
    }

    pub(super) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        file.read_at(buffer, at)
    }
}

#[cfg(windows)]
mod system {
    use std::fs::{File, Metadata};
    use std::io;
    use std::os::windows::fs::FileExt;

    /// Pipes there have names of their own kind, which lead to no file.
    pub(super) fn is_pipe(_: &Metadata) -> bool {
        false
    }

    pub(super) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        file.seek_read(buffer, at)
    }
}

#[cfg(not(any(unix, windows)))]
mod system {
    use std::fs::{File, Metadata};
    use std::io::{self, Read, Seek, SeekFrom};

    pub(super) fn is_pipe(_: &Metadata) -> bool {
        false
    }

    pub(super) fn read_at(mut file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        file.seek(SeekFrom::Start(at))?;
        file.read(buffer)
    }
}
