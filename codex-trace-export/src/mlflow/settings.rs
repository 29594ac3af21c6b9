//! Which server and experiment: flags, then the variables of MLflow, then the
//! live plugin's `mlflow-tracing.json`, the project's before the user's.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::databricks::Profile;
use super::options::{
    CLIENT_CERT, EXPERIMENT_ID, EXPERIMENT_NAME, OF_WORKSPACE, SECONDS, SERVER_CERT, TOKEN,
    TRACE_LOCATION, TRACKING_URI, USER, USER_PASSWORD,
};
use super::plugin::Plugin;
use super::{Mlflow, databricks};
use crate::address::percent_encoded;
use crate::body::Body;
use crate::client::{SaidClient, TimeUnit};
use crate::describe::Description;
use crate::options::Opt;
use crate::origin::NamedPlaces;
use crate::otlp::settings::added_elsewhere;
use crate::otlp::{Added, Rendering};
use crate::request::{ClientOptions, Header, Method, Request, Response};
use crate::secret::Secret;
use crate::{
    Address, ConfigError, Connected, Origin, OriginKind, Probed, Remark, Said, Settings, key,
};

/// Where the traces of those who name no experiment go.
const DEFAULT_EXPERIMENT: &str = "codex-trace";

/// A tracking server, and what of it is ours.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) base: Address,
    experiment: Experiment,
    pub(super) headers: Vec<Header>,
    pub(super) client: ClientOptions,
    workspace: Option<String>,
    pub(super) user: Option<String>,
    /// What settings add to every trace.
    pub(super) added: Added,
    /// The table of spans in Databricks' Unity Catalog.
    pub(super) spans_table: Option<String>,
}

#[derive(Clone, Debug)]
enum Experiment {
    Id(String),
    Name(String),
}

/// Makes an exporter of settings.
pub(super) fn connect(settings: &Settings) -> Connected {
    let mut found = Description::default();
    let server = read(settings, &mut found)?;
    let rendering = Rendering::read(settings, &mut found);
    Ok(vec![Box::new(Mlflow::new(server, rendering, found.remarks))])
}

/// Says what was found, for `doctor`.
pub(super) fn describe(settings: &Settings) -> Description {
    let mut found = Description::default();
    // What fails, fails in `connect` too, and is told there.
    if read(settings, &mut found).is_ok() {
        Rendering::read(settings, &mut found);
    }
    found
}

fn read(settings: &Settings, found: &mut Description) -> Result<Server, ConfigError> {
    let plugin = Plugin::find(settings)?;
    found.remarks.extend(plugin.unfollowed.iter().cloned());
    let var = settings.var_of(&TRACKING_URI);
    let mut named = NamedPlaces::default();
    for said in [settings.said_endpoint(), var, plugin.tracking_uri()] {
        named.push(said);
    }
    let to = named.strongest().ok_or_else(|| {
        ConfigError::new("no MLflow server is named").hint(if plugin.unfollowed.is_empty() {
            "set MLFLOW_TRACKING_URI, or give --endpoint"
        } else {
            "set MLFLOW_TRACKING_URI, give --endpoint, or follow the project's file with --trust-project"
        })
    })?;
    found.take("tracking uri", Some(to.clone()), Address::to_string);
    let (client, of_client) = client(settings, found)?;
    let mut server = Server {
        base: Address::unchecked(to.value.expose().trim_end_matches('/')),
        experiment: Experiment::Name(DEFAULT_EXPERIMENT.to_owned()),
        headers: Vec::new(),
        user: None,
        added: added_elsewhere(settings, found)?,
        spans_table: None,
        client,
        workspace: None,
    };
    server.user = user(settings, &server.added);
    if let Some(profile) = Profile::of(to.value.expose()) {
        let location = settings.own_var_of(&TRACE_LOCATION).or(plugin.trace_location());
        let workspace = databricks::read(settings, profile, location, found)?;
        server.base = workspace.base;
        server.headers = vec![workspace.access];
        server.spans_table = Some(workspace.spans_table);
        return Ok(server);
    }
    let of_place = OfPlace { named: &named, to: &to };
    server.experiment = of_place.experiment(settings, &plugin, found);
    let (headers, of_access) = access(settings, found)?;
    server.headers = headers;
    let workspace = settings.said_workspace().or_else(|| settings.var_of(&OF_WORKSPACE));
    let workspace = workspace.filter(|said| of_place.holds(said, found));
    server.workspace = found.text("workspace", workspace);
    // Last, so that all else is found.
    Address::parse(to.value.expose())?;
    for from in of_access.iter().chain(&of_client) {
        named.admit(from, &to)?;
    }
    if let Some(workspace) = &server.workspace {
        server.headers.push(Header::new("X-MLFLOW-WORKSPACE", workspace.clone()));
    }
    Ok(server)
}

