//! What each source says: flags and `codex-trace.toml`, variables, the route of
//! the `bt` tracer, the file of the older plugin, the profiles of `bt login`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::braintrust::config::{Parent, Target};
use crate::braintrust::options::{
    API_KEY, API_URL, APP_URL, EXPERIMENT, METADATA, ORG, PARENT_ROOT_SPAN, PARENT_SPAN, PROFILE,
    PROJECT_ID, PROJECT_NAME, TAGS,
};
use crate::describe::Description;
use crate::options::common;
use crate::plugin_file::PluginFile;
use crate::secret::Secret;
use crate::{Origin, Said, Settings};

/// Where the older plugin keeps its configuration, in a Codex home.
const OLDER: &str = "plugins/data/trace-codex-braintrust-codex-plugins/config.json";

/// Where the tracer of `bt` keeps its route, in a Codex home.
const TRACER: &str = "braintrust.json";

/// What one source says.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    pub(super) api: Option<Said<String>>,
    pub(super) app: Option<Said<String>>,
    pub(super) key: Option<Said<Secret>>,
    pub(super) org: Option<Said<String>>,
    pub(super) route: Option<Said<Route>>,
    pub(super) metadata: Option<Said<Map<String, Value>>>,
    pub(super) tags: Option<Said<Vec<String>>>,
}

/// What rows become part of, and what sessions hang under.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) target: Target,
    pub(super) parent: Option<Parent>,
}

impl Route {
    fn to(target: Target) -> Route {
        Route { target, parent: None }
    }
}

/// Reads all sources, strongest first. What is wrong with a file is a problem to
/// be told: the vendor's own tools go on without it, too.
pub(super) fn read(settings: &Settings, found: &mut Description) -> Vec<Layer> {
    let mut layers = vec![flags(settings, found), variables(settings, found)];
    let mut profile = settings.var_of(&PROFILE);
    for file in settings.own_files(TRACER) {
        let Some(tracer) = parsed::<Tracer>(&file, settings, found) else { continue };
        let auth = tracer.route.auth.clone();
        let said = auth.profile.map(|name| Said::new(name, file.origin("profile")));
        profile = profile.or(said);
        layers.push(tracer.layer(&file));
    }
    for file in settings.own_files(OLDER) {
        if let Some(older) = parsed::<Older>(&file, settings, found) {
            if older.api_key.is_some() {
                found.holds_keys(settings, &file.path);
            }
            layers.push(older.layer(&file));
        }
    }
    layers.extend(profiles(settings, profile.as_ref(), found));
    found.remarks.extend(settings.unfollowed_in_home(TRACER));
    if settings.own_place {
        // The table's place is another one: what is said of access is not for it.
        for layer in &mut layers[1..] {
            let Layer { metadata, tags, .. } = std::mem::take(layer);
            *layer = Layer { metadata, tags, ..Layer::default() };
        }
    }
    layers
}

fn flags(settings: &Settings, found: &mut Description) -> Layer {
    let route = settings.get(&EXPERIMENT).map(|said| said.map(Target::Experiment));
    let route = route.or_else(|| settings.get(&PROJECT_ID).map(|it| it.map(Target::ProjectId)));
    let route = route.or_else(|| settings.said_project().map(|it| it.map(Target::ProjectName)));
    let span = settings.get(&PARENT_SPAN).map(|said| said.value);
    let root = settings.get(&PARENT_ROOT_SPAN).map(|said| said.value);
    let parent = span
        .map(|span_id| Parent { root_span_id: root.unwrap_or_else(|| span_id.clone()), span_id });
    Layer {
        api: settings.said_endpoint(),
        app: settings.get(&APP_URL),
        key: settings.said_key(),
        org: settings.said_workspace(),
        route: route.map(|said| said.map(|target| Route { target, parent })),
        metadata: pairs(settings, found),
        tags: settings.get(&TAGS),
    }
}

fn variables(settings: &Settings, found: &mut Description) -> Layer {
    let by_id = settings.var_of(&PROJECT_ID).map(|said| said.map(Target::ProjectId));
    let by_name = || settings.var_of(&PROJECT_NAME).map(|said| said.map(Target::ProjectName));
    Layer {
        api: settings.var_of(&API_URL),
        app: settings.var_of(&APP_URL),
        key: settings.var_of(&API_KEY).map(|said| said.map(Secret::new)),
        org: settings.var_of(&ORG),
        route: by_id.or_else(by_name).map(|said| said.map(Route::to)),
        metadata: settings.own_var_of(&METADATA).and_then(|said| object(&said, found)),
        tags: settings.own_var_of(&TAGS).map(|said| said.map(|text| tags(&text))),
    }
}

/// Returns what `--metadata` or `metadata` of a table says.
fn pairs(settings: &Settings, found: &mut Description) -> Option<Said<Map<String, Value>>> {
    let from = settings.get(&common::METADATA)?.from;
    match settings.metadata() {
        Ok(pairs) => {
            let pairs = pairs.into_iter().map(|(key, value)| (key, Value::String(value)));
            Some(Said::new(pairs.collect(), from))
        }
        Err(err) => {
            found.problems.push(err.to_string());
            None
        }
    }
}

fn object(said: &Said<String>, found: &mut Description) -> Option<Said<Map<String, Value>>> {
    let map = serde_json::from_str(&said.value).ok();
    if map.is_none() {
        found.problems.push(format!("`{}` is not used: it is not a JSON object", said.from));
    }
    Some(Said::new(map?, said.from.clone()))
}

fn tags(text: &str) -> Vec<String> {
    let tags = text.split(',').map(str::trim).filter(|tag| !tag.is_empty());
    tags.map(str::to_owned).collect()
}

