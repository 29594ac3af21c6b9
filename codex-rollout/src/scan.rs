//! The on-demand cursor over one JSON text: finds fields, skips values.
//!
//! It checks structure as it goes and hands out slices; it never allocates
//! and never recurses. What it accepts is what `serde_json` accepts, at the
//! same depth; the differential tests hold it to that. Two differences are
//! meant: a number of any size passes, because nobody may ever ask for its
//! value; and bytes above 0x7F are only noticed, so that whoever owns the text
//! can check it as UTF-8 in one go. Keys are handed out as written: Codex
//! escapes none, and `"\u0074ype"` is not `type` here.

mod skip;

use crate::error::ErrorKind;
use crate::strings::{self, StringEnd};
use crate::text::{JsonText, RawJson};

/// The deepest nesting accepted: that of the reader in Codex itself.
pub(crate) const MAX_DEPTH: usize = 127;

/// A place in a JSON text at which it stops being JSON.
#[derive(Debug)]
pub struct Syntax {
    /// What was found.
    pub kind: ErrorKind,
    /// Where, in bytes from the start of the text; its length if more bytes
    /// could have made it JSON.
    pub offset: usize,
}

type Result<T> = std::result::Result<T, Syntax>;

/// What kind of value comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueKind {
    /// `"…"`
    String,
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// A number.
    Number,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
}

/// A read position in one JSON text.
///
/// ```
/// use codex_rollout::Cursor;
///
/// let mut cursor = Cursor::new(br#"{"type": "x", "payload": [1, 2]}"#);
/// let mut kind = None;
/// cursor.object(|key, value| {
///     if key == b"type" {
///         kind = Some(value.text()?);
///     }
///     Ok(()) // A value that nobody took is skipped.
/// })?;
/// assert_eq!(kind.unwrap().decode(), "x");
/// # Ok::<(), codex_rollout::Syntax>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    non_ascii: bool,
    until: Until,
}

