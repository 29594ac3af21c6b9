//! What Codex itself sent, against what is made of the rollouts that the same run
//! wrote: 22 recordings of five versions.

#![expect(clippy::disallowed_methods, reason = "tests read files")]
#![expect(clippy::unwrap_used, reason = "a test may stop")]

mod logs;
mod metrics;
mod recorded;
mod sent;
mod traces;

#[path = "../../../codex-trace-model/tests/it/support.rs"]
#[expect(dead_code, reason = "shared with other tests")]
mod support;
