//! Which runs a session becomes, and the place of each in its trace. Nothing
//! is serialised here.
//!
//! What the plugin would upload gets exactly the places that it would give.
//! What it does not know of comes after, so that it moves nothing.

use std::collections::HashMap;

use codex_rollout::item::response_item::{ToolCallForm, ToolCallItem};
use codex_rollout::{JsonText, ResponseItem};
use codex_trace_model::{ItemIx, Span, SpanIx, SpanKind, Thread, ThreadIx, Trace, Turn};

use crate::langsmith::ids::{self, RunId, Start};
use crate::langsmith::messages::{self, Message, Role};
use crate::langsmith::metadata::is_subagent;
use crate::langsmith::skills;
use crate::langsmith::topology::Topology;

/// What is known of a turn beside its file.
pub(super) trait Known {
    /// Where the plugin has put the turn's root already.
    fn topology(&self, turn: SpanIx) -> Option<&Topology>;
    /// Whether the turn's root is there under an id that nobody knows.
    fn is_foreign(&self, turn: SpanIx) -> bool;
    /// By how many milliseconds to move what started then.
    fn shift(&self, millis: i64) -> i64;
}

/// Where a run is in its trace.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) id: RunId,
    pub(super) parent: Option<String>,
    pub(super) trace_id: String,
    pub(super) dotted_order: String,
    pub(super) start: Start,
}

impl Place {
    /// Returns the place of a run below.
    pub(super) fn child(&self, id: RunId, millis: i64, order: u32) -> Place {
        // The service refuses what starts before its parent.
        let start = Start { millis: millis.max(self.start.millis), order };
        Place {
            id,
            parent: Some(self.id.to_string()),
            trace_id: self.trace_id.clone(),
            dotted_order: format!("{}.{}", self.dotted_order, start.segment(id)),
            start,
        }
    }
}

/// A turn and its runs.
#[derive(Debug)]
pub(super) struct TurnPlan<'a> {
    pub(super) span: SpanIx,
    pub(super) thread: ThreadIx,
    /// What the ids of its runs are made of.
    pub(super) key: String,
    pub(super) items: Vec<ItemIx>,
    pub(super) messages: Vec<Message<'a>>,
    pub(super) groups: Vec<Group<'a>>,
    pub(super) root: Place,
    /// By how many milliseconds its times are moved.
    pub(super) shift: i64,
    /// The first place after those that the plugin gives.
    pub(super) next: u32,
    /// The turn that it hangs under, in the plan.
    pub(super) parent: Option<usize>,
}

/// What the model said in one go, and the tools that answered.
#[derive(Debug)]
pub(super) struct Group<'a> {
    /// The model's message.
    pub(super) message: usize,
    pub(super) order: u32,
    /// When its run starts and ends, in milliseconds.
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) tools: Vec<Answered<'a>>,
}

/// A call that was answered right after it.
#[derive(Debug)]
pub(super) struct Answered<'a> {
    pub(super) call_id: JsonText<'a>,
    pub(super) call: ToolCallItem<'a>,
    /// The message of the answer.
    pub(super) message: usize,
    pub(super) order: u32,
    pub(super) skills: Vec<String>,
}

/// All turns of a session, a subagent's after the one that it hangs under.
pub(super) struct Plan<'p, 'a> {
    trace: &'p Trace<'a>,
    known: &'p dyn Known,
    /// The project of a copy, which needs ids of its own.
    copy: Option<&'p str>,
    /// The turns of each thread.
    of_thread: Vec<Vec<SpanIx>>,
    /// The items of each turn.
    items: HashMap<SpanIx, Vec<ItemIx>>,
    /// The threads that each turn's calls spawned.
    below: HashMap<SpanIx, Vec<(SpanIx, ThreadIx)>>,
    pub(super) turns: Vec<TurnPlan<'a>>,
}

