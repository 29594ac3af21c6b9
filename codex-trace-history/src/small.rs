//! Small files beside a history: what is no regular file is not waited for, and
//! nothing is read without end.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// The largest file that is taken for a configuration, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// Reads a small file of text; `None` if nothing is there.
///
/// # Errors
///
/// If it cannot be read, is not a file, or is too large for a configuration.
pub fn small_text(path: &Path) -> io::Result<Option<String>> {
    let Some(bytes) = small_bytes(path, MAX_FILE)? else { return Ok(None) };
    String::from_utf8(bytes).map(Some).map_err(|_| io::Error::other("it is not text in UTF-8"))
}

/// Reads a small file of text that somebody has named.
///
/// # Errors
///
/// As [`small_text`], and if nothing is there.
pub fn text_that_is_there(path: &Path) -> io::Result<String> {
    there(path, small_text(path)?)
}

/// As [`text_that_is_there`], of any bytes.
///
/// # Errors
///
/// As [`text_that_is_there`], but for what is text.
pub fn bytes_that_are_there(path: &Path) -> io::Result<Vec<u8>> {
    there(path, small_bytes(path, MAX_FILE)?)
}

fn there<T>(path: &Path, found: Option<T>) -> io::Result<T> {
    let why = || fs::metadata(path).err().unwrap_or_else(|| io::ErrorKind::NotFound.into());
    found.ok_or_else(why)
}

/// Reads a file of at most `max` bytes; `None` if nothing is there.
///
/// # Errors
///
/// If it cannot be read, is not a regular file, or is larger.
pub fn small_bytes(path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
    read(path, fs::metadata(path), max)
}

/// As [`small_bytes`], of a file that others may write beside a transcript: a
/// link is not followed.
///
/// # Errors
///
/// As [`small_bytes`], and if it is a link.
pub fn small_bytes_here(path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
    read(path, fs::symlink_metadata(path), max)
}

fn read(path: &Path, there: io::Result<fs::Metadata>, max: u64) -> io::Result<Option<Vec<u8>>> {
    let absent = |err: &io::Error| {
        matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
    };
    // Before it is opened: a FIFO would wait for somebody to write to it.
    let len = match there {
        Err(err) if absent(&err) => return Ok(None),
        Err(err) => return Err(err),
        Ok(metadata) if metadata.is_file() => metadata.len().min(max),
        Ok(_) => return Err(io::Error::other("it is not a regular file")),
    };
    // One more, so that the end is found without more room.
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 1);
    fs::File::open(path)?.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::other(format!("it is larger than {max} bytes")));
    }
    Ok(Some(bytes))
}
