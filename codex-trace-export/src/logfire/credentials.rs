//! `.logfire/logfire_credentials.json`, which Logfire's own tools write into a
//! project. The exporter does not read it. One in the working directory came
//! with a project and is followed only if that is trusted.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::env_file::in_home;
use super::options::CREDENTIALS_DIR;
use crate::plugin_file::{PluginFile, unfollowed};
use crate::secret::Secret;
use crate::{ConfigError, Remark, Said, Settings};

const NAME: &str = "logfire_credentials.json";

/// What the file says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Credentials {
    token: Option<Secret>,
    project_name: Option<String>,
    logfire_api_url: Option<String>,
    #[serde(skip)]
    file: Option<PluginFile>,
    /// That there is one, which is not followed.
    #[serde(skip)]
    pub(super) unfollowed: Option<Remark>,
}

impl Credentials {
    /// Reads the file in `LOGFIRE_CREDENTIALS_DIR`, or that of the project.
    ///
    /// # Errors
    ///
    /// If it is there, to be followed, and cannot be read.
    pub(super) fn find(settings: &Settings) -> Result<Credentials, ConfigError> {
        let Some(file) = file(settings).filter(|_| !settings.own_place) else {
            return Ok(Credentials::default());
        };
        if file.of_project && !settings.trust_project {
            let there = settings.files.is_file(&file.path);
            let remark = there.then(|| unfollowed(&file, &["token", "logfire_api_url"]));
            return Ok(Credentials { unfollowed: remark, ..Credentials::default() });
        }
        let path = file.path.display().to_string();
        let text = file.read(settings).map_err(|err| {
            ConfigError::new(format!("cannot read `{path}`: {err}"))
                .hint("make it readable, or remove it")
        })?;
        let Some(text) = text else { return Ok(Credentials::default()) };
        let read: Credentials = serde_json::from_str(&text).map_err(|err| {
            // Not the parser's words: they may quote the token.
            ConfigError::new(format!("`{path}`:{}: this makes no sense", err.line()))
                .hint("have Logfire write it anew, or remove it")
        })?;
        Ok(Credentials { file: Some(file), ..read })
    }

    /// Returns the file, if it was read.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| &*file.path)
    }

    /// Returns the write token.
    pub(super) fn token(&self) -> Option<Said<Secret>> {
        self.said("token", self.token.clone().filter(|it| !it.expose().trim().is_empty()))
    }

    /// Returns the project's name.
    pub(super) fn project(&self) -> Option<Said<String>> {
        self.said("project_name", self.project_name.clone())
    }

    /// Returns the base address.
    pub(super) fn url(&self) -> Option<Said<String>> {
        self.said("logfire_api_url", self.logfire_api_url.clone())
    }

    fn said<T>(&self, key: &str, value: Option<T>) -> Option<Said<T>> {
        Some(Said::new(value?, self.file.as_ref()?.origin(key)))
    }
}

fn file(settings: &Settings) -> Option<PluginFile> {
    if let Some(dir) = settings.first_var(CREDENTIALS_DIR.spec.env) {
        return Some(PluginFile { path: in_home(settings, dir).join(NAME), of_project: false });
    }
    let dir: PathBuf = settings.cwd.as_ref()?.join(".logfire");
    Some(PluginFile { path: dir.join(NAME), of_project: true })
}
