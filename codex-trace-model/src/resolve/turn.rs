//! Turns while they are read: what opens one, what closes it.

use std::collections::VecDeque;
use std::ops::{Index, IndexMut};

use codex_rollout::{JsonText, RawJson, TokenUsage};
use jiff::{SignedDuration, Timestamp};

use crate::span::{Event, Review, Status, Turn};
use crate::trace::{ItemIx, RolloutIx};

/// The turns of a thread, by their numbers from 0. Those that have ended and
/// have no turn before them that has not are taken out, to become spans.
#[derive(Debug, Default)]
pub(crate) struct Turns<'a> {
    n_taken: usize,
    drafts: VecDeque<TurnDraft<'a>>,
}

impl<'a> Turns<'a> {
    pub(crate) fn len(&self) -> usize {
        self.n_taken + self.drafts.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a turn; returns its number.
    pub(crate) fn push(&mut self, draft: TurnDraft<'a>) -> usize {
        self.drafts.push_back(draft);
        self.len() - 1
    }

    /// Whether a turn has ended: nothing is added to it any more.
    pub(crate) fn has_ended(&self, turn: usize) -> bool {
        turn < self.n_taken || self[turn].closed
    }

    /// Takes out the first turn, if it has ended.
    #[inline]
    pub(crate) fn take_ended(&mut self) -> Option<TurnDraft<'a>> {
        self.drafts.front().filter(|turn| turn.closed)?;
        self.n_taken += 1;
        self.drafts.pop_front()
    }

    /// Closes all turns, because the files end.
    pub(crate) fn close_all(&mut self) {
        self.drafts.iter_mut().for_each(TurnDraft::close_without_end);
    }
}

/// # Panics
///
/// If the turn has been taken out.
impl<'a> Index<usize> for Turns<'a> {
    type Output = TurnDraft<'a>;

    #[inline]
    fn index(&self, turn: usize) -> &TurnDraft<'a> {
        &self.drafts[turn - self.n_taken]
    }
}

impl<'a> IndexMut<usize> for Turns<'a> {
    #[inline]
    fn index_mut(&mut self, turn: usize) -> &mut TurnDraft<'a> {
        &mut self.drafts[turn - self.n_taken]
    }
}

/// A turn while its lines are read.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the turn")]
pub(crate) struct TurnDraft<'a> {
    /// Codex' turn id, or one made from the line that opened the turn.
    pub(crate) id: String,
    pub(crate) turn: Turn<'a>,
    pub(crate) rollout: RolloutIx,
    pub(crate) first_line: u64,
    pub(crate) last_line: u64,
    /// Where the line is that opened it.
    pub(crate) first_byte: u64,
    /// The first item of the turn.
    pub(crate) first_item: u32,
    /// The items before this one are the turn's own, whatever follows.
    pub(crate) own_inputs: u32,
    /// The history that the turn began with.
    pub(crate) history: usize,
    /// Whether the model has said anything in it.
    pub(crate) answered: bool,
    /// Calls of code mode, the running ones last.
    pub(crate) scripts: Vec<usize>,
    pub(crate) start: Option<Timestamp>,
    pub(crate) end: Option<Timestamp>,
    /// The last time seen in it.
    pub(crate) last_at: Option<Timestamp>,
    /// The same two, but for inputs: those may turn out to be the next turn's.
    pub(crate) rest_line: u64,
    pub(crate) rest_at: Option<Timestamp>,
    /// Whether its lines were written again at another time, so that they say
    /// nothing of when it happened.
    pub(crate) restamped: bool,
    /// Whether a tool that ended outside of any turn opened it.
    pub(crate) of_detail: bool,
    pub(crate) status: Status<'a>,
    pub(crate) closed: bool,
    /// Whether the review's findings have come: what follows is an echo.
    pub(crate) review_done: bool,
    /// The reviewer's own turn, whose start shows in a review.
    pub(crate) forwarded: Option<JsonText<'a>>,
    /// When a response was counted, if nothing has been counted since.
    pub(crate) counted: Option<Timestamp>,
    /// What happened that tells model calls apart, in file order.
    pub(crate) marks: Vec<Mark>,
    /// The settings that marks refer to, in the order of their use.
    pub(crate) settings: Vec<Settings<'a>>,
    /// How often settings had changed when the last of them was used.
    pub(crate) n_changes: u32,
    /// Usages that marks refer to.
    pub(crate) usages: Vec<UsageDraft<'a>>,
    /// Indices into the thread's tool calls.
    pub(crate) tools: Vec<usize>,
    /// Indices of details that waited for their calls in it.
    pub(crate) details: Vec<usize>,
    pub(crate) compactions: Vec<CompactionDraft<'a>>,
    pub(crate) events: Vec<Event<'a>>,
    /// The assistant's last message as the user interface saw it.
    pub(crate) last_answer: Option<JsonText<'a>>,
}

/// The usage of one response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UsageDraft<'a> {
    /// Unknown where a record lacks it, until a count tells.
    pub(crate) usage: Option<TokenUsage>,
    pub(crate) response_id: Option<JsonText<'a>>,
}

