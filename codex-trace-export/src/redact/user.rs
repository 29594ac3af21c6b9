//! Rules that users add.

use std::borrow::Cow;
use std::ops::Range;

use regex::bytes::{Captures, Regex};

use crate::redact::{Form, RuleError, USER_PLACEHOLDER, escape};

/// A rule of a user's own: what to look for, and what to put in its place.
#[derive(Clone, Debug)]
pub struct UserRule {
    pattern: Regex,
    replacement: Vec<Part>,
}

/// What a rule has found in a text, and what is to stand there.
struct Found {
    range: Range<usize>,
    replacement: Vec<u8>,
}

/// A part of what stands in the place of a match.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// Text, as it stands in a JSON string.
    Text(Vec<u8>),
    /// What a group of the pattern has matched; the whole match is group 0.
    Group(usize),
}

impl UserRule {
    /// Makes a rule; what it finds is replaced by `replacement` as it stands,
    /// or by [`USER_PLACEHOLDER`].
    ///
    /// # Errors
    ///
    /// If the regex cannot be read, or matches nothing at all.
    pub fn new(pattern: &str, replacement: Option<&str>) -> Result<UserRule, RuleError> {
        let text = Part::Text(quoted(replacement.unwrap_or(USER_PLACEHOLDER)));
        Ok(UserRule { pattern: compile(pattern)?, replacement: vec![text] })
    }

    /// Makes a rule whose replacement may refer to the match as JavaScript has
    /// it: `$1`, `$<name>`, `$&`, and `$$` for a dollar.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_groups(pattern: &str, replacement: Option<&str>) -> Result<UserRule, RuleError> {
        let pattern = compile(pattern)?;
        let replacement = parts(replacement.unwrap_or(USER_PLACEHOLDER), &pattern);
        Ok(UserRule { pattern, replacement })
    }

    /// Replaces what the rule finds. In JSON it looks at one text after the
    /// other, as it is and as it is written, and at numbers, which become
    /// texts; signs between them stay. Adds to `n` how often it found something.
    pub(super) fn apply<'t>(&self, text: &'t [u8], form: Form, n: &mut u64) -> Cow<'t, [u8]> {
        match form {
            Form::Decoded | Form::JsonText => self.in_text(text, form == Form::JsonText, n),
            Form::Json => self.in_values(text, n),
        }
    }

    fn in_values<'t>(&self, text: &'t [u8], n: &mut u64) -> Cow<'t, [u8]> {
        let mut out = Vec::new();
        let (mut copied, mut at) = (0, 0);
        while let Some(token) = escape::next_scalar(text, at) {
            at = token.end;
            let scalar = &text[token.clone()];
            let Cow::Owned(changed) = self.in_text(scalar, true, n) else { continue };
            let is_text = text[..token.start].last() == Some(&b'"');
            out.extend_from_slice(&text[copied..token.start]);
            let quote: &[u8] = if is_text { b"" } else { b"\"" };
            out.extend_from_slice(quote);
            out.extend_from_slice(&changed);
            out.extend_from_slice(quote);
            copied = token.end;
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        out.extend_from_slice(&text[copied..]);
        Cow::Owned(out)
    }

    /// Returns what is looked for.
    pub(super) fn pattern(&self) -> &str {
        self.pattern.as_str()
    }

    fn in_text<'t>(&self, text: &'t [u8], json: bool, n: &mut u64) -> Cow<'t, [u8]> {
        let mut found = Vec::new();
        self.find(text, text, |at| at, json, &mut found);
        if json && memchr::memchr(b'\\', text).is_some() {
            let (decoded, places) = escape::decode(text);
            self.find(text, &decoded, |at| places[at], json, &mut found);
            // Of two that overlap the one that begins first.
            found.sort_by_key(|it| (it.range.start, std::cmp::Reverse(it.range.end)));
        }
        let mut out = Vec::new();
        let mut copied = 0;
        for Found { range, replacement } in found {
            if range.start < copied {
                continue;
            }
            out.extend_from_slice(&text[copied..range.start]);
            out.extend_from_slice(&replacement);
            copied = range.end;
            *n += 1;
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        out.extend_from_slice(&text[copied..]);
        Cow::Owned(out)
    }

    /// Looks at `seen`, each byte of which stands at `place` in `text`.
    fn find(
        &self,
        text: &[u8],
        seen: &[u8],
        place: impl Fn(usize) -> usize,
        json: bool,
        into: &mut Vec<Found>,
    ) {
        // What goes into JSON text must not end the string that it is in, nor
        // take half of an escape with it.
        let within = |from: usize, to: usize| {
            let (from, to) = (place(from), place(to));
            let (from, to) = if json { escape::within_string(text, from, to) } else { (from, to) };
            from..to
        };
        for found in self.pattern.captures_iter(seen) {
            let range = found.get(0).map_or(0..0, |it| within(it.start(), it.end()));
            if !range.is_empty() {
                let mut replacement = Vec::new();
                self.replace(&found, text, within, &mut replacement);
                into.push(Found { range, replacement });
            }
        }
    }

    fn replace(
        &self,
        found: &Captures<'_>,
        text: &[u8],
        within: impl Fn(usize, usize) -> Range<usize>,
        out: &mut Vec<u8>,
    ) {
        for part in &self.replacement {
            match part {
                Part::Text(part) => out.extend_from_slice(part),
                Part::Group(nth) => {
                    if let Some(group) = found.get(*nth) {
                        let range = within(group.start(), group.end());
                        out.extend_from_slice(text.get(range).unwrap_or_default());
                    }
                }
            }
        }
    }
}

