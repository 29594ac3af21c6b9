//! The scan for any processor, by the searchers of `aho-corasick`.

use std::collections::BTreeMap;

use aho_corasick::packed::{self, Searcher};
use aho_corasick::{AhoCorasick, Input, MatchKind, Span};

use super::{Hit, Trigger};

/// How many passes are made over a text.
///
/// The vectorised searcher sorts triggers into eight buckets and looks closer
/// wherever one could match, and takes no more than 64 of them. Three fast
/// passes, with few kinds of trigger a bucket, take half the time of one that
/// keeps looking closer.
const N_PASSES: usize = 3;

/// Texts that are shorter, in bytes, are too short for vectors.
const SHORT: usize = 32;

#[derive(Debug)]
pub(in crate::redact) struct Packed {
    passes: [Pass; N_PASSES],
    /// All of it in one pass, without vectors.
    short: Pass,
}

/// Some of the triggers.
#[derive(Debug)]
struct Pass {
    /// Vectorised, where the processor can.
    packed: Option<Searcher>,
    /// By states, where it cannot.
    automaton: AhoCorasick,
    hits: Vec<Hit>,
}

impl Packed {
    pub(super) fn new(triggers: &[Trigger]) -> Packed {
        let short = Pass::new(triggers, false);
        // What the searcher puts into one bucket anyway; the shortest first, as
        // the shortest of a pass decides how much of the others it looks at.
        let mut kinds: BTreeMap<Vec<u8>, Vec<Trigger>> = BTreeMap::new();
        for trigger in triggers {
            let low = trigger.text.bytes().take(3).map(|byte| byte & 0xF);
            kinds.entry(low.collect()).or_default().push(*trigger);
        }
        let mut kinds: Vec<_> = kinds.into_values().collect();
        kinds.sort_by_key(|kind| kind.iter().map(|trigger| trigger.text.len()).min());
        let n_each = kinds.len().div_ceil(N_PASSES);
        let passes = std::array::from_fn(|nth| {
            let mine = kinds.iter().skip(nth * n_each).take(n_each);
            // Buckets are dealt out in turn: one of each kind comes first.
            let first = mine.clone().map(|kind| kind[0]);
            let others = mine.flat_map(|kind| kind[1..].iter().copied());
            Pass::new(&first.chain(others).collect::<Vec<_>>(), true)
        });
        Packed { passes, short }
    }

    pub(super) fn hits<'s>(&'s self, text: &'s [u8]) -> Hits<'s> {
        let passes =
            if text.len() < SHORT { std::slice::from_ref(&self.short) } else { &self.passes };
        Hits { text, passes, found: [None; N_PASSES] }
    }
}

impl Pass {
    fn new(triggers: &[Trigger], vectors: bool) -> Pass {
        let texts: Vec<&str> = triggers.iter().map(|trigger| trigger.text).collect();
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
            hits: triggers.iter().map(|trigger| trigger.hit).collect(),
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
pub(in crate::redact) struct Hits<'s> {
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
