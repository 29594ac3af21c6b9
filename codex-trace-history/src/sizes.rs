//! How much there is to read.

use std::collections::VecDeque;

use codex_trace_model::SessionGroup;

use crate::history::History;

impl History {
    /// Returns the order to read sessions in if none must come first: what takes
    /// longest must not come last.
    pub fn largest_first(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.sessions.len()).collect();
        order.sort_by_cached_key(|nth| std::cmp::Reverse(self.len_of(&self.sessions[*nth])));
        order
    }

    /// As [`largest_first`](Self::largest_first), for so many threads that each take
    /// the next session: one after the other reads what is large, and beside it the
    /// others read what is small, so that not all threads need most at once.
    pub fn large_apart(&self, threads: usize) -> Vec<usize> {
        let order = self.largest_first();
        let len = |nth: usize| self.len_of(&self.sessions[nth]);
        apart(&order, len, threads.saturating_sub(1) as u64)
    }

    /// Returns the size of a session's files on disk, in bytes.
    pub fn len_of(&self, session: &SessionGroup) -> u64 {
        session.members.iter().map(|member| self.heads[member.head].len).sum()
    }
}

/// Puts behind each large one as many small ones as `others` threads read meanwhile.
fn apart(order: &[usize], len: impl Fn(usize) -> u64, others: u64) -> Vec<usize> {
    let mut left: VecDeque<usize> = order.iter().copied().collect();
    let mut apart = Vec::with_capacity(left.len());
    while let Some(large) = left.pop_front() {
        apart.push(large);
        let mut room = len(large).saturating_mul(others);
        while room > 0
            && let Some(small) = left.pop_back()
        {
            apart.push(small);
            room = room.saturating_sub(len(small).max(1));
        }
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beside_a_large_one_small_ones_are_read() {
        let sizes = [100, 90, 50, 30, 20, 10, 5, 0];
        let order: Vec<usize> = (0..sizes.len()).collect();
        let of = |others| apart(&order, |nth| sizes[nth], others);
        // 100 beside 0, 5, 10, 20, 30 and 50 together, then 90.
        assert_eq!(of(1), [0, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(of(0), order, "one thread: no matter");
        for others in 0..20 {
            let mut all = of(others);
            assert_eq!(all[0], 0, "the largest is first");
            all.sort_unstable();
            assert_eq!(all, order);
        }
        assert!(apart(&[], |_| 1, 3).is_empty());
    }
}
