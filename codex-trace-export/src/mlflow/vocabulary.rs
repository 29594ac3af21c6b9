use std::borrow::Cow;

use codex_trace_model::{ModelCall, SpanKind as Kind, ToolCall, Turn};

use crate::content::Part;
use crate::otlp::messages::{Raw, quoted};
use crate::otlp::{Attributes, Subject, Vocabulary, chat, codex, facts};

/// The names of MLflow and of its live plugin.
#[derive(Clone, Debug, Default)]
pub(super) struct MlflowNames {
    /// Whose traces they are.
    pub(super) user: Option<String>,
}

impl Vocabulary for MlflowNames {
    fn name(&self, subject: &Subject<'_, '_>) -> String {
        match &subject.span.kind {
            Kind::Turn(_) if subject.is_root => "codex_conversation".to_owned(),
            Kind::Turn(_) => "codex_turn".to_owned(),
            Kind::ModelCall(_) => "llm_call".to_owned(),
            Kind::ToolCall(call) => format!("tool_{}", facts::short_tool_name(subject, call)),
            Kind::Compaction(_) => "compaction".to_owned(),
            _ => format!("subagent_{}", subject.agent()),
        }
    }

    fn describe(&self, subject: &Subject<'_, '_>, out: &mut Attributes) {
        out.word("mlflow.spanType", facts::kind(&subject.span.kind));
        if subject.is_root {
            out.text("session.id", Some(subject.scene.session_id()));
            out.text("user.id", self.user.as_deref().map(Cow::from));
            out.word("mlflow.traceTag.mlflow.traceName", "codex_conversation");
        }
        match &subject.span.kind {
            Kind::Turn(turn) => describe_turn(subject, turn, out),
            Kind::ModelCall(call) => describe_call(subject, call, out),
            Kind::ToolCall(call) => describe_tool(subject, call, out),
            Kind::Compaction(compaction) => {
                let reader = subject.reader();
                let summary = compaction.summary.and_then(|it| reader.text(Part::Message, it));
                out.json("mlflow.spanOutputs", summary.map(|text| quoted(&text)));
            }
            _ => {}
        }
        codex::describe(subject, out);
    }

    /// Live telemetry of Codex itself may be in the same server under the
    /// recorded id; the plugin's traces have ids of their own.
    fn reuses_recorded_ids(&self) -> bool {
        false
    }
}

fn describe_turn<'a>(subject: &Subject<'_, 'a>, turn: &Turn<'a>, out: &mut Attributes) {
    let value = |text: Option<Raw<'_>>| text.map(|text| quoted(&text));
    out.text("model", subject.label(turn.model));
    let (prompt, answer) = (facts::prompt(subject, turn), facts::answer(subject, turn));
    let (prompt, answer) = facts::asked_and_answered(subject, prompt, answer);
    out.json("mlflow.spanInputs", value(prompt));
    out.json("mlflow.spanOutputs", value(answer));
}

fn describe_call<'a>(subject: &Subject<'_, 'a>, call: &ModelCall<'a>, out: &mut Attributes) {
    let model = subject.label(call.model);
    out.text("model", model.clone());
    out.text("mlflow.llm.model", model.clone());
    out.text("mlflow.llm.provider", facts::provider(subject));
    if let Some(usage) = &subject.span.usage {
        out.json("mlflow.chat.tokenUsage", Some(usage_json(usage).into_bytes()));
        out.int("codex.usage.reasoning_output_tokens", usage.reasoning_output_tokens);
    }
    let input = facts::model_input(subject, call);
    if !input.is_empty() {
        let mut json = b"{".to_vec();
        if let Some(model) = &model {
            json.extend_from_slice(b"\"model\":");
            crate::otlp::json::text(&mut json, model);
            json.push(b',');
        }
        json.extend_from_slice(b"\"messages\":");
        chat::openai(&mut json, &input.messages());
        json.push(b'}');
        out.json("mlflow.spanInputs", Some(json));
        out.word("mlflow.message.format", "openai");
    }
    if input.truncated {
        out.flag("codex.input.truncated", true);
    }
    if let Some(output) = facts::model_output(subject, call) {
        let mut json = b"{\"choices\":[{\"message\":".to_vec();
        chat::openai_message(&mut json, &output);
        json.extend_from_slice(b"}]}");
        out.json("mlflow.spanOutputs", Some(json));
    }
}

fn describe_tool<'a>(subject: &Subject<'_, 'a>, call: &ToolCall<'a>, out: &mut Attributes) {
    out.text("tool_name", Some(facts::short_tool_name(subject, call)));
    out.text("tool_id", subject.label(call.call_id));
    out.json("mlflow.spanInputs", facts::tool_arguments(subject, call).map(Cow::into_owned));
    if let Some(result) = facts::tool_result(subject, call) {
        let mut json = Vec::with_capacity(result.len() + 16);
        chat::field(&mut json, b"{\"result\":", &result);
        json.push(b'}');
        out.json("mlflow.spanOutputs", Some(json));
    }
}

/// Writes usage with the keys that MLflow knows. It has none for reasoning.
pub(super) fn usage_json(usage: &codex_trace_model::TokenUsage) -> String {
    let mut keys = vec![
        ("input_tokens", usage.input_tokens),
        ("output_tokens", usage.output_tokens),
        ("total_tokens", usage.total_tokens),
        ("cache_read_input_tokens", usage.cached_input_tokens),
    ];
    keys.extend(usage.cache_write_input_tokens.map(|it| ("cache_creation_input_tokens", it)));
    let fields: Vec<String> = keys.iter().map(|(key, n)| format!("\"{key}\":{n}")).collect();
    format!("{{{}}}", fields.join(","))
}
