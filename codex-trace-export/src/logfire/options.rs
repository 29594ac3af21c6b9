//! The options of Logfire, and the variables of its live exporter, in the
//! exporter's order.

use std::time::Duration;

use crate::content::Capture;
use crate::langsmith::ASSUME_BACKFILL_ALLOWED;
use crate::options::common::{
    CAPTURE, ENDPOINT, FIELD_BYTES, KEY, LLM_INPUT, LLM_INPUT_BYTES, OWN_IDS, TIME_SHIFT, TIMEOUT,
};
use crate::options::{Flag, Opt, OptionSpec, SecretRef};
use crate::otlp::PROTOCOL;

/// The write token.
pub(super) const TOKEN: Opt<SecretRef> = KEY
    .help("Write token, or several separated by commas, one for each project")
    .env(&["LOGFIRE_TOKEN", "CODEX_LOGFIRE_TOKEN"]);

/// The address.
pub(super) const BASE: Opt<String> = ENDPOINT.default("the region of the token").env(&[
    "CODEX_LOGFIRE_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "LOGFIRE_BASE_URL",
    "LOGFIRE_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
]);

/// What stands before the token.
pub(super) const AUTH_SCHEME: Opt<String> =
    Opt::without_key("Word before the token: `Bearer`, or `raw` or `none` for no word")
        .env(&["CODEX_LOGFIRE_AUTH_SCHEME"]);

/// Headers.
pub(super) const HEADER_PAIRS: Opt<String> = Opt::without_key("Headers: k=v,k=v")
    .env(&["CODEX_LOGFIRE_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"]);

/// How much content to send.
pub(super) const CAPTURE_MODE: Opt<Capture> = CAPTURE.env(&["CODEX_LOGFIRE_CONTENT_CAPTURE_MODE"]);

/// The service.
pub(super) const SERVICE_NAME: Opt<String> =
    Opt::without_key("Name of the service [default: logfire-exporter]")
        .env(&["CODEX_LOGFIRE_SERVICE_NAME"]);

/// What the user calls the project.
pub(super) const PROJECT_LABEL: Opt<String> =
    Opt::without_key("Name of the project, on every turn (`codex.logfire_project`)")
        .env(&["CODEX_LOGFIRE_PROJECT"]);

/// How long a request may take.
pub(super) const SECONDS: Opt<Duration> = TIMEOUT.env(&["CODEX_LOGFIRE_EXPORT_TIMEOUT"]);

/// The exporter's own file.
pub(super) const CONFIG_FILE: Opt<String> =
    Opt::without_key("The exporter's `config.env`").env(&["CODEX_LOGFIRE_CONFIG_FILE"]);

/// Where the exporter keeps its state.
pub(super) const STATE_DIR: Opt<String> =
    Opt::without_key("The exporter's state").env(&["CODEX_LOGFIRE_STATE_DIR"]);

/// Where Logfire's own tools keep what lets them in.
pub(super) const CREDENTIALS_DIR: Opt<String> =
    Opt::without_key("Directory of `logfire_credentials.json`").env(&["LOGFIRE_CREDENTIALS_DIR"]);

/// The region, for tokens that do not say.
pub(super) const REGION: Opt<String> =
    Opt::without_key("`us` or `eu`, for tokens that do not contain it")
        .env(&["PYDANTIC_LOGFIRE_REGION"]);

/// The encoding; the variables that name it are about other exporters.
pub(super) const ENCODING: Opt<String> = PROTOCOL.env(&[]).help("`http/protobuf` or `http/json`");

/// Whether to keep to what the newer exporter sends at most.
pub(super) const EXPORTER_LIMITS: Opt<bool> = Opt::new(
    "exporter_limits",
    "Apply the limits of exporter 0.2.0: 60 KiB for a text, 512 KiB for a turn",
)
.default("false");

/// Whether to complete turns that the live exporter has sent.
pub const ADD_MISSING: Opt<bool> = Opt::new(
    "add_missing",
    "Add to turns that the live exporter has sent what it leaves out: model calls, compactions, subagents",
)
.flag(Flag::On("add-missing"), None)
.default("false")
.details("Their tokens are counted once. Without it such turns are skipped.");

/// All of them.
pub(super) const OPTIONS: &[OptionSpec] = &[
    TOKEN.spec,
    BASE.spec,
    AUTH_SCHEME.spec,
    HEADER_PAIRS.spec,
    CAPTURE_MODE.spec,
    SERVICE_NAME.spec,
    PROJECT_LABEL.spec,
    SECONDS.spec,
    CONFIG_FILE.spec,
    STATE_DIR.spec,
    CREDENTIALS_DIR.spec,
    REGION.spec,
    OWN_IDS.spec,
    TIME_SHIFT.spec,
    ASSUME_BACKFILL_ALLOWED.spec,
    ADD_MISSING.spec,
    EXPORTER_LIMITS.spec,
    ENCODING.spec,
    LLM_INPUT.spec,
    LLM_INPUT_BYTES.spec,
    FIELD_BYTES.spec,
];
