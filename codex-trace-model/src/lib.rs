//! Resolves the records of Codex rollouts into traces: turns, model calls,
//! tool calls, subagent threads and token usage.
//!
//! # What it promises
//!
//! * **It is a function.** Same bytes in, same tree out; no file, clock,
//!   environment or thread is touched.
//! * **Nothing is invented.** What a file does not say is absent.
//! * **Nothing is lost.** [`Account`] says what became of every line.
//! * **Content is borrowed.** A [`Trace`] refers to the bytes it was read from.
//!
//! # What it leaves out
//!
//! Files and directories (see `codex-rollout`), output formats, cost.

mod build;
mod diagnostic;
mod group;
mod render;
mod session;
mod span;
mod trace;

pub use codex_rollout::TokenUsage;
pub use diagnostic::{Code, Diagnostic};
pub use group::{Member, SessionGroup, group};
pub use jiff::{SignedDuration, Timestamp};
pub use render::Tree;
pub use session::{RolloutInput, UsageInput, resolve, resolve_usage};
pub use span::{
    CallEvidence, Compaction, CopiedTurn, Event, EventKind, Fate, Link, ModelCall, Provenance,
    Relation, Review, Span, SpanKind, Status, ToolCall, ToolFamily, Turn, Window,
};
pub use trace::{
    Account, History, Invalid, Item, ItemIx, Rollout, RolloutIx, SpanIx, Thread, ThreadIx, Trace,
};
