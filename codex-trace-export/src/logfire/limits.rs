//! What exporter 0.2.0 sends at most, for those who want a history to look like
//! its turns.

use crate::otlp::Attributes;
use crate::otlp::proto::{KeyValue, Value};

/// The most of a text, in bytes.
pub(super) const TEXT: usize = 60 << 10;

/// The most of a turn's attributes, in bytes.
const TURN: usize = 512 << 10;

/// What a text ends in that was cut.
const CUT: &str = "\n...[TRUNCATED]";

/// What a turn that is too large goes without.
const DROPPED: [&str; 6] = [
    "codex.prompt",
    "codex.last_assistant_message",
    "pydantic_ai.all_messages",
    "logfire.json_schema",
    "logfire.msg",
    "final_result",
];

/// Cuts a text to the limit.
pub(super) fn cut(mut text: String) -> String {
    if text.len() > TEXT {
        let end = (0..=TEXT - CUT.len()).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
        text.push_str(CUT);
    }
    text
}

/// Takes the content out of a span that is too large.
pub(super) fn keep_to(out: &mut Attributes) {
    let len = |it: &KeyValue| match it.value.as_ref().and_then(|any| any.value.as_ref()) {
        Some(Value::String(text)) => it.key.len() + text.len(),
        Some(Value::Joined(text)) => it.key.len() + text.len(),
        _ => it.key.len(),
    };
    if out.0.iter().map(len).sum::<usize>() > TURN {
        out.0.retain(|it| !DROPPED.contains(&&*it.key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("é".repeat(TEXT / 2)), "é".repeat(TEXT / 2));
        let text = cut("é".repeat(TEXT));
        assert!(text.len() <= TEXT && text.ends_with("é\n...[TRUNCATED]"), "{}", text.len());
    }

    #[test]
    fn a_turn_that_is_too_large_keeps_what_is_no_content() {
        let turn = |bytes: usize| {
            let mut out = Attributes::default();
            out.word("codex.turn_id", "t");
            out.word("final_result", &"x".repeat(bytes));
            keep_to(&mut out);
            out.0.len()
        };
        assert_eq!((turn(TURN / 2), turn(TURN)), (2, 1));
    }
}
