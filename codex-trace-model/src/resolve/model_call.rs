//! Model calls: which of a turn's items came from one response, by the best
//! evidence that each stretch of the file offers (rollout-format §7.2).

use hashbrown::HashMap;
use jiff::Timestamp;

use crate::resolve::turn::{Mark, MarkKind, Settings, TurnDraft};
use crate::span::{CallEvidence, Status, Window};
use crate::trace::ItemIx;

/// A model call of a turn.
#[derive(Debug)]
pub(crate) struct CallDraft<'a> {
    pub(crate) items: Vec<ItemIx>,
    /// An index into the turn's usages.
    pub(crate) usage: Option<u32>,
    pub(crate) evidence: CallEvidence,
    pub(crate) start: Option<Timestamp>,
    pub(crate) end: Option<Timestamp>,
    pub(crate) first_line: u64,
    pub(crate) last_line: u64,
    pub(crate) window: Window,
    pub(crate) settings: Settings<'a>,
    /// The compaction that the request was made for.
    pub(crate) compaction: Option<usize>,
}

/// Tells the model calls of a turn apart.
///
/// `counts_lead` says that the version writes the count of a response before
/// its items, if it writes one.
pub(crate) fn model_calls<'a>(turn: &TurnDraft<'a>, counts_lead: bool) -> Vec<CallDraft<'a>> {
    let mut splitter = Splitter {
        settings: &turn.settings,
        by_record: turn.marks.iter().any(|mark| matches!(mark.kind, MarkKind::Record(_))),
        by_state: turn.marks.iter().any(|mark| mark.kind == MarkKind::State),
        calls: Vec::new(),
        pending: Vec::new(),
        leading: None,
        leads: if counts_lead && leads(&turn.marks) { Leads::Always } else { Leads::No },
        waited: turn.start,
    };
    for mark in &turn.marks {
        splitter.take(mark);
    }
    if turn.status == Status::Ok && turn.end.is_some() {
        splitter.join_answered_runs();
    }
    splitter.close_runs(CallEvidence::Items);
    let mut calls = splitter.calls;
    assign_compactions(turn, &mut calls);
    calls
}

/// Whether a turn is as 0.34 to 0.40 write it: one count for each response,
/// and the first before any item.
fn leads(marks: &[Mark]) -> bool {
    let first = marks.iter().find_map(|mark| match mark.kind {
        MarkKind::Moved(_) => Some(true),
        MarkKind::Made(_) => Some(false),
        _ => None,
    });
    let other = |mark: &Mark| matches!(mark.kind, MarkKind::Repeated | MarkKind::Record(_));
    first == Some(true) && !marks.iter().any(other)
}

/// An item that no call has yet, or the end of a run of such items.
#[derive(Clone, Copy)]
enum Pending<'m> {
    /// With the end of what its request waited for.
    Item(&'m Mark, ItemIx, Option<Timestamp>),
    Break,
}

impl<'m> Pending<'m> {
    fn item(&self) -> Option<(&'m Mark, ItemIx, Option<Timestamp>)> {
        match *self {
            Pending::Item(mark, item, waited) => Some((mark, item, waited)),
            Pending::Break => None,
        }
    }
}

/// Whether a count comes before the items of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leads {
    No,
    /// A count that repeats the one before came last (0.42 to 0.65).
    AfterRepeat,
    /// As all of the turn's do (0.34 to 0.40).
    Always,
}

struct Splitter<'m, 'a> {
    settings: &'m [Settings<'a>],
    /// Whether the turn has usage records, so that its token counts are echoes.
    by_record: bool,
    /// Whether the turn has state lines, so that an output ends no response:
    /// calls and outputs of one response were written in turns.
    by_state: bool,
    calls: Vec<CallDraft<'a>>,
    pending: Vec<Pending<'m>>,
    /// The call whose count came before its items (0.34 to 0.65).
    leading: Option<usize>,
    /// Whether the next count comes before its items.
    leads: Leads,
    /// The end of what the next request waited for.
    waited: Option<Timestamp>,
}

