//! Keys and passwords: a type that cannot be printed, and texts that may hold one.

use std::fmt;

use serde::Deserialize;

use crate::address::without_secrets;

/// What people see of a value that is secret.
pub const MASK: &str = "[redacted]";

/// A key or password: cannot be printed by accident.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// Returns the text, for the wire alone.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns another secret made of this one: `Bearer …`.
    #[must_use]
    pub fn map(&self, f: impl FnOnce(&str) -> String) -> Secret {
        Secret(f(&self.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Shows enough of a long secret to tell two of them apart.
pub fn mask(secret: &str) -> String {
    let chars: Vec<char> = secret.chars().collect();
    if chars.len() < 20 {
        return "[set]".to_owned();
    }
    let text = |chars: &[char]| chars.iter().collect::<String>();
    format!("{}…{}", text(&chars[..5]), text(&chars[chars.len() - 4..]))
}

/// Takes what could be secret out of the addresses in a text, and strings that a
/// parser quotes: they may be keys.
pub fn without_password(text: &str) -> String {
    let text = without_secrets(text);
    match (text.find("string \""), text.rfind('"')) {
        (Some(begin), Some(end)) if end > begin + 8 => {
            format!("{}string{}", &text[..begin], &text[end + 1..])
        }
        _ => text,
    }
}
