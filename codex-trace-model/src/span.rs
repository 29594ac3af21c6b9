use std::borrow::Cow;

use codex_rollout::{JsonText, RawJson, TokenUsage};
use jiff::Timestamp;

pub use crate::event::{Event, EventKind, MessageNotes};
use crate::tool::ToolCall;
use crate::trace::{ItemIx, RolloutIx, SpanIx, ThreadIx};

/// A node of the trace.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Span<'a> {
    /// What the span is, within its thread: `turn:<turn id>`, `tool:<call id>`.
    ///
    /// Built from what Codex recorded, so that it is the same on every
    /// machine, for ever, and however much the file grows.
    pub key: String,
    /// The thread it belongs to.
    pub thread: ThreadIx,
    /// The span around it; `None` for the root thread alone.
    pub parent: Option<SpanIx>,
    /// What to call it: the tool, the model, the turn's number.
    pub name: Cow<'a, str>,
    /// When it began; absent where the file does not say.
    pub start: Option<Timestamp>,
    /// When it ended; absent where the file does not say, or it never did.
    pub end: Option<Timestamp>,
    /// How it ended.
    pub status: Status<'a>,
    /// Its own usage (model calls) or the sum of the model calls below it in
    /// its own thread (turns, threads). Absent where nothing was recorded.
    pub usage: Option<TokenUsage>,
    /// What kind of span it is, and what is known of it as such.
    pub kind: SpanKind<'a>,
    /// The lines it was read from.
    pub provenance: Provenance,
    /// Whether it goes on after its parent has ended, as a subagent does after
    /// the call that spawned it. All other spans end within their parents.
    pub outlives_parent: bool,
    /// What few spans have.
    pub(crate) extras: Option<Box<SpanExtras<'a>>>,
}

/// What few spans have.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpanExtras<'a> {
    pub(crate) links: Vec<Link<'a>>,
    pub(crate) events: Vec<Event<'a>>,
    pub(crate) recorded: Option<Times>,
}

/// When something began and ended.
pub(crate) type Times = (Option<Timestamp>, Option<Timestamp>);

impl<'a> Span<'a> {
    /// Returns the other traces that it refers to.
    pub fn links(&self) -> &[Link<'a>] {
        self.extras.as_ref().map_or(&[][..], |it| &it.links)
    }

    /// Returns what happened meanwhile.
    pub fn events(&self) -> &[Event<'a>] {
        self.extras.as_ref().map_or(&[][..], |it| &it.events)
    }

    /// Returns when the file says that it began and ended, where that lay outside
    /// of its parent or backwards, and `start` and `end` were moved.
    pub fn recorded(&self) -> Option<(Option<Timestamp>, Option<Timestamp>)> {
        self.extras.as_ref()?.recorded
    }

    pub(crate) fn extras_mut(&mut self) -> &mut SpanExtras<'a> {
        self.extras.get_or_insert_default()
    }
}

/// The lines of a rollout that a span was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Provenance {
    /// The file, in the thread's [`rollouts`](crate::Thread::rollouts).
    pub rollout: RolloutIx,
    /// The first line, starting at 1.
    pub first_line: u64,
    /// The last line, starting at 1.
    pub last_line: u64,
}

/// How a span ended.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Status<'a> {
    /// As it should, as far as the file says.
    #[default]
    Ok,
    /// It failed.
    Error {
        /// Why, for people.
        message: Cow<'a, str>,
    },
    /// Somebody stopped it.
    Interrupted {
        /// Codex' word for why, or the tool's own.
        reason: Cow<'a, str>,
    },
    /// The file ends before it does: it still ran, or was killed.
    Incomplete,
}

impl Status<'_> {
    /// Returns the word for it: `ok`, `error`, `interrupted`, `incomplete`.
    pub fn word(&self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Error { .. } => "error",
            Status::Interrupted { .. } => "interrupted",
            Status::Incomplete => "incomplete",
        }
    }

    /// Returns the reason, if there is one.
    pub fn message(&self) -> Option<&str> {
        match self {
            Status::Error { message } | Status::Interrupted { reason: message } => Some(message),
            Status::Ok | Status::Incomplete => None,
        }
    }
}

