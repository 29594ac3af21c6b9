//! Keys that are unique within a thread, without a second copy of each.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;
use hashbrown::hash_table::{Entry, HashTable};

use crate::span::Span;

/// Every key of a list of spans, and how often it was wanted.
#[derive(Debug)]
pub(super) struct Keys {
    hasher: DefaultHashBuilder,
    /// The span of a key, and how many of that key there are.
    table: HashTable<(usize, u32)>,
}

impl Keys {
    /// Makes room for the keys of `n_spans`.
    pub(super) fn with_capacity(n_spans: usize) -> Keys {
        let hasher = DefaultHashBuilder::default();
        Keys { hasher, table: HashTable::with_capacity(n_spans) }
    }

    /// Notes that the span which is next has this key; returns `false` if one
    /// of `spans` has it already.
    pub(super) fn insert(&mut self, key: &str, spans: &[Span<'_>]) -> bool {
        let hash = self.hasher.hash_one(key);
        let hash_of = |(at, _): &(usize, u32)| self.hasher.hash_one(key_at(*at, key, spans));
        match self.table.entry(hash, |(at, _)| key_at(*at, key, spans) == key, hash_of) {
            Entry::Occupied(_) => false,
            Entry::Vacant(first) => {
                first.insert((spans.len(), 1));
                true
            }
        }
    }

    /// Makes a key for the span which is next, of one that another span has,
    /// and notes it.
    pub(super) fn another(&mut self, base: &str, spans: &[Span<'_>]) -> String {
        let hash = self.hasher.hash_one(base);
        let is_base = |(at, _): &(usize, u32)| key_at(*at, "", spans) == base;
        let mut copies = self.table.find(hash, is_base).map_or(1, |(_, copies)| *copies);
        let key = loop {
            copies += 1;
            // An id may itself end in `#2`.
            let key = format!("{base}#{copies}");
            if self.insert(&key, spans) {
                break key;
            }
        };
        let is_base = |(at, _): &(usize, u32)| key_at(*at, &key, spans) == base;
        if let Some((_, known)) = self.table.find_mut(hash, is_base) {
            *known = copies;
        }
        key
    }
}

/// Returns the key of a span, `next` being that of the one which is not there yet.
fn key_at<'s>(at: usize, next: &'s str, spans: &'s [Span<'_>]) -> &'s str {
    spans.get(at).map_or(next, |span| &span.key)
}
