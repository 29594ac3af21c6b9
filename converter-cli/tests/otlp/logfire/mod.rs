//! The Logfire backend.

mod golden;
mod sent;
mod spans;
mod tokens;
mod tree;
