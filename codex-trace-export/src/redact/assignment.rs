//! A name with a value: `API_KEY=…`, `"client_secret": "…"`, `--token …`.

mod cursor;
mod name;
mod plain;

use std::ops::Range;

use crate::redact::assignment::cursor::{Cursor, Separator};
use crate::redact::assignment::name::{Name, NameKind};
use crate::redact::assignment::plain::Bare;
use crate::redact::secret::{Quote, Secret};
use crate::redact::value;

/// The longest text in a cell of a table that can be a secret.
const LONGEST_CELL: usize = 512;

/// How far before a password the login may stand that it belongs to.
const LOGIN: usize = 160;

/// Returns the value, if the text at `at`, which begins with the last part of a
/// secret's name, goes on with one.
pub(super) fn find(text: &[u8], at: usize, json: bool) -> Option<Secret> {
    let name = Name::find(text, at)?;
    // Asked last: most names have no value.
    value_of(text, &name, json).filter(|_| !name.is_place(text) && !name.is_in_arn(text))
}

fn value_of(text: &[u8], name: &Name, json: bool) -> Option<Secret> {
    let mut cursor = Cursor { text, at: name.end, json };
    let quoted_name = cursor.quote();
    if text[cursor.at..].starts_with(b"** ") || text[cursor.at..].starts_with(b"**:") {
        // In bold: `| **Password** | … |`.
        cursor.at += 2;
    }
    if let Some(range) = next_element(cursor, name) {
        return Some(Secret::part(range));
    }
    let spaced = cursor.spaces();
    if spaced {
        cursor.default_value();
        if text[cursor.at..].starts_with(b"is:") {
            cursor.at += 2;
        }
    }
    if text.get(cursor.at) == Some(&b'|') {
        return cell(cursor, name).map(Secret::part);
    }
    let Some(separator) = cursor.separator(name) else {
        return unseparated(cursor, name, quoted_name, spaced).map(Secret::part);
    };
    let before = spaced;
    if separator == Separator::Colon && text[cursor.at..].starts_with(b"** ") {
        // Written in bold: `**Password:** …`.
        cursor.at += 2;
    }
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
        Separator::Tag => {
            let opens = name.opens_tag(text) || quoted_name.is_some() && name.is_attribute(text);
            return element(cursor, name).filter(|_| opens).map(Secret::part);
        }
        Separator::Colon | Separator::Assign => {}
    }
    cursor.block();
    if quoted_name.is_none() && cursor.closes(name.start) {
        return None;
    }
    if cursor.at_quote() {
        let quote = cursor.opening(quoted_name, separator)?;
        return quoted(text, cursor.at, quote, name).map(Secret::part);
    }
    if let Some(quote) = quoted_name {
        let place = value::find(text, cursor.at, quote, name.kind == NameKind::Token)?;
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
    let login = name.kind == NameKind::Password && before.windows(6).any(|it| it == b"login ");
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
    // As AWS has it: `ParameterKey=…,ParameterValue=…`.
    if rest.get(..9).is_some_and(|it| it.eq_ignore_ascii_case(b"parameter")) {
        cursor.at += 9;
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

/// The text of the XML element that begins before the cursor.
fn element(mut cursor: Cursor<'_>, name: &Name) -> Option<Range<usize>> {
    let text = cursor.text;
    cursor.spaces();
    let start = cursor.at;
    let len = text[start..].iter().take(256).position(|it| b"<>\"'\\\r\n".contains(it))?;
    cursor.at += len;
    cursor.spaces();
    let value = text[start..start + len].trim_ascii_end();
    let ends = text[cursor.at..].starts_with(b"</");
    (ends && value.len() >= 4 && plain::is_quoted_secret(value, name))
        .then_some(start..start + value.len())
}

/// The text of the element that follows upon one of the name:
/// `<key>password</key><string>…</string>`.
fn next_element(mut cursor: Cursor<'_>, name: &Name) -> Option<Range<usize>> {
    let opened = name.element(cursor.text).filter(|_| cursor.text.get(cursor.at) == Some(&b'<'))?;
    if cursor.tag(true)? != opened {
        return None;
    }
    cursor.spaces();
    let value = cursor.tag(false)?;
    let is_pair = |of: &[u8]| match of {
        b"key" => matches!(value, b"string" | b"data"),
        b"name" => value == b"value",
        _ => false,
    };
    if is_pair(opened) { element(cursor, name) } else { None }
}

/// The next cell of a table: `| API key | … |`.
fn cell(mut cursor: Cursor<'_>, name: &Name) -> Option<Range<usize>> {
    let text = cursor.text;
    if !name.is_cell(text) {
        return None;
    }
    cursor.at += 1;
    while matches!(text.get(cursor.at), Some(b' ' | b'`')) {
        cursor.at += 1;
    }
    let start = cursor.at;
    let len = text[start..].iter().take(LONGEST_CELL).position(|it| b" `|\"\\\r\n".contains(it))?;
    let rest = text[start + len..].trim_ascii_start();
    let rest = rest.strip_prefix(b"`").unwrap_or(rest).trim_ascii_start();
    let value = &text[start..start + len];
    (rest.starts_with(b"|") && plain::is_made_up(value)).then_some(start..start + len)
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
