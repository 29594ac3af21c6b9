//! Which triggers are looked for together.

use std::cmp::Reverse;

use super::Trigger;

/// How many bytes of a trigger tables tell of.
pub(super) const HEAD: usize = 4;

/// Sets of tables. With more of them a scan is slower, and looks closer less
/// often: for a hundred triggers, at one place in 400 with three, in 230 with two.
pub(super) const N_TABLES: usize = 3;

/// Buckets of one set of tables: a bit each.
const N_BUCKETS: usize = 8;

/// For eight buckets, and for each of the first bytes of a trigger: a bit for
/// every bucket that has such a byte there.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    /// By the lower half of the byte; says as much as `high` says, too.
    pub(super) low: [[u8; 16]; HEAD],
    /// By the upper half.
    pub(super) high: [[u8; 16]; HEAD],
    /// By the lower six bits.
    pub(super) six: [[u8; 64]; HEAD],
}

/// The bytes in one place of a bucket's triggers: their halves and their lower
/// six bits, a bit each.
#[derive(Clone, Copy, Debug, Default)]
struct Bytes {
    low: u16,
    high: u16,
    six: u64,
}

impl Bytes {
    const ANY: Bytes = Bytes { low: u16::MAX, high: u16::MAX, six: u64::MAX };

    fn of(byte: u8) -> Bytes {
        Bytes { low: 1 << (byte & 0xF), high: 1 << (byte >> 4), six: 1 << (byte & 0x3F) }
    }

    fn with(self, other: Bytes) -> Bytes {
        Bytes { low: self.low | other.low, high: self.high | other.high, six: self.six | other.six }
    }

    /// Roughly how many of a thousand bytes of a transcript have such halves.
    fn share(self) -> u32 {
        let of_high = |high: u8| bits(self.low).map(move |low| frequency(high << 4 | low));
        bits(self.high).flat_map(of_high).sum()
    }
}

/// Returns which bits are set, the lowest first.
fn bits(halves: u16) -> impl Iterator<Item = u8> {
    (0..16).filter(move |bit| halves >> bit & 1 == 1)
}

/// Roughly how many of a thousand bytes of a transcript are this one.
fn frequency(byte: u8) -> u32 {
    match byte {
        b' ' => 110,
        b'e' => 70,
        b't' => 55,
        b'a' | b'i' | b'n' | b'o' | b'r' | b's' => 45,
        b'c' | b'd' | b'l' | b'u' => 28,
        b'\\' | b'"' => 25,
        b'f' | b'g' | b'h' | b'm' | b'p' => 17,
        b'0'..=b'9' | b'_' | b'-' | b'.' | b'/' | b':' | b',' => 12,
        b'a'..=b'z' => 10,
        b'A'..=b'Z' => 4,
        _ => 2,
    }
}

type Bucket = [Bytes; HEAD];

/// Deals triggers out to buckets, such that ordinary text is seldom in one of
/// them: each goes to where it adds the least, the likeliest first.
pub(super) fn deal(triggers: &[Trigger]) -> [Tables; N_TABLES] {
    let mut buckets = [[Bytes::default(); HEAD]; N_TABLES * N_BUCKETS];
    let mut heads: Vec<Bucket> = triggers.iter().map(head).collect();
    heads.sort_by_key(|head| (Reverse(chance(head)), head.map(|bytes| bytes.low)));
    for head in heads {
        let costs = buckets.iter().map(|it| chance(&joined(it, &head)) - chance(it));
        let (nth, _) = costs.enumerate().min_by_key(|(_, cost)| *cost).expect("there are buckets");
        buckets[nth] = joined(&buckets[nth], &head);
    }
    std::array::from_fn(|nth| tables(&buckets[nth * N_BUCKETS..][..N_BUCKETS]))
}

fn head(trigger: &Trigger) -> Bucket {
    let bytes = trigger.text.as_bytes();
    std::array::from_fn(|nth| bytes.get(nth).map_or(Bytes::ANY, |byte| Bytes::of(*byte)))
}

fn joined(bucket: &Bucket, head: &Bucket) -> Bucket {
    std::array::from_fn(|nth| bucket[nth].with(head[nth]))
}

/// How likely a place in a text is in a bucket, of a thousand to the fourth.
fn chance(bucket: &Bucket) -> u64 {
    bucket.iter().map(|bytes| u64::from(bytes.share())).product()
}

fn tables(buckets: &[Bucket]) -> Tables {
    let mut tables = Tables { low: [[0; 16]; HEAD], high: [[0; 16]; HEAD], six: [[0; 64]; HEAD] };
    for (bit, bucket) in buckets.iter().enumerate() {
        for (nth, bytes) in bucket.iter().enumerate() {
            for half in 0..16 {
                tables.low[nth][half] |= u8::from(bytes.low >> half & 1 == 1) << bit;
                tables.high[nth][half] |= u8::from(bytes.high >> half & 1 == 1) << bit;
            }
            for six in 0..64 {
                tables.six[nth][six] |= u8::from(bytes.six >> six & 1 == 1) << bit;
            }
        }
    }
    tables
}
