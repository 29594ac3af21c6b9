//! Choices between a few words: flags, keys of files and options have the same.

use codex_trace_model::Standing;

/// A choice between a few words.
pub trait Choice: Copy + PartialEq + Send + Sync + 'static {
    /// Every value with its word and what it means, in a line.
    const WORDS: &'static [(Self, &'static str, &'static str)];

    /// Returns the value that a word stands for, in either spelling.
    fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|entry| is_word(entry.1, word)).map(|entry| entry.0)
    }

    /// Returns the word for it; empty for one that is not in the list.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|entry| entry.0 == self).map_or("", |entry| entry.1)
    }
}

/// Whether a text is a word of ours: `_` is as good as `-`, because other tools
/// spell the same words so.
pub fn is_word(word: &str, text: &str) -> bool {
    word == text || text.contains('_') && word == text.replace('_', "-")
}

impl Choice for Standing {
    #[rustfmt::skip]
    const WORDS: &[(Standing, &str, &str)] = &[
        (Standing::Complete,    "complete",    "Its last turn was completed"),
        (Standing::Interrupted, "interrupted", "Its last turn was interrupted"),
        (Standing::Open,        "open",        "Its file ends within a turn, which is still running or was killed"),
        (Standing::Error,       "error",       "Its last turn failed"),
    ];
}
