//! What a destination is, in three parts by who calls them.
//!
//! [`Encode`] turns a trace into [`Unit`]s of bytes; workers call it. [`Protocol`]
//! says where the bytes go, how they are joined, and what the answers mean; the
//! senders call it. Both are pure: they hold no socket, start no thread, never
//! sleep, never retry and know no ledger. What live plugins leave beside files is
//! the matter of a companion, which the delivery engine alone calls.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use codex_trace_model::Trace;

use crate::address::Address;
use crate::address::NoAddress;
use crate::content::ContentRules;
use crate::describe::Description;
use crate::notes::{Detour, Notes, Reread};
use crate::options::OptionSpec;
use crate::probe::Probed;
use crate::request::{ClientOptions, Compression, Header, Method, Request, Response};
use crate::secret::Secret;
use crate::settings::Settings;
use crate::unit::Unit;

/// A backend before it is connected: what the command line needs to know.
#[derive(Debug)]
pub struct Backend {
    /// As given to `--to`.
    pub name: &'static str,
    /// What it is, in a line.
    pub summary: &'static str,
    /// The options that it has besides those of every destination
    /// ([`options::common`](crate::options::common)), or that are something else
    /// to it, and the variables that it reads.
    pub options: &'static [OptionSpec],
    /// Checks the settings and makes one exporter for each destination that
    /// they name (replicas are several); sends nothing.
    pub connect: fn(&Settings) -> Connected,
    /// Says which settings it finds, and where.
    pub describe: fn(&Settings) -> Description,
}

/// One exporter for each destination, or what is wrong with the settings.
pub type Connected = Result<Vec<Box<dyn Exporter>>, ConfigError>;

/// Turns traces into bytes. Pure, and called from any thread.
pub trait Encode: Send + Sync {
    /// Returns what the units are, in the order of the first of each.
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Traces]
    }

    /// Encodes a trace unit by unit, in a fixed order: the session or thread
    /// itself, then each turn with everything below it.
    ///
    /// Same trace, same rules, same notes, same units. Every text of the trace
    /// goes through the rules; ids and keys that Codex made do not.
    ///
    /// # Errors
    ///
    /// If a span cannot be represented. Units handed out before stay valid;
    /// the session is reported and not tried again in this run.
    fn encode(&self, cx: &Cx<'_, '_>, units: &mut dyn FnMut(Unit)) -> Result<(), EncodeError>;
}

/// What to encode, and by what rules.
#[derive(Clone, Copy, Debug)]
pub struct Cx<'c, 'a> {
    /// The session.
    pub trace: &'c Trace<'a>,
    /// What of it may leave the machine.
    pub rules: &'c ContentRules,
    /// What is known of it beside its files; most backends need nothing of it.
    pub notes: &'c Notes,
}

/// What kind of thing a unit is to its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Log records.
    Logs,
    /// Metric points.
    Metrics,
    /// Rows of the backend's own: runs, events, descriptions of traces.
    Rows,
}

impl Signal {
    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Logs => "logs",
            Signal::Metrics => "metrics",
            Signal::Rows => "rows",
        }
    }

    /// Returns what one of the things is called that it consists of.
    pub fn thing(self) -> &'static str {
        match self {
            Signal::Traces => "span",
            Signal::Logs => "log record",
            Signal::Metrics => "data point",
            Signal::Rows => "row",
        }
    }
}

/// Says what the server wants, and what its answers mean. Pure: it makes
/// requests and reads answers, and sends nothing.
pub trait Protocol: Send + Sync {
    /// Says what to ask to find out what is there of some pieces, after
    /// [`Verdict::Conflict`]. Called with no answers first, then with those so
    /// far, until it knows or says that it cannot.
    fn reread(&self, pieces: &[&[u8]], answers: &[Response]) -> Reread {
        let _ = (pieces, answers);
        Reread::Unknown
    }

