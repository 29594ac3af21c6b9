//! The body of a request: in one, or in pieces that lie where they were written.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};
use std::iter;
use std::sync::Arc;

/// The body of a request, compressed if a header says so.
#[derive(Clone)]
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// What is put together only as it goes over the wire.
    Pieces(Arc<dyn Pieces>),
}

/// Bytes in pieces, which are the same each time they are asked for.
pub trait Pieces: Send + Sync {
    /// Returns how many bytes they are together.
    fn n_bytes(&self) -> usize;

    /// Returns them in order.
    fn iter(&self) -> Box<dyn Iterator<Item = &[u8]> + '_>;
}

impl Body {
    /// Returns how many bytes it has.
    pub fn len(&self) -> usize {
        match self {
            Body::Whole(bytes) => bytes.len(),
            Body::Pieces(pieces) => pieces.n_bytes(),
        }
    }

    /// Returns whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns its bytes, bit by bit.
    pub fn pieces(&self) -> Box<dyn Iterator<Item = &[u8]> + '_> {
        match self {
            Body::Whole(bytes) => Box::new(iter::once(bytes.as_slice())),
            Body::Pieces(pieces) => pieces.iter(),
        }
    }

    /// Returns its bytes in one: copied, if they are in pieces.
    pub fn to_bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Body::Whole(bytes) => Cow::Borrowed(bytes),
            Body::Pieces(pieces) => {
                let mut bytes = Vec::with_capacity(pieces.n_bytes());
                pieces.iter().for_each(|piece| bytes.extend_from_slice(piece));
                Cow::Owned(bytes)
            }
        }
    }

    /// Returns what reads its bytes from the first one on.
    pub fn reader(&self) -> BodyReader<'_> {
        BodyReader { pieces: self.pieces(), rest: &[] }
    }
}

/// An empty body.
impl Default for Body {
    fn default() -> Body {
        Body::Whole(Vec::new())
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        Body::Whole(bytes)
    }
}

/// The length, not content.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

/// Reads a body. Fills what it is given as long as there is something left.
pub struct BodyReader<'b> {
    pieces: Box<dyn Iterator<Item = &'b [u8]> + 'b>,
    rest: &'b [u8],
}

impl Read for BodyReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        while n < out.len() {
            if self.rest.is_empty() {
                match self.pieces.next() {
                    Some(piece) => self.rest = piece,
                    None => break,
                }
            }
            let fits = self.rest.len().min(out.len() - n);
            let (now, later) = self.rest.split_at(fits);
            out[n..n + fits].copy_from_slice(now);
            (self.rest, n) = (later, n + fits);
        }
        Ok(n)
    }
}

impl fmt::Debug for BodyReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyReader").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Words(Vec<&'static str>);

    impl Pieces for Words {
        fn n_bytes(&self) -> usize {
            self.0.iter().map(|word| word.len()).sum()
        }

        fn iter(&self) -> Box<dyn Iterator<Item = &[u8]> + '_> {
            Box::new(self.0.iter().map(|word| word.as_bytes()))
        }
    }

    #[test]
    fn pieces_are_read_as_if_they_were_one() {
        let pieces = Body::Pieces(Arc::new(Words(vec!["", "ab", "c", "", "defgh", ""])));
        let whole = Body::from(b"abcdefgh".to_vec());
        for body in [&pieces, &whole] {
            assert_eq!((body.len(), &*body.to_bytes()), (8, &b"abcdefgh"[..]));
            for size in 1..=9 {
                let (mut reader, mut read) = (body.reader(), Vec::new());
                let mut buffer = vec![0; size];
                loop {
                    let n = reader.read(&mut buffer).unwrap();
                    assert!(n == size || read.len() + n == 8, "it is filled");
                    read.extend_from_slice(&buffer[..n]);
                    if n == 0 {
                        break;
                    }
                }
                assert_eq!(read, b"abcdefgh", "{size} at a time");
            }
        }
        assert!(Body::default().is_empty() && Body::Pieces(Arc::new(Words(vec![]))).is_empty());
    }
}
