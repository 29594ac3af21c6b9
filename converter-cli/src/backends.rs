//! The registry: the only file that names the backends.

use codex_trace_export::choice::is_word;
use codex_trace_export::otlp::presets::{PRESETS, Preset, preset};
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

/// What a name after `--to` means without `codex-trace.toml`.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// What takes the data.
    pub backend: &'static Backend,
    /// The product that it is, if the name is that of one.
    pub preset: Option<&'static Preset>,
}

/// Returns what a name means: a backend, or a product that takes OTLP.
pub fn named(name: &str) -> Option<Known> {
    if let Some(backend) = BACKENDS.iter().find(|backend| is_word(backend.name, name)) {
        return Some(Known { backend, preset: None });
    }
    preset(name).map(|preset| Known { backend: &otlp::BACKEND, preset: Some(preset) })
}

/// Returns every such name, with what it is in a line.
pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    let backends = BACKENDS.iter().map(|backend| (backend.name, backend.summary));
    backends.chain(PRESETS.iter().map(|preset| (preset.name, preset.product)))
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
