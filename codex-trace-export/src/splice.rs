//! Content on its way from a transcript into other JSON: copied as it is,
//! except for what only the provider can read and for large inline images.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use codex_rollout::{Cursor, JsonText, RawJson, Syntax, ValueKind};
use memchr::memmem;
use sha2::{Digest, Sha256};

use crate::content::Content;
use crate::json::{self, Json};

/// How much base64 is decoded at a time, in bytes; four characters are three bytes.
const STEP: usize = 4 << 12;

/// Appends a value, without its encrypted parts and its large images.
pub fn value(raw: RawJson<'_>, content: Content, out: &mut Vec<u8>) {
    out.extend_from_slice(&cut(raw, content));
}

/// Returns a value without its encrypted parts and its large images: borrowed
/// if it has none.
pub fn cut(raw: RawJson<'_>, content: Content) -> Cow<'_, [u8]> {
    let bytes = raw.raw();
    // A string has neither keys nor line breaks.
    let is_text = bytes.first() == Some(&b'"');
    let encrypted =
        !is_text && !content.encrypted && memmem::find(bytes, b"encrypted_content").is_some();
    let images = bytes.len() > content.max_image_bytes && memmem::find(bytes, b"base64,").is_some();
    // Only the whole-file rollouts of the first CLI have line breaks in a value.
    let breaks = !is_text && memchr::memchr2(b'\n', b'\r', bytes).is_some();
    if !(encrypted || images || breaks) {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::new();
    if copy(&mut raw.cursor(), content, &mut out).is_err() {
        // The reader has checked it before; should we disagree, say nothing
        // rather than something broken.
        return Cow::Borrowed(b"null");
    }
    Cow::Owned(out)
}

/// Appends a string that may be an image.
pub fn text(text: JsonText<'_>, content: Content, out: &mut Vec<u8>) {
    let large = text.raw_len() / 4 * 3 > content.max_image_bytes;
    match large.then(|| Image::of_address(text)).flatten() {
        Some(image) => image.to_string().write(out),
        None => json::raw_text(text.raw(), out),
    }
}

/// Appends an image that is bare base64.
pub fn image(base64: JsonText<'_>, content: Content, out: &mut Vec<u8>) {
    let large = base64.raw_len() / 4 * 3 > content.max_image_bytes;
    match large.then(|| Image::of_base64("image", base64)).flatten() {
        Some(image) => image.to_string().write(out),
        None => json::raw_text(base64.raw(), out),
    }
}

/// What is said of an image in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its media type, as its address says.
    pub media_type: String,
    /// How long the image itself is, in bytes, and not its base64.
    pub n_bytes: usize,
    /// The SHA-256 of the image itself, in hex.
    pub sha256: String,
}

/// `[omitted image/png, 6 bytes, sha256 …]`.
impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Image { media_type, n_bytes, sha256 } = self;
        write!(f, "[omitted {media_type}, {n_bytes} bytes, sha256 {sha256}]")
    }
}

impl Image {
    /// Looks at an image that a `data:` address holds; `None` if it holds none.
    /// All of it is read.
    pub fn of_address(text: JsonText<'_>) -> Option<Image> {
        let head = text.raw().strip_prefix(b"data:")?;
        let end = memmem::find(&head[..head.len().min(200)], b";base64,")?;
        let media_type = JsonText::new(&head[..end]).decode();
        Image::of_base64(&media_type, JsonText::new(&head[end + b";base64,".len()..]))
    }

    /// Looks at an image in base64; `None` if it is none.
    fn of_base64(media_type: &str, base64: JsonText<'_>) -> Option<Image> {
        let decoded;
        let base64 = if memchr::memchr(b'\\', base64.raw()).is_some() {
            decoded = base64.decode();
            decoded.as_bytes()
        } else {
            base64.raw()
        };
        let mut hasher = Sha256::new();
        let mut n_bytes = 0;
        let mut bytes = Vec::with_capacity(STEP / 4 * 3);
        for part in base64.chunks(STEP) {
            bytes.clear();
            STANDARD.decode_vec(part, &mut bytes).ok()?;
            hasher.update(&bytes);
            n_bytes += bytes.len();
        }
        let mut sha256 = String::with_capacity(64);
        for byte in hasher.finalize() {
            write!(sha256, "{byte:02x}").expect("a string takes everything");
        }
        Some(Image { media_type: media_type.to_owned(), n_bytes, sha256 })
    }
}

