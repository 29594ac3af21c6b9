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

    /// Makes a failure of an error, with all that caused it.
    pub fn of(err: &dyn std::error::Error) -> Failure {
        let mut message = err.to_string();
        let mut cause = err.source();
        while let Some(err) = cause {
            message.push_str(": ");
            message.push_str(&err.to_string());
            cause = err.source();
        }
        Failure::new(message)
    }

    /// Says what could not be done, and why.
    pub fn because(what: &str, err: &dyn std::error::Error) -> Failure {
        Failure::new(format!("{what}: {}", Failure::of(err).message))
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
