//! The texts of recorded content, in full.

use codex_rollout::{JsonText, RawJson};

/// What stands for an image.
const IMAGE: &str = "[image]";

/// Returns the texts in the content of a message or an output: a string, or an
/// array of parts; an image is `[image]`. Anything else is returned as JSON.
pub fn texts(content: RawJson<'_>) -> Vec<String> {
    if let Some(text) = content.as_text() {
        return some(text).into_iter().collect();
    }
    let mut texts = Vec::new();
    let mut is_list = true;
    let read = content.cursor().array(|part| {
        let (mut text, mut image) = (None, false);
        let raw = part.raw()?;
        let read = raw.cursor().object(|key, value| {
            match key {
                b"text" => text = value.raw()?.as_text(),
                b"image_url" | b"image" => image = true,
                _ => {}
            }
            Ok(())
        });
        // A part that is no object is a text, or nothing that can be shown.
        is_list &= read.is_ok() || raw.as_text().is_some();
        let text = text.or_else(|| raw.as_text()).and_then(some);
        texts.extend(text.or_else(|| image.then(|| IMAGE.to_owned())));
        Ok(())
    });
    if read.is_err() || !is_list {
        return vec![String::from_utf8_lossy(content.raw()).into_owned()];
    }
    texts
}

fn some(text: JsonText<'_>) -> Option<String> {
    Some(text.decode().into_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use codex_rollout::Cursor;

    use super::*;

    #[test]
    fn texts_of_every_kind_of_content() {
        for (content, expected) in [
            (r#""one\ntwo""#, vec!["one\ntwo"]),
            (
                r#"[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"data:"}]"#,
                vec!["a", "[image]"],
            ),
            (r#"["a","b"]"#, vec!["a", "b"]),
            (r#"{"x": 1}"#, vec![r#"{"x": 1}"#]),
            ("[1]", vec!["[1]"]),
            ("[]", vec![]),
        ] {
            let content = Cursor::new(content.as_bytes()).raw().unwrap();
            assert_eq!(texts(content), expected);
        }
    }
}
