//! Live delivery: what Codex calls when something happens, and the worker that
//! delivers in the background.
//!
//! `codex-trace hook` writes one small entry into a queue and returns; a worker,
//! one for each user and machine, takes the entries and delivers their sessions
//! by the same engine and ledger as `upload`. docs/live.md describes it.

mod detach;
pub mod event;
pub mod hook;
pub mod install;
pub mod queue;
pub mod standing;
pub mod state;
pub mod worker;
