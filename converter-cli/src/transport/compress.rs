use std::io::Write;

use flate2::Compression as Level;
use flate2::write::GzEncoder;

use crate::transport::Compression;

/// The fastest level worth having: the line is seldom slower than one core.
const ZSTD_LEVEL: i32 = 1;

/// Compresses a request body, fast rather than small.
///
/// # Panics
///
/// If memory cannot be written to, which is to say never.
pub fn compress(body: &[u8], how: Compression) -> Vec<u8> {
    match how {
        Compression::Gzip => {
            let mut out = GzEncoder::new(Vec::with_capacity(body.len() / 4), Level::fast());
            out.write_all(body).and_then(|()| out.finish()).expect("a vector takes everything")
        }
        Compression::Zstd => {
            zstd::bulk::compress(body, ZSTD_LEVEL).expect("a vector takes everything")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn comes_back_whole() {
        for body in [Vec::new(), b"abc".to_vec(), vec![b'x'; 1 << 20]] {
            let mut gzip = Vec::new();
            let packed = compress(&body, Compression::Gzip);
            flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut gzip).unwrap();
            assert_eq!(gzip, body);
            let packed = compress(&body, Compression::Zstd);
            assert_eq!(zstd::bulk::decompress(&packed, 2 << 20).unwrap(), body);
        }
    }
}
