//! Texts that many spans repeat: each piece of them is kept once, and copied only
//! where a span is written.

use std::fmt;
use std::sync::Arc;

/// A text in pieces.
#[derive(Clone, Default)]
pub struct Joined {
    pieces: Vec<Piece>,
    len: usize,
}

#[derive(Clone)]
enum Piece {
    Fixed(&'static str),
    Kept(Arc<String>),
}

impl Joined {
    /// Makes an empty text, with room for so many pieces.
    pub(crate) fn with_capacity(n_pieces: usize) -> Joined {
        Joined { pieces: Vec::with_capacity(n_pieces), len: 0 }
    }

    /// Adds a piece that is always the same.
    pub(crate) fn fixed(&mut self, text: &'static str) {
        self.len += text.len();
        self.pieces.push(Piece::Fixed(text));
    }

    /// Adds a piece that somebody else keeps, too.
    pub(crate) fn kept(&mut self, text: &Arc<String>) {
        self.len += text.len();
        self.pieces.push(Piece::Kept(Arc::clone(text)));
    }

    /// Makes a text of one piece that somebody else keeps, too.
    pub(crate) fn of(text: &Arc<String>) -> Joined {
        let mut joined = Joined::default();
        joined.kept(text);
        joined
    }

    /// Returns how many bytes all pieces have.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the pieces, in order.
    pub fn pieces(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().map(|piece| match piece {
            Piece::Fixed(text) => *text,
            Piece::Kept(text) => text,
        })
    }
}

/// The whole text.
impl fmt::Display for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces().try_for_each(|piece| f.write_str(piece))
    }
}

impl fmt::Debug for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

/// The same text, however it is cut.
impl PartialEq for Joined {
    fn eq(&self, other: &Joined) -> bool {
        self.len == other.len
            && self.pieces().flat_map(str::bytes).eq(other.pieces().flat_map(str::bytes))
    }
}
