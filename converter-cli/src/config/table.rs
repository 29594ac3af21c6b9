//! A destination of `codex-trace.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use codex_trace_export::options::common::{
    HEADERS, KEY, PASSWORD, REQUESTS_PER_SECOND, SENDERS, TLS, USERNAME,
};
use codex_trace_export::options::{self, Kind, Opt, OptionSpec, OptionValue, Value};
use codex_trace_export::{Backend, TlsFiles};
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::backends::{self, BACKENDS};

/// The key that names the backend.
pub(super) const BACKEND: &str = "backend";

/// A destination, as the file has it. What it leaves out is as it would be
/// without the file.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// What takes the data: a backend, or a product that takes OTLP.
    pub backend: String,
    values: BTreeMap<&'static str, Value>,
}

/// What is wrong with a value or a key, and where.
#[derive(Debug)]
pub(super) enum Wrong {
    /// It has not the right type.
    Type(toml::de::Error),
    /// It makes no sense.
    Value { at: usize, what: String },
    /// It is none of the words that there are.
    Word { at: usize, word: String, known: Vec<&'static str> },
    /// There is no such key.
    Key { at: usize, key: String, known: Vec<&'static str> },
}

impl Wrong {
    /// Says of a value of the wrong type which key it is of, and how one looks.
    fn of(self, spec: &OptionSpec, at: usize) -> Wrong {
        let (what, example) = match spec.kind {
            Kind::Text | Kind::File => ("a text", "\"…\"".to_owned()),
            Kind::Switch => ("`true` or `false`", "true".to_owned()),
            Kind::Number => ("a number", "4".to_owned()),
            Kind::Rate => ("a number", "5.0".to_owned()),
            Kind::Secret => ("where a key is", "{ env = \"NAME\" }".to_owned()),
            Kind::Headers => ("a table", "{ X-Name = \"value\" }".to_owned()),
            Kind::Texts => ("a list of texts", "[\"…\"]".to_owned()),
            Kind::Certificates => ("a table", "{ ca_file = \"ca.pem\" }".to_owned()),
            Kind::Words(words) => {
                let first = words().into_iter().next().map(|(word, _)| word);
                ("a word", format!("\"{}\"", first.unwrap_or_default()))
            }
            Kind::Duration => ("a length of time", "\"90s\"".to_owned()),
        };
        match self {
            Wrong::Type(err) if err.message().starts_with("invalid type") => {
                Wrong::mistyped(at, spec.name(), what, &example)
            }
            other => other,
        }
    }

    /// Says that a key has a value of the wrong type.
    pub(super) fn mistyped(at: usize, key: &str, what: &str, example: &str) -> Wrong {
        Wrong::Value { at, what: format!("`{key}` is {what}: `{key} = {example}`") }
    }
}

impl From<toml::de::Error> for Wrong {
    fn from(err: toml::de::Error) -> Wrong {
        Wrong::Type(err)
    }
}

impl Table {
    /// Reads a table.
    pub(super) fn read(table: &DeTable<'_>) -> Result<Table, Wrong> {
        let mut read = Table::default();
        let backend = table.get(BACKEND).and_then(|value| value.get_ref().as_str());
        let backend = backend.and_then(backends::named).map(|known| known.backend);
        for (key, value) in table {
            let name = &**key.get_ref();
            if name == BACKEND {
                read.backend = String::deserialize(ValueDeserializer::from(value.clone()))?;
                continue;
            }
            let own = backend.and_then(|backend| option_of(backend, name));
            let Some(spec) = own.or_else(|| every_option().find(|it| it.key == Some(name))) else {
                let known = [BACKEND].into_iter().chain(every_key()).collect();
                return Err(Wrong::Key { at: key.span().start, key: name.to_owned(), known });
            };
            let read_value = value_of(spec.kind, value);
            let value = read_value.map_err(|wrong| wrong.of(spec, value.span().start))?;
            read.values.insert(spec.name(), value);
        }
        Ok(read)
    }

    /// Returns the value of an option, if the table has one.
    pub fn get<T: OptionValue>(&self, option: &Opt<T>) -> Option<T> {
        T::from_value(self.value(&option.spec)?)
    }

    /// Returns the value of an option whose type is not known here.
    pub fn value(&self, spec: &OptionSpec) -> Option<&Value> {
        spec.key.and_then(|key| self.values.get(key))
    }

    /// Returns a key that means nothing to the backend.
    pub(super) fn foreign_key(&self, backend: &Backend) -> Option<&'static str> {
        self.values.keys().copied().find(|key| option_of(backend, key).is_none())
    }

    /// Returns what makes no sense: which key, and why.
    pub(super) fn fault(&self, backend: &Backend) -> Option<(String, String)> {
        let fault = |key: &str, what: String| Some((key.to_owned(), what));
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let is_name = |name: &String| !name.is_empty() && name.chars().all(token);
        let headers = self.get(&HEADERS).unwrap_or_default();
        if let Some(name) = headers.keys().find(|name| !is_name(name)) {
            let what = format!("`{name}` cannot be the name of a header");
            return fault(&format!("{}.{name}", HEADERS.name()), what);
        }
        let (user, password) = (USERNAME.name(), PASSWORD.name());
        if self.has(user) != self.has(password) {
            return fault(user, format!("`{user}` and `{password}` go together"));
        }
        let tls: TlsFiles = self.get(&TLS).unwrap_or_default();
        if tls.client_cert.is_none() && tls.client_key.is_some() {
            let what = "`client_key_file` is of no use without `client_cert_file`";
            return fault(TLS.name(), what.to_owned());
        }
        for spec in options::of(backend.options).filter(|spec| self.has(spec.name())) {
            if let Some(other) = spec.not_with.iter().find(|other| self.has(other)) {
                let key = spec.name();
                return fault(key, format!("`{key}` makes no sense beside `{other}`: keep one"));
            }
        }
        if self.get(&SENDERS) == Some(0) {
            let key = SENDERS.name();
            return fault(key, format!("`{key}` needs at least one"));
        }
        let is_rate = |rate: f64| rate.is_finite() && rate >= 0.1;
        let key = REQUESTS_PER_SECOND.name();
        let rate = self.get(&REQUESTS_PER_SECOND).filter(|rate| !is_rate(*rate))?;
        let _ = rate;
        fault(key, format!("`{key}` needs at least 0.1"))
    }

    /// Returns whether an option is there, and not switched off.
    fn has(&self, key: &str) -> bool {
        self.values.get(key).is_some_and(|value| *value != Value::Switch(false))
    }

    /// Returns whether the table says what lets us in: the first such key.
    pub fn key_of_access(&self) -> Option<&'static str> {
        let tls: TlsFiles = self.get(&TLS).unwrap_or_default();
        let headers = self.get(&HEADERS).is_some_and(|headers| !headers.is_empty());
        let access = [
            (KEY.name(), self.has(KEY.name())),
            (PASSWORD.name(), self.has(PASSWORD.name())),
            (HEADERS.name(), headers),
            (TLS.name(), tls.client_cert.is_some()),
        ];
        access.into_iter().find(|(_, there)| *there).map(|(key, _)| key)
    }
}

