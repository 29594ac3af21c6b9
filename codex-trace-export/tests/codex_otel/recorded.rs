//! The recordings: what the live telemetry said.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{directories, testdata};

/// A recording.
pub(crate) struct Recording {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    live: Value,
}

/// A record of the live telemetry.
pub(crate) struct LiveRecord {
    pub(crate) service: String,
    pub(crate) version: String,
    /// Nanoseconds since 1970.
    pub(crate) at: u64,
    /// In hex; empty where there was none.
    pub(crate) trace_id: String,
    pub(crate) attributes: BTreeMap<String, Value>,
}

/// Returns all recordings.
pub(crate) fn recordings() -> Vec<Recording> {
    let all: Vec<_> = directories(&testdata("codex-otel"))
        .into_iter()
        .map(|dir| {
            let packed = std::fs::read(dir.join("live.json.zst")).unwrap();
            let text = zstd::decode_all(packed.as_slice()).unwrap();
            let name = dir.file_name().unwrap().to_str().unwrap().to_owned();
            Recording { name, dir, live: serde_json::from_slice(&text).unwrap() }
        })
        .collect();
    assert_eq!(all.len(), 22);
    all
}

impl Recording {
    /// Whether a setting of the run's `[otel]` table was on.
    pub(crate) fn is_on(&self, key: &str) -> bool {
        self.live[key].as_bool().unwrap()
    }

    /// The tokens of all answers that the model's server gave.
    pub(crate) fn total_tokens(&self) -> u64 {
        self.live["total_tokens"].as_u64().unwrap()
    }

    /// The records, in order.
    pub(crate) fn logs(&self) -> Vec<LiveRecord> {
        let record = |it: &Value| LiveRecord {
            service: it["service"].as_str().unwrap().to_owned(),
            version: it["version"].as_str().unwrap().to_owned(),
            at: it["at"].as_u64().unwrap(),
            trace_id: it["trace_id"].as_str().unwrap_or_default().to_owned(),
            attributes: serde_json::from_value(it["attributes"].clone()).unwrap(),
        };
        let mut all: Vec<_> = self.live["logs"].as_array().unwrap().iter().map(record).collect();
        all.sort_by_key(|it| it.at);
        all
    }

    /// The metrics, added up over the run: name, labels, sum.
    pub(crate) fn metrics(&self) -> Vec<(String, BTreeMap<String, Value>, u64)> {
        let point = |it: &Value| {
            let attributes = serde_json::from_value(it["attributes"].clone()).unwrap();
            let name = it["name"].as_str().unwrap().to_owned();
            // Whole numbers, written as fractions.
            (name, attributes, it["sum"].to_string().trim_end_matches(".0").parse().unwrap())
        };
        self.live["metrics"].as_array().unwrap().iter().map(point).collect()
    }
}
