//! What everything is compared with: the least that can be done with the bytes.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

/// Maps a file.
///
/// # Panics
///
/// If it cannot be opened or mapped.
pub fn map(path: &Path) -> Mmap {
    let file = File::open(path).expect("it was just found");
    #[expect(unsafe_code, reason = "a measurement of files that nobody changes")]
    // SAFETY: the files are a history at rest.
    unsafe {
        Mmap::map(&file).expect("it can be mapped")
    }
}

/// Counts the newlines of a file, mapped.
pub fn newlines(path: &Path) -> u64 {
    if path.metadata().is_ok_and(|metadata| metadata.len() == 0) {
        return 0;
    }
    memchr::memchr_iter(b'\n', &map(path)).count() as u64
}

/// Returns the length of a file's text, or 0 if it is not UTF-8.
pub fn utf8(bytes: &[u8]) -> u64 {
    simdutf8::basic::from_utf8(bytes).map_or(0, |text| text.len() as u64)
}
