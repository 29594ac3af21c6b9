//! Names and attributes of every span: the exporter's where it has a span, our
//! own in the same manner where it has none.

use std::borrow::Cow;

use codex_trace_model::{Compaction, Link, ModelCall, Relation, SpanKind as Kind, Status as Ended};

use super::ids::{self, Places};
use super::{exporter, limits};
use crate::content::Part;
use crate::otlp::ids::{SpanId, TraceId};
use crate::otlp::proto::{Status, StatusCode};
use crate::otlp::{Attributes, Place, Subject, Vocabulary, chat, codex, facts, semconv};

/// What Logfire is to read as JSON in the attributes of a model call.
const CALL_SCHEMA: &str = r#"{"properties":{"gen_ai.input.messages":{"type":"array"},"gen_ai.output.messages":{"type":"array"}},"type":"object"}"#;

/// Where the tokens of model calls stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tokens {
    /// Where Logfire adds them up.
    #[default]
    Counted,
    /// There, but for those of the root thread, which stand beside: the turn
    /// that the live exporter has sent counts them already.
    CountedOfSubagents,
    /// Beside: what live telemetry has sent counts all of them.
    Noted,
}

/// The names of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'n> {
    pub(super) places: &'n Places,
    /// What the user calls the project.
    pub(super) project: Option<&'n str>,
    pub(super) tokens: Tokens,
    /// Whether to keep to what exporter 0.2.0 sends at most.
    pub(super) exporter_limits: bool,
}

impl Names<'_> {
    /// Adds where a span belongs, by the exporter's names.
    pub(super) fn identify(&self, subject: &Subject<'_, '_>, out: &mut Attributes) {
        let session = &*self.places.session_id;
        out.word("codex.conversation_id", session);
        out.word("codex.trace_source", "payload.session_id");
        out.word("codex.session_id", session);
        let turn = self.places.turn(subject.ix).map(|ix| subject.scene.trace.span(ix));
        if let Some(Kind::Turn(turn)) = turn.map(|span| &span.kind) {
            out.text("codex.turn_id", subject.label(turn.turn_id));
        }
    }

    fn describe_call<'a>(
        &self,
        subject: &Subject<'_, 'a>,
        call: &ModelCall<'a>,
        out: &mut Attributes,
    ) {
        let model = subject.label(call.model);
        let name = self.name(subject);
        exporter::head(out, &name, exporter::level_of(&subject.span.status), &["Codex", "LLM"]);
        self.identify(subject, out);
        out.word(semconv::OPERATION, "chat");
        // The older name, which prices are looked up by.
        let provider = facts::provider(subject);
        out.text("gen_ai.system", provider.clone());
        out.text(semconv::PROVIDER, provider);
        out.text(semconv::REQUEST_MODEL, model.clone());
        out.text("gen_ai.response.model", model);
        out.text(semconv::REASONING_LEVEL, subject.label(call.effort));
        out.text(semconv::RESPONSE_ID, subject.label(call.response_id));
        out.double(semconv::TIME_TO_FIRST_CHUNK, facts::time_to_first_token(subject));
        self.describe_usage(subject, out);
        let input = facts::model_input(subject, call);
        let output = facts::model_output(subject, call);
        if !input.is_empty() || output.is_some() {
            out.word("logfire.json_schema", CALL_SCHEMA);
        }
        if !input.is_empty() {
            out.joined(semconv::INPUT_MESSAGES, input.genai());
        }
        if input.truncated {
            out.flag("codex.input.truncated", true);
        }
        if let Some(output) = output {
            let finish = facts::finish_reason(subject, &output);
            if let Some(finish) = finish {
                out.words(semconv::FINISH_REASONS, &[finish]);
            }
            out.json(semconv::OUTPUT_MESSAGES, Some(chat::genai_answer(&output, finish)));
        }
    }

    fn describe_usage(&self, subject: &Subject<'_, '_>, out: &mut Attributes) {
        let Some(usage) = &subject.span.usage else { return };
        let counted = match self.tokens {
            Tokens::Counted => true,
            Tokens::CountedOfSubagents => subject.thread.depth > 0,
            Tokens::Noted => false,
        };
        let names = if counted {
            [
                semconv::INPUT_TOKENS,
                semconv::OUTPUT_TOKENS,
                semconv::CACHE_READ_TOKENS,
                semconv::CACHE_WRITE_TOKENS,
                semconv::REASONING_TOKENS,
            ]
        } else {
            [
                "codex.usage.input_tokens",
                "codex.usage.output_tokens",
                "codex.usage.cached_input_tokens",
                "codex.usage.cache_write_input_tokens",
                "codex.usage.reasoning_output_tokens",
            ]
        };
        let [input, output, cached, written, reasoning] = names;
        out.int(input, usage.input_tokens);
        out.int(output, usage.output_tokens);
        out.int(cached, usage.cached_input_tokens);
        out.int(written, usage.cache_write_input_tokens);
        if counted {
            out.int(semconv::CACHE_CREATION_TOKENS, usage.cache_write_input_tokens);
        }
        out.int(reasoning, usage.reasoning_output_tokens);
    }

    fn describe_other(&self, subject: &Subject<'_, '_>, message: &str, out: &mut Attributes) {
        exporter::head(out, message, exporter::level_of(&subject.span.status), &["Codex"]);
        self.identify(subject, out);
    }
}

