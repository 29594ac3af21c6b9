//! Ids that follow from a name: UUIDs of version 5.

use std::fmt;

use sha1::{Digest, Sha1};

/// A UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Uuid([u8; 16]);

impl Uuid {
    /// Takes the bytes of a UUID, as a namespace.
    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Uuid {
        Uuid(bytes)
    }

    /// Derives the id of a name in a namespace (RFC 9562, version 5). The name
    /// is given in parts, one after the other.
    pub(crate) fn v5(namespace: Uuid, name: &[&str]) -> Uuid {
        let mut hasher = Sha1::new();
        hasher.update(namespace.0);
        for part in name {
            hasher.update(part);
        }
        let digest = hasher.finalize();
        let mut id = std::array::from_fn(|nth| digest[nth]);
        id[6] = id[6] & 0x0f | 0x50;
        id[8] = id[8] & 0x3f | 0x80;
        Uuid(id)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, byte) in self.0.iter().enumerate() {
            if matches!(nth, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}
