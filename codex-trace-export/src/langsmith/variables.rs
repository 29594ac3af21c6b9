//! The variables of the live plugin, by its own rules.

use serde_json::{Map, Value};

use super::config::Layer;
use super::options::{
    API_KEY, API_URL, DEFAULT_MUTED, METADATA, OF_PROJECT, REDACT_EXTRA, REPLICAS,
};
use crate::Settings;

/// What the plugin calls a setting, and the variables that say it. One that is
/// empty is not set; for the plugin it is, and nothing.
const VARIABLES: &[(&str, &[&str])] = &[
    ("default_muted", DEFAULT_MUTED.spec.env),
    ("api_key", API_KEY.spec.env),
    ("api_url", API_URL.spec.env),
    ("project", OF_PROJECT.spec.env),
    ("metadata", METADATA.spec.env),
    ("replicas", REPLICAS.spec.env),
    ("parent_headers", &["LANGSMITH_CODEX_PARENT_HEADERS", "LANGSMITH_PARENT_HEADERS"]),
    ("redact", &["LANGSMITH_CODEX_REDACT", "LANGSMITH_REDACT"]),
    ("redact_extra_rules", REDACT_EXTRA.spec.env),
];

/// Says which variable a setting came from.
pub(super) fn env_origin(settings: &Settings, name: &str) -> String {
    let of_name = VARIABLES.iter().find(|(key, _)| *key == name);
    let set = of_name.and_then(|(_, vars)| vars.iter().find(|name| settings.var(name).is_some()));
    set.map_or("TRACE_TO_LANGSMITH", |name| name).to_owned()
}

/// Reads the variables. One of them that is JSON of the wrong shape makes the
/// plugin disregard all of them, and us with it: both must go to one place.
pub(super) fn from_env(settings: &Settings) -> Result<Layer, String> {
    let mut map = Map::new();
    for (name, vars) in VARIABLES {
        let Some(text) = settings.first_var(vars) else { continue };
        let value = match *name {
            "api_key" | "api_url" | "project" => Some(Value::from(text)),
            "redact" => boolean(text).map(Value::from),
            // As the plugin has it: in doubt, muted.
            "default_muted" => Some(Value::from(!text.eq_ignore_ascii_case("false"))),
            // What is not JSON at all is as good as absent.
            _ => serde_json::from_str(text).ok(),
        };
        if let Some(value) = value {
            map.insert((*name).to_owned(), value);
        }
    }
    if let Some(enabled) = settings.var("TRACE_TO_LANGSMITH").and_then(boolean) {
        map.insert("enabled".to_owned(), Value::from(enabled));
    }
    serde_json::from_value(Value::Object(map)).map_err(|err| {
        let what = err.to_string();
        let what = what.split(" at line").next().unwrap_or_default();
        format!("none of the `LANGSMITH_*` variables is used, as the plugin has it: {what}")
    })
}

fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}
