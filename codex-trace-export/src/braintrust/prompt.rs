//! What a turn was asked, and what it answered.

use codex_rollout::{JsonText, ResponseItem};
use codex_trace_model::{Item, SpanIx, SpanKind, Thread, Trace, Turn};

use crate::braintrust::messages;
use crate::braintrust::plan::Plan;
use crate::content::{ContentRules, Part};
use crate::json::{self, Object};
use crate::otlp::facts::is_image_tag;

/// A text in one or more parts.
pub(super) struct Said<'a>(Vec<JsonText<'a>>);

impl Said<'_> {
    /// Writes it as one text.
    pub(super) fn put(&self, key: &str, rules: &ContentRules, o: &mut Object<'_>) {
        let mut raw = Vec::new();
        for text in &self.0 {
            raw.extend_from_slice(&rules.json_text(Part::Message, *text).unwrap_or_default());
        }
        if !self.0.is_empty() {
            json::raw_text(&raw, o.value(key));
        }
    }
}

/// Returns what a turn was asked; as `bt` has it, the first message in the
/// user's name that is not about the surroundings, where nobody typed anything.
pub(super) fn of<'a>(
    thread: &Thread<'a>,
    ix: SpanIx,
    turn: &Turn<'a>,
    first_item: usize,
) -> Said<'a> {
    let typed = turn.input.first().and_then(|ix| Some(said(thread.item(*ix)?)));
    let typed = typed.filter(|texts| !texts.is_empty());
    let typed = typed.or_else(|| Some(vec![turn.prompt?]));
    Said(
        typed
            .or_else(|| {
                let messages = items(thread, ix, first_item).filter(|item| is_of(item, "user"));
                messages.map(said).find(|texts| {
                    texts
                        .first()
                        .is_some_and(|text| !messages::is_surroundings(&text.decode_prefix(40)))
                })
            })
            .unwrap_or_default(),
    )
}

/// Returns what a turn answered: what its end says, or its own last message.
pub(super) fn answer<'a>(
    trace: &Trace<'a>,
    plan: &Plan,
    ix: SpanIx,
    turn: &Turn<'a>,
) -> Option<Said<'a>> {
    if let Some(text) = turn.last_agent_message {
        return Some(Said(vec![text]));
    }
    let thread = trace.thread_of(trace.span(ix));
    let calls = plan.children(ix).iter().rev().filter_map(|child| match &trace.span(*child).kind {
        SpanKind::ModelCall(call) => Some(call),
        _ => None,
    });
    let items = calls.flat_map(|call| call.output.iter().rev()).filter_map(|ix| thread.item(*ix));
    let texts = items.filter(|item| is_of(item, "assistant")).map(said).find(|it| !it.is_empty());
    texts.map(Said)
}

/// Returns the names of the skills that were put in front of a prompt:
/// `<skill name="…">`, or `<skill>` with a `<name>`.
pub(super) fn skills(thread: &Thread<'_>, ix: SpanIx, first_item: usize) -> Vec<String> {
    let texts = items(thread, ix, first_item).filter(|item| is_of(item, "user")).flat_map(said);
    texts.filter_map(skill_in).collect()
}

fn skill_in(text: JsonText<'_>) -> Option<String> {
    let head = text.decode_prefix(400);
    let rest = head.strip_prefix("<skill").filter(|rest| rest.starts_with(['>', ' ']))?;
    let (tag, body) = rest.split_once('>')?;
    let name = match tag.split_once("name=\"") {
        Some((_, name)) => name.split_once('"')?.0,
        None => body.split_once("<name>")?.1.split_once("</name>")?.0,
    };
    Some(name.trim().to_owned())
}

/// Returns the items of a turn, in file order.
fn items<'t, 'a>(
    thread: &'t Thread<'a>,
    turn: SpanIx,
    first_item: usize,
) -> impl Iterator<Item = &'t Item<'a>> {
    let from = thread.items.get(first_item..).unwrap_or_default();
    from.iter().take_while(move |item| item.turn.is_none_or(|it| it == turn))
}

fn is_of(item: &Item<'_>, role: &str) -> bool {
    matches!(&item.body, ResponseItem::Message(message) if message.role.is_some_and(|it| it.is(role)))
}

/// Returns what somebody said: without what Codex puts around an image.
fn said<'a>(item: &Item<'a>) -> Vec<JsonText<'a>> {
    let mut texts = match &item.body {
        ResponseItem::Message(message) => messages::texts_of(message.content),
        ResponseItem::AgentMessage(message) => messages::texts_of(message.content),
        _ => Vec::new(),
    };
    texts.retain(|text| !is_image_tag(text.raw()));
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skills_are_named_in_two_ways() {
        let skill = |text: &str| skill_in(JsonText::new(text.as_bytes()));
        assert_eq!(skill(r#"<skill name=\"abc\">body</skill>"#).as_deref(), Some("abc"));
        assert_eq!(skill(r"<skill>\n<name>pdf</name>\n<path>x</path>").as_deref(), Some("pdf"));
        assert_eq!(skill(r"<skills_instructions>\n<name>x</name>"), None);
        assert_eq!(skill("<skill>nothing"), None);
    }
}
