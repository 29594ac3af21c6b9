//! `codex-trace.toml`: destinations by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::args::tips;
use crate::backends;
use crate::config::Settings;
use crate::config::secret::Home;
use crate::config::table::{BACKEND, Table, Wrong};
use codex_trace_deliver::private;
use codex_trace_export::secret::without_password;
use codex_trace_history::failure::Failure;

/// The keys of the file itself.
const TO: &str = "to";
const DESTINATIONS: &str = "destinations";
const CACHE: &str = "cache";

/// The variable that names the file.
const VARIABLE: &str = "CODEX_TRACE_CONFIG";

/// The file, read and checked; empty if there is none.
#[derive(Debug)]
pub struct ConfigFile {
    /// Where it is, or would be.
    pub path: Option<PathBuf>,
    /// Whether it is there.
    pub exists: bool,
    /// Where an upload goes to that does not say.
    pub to: Vec<String>,
    /// Whether `list` and `usage` may remember what they read.
    pub cache: bool,
    /// The destinations.
    pub destinations: BTreeMap<String, Table>,
    /// In which line a key of a destination is.
    lines: BTreeMap<(String, String), usize>,
}

impl Default for ConfigFile {
    fn default() -> ConfigFile {
        ConfigFile {
            path: None,
            exists: false,
            to: Vec::new(),
            cache: true,
            destinations: BTreeMap::new(),
            lines: BTreeMap::new(),
        }
    }
}

impl ConfigFile {
    /// Reads the file that `--config` names, or else `CODEX_TRACE_CONFIG`, or
    /// else the one of the user's configuration, if it is there.
    ///
    /// # Errors
    ///
    /// If a file that was named is not there, it cannot be read, or something
    /// in it makes no sense.
    pub fn find(named: Option<&Path>, settings: &Settings) -> Result<ConfigFile, Failure> {
        let named = ConfigFile::named(named, settings);
        let must_exist = named.is_some();
        let place = named.or_else(|| ConfigFile::usual(settings));
        let Some(path) = place else { return Ok(ConfigFile::default()) };
        match private::small_text(&path) {
            Ok(Some(text)) => ConfigFile::read(path, &text),
            Ok(None) if !must_exist => Ok(ConfigFile { path: Some(path), ..ConfigFile::default() }),
            Ok(None) => Err(Failure::new(format!(
                "cannot read `{}`: No such file or directory (os error 2)",
                path.display()
            ))
            .hint(if path.to_string_lossy().contains('=') {
                "`--config` names a file; settings of Codex' telemetry are taken from `OTEL_*` variables, or from a table of that file".to_owned()
            } else {
                format!("`--config` or the variable {VARIABLE} names the file")
            })),
            Err(err) => Err(Failure::new(format!("cannot read `{}`: {err}", path.display()))
                .hint(format!("`--config` or the variable {VARIABLE} names the file"))),
        }
    }

    /// Returns where the file is, or would be.
    pub fn place(named: Option<&Path>, settings: &Settings) -> Option<PathBuf> {
        ConfigFile::named(named, settings).or_else(|| ConfigFile::usual(settings))
    }

    fn named(named: Option<&Path>, settings: &Settings) -> Option<PathBuf> {
        let variable = || variable(settings, VARIABLE).map(PathBuf::from);
        named.map(Path::to_path_buf).or_else(variable)
    }

    fn usual(settings: &Settings) -> Option<PathBuf> {
        // A relative path there is to be ignored, by the specification.
        let xdg = variable(settings, "XDG_CONFIG_HOME").map(PathBuf::from);
        let xdg = xdg.filter(|dir| dir.is_absolute());
        let dir = xdg.or_else(|| Some(settings.home.as_ref()?.join(".config")))?;
        Some(dir.join("codex-trace").join("codex-trace.toml"))
    }

