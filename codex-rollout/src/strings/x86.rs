//! The search in blocks, for x86-64: 64 bytes with AVX-512 or AVX2 where the
//! processor has them, 16 with SSE2, which they all have.

#![expect(unsafe_code, reason = "vector registers and run-time dispatch; argued at each block")]

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _MM_HINT_T0, _mm_cmpeq_epi8, _mm_cmplt_epi8, _mm_movemask_epi8,
    _mm_or_si128, _mm_prefetch, _mm_set1_epi8, _mm_setr_epi8, _mm256_and_si256,
    _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_movemask_epi8,
    _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16,
    _mm512_and_si512, _mm512_broadcast_i32x4, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask,
    _mm512_movepi8_mask, _mm512_set1_epi8, _mm512_shuffle_epi8, _mm512_srli_epi16,
    _mm512_test_epi8_mask,
};
use std::mem;

use super::{PAIR_LEN, Result, StringEnd, control, escape_len, find_end_by_bytes};
use crate::text::hex4;

/// How many short blocks are looked at first: ids end in them.
const SHORT_BLOCKS: usize = 3;

/// Finds the end, looking at a few short blocks before anything else: most
/// strings are keys and ids, and end there.
#[inline]
pub(super) fn find_end(bytes: &[u8], from: usize) -> Result<StringEnd> {
    let mut at = from;
    for _ in 0..SHORT_BLOCKS {
        let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else { break };
        // SAFETY: SSE2 is part of x86-64.
        match unsafe { plain_len(block) } {
            Some(16) => at += 16,
            Some(len) => return Ok(StringEnd { quote: at + len, non_ascii: false }),
            None => break,
        }
    }
    find_far_end(bytes, at)
}

/// Finds the end in long blocks.
fn find_far_end(bytes: &[u8], from: usize) -> Result<StringEnd> {
    if has_avx512() {
        // SAFETY: the processor has what it takes, as was just asked.
        unsafe { find_end_avx512(bytes, from) }
    } else if has_avx2() {
        // SAFETY: the processor has what it takes, as was just asked.
        unsafe { find_end_avx2(bytes, from) }
    } else {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { find_end_sse2(bytes, from) }
    }
}

/// Whether the processor has AVX-512 for bytes and the bit instructions of the
/// same age; asked once, then remembered. Not so where a build says to leave it
/// alone, to test what other processors do.
#[inline]
fn has_avx512() -> bool {
    cfg!(not(any(codex_trace_simd = "avx2", codex_trace_simd = "sse2")))
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
}

/// Whether the processor has AVX2 and the bit instructions of the same age;
/// asked once, then remembered.
#[inline]
fn has_avx2() -> bool {
    cfg!(not(codex_trace_simd = "sse2"))
        && is_x86_feature_detected!("avx2")
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
    /// What ends an escape of two bytes.
    simple: u64,
}

/// A search that has come to `at`.
struct Search<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Not zero if a byte above 0x7F was passed over.
    high: u64,
    /// 1 if the byte at `at` is escaped by the one before it.
    escaped: u64,
}

impl<'a> Search<'a> {
    fn new(bytes: &'a [u8], from: usize) -> Search<'a> {
        Search { bytes, at: from, high: 0, escaped: 0 }
    }

    /// The next block, if that many bytes are left.
    #[inline]
    fn block<const LEN: usize>(&self) -> Option<&'a [u8; LEN]> {
        self.bytes.get(self.at..).and_then(|rest| rest.first_chunk())
    }

    /// Takes in the next block, `LEN` bytes long; returns the closing quote if
    /// it is there.
    ///
    /// Most blocks of a text hold some escape, and which ones is anybody's
    /// guess: all are treated alike, which costs less than guessing wrong.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "else the state leaves its registers at every block")]
    fn step<const LEN: u32>(&mut self, masks: &Masks) -> Result<Option<usize>> {
        let (escaped, carry) = escaped(masks.slash, self.escaped, LEN);
        let end = masks.quote & !escaped;
        let mut stop = end | masks.control | escaped & !masks.simple;
        if stop != 0 && end & stop & stop.wrapping_neg() == 0 {
            match check(self.bytes, self.at, escaped, stop)? {
                Checked::Stop(left) => stop = left,
                Checked::Pair(first) => {
                    self.high |= masks.high & below(first);
                    self.at = self.at + first as usize - 1 + PAIR_LEN;
                    self.escaped = 0;
                    return Ok(None);
                }
            }
        }
        if stop != 0 {
            self.high |= masks.high & below(stop.trailing_zeros());
            return Ok(Some(self.at + stop.trailing_zeros() as usize));
        }
        self.high |= masks.high;
        self.at += LEN as usize;
        self.escaped = carry;
        Ok(None)
    }

