//! Names of secrets.

/// What a name says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameKind {
    /// What people think up: anything.
    Password,
    /// Either.
    Secret,
    /// What machines make.
    Token,
    /// As a token.
    Key,
}

/// The end of a secret's name: `Token` of `accessToken`.
#[derive(Debug)]
pub(super) struct Name {
    /// Where the part begins that says what it is.
    pub(super) start: usize,
    /// Where the name ends.
    pub(super) end: usize,
    pub(super) kind: NameKind,
    /// Whether it is in capitals, as names of variables of the environment.
    pub(super) shouted: bool,
    /// Whether it is words, as people label things: `API key`.
    pub(super) label: bool,
}

/// What a `key` must belong to: a primary key is no secret.
const KEYS: &[&str] = &[
    "api",
    "private",
    "access",
    "secret",
    "auth",
    "account",
    "client",
    "master",
    "encryption",
    "signing",
    "consumer",
    "hmac",
    "jwt",
    "shared",
    "subscription",
    "app",
    "application",
    "service",
    "admin",
    "openai",
    "storage",
];

/// What a `token` may belong to that is no secret: a place in a list or a text.
const PLACES: &[&str] = &[
    "next",
    "page",
    "continuation",
    "start",
    "end",
    "eos",
    "bos",
    "pad",
    "unk",
    "sep",
    "cls",
    "mask",
    "stop",
    "special",
    "cancellation",
    "cancel",
    "sync",
    "resume",
    "expected",
];

/// Words that end in `PASS` and have nothing to do with passwords.
const NO_PASSES: &[&str] = &["com", "by", "sur", "tres", "under", "over"];

/// What may follow the name directly.
const ENDINGS: &[&str] = &["value", "string"];

/// What may follow the name and a separator.
const VARIANTS: &[&str] = &[
    "prod",
    "production",
    "dev",
    "staging",
    "stage",
    "test",
    "live",
    "old",
    "new",
    "base",
    "main",
    "primary",
    "secondary",
    "default",
    "local",
    "ci",
];