fn describe_compaction(
    subject: &Subject<'_, '_>,
    compaction: &Compaction<'_>,
    out: &mut Attributes,
) {
    let reader = subject.reader();
    let summary = compaction.summary.and_then(|it| reader.decoded(Part::Message, it));
    out.text("codex.compaction.summary", summary.map(Cow::Owned));
}

impl Vocabulary for Names<'_> {
    fn name(&self, subject: &Subject<'_, '_>) -> String {
        match &subject.span.kind {
            Kind::Turn(_) => "codex turn".to_owned(),
            Kind::ToolCall(call) => format!("codex tool {}", super::hooks::name(subject, call)),
            Kind::ModelCall(call) => match subject.label(call.model) {
                Some(model) => format!("chat {model}"),
                None => "chat".to_owned(),
            },
            Kind::Compaction(_) => "codex compaction".to_owned(),
            _ => format!("codex subagent {}", subject.agent()),
        }
    }

    fn describe(&self, subject: &Subject<'_, '_>, out: &mut Attributes) {
        match &subject.span.kind {
            Kind::Turn(turn) => exporter::turn(self, subject, turn, out),
            Kind::ToolCall(call) => exporter::tool(self, subject, call, out),
            Kind::ModelCall(call) => self.describe_call(subject, call, out),
            Kind::Compaction(compaction) => {
                self.describe_other(subject, "Codex compaction", out);
                describe_compaction(subject, compaction, out);
            }
            _ => {
                let message = format!("Codex subagent {}", subject.agent());
                self.describe_other(subject, &message, out);
            }
        }
        let mut more = Attributes::default();
        more.text(semconv::CONVERSATION_ID, Some(Cow::Borrowed(&*self.places.session_id)));
        more.text(semconv::ERROR_TYPE, subject.error_type().map(Cow::from));
        codex::describe(subject, &mut more);
        for attribute in more.0 {
            if !out.0.iter().any(|it| it.key == attribute.key) {
                out.0.push(attribute);
            }
        }
        if self.exporter_limits {
            limits::keep_to(out);
        }
    }

    fn place(&self, subject: &Subject<'_, '_>) -> Option<Place> {
        let scene = subject.scene;
        let parent = self.places.parent(subject.ix).filter(|_| !subject.is_root);
        Some(Place {
            trace_id: scene.placed(self.places.trace_id),
            span_id: scene.placed(self.places.id(subject.ix)),
            parent: parent.map(|id| scene.placed(id)),
        })
    }

    fn linked(&self, link: &Link<'_>, turn_id: Option<&str>) -> Option<(TraceId, SpanId)> {
        // A fork is made from a root thread, whose id is that of its session.
        let session = match link.relation {
            Relation::ForkedFrom => &*link.thread_id,
            _ => &*self.places.session_id,
        };
        Some((ids::trace_id(session), ids::turn_id(session, turn_id?)))
    }

    fn status(&self, subject: &Subject<'_, '_>) -> Status {
        let status = subject.status();
        match (&subject.span.kind, &subject.span.status) {
            // The exporter's words where ours must not be said.
            (Kind::ToolCall(_), Ended::Error { .. }) if status.message.is_empty() => {
                Status { code: StatusCode::Error as i32, message: "tool returned error".to_owned() }
            }
            _ => status,
        }
    }
}
