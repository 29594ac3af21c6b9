//! What a backend's settings are and where each comes from, for `doctor`:
//! nothing is sent, and no secret is shown.

use super::{Backend, Settings};

/// What was found of a backend's settings.
#[derive(Debug, Default)]
pub struct Description {
    /// The settings that are there.
    pub found: Vec<Known>,
    /// What is there and cannot be used.
    pub problems: Vec<String>,
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

impl Backend {
    /// Says which of the backend's settings are there.
    pub fn description(&self, settings: &Settings) -> Description {
        if let Some(describe) = self.describe {
            return describe(settings);
        }
        let found = self.settings.iter().filter_map(|setting| {
            let value = settings.var(setting.env)?;
            let value = if setting.secret { mask(value) } else { without_password(value) };
            Some(Known { name: setting.env.to_owned(), value, from: "the environment".to_owned() })
        });
        Description { found: found.collect(), problems: Vec::new() }
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
