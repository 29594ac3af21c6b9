use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{ConfigError, Origin};
use crate::environment::{ConfigFiles, Environment};
use crate::options::common::{ENDPOINT, KEY, METADATA, PROJECT, WORKSPACE};
use crate::options::{Opt, OptionSet, OptionValue};
use crate::otlp::presets::Preset;
use crate::secret::Secret;

/// What a backend's [`connect`](super::Backend::connect) may look at: everything
/// that comes from outside is in here, so that a test can make it up.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `--endpoint`, or that of `codex-trace.toml`.
    pub endpoint: Option<String>,
    /// `--project`: a project, an experiment, a service, as the backend has it.
    pub project: Option<String>,
    /// The project that a file in the directory of the sessions names, where only
    /// those are uploaded: what the live plugin follows for them.
    pub sessions_project: Option<Said<String>>,
    /// Further options of the destination: flags, or keys of `codex-trace.toml`.
    pub options: OptionSet,
    /// What `codex-trace.toml` says of access.
    pub access: Access,
    /// The product that a receiver of OTLP is, where one was named.
    pub preset: Option<&'static Preset>,
    /// Whether `codex-trace.toml` adds headers to requests.
    pub has_headers: bool,
    /// Whether `codex-trace.toml` names the endpoint. What the environment and
    /// the live plugin's files say of place and access is then about another
    /// place: no key may go where it was not meant to.
    pub own_place: bool,
    /// Where fields were said, by the key in `codex-trace.toml`; a flag unless
    /// told here.
    pub origins: BTreeMap<String, Origin>,
    /// The variables of the environment; see [`var`](Self::var).
    pub env: Environment,
    /// The files that live plugins are configured by.
    pub files: ConfigFiles,
    /// The user's own Codex home, where live plugins keep their configuration.
    pub codex_home: Option<PathBuf>,
    /// A Codex home that was given to be read: history, and no configuration.
    pub foreign_home: Option<PathBuf>,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// The working directory.
    pub cwd: Option<PathBuf>,
    /// Whether to follow what the project in the working directory says.
    pub trust_project: bool,
}

/// What lets us in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// A key, or token.
    pub key: Option<Secret>,
    /// A name and its password.
    pub login: Option<(String, Secret)>,
    /// The workspace or tenant.
    pub workspace: Option<String>,
}

/// A value, and where it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said<T> {
    /// The value.
    pub value: T,
    /// A flag, a variable, a file with a line or key.
    pub from: Origin,
}

impl<T> Said<T> {
    /// Says a value.
    pub fn new(value: T, from: Origin) -> Said<T> {
        Said { value, from }
    }

    /// Says a value that holds where nobody says anything.
    pub fn by_default(value: T) -> Said<T> {
        Said { value, from: Origin::default_value() }
    }

    /// Makes another value of it, from the same place.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Said<U> {
        Said { value: f(self.value), from: self.from }
    }
}

impl Settings {
    /// Returns a variable of the environment that is set and not empty, without
    /// the space around it.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.env.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Returns the first of several variables that is set and not empty.
    pub fn first_var(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.var(name))
    }

    /// As [`first_var`](Self::first_var), for variables about place and access,
    /// with the name of the one that is set.
    pub fn place_var(&self, names: &[&str]) -> Option<Said<String>> {
        let name = names.iter().find(|name| !self.own_place && self.var(name).is_some())?;
        Some(Said::new(self.var(name)?.to_owned(), Origin::variable(*name)))
    }

    /// Returns where a field was said.
    pub fn origin(&self, name: &str) -> Origin {
        self.origins.get(name).cloned().unwrap_or_else(|| Origin::flag(format!("--{name}")))
    }

    /// Returns an option that a flag or `codex-trace.toml` sets.
    pub fn get<T: OptionValue>(&self, option: &Opt<T>) -> Option<Said<T>> {
        self.options.get(option)
    }

    /// As [`place_var`](Self::place_var), for the variables of an option.
    pub fn var_of<T>(&self, option: &Opt<T>) -> Option<Said<String>> {
        self.place_var(option.spec.env)
    }

    /// As [`said_var`](Self::said_var), for the variables of an option.
    pub fn own_var_of<T>(&self, option: &Opt<T>) -> Option<Said<String>> {
        option.spec.env.iter().find_map(|name| self.said_var(name))
    }

    /// Returns what is to be said of every session, as pairs.
    ///
    /// # Errors
    ///
    /// If something is no pair.
    pub fn metadata(&self) -> Result<Vec<(String, String)>, ConfigError> {
        let Some(said) = self.get(&METADATA) else { return Ok(Vec::new()) };
        let pair = |text: &String| match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                Ok((key.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err(ConfigError::new(format!("`{text}` is not metadata ({})", said.from))
                .hint("say `KEY=VALUE`")),
        };
        said.value.iter().map(pair).collect()
    }

    /// Returns a variable that describes us, whatever the place, with its name.
    pub fn said_var(&self, name: &str) -> Option<Said<String>> {
        Some(Said::new(self.var(name)?.to_owned(), Origin::variable(name)))
    }

    /// Returns the key of `codex-trace.toml`.
    pub fn said_key(&self) -> Option<Said<Secret>> {
        Some(Said::new(self.access.key.clone()?, self.origin(KEY.name())))
    }

    /// Returns the workspace of `codex-trace.toml`.
    pub fn said_workspace(&self) -> Option<Said<String>> {
        Some(Said::new(self.access.workspace.clone()?, self.origin(WORKSPACE.name())))
    }

    /// Returns the endpoint of a flag or of `codex-trace.toml`.
    pub fn said_endpoint(&self) -> Option<Said<String>> {
        Some(Said::new(self.endpoint.clone()?, self.origin(ENDPOINT.name())))
    }

    /// Returns the project of a flag or of `codex-trace.toml`.
    pub fn said_project(&self) -> Option<Said<String>> {
        Some(Said::new(self.project.clone()?, self.origin(PROJECT.name())))
    }
}
