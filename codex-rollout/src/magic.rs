//! What the first bytes of a file say about how it is stored, whatever its name.

use crate::discover::Encoding;

/// How many bytes it takes to tell.
pub(crate) const MAGIC_LEN: usize = 6;

/// A way to store a file that is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Foreign(pub(crate) &'static str);

/// Tells the encoding of a file by its first bytes.
pub(crate) fn encoding_of(start: &[u8]) -> Result<Encoding, Foreign> {
    const FOREIGN: [(&[u8], &str); 8] = [
        (b"\xFD7zXZ\0", "xz"),
        (b"BZh", "bzip2"),
        (b"PK\x03\x04", "zip"),
        (b"PK\x05\x06", "zip"),
        (b"\x04\x22\x4D\x18", "lz4"),
        (b"7z\xBC\xAF\x27\x1C", "7z"),
        (b"\xFF\xFE", "UTF-16"),
        (b"\xFE\xFF", "UTF-16"),
    ];
    if let Some((_, name)) = FOREIGN.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Err(Foreign(name));
    }
    let is_zstd = start.starts_with(b"\x28\xB5\x2F\xFD")
        // A frame that is to be skipped may come first.
        || matches!(start, [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..]);
    Ok(match start {
        _ if is_zstd => Encoding::Zstd,
        [0x1F, 0x8B, ..] => Encoding::Gzip,
        _ => Encoding::Plain,
    })
}

/// Tells by a file's name that it is stored in a way that is not read.
pub(crate) fn foreign_name(name: &str) -> Option<Foreign> {
    const SUFFIXES: [(&str, &str); 12] = [
        (".tar.gz", "tar"),
        (".tar.zst", "tar"),
        (".tgz", "tar"),
        (".tar", "tar"),
        (".xz", "xz"),
        (".bz2", "bzip2"),
        (".zip", "zip"),
        (".lz4", "lz4"),
        (".7z", "7z"),
        (".br", "brotli"),
        (".lzma", "lzma"),
        (".rar", "rar"),
    ];
    let name = name.to_ascii_lowercase();
    SUFFIXES.iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, what)| Foreign(what))
}
