use std::collections::BTreeMap;

use aho_corasick::packed::{self, Searcher};
use aho_corasick::{AhoCorasick, Input, MatchKind, Span};

use crate::redact::rules::RULES;

/// Beginnings of escapes that stand for plain characters, but for the backslash:
/// the searcher looks closer at what has the first four bytes of a pattern, and
/// colours on a terminal begin `\u001b`.
const ESCAPES: [&str; 6] = ["u002", "u003", "u004", "u005", "u006", "u007"];

/// How many passes are made over a text.
///
/// The vectorised searcher sorts patterns into eight buckets and looks closer
/// wherever one could match. Two fast passes, with few kinds of pattern a
/// bucket, take half the time of one pass that keeps looking closer.
const N_PASSES: usize = 2;

/// Texts that are shorter, in bytes, are too short for vectors.
const SHORT: usize = 32;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hit {
    /// A trigger of a rule.
    Rule(usize),
    /// Plain characters written as escapes.
    Escape,
}

/// Finds where to look, for all rules.
#[derive(Debug)]
pub(super) struct Scanner {
    passes: [Pass; N_PASSES],
    /// All of it in one pass, without vectors.
    short: Pass,
}

/// Some of the patterns.
#[derive(Debug)]
struct Pass {
    /// Vectorised, where the processor can.
    packed: Option<Searcher>,
    /// By states, where it cannot.
    automaton: AhoCorasick,
    hits: Vec<Hit>,
}

impl Scanner {
    pub(super) fn new() -> Scanner {
        let rules = RULES.iter().enumerate();
        let mut all: Vec<(&str, Hit)> = rules
            .flat_map(|(nth, rule)| rule.triggers.iter().map(move |it| (*it, Hit::Rule(nth))))
            .collect();
        all.extend(ESCAPES.map(|it| (it, Hit::Escape)));
        let short = Pass::new(&all, false);
        // What the searcher puts into one bucket anyway; the shortest first, as
        // the shortest of a pass decides how much of the others it looks at.
        let mut kinds: BTreeMap<Vec<u8>, Vec<(&str, Hit)>> = BTreeMap::new();
        for (pattern, hit) in all {
            let low = pattern.bytes().take(3).map(|byte| byte & 0xF);
            kinds.entry(low.collect()).or_default().push((pattern, hit));
        }
        let mut kinds: Vec<_> = kinds.into_values().collect();
        kinds.sort_by_key(|kind| kind.iter().map(|(pattern, _)| pattern.len()).min());
        let n_each = kinds.len().div_ceil(N_PASSES);
        let passes = std::array::from_fn(|nth| {
            let mine = kinds.iter().skip(nth * n_each).take(n_each);
            // Buckets are dealt out in turn: one of each kind comes first.
            let first = mine.clone().map(|kind| kind[0]);
            let others = mine.flat_map(|kind| kind[1..].iter().copied());
            Pass::new(&first.chain(others).collect::<Vec<_>>(), true)
        });
        Scanner { passes, short }
    }

    /// Begins to look for hits in a text.
    pub(super) fn hits<'s>(&'s self, text: &'s [u8]) -> Hits<'s> {
        let passes =
            if text.len() < SHORT { std::slice::from_ref(&self.short) } else { &self.passes };
        Hits { text, passes, found: [None; N_PASSES] }
    }

    /// Whether the scan is vectorised.
    #[cfg(test)]
    pub(super) fn is_vectorised(&self) -> bool {
        self.passes.iter().all(|pass| pass.packed.is_some())
    }
}

impl Pass {
    fn new(patterns: &[(&str, Hit)], vectors: bool) -> Pass {
        let texts: Vec<&str> = patterns.iter().map(|(pattern, _)| *pattern).collect();
        let packed = || {
            packed::Config::new()
                .match_kind(packed::MatchKind::LeftmostFirst)
                .builder()
                .extend(&texts)
                .build()
        };
        Pass {
            packed: vectors.then(packed).flatten(),
            automaton: AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostFirst)
                .build(&texts)
                .expect("a few short patterns"),
            hits: patterns.iter().map(|(_, hit)| *hit).collect(),
        }
    }

    /// Returns the first hit at or after `from`.
    fn next(&self, text: &[u8], from: usize) -> Option<(usize, Hit)> {
        let span = Span::from(from..text.len());
        let found = match &self.packed {
            // Too little for vectors: the searcher would go byte by byte, slowly.
            Some(packed) if span.len() >= packed.minimum_len() => packed.find_in(text, span),
            _ => self.automaton.find(Input::new(text).span(span)),
        }?;
        Some((found.start(), self.hits[found.pattern().as_usize()]))
    }
}

/// The hits in a text.
pub(super) struct Hits<'s> {
    text: &'s [u8],
    passes: &'s [Pass],
    /// How far each pass has come, once it has begun: to its next hit, or to
    /// the end.
    found: [Option<(usize, Hit)>; N_PASSES],
}

impl Hits<'_> {
    /// Returns the first hit at or after `from`, which must not go back.
    pub(super) fn next(&mut self, from: usize) -> Option<(usize, Hit)> {
        let end = (self.text.len(), Hit::Escape);
        for (pass, found) in self.passes.iter().zip(&mut self.found) {
            if found.is_none_or(|(at, _)| at < from) {
                *found = Some(pass.next(self.text, from).unwrap_or(end));
            }
        }
        let first = self.found.iter().flatten().min_by_key(|(at, _)| *at).copied();
        first.filter(|(at, _)| *at < self.text.len())
    }
}
