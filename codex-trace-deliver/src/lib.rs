//! Gets units of bytes acknowledged: queues, batches, retries, the ledger, the
//! way over HTTP, and the companions that read and note what live plugins keep
//! beside rollouts.
//!
//! [`delivery::run`] delivers a history to several destinations at once.
//!
//! # What it promises
//!
//! * **What is acknowledged is recorded, and nothing else.** Killed at any
//!   moment, the next run ends where one clean run would have.
//! * **Memory is bounded**, whatever the history's size and the network's speed.
//! * **A destination that is down holds up no other.**
//!
//! # What it leaves out
//!
//! Which destinations there are, their settings, and anything to do with a
//! terminal.

pub mod clock;
pub mod companions;
pub mod delivery;
pub mod ledger;
pub mod lock;
pub mod paths;
pub mod private;
pub mod retry;
pub mod transport;
pub mod writer;

use codex_trace_history::{failure, history, panics, pipeline, scratch, whole, words as text};
