//! What came before a file's own lines: a copy of another thread's history, or
//! an earlier file that this one continues (rollout-format §7.7 and §7.8); and
//! what the user took back (`thread_rolled_back`).

use codex_rollout::{EventMsg, RolloutItem, RolloutLine, Source};

use crate::diagnostic::Code;
use crate::resolve::{INHERITED, Outcome, Place, ThreadBuilder, stamp};
use crate::span::{CopiedTurn, EventKind, Fate};
use crate::trace::{ItemIx, RolloutIx};

/// How many gaps a history keeps: as often as somebody may take something back
/// and go on. Beyond that the oldest gap counts as seen.
const MOST_RANGES: usize = 64;

impl<'a> ThreadBuilder<'a> {
    /// Takes in the line that says whose file it is.
    pub(super) fn take_meta(
        &mut self,
        line: &RolloutLine<'a>,
        ancestor: Option<&'a Source>,
    ) -> Outcome {
        let RolloutItem::SessionMeta(meta) = line.item else { return Outcome::Span };
        if let Some(base) = meta.history_base {
            self.continue_base(base.end_ordinal_exclusive, ancestor);
        } else if self.rollouts.len() > 1 {
            self.continue_base(Some(0), None);
        } else if meta.forked_from_id.is_some() {
            self.histories[0].inherited = true;
        }
        if let Some(id) = meta.id {
            self.thread_id = id.decode().into_owned();
        }
        if self.meta.is_none() {
            self.meta = Some(meta);
        }
        // The time of a bare meta is that of the thread, by whatever clock.
        let at = line.timestamp.filter(|_| line.payload.is_some()).and_then(stamp::parse);
        self.last_at = self.last_at.max(at);
        self.first_at = self.first_at.or(at);
        Outcome::Span
    }

    /// Goes on from a cut in an earlier file: of this thread after a revert,
    /// of another one after a fork.
    fn continue_base(&mut self, cut: Option<u64>, ancestor: Option<&'a Source>) {
        let cut = cut.unwrap_or(u64::MAX);
        if ancestor.is_none() && cut > 0 {
            self.diagnose(
                Code::MissingThread,
                None,
                "the rollout that it continues is not here; \
                 only its own part is",
            );
        }
        if let Some(ancestor) = ancestor {
            for line in ancestor.lines().filter_map(Result::ok) {
                if line.ordinal.is_some_and(|ordinal| ordinal >= cut) {
                    break;
                }
                self.inherit_state(&line.item);
            }
        }
        if self.rollouts.len() == 1 {
            self.histories[0].inherited = true;
        } else {
            self.abandon_from(cut);
        }
    }

    /// Leaves the turns from an ordinal on: the user went on from before them.
    fn abandon_from(&mut self, cut: u64) {
        let is_cut = |ordinal: Option<u64>| ordinal.is_some_and(|ordinal| ordinal >= cut);
        let first = self.kept.partition_point(|kept| !is_cut(kept.highest));
        let left = self.kept.split_off(first);
        for kept in &left {
            self.turn_mut(kept.turn).fate = Fate::Abandoned;
        }
        let (history, first_item) = left.first().map_or_else(
            || (self.histories.len() - 1, self.item_count()),
            |kept| self.beginning_of(kept.turn),
        );
        let mut kept = first_item as usize;
        // Ordinals rise within a file, not from file to file.
        while kept > 0 && is_cut(self.items[kept - 1].ordinal) {
            kept -= 1;
        }
        self.branch_history(history, u32::try_from(kept).unwrap_or(u32::MAX));
    }

    /// Takes the last turns back. They stay in the file and in the trace, but
    /// the model's history is again what it was before them.
    pub(super) fn take_rollback(&mut self, turns: u64, place: Place) -> Outcome {
        self.close_open_turn();
        let n = usize::try_from(turns).unwrap_or(usize::MAX).min(self.kept.len());
        let left = self.kept.split_off(self.kept.len() - n);
        for kept in &left {
            self.turn_mut(kept.turn).fate = Fate::RolledBack;
        }
        if let Some(first) = left.first() {
            let (history, first_item) = self.beginning_of(first.turn);
            self.branch_history(history, first_item);
        }
        self.push_event(place, EventKind::RolledBack(turns))
    }

    /// Begins a history that keeps what another one had up to the item `kept`.
    pub(super) fn branch_history(&mut self, of: usize, kept: u32) {
        let mut history = self.histories[of].clone();
        history.base.push((ItemIx(history.from), ItemIx(kept)));
        for range in &mut history.base {
            range.1 = ItemIx(range.1.0.min(kept));
        }
        history.base.retain(|range| range.0 < range.1);
        if history.base.len() > MOST_RANGES {
            // Each history repeats the ranges of the one before: many would
            // grow with the square of their number.
            let oldest = history.base.remove(0);
            history.base[0].0 = oldest.0;
        }
        history.from = self.item_count();
        self.histories.push(history);
    }

    /// Takes in a line of the copied head: it says how things stood when the
    /// thread began.
    pub(super) fn inherit(&mut self, line: &RolloutLine<'a>) -> Outcome {
        if let RolloutItem::SessionMeta(meta) = line.item {
            // The nearest ancestor comes first.
            self.copied_from = self.copied_from.or(meta.id);
        }
        if let RolloutItem::EventMsg(EventMsg::TaskStarted(started)) = line.item
            && let Some(turn_id) = started.turn_id
            && !self.outline
        {
            let nth = u32::try_from(self.rollouts.len() - 1).unwrap_or(u32::MAX);
            self.copied_turns.push((RolloutIx(nth), turn_id));
        }
        self.inherit_state(&line.item);
        self.histories[0].inherited = true;
        Outcome::Ignored(INHERITED)
    }

    /// Takes over what a line of another thread's says of the usage so far, of
    /// the settings, and of the turn that it is of. A tool that leaves most lines
    /// out leaves out the fork's own settings, too, if they are the same.
    fn inherit_state(&mut self, item: &RolloutItem<'a>) {
        match item {
            RolloutItem::EventMsg(EventMsg::TokenCount(count)) => self.usage.inherit(count.info),
            RolloutItem::TurnContext(context) => self.settings.take_context(context),
            _ => {}
        }
        self.note_copied_turn(item);
    }

    /// Notes the turn that a line of another thread's is of.
    fn note_copied_turn(&mut self, item: &RolloutItem<'a>) {
        let (turn_id, trace_id) = match item {
            RolloutItem::EventMsg(EventMsg::TaskStarted(it)) => (it.turn_id, it.trace_id),
            RolloutItem::TurnContext(it) => (it.turn_id, it.trace_id),
            _ => return,
        };
        if let Some(turn_id) = turn_id {
            // One of the two lines of a turn has it.
            let same = self.copied_turn.filter(|it| it.turn_id == turn_id);
            let trace_id = trace_id.or(same.and_then(|it| it.trace_id));
            self.copied_turn = Some(CopiedTurn { turn_id, trace_id });
        }
    }
}