    /// Reads the text of the file.
    ///
    /// # Errors
    ///
    /// If something in it makes no sense: which line and key, and which key may
    /// have been meant.
    pub fn read(path: PathBuf, text: &str) -> Result<ConfigFile, Failure> {
        let file = whole(text).map_err(|wrong| explained(&path, text, wrong))?;
        let file = ConfigFile { path: Some(path), exists: true, lines: lines(text), ..file };
        for (name, table) in &file.destinations {
            file.check(name, table)?;
        }
        for name in &file.to {
            if !file.destinations.contains_key(name) && backends::named(name).is_none() {
                let at = file.origin("", TO);
                let wrong = Failure::new(format!("{at}: there is no destination `{name}`"));
                return Err(wrong.hint(file.names_hint(name)));
            }
        }
        Ok(file)
    }

    fn check(&self, name: &str, table: &Table) -> Result<(), Failure> {
        let wrong = |key: &str, what: String| {
            Failure::new(format!("{}: destination `{name}`: {what}", self.origin(name, key)))
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            return Err(wrong("", "its name is not made of letters, digits, `-`, `_`, `.`".into()));
        }
        let Some(known) = backends::named(&table.backend) else {
            let words: Vec<&str> = backends::names().map(|(name, _)| name).collect();
            let what = match table.backend.as_str() {
                "" => "`backend` is missing".to_owned(),
                other => format!("`backend` cannot be `{other}`"),
            };
            return Err(wrong(BACKEND, what).hint(suggestion(&table.backend, &words)));
        };
        let backend = known.backend;
        // A product's name says no more than what the table says of it.
        let is_of_backend = backends::named(name).is_some_and(|it| it.preset.is_none());
        if name != table.backend && is_of_backend {
            let what =
                format!("its name is that of a backend, and its backend is `{}`", table.backend);
            return Err(wrong(BACKEND, what).hint("give it another name"));
        }
        if let Some(key) = table.foreign_key(backend) {
            return Err(wrong(key, format!("`{key}` is not an option of `{}`", table.backend))
                .hint("docs/configuration.md lists the keys of each backend"));
        }
        table.fault(backend).map_or(Ok(()), |(key, what)| Err(wrong(&key, what)))
    }

    /// Says where a key of a destination is: `FILE:LINE`.
    pub fn origin(&self, destination: &str, key: &str) -> String {
        let path = self.path.as_deref().unwrap_or(Path::new("codex-trace.toml")).display();
        let line = |key: &str| self.lines.get(&(destination.to_owned(), key.to_owned()));
        line(key).or_else(|| line("")).map_or_else(|| path.to_string(), |n| format!("{path}:{n}"))
    }

    /// Says which names there are, the likeliest alone if there is one.
    pub fn names_hint(&self, meant: &str) -> String {
        let mut names: Vec<&str> = self.destinations.keys().map(String::as_str).collect();
        names.extend(
            backends::names()
                .map(|(name, _)| name)
                .filter(|it| !self.destinations.contains_key(*it)),
        );
        suggestion(meant, &names)
    }

    /// Returns from where paths in the file lead.
    pub fn home<'h>(&'h self, settings: &'h Settings) -> Home<'h> {
        let base = self.path.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        Home { base, home: settings.home.as_deref() }
    }
}

/// Returns a variable of the environment that is not empty.
fn variable<'s>(settings: &'s Settings, name: &str) -> Option<&'s String> {
    settings.vars.0.get(name).filter(|value| !value.is_empty())
}

/// Reads the keys of the file.
fn whole(text: &str) -> Result<ConfigFile, Wrong> {
    let table = DeTable::parse(text)?;
    let mut file = ConfigFile::default();
    for (key, value) in table.get_ref() {
        let at = value.span().start;
        match &**key.get_ref() {
            TO => {
                let to = Deserialize::deserialize(ValueDeserializer::from(value.clone()));
                let wrong = |_| Wrong::mistyped(at, TO, "a list of names", "[\"team\"]");
                file.to = to.map_err(wrong)?;
            }
            CACHE => {
                let cache = value.get_ref().as_bool();
                let wrong = || Wrong::mistyped(at, CACHE, "`true` or `false`", "false");
                file.cache = cache.ok_or_else(wrong)?;
            }
            DESTINATIONS => {
                for (name, table) in table_of(value)? {
                    let read = Table::read(table_of(table)?)?;
                    file.destinations.insert(name.get_ref().to_string(), read);
                }
            }
            other => {
                let known = vec![TO, CACHE, DESTINATIONS];
                return Err(Wrong::Key { at: key.span().start, key: other.to_owned(), known });
            }
        }
    }
    Ok(file)
}

