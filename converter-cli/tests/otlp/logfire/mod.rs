//! The Logfire backend.

mod golden;
mod sent;
pub(crate) mod spans;
mod tokens;
mod tree;
