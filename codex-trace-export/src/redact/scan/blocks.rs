//! The scan in blocks of 64 bytes, for x86-64 with AVX2 or AVX-512.
//!
//! The triggers are dealt out to buckets. For each of the first four bytes of a
//! trigger, tables say by parts of the byte which buckets have one like it there.
//! What is in one bucket at all four places could be one of its triggers. Most of
//! what is not is known by its first bytes; the rest is compared byte by byte.

#![expect(unsafe_code, reason = "vector registers and run-time dispatch; argued at each block")]

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8,
    _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_srli_epi16, _mm512_and_si512, _mm512_or_si512,
    _mm512_permutexvar_epi8, _mm512_set1_epi8, _mm512_setzero_si512, _mm512_test_epi8_mask,
};
use std::mem;
use std::ops::Range;

use super::buckets::{self, HEAD, N_TABLES, Tables};
use super::{Hit, SHORTEST, Trigger};

/// How many places are looked at together.
const BLOCK: usize = 64;

/// What a block takes: a trigger may begin at its last byte.
const WINDOW: usize = BLOCK + HEAD - 1;

/// What the processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Avx2,
    Avx512,
}

impl Level {
    /// Returns the levels that this processor has, the best last; not those that
    /// a build says to leave alone, to test what other processors do.
    pub(super) fn all() -> impl Iterator<Item = Level> {
        let has_avx2 = cfg!(not(codex_trace_simd = "sse2")) && is_x86_feature_detected!("avx2");
        let avx2 = has_avx2.then_some(Level::Avx2);
        let has_avx512 = cfg!(not(any(codex_trace_simd = "avx2", codex_trace_simd = "sse2")))
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vbmi");
        let avx512 = has_avx512.then_some(Level::Avx512);
        avx2.into_iter().chain(avx512)
    }
}

/// The first bytes of all triggers: a bit for each of some thousand kinds.
#[derive(Debug)]
struct Heads([u64; 1 << (Heads::BITS - 6)]);

impl Heads {
    const BITS: u32 = 13;

    fn of(triggers: &[Trigger]) -> Heads {
        let mut heads = Heads([0; 1 << (Heads::BITS - 6)]);
        for trigger in triggers {
            let kind = Heads::kind(*trigger.text.as_bytes().first_chunk().expect("it is longer"));
            heads.0[kind / 64] |= 1 << (kind % 64);
        }
        heads
    }

    #[inline]
    fn kind([first, second, third]: [u8; SHORTEST]) -> usize {
        let bytes = u32::from_le_bytes([first, second, third, 0]);
        // By an odd number of many bits, the upper bits come from all of them.
        (bytes.wrapping_mul(0x9E37_79B1) >> (u32::BITS - Heads::BITS)) as usize
    }

    /// Whether a trigger could begin like this.
    #[inline]
    fn has(&self, bytes: [u8; SHORTEST]) -> bool {
        let kind = Heads::kind(bytes);
        self.0[kind / 64] >> (kind % 64) & 1 == 1
    }

    /// Returns those places in a window where a trigger could begin.
    #[inline]
    fn keep(&self, window: &[u8; WINDOW], places: u64) -> u64 {
        let keep = |place: usize| {
            let bytes = window[place..].first_chunk().expect("a window is longer");
            u64::from(self.has(*bytes)) << (place % BLOCK)
        };
        // The first is looked at even if there is none, behind the block: one block in
        // six has one, which no processor foresees.
        let mut kept = keep(places.trailing_zeros() as usize) & places;
        let mut rest = places & places.wrapping_sub(1);
        while rest != 0 {
            kept |= keep(rest.trailing_zeros() as usize);
            rest &= rest - 1;
        }
        kept
    }
}

#[derive(Debug)]
pub(in crate::redact) struct Blocks {
    level: Level,
    tables: [Tables; N_TABLES],
    heads: Heads,
    /// In the order of their first bytes.
    triggers: Vec<Trigger>,
    /// Where in `triggers` those with a first byte are.
    places: [Range<usize>; 256],
}