impl<'p, 'a> Plan<'p, 'a> {
    pub(super) fn new(
        trace: &'p Trace<'a>,
        known: &'p dyn Known,
        copy: Option<&'p str>,
    ) -> Plan<'p, 'a> {
        let mut plan = Plan {
            trace,
            known,
            copy,
            of_thread: vec![Vec::new(); trace.threads.len()],
            items: HashMap::new(),
            below: HashMap::new(),
            turns: Vec::new(),
        };
        for (ix, span) in trace.iter() {
            if matches!(span.kind, SpanKind::Turn(_)) {
                plan.of_thread[span.thread.0 as usize].push(ix);
            }
        }
        for thread in &trace.threads {
            for (item, nth) in thread.items.iter().zip(0..) {
                if let Some(turn) = item.turn {
                    plan.items.entry(turn).or_default().push(ItemIx(nth));
                }
            }
        }
        let mut tops = Vec::new();
        for (thread, nth) in trace.threads.iter().zip(0..) {
            let above = trace.span(thread.span).parent;
            let turn = above.and_then(|above| turn_of(trace, above));
            match (above, turn) {
                (Some(above), Some(turn)) if is_subagent(thread) && !known.is_foreign(turn) => {
                    plan.below.entry(turn).or_default().push((above, ThreadIx(nth)));
                }
                _ => tops.push(ThreadIx(nth)),
            }
        }
        for thread in tops {
            for turn in plan.of_thread[thread.0 as usize].clone() {
                plan.turn(turn, None, &mut 0);
            }
        }
        plan
    }

    /// Returns the id of a run.
    pub(super) fn id(&self, thread: ThreadIx, turn: &str, run: &str) -> RunId {
        let id = RunId::new(&self.trace.threads[thread.0 as usize].id, turn, run);
        self.copy.map_or(id, |project| id.copy_for(project))
    }

    fn turn(&mut self, ix: SpanIx, parent: Option<usize>, order: &mut u32) {
        let span = self.trace.span(ix);
        let SpanKind::Turn(turn) = &span.kind else { return };
        let thread = &self.trace.threads[span.thread.0 as usize];
        let items = self.items.remove(&ix).unwrap_or_default();
        let recorded = recorded_start(span, thread, &items);
        let key = turn_key(span, turn);
        let started = turn.turn_id.and_then(|id| ids::v7_millis(&id.decode()));
        // Made by another clock, it could be later than what follows it.
        let started = started.filter(|at| *at <= recorded).unwrap_or(recorded);
        *order += 1;
        let id = self.id(span.thread, &key, "root");
        let shift = match parent {
            Some(parent) => self.turns[parent].shift,
            None => self.known.shift(started),
        };
        let root = self.root(ix, id, Start { millis: started + shift, order: *order }, parent);
        let prompt = thread.meta.base_instructions.and_then(|it| it.text).map(|_| recorded);
        let messages = messages::merge(thread, &items, prompt, recorded);
        let nth = self.turns.len();
        self.turns.push(TurnPlan {
            span: ix,
            thread: span.thread,
            key,
            items,
            messages,
            groups: Vec::new(),
            root,
            shift,
            next: 0,
            parent,
        });
        let (groups, last) = self.groups(nth, ix, order);
        let turn = &mut self.turns[nth];
        turn.groups = groups;
        turn.next = last + 1;
    }

    fn root(&self, turn: SpanIx, id: RunId, start: Start, parent: Option<usize>) -> Place {
        let saved = self.known.topology(turn).filter(|_| self.copy.is_none());
        if let Some(saved) = saved {
            return Place {
                id,
                parent: saved.parent_run_id.clone(),
                trace_id: saved.trace_id.clone(),
                dotted_order: saved.dotted_order.clone(),
                start: ids::start_of(&saved.dotted_order).unwrap_or(start),
            };
        }
        match parent {
            Some(parent) => self.turns[parent].root.child(id, start.millis, start.order),
            None => Place {
                id,
                parent: None,
                trace_id: id.to_string(),
                dotted_order: start.segment(id),
                start,
            },
        }
    }

