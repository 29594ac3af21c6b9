//! How a session stands.

use crate::choice::Choice;

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Its last turn was completed
    Complete,
    /// Its last turn was stopped by somebody
    Interrupted,
    /// Its file ends within a turn: it still runs, or was killed
    Open,
    /// Its last turn failed
    Error,
}

impl Choice for Standing {
    #[rustfmt::skip]
    const WORDS: &[(Standing, &str, &str)] = &[
        (Standing::Complete, "complete", "Its last turn was completed"),
        (Standing::Interrupted, "interrupted", "Its last turn was stopped by somebody"),
        (Standing::Open, "open", "Its file ends within a turn: it still runs, or was killed"),
        (Standing::Error, "error", "Its last turn failed"),
    ];
}
