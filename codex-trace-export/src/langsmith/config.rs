//! The configuration that users of the live plugin already have: the same
//! files, the same variables, the same precedence.

mod places;

use std::mem::take;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::options::{API_KEY, API_URL, OF_PROJECT};
use super::variables::{env_origin, from_env};

use crate::describe::{Description, Known};
use crate::plugin_file::{PluginFile, unfollowed};
use crate::redact::UserRule;
use crate::secret::Secret;
use crate::secret::mask;
use crate::{Address, ConfigError, Origin, Remark, Said, Settings};

pub(super) use places::Place;
use places::{Replica, workspace};

/// Where the hosted service in the United States is.
pub(super) const HOSTED: &str = "https://api.smith.langchain.com";

/// What the plugin's own file is called.
const NAME: &str = "langsmith.json";

/// Where runs go unless told otherwise.
const PROJECT: &str = "codex";

/// What was found, and where.
#[derive(Debug, Default)]
pub(super) struct Config {
    /// Whether the live plugin is switched on; of no concern to an upload.
    pub(super) enabled: Option<bool>,
    /// The places to upload to: one, or the replicas.
    pub(super) places: Vec<Place>,
    /// Where the live plugin uploads to: its notes are about these.
    pub(super) of_plugin: Vec<Place>,
    /// What the user wants in the metadata of every run.
    pub(super) metadata: Map<String, Value>,
    /// One line for each setting: its name, its value for people, its origin.
    pub(super) found: Vec<Found>,
    /// What was there and could not be used.
    pub(super) problems: Vec<String>,
    /// What is there and not followed.
    pub(super) unfollowed: Vec<Remark>,
    /// Why nothing may be sent, though every setting makes sense.
    pub(super) refused: Option<ConfigError>,
    /// All addresses that layers name, weakest first.
    addresses: Vec<Said<String>>,
    /// Whether turns of which nothing is said go without content.
    pub(super) muted: bool,
    /// Whether the plugin redacts.
    redact: bool,
    /// What it looks for beside its own rules.
    extra_rules: Vec<ExtraRule>,
}

/// A setting, as `doctor` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: &'static str,
    /// Masked if it is a secret.
    pub(super) value: String,
    pub(super) from: Origin,
}

/// One layer of the plugin's configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Layer {
    enabled: Option<bool>,
    #[serde(alias = "defaultMuted")]
    default_muted: Option<bool>,
    api_key: Option<Secret>,
    api_url: Option<String>,
    project: Option<String>,
    metadata: Option<Map<String, Value>>,
    replicas: Option<Vec<Replica>>,
    redact: Option<bool>,
    redact_extra_rules: Option<Vec<ExtraRule>>,
    parent_headers: Option<ParentHeaders>,
}

#[derive(Clone, Debug, Deserialize)]
struct ExtraRule {
    pattern: String,
    replace: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ParentHeaders {
    #[expect(dead_code, reason = "a live trace is no parent for a history")]
    #[serde(rename = "langsmith-trace")]
    trace: String,
    #[expect(dead_code, reason = "a live trace is no parent for a history")]
    baggage: Option<String>,
}

impl Config {
    /// Reads everything, weakest first: the user's `~/.codex/langsmith.json`,
    /// the project's `.codex/langsmith.json` if it is trusted, before each of
    /// them the `langsmith-plugins.json` that all of the vendor's plugins share,
    /// the project that the sessions' own file names, the environment, our own
    /// flags.
    ///
    /// # Errors
    ///
    /// If a flag makes no sense. What is wrong in a file of the plugin's is a
    /// problem to be told, as the plugin goes on without it, too.
    pub(super) fn read(settings: &Settings) -> Result<Config, ConfigError> {
        let mut config = Config::default();
        let mut all = Layer::default();
        for file in files(settings) {
            config.follow(&file, settings, &mut all);
        }
        if let Some(Said { value, from }) = settings.sessions_project.clone() {
            let layer = Layer { project: Some(value), ..Layer::default() };
            config.lay(&mut all, layer, |_| from.clone());
        }
        match from_env(settings) {
            Ok(layer) => {
                config.lay(&mut all, layer, |name| Origin::variable(env_origin(settings, name)));
            }
            Err(problem) => config.problems.push(problem),
        }
        let of_plugin = config.targets(settings, &all).unwrap_or_default();
        config.of_plugin = of_plugin.into_iter().map(|target| target.place).collect();
        if settings.own_place {
            config.forget_place(&mut all);
        }
        config.forget_replicas(settings, &mut all);
        let flags = Layer {
            api_key: settings.access.key.clone(),
            api_url: settings.endpoint.clone(),
            project: settings.project.clone(),
            ..Layer::default()
        };
        config.lay(&mut all, flags, |name| match name {
            "api_key" => settings.origin(API_KEY.name()),
            "api_url" => settings.origin(API_URL.name()),
            _ => settings.origin(OF_PROJECT.name()),
        });
        config.note_rest(settings, &all);
        config.enabled = all.enabled;
        config.muted = all.default_muted.unwrap_or(false);
        config.redact = all.redact.unwrap_or(true);
        config.extra_rules = all.redact_extra_rules.clone().unwrap_or_default();
        config.metadata = all.metadata.clone().unwrap_or_default();
        if all.parent_headers.is_some() {
            config.problems.push(
                "`parent_headers` is not used: a history is not part of a live trace".to_owned(),
            );
        }
        let targets = config.targets(settings, &all)?;
        config.refused = config.admit(&targets).err();
        config.show_replicas(&all, &targets);
        config.places = targets.into_iter().map(|target| target.place).collect();
        Ok(config)
    }