fn table_of<'v, 't>(value: &'v Spanned<DeValue<'t>>) -> Result<&'v DeTable<'t>, Wrong> {
    let what = || "a table is expected".to_owned();
    let table = value.get_ref().as_table();
    table.ok_or_else(|| Wrong::Value { at: value.span().start, what: what() })
}

/// Finds the lines of all keys of all destinations. A destination's own line
/// goes by the key ``, and keys of the file by the destination ``.
fn lines(text: &str) -> BTreeMap<(String, String), usize> {
    let mut lines = BTreeMap::new();
    let Ok(whole) = DeTable::parse(text) else { return lines };
    let mut note = |destination: &str, key: &str, at: usize| {
        lines.insert((destination.to_owned(), key.to_owned()), line_of(text, at));
    };
    for (key, value) in whole.get_ref() {
        note("", key.get_ref(), key.span().start);
        if key.get_ref() != DESTINATIONS {
            continue;
        }
        for (name, table) in value.get_ref().as_table().into_iter().flatten() {
            note(name.get_ref(), "", name.span().start);
            for (key, value) in table.get_ref().as_table().into_iter().flatten() {
                note(name.get_ref(), key.get_ref(), key.span().start);
                for (below, _) in value.get_ref().as_table().into_iter().flatten() {
                    let path = format!("{}.{}", key.get_ref(), below.get_ref());
                    note(name.get_ref(), &path, below.span().start);
                }
            }
        }
    }
    lines
}

fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).map_or(0, |before| before.matches('\n').count()) + 1
}

/// Says what is wrong with the file, and where.
fn explained(path: &Path, text: &str, wrong: Wrong) -> Failure {
    let place = |at: usize| format!("`{}`:{}", path.display(), line_of(text, at));
    let unknown = |at, what: &str, given: &str, known: &[&str]| {
        Failure::new(format!("{}: unknown {what} `{given}`", place(at)))
            .hint(suggestion(given, known))
    };
    match wrong {
        Wrong::Value { at, what } => Failure::new(format!("{}: {what}", place(at))),
        Wrong::Word { at, word, known } => unknown(at, "word", &word, &known),
        Wrong::Key { at, key, known } => unknown(at, "key", &key, &known),
        Wrong::Type(err) => {
            let at = err.span().map(|at| at.start);
            // What a value was is not repeated: it may be a key in the wrong place.
            let message = without_password(err.message());
            let message = message.lines().collect::<Vec<_>>().join(": ");
            let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
            match (&quoted[..], at) {
                ([given, known @ ..], Some(at)) if message.starts_with("unknown field") => {
                    unknown(at, "key", given, known)
                }
                (_, at) => {
                    let place = at.map_or_else(|| format!("`{}`", path.display()), place);
                    Failure::new(format!("{place}: {message}"))
                }
            }
        }
    }
}

