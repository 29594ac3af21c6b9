//! The account's rate limits as sessions recorded them.

use std::collections::BTreeMap;

use codex_trace_model::{EventKind, SignedDuration, Span, Timestamp, Trace};
use serde_json::Value;

/// The limit that versions before 0.100 recorded without a name.
const UNNAMED: &str = "codex";

/// The rate limits at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// When they were recorded.
    pub at: Timestamp,
    /// The plan of the account (since 0.66).
    pub plan: Option<String>,
    /// Its windows.
    pub windows: Vec<Window>,
}

/// How much of a window was used.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// How long it is, in minutes.
    pub minutes: Option<u64>,
    /// How much of it was used, in percent.
    pub used_percent: f64,
    /// When it resets.
    pub resets_at: Option<Timestamp>,
}

/// Returns the newest rate limits of a session, by the name of the limit.
pub fn newest(trace: &Trace<'_>) -> BTreeMap<String, Snapshot> {
    let mut newest = BTreeMap::new();
    for event in trace.spans.iter().flat_map(Span::events) {
        let (EventKind::RateLimits(limits), Some(at)) = (&event.kind, event.at) else { continue };
        let Ok(limits) = serde_json::from_slice::<Value>(limits.raw()) else { continue };
        merge(&mut newest, snapshot(&limits, at));
    }
    newest
}

/// Keeps the newer one of each limit.
pub fn merge(
    into: &mut BTreeMap<String, Snapshot>,
    other: impl IntoIterator<Item = (String, Snapshot)>,
) {
    for (id, snapshot) in other {
        match into.get(&id) {
            Some(known) if known.at > snapshot.at => {}
            _ => {
                into.insert(id, snapshot);
            }
        }
    }
}

/// Reads what Codex recorded; versions before 0.41 had no windows as objects.
fn snapshot(limits: &Value, at: Timestamp) -> Option<(String, Snapshot)> {
    let mut windows = Vec::new();
    for name in ["primary", "secondary"] {
        let of = |field: &str| match &limits[name] {
            Value::Null => &limits[format!("{name}_{field}")],
            window => &window[field],
        };
        let Some(used_percent) = of("used_percent").as_f64() else { continue };
        let resets_at = match of("resets_at") {
            Value::String(text) => text.parse().ok(),
            value => value.as_i64().and_then(|seconds| Timestamp::from_second(seconds).ok()),
        };
        let resets_in = || {
            let seconds = of("resets_in_seconds").as_i64()?;
            at.checked_add(SignedDuration::from_secs(seconds)).ok()
        };
        windows.push(Window {
            minutes: of("window_minutes").as_u64(),
            used_percent,
            resets_at: resets_at.or_else(resets_in),
        });
    }
    let text = |field: &str| limits[field].as_str().map(str::to_owned);
    let id = text("limit_name").or_else(|| text("limit_id")).unwrap_or(UNNAMED.to_owned());
    (!windows.is_empty()).then(|| (id, Snapshot { at, plan: text("plan_type"), windows }))
}

/// Writes the length of a window: `5h`, `7d`.
pub fn length(minutes: u64) -> String {
    match minutes {
        m if m > 0 && m.is_multiple_of(24 * 60) => format!("{}d", m / (24 * 60)),
        m if m > 0 && m.is_multiple_of(60) => format!("{}h", m / 60),
        m => format!("{m}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<(String, Snapshot)> {
        let at = "2026-11-21T12:00:00Z".parse().unwrap();
        snapshot(&serde_json::from_str(json).unwrap(), at)
    }

    #[test]
    fn every_form_of_limits() {
        let (id, it) = read(r#"{"primary_used_percent":12.5,"primary_window_minutes":300,"secondary_used_percent":3.0,"secondary_window_minutes":10080}"#).unwrap();
        assert_eq!((id.as_str(), it.windows.len()), ("codex", 2));
        assert_eq!(
            it.windows[0],
            Window { minutes: Some(300), used_percent: 12.5, resets_at: None }
        );
        let (_, it) = read(r#"{"primary":{"used_percent":1.0,"window_minutes":300,"resets_in_seconds":60},"secondary":null}"#).unwrap();
        assert_eq!(it.windows[0].resets_at.unwrap().to_string(), "2026-11-21T12:01:00Z");
        let (id, it) = read(r#"{"limit_id":"codex_x","plan_type":"plus","primary":{"used_percent":1.0,"resets_at":1795262400}}"#).unwrap();
        assert_eq!((id.as_str(), it.plan.as_deref()), ("codex_x", Some("plus")));
        assert_eq!(it.windows[0].resets_at.unwrap().to_string(), "2026-11-21T12:00:00Z");
        assert_eq!(read(r#"{"primary":null,"secondary":null}"#), None);
    }

    #[test]
    fn lengths() {
        assert_eq!([300, 10_080, 90, 0].map(length), ["5h", "7d", "90m", "0m"]);
    }
}
