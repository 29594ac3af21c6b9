use std::cell::{Cell, OnceCell};
use std::fmt;
use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

/// The length of a timestamp as Codex writes it, quotes included.
const STAMP_LEN: usize = 26;

/// How many timestamps the first page holds; each page holds twice as many as
/// the one before.
const FIRST_PAGE: usize = 128;
const N_PAGES: usize = 40;

/// The short strings that a [`SkimReader`](super::SkimReader) hands out: each
/// is kept once, for as long as this lives.
///
/// Make one for each thread, or for each file: what it keeps grows with the
/// number of records, by about 27 bytes each for their timestamps.
///
/// ```
/// use codex_rollout::Strings;
///
/// let strings = Strings::new();
/// let (one, other) = (strings.intern(b"gpt-5.5"), strings.intern(b"gpt-5.5"));
/// assert!(std::ptr::eq(one, other));
/// ```
// Cells that are filled once lend what they hold for as long as they live, so
// that a tree and pages of them need no unsafe code. A vector would move.
pub struct Strings {
    hasher: DefaultHashBuilder,
    root: OnceCell<Box<Node>>,
    pages: [OnceCell<Page>; N_PAGES],
    n_stamps: Cell<usize>,
    n_names: Cell<usize>,
}

/// How many names of unknown types are kept, and up to which length.
const MOST_NAMES: usize = 1000;
const LONGEST_NAME: usize = 256;

/// What stands for a name that is not kept.
const SOME_NAME: &[u8] = b"...";

type Page = Box<[OnceCell<[u8; STAMP_LEN]>]>;

/// A string, and those that come after it on the way that their hashes tell,
/// two bits at a step.
struct Node {
    /// What is compared on the way: the texts of others are not looked at.
    hash: u64,
    text: Text,
    next: [OnceCell<Box<Node>>; 4],
}

/// The longest string that lies where its node does, in bytes: as long as ids.
const SHORT: usize = 62;

enum Text {
    Short([u8; SHORT], u8),
    Long(Box<[u8]>),
}

impl Text {
    fn new(text: &[u8]) -> Text {
        let mut short = [0; SHORT];
        match (short.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(text);
                Text::Short(short, len)
            }
            _ => Text::Long(text.into()),
        }
    }

    fn get(&self) -> &[u8] {
        match self {
            Text::Short(text, len) => &text[..usize::from(*len)],
            Text::Long(text) => text,
        }
    }
}

impl Strings {
    /// Makes one without strings.
    pub fn new() -> Strings {
        Strings {
            hasher: DefaultHashBuilder::default(),
            root: OnceCell::new(),
            pages: [const { OnceCell::new() }; N_PAGES],
            n_stamps: Cell::new(0),
            n_names: Cell::new(0),
        }
    }

    /// Returns the string that is equal to `text`; keeps a copy if there is none.
    pub fn intern(&self, text: &[u8]) -> &[u8] {
        let (hash, place) = self.place_of(text);
        let node = || Box::new(Node { hash, text: Text::new(text), next: <_>::default() });
        place.get_or_init(node).text.get()
    }

    /// As [`intern`](Self::intern), for names that a hostile file has any
    /// number of: beyond the first thousand, all are one.
    pub(crate) fn intern_name(&self, name: &[u8]) -> &[u8] {
        if let Some(known) = self.place_of(name).1.get() {
            return known.text.get();
        }
        if self.n_names.get() >= MOST_NAMES || name.len() > LONGEST_NAME {
            return SOME_NAME;
        }
        self.n_names.set(self.n_names.get() + 1);
        self.intern(name)
    }

    /// Returns the hash of a string, and where that is, or would be.
    fn place_of(&self, text: &[u8]) -> (u64, &OnceCell<Box<Node>>) {
        let hash = self.hasher.hash_one(text);
        let is_it = |node: &Node| node.hash == hash && node.text.get() == text;
        let (mut way, mut place) = (hash, &self.root);
        while let Some(node) = place.get().filter(|node| !is_it(node)) {
            place = &node.next[(way & 3) as usize];
            way >>= 2;
        }
        (hash, place)
    }

    /// Keeps a timestamp with its quotes. Hardly any two are equal, so that
    /// looking for an equal one would be in vain.
    pub(crate) fn keep_stamp(&self, stamp: &[u8]) -> &[u8] {
        let Ok(stamp) = <[u8; STAMP_LEN]>::try_from(stamp) else { return self.intern(stamp) };
        let index = self.n_stamps.get();
        self.n_stamps.set(index + 1);
        // Pages of 1, 2, 4, … units begin at units 0, 1, 3, …
        let unit = index / FIRST_PAGE + 1;
        let page = unit.ilog2();
        let start = ((1 << page) - 1) * FIRST_PAGE;
        let slots = self.pages[page as usize]
            .get_or_init(|| vec![OnceCell::new(); FIRST_PAGE << page].into_boxed_slice());
        slots[index - start].get_or_init(|| stamp)
    }
}

impl Default for Strings {
    fn default() -> Strings {
        Strings::new()
    }
}

impl fmt::Debug for Strings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Strings").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strings_are_kept_once_and_others_apart() {
        let strings = Strings::new();
        let texts: Vec<String> = (0..5000_u32).map(|n| format!("id-{}", n % 2500)).collect();
        let kept: Vec<&[u8]> = texts.iter().map(|text| strings.intern(text.as_bytes())).collect();
        for (n, text) in kept.iter().enumerate() {
            assert_eq!(*text, texts[n].as_bytes());
            assert_eq!(text.as_ptr(), kept[n % 2500].as_ptr());
        }
    }

    #[test]
    fn stamps_stay_as_they_were() {
        let strings = Strings::new();
        let stamp = |n: usize| {
            format!("\"2026-11-21T05:{:02}:{:02}.{:03}Z\"", n / 60_000, n / 1000 % 60, n % 1000)
        };
        let kept: Vec<&[u8]> = (0..5000).map(|n| strings.keep_stamp(stamp(n).as_bytes())).collect();
        for (n, kept) in kept.iter().enumerate() {
            assert_eq!(*kept, stamp(n).as_bytes());
        }
        assert_eq!(strings.keep_stamp(b"1795239550"), b"1795239550");
    }
}