/// Where the text of a cursor ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    End,
    /// The first newline between values, or the end.
    Newline,
    /// Wherever the first value ends.
    ValueEnd,
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0, depth: 0, non_ascii: false, until: Until::End }
    }

    /// Starts at the first byte of `bytes`, of which only the first line counts.
    pub(crate) fn first_line(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { until: Until::Newline, ..Cursor::new(bytes) }
    }

    /// Starts at the first byte of `bytes`, of which only the first value counts.
    pub(crate) fn first_value(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { until: Until::ValueEnd, ..Cursor::new(bytes) }
    }

    /// Starts at the first byte of a value that lies so many objects deep.
    pub(crate) fn at_depth(bytes: &'a [u8], depth: usize) -> Cursor<'a> {
        Cursor { depth, ..Cursor::new(bytes) }
    }

    /// Returns the number of bytes read so far.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Returns whether any string passed over so far held a byte above 0x7F.
    pub fn has_non_ascii(&self) -> bool {
        self.non_ascii
    }

    /// Says what kind of value comes next, without reading it.
    ///
    /// # Errors
    ///
    /// If no value comes next.
    pub fn kind(&mut self) -> Result<ValueKind> {
        self.space();
        match self.bytes.get(self.at) {
            Some(b'"') => Ok(ValueKind::String),
            Some(b'{') => Ok(ValueKind::Object),
            Some(b'[') => Ok(ValueKind::Array),
            Some(b'-' | b'0'..=b'9') => Ok(ValueKind::Number),
            Some(b't' | b'f') => Ok(ValueKind::Bool),
            Some(b'n') => Ok(ValueKind::Null),
            Some(_) => self.fail("expected a value"),
            None => self.fail("unexpected end"),
        }
    }

    /// Reads an object, handing each key (raw) and a cursor at its value to `field`.
    ///
    /// A value that `field` leaves alone is skipped.
    ///
    /// # Errors
    ///
    /// If what comes next is not a well-formed object, or `field` fails.
    pub fn object(
        &mut self,
        mut field: impl FnMut(&'a [u8], &mut Cursor<'a>) -> Result<()>,
    ) -> Result<()> {
        if !self.open_object()? {
            return Ok(());
        }
        loop {
            let key = self.key()?;
            let before = self.at;
            field(key, self)?;
            if self.at == before {
                self.skip()?;
            }
            if !self.comma_or(b'}')? {
                return Ok(());
            }
        }
    }

    /// Reads an array, handing a cursor at each element to `element`.
    ///
    /// An element that `element` leaves alone is skipped.
    ///
    /// # Errors
    ///
    /// If what comes next is not a well-formed array, or `element` fails.
    pub fn array(&mut self, mut element: impl FnMut(&mut Cursor<'a>) -> Result<()>) -> Result<()> {
        self.open(b'[', "expected an array")?;
        if self.close(b']') {
            return Ok(());
        }
        loop {
            self.space();
            let before = self.at;
            element(self)?;
            if self.at == before {
                self.skip()?;
            }
            if !self.comma_or(b']')? {
                return Ok(());
            }
        }
    }

    /// Reads a string.
    ///
    /// # Errors
    ///
    /// If what comes next is not a well-formed string.
    pub fn text(&mut self) -> Result<JsonText<'a>> {
        self.space();
        self.string().map(JsonText::new)
    }

    /// Passes over a value and returns its raw text.
    ///
    /// # Errors
    ///
    /// If what comes next is not a well-formed value.
    pub fn raw(&mut self) -> Result<RawJson<'a>> {
        self.space();
        let start = self.at;
        self.skip()?;
        Ok(RawJson::new(&self.bytes[start..self.at]))
    }

    /// Checks that nothing but white space is left.
    ///
    /// # Errors
    ///
    /// If something is.
    pub fn end(&mut self) -> Result<()> {
        self.whole().map(drop)
    }

    /// As [`end`](Self::end); returns the whole text.
    pub(crate) fn whole(&mut self) -> Result<&'a [u8]> {
        self.space();
        let ends = match self.until {
            Until::End => self.at == self.bytes.len(),
            Until::Newline => self.bytes.get(self.at).is_none_or(|byte| *byte == b'\n'),
            Until::ValueEnd => true,
        };
        if !ends {
            return self.fail("trailing characters");
        }
        Ok(&self.bytes[..self.at])
    }

    /// Returns the text of the first field of the object that comes next, if
    /// it is called `name` and holds a string.
    pub(crate) fn first_field(&mut self, name: &[u8]) -> Option<JsonText<'a>> {
        self.open(b'{', "expected an object").ok()?;
        self.space();
        if self.string().ok()? != name {
            return None;
        }
        self.colon().ok()?;
        self.string().ok().map(JsonText::new)
    }

    /// Returns the value just read, which began at `start`.
    pub(crate) fn since(&self, start: usize) -> RawJson<'a> {
        RawJson::new(&self.bytes[start..self.at])
    }

    /// Returns the offset of the first byte of the value that comes next.
    pub(crate) fn offset_of_value(&mut self) -> usize {
        self.space();
        self.at
    }

    /// Enters the object that comes next; returns whether there is a key in it.
    pub(crate) fn open_object(&mut self) -> Result<bool> {
        self.open(b'{', "expected an object")?;
        Ok(!self.close(b'}'))
    }

    /// Takes the key that comes next, its colon included, if it is `name` and
    /// written as Codex does it, without white space.
    #[inline]
    pub(crate) fn take_key(&mut self, name: &[u8]) -> bool {
        let len = name.len();
        let rest = self.bytes.get(self.at..).and_then(|rest| rest.get(..len + 3));
        let found = rest.is_some_and(|key| {
            key[0] == b'"' && key[1..=len] == *name && key[len + 1] == b'"' && key[len + 2] == b':'
        });
        if found {
            self.at += len + 3;
        }
        found
    }

    /// Takes the key that comes next, its colon included, and returns it raw.
    pub(crate) fn key(&mut self) -> Result<&'a [u8]> {
        self.space();
        let key = self.string()?;
        self.colon()?;
        Ok(key)
    }

    /// Takes a text if it comes next, byte by byte.
    #[inline]
    pub(crate) fn take<const LEN: usize>(&mut self, text: &[u8; LEN]) -> bool {
        let found = self.bytes[self.at..].first_chunk() == Some(text);
        self.at += if found { LEN } else { 0 };
        found
    }

    /// Takes a text and the few digits behind it, which end a value.
    #[inline]
    pub(crate) fn take_number<const LEN: usize>(&mut self, text: &[u8; LEN]) -> Option<u64> {
        if self.take(text) { self.short_number() } else { None }
    }

    /// Takes what nearly all numbers of a record are: a few digits.
    #[inline]
    pub(crate) fn short_number(&mut self) -> Option<u64> {
        self.space();
        let rest = &self.bytes[self.at..];
        if let Some(word) = rest.first_chunk() {
            let (value, len) = leading_digits(*word);
            let ends = matches!(rest.get(len), Some(b',' | b'}'));
            if ends && len > 0 && (rest[0] != b'0' || len == 1) {
                self.at += len;
                return Some(value);
            }
        }
        self.longer_number()
    }

    /// The same digit by digit.
    fn longer_number(&mut self) -> Option<u64> {
        let rest = &self.bytes[self.at..];
        let mut value = 0;
        for (len, byte) in rest.iter().enumerate().take(19) {
            match byte {
                b'0'..=b'9' if len < 18 => value = value * 10 + u64::from(byte - b'0'),
                b',' | b'}' if len > 0 && (rest[0] != b'0' || len == 1) => {
                    self.at += len;
                    return Some(value);
                }
                _ => return None,
            }
        }
        None
    }

    fn colon(&mut self) -> Result<()> {
        self.space();
        if self.bytes.get(self.at) == Some(&b':') {
            self.at += 1;
            self.space();
            return Ok(());
        }
        self.fail("expected a colon")
    }

    fn open(&mut self, bracket: u8, expected: &'static str) -> Result<()> {
        self.space();
        if self.bytes.get(self.at) != Some(&bracket) {
            return self.fail(expected);
        }
        self.enter()?;
        self.at += 1;
        Ok(())
    }

    fn enter(&mut self) -> Result<()> {
        if self.depth == MAX_DEPTH {
            return Err(self.syntax(ErrorKind::TooDeep { limit: MAX_DEPTH }));
        }
        self.depth += 1;
        Ok(())
    }

    /// Takes `bracket` if it comes next, which ends one level.
    fn close(&mut self, bracket: u8) -> bool {
        self.space();
        let closes = self.bytes.get(self.at) == Some(&bracket);
        if closes {
            self.at += 1;
            self.depth -= 1;
        }
        closes
    }

    /// Takes a comma (true) or the closing `bracket` (false).
    pub(crate) fn comma_or(&mut self, bracket: u8) -> Result<bool> {
        self.space();
        if self.bytes.get(self.at) == Some(&b',') {
            self.at += 1;
            return Ok(true);
        }
        if self.close(bracket) {
            return Ok(false);
        }
        if self.at == self.bytes.len() {
            return self.fail("unexpected end");
        }
        self.fail("expected a comma or a closing bracket")
    }

    /// Reads a string at this very byte; returns what is between the quotes.
    fn string(&mut self) -> Result<&'a [u8]> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return self.fail("expected a string");
        }
        let start = self.at + 1;
        match strings::find_end(self.bytes, start) {
            Ok(StringEnd { quote, non_ascii }) => {
                self.non_ascii |= non_ascii;
                self.at = quote + 1;
                Ok(&self.bytes[start..quote])
            }
            Err(syntax) => Err(syntax),
        }
    }

    /// Passes over white space, of which Codex writes none.
    #[inline]
    fn space(&mut self) {
        if self.bytes.get(self.at).is_some_and(|byte| *byte <= b' ') {
            self.some_space();
        }
    }

    #[cold]
    fn some_space(&mut self) {
        while let Some(byte @ (b' ' | b'\t' | b'\r' | b'\n')) = self.bytes.get(self.at) {
            if *byte == b'\n' && self.until == Until::Newline {
                return;
            }
            self.at += 1;
        }
    }

    fn fail<T>(&self, what: &'static str) -> Result<T> {
        let nul = self.bytes.get(self.at) == Some(&0);
        Err(self.syntax(if nul { ErrorKind::NulBytes } else { ErrorKind::Syntax(what) }))
    }

    fn syntax(&self, kind: ErrorKind) -> Syntax {
        Syntax { kind, offset: self.at }
    }
}

