use std::fmt;

/// Where a record starts in its rollout.
///
/// For a compressed rollout both numbers count the decompressed text, as
/// Codex's own `history_base.end_byte_offset` does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    line: u64,
    byte: u64,
}

impl Position {
    /// Makes a position from a line number, starting at 1, and a byte offset,
    /// starting at 0.
    pub fn new(line: u64, byte: u64) -> Position {
        Position { line, byte }
    }

    /// Returns the number of the line, starting at 1.
    pub fn line(self) -> u64 {
        self.line
    }

    /// Returns the offset of the line's first byte, starting at 0.
    pub fn byte(self) -> u64 {
        self.byte
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, byte {}", self.line, self.byte)
    }
}
