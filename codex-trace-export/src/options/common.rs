//! The options of every destination, and those that several backends share.
//!
//! The second kind is no option of a backend unless its table lists it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{Flag, HeaderSetting, Opt, OptionSpec, SecretRef};
use crate::choice::Choice;
use crate::content::Capture;
use crate::otlp::LlmInput;
use crate::request::{Compression, TlsFiles};

/// The headings of the help.
pub mod heading {
    /// Where to send to.
    pub const DESTINATIONS: Option<&str> = Some("Destinations");
    /// How to write what is sent.
    pub const ENCODING: Option<&str> = Some("Encoding");
    /// What to redact.
    pub const REDACTION: Option<&str> = Some("Redaction");
    /// How much at once.
    pub const LIMITS: Option<&str> = Some("Limits");
}

/// The address.
pub const ENDPOINT: Opt<String> =
    Opt::new("endpoint", "Address of the backend; for one destination at a time")
        .flag(Flag::Value { name: "endpoint", value: "URL" }, heading::DESTINATIONS)
        .default("as in the other settings");

/// The project.
pub const PROJECT: Opt<String> =
    Opt::new("project", "Project to upload to, or its equivalent in the backend")
        .flag(Flag::Value { name: "project", value: "NAME" }, heading::DESTINATIONS)
        .default("as in the other settings")
        .details("For MLflow, the name or id of an experiment; for Phoenix, a project.");

/// The key.
pub const KEY: Opt<SecretRef> = Opt::new("key", "LangSmith's key; a bearer token for the others");

/// Headers of every request.
pub const HEADERS: Opt<BTreeMap<String, HeaderSetting>> =
    Opt::new("headers", "Headers of every request; they replace others of the same name");

/// Certificates.
pub const TLS: Opt<TlsFiles> =
    Opt::new("tls", "Certificates, see below").default("the system's authorities");

/// How long a request may take.
pub const TIMEOUT: Opt<Duration> = Opt::new("timeout", "How long a whole request may take")
    .flag(Flag::Value { name: "timeout", value: "DURATION" }, heading::DESTINATIONS)
    .default("as in the destination's settings, else 2m");

/// How to compress requests.
pub const COMPRESSION: Opt<Compress> =
    Opt::new("compression", "How to compress requests, if the backend supports it")
        .flag(Flag::Value { name: "compress", value: "HOW" }, heading::LIMITS)
        .default("auto");

/// Requests under way at once.
pub const SENDERS: Opt<u64> =
    Opt::new("senders", "Number of concurrent requests to each destination; at most 128")
        .flag(Flag::Value { name: "senders", value: "N" }, heading::LIMITS)
        .default("4");

/// The most requests a second.
pub const REQUESTS_PER_SECOND: Opt<f64> =
    Opt::new("requests_per_second", "Maximum number of requests per second, 0.1 or more")
        .default("what the server asks for");

/// How much content to send.
pub const CAPTURE: Opt<Capture> = Opt::new("capture", "How much content to send")
    .flag(Flag::Value { name: "capture", value: "WHAT" }, heading::ENCODING)
    .default("full");

/// User that the sessions belong to.
pub const USER: Opt<String> = Opt::new("user", "User that the sessions belong to")
    .flag(Flag::Value { name: "user", value: "NAME" }, heading::ENCODING)
    .default("for MLflow, the user who uploads their own home; else none");

/// What else to say of all sessions.
pub const METADATA: Opt<Vec<String>> =
    Opt::new("metadata", "Add this to every session (can be repeated)")
        .flag(Flag::Each { name: "metadata", value: "KEY=VALUE" }, heading::ENCODING)
        .details("Becomes an attribute of the resource (OTLP, Logfire), or metadata of sessions, runs and traces (Braintrust, LangSmith, MLflow). Values that Codex recorded take precedence.");

/// Whether to redact secrets.
pub const REDACT: Opt<bool> =
    Opt::new("redact", "Replace secrets with placeholders [default for upload]")
        .flag(
            Flag::OnOff {
                on: "redact",
                off: "no-redact",
                off_help: "Leave secrets where they are [default for convert]",
            },
            heading::REDACTION,
        )
        .default("true");

