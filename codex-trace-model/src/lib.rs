//! Resolves the records of Codex rollouts into traces: turns, model calls,
//! tool calls, subagent threads and token usage.
//!
//! [`group`] says which files make a session, [`resolve`] makes them a [`Trace`]:
//! a list of [`Span`]s, parents first, and the conversation of each thread. Which
//! tools failed in a history, and what its model calls used:
//!
//! ```
//! use std::path::Path;
//!
//! use codex_rollout::{Copies, RolloutHead, Source, discover};
//! use codex_trace_model::{RolloutInput, SpanKind, Status, group, nearest_ancestor, resolve};
//!
//! let heads = discover(Path::new("../testdata/tree"))
//!     .map(|rollout| RolloutHead::read(&rollout?))
//!     .collect::<Result<Vec<_>, _>>()?;
//! let (mut failed, mut tokens) = (Vec::new(), 0);
//! for session in group(&heads, &Copies::find(&heads)) {
//!     let open = |head: usize| Source::open(&heads[head].rollout);
//!     let mut files = Vec::new();
//!     for member in &session.members {
//!         // The file that this one continues, where it does so.
//!         let ancestors = member.ancestors.iter().filter_map(|it| open(*it).ok());
//!         let source = open(member.head)?;
//!         let ancestor = nearest_ancestor(&source, ancestors);
//!         files.push((member.file(&heads), source, ancestor));
//!     }
//!     let inputs: Vec<_> = files
//!         .iter()
//!         .map(|(file, source, ancestor)| RolloutInput {
//!             file: *file,
//!             source,
//!             ancestor: ancestor.as_ref(),
//!         })
//!         .collect();
//!     let trace = resolve(&inputs);
//!     tokens += trace.usage().total_tokens;
//!     for (_, span) in trace.iter() {
//!         if let (SpanKind::ToolCall(_), Status::Error { message }) = (&span.kind, &span.status) {
//!             failed.push(format!("{}: {message}", span.name));
//!         }
//!     }
//! }
//! assert!(failed.contains(&"exec_command: exit code 4".to_owned()), "{failed:?}");
//! assert_eq!(tokens, 877_550);
//! # Ok::<(), codex_rollout::Error>(())
//! ```
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

mod diagnostic;
mod event;
mod group;
mod render;
mod request;
mod resolve;
mod session;
mod span;
mod standing;
mod tool;
mod trace;

pub use codex_rollout::TokenUsage;
pub use diagnostic::{Code, Diagnostic};
pub use group::{BranchOf, Member, SessionGroup, group};
pub use jiff::{SignedDuration, Timestamp};
pub use render::Tree;
pub use request::request;
pub use resolve::common::nearest_ancestor;
pub use session::{RolloutFile, RolloutInput, UsageInput, resolve, resolve_usage};
pub use span::{
    CallEvidence, Compaction, CopiedTurn, Event, EventKind, Fate, Link, MessageNotes, ModelCall,
    Provenance, Relation, Review, ShownTurn, Span, SpanKind, Status, Turn, Window,
};
pub use standing::Standing;
pub use tool::{
    Agents, Command, Escalation, McpOrigin, ToolCall, ToolDefinition, ToolExtras, ToolFamily,
};
pub use trace::{
    Account, History, Invalid, Item, ItemIx, Rollout, RolloutIx, SpanIx, Thread, ThreadIx, Trace,
};
