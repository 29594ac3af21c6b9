//! The Logfire backend.

mod golden;
mod spans;