    /// Lays a file over what is known; a project's only if it is trusted.
    fn follow(&mut self, file: &PluginFile, settings: &Settings, all: &mut Layer) {
        if file.of_project && !settings.trust_project {
            if let Ok(None) = file.read(settings) {
                return;
            }
            // What is wrong with a file that is not followed is of no concern.
            let mut unread = Config::default();
            let layer = unread.file(settings, file).unwrap_or_default();
            unread.lay(&mut Layer::default(), layer, |_| Origin::default_value());
            // What holds for the project's own sessions is looked up session by session.
            let of_its_own = ["enabled", "default_muted", "redact_extra_rules"];
            let names = unread.found.iter().map(|found| found.name);
            let names: Vec<&str> = names.filter(|name| !of_its_own.contains(name)).collect();
            if !names.is_empty() || !unread.problems.is_empty() {
                self.unfollowed.push(unfollowed(file, &names));
            }
        } else if let Some(layer) = self.file(settings, file) {
            self.lay(all, layer, |_| file.origin(""));
        }
    }

    /// Drops what is about another place than the one that `codex-trace.toml`
    /// names.
    fn forget_place(&mut self, all: &mut Layer) {
        *all = Layer { api_key: None, api_url: None, project: None, replicas: None, ..take(all) };
        let of_place = |name: &str| ["api_key", "api_url", "project", "replicas"].contains(&name);
        self.found.retain(|found| !of_place(found.name));
        self.addresses.clear();
    }

    /// Drops the replicas where a flag or a table says where to: that is one
    /// place, and above what variables and files list.
    fn forget_replicas(&mut self, settings: &Settings, all: &mut Layer) {
        let said = [
            (API_URL.name(), settings.endpoint.is_some()),
            (OF_PROJECT.name(), settings.project.is_some()),
            (API_KEY.name(), settings.access.key.is_some()),
        ];
        let Some((name, _)) = said.into_iter().find(|(_, there)| *there) else { return };
        if all.replicas.take().is_none_or(|replicas| replicas.is_empty()) {
            return;
        }
        let (by, of) = (settings.origin(name), self.origin("replicas"));
        self.found.retain(|found| found.name != "replicas");
        self.unfollowed.push(Remark {
            message: format!("the replicas in {of} are not used: `{by}` names the one place"),
            hint: None,
        });
    }

    /// Notes what no layer has: the defaults, and the workspace.
    fn note_rest(&mut self, settings: &Settings, all: &Layer) {
        let mut note = |name, value: &str, from| {
            self.found.push(Found { name, value: value.to_owned(), from });
        };
        for (name, said, value) in [
            ("api_url", all.api_url.is_some(), HOSTED),
            ("project", all.project.is_some(), PROJECT),
        ] {
            if !said {
                note(name, value, Origin::default_value());
            }
        }
        if let Some(workspace) = workspace(settings) {
            note("workspace", &workspace.value, workspace.from);
        }
    }

    /// Returns the plugin's rules for what to redact.
    ///
    /// # Errors
    ///
    /// If one cannot be used: what its user wants hidden would be sent.
    pub(super) fn rules(&self) -> Result<Vec<UserRule>, ConfigError> {
        let rule = |rule: &ExtraRule| {
            UserRule::with_groups(&rule.pattern, rule.replace.as_deref()).map_err(|err| {
                ConfigError::new(format!("`redact_extra_rules`: {err}")).hint(
                    "write it without looking ahead or behind and without references back, or upload without any redaction with `--no-redact`",
                )
            })
        };
        self.extra_rules.iter().map(rule).collect()
    }

