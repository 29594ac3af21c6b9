//! What the live plugin's `setup` writes: `mlflow-tracing.json`.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::settings::is_absent;
use crate::{ConfigError, Said, Settings};

const NAME: &str = "mlflow-tracing.json";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PluginFile {
    pub(super) tracking_uri: Option<String>,
    experiment_id: Option<Value>,
    pub(super) trace_location: Option<String>,
    /// The file.
    #[serde(skip)]
    path: PathBuf,
}

impl PluginFile {
    /// Reads the project's file, or else the user's. Nothing of it is about a
    /// destination with an endpoint of its own.
    pub(super) fn find(settings: &Settings) -> Result<PluginFile, ConfigError> {
        let beside = |dir: &Path| dir.join(".codex").join(NAME);
        let places = [
            settings.cwd.as_deref().map(beside),
            settings.codex_home.as_deref().map(|dir| dir.join(NAME)),
            settings.home.as_deref().map(beside),
        ];
        if settings.own_place {
            return Ok(PluginFile::default());
        }
        for path in places.into_iter().flatten() {
            let text = match settings.files.read(&path) {
                Ok(text) => text,
                Err(err) if is_absent(&err) => continue,
                Err(err) => {
                    let what = format!("cannot read `{}`: {err}", path.display());
                    return Err(ConfigError::new(what).hint("make it readable, or remove it"));
                }
            };
            let file: PluginFile = serde_json::from_str(&text).map_err(|err| {
                ConfigError::new(format!("`{}`:{}: {err}", path.display(), err.line()))
                    .hint("mend it, or remove it")
            })?;
            return Ok(PluginFile { path, ..file });
        }
        Ok(PluginFile::default())
    }

    /// Says a value of a key, if there is one.
    pub(super) fn said(&self, key: &str, value: Option<String>) -> Option<Said<String>> {
        Some(Said::new(value?, format!("{} ({key})", self.path.display())))
    }

    /// Returns the experiment's id.
    pub(super) fn experiment(&self) -> Option<String> {
        match &self.experiment_id {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        }
    }
}
