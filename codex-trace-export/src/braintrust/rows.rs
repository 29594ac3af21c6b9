//! The rows of a session, and what is said in those of threads and turns.

use std::collections::HashSet;

use codex_rollout::JsonText;
use codex_rollout::item::session_meta::ThreadOrigin;
use codex_trace_model::{Span, SpanIx, SpanKind, Status, Thread, Timestamp, Trace, Turn};
use serde_json::{Map, Value};

use crate::UnitBuilder;
use crate::braintrust::conversation::{Before, Conversation};
use crate::braintrust::metadata;
use crate::braintrust::plan::{self, Plan};
use crate::braintrust::wire::{Head, Name, RowKind, Seconds};
use crate::braintrust::{messages, prompt};
use crate::content::{ContentRules, Part};
use crate::json::{self, Object};
use crate::otlp::LlmInput;
use crate::otlp::times::Times;

/// How sessions become rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Form {
    pub(super) llm_input: LlmInput,
    /// The most that one model call is given, in bytes.
    pub(super) input_bytes: usize,
    /// The project, where it was given by name.
    pub(super) project: Option<String>,
    /// The user's own metadata, of the session's row.
    pub(super) metadata: Map<String, Value>,
    /// The user's own tags, of the session's row.
    pub(super) tags: Vec<String>,
    /// Who uploads.
    pub(super) username: Option<String>,
    /// Whether the user named it, and not the machine.
    pub(super) user_is_said: bool,
}

/// Writes the rows of one session.
pub(super) struct Encoder<'e, 'a> {
    pub(super) trace: &'e Trace<'a>,
    pub(super) rules: &'e ContentRules,
    pub(super) plan: &'e Plan,
    pub(super) form: &'e Form,
    /// The span that all rows share as their root.
    pub(super) root: &'e str,
    /// What the session's row hangs under, if it is not the root.
    pub(super) above: Option<&'e str>,
    /// Whether the rows are there already, perhaps with more than we know.
    pub(super) merge: bool,
    /// Whether rows are there for certain. Who had a session is said by them then.
    pub(super) is_there: bool,
    /// When each span began, as well as can be told.
    pub(super) times: Vec<Option<Times>>,
    /// The turns and threads that are there under other ids.
    pub(super) sent: HashSet<SpanIx>,
}

/// What is known of a turn while its rows are written.
pub(super) struct Scope<'s, 'a> {
    pub(super) turn: &'s Turn<'a>,
    pub(super) turn_id: Option<String>,
    pub(super) before: Before<'s>,
    /// How long the first token of its next model call took, in milliseconds.
    pub(super) first_token: Option<u64>,
}