/// Reads a file of JSON, if it is there.
fn parsed<T: DeserializeOwned>(
    file: &PluginFile,
    settings: &Settings,
    found: &mut Description,
) -> Option<T> {
    let path = file.path.display();
    let text = match file.read(settings) {
        Ok(text) => text?,
        Err(err) => {
            found.problems.push(format!("`{path}` is not used: {err}"));
            return None;
        }
    };
    match serde_json::from_str(&text) {
        Ok(it) => Some(it),
        Err(err) => {
            let line = err.line();
            found.problems.push(format!("`{path}` is not used: line {line} makes no sense"));
            None
        }
    }
}

/// `braintrust.json`: how the tracer of `bt` is set up.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tracer {
    route: TracerRoute,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TracerRoute {
    auth: Auth,
    destination: Option<Destination>,
    additional_metadata: Option<Map<String, Value>>,
    tags: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Auth {
    profile: Option<String>,
    org_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Destination {
    ProjectLogs {
        project_id: Option<String>,
        project_name: Option<String>,
    },
    Experiment {
        experiment_id: String,
    },
    /// A live span is no parent for a history.
    ParentSpan {},
}

impl Tracer {
    fn layer(self, file: &PluginFile) -> Layer {
        let route = self.route;
        let target = route.destination.and_then(|destination| match destination {
            Destination::ProjectLogs { project_id: Some(id), .. } => Some(Target::ProjectId(id)),
            Destination::ProjectLogs { project_name, .. } => project_name.map(Target::ProjectName),
            Destination::Experiment { experiment_id } => Some(Target::Experiment(experiment_id)),
            Destination::ParentSpan {} => None,
        });
        Layer {
            org: route.auth.org_name.map(|org| Said::new(org, file.origin("org_name"))),
            route: target.map(|it| Said::new(Route::to(it), file.origin("destination"))),
            metadata: route
                .additional_metadata
                .map(|map| Said::new(map, file.origin("additional_metadata"))),
            tags: route.tags.map(|tags| Said::new(tags, file.origin("tags"))),
            ..Layer::default()
        }
    }
}

/// `config.json` of the older plugin.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Older {
    api_key: Option<Secret>,
    api_url: Option<String>,
    app_url: Option<String>,
    org_name: Option<String>,
    project: Option<String>,
    additional_metadata: Option<Map<String, Value>>,
}

impl Older {
    fn layer(self, file: &PluginFile) -> Layer {
        let text = |text: Option<String>, key: &str| {
            let text = text.map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
            text.map(|it| Said::new(it, file.origin(key)))
        };
        let key = self.api_key.filter(|key| !key.expose().trim().is_empty());
        let project = text(self.project, "project");
        Layer {
            api: text(self.api_url, "apiUrl"),
            app: text(self.app_url, "appUrl"),
            key: key.map(|key| Said::new(key, file.origin("apiKey"))),
            org: text(self.org_name, "orgName"),
            route: project.map(|said| said.map(|it| Route::to(Target::ProjectName(it)))),
            metadata: self
                .additional_metadata
                .map(|map| Said::new(map, file.origin("additionalMetadata"))),
            tags: None,
        }
    }
}

/// `auth.json` of `bt login`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Logins {
    profiles: BTreeMap<String, Login>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Login {
    auth_kind: String,
    api_url: Option<String>,
    app_url: Option<String>,
    org_name: Option<String>,
}

/// `secrets.json` of `bt login`, which is there where the system keeps no keys.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Secrets {
    secrets: BTreeMap<String, Secret>,
}

/// Returns what a profile of `bt login` says: the one that is named, or the only
/// one there is.
fn profiles(
    settings: &Settings,
    named: Option<&Said<String>>,
    found: &mut Description,
) -> Option<Layer> {
    let dir = config_dir(settings)?;
    let file = PluginFile { path: dir.join("auth.json"), of_project: false };
    let logins: Logins = parsed(&file, settings, found)?;
    let name = match named {
        Some(said) => said.value.clone(),
        None if logins.profiles.len() == 1 => logins.profiles.keys().next()?.clone(),
        None => return None,
    };
    let Some(login) = logins.profiles.get(&name).cloned() else {
        let from = named.map(|said| said.from.to_string()).unwrap_or_default();
        found.problems.push(format!("`bt` has no profile `{name}` ({from})"));
        return None;
    };
    let origin = |key: &str| Origin::file(false, &file.path, &format!("{name}, {key}"));
    let key = secret(&dir, &name, settings, found);
    if key.is_none() {
        let kept = if login.auth_kind == "api_key" { "in the system's store" } else { "by OAuth" };
        found.problems.push(format!(
            "the profile `{name}` of `bt` is not used: its key is kept {kept}; `BRAINTRUST_API_KEY` gives one"
        ));
    }
    let text = |text: Option<String>, key| text.map(|it| Said::new(it, origin(key)));
    Some(Layer {
        key: key.map(|key| Said::new(key, origin("key"))),
        api: text(login.api_url, "api_url"),
        app: text(login.app_url, "app_url"),
        org: text(login.org_name, "org_name"),
        ..Layer::default()
    })
}

fn secret(dir: &Path, name: &str, settings: &Settings, found: &mut Description) -> Option<Secret> {
    let file = PluginFile { path: dir.join("secrets.json"), of_project: false };
    let mut secrets: Secrets = parsed(&file, settings, found)?;
    found.holds_keys(settings, &file.path);
    secrets.secrets.remove(name)
}

fn config_dir(settings: &Settings) -> Option<PathBuf> {
    let named = settings.var("XDG_CONFIG_HOME").map(PathBuf::from);
    Some(named.or_else(|| Some(settings.home.as_ref()?.join(".config")))?.join("bt"))
}
