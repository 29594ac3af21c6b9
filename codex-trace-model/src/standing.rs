//! How a session stands.

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Its last turn was completed
    Complete,
    /// Its last turn was interrupted
    Interrupted,
    /// Its file ends within a turn, which is still running or was killed
    Open,
    /// Its last turn failed
    Error,
}

impl Standing {
    /// Returns the word for it, as in `list --json`.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Complete => "complete",
            Standing::Interrupted => "interrupted",
            Standing::Open => "open",
            Standing::Error => "error",
        }
    }
}
