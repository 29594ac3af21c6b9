//! The variables of the live plugin, by its own rules.

use serde_json::{Map, Value};

use super::config::Layer;
use crate::Settings;

/// Looks up `LANGSMITH_CODEX_X`, then `LANGSMITH_X`. One that is empty is not
/// set; for the plugin it is, and nothing.
fn var<'s>(settings: &'s Settings, suffix: &str) -> Option<&'s str> {
    let get = |name: String| settings.var(&name);
    get(format!("LANGSMITH_CODEX_{suffix}")).or_else(|| get(format!("LANGSMITH_{suffix}")))
}

const VARIABLES: &[(&str, &str)] = &[
    ("default_muted", "DEFAULT_MUTED"),
    ("api_key", "API_KEY"),
    ("api_url", "ENDPOINT"),
    ("project", "PROJECT"),
    ("metadata", "METADATA"),
    ("replicas", "RUNS_ENDPOINTS"),
    ("parent_headers", "PARENT_HEADERS"),
    ("redact", "REDACT"),
    ("redact_extra_rules", "REDACT_EXTRA"),
];

/// Says which variable a setting came from.
pub(super) fn env_origin(settings: &Settings, name: &str) -> String {
    let Some((_, suffix)) = VARIABLES.iter().find(|(key, _)| *key == name) else {
        return "TRACE_TO_LANGSMITH".to_owned();
    };
    let own = format!("LANGSMITH_CODEX_{suffix}");
    if settings.var(&own).is_some() { own } else { format!("LANGSMITH_{suffix}") }
}

/// Reads the variables. One of them that is JSON of the wrong shape makes the
/// plugin disregard all of them, and us with it: both must go to one place.
pub(super) fn from_env(settings: &Settings) -> Result<Layer, String> {
    let mut map = Map::new();
    for (name, suffix) in VARIABLES {
        let Some(text) = var(settings, suffix) else { continue };
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