    #[inline]
    fn end(&self, quote: usize) -> StringEnd {
        StringEnd { quote, non_ascii: self.high != 0 }
    }

    /// Looks at what is left, less than a short block.
    fn finish(&self) -> Result<StringEnd> {
        let from = self.at - usize::from(self.escaped == 1);
        find_end_by_bytes(self.bytes, from, self.high != 0)
    }
}

/// Has the processor fetch what comes a kibibyte behind `block`: of a file that
/// was read in one go, only the end is near. A hint, which may point anywhere.
#[inline]
#[target_feature(enable = "sse")]
fn announce(block: &[u8; 64]) {
    _mm_prefetch::<_MM_HINT_T0>(block.as_ptr().wrapping_add(1024).cast());
}

#[target_feature(enable = "avx512bw,bmi1,bmi2")]
fn find_end_avx512(bytes: &[u8], from: usize) -> Result<StringEnd> {
    let mut search = Search::new(bytes, from);
    while let Some(block) = search.block() {
        announce(block);
        if let Some(quote) = search.step::<64>(&masks_512(block))? {
            return Ok(search.end(quote));
        }
    }
    finish_sse2(search)
}

#[target_feature(enable = "avx2,bmi1,bmi2")]
fn find_end_avx2(bytes: &[u8], from: usize) -> Result<StringEnd> {
    let mut search = Search::new(bytes, from);
    while let Some(block) = search.block() {
        announce(block);
        if let Some(quote) = search.step::<64>(&masks_256(block))? {
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
    while let Some(block) = search.block() {
        if let Some(quote) = search.step::<16>(&masks_128(block))? {
            return Ok(search.end(quote));
        }
    }
    search.finish()
}

/// What was found at the marked bytes of a block.
enum Checked {
    /// Nothing wrong before the first mark that is left, a closing quote.
    Stop(u64),
    /// Two escapes that make one character; the `u` of the first is this byte.
    Pair(u32),
}

/// Looks at the bytes of the block at `at` that `stop` marks, one after the
/// other: what is no closing quote is a `\u`, of which the digits are plain
/// text to the block, or wrong. Only the second half of a pair must not be met
/// alone.
#[inline(never)]
fn check(bytes: &[u8], at: usize, escaped: u64, mut stop: u64) -> Result<Checked> {
    while stop != 0 {
        let first = stop.trailing_zeros();
        let place = at + first as usize;
        if stop & stop.wrapping_neg() & escaped == 0 {
            return if bytes[place] == b'"' {
                Ok(Checked::Stop(stop))
            } else {
                control(bytes, place)
            };
        }
        if !is_lone_unit(bytes, place) && escape_len(bytes, place - 1)? == PAIR_LEN {
            return Ok(Checked::Pair(first));
        }
        stop &= stop - 1;
    }
    Ok(Checked::Stop(0))
}

/// Whether the `u` of a well-formed escape that makes a character alone, as
/// nearly all do, is at `at`.
#[inline]
fn is_lone_unit(bytes: &[u8], at: usize) -> bool {
    let Some([b'u', digits @ ..]) = bytes.get(at..).and_then(|rest| rest.first_chunk::<5>()) else {
        return false;
    };
    hex4(*digits).is_some_and(|unit| unit & 0xF800 != 0xD800)
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
fn register(block: &[u8; 16]) -> __m128i {
    // SAFETY: both types are 16 bytes, and any of them are valid in both.
    unsafe { mem::transmute::<[u8; 16], __m128i>(*block) }
}

/// Returns how many bytes there are before the first quote, or all if there is
/// none, if they are nothing but plain ASCII.
#[inline]
#[target_feature(enable = "sse2")]
fn plain_len(block: &[u8; 16]) -> Option<usize> {
    let bytes = register(block);
    let quote = bits_128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"'.cast_signed()))) | 1 << 16;
    let slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\'.cast_signed()));
    let odd = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));
    let others = bits_128(_mm_or_si128(slash, odd));
    (others & below(quote.trailing_zeros()) == 0).then_some(quote.trailing_zeros() as usize)
}

#[inline]
#[target_feature(enable = "sse2")]
fn masks_128(block: &[u8; 16]) -> Masks {
    let bytes = register(block);
    let equal = |byte: u8| _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed()));
    let (quote, slash) = (equal(b'"'), equal(b'\\'));
    // Without a shuffle, which SSE2 has not, by eight comparisons.
    let others = b"/bfnrt".iter().map(|byte| equal(*byte));
    let simple = others.fold(_mm_or_si128(quote, slash), |any, one| _mm_or_si128(any, one));
    // Signed, so that bytes above 0x7F are below the space as well.
    let odd = bits_128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)));
    let high = bits_128(bytes);
    Masks {
        quote: bits_128(quote),
        slash: bits_128(slash),
        control: odd & !high,
        high,
        simple: bits_128(simple),
    }
}

