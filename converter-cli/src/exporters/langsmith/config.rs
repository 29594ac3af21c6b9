//! The configuration that users of the live plugin already have: the same
//! files, the same variables, the same precedence.

use std::mem::take;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::variables::{env_origin, from_env};
use crate::exporters::address::web_address;
use crate::exporters::describe::{Description, Known};
use crate::exporters::settings::is_absent;
use crate::exporters::{ConfigError, Remark, Said, Settings};
use crate::private::exposed;
use crate::redact::UserRule;
use crate::secret::Secret;
use crate::secret::mask;

/// Where the hosted service in the United States is.
pub(super) const HOSTED: &str = "https://api.smith.langchain.com";

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
    pub(super) endpoint: String,
    pub(super) key: Option<Secret>,
    pub(super) project: String,
    /// The workspace, for keys that are good for several.
    pub(super) workspace: Option<String>,
}

/// A setting, as `doctor` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: &'static str,
    /// Masked if it is a secret.
    pub(super) value: String,
    pub(super) from: String,
}

/// One layer of the plugin's configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Layer {
    enabled: Option<bool>,
    #[serde(alias = "defaultMuted")]
    default_muted: Option<bool>,
    api_key: Option<String>,
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
    api_key: Option<String>,
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
    /// the project's `.codex/langsmith.json`, before each of them the
    /// `langsmith-plugins.json` that all of the vendor's plugins share, the
    /// environment, our own flags.
    ///
    /// # Errors
    ///
    /// If a flag makes no sense. What is wrong in a file of the plugin's is a
    /// problem to be told, as the plugin goes on without it, too.
    pub(super) fn read(settings: &Settings) -> Result<Config, ConfigError> {
        let mut config = Config::default();
        let mut all = Layer::default();
        let shared = [
            (&settings.home, ".langsmith-plugins.json"),
            (&settings.cwd, "langsmith-plugins.json"),
        ];
        for (dir, shared) in shared {
            let Some(dir) = dir else { continue };
            for path in [dir.join(shared), dir.join(".codex/langsmith.json")] {
                if let Some(layer) = config.file(&path) {
                    let from = path.display().to_string();
                    config.lay(&mut all, layer, |_| from.clone());
                }
            }
        }
        match from_env(settings) {
            Ok(layer) => config.lay(&mut all, layer, |name| env_origin(settings, name)),
            Err(problem) => config.problems.push(problem),
        }
        config.of_plugin = config.places_of(settings, &all).unwrap_or_default();
        config.problems.retain(|problem| !problem.starts_with("`updates`"));
        if settings.own_place {
            config.forget_place(&mut all);
        }
        let flags = Layer {
            api_key: settings.access.key.as_ref().map(|key| key.expose().to_owned()),
            api_url: settings.endpoint.clone(),
            project: settings.project.clone(),
            ..Layer::default()
        };
        config.lay(&mut all, flags, |name| match name {
            "api_key" => settings.origin("key"),
            "api_url" => settings.origin("endpoint"),
            _ => settings.origin("project"),
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
        config.places = config.places_of(settings, &all)?;
        Ok(config)
    }

    /// Drops what is about another place than the one that `codex-trace.toml`
    /// names.
    fn forget_place(&mut self, all: &mut Layer) {
        *all = Layer { api_key: None, api_url: None, project: None, replicas: None, ..take(all) };
        let of_place = |name: &str| ["api_key", "api_url", "project", "replicas"].contains(&name);
        self.found.retain(|found| !of_place(found.name));
    }

    /// Notes what no layer has: the defaults, and the workspace.
    fn note_rest(&mut self, settings: &Settings, all: &Layer) {
        let mut note = |name, value: &str, from: String| {
            self.found.push(Found { name, value: value.to_owned(), from });
        };
        for (name, said, value) in [
            ("api_url", all.api_url.is_some(), HOSTED),
            ("project", all.project.is_some(), PROJECT),
        ] {
            if !said {
                note(name, value, "the default".to_owned());
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
    pub(super) fn remarks(&self, settings: &Settings, redacts: bool) -> Vec<Remark> {
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
        // A project that one works on must not lead a whole history away unseen.
        let foreign = |cwd: &&PathBuf| !settings.own_place && settings.home.as_ref() != Some(*cwd);
        let of_project = settings.cwd.iter().filter(foreign);
        for cwd in of_project.map(|cwd| cwd.display().to_string()) {
            let led = ["api_url", "api_key", "replicas"].into_iter().filter(|name| {
                self.found
                    .iter()
                    .any(|it| it.name == *name && Path::new(&it.from).starts_with(&cwd))
            });
            let led: Vec<String> = led.map(|name| format!("`{name}`")).collect();
            if !led.is_empty() {
                remarks.push(Remark {
                    message: format!("{} from a file of the project in `{cwd}`", led.join(", ")),
                    hint: Some(
                        "`--endpoint`, variables, or another working directory send elsewhere"
                            .to_owned(),
                    ),
                });
            }
        }
        remarks
    }

    fn origin(&self, name: &str) -> String {
        let found = self.found.iter().find(|it| it.name == name);
        found.map_or_else(String::new, |it| format!("`{}`", it.from))
    }

    fn file(&mut self, path: &Path) -> Option<Layer> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(err) if is_absent(&err) => return None,
            Err(err) => {
                self.problems.push(format!("`{}` is not used: {err}", path.display()));
                return None;
            }
        };
        match serde_json::from_str::<Layer>(&text) {
            Ok(layer) => {
                if layer.api_key.is_some() || layer.replicas.is_some() {
                    self.problems.extend(exposed(path));
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
    fn lay(&mut self, all: &mut Layer, over: Layer, from: impl Fn(&str) -> String) {
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
            api_key: |key: &String| mask(key),
            api_url: String::clone,
            project: String::clone,
            metadata: |map: &Map<String, Value>| format!("{} keys", map.len()),
            replicas: |replicas: &Vec<Replica>| format!("{} places", replicas.len()),
            redact: bool::to_string,
            redact_extra_rules: |rules: &Vec<ExtraRule>| format!("{} rules", rules.len()),
            parent_headers: |_: &ParentHeaders| "set".to_owned(),
        }
    }

    fn places_of(&mut self, settings: &Settings, all: &Layer) -> Result<Vec<Place>, ConfigError> {
        let workspace = workspace(settings).map(|said| said.value);
        let primary = Place {
            endpoint: endpoint(all.api_url.as_deref().unwrap_or(HOSTED))?,
            key: all.api_key.as_ref().filter(|key| !key.trim().is_empty()).map(Secret::new),
            project: all
                .project
                .as_deref()
                .filter(|it| !it.is_empty())
                .unwrap_or(PROJECT)
                .to_owned(),
            workspace,
        };
        let replicas = all.replicas.clone().unwrap_or_default();
        if replicas.is_empty() {
            return Ok(vec![primary]);
        }
        if replicas.iter().any(|replica| replica.updates.is_some()) {
            self.problems.push("`updates` of a replica are not used".to_owned());
        }
        // As in the SDK, replicas stand in the place of the one destination,
        // and take from it what they do not say.
        let mut places: Vec<Place> = Vec::new();
        for replica in replicas {
            let elsewhere = replica.api_key.is_some();
            let place = Place {
                endpoint: match &replica.api_url {
                    Some(url) => endpoint(url)?,
                    None => primary.endpoint.clone(),
                },
                key: replica.api_key.map(Secret::new).or_else(|| primary.key.clone()),
                project: replica.project.unwrap_or_else(|| primary.project.clone()),
                workspace: primary.workspace.clone().filter(|_| !elsewhere),
            };
            if !places.contains(&place) {
                places.push(place);
            }
        }
        Ok(places)
    }
}

impl Place {
    /// Whether runs uploaded to both would lie side by side.
    pub(super) fn is_same_project(&self, other: &Place) -> bool {
        (&self.endpoint, &self.project) == (&other.endpoint, &other.project)
    }

    /// Whether the vendor runs it: other rules hold there than at home.
    pub(super) fn is_hosted(&self) -> bool {
        let host = self.endpoint.split_once("://").map_or(&*self.endpoint, |(_, rest)| rest);
        let host = host.split(['/', ':']).next().unwrap_or_default().to_ascii_lowercase();
        host == "api.smith.langchain.com" || host.ends_with(".api.smith.langchain.com")
    }
}

/// Returns the workspace, for keys that are good for several.
fn workspace(settings: &Settings) -> Option<Said<String>> {
    settings.said_workspace().or_else(|| settings.place_var(&["LANGSMITH_WORKSPACE_ID"]))
}

fn endpoint(url: &str) -> Result<String, ConfigError> {
    let url = web_address(url).map_err(|err| ConfigError {
        hint: Some(format!("give one like {HOSTED} or https://HOST/api")),
        ..err
    })?;
    Ok(url.trim_end_matches('/').to_owned())
}

/// Says what was found, for `doctor`.
pub(super) fn describe(settings: &Settings) -> Description {
    let Ok(config) = Config::read(settings) else { return Description::default() };
    let known = |it: Found| Known { name: it.name.to_owned(), value: it.value, from: it.from };
    Description { found: config.found.into_iter().map(known).collect(), problems: config.problems }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;

    fn settings(vars: &[(&str, &str)]) -> Settings {
        let vars = vars.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Settings { env: Environment(vars.collect()), ..Settings::default() }
    }

    fn home(json: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".codex")).unwrap();
        std::fs::write(dir.path().join(".codex/langsmith.json"), json).unwrap();
        dir
    }

    #[test]
    fn nothing_set_means_the_hosted_service() {
        let config = Config::read(&settings(&[])).unwrap();
        let place = &config.places[0];
        assert_eq!((&*place.endpoint, &*place.project), (HOSTED, "codex"));
        assert!(place.key.is_none() && place.is_hosted());
    }

    #[test]
    fn stronger_layers_win_key_by_key() {
        let user = home(r#"{"api_key":"user","project":"user","api_url":"http://u/"}"#);
        let project = home(r#"{"project":"project","api_url":"http://p"}"#);
        let mut settings = settings(&[
            ("LANGSMITH_API_KEY", "plain"),
            ("LANGSMITH_CODEX_API_KEY", "lsv2_pt_0123456789abcdef"),
        ]);
        settings.home = Some(user.path().to_owned());
        settings.cwd = Some(project.path().to_owned());
        let config = Config::read(&settings).unwrap();
        let place = &config.places[0];
        assert_eq!(place.key.as_ref().unwrap().expose(), "lsv2_pt_0123456789abcdef");
        assert_eq!((&*place.project, &*place.endpoint), ("project", "http://p"));
        assert!(!place.is_hosted());
        let key = config.found.iter().find(|found| found.name == "api_key").unwrap();
        assert_eq!((&*key.value, &*key.from), ("lsv2_…cdef", "LANGSMITH_CODEX_API_KEY"));
        settings.project = Some("flag".to_owned());
        assert_eq!(Config::read(&settings).unwrap().places[0].project, "flag");
    }

    /// As the plugin has it: JSON of the wrong shape discards the layer, what
    /// is no JSON only itself.
    #[test]
    fn one_malformed_variable_discards_the_environment() {
        let vars = [("LANGSMITH_PROJECT", "p"), ("LANGSMITH_CODEX_METADATA", "[1]")];
        let config = Config::read(&settings(&vars)).unwrap();
        assert_eq!(config.places[0].project, "codex");
        assert_eq!(config.problems.len(), 1, "{:?}", config.problems);
        let vars = [("LANGSMITH_PROJECT", "p"), ("LANGSMITH_CODEX_METADATA", "{")];
        let config = Config::read(&settings(&vars)).unwrap();
        assert_eq!((&*config.places[0].project, config.problems.len()), ("p", 0));
    }

    #[test]
    fn replicas_take_what_they_do_not_say_from_the_primary() {
        let replicas = r#"[{"apiUrl":"https://eu.api.smith.langchain.com/","apiKey":"k2"},
            {"api_url":"http://self/api","project":"mine"},{"projectName":"other"}]"#;
        let vars =
            [("LANGSMITH_CODEX_RUNS_ENDPOINTS", replicas), ("LANGSMITH_CODEX_API_KEY", "k1")];
        let config = Config::read(&settings(&vars)).unwrap();
        let shape: Vec<_> = config
            .places
            .iter()
            .map(|it| (&*it.endpoint, it.key.as_ref().unwrap().expose(), &*it.project))
            .collect();
        assert_eq!(
            shape,
            [
                ("https://eu.api.smith.langchain.com", "k2", "codex"),
                ("http://self/api", "k1", "mine"),
                (HOSTED, "k1", "other"),
            ]
        );
        assert!(config.places[0].is_hosted());
    }

    #[test]
    fn an_endpoint_must_be_an_address() {
        let settings = Settings { endpoint: Some("nowhere".to_owned()), ..Settings::default() };
        assert!(Config::read(&settings).is_err());
    }
}