    /// Returns what the backend expects of requests.
    fn contract(&self) -> &Contract;

    /// Returns the address of the server, where files of projects name one, too.
    fn server(&self) -> Option<&Address> {
        None
    }

    /// Returns where one of its ids can be there only once; `None` if its ids
    /// are for it alone.
    fn id_space(&self) -> Option<IdSpace> {
        None
    }

    /// Whether a session may be there no longer, whatever the ledger says: it is
    /// looked at again.
    fn doubts(&self, session_id: &str) -> bool {
        let _ = session_id;
        false
    }

    /// Returns what the backend's own settings say of the way there; flags and
    /// `codex-trace.toml` come before.
    fn client(&self) -> ClientOptions {
        ClientOptions::default()
    }

    /// Makes the questions that `doctor --connect` asks, one after the other:
    /// whatever the answer, nothing is stored by them.
    fn probes(&self) -> Vec<Request> {
        Vec::new()
    }

    /// Reads the answer to one of them.
    fn probed(&self, nth: usize, answer: &Response) -> Probed {
        let _ = nth;
        Probed::from_status(answer)
    }

    /// Whether it takes the units of a thread in their order alone: then one
    /// request is under way at a time.
    fn keeps_order(&self) -> bool {
        false
    }

    /// Returns how much it takes, in bytes a second before compression.
    fn max_rate(&self) -> Option<u64> {
        None
    }

    /// Returns what the user should do or know once something was sent.
    fn afterwards(&self) -> &[&'static str] {
        &[]
    }

    /// Returns what the user should know before anything is sent: settings of
    /// the live plugin's that are not followed, or that somebody else made.
    fn remarks(&self) -> &[Remark] {
        &[]
    }

    /// Returns where people see what was sent; after the preflight, if that is known
    /// at all.
    fn view(&self) -> Option<View> {
        None
    }

    /// Reads the backend's answer to a request of `route`.
    fn verdict(&self, route: usize, response: &Response) -> Verdict {
        let _ = route;
        Verdict::from_status(response)
    }

    /// Whether a body of so many bytes is more than a route ever takes, so that
    /// it is not sent there at all. Only a body of a single piece is asked about.
    fn is_too_large(&self, route: usize, bytes: usize) -> bool {
        let _ = (route, bytes);
        false
    }

    /// Says how a body of a single piece gets there that is too large for its
    /// route. Called with no answers first, then with those so far.
    fn detour(&self, route: usize, body: &[u8], answers: &[Response]) -> Detour {
        let _ = (route, body, answers);
        Detour::None
    }

    /// Says what to ask before anything is sent: a project to look up or make,
    /// limits to learn.
    ///
    /// Called with `None` first, then with each answer (whatever its status,
    /// but for what [`Verdict::from_status`] would retry), until it returns
    /// [`Preflight::Ready`]. In a dry run it is never called, so
    /// [`contract`](Self::contract) must make sense without it.
    ///
    /// # Errors
    ///
    /// If the destination cannot be used; nothing will be sent to it.
    fn preflight(&mut self, answer: Option<&Response>) -> Result<Preflight, ConfigError> {
        let _ = answer;
        Ok(Preflight::Ready)
    }
}

/// A destination's pure half: [`Encode`] and [`Protocol`] of one place. Whatever
/// has both is one.
pub trait Exporter: Encode + Protocol {}

impl<T: Encode + Protocol> Exporter for T {}

/// The next step before anything is sent.
#[derive(Debug)]
pub enum Preflight {
    /// Send this and come back with the answer.
    Ask(Request),
    /// Nothing more to ask.
    Ready,
}

