//! The reader, tested through what it offers to everybody.

mod corpus;
mod differential;
mod discovery;
mod examples;
mod facts;
mod lines;
mod reader;
mod sources;
mod stream;
