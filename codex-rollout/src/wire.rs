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
        if let Some(value) = cursor.short_number() {
            return Ok(Some(value));
        }
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

/// Reads a whole number; one that was written as a float is taken if it is whole.
fn number(cursor: &mut Cursor<'_>) -> Result<Option<i64>> {
    if let Some(value) = cursor.short_number() {
        return Ok(i64::try_from(value).ok());
    }
    let Ok(text) = std::str::from_utf8(cursor.raw()?.raw()) else { return Ok(None) };
    if let Ok(value) = text.parse() {
        return Ok(Some(value));
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
    let whole = |value: f64| (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i64);
    Ok(text.parse().ok().and_then(whole))
}

/// The value of the key `type` of an object, which says how to read it.
pub(crate) struct Tag<'a> {
    pub(crate) name: JsonText<'a>,
    /// Whether the cursor stands behind it, in the object, and not before the
    /// object.
    taken: bool,
}

/// Reads the value of the key `type` of the object that comes next; `None`,
/// the cursor being where it was, if there is no object or no such string in it.
///
/// Codex writes it first, so that this reads on from there; should the key come
/// again, the first one counts then, unlike for any other key.
pub(crate) fn take_tag<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Tag<'a>>> {
    if cursor.kind()? != ValueKind::Object {
        return Ok(None);
    }
    let mut ahead = cursor.clone();
    if let Some(name) = ahead.first_field(b"type") {
        *cursor = ahead;
        return Ok(Some(Tag { name, taken: true }));
    }
    let mut tag = None;
    cursor.clone().object(|key, value| {
        if key == b"type" {
            tag = JsonText::read(value)?;
        }
        Ok(())
    })?;
    Ok(tag.map(|name| Tag { name, taken: false }))
}

impl Tag<'_> {
    /// Reads the rest of the object as a record.
    pub(crate) fn read<'a, R: Record<'a>>(&self, cursor: &mut Cursor<'a>) -> Result<Option<R>> {
        if !self.taken {
            return R::read(cursor);
        }
        let mut record = R::default();
        if cursor.comma_or(b'}')? {
            record.fields(cursor)?;
        }
        Ok(Some(record))
    }

    /// Passes over the rest of the object.
    pub(crate) fn skip(&self, cursor: &mut Cursor<'_>) -> Result<()> {
        if !self.taken {
            return cursor.skip();
        }
        while cursor.comma_or(b'}')? {
            cursor.key()?;
            cursor.skip()?;
        }
        Ok(())
    }
}

/// A record that is declared with [`wire!`].
pub(crate) trait Record<'a>: Field<'a> + Default {
    /// Reads the fields of an object, and its end, from a key on.
    fn fields(&mut self, cursor: &mut Cursor<'a>) -> Result<()>;
}

/// Reads the fields of an object, and its end, from a key on.
///
/// Names are tried in the order in which they are given: where that is the
/// order in which Codex writes them, a comparison finds each, without a search
/// for the end of the key.
macro_rules! fields {
    ($cursor:ident, { $( $first:literal $(| $other:literal)* => $read:expr, )* }) => {
        loop {
            $(
                if $cursor.take_key($first) $(|| $cursor.take_key($other))* {
                    $read;
                    if !$cursor.comma_or(b'}')? {
                        break;
                    }
                }
            )*
            match $cursor.key()? {
                $( $first $(| $other)* => $read, )*
                _ => $cursor.skip()?,
            }
            if !$cursor.comma_or(b'}')? {
                break;
            }
        }
    };
}
pub(crate) use fields;

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
                if cursor.open_object()? {
                    $crate::wire::Record::fields(&mut record, cursor)?;
                }
                Ok(Some(record))
            }
        }

        impl<'de $(: $lt, $lt)?> $crate::wire::Record<'de> for $name $(<$lt>)? {
            fn fields(
                &mut self,
                cursor: &mut $crate::scan::Cursor<'de>,
            ) -> ::std::result::Result<(), $crate::scan::Syntax> {
                $crate::wire::fields!(cursor, {
                    $( $first $(| $other)* => wire!(@set self.$field, cursor $(, $other)*), )*
                });
                Ok(())
            }
        }
    };
}
pub(crate) use wire;