impl Blocks {
    /// A scan for triggers of ASCII, at a level that this processor has.
    pub(super) fn new(level: Level, triggers: &[Trigger]) -> Blocks {
        let mut triggers = triggers.to_vec();
        triggers.sort_by_key(|trigger| trigger.text);
        let first = |trigger: &Trigger| usize::from(trigger.text.as_bytes()[0]);
        let places = std::array::from_fn(|byte| {
            let from = triggers.partition_point(|trigger| first(trigger) < byte);
            from..triggers.partition_point(|trigger| first(trigger) <= byte)
        });
        let (tables, heads) = (buckets::deal(&triggers), Heads::of(&triggers));
        Blocks { level, tables, heads, triggers, places }
    }

    /// Returns what it uses.
    #[cfg(all(test, not(debug_assertions)))]
    pub(super) fn level(&self) -> Level {
        self.level
    }

    pub(super) fn hits<'s>(&'s self, text: &'s [u8]) -> Hits<'s> {
        Hits { blocks: self, text, at: 0, places: 0, next: 0 }
    }

    /// Returns the first block at or after `at` with places where a trigger
    /// could begin, and a bit for each of them.
    #[inline]
    fn seek(&self, text: &[u8], at: usize) -> Option<(usize, u64)> {
        let (at, places) = self.seek_whole(text, at);
        if places != 0 {
            return Some((at, places));
        }
        // Shorter than what a block takes: two of them at most.
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let mut end = [0; BLOCK + WINDOW];
        end[..rest.len()].copy_from_slice(rest);
        let end = if rest.len() <= BLOCK { &end[..WINDOW] } else { &end };
        let (offset, places) = self.seek_whole(end, 0);
        (places != 0).then_some((at + offset, places))
    }

    /// As `seek`, but returns where whole blocks end, and no places, if there
    /// are none in them.
    #[inline]
    fn seek_whole(&self, text: &[u8], at: usize) -> (usize, u64) {
        match self.level {
            // SAFETY: made only for a processor that has it.
            Level::Avx2 => unsafe { seek_avx2(&self.tables, &self.heads, text, at) },
            // SAFETY: made only for a processor that has it.
            Level::Avx512 => unsafe { seek_avx512(&self.tables, &self.heads, text, at) },
        }
    }

    /// Returns the hit at a place, if there is one.
    fn hit(&self, text: &[u8]) -> Option<Hit> {
        let second = *text.get(1)?;
        let of_first = &self.triggers[self.places[usize::from(text[0])].clone()];
        let is_here = |it: &&Trigger| {
            let trigger = it.text.as_bytes();
            trigger[1] == second && text.starts_with(trigger)
        };
        of_first.iter().find(is_here).map(|trigger| trigger.hit)
    }
}

/// The hits in a text.
pub(in crate::redact) struct Hits<'s> {
    blocks: &'s Blocks,
    text: &'s [u8],
    /// The block that is looked at.
    at: usize,
    /// The places in it that are still to be looked at.
    places: u64,
    /// The block that comes after it.
    next: usize,
}

impl Hits<'_> {
    /// Returns how many places of the text are looked at closer.
    #[cfg(test)]
    pub(super) fn count_places(self) -> usize {
        let mut next = 0;
        let blocks = std::iter::from_fn(|| {
            let (at, places) = self.blocks.seek(self.text, next)?;
            next = at + BLOCK;
            Some(places.count_ones() as usize)
        });
        blocks.sum()
    }

    /// Returns the first hit at or after `from`, which must not go back.
    pub(super) fn next(&mut self, from: usize) -> Option<(usize, Hit)> {
        loop {
            while self.places != 0 {
                let place = self.at + self.places.trailing_zeros() as usize;
                self.places &= self.places - 1;
                if place < from || place >= self.text.len() {
                    continue;
                }
                if let Some(hit) = self.blocks.hit(&self.text[place..]) {
                    return Some((place, hit));
                }
            }
            (self.at, self.places) = self.blocks.seek(self.text, self.next.max(from))?;
            self.next = self.at + BLOCK;
        }
    }
}

