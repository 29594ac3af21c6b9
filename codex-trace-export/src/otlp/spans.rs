//! Trace → OTLP spans: identity, time, status, events and links, which are the
//! same in every convention. What differs is a [`Vocabulary`].
//!
//! A trace of OTLP is one turn with everything below it, subagents included:
//! so does Codex' own telemetry cut, whose recorded trace ids are reused, and a
//! session of days would not fit into one trace of any backend. The session is
//! an attribute of every span. The root thread has no span of its own; its
//! events go to the turn that comes next, so that a turn that is over never
//! changes.

mod subject;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

use codex_rollout::JsonText;
use codex_trace_model::{
    Event, ItemIx, Link as TreeLink, SpanIx, SpanKind as Kind, Timestamp, Trace,
};

use super::attributes::Attributes;
use super::events;
use super::ids::{self, SpanId, TraceId};
use super::images::Images;
use super::messages::ItemReader;
use super::proto::{Span, Status};
use super::times::{self, Times};
use super::window::{LlmInput, Recent};
use crate::content::ContentRules;

pub(crate) use subject::Subject;

/// How names and attributes are chosen.
pub(crate) trait Vocabulary: Send + Sync {
    /// Returns what to call a span.
    fn name(&self, subject: &Subject<'_, '_>) -> String;

    /// Adds what is known of a span.
    fn describe(&self, subject: &Subject<'_, '_>, attributes: &mut Attributes);

    /// Whether trace ids that Codex recorded are reused.
    fn reuses_recorded_ids(&self) -> bool {
        true
    }

    /// Returns where a span is, for a vocabulary that has its own ids.
    fn place(&self, subject: &Subject<'_, '_>) -> Option<Place> {
        let _ = subject;
        None
    }

    /// Returns the ids of a turn, or else a thread, that a span refers to, for
    /// the same.
    fn linked(&self, link: &TreeLink<'_>, turn_id: Option<&str>) -> Option<(TraceId, SpanId)> {
        let _ = (link, turn_id);
        None
    }

    /// Returns how a span ended. What the file does not say is unset.
    fn status(&self, subject: &Subject<'_, '_>) -> Status {
        subject.status()
    }
}

/// Where a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The trace.
    pub trace_id: TraceId,
    /// The span itself.
    pub span_id: SpanId,
    /// The span around it; absent for the root of a group.
    pub parent: Option<SpanId>,
}

/// How much content to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// How much of the history is repeated as the input of a model call.
    pub llm_input: LlmInput,
    /// How many bytes of it, for one call.
    pub llm_input_bytes: usize,
    /// How many bytes of any other text.
    pub field_bytes: usize,
    /// Whether what users typed is sent.
    pub prompts: bool,
}

impl Default for Amount {
    fn default() -> Amount {
        Amount {
            llm_input: LlmInput::Turn,
            llm_input_bytes: 256 * 1024,
            field_bytes: 256 * 1024,
            prompts: true,
        }
    }
}

/// A trace with all that is needed to encode its spans.
#[derive(Debug)]
pub(crate) struct Scene<'s, 'a> {
    /// The session.
    pub trace: &'s Trace<'a>,
    /// What may be sent.
    pub rules: &'s ContentRules,
    /// How much is sent.
    pub amount: Amount,
    /// The place that ids are for alone, if they are.
    place: Option<&'s str>,
    times: Vec<Option<Times>>,
    /// By how many milliseconds the times of each span were moved; empty if none
    /// were.
    moved: Vec<i64>,
    /// The last item seen by the call before, by model call.
    seen_before: HashMap<SpanIx, ItemIx>,
    /// The root thread's events, by the turn that comes next.
    between_turns: HashMap<SpanIx, Vec<usize>>,
    images: Images,
    /// What model calls saw.
    pub recent: RefCell<Recent<'a>>,
}

/// A turn, or what stands beside the turns, with everything below it: one
/// trace of OTLP.
#[derive(Debug)]
pub(crate) struct Group {
    /// Its root.
    pub root: SpanIx,
    /// All of it, parents first.
    pub members: Vec<SpanIx>,
}

impl<'s, 'a> Scene<'s, 'a> {
    /// Prepares a trace.
    pub(crate) fn new(
        trace: &'s Trace<'a>,
        rules: &'s ContentRules,
        amount: Amount,
    ) -> Scene<'s, 'a> {
        let mut seen_before = HashMap::new();
        let mut last: HashMap<Option<SpanIx>, ItemIx> = HashMap::new();
        for (ix, span) in trace.iter() {
            if let Kind::ModelCall(call) = &span.kind
                && let Some(seen) = last.insert(span.parent, call.window.end)
            {
                seen_before.insert(ix, seen);
            }
        }
        let between_turns = events::between_turns(trace);
        let times = times::times(trace);
        let images = Images::default();
        let recent = RefCell::default();
        Scene {
            trace,
            rules,
            amount,
            place: None,
            times,
            moved: Vec::new(),
            seen_before,
            between_turns,
            images,
            recent,
        }
    }

    /// Makes all ids for one place alone.
    pub(crate) fn for_place(self, place: Option<&'s str>) -> Scene<'s, 'a> {
        Scene { place, ..self }
    }

    /// Moves the times of each group by so many milliseconds, given when it began.
    pub(crate) fn moved(mut self, by: impl Fn(i64) -> i64) -> Scene<'s, 'a> {
        let mut moved = vec![0; self.times.len()];
        for group in self.groups() {
            let Some(root) = self.times[group.root.index()] else { continue };
            let millis = by(i64::try_from(root.start / 1_000_000).unwrap_or(i64::MAX));
            for ix in group.members {
                moved[ix.index()] = millis;
                if let Some(times) = &mut self.times[ix.index()] {
                    times.start = times::moved(times.start, millis);
                    times.end = times::moved(times.end, millis);
                }
            }
        }
        if moved.iter().any(|millis| *millis != 0) {
            self.moved = moved;
        }
        self
    }