/// Says which of several words may have been meant.
fn suggestion(given: &str, known: &[&str]) -> String {
    match tips::nearest(given, known) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("there are: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use codex_trace_export::options::common::{HEADERS, KEY};
    use codex_trace_export::options::{HeaderSetting, SecretRef};

    use super::*;

    fn read(text: &str) -> Result<ConfigFile, Failure> {
        ConfigFile::read(PathBuf::from("c.toml"), text)
    }

    fn refused(text: &str) -> (String, String) {
        let err = read(text).unwrap_err();
        (err.to_string(), err.hint_line().unwrap_or_default().to_owned())
    }

    #[test]
    fn the_documented_example_is_read() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
        let docs = std::fs::read_to_string(docs).unwrap();
        let blocks: Vec<&str> = docs.split("```toml\n").skip(1).collect();
        assert!(!blocks.is_empty());
        for block in blocks {
            let block = block.split("```").next().unwrap();
            let file = read(block).unwrap_or_else(|err| panic!("{err}\n{block}"));
            assert!(!file.destinations.is_empty());
        }
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_what_may_be_meant() {
        let at = |text: &str| refused(&format!("\n[destinations.x]\nbackend = 'otlp'\n{text}"));
        let (what, hint) = at("endpont = 'http://x'");
        assert_eq!(what, "`c.toml`:4: unknown key `endpont`");
        assert_eq!(hint, "did you mean `endpoint`?");
        let (what, hint) = at("capture = 'metadata'");
        assert_eq!(what, "`c.toml`:4: unknown word `metadata`");
        assert!(hint.contains("metadata-only"), "{hint}");
        assert_eq!(
            at("timeout = 'soon'").0,
            "`c.toml`:4: `soon` is not a length of time: use 30s, 2m"
        );
        assert!(at("tls.cafile = 'x'").1.contains("`ca_file`"));
        assert!(at("sidecar = false").0.starts_with("c.toml:4: destination `x`: `sidecar`"));
        for (text, what) in [
            ("timeout = 5", "`timeout` is a length of time: `timeout = \"90s\"`"),
            ("senders = '4'", "`senders` is a number: `senders = 4`"),
            ("redact = 'yes'", "`redact` is `true` or `false`: `redact = true`"),
            ("metadata = 'a=b'", "`metadata` is a list of texts: `metadata = [\"…\"]`"),
            ("endpoint = 1", "`endpoint` is a text: `endpoint = \"…\"`"),
            ("semconv = 1", "`semconv` is a word: `semconv = \"genai\"`"),
        ] {
            assert_eq!(at(text).0, format!("`c.toml`:4: {what}"));
        }
        assert_eq!(refused("to = 'x'").0, "`c.toml`:1: `to` is a list of names: `to = [\"team\"]`");
        assert!(
            refused("cache = 'no'").0.ends_with("`cache` is `true` or `false`: `cache = false`")
        );
        assert!(at("senders = 0").0.ends_with("`senders` needs at least one"));
        assert!(at("requests_per_second = inf").0.contains("at least 0.1"));
        assert!(at("key.env = 'A'\npassword.env = 'B'\nusername = 'u'").0.contains("`password`"));
        assert!(at("tls.client_key_file = 'k'").0.contains(":4: "));
        assert!(at("headers = { 'a b' = 'c' }").0.starts_with("c.toml:4: destination `x`: `a b`"));
        assert!(at("endpoint = ").0.starts_with("`c.toml`:4: "));
        let (what, hint) = refused("[destinations.x]\nbackend = 'langsmiht'");
        assert!(what.contains("c.toml:2"), "{what}");
        assert_eq!(hint, "did you mean `langsmith`?");
        assert!(refused("[destinations.'a b']\nbackend = 'otlp'").0.contains("c.toml:1"));
        assert!(refused("[destinations.mlflow]\nbackend = 'otlp'").0.contains("of a backend"));
        let (what, hint) = refused("to = ['tem']\n[destinations.team]\nbackend = 'otlp'");
        assert_eq!(what, "c.toml:1: there is no destination `tem`");
        assert_eq!(hint, "did you mean `team`?");
    }

    #[test]
    fn a_key_is_where_it_belongs_and_nowhere_else() {
        let table = |text: &str| {
            let text = format!("[destinations.x]\nbackend = 'otlp'\n{text}");
            read(&text).map(|mut file| file.destinations.remove("x").unwrap())
        };
        let key = |text| table(text).unwrap().get(&KEY).unwrap();
        assert_eq!(key("key = { env = 'A' }"), SecretRef::Env("A".into()));
        assert_eq!(key("key.file = '~/k'"), SecretRef::File("~/k".into()));
        let secret = "lsv2_pt_0123456789";
        for wrong in [
            "key = 'S'",
            "key = { env = 'A', file = 'B' }",
            "key = {}",
            "password = 'S'",
            "key = { envv = 'S' }",
            "senders = 'S'",
        ] {
            let err = table(&wrong.replace('S', secret)).unwrap_err();
            assert!(!format!("{err:?}").contains(secret), "{err:?}");
        }
        let headers =
            table("headers = { a = 'plain', b = { env = 'B' } }").unwrap().get(&HEADERS).unwrap();
        assert_eq!(headers["a"], HeaderSetting::Plain("plain".into()));
        assert_eq!(headers["b"], HeaderSetting::Secret(SecretRef::Env("B".into())));
        assert!(!format!("{headers:?}").contains("plain\""));
    }
}
