//! The registry: the only file that names the backends.

use crate::exporters::{Backend, langsmith, mlflow, otlp};

/// Every backend, in the order of `--help`.
pub const BACKENDS: &[&Backend] = &[&otlp::BACKEND, &mlflow::BACKEND, &langsmith::BACKEND];

/// Returns the backend of a name.
pub fn named(name: &str) -> Option<&'static Backend> {
    BACKENDS.iter().find(|backend| backend.name == name).copied()
}
