//! Reads whole histories of rollouts: finds and groups them, opens and resolves
//! one session after the other on several threads, and hands on what comes of
//! it in order.
//!
//! Sessions, newest format or oldest, and what they used:
//!
//! ```
//! use std::path::Path;
//!
//! use codex_trace_history::History;
//!
//! let mut tokens = 0;
//! for trace in History::open(Path::new("../testdata/tree"))?.traces() {
//!     tokens += trace.map_err(|odd| odd[0].to_string())?.get().usage().total_tokens;
//! }
//! assert_eq!(tokens, 877_550);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`history::find`] says which sessions there are, [`pipeline::run`] resolves
//! them, [`pipeline::with_trace`] one of them, [`skim::with_calls`] only as far
//! as its model calls. No terminal is needed: who wants to see how far it is
//! gives a [`Watch`].
//!
//! # What it promises
//!
//! * **In order.** What comes out does not depend on the number of threads.
//! * **One bad file does not stop the rest**, nor does a fault of our own.
//! * **Rollouts are read, never written**; [`inputs`] keeps others from it.
//!
//! # What it leaves out
//!
//! What is done with a trace: `codex-trace-export` encodes it.

pub mod account;
pub mod directory;
pub mod failure;
pub mod heads;
pub mod history;
pub mod ids;
pub mod inputs;
pub mod ordered;
pub mod owned;
pub mod panics;
pub mod passed;
pub mod pipeline;
pub mod repository;
pub mod scratch;
mod seen;
pub mod select;
mod sizes;
pub mod skim;
pub mod small;
pub mod watch;
pub mod whole;
pub mod words;

pub use directory::Directory;
pub use failure::Failure;
pub use heads::HeadCache;
pub use history::History;
pub use owned::OwnedTrace;
pub use select::Selection;
pub use watch::Watch;