    /// Gives places to the model's messages, to what answered them, and to the
    /// subagents that they spawned.
    fn groups(&mut self, nth: usize, ix: SpanIx, order: &mut u32) -> (Vec<Group<'a>>, u32) {
        let trace = self.trace;
        let mut below = self.below.remove(&ix).unwrap_or_default();
        let mut groups = Vec::new();
        let n_messages = self.turns[nth].messages.len();
        for message in 0..n_messages {
            let plan = &self.turns[nth];
            let thread = &trace.threads[plan.thread.0 as usize];
            let at = plan.messages[message];
            if at.role != Role::Ai {
                continue;
            }
            let before = message.checked_sub(1).map(|before| plan.messages[before].end);
            let start = before.unwrap_or(at.start);
            *order += 1;
            let mut group =
                Group { message, order: *order, start, end: at.end.max(start), tools: Vec::new() };
            let calls = calls_in(thread, &plan.items[at.from..at.to]);
            let answers = plan.messages[message + 1..]
                .iter()
                .take_while(|answer| answer.role == Role::Tool)
                .zip(message + 1..);
            for (answer, message) in answers {
                let answered = messages::answered(&thread[plan.items[answer.from]].body);
                let call = calls.iter().find(|call| {
                    answered.is_some() && call.fields.call_id == answered && !is_chunk(call)
                });
                let (Some(call), Some(call_id)) = (call, answered) else { continue };
                *order += 1;
                let skills = skills_of(call);
                group.tools.push(Answered { call_id, call: *call, message, order: *order, skills });
                *order +=
                    u32::try_from(group.tools.last().map_or(0, |it| it.skills.len())).unwrap_or(0);
            }
            groups.push(group);
            let ids: Vec<_> = calls.iter().filter_map(|call| call.fields.call_id).collect();
            let (here, later): (Vec<_>, Vec<_>) = below.into_iter().partition(|(by, _)| {
                matches!(&trace.span(*by).kind, SpanKind::ToolCall(tool)
                    if tool.call_id.is_some_and(|id| ids.contains(&id)))
            });
            below = later;
            self.threads(here, nth, order);
        }
        self.threads(below, nth, order);
        (groups, *order)
    }

    fn threads(&mut self, threads: Vec<(SpanIx, ThreadIx)>, parent: usize, order: &mut u32) {
        for (_, thread) in threads {
            for turn in self.of_thread[thread.0 as usize].clone() {
                self.turn(turn, Some(parent), order);
            }
        }
    }
}

/// Returns the turn that a span is or lies in.
fn turn_of(trace: &Trace<'_>, mut ix: SpanIx) -> Option<SpanIx> {
    loop {
        let span = trace.span(ix);
        match span.kind {
            SpanKind::Turn(_) => return Some(ix),
            SpanKind::Thread => return None,
            _ => ix = span.parent?,
        }
    }
}

/// When the file says that a turn began, in milliseconds.
fn recorded_start(span: &Span<'_>, thread: &Thread<'_>, items: &[ItemIx]) -> i64 {
    let first = || items.iter().find_map(|item| thread[*item].at);
    let local = || thread.created_local?.decode().parse().ok();
    let recorded = span.recorded().and_then(|(start, _)| start);
    let at = recorded.or(span.start).or_else(first).or(thread.created).or_else(local);
    at.map_or(0, codex_trace_model::Timestamp::as_millisecond)
}

/// What the ids of a turn's runs are made of, as the plugin has it where it has
/// anything.
pub(super) fn turn_key(span: &Span<'_>, turn: &Turn<'_>) -> String {
    match (turn.turn_id, span.recorded().and_then(|it| it.0).or(span.start)) {
        (None, Some(start)) if turn.marked => format!("timestamp:{}", start.as_millisecond()),
        // The key has the id, and a suffix should it be there twice.
        _ => span.key.strip_prefix("turn:").unwrap_or(&span.key).to_owned(),
    }
}

fn calls_in<'a>(thread: &Thread<'a>, items: &[ItemIx]) -> Vec<ToolCallItem<'a>> {
    let of = |item: &ItemIx| match &thread[*item].body {
        ResponseItem::ToolCall(call) => Some(*call),
        _ => None,
    };
    items.iter().filter_map(of).collect()
}

/// Whether the arguments of a call should be JSON and are none. The plugin
/// makes no run of it.
fn is_chunk(call: &ToolCallItem<'_>) -> bool {
    let text = call.fields.arguments.and_then(codex_rollout::RawJson::as_text);
    call.form == ToolCallForm::Function
        && text.is_some_and(|text| {
            serde_json::from_str::<serde::de::IgnoredAny>(&text.decode()).is_err()
        })
}

fn skills_of(call: &ToolCallItem<'_>) -> Vec<String> {
    let Some(tool) = call.fields.name else { return Vec::new() };
    let is_script = call.form == ToolCallForm::Custom;
    let text = match call.form {
        ToolCallForm::Custom => call.fields.input,
        _ => call.fields.arguments.and_then(codex_rollout::RawJson::as_text),
    };
    let Some(text) = text else { return Vec::new() };
    if memchr::memmem::find(text.raw(), b"SKILL.md").is_none() {
        return Vec::new();
    }
    skills::read_by(&tool.decode(), &text.decode(), is_script)
}