/// What kind of span it is, and what is known of it as such.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SpanKind<'a> {
    /// A conversation of one agent; the root one stands for the session. What
    /// is known of it is in [`Trace::threads`](crate::Trace::threads).
    Thread,
    /// From a user's prompt to the agent's completion.
    Turn(Box<Turn<'a>>),
    /// One request to the model.
    ModelCall(Box<ModelCall<'a>>),
    /// One call of a tool and its output.
    ToolCall(Box<ToolCall<'a>>),
    /// A replacement of the model's history by something shorter.
    Compaction(Box<Compaction<'a>>),
}

impl SpanKind<'_> {
    /// Returns the word for it, as in the neutral output.
    pub fn word(&self) -> &'static str {
        match self {
            SpanKind::Thread => "thread",
            SpanKind::Turn(_) => "turn",
            SpanKind::ModelCall(_) => "model_call",
            SpanKind::ToolCall(_) => "tool_call",
            SpanKind::Compaction(_) => "compaction",
        }
    }
}

/// What is known of a turn.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Turn<'a> {
    /// Codex' id; absent before 0.100.
    pub turn_id: Option<JsonText<'a>>,
    /// The turn's place in its thread, starting at 1; abandoned ones count.
    pub number: u32,
    /// Whether the file itself marks where the turn starts and ends. If not,
    /// it was inferred from the user's messages.
    pub marked: bool,
    /// The model asked for.
    pub model: Option<JsonText<'a>>,
    /// The reasoning effort asked for.
    pub effort: Option<JsonText<'a>>,
    /// The service tier of its first request: `priority`, `flex`, …
    pub service_tier: Option<JsonText<'a>>,
    /// What the agent was to do: `plan`, `default`.
    pub collaboration_mode: Option<JsonText<'a>>,
    /// The tone of the agent, if one was chosen.
    pub personality: Option<JsonText<'a>>,
    /// How reasoning was to be summed up: `auto`, `concise`, `detailed`, `none`.
    pub reasoning_summary: Option<JsonText<'a>>,
    /// The working directory.
    pub cwd: Option<JsonText<'a>>,
    /// When commands needed approval.
    pub approval_policy: Option<RawJson<'a>>,
    /// Who approved: `user`, `auto_review`, … (since 0.144).
    pub approvals_reviewer: Option<JsonText<'a>>,
    /// What commands could touch.
    pub sandbox: Option<JsonText<'a>>,
    /// The program under which the model may help with security work.
    pub cyber_access_program: Option<JsonText<'a>>,
    /// The plugins that were switched off: an array.
    pub disabled_plugins: Option<RawJson<'a>>,
    /// The user's turn that led to this one, in whichever thread.
    pub root_turn_id: Option<JsonText<'a>>,
    /// The turn that spawned this one's thread.
    pub parent_turn_id: Option<JsonText<'a>>,
    /// Everything that was set for the turn: the last `turn_context` as it is.
    pub context: Option<RawJson<'a>>,
    /// What caused the turn: `exec`, `daemon_recovery`, …
    pub trigger: Option<JsonText<'a>>,
    /// The agent that asked for the turn, by its path (since 0.163).
    pub initiating_agent_path: Option<JsonText<'a>>,
    /// The list of tools that the model had last: an index into the thread's
    /// items (written since 0.163).
    pub tools: Option<ItemIx>,
    /// The tools that the embedding program offered, if they had changed since
    /// the thread began (written since 0.166): an array of definitions.
    pub dynamic_tools: Option<RawJson<'a>>,
    /// The W3C trace id that Codex' own telemetry used.
    pub trace_id: Option<JsonText<'a>>,
    /// What the user typed, or another agent asked: indices into the thread's
    /// items, harness text excluded.
    pub input: Vec<ItemIx>,
    /// What the user typed, where the file holds no item of it.
    pub prompt: Option<JsonText<'a>>,
    /// The agent's last message, as the end of the turn records it.
    pub last_agent_message: Option<JsonText<'a>>,
    /// From the turn's start to the first token, in milliseconds.
    pub time_to_first_token_ms: Option<u64>,
    /// How long it took by Codex' own clock, in milliseconds.
    pub duration_ms: Option<u64>,
    /// The model's context window, in tokens.
    pub model_context_window: Option<u64>,
    /// Whether the turn still belongs to the conversation. Not part of the turn
    /// as it happened: what the user does later decides it.
    pub fate: Fate,
    /// What the review found, if the turn is one.
    pub review: Option<Review<'a>>,
}

/// Whether a turn still belongs to the conversation. Its tokens were spent
/// either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It does.
    #[default]
    Kept,
    /// The user took it back (`thread_rolled_back`).
    RolledBack,
    /// The user went on from before it, in another file (a revert).
    Abandoned,
}

