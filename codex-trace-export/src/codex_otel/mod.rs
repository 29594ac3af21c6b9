//! Codex' own telemetry, from history: the logs, metrics and traces that Codex
//! sends itself where its `[otel]` table says so, under the same names, so that
//! the queries people have answer on what was never sent.
//!
//! What is written is what the version of Codex would have sent that wrote the
//! rollout, as far as the rollout knows: exactly, or nearly (times, durations).
//! What it does not know is left out. A record's attributes are its identity in
//! Loki: [`MAPPING`] changes when they do.

mod calls;
mod exporter;
mod logs;
mod loki;
mod metrics;
mod options;
mod prometheus;
mod record;
mod settings;
mod texts;
mod told;
mod traces;
mod version;

pub use metrics::openmetrics;
pub use settings::BACKEND;
pub(crate) use told::service_name;

/// The version of the mapping. Another one would double what Loki has of a
/// history that is sent again.
pub const MAPPING: &str = "1";