impl<'a> Encoder<'_, 'a> {
    /// Writes the row of a thread, and of what is in no turn of it.
    pub(super) fn thread(
        &self,
        ix: SpanIx,
        conversation: &mut Conversation<'_, 'a>,
        unit: &mut UnitBuilder<'_>,
    ) {
        let span = self.trace.span(ix);
        let thread = self.trace.thread_of(span);
        let is_session = span.parent.is_none();
        let name = if is_session { self.title(thread) } else { agent_name(thread) };
        self.row(ix, name, RowKind::Task, unit, |o| {
            if is_session {
                self.session(ix, thread, o);
            } else {
                self.agent(ix, thread, o);
            }
            o.object("metrics", |o| times(self.began(ix), span.end, o));
            if is_session {
                o.list("tags", &self.form.tags);
            }
        });
        for child in self.plan.children(ix) {
            self.below(*child, None, conversation, unit);
        }
    }

    fn title(&self, thread: &Thread<'_>) -> String {
        let cwd = self.cwd(thread);
        let cwd = cwd.and_then(|cwd| Some(metadata::last_part(&cwd)?.to_owned()));
        cwd.map_or_else(|| "codex session".to_owned(), |cwd| format!("codex: {cwd}"))
    }

    fn cwd(&self, thread: &Thread<'_>) -> Option<String> {
        let cwd = thread.meta.cwd.or_else(|| turns(self.trace, thread).find_map(|it| it.cwd))?;
        Some(self.rules.decoded(Part::Place, cwd)?.into_owned())
    }

    /// The last model that was asked for in a thread.
    fn model(&self, thread: &Thread<'a>) -> Option<JsonText<'a>> {
        turns(self.trace, thread).filter_map(|turn| turn.model).last()
    }

    fn session(&self, ix: SpanIx, thread: &Thread<'a>, o: &mut Object<'_>) {
        let cwd = self.cwd(thread);
        let model = self.model(thread).map(|model| self.rules.label(model));
        o.object("input", |o| {
            o.maybe("cwd", cwd.as_ref());
            match &model {
                Some(model) => o.put("model", model),
                None => o.null("model"),
            }
            // What traced the session live says what it was started by.
            if !self.merge {
                o.put("source", "import");
            }
        });
        o.object("metadata", |o| {
            for (key, value) in &self.form.metadata {
                if !metadata::OF_SESSION.contains(&&**key) {
                    o.value_of(key).extend_from_slice(value.to_string().as_bytes());
                }
            }
            o.put("source", "codex");
            if !self.merge {
                o.put("session_source", "import");
            }
            if !self.is_there || self.form.user_is_said {
                o.maybe("username", self.form.username.as_ref());
            }
            if !self.is_there {
                o.maybe("transcript_path", self.file(thread));
            }
            o.put("session_id", self.trace.session_id());
            o.maybe("cwd", cwd);
            o.maybe("cli_version", thread.meta.cli_version.map(|it| self.rules.label(it)));
            o.maybe("model", model);
            o.maybe("project", self.form.project.as_ref());
            if let Some(name) = thread.name {
                messages::put_text(o, "thread_name", name, Part::Message, self.rules);
            }
            o.maybe("forked_from_id", thread.forked_from_id.map(json::Id));
            self.inferred(ix, o);
            metadata::git(thread, self.rules, o);
        });
    }

    fn agent(&self, ix: SpanIx, thread: &Thread<'a>, o: &mut Object<'_>) {
        let meta = &thread.meta;
        let spawn = match meta.source {
            Some(ThreadOrigin::Spawned(spawn)) => Some(spawn),
            _ => None,
        };
        let label = |text: JsonText<'a>| self.rules.label(text);
        let model = self.model(thread).map(label);
        o.object("input", |o| o.maybe("model", model.as_ref()));
        o.object("metadata", |o| {
            o.put("agent_id", &thread.id);
            let role = spawn.and_then(|it| it.agent_role).or(meta.agent_role);
            match role {
                Some(role) => o.put("agent_type", label(role)),
                None => o.null("agent_type"),
            }
            let nickname = spawn.and_then(|it| it.agent_nickname).or(meta.agent_nickname);
            o.maybe("agent_nickname", nickname.map(label));
            if !self.is_there {
                o.maybe("transcript_path", self.file(thread));
            }
            o.maybe("model", model);
            self.common(ix, thread, o);
        });
    }

    /// The rollout of a thread, as far as it is a file.
    fn file(&self, thread: &Thread<'_>) -> Option<String> {
        let file = thread.rollouts.first()?.file.as_ref()?;
        Some(self.rules.text(Part::Place, &file.to_string_lossy())?.into_owned())
    }

    /// Writes the rows of a turn and of all that is in it.
    pub(super) fn turn(
        &self,
        ix: SpanIx,
        first_item: usize,
        conversation: &mut Conversation<'_, 'a>,
        unit: &mut UnitBuilder<'_>,
    ) {
        let span = self.trace.span(ix);
        let SpanKind::Turn(turn) = &span.kind else { return };
        let mut scope = Scope {
            turn,
            turn_id: plan::turn_id(turn),
            before: Before { turn_from: first_item, call: None },
            first_token: turn.time_to_first_token_ms,
        };
        self.turn_row(ix, span, &scope, unit);
        for child in self.plan.children(ix) {
            self.below(*child, Some(&mut scope), conversation, unit);
        }
    }

    fn turn_row(
        &self,
        ix: SpanIx,
        span: &Span<'a>,
        scope: &Scope<'_, 'a>,
        unit: &mut UnitBuilder<'_>,
    ) {
        let Scope { turn, turn_id, .. } = scope;
        let thread = self.trace.thread_of(span);
        let first_item = scope.before.turn_from;
        let compaction =
            self.plan.children(ix).iter().find_map(|child| match &self.trace.span(*child).kind {
                SpanKind::Compaction(compaction) => Some(compaction),
                _ => None,
            });
        let name = match (compaction, turn_id) {
            (Some(_), _) => "compaction".to_owned(),
            (None, Some(id)) => format!("turn: {id}"),
            (None, None) => format!("turn: {}", turn.number),
        };
        self.row(ix, Name::Ours(name), RowKind::Task, unit, |o| {
            if self.rules.keeps(Part::Message) {
                prompt::of(thread, ix, turn, first_item).put("input", self.rules, o);
                match prompt::answer(self.trace, self.plan, ix, turn) {
                    Some(answer) => answer.put("output", self.rules, o),
                    // An importer may have put there what another turn said.
                    None if self.merge && span.status != Status::Incomplete => {
                        o.null("output");
                    }
                    None => {}
                }
            }
            o.object("metadata", |o| {
                o.maybe("turn_id", turn_id.as_ref());
                o.maybe("model", turn.model.map(|model| self.rules.label(model)));
                o.maybe("reasoning_effort", turn.effort.map(|it| self.rules.label(it)));
                metadata::skills(&prompt::skills(thread, ix, first_item), o);
                if let Some(compaction) = compaction {
                    metadata::compaction(compaction, self.merge, o);
                }
                metadata::status(span, self.merge, o);
                if turn.fate != codex_trace_model::Fate::Kept {
                    o.put("fate", turn.fate.word());
                }
                self.common(ix, thread, o);
            });
            o.object("metrics", |o| times(self.began(ix), span.end, o));
            o.list("tags", compaction.map(|_| "compaction"));
            self.error(&span.status, Part::Message, o);
        });
    }

    pub(super) fn below<'s>(
        &'s self,
        ix: SpanIx,
        mut scope: Option<&mut Scope<'s, 'a>>,
        conversation: &mut Conversation<'_, 'a>,
        unit: &mut UnitBuilder<'_>,
    ) {
        let span = self.trace.span(ix);
        match &span.kind {
            SpanKind::ModelCall(call) => {
                if self.plan.get(ix).is_some() {
                    self.model_call(ix, call, scope.as_deref_mut(), conversation, unit);
                }
                if let Some(scope) = scope.as_deref_mut() {
                    scope.before.call = Some((call.window.end, &call.output));
                }
            }
            SpanKind::ToolCall(call) => self.tool_call(ix, call, scope.as_deref(), unit),
            SpanKind::Compaction(compaction) => {
                self.compaction(ix, compaction, scope.as_deref(), unit);
            }
            // Units of their own.
            _ => return,
        }
        for child in self.plan.children(ix) {
            self.below(*child, scope.as_deref_mut(), conversation, unit);
        }
    }

    /// Writes a row: what all have, then what `write` adds.
    pub(super) fn row(
        &self,
        ix: SpanIx,
        name: impl Into<Name<'a>>,
        kind: RowKind,
        unit: &mut UnitBuilder<'_>,
        write: impl FnOnce(&mut Object<'_>),
    ) {
        let Some(row) = self.plan.get(ix) else { return };
        // What is there under an id that nobody knows has the session above it.
        let parent = row.parent.filter(|parent| !self.is_sent(*parent));
        let parent = parent.and_then(|parent| self.plan.id(parent)).map(|id| id.to_string());
        let head = Head {
            id: row.id,
            root: self.root,
            parent: parent.as_deref().or(self.above).or(row.parent.map(|_| self.root)),
            name: name.into(),
            kind,
            created: self.began(ix),
        };
        json::fields(unit.body(), |o| {
            head.write(o);
            write(o);
        });
        unit.end_piece(1);
    }

    /// Whether the row of a turn or thread is there under another id.
    pub(super) fn is_sent(&self, ix: SpanIx) -> bool {
        self.sent.contains(&ix)
    }

    /// Returns when a span began; where the file does not say, when what is
    /// around it did.
    pub(super) fn began(&self, ix: SpanIx) -> Option<Timestamp> {
        let times = self.times[ix.index()]?;
        Timestamp::from_nanosecond(i128::from(times.start)).ok()
    }

    /// Writes what rows of all kinds have in their metadata, but for the session's.
    pub(super) fn common(&self, ix: SpanIx, thread: &Thread<'_>, o: &mut Object<'_>) {
        let outer = self.plan.get(ix).and_then(|row| self.plan.id(row.outer_turn?));
        o.maybe("turn_span_id", outer.map(|id| id.to_string()));
        self.inferred(ix, o);
        metadata::git(thread, self.rules, o);
    }

    /// Says what the start was taken from, if the file does not say it.
    fn inferred(&self, ix: SpanIx, o: &mut Object<'_>) {
        o.maybe("start_from", self.times[ix.index()].and_then(|times| times.start_from));
    }

    /// Writes what went wrong, as far as it may be said.
    pub(super) fn error(&self, status: &Status<'_>, part: Part, o: &mut Object<'_>) {
        let text = |text: &str| self.rules.reason(part, text).map(std::borrow::Cow::into_owned);
        match status {
            Status::Error { message } => {
                o.put("error", text(message).unwrap_or_else(|| "failed".to_owned()));
            }
            Status::Interrupted { reason } => {
                let reason = text(reason).filter(|reason| reason != "interrupted");
                let reason = reason.map_or_else(String::new, |it| format!(": {it}"));
                o.put("error", format!("interrupted{reason}"));
            }
            // Somebody may have taken it for failed.
            _ if self.merge => o.null("error"),
            _ => {}
        }
    }
}

/// Writes when something began and ended.
pub(super) fn times(start: Option<Timestamp>, end: Option<Timestamp>, o: &mut Object<'_>) {
    let start = start.and_then(Seconds::of);
    o.maybe("start", start);
    o.maybe("end", end.and_then(Seconds::of).map(|end| start.map_or(end, |it| end.max(it))));
}

/// Returns the turns of a thread, in file order.
fn turns<'t, 'a>(trace: &'t Trace<'a>, thread: &Thread<'a>) -> impl Iterator<Item = &'t Turn<'a>> {
    trace.children(thread.span).filter_map(|(_, span)| match &span.kind {
        SpanKind::Turn(turn) => Some(&**turn),
        _ => None,
    })
}

fn agent_name(thread: &Thread<'_>) -> String {
    let what = if plan::is_spawned(thread) { "subagent" } else { "thread" };
    format!("{what}: {}", thread.id)
}

impl From<String> for Name<'_> {
    fn from(text: String) -> Self {
        Name::Ours(text)
    }
}
