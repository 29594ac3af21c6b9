//! Traces beside those that Codex sent itself.

use codex_trace_model::SpanKind as Kind;

use crate::otlp::genai::GenAi;
use crate::otlp::{Attributes, Subject, Vocabulary};

/// How names of tokens begin that the live telemetry has, too.
const OF_LIVE: [&str; 2] = ["gen_ai.usage.", "codex.usage."];

/// The conventions for generative AI, but that a turn whose live trace may be
/// there gets no second set of tokens under the same names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BesideLive;

impl Vocabulary for BesideLive {
    fn name(&self, subject: &Subject<'_, '_>) -> String {
        GenAi.name(subject)
    }

    fn describe(&self, subject: &Subject<'_, '_>, attributes: &mut Attributes) {
        GenAi.describe(subject, attributes);
        let turn = subject.turn().map(|ix| &subject.scene.trace.span(ix).kind);
        if matches!(turn, Some(Kind::Turn(turn)) if turn.trace_id.is_some()) {
            attributes.0.retain(|it| !OF_LIVE.iter().any(|start| it.key.starts_with(start)));
        }
    }
}