    fn moved_by(&self, ix: SpanIx) -> i64 {
        self.moved.get(ix.index()).copied().unwrap_or_default()
    }

    /// Returns when a group begins, as it is sent.
    pub(crate) fn starts_at(&self, group: &Group) -> Option<Timestamp> {
        let start = self.trace.span(group.root).start?.as_millisecond();
        Timestamp::from_millisecond(start.saturating_add(self.moved_by(group.root))).ok()
    }

    /// Returns an id as it is at this place.
    pub(crate) fn placed<const N: usize>(&self, id: [u8; N]) -> [u8; N] {
        self.place.map_or(id, |place| ids::copied(id, place))
    }

    /// Returns the groups of spans that become traces, in file order.
    pub(crate) fn groups(&self) -> Vec<Group> {
        let mut group_of: Vec<Option<usize>> = Vec::with_capacity(self.trace.spans.len());
        let mut groups: Vec<Group> = Vec::new();
        for (ix, span) in self.trace.iter() {
            let group = span.parent.map(|parent| {
                group_of[parent.index()].unwrap_or_else(|| {
                    groups.push(Group { root: ix, members: Vec::new() });
                    groups.len() - 1
                })
            });
            if let Some(group) = group {
                groups[group].members.push(ix);
            }
            group_of.push(group);
        }
        groups
    }

    /// Returns the reader of items.
    pub(crate) fn reader(&'s self) -> ItemReader<'s> {
        ItemReader {
            rules: self.rules,
            field_limit: self.amount.field_bytes,
            prompts: self.amount.prompts,
            images: &self.images,
        }
    }

    /// Returns what the call before had seen, in the same turn.
    pub(crate) fn seen_before(&self, call: SpanIx) -> Option<ItemIx> {
        self.seen_before.get(&call).copied()
    }

    /// Returns what happened in the root thread between a turn and the one before.
    pub(super) fn events_before(&self, turn: SpanIx) -> impl Iterator<Item = &'s Event<'a>> {
        let events = self.between_turns.get(&turn).map_or(&[][..], Vec::as_slice);
        events.iter().map(|nth| &self.trace.spans[0].events()[*nth])
    }

    /// Returns whether a span's file says when it was.
    pub(crate) fn has_time(&self, ix: SpanIx) -> bool {
        self.times[ix.index()].is_some()
    }

    /// Returns a span to be described; `None` if its file says no time at all.
    pub(crate) fn subject(&'s self, group: &Group, ix: SpanIx) -> Option<Subject<'s, 'a>> {
        let span = self.trace.span(ix);
        Some(Subject {
            scene: self,
            ix,
            span,
            thread: self.trace.thread_of(span),
            times: self.times[ix.index()]?,
            is_root: ix == group.root,
        })
    }

    /// Returns the session that the root thread belongs to: the root itself
    /// where Codex does not say otherwise.
    pub(crate) fn session_id(&self) -> Cow<'a, str> {
        let root = self.trace.root();
        root.session_id.map_or_else(|| Cow::Owned(root.id.clone()), JsonText::decode)
    }

    /// Returns the ids that all spans of a group share.
    pub(crate) fn identity(&self, group: &Group, reuse: bool) -> Identity {
        let root = self.trace.span(group.root);
        let (label, recorded) = match &root.kind {
            Kind::Turn(turn) => {
                (turn.turn_id.map(JsonText::decode), turn.trace_id.and_then(ids::recorded))
            }
            _ => (None, None),
        };
        let label = label.map_or_else(|| root.key.clone(), Cow::into_owned);
        let thread = &self.trace.thread_of(root).id;
        let trace_id = recorded.filter(|_| reuse).unwrap_or_else(|| ids::trace_id(thread, &label));
        Identity { trace_id: self.placed(trace_id), label }
    }

    /// Encodes a span, with its attributes in `attributes`, which must be empty. `None`
    /// if its file says no time at all.
    pub(crate) fn encode(
        &'s self,
        group: &Group,
        identity: &Identity,
        ix: SpanIx,
        vocabulary: &dyn Vocabulary,
        mut attributes: Attributes,
    ) -> Option<Span> {
        let subject = self.subject(group, ix)?;
        vocabulary.describe(&subject, &mut attributes);
        subject.describe_inference(&mut attributes);
        let place = vocabulary.place(&subject).unwrap_or_else(|| {
            let parent = subject.span.parent.filter(|_| !subject.is_root);
            Place {
                trace_id: identity.trace_id,
                span_id: self.span_id(identity, ix),
                parent: parent.map(|parent| self.span_id(identity, parent)),
            }
        });
        Some(Span {
            trace_id: place.trace_id.to_vec(),
            span_id: place.span_id.to_vec(),
            parent_span_id: place.parent.map_or_else(Vec::new, |id| id.to_vec()),
            name: vocabulary.name(&subject),
            kind: subject.otlp_kind() as i32,
            start_time_unix_nano: subject.times.start,
            end_time_unix_nano: subject.times.end,
            attributes: attributes.0,
            events: events::events(&subject),
            links: subject.links(vocabulary),
            status: Some(vocabulary.status(&subject)),
        })
    }

    fn span_id(&self, identity: &Identity, ix: SpanIx) -> SpanId {
        let span = self.trace.span(ix);
        self.placed(ids::span_id(&self.trace.thread_of(span).id, &identity.label, &span.key))
    }
}

/// What all spans of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The trace.
    pub trace_id: TraceId,
    /// What the group is called when ids are made: Codex' id of the turn, or
    /// the key of the root.
    pub label: String,
}
