//! What a secret looks like that only its name tells of, and what does not.

use std::ops::Range;

use crate::redact::assignment::name::{Name, NameKind};

/// The shortest value without quotes that counts.
const SHORTEST: usize = 6;

/// The shortest that counts without any separator.
const SHORTEST_LOOSE: usize = 20;

/// From this length on letters alone can be a key.
const LONG: usize = 32;

/// A value that is longer than this is not code.
const LONGEST_CODE: usize = 256;

/// Values that are no secrets but words of a language.
const WORDS: &[&str] = &[
    "string",
    "String",
    "str",
    "number",
    "boolean",
    "required",
    "optional",
    "undefined",
    "Option",
    "Secret",
    "secrets",
    "process",
    "environ",
    "config",
    "SecretStr",
];

/// Where names of secrets end that other names may end in, too.
const NAMES: &[&str] = &["token", "secret", "key", "password", "passwd", "passphrase"];

/// Directories that files with secrets are in.
const ROOTS: &[&str] = &[
    "/home/", "/Users/", "/etc/", "/var/", "/opt/", "/tmp/", "/run/", "/usr/", "/root/", "/mnt/",
    "/app/", "/srv/",
];

/// How a value without quotes is written.
#[derive(Clone, Copy)]
pub(super) struct Bare<'n> {
    pub(super) name: &'n Name,
    /// Whether there is space around the separator.
    pub(super) spaced: bool,
    /// Whether the separator is a colon.
    pub(super) colon: bool,
}

impl Bare<'_> {
    /// Returns where the value at `start` is, if it can be a secret: up to
    /// where a word of a shell or of a language ends.
    pub(super) fn find(self, text: &[u8], start: usize) -> Option<Range<usize>> {
        // Looked at before its end is, for it could be far.
        if is_reference_head(&text[start..]) || is_word(&text[start..]) {
            return None;
        }
        let len = self.len(text, start);
        let value = &text[start..start + len];
        if len < SHORTEST || is_reference(value) || self.is_number(value) {
            return None;
        }
        if self.name.label && !is_likely(value) {
            return None;
        }
        let after = &text[start + len..];
        let is_plain = len <= LONGEST_CODE
            && (self.is_code(value, after)
                || self.is_said(value, after)
                || is_elsewhere(value, self.name)
                || is_in_directory(value, self.name.whole(text)));
        (!is_plain).then_some(start..start + len)
    }

    fn len(self, text: &[u8], start: usize) -> usize {
        let rest = &text[start..];
        let shell = self.name.shouted && !self.spaced;
        let query = self.name.in_query(text);
        let mut at = 0;
        while let Some(&byte) = rest.get(at) {
            if byte == b'\\' {
                let n = rest[at..].iter().take_while(|it| **it == b'\\').count();
                // `\$` of a shell; not what could be an escape of JSON.
                if rest.get(at + n).is_some_and(|it| b"$!&@#%^*()?~".contains(it)) {
                    at += n + 1;
                    continue;
                }
                break;
            }
            let ends = match byte {
                b'&' | b'#' if query => true,
                b',' | b';' | b'}' | b'`' | b'<' | b'>' | b'|' if shell => {
                    rest.get(at + 1).is_none_or(|next| b"\"'\\`".contains(next) || *next <= b' ')
                }
                b'"' | b'\'' | b',' | b';' | b'}' | b'`' | b'<' | b'>' | b'|' => true,
                _ => byte <= b' ' || byte == 0x7F,
            };
            if ends {
                break;
            }
            at += 1;
        }
        // What closes a call.
        let value = &rest[..at];
        let closed = value.iter().rev().take_while(|it| b"):,.".contains(it)).count();
        let is_call = !value.contains(&b'(') && value[at - closed..].contains(&b')');
        at - if is_call { closed } else { 0 }
    }

    fn is_number(self, value: &[u8]) -> bool {
        let counts = matches!(self.name.kind, NameKind::Token | NameKind::Key);
        counts && value.len() < 16 && value.iter().all(u8::is_ascii_digit)
    }

    /// Code rather than configuration: `token = lexer.next()`.
    fn is_code(self, value: &[u8], after: &[u8]) -> bool {
        if self.name.shouted && !self.spaced {
            return false;
        }
        let head = value.split(|it| b"([!?".contains(it)).next().unwrap_or(value);
        let called = head.len() < value.len() && is_path(head);
        if called || self.spaced && value.contains(&b'(') {
            return true;
        }
        // Of a sentence.
        let value = &value[..value.iter().rposition(|it| *it != b'.').map_or(0, |last| last + 1)];
        let digits = value.iter().any(u8::is_ascii_digit);
        if !is_path(value) {
            return false;
        }
        // With digits in it, a password of somebody's sooner than names.
        let dotted = (value.contains(&b'.') || value.contains(&b':') || value.contains(&b'>'))
            && !(digits && self.name.kind == NameKind::Password);
        let listed = matches!(after.first(), Some(b',' | b';' | b')' | b'<'));
        dotted
            || listed && !digits && (self.spaced || self.colon)
            || ends_in_name(value, listed || !self.colon)
    }

    /// A sentence about the name: `client_secret: OAuth2 client secret`.
    fn is_said(self, value: &[u8], after: &[u8]) -> bool {
        let ends = value.ends_with(b".");
        let goes_on = !ends && matches!(after, [b' ', next, ..] if next.is_ascii_lowercase());
        let short = value.len() < 12;
        self.colon && self.spaced && self.name.kind != NameKind::Password && goes_on && short
    }
}

