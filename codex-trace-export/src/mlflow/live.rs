//! The traces that the live plugin has sent before. Its ids are random; session
//! and start tell which turn a trace is of.

use std::collections::HashMap;

use codex_trace_model::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::settings::Server;
use crate::ConfigError;
use crate::request::{Header, Method, Request, Response};

/// The traces of an experiment that are of a session, ours among them.
#[derive(Clone, Debug, Default)]
pub(super) struct LiveTraces {
    /// The ids, by session and start in milliseconds.
    by_turn: HashMap<(String, i64), Vec<String>>,
}

impl LiveTraces {
    /// Returns whether a trace of the turn is there that has another id.
    pub(super) fn has_other(&self, thread: &str, start: Option<Timestamp>, ours: &str) -> bool {
        let Some(start) = start.map(Timestamp::as_millisecond) else { return false };
        // The plugin multiplies milliseconds by a million in floating point, so
        // that one in five starts a millisecond early.
        (start - 1..=start + 1).any(|start| {
            let ids = self.by_turn.get(&(thread.to_owned(), start));
            ids.is_some_and(|ids| ids.iter().any(|id| id != ours))
        })
    }

    /// Asks for the first page of the search.
    pub(super) fn first_page(server: &Server) -> Request {
        LiveTraces::page(server, None)
    }

    /// Takes in a page of the search and asks for the next one.
    pub(super) fn next_page(
        &mut self,
        server: &Server,
        answer: &Response,
    ) -> Result<Option<Request>, ConfigError> {
        if answer.status != 200 {
            return Err(ConfigError::new("the MLflow server does not let us search for traces"));
        }
        let page: Page = serde_json::from_slice(&answer.body)
            .map_err(|err| ConfigError::new(format!("MLflow's list of traces: {err}")))?;
        page.traces.into_iter().for_each(|trace| self.take(trace));
        let token = page.next_page_token.filter(|token| !token.is_empty());
        Ok(token.map(|token| LiveTraces::page(server, Some(&token))))
    }

    fn page(server: &Server, token: Option<&str>) -> Request {
        let search = json!({
            "locations": [{
                "type": "MLFLOW_EXPERIMENT",
                "mlflow_experiment": { "experiment_id": server.experiment_id() },
            }],
            // The plugin gives its traces no tag, not even a name.
            "filter": "metadata.`mlflow.trace.session` != ''",
            "max_results": 500,
            "page_token": token,
        });
        let mut headers = server.headers.clone();
        headers.push(Header::new("Content-Type", "application/json"));
        Request {
            method: Method::Post,
            url: server.url("/api/3.0/mlflow/traces/search"),
            headers,
            body: serde_json::to_vec(&search).expect("memory takes everything").into(),
        }
    }

    fn take(&mut self, trace: Found) {
        let session = trace.trace_metadata.get("mlflow.trace.session");
        let start = trace.request_time.parse::<Timestamp>();
        if let (Some(session), Ok(start)) = (session, start) {
            let turn = (session.clone(), start.as_millisecond());
            self.by_turn.entry(turn).or_default().push(trace.trace_id);
        }
    }
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    traces: Vec<Found>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Found {
    trace_id: String,
    request_time: String,
    #[serde(default)]
    trace_metadata: HashMap<String, String>,
}
