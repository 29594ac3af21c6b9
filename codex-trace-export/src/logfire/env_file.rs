//! The exporter's `config.env`, by its own rules: variables of the environment
//! come first, even where they are empty.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::options::{CONFIG_FILE, STATE_DIR};
use crate::options::Opt;
use crate::{ConfigError, Origin, Said, Settings};

const NAME: &str = "config.env";

/// Where it lies: since 0.1.0, and before that.
const DIRECTORIES: [&str; 3] =
    ["logfire-exporter", "codex-logfire-exporter", "codex-logfire-plugin"];

/// What the exporter takes from the file.
const PREFIXES: [&str; 3] = ["LOGFIRE_", "CODEX_LOGFIRE_", "OTEL_EXPORTER_OTLP"];

/// The variables of the environment, and those of the file behind them.
#[derive(Debug)]
pub(super) struct Variables<'s> {
    settings: &'s Settings,
    path: PathBuf,
    file: BTreeMap<String, String>,
}

impl<'s> Variables<'s> {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    ///
    /// If it is there and cannot be read.
    pub(super) fn read(settings: &'s Settings) -> Result<Variables<'s>, ConfigError> {
        let mut all = Variables { settings, path: PathBuf::new(), file: BTreeMap::new() };
        let Some(path) = path(settings) else { return Ok(all) };
        match settings.files.small_text(&path) {
            Ok(text) => {
                all.file = parse(&text.unwrap_or_default());
                all.path = path;
                Ok(all)
            }
            Err(err) => Err(ConfigError::new(format!("cannot read `{}`: {err}", path.display()))
                .hint("make it readable, or name another with CODEX_LOGFIRE_CONFIG_FILE")),
        }
    }

    /// Returns the file, if it holds anything of ours.
    pub(super) fn file(&self) -> Option<&Path> {
        (!self.file.is_empty()).then_some(&*self.path)
    }

    /// Returns the first variable of an option that is set and not empty, whatever
    /// the place.
    pub(super) fn said<T>(&self, option: &Opt<T>) -> Option<Said<String>> {
        option.spec.env.iter().find_map(|name| self.one(name))
    }

    /// As [`said`](Self::said), for variables about place and access: a
    /// destination with an endpoint of its own is another place.
    pub(super) fn of_place<T>(&self, option: &Opt<T>) -> Option<Said<String>> {
        self.said(option).filter(|_| !self.settings.own_place)
    }

    fn one(&self, name: &str) -> Option<Said<String>> {
        if self.settings.env.0.contains_key(name) {
            return self.settings.said_var(name);
        }
        let text = self.file.get(name)?.trim();
        let from = Origin::file(false, &self.path, name);
        (!text.is_empty()).then(|| Said::new(text.to_owned(), from))
    }
}

fn path(settings: &Settings) -> Option<PathBuf> {
    if let Some(path) = settings.first_var(CONFIG_FILE.spec.env) {
        return Some(in_home(settings, path));
    }
    let base = match settings.var("XDG_CONFIG_HOME") {
        Some(base) => in_home(settings, base),
        None => settings.home.as_ref()?.join(".config"),
    };
    let paths = DIRECTORIES.iter().map(|dir| base.join(dir).join(NAME));
    paths.into_iter().find(|path| settings.files.is_file(path))
}

/// Returns the directory in which the live exporter keeps what it knows of
/// sessions and turns.
pub fn state_dir(settings: &Settings) -> Option<PathBuf> {
    let said = Variables::read(settings).ok().and_then(|variables| variables.said(&STATE_DIR));
    match (said, settings.var("XDG_STATE_HOME")) {
        (Some(said), _) => Some(in_home(settings, &said.value)),
        (None, Some(base)) => Some(in_home(settings, base).join(DIRECTORIES[0])),
        (None, None) => {
            Some(settings.home.as_ref()?.join(".local").join("state").join(DIRECTORIES[0]))
        }
    }
}

/// Puts the home directory in the place of `~`.
pub(super) fn in_home(settings: &Settings, path: &str) -> PathBuf {
    match (path.strip_prefix('~'), &settings.home) {
        (Some(""), Some(home)) => home.clone(),
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(&rest[1..]),
        _ => PathBuf::from(path),
    }
}

fn parse(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    let ours = |key: &str| PREFIXES.iter().any(|prefix| key.starts_with(prefix));
    let mut all = BTreeMap::new();
    for (key, value) in pairs.map(|(key, value)| (key.trim(), value.trim())) {
        // The first one stays, as it is in the exporter's environment then.
        if ours(key) {
            all.entry(key.to_owned()).or_insert_with(|| unquoted(value).to_owned());
        }
    }
    all
}

fn unquoted(value: &str) -> &str {
    let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    quoted('"').or_else(|| quoted('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_as_the_exporter_reads_it() {
        let text = "# LOGFIRE_TOKEN=no\n LOGFIRE_TOKEN = 'a=b' \nLOGFIRE_TOKEN=second\nHOME=/x\n\
                    OTEL_EXPORTER_OTLP_HEADERS=\"k=v\"\nnothing\nCODEX_LOGFIRE_DEBUG='\n";
        let all = parse(text);
        let all: Vec<_> = all.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(
            all,
            [
                ("CODEX_LOGFIRE_DEBUG", "'"),
                ("LOGFIRE_TOKEN", "a=b"),
                ("OTEL_EXPORTER_OTLP_HEADERS", "k=v"),
            ]
        );
    }
}
