//! The search in blocks, for x86-64: 64 bytes with AVX2 where the processor
//! has it, 16 with SSE2, which they all have.

#![expect(unsafe_code, reason = "vector registers and run-time dispatch; argued at each block")]

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    __m128i, __m256i, _mm_cmpeq_epi8, _mm_cmplt_epi8, _mm_movemask_epi8, _mm_or_si128,
    _mm_set1_epi8, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_movemask_epi8,
    _mm256_set1_epi8, _mm256_setr_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_srli_epi16,
};
use std::mem;

use super::{PAIR_LEN, Result, StringEnd, control, escape_len, find_end_by_bytes};

/// Finds the end, looking at one short block before anything else: most
/// strings are keys and end there.
#[inline]
pub(super) fn find_end(bytes: &[u8], from: usize) -> Result<StringEnd> {
    if let Some(block) = bytes.get(from..).and_then(|rest| rest.first_chunk()) {
        // SAFETY: SSE2 is part of x86-64.
        if let Some(len) = unsafe { plain_len(block) } {
            return Ok(StringEnd { quote: from + len, non_ascii: false });
        }
    }
    if has_avx2() {
        // SAFETY: the processor has what it takes, as was just asked.
        unsafe { find_end_avx2(bytes, from) }
    } else {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { find_end_sse2(bytes, from) }
    }
}

/// Whether the processor has AVX2 and the bit instructions of the same age;
/// asked once, then remembered.
#[inline]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
}

/// One bit for each byte of a block, the first byte lowest.
struct Masks {
    quote: u64,
    slash: u64,
    /// Below 0x20.
    control: u64,
    /// Above 0x7F.
    high: u64,
}

/// A search that has come to `at`.
struct Search<'a> {
    bytes: &'a [u8],
    at: usize,
    non_ascii: bool,
    /// 1 if the byte at `at` is escaped by the one before it.
    escaped: u64,
}

impl<'a> Search<'a> {
    fn new(bytes: &'a [u8], from: usize) -> Search<'a> {
        Search { bytes, at: from, non_ascii: false, escaped: 0 }
    }

    /// The next block, if that many bytes are left.
    #[inline]
    fn block<const LEN: usize>(&self) -> Option<&'a [u8; LEN]> {
        self.bytes.get(self.at..).and_then(|rest| rest.first_chunk())
    }

    /// Takes in the next block, `len` bytes long; returns the closing quote if
    /// it is there. `simple` marks the bytes that end an escape of two bytes.
    #[inline]
    fn step(
        &mut self,
        masks: &Masks,
        len: u32,
        simple: impl FnOnce() -> u64,
    ) -> Result<Option<usize>> {
        if masks.slash | self.escaped == 0 {
            let stop = masks.quote | masks.control;
            if stop == 0 {
                self.pass(masks, len);
                return Ok(None);
            }
            return self.stop(masks, stop.trailing_zeros()).map(Some);
        }
        let (escaped, carry) = escaped(masks.slash, self.escaped, len);
        let end = masks.quote & !escaped;
        let mut trouble = masks.control & !escaped | escaped & !simple();
        loop {
            let stop = end | trouble;
            if stop == 0 {
                self.pass(masks, len);
                self.escaped = carry;
                return Ok(None);
            }
            let first = stop.trailing_zeros();
            if escaped & lowest(stop) == 0 {
                return self.stop(masks, first).map(Some);
            }
            // Either `\u`, of which the digits are plain text to the block, or
            // an error. Only the second half of a pair must not be met alone.
            let slash = self.at + first as usize - 1;
            if escape_len(self.bytes, slash)? == PAIR_LEN {
                self.non_ascii |= masks.high & below(first) != 0;
                self.at = slash + PAIR_LEN;
                self.escaped = 0;
                return Ok(None);
            }
            trouble &= !lowest(stop);
        }
    }

    #[inline]
    fn pass(&mut self, masks: &Masks, len: u32) {
        self.non_ascii |= masks.high != 0;
        self.at += len as usize;
    }

    /// Ends at byte `first` of the block: a closing quote or a control character.
    #[inline]
    fn stop(&mut self, masks: &Masks, first: u32) -> Result<usize> {
        self.non_ascii |= masks.high & below(first) != 0;
        let at = self.at + first as usize;
        if masks.quote >> first & 1 == 1 { Ok(at) } else { control(self.bytes, at) }
    }

