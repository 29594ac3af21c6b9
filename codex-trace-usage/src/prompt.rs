//! What the user asked, in a few words.

use codex_rollout::{JsonText, RawJson, ResponseItem};
use codex_trace_model::{SpanKind, Thread, Trace, Turn, request};

use codex_trace_history::words;

use crate::content;

/// How much of a prompt is looked at, in bytes.
const LIMIT: usize = 400;

/// Returns the beginning of the first prompt of the root thread, on one line.
pub fn first(trace: &Trace<'_>) -> Option<String> {
    let root = trace.root();
    trace.spans.iter().find_map(|span| match &span.kind {
        SpanKind::Turn(turn) if trace.thread_of(span).span == root.span => of_turn(root, turn),
        _ => None,
    })
}

/// Returns whether a prompt or the name of a session holds `needle`, which is in
/// lower case.
pub fn mentions(trace: &Trace<'_>, needle: &str) -> bool {
    let holds = |text: &str| text.to_lowercase().contains(needle);
    trace.threads.iter().any(|thread| thread.name.is_some_and(|name| holds(&name.decode())))
        || trace.spans.iter().any(|span| {
            let SpanKind::Turn(turn) = &span.kind else { return false };
            let thread = trace.thread_of(span);
            prompts(thread, turn).iter().any(|prompt| holds(prompt))
        })
}

/// Returns what a turn was asked, in full: the texts of its prompts.
pub fn prompts(thread: &Thread<'_>, turn: &Turn<'_>) -> Vec<String> {
    let items = turn.input.iter().filter_map(|ix| thread.item(*ix));
    let mut prompts: Vec<String> = items
        .filter_map(|item| match &item.body {
            ResponseItem::Message(message) => message.content,
            ResponseItem::AgentMessage(message) => message.content,
            _ => None,
        })
        .flat_map(content::texts)
        .filter(|text| !is_image_tag(JsonText::new(text.as_bytes())))
        .collect();
    if prompts.is_empty() {
        prompts.extend(turn.prompt.map(|prompt| prompt.decode().into_owned()));
    }
    prompts
}

/// Returns the beginning of what a turn was asked, on one line.
pub fn of_turn(thread: &Thread<'_>, turn: &Turn<'_>) -> Option<String> {
    let items = turn.input.iter().filter_map(|ix| thread.item(*ix));
    let mut prompts = items.filter_map(|item| of_item(&item.body));
    let prompt = prompts.next().or_else(|| turn.prompt.map(beginning))?;
    Some(words::one_line(&prompt)).filter(|prompt| !prompt.is_empty())
}

fn of_item(item: &ResponseItem<'_>) -> Option<String> {
    match item {
        ResponseItem::Message(message) => of_content(message.content?),
        ResponseItem::AgentMessage(message) => of_content(message.content?),
        _ => None,
    }
}

/// Returns the beginning of the first text in an array of content items, or
/// says that there are only images.
pub fn of_content(content: RawJson<'_>) -> Option<String> {
    if let Some(text) = content.as_text() {
        return Some(beginning(text));
    }
    let (mut found, mut images) = (None, false);
    let mut parts = content.cursor();
    let read = parts.array(|part| {
        part.object(|key, value| {
            if key == b"text" && found.is_none() {
                let text = value.raw()?.as_text().filter(|text| !text.is_empty());
                found = text.filter(|text| !is_image_tag(*text));
                images |= text.is_some() && found.is_none();
            }
            Ok(())
        })
    });
    // What is no array of objects has no text.
    read.ok();
    found.map(beginning).or_else(|| images.then(|| "[image]".to_owned()))
}

/// Whether a text is what Codex puts before or after an image.
fn is_image_tag(text: JsonText<'_>) -> bool {
    let open = text.raw().strip_prefix(b"<image");
    text.is("</image>") || open.is_some_and(|rest| matches!(rest, [b'>' | b' ', ..]))
}

/// Returns the beginning of what a prompt asks for.
fn beginning(prompt: JsonText<'_>) -> String {
    request(prompt).decode_prefix(LIMIT).into_owned()
}

#[cfg(test)]
mod tests {
    use codex_rollout::Cursor;

    use super::*;

    #[test]
    fn the_words_are_the_title_and_not_what_stands_around_an_image() {
        for (content, title) in [
            (r#"[{"type":"input_text","text":"what is it?"}]"#, Some("what is it?")),
            (r#""what is it?""#, Some("what is it?")),
            (
                r#"[{"text":"<image name=[Image #1]>"},{"type":"input_image"},{"text":"</image>"},{"text":"what is it?"}]"#,
                Some("what is it?"),
            ),
            (r#"[{"text":"<image>"},{"type":"input_image"},{"text":"</image>"}]"#, Some("[image]")),
            (r#"[{"text":""}]"#, None),
        ] {
            let content = Cursor::new(content.as_bytes()).raw().unwrap();
            assert_eq!(of_content(content).as_deref(), title);
        }
    }
}
