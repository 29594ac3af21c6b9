//! Keys by reference: where they are, never what they are.

use std::fmt;
use std::path::PathBuf;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

const REFERENCE: &str = r#"{ env = "NAME" } or { file = "PATH" }"#;

/// Where a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// In a variable of the environment.
    Env(String),
    /// In a file that holds nothing else.
    File(PathBuf),
}

/// The value of a header: itself, or where it is.
#[derive(Clone, PartialEq, Eq)]
pub enum HeaderSetting {
    /// The value.
    Plain(String),
    /// Where it is.
    Secret(SecretRef),
}

/// Not the value: people write keys where they should not.
impl fmt::Debug for HeaderSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderSetting::Plain(_) => f.write_str("Plain"),
            HeaderSetting::Secret(reference) => reference.fmt(f),
        }
    }
}

/// For people.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::Env(name) => f.write_str(name),
            SecretRef::File(path) => path.display().fmt(f),
        }
    }
}

/// What may stand where a key is referred to.
struct Reference {
    plain: bool,
}

impl<'de> Visitor<'de> for Reference {
    type Value = HeaderSetting;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REFERENCE)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<HeaderSetting, E> {
        if self.plain {
            return Ok(HeaderSetting::Plain(text.to_owned()));
        }
        // Not quoted: it may well be the key.
        Err(E::custom(format!("a key has no place in this file; say {REFERENCE}")))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderSetting, A::Error> {
        let mut found = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let value: String = map.next_value()?;
            found.push(match key.as_str() {
                "env" => SecretRef::Env(value),
                "file" => SecretRef::File(PathBuf::from(value)),
                other => return Err(de::Error::unknown_field(other, &["env", "file"])),
            });
        }
        match (found.pop(), found.is_empty()) {
            (Some(one), true) => Ok(HeaderSetting::Secret(one)),
            _ => Err(de::Error::custom(format!("say {REFERENCE}, and one of them alone"))),
        }
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SecretRef, D::Error> {
        match deserializer.deserialize_any(Reference { plain: false })? {
            HeaderSetting::Secret(reference) => Ok(reference),
            HeaderSetting::Plain(_) => Err(de::Error::custom(REFERENCE)),
        }
    }
}

impl<'de> Deserialize<'de> for HeaderSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HeaderSetting, D::Error> {
        deserializer.deserialize_any(Reference { plain: true })
    }
}