fn compile(pattern: &str) -> Result<Regex, RuleError> {
    let bad = |what: String| RuleError::new(format!("redaction rule `{pattern}`: {what}"));
    let compiled = Regex::new(pattern).map_err(|err| bad(err.to_string()))?;
    // Where a word begins is empty, too, but not to be found in an empty text.
    let samples: [&[u8]; 4] = [b"", b"a", b" a ", b"\n"];
    let is_empty = |sample: &&[u8]| compiled.find_iter(sample).any(|it| it.is_empty());
    if samples.iter().any(is_empty) {
        return Err(bad("it matches the empty text, and so everything".to_owned()));
    }
    Ok(compiled)
}

/// Returns a text as it stands in a JSON string.
fn quoted(text: &str) -> Vec<u8> {
    let mut quoted = Vec::new();
    crate::json::Json::write(text, &mut quoted);
    quoted[1..quoted.len() - 1].to_vec()
}

/// Reads a replacement of JavaScript's. What refers to nothing is text.
fn parts(replacement: &str, pattern: &Regex) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = replacement;
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (group, len) = reference(after, pattern);
        match group {
            Some(group) => {
                parts.push(Part::Text(quoted(&std::mem::take(&mut text))));
                parts.push(Part::Group(group));
            }
            None => text.push('$'),
        }
        rest = &after[len..];
    }
    text.push_str(rest);
    parts.push(Part::Text(quoted(&text)));
    parts
}

/// Reads what follows a dollar: the group meant, and how much of it is used.
fn reference(after: &str, pattern: &Regex) -> (Option<usize>, usize) {
    if after.starts_with('$') {
        return (None, 1);
    }
    if after.starts_with('&') {
        return (Some(0), 1);
    }
    if let Some((name, _)) = after.strip_prefix('<').and_then(|it| it.split_once('>')) {
        let nth = pattern.capture_names().position(|it| it == Some(name));
        return nth.map_or((None, 0), |nth| (Some(nth), name.len() + 2));
    }
    let digits = after.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let group = |len: usize| {
        let nth = after[..len].parse::<usize>().ok()?;
        (nth > 0 && nth < pattern.captures_len()).then_some((Some(nth), len))
    };
    (1..=digits).rev().find_map(group).unwrap_or((None, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(rule: &UserRule, text: &str, json: bool) -> String {
        let form = if json { Form::Json } else { Form::Decoded };
        String::from_utf8(rule.apply(text.as_bytes(), form, &mut 0).into_owned()).unwrap()
    }

    #[test]
    fn replacements_refer_to_groups_as_in_javascript() {
        #[rustfmt::skip]
        let cases = [
            ("(user=)(\\w+)",    "$1***",       "user=ann.",  "user=***."),
            ("(?<k>user=)\\w+",  "$<k>x",       "user=ann.",  "user=x."),
            ("user=\\w+",        "<$&>",        "user=ann.",  "<user=ann>."),
            ("user",             "$$1 $2 $ $0", "user",       "$1 $2 $ $0"),
            ("(u)(s)er",         "$2$12",       "user",       "su2"),
        ];
        for (pattern, replacement, text, expected) in cases {
            let rule = UserRule::with_groups(pattern, Some(replacement)).unwrap();
            assert_eq!(applied(&rule, text, false), expected, "{pattern} {replacement}");
            let in_json = applied(&rule, &format!("\"{text}\""), true);
            assert_eq!(in_json, format!("\"{expected}\""), "{pattern} {replacement}");
        }
        let plain = UserRule::new("(user)", Some("$1")).unwrap();
        assert_eq!(applied(&plain, "\"user\"", true), "\"$1\"", "on the command line it is text");
    }

    /// In a transcript a line break is two characters.
    #[test]
    fn a_rule_looks_at_the_text_and_not_only_at_its_writing() {
        let rule = UserRule::new(r"pin:\s+\d+", None).unwrap();
        assert_eq!(
            applied(&rule, r#"["a pin:\n\t42\n", "b"]"#, true),
            r#"["a [redacted]\n", "b"]"#
        );
        let rule = UserRule::new(r#"id="\w+""#, None).unwrap();
        assert_eq!(
            applied(&rule, r#"{"x":"<p id=\"secret\">"}"#, true),
            r#"{"x":"<p [redacted]>"}"#
        );
        let rule = UserRule::with_groups("(é|ö)n", Some("$1_")).unwrap();
        assert_eq!(applied(&rule, r#""\u00e9n ön \\""#, true), r#""\u00e9_ ö_ \\""#);
        // A number is a text to it, and becomes one.
        let rule = UserRule::new(r"\d{4,}", None).unwrap();
        assert_eq!(
            applied(&rule, r#"{"pin":12345,"n":[1,-99999],"t":"a 12345","z":true}"#, true),
            r#"{"pin":"[redacted]","n":[1,"-[redacted]"],"t":"a [redacted]","z":true}"#
        );
        // Never beyond the string that it begins in.
        let rule = UserRule::new(r"secret[\s\S]*", None).unwrap();
        assert_eq!(
            applied(&rule, r#"{"x":"a secret\n","y":"z"}"#, true),
            r#"{"x":"a [redacted]","y":"z"}"#
        );
    }
}