    /// Returns what the user should know before anything is sent.
    pub(super) fn remarks(&self, redacts: bool) -> Vec<Remark> {
        let problem = |text: &String| Remark { message: text.clone(), hint: None };
        let mut remarks: Vec<Remark> = self.problems.iter().map(problem).collect();
        if redacts && !self.redact {
            remarks.push(Remark {
                message: format!(
                    "`redact` is off in {}, which is not followed: secrets are redacted all the same",
                    self.origin("redact")
                ),
                hint: Some("`--no-redact` sends them as they are".to_owned()),
            });
        }
        remarks.extend(self.unfollowed.iter().cloned());
        remarks
    }

    fn origin(&self, name: &str) -> String {
        let found = self.found.iter().find(|it| it.name == name);
        found.map_or_else(String::new, |it| format!("`{}`", it.from))
    }

    /// Returns where a setting was said.
    fn said_at(&self, name: &str) -> Origin {
        let found = self.found.iter().find(|it| it.name == name);
        found.map_or_else(Origin::default_value, |it| it.from.clone())
    }

    fn file(&mut self, settings: &Settings, file: &PluginFile) -> Option<Layer> {
        let path = &file.path;
        let text = match file.read(settings) {
            Ok(text) => text?,
            Err(err) => {
                self.problems.push(format!("`{}` is not used: {err}", path.display()));
                return None;
            }
        };
        match serde_json::from_str::<Layer>(&text) {
            Ok(layer) => {
                if layer.api_key.is_some() || layer.replicas.is_some() {
                    self.problems.extend(settings.files.exposed(path));
                }
                Some(layer)
            }
            Err(err) => {
                let (path, line) = (path.display(), err.line());
                self.problems.push(format!("`{path}` is not used: line {line} makes no sense"));
                None
            }
        }
    }

    /// Lays a stronger layer over a weaker one, field by field.
    fn lay(&mut self, all: &mut Layer, mut over: Layer, from: impl Fn(&str) -> Origin) {
        over.api_key = over.api_key.filter(|key| !key.expose().trim().is_empty());
        for text in [&mut over.api_url, &mut over.project] {
            *text = text.take().map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
        }
        let address = over.api_url.clone().map(|url| Said::new(url, from("api_url")));
        self.addresses.extend(address);
        macro_rules! take {
            ($($field:ident: $show:expr),* $(,)?) => { $(
                if let Some(value) = over.$field {
                    let name = stringify!($field);
                    self.found.retain(|found| found.name != name);
                    let show: fn(&_) -> String = $show;
                    self.found.push(Found { name, value: show(&value), from: from(name) });
                    all.$field = Some(value);
                }
            )* };
        }
        take! {
            enabled: bool::to_string,
            default_muted: bool::to_string,
            api_key: |key: &Secret| mask(key.expose()),
            api_url: |url: &String| Address::unchecked(url).to_string(),
            project: String::clone,
            metadata: |map: &Map<String, Value>| format!("{} keys", map.len()),
            replicas: |replicas: &Vec<Replica>| format!("{} places", replicas.len()),
            redact: bool::to_string,
            redact_extra_rules: |rules: &Vec<ExtraRule>| format!("{} rules", rules.len()),
            parent_headers: |_: &ParentHeaders| "set".to_owned(),
        }
    }
}

/// Returns the files that say something, weakest first.
fn files(settings: &Settings) -> Vec<PluginFile> {
    let own = |path| PluginFile { path, of_project: false };
    let mut files = Vec::new();
    if let Some(home) = &settings.home {
        files.push(own(home.join(".langsmith-plugins.json")));
        files.push(own(home.join(".codex").join("langsmith.json")));
    }
    if let Some((cwd, file)) = settings.cwd.as_ref().zip(settings.file_of_project(NAME)) {
        let shared = cwd.join("langsmith-plugins.json");
        files.push(PluginFile { path: shared, of_project: file.of_project });
        files.push(file);
    }
    files
}

/// Says what was found, for `doctor`.
pub(super) fn describe(settings: &Settings) -> Description {
    let Ok(config) = Config::read(settings) else { return Description::default() };
    let known =
        |it: Found| Known { name: it.name.to_owned(), value: it.value, from: it.from.to_string() };
    Description {
        found: config.found.into_iter().map(known).collect(),
        problems: config.problems,
        remarks: config.unfollowed,
    }
}

#[cfg(test)]
mod tests;
