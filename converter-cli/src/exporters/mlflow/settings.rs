//! Which server and experiment: flags, then the variables of MLflow, then the
//! live plugin's `mlflow-tracing.json`, the project's before the user's.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Mlflow;
use crate::exporters::otlp::settings::amount;
use crate::exporters::{ConfigError, Connected, Settings};
use crate::transport::{Header, Method, Request, Response, Secret};

/// Where the traces of those who name no experiment go.
const DEFAULT_EXPERIMENT: &str = "codex-trace";

/// A tracking server, and what of it is ours.
#[derive(Debug)]
pub(super) struct Server {
    base: String,
    experiment: Experiment,
    step: Step,
    pub(super) headers: Vec<Header>,
    pub(super) user: Option<String>,
    /// The table of spans in Databricks' Unity Catalog.
    pub(super) spans_table: Option<String>,
}

#[derive(Clone, Debug)]
enum Experiment {
    Id(String),
    Name(String),
}

/// What has been asked about the experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Begin,
    Asked,
    Made,
    Known,
}

/// What the live plugin's `setup` writes.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PluginFile {
    tracking_uri: Option<String>,
    experiment_id: Option<Value>,
    trace_location: Option<String>,
}

/// Makes an exporter of settings.
pub(super) fn connect(settings: &Settings) -> Connected {
    let plugin = plugin_file(settings)?;
    let uri = settings
        .endpoint
        .clone()
        .or_else(|| settings.var("MLFLOW_TRACKING_URI").map(str::to_owned))
        .or(plugin.tracking_uri)
        .ok_or_else(|| {
            ConfigError::new("no MLflow server is named")
                .hint("set MLFLOW_TRACKING_URI, or give --endpoint")
        })?;
    let location = settings.var("MLFLOW_TRACE_LOCATION").map(str::to_owned);
    let mut server = Server {
        base: uri.trim_end_matches('/').to_owned(),
        experiment: experiment(settings, plugin.experiment_id),
        step: Step::Begin,
        headers: access(settings),
        user: settings.first_var(&["USER", "USERNAME"]).map(str::to_owned),
        spans_table: None,
    };
    if uri == "databricks" || uri.starts_with("databricks://") {
        server.use_databricks(settings, location.or(plugin.trace_location))?;
    } else if !uri.starts_with("http://") && !uri.starts_with("https://") {
        return Err(ConfigError::new(format!("`{uri}` is no address of an MLflow server"))
            .hint("traces need a server: http://… or https://…"));
    }
    Ok(vec![Box::new(Mlflow::new(server, amount(settings)?))])
}

fn experiment(settings: &Settings, plugin: Option<Value>) -> Experiment {
    let named = |name: &str| Experiment::Name(name.to_owned());
    let id = |text: &str| Experiment::Id(text.to_owned());
    let project = settings.project.as_deref();
    let from_plugin = match plugin {
        Some(Value::String(text)) => Some(Experiment::Id(text)),
        Some(Value::Number(number)) => Some(Experiment::Id(number.to_string())),
        _ => None,
    };
    project
        .map(|text| if text.bytes().all(|b| b.is_ascii_digit()) { id(text) } else { named(text) })
        .or_else(|| settings.var("MLFLOW_EXPERIMENT_ID").map(id))
        .or_else(|| settings.var("MLFLOW_EXPERIMENT_NAME").map(named))
        .or(from_plugin)
        .unwrap_or_else(|| named(DEFAULT_EXPERIMENT))
}

/// Name and password come before a token, as in MLflow's own clients.
fn access(settings: &Settings) -> Vec<Header> {
    use base64::Engine as _;
    let var = |name| settings.var(name);
    let mut headers = Vec::new();
    if let (Some(user), Some(password)) =
        (var("MLFLOW_TRACKING_USERNAME"), var("MLFLOW_TRACKING_PASSWORD"))
    {
        let pair = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"));
        headers.push(Header::secret("Authorization", Secret::new(format!("Basic {pair}"))));
    } else if let Some(token) = var("MLFLOW_TRACKING_TOKEN") {
        headers.push(Header::secret("Authorization", Secret::new(format!("Bearer {token}"))));
    }
    if let Some(workspace) = var("MLFLOW_WORKSPACE") {
        headers.push(Header::new("X-MLFLOW-WORKSPACE", workspace));
    }
    headers
}

fn plugin_file(settings: &Settings) -> Result<PluginFile, ConfigError> {
    const NAME: &str = "mlflow-tracing.json";
    let beside = |dir: &Path| dir.join(".codex").join(NAME);
    let places = [
        settings.cwd.as_deref().map(beside),
        settings.codex_home.as_deref().map(|dir| dir.join(NAME)),
        settings.home.as_deref().map(beside),
    ];
    for path in places.into_iter().flatten() {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        return serde_json::from_str(&text)
            .map_err(|err| ConfigError::new(format!("`{}`: {err}", path.display())));
    }
    Ok(PluginFile::default())
}

