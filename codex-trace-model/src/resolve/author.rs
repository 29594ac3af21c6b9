//! Who wrote a message: the user, or the harness in the user's name.
//!
//! The file says so itself since 0.150. Before, the event about what the user
//! typed does, and at last the way in which the harness begins its texts.

use codex_rollout::item::response_item::{Message, MessageMetadata};
use codex_rollout::{JsonText, RawJson, ResponseItem};

use crate::resolve::{ThreadBuilder, output};
use crate::trace::{ItemIx, SpanIx};

/// What the harness writes in the user's name begins like this.
const SYNTHETIC: &[&[u8]] = &[
    b"<user_instructions>",
    b"# AGENTS.md instructions for ",
    b"<environment_context>",
    b"<permissions instructions>",
    b"<collaboration_mode>",
    b"<skills_instructions>",
    b"<skill>",
    b"<multi_agent_role>",
    b"<multi_agent_mode>",
    b"<model_switch>",
    b"<model_instructions>",
    b"<turn_aborted>",
    b"<subagent_notification>",
    b"<hook_prompt",
    b"<user_shell_command>",
    b"<user_action>",
    b"<codex_internal_context",
    b"<realtime_conversation>",
];

/// Kinds of content in the user's name that no user typed.
const NOT_TYPED: &[&str] = &["user.heartbeat", "user.goal"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Author {
    User,
    Harness,
}

/// Whether the harness wrote an item in somebody's name.
pub(super) fn is_synthetic(body: &ResponseItem<'_>) -> bool {
    let ResponseItem::Message(message) = body else {
        return matches!(
            body,
            ResponseItem::AdditionalTools(_)
                | ResponseItem::ConfigurationUpdate(_)
                | ResponseItem::Compaction(_)
        );
    };
    match message.role.map(JsonText::raw) {
        Some(b"developer" | b"system") => true,
        Some(b"user") => {
            let recorded = message.turn.as_ref().and_then(recorded_author);
            recorded.map_or_else(|| looks_synthetic(message), |author| author == Author::Harness)
        }
        _ => false,
    }
}

/// Returns who wrote a message by what the file says of its parts: where they
/// come from (since 0.163), or else what they are (since 0.150).
fn recorded_author(metadata: &MessageMetadata<'_>) -> Option<Author> {
    let by_provenance = metadata.provenances().into_iter().map(|it| it.is("user"));
    author_of(by_provenance).or_else(|| {
        let known = metadata.kinds().into_iter().filter(|kind| !kind.is("unknown"));
        author_of(known.map(|kind| {
            kind.raw().starts_with(b"user.") && !NOT_TYPED.iter().any(|it| kind.is(it))
        }))
    })
}

/// A message of which the user wrote some part is the user's.
fn author_of(by_user: impl Iterator<Item = bool>) -> Option<Author> {
    by_user.fold(None, |found, by_user| match (found, by_user) {
        (Some(Author::User), _) | (_, true) => Some(Author::User),
        _ => Some(Author::Harness),
    })
}

fn looks_synthetic(message: &Message<'_>) -> bool {
    let Some(text) = message.content.and_then(start_of_text) else {
        return true; // Only an image: what `view_image` put in.
    };
    let start = text.trim_ascii_start();
    SYNTHETIC.iter().any(|prefix| start.starts_with(prefix))
}

/// Returns the first text of a message and whatever comes behind it: to find
/// where a text ends costs as much as to read it.
fn start_of_text(content: RawJson<'_>) -> Option<&[u8]> {
    let as_usual = content.raw().strip_prefix(br#"[{"type":"input_text","text":""#);
    as_usual.or_else(|| text_of(content).map(JsonText::raw))
}

fn text_of(content: RawJson<'_>) -> Option<JsonText<'_>> {
    content.as_text().or_else(|| output::first_text(content))
}

impl<'a> ThreadBuilder<'a> {
    /// Takes the message right before an event for what the user typed, if it
    /// is what the event shows: `text`, or only images.
    pub(super) fn confirm_prompt(&mut self, text: Option<JsonText<'a>>) {
        let ix = self.item_count().wrapping_sub(1);
        let Some(item) = self.items.get_mut(ix as usize).filter(|item| item.synthetic) else {
            return;
        };
        let ResponseItem::Message(message) = item.body else { return };
        let written = message.content.and_then(text_of).filter(|it| !is_image_tag(*it));
        if !message.role.is_some_and(|role| role.is("user")) || written != text {
            return;
        }
        item.synthetic = false;
        let turn = item.turn.map(SpanIx::index).filter(|turn| Some(*turn) == self.open);
        if let Some(turn) = turn.filter(|turn| !self.turns[*turn].answered) {
            self.turns[turn].turn.input.push(ItemIx(ix));
        }
    }
}

/// Whether a text is what Codex puts before an image.
fn is_image_tag(text: JsonText<'_>) -> bool {
    text.raw().strip_prefix(b"<image").is_some_and(|rest| matches!(rest, [b'>' | b' ', ..]))
}
