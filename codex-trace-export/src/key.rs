//! Keys as people paste them.

use super::{ConfigError, Said};
use crate::secret::Secret;

/// Cleans a key of what came along when it was pasted: space and quotes around
/// it.
///
/// # Errors
///
/// If no header can carry it: where it was said, and not what.
pub(crate) fn clean(said: Said<Secret>) -> Result<Said<Secret>, ConfigError> {
    let Said { value, from } = said;
    let text = value.expose().trim();
    let quoted = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    let text = quoted('"').or_else(|| quoted('\'')).unwrap_or(text).trim();
    if text.is_empty() {
        return Err(ConfigError::new(format!("the key in `{from}` is empty"))
            .hint("set it, or leave it out"));
    }
    if let Some(wrong) = text.chars().find(|c| !c.is_ascii() || c.is_ascii_control()) {
        return Err(ConfigError::new(format!(
            "the key in `{from}` cannot be sent: it holds {}",
            if wrong.is_control() {
                "a control character, as a line break is"
            } else {
                "a character that is not ASCII"
            }
        ))
        .hint("copy it again: a key is one line of plain characters"));
    }
    Ok(Said::new(Secret::new(text), from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Origin;

    #[test]
    fn a_key_is_taken_without_what_was_pasted_along() {
        let clean = |text: &str| clean(Said::new(Secret::new(text), Origin::variable("KEY")));
        for text in ["k1", " k1\n", "\"k1\"", "'k1'", "\t\" k1 \"\r\n"] {
            assert_eq!(clean(text).unwrap().value.expose(), "k1", "{text:?}");
        }
        assert_eq!(clean("\"k1").unwrap().value.expose(), "\"k1", "half a quote is its own");
        for (text, what) in [("k\n1", "line break"), ("k\u{e9}1", "not ASCII"), ("\"\"", "empty")] {
            let err = clean(text).unwrap_err().message;
            assert!(err.contains("`KEY`") && err.contains(what) && !err.contains("k1"), "{err}");
        }
    }
}
