use std::ops::Range;

use crate::redact::PLACEHOLDER;

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Secret {
    pub(super) place: Range<usize>,
    /// The quotes that what stands for it needs, if it had none itself.
    pub(super) quote: Option<Quote>,
}

impl Secret {
    /// A part of a text.
    pub(super) fn part(place: Range<usize>) -> Secret {
        Secret { place, quote: None }
    }

    /// Appends what stands for it.
    pub(super) fn write_placeholder(&self, out: &mut Vec<u8>) {
        let quote = |out: &mut Vec<u8>| {
            if let Some(Quote { byte, depth }) = self.quote {
                // Those that are a text's own backslashes are none of the quote's.
                let depth = (1 << depth.trailing_ones()) - 1;
                out.resize(out.len() + depth, b'\\');
                out.push(byte);
            }
        };
        quote(out);
        out.extend_from_slice(PLACEHOLDER.as_bytes());
        quote(out);
    }
}

/// A quote, as it stands in JSON within JSON: with 0, 1, 3, 7 … backslashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quote {
    pub(super) byte: u8,
    /// How many backslashes it has.
    pub(super) depth: usize,
}

impl Quote {
    /// Returns where a text within such quotes ends, if it does at the double
    /// quote at `at`, before which `n` backslashes stand.
    ///
    /// `\\"` is a backslash and the end; `\"` within a text at depth 0 is a
    /// part of it; a quote at a lesser depth ends what is around.
    pub(super) fn ends_at(self, at: usize, n: usize) -> Option<usize> {
        let level = n.trailing_ones();
        (level <= self.depth.trailing_ones()).then(|| at - ((1 << level) - 1))
    }

    /// Whether the double quote before which `n` backslashes stand is one like
    /// this.
    pub(super) fn is_like(self, n: usize) -> bool {
        n.trailing_ones() == self.depth.trailing_ones()
    }
}
