//! How much there is to read.

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

    /// Returns the size of a session's files on disk, in bytes.
    pub fn len_of(&self, session: &SessionGroup) -> u64 {
        session.members.iter().map(|member| self.heads[member.head].len).sum()
    }
}
