//! What happens during a span, and takes no time.

use codex_rollout::{JsonText, RawJson};
use jiff::Timestamp;

use crate::trace::{ItemIx, RolloutIx};

/// Something that happened during a span.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event<'a> {
    /// When, if the file says.
    pub at: Option<Timestamp>,
    /// The file of the thread that says so.
    pub rollout: RolloutIx,
    /// The line of that file, starting at 1.
    pub line: u64,
    /// What.
    pub kind: EventKind<'a>,
}

/// What is recorded of a message of the agent beside its text.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MessageNotes<'a> {
    /// The message; the call, if a tool sent it.
    pub id: Option<JsonText<'a>>,
    /// `async`: while the agent worked on.
    pub delivery: Option<JsonText<'a>>,
    /// The text, where it was delivered by itself.
    pub text: Option<JsonText<'a>>,
    /// What the user is asked.
    pub questions: Option<RawJson<'a>>,
    /// The memories that it refers to.
    pub memory_citation: Option<RawJson<'a>>,
    /// What a moderator made of it.
    pub moderation: Option<RawJson<'a>>,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind<'a> {
    /// The user typed something while the agent worked.
    Steering(JsonText<'a>),
    /// Something failed.
    Error {
        /// What, for people.
        message: Option<JsonText<'a>>,
        /// Codex' code for it.
        info: Option<RawJson<'a>>,
    },
    /// The account's rate limits, when they changed.
    RateLimits(RawJson<'a>),
    /// A guardian judged an action.
    GuardianAssessment(codex_rollout::item::event_msg::GuardianAssessment<'a>),
    /// How risky something was found that is no call of the turn.
    SecurityRiskScore(codex_rollout::item::event_msg::SecurityRiskScore<'a>),
    /// Another agent started, was spoken to, was interrupted or completed.
    SubAgentActivity(codex_rollout::item::turn_item::SubAgentActivity<'a>),
    /// The thread got a name.
    ThreadNamed(JsonText<'a>),
    /// The thread's goal changed.
    Goal(RawJson<'a>),
    /// Turns were taken back.
    RolledBack(u64),
    /// A plan was written down.
    Plan(JsonText<'a>),
    /// A message between agents, of which the file holds no item (0.140 to 0.142).
    AgentMessage(codex_rollout::item::compacted::InterAgentCommunication<'a>),
    /// A hook put in a prompt.
    HookPrompt(Option<RawJson<'a>>),
    /// A voice session started or ended, or somebody said something in it.
    Voice(codex_rollout::item::realtime::RealtimeItem<'a>),
    /// Something that Codex keeps for the model beside the history.
    RetainedContext(codex_rollout::item::realtime::RetainedContext<'a>),
    /// The embedding program offers other tools from here on.
    DynamicTools(RawJson<'a>),
    /// How a message of the agent was delivered, and what it refers to.
    MessageNotes(MessageNotes<'a>),
    /// An output whose call is not here, or that answers none: what the harness
    /// itself put in (since 0.150).
    OrphanOutput {
        /// The call that it names.
        call_id: Option<JsonText<'a>>,
        /// What it is, if it says so: `goal_objective`, …
        name: Option<JsonText<'a>>,
        /// The output: an index into the thread's items.
        item: ItemIx,
    },
    /// Something about a turn that had ended before: a command's late exit.
    Late {
        /// The type of the item or event.
        what: &'static str,
        /// The call concerned.
        id: Option<JsonText<'a>>,
        /// The exit code, if it was a command.
        exit_code: Option<i64>,
    },
    /// A record of a type that this version does not know.
    Unknown {
        /// The type.
        kind: Option<JsonText<'a>>,
    },
}

impl EventKind<'_> {
    /// Returns the word for it, as in the neutral output.
    pub fn word(&self) -> &'static str {
        match self {
            EventKind::Steering(_) => "steering",
            EventKind::Error { .. } => "error",
            EventKind::RateLimits(_) => "rate_limits",
            EventKind::GuardianAssessment(_) => "guardian_assessment",
            EventKind::SecurityRiskScore(_) => "security_risk_score",
            EventKind::SubAgentActivity(_) => "sub_agent_activity",
            EventKind::ThreadNamed(_) => "thread_named",
            EventKind::Goal(_) => "goal",
            EventKind::RolledBack(_) => "rolled_back",
            EventKind::Plan(_) => "plan",
            EventKind::AgentMessage(_) => "agent_message",
            EventKind::HookPrompt(_) => "hook_prompt",
            EventKind::Voice(_) => "voice",
            EventKind::RetainedContext(_) => "retained_context",
            EventKind::DynamicTools(_) => "dynamic_tools",
            EventKind::MessageNotes(_) => "message_notes",
            EventKind::OrphanOutput { .. } => "orphan_output",
            EventKind::Late { .. } => "late",
            EventKind::Unknown { .. } => "unknown",
        }
    }
}
