//! Keys that are unique within a thread, without a second copy of each.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;
use hashbrown::hash_table::{Entry, HashTable};

use crate::span::Span;
use crate::trace::span_ix;

/// Every key of a list of spans, and how often it was wanted.
#[derive(Debug, Default)]
pub(super) struct Keys {
    hasher: DefaultHashBuilder,
    table: HashTable<Key>,
}

/// The key of a span.
#[derive(Clone, Copy, Debug)]
struct Key {
    /// Kept, so that growing looks at no span.
    hash: u64,
    span: u32,
    /// How many of that key there are.
    copies: u32,
}

impl Key {
    fn is(self, hash: u64, key: &str, spans: &[Span<'_>]) -> bool {
        self.hash == hash && spans.get(self.span as usize).is_none_or(|span| span.key == key)
    }
}

impl Keys {
    /// Notes that the span which is next has this key; returns `false` if one
    /// of `spans` has it already.
    pub(super) fn insert(&mut self, key: &str, spans: &[Span<'_>]) -> bool {
        let hash = self.hasher.hash_one(key);
        match self.table.entry(hash, |known| known.is(hash, key, spans), |known| known.hash) {
            Entry::Occupied(_) => false,
            Entry::Vacant(first) => {
                first.insert(Key { hash, span: span_ix(spans.len()).0, copies: 1 });
                true
            }
        }
    }

    /// Makes a key for the span which is next, of one that another span has,
    /// and notes it.
    pub(super) fn another(&mut self, base: &str, spans: &[Span<'_>]) -> String {
        let hash = self.hasher.hash_one(base);
        let is_base = |known: &Key| known.is(hash, base, spans);
        let mut copies = self.table.find(hash, is_base).map_or(1, |known| known.copies);
        let key = loop {
            copies += 1;
            // An id may itself end in `#2`.
            let key = format!("{base}#{copies}");
            if self.insert(&key, spans) {
                break key;
            }
        };
        if let Some(known) = self.table.find_mut(hash, is_base) {
            known.copies = copies;
        }
        key
    }
}