/// By the lower six bits of each byte: as good as by two halves, in half the time.
#[target_feature(enable = "avx512bw,avx512vbmi")]
fn seek_avx512(
    tables: &[Tables; N_TABLES],
    heads: &Heads,
    text: &[u8],
    mut at: usize,
) -> (usize, u64) {
    // SAFETY: both types are 64 bytes, and any of them are valid in both.
    let register = |bytes: [u8; BLOCK]| unsafe { mem::transmute::<[u8; BLOCK], __m512i>(bytes) };
    let six = tables.each_ref().map(|tables| tables.six.map(register));
    while let Some(window) = text.get(at..).and_then(|rest| rest.first_chunk::<WINDOW>()) {
        let mut found = [_mm512_set1_epi8(-1); N_TABLES];
        for nth in 0..HEAD {
            let bytes = register(*window[nth..].first_chunk().expect("a window is longer"));
            for (six, found) in six.iter().zip(&mut found) {
                *found = _mm512_and_si512(*found, _mm512_permutexvar_epi8(bytes, six[nth]));
            }
        }
        let any =
            found.into_iter().fold(_mm512_setzero_si512(), |any, it| _mm512_or_si512(any, it));
        let places = heads.keep(window, _mm512_test_epi8_mask(any, any));
        if places != 0 {
            return (at, places);
        }
        at += BLOCK;
    }
    (at, 0)
}

#[target_feature(enable = "avx2")]
fn seek_avx2(
    tables: &[Tables; N_TABLES],
    heads: &Heads,
    text: &[u8],
    mut at: usize,
) -> (usize, u64) {
    while let Some(window) = text.get(at..).and_then(|rest| rest.first_chunk::<WINDOW>()) {
        let places = heads.keep(window, places_avx2(tables, window));
        if places != 0 {
            return (at, places);
        }
        at += BLOCK;
    }
    (at, 0)
}

#[inline]
#[target_feature(enable = "avx2")]
fn places_avx2(tables: &[Tables; N_TABLES], window: &[u8; WINDOW]) -> u64 {
    let nibble = _mm256_set1_epi8(0x0F);
    // Of each pair of tables, for both halves of the block.
    let mut found = [[_mm256_set1_epi8(-1); 2]; N_TABLES];
    for nth in 0..HEAD {
        let block: &[u8; BLOCK] = window[nth..].first_chunk().expect("a window is longer");
        // SAFETY: both types are 64 bytes, and any of them are valid in both.
        let halves = unsafe { mem::transmute::<[u8; BLOCK], [__m256i; 2]>(*block) };
        for (tables, found) in tables.iter().zip(&mut found) {
            let low = _mm256_broadcastsi128_si256(table_of(tables.low[nth]));
            let high = _mm256_broadcastsi128_si256(table_of(tables.high[nth]));
            for (bytes, found) in halves.iter().zip(found) {
                let lower =
                    if is_always_known(nth) { *bytes } else { _mm256_and_si256(*bytes, nibble) };
                let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(*bytes), nibble);
                let of_both = _mm256_and_si256(
                    _mm256_shuffle_epi8(low, lower),
                    _mm256_shuffle_epi8(high, upper),
                );
                *found = _mm256_and_si256(*found, of_both);
            }
        }
    }
    let places = |half: usize| {
        let zero = _mm256_setzero_si256();
        let any = found.iter().fold(zero, |any, it| _mm256_or_si256(any, it[half]));
        let none = _mm256_cmpeq_epi8(any, zero);
        u64::from(!_mm256_movemask_epi8(none).cast_unsigned())
    };
    places(0) | places(1) << 32
}

/// Whether every trigger has a byte in that place, which is then one of ASCII:
/// for others the shuffle gives zero without further ado.
const fn is_always_known(nth: usize) -> bool {
    nth < SHORTEST
}

fn table_of(bytes: [u8; 16]) -> __m128i {
    // SAFETY: both types are 16 bytes, and any of them are valid in both.
    unsafe { mem::transmute::<[u8; 16], __m128i>(bytes) }
}
