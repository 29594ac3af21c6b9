//! The options of an OTLP receiver, and the variables that every OTLP exporter
//! has: of two, that of traces comes first.

use std::path::PathBuf;

use super::Semconv;
use crate::options::common::{
    COMPRESSION, ENDPOINT, FIELD_BYTES, LLM_INPUT, LLM_INPUT_BYTES, OWN_IDS, TIMEOUT, WORKSPACE,
    heading,
};
use crate::options::{Flag, Opt, OptionSpec};

/// The whole address.
pub(super) const TRACES_ENDPOINT: Opt<String> =
    Opt::without_key("Whole address").env(&["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]);

/// The address of the receiver of all signals.
pub(super) const BASE: Opt<String> = ENDPOINT.env(&["OTEL_EXPORTER_OTLP_ENDPOINT"]);

/// Headers, as variables have them.
pub(super) const HEADER_PAIRS: Opt<String> = Opt::without_key("Headers: k=v,k=v")
    .env(&["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"]);

/// The protocol.
pub const PROTOCOL: Opt<String> = Opt::new("protocol", "`http/protobuf` or `http/json`")
    .env(&["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"])
    .default("http/protobuf");

/// The conventions.
pub const SEMCONV: Opt<Semconv> = Opt::new("semconv", "Conventions to name attributes by, in OTLP")
    .flag(Flag::Value { name: "semconv", value: "WHICH" }, heading::ENCODING)
    .default("genai");

/// How bodies are compressed.
pub(super) const COMPRESSED: Opt<crate::options::common::Compress> =
    COMPRESSION.env(&["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"]);

/// The authorities to trust.
pub(super) const CERTIFICATE: Opt<PathBuf> = Opt::without_key("Authorities to trust")
    .env(&["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"]);

/// Our own certificate.
pub(super) const CLIENT_CERTIFICATE: Opt<PathBuf> = Opt::without_key("Our own certificate").env(&[
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
]);

/// Its key.
pub(super) const CLIENT_KEY: Opt<PathBuf> = Opt::without_key("Key of our own certificate")
    .env(&["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"]);

/// How long a request may take.
pub(super) const MILLISECONDS: Opt<std::time::Duration> =
    TIMEOUT.env(&["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"]);

/// The service.
pub(super) const SERVICE_NAME: Opt<String> =
    Opt::without_key("Name of the service, instead of Codex' own").env(&["OTEL_SERVICE_NAME"]);

/// Further attributes of the resource.
pub(super) const RESOURCE_ATTRIBUTES: Opt<String> =
    Opt::without_key("More attributes of the resource: k=v,k=v").env(&["OTEL_RESOURCE_ATTRIBUTES"]);

/// The tenant of Grafana's servers.
const TENANT: Opt<String> = WORKSPACE.help("Tenant of Grafana's servers (`X-Scope-OrgID`)");

/// All of them.
pub(super) const OPTIONS: &[OptionSpec] = &[
    TRACES_ENDPOINT.spec,
    BASE.spec,
    HEADER_PAIRS.spec,
    PROTOCOL.spec,
    COMPRESSED.spec,
    CERTIFICATE.spec,
    CLIENT_CERTIFICATE.spec,
    CLIENT_KEY.spec,
    MILLISECONDS.spec,
    SERVICE_NAME.spec,
    RESOURCE_ATTRIBUTES.spec,
    TENANT.spec,
    OWN_IDS.spec,
    SEMCONV.spec,
    LLM_INPUT.spec,
    LLM_INPUT_BYTES.spec,
    FIELD_BYTES.spec,
];
