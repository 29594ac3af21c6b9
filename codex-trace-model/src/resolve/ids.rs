//! Tables of ids that lie in the bytes of the files.

use std::hash::{BuildHasher, Hash};

use hashbrown::DefaultHashBuilder;
use hashbrown::hash_table::{Entry, HashTable};

/// What is known by an id.
///
/// Keeps the hash of each id, so that growing looks at none of them again:
/// they lie all over files that may have left memory.
#[derive(Clone, Debug)]
pub(crate) struct IdTable<K, V> {
    hasher: DefaultHashBuilder,
    entries: HashTable<(u64, K, V)>,
}

impl<K, V> Default for IdTable<K, V> {
    fn default() -> IdTable<K, V> {
        IdTable { hasher: DefaultHashBuilder::default(), entries: HashTable::new() }
    }
}

impl<K: Copy + Eq + Hash, V: Copy> IdTable<K, V> {
    /// Returns what is known by an id.
    pub(crate) fn get(&self, id: K) -> Option<V> {
        let hash = self.hasher.hash_one(id);
        self.entries.find(hash, |entry| entry.0 == hash && entry.1 == id).map(|entry| entry.2)
    }

    /// Takes in what is known by an id now; returns what was known before.
    pub(crate) fn insert(&mut self, id: K, value: V) -> Option<V> {
        let hash = self.hasher.hash_one(id);
        let is_it = |entry: &(u64, K, V)| entry.0 == hash && entry.1 == id;
        match self.entries.entry(hash, is_it, |entry| entry.0) {
            Entry::Occupied(mut known) => Some(std::mem::replace(&mut known.get_mut().2, value)),
            Entry::Vacant(free) => {
                free.insert((hash, id, value));
                None
            }
        }
    }

    /// Returns a hash of anything, as the table makes them of ids.
    pub(crate) fn hash_of(&self, it: impl Hash) -> u64 {
        self.hasher.hash_one(it)
    }

    /// Returns how many ids are known.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Forgets an id.
    pub(crate) fn remove(&mut self, id: K) {
        let hash = self.hasher.hash_one(id);
        let is_it = |entry: &(u64, K, V)| entry.0 == hash && entry.1 == id;
        if let Ok(known) = self.entries.find_entry(hash, is_it) {
            known.remove();
        }
    }
}
