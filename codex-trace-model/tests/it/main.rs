//! Everything that the model promises, on real rollouts and on small made ones.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may stop and say why")]

mod golden;
mod prefixes;
mod support;
mod truth;
