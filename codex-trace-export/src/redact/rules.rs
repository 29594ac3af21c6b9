//! What rules find at their triggers. The rules themselves are data: [`table`].
//!
//! [`table`]: super::table

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::Regex;

use crate::redact::secret::Secret;
use crate::redact::table::Shape::{
    AfterDigit, Anywhere, Armor, Assignment, Aws, Later, Random, RandomAnywhere, Word,
};
use crate::redact::table::{RULES, Rule};
use crate::redact::{armor, assignment, escape};

/// How much of a text a pattern sees: what is found there and goes on is taken
/// to its end, so that no place costs more than this, or is taken.
const WINDOW: usize = 16 * 1024;

/// As much of a text shows whether it is one that nobody would write.
const SAMPLE: usize = 64;

/// No word is as long, in letters.
const LONGER_THAN_WORDS: usize = 16;

/// The least length of the secret of AWS that stands near its id.
const AWS_SECRET: usize = 40;

/// How far from its id.
const AWS_NEAR: usize = 160;

static COMPILED: LazyLock<Vec<Option<Regex>>> = LazyLock::new(|| {
    let compile = |rule: &Rule| match rule.shape {
        Word(pattern)
        | Anywhere(pattern)
        | AfterDigit(pattern)
        | Random(pattern)
        | RandomAnywhere(pattern)
        | Aws(pattern)
        | Later(_, pattern) => {
            // Unicode off: what is searched may be cut anywhere, and bytes are faster.
            Some(Regex::new(&format!("(?-u)\\A(?:{pattern})")).expect("a tested pattern"))
        }
        Armor | Assignment => None,
    };
    RULES.iter().map(compile).collect()
});

/// Appends where secrets are, if the text at a trigger has some.
pub(super) fn find(nth: usize, text: &[u8], at: usize, json: bool, found: &mut Vec<Secret>) {
    let rule = &RULES[nth];
    let at = match rule.shape {
        Later(n, _) if n > at => return,
        Later(n, _) => at - n,
        _ => at,
    };
    if json && text[at].is_ascii_alphanumeric() && escape::is_escaped(text, at) {
        return;
    }
    if matches!(rule.shape, Word(_) | Random(_) | Aws(_) | Later(..))
        && !escape::begins_word(text, at)
    {
        return;
    }
    if matches!(rule.shape, AfterDigit(_)) && !text[..at].last().is_some_and(u8::is_ascii_digit) {
        return;
    }
    let Some(regex) = &COMPILED[nth] else {
        return match rule.shape {
            Armor => armor::find(text, at, found),
            _ => found.extend(assignment::find(text, at, json)),
        };
    };
    // A piece of base64 as addresses have it, and no word.
    if matches!(rule.shape, Random(_)) && follows_joint(text, at) {
        return;
    }
    let window = if matches!(rule.shape, Random(_)) { SAMPLE } else { WINDOW };
    let seen = &text[at..(at + window).min(text.len())];
    if window == SAMPLE && !is_random(seen) {
        return;
    }
    let Some(place) = matched(regex, text, at, seen.len()) else { return };
    if matches!(rule.shape, Random(_) | RandomAnywhere(_)) && !is_random(&text[place.clone()]) {
        return;
    }
    let end = place.end;
    found.push(Secret::part(place));
    if matches!(rule.shape, Aws(_)) {
        found.extend(aws_secret(text, end).map(Secret::part));
    }
}

/// Returns where the secret is that a pattern finds at `at`.
fn matched(regex: &Regex, text: &[u8], at: usize, window: usize) -> Option<Range<usize>> {
    let seen = &text[at..at + window];
    // Most triggers are no secrets: say so without looking for groups.
    if !regex.is_match(seen) {
        return None;
    }
    let secret = if regex.captures_len() == 1 {
        regex.find(seen)?
    } else {
        let captures = regex.captures(seen)?;
        let written = captures.name("s").or_else(|| captures.name("t"));
        let made = || captures.name("m").filter(|it| is_made(it.as_bytes()));
        written.or_else(|| captures.name("r")).or_else(made)?
    };
    let end = at + secret.end();
    let is_part = |it: &&u8| it.is_ascii_alphanumeric() || b"_-.+/=~%".contains(it);
    let more = if secret.end() == window { &text[end..] } else { &[] };
    Some(at + secret.start()..end + more.iter().take_while(is_part).count())
}

/// Whether a dash joins what is at `at` to a letter or digit before it.
fn follows_joint(text: &[u8], at: usize) -> bool {
    matches!(&text[..at], [.., before, b'_' | b'-'] if before.is_ascii_alphanumeric())
}

/// Whether a name is one that machines make.
fn is_made(name: &[u8]) -> bool {
    let digits = name.iter().filter(|it| it.is_ascii_digit()).count();
    name.len() >= 40 || digits >= 3 || digits > 0 && name.iter().any(u8::is_ascii_uppercase)
}

fn is_random(secret: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| secret.iter().any(is);
    has(u8::is_ascii_digit)
        || has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase)
        || secret.split(|it| !it.is_ascii_alphabetic()).any(|it| it.len() >= LONGER_THAN_WORDS)
}

/// Returns where the secret is that belongs to the id of AWS that ends at `at`:
/// forty characters, as no name and no digest is written.
fn aws_secret(text: &[u8], at: usize) -> Option<Range<usize>> {
    let near = &text[at..(at + AWS_NEAR).min(text.len())];
    let is_part = |it: &u8| it.is_ascii_alphanumeric() || b"+/".contains(it);
    let mut start = at;
    for run in near.split(|it| !is_part(it)) {
        // The letter of an escape.
        let escaped = !run.is_empty() && escape::is_escaped(text, start);
        let run = &run[usize::from(escaped)..];
        let from = start + usize::from(escaped);
        let has = |is: fn(&u8) -> bool| run.iter().any(is);
        let ends = text.get(from + run.len()).is_none_or(|it| !is_part(it));
        if run.len() == AWS_SECRET
            && ends
            && has(u8::is_ascii_lowercase)
            && has(u8::is_ascii_uppercase)
            && is_random(run)
        {
            return Some(from..from + run.len());
        }
        start = from + run.len() + 1;
    }
    None
}
