//! What the live exporter has sent of a turn already: that stays as it is, and
//! its tokens count once.

use codex_trace_model::{SpanIx, SpanKind as Kind, Status};

use super::names::Tokens;
use crate::otlp::{Group, Scene};
use crate::{TurnNote, TurnState};

/// What is there of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// Nothing, as far as is known.
    Nothing,
    /// The turn with its tokens and its tools, by exporter 0.1.0.
    Whole,
    /// The turn alone, by exporter 0.2.0, beside Codex' own telemetry, which has
    /// tools and tokens in traces of its own.
    Bare,
    /// One or the other.
    Either,
}

/// What a note of the exporter's files calls a turn of release 0.2.0.
pub const BARE: &str = "bare";

/// The same of a turn that was there while release 0.2.0 was at work, which it
/// sent if the turn came to its end.
pub const BARE_IF_DONE: &str = "bare if done";

/// The same where the release is not known.
pub const SENT_IF_DONE: &str = "sent if done";

impl Sent {
    /// Reads what was found beside the files of a turn that ended like this.
    pub(super) fn of(note: Option<&TurnNote>, status: &Status<'_>) -> Sent {
        let claims =
            |it: &&TurnNote| matches!(it.state, Some(TurnState::Claimed | TurnState::Uploaded));
        let Some(note) = note.filter(claims) else { return Sent::Nothing };
        // No hook tells of the end of a turn that was interrupted.
        let is_done = *status == Status::Ok;
        match note.place.as_deref() {
            Some(BARE_IF_DONE | SENT_IF_DONE) if !is_done => Sent::Nothing,
            Some(BARE | BARE_IF_DONE) => Sent::Bare,
            Some(SENT_IF_DONE) => Sent::Either,
            _ => Sent::Whole,
        }
    }

    /// Returns the spans of a group that are not there.
    pub(super) fn missing(self, scene: &Scene<'_, '_>, group: &Group) -> Group {
        let is_there = |ix: SpanIx| match self {
            Sent::Nothing => false,
            Sent::Bare => ix == group.root,
            Sent::Whole | Sent::Either => ix == group.root || is_tool_of(scene, group, ix),
        };
        let members = group.members.iter().copied().filter(|ix| !is_there(*ix)).collect();
        Group { root: group.root, members }
    }

    /// Returns where the tokens of model calls are to stand. The exporter has
    /// counted a turn without its subagents; Codex' own telemetry, all of it.
    pub(super) fn tokens(self) -> Tokens {
        match self {
            Sent::Nothing => Tokens::Counted,
            Sent::Whole => Tokens::CountedOfSubagents,
            Sent::Bare | Sent::Either => Tokens::Noted,
        }
    }
}

/// Whether a span is a tool call of the group's own turn that hooks tell of.
fn is_tool_of(scene: &Scene<'_, '_>, group: &Group, ix: SpanIx) -> bool {
    let span = scene.trace.span(ix);
    let Kind::ToolCall(call) = &span.kind else { return false };
    span.thread == scene.trace.span(group.root).thread && super::hooks::is_hooked(scene, ix, call)
}
