//! Keys by reference: where they are, never what they are.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use codex_trace_export::environment::Environment;
use codex_trace_export::secret::Secret;

/// The largest file that is taken for one that holds a key, in bytes.
const MAX_KEY_FILE: u64 = 64 << 10;

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
pub enum HeaderValue {
    /// The value.
    Plain(String),
    /// Where it is.
    Secret(SecretRef),
}

/// Not the value: people write keys where they should not.
impl fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderValue::Plain(_) => f.write_str("Plain"),
            HeaderValue::Secret(reference) => reference.fmt(f),
        }
    }
}

impl SecretRef {
    /// Reads the key. Relative files are looked for in `base`.
    ///
    /// # Errors
    ///
    /// If there is none: what is missing, for people.
    pub fn read(&self, env: &Environment, home: &Home<'_>) -> Result<Secret, String> {
        match self {
            SecretRef::Env(name) => {
                match env.0.get(name).filter(|value| !value.trim().is_empty()) {
                    Some(value) => Ok(Secret::new(value.trim())),
                    None => Err(format!("the variable `{name}` is not set")),
                }
            }
            SecretRef::File(path) => {
                let path = home.path(path);
                let text = private_text(&path)
                    .map_err(|err| format!("cannot read `{}`: {err}", path.display()))?;
                match text.trim() {
                    "" => Err(format!("there is nothing in `{}`", path.display())),
                    text => Ok(Secret::new(text)),
                }
            }
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

/// From where paths in a configuration file lead.
#[derive(Clone, Copy, Debug)]
pub struct Home<'h> {
    /// The directory of the configuration file.
    pub base: &'h Path,
    /// The user's home directory, `~`.
    pub home: Option<&'h Path>,
}

impl Home<'_> {
    /// Makes a path of the file absolute.
    pub fn path(&self, path: &Path) -> PathBuf {
        match (path.strip_prefix("~"), self.home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => self.base.join(path),
        }
    }
}

/// Reads a small file of text.
///
/// # Errors
///
/// If it cannot be read, or is no small file of text.
fn private_text(path: &Path) -> std::io::Result<String> {
    // `/dev/fd/3` may be where another program writes a key to.
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_KEY_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_KEY_FILE {
        return Err(std::io::Error::other("it is too large to be a key"));
    }
    Ok(text)
}

/// What may stand where a key is referred to.
struct Reference {
    plain: bool,
}

impl<'de> Visitor<'de> for Reference {
    type Value = HeaderValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REFERENCE)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<HeaderValue, E> {
        if self.plain {
            return Ok(HeaderValue::Plain(text.to_owned()));
        }
        // Not quoted: it may well be the key.
        Err(E::custom(format!("a key has no place in this file; say {REFERENCE}")))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderValue, A::Error> {
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
            (Some(one), true) => Ok(HeaderValue::Secret(one)),
            _ => Err(de::Error::custom(format!("say {REFERENCE}, and one of them alone"))),
        }
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SecretRef, D::Error> {
        match deserializer.deserialize_any(Reference { plain: false })? {
            HeaderValue::Secret(reference) => Ok(reference),
            HeaderValue::Plain(_) => Err(de::Error::custom(REFERENCE)),
        }
    }
}

impl<'de> Deserialize<'de> for HeaderValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HeaderValue, D::Error> {
        deserializer.deserialize_any(Reference { plain: true })
    }
}