fn copy(cursor: &mut Cursor<'_>, content: Content, out: &mut Vec<u8>) -> Result<(), Syntax> {
    match cursor.kind()? {
        ValueKind::Object => {
            let mut empty = true;
            out.push(b'{');
            cursor.object(|key, field| {
                if key == b"encrypted_content" && !content.encrypted {
                    return field.skip();
                }
                if !empty {
                    out.push(b',');
                }
                empty = false;
                json::raw_text(key, out);
                out.push(b':');
                copy(field, content, out)
            })?;
            out.push(b'}');
        }
        ValueKind::Array => {
            let mut empty = true;
            out.push(b'[');
            cursor.array(|element| {
                if !empty {
                    out.push(b',');
                }
                empty = false;
                copy(element, content, out)
            })?;
            out.push(b']');
        }
        ValueKind::String => text(cursor.text()?, content, out),
        _ => out.extend_from_slice(cursor.raw()?.raw()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spliced(json: &str, content: Content) -> String {
        let mut out = Vec::new();
        value(Cursor::new(json.as_bytes()).raw().unwrap(), content, &mut out);
        String::from_utf8(out).unwrap()
    }

    const NO_IMAGES: Content = Content { encrypted: false, max_image_bytes: 2 };

    #[test]
    fn plain_content_is_copied_byte_by_byte() {
        let json = r#"[ {"text":"a\/b \u00e9", "n": 1.50e3} ]"#;
        assert_eq!(spliced(json, Content::default()), json);
    }

    #[test]
    fn encrypted_content_goes_at_any_depth() {
        let json = r#"[{"encrypted_content":"x"},{"a":1,"encrypted_content":{"b":2},"c":[{"encrypted_content":null,"d":"encrypted_content"}]}]"#;
        assert_eq!(
            spliced(json, Content::default()),
            r#"[{},{"a":1,"c":[{"d":"encrypted_content"}]}]"#
        );
        assert_eq!(spliced(json, Content { encrypted: true, ..Content::default() }), json);
    }

    /// The digest is that of the bytes `foobar`, by sha256sum.
    #[test]
    fn large_images_become_their_digest() {
        let json = r#"[{"image_url":"data:image\/png;base64,Zm9vYmFy"},"data:,x","Zm9vYmFy"]"#;
        assert_eq!(
            spliced(json, NO_IMAGES),
            r#"[{"image_url":"[omitted image/png, 6 bytes, sha256 c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2]"},"data:,x","Zm9vYmFy"]"#
        );
        assert_eq!(spliced(json, Content::default()), json);
        let broken = r#"["data:image/png;base64,Zm9v!mFy"]"#;
        assert_eq!(spliced(broken, NO_IMAGES), broken);
    }

    #[test]
    fn digests_are_those_of_the_whole_however_long() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[n as usize % 2]).collect();
        let encoded = STANDARD.encode(&bytes);
        let mut expected = String::new();
        for byte in Sha256::digest(&bytes) {
            write!(expected, "{byte:02x}").unwrap();
        }
        let note = Image::of_base64("image", JsonText::new(encoded.as_bytes())).unwrap();
        assert_eq!(note.to_string(), format!("[omitted image, 100000 bytes, sha256 {expected}]"));
    }

    #[test]
    fn line_breaks_between_tokens_go() {
        assert_eq!(
            spliced("[\n  {\"a\":\r\n \"b\\n\"}\n]", Content::default()),
            r#"[{"a":"b\n"}]"#
        );
    }
}
