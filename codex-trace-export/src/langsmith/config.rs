//! The configuration that users of the live plugin already have: the same
//! files, the same variables, the same precedence.

use std::mem::take;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::options::{API_KEY, API_URL, OF_PROJECT, WORKSPACE_ID};
use super::variables::{env_origin, from_env};

use crate::describe::{Description, Known};
use crate::origin::NamedPlaces;
use crate::plugin_file::{PluginFile, unfollowed};
use crate::redact::UserRule;
use crate::secret::Secret;
use crate::secret::mask;
use crate::{Address, ConfigError, Origin, Remark, Said, Settings, key};

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

/// Where one copy of the runs goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Without a slash at its end.
    pub(super) endpoint: Address,
    pub(super) key: Option<Secret>,
    pub(super) project: String,
    /// The workspace, for keys that are good for several.
    pub(super) workspace: Option<String>,
    /// What this copy's runs say beside what all say.
    pub(super) metadata: Map<String, Value>,
}

/// Returns the metadata that a replica changes. It may say what no run of ours can
/// be changed in: that is told, and not left out.
fn updated(updates: Option<Value>) -> Result<Map<String, Value>, ConfigError> {
    let refused = |name: &str| {
        ConfigError::new(format!("`updates` of a replica: `{name}` of a run cannot be changed"))
            .hint("only `metadata` can")
    };
    let mut metadata = Map::new();
    let Some(Value::Object(updates)) = updates else {
        return if updates.is_none() { Ok(metadata) } else { Err(refused("all")) };
    };
    for (name, value) in updates {
        match (&*name, value) {
            ("metadata", Value::Object(said)) => metadata.extend(said),
            ("extra", Value::Object(extra)) => {
                for (name, value) in extra {
                    match (&*name, value) {
                        ("metadata", Value::Object(said)) => metadata.extend(said),
                        _ => return Err(refused(&format!("extra.{name}"))),
                    }
                }
            }
            _ => return Err(refused(&name)),
        }
    }
    Ok(metadata)
}

/// A setting, as `doctor` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: &'static str,
    /// Masked if it is a secret.
    pub(super) value: String,
    pub(super) from: Origin,
}

/// A place, with where its address and its key were said.
struct Target {
    place: Place,
    address: Said<Address>,
    key_from: Option<Origin>,
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

/// The plugin takes both spellings; its SDK only the second, which is why its
/// replicas never worked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Replica {
    #[serde(alias = "apiUrl")]
    api_url: Option<String>,
    #[serde(alias = "apiKey")]
    api_key: Option<Secret>,
    #[serde(alias = "projectName")]
    project: Option<String>,
    updates: Option<Value>,
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
                "`parent_headers` is not used: a history is no part of a live trace".to_owned(),
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

    /// Returns the places to upload to: one, or those of the replicas. As in the
    /// SDK, replicas stand in the place of the one destination, and take from it
    /// what they do not say.
    fn targets(&mut self, settings: &Settings, all: &Layer) -> Result<Vec<Target>, ConfigError> {
        let primary = self.primary(settings, all)?;
        let replicas = all.replicas.clone().unwrap_or_default();
        if replicas.is_empty() {
            return Ok(vec![primary]);
        }
        let from = self.said_at("replicas");
        let mut targets: Vec<Target> = Vec::new();
        for replica in replicas {
            let address = match &replica.api_url {
                Some(url) => Said::new(endpoint(url)?, from.clone()),
                None => primary.address.clone(),
            };
            let own = replica.api_key.map(|key| Said::new(key, from.clone()));
            let own = own.map(key::clean).transpose()?;
            let elsewhere = own.is_some();
            let key_from = own.as_ref().map(|said| said.from.clone());
            // A key within the same replica is for its address, whatever else is said.
            let is_whole = elsewhere && replica.api_url.is_some();
            let target = Target {
                place: Place {
                    endpoint: address.value.clone(),
                    key: own.map(|said| said.value).or_else(|| primary.place.key.clone()),
                    project: replica.project.unwrap_or_else(|| primary.place.project.clone()),
                    workspace: primary.place.workspace.clone().filter(|_| !elsewhere),
                    metadata: updated(replica.updates)?,
                },
                address,
                key_from: key_from.or_else(|| primary.key_from.clone()).filter(|_| !is_whole),
            };
            if targets.iter().all(|other| other.place != target.place) {
                targets.push(target);
            }
        }
        Ok(targets)
    }

