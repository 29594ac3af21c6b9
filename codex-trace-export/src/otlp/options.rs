//! The options of an OTLP receiver, and the variables that every OTLP exporter
//! has: of two, that of traces comes first.

use std::path::PathBuf;
use std::time::Duration;

use super::Semconv;
use crate::options::common::{
    COMPRESSION, Compress, ENDPOINT, FIELD_BYTES, LLM_INPUT, LLM_INPUT_BYTES, OWN_IDS, PASSWORD,
    TIMEOUT, USERNAME, WORKSPACE, heading,
};
use crate::options::{Flag, Opt, OptionSpec};

/// A signal, as variables and addresses name it: where its requests go.
#[derive(Debug)]
pub(crate) struct Place {
    /// What the address of a receiver ends with.
    pub(crate) path: &'static str,
    /// The call of gRPC that takes it.
    pub(crate) call: &'static str,
    /// Where it goes if nobody says.
    pub(crate) default: &'static str,
    /// The whole address.
    pub(crate) endpoint: Opt<String>,
    /// Headers, as variables have them.
    pub(crate) headers: Opt<String>,
    /// The protocol.
    pub(crate) protocol: Opt<String>,
    /// How bodies are compressed.
    pub(crate) compression: Opt<Compress>,
    /// The authorities to trust.
    pub(crate) certificate: Opt<PathBuf>,
    /// Our own certificate.
    pub(crate) client_certificate: Opt<PathBuf>,
    /// Its key.
    pub(crate) client_key: Opt<PathBuf>,
    /// How long a request may take.
    pub(crate) timeout: Opt<Duration>,
}

/// Names the variables of a signal: its own come before those of all.
macro_rules! variables {
    ($signal:literal, $what:literal) => {
        &[concat!("OTEL_EXPORTER_OTLP_", $signal, $what), concat!("OTEL_EXPORTER_OTLP", $what)]
    };
}

/// Declares where a signal goes.
macro_rules! place {
    ($signal:literal, $path:literal, $service:literal, $default:literal) => {
        Place {
            path: $path,
            call: concat!("/opentelemetry.proto.collector.", $service, "/Export"),
            default: $default,
            endpoint: Opt::without_key("Complete address").env(&[concat!(
                "OTEL_EXPORTER_OTLP_",
                $signal,
                "_ENDPOINT"
            )]),
            headers: Opt::without_key("Headers: k=v,k=v").env(variables!($signal, "_HEADERS")),
            protocol: PROTOCOL.env(variables!($signal, "_PROTOCOL")),
            compression: COMPRESSION.env(variables!($signal, "_COMPRESSION")),
            certificate: Opt::without_key("Authorities to trust")
                .env(variables!($signal, "_CERTIFICATE")),
            client_certificate: Opt::without_key("Our own certificate")
                .env(variables!($signal, "_CLIENT_CERTIFICATE")),
            client_key: Opt::without_key("Key of our own certificate")
                .env(variables!($signal, "_CLIENT_KEY")),
            timeout: TIMEOUT.env(variables!($signal, "_TIMEOUT")),
        }
    };
}

/// Where traces go.
pub(crate) const TRACES: &Place =
    &place!("TRACES", "/v1/traces", "trace.v1.TraceService", "http://localhost:4318");

/// Where logs go: to Loki itself.
pub(crate) const LOGS: &Place =
    &place!("LOGS", "/v1/logs", "logs.v1.LogsService", "http://localhost:3100/otlp");

/// Where metrics go: to Prometheus itself.
pub(crate) const METRICS: &Place = &place!(
    "METRICS",
    "/v1/metrics",
    "metrics.v1.MetricsService",
    "http://localhost:9090/api/v1/otlp"
);

/// Where all signals go over gRPC if nobody says.
pub(crate) const GRPC_DEFAULT: &str = "http://localhost:4317";

/// The address of the receiver of all signals.
pub(crate) const BASE: Opt<String> = ENDPOINT.env(&["OTEL_EXPORTER_OTLP_ENDPOINT"]);

/// The protocol.
pub const PROTOCOL: Opt<String> =
    Opt::new("protocol", "Protocol of OTLP: `http/protobuf`, `http/json` or `grpc`")
        .flag(Flag::Value { name: "protocol", value: "WHICH" }, heading::ENCODING)
        .default("http/protobuf");

/// The conventions.
pub const SEMCONV: Opt<Semconv> = Opt::new("semconv", "Naming convention for attributes in OTLP")
    .flag(Flag::Value { name: "semconv", value: "WHICH" }, heading::ENCODING)
    .default("genai");

/// The service.
pub(crate) const SERVICE_NAME: Opt<String> =
    Opt::without_key("Name of the service, instead of Codex' own").env(&["OTEL_SERVICE_NAME"]);

/// Further attributes of the resource.
pub(crate) const RESOURCE_ATTRIBUTES: Opt<String> =
    Opt::without_key("More attributes of the resource: k=v,k=v").env(&["OTEL_RESOURCE_ATTRIBUTES"]);

/// The tenant of Grafana's servers.
pub(crate) const TENANT: Opt<String> =
    WORKSPACE.help("Tenant of Grafana's servers (`X-Scope-OrgID`)");

/// All of them.
pub(crate) const OPTIONS: &[OptionSpec] = &[
    TRACES.endpoint.spec,
    BASE.spec,
    TRACES.headers.spec,
    TRACES.protocol.spec,
    TRACES.compression.spec,
    TRACES.certificate.spec,
    TRACES.client_certificate.spec,
    TRACES.client_key.spec,
    TRACES.timeout.spec,
    SERVICE_NAME.spec,
    RESOURCE_ATTRIBUTES.spec,
    TENANT.spec,
    USERNAME.spec,
    PASSWORD.spec,
    OWN_IDS.spec,
    SEMCONV.spec,
    LLM_INPUT.spec,
    LLM_INPUT_BYTES.spec,
    FIELD_BYTES.spec,
];
