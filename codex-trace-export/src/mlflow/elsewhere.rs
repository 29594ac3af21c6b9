//! The traces of ours that other experiments of the server have.
//!
//! A trace is in one experiment alone, the one that was said last: an upload to
//! a second experiment would take it out of the first. So the server is asked
//! before anything is sent.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::json;

use super::settings::Server;
use crate::ConfigError;
use crate::request::{Header, Method, Request, Response};

/// How many experiments one search is about.
const EXPERIMENTS: usize = 100;

/// The traces of ours in other experiments.
#[derive(Clone, Debug, Default)]
pub(super) struct Elsewhere {
    step: Step,
    /// The names of the other experiments, by id.
    names: HashMap<String, String>,
    /// Ids of experiments that have not been searched, the last first.
    left: Vec<String>,
    /// Where traces are: the experiment's id, by that of the trace.
    traces: HashMap<String, String>,
    /// The sessions of those traces.
    sessions: HashSet<String>,
}

/// What was asked last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Nothing,
    Experiments,
    /// Traces of some experiments: their ids.
    Traces(Vec<String>),
}

impl Elsewhere {
    /// Returns the experiment that has a trace, as people know it.
    pub(super) fn experiment_of(&self, trace_id: &str) -> Option<String> {
        let id = self.traces.get(trace_id)?;
        Some(match self.names.get(id) {
            Some(name) => format!("`{name}` (id {id})"),
            None => format!("with id {id}"),
        })
    }

    /// Whether traces of a session are in another experiment.
    pub(super) fn has_session(&self, session_id: &str) -> bool {
        self.sessions.contains(session_id)
    }

    /// Asks for the first page of all experiments.
    pub(super) fn first_question(&mut self, server: &Server) -> Request {
        self.ask_experiments(server, None)
    }

    /// Takes in the answer to the last question and asks the next one: for more
    /// experiments, then for the traces in them.
    pub(super) fn next_question(
        &mut self,
        server: &Server,
        answer: &Response,
    ) -> Result<Option<Request>, ConfigError> {
        let mut token = None;
        match std::mem::take(&mut self.step) {
            Step::Nothing => return Ok(None),
            Step::Experiments => {
                let page: Experiments = read(answer, "list experiments")?;
                for it in page.experiments {
                    if it.experiment_id != server.experiment_id() {
                        self.left.push(it.experiment_id.clone());
                        self.names.insert(it.experiment_id, it.name);
                    }
                }
                if let Some(token) = page.next_page_token.filter(|token| !token.is_empty()) {
                    return Ok(Some(self.ask_experiments(server, Some(&token))));
                }
            }
            Step::Traces(of) => {
                let page: Traces = read(answer, "search for traces")?;
                page.traces.into_iter().for_each(|trace| self.take(trace));
                token = page.next_page_token.filter(|token| !token.is_empty()).map(|it| (of, it));
            }
        }
        let (of, token) = match token {
            Some((of, token)) => (of, Some(token)),
            None => (self.left.split_off(self.left.len().saturating_sub(EXPERIMENTS)), None),
        };
        Ok((!of.is_empty()).then(|| self.ask_traces(server, of, token.as_deref())))
    }

    fn ask_experiments(&mut self, server: &Server, token: Option<&str>) -> Request {
        self.step = Step::Experiments;
        let search = json!({ "max_results": 1000, "page_token": token });
        post(server, "/api/2.0/mlflow/experiments/search", &search)
    }

    fn ask_traces(&mut self, server: &Server, of: Vec<String>, token: Option<&str>) -> Request {
        let place = |id: &String| {
            json!({
                "type": "MLFLOW_EXPERIMENT",
                "mlflow_experiment": { "experiment_id": id },
            })
        };
        let search = json!({
            "locations": of.iter().map(place).collect::<Vec<_>>(),
            "filter": "tags.`codex.backfill` = 'true'",
            "max_results": 500,
            "page_token": token,
        });
        self.step = Step::Traces(of);
        post(server, "/api/3.0/mlflow/traces/search", &search)
    }

    fn take(&mut self, trace: Found) {
        let place = trace.location.mlflow_experiment;
        self.sessions.extend(trace.metadata.get("mlflow.trace.session").cloned());
        self.traces.insert(trace.id, place.experiment_id);
    }
}

fn post(server: &Server, path: &str, body: &serde_json::Value) -> Request {
    let mut headers = server.headers.clone();
    headers.push(Header::new("Content-Type", "application/json"));
    Request {
        method: Method::Post,
        url: server.url(path),
        headers,
        body: serde_json::to_vec(body).expect("memory takes everything").into(),
    }
}

fn read<'r, T: Deserialize<'r>>(answer: &'r Response, what: &str) -> Result<T, ConfigError> {
    let refused = |why: String| {
        ConfigError::new(format!("the MLflow server does not let us {what}: {why}"))
            .hint("what is in other experiments must be known, or an upload takes it out of them: `own_ids = true` in codex-trace.toml goes without asking")
    };
    if answer.status != 200 {
        return Err(refused(answer.reason()));
    }
    serde_json::from_slice(&answer.body).map_err(|err| refused(err.to_string()))
}

#[derive(Deserialize)]
struct Experiments {
    #[serde(default)]
    experiments: Vec<Experiment>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Experiment {
    experiment_id: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Traces {
    #[serde(default)]
    traces: Vec<Found>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Found {
    #[serde(rename = "trace_id")]
    id: String,
    #[serde(default, rename = "trace_location")]
    location: Location,
    #[serde(default, rename = "trace_metadata")]
    metadata: HashMap<String, String>,
}

#[derive(Default, Deserialize)]
struct Location {
    #[serde(default)]
    mlflow_experiment: InExperiment,
}

#[derive(Default, Deserialize)]
struct InExperiment {
    #[serde(default)]
    experiment_id: String,
}
