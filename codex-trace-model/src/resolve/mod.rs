//! Folds the records of a thread's files, in file order, into its turns.
//!
//! This module only dispatches: one arm for each kind of line. The rules are
//! next door, one concern a file.

mod answer;
mod author;
mod clock;
pub(crate) mod common;
mod count;
mod detail;
mod event;
pub(crate) mod family;
mod finish;
mod fork;
mod ids;
mod item;
mod keys;
mod lineage;
mod model_call;
mod output;
mod ownership;
mod read;
mod settings;
#[cfg(test)]
mod sizes;
mod stamp;
mod tool_call;
mod turn;
mod unknown;
mod usage;
mod write;

use std::fmt;

use codex_rollout::item::compacted::Compacted;
use codex_rollout::item::event_msg::TaskStarted;
use codex_rollout::{
    ErrorKind, EventMsg, JsonText, Position, ResponseItem, RolloutItem, RolloutLine, SessionMeta,
    Source,
};
use jiff::Timestamp;

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::span::{CopiedTurn, Event, EventKind};
use crate::trace::{Account, History, Item, ItemIx, Rollout, RolloutIx};
pub(crate) use clock::keep_within;
pub(crate) use finish::ResolvedThread;
use fork::Fork;
use ids::IdTable;
use settings::Current;
use stamp::Stamps;
use tool_call::ToolTable;
use turn::{CompactionDraft, Mark, MarkKind, TurnDraft, Turns};
use usage::UsageTracker;
use write::Written;

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Item,
    Span,
    Ignored(&'static str),
    Diagnosed,
}

/// Names of the ignore list.
const INHERITED: &str = "inherited from another thread";
const FOREIGN: &str = "another thread's event";
const ECHO: &str = "echo of an item";

/// How many marks most turns come to: room for them from the start; more of it
/// where it is not for long.
const USUAL_MARKS: usize = 16;
const USUAL_MARKS_OF_OUTLINES: usize = 64;

/// The place of a line and its time.
#[derive(Clone, Copy, Debug)]
struct Place {
    line: u64,
    position: Position,
    ordinal: Option<u64>,
    at: Option<Timestamp>,
    /// Whether the line is an item without an envelope (before 0.32).
    bare: bool,
}

/// A turn that still belongs to the conversation.
#[derive(Clone, Copy, Debug)]
struct KeptTurn {
    turn: usize,
    /// The highest ordinal at which it or a kept turn before it was opened.
    highest: Option<u64>,
}

