use std::borrow::Cow;
use std::sync::Arc;

use codex_rollout::into_text;

use super::joined::Joined;
use super::proto::{AnyValue, ArrayValue, KeyValue, Value};

/// The name of an attribute: nearly always one that this program has written down.
type Key = Cow<'static, str>;

/// Attributes while they are gathered; what is absent is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Attributes(pub Vec<KeyValue>);

impl Attributes {
    /// Adds a text, if there is one.
    pub(crate) fn text<'t>(&mut self, key: impl Into<Key>, value: impl Into<Option<Cow<'t, str>>>) {
        if let Some(value) = value.into() {
            self.push(key, Value::String(value.into_owned()));
        }
    }

    /// Adds a word that is always known.
    pub(crate) fn word(&mut self, key: impl Into<Key>, value: &str) {
        self.push(key, Value::String(value.to_owned()));
    }

    /// Adds a text that is raw JSON, if there is one.
    pub(crate) fn json(&mut self, key: impl Into<Key>, value: Option<Vec<u8>>) {
        if let Some(value) = value {
            self.push(key, Value::String(into_text(value)));
        }
    }

    /// Adds a text that somebody else keeps, too, if there is one.
    pub(crate) fn kept(&mut self, key: impl Into<Key>, text: Option<Arc<String>>) {
        if let Some(text) = text {
            self.joined(key, Joined::of(&text));
        }
    }

    /// Adds a text that is kept in pieces.
    pub(crate) fn joined(&mut self, key: impl Into<Key>, value: Joined) {
        self.push(key, Value::Joined(value));
    }

    /// Adds a whole number, if there is one. What does not fit is absent.
    pub(crate) fn int(&mut self, key: impl Into<Key>, value: impl Into<Option<u64>>) {
        if let Some(value) = value.into().and_then(|value| i64::try_from(value).ok()) {
            self.push(key, Value::Int(value));
        }
    }

    /// Adds a whole number that may be negative, if there is one.
    pub(crate) fn signed(&mut self, key: impl Into<Key>, value: Option<i64>) {
        if let Some(value) = value {
            self.push(key, Value::Int(value));
        }
    }

    /// Adds a fraction.
    pub(crate) fn double(&mut self, key: impl Into<Key>, value: Option<f64>) {
        if let Some(value) = value {
            self.push(key, Value::Double(value));
        }
    }

    /// Adds yes or no, if it is known.
    pub(crate) fn flag(&mut self, key: impl Into<Key>, value: impl Into<Option<bool>>) {
        if let Some(value) = value.into() {
            self.push(key, Value::Bool(value));
        }
    }

    /// Adds several words.
    pub(crate) fn words(&mut self, key: impl Into<Key>, values: &[&str]) {
        let values = values.iter().map(|it| AnyValue::from(Value::String((*it).to_owned())));
        self.push(key, Value::Array(ArrayValue { values: values.collect() }));
    }

    fn push(&mut self, key: impl Into<Key>, value: Value) {
        self.0.push(KeyValue { key: key.into(), value: Some(value.into()) });
    }
}
