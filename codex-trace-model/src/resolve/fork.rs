//! Files of one rollout that went on apart after a common beginning: what both
//! have is read once, and the second one goes on from there.

use codex_rollout::{EventMsg, JsonText, RawJson, ResponseItem, RolloutItem, RolloutLine};

use crate::group::BranchOf;
use crate::resolve::settings::Current;
use crate::resolve::usage::UsageTracker;
use crate::resolve::{KeptTurn, Outcome, ThreadBuilder};
use crate::session::RolloutFile;
use crate::trace::RolloutIx;

/// Name of the ignore list.
const ELSEWHERE: &str = "read from another file of the rollout";

/// How a thread stood after a line of a file at which another one leaves it.
#[derive(Debug)]
pub(super) struct Fork<'a> {
    rollout: RolloutIx,
    after_line: u64,
    items: u32,
    history: usize,
    kept: Vec<KeptTurn>,
    settings: Current<'a>,
    usage: UsageTracker,
    rate_limits: Option<RawJson<'a>>,
    prompted: bool,
    /// The id of the turn that had not ended.
    cut_turn: Option<JsonText<'a>>,
}

/// The lines of a file that are read from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'i> {
    pub(super) file: RolloutFile<'i>,
    /// The line that says whose file it is, or one before it.
    pub(super) meta_line: u64,
    /// The forks of the file that have been passed.
    n_forks: usize,
    /// The first range of own lines that has not been passed.
    range: usize,
    /// Whether the file is a branch, and whether its own lines have begun.
    is_branch: bool,
    has_begun: bool,
}

impl<'i> Reading<'i> {
    /// Where the file leaves another one that is here.
    pub(super) fn branch(&self) -> Option<&'i BranchOf> {
        self.file.branch.filter(|_| self.is_branch)
    }
}

impl<'a> ThreadBuilder<'a> {
    /// Begins to read a file. One that leaves another file which is not here is
    /// read in full.
    pub(super) fn reading<'i>(&self, file: RolloutFile<'i>) -> Reading<'i> {
        let is_branch = file.branch.is_some_and(|branch| {
            self.forks.iter().any(|fork| {
                fork.after_line == branch.after_line
                    && self.rollouts[fork.rollout.0 as usize].path == branch.path
            })
        });
        Reading { file, meta_line: 0, n_forks: 0, range: 0, is_branch, has_begun: false }
    }

    /// Notes how the thread stands if other files leave this one before a line.
    #[inline]
    pub(super) fn note_forks(&mut self, reading: &mut Reading<'_>, before: u64) {
        if reading.n_forks < reading.file.forks.len() {
            self.note_forks_there(reading, before);
        }
    }

    #[cold]
    fn note_forks_there(&mut self, reading: &mut Reading<'_>, before: u64) {
        while let Some(&after_line) = reading.file.forks.get(reading.n_forks)
            && after_line < before
        {
            reading.n_forks += 1;
            let open = self.open.map(|open| &self.turns[open]).filter(|turn| !turn.closed);
            self.forks.push(Fork {
                rollout: self.rollout(),
                after_line,
                items: self.item_count(),
                history: self.histories.len() - 1,
                kept: self.kept.clone(),
                settings: self.settings.clone(),
                usage: self.usage.clone(),
                rate_limits: self.rate_limits,
                prompted: self.prompted,
                cut_turn: open.and_then(|turn| turn.turn.turn_id),
            });
        }
    }

    /// Returns what becomes of a line that is read from another file.
    #[inline]
    pub(super) fn pass_over(
        &mut self,
        reading: &mut Reading<'_>,
        number: u64,
        line: Option<&RolloutLine<'a>>,
    ) -> Option<Outcome> {
        let branch = reading.branch()?;
        self.pass_over_in(branch, reading, number, line)
    }

    #[cold]
    fn pass_over_in(
        &mut self,
        branch: &BranchOf,
        reading: &mut Reading<'_>,
        number: u64,
        line: Option<&RolloutLine<'a>>,
    ) -> Option<Outcome> {
        let ranges = &branch.own[reading.range..];
        reading.range += ranges.iter().take_while(|range| range.end <= number).count();
        if branch.own.get(reading.range).is_some_and(|range| range.contains(&number)) {
            if !reading.has_begun {
                reading.has_begun = true;
                self.leave(&branch.path, branch.after_line);
            }
            if let Some(line) = line {
                self.reopen_cut_turn(line);
            }
            return None;
        }
        if let Some(line) = line.filter(|_| reading.has_begun) {
            // It is another file's, but what was used until then counts on.
            match line.item {
                RolloutItem::EventMsg(EventMsg::TokenCount(count)) => {
                    self.usage.inherit(count.info);
                }
                RolloutItem::TurnContext(context) => {
                    self.settings.take_context(&context);
                }
                _ => {}
            }
        }
        Some(Outcome::Ignored(ELSEWHERE))
    }

    /// Opens the turn that had not ended where the file leaves the other one, if
    /// a line shows that it went on here.
    fn reopen_cut_turn(&mut self, line: &RolloutLine<'a>) {
        let goes_on = match line.item {
            RolloutItem::ResponseItem(item) => match item {
                ResponseItem::Message(message) => {
                    message.role.is_some_and(|role| role.is("assistant"))
                }
                _ => true,
            },
            RolloutItem::TokenUsageRecord(_)
            | RolloutItem::EventMsg(EventMsg::ItemCompleted(_)) => true,
            _ => false,
        };
        if goes_on && let Some(id) = self.cut_turn.take() {
            let place = self.place_of(line);
            self.open_turn(Some(id), true, place);
        }
    }

    /// Goes on from where a file leaves another one.
    fn leave(&mut self, path: &str, after_line: u64) {
        let at = self.forks.iter().position(|fork| {
            fork.after_line == after_line && self.rollouts[fork.rollout.0 as usize].path == path
        });
        let Some(at) = at else { return };
        let fork = &self.forks[at];
        let (history, items) = (fork.history, fork.items);
        self.kept.clone_from(&fork.kept);
        self.settings.go_back(&fork.settings);
        self.usage = fork.usage.clone();
        self.rate_limits = fork.rate_limits;
        self.prompted = fork.prompted;
        self.cut_turn = fork.cut_turn;
        self.branch_history(history, items);
    }
}
