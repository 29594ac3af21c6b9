//! Folds the records of a thread's files, in file order, into its turns.
//!
//! This module only dispatches: one arm for each kind of line. The rules are
//! next door, one concern a file.

mod event;
mod family;
mod finish;
mod item;
mod model_call;
mod output;
mod ownership;
mod stamp;
mod tool_call;
mod turn;
mod usage;

use codex_rollout::item::compacted::Compacted;
use codex_rollout::item::turn_context::TurnContext;
use codex_rollout::item::usage::TokenUsageRecord;
use codex_rollout::{
    Cursor, ErrorKind, EventMsg, JsonText, Position, RawJson, ResponseItem, RolloutItem,
    RolloutLine, SessionMeta, Source,
};
use jiff::Timestamp;

use crate::diagnostic::{Code, Diagnostic};
use crate::session::RolloutInput;
use crate::span::{Event, EventKind, Fate};
use crate::trace::{Account, History, Item, ItemIx, Rollout, RolloutIx};
pub(crate) use finish::{ResolvedThread, keep_within};
use tool_call::ToolTable;
use turn::{CompactionDraft, Mark, MarkKind, Settings, TurnDraft, UsageDraft};
use usage::{Count, UsageTracker};

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

/// The place of a line and its time.
#[derive(Clone, Copy, Debug)]
struct Place {
    line: u64,
    position: Position,
    ordinal: Option<u64>,
    at: Option<Timestamp>,
}

/// A thread while its files are read.
#[derive(Debug, Default)]
pub(crate) struct ThreadBuilder<'a> {
    thread_id: String,
    rollouts: Vec<Rollout>,
    meta: Option<SessionMeta<'a>>,
    /// The thread whose lines the head of the file is a copy of.
    copied_from: Option<JsonText<'a>>,
    items: Vec<Item<'a>>,
    histories: Vec<History<'a>>,
    turns: Vec<TurnDraft<'a>>,
    /// The turn that lines belong to now.
    open: Option<usize>,
    tools: ToolTable<'a>,
    usage: UsageTracker,
    settings: Settings<'a>,
    events: Vec<Event<'a>>,
    name: Option<JsonText<'a>>,
    rate_limits: Option<codex_rollout::RawJson<'a>>,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    account: Account,
    diagnostics: Vec<Diagnostic>,
    unknown_types: Vec<&'a [u8]>,
    responses: std::collections::HashSet<(&'a [u8], &'a [u8])>,
}

