//! The reader, tested through what it offers to everybody.

#![expect(clippy::disallowed_methods, reason = "tests make and read files")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking, like the test")]

mod corpus;
mod differential;
mod discovery;
mod examples;
mod facts;
mod heads;
mod lines;
mod reader;
mod recorded;
mod skim;
mod sources;
mod stream;
