//! Elsewhere a file is read: a mapping would keep Codex from compressing or
//! removing it.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::ops::Range;

/// The bytes of a file.
#[derive(Debug)]
pub(crate) struct MappedFile(Vec<u8>);

/// Says that nothing is mapped here.
pub fn map_large_files() -> bool {
    false
}

impl MappedFile {
    pub(crate) fn new(mut file: &File) -> io::Result<MappedFile> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(MappedFile(bytes))
    }

    pub(crate) fn of_our_own(mut file: &File) -> io::Result<MappedFile> {
        file.rewind()?;
        MappedFile::new(file)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Not here: what was read cannot be fetched again.
    #[expect(clippy::unused_self, reason = "as where files are mapped")]
    pub(crate) fn let_go(&self, _bytes: Range<usize>) {}

    #[expect(clippy::unused_self, reason = "as where files are mapped")]
    pub(crate) fn expect_leaps(&self) {}

    /// Never: what was read cannot be lost.
    #[expect(clippy::unused_self, reason = "as where files are mapped")]
    pub(crate) fn was_shortened(&self) -> bool {
        false
    }
}
