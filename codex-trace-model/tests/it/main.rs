//! Everything that the model promises, on real rollouts and on small made ones.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may stop and say why")]

mod answers;
mod authors;
mod calls;
mod copies;
mod forks;
mod golden;
mod lines;
mod newest;
mod prefixes;
mod properties;
mod script;
mod settings;
mod support;
mod threads;
mod truth;
mod turns;
mod usage;
mod usage_only;
