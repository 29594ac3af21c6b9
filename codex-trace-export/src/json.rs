//! A small JSON writer that can splice raw text.
//!
//! By hand, because most of what we write is text that is JSON already:
//! copying it costs nothing, `serde_json::RawValue` would check it again.

use std::borrow::Cow;
use std::io::Write;

use codex_rollout::{JsonText, TokenUsage};
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// Returns a time as JavaScript writes it: UTC, always three decimals.
pub(crate) fn time(at: Timestamp) -> String {
    let at = Offset::UTC.to_datetime(at);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    )
}

/// What can stand for a value.
pub trait Json {
    /// Appends the value.
    fn write(&self, out: &mut Vec<u8>);
}

impl Json for str {
    fn write(&self, out: &mut Vec<u8>) {
        let needs_escape = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
        if self.as_bytes().iter().any(needs_escape) {
            serde_json::to_writer(out, self).expect("a vector takes every string");
        } else {
            raw_text(self.as_bytes(), out);
        }
    }
}

impl Json for String {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_str().write(out);
    }
}

impl Json for Cow<'_, str> {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_ref().write(out);
    }
}

impl<T: Json + ?Sized> Json for &T {
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }
}

/// An id that Codex or the provider made: the one recorded text that is written
/// without the rules for content, which know none of it.
#[derive(Clone, Copy, Debug)]
pub struct Id<'t>(pub JsonText<'t>);

impl Json for Id<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        raw_text(self.0.raw(), out);
    }
}

/// Appends a string whose raw JSON text is known. There is no [`Json`] for a
/// recorded text itself: what leaves the machine comes from the rules for content.
pub(crate) fn raw_text(raw: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(raw);
    out.push(b'"');
}

impl Json for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

macro_rules! integers {
    ($($ty:ty),*) => { $(
        impl Json for $ty {
            fn write(&self, out: &mut Vec<u8>) {
                serde_json::to_writer(out, self).expect("a vector takes everything");
            }
        }
    )* };
}

integers!(u64, u32, usize, i64);

impl Json for Timestamp {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        TIMES.print_timestamp(self, &mut *out).expect("a vector takes everything");
        out.push(b'"');
    }
}

/// Writes times as [`Timestamp`] displays them.
const TIMES: DateTimePrinter = DateTimePrinter::new();

/// In seconds, with as many decimals as it takes.
impl Json for SignedDuration {
    fn write(&self, out: &mut Vec<u8>) {
        write!(out, "{}", self.as_secs_f64()).expect("a vector takes everything");
    }
}

/// As recorded: what was not recorded is not there.
impl Json for TokenUsage {
    fn write(&self, out: &mut Vec<u8>) {
        object(out, |o| {
            o.put("input_tokens", self.input_tokens);
            o.put("cached_input_tokens", self.cached_input_tokens);
            o.maybe("cache_write_input_tokens", self.cache_write_input_tokens);
            o.put("output_tokens", self.output_tokens);
            o.put("reasoning_output_tokens", self.reasoning_output_tokens);
            o.put("total_tokens", self.total_tokens);
        });
    }
}

/// An object being written.
#[derive(Debug)]
pub struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

/// Writes an object.
pub fn object(out: &mut Vec<u8>, fields: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    fields(&mut Object { out, empty: true });
    out.push(b'}');
}

/// Writes the fields of an object without the braces around them.
pub fn fields(out: &mut Vec<u8>, fields: impl FnOnce(&mut Object<'_>)) {
    fields(&mut Object { out, empty: true });
}

impl Object<'_> {
    /// Writes a field. The key must not need escapes.
    pub fn put(&mut self, key: &str, value: impl Json) {
        value.write(self.value(key));
    }

    /// Writes a field that is null.
    pub fn null(&mut self, key: &str) {
        self.value(key).extend_from_slice(b"null");
    }

    /// Writes a field if there is a value.
    pub fn maybe(&mut self, key: &str, value: Option<impl Json>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// Writes a field if it is true: absent means false.
    pub fn flag(&mut self, key: &str, value: bool) {
        if value {
            self.put(key, true);
        }
    }

    /// Writes a field that is an object.
    pub fn object(&mut self, key: &str, fields: impl FnOnce(&mut Object<'_>)) {
        object(self.value(key), fields);
    }

    /// Writes a field that is an array.
    pub fn array<T>(
        &mut self,
        key: &str,
        values: impl IntoIterator<Item = T>,
        write: impl FnMut(T, &mut Vec<u8>),
    ) {
        array(self.value(key), values, write);
    }

    /// Writes a field that is an array, unless it is empty.
    pub fn list<T: Json>(&mut self, key: &str, values: impl IntoIterator<Item = T>) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_some() {
            self.array(key, values, |value, out| value.write(out));
        }
    }

    /// Writes any key, escaped, and returns where its value goes.
    pub fn value_of(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        key.write(self.out);
        self.out.push(b':');
        self.out
    }

    /// Writes a key and returns where its value goes.
    pub fn value(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }
}

/// Writes an array of what is in memory; as [`array`], with the buffer first, so
/// that a function which appends a value can be given by its name.
pub(crate) fn list<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    array(out, items, |item, out| write(out, item));
}

/// Writes an array.
pub fn array<T>(
    out: &mut Vec<u8>,
    values: impl IntoIterator<Item = T>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    out.push(b'[');
    for (nth, value) in values.into_iter().enumerate() {
        if nth > 0 {
            out.push(b',');
        }
        write(value, out);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_strings_numbers_and_times_as_others_do() {
        for text in ["", "plain é ✓", "\"", "a\\b", "\u{1f}", "\u{7f}", "tab\t", "</script>"] {
            let mut out = Vec::new();
            text.write(&mut out);
            assert_eq!(out, serde_json::to_vec(text).unwrap(), "{text:?}");
        }
        for number in [0, 7, -1, i64::MIN, i64::MAX] {
            let mut out = Vec::new();
            number.write(&mut out);
            assert_eq!(out, number.to_string().into_bytes());
        }
        for at in [Timestamp::UNIX_EPOCH, Timestamp::MIN, Timestamp::MAX] {
            for nanos in [0, 1, 120_000_000, 999_999_999] {
                let Ok(at) = at.checked_add(SignedDuration::from_nanos(nanos)) else { continue };
                let mut out = Vec::new();
                at.write(&mut out);
                assert_eq!(out, format!("\"{at}\"").into_bytes());
            }
        }
    }

    #[test]
    fn writes_what_serde_json_reads() {
        let mut out = Vec::new();
        object(&mut out, |o| {
            o.put("text", "a \"quoted\"\n\u{1}line");
            o.put("raw", Id(JsonText::new(br"kept \u0041 as \/ it is")));
            o.maybe("absent", None::<u64>);
            o.flag("no", false);
            o.flag("yes", true);
            o.list("none", Vec::<u64>::new());
            o.list("some", [1_u64, 2]);
            o.put("for", SignedDuration::from_millis(1_250));
            o.object("inner", |o| o.put("n", -1_i64));
        });
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"text":"a \"quoted\"\n\u0001line","raw":"kept \u0041 as \/ it is","yes":true,"some":[1,2],"for":1.25,"inner":{"n":-1}}"#
        );
    }
}