fn option_of(backend: &Backend, key: &str) -> Option<&'static OptionSpec> {
    options::of(backend.options).find(|spec| spec.key == Some(key))
}

/// The options of every destination, then those of each backend.
fn every_option() -> impl Iterator<Item = &'static OptionSpec> {
    options::common::all().chain(BACKENDS.iter().flat_map(|backend| backend.options))
}

fn every_key() -> impl Iterator<Item = &'static str> {
    let mut keys: Vec<&str> = Vec::new();
    for key in every_option().filter_map(|spec| spec.key) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys.into_iter()
}

/// Certificates, as the file has them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TlsTable {
    #[serde(rename = "ca_file")]
    ca: Option<PathBuf>,
    #[serde(rename = "client_cert_file")]
    client_cert: Option<PathBuf>,
    #[serde(rename = "client_key_file")]
    client_key: Option<PathBuf>,
}

fn value_of(kind: Kind, value: &Spanned<DeValue<'_>>) -> Result<Value, Wrong> {
    fn typed<'v, T: Deserialize<'v>>(value: &Spanned<DeValue<'v>>) -> Result<T, Wrong> {
        Ok(T::deserialize(ValueDeserializer::from(value.clone()))?)
    }
    let at = value.span().start;
    Ok(match kind {
        Kind::Text => Value::Text(typed(value)?),
        Kind::Switch => Value::Switch(typed(value)?),
        Kind::Number => Value::Number(typed(value)?),
        Kind::Rate => Value::Rate(typed(value)?),
        Kind::Secret => Value::Secret(typed(value)?),
        Kind::Headers => Value::Headers(typed(value)?),
        Kind::Texts => Value::Texts(typed(value)?),
        Kind::File => Value::File(typed(value)?),
        Kind::Certificates => {
            let TlsTable { ca, client_cert, client_key } = typed(value)?;
            Value::Certificates(TlsFiles { ca, client_cert, client_key })
        }
        Kind::Words(words) => {
            let word: String = typed(value)?;
            let known = || words().into_iter().map(|(word, _)| word).collect();
            kind.parse(&word).map_err(|_| Wrong::Word { at, word, known: known() })?
        }
        Kind::Duration => {
            let text: String = typed(value)?;
            let what = format!("`{text}` is not a length of time: use 30s, 2m");
            kind.parse(&text).map_err(|_| Wrong::Value { at, what })?
        }
    })
}
