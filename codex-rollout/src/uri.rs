//! Paths as addresses: `file:///home/u/a%20b`.

/// Returns the path that a `file:` address names, as the system that wrote it
/// writes paths; `None` if the text is no such address.
///
/// ```
/// use codex_rollout::file_uri_path;
///
/// assert_eq!(file_uri_path("file:///home/u/a%20b").as_deref(), Some("/home/u/a b"));
/// assert_eq!(file_uri_path("file:///C:/Users/u").as_deref(), Some(r"C:\Users\u"));
/// assert_eq!(file_uri_path("/home/u"), None);
/// ```
pub fn file_uri_path(text: &str) -> Option<String> {
    let rest = text.strip_prefix("file://")?;
    let decoded = crate::text::into_text(percent_decoded(rest.as_bytes()));
    let path = decoded.strip_prefix("localhost").filter(|path| path.starts_with('/'));
    let path = path.unwrap_or(&decoded);
    let windows = |path: &str| path.replace('/', r"\");
    Some(match path.strip_prefix('/') {
        Some(below) if has_drive(below) => windows(below),
        // A host is one that shares directories: only Windows writes these so.
        None if !path.is_empty() => format!(r"\\{}", windows(path)),
        _ => path.to_owned(),
    })
}

/// Whether a path begins with a drive of Windows.
fn has_drive(path: &str) -> bool {
    matches!(path.as_bytes(), [drive, b':', rest @ ..]
        if drive.is_ascii_alphabetic() && matches!(rest.first(), None | Some(b'/' | b'\\')))
}

/// Reads `%20` and the like; what is no such thing stays as it is.
pub fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
        let pair = digit(0).zip(digit(1)).filter(|_| *first == b'%');
        let byte = pair.and_then(|(high, low)| u8::try_from(high << 4 | low).ok());
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_path_that_its_system_writes() {
        for (uri, path) in [
            ("file:///home/u/w", "/home/u/w"),
            ("file://localhost/home/u", "/home/u"),
            ("file:///", "/"),
            ("file:///home/u/100%25%20%C3%A4", "/home/u/100% ä"),
            ("file:///home/u/50%", "/home/u/50%"),
            ("file:///C:/Users/u/a%20b", r"C:\Users\u\a b"),
            ("file:///d:", "d:"),
            ("file:///c%3A/x", r"c:\x"),
            ("file:///C:x", "/C:x"),
            ("file://server/share/x", r"\\server\share\x"),
        ] {
            assert_eq!(file_uri_path(uri).as_deref(), Some(path), "{uri}");
        }
        assert_eq!(file_uri_path("C:/x"), None);
    }
}
