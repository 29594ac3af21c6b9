//! The report: one page of HTML that shows a history offline.
//!
//! [`page`] has the parts of the page, [`row`] writes what the list of sessions
//! and the overview need of a session, [`session`] what its own view needs. Who
//! writes the file packs both (gzip, then base64) and puts them between the
//! parts; the page unpacks the list when it is opened and a session when it is
//! looked at. Each is JSON, one object a line; the scripts in `page/` read it.
//!
//! Times are milliseconds since 1970 in UTC, days whole days since then. What
//! is not recorded is absent.

mod labels;
pub mod page;
mod row;
mod session;

use codex_trace_model::{ModelCall, Span, Trace};

use crate::choice::Choice;
use crate::content::{Capture, Content, ContentRules};
use crate::redact::Redactor;

pub use row::row;
pub use session::session;

/// How much of the texts the report holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Amount {
    /// No prompts, answers, commands and outputs.
    None,
    /// The beginning of each.
    #[default]
    Short,
    /// All of each, up to a limit.
    Full,
}

impl Choice for Amount {
    #[rustfmt::skip]
    const WORDS: &[(Amount, &str, &str)] = &[
        (Amount::None,  "none",  "No prompts, answers, commands and outputs: names, times and counts"),
        (Amount::Short, "short", "The first 400 bytes of each text"),
        (Amount::Full,  "full",  "Each text up to 1 MiB"),
    ];
}

impl Amount {
    /// Returns how much of one text is kept, in bytes of JSON.
    fn text_bytes(self) -> usize {
        match self {
            Amount::None => 0,
            Amount::Short => 400,
            Amount::Full => 1 << 20,
        }
    }

    /// Returns about how many bytes of the page come from this many bytes of
    /// rollouts. A guess on the large side: recorded histories stay below it.
    pub fn estimate(self, rollout_bytes: u64) -> u64 {
        match self {
            Amount::None => rollout_bytes / 60,
            Amount::Short => rollout_bytes / 25,
            Amount::Full => rollout_bytes / 4,
        }
    }
}

/// What goes into a report, and what a call costs.
pub struct Options<'o> {
    amount: Amount,
    rules: ContentRules,
    cost: Option<&'o Cost<'o>>,
}

/// Returns what a model call cost, in US dollars; `None` if it has no price.
pub type Cost<'o> = dyn Fn(&Trace<'_>, &Span<'_>, &ModelCall<'_>) -> Option<f64> + Sync + 'o;

impl<'o> Options<'o> {
    /// Makes the options of a report; without `cost` it says nothing of money.
    pub fn new(amount: Amount, redactor: Option<Redactor>, cost: Option<&'o Cost<'o>>) -> Self {
        let capture = match amount {
            Amount::None => Capture::MetadataOnly,
            Amount::Short | Amount::Full => Capture::Full,
        };
        Options { amount, rules: ContentRules::new(capture, redactor, Content::default()), cost }
    }
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("amount", &self.amount).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
