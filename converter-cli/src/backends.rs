//! The registry: the only file that names the backends.

use codex_trace_export::choice::is_word;
use codex_trace_export::{
    Backend, Settings, braintrust, codex_otel, langsmith, logfire, mlflow, otlp,
};

use codex_trace_deliver::companions::{self, Companion};

/// Every backend, in the order of `--help`.
pub const BACKENDS: &[&Backend] = &[
    &otlp::BACKEND,
    &codex_otel::BACKEND,
    &mlflow::BACKEND,
    &langsmith::BACKEND,
    &logfire::BACKEND,
    &braintrust::BACKEND,
];

/// Returns the backend of a name.
pub fn named(name: &str) -> Option<&'static Backend> {
    BACKENDS.iter().find(|backend| is_word(backend.name, name)).copied()
}

/// Makes what reads and writes beside rollouts for a backend, if its live plugin
/// keeps something there.
pub fn companion(backend: &str, settings: &Settings) -> Option<Box<dyn Companion>> {
    [
        (langsmith::BACKEND.name, companions::langsmith::companion as fn(&Settings) -> _),
        (mlflow::BACKEND.name, companions::mlflow::companion),
        (logfire::BACKEND.name, companions::logfire::companion),
        (braintrust::BACKEND.name, companions::braintrust::companion),
    ]
    .into_iter()
    .find(|(name, _)| *name == backend)
    .map(|(_, make)| make(settings))
}
