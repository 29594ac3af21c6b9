use std::io::{self, Write};

use flate2::Compression as Level;
use flate2::write::GzEncoder;
use zstd::stream::write::Encoder;

use crate::transport::Compression;

/// How hard to try: the line is seldom slower than one core, so that a history is sent
/// as fast as it is made.
const FAST: (Level, i32) = (Level::fast(), 1);

/// How hard to try with little, such as a turn that has just ended: it takes no more
/// than some milliseconds, and the body is up to a third smaller.
const SMALL: (Level, i32) = (Level::new(6), 6);

/// What is little, in bytes.
const LITTLE: usize = 512 << 10;

/// Compresses a request body that is given in parts of `len` bytes in all, and appends
/// it to `out`.
///
/// # Panics
///
/// If memory cannot be written to, which is to say never.
pub fn compress<'b>(
    parts: impl Iterator<Item = &'b [u8]>,
    len: usize,
    how: Compression,
    out: Vec<u8>,
) -> Vec<u8> {
    let (gzip, zstd) = if len <= LITTLE { SMALL } else { FAST };
    let packed = match how {
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(out, gzip);
            feed(&mut encoder, parts).and_then(|()| encoder.finish())
        }
        Compression::Zstd => Encoder::new(out, zstd).and_then(|mut encoder| {
            encoder.set_pledged_src_size(Some(len as u64))?;
            feed(&mut encoder, parts)?;
            encoder.finish()
        }),
    };
    packed.expect("a vector takes everything")
}

fn feed<'b>(to: &mut impl Write, parts: impl Iterator<Item = &'b [u8]>) -> io::Result<()> {
    parts.into_iter().try_for_each(|part| to.write_all(part))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::iter;

    use super::*;

    #[test]
    fn comes_back_whole() {
        for body in [Vec::new(), b"abc".to_vec(), vec![b'x'; 1 << 20]] {
            let mut gzip = Vec::new();
            let packed = |how| compress(body.chunks(1000), body.len(), how, Vec::new());
            let gzipped = packed(Compression::Gzip);
            flate2::read::GzDecoder::new(gzipped.as_slice()).read_to_end(&mut gzip).unwrap();
            assert_eq!(gzip, body);
            let zipped = packed(Compression::Zstd);
            assert_eq!(zstd::bulk::decompress(&zipped, 2 << 20).unwrap(), body);
        }
    }

    /// A list of numbers, so that a harder try finds more.
    fn numbers(len: usize) -> Vec<u8> {
        let mut text: Vec<u8> =
            (0..len as u64 / 4).flat_map(|n| format!("{},", n * n).into_bytes()).collect();
        text.truncate(len);
        text
    }

    #[test]
    fn little_is_compressed_harder_than_much() {
        for (len, levels) in [(LITTLE, (6, 6)), (LITTLE + 1, (1, 1))] {
            let body = numbers(len);
            let packed = |how| compress(iter::once(&body[..]), len, how, Vec::new());
            let mut gzip = GzEncoder::new(Vec::new(), Level::new(levels.0));
            gzip.write_all(&body).unwrap();
            assert_eq!(packed(Compression::Gzip), gzip.finish().unwrap(), "{len}");
            let mut zstd = Encoder::new(Vec::new(), levels.1).unwrap();
            zstd.set_pledged_src_size(Some(len as u64)).unwrap();
            zstd.write_all(&body).unwrap();
            assert_eq!(packed(Compression::Zstd), zstd.finish().unwrap(), "{len}");
        }
    }
}
