//! Numbers and texts as bytes, and back. What is read may be anything: it is
//! refused, never trusted.

use codex_trace_model::Timestamp;

/// What is read makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garbled;

pub type Read<T> = Result<T, Garbled>;

/// Appends a number, seven bits a byte.
pub fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

/// Appends bytes with their length.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a text.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

/// Appends what may be missing.
pub fn put_maybe<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}

/// Appends a time.
pub fn put_time(out: &mut Vec<u8>, at: Timestamp) {
    let seconds = at.as_second();
    // The sign goes to the lowest bit, so that small numbers stay short.
    put(out, ((seconds << 1) ^ (seconds >> 63)).cast_unsigned());
    let nanos = i64::from(at.subsec_nanosecond());
    put(out, ((nanos << 1) ^ (nanos >> 63)).cast_unsigned());
}

/// Reads what was written.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    pub fn new(bytes: &'b [u8]) -> Reader<'b> {
        Reader(bytes)
    }

    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    pub fn take(&mut self, len: usize) -> Read<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Garbled)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Read<u8> {
        Ok(self.take(1)?[0])
    }

    pub fn number(&mut self) -> Read<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift).ok_or(Garbled)?;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Garbled)
    }

    pub fn size(&mut self) -> Read<usize> {
        usize::try_from(self.number()?).map_err(|_| Garbled)
    }

    pub fn bytes(&mut self) -> Read<&'b [u8]> {
        let len = self.size()?;
        self.take(len)
    }

    pub fn text(&mut self) -> Read<String> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| Garbled)
    }

    pub fn maybe<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<Option<T>> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Garbled),
        }
    }

    /// Reads a list; each element takes a byte at least, so that no length that
    /// is read makes room for more than there can be.
    pub fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let len = self.size()?;
        if len > self.0.len() {
            return Err(Garbled);
        }
        let mut list = Vec::new();
        for _ in 0..len {
            list.push(read(self)?);
        }
        Ok(list)
    }

    pub fn time(&mut self) -> Read<Timestamp> {
        let mut signed = || {
            let number = self.number()?;
            Ok((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
        };
        let (seconds, nanos) = (signed()?, signed()?);
        let nanos = i32::try_from(nanos).map_err(|_| Garbled)?;
        Timestamp::new(seconds, nanos).map_err(|_| Garbled)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(number: u64, text: String, seconds in -9_999_999_999_i64..99_999_999_999, nanos in 0..1_000_000_000) {
            let at = Timestamp::new(seconds, nanos).unwrap();
            let mut out = Vec::new();
            put(&mut out, number);
            put_text(&mut out, &text);
            put_maybe(&mut out, Some(at), put_time);
            put_maybe(&mut out, None, put_time);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.number(), Ok(number));
            prop_assert_eq!(reader.text(), Ok(text));
            prop_assert_eq!(reader.maybe(Reader::time), Ok(Some(at)));
            prop_assert_eq!(reader.maybe(Reader::time), Ok(None));
            prop_assert!(reader.is_at_end());
        }

        #[test]
        fn anything_else_is_refused_or_read_without_a_fault(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            reader.list(Reader::text).ok();
            Reader::new(&bytes).time().ok();
            Reader::new(&bytes).maybe(Reader::number).ok();
        }
    }
}