impl Server {
    /// Returns the address of a route.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(super) fn spans_url(&self) -> String {
        match self.spans_table {
            Some(_) => self.url("/api/2.0/otel/v1/traces"),
            None => self.url("/v1/traces"),
        }
    }

    /// Returns what the ledger calls the destination.
    pub(super) fn destination(&self) -> String {
        let experiment = match (&self.spans_table, &self.experiment) {
            (Some(table), _) => table,
            (None, Experiment::Id(it) | Experiment::Name(it)) => it,
        };
        format!("mlflow {}#{experiment}", self.base)
    }

    /// Returns the experiment's id; its name as long as nobody has asked.
    pub(super) fn experiment_id(&self) -> &str {
        match &self.experiment {
            Experiment::Id(it) | Experiment::Name(it) => it,
        }
    }

    /// As documented by Databricks; not tested against the service. Its final
    /// call has another address for each trace and is left out.
    fn use_databricks(
        &mut self,
        settings: &Settings,
        location: Option<String>,
    ) -> Result<(), ConfigError> {
        let missing = |what: &str| {
            ConfigError::new(format!("`databricks` needs {what}"))
                .hint("set DATABRICKS_HOST, DATABRICKS_TOKEN and MLFLOW_TRACE_LOCATION")
        };
        let host = settings.var("DATABRICKS_HOST").ok_or_else(|| missing("a host"))?;
        let token = settings.var("DATABRICKS_TOKEN").ok_or_else(|| missing("a token"))?;
        let location = location.ok_or_else(|| missing("a location for traces"))?;
        let host = host.trim_end_matches('/');
        self.base = if host.contains("://") { host.to_owned() } else { format!("https://{host}") };
        let token = Secret::new(format!("Bearer {token}"));
        self.headers = vec![Header::secret("Authorization", token)];
        self.spans_table = Some(format!("{location}_otel_spans"));
        Ok(())
    }

    /// Asks anew.
    pub(super) fn forget(&mut self) {
        self.step = Step::Begin;
    }

    /// Asks for the experiment, makes it where its name is new. `None` when its
    /// id is known.
    ///
    /// Spans of a trace that another experiment has go there without a word, so
    /// an id is checked, too.
    pub(super) fn find_experiment(
        &mut self,
        answer: Option<&Response>,
    ) -> Result<Option<Request>, ConfigError> {
        match (self.step, answer) {
            (Step::Known, _) => Ok(None),
            (Step::Begin, _) | (_, None) => {
                self.step = Step::Asked;
                Ok(Some(self.ask()))
            }
            (Step::Asked, Some(answer)) if answer.status == 404 => match &self.experiment {
                Experiment::Name(name) => {
                    self.step = Step::Made;
                    Ok(Some(self.make(name)))
                }
                Experiment::Id(id) => Err(ConfigError::new(format!("no experiment has id {id}"))
                    .hint("set MLFLOW_EXPERIMENT_ID, or name one with --project")),
            },
            (_, Some(answer)) => {
                self.experiment = Experiment::Id(experiment_in(answer)?);
                self.step = Step::Known;
                Ok(None)
            }
        }
    }

    fn ask(&self) -> Request {
        let query = match &self.experiment {
            Experiment::Id(id) => format!("get?experiment_id={}", escaped(id)),
            Experiment::Name(name) => format!("get-by-name?experiment_name={}", escaped(name)),
        };
        Request {
            method: Method::Get,
            url: self.url(&format!("/api/2.0/mlflow/experiments/{query}")),
            headers: self.headers.clone(),
            body: Vec::new(),
        }
    }

    fn make(&self, name: &str) -> Request {
        let mut headers = self.headers.clone();
        headers.push(Header::new("Content-Type", "application/json"));
        Request {
            method: Method::Post,
            url: self.url("/api/2.0/mlflow/experiments/create"),
            headers,
            body: serde_json::to_vec(&json!({ "name": name })).expect("memory takes everything"),
        }
    }
}

/// Returns the id in the answer to either question.
fn experiment_in(answer: &Response) -> Result<String, ConfigError> {
    let refused = || {
        ConfigError::new(format!("the MLflow server refuses: {}", answer.reason()))
            .hint("look at MLFLOW_TRACKING_USERNAME, _PASSWORD and _TOKEN")
    };
    if answer.status != 200 {
        return Err(refused());
    }
    let body: Value = serde_json::from_slice(&answer.body).map_err(|_| refused())?;
    let id = body.pointer("/experiment/experiment_id").or_else(|| body.get("experiment_id"));
    id.and_then(Value::as_str).map(str::to_owned).ok_or_else(refused)
}

/// Percent-encodes what stands for something else in an address.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
