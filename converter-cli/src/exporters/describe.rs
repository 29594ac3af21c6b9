//! What a backend's settings are and where each comes from, for `doctor`:
//! nothing is sent, and no secret is shown.

use std::path::Path;

use super::{Remark, Said};
use crate::config::exposed;
use crate::transport::Secret;

/// What was found of a backend's settings.
#[derive(Debug, Default)]
pub struct Description {
    /// The settings that are there.
    pub found: Vec<Known>,
    /// What is there and cannot be used.
    pub problems: Vec<String>,
    /// What the user should know before anything is sent.
    pub remarks: Vec<Remark>,
}

/// A setting, its value for people, and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// As its source calls it.
    pub name: String,
    /// Masked if it is a secret.
    pub value: String,
    /// A file, a variable or a flag.
    pub from: String,
}

impl Description {
    /// Notes a setting, if it is there, and returns its value.
    pub fn take<T>(
        &mut self,
        name: &str,
        said: Option<Said<T>>,
        show: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let Said { value, from } = said?;
        self.found.push(Known {
            name: name.to_owned(),
            value: show(&value),
            from: from.to_string(),
        });
        Some(value)
    }

    /// As [`take`](Self::take), for a text that may be shown.
    pub fn text(&mut self, name: &str, said: Option<Said<String>>) -> Option<String> {
        self.take(name, said, |text| without_password(text))
    }

    /// As [`take`](Self::take), for a text that may not.
    pub fn secret(&mut self, name: &str, said: Option<Said<Secret>>) -> Option<Secret> {
        self.take(name, said, |secret| mask(secret.expose()))
    }

    /// Notes that others may read a file that holds keys.
    pub fn holds_keys(&mut self, path: &Path) {
        self.problems.extend(exposed(path));
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

/// Takes name and password out of the addresses in a text, and strings that a
/// parser quotes: they may be keys.
pub fn without_password(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        match rest[..end].rfind('@') {
            Some(at) => format!("{scheme}://[set]{}", &rest[at..]),
            None => word.to_owned(),
        }
    });
    let text = words.collect::<Vec<_>>().join(" ");
    match (text.find("string \""), text.rfind('"')) {
        (Some(begin), Some(end)) if end > begin + 8 => {
            format!("{}string{}", &text[..begin], &text[end + 1..])
        }
        _ => text,
    }
}