/// Returns whose sessions they are: what is said, else whoever uploads his own
/// home. Whose a home is that was given to be read, nobody knows.
fn user(settings: &Settings, added: &Added) -> Option<String> {
    let mut said = added.spans.iter().chain(&added.resource);
    let said = said.find(|(key, _)| key == "user.id").map(|(_, value)| value.clone());
    let own = settings.foreign_home.is_none();
    said.or_else(|| settings.first_var(&["USER", "USERNAME"]).filter(|_| own).map(str::to_owned))
}

/// What is said of projects beside another place is about that one.
struct OfPlace<'n> {
    named: &'n NamedPlaces,
    to: &'n Said<Address>,
}

impl OfPlace<'_> {
    /// Whether a setting is about the place of the upload; says so, if not. An
    /// address alone that another source names takes the place of the one there.
    fn holds(&self, said: &Said<String>, found: &mut Description) -> bool {
        let is_flag = self.to.from.kind() == OriginKind::Flag;
        let elsewhere = self.named.elsewhere(&said.from, self.to).filter(|_| is_flag);
        if let Some(own) = elsewhere {
            found.remarks.push(Remark {
                message: format!(
                    "`{}` is not used: it is about {} ({})",
                    said.from, own.value, own.from
                ),
                hint: Some("`--project` names a project or experiment".to_owned()),
            });
        }
        elsewhere.is_none()
    }

    fn experiment(
        &self,
        settings: &Settings,
        plugin: &Plugin,
        found: &mut Description,
    ) -> Experiment {
        let id_or_name = |text: String| {
            let is_id = text.bytes().all(|byte| byte.is_ascii_digit());
            if is_id { Experiment::Id(text) } else { Experiment::Name(text) }
        };
        let id: fn(String) -> Experiment = Experiment::Id;
        let said = [
            (settings.said_project(), id_or_name as fn(String) -> Experiment),
            (settings.var_of(&EXPERIMENT_ID), id),
            (settings.var_of(&EXPERIMENT_NAME), Experiment::Name),
            (settings.sessions_project.clone(), id),
            (plugin.experiment(), id),
        ];
        let mut said = said.into_iter().filter_map(|(said, make)| Some((said?, make)));
        let said = said.find(|(said, _)| self.holds(said, found));
        let default = || Experiment::Name(DEFAULT_EXPERIMENT.to_owned());
        let said = said.map_or_else(|| Said::by_default(default()), |(said, make)| said.map(make));
        let show = |it: &Experiment| match it {
            Experiment::Id(id) => format!("id {id}"),
            Experiment::Name(name) => name.clone(),
        };
        found.take("experiment", Some(said), show).unwrap_or_else(default)
    }
}

/// Finds what lets us in, and where that was said. Name and password come before
/// a token, as in MLflow's own clients.
fn access(
    settings: &Settings,
    found: &mut Description,
) -> Result<(Vec<Header>, Option<Origin>), ConfigError> {
    use base64::Engine as _;
    let secret = |said: Said<String>| said.map(Secret::new);
    let own = &settings.access;
    let login = match (&own.login, &own.key) {
        (Some((user, password)), _) => Some((
            Said::new(user.clone(), settings.origin(USER.name())),
            Said::new(password.clone(), settings.origin(USER_PASSWORD.name())),
        )),
        (None, Some(_)) => None,
        (None, None) => settings.var_of(&USER).zip(settings.var_of(&USER_PASSWORD).map(secret)),
    };
    let header = |text: String| vec![Header::secret("Authorization", Secret::new(text))];
    if let Some((user, password)) = login {
        let from = password.from.clone();
        let pair = format!("{}:{}", user.value, password.value.expose());
        found.text("username", Some(user));
        found.take("password", Some(password), |_| "[set]".to_owned());
        let pair = base64::prelude::BASE64_STANDARD.encode(pair);
        return Ok((header(format!("Basic {pair}")), Some(from)));
    }
    let token = settings.said_key().or_else(|| settings.var_of(&TOKEN).map(secret));
    let Some(token) = token.map(key::clean).transpose()? else { return Ok((Vec::new(), None)) };
    let header = header(format!("Bearer {}", token.value.expose()));
    let from = token.from.clone();
    found.secret("token", Some(token));
    Ok((header, Some(from)))
}