    #[inline]
    fn end(&self, quote: usize) -> StringEnd {
        StringEnd { quote, non_ascii: self.non_ascii }
    }

    /// Looks at what is left, less than a short block.
    fn finish(&self) -> Result<StringEnd> {
        let from = self.at - usize::from(self.escaped == 1);
        find_end_by_bytes(self.bytes, from, self.non_ascii)
    }
}

#[target_feature(enable = "avx2,bmi1,bmi2")]
fn find_end_avx2(bytes: &[u8], from: usize) -> Result<StringEnd> {
    let mut search = Search::new(bytes, from);
    while let Some(block) = search.block::<64>() {
        let masks = masks_64(block);
        if let Some(quote) = search.step(&masks, 64, || simple_64(block))? {
            return Ok(search.end(quote));
        }
    }
    finish_sse2(search)
}

#[target_feature(enable = "sse2")]
fn find_end_sse2(bytes: &[u8], from: usize) -> Result<StringEnd> {
    finish_sse2(Search::new(bytes, from))
}

#[target_feature(enable = "sse2")]
fn finish_sse2(mut search: Search<'_>) -> Result<StringEnd> {
    while let Some(block) = search.block::<16>() {
        let masks = masks_16(block);
        if let Some(quote) = search.step(&masks, 16, || simple_16(block))? {
            return Ok(search.end(quote));
        }
    }
    search.finish()
}

/// Marks the bytes that a backslash escapes, and says whether the byte behind
/// the block is one of them. `carry` is 1 if the first byte is.
///
/// A run of backslashes escapes what follows it if its length is odd. Adding
/// to the runs that begin at even places carries through to their ends, so
/// that the parity of an end tells the parity of the length.
#[inline]
fn escaped(slash: u64, carry: u64, len: u32) -> (u64, u64) {
    const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
    let starts = slash & !carry;
    let candidates = starts << 1 | ODD;
    let ends = candidates.wrapping_sub(starts) ^ ODD;
    let escaped = ends ^ (slash | carry);
    let escaping = ends & slash;
    (escaped & below(len), escaping >> (len - 1) & 1)
}

/// The bits below bit `n`, which may be 64.
#[inline]
fn below(n: u32) -> u64 {
    1_u64.checked_shl(n).unwrap_or(0).wrapping_sub(1)
}

#[inline]
fn lowest(mask: u64) -> u64 {
    mask & mask.wrapping_neg()
}

#[inline]
fn register(block: &[u8; 16]) -> __m128i {
    // SAFETY: both types are 16 bytes, and any of them are valid in both.
    unsafe { mem::transmute::<[u8; 16], __m128i>(*block) }
}

/// Returns the place of the first quote, if nothing but plain ASCII is before it.
#[inline]
#[target_feature(enable = "sse2")]
fn plain_len(block: &[u8; 16]) -> Option<usize> {
    let bytes = register(block);
    let quote = bits_16(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"'.cast_signed())));
    let slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\'.cast_signed()));
    let odd = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));
    // With no quote, the bits below it are all bits: one is set behind the block.
    let others = bits_16(_mm_or_si128(slash, odd)) | 1 << 16;
    (others & below(quote.trailing_zeros()) == 0).then_some(quote.trailing_zeros() as usize)
}

#[inline]
#[target_feature(enable = "sse2")]
fn masks_16(block: &[u8; 16]) -> Masks {
    let bytes = register(block);
    let equal = |byte: u8| bits_16(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed())));
    // Signed, so that bytes above 0x7F are below the space as well.
    let odd = bits_16(_mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)));
    let high = if odd == 0 { 0 } else { bits_16(bytes) };
    Masks { quote: equal(b'"'), slash: equal(b'\\'), control: odd & !high, high }
}

/// Marks the bytes that end an escape of two bytes. Without a shuffle, which
/// SSE2 has not, by eight comparisons.
#[inline]
#[target_feature(enable = "sse2")]
fn simple_16(block: &[u8; 16]) -> u64 {
    let bytes = register(block);
    let equal = |byte: u8| _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed()));
    let any = b"\\/bfnrt".iter().fold(equal(b'"'), |any, byte| _mm_or_si128(any, equal(*byte)));
    bits_16(any)
}