    fn primary(&self, settings: &Settings, all: &Layer) -> Result<Target, ConfigError> {
        let url = all.api_url.as_deref().unwrap_or(HOSTED);
        let address = Said::new(endpoint(url)?, self.said_at("api_url"));
        let key = all.api_key.clone().map(|key| Said::new(key, self.said_at("api_key")));
        let key = key.map(key::clean).transpose()?;
        let key_from = key.as_ref().map(|said| said.from.clone());
        let place = Place {
            endpoint: address.value.clone(),
            key: key.map(|said| said.value),
            project: all.project.clone().unwrap_or_else(|| PROJECT.to_owned()),
            workspace: workspace(settings).map(|said| said.value),
            metadata: Map::new(),
        };
        Ok(Target { place, address, key_from })
    }

    /// Checks that every key goes only to the place that it was set for.
    fn admit(&self, targets: &[Target]) -> Result<(), ConfigError> {
        let mut named = NamedPlaces::default();
        self.addresses.iter().rev().for_each(|said| named.push(Some(said.clone())));
        let with_key = |target: &Target| Some((target.key_from.clone()?, target.address.clone()));
        targets.iter().filter_map(with_key).try_for_each(|(key, to)| named.admit(&key, &to))
    }

    /// Shows the replicas one by one, and nothing that none of them takes.
    fn show_replicas(&mut self, all: &Layer, targets: &[Target]) {
        let replicas = all.replicas.as_deref().unwrap_or_default();
        if replicas.is_empty() {
            return;
        }
        let unused = [
            ("api_url", replicas.iter().all(|it| it.api_url.is_some())),
            ("api_key", replicas.iter().all(|it| it.api_key.is_some())),
            ("project", replicas.iter().all(|it| it.project.is_some())),
        ];
        self.found.retain(|found| !unused.contains(&(found.name, true)));
        let from = self.said_at("replicas");
        for Target { place, .. } in targets {
            let key = place.key.as_ref().map_or_else(|| "none".to_owned(), |it| mask(it.expose()));
            let value = format!("{} {}, key {key}", place.endpoint, place.project);
            self.found.push(Found { name: "replica", value, from: from.clone() });
        }
    }
}

/// Returns the files that say something, weakest first.
fn files(settings: &Settings) -> Vec<PluginFile> {
    let own = |path| PluginFile { path, of_project: false };
    let mut files = Vec::new();
    if let Some(home) = &settings.home {
        files.push(own(home.join(".langsmith-plugins.json")));
        files.push(own(home.join(".codex/langsmith.json")));
    }
    if let Some((cwd, file)) = settings.cwd.as_ref().zip(settings.file_of_project(NAME)) {
        let shared = cwd.join("langsmith-plugins.json");
        files.push(PluginFile { path: shared, of_project: file.of_project });
        files.push(file);
    }
    files
}

impl Place {
    /// Whether runs uploaded to both would lie side by side.
    pub(super) fn is_same_project(&self, other: &Place) -> bool {
        self.endpoint.is_same(&other.endpoint) && self.project == other.project
    }

    /// Whether the vendor runs it: other rules hold there than at home.
    pub(super) fn is_hosted(&self) -> bool {
        let host = self.endpoint.host();
        host == "api.smith.langchain.com" || host.ends_with(".api.smith.langchain.com")
    }
}

/// Returns the workspace, for keys that are good for several.
fn workspace(settings: &Settings) -> Option<Said<String>> {
    settings.said_workspace().or_else(|| settings.var_of(&WORKSPACE_ID))
}

fn endpoint(url: &str) -> Result<Address, ConfigError> {
    let like = || format!("give one like {HOSTED} or https://HOST/api");
    let address = Address::parse(url).map_err(|no| ConfigError::new(no.message).hint(like()))?;
    Ok(Address::unchecked(address.expose().trim_end_matches('/')))
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
