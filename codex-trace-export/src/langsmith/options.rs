//! The options of LangSmith, and the variables of its live plugin: of two, the
//! one with `CODEX` comes first.

use crate::options::common::{
    ENDPOINT, KEY, LLM_INPUT, LLM_INPUT_BYTES, OWN_IDS, PROJECT, TIME_SHIFT, WORKSPACE,
};
use crate::options::{Flag, Opt, OptionSpec, SecretRef};

/// The key.
pub(super) const API_KEY: Opt<SecretRef> =
    KEY.env(&["LANGSMITH_CODEX_API_KEY", "LANGSMITH_API_KEY"]);

/// The address.
pub(super) const API_URL: Opt<String> =
    ENDPOINT.env(&["LANGSMITH_CODEX_ENDPOINT", "LANGSMITH_ENDPOINT"]);

/// The project.
pub(super) const OF_PROJECT: Opt<String> =
    PROJECT.env(&["LANGSMITH_CODEX_PROJECT", "LANGSMITH_PROJECT"]);

/// What every run is told.
pub(super) const METADATA: Opt<String> = Opt::without_key("JSON for the metadata of every run")
    .env(&["LANGSMITH_CODEX_METADATA", "LANGSMITH_METADATA"]);

/// Several places at once.
pub(super) const REPLICAS: Opt<String> = Opt::without_key("JSON list of places to upload to")
    .env(&["LANGSMITH_CODEX_RUNS_ENDPOINTS", "LANGSMITH_RUNS_ENDPOINTS"]);

/// More rules of redaction.
pub(super) const REDACT_EXTRA: Opt<String> =
    Opt::without_key("JSON list of rules for what to redact")
        .env(&["LANGSMITH_CODEX_REDACT_EXTRA", "LANGSMITH_REDACT_EXTRA"]);

/// Whether content is left out unless a turn says otherwise.
pub(super) const DEFAULT_MUTED: Opt<String> =
    Opt::without_key("`true` to leave out content, unless the turn has a setting of its own")
        .env(&["LANGSMITH_CODEX_DEFAULT_MUTED", "LANGSMITH_DEFAULT_MUTED"]);

/// The workspace of an organisation's key.
pub(super) const WORKSPACE_ID: Opt<String> = WORKSPACE
    .help("Workspace, for the key of an organisation (`x-tenant-id`)")
    .env(&["LANGSMITH_WORKSPACE_ID"]);

/// The most history in a model call's input.
const INPUT_BYTES: Opt<u64> = LLM_INPUT_BYTES.default("the size limit of a run");

/// Whether the hosted service takes old runs.
pub const ASSUME_BACKFILL_ALLOWED: Opt<bool> = Opt::new(
    "assume_backfill_allowed",
    "Assume that the destination accepts old data, as it does for some organisations",
)
.flag(Flag::On("assume-backfill-allowed"), None)
.default("false")
.not_with(&["time_shift"]);

/// Whether to send what its project has switched off.
pub const INCLUDE_DISABLED: Opt<bool> =
    Opt::without_key("Also send sessions whose project has switched off the live plugin")
        .flag(Flag::On("include-disabled"), None);

/// Whether to keep the live plugin's notes.
pub const SIDECAR: Opt<bool> =
    Opt::new("sidecar", "Keep the live plugin's notes beside rollouts up to date")
        .flag(
            Flag::Off {
                name: "no-sidecar",
                help: "Do not touch the files that live plugins keep beside rollouts",
            },
            None,
        )
        .default("true if its settings or its own notes are found")
        .details("`true` also writes them if there is no plugin yet.");

/// What to tag traces with.
pub(super) const TAGS: Opt<Vec<String>> = Opt::new("tags", "Tags of the root of every trace");

/// All of them.
pub(super) const OPTIONS: &[OptionSpec] = &[
    API_KEY.spec,
    API_URL.spec,
    OF_PROJECT.spec,
    METADATA.spec,
    REPLICAS.spec,
    REDACT_EXTRA.spec,
    DEFAULT_MUTED.spec,
    WORKSPACE_ID.spec,
    OWN_IDS.spec,
    TIME_SHIFT.spec,
    ASSUME_BACKFILL_ALLOWED.spec,
    INCLUDE_DISABLED.spec,
    SIDECAR.spec,
    TAGS.spec,
    LLM_INPUT.spec,
    INPUT_BYTES.spec,
];
