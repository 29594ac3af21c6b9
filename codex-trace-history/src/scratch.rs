//! What does not fit into the memory, for a while.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A private file without a name: bytes that are added can be read again, until
/// it is dropped. However the process ends, nothing is left of it.
#[derive(Debug)]
pub struct Scratch(Mutex<Written>);

#[derive(Debug)]
struct Written {
    file: File,
    len: u64,
}

impl Scratch {
    /// Makes one in a directory that is there.
    ///
    /// # Errors
    ///
    /// If nothing can be written into the directory.
    pub fn create(dir: &Path) -> io::Result<Scratch> {
        Ok(Scratch(Mutex::new(Written { file: file(dir)?, len: 0 })))
    }

    /// Adds bytes; returns where they are.
    ///
    /// # Errors
    ///
    /// If they cannot be written.
    pub fn add(&self, bytes: &[u8]) -> io::Result<u64> {
        let mut written = self.lock();
        let at = written.len;
        written.file.seek(SeekFrom::Start(at))?;
        written.file.write_all(bytes)?;
        written.len += bytes.len() as u64;
        Ok(at)
    }

    /// Returns so many bytes from a place on.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn read(&self, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let mut written = self.lock();
        written.file.seek(SeekFrom::Start(at))?;
        written.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a private file without a name, to write to and to read from.
///
/// # Errors
///
/// If nothing can be written into the directory.
pub fn file(dir: &Path) -> io::Result<File> {
    tempfile::tempfile_in(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_read_again_and_has_no_name() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::create(dir.path()).unwrap();
        assert_eq!(scratch.add(b"one").unwrap(), 0);
        assert_eq!(scratch.add(b"three").unwrap(), 3);
        assert_eq!(scratch.read(4, 3).unwrap(), b"hre");
        assert_eq!(scratch.add(b"!").unwrap(), 8);
        assert_eq!(scratch.read(0, 9).unwrap(), b"onethree!");
        assert!(scratch.read(8, 2).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(Scratch::create(&dir.path().join("none")).is_err());
    }
}