impl<'a> ThreadBuilder<'a> {
    pub(crate) fn new(thread_id: &str) -> ThreadBuilder<'a> {
        ThreadBuilder {
            thread_id: thread_id.to_owned(),
            histories: vec![History::default()],
            ..ThreadBuilder::default()
        }
    }

    /// Reads one file of the thread; a later file is what the thread went on in.
    pub(crate) fn read(&mut self, input: &RolloutInput<'a>) {
        self.rollouts.push(Rollout { path: input.path.to_owned() });
        let boundary = ownership::boundary(input.source, input.ancestor);
        if boundary.by_time {
            self.diagnose(
                Code::InferredBoundary,
                None,
                format!(
                    "its head is a copy of another thread's history that is not here; by the time \
                 that the model took to answer, line {} is the thread's first own line",
                    boundary.first_own_line
                ),
            );
        }
        if self.rollouts.len() > 1 {
            self.close_open_turn();
            self.usage = UsageTracker::default();
        }
        let mut has_meta = false;
        for line in input.source.lines() {
            self.account.lines += 1;
            let outcome = match line {
                Ok(line) => {
                    let meta = !has_meta && matches!(line.item, RolloutItem::SessionMeta(_));
                    let own = line.position.line() >= boundary.first_own_line;
                    has_meta |= meta;
                    if meta {
                        self.take_meta(&line, input.ancestor)
                    } else if own {
                        self.take(&line)
                    } else {
                        self.inherit(&line)
                    }
                }
                Err(err) => self.take_error(&err),
            };
            self.settle(outcome);
        }
        if !has_meta {
            self.diagnose(
                Code::NoMeta,
                None,
                "it has no session_meta line; the thread's id is \
                 that of the file's name"
                    .to_owned(),
            );
        }
        if input.source.was_shortened() {
            self.diagnose(
                Code::Changed,
                None,
                "it became shorter while it was read; what was \
                 lost reads as damaged lines"
                    .to_owned(),
            );
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Item => self.account.items += 1,
            Outcome::Span => self.account.spans += 1,
            Outcome::Diagnosed => self.account.diagnosed += 1,
            Outcome::Ignored(name) => *self.account.ignored.entry(name).or_default() += 1,
        }
    }

    fn take_error(&mut self, err: &codex_rollout::Error) -> Outcome {
        let (code, made_of_it) = match err.kind() {
            ErrorKind::TruncatedTail => (Code::TruncatedTail, "left for when it is complete"),
            _ => (Code::BadLine, "the line was skipped"),
        };
        let text = format!("{}; {made_of_it}", err.kind());
        self.diagnostics.push(Diagnostic {
            code,
            path: self.path().to_owned(),
            position: Some(err.position()),
            column: Some(err.column()),
            text,
        });
        Outcome::Diagnosed
    }

    /// Takes in the line that says whose file it is.
    fn take_meta(&mut self, line: &RolloutLine<'a>, ancestor: Option<&'a Source>) -> Outcome {
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
                 only its own part is"
                    .to_owned(),
            );
        }
        if let Some(ancestor) = ancestor {
            for line in ancestor.lines().filter_map(Result::ok) {
                if line.ordinal.is_some_and(|ordinal| ordinal >= cut) {
                    break;
                }
                if let RolloutItem::EventMsg(EventMsg::TokenCount(count)) = line.item {
                    self.usage.inherit(count.info);
                }
            }
        }
        if self.rollouts.len() == 1 {
            self.histories[0].inherited = true;
            return;
        }
        for turn in &mut self.turns {
            if turn.ordinal.is_some_and(|ordinal| ordinal >= cut) {
                turn.turn.fate = Fate::Abandoned;
            }
        }
        let kept = self.items.partition_point(|item| item.ordinal.is_none_or(|it| it < cut));
        self.branch_history(u32::try_from(kept).unwrap_or(u32::MAX));
    }

    /// Begins a history that keeps the first `kept` items of the last one.
    fn branch_history(&mut self, kept: u32) {
        let current = self.histories.last().cloned().unwrap_or_default();
        let len = self.item_count();
        let mut base = current.base;
        base.push((ItemIx(current.from), ItemIx(len)));
        for range in &mut base {
            range.1 = ItemIx(range.1.0.min(kept));
        }
        base.retain(|range| range.0 < range.1);
        let inherited = current.inherited;
        self.histories.push(History {
            replacement: current.replacement,
            base,
            from: len,
            inherited,
        });
    }

    /// Takes in a line of the copied head: it moves the usage reference only.
    fn inherit(&mut self, line: &RolloutLine<'a>) -> Outcome {
        match line.item {
            RolloutItem::EventMsg(EventMsg::TokenCount(count)) => self.usage.inherit(count.info),
            RolloutItem::SessionMeta(meta) => {
                // The nearest ancestor comes first.
                self.copied_from = self.copied_from.or(meta.id);
            }
            _ => {}
        }
        self.histories[0].inherited = true;
        Outcome::Ignored(INHERITED)
    }

    /// Takes in an own line.
    fn take(&mut self, line: &RolloutLine<'a>) -> Outcome {
        let at = line.timestamp.and_then(stamp::parse);
        if at.is_none() && line.timestamp.is_some() {
            self.diagnose(
                Code::BadTimestamp,
                Some(line.position),
                "its timestamp could not be read; its time is unknown".to_owned(),
            );
        }
        self.last_at = self.last_at.max(at);
        self.first_at = self.first_at.or(at);
        let place = Place {
            line: line.position.line(),
            position: line.position,
            ordinal: line.ordinal,
            at,
        };
        match &line.item {
            RolloutItem::ResponseItem(ResponseItem::GhostSnapshot) => {
                Outcome::Ignored("ghost_snapshot")
            }
            RolloutItem::ResponseItem(item) => self.take_item(*item, place),
            RolloutItem::EventMsg(event) => self.take_event(event, place),
            RolloutItem::TurnContext(context) => self.take_context(context, line.bytes, place),
            RolloutItem::TokenUsageRecord(record) => self.take_record(record, place),
            RolloutItem::Compacted(compacted) => self.take_compacted(compacted, place),
            RolloutItem::SessionMeta(meta) => self.take_later_meta(meta),
            RolloutItem::InterAgentMetadata(_) => {
                Outcome::Ignored("inter_agent_communication_metadata")
            }
            RolloutItem::InterAgentCommunication(message) => {
                self.push_event(place, EventKind::AgentMessage(*message))
            }
            RolloutItem::Bookkeeping(kind) => self.take_bookkeeping(*kind, place),
            RolloutItem::Unknown(kind) => self.take_unknown(Some(*kind), place),
            _ => self.take_unknown(None, place),
        }
    }

    /// A later meta is an update of this thread's, or an ancestor's.
    fn take_later_meta(&mut self, meta: &SessionMeta<'a>) -> Outcome {
        let own = meta.id.is_none_or(|id| id.decode() == self.thread_id);
        if own { Outcome::Span } else { Outcome::Ignored(INHERITED) }
    }

    fn take_bookkeeping(&mut self, kind: JsonText<'a>, place: Place) -> Outcome {
        // Bare rollouts (0.8 to 0.31) have a state line between responses.
        if let Some(open) = self.open.filter(|_| kind.is("state")) {
            self.mark(open, MarkKind::State, place);
        }
        Outcome::Ignored(bookkeeping(kind))
    }

    fn take_unknown(&mut self, kind: Option<JsonText<'a>>, place: Place) -> Outcome {
        let name = kind.map_or(&b""[..], JsonText::raw);
        if !self.unknown_types.contains(&name) {
            self.unknown_types.push(name);
            let name = String::from_utf8_lossy(name).into_owned();
            self.diagnose(
                Code::UnknownType,
                Some(place.position),
                format!("a record of the unknown type `{name}`; kept as an event"),
            );
        }
        self.push_event(place, EventKind::Unknown { kind })
    }

    fn take_context(&mut self, context: &TurnContext<'a>, line: &'a [u8], place: Place) -> Outcome {
        self.settings = Settings { model: context.model, effort: context.effort };
        let Some(turn) = self.open_turn_of(context.turn_id) else { return Outcome::Span };
        self.mark(turn, MarkKind::Context, place);
        let turn = &mut self.turns[turn].turn;
        turn.context = payload(line).or(turn.context);
        turn.model = context.model.or(turn.model);
        turn.effort = context.effort.or(turn.effort);
        turn.cwd = context.cwd.or(turn.cwd);
        turn.approval_policy = context.approval_policy.or(turn.approval_policy);
        turn.sandbox = context.sandbox_policy.and_then(|policy| policy.kind).or(turn.sandbox);
        turn.root_turn_id = context.root_turn_id.or(turn.root_turn_id);
        turn.trace_id = context.trace_id.or(turn.trace_id);
        Outcome::Span
    }

    fn take_record(&mut self, record: &TokenUsageRecord<'a>, place: Place) -> Outcome {
        if record.thread_id.is_some_and(|id| id.decode() != self.thread_id) {
            return Outcome::Ignored(FOREIGN);
        }
        let Some(usage) = record.usage else {
            return Outcome::Ignored("token_usage_record without usage");
        };
        let response = record.response_id.map_or(&b""[..], JsonText::raw);
        let turn_id = record.turn_id.map_or(&b""[..], JsonText::raw);
        if !response.is_empty() && !self.responses.insert((turn_id, response)) {
            self.diagnose(
                Code::DuplicateId,
                Some(place.position),
                "a usage record that was written before; counted once".to_owned(),
            );
            return Outcome::Ignored("repeated token_usage_record");
        }
        let turn = self.turn_for_work(record.turn_id, place);
        let draft = &mut self.turns[turn];
        draft.turn.root_turn_id = draft.turn.root_turn_id.or(record.root_turn_id);
        draft.usages.push(UsageDraft { usage, response_id: record.response_id });
        let kind = MarkKind::Record(draft.usages.len() - 1);
        self.mark(turn, kind, place);
        Outcome::Span
    }

    fn take_count(
        &mut self,
        count: &codex_rollout::item::usage::TokenCount<'a>,
        place: Place,
    ) -> Outcome {
        let limits = count.rate_limits;
        if limits.is_some() && limits != self.rate_limits {
            self.rate_limits = limits;
            if let Some(limits) = limits {
                self.push_event(place, EventKind::RateLimits(limits));
            }
        }
        match self.usage.count(count.info) {
            Count::Estimate => Outcome::Ignored("token_count that estimates the context"),
            Count::Repeated => {
                if let Some(turn) = self.open {
                    self.mark(turn, MarkKind::Repeated, place);
                }
                Outcome::Ignored("repeated token_count")
            }
            Count::Moved(usage) => {
                let turn = self.turn_for_work(None, place);
                let draft = &mut self.turns[turn];
                if let Some(window) = count.info.and_then(|info| info.model_context_window) {
                    draft.turn.model_context_window.get_or_insert(window);
                }
                draft.usages.push(UsageDraft { usage, response_id: None });
                let kind = MarkKind::Moved(draft.usages.len() - 1);
                self.mark(turn, kind, place);
                Outcome::Span
            }
        }
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
        });
        let kind = MarkKind::Compacted(draft.compactions.len() - 1);
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

    fn path(&self) -> &str {
        self.rollouts.last().map_or("", |rollout| &rollout.path)
    }

    fn rollout(&self) -> RolloutIx {
        RolloutIx(u32::try_from(self.rollouts.len()).unwrap_or(u32::MAX).saturating_sub(1))
    }

    fn item_count(&self) -> u32 {
        u32::try_from(self.items.len()).unwrap_or(u32::MAX)
    }

    fn diagnose(&mut self, code: Code, position: Option<Position>, text: String) {
        let path = self.path().to_owned();
        self.diagnostics.push(Diagnostic { code, path, position, column: None, text });
    }

    /// Adds an event to the open turn, else to the thread.
    fn push_event(&mut self, place: Place, kind: EventKind<'a>) -> Outcome {
        let event = Event { at: place.at, line: place.line, kind };
        match self.open {
            Some(turn) => {
                self.turns[turn].touch(place.line, place.at);
                self.turns[turn].events.push(event);
            }
            None => self.events.push(event),
        }
        Outcome::Span
    }

    fn mark(&mut self, turn: usize, kind: MarkKind, place: Place) {
        let items = self.item_count();
        let history = u32::try_from(self.histories.len()).unwrap_or(u32::MAX).saturating_sub(1);
        let settings = self.settings;
        let turn = &mut self.turns[turn];
        turn.touch(place.line, place.at);
        turn.marks.push(Mark { at: place.at, line: place.line, kind, items, history, settings });
    }

    /// Returns the turn that a line belongs to: the one that it names, as long
    /// as that has not ended (two processes may write at once), else the open one.
    fn open_turn_of(&self, turn_id: Option<JsonText<'a>>) -> Option<usize> {
        let Some(id) = turn_id else { return self.open };
        if let Some(open) = self.open
            && self.turns[open].turn.turn_id.is_none_or(|own| own == id)
        {
            return Some(open);
        }
        self.named_turn(id).filter(|turn| !self.turns[*turn].closed)
    }

    /// Returns the last turn with an id.
    fn named_turn(&self, id: JsonText<'a>) -> Option<usize> {
        self.turns.iter().rposition(|turn| turn.turn.turn_id == Some(id))
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
        let id = turn_id.map_or_else(
            // As Codex itself names such turns when it migrates the file.
            || format!("rollout-{}", place.line - 1),
            |id| id.decode().into_owned(),
        );
        let number = u32::try_from(self.turns.len() + 1).unwrap_or(u32::MAX);
        let mut draft = TurnDraft {
            id,
            rollout: self.rollout(),
            first_line: place.line,
            ordinal: place.ordinal,
            start: place.at,
            ..TurnDraft::default()
        };
        draft.turn.turn_id = turn_id;
        draft.turn.number = number;
        draft.turn.marked = marked;
        draft.touch(place.line, place.at);
        self.turns.push(draft);
        self.open = Some(self.turns.len() - 1);
        self.turns.len() - 1
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

/// Returns the payload of a line as it is.
fn payload(line: &[u8]) -> Option<RawJson<'_>> {
    let mut payload = None;
    let read = Cursor::new(line).object(|key, value| {
        if key == b"payload" {
            payload = Some(value.raw()?);
        }
        Ok(())
    });
    read.ok().and(payload)
}

/// Returns the name of a bookkeeping record for the ignore list.
fn bookkeeping(kind: JsonText<'_>) -> &'static str {
    const NAMES: &[&str] = &[
        "world_state",
        "session_state",
        "retained_context",
        "security_risk_score",
        "realtime_item",
        "dynamic_tools_updated",
        "rollout_reference",
        "state",
    ];
    NAMES.iter().find(|name| kind.is(name)).copied().unwrap_or("other bookkeeping")
}
