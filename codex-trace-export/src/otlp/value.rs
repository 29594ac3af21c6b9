//! Attributes and their values. Written by hand, and not derived: their names are
//! nearly always known when this is compiled, and a text may be one that is never there
//! as a whole.

use std::borrow::Cow;

use prost::bytes::{Buf, BufMut};
use prost::encoding::{self, DecodeContext, WireType, encode_key, encode_varint, key_len};
use prost::{DecodeError, Message};

use super::joined::Joined;
use super::proto::{AnyValue, ArrayValue};

/// An attribute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyValue {
    /// Its name.
    pub key: Cow<'static, str>,
    /// Its value.
    pub value: Option<AnyValue>,
}

const KEY: u32 = 1;
const VALUE: u32 = 2;

impl Message for KeyValue {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        if !self.key.is_empty() {
            encode_key(KEY, WireType::LengthDelimited, buf);
            encode_varint(self.key.len() as u64, buf);
            buf.put_slice(self.key.as_bytes());
        }
        if let Some(value) = &self.value {
            encoding::message::encode(VALUE, value, buf);
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire: WireType,
        buf: &mut impl Buf,
        cx: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            KEY => encoding::string::merge(wire, self.key.to_mut(), buf, cx),
            VALUE => {
                let value = self.value.get_or_insert_with(AnyValue::default);
                encoding::message::merge(wire, value, buf, cx)
            }
            _ => encoding::skip_field(wire, tag, buf, cx),
        }
    }

    fn encoded_len(&self) -> usize {
        let key = match self.key.len() {
            0 => 0,
            len => key_len(KEY) + encoding::encoded_len_varint(len as u64) + len,
        };
        key + self.value.as_ref().map_or(0, |value| encoding::message::encoded_len(VALUE, value))
    }

    fn clear(&mut self) {
        *self = KeyValue::default();
    }
}

/// What a value can be. Maps and bytes are never written here.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text.
    String(String),
    /// A text in pieces, which is written as one.
    Joined(Joined),
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A fraction.
    Double(f64),
    /// Several.
    Array(ArrayValue),
}

const TEXT: u32 = 1;
const BOOL: u32 = 2;
const INT: u32 = 3;
const DOUBLE: u32 = 4;
const ARRAY: u32 = 5;

/// What prost asks of a `oneof`.
impl Value {
    pub(super) fn encode(&self, buf: &mut impl BufMut) {
        match self {
            Value::String(it) => encoding::string::encode(TEXT, it, buf),
            Value::Joined(it) => {
                encode_key(TEXT, WireType::LengthDelimited, buf);
                encode_varint(it.len() as u64, buf);
                it.pieces().for_each(|piece| buf.put_slice(piece.as_bytes()));
            }
            Value::Bool(it) => encoding::bool::encode(BOOL, it, buf),
            Value::Int(it) => encoding::int64::encode(INT, it, buf),
            Value::Double(it) => encoding::double::encode(DOUBLE, it, buf),
            Value::Array(it) => encoding::message::encode(ARRAY, it, buf),
        }
    }

    pub(super) fn encoded_len(&self) -> usize {
        match self {
            Value::String(it) => encoding::string::encoded_len(TEXT, it),
            Value::Joined(it) => {
                key_len(TEXT) + encoding::encoded_len_varint(it.len() as u64) + it.len()
            }
            Value::Bool(it) => encoding::bool::encoded_len(BOOL, it),
            Value::Int(it) => encoding::int64::encoded_len(INT, it),
            Value::Double(it) => encoding::double::encoded_len(DOUBLE, it),
            Value::Array(it) => encoding::message::encoded_len(ARRAY, it),
        }
    }

    pub(super) fn merge(
        field: &mut Option<Value>,
        tag: u32,
        wire: WireType,
        buf: &mut impl Buf,
        cx: DecodeContext,
    ) -> Result<(), DecodeError> {
        macro_rules! read {
            ($how:ident, $value:path) => {{
                let mut it = Default::default();
                encoding::$how::merge(wire, &mut it, buf, cx)?;
                $value(it)
            }};
        }
        *field = Some(match tag {
            TEXT => read!(string, Value::String),
            BOOL => read!(bool, Value::Bool),
            INT => read!(int64, Value::Int),
            DOUBLE => read!(double, Value::Double),
            _ => read!(message, Value::Array),
        });
        Ok(())
    }
}

impl From<Value> for AnyValue {
    fn from(value: Value) -> AnyValue {
        AnyValue { value: Some(value) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_text_in_pieces_is_written_as_one() {
        let mut joined = Joined::default();
        joined.fixed("[");
        joined.kept(&Arc::new("ä".repeat(100)));
        joined.kept(&Arc::default());
        joined.fixed("]");
        let text = joined.to_string();
        assert_eq!((text.len(), joined.len()), (202, 202));
        let joined = AnyValue::from(Value::Joined(joined));
        let whole = AnyValue::from(Value::String(text));
        assert_eq!(joined.encode_to_vec(), whole.encode_to_vec());
        assert_eq!(joined.encoded_len(), whole.encoded_len());
    }

    #[test]
    fn an_attribute_is_read_as_it_was() {
        for (key, value) in [("a", Some(Value::Int(1).into())), ("", None), ("ß", None)] {
            let it = KeyValue { key: key.into(), value };
            let bytes = it.encode_to_vec();
            assert_eq!((bytes.len(), KeyValue::decode(&*bytes).unwrap()), (it.encoded_len(), it));
        }
        // A field that nobody knows yet is passed over.
        let newer = [0x0A, 1, b'k', 0x1A, 1, b'x'];
        assert_eq!(KeyValue::decode(&newer[..]).unwrap().key, "k");
    }

    #[test]
    fn what_was_written_is_read_as_it_was() {
        let all = [
            Value::String("é".to_owned()),
            Value::Bool(true),
            Value::Int(-7),
            Value::Double(0.5),
            Value::Array(ArrayValue { values: vec![Value::Int(1).into(), AnyValue::default()] }),
        ];
        for value in all {
            let any = AnyValue::from(value);
            let bytes = any.encode_to_vec();
            assert_eq!((bytes.len(), AnyValue::decode(&*bytes).unwrap()), (any.encoded_len(), any));
        }
    }
}
