//! The options of Braintrust, under the names that the vendor's own clients have
//! for the variables.

use std::path::PathBuf;

use crate::options::common::{ENDPOINT, KEY, LLM_INPUT, LLM_INPUT_BYTES, PROJECT, WORKSPACE};
use crate::options::{Opt, OptionSpec, SecretRef};
use crate::otlp::LlmInput;

/// The key.
pub(super) const API_KEY: Opt<SecretRef> = KEY.env(&["BRAINTRUST_API_KEY"]);

/// The address of the API.
pub(super) const API_URL: Opt<String> = ENDPOINT.env(&["BRAINTRUST_API_URL"]);

/// The address to log in at.
pub(super) const APP_URL: Opt<String> =
    Opt::new("app_url", "Address for the login, if `endpoint` is not set")
        .env(&["BRAINTRUST_APP_URL"])
        .default("https://www.braintrust.dev");

/// The organisation.
pub(super) const ORG: Opt<String> =
    WORKSPACE.help("Organisation, for keys that belong to several").env(&["BRAINTRUST_ORG_NAME"]);

/// The project.
pub(super) const PROJECT_NAME: Opt<String> =
    PROJECT.env(&["BRAINTRUST_PROJECT", "BRAINTRUST_DEFAULT_PROJECT"]);

/// The project, by its id.
pub(super) const PROJECT_ID: Opt<String> =
    Opt::new("project_id", "Project, by its id").env(&["BRAINTRUST_PROJECT_ID"]);

/// An experiment in the place of a project's logs.
pub(super) const EXPERIMENT: Opt<String> =
    Opt::new("experiment", "Experiment to upload to, by its id").not_with(&["project_id"]);

/// The span that sessions hang under.
pub(super) const PARENT_SPAN: Opt<String> =
    Opt::new("parent_span", "Id of the span to add sessions to");

/// The root of that span.
pub(super) const PARENT_ROOT_SPAN: Opt<String> =
    Opt::new("parent_root_span", "Id of the root of that span").default("the span itself");

/// What every session is told.
pub(super) const METADATA: Opt<String> =
    Opt::without_key("JSON object for the metadata of every session")
        .env(&["BRAINTRUST_ADDITIONAL_METADATA"]);

/// Tags of every session.
pub(super) const TAGS: Opt<Vec<String>> =
    Opt::new("tags", "Tags of every session").env(&["BRAINTRUST_TAGS"]);

/// Whose login to take.
pub(super) const PROFILE: Opt<String> =
    Opt::without_key("Profile of `bt login`").env(&["BRAINTRUST_PROFILE"]);

/// The authorities to trust.
pub(super) const CA_CERT: Opt<PathBuf> =
    Opt::without_key("Authorities to trust").env(&["BRAINTRUST_CA_CERT"]);

/// How much history model calls are given.
pub(super) const INPUT: Opt<LlmInput> = LLM_INPUT.default("full");

/// The most of it.
pub(super) const INPUT_BYTES: Opt<u64> = LLM_INPUT_BYTES.default("16777216");

/// All of them.
pub(super) const OPTIONS: &[OptionSpec] = &[
    API_KEY.spec,
    API_URL.spec,
    APP_URL.spec,
    ORG.spec,
    PROJECT_NAME.spec,
    PROJECT_ID.spec,
    EXPERIMENT.spec,
    PARENT_SPAN.spec,
    PARENT_ROOT_SPAN.spec,
    METADATA.spec,
    TAGS.spec,
    PROFILE.spec,
    CA_CERT.spec,
    INPUT.spec,
    INPUT_BYTES.spec,
];