/// Whether a text in quotes can be a secret.
pub(super) fn is_quoted_secret(value: &[u8], name: &Name) -> bool {
    if value.is_empty() || is_reference(value) || name.label && !is_likely(value) {
        return false;
    }
    if value.len() > LONGEST_CODE || name.shouted {
        return true;
    }
    let is_type = WORDS.iter().any(|word| word.as_bytes() == value);
    let is_label = NAMES.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()));
    let made = matches!(name.kind, NameKind::Token | NameKind::Key);
    let is_version = value.contains(&b'.')
        && value.iter().all(|it| it.is_ascii_digit() || b".^~<>=* ".contains(it));
    let short = name.kind == NameKind::Token && value.len() < SHORTEST;
    !(is_type
        || is_label
        || short
        || made && is_version
        || is_sentence(value)
        || is_elsewhere(value, name))
}

/// Whether a value is one that nobody would write in its place: what follows a
/// name and `is`, or stands beside it in a list.
pub(super) fn is_made_up(value: &[u8]) -> bool {
    let letters = value.iter().any(u8::is_ascii_alphabetic);
    let digits = value.iter().any(u8::is_ascii_digit);
    let constant = |it: &u8| it.is_ascii_uppercase() || it.is_ascii_digit() || *it == b'_';
    let elsewhere = value.contains(&b'/') && value.len() < LONG || value.contains(&b' ');
    value.len() >= 8
        && letters
        && (digits || value.len() >= LONG)
        && !elsewhere
        && !value.iter().all(constant)
        && !is_reference(value)
}

/// Whether a value is no word of a text, after a label as people write it.
fn is_likely(value: &[u8]) -> bool {
    let n = |is: fn(&u8) -> bool| value.iter().filter(|it| is(it)).count();
    let mixed = n(u8::is_ascii_lowercase) >= 2 && n(u8::is_ascii_uppercase) >= 2;
    let long = value.len() >= SHORTEST_LOOSE || value.len() >= 10 && mixed;
    !value.contains(&b' ') && (n(u8::is_ascii_digit) > 0 || long)
}

/// What follows a name and a space.
pub(super) fn loose(text: &[u8], start: usize, login: bool) -> Option<Range<usize>> {
    let rest = &text[start..];
    let is_part = |it: &&u8| it.is_ascii_alphanumeric() || b"+/=_.-".contains(it);
    let len = if login {
        rest.iter().take_while(|it| **it > b' ' && !b"\"'\\".contains(it)).count()
    } else {
        rest.iter().take_while(is_part).count()
    };
    let value = &rest[..len];
    let digits = value.iter().filter(|it| it.is_ascii_digit()).count();
    let capitals = value.iter().filter(|it| it.is_ascii_uppercase()).count();
    let small = value.iter().filter(|it| it.is_ascii_lowercase()).count();
    let mixed = digits >= 3 && small + capitals > 0 || len >= LONG && small >= 5 && capitals >= 5;
    let random = len >= SHORTEST_LOOSE && mixed && !value.contains(&b'.');
    let secret = login && len > 0 && !is_reference(value) || random && !value.starts_with(b"/");
    secret.then_some(start..start + len)
}

