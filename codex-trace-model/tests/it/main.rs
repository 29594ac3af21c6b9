//! Everything that the model promises, on real rollouts and on small made ones.

mod golden;
mod prefixes;
mod support;
mod truth;
