//! Passing over values that nobody takes, at the same strictness.

use super::{Cursor, Result};

impl Cursor<'_> {
    /// Passes over a value.
    ///
    /// # Errors
    ///
    /// If what comes next is not a well-formed value.
    pub fn skip(&mut self) -> Result<()> {
        self.space();
        match self.bytes.get(self.at) {
            Some(b'{' | b'[') => self.skip_nested(),
            _ => self.skip_scalar(),
        }
    }

    /// Passes over an object or an array, however deep.
    fn skip_nested(&mut self) -> Result<()> {
        // One bit per open bracket: 1 for an object, 0 for an array.
        let mut open: u128 = 0;
        let outer = self.depth;
        loop {
            self.space();
            match self.bytes.get(self.at) {
                Some(&bracket @ (b'{' | b'[')) => {
                    self.enter()?;
                    self.at += 1;
                    let object = bracket == b'{';
                    open = open << 1 | u128::from(object);
                    if self.close(if object { b'}' } else { b']' }) {
                        open >>= 1;
                    } else {
                        if object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                _ => self.skip_scalar()?,
            }
            // A value has ended: close what it closes.
            loop {
                if self.depth == outer {
                    return Ok(());
                }
                let object = open & 1 == 1;
                if self.comma_or(if object { b'}' } else { b']' })? {
                    if object {
                        self.key()?;
                    }
                    break;
                }
                open >>= 1;
            }
        }
    }

    /// Passes over a value that begins at this very byte and holds no others.
    fn skip_scalar(&mut self) -> Result<()> {
        match self.bytes.get(self.at) {
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            Some(_) => self.fail("expected a value"),
            None => self.fail("unexpected end"),
        }
    }

    fn number(&mut self) -> Result<()> {
        if self.bytes[self.at] == b'-' {
            self.at += 1;
        }
        match self.bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return self.fail("invalid number"),
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.bytes.get(self.at) {
            self.at += 1;
        }
        if self.at == start { self.fail("invalid number") } else { Ok(()) }
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<()> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        if word.starts_with(rest) {
            self.at = self.bytes.len();
            return self.fail("unexpected end");
        }
        self.fail("expected a value")
    }
}