/// Returns the number that the first digits of eight bytes make, and how many
/// these are.
#[inline]
fn leading_digits(text: [u8; 8]) -> (u64, usize) {
    const LOW: u64 = u64::MAX / 0xFF;
    let digits = u64::from_le_bytes(text) ^ (LOW * 0x30);
    // A high bit for what is no digit; those above the first may be wrong.
    let others = (digits.wrapping_add(LOW * 0x76) | digits) & (LOW << 7);
    let len = others.trailing_zeros() / 8;
    // What comes first counts most, and stands lowest: zeros go before it.
    let digits = digits.checked_shl(64 - 8 * len).unwrap_or(0);
    // Pairs, then fours, then all eight of them.
    let pairs = (digits.wrapping_mul(10).wrapping_add(digits >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs.wrapping_mul(100).wrapping_add(pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
    let value = (fours.wrapping_mul(10_000).wrapping_add(fours >> 32)) & 0xFFFF_FFFF;
    (value, len as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of every length, at the end of a text and before more of it.
    #[test]
    fn digits_make_the_number_that_they_say() {
        let numbers = (0..=19).flat_map(|len| {
            [10_u64.pow(len) - 1, 10_u64.pow(len), 1_234_567_890 % 10_u64.pow(len)]
        });
        for number in numbers {
            for behind in ["}", ",", "}, 1234567890", ""] {
                let text = format!("{number}{behind}");
                let mut cursor = Cursor::new(text.as_bytes());
                let known = number < 10_u64.pow(18) && !behind.is_empty();
                assert_eq!(cursor.short_number(), known.then_some(number), "{text}");
                assert_eq!(cursor.offset(), if known { text.len() - behind.len() } else { 0 });
            }
        }
        for odd in ["", "x}", "01}", "-1}", "1.5}", "1 }", "12345678x}", "\u{663}}"] {
            assert_eq!(Cursor::new(odd.as_bytes()).short_number(), None, "{odd}");
        }
    }
}
