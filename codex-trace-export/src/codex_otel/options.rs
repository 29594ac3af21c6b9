//! The options of Codex' own telemetry.

use crate::choice::Choice;
use crate::options::common::{FIELD_BYTES, LLM_INPUT, LLM_INPUT_BYTES, heading};
use crate::options::{Flag, Opt, OptionSpec};
use crate::otlp::PROTOCOL;
use crate::otlp::options::{BASE, LOGS, METRICS, RESOURCE_ATTRIBUTES, TENANT, TRACES};

/// The signals to send.
pub(super) const SIGNALS: Opt<Vec<String>> =
    Opt::new("signals", "What of Codex' telemetry to send: `logs`, `traces`, `metrics`")
        .flag(Flag::Each { name: "signal", value: "WHICH" }, heading::ENCODING)
        .default("logs if an endpoint is given, else what Codex itself sends");

/// Whether prompts are sent.
pub(super) const LOG_USER_PROMPT: Opt<bool> =
    Opt::new("log_user_prompt", "Send prompts, and the input and output of tools")
        .default("as Codex' config.toml has it");

/// Whether answers are sent as logs.
pub(super) const LOG_AGENT_RESPONSES: Opt<bool> =
    Opt::new("log_agent_responses", "Send final answers as logs")
        .default("as Codex' config.toml has it");

/// What makes a stream of log records.
pub(super) const STREAM: Opt<Stream> =
    Opt::new("stream", "What one stream of log records has in Loki")
        .flag(Flag::Value { name: "stream", value: "WHICH" }, heading::ENCODING)
        .details("`service` is for histories of many thousands of threads: all records are sorted by time before the first is sent.")
        .default("thread");

/// What one stream of log records has in Loki.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stream {
    /// A thread, in its order.
    #[default]
    Thread,
    /// All threads of a service, in the order of time.
    Service,
}

impl Choice for Stream {
    #[rustfmt::skip]
    const WORDS: &[(Stream, &str, &str)] = &[
        (Stream::Thread,  "thread",  "The records of one thread"),
        (Stream::Service, "service", "The records of all threads of a service, sorted by time"),
    ];
}

/// The protocol, for each signal.
const PROTOCOLS: Opt<String> = PROTOCOL.env(&[
    "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
]);

/// The headers, for each signal.
const HEADER_PAIRS: Opt<String> = Opt::without_key("Headers: k=v,k=v").env(&[
    "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    "OTEL_EXPORTER_OTLP_HEADERS",
]);

/// All of them. What else OTLP exporters have for variables is read, too: they
/// are those of the backend `otlp`, with `LOGS` and `METRICS` for `TRACES`.
pub(super) const OPTIONS: &[OptionSpec] = &[
    SIGNALS.spec,
    LOGS.endpoint.spec,
    TRACES.endpoint.spec,
    METRICS.endpoint.spec,
    BASE.spec,
    HEADER_PAIRS.spec,
    PROTOCOLS.spec,
    RESOURCE_ATTRIBUTES.spec,
    TENANT.spec,
    LOG_USER_PROMPT.spec,
    LOG_AGENT_RESPONSES.spec,
    STREAM.spec,
    LLM_INPUT.spec,
    LLM_INPUT_BYTES.spec,
    FIELD_BYTES.spec,
];
