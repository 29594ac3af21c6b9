//! What the live plugin's `setup` writes: `mlflow-tracing.json`.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::plugin_file::{PluginFile, unfollowed};
use crate::{ConfigError, Origin, Remark, Said, Settings};

const NAME: &str = "mlflow-tracing.json";

/// What the plugin's file says.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Plugin {
    tracking_uri: Option<String>,
    experiment_id: Option<Value>,
    trace_location: Option<String>,
    /// The file.
    #[serde(skip)]
    file: Option<PluginFile>,
    /// Files that are there and not followed.
    #[serde(skip)]
    pub(super) unfollowed: Vec<Remark>,
}

impl Plugin {
    /// Reads the user's file; before it the project's, if that is trusted.
    /// Nothing of it is about a destination with an endpoint of its own.
    pub(super) fn find(settings: &Settings) -> Result<Plugin, ConfigError> {
        if settings.own_place {
            return Ok(Plugin::default());
        }
        let mut not_followed: Vec<Remark> = settings.unfollowed_in_home(NAME).into_iter().collect();
        let files = settings.file_of_project(NAME).into_iter().chain(settings.own_files(NAME));
        for file in files {
            let is_followed = !file.of_project || settings.trust_project;
            let text = match file.read(settings) {
                Ok(Some(text)) => text,
                Ok(None) => continue,
                Err(_) if !is_followed => {
                    not_followed.push(unfollowed(&file, &[]));
                    continue;
                }
                Err(err) => {
                    let what = format!("cannot read `{}`: {err}", file.path.display());
                    return Err(ConfigError::new(what).hint("make it readable, or remove it"));
                }
            };
            if !is_followed {
                not_followed.push(unfollowed(&file, &names_in(&text)));
                continue;
            }
            let plugin = Plugin::parse(&text, &file.path)?;
            return Ok(Plugin { file: Some(file), unfollowed: not_followed, ..plugin });
        }
        Ok(Plugin { unfollowed: not_followed, ..Plugin::default() })
    }

    fn parse(text: &str, path: &Path) -> Result<Plugin, ConfigError> {
        serde_json::from_str(text).map_err(|err| {
            ConfigError::new(format!("`{}`:{}: {err}", path.display(), err.line()))
                .hint("correct it, or remove it")
        })
    }

    /// Returns the server's address.
    pub(super) fn tracking_uri(&self) -> Option<Said<String>> {
        self.said("trackingUri", self.tracking_uri.clone())
    }

    /// Returns where in Databricks traces are.
    pub(super) fn trace_location(&self) -> Option<Said<String>> {
        self.said("traceLocation", self.trace_location.clone())
    }

    /// Returns the experiment's id.
    pub(super) fn experiment(&self) -> Option<Said<String>> {
        let id = match &self.experiment_id {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        self.said("experimentId", id)
    }

    fn said(&self, key: &str, value: Option<String>) -> Option<Said<String>> {
        let value = value.map(|it| it.trim().to_owned()).filter(|it| !it.is_empty())?;
        let origin = self.file.as_ref().map_or_else(Origin::default_value, |it| it.origin(key));
        Some(Said::new(value, origin))
    }
}

/// Returns which of our settings a file names.
fn names_in(text: &str) -> Vec<&'static str> {
    let keys: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let ours = ["trackingUri", "experimentId", "traceLocation"];
    ours.into_iter().filter(|key| keys.get(*key).is_some_and(|it| !it.is_null())).collect()
}