impl Name {
    /// Returns the end of a name at `at`, if it is that of a secret.
    pub(super) fn find(text: &[u8], at: usize) -> Option<Name> {
        let rest = &text[at..];
        let starts = |word: &str| {
            rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))
        };
        let mut start = at;
        let (kind, len) = if starts("password") {
            (NameKind::Password, 8)
        } else if starts("passwd") {
            (NameKind::Password, 6)
        } else if starts("assphrase") {
            (NameKind::Password, 9)
        } else if starts("secret") {
            (NameKind::Secret, 6)
        } else if starts("token") {
            (NameKind::Token, 5)
        } else if starts("passw") {
            return None;
        } else if starts("_pass") {
            (NameKind::Password, 5)
        } else if starts("pass=") {
            let before = &text[..at];
            if before.last() == Some(&b'_') || ends_with_any(before, NO_PASSES) {
                return None;
            }
            (NameKind::Password, 4)
        } else if starts("?pass") || starts("&pass") {
            start += 1;
            (NameKind::Password, 5)
        } else if starts("--pass") {
            start += 2;
            (NameKind::Password, 6)
        } else if starts("_pwd") {
            // Of a directory sooner than of a password, if it is a path.
            (NameKind::Secret, 4)
        } else if starts("_pw=") {
            (NameKind::Secret, 3)
        } else if starts("cli_auth") {
            (NameKind::Secret, 8)
        } else {
            // One letter or separator, then `key`.
            let separator = !rest[0].is_ascii_alphabetic();
            let before = &text[..at + usize::from(!separator)];
            if !ends_with_any(before, KEYS) {
                return None;
            }
            (NameKind::Key, 4)
        };
        let end = at + len + variant(&rest[len..]);
        let after = text.get(end);
        let ends = after.is_none_or(|byte| !byte.is_ascii_alphanumeric() && !b"_-".contains(byte));
        let shouted = !text[at..end].iter().any(u8::is_ascii_lowercase);
        let label = rest[0] == b' ';
        let shouted = shouted && !label;
        ends.then_some(Name { start, end, kind, shouted, label })
    }

    /// Whether it is a part of the name of a resource: `arn:aws:…:secret:…`.
    pub(super) fn is_in_arn(&self, text: &[u8]) -> bool {
        let before = &text[self.start.saturating_sub(120)..self.start];
        let word = before.rsplit(|it| it.is_ascii_whitespace() || b"\"'`\\=".contains(it)).next();
        word.is_some_and(|word| word.starts_with(b"arn:"))
    }

    /// Whether it stands in a cell of a table of its own: `| API key |`.
    pub(super) fn is_cell(&self, text: &[u8]) -> bool {
        let before = text[self.start.saturating_sub(60)..self.start].iter().rev();
        let is_part = |it: &&u8| it.is_ascii_alphanumeric() || b"-_. `*".contains(it);
        let mut before = before.skip_while(is_part);
        before.next() == Some(&b'|')
    }

    /// Whether it is what an attribute of an XML element says: `name="password"`.
    pub(super) fn is_attribute(&self, text: &[u8]) -> bool {
        let before = &text[..self.whole_start(text)];
        let quotes = before.iter().rev().take_while(|it| b"\"'\\".contains(it)).count();
        let before = &before[..before.len() - quotes];
        quotes > 0 && (before.ends_with(b"name=") || before.ends_with(b"key="))
    }

    /// Returns the name of the XML element that it is the text of: `<key>password</key>`.
    pub(super) fn element<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        let before = text[..self.whole_start(text)].strip_suffix(b">")?;
        let start = before.iter().rev().take(16).position(|it| *it == b'<')?;
        Some(&before[before.len() - start..])
    }

    /// Whether it is that of a place rather than of a secret: `next_token`.
    pub(super) fn is_place(&self, text: &[u8]) -> bool {
        self.kind == NameKind::Token && ends_with_any(trim(&text[..self.start]), PLACES)
    }

    /// Returns where it begins, if it is that of a command line flag that takes
    /// a value.
    pub(super) fn flag_start(&self, text: &[u8]) -> Option<usize> {
        let start = self.whole_start(text);
        // The letter of an escape may stand before it.
        let dashes = text[start..self.start].windows(2).position(|pair| pair == b"--")?;
        let start = start + dashes;
        (!text[start..].starts_with(b"--no-")).then_some(start)
    }

    /// Whether it is that of a parameter in an address: `?token=…&`.
    pub(super) fn in_query(&self, text: &[u8]) -> bool {
        matches!(text[..self.whole_start(text)].last(), Some(b'?' | b'&'))
    }

    /// Whether it is that of an XML element: `<password>`.
    pub(super) fn opens_tag(&self, text: &[u8]) -> bool {
        text[..self.whole_start(text)].last() == Some(&b'<')
    }

    /// The whole name, or the end of it if it is long.
    pub(super) fn whole<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[self.whole_start(text)..self.end]
    }

    /// Where the whole name begins, or a part of it if it is long.
    fn whole_start(&self, text: &[u8]) -> usize {
        let before = &text[self.start.saturating_sub(40)..self.start];
        let is_part = |it: &&u8| it.is_ascii_alphanumeric() || b"-_.".contains(it);
        self.start - before.iter().rev().take_while(is_part).count()
    }
}

fn trim(before: &[u8]) -> &[u8] {
    match before.split_last() {
        Some((b'_' | b'-' | b' ', before)) => before,
        _ => before,
    }
}

fn ends_with_any(text: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| {
        text.len() >= word.len()
            && text[text.len() - word.len()..].eq_ignore_ascii_case(word.as_bytes())
    })
}

/// How long what follows a name is that still belongs to it: `_PROD`, `2`.
fn variant(after: &[u8]) -> usize {
    let starts = |text: &[u8], word: &&&str| {
        text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))
    };
    let separator = usize::from(matches!(after.first(), Some(b'_' | b'-')));
    let rest = &after[separator..];
    let digits = rest.iter().take(3).take_while(|it| it.is_ascii_digit()).count();
    if (1..=2).contains(&digits) {
        return separator + digits;
    }
    let more = if separator == 1 { VARIANTS } else { &[] };
    let word = ENDINGS.iter().chain(more).find(|word| starts(rest, word));
    word.map_or(0, |word| separator + word.len())
}
