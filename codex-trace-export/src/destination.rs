//! What a destination is, in three parts by who calls them.
//!
//! [`Encode`] turns a trace into [`Unit`]s of bytes; workers call it. [`Protocol`]
//! says where the bytes go, how they are joined, and what the answers mean; the
//! senders call it. Both are pure: they hold no socket, start no thread, never
//! sleep, never retry and know no ledger. What live plugins leave beside files is
//! the matter of a companion, which the delivery engine alone calls.

mod contract;
mod errors;
mod verdict;

use std::time::Duration;

use codex_trace_model::Trace;

use crate::address::Address;
use crate::content::ContentRules;
use crate::describe::Description;
use crate::notes::{Detour, Notes, Reread};
use crate::options::OptionSpec;
use crate::probe::Probed;
use crate::request::{ClientOptions, Request, Response};
use crate::settings::Settings;
use crate::unit::Units;

pub use contract::{Contract, Framing, IdSpace, Limits, Rewrite, Route};
pub use errors::{ConfigError, EncodeError};
pub use verdict::Verdict;

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
    fn encode(&self, cx: &Cx<'_, '_>, units: &mut dyn Units) -> Result<(), EncodeError>;
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

    /// Returns in which order it takes what it is sent. Where there is one, one
    /// request is under way at a time.
    fn order(&self) -> Order {
        Order::Any
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

    /// Returns the first question to ask before anything is sent: a project to
    /// look up or make, limits to learn. `None` if there is nothing to ask.
    ///
    /// In a dry run nothing is asked, so [`contract`](Self::contract) must make
    /// sense without it.
    fn preflight(&self) -> Option<Question> {
        None
    }
}

/// A destination's pure half: [`Encode`] and [`Protocol`] of one place. Whatever
/// has both is one.
pub trait Exporter: Encode + Protocol {}

impl<T: Encode + Protocol> Exporter for T {}

/// In which order a destination takes what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// In any.
    Any,
    /// The units of a thread in their order, whatever is sent between them.
    OfThreads,
    /// All pieces of all units in the order of their times: nothing is sent
    /// before all of the history was encoded.
    OfTimes,
}

/// A question to the server before anything is sent to it.
pub struct Question {
    /// What to send.
    pub request: Request,
    /// What takes the answer, whatever its status, except for those that
    /// [`Verdict::from_status`] would retry.
    pub inquiry: Box<dyn Inquiry>,
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question").field("request", &self.request).finish_non_exhaustive()
    }
}

/// What is known of a server after its answers so far. Pure, as [`Protocol`] is:
/// the engine sends the questions.
pub trait Inquiry: Send {
    /// Takes the answer to the last question.
    ///
    /// # Errors
    ///
    /// If the destination cannot be used; nothing will be sent to it.
    fn learn(self: Box<Self>, answer: &Response) -> Result<Learned, ConfigError>;
}

/// What follows from an answer.
pub enum Learned {
    /// There is more to ask.
    More(Question),
    /// The destination with all that was to be learned; it takes the place of
    /// the one that asked.
    All(Box<dyn Exporter>),
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