#[inline]
#[target_feature(enable = "sse2")]
fn bits_128(bytes: __m128i) -> u64 {
    u64::from(_mm_movemask_epi8(bytes).cast_unsigned())
}

/// Two tables that mark the bytes which end an escape of two bytes.
///
/// Each such byte is told by its two nibbles: the table of the high ones gives
/// a bit to each of 2, 5, 6 and 7, the table of the low ones says which of
/// these go with it. The shuffle gives zero for bytes above 0x7F.
#[inline]
#[target_feature(enable = "sse2")]
fn simple_tables() -> [__m128i; 2] {
    // 2: `"` `/`; 5: `\`; 6: `b` `f` `n`; 7: `r` `t`.
    const N2: i8 = 1;
    const N5: i8 = 2;
    const N6: i8 = 4;
    const N7: i8 = 8;
    const LOW_2: i8 = N2 | N6 | N7;
    #[rustfmt::skip]
    let low = _mm_setr_epi8(
        0, 0, LOW_2, 0, N7, 0, N6, 0, 0, 0, 0, 0, N5, 0, N6, N2,
    );
    #[rustfmt::skip]
    let high = _mm_setr_epi8(
        0, 0, N2, 0, 0, N5, N6, N7, 0, 0, 0, 0, 0, 0, 0, 0,
    );
    [low, high]
}

#[inline]
#[target_feature(enable = "avx2")]
fn masks_256(block: &[u8; 64]) -> Masks {
    // SAFETY: both types are 64 bytes, and any of them are valid in both.
    let halves = unsafe { mem::transmute::<[u8; 64], [__m256i; 2]>(*block) };
    let quote = _mm256_set1_epi8(b'"'.cast_signed());
    let slash = _mm256_set1_epi8(b'\\'.cast_signed());
    let space = _mm256_set1_epi8(0x20);
    let nibble = _mm256_set1_epi8(0x0F);
    let [low, high] = simple_tables().map(|table| _mm256_broadcastsi128_si256(table));
    let other = halves.map(|half| {
        let of_low = _mm256_shuffle_epi8(low, half);
        let of_high =
            _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16::<4>(half), nibble));
        _mm256_cmpeq_epi8(_mm256_and_si256(of_low, of_high), _mm256_setzero_si256())
    });
    let odd = bits_256(halves.map(|half| _mm256_cmpgt_epi8(space, half)));
    let high = bits_256(halves);
    Masks {
        quote: bits_256(halves.map(|half| _mm256_cmpeq_epi8(half, quote))),
        slash: bits_256(halves.map(|half| _mm256_cmpeq_epi8(half, slash))),
        control: odd & !high,
        high,
        simple: !bits_256(other),
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn bits_256([first, second]: [__m256i; 2]) -> u64 {
    let bits = |half| u64::from(_mm256_movemask_epi8(half).cast_unsigned());
    bits(first) | bits(second) << 32
}

#[inline]
#[target_feature(enable = "avx512bw")]
fn masks_512(block: &[u8; 64]) -> Masks {
    // SAFETY: both types are 64 bytes, and any of them are valid in both.
    let bytes = unsafe { mem::transmute::<[u8; 64], __m512i>(*block) };
    let equal = |byte: u8| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte.cast_signed()));
    let [low, high] = simple_tables().map(|table| _mm512_broadcast_i32x4(table));
    let high_nibbles = _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), _mm512_set1_epi8(0x0F));
    Masks {
        quote: equal(b'"'),
        slash: equal(b'\\'),
        control: _mm512_cmplt_epu8_mask(bytes, _mm512_set1_epi8(0x20)),
        high: _mm512_movepi8_mask(bytes),
        simple: _mm512_test_epi8_mask(
            _mm512_shuffle_epi8(low, bytes),
            _mm512_shuffle_epi8(high, high_nibbles),
        ),
    }
}

/// A way of searching.
#[cfg(test)]
pub(super) type Finder = fn(&[u8], usize) -> Result<StringEnd>;

/// The ways of searching that `find_end` chooses from.
#[cfg(test)]
pub(super) fn finders() -> Vec<(&'static str, Finder)> {
    fn avx512(bytes: &[u8], from: usize) -> Result<StringEnd> {
        // SAFETY: listed below only where the processor has AVX-512.
        unsafe { find_end_avx512(bytes, from) }
    }
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
    if has_avx512() {
        finders.push(("avx512", avx512));
    }
    finders
}
