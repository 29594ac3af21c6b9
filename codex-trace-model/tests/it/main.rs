//! Everything that the model promises, on real rollouts and on small made ones.

#![expect(clippy::disallowed_methods, reason = "tests make and read files")]
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may stop and say why")]

mod answered;
mod answers;
mod authors;
mod calls;
mod children;
mod compactions;
mod copies;
mod counting;
mod details;
mod forks;
mod golden;
mod inherited;
mod lines;
mod newest;
mod prefixes;
mod properties;
mod reviews;
mod script;
mod settings;
mod support;
mod threads;
mod truth;
mod turns;
mod usage;
mod usage_only;