/// Rules of redaction, besides those built in.
pub const REDACT_PATTERNS: Opt<Vec<String>> =
    Opt::new("redact_patterns", "Also redact what matches a regular expression (can be repeated)")
        .flag(
            Flag::Each { name: "redact-pattern", value: "REGEX[=>REPLACEMENT]" },
            heading::REDACTION,
        );

/// A file of such rules.
pub const REDACT_RULES: Opt<PathBuf> = Opt::new(
    "redact_rules",
    "Also redact by the `[[rule]]` tables of a TOML file (`pattern`, `replace`)",
)
.flag(Flag::Value { name: "redact-rules", value: "FILE" }, heading::REDACTION);

/// How to reach a destination.
pub const PLACE: &[OptionSpec] =
    &[ENDPOINT.spec, PROJECT.spec, KEY.spec, HEADERS.spec, TLS.spec, TIMEOUT.spec];

/// How much to send at once, and of what.
pub const MANNER: &[OptionSpec] = &[
    COMPRESSION.spec,
    SENDERS.spec,
    REQUESTS_PER_SECOND.spec,
    CAPTURE.spec,
    USER.spec,
    METADATA.spec,
];

/// What to redact; `convert` has it as well.
pub const REDACTION: &[OptionSpec] = &[REDACT.spec, REDACT_PATTERNS.spec, REDACT_RULES.spec];

/// All options of every destination.
pub fn all() -> impl Iterator<Item = &'static OptionSpec> {
    PLACE.iter().chain(MANNER).chain(REDACTION)
}

/// The workspace or tenant, of servers that have such.
pub const WORKSPACE: Opt<String> = Opt::new("workspace", "Workspace or tenant");

/// A name, for access by name and password.
pub const USERNAME: Opt<String> = Opt::new("username", "User name for access with a password");

/// Its password.
pub const PASSWORD: Opt<SecretRef> =
    Opt::new("password", "Password for `username`").not_with(&["key"]);

/// How much history to repeat as the input of a model call.
pub const LLM_INPUT: Opt<LlmInput> =
    Opt::new("llm_input", "How much of the history to repeat as the input of each model call")
        .flag(Flag::Value { name: "llm-input", value: "WHAT" }, heading::ENCODING)
        .default("turn");

/// The most of it, in bytes.
pub const LLM_INPUT_BYTES: Opt<u64> = Opt::new(
    "llm_input_bytes",
    "Maximum size of the history in the input of a model call, in bytes",
)
.default("262144");

/// Maximum size of any other text, in bytes.
pub const FIELD_BYTES: Opt<u64> =
    Opt::new("field_bytes", "Maximum size of any other text, in bytes").default("262144");

/// Whether ids are for one place alone.
pub const OWN_IDS: Opt<bool> =
    Opt::new("own_ids", "Use ids that exist only in this destination, see below").default("false");

/// Whether to move sessions that are too old.
pub const TIME_SHIFT: Opt<bool> =
    Opt::new("time_shift", "Move sessions that are too old for a destination so that they end now")
        .flag(Flag::On("time-shift"), None)
        .default("false")
        .details("A session is moved as a whole, once; its own times are added as metadata.");

/// How to compress requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compress {
    /// As the backend prefers
    #[default]
    Auto,
    /// With gzip
    Gzip,
    /// With zstd
    Zstd,
    /// Not at all
    None,
}

impl Choice for Compress {
    #[rustfmt::skip]
    const WORDS: &[(Compress, &str, &str)] = &[
        (Compress::Auto, "auto", "As the backend prefers"),
        (Compress::Gzip, "gzip", "With gzip"),
        (Compress::Zstd, "zstd", "With zstd"),
        (Compress::None, "none", "Not at all"),
    ];
}

impl Compress {
    /// Returns which compressions may be used.
    pub fn allowed(self) -> &'static [Compression] {
        match self {
            Compress::Auto => &[Compression::Gzip, Compression::Zstd],
            Compress::Gzip => &[Compression::Gzip],
            Compress::Zstd => &[Compression::Zstd],
            Compress::None => &[],
        }
    }
}