/// Reads certificates and how long a request may take, by the names that
/// MLflow's own clients have for them; and where a certificate of ours was said.
fn client(
    settings: &Settings,
    found: &mut Description,
) -> Result<(ClientOptions, Option<Origin>), ConfigError> {
    let file = |option: &Opt<PathBuf>| settings.var_of(option).map(|said| said.map(PathBuf::from));
    let said = SaidClient {
        ca: file(&SERVER_CERT),
        client_cert: file(&CLIENT_CERT),
        client_key: None,
        timeout: settings.var_of(&SECONDS),
        unit: TimeUnit::Seconds,
    };
    if let Some(said) = settings.place_var(&["MLFLOW_TRACKING_INSECURE_TLS"]) {
        found.problems.push(format!(
            "`{}` is not followed: name the server's authority with MLFLOW_TRACKING_SERVER_CERT_PATH",
            said.from
        ));
    }
    let from = said.key_origin();
    Ok((said.read(settings, found)?, from))
}

impl Server {
    /// Returns the address of a route.
    pub(super) fn url(&self, path: &str) -> Address {
        self.base.join(path)
    }

    /// Returns the address of a page for people.
    pub(super) fn page(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(super) fn spans_url(&self) -> Address {
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
        let workspace = self.workspace.as_ref().map_or_else(String::new, |it| format!(" {it}"));
        format!("{}#{experiment}{workspace}", self.name())
    }

    /// Returns what the ledger calls the server.
    pub(super) fn name(&self) -> String {
        format!("mlflow {}", self.base.place())
    }

    /// Returns the experiment's id; its name as long as nobody has asked.
    pub(super) fn experiment_id(&self) -> &str {
        match &self.experiment {
            Experiment::Id(it) | Experiment::Name(it) => it,
        }
    }

    /// Returns the experiment's id, once it is known.
    pub(super) fn found_experiment(&self) -> Option<&str> {
        match &self.experiment {
            Experiment::Id(id) if self.spans_table.is_none() => Some(id),
            _ => None,
        }
    }

    /// Takes in the experiment, and returns what makes it where its name is new.
    ///
    /// Spans of a trace that another experiment has go there without a word, so
    /// an id is checked, too.
    pub(super) fn take_experiment(
        &mut self,
        answer: &Response,
    ) -> Result<Option<Request>, ConfigError> {
        if answer.status == 404 {
            return match &self.experiment {
                Experiment::Name(name) => Ok(Some(self.make(name))),
                Experiment::Id(id) => Err(ConfigError::new(format!("no experiment has id {id}"))
                    .hint("set MLFLOW_EXPERIMENT_ID, or name one with --project")),
            };
        }
        self.take_id(answer)?;
        Ok(None)
    }

    /// Takes in the id of the experiment.
    pub(super) fn take_id(&mut self, answer: &Response) -> Result<(), ConfigError> {
        self.experiment = Experiment::Id(experiment_in(answer)?);
        Ok(())
    }

    /// Says what it means that the experiment is not there.
    pub(super) fn lacks_experiment(&self) -> Probed {
        match &self.experiment {
            Experiment::Id(_) => Probed::Failed,
            Experiment::Name(name) => {
                Probed::Good(Some(format!("the experiment `{name}` will be made")))
            }
        }
    }

    /// Asks for the experiment, and makes none.
    pub(super) fn ask(&self) -> Request {
        let query = match &self.experiment {
            Experiment::Id(id) => format!("get?experiment_id={}", percent_encoded(id.as_bytes())),
            Experiment::Name(name) => {
                format!("get-by-name?experiment_name={}", percent_encoded(name.as_bytes()))
            }
        };
        Request {
            method: Method::Get,
            url: self.url(&format!("/api/2.0/mlflow/experiments/{query}")),
            headers: self.headers.clone(),
            body: Body::default(),
        }
    }

    fn make(&self, name: &str) -> Request {
        let mut headers = self.headers.clone();
        headers.push(Header::new("Content-Type", "application/json"));
        Request {
            method: Method::Post,
            url: self.url("/api/2.0/mlflow/experiments/create"),
            headers,
            body: serde_json::to_vec(&json!({ "name": name }))
                .expect("memory takes everything")
                .into(),
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