/// A thread while its files are read.
#[derive(Debug, Default)]
pub(crate) struct ThreadBuilder<'a> {
    thread_id: String,
    rollouts: Vec<Rollout>,
    /// What its files were read from.
    sources: Vec<&'a Source>,
    meta: Option<SessionMeta<'a>>,
    /// The thread whose lines the head of the file is a copy of.
    copied_from: Option<JsonText<'a>>,
    /// The last turn before the thread's own.
    copied_turn: Option<CopiedTurn<'a>>,
    /// The turns whose starts the copied heads of files show.
    copied_turns: Vec<(RolloutIx, JsonText<'a>)>,
    items: Vec<Item<'a>>,
    histories: Vec<History<'a>>,
    turns: Turns<'a>,
    /// What the turns have become that are not there any more.
    written: Written<'a>,
    /// The last turn with an id.
    turn_of_id: IdTable<&'a [u8], usize>,
    /// The turns that still belong to the conversation.
    kept: Vec<KeptTurn>,
    /// The turn that lines belong to now.
    open: Option<usize>,
    /// How many turns with an id have not ended.
    n_unended: usize,
    /// Whether the file shows where turns begin: by what the user interface
    /// saw, not by the messages alone.
    prompted: bool,
    /// A start of a turn during a review.
    forwarded: Option<(TaskStarted<'a>, Place)>,
    tools: ToolTable<'a>,
    /// The last list of tools that the model was given.
    tools_item: Option<ItemIx>,
    /// The tools that the embedding program offers, where they have changed.
    dynamic_tools: Option<codex_rollout::RawJson<'a>>,
    usage: UsageTracker,
    settings: Current<'a>,
    events: Vec<Event<'a>>,
    name: Option<JsonText<'a>>,
    /// The name that the home's index has for it.
    indexed_name: Option<JsonText<'a>>,
    rate_limits: Option<codex_rollout::RawJson<'a>>,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    account: Account,
    stamps: Stamps,
    /// How many lines were ignored, by name. The same name may be here twice.
    ignored: Vec<(&'static str, u64)>,
    diagnostics: Diagnostics,
    unknown_types: IdTable<&'a [u8], ()>,
    /// How many records of unknown types there were.
    n_unknown: usize,
    /// The responses that have a usage record, by turn and id, and a hash of what
    /// the last one of an id says: the usage and the thread's total.
    responses: IdTable<(&'a [u8], &'a [u8]), u64>,
    /// The last line of the first file.
    last_line: u64,
    /// How it stood where files leave others.
    forks: Vec<Fork<'a>>,
    /// A turn that had not ended there, until its rest or another one begins.
    cut_turn: Option<JsonText<'a>>,
    /// Whether lines come without their content, of which nothing is kept.
    outline: bool,
    /// Whether something of that content would have told more.
    unsure: bool,
}

impl<'a> ThreadBuilder<'a> {
    pub(crate) fn new(thread_id: &str) -> ThreadBuilder<'a> {
        ThreadBuilder {
            thread_id: thread_id.to_owned(),
            histories: vec![History::default()],
            ..ThreadBuilder::default()
        }
    }

    fn take_error(&mut self, err: &codex_rollout::Error) -> Outcome {
        let (code, made_of_it) = match err.kind() {
            ErrorKind::TruncatedTail => (Code::TruncatedTail, "left for when it is complete"),
            ErrorKind::Io(_) | ErrorKind::TooLarge { .. } => {
                (Code::Unreadable, "what comes before was read")
            }
            _ => (Code::BadLine, "the line was skipped"),
        };
        let of_line = err.is_about_a_line();
        let cause = std::error::Error::source(err).map_or_else(String::new, |it| format!(": {it}"));
        let position = Some(err.position()).filter(|it| of_line || *it != Position::default());
        let file = self.rollout();
        let path = self.rollouts.last().map_or("", |rollout| &rollout.path);
        self.diagnostics.push(file, code, position, || Diagnostic {
            code,
            path: path.to_owned(),
            position,
            column: of_line.then(|| err.column()),
            text: format!("{}{cause}; {made_of_it}", err.kind()),
            count: 1,
        });
        Outcome::Diagnosed
    }

    /// Takes in an own line.
    fn take(&mut self, line: &RolloutLine<'a>) -> Outcome {
        let place = self.place_of(line);
        let at = place.at;
        if at.is_none() && line.timestamp.is_some() {
            self.diagnose(
                Code::BadTimestamp,
                Some(line.position),
                "its timestamp could not be read, or is absurd; its time is unknown",
            );
        }
        self.last_at = self.last_at.max(at);
        self.first_at = self.first_at.or(at);
        // What was written again says nothing of when it happened.
        let restamped = self.open.is_some_and(|open| self.turns[open].restamped);
        let at = at.filter(|_| !restamped || begins_turn(line));
        let place = Place { at, ..place };
        match &line.item {
            RolloutItem::ResponseItem(ResponseItem::GhostSnapshot) => {
                Outcome::Ignored("ghost_snapshot")
            }
            RolloutItem::ResponseItem(item) => self.take_item(item, place),
            RolloutItem::EventMsg(event) => self.take_event(event, place),
            RolloutItem::TurnContext(context) => self.take_context(context, line.payload, place),
            RolloutItem::TokenUsageRecord(record) => self.take_record(record, place),
            RolloutItem::Compacted(compacted) => self.take_compacted(compacted, place),
            RolloutItem::SessionMeta(meta) => self.take_later_meta(meta),
            RolloutItem::InterAgentMetadata(_) => {
                Outcome::Ignored("inter_agent_communication_metadata")
            }
            RolloutItem::InterAgentCommunication(message) => {
                self.push_event(place, EventKind::AgentMessage(*message))
            }
            RolloutItem::WorldState(world) => self.take_world(world),
            RolloutItem::Realtime(item) => {
                let at = stamp::from_millis(item.observed_at_ms).or(at);
                self.push_event(Place { at, ..place }, EventKind::Voice(*item))
            }
            RolloutItem::SecurityRiskScore(risk) => self.take_risk(risk, place),
            RolloutItem::DynamicTools(it) => self.take_dynamic_tools(it, place),
            RolloutItem::RetainedContext(kept) => {
                self.push_event(place, EventKind::RetainedContext(*kept))
            }
            RolloutItem::Bookkeeping(kind) => self.take_bookkeeping(*kind, place),
            RolloutItem::Unknown(kind) => self.take_unknown(Some(*kind), place),
            _ => self.take_unknown(None, place),
        }
    }

    /// A later meta is an update of this thread's, or an ancestor's.
    fn take_later_meta(&mut self, meta: &SessionMeta<'a>) -> Outcome {
        if !self.is_own(meta.id) {
            return Outcome::Ignored(INHERITED);
        }
        if let Some(own) = &mut self.meta {
            own.memory_mode = meta.memory_mode.or(own.memory_mode);
        }
        Outcome::Span
    }

    fn take_bookkeeping(&mut self, kind: JsonText<'a>, place: Place) -> Outcome {
        if self.outline && kind.is("agent_message") {
            // What the model said is left out, but not that it answered.
            return self.take_answer(Some(kind));
        }
        // Bare rollouts (0.8 to 0.31) have a state line between responses.
        if let Some(open) = self.open.filter(|_| kind.is("state")) {
            self.mark(open, MarkKind::State, place);
        }
        Outcome::Ignored(bookkeeping(kind))
    }

    fn take_compacted(&mut self, compacted: &Compacted<'a>, place: Place) -> Outcome {
        let turn = self.turn_for_work(None, place);
        let draft = &mut self.turns[turn];
        draft.compactions.push(CompactionDraft {
            line: place.line,
            at: place.at,
            started: None,
            completed: None,
            summary: compacted.message.filter(|text| !text.is_empty()),
            replacement: compacted.replacement_history,
            response_id: compacted.compaction_response_id,
            window_number: compacted.window_number,
            window_id: compacted.window_id,
            previous_window_id: compacted.previous_window_id,
        });
        let kind = MarkKind::Compacted(turn::index(&draft.compactions));
        self.mark(turn, kind, place);
        let from = self.item_count();
        self.histories.push(History {
            replacement: compacted.replacement_history,
            base: Vec::new(),
            from,
            inherited: false,
        });
        Outcome::Span
    }

    // What the rules next door share.

    /// Returns the place of a line, and its time.
    fn place_of(&mut self, line: &RolloutLine<'_>) -> Place {
        Place {
            line: line.position.line(),
            position: line.position,
            ordinal: line.ordinal,
            at: line.timestamp.and_then(|at| self.stamps.read(at)),
            bare: line.timestamp.is_none() && line.payload.is_none(),
        }
    }

    fn rollout(&self) -> RolloutIx {
        RolloutIx(u32::try_from(self.rollouts.len()).unwrap_or(u32::MAX).saturating_sub(1))
    }

    fn item_count(&self) -> u32 {
        u32::try_from(self.items.len()).unwrap_or(u32::MAX)
    }

    /// Reports something odd in the file that is read.
    fn diagnose(&mut self, code: Code, position: Option<Position>, text: impl fmt::Display) {
        let (file, files) = (self.rollout(), &self.rollouts);
        self.diagnostics.push(file, code, position, || oddity(files, file, code, position, text));
    }

    /// Adds an event to the open turn, else to the thread.
    fn push_event(&mut self, place: Place, kind: EventKind<'a>) -> Outcome {
        let event = Event { at: place.at, rollout: self.rollout(), line: place.line, kind };
        let mut events = &mut self.events;
        if let Some(turn) = self.open {
            self.turns[turn].touch(place.line, place.at);
            events = &mut self.turns[turn].events;
        }
        if !self.outline {
            events.push(event);
        }
        Outcome::Span
    }

    fn mark(&mut self, turn: usize, kind: MarkKind, place: Place) {
        let items = self.item_count();
        let history = turn::index(&self.histories);
        let turn = &mut self.turns[turn];
        let settings = turn.index_of(self.settings.next());
        match kind {
            MarkKind::Input(_) => turn.touch_input(place.line, place.at),
            // Says nothing new, however late it is written.
            MarkKind::Repeated => {}
            _ => turn.touch(place.line, place.at),
        }
        match kind {
            MarkKind::Moved(_) => turn.counted = place.at,
            MarkKind::Repeated => turn.counted = None,
            _ => {}
        }
        turn.marks.push(Mark { at: place.at, line: place.line, kind, items, history, settings });
    }

    /// Returns the turn that a line belongs to: the one that it names, as long
    /// as that has not ended (two processes may write at once), else the open one.
    fn open_turn_of(&self, turn_id: Option<JsonText<'a>>) -> Option<usize> {
        let Some(id) = turn_id else { return self.open };
        if self.cut_turn == turn_id {
            return self.open; // What another file has of it is its own matter.
        }
        // The open turn is the last one, of its id too, and has not ended.
        if let Some(open) = self.open
            && self.turns[open].turn.turn_id == turn_id
        {
            return self.open;
        }
        match self.named_turn(id) {
            Some(turn) => Some(turn).filter(|turn| !self.turns.has_ended(*turn)),
            None => self.open.filter(|open| self.turns[*open].turn.turn_id.is_none()),
        }
    }

    /// Returns the last turn with an id.
    fn named_turn(&self, id: JsonText<'a>) -> Option<usize> {
        self.turn_of_id.get(id.raw())
    }

    /// Whether an id, if a line names one, is that of this thread. What a file
    /// without a meta belongs to is a guess that no line need confirm.
    fn is_own(&self, thread_id: Option<JsonText<'a>>) -> bool {
        self.meta.is_none()
            || thread_id.is_none_or(|id| id.is(&self.thread_id) || id.decode() == self.thread_id)
    }

    /// Returns the turn that a line about work belongs to; if none is open,
    /// the line opens one.
    fn turn_for_work(&mut self, turn_id: Option<JsonText<'a>>, place: Place) -> usize {
        if let Some(turn) = self.open_turn_of(turn_id).or(self.open) {
            return turn;
        }
        let fresh = turn_id.filter(|id| self.named_turn(*id).is_none());
        self.open_turn(fresh, false, place)
    }

    /// Opens a turn; whatever was open has ended without saying so.
    fn open_turn(&mut self, turn_id: Option<JsonText<'a>>, marked: bool, place: Place) -> usize {
        self.close_open_turn();
        self.cut_turn = None;
        self.settings.begin_turn();
        let id = turn_id.map_or_else(
            // As Codex itself names such turns when it migrates the file.
            || format!("rollout-{}", place.line - 1),
            |id| id.decode().into_owned(),
        );
        let number = u32::try_from(self.turns.len() + 1).unwrap_or(u32::MAX);
        let n_marks = if self.outline { USUAL_MARKS_OF_OUTLINES } else { USUAL_MARKS };
        let mut draft = TurnDraft {
            id,
            rollout: self.rollout(),
            first_line: place.line,
            first_byte: place.position.byte(),
            start: place.at,
            first_item: self.item_count(),
            history: self.histories.len().saturating_sub(1),
            marks: Vec::with_capacity(n_marks),
            ..TurnDraft::default()
        };
        draft.turn.turn_id = turn_id;
        draft.turn.number = number;
        draft.turn.tools = self.tools_item;
        draft.turn.dynamic_tools = self.dynamic_tools;
        draft.turn.marked = marked;
        draft.touch(place.line, place.at);
        let ix = self.turns.push(draft);
        if let Some(id) = turn_id {
            self.turn_of_id.insert(id.raw(), ix);
            self.n_unended += 1;
        }
        let highest = self.kept.last().and_then(|kept| kept.highest).max(place.ordinal);
        self.kept.push(KeptTurn { turn: ix, highest });
        self.open = Some(ix);
        ix
    }

    /// Leaves the open turn. One that the file marks may still end later: its
    /// end names it.
    fn close_open_turn(&mut self) {
        if let Some(open) = self.open.take()
            && self.turns[open].turn.turn_id.is_none()
        {
            self.turns[open].close_without_end();
        }
    }
}

/// Makes the report of something odd in one of a thread's files.
fn oddity(
    files: &[Rollout],
    file: RolloutIx,
    code: Code,
    position: Option<Position>,
    text: impl fmt::Display,
) -> Diagnostic {
    let path = files.get(file.0 as usize).map_or("", |rollout| &rollout.path);
    Diagnostic {
        code,
        path: path.to_owned(),
        position,
        column: None,
        text: text.to_string(),
        count: 1,
    }
}

/// Whether a line begins a turn and says when.
fn begins_turn(line: &RolloutLine<'_>) -> bool {
    matches!(line.item, RolloutItem::EventMsg(EventMsg::TaskStarted(_)))
}

/// Returns the name of a bookkeeping record for the ignore list.
fn bookkeeping(kind: JsonText<'_>) -> &'static str {
    const NAMES: &[&str] = &[
        "session_state",
        "security_risk_score",
        "dynamic_tools_updated",
        "rollout_reference",
        "state",
    ];
    NAMES.iter().find(|name| kind.is(name)).copied().unwrap_or("other bookkeeping")
}
