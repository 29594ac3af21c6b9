use std::borrow::Cow;
use std::time::Duration;

use crate::address::Address;
use crate::request::{Compression, Header, Method};
use crate::secret::Secret;

/// What a backend expects of requests.
#[derive(Clone, Debug)]
pub struct Contract {
    /// What the ledger calls the destination: backend, endpoint, project, and
    /// whatever else makes it another place; never a secret. Changing it
    /// uploads everybody's history a second time.
    pub destination: String,
    /// Where requests go; [`Unit::route`](crate::Unit::route) is an index into it.
    pub routes: Vec<Route>,
    /// What becomes of a unit that is sent again with other content.
    pub rewrite: Rewrite,
    /// The oldest start that is accepted, before now. Older units are refused
    /// before anything is sent.
    pub max_age: Option<Duration>,
}

/// Where an id can be there only once: in several projects, or workspaces, of
/// one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdSpace {
    /// How the [`destination`](Contract::destination) of every place in it begins.
    pub server: String,
    /// The key, where a server keeps those apart who have different ones.
    pub key: Option<Secret>,
    /// Whether the server says so if an id is somewhere else. One that does not
    /// keeps the first version and calls the second one stored, so that only the
    /// ledger knows.
    pub is_told: bool,
}

/// Where a kind of request goes, and how it is made up.
#[derive(Clone, Debug)]
pub struct Route {
    /// What the ledger calls it: `traces`, `logs`, `info`.
    pub name: &'static str,
    /// The method.
    pub method: Method,
    /// The whole address.
    pub url: Address,
    /// All headers but `Content-Type`, `Content-Encoding` and `Content-Length`.
    pub headers: Vec<Header>,
    /// The type of the body.
    pub content_type: Cow<'static, str>,
    /// How units become one body.
    pub framing: Framing,
    /// The compressions accepted, best first. None: sent as it is.
    pub compressions: &'static [Compression],
    /// How much fits into one request.
    pub limits: Limits,
    /// Whether the first part of a unit that does not fit into one request must
    /// be there before the rest is sent: it has what the rest hangs under.
    pub in_order: bool,
    /// Whether the lengths of a body compressed with zstd go along as headers,
    /// `X-Pre-Compressed-Size` and `X-Post-Compressed-Size`.
    pub tells_sizes: bool,
}

/// How pieces become one request body: `open piece (between piece)* close`.
///
/// Protobuf needs none of the three; a JSON array `[`, `,`, `]`; a multipart
/// body the closing boundary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    /// Before the first piece.
    pub open: Cow<'static, [u8]>,
    /// Between two pieces.
    pub between: Cow<'static, [u8]>,
    /// After the last piece.
    pub close: Cow<'static, [u8]>,
}

impl Framing {
    /// Pieces one after the other, as protobuf has it.
    pub const CONCATENATED: Framing = Framing::new(b"", b"", b"");

    /// Makes a framing of constants.
    pub const fn new(open: &'static [u8], between: &'static [u8], close: &'static [u8]) -> Framing {
        Framing {
            open: Cow::Borrowed(open),
            between: Cow::Borrowed(between),
            close: Cow::Borrowed(close),
        }
    }

    /// Returns how many bytes `n` pieces of `len` bytes in all become.
    pub fn len_of(&self, n: usize, len: usize) -> usize {
        self.open.len() + self.close.len() + self.between.len() * n.saturating_sub(1) + len
    }
}

/// How much fits into one request. A single piece that is larger is sent
/// alone all the same: the backend has the last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the body before compression, framing included.
    pub max_bytes: usize,
    /// Pieces.
    pub max_pieces: usize,
    /// Spans, as the units count them.
    pub max_spans: u32,
}

/// What becomes of a unit that is sent again with other content, because the
/// session has grown or the mapping has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// The new content takes the place of the old or is merged into it.
    Replaces,
    /// The first version stays. Not sent again unless forced.
    Ignored,
    /// Both are kept. Not sent again unless forced.
    Doubles,
}