impl Fate {
    /// Returns the word for it, as in the neutral output.
    pub fn word(self) -> &'static str {
        match self {
            Fate::Kept => "kept",
            Fate::RolledBack => "rolled_back",
            Fate::Abandoned => "abandoned",
        }
    }
}

/// What is known of a turn that is a review.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Review<'a> {
    /// What was reviewed, for people.
    pub hint: Option<JsonText<'a>>,
    /// The findings.
    pub output: Option<RawJson<'a>>,
    /// The reviewer's own turn, whose start shows in the file of what it
    /// reviews.
    pub reviewer_turn: Option<ShownTurn<'a>>,
}

/// A turn of another thread, as a file shows its start.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ShownTurn<'a> {
    /// Its id.
    pub turn_id: JsonText<'a>,
    /// When the line says that it began.
    pub at: Option<Timestamp>,
}

/// What is known of a model call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ModelCall<'a> {
    /// The model asked for; reroutes by the provider are not recorded.
    pub model: Option<JsonText<'a>>,
    /// The reasoning effort asked for.
    pub effort: Option<JsonText<'a>>,
    /// The service tier asked for; absent where it is the provider's default,
    /// and before 0.144, which recorded none.
    pub service_tier: Option<JsonText<'a>>,
    /// Who was asked, by the name of Codex' configuration: `openai`, `ollama`, …
    /// (since 0.51).
    pub provider: Option<JsonText<'a>>,
    /// The provider's id of the response (since 0.153).
    pub response_id: Option<JsonText<'a>>,
    /// What the model saw.
    pub window: Window,
    /// What it answered: indices into the thread's items, in file order.
    pub output: Vec<ItemIx>,
    /// By what evidence the call was told apart from its neighbours.
    pub evidence: CallEvidence,
    /// Whether the request was made to compact the history.
    pub compaction: bool,
}

/// By what evidence a model call was told apart from its neighbours, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallEvidence {
    /// A `token_usage_record`: exactly one for each response (since 0.153).
    UsageRecord,
    /// A `token_count` whose running total moved.
    TokenCount,
    /// A `turn_context`, of which there was one for each request before 0.107.
    TurnContext,
    /// Only that the model spoke again after something else did.
    Items,
}

impl CallEvidence {
    /// Returns the word for it, as in the neutral output.
    pub fn word(self) -> &'static str {
        match self {
            CallEvidence::UsageRecord => "usage_record",
            CallEvidence::TokenCount => "token_count",
            CallEvidence::TurnContext => "turn_context",
            CallEvidence::Items => "items",
        }
    }
}

/// What a model call saw of its thread's items: the `base` ranges of its
/// [`History`](crate::History), then everything from there up to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Window {
    /// Index into the thread's [`histories`](crate::Thread::histories).
    pub history: u32,
    /// The first item that it did not see.
    pub end: ItemIx,
}

/// What is known of a compaction.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Compaction<'a> {
    /// The summary; absent for a remote compaction, which is opaque.
    pub summary: Option<JsonText<'a>>,
    /// The whole new history: copies of items, not new ones.
    pub replacement_history: Option<RawJson<'a>>,
    /// The number of the new context window.
    pub window_number: Option<u64>,
    /// The id of the new context window.
    pub window_id: Option<JsonText<'a>>,
    /// The id of the context window that it replaces.
    pub previous_window_id: Option<JsonText<'a>>,
}

/// Another trace that a span refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link<'a> {
    /// In what way.
    pub relation: Relation,
    /// The thread referred to.
    pub thread_id: Cow<'a, str>,
    /// The turn of that thread that this one goes on from, as far as the copied
    /// history tells.
    pub turn: Option<CopiedTurn<'a>>,
}

/// A turn of another thread, whose history was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopiedTurn<'a> {
    /// Codex' id of it.
    pub turn_id: JsonText<'a>,
    /// The W3C trace id that Codex' own telemetry used for it.
    pub trace_id: Option<JsonText<'a>>,
}

/// In what way a span refers to another trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Relation {
    /// The thread's history continues the other's.
    ForkedFrom,
    /// The other thread spawned this one; its file is not here.
    SpawnedBy,
    /// This call spawned the other thread; its file is not here.
    Spawned,
}

impl Relation {
    /// Returns the word for it, as in the neutral output.
    pub fn word(self) -> &'static str {
        match self {
            Relation::ForkedFrom => "forked_from",
            Relation::SpawnedBy => "spawned_by",
            Relation::Spawned => "spawned",
        }
    }
}
