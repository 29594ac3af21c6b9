//! A name with a value: `API_KEY=…`, `"client_secret": "…"`, `--token …`.

mod cursor;
mod name;
mod plain;

use std::ops::Range;

use crate::redact::assignment::cursor::{Cursor, Separator};
use crate::redact::assignment::name::{Kind, Name};
use crate::redact::assignment::plain::Bare;
use crate::redact::secret::{Quote, Secret};
use crate::redact::value;

/// How far before a password the login may stand that it belongs to.
const LOGIN: usize = 160;

/// Returns the value, if the text at `at`, which begins with the last part of a
/// secret's name, goes on with one.
pub(super) fn find(text: &[u8], at: usize, json: bool) -> Option<Secret> {
    let name = Name::find(text, at)?;
    // Asked last: most names have no value.
    value_of(text, &name, json).filter(|_| !name.is_place(text))
}

fn value_of(text: &[u8], name: &Name, json: bool) -> Option<Secret> {
    let mut cursor = Cursor { text, at: name.end, json };
    let quoted_name = cursor.quote();
    let spaced = cursor.spaces();
    let Some(separator) = cursor.separator(name) else {
        return unseparated(cursor, name, quoted_name, spaced).map(Secret::part);
    };
    let before = spaced;
    let spaced = cursor.spaces() || spaced;
    // A choice between labels, and not a name: `? "Hide password" : "Show password"`.
    if before && quoted_name.is_some() && text[..name.start].ends_with(b" ") {
        return None;
    }
    match separator {
        // Only what is spelled out can be compared with.
        Separator::Equals => {
            let quote = cursor.opening(quoted_name, separator)?;
            return quoted(text, cursor.at, quote, name).map(Secret::part);
        }
        Separator::Tag => return element(text, cursor.at, name).map(Secret::part),
        Separator::Colon | Separator::Assign => {}
    }
    cursor.block();
    if cursor.at_quote() {
        let quote = cursor.opening(quoted_name, separator)?;
        return quoted(text, cursor.at, quote, name).map(Secret::part);
    }
    if let Some(quote) = quoted_name {
        let place = value::find(text, cursor.at, quote, name.kind == Kind::Token)?;
        return Some(Secret { place, quote: Some(quote) });
    }
    let colon = separator == Separator::Colon;
    Bare { name, spaced, colon }.find(text, cursor.at).map(Secret::part)
}

/// A value that only its place makes one: of a flag, in a list of names and
/// values, after a space.
fn unseparated(
    mut cursor: Cursor<'_>,
    name: &Name,
    quoted_name: Option<Quote>,
    spaced: bool,
) -> Option<Range<usize>> {
    let text = cursor.text;
    if let Some(flag) = name.flag_start(text) {
        return match quoted_name {
            Some(quote) => argument(cursor, flag, quote, name),
            // `--password VALUE` has no separator but the space.
            None if spaced && cursor.at_quote() => {
                let quote = cursor.opening(None, Separator::Assign)?;
                quoted(text, cursor.at, quote, name)
            }
            None if spaced => Bare { name, spaced: true, colon: false }.find(text, cursor.at),
            None => None,
        };
    }
    if let Some(range) = paired(cursor, quoted_name, name) {
        return Some(range);
    }
    if let Some(quote) = quoted_name {
        return beside(cursor, quote, name);
    }
    if !spaced {
        return None;
    }
    if text[cursor.at..].starts_with(b"is ") {
        cursor.at += 3;
        let range = if cursor.at_quote() {
            let quote = cursor.opening(None, Separator::Assign)?;
            cursor.until(quote)
        } else {
            Bare { name, spaced: true, colon: false }.find(text, cursor.at)
        };
        return range.filter(|it| plain::is_made_up(&text[it.clone()]));
    }
    let before = &text[name.start.saturating_sub(LOGIN)..name.start];
    let login = name.kind == Kind::Password && before.windows(6).any(|it| it == b"login ");
    plain::loose(text, cursor.at, login)
}

/// The element after that of a flag, in a list of quoted arguments.
fn argument(
    mut cursor: Cursor<'_>,
    flag: usize,
    quote: Quote,
    name: &Name,
) -> Option<Range<usize>> {
    let text = cursor.text;
    let begins = text[..flag].last() == Some(&quote.byte);
    let flag_name = &text[flag + 2..name.end];
    if !begins || text.get(cursor.at) != Some(&b',') {
        return None;
    }
    cursor.at += 1;
    cursor.spaces();
    if cursor.quote() != Some(quote) {
        return None;
    }
    let value = cursor.until(quote)?;
    let said = &text[value.clone()];
    // Another flag, or what a parser of arguments is to call this one.
    let is_flag = said.starts_with(b"-") || flag_name.starts_with(said);
    (!said.is_empty() && !is_flag && !plain::is_reference(said)).then_some(value)
}

/// The text that follows a name in capitals in a list: `setenv("API_KEY", "…")`.
fn beside(mut cursor: Cursor<'_>, quote: Quote, name: &Name) -> Option<Range<usize>> {
    let text = cursor.text;
    if !name.shouted || text.get(cursor.at) != Some(&b',') {
        return None;
    }
    cursor.at += 1;
    cursor.spaces();
    if cursor.quote() != Some(quote) {
        return None;
    }
    cursor.until(quote).filter(|it| plain::is_made_up(&text[it.clone()]))
}

/// The value of a name that is a value itself: `name: TOKEN`, `value: …`.
fn paired(mut cursor: Cursor<'_>, quote: Option<Quote>, name: &Name) -> Option<Range<usize>> {
    let text = cursor.text;
    if text.get(cursor.at) == Some(&b',') {
        cursor.at += 1;
        cursor.spaces();
    }
    let rest = &text[cursor.at..];
    let quoted_word = quote.is_some() && cursor.at_quote();
    if quoted_word && cursor.quote() != quote {
        return None;
    }
    let word = text.get(cursor.at..cursor.at + 5)?;
    if !word.eq_ignore_ascii_case(b"value") || rest.is_empty() {
        return None;
    }
    cursor.at += 5;
    if quoted_word && cursor.quote() != quote {
        return None;
    }
    cursor.spaces();
    let separator = cursor.separator(name)?;
    cursor.spaces();
    if cursor.at_quote() {
        let opened = if quoted_word { quote } else { None };
        let quote = cursor.opening(opened, separator)?;
        return quoted(text, cursor.at, quote, name);
    }
    Bare { name, spaced: true, colon: true }.find(text, cursor.at)
}

/// The text of an XML element.
fn element(text: &[u8], start: usize, name: &Name) -> Option<Range<usize>> {
    let len = text[start..].iter().take(256).position(|it| b"<>\"'\\\r\n".contains(it))?;
    let value = &text[start..start + len];
    let ends = text[start + len..].starts_with(b"</");
    let opens = name.opens_tag(text);
    (ends && opens && len >= 4 && plain::is_quoted_secret(value, name))
        .then_some(start..start + len)
}

/// A value up to the quote that ends it, at the depth of the one that began it.
fn quoted(text: &[u8], start: usize, quote: Quote, name: &Name) -> Option<Range<usize>> {
    let cursor = Cursor { text, at: start, json: false };
    let Some(range) = cursor.until(quote) else {
        // An apostrophe, not a quote.
        return Bare { name, spaced: true, colon: false }.find(text, start);
    };
    plain::is_quoted_secret(&text[range.clone()], name).then_some(range)
}
