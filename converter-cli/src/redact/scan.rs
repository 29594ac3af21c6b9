use aho_corasick::packed::{self, Searcher};
use aho_corasick::{AhoCorasick, MatchKind};

use crate::redact::rules::RULES;

/// Beginnings of escapes that stand for plain characters.
const ESCAPES: [&str; 6] = [r"\u002", r"\u003", r"\u004", r"\u005", r"\u006", r"\u007"];

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hit {
    /// A trigger of a rule.
    Rule(usize),
    /// Plain characters written as escapes.
    Escape,
}

/// Finds where to look, in one pass for all rules.
///
/// The vectorised searcher takes at most 64 patterns.
#[derive(Debug)]
pub(super) struct Scanner {
    /// Vectorised, where the processor can.
    packed: Option<Searcher>,
    /// By states, where it cannot.
    automaton: AhoCorasick,
    hits: Vec<Hit>,
}

impl Scanner {
    pub(super) fn new() -> Scanner {
        let mut patterns: Vec<&str> = Vec::new();
        let mut hits = Vec::new();
        for (nth, rule) in RULES.iter().enumerate() {
            patterns.extend(rule.triggers);
            hits.resize(patterns.len(), Hit::Rule(nth));
        }
        patterns.extend(ESCAPES);
        hits.resize(patterns.len(), Hit::Escape);
        let packed = packed::Config::new()
            .match_kind(packed::MatchKind::LeftmostFirst)
            .builder()
            .extend(&patterns)
            .build();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .build(&patterns)
            .expect("a few short patterns");
        Scanner { packed, automaton, hits }
    }

    /// Returns the first hit at or after `from`.
    pub(super) fn next(&self, text: &[u8], from: usize) -> Option<(usize, Hit)> {
        let span = aho_corasick::Span::from(from..text.len());
        let found = match &self.packed {
            // Too little for vectors: the searcher would go byte by byte, slowly.
            Some(packed) if span.len() >= packed.minimum_len() => packed.find_in(text, span),
            _ => self.automaton.find(aho_corasick::Input::new(text).span(span)),
        }?;
        Some((found.start(), self.hits[found.pattern().as_usize()]))
    }

    /// Whether the scan is vectorised.
    #[cfg(test)]
    pub(super) fn is_vectorised(&self) -> bool {
        self.packed.is_some()
    }
}
