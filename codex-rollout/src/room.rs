//! How many bytes compressed files may become: each, and several together.

use crate::discover::Encoding;
use crate::head::RolloutHead;

/// The most bytes that any compressed rollout may become, unless told otherwise.
const MAX_DECOMPRESSED: u64 = 16 << 30;

/// How many times its size a compressed rollout may become: recorded ones
/// become 3 to 20 times as large, because their ids and times are hard to
/// compress.
const MAX_RATIO: u64 = 256;

/// What any compressed rollout may become, however small it is.
const ALWAYS_DECOMPRESSED: u64 = 64 << 20;

/// Returns how many bytes a compressed rollout of `len` bytes may become. As
/// this depends on the file alone, all readers of it stop at the same byte.
pub(crate) fn max_decompressed(len: u64) -> u64 {
    len.saturating_mul(MAX_RATIO).clamp(ALWAYS_DECOMPRESSED, MAX_DECOMPRESSED)
}

/// Lowers what the compressed ones of some rollouts may become, so that
/// together they become at most `room` bytes, or 64 times their size on disk if
/// that is more.
///
/// Half of the room is shared by size, half by number. So a file that becomes
/// 32 times as large is read whole, whatever the others are; and what each may
/// become depends on the sizes alone, not on the order or the thread in which
/// they are read.
pub fn share_room(heads: &mut [RolloutHead], files: &[usize], room: u64) {
    let is_compressed = |ix: &&usize| heads[**ix].rollout.encoding != Encoding::Plain;
    let files: Vec<usize> = files.iter().filter(is_compressed).copied().collect();
    let Some(number) = std::num::NonZeroU64::new(files.len() as u64) else { return };
    let size: u64 = files.iter().map(|ix| heads[*ix].len).sum();
    let half = (room / 2).max(size.saturating_mul(32));
    for ix in files {
        let RolloutHead { rollout, len, .. } = &mut heads[ix];
        let by_size = u128::from(half) * u128::from(*len) / u128::from(size.max(1));
        let share = u64::try_from(by_size).unwrap_or(u64::MAX).saturating_add(half / number);
        let before = rollout.max_decompressed.unwrap_or_else(|| max_decompressed(*len));
        rollout.max_decompressed = Some(share.min(before));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::discover::RolloutPath;

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    #[test]
    fn limit_follows_the_size_between_two_bounds() {
        assert_eq!(max_decompressed(0), 64 * MIB);
        assert_eq!(max_decompressed(1378), 64 * MIB);
        assert_eq!(max_decompressed(MIB / 4), 64 * MIB);
        assert_eq!(max_decompressed(3 * MIB), 768 * MIB);
        assert_eq!(max_decompressed(64 * MIB), 16 * GIB);
        assert_eq!(max_decompressed(u64::MAX), 16 * GIB);
    }

    fn limits(lens: &[u64], room: u64) -> Vec<u64> {
        let head = |len: &u64| {
            let rollout = RolloutPath::from_file(Path::new("a.jsonl.zst"));
            RolloutHead { len: *len, ..RolloutHead::of_name(&rollout) }
        };
        let mut heads: Vec<RolloutHead> = lens.iter().map(head).collect();
        heads.push(RolloutHead::of_name(&RolloutPath::from_file(Path::new("b.jsonl"))));
        let all: Vec<usize> = (0..heads.len()).collect();
        share_room(&mut heads, &all, room);
        assert_eq!(heads.pop().unwrap().rollout.max_decompressed, None, "is not compressed");
        heads.iter().map(|head| head.rollout.max_decompressed.unwrap()).collect()
    }

    #[test]
    fn together_files_stay_within_the_room() {
        #[rustfmt::skip]
        let cases = [
            // why                        lens                        room      limits
            ("one alone keeps its own",   vec![3 * MIB],              16 * GIB, vec![768 * MIB]),
            ("few do",                    vec![1000; 8],              16 * GIB, vec![64 * MIB; 8]),
            ("many share",                vec![1000; 1024],           16 * GIB, vec![16 * MIB; 1024]),
            ("half by size, half by number", vec![MIB, 3 * MIB],      512 * MIB, vec![192 * MIB, 320 * MIB]),
            ("32 times its size at least", vec![32 * MIB],            MIB,      vec![2 * GIB]),
            ("nothing of nothing",        vec![],                     GIB,      vec![]),
            ("empty files",               vec![0; 4],                 64 * MIB, vec![8 * MIB; 4]),
        ];
        for (why, lens, room, expected) in cases {
            assert_eq!(limits(&lens, room), expected, "{why}");
        }
    }

    #[test]
    fn a_large_file_is_read_among_many_small_ones() {
        let mut lens = vec![1000; 10_000];
        lens.push(100 * MIB);
        let limits = limits(&lens, 16 * GIB);
        assert!(limits[10_000] >= 32 * 100 * MIB);
        assert!(limits[0] >= 32 * 1000);
        assert!(limits.iter().sum::<u64>() <= 16 * GIB);
    }
}
