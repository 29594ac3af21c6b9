use codex_rollout::JsonText;
use memchr::memmem;

/// What stands before the request in prompts of editors.
const OF_EDITOR: &[u8] = b"## My request for Codex:";

/// Returns what a prompt asks for, without what clients put around it: the
/// context that editors put before the request, the head of a message between
/// agents, the markup of what was said in a voice session. For titles and lists;
/// the content of an item stays as it is.
///
/// ```
/// use codex_rollout::JsonText;
/// use codex_trace_model::request;
///
/// let prompt = JsonText::new(br"# Context from my IDE setup:\n\n## Open tabs:\n- a.rs\n\n## My request for Codex:\nrename it\n");
/// assert_eq!(request(prompt).decode(), "rename it");
/// let prompt = JsonText::new(br"Message Type: NEW_TASK\nTask name: /root/a\nPayload:\ncount them");
/// assert_eq!(request(prompt).decode(), "count them");
/// let prompt = JsonText::new(br"<realtime_delegation>\n  <input>look at it</input>\n</realtime_delegation>");
/// assert_eq!(request(prompt).decode(), "look at it");
/// assert_eq!(request(JsonText::new(b"rename it")).decode(), "rename it");
/// ```
pub fn request(prompt: JsonText<'_>) -> JsonText<'_> {
    let text = prompt.raw();
    let found = match text {
        [b'#', b' ', ..] => after_line(text, OF_EDITOR),
        [b'M', ..] if text.starts_with(b"Message Type: ") => after_line(text, b"Payload:"),
        [b'<', ..] if text.starts_with(b"<realtime_delegation>") => spoken(text),
        _ => None,
    };
    let found = found.map(trimmed).filter(|text| !text.is_empty());
    found.map_or(prompt, JsonText::new)
}

/// Returns what comes behind the first line that begins with `head`.
fn after_line<'t>(text: &'t [u8], head: &[u8]) -> Option<&'t [u8]> {
    let begins_line = |at: &usize| text[..*at].ends_with(br"\n");
    let at = memmem::find_iter(text, head).find(begins_line)?;
    Some(&text[at + head.len()..])
}

fn spoken(text: &[u8]) -> Option<&[u8]> {
    let start = memmem::find(text, b"<input>")? + b"<input>".len();
    let len = memmem::find(&text[start..], b"</input>")?;
    Some(&text[start..start + len])
}

/// Leaves out blanks and escaped newlines at both ends.
fn trimmed(mut text: &[u8]) -> &[u8] {
    const BLANK: [&[u8]; 5] = [b" ", br"\n", br"\r", br"\t", b"\t"];
    while let Some(rest) = BLANK.iter().find_map(|blank| text.strip_prefix(*blank)) {
        text = rest;
    }
    while let Some(rest) = BLANK.iter().find_map(|blank| text.strip_suffix(*blank)) {
        // The end of an escaped backslash is none of a newline.
        let backslashes = rest.iter().rev().take_while(|byte| **byte == b'\\').count();
        if backslashes % 2 == 1 {
            break;
        }
        text = rest;
    }
    text
}