/// Whether the value only says where the secret is, or that there was one.
pub(super) fn is_reference(value: &[u8]) -> bool {
    is_reference_head(value)
        || value.windows(2).any(|it| it == b"${")
        || value.iter().all(|byte| b"*x.X".contains(byte))
}

fn is_reference_head(value: &[u8]) -> bool {
    let your = value
        .get(..5)
        .is_some_and(|head| head[..4].eq_ignore_ascii_case(b"your") && b"_- ".contains(&head[4]));
    let tag =
        value.first() == Some(&b'!') && value.iter().take(8).skip(1).all(u8::is_ascii_alphabetic);
    your || tag && value.len() > 1
        || matches!(value.first(), Some(b'$' | b'[' | b'{' | b'%' | b'<'))
}

/// Whether a value begins with a word of a language.
fn is_word(value: &[u8]) -> bool {
    WORDS.iter().any(|word| {
        value
            .strip_prefix(word.as_bytes())
            .is_some_and(|after| after.first().is_none_or(|byte| !byte.is_ascii_alphanumeric()))
    })
}

/// Whether a value is an address or the path of a file.
fn is_elsewhere(value: &[u8], name: &Name) -> bool {
    if value.starts_with(b"arn:") {
        return true;
    }
    if name.kind == NameKind::Password {
        return false;
    }
    let url = value.starts_with(b"http://") || value.starts_with(b"https://");
    let relative = [&b"~/"[..], b"./", b"../"].iter().any(|it| value.starts_with(it));
    let rooted = ROOTS.iter().any(|it| value.starts_with(it.as_bytes()));
    let file = value.starts_with(b"/") && value.contains(&b'.');
    let pem = value.ends_with(b".pem") || value.ends_with(b".key");
    url && !value.contains(&b'?') || relative || rooted || file || pem
}

/// Whether a value is a file of that name: `.x-token: dir/.x-token`.
fn is_in_directory(value: &[u8], file: &[u8]) -> bool {
    value.strip_suffix(file).is_some_and(|directory| directory.ends_with(b"/"))
}

/// Names of a language, one of another: `this.token`, `Kind::Token`.
fn is_path(value: &[u8]) -> bool {
    let is_part = |it: &u8| it.is_ascii_alphanumeric() || b"_$.:?>-".contains(it);
    let digits = value.iter().filter(|it| it.is_ascii_digit()).count();
    let dashes = value.windows(2).any(|it| it[0] == b'-' && it[1] != b'>');
    value.first().is_some_and(|it| it.is_ascii_alphabetic() || b"_$".contains(it))
        && value.iter().all(is_part)
        && !dashes
        && digits <= 2
}

/// Whether a name ends in that of a secret: `freshToken`, and, if `snake`,
/// `new_password` and `password`.
fn ends_in_name(value: &[u8], snake: bool) -> bool {
    NAMES.iter().any(|word| {
        let Some(start) = value.len().checked_sub(word.len()) else { return false };
        let (before, end) = value.split_at(start);
        if !end.eq_ignore_ascii_case(word.as_bytes()) {
            return false;
        }
        match before.last() {
            None | Some(b'_') => snake,
            Some(last) => last.is_ascii_lowercase() && end[0].is_ascii_uppercase(),
        }
    })
}

/// Text for people that speaks of secrets: `Enter your password`.
fn is_sentence(value: &[u8]) -> bool {
    let is_part = |it: &u8| it.is_ascii_alphabetic() || b" .,:!?'-".contains(it);
    let mut words = value.split(|it| !it.is_ascii_alphabetic());
    value.contains(&b' ')
        && value.iter().all(is_part)
        && words.any(|it| NAMES.iter().any(|word| it.eq_ignore_ascii_case(word.as_bytes())))
}
