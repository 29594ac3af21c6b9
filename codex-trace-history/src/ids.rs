//! Ids as users type them: the first characters are enough.

use codex_rollout::RolloutHead;

/// The fewest characters taken for an id.
const SHORTEST: usize = 4;

/// The characters of a whole id.
const ID_LEN: usize = 36;

/// The fewest characters of an id shown.
const SHORTEST_SHOWN: usize = 8;

/// Returns whether `text` could be the beginning of an id.
pub fn is_prefix(text: &str) -> bool {
    (SHORTEST..=ID_LEN).contains(&text.len())
        && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// Returns the beginning of an id that was typed: as such, or within the name of
/// a rollout file, whose directory does not matter.
pub fn typed(text: &str) -> Option<String> {
    let in_name = || {
        let name = text.rsplit(['/', '\\']).next()?;
        let stem = name.strip_prefix("rollout-")?.split_once('.').map_or(name, |(stem, _)| stem);
        stem.get(stem.len().checked_sub(ID_LEN)?..).filter(|id| is_prefix(id))
    };
    let id = if is_prefix(text) { text } else { in_name()? };
    Some(id.to_ascii_lowercase())
}

/// Returns whether a file belongs to a thread, or is a rollout, whose id begins
/// with `prefix`.
pub fn matches(head: &RolloutHead, prefix: &str) -> bool {
    head.thread_id.starts_with(prefix) || head.rollout_id.starts_with(prefix)
}

/// Returns the shortest length at which all of `ids` still differ.
pub fn shortest_unique<'i>(ids: impl IntoIterator<Item = &'i str>) -> usize {
    let mut ids: Vec<&str> = ids.into_iter().collect();
    ids.sort_unstable();
    ids.dedup();
    let common =
        |pair: &[&str]| pair[0].bytes().zip(pair[1].bytes()).take_while(|(a, b)| a == b).count();
    let longest = ids.windows(2).map(common).max().map_or(0, |common| common + 1);
    // Not to end in a hyphen looks better, and a digit more does no harm.
    let longest = if matches!(longest, 9 | 14 | 19 | 24) { longest + 1 } else { longest };
    longest.max(SHORTEST_SHOWN)
}

/// Returns the first `len` bytes of an id, or all of it.
pub fn short(id: &str, len: usize) -> &str {
    id.get(..len).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ids_are_as_long_as_it_takes() {
        assert_eq!(shortest_unique([]), 8);
        assert_eq!(shortest_unique(["01a1fc83-3bf9", "11a1fc83-3bf9"]), 8);
        assert_eq!(shortest_unique(["01a1fc83-3bf9", "01a1fc83-3ef4"]), 11);
        assert_eq!(shortest_unique(["01a1fc83-3bf9", "01a1fc83-4bf9"]), 10);
        assert_eq!(shortest_unique(["01a1fc83-3bf9", "01a1fc83-3bf9"]), 8);
    }

    #[test]
    fn the_name_of_a_rollout_has_its_id() {
        const ID: &str = "01a1fc83-3bf9-7eb1-b591-d0d018208f3b";
        let name = format!("rollout-2026-11-21T05-15-37-{ID}.jsonl");
        for text in
            [name.clone(), format!("{name}.zst"), format!("/elsewhere/{name}"), ID.to_uppercase()]
        {
            assert_eq!(typed(&text).as_deref(), Some(ID), "{text}");
        }
        assert_eq!(typed("rollout-2026.jsonl"), None);
        assert_eq!(typed("rollout-ä2026-11-21T05-15-37-01a1fc83-3bf9-7eb1.jsonl"), None);
    }

    #[test]
    fn what_is_no_id_is_a_path() {
        assert!(is_prefix("01a1fc83-3b"));
        assert!(is_prefix("01A1FC"));
        assert!(is_prefix("01a1"));
        assert!(!is_prefix("01a"));
        assert!(!is_prefix("01a1fg"));
        assert!(!is_prefix("./01a1fc"));
        assert!(!is_prefix("01a1fc83-3bf9-7eb1-b591-d0d018208f3b0"));
    }
}