/// A compaction while its turn is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct CompactionDraft<'a> {
    pub(crate) line: u64,
    pub(crate) at: Option<Timestamp>,
    /// When it began and ended, as its item says.
    pub(crate) started: Option<Timestamp>,
    pub(crate) completed: Option<Timestamp>,
    pub(crate) summary: Option<JsonText<'a>>,
    pub(crate) replacement: Option<RawJson<'a>>,
    pub(crate) response_id: Option<JsonText<'a>>,
    pub(crate) window_number: Option<u64>,
    pub(crate) window_id: Option<JsonText<'a>>,
    pub(crate) previous_window_id: Option<JsonText<'a>>,
}

/// The settings that a request is made with.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Settings<'a> {
    pub(crate) model: Option<JsonText<'a>>,
    pub(crate) effort: Option<JsonText<'a>>,
    pub(crate) service_tier: Option<JsonText<'a>>,
    pub(crate) provider: Option<JsonText<'a>>,
    pub(crate) personality: Option<JsonText<'a>>,
    pub(crate) reasoning_summary: Option<JsonText<'a>>,
}

/// Something that tells one model call from the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) at: Option<Timestamp>,
    pub(crate) line: u64,
    pub(crate) kind: MarkKind,
    /// An index into the turn's settings.
    pub(crate) settings: u32,
    /// How many items the thread had before this line.
    pub(crate) items: u32,
    /// The history that a request would see.
    pub(crate) history: u32,
}

/// What a [`Mark`] stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkKind {
    /// An item that the model made.
    Made(ItemIx),
    /// The output of a tool.
    Output,
    /// Any other item: of the user, of the harness, of another agent.
    Input(ItemIx),
    /// A `token_usage_record`; an index into the turn's usages.
    Record(u32),
    /// A `token_count` whose total moved, and which no record explains; an
    /// index into the turn's usages.
    Moved(u32),
    /// A `token_count` that repeats the total.
    Repeated,
    /// A `turn_context`.
    Context,
    /// A `state` line of a bare rollout: written between responses.
    State,
    /// A `compacted` line; an index into the turn's compactions.
    Compacted(u32),
}

impl<'a> TurnDraft<'a> {
    /// Returns the place of settings, of which it is known how often they have
    /// changed, in the turn's list.
    #[inline]
    pub(crate) fn index_of(&mut self, (settings, n_changes): (&Settings<'a>, u32)) -> u32 {
        if self.n_changes != n_changes || self.settings.is_empty() {
            self.n_changes = n_changes;
            if self.settings.last() != Some(settings) {
                self.settings.push(*settings);
            }
        }
        index(&self.settings)
    }

    /// Whether Codex imported it from another agent's history: its answers
    /// were no model calls of Codex.
    pub(crate) fn is_imported(&self) -> bool {
        self.id.starts_with("external-import-turn-")
    }

    /// Returns when the turn ended, if it took so long; else the last time that
    /// is known of it.
    pub(crate) fn after(&self, duration_ms: Option<u64>) -> Option<Timestamp> {
        let took = duration_ms.and_then(|ms| i64::try_from(ms).ok());
        let end = self
            .start
            .zip(took)
            .and_then(|(start, ms)| start.checked_add(SignedDuration::from_millis(ms)).ok());
        end.or(self.last_at).or(self.start)
    }

    /// Notes that a line belongs to the turn.
    pub(crate) fn touch(&mut self, line: u64, at: Option<Timestamp>) {
        self.touch_input(line, at);
        self.rest_line = self.rest_line.max(line);
        self.rest_at = self.rest_at.max(at);
    }

    /// Notes that an input belongs to the turn, for now.
    pub(crate) fn touch_input(&mut self, line: u64, at: Option<Timestamp>) {
        self.last_line = self.last_line.max(line);
        self.last_at = self.last_at.max(at);
    }

    /// Leaves out the inputs at the end, which are the next turn's.
    pub(crate) fn forget_last_inputs(&mut self) {
        self.last_line = self.rest_line.max(self.first_line);
        self.last_at = self.rest_at.max(self.start);
    }

    /// Closes the turn because the next one begins, or the file ends.
    pub(crate) fn close_without_end(&mut self) {
        if self.closed {
            return;
        }
        self.closed = true;
        // The file marks the starts of turns, and would have marked this end.
        if self.turn.marked || !self.came_to_rest() {
            self.status = Status::Incomplete;
        } else {
            self.end = self.last_at;
        }
    }

    /// Whether nothing was pending at the turn's last line: the model had
    /// answered, or a compaction was all there was.
    pub(crate) fn came_to_rest(&self) -> bool {
        let rest = Review::default();
        let reviewed = self.turn.review.unwrap_or(rest).output.is_some();
        reviewed
            || self.last_answer.is_some()
            || (self.of_detail && self.marks.is_empty())
            || self.marks.iter().rev().find_map(|mark| match mark.kind {
                MarkKind::Compacted(_) => Some(true),
                MarkKind::Made(_) | MarkKind::Output => Some(false),
                _ => None,
            }) == Some(true)
    }
}

/// Returns the index of the last one of a list, as marks keep it.
pub(crate) fn index<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX).saturating_sub(1)
}
