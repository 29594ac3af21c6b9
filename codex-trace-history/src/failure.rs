//! Faults that the user can do something about.

use std::fmt;

/// A fault that the user can do something about: what happened, and what to
/// do next.
#[derive(Debug)]
pub struct Failure {
    message: String,
    details: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    /// Makes a failure of its message: lower case, no full stop.
    pub fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), details: Vec::new(), hint: None }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Adds lines to be shown between the message and the hint.
    #[must_use]
    pub fn details(mut self, details: Vec<String>) -> Failure {
        self.details = details;
        self
    }

    /// Returns the lines between the message and the hint.
    pub fn detail_lines(&self) -> &[String] {
        &self.details
    }

    /// Returns what to do next.
    pub fn hint_line(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