impl<'m> Splitter<'m, '_> {
    fn take(&mut self, mark: &'m Mark) {
        match mark.kind {
            MarkKind::Made(item) => self.made(mark, item),
            MarkKind::Output => {
                if !self.by_state {
                    self.pause();
                }
                self.waited = mark.at.or(self.waited);
            }
            MarkKind::Input(_) | MarkKind::State => self.pause(),
            MarkKind::Record(usage) => {
                self.close_earlier_runs();
                self.close(mark, Some(usage), CallEvidence::UsageRecord);
            }
            MarkKind::Moved(usage) => self.moved(mark, usage),
            MarkKind::Repeated => {
                // What came before broke off: a response that ended would have
                // been counted.
                self.close_runs(CallEvidence::Items);
                self.expect(Leads::AfterRepeat);
                self.leading = None;
            }
            MarkKind::Context => {
                self.leading = None;
                self.close_runs(CallEvidence::TurnContext);
            }
            MarkKind::Compacted(_) => {
                self.leading = None;
                self.close_runs(CallEvidence::Items);
                self.waited = mark.at.or(self.waited);
            }
        }
    }

    fn made(&mut self, mark: &'m Mark, item: ItemIx) {
        if let Some(call) = self.leading {
            let call = &mut self.calls[call];
            // Calls and outputs were written in turns, when all had been said.
            if call.items.is_empty() {
                call.end = mark.at.or(call.end);
            }
            call.items.push(item);
            call.last_line = mark.line;
            self.waited = mark.at.or(call.end);
            return;
        }
        self.expect(Leads::No);
        self.pending.push(Pending::Item(mark, item, self.waited));
    }

    fn pause(&mut self) {
        if matches!(self.pending.last(), Some(Pending::Item(..))) {
            self.pending.push(Pending::Break);
        }
    }

    fn moved(&mut self, mark: &Mark, usage: u32) {
        let leads = match self.leads {
            Leads::No => false,
            Leads::AfterRepeat => self.pending.is_empty(),
            Leads::Always => {
                self.close_runs(CallEvidence::Items);
                true
            }
        };
        self.close(mark, Some(usage), CallEvidence::TokenCount);
        self.leading = leads.then(|| self.calls.len() - 1);
        self.expect(Leads::No);
    }

    /// Notes what the next count is to be.
    fn expect(&mut self, leads: Leads) {
        if self.leads != Leads::Always {
            self.leads = leads;
        }
    }

    /// Closes a call over everything pending.
    fn close(&mut self, mark: &Mark, usage: Option<u32>, evidence: CallEvidence) {
        let mut pending = std::mem::take(&mut self.pending);
        self.push(mark, &pending, usage, evidence);
        pending.clear();
        self.pending = pending;
    }

    fn push(
        &mut self,
        closing: &Mark,
        run: &[Pending<'m>],
        usage: Option<u32>,
        evidence: CallEvidence,
    ) {
        let first = run.iter().find_map(Pending::item);
        let (first, waited) = first.map_or((closing, self.waited), |it| (it.0, it.2));
        let last = run.iter().rev().find_map(Pending::item).map_or(closing, |it| it.0);
        let at = last.at.or(closing.at);
        let mut items = Vec::with_capacity(run.len());
        items.extend(run.iter().filter_map(Pending::item).map(|it| it.1));
        self.calls.push(CallDraft {
            items,
            usage,
            evidence,
            start: waited,
            end: at,
            first_line: first.line,
            last_line: if usage.is_some() { closing.line } else { last.line },
            window: Window { history: first.history, end: ItemIx(first.items) },
            settings: self.settings[first.settings as usize],
            compaction: None,
        });
        // An output that came meanwhile is what the next request waits for.
        self.waited = self.waited.max(at);
    }

    /// Closes each run of pending items as a call of its own, without usage.
    fn close_runs(&mut self, evidence: CallEvidence) {
        let mut pending = std::mem::take(&mut self.pending);
        for run in pending.split(|pending| matches!(pending, Pending::Break)) {
            if let Some((mark, ..)) = run.iter().rev().find_map(Pending::item) {
                self.push(mark, run, None, evidence);
            }
        }
        pending.clear();
        self.pending = pending;
    }

    /// Settles all but the last run before a record.
    fn close_earlier_runs(&mut self) {
        if matches!(self.pending.last(), Some(Pending::Break)) {
            self.pending.pop();
        }
        self.join_answered_runs();
    }

    /// Gives the runs that something else followed to the last response that
    /// has a record. A response's record is written before its tools run, so
    /// an answered run without one was no response of its own.
    fn join_answered_runs(&mut self) {
        let split = self.pending.iter().rposition(|pending| matches!(pending, Pending::Break));
        let Some(split) = split.filter(|_| self.by_record) else { return };
        let last_run = self.pending.split_off(split + 1);
        match self.calls.last_mut().filter(|call| call.evidence == CallEvidence::UsageRecord) {
            Some(call) => {
                for pending in self.pending.drain(..) {
                    if let Pending::Item(mark, item, _) = pending {
                        call.items.push(item);
                        call.last_line = call.last_line.max(mark.line);
                    }
                }
            }
            None => self.close_runs(CallEvidence::Items),
        }
        self.pending = last_run;
    }
}

/// Finds the request of each compaction: the one whose response it names, or
/// the empty response right before it.
fn assign_compactions<'a>(turn: &TurnDraft<'a>, calls: &mut [CallDraft<'a>]) {
    if turn.compactions.is_empty() {
        return;
    }
    let mut of_response: HashMap<&[u8], usize> = HashMap::new();
    let mut empty: Vec<usize> = Vec::new();
    for (ix, call) in calls.iter().enumerate() {
        if let Some(id) = call.usage.and_then(|usage| turn.usages[usage as usize].response_id) {
            of_response.entry(id.raw()).or_insert(ix);
        }
        if call.items.is_empty() && call.evidence == CallEvidence::UsageRecord {
            empty.push(ix);
        }
    }
    let mut before: Vec<usize> = Vec::new();
    let mut empty = empty.into_iter().peekable();
    for (ix, compaction) in turn.compactions.iter().enumerate() {
        while let Some(call) = empty.next_if(|call| calls[*call].last_line < compaction.line) {
            before.push(call);
        }
        let named = compaction.response_id.and_then(|id| of_response.get(id.raw()).copied());
        let found = named.or_else(|| {
            while let Some(call) = before.pop() {
                if calls[call].compaction.is_none() {
                    return Some(call);
                }
            }
            None
        });
        if let Some(call) = found {
            calls[call].compaction.get_or_insert(ix);
        }
    }
}
