//! Packs text for a block of the page: gzip, then base64, in pieces.

use std::io::{Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

/// Text being packed. What comes out is the same however it was cut.
pub(super) struct Packer {
    gzip: GzEncoder<Vec<u8>>,
}

impl Packer {
    pub(super) fn new() -> Packer {
        Packer { gzip: GzEncoder::new(Vec::new(), Compression::default()) }
    }

    /// Takes what is in `text`.
    pub(super) fn take(&mut self, text: &mut Vec<u8>) {
        self.gzip.write_all(text).expect("memory takes everything");
        text.clear();
    }

    /// Appends what is packed so far, as far as base64 can be cut.
    pub(super) fn drain(&mut self, out: &mut Vec<u8>) {
        let packed = self.gzip.get_mut();
        let whole = packed.len() - packed.len() % 3;
        encode(&packed[..whole], out);
        packed.drain(..whole);
    }

    /// Appends the rest.
    pub(super) fn finish(self, out: &mut Vec<u8>) {
        encode(&self.gzip.finish().expect("memory takes everything"), out);
    }
}

/// Returns the text of a part of the page that the program keeps in gzip.
pub(super) fn unpacked(packed: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(packed).read_to_string(&mut text).expect("what the program holds is whole");
    text
}

fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    STANDARD.encode_slice(bytes, &mut out[start..]).expect("there is room for it");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_cut_it_is_the_text_again() {
        let text: Vec<String> = (0..20_000).map(|n| (n * n % 977).to_string()).collect();
        let text = text.join(" ");
        for cut in [1_000, 7_777, 1 << 20] {
            let (mut packer, mut out) = (Packer::new(), Vec::new());
            for piece in text.as_bytes().chunks(cut) {
                packer.take(&mut piece.to_vec());
                packer.drain(&mut out);
            }
            packer.finish(&mut out);
            let packed = STANDARD.decode(&out).unwrap();
            let mut unpacked = String::new();
            flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut unpacked).unwrap();
            assert!(unpacked == text, "{cut}");
        }
    }
}