/// What a backend expects of requests.
#[derive(Clone, Debug)]
pub struct Contract {
    /// What the ledger calls the destination: backend, endpoint, project, and
    /// whatever else makes it another place; never a secret. Changing it
    /// uploads everybody's history a second time.
    pub destination: String,
    /// Where requests go; [`Unit::route`] is an index into it.
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

/// What an answer means for the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All of it is stored.
    Done,
    /// All of it was there before.
    AlreadyThere,
    /// Some of it was there before, perhaps as something else: to be read back
    /// with [`Protocol::reread`].
    Conflict {
        /// The backend's words.
        reason: String,
    },
    /// Stored but for some, which are not to be sent again.
    Partial {
        /// How many spans (records, rows) were refused.
        rejected: u64,
        /// The backend's words.
        reason: String,
    },
    /// Try again later.
    Retry {
        /// When, if the backend says so.
        after: Option<Duration>,
        /// The backend's words.
        reason: String,
    },
    /// Too large: try again in smaller pieces.
    Split {
        /// The backend's words.
        reason: String,
    },
    /// Something in it is not acceptable; the rest may be.
    Reject {
        /// The backend's words.
        reason: String,
    },
    /// Nothing can be sent to this destination: a wrong key, a wrong address.
    GiveUp {
        /// The backend's words.
        reason: String,
    },
}

impl Verdict {
    /// Reads an answer by its status alone: what most backends mean by it.
    pub fn from_status(response: &Response) -> Verdict {
        let reason = response.reason();
        match response.status {
            200..300 => Verdict::Done,
            408 | 425 | 429 | 500 | 502..=504 | 506..=599 => {
                Verdict::Retry { after: response.retry_after, reason }
            }
            413 => Verdict::Split { reason },
            401 | 403 | 404 | 405 | 407 | 410 | 501 | 505 | 300..=399 => Verdict::GiveUp { reason },
            _ => Verdict::Reject { reason },
        }
    }
}

impl Verdict {
    /// Changes the backend's words.
    #[must_use]
    pub fn map_reason(mut self, f: impl FnOnce(&str) -> String) -> Verdict {
        match &mut self {
            Verdict::Done | Verdict::AlreadyThere => {}
            Verdict::Conflict { reason }
            | Verdict::Partial { reason, .. }
            | Verdict::Retry { reason, .. }
            | Verdict::Split { reason }
            | Verdict::Reject { reason }
            | Verdict::GiveUp { reason } => *reason = f(reason),
        }
        self
    }
}

/// Where people see what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The address of the page, without what could be secret.
    pub address: String,
    /// What is older than this the page does not show at first.
    pub shows: Duration,
    /// How to see the rest, if the address does not do that.
    pub hint: Option<&'static str>,
}

/// Something to know before anything is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// What it is.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A setting that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Which setting, and what is wrong with it.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl ConfigError {
    /// Says what is wrong.
    pub fn new(message: impl Into<String>) -> ConfigError {
        ConfigError { message: message.into(), hint: None }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> ConfigError {
        self.hint = Some(hint.into());
        self
    }
}

impl From<NoAddress> for ConfigError {
    fn from(no: NoAddress) -> ConfigError {
        ConfigError::new(no.message).hint(no.hint)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

/// A span that a backend cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodeError {
    /// The span's key.
    pub span: String,
    /// What the backend cannot hold.
    pub what: String,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "span `{}`: {}", self.span, self.what)
    }
}

impl std::error::Error for EncodeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_by_status() {
        let verdict = |status| Verdict::from_status(&Response::new(status, "no"));
        let reason = |status: u16| format!("status {status}: no");
        assert_eq!(verdict(204), Verdict::Done);
        assert_eq!(verdict(413), Verdict::Split { reason: reason(413) });
        assert_eq!(verdict(422), Verdict::Reject { reason: reason(422) });
        assert_eq!(verdict(401), Verdict::GiveUp { reason: reason(401) });
        // A redirect is not followed: it would carry the credentials elsewhere.
        assert_eq!(verdict(302), Verdict::GiveUp { reason: reason(302) });
        assert_eq!(verdict(503), Verdict::Retry { after: None, reason: reason(503) });
    }
}
