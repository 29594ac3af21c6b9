use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{HeaderSetting, SecretRef};
use crate::choice::{Choice, is_word};
use crate::request::TlsFiles;

/// What values an option takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A text.
    Text,
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Number,
    /// A number.
    Rate,
    /// One of a few words.
    Words(Words),
    /// A length of time: `90s`, `5m`.
    Duration,
    /// A reference to a secret.
    Secret,
    /// Headers by name.
    Headers,
    /// Certificates and keys.
    Certificates,
    /// A list of texts.
    Texts,
    /// The path of a file.
    File,
}

/// Returns words and what each means.
pub type Words = fn() -> Vec<(&'static str, &'static str)>;

/// A value of an option.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of [`Kind::Text`].
    Text(String),
    /// Of [`Kind::Switch`].
    Switch(bool),
    /// Of [`Kind::Number`].
    Number(u64),
    /// Of [`Kind::Rate`].
    Rate(f64),
    /// Of [`Kind::Words`].
    Word(&'static str),
    /// Of [`Kind::Duration`].
    Duration(Duration),
    /// Of [`Kind::Secret`].
    Secret(SecretRef),
    /// Of [`Kind::Headers`].
    Headers(BTreeMap<String, HeaderSetting>),
    /// Of [`Kind::Certificates`].
    Certificates(TlsFiles),
    /// Of [`Kind::Texts`].
    Texts(Vec<String>),
    /// Of [`Kind::File`].
    File(PathBuf),
}

impl Kind {
    /// Reads a value as it is given on the command line.
    ///
    /// # Errors
    ///
    /// If it is none of this kind: what it should be, for people.
    pub fn parse(self, text: &str) -> Result<Value, String> {
        match self {
            Kind::Text => Some(Value::Text(text.to_owned())),
            Kind::Switch => text.parse().ok().map(Value::Switch),
            Kind::Number => text.parse().ok().map(Value::Number),
            Kind::Rate => text.parse().ok().map(Value::Rate),
            Kind::Words(words) => {
                let word = words().into_iter().find(|(word, _)| is_word(word, text));
                word.map(|(word, _)| Value::Word(word))
            }
            Kind::Duration => parse_age(text).filter(|age| !age.is_zero()).map(Value::Duration),
            Kind::Texts => Some(Value::Texts(vec![text.to_owned()])),
            Kind::File => Some(Value::File(PathBuf::from(text))),
            Kind::Secret | Kind::Headers | Kind::Certificates => None,
        }
        .ok_or_else(|| self.expected())
    }

    /// Says what values it takes, for an error.
    fn expected(self) -> String {
        match self {
            Kind::Words(words) => {
                let words: Vec<String> =
                    words().iter().map(|(word, _)| format!("`{word}`")).collect();
                format!("say one of {}", words.join(", "))
            }
            Kind::Duration => "use a length of time: 30s, 2m".to_owned(),
            Kind::Number => "say a whole number".to_owned(),
            Kind::Rate => "say a number".to_owned(),
            Kind::Switch => "say `true` or `false`".to_owned(),
            _ => "it cannot be given here".to_owned(),
        }
    }
}

impl Value {
    /// Writes it for people: no value of this type is a secret itself.
    pub fn shown(&self) -> String {
        match self {
            Value::Text(text) => text.clone(),
            Value::Switch(on) => on.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Rate(rate) => rate.to_string(),
            Value::Word(word) => (*word).to_owned(),
            Value::Duration(time) => format!("{} s", time.as_secs()),
            Value::Secret(reference) => reference.to_string(),
            Value::Headers(headers) => {
                headers.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
            }
            Value::Certificates(_) => "[set]".to_owned(),
            Value::Texts(texts) => texts.join(", "),
            Value::File(path) => path.display().to_string(),
        }
    }
}

/// A type that options can have.
pub trait OptionValue: Sized {
    /// What values it has.
    const KIND: Kind;

    /// Reads a value of that kind.
    fn from_value(value: &Value) -> Option<Self>;

    /// Makes a value of it.
    fn into_value(self) -> Value;
}

macro_rules! option_value {
    ($($type:ty = $kind:ident),* $(,)?) => {$(
        impl OptionValue for $type {
            const KIND: Kind = Kind::$kind;

            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::$kind(value) => Some(value.clone()),
                    _ => None,
                }
            }

            fn into_value(self) -> Value {
                Value::$kind(self)
            }
        }
    )*};
}

option_value! {
    String = Text,
    bool = Switch,
    u64 = Number,
    f64 = Rate,
    Duration = Duration,
    SecretRef = Secret,
    BTreeMap<String, HeaderSetting> = Headers,
    TlsFiles = Certificates,
    Vec<String> = Texts,
    PathBuf = File,
}

impl<T: Choice> OptionValue for T {
    const KIND: Kind = Kind::Words(|| T::WORDS.iter().map(|entry| (entry.1, entry.2)).collect());

    fn from_value(value: &Value) -> Option<T> {
        match value {
            Value::Word(word) => T::from_word(word),
            _ => None,
        }
    }

    fn into_value(self) -> Value {
        Value::Word(self.word())
    }
}

/// Reads a length of time: `90s`, `15m`, `24h`, `7d`, `2w`.
pub fn parse_age(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let number = text.strip_suffix(unit)?.parse::<u64>().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        'w' => 7 * 24 * 60 * 60,
        _ => return None,
    };
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Capture;

    #[test]
    fn values_are_read_by_their_kind() {
        let word = <Capture as OptionValue>::KIND.parse("metadata-only").unwrap();
        assert_eq!(Capture::from_value(&word), Some(Capture::MetadataOnly));
        assert_eq!(bool::from_value(&word), None);
        let err = <Capture as OptionValue>::KIND.parse("all").unwrap_err();
        assert_eq!(err, "say one of `full`, `no-tool-content`, `metadata-only`");
        assert_eq!(Kind::Duration.parse("5m"), Ok(Value::Duration(Duration::from_secs(300))));
        for wrong in ["0s", "5", "-1s", "soon", "", "99999999999999999999w"] {
            assert!(Kind::Duration.parse(wrong).is_err(), "{wrong}");
        }
        assert!(Kind::Number.parse("-1").is_err());
        // No flag takes a key.
        assert!(Kind::Secret.parse("x").is_err());
    }
}
