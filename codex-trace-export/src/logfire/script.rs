//! Patches in the scripts of code mode: the rollout has what became of one, the
//! text is a literal in the script.

use codex_trace_model::{SpanKind as Kind, ToolCall, ToolFamily};

use crate::otlp::Subject;
use codex_rollout::ResponseItem;

const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";

/// Returns the text of a patch that was applied from within a script: the
/// script's patches are applied in their order.
pub(super) fn patch(subject: &Subject<'_, '_>, call: &ToolCall<'_>) -> Option<String> {
    if call.call_item.is_some() {
        return None;
    }
    let trace = subject.scene.trace;
    let script = subject.span.parent?;
    let Kind::ToolCall(outer) = &trace.span(script).kind else { return None };
    let code = match &subject.thread.item(outer.call_item?)?.body {
        ResponseItem::ToolCall(item) => item.fields.input?.decode(),
        _ => return None,
    };
    let is_patch =
        |kind: &Kind<'_>| matches!(kind, Kind::ToolCall(it) if it.family == ToolFamily::Patch);
    let siblings = trace.children(script).filter(|(_, span)| is_patch(&span.kind));
    let nth = siblings.take_while(|(ix, _)| *ix < subject.ix).count();
    patches(&code).nth(nth)
}

/// Returns the texts of the patches in a script.
fn patches(code: &str) -> impl Iterator<Item = String> {
    let mut rest = code;
    std::iter::from_fn(move || {
        let (before, after) = rest.split_at(rest.find(BEGIN)?);
        let quote = before.chars().next_back().filter(|c| "\"'`".contains(*c));
        let bare = || {
            let end = after.find(END).map_or(after.len(), |at| at + END.len());
            (after[..end].to_owned(), end)
        };
        let (text, used) = quote.map_or_else(bare, |quote| literal(after, quote));
        rest = &after[used..];
        Some(text)
    })
}

/// Reads a literal of JavaScript up to its quote; returns it and its length in
/// the script.
fn literal(code: &str, quote: char) -> (String, usize) {
    let mut text = String::new();
    let mut chars = code.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return (text, at);
        }
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next().map(|(_, c)| c) {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('u') => {
                let hex: String = chars.clone().take(4).map(|(_, c)| c).collect();
                let c = u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32);
                text.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
                chars.by_ref().take(4).for_each(drop);
            }
            // A line that goes on.
            Some('\n') | None => {}
            Some(c) => text.push(c),
        }
    }
    (text, code.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_read_from_literals() {
        #[rustfmt::skip]
        let cases = [
            (r#"apply_patch("*** Begin Patch\n+a \"b\"\n*** End Patch\n"); x"#, vec!["*** Begin Patch\n+a \"b\"\n*** End Patch\n"]),
            ("p(`*** Begin Patch\n+\\`a\\`\n*** End Patch`)",                  vec!["*** Begin Patch\n+`a`\n*** End Patch"]),
            ("const p = [\"x\", *** Begin Patch\n*** End Patch, 1]",           vec!["*** Begin Patch\n*** End Patch"]),
            (r"p('*** Begin Patch\u00e9'); p('*** Begin Patch')",           vec!["*** Begin Patché", "*** Begin Patch"]),
            (r#"p("*** Begin Patch\"#,                                        vec!["*** Begin Patch"]),
            ("nothing",                                                        vec![]),
        ];
        for (code, expected) in cases {
            assert_eq!(patches(code).collect::<Vec<_>>(), expected, "{code}");
        }
    }
}
