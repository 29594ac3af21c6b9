//! A thread as Codex' telemetry tells of it: which process ran it, and what every
//! record of it says.

use std::borrow::Cow;

use codex_rollout::JsonText;
use codex_rollout::item::session_meta::ThreadOrigin;
use codex_trace_model::{Span, SpanIx, SpanKind as Kind, Thread, Trace, Turn};

use super::texts::Texts;
use super::version::Version;
use crate::otlp::Attributes;
use crate::otlp::ids::{self, TraceId};
use crate::otlp::proto::Resource;
use crate::otlp::times::{self, Times};

/// A session, with what all records of it need.
#[derive(Debug)]
pub(crate) struct Told<'t, 'a> {
    /// The session.
    pub(crate) trace: &'t Trace<'a>,
    /// What may be sent of its texts.
    pub(crate) texts: Texts<'t>,
    /// When each span was.
    times: Vec<Option<Times>>,
}

/// A turn of a thread, with all that is below it in the same thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToldTurn<'t, 'a> {
    pub(crate) told: &'t Told<'t, 'a>,
    pub(crate) thread: &'t Thread<'a>,
    pub(crate) ix: SpanIx,
    pub(crate) span: &'t Span<'a>,
    pub(crate) turn: &'t Turn<'a>,
    pub(crate) version: Version,
}

impl<'t, 'a> Told<'t, 'a> {
    /// Prepares a session.
    pub(crate) fn new(trace: &'t Trace<'a>, texts: Texts<'t>) -> Told<'t, 'a> {
        Told { trace, texts, times: times::times(trace) }
    }

    /// Returns when a span was; `None` if its file says no time at all.
    pub(crate) fn times(&self, span: SpanIx) -> Option<Times> {
        self.times[span.index()]
    }

    /// Returns the turns of a thread, in order.
    pub(crate) fn turns(
        &'t self,
        thread: &'t Thread<'a>,
    ) -> impl Iterator<Item = ToldTurn<'t, 'a>> {
        let version = Version::read(thread.meta.cli_version);
        self.trace.children(thread.span).filter_map(move |(ix, span)| match &span.kind {
            Kind::Turn(turn) => Some(ToldTurn { told: self, thread, ix, span, turn, version }),
            _ => None,
        })
    }

    /// Returns the attributes of the process that ran a thread, and the thread, by
    /// which each has its own stream or series.
    pub(crate) fn resource(&self, thread: &Thread<'_>, asked: &[(String, String)]) -> Resource {
        let mut resource = self.process(thread, asked);
        let own = "service.instance.id";
        resource.attributes.retain(|it| it.key != own);
        let mut attributes = Attributes(resource.attributes);
        attributes.word(own, &thread.id);
        Resource { attributes: attributes.0 }
    }

    /// Returns the attributes of the process that ran a thread: Codex' own, then
    /// what was asked for.
    pub(crate) fn process(&self, thread: &Thread<'_>, asked: &[(String, String)]) -> Resource {
        let mut attributes = Attributes::default();
        attributes.word("service.name", service_name(self.trace.root()));
        let version = self.texts.label(thread.meta.cli_version);
        attributes.text("service.version", version.map(Cow::Owned));
        for (key, value) in asked {
            attributes.0.retain(|it| it.key != *key);
            attributes.word(key.clone(), value);
        }
        Resource { attributes: attributes.0 }
    }

    /// Adds what stands on every event of a conversation. `model` is the one in
    /// force.
    pub(crate) fn common(
        &self,
        thread: &Thread<'_>,
        model: Option<JsonText<'_>>,
        out: &mut Attributes,
    ) {
        let meta = &thread.meta;
        let version = Version::read(meta.cli_version);
        let label = |text| self.texts.label(text).map(Cow::Owned);
        out.word("conversation.id", &thread.id);
        out.text("app.version", label(meta.cli_version));
        if version.since(110) {
            out.text("originator", label(meta.originator));
        }
        if let Some(account) = meta.creator_account_id.filter(|_| version.since(171)) {
            // Nobody else has an account.
            out.word("auth_mode", "Chatgpt");
            out.text("user.account_id", label(Some(account)));
        }
        if let Some(model) = label(model) {
            out.text("slug", model.clone());
            out.text("model", model);
        }
    }
}

impl<'t, 'a> ToldTurn<'t, 'a> {
    /// Returns when the turn began and ended; `None` if its file says no time.
    pub(crate) fn times(&self) -> Option<Times> {
        self.told.times(self.ix)
    }

    /// Returns the id of the trace that Codex' own telemetry had for the turn.
    pub(crate) fn trace_id(&self) -> Option<TraceId> {
        self.turn.trace_id.and_then(ids::recorded)
    }

    /// Returns everything below the turn in its own thread, in file order.
    pub(crate) fn below(&self) -> impl Iterator<Item = (SpanIx, &'t Span<'a>)> + use<'t, 'a> {
        let ToldTurn { told, ix, span, .. } = *self;
        let after = told.trace.spans.iter().enumerate().skip(ix.index() + 1);
        // Everything below a span comes right after it.
        after
            .take_while(move |(_, it)| it.parent >= Some(ix))
            .filter(move |(_, it)| it.thread == span.thread)
            .map(|(at, it)| (SpanIx(u32::try_from(at).unwrap_or(u32::MAX)), it))
    }

    /// Adds what stands on every event of a conversation.
    pub(crate) fn common(&self, out: &mut Attributes) {
        self.told.common(self.thread, self.turn.model, out);
    }

    /// Whether its thread is that of a reviewer.
    pub(crate) fn is_review(&self) -> bool {
        matches!(self.thread.meta.source, Some(ThreadOrigin::Subagent(what)) if what.is("review"))
    }

    /// Returns the agent's place in its team.
    pub(crate) fn agent(&self) -> String {
        let path = self.told.texts.label(self.thread.meta.agent_path);
        path.unwrap_or_else(|| "/root".to_owned())
    }
}

/// Returns the name that Codex' telemetry gives the process that ran a session:
/// by what started its root thread, whatever calls itself its originator. Only
/// files that do not say what started them go by that.
pub(crate) fn service_name(root: &Thread<'_>) -> &'static str {
    let program = match root.meta.source {
        Some(ThreadOrigin::Program(program)) => Some(program),
        Some(_) => None,
        None => root.meta.originator,
    };
    match program.unwrap_or_default().raw() {
        b"exec" | b"codex_exec" => "codex_exec",
        b"cli" | b"codex_cli_rs" | b"codex-tui" => "codex_cli_rs",
        b"mcp" => "codex_mcp_server",
        _ if !Version::read(root.meta.cli_version).since(110) => "codex_app_server",
        _ => "codex-app-server",
    }
}