#[inline]
#[target_feature(enable = "sse2")]
fn bits_16(bytes: __m128i) -> u64 {
    u64::from(_mm_movemask_epi8(bytes).cast_unsigned())
}

#[inline]
#[target_feature(enable = "avx2")]
fn registers(block: &[u8; 64]) -> [__m256i; 2] {
    // SAFETY: both types are 64 bytes, and any of them are valid in both.
    unsafe { mem::transmute::<[u8; 64], [__m256i; 2]>(*block) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn masks_64(block: &[u8; 64]) -> Masks {
    let halves = registers(block);
    let quote = _mm256_set1_epi8(b'"'.cast_signed());
    let slash = _mm256_set1_epi8(b'\\'.cast_signed());
    let space = _mm256_set1_epi8(0x20);
    let odd = bits_64(halves.map(|half| _mm256_cmpgt_epi8(space, half)));
    let high = if odd == 0 { 0 } else { bits_64(halves) };
    Masks {
        quote: bits_64(halves.map(|half| _mm256_cmpeq_epi8(half, quote))),
        slash: bits_64(halves.map(|half| _mm256_cmpeq_epi8(half, slash))),
        control: odd & !high,
        high,
    }
}

/// Marks the bytes that end an escape of two bytes.
///
/// Each such byte is told by its two nibbles: the table of the high ones gives
/// a bit to each of 2, 5, 6 and 7, the table of the low ones says which of
/// these go with it. The shuffle gives zero for bytes above 0x7F.
#[inline]
#[target_feature(enable = "avx2")]
fn simple_64(block: &[u8; 64]) -> u64 {
    // 2: `"` `/`; 5: `\`; 6: `b` `f` `n`; 7: `r` `t`.
    const N2: i8 = 1;
    const N5: i8 = 2;
    const N6: i8 = 4;
    const N7: i8 = 8;
    const LOW_2: i8 = N2 | N6 | N7;
    #[rustfmt::skip]
    let low = _mm256_setr_epi8(
        0, 0, LOW_2, 0, N7, 0, N6, 0, 0, 0, 0, 0, N5, 0, N6, N2,
        0, 0, LOW_2, 0, N7, 0, N6, 0, 0, 0, 0, 0, N5, 0, N6, N2,
    );
    #[rustfmt::skip]
    let high = _mm256_setr_epi8(
        0, 0, N2, 0, 0, N5, N6, N7, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, N2, 0, 0, N5, N6, N7, 0, 0, 0, 0, 0, 0, 0, 0,
    );
    let nibble = _mm256_set1_epi8(0x0F);
    let others = registers(block).map(|half| {
        let of_low = _mm256_shuffle_epi8(low, half);
        let high_nibbles = _mm256_and_si256(_mm256_srli_epi16::<4>(half), nibble);
        let of_high = _mm256_shuffle_epi8(high, high_nibbles);
        _mm256_cmpeq_epi8(_mm256_and_si256(of_low, of_high), _mm256_setzero_si256())
    });
    !bits_64(others)
}

#[inline]
#[target_feature(enable = "avx2")]
fn bits_64([first, second]: [__m256i; 2]) -> u64 {
    let bits = |half| u64::from(_mm256_movemask_epi8(half).cast_unsigned());
    bits(first) | bits(second) << 32
}

/// A way of searching.
#[cfg(test)]
pub(super) type Finder = fn(&[u8], usize) -> Result<StringEnd>;

/// The ways of searching that `find_end` chooses from.
#[cfg(test)]
pub(super) fn finders() -> Vec<(&'static str, Finder)> {
    fn avx2(bytes: &[u8], from: usize) -> Result<StringEnd> {
        // SAFETY: listed below only where the processor has AVX2.
        unsafe { find_end_avx2(bytes, from) }
    }
    fn sse2(bytes: &[u8], from: usize) -> Result<StringEnd> {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { find_end_sse2(bytes, from) }
    }
    let mut finders: Vec<(_, Finder)> = vec![("sse2", sse2)];
    if has_avx2() {
        finders.push(("avx2", avx2));
    }
    finders
}
