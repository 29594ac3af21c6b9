use std::borrow::Cow;
use std::rc::Rc;

use codex_rollout::JsonText;
use codex_trace_model::{
    ItemIx, Link as TreeLink, Relation, Span as TreeSpan, SpanIx, SpanKind as Kind,
    Status as Ended, Thread, Timestamp,
};

use super::{Scene, Vocabulary};
use crate::content::Part;
use crate::otlp::attributes::Attributes;
use crate::otlp::ids;
use crate::otlp::messages::ItemReader;
use crate::otlp::proto::{Link, SpanKind, Status, StatusCode};
use crate::otlp::times::{self, Times, nanos};
use crate::otlp::window::Seen;

/// A span to be described.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'s, 'a> {
    /// Where it is.
    pub scene: &'s Scene<'s, 'a>,
    /// Its index.
    pub ix: SpanIx,
    /// The span.
    pub span: &'s TreeSpan<'a>,
    /// Its thread.
    pub thread: &'s Thread<'a>,
    /// Its times.
    pub times: Times,
    /// Whether it is the root of its trace.
    pub is_root: bool,
}

impl<'s, 'a> Subject<'s, 'a> {
    /// Returns the reader of items.
    pub(crate) fn reader(&self) -> ItemReader<'s> {
        self.scene.reader()
    }

    /// Returns an item of its thread, as much of it as may be sent. `None` if the model
    /// did not see it.
    pub(crate) fn item(&self, ix: ItemIx) -> Option<Rc<Seen<'a>>> {
        let item = self.thread.item(ix)?;
        let mut recent = self.scene.recent.borrow_mut();
        recent.item(&self.reader(), self.thread, (ix, item), self.scene.amount.llm_input_bytes)
    }

    /// Returns a name or another label, as it may be sent.
    pub(crate) fn label<'t>(&self, text: Option<JsonText<'t>>) -> Option<Cow<'t, str>> {
        self.scene.rules.decoded(Part::Label, text?)
    }

    /// Returns where it was, as far as it may be said.
    pub(crate) fn place<'t>(&self, text: Option<JsonText<'t>>) -> Option<Cow<'t, str>> {
        self.scene.rules.decoded(Part::Place, text?)
    }

    /// Returns the turn around it, or itself if it is one.
    pub(crate) fn turn(&self) -> Option<SpanIx> {
        let mut at = Some(self.ix);
        while let Some(ix) = at {
            let span = self.scene.trace.span(ix);
            if matches!(span.kind, Kind::Turn(_)) {
                return Some(ix);
            }
            at = span.parent;
        }
        None
    }

    /// Returns the agent's name: `codex`, or what a subagent is called.
    pub(crate) fn agent(&self) -> Cow<'a, str> {
        let meta = &self.thread.meta;
        let subagent = meta.agent_nickname.or(meta.agent_role).or(meta.agent_path);
        self.label(subagent).unwrap_or(Cow::Borrowed("codex"))
    }

    pub(super) fn otlp_kind(&self) -> SpanKind {
        match self.span.kind {
            Kind::ModelCall(_) => SpanKind::Client,
            _ => SpanKind::Internal,
        }
    }

    /// Returns another span of the scene; `None` if its file says no time at all.
    pub(crate) fn other(&self, ix: SpanIx) -> Option<Subject<'s, 'a>> {
        let span = self.scene.trace.span(ix);
        let thread = self.scene.trace.thread_of(span);
        let times = self.scene.times[ix.index()]?;
        Some(Subject { ix, span, thread, times, is_root: false, ..*self })
    }

    /// Returns how it ended. What the file does not say is unset.
    pub(crate) fn status(&self) -> Status {
        let sort = match self.span.kind {
            Kind::ToolCall(_) => Part::Tool,
            _ => Part::Message,
        };
        let text = |it: &str| self.scene.rules.reason(sort, it).map(Cow::into_owned);
        match &self.span.status {
            Ended::Ok => Status { code: StatusCode::Ok as i32, message: String::new() },
            Ended::Error { message } => {
                let message = text(message).unwrap_or_default();
                Status { code: StatusCode::Error as i32, message }
            }
            Ended::Interrupted { reason } => Status {
                code: StatusCode::Error as i32,
                message: match text(reason) {
                    Some(reason) => format!("interrupted: {reason}"),
                    None => "interrupted".to_owned(),
                },
            },
            _ => Status::default(),
        }
    }

    /// Returns a low-cardinality word for how it failed.
    pub(crate) fn error_type(&self) -> Option<&'static str> {
        match (&self.span.status, &self.span.kind) {
            (Ended::Interrupted { .. }, _) => Some("interrupted"),
            (Ended::Error { .. }, Kind::ToolCall(call)) => {
                Some(if call.exit_code.is_some_and(|code| code != 0) {
                    "exit_code"
                } else {
                    "tool_error"
                })
            }
            (Ended::Error { .. }, _) => Some("_OTHER"),
            _ => None,
        }
    }

    /// Says which times the file does not say.
    pub(super) fn describe_inference(&self, attributes: &mut Attributes) {
        attributes.text("codex.time.start_from", self.times.start_from.map(Cow::from));
        attributes.text("codex.time.end_from", self.times.end_from.map(Cow::from));
        if let Some((start, end)) = self.span.recorded() {
            let text = |at: Option<Timestamp>| at.map(|at| Cow::Owned(at.to_string()));
            attributes.text("codex.time.recorded_start", text(start));
            attributes.text("codex.time.recorded_end", text(end));
        }
        let millis = self.scene.moved_by(self.ix);
        if millis != 0 {
            let start = times::moved(self.times.start, -millis);
            let start = Timestamp::from_nanosecond(i128::from(start)).ok();
            attributes.text("codex.original_start_time", start.map(|at| at.to_string().into()));
            attributes.signed("codex.time_shift_ms", Some(millis));
        }
    }

    /// Returns the threads that it refers to and that are traces of their own.
    /// Where the turn is known, so is its span; the thread always is.
    pub(super) fn links(&self, vocabulary: &dyn Vocabulary) -> Vec<Link> {
        let mut links: Vec<Link> =
            self.span.links().iter().map(|it| self.link(it, vocabulary)).collect();
        let first = || {
            let turns = self.scene.trace.children(SpanIx(0));
            turns.map(|(ix, _)| ix).next() == Some(self.ix)
        };
        if self.is_root && first() {
            let thread = self.scene.trace.span(SpanIx(0));
            links.extend(thread.links().iter().map(|it| self.link(it, vocabulary)));
        }
        links
    }

    fn link(&self, link: &TreeLink<'_>, vocabulary: &dyn Vocabulary) -> Link {
        let spawning = match &self.span.kind {
            Kind::Turn(turn) if link.relation == Relation::SpawnedBy => turn.parent_turn_id,
            _ => None,
        };
        let turn = link.turn.map(|it| it.turn_id).or(spawning).map(JsonText::decode);
        let key = match &turn {
            Some(turn) => format!("turn:{turn}"),
            None => format!("thread:{}", link.thread_id),
        };
        let label = turn.as_deref().unwrap_or_default();
        let recorded = link.turn.and_then(|it| it.trace_id).and_then(ids::recorded);
        let recorded = recorded.filter(|_| vocabulary.reuses_recorded_ids());
        let (trace_id, span_id) = vocabulary.linked(link, turn.as_deref()).unwrap_or_else(|| {
            let trace_id = recorded.unwrap_or_else(|| ids::trace_id(&link.thread_id, label));
            (trace_id, ids::span_id(&link.thread_id, label, &key))
        });
        let mut attributes = Attributes::default();
        attributes.word("codex.link.relation", link.relation.word());
        attributes.text("codex.thread.id", Some(Cow::from(link.thread_id.as_ref())));
        attributes.text("codex.turn.id", turn.as_deref().map(Cow::from));
        Link {
            trace_id: self.scene.placed(trace_id).to_vec(),
            span_id: self.scene.placed(span_id).to_vec(),
            attributes: attributes.0,
        }
    }

    /// Returns when something happened, or at least a time within the span.
    pub(crate) fn moment(&self, at: Option<Timestamp>) -> (u64, bool) {
        match at.and_then(nanos) {
            Some(at) => (times::moved(at, self.scene.moved_by(self.ix)), true),
            None => (self.times.start, false),
        }
    }
}
