//! The options of a tracking server, under the names that MLflow's own clients
//! have for the variables.

use std::path::PathBuf;
use std::time::Duration;

use crate::options::common::{
    ENDPOINT, FIELD_BYTES, KEY, LLM_INPUT, LLM_INPUT_BYTES, OWN_IDS, PASSWORD, PROJECT, TIMEOUT,
    USERNAME, WORKSPACE,
};
use crate::options::{Opt, OptionSpec, SecretRef};

/// The server.
pub(super) const TRACKING_URI: Opt<String> = ENDPOINT.env(&["MLFLOW_TRACKING_URI"]);

/// The experiment, by its id.
pub(super) const EXPERIMENT_ID: Opt<String> =
    Opt::without_key("Experiment by id").env(&["MLFLOW_EXPERIMENT_ID"]);

/// The experiment, by its name.
pub(super) const EXPERIMENT_NAME: Opt<String> = PROJECT.env(&["MLFLOW_EXPERIMENT_NAME"]);

/// User name for access with a password.
pub(super) const USER: Opt<String> = USERNAME.env(&["MLFLOW_TRACKING_USERNAME"]);

/// The password.
pub(super) const USER_PASSWORD: Opt<SecretRef> = PASSWORD.env(&["MLFLOW_TRACKING_PASSWORD"]);

/// Access by token.
pub(super) const TOKEN: Opt<SecretRef> = KEY.env(&["MLFLOW_TRACKING_TOKEN"]);

/// The workspace.
pub(super) const OF_WORKSPACE: Opt<String> =
    WORKSPACE.help("Workspace of the server (`X-MLFLOW-WORKSPACE`)").env(&["MLFLOW_WORKSPACE"]);

/// The authorities to trust.
pub(super) const SERVER_CERT: Opt<PathBuf> =
    Opt::without_key("Authorities to trust").env(&["MLFLOW_TRACKING_SERVER_CERT_PATH"]);

/// Our own certificate.
pub(super) const CLIENT_CERT: Opt<PathBuf> =
    Opt::without_key("Our own certificate").env(&["MLFLOW_TRACKING_CLIENT_CERT_PATH"]);

/// How long a request may take.
pub(super) const SECONDS: Opt<Duration> = TIMEOUT.env(&["MLFLOW_HTTP_REQUEST_TIMEOUT"]);

/// Where Databricks stores traces.
pub(super) const TRACE_LOCATION: Opt<String> =
    Opt::without_key("Tables of Databricks").env(&["MLFLOW_TRACE_LOCATION"]);

/// A workspace of Databricks.
pub(super) const DATABRICKS_HOST: Opt<String> =
    Opt::without_key("Workspace of Databricks").env(&["DATABRICKS_HOST"]);

/// Its key.
pub(super) const DATABRICKS_TOKEN: Opt<SecretRef> =
    Opt::without_key("Its key").env(&["DATABRICKS_TOKEN"]);

/// All of them.
pub(super) const OPTIONS: &[OptionSpec] = &[
    TRACKING_URI.spec,
    EXPERIMENT_ID.spec,
    EXPERIMENT_NAME.spec,
    USER.spec,
    USER_PASSWORD.spec,
    TOKEN.spec,
    OF_WORKSPACE.spec,
    SERVER_CERT.spec,
    CLIENT_CERT.spec,
    SECONDS.spec,
    TRACE_LOCATION.spec,
    DATABRICKS_HOST.spec,
    DATABRICKS_TOKEN.spec,
    OWN_IDS.spec,
    LLM_INPUT.spec,
    LLM_INPUT_BYTES.spec,
    FIELD_BYTES.spec,
];
