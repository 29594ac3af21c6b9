//! Finds the places where a secret could begin, for all rules in one scan.

#[cfg(target_arch = "x86_64")]
mod blocks;
#[cfg(target_arch = "x86_64")]
mod buckets;
mod packed;

use crate::redact::scan::packed::Packed;
use crate::redact::table::RULES;

#[cfg(target_arch = "x86_64")]
use crate::redact::scan::blocks::{Blocks, Level};

/// Beginnings of escapes that stand for plain characters, but for the backslash:
/// the scan looks closer at what has the first four bytes of a trigger, and
/// colours on a terminal begin `\u001b`.
const ESCAPES: [&str; 6] = ["u002", "u003", "u004", "u005", "u006", "u007"];

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hit {
    /// A trigger of a rule.
    Rule(usize),
    /// Plain characters written as escapes.
    Escape,
}

/// How long a trigger is at least, in bytes.
const SHORTEST: usize = 3;

/// A text of ASCII at which to look. None begins as another does.
#[derive(Clone, Copy, Debug)]
struct Trigger {
    text: &'static str,
    hit: Hit,
}

/// Finds where to look, for all rules.
#[derive(Debug)]
pub(super) enum Scanner {
    /// As fast as this processor can.
    #[cfg(target_arch = "x86_64")]
    Blocks(Box<Blocks>),
    /// For any processor.
    Packed(Box<Packed>),
}

/// The hits in a text.
pub(super) enum Hits<'s> {
    #[cfg(target_arch = "x86_64")]
    Blocks(blocks::Hits<'s>),
    Packed(packed::Hits<'s>),
}

impl Scanner {
    pub(super) fn new() -> Scanner {
        let triggers = triggers();
        #[cfg(target_arch = "x86_64")]
        if let Some(level) = Level::all().last() {
            return Scanner::Blocks(Box::new(Blocks::new(level, &triggers)));
        }
        Scanner::Packed(Box::new(Packed::new(&triggers)))
    }

    /// Begins to look for hits in a text.
    pub(super) fn hits<'s>(&'s self, text: &'s [u8]) -> Hits<'s> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Scanner::Blocks(blocks) => Hits::Blocks(blocks.hits(text)),
            Scanner::Packed(packed) => Hits::Packed(packed.hits(text)),
        }
    }
}

impl Hits<'_> {
    /// Returns the first hit at or after `from`, which must not go back.
    pub(super) fn next(&mut self, from: usize) -> Option<(usize, Hit)> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Hits::Blocks(hits) => hits.next(from),
            Hits::Packed(hits) => hits.next(from),
        }
    }
}

fn triggers() -> Vec<Trigger> {
    let rules = RULES.iter().enumerate().flat_map(|(nth, rule)| {
        rule.triggers.iter().map(move |text| Trigger { text, hit: Hit::Rule(nth) })
    });
    rules.chain(ESCAPES.map(|text| Trigger { text, hit: Hit::Escape })).collect()
}

#[cfg(test)]
mod tests;
