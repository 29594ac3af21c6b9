//! The OTLP and MLflow backends: what they write, read by others.

mod contract;
mod encoding;
mod properties;
mod servers;
mod support;
