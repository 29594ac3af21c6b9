//! Units in a request: what stands around them, and how their bytes get there.

use std::iter;
use std::sync::Arc;

use crate::delivery::Run;
use crate::delivery::flight::Slice;
use crate::transport::{Compression, Header, Request, compress};
use codex_trace_export::{Body, Framing, Pieces, Route};

/// Bodies smaller than this are not worth compressing, in bytes.
const COMPRESS_FROM: usize = 1 << 10;

/// Puts a part into one request. What is compressed is written into `buffer` and never
/// there as a whole before; what is not is sent from where it is kept.
pub(super) fn request_of(
    route: &Route,
    part: &[Slice],
    run: &Run<'_>,
    buffer: impl FnOnce() -> Vec<u8>,
) -> Request {
    let n_pieces = part.iter().map(Slice::n_pieces).sum();
    let len = route.framing.len_of(n_pieces, part.iter().map(Slice::len).sum());
    let mut headers = route.headers.clone();
    headers.push(Header::new("Content-Type", route.content_type.clone().into_owned()));
    let how = route.compressions.iter().find(|how| run.options.compressions.contains(how));
    let body = if let Some(how) = how.filter(|_| len >= COMPRESS_FROM) {
        headers.push(Header::new("Content-Encoding", how.word()));
        let body = compress(framed(&route.framing, part), len, *how, buffer());
        if route.tells_sizes && *how == Compression::Zstd {
            headers.push(Header::new("X-Pre-Compressed-Size", len.to_string()));
            headers.push(Header::new("X-Post-Compressed-Size", body.len().to_string()));
        }
        Body::Whole(body)
    } else {
        let kept = Kept { framing: route.framing.clone(), part: part.to_vec(), len };
        Body::Pieces(Arc::new(kept))
    };
    Request { method: route.method, url: route.url.clone(), headers, body }
}

/// A body of units, where they are kept until they are settled.
struct Kept {
    framing: Framing,
    part: Vec<Slice>,
    len: usize,
}

impl Pieces for Kept {
    fn n_bytes(&self) -> usize {
        self.len
    }

    fn iter(&self) -> Box<dyn Iterator<Item = &[u8]> + '_> {
        Box::new(framed(&self.framing, &self.part))
    }
}

/// Returns the bytes of a body, bit by bit.
fn framed<'b>(framing: &'b Framing, part: &'b [Slice]) -> impl Iterator<Item = &'b [u8]> {
    let pieces = part.iter().flat_map(Slice::pieces).enumerate().flat_map(|(nth, piece)| {
        let between: &[u8] = if nth == 0 { &[] } else { &framing.between };
        iter::once(between).chain(piece)
    });
    iter::once(&*framing.open).chain(pieces).chain(iter::once(&*framing.close))
}
