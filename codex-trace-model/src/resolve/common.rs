//! What two files have in common at their beginnings: a fork before 0.145
//! begins with a copy of its parent's lines (rollout-format §7.7).

use std::borrow::Borrow;

use codex_rollout::item::session_meta::HistoryBase;
use codex_rollout::item::usage::TokenCountInfo;
use codex_rollout::{EventMsg, RawJson, RolloutItem, RolloutLine, Source, TokenUsage};

use crate::resolve::ownership::meta_of;

/// How many lines are searched for what a file continues.
const HEAD_LINES: usize = 4;

/// What a file and its ancestor begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Common {
    /// The first line that is not a copy, starting at 1.
    pub(crate) first_other_line: u64,
    /// How many items and counts they have in common.
    n_common: usize,
}

impl Common {
    /// Whether they have no item and no count in common.
    pub(crate) fn is_empty(&self) -> bool {
        self.n_common == 0
    }
}

/// Returns the file whose history another one continues or holds a copy of: of
/// several files of that rollout the one that has the place from which it
/// continues, or that it has the most in common with; the first of those if they
/// are equal.
pub fn nearest_ancestor<S: Borrow<Source>>(
    source: &Source,
    ancestors: impl IntoIterator<Item = S>,
) -> Option<S> {
    let mut ancestors = ancestors.into_iter();
    let mut nearest = ancestors.next()?;
    let mut most = None;
    for other in ancestors {
        let base = source.lines().flatten().take(HEAD_LINES).find_map(|line| meta_of(&line));
        let base = base.and_then(|meta| meta.history_base);
        let n_common = |ancestor: &Source| match base {
            Some(base) => usize::from(ends_at(ancestor, base)),
            None => beginning(source, ancestor).n_common,
        };
        let before = *most.get_or_insert_with(|| n_common(nearest.borrow()));
        let n_common = n_common(other.borrow());
        if n_common > before {
            (nearest, most) = (other, Some(n_common));
        }
    }
    Some(nearest)
}

/// Whether a file has the place at which a base ends: the line of that ordinal
/// starts at that byte, or would.
fn ends_at(source: &Source, base: HistoryBase<'_>) -> bool {
    let (Some(end), Some(at)) = (base.end_ordinal_exclusive, base.end_byte_offset) else {
        return false;
    };
    let mut last = None;
    for line in source.lines().flatten() {
        if line.ordinal.is_some_and(|ordinal| ordinal >= end) {
            return line.position.byte() == at;
        }
        last = line.ordinal;
    }
    last.is_some_and(|last| last + 1 == end) && source.bytes().len() as u64 == at
}

/// What a line says that stays the same when it is copied, migrated to the
/// paginated form, or reduced: an item of the conversation or a count.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kept<'a> {
    Item(RawJson<'a>),
    Count(Option<TokenUsage>, Option<TokenUsage>),
}

impl<'a> Kept<'a> {
    fn of(line: &RolloutLine<'a>) -> Option<Kept<'a>> {
        match &line.item {
            RolloutItem::ResponseItem(_) => line.payload.map(Kept::Item),
            RolloutItem::EventMsg(EventMsg::TokenCount(count)) => {
                let TokenCountInfo { total_token_usage: total, last_token_usage: last, .. } =
                    count.info?;
                Some(Kept::Count(total.map(plain), last.map(plain)))
            }
            _ => None,
        }
    }
}

/// A migration adds what a version did not know.
fn plain(usage: TokenUsage) -> TokenUsage {
    TokenUsage { cache_write_input_tokens: None, ..usage }
}

/// Finds what `source` has copied from `ancestor`, copies being re-stamped but
/// otherwise equal. Metas aside: some tools rewrite those in every file.
pub(crate) fn beginning(source: &Source, ancestor: &Source) -> Common {
    let lines = |source| {
        Source::lines(source).filter_map(Result::ok).filter(|line| meta_of(line).is_none())
    };
    let mut parent = lines(ancestor);
    let mut parents_kept = lines(ancestor).filter_map(|line| Kept::of(&line));
    let (mut n_common, mut last) = (0, 0);
    // The first line since the last item or count in common that differs in
    // anything, and the first that may begin a turn.
    let (mut differs, mut begins) = (None, None);
    // Whether all lines up to that last one are equal. If not, the other file
    // has another form, and what does not begin a turn may belong to the copy.
    let mut equal = true;
    for line in lines(source) {
        last = line.position.line();
        if parent.next().is_none_or(|parent| content(&parent) != content(&line)) {
            differs.get_or_insert(last);
        }
        let Some(kept) = Kept::of(&line) else {
            if may_begin_turn(&line) {
                begins.get_or_insert(last);
            }
            continue;
        };
        if parents_kept.next() != Some(kept) {
            let first = if equal { differs } else { begins };
            return Common { first_other_line: first.unwrap_or(last), n_common };
        }
        n_common += 1;
        equal &= differs.is_none();
        (differs, begins) = (None, None);
    }
    let first = if equal { differs } else { begins };
    Common { first_other_line: first.unwrap_or(last + 1), n_common }
}

/// Returns a line without its timestamp: what comes before and after it.
fn content<'a>(line: &RolloutLine<'a>) -> (&'a [u8], &'a [u8]) {
    let Some(stamp) = line.timestamp else { return (line.bytes, b"") };
    let start = stamp.raw().as_ptr().addr() - line.bytes.as_ptr().addr();
    (&line.bytes[..start], &line.bytes[start + stamp.raw().len()..])
}

/// Whether a line may be the first of a turn.
fn may_begin_turn(line: &RolloutLine<'_>) -> bool {
    matches!(
        line.item,
        RolloutItem::TurnContext(_)
            | RolloutItem::EventMsg(EventMsg::TaskStarted(_) | EventMsg::UserMessage(_))
    )
}
