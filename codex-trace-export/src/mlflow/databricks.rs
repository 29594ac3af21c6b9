//! Databricks, as its documentation and MLflow's own client have it. Never
//! tested against the service.
//!
//! Spans go to the table of a location in Unity Catalog. The final call has
//! another address for each trace, and what it takes is not documented: it is
//! left out.

use std::path::PathBuf;

use super::options::{DATABRICKS_HOST, DATABRICKS_TOKEN};
use crate::describe::Description;
use crate::request::Header;
use crate::secret::Secret;
use crate::{Address, ConfigError, Origin, Said, Settings, key};

/// A workspace, and where in it spans go.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) base: Address,
    pub(super) access: Header,
    pub(super) spans_table: String,
}

/// Who we are there.
struct Login {
    host: Said<String>,
    token: Option<Said<Secret>>,
}

/// The profile that a tracking address of Databricks names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile<'u> {
    /// None: `databricks`.
    Unnamed,
    /// `databricks://PROFILE`.
    Named(&'u str),
}

impl Profile<'_> {
    /// Reads an address; `None` if it is none of Databricks.
    pub(super) fn of(uri: &str) -> Option<Profile<'_>> {
        if uri == "databricks" {
            return Some(Profile::Unnamed);
        }
        match uri.strip_prefix("databricks://")?.trim_end_matches('/') {
            "" => Some(Profile::Unnamed),
            name => Some(Profile::Named(name)),
        }
    }
}

/// Finds the workspace: that of a profile, or else of the variables, or else of
/// the profile `DEFAULT`. Address and key come from the same place, so that no
/// key goes where it was not meant to.
pub(super) fn read(
    settings: &Settings,
    profile: Profile<'_>,
    location: Option<Said<String>>,
    found: &mut Description,
) -> Result<Workspace, ConfigError> {
    let login = match (profile, settings.own_var_of(&DATABRICKS_HOST)) {
        (Profile::Named(name), _) => of_profile(settings, name, found)?,
        (Profile::Unnamed, Some(host)) => {
            let token = settings.own_var_of(&DATABRICKS_TOKEN).map(|said| said.map(Secret::new));
            Login { host, token }
        }
        (Profile::Unnamed, None) => of_profile(settings, "DEFAULT", found)?,
    };
    let host = found.text("host", Some(login.host)).unwrap_or_default();
    let token = settings.said_key().or(login.token).map(key::clean).transpose()?;
    let token = found.secret("token", token);
    let location = found.text("trace location", location);
    let token = token.ok_or_else(|| {
        ConfigError::new("Databricks is spoken to with a token, and there is none")
            .hint("set DATABRICKS_HOST and DATABRICKS_TOKEN, or write `token` into the profile")
    })?;
    let location = location.ok_or_else(|| {
        ConfigError::new(
            "Databricks needs a location for traces: an experiment alone is not enough, as spans are taken by a table of Unity Catalog and not by an experiment",
        )
        .hint("set MLFLOW_TRACKING_URI to `databricks` and MLFLOW_TRACE_LOCATION to the experiment's `catalog.schema.table_prefix`")
    })?;
    let host = host.trim_end_matches('/');
    let base = if host.contains("://") { host.to_owned() } else { format!("https://{host}") };
    Ok(Workspace {
        base: Address::parse(&base)?,
        access: Header::secret("Authorization", token.map(|token| format!("Bearer {token}"))),
        spans_table: spans_table(&location)?,
    })
}

/// Returns the table of spans of a location: `catalog.schema.prefix`, or
/// `catalog.schema`, whose tables have names of MLflow's.
fn spans_table(location: &str) -> Result<String, ConfigError> {
    let parts: Vec<&str> = location.split('.').collect();
    match parts.len() {
        _ if parts.contains(&"") => Err(()),
        2 => Ok(format!("{location}.mlflow_experiment_trace_otel_spans")),
        3 => Ok(format!("{location}_otel_spans")),
        _ => Err(()),
    }
    .map_err(|()| {
        ConfigError::new(format!("`{location}` is not a location for traces"))
            .hint("set MLFLOW_TRACE_LOCATION to `catalog.schema.table_prefix`")
    })
}

/// Reads a profile of `~/.databrickscfg`.
fn of_profile(
    settings: &Settings,
    name: &str,
    found: &mut Description,
) -> Result<Login, ConfigError> {
    let path = settings.home.as_ref().map_or_else(PathBuf::new, |home| home.join(".databrickscfg"));
    let text = match settings.files.small_text(&path) {
        Ok(text) => text.unwrap_or_default(),
        Err(err) => {
            return Err(ConfigError::new(format!("cannot read `{}`: {err}", path.display()))
                .hint("make it readable, or set DATABRICKS_HOST and DATABRICKS_TOKEN"));
        }
    };
    let said = |key: &str| {
        let value = value_in(&text, name, key)?.to_owned();
        Some(Said::new(value, Origin::file(false, &path, &format!("[{name}] {key}"))))
    };
    let host = said("host").ok_or_else(|| {
        ConfigError::new(format!("no host of Databricks is known: `{}` has none of profile `{name}`", path.display()))
            .hint("set DATABRICKS_HOST and DATABRICKS_TOKEN, or name a profile that is there: `databricks://PROFILE`")
    })?;
    let token = said("token").map(|said| said.map(Secret::new));
    if token.is_some() {
        found.holds_keys(settings, &path);
    }
    Ok(Login { host, token })
}

/// Returns the value of a key below `[section]`, of lines `key = value`.
fn value_in<'t>(text: &'t str, section: &str, key: &str) -> Option<&'t str> {
    let mut here = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            here = name.trim() == section;
        } else if let Some((name, value)) = line.split_once('=').filter(|_| here)
            && name.trim() == key
        {
            return Some(value.trim()).filter(|value| !value.is_empty());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_databricks() {
        assert_eq!(Profile::of("databricks"), Some(Profile::Unnamed));
        assert_eq!(Profile::of("databricks://"), Some(Profile::Unnamed));
        assert_eq!(Profile::of("databricks://dev"), Some(Profile::Named("dev")));
        assert_eq!(Profile::of("http://databricks"), None);
    }

    #[test]
    fn tables_of_locations() {
        let table = |location: &str| spans_table(location).ok();
        assert_eq!(table("c.s.p").as_deref(), Some("c.s.p_otel_spans"));
        let default = "c.s.mlflow_experiment_trace_otel_spans";
        assert_eq!(table("c.s").as_deref(), Some(default));
        for wrong in ["c", "c.s.p.q", "c..p", ""] {
            assert_eq!(table(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn profiles_are_sections() {
        let text =
            "; note\n[DEFAULT]\nhost = https://a\n\n[dev]\n# host = x\nhost=https://b \ntoken =\n";
        assert_eq!(value_in(text, "DEFAULT", "host"), Some("https://a"));
        assert_eq!(value_in(text, "dev", "host"), Some("https://b"));
        assert_eq!(value_in(text, "dev", "token"), None, "empty");
        assert_eq!(value_in(text, "DEFAULT", "token"), None);
        assert_eq!(value_in(text, "other", "host"), None);
    }
}
