//! How the fields of a record are read: leniently one by one, strictly as JSON.
//!
//! A field that is absent, `null` or of another type than expected is `None`:
//! other versions and other writers are normal, and the raw line is still there.

use crate::scan::{Cursor, Syntax, ValueKind};
use crate::text::{JsonText, RawJson};

type Result<T> = std::result::Result<T, Syntax>;

/// A value that a record may hold.
pub(crate) trait Field<'a>: Sized {
    fn read(cursor: &mut Cursor<'a>) -> Result<Option<Self>>;
}

impl<'a> Field<'a> for JsonText<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Option<Self>> {
        if cursor.kind()? == ValueKind::String {
            return cursor.text().map(Some);
        }
        cursor.skip()?;
        Ok(None)
    }
}

impl<'a> Field<'a> for RawJson<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Option<Self>> {
        let null = cursor.kind()? == ValueKind::Null;
        let raw = cursor.raw()?;
        Ok((!null).then_some(raw))
    }
}

impl<'a> Field<'a> for bool {
    fn read(cursor: &mut Cursor<'a>) -> Result<Option<Self>> {
        Ok(match cursor.raw()?.raw() {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        })
    }
}

impl<'a> Field<'a> for u64 {
    fn read(cursor: &mut Cursor<'a>) -> Result<Option<Self>> {
        Ok(number(cursor)?.and_then(|value: i64| u64::try_from(value).ok()))
    }
}

impl<'a> Field<'a> for i64 {
    fn read(cursor: &mut Cursor<'a>) -> Result<Option<Self>> {
        number(cursor)
    }
}

impl<'a> Field<'a> for f64 {
    fn read(cursor: &mut Cursor<'a>) -> Result<Option<Self>> {
        let raw = cursor.raw()?.raw();
        Ok(std::str::from_utf8(raw).ok().and_then(|text| text.parse().ok()))
    }
}

/// Reads what nearly all numbers of a record are: a few digits.
fn short_number(raw: &[u8]) -> Option<i64> {
    if raw.is_empty() || raw.len() > 18 {
        return None;
    }
    raw.iter().try_fold(0, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'))
    })
}

/// Reads a whole number; one that was written as a float is taken if it is whole.
fn number(cursor: &mut Cursor<'_>) -> Result<Option<i64>> {
    let raw = cursor.raw()?.raw();
    if let Some(value) = short_number(raw) {
        return Ok(Some(value));
    }
    let Ok(text) = std::str::from_utf8(raw) else { return Ok(None) };
    if let Ok(value) = text.parse() {
        return Ok(Some(value));
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
    let whole = |value: f64| (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i64);
    Ok(text.parse().ok().and_then(whole))
}

/// Reads the value of the key `type` of the object that comes next, without
/// moving the cursor.
///
/// Codex writes it first, so that this looks at a few bytes only; should the
/// key come again, the first one counts then, unlike for any other key.
pub(crate) fn peek_tag<'a>(cursor: &Cursor<'a>) -> Result<Option<JsonText<'a>>> {
    let mut ahead = cursor.clone();
    if ahead.kind()? != ValueKind::Object {
        return Ok(None);
    }
    if let Some(tag) = ahead.first_field(b"type") {
        return Ok(Some(tag));
    }
    let mut tag = None;
    cursor.clone().object(|key, value| {
        if key == b"type" {
            tag = JsonText::read(value)?;
        }
        Ok(())
    })?;
    Ok(tag)
}

/// Declares a record: a struct of optional fields, each with the names under
/// which it is found.
///
/// A macro because the alternative is four hundred lines that say the same.
macro_rules! wire {
    (@raw $lt:lifetime) => { $crate::text::RawJson<$lt> };
    (@raw) => { $crate::text::RawJson<'_> };
    // One name: the last value counts, whatever it is, as in `serde_json`.
    (@set $place:expr, $value:ident) => {
        $place = $crate::wire::Field::read($value)?
    };
    // Several names: what one of them holds, a null under another does not undo.
    (@set $place:expr, $value:ident, $($other:literal),+) => {
        if let read @ Some(_) = $crate::wire::Field::read($value)? {
            $place = read;
        }
    };
    ($(#[$meta:meta])* pub struct $name:ident $(<$lt:lifetime>)? {
        $( $(#[$field_meta:meta])* pub $field:ident: $ty:ty = $first:literal $(| $other:literal)* , )*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        #[non_exhaustive]
        pub struct $name $(<$lt>)? {
            $( $(#[$field_meta])* pub $field: Option<$ty>, )*
        }

        impl $(<$lt>)? $name $(<$lt>)? {
            /// Reads the record from a value that was kept raw; `None` if it is
            /// not an object.
            pub fn from_raw(raw: wire!(@raw $($lt)?)) -> Option<Self> {
                $crate::wire::Field::read(&mut raw.cursor()).ok().flatten()
            }
        }

        impl<'de $(: $lt, $lt)?> $crate::wire::Field<'de> for $name $(<$lt>)? {
            fn read(
                cursor: &mut $crate::scan::Cursor<'de>,
            ) -> ::std::result::Result<Option<Self>, $crate::scan::Syntax> {
                if cursor.kind()? != $crate::scan::ValueKind::Object {
                    cursor.skip()?;
                    return Ok(None);
                }
                let mut record = $name::default();
                cursor.object(|key, value| {
                    match key {
                        $( $first $(| $other)* => { wire!(@set record.$field, value $(, $other)*); } )*
                        _ => value.skip()?,
                    }
                    Ok(())
                })?;
                Ok(Some(record))
            }
        }
    };
}
pub(crate) use wire;
