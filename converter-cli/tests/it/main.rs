//! The command as a user runs it: few tests, of wiring; logic is tested below.

mod completions;
mod convert;
mod errors;
mod list;
mod schema;
mod show;
mod testenv;
