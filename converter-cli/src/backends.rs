//! The registry: the only file that names the backends.

use codex_trace_export::{Backend, Settings, braintrust, langsmith, mlflow, otlp};

use crate::companions::{self, Companion};

/// Every backend, in the order of `--help`.
pub const BACKENDS: &[&Backend] =
    &[&otlp::BACKEND, &mlflow::BACKEND, &langsmith::BACKEND, &braintrust::BACKEND];

/// Returns the backend of a name.
pub fn named(name: &str) -> Option<&'static Backend> {
    BACKENDS.iter().find(|backend| backend.name == name).copied()
}

/// Makes what reads and writes beside rollouts for a backend, if its live plugin
/// keeps something there.
pub fn companion(backend: &str, settings: &Settings) -> Option<Box<dyn Companion>> {
    match backend {
        name if name == langsmith::BACKEND.name => Some(companions::langsmith::companion(settings)),
        name if name == braintrust::BACKEND.name => {
            Some(companions::braintrust::companion(settings))
        }
        _ => None,
    }
}
