//! The traces that other projects of a Phoenix have.
//!
//! A trace is in one project alone, the one that had it first: spans that are
//! sent to a second one are answered with 200 and stay where they were. So
//! Phoenix is asked before anything is sent. Another receiver says by its answer
//! that it is none.

use std::collections::HashMap;

use serde::Deserialize;

use crate::body::Body;
use crate::request::{Method, Request, Response};
use crate::{Address, ConfigError, Route};

/// The header by which every answer of Phoenix says that it is one.
const VERSION: &str = "x-phoenix-server-version";

/// How many projects or traces an answer lists, at most.
const PAGE: usize = 1000;

/// Where traces go in Phoenix, behind its own address.
const TRACES: &str = "/v1/traces";

/// What is known of the projects of a Phoenix.
#[derive(Clone, Debug, Default)]
pub(super) struct Phoenix {
    step: Step,
    /// Whether it is one.
    is_there: bool,
    /// Other projects whose traces are not known yet.
    left: Vec<Project>,
    /// The project that has a trace, by the id of the trace.
    traces: HashMap<String, String>,
}

/// What was asked last.
#[derive(Clone, Debug, Default)]
enum Step {
    #[default]
    Nothing,
    Projects,
    Traces(Project),
}

#[derive(Clone, Debug, Deserialize)]
struct Project {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Trace {
    trace_id: String,
}

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    next_cursor: Option<String>,
}

impl Phoenix {
    /// Whether the receiver has said that it is one, so that it is known where
    /// each trace is.
    pub(super) fn is_there(&self) -> bool {
        self.is_there
    }

    /// Returns the project that has a trace, if it is another one.
    pub(super) fn project_of(&self, trace_id: &str) -> Option<&str> {
        self.traces.get(trace_id).map(String::as_str)
    }

    /// Asks for all projects, knowing nothing; `None` if the address is not one of
    /// Phoenix'.
    pub(super) fn first_question(route: &Route) -> Option<(Phoenix, Request)> {
        let request = ask(route, "/v1/projects", None)?;
        Some((Phoenix { step: Step::Projects, ..Phoenix::default() }, request))
    }

    /// Takes in the answer to the last question and asks the next one: for all
    /// projects but `own`, then for the traces in them.
    pub(super) fn next_question(
        &mut self,
        route: &Route,
        own: &str,
        answer: &Response,
    ) -> Result<Option<Request>, ConfigError> {
        let mut again = None;
        match std::mem::take(&mut self.step) {
            Step::Nothing => return Ok(None),
            Step::Projects => {
                if answer.header(VERSION).is_none() {
                    return Ok(None);
                }
                self.is_there = true;
                let page: Page<Project> = read(answer)?;
                self.left.extend(page.data.into_iter().filter(|project| project.name != own));
                if let Some(cursor) = page.next_cursor {
                    self.step = Step::Projects;
                    return Ok(ask(route, "/v1/projects", Some(&cursor)));
                }
            }
            Step::Traces(project) => {
                let page: Page<Trace> = read(answer)?;
                let ids = page.data.into_iter().map(|trace| trace.trace_id);
                self.traces.extend(ids.map(|id| (id, project.name.clone())));
                again = page.next_cursor.map(|cursor| (project, cursor));
            }
        }
        let (project, cursor) = match again {
            Some((project, cursor)) => (project, Some(cursor)),
            None => match self.left.pop() {
                Some(project) => (project, None),
                None => return Ok(None),
            },
        };
        let path = format!("/v1/projects/{}/traces", project.id);
        self.step = Step::Traces(project);
        Ok(ask(route, &path, cursor.as_deref()))
    }
}

/// Asks beside the address for traces; nothing if that is not one of Phoenix'.
fn ask(route: &Route, path: &str, cursor: Option<&str>) -> Option<Request> {
    let base = base_of(&route.url)?;
    let more = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    Some(Request {
        method: Method::Get,
        url: base.join(&format!("{path}?limit={PAGE}{more}")),
        headers: route.headers.clone(),
        body: Body::default(),
    })
}

fn base_of(traces: &Address) -> Option<Address> {
    let whole = traces.expose();
    let end = whole.find(['?', '#']).unwrap_or(whole.len());
    let base = whole[..end].trim_end_matches('/').strip_suffix(TRACES)?;
    Some(Address::unchecked(&format!("{base}{}", &whole[end..])))
}

fn read<'a, T: Deserialize<'a>>(answer: &'a Response) -> Result<Page<T>, ConfigError> {
    let page = Some(answer).filter(|it| it.status == 200);
    page.and_then(|it| serde_json::from_slice(&it.body).ok()).ok_or_else(|| {
        ConfigError::new(format!(
            "Phoenix does not say which traces its other projects have: {}",
            answer.reason()
        ))
        .hint("a table with `own_ids = true` in codex-trace.toml has ids for its place alone")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::{Encoding, route_of};

    fn page(body: &str) -> Response {
        let headers = vec![(VERSION.to_owned(), "20.26.1".to_owned())];
        Response { headers, ..Response::new(200, body) }
    }

    fn url(request: Option<Request>) -> String {
        request.map_or_else(String::new, |it| it.url.expose().to_owned())
    }

    #[test]
    fn every_page_of_every_other_project_is_read() {
        let route = crate::Route {
            url: Address::unchecked("http://h/p/v1/traces?k=v"),
            ..route_of(Encoding::Proto)
        };
        let (mut phoenix, first) = Phoenix::first_question(&route).unwrap();
        assert_eq!(url(Some(first)), "http://h/p/v1/projects?limit=1000&k=v");
        let mut next =
            |answer: Response| url(phoenix.next_question(&route, "own", &answer).unwrap());
        let projects =
            r#"{"data":[{"id":"A","name":"own"},{"id":"B","name":"b"}],"next_cursor":"c"}"#;
        assert_eq!(next(page(projects)), "http://h/p/v1/projects?limit=1000&cursor=c&k=v");
        let projects = r#"{"data":[{"id":"C","name":"c"}],"next_cursor":null}"#;
        assert_eq!(next(page(projects)), "http://h/p/v1/projects/C/traces?limit=1000&k=v");
        let traces = r#"{"data":[{"trace_id":"t1"}],"next_cursor":"d"}"#;
        let more = "http://h/p/v1/projects/C/traces?limit=1000&cursor=d&k=v";
        assert_eq!(next(page(traces)), more);
        let traces = r#"{"data":[{"trace_id":"t2"}],"next_cursor":null}"#;
        assert_eq!(next(page(traces)), "http://h/p/v1/projects/B/traces?limit=1000&k=v");
        assert_eq!(next(page(r#"{"data":[],"next_cursor":null}"#)), "");
        assert!(phoenix.is_there());
        assert_eq!((phoenix.project_of("t1"), phoenix.project_of("t2")), (Some("c"), Some("c")));
        assert_eq!(phoenix.project_of("t3"), None);
    }

    #[test]
    fn another_receiver_is_asked_once_and_believed() {
        let mut route = route_of(Encoding::Proto);
        route.url = Address::unchecked("http://h/v1/traces");
        for answer in [Response::new(404, ""), Response::new(200, "{}"), Response::new(401, "")] {
            let (mut phoenix, _) = Phoenix::first_question(&route).unwrap();
            assert!(phoenix.next_question(&route, "p", &answer).unwrap().is_none());
            assert!(!phoenix.is_there());
        }
        route.url = Address::unchecked("http://h/ingest");
        assert!(Phoenix::first_question(&route).is_none());
        // One that does not say where traces are is not sent any.
        route.url = Address::unchecked("http://h/v1/traces");
        let (mut phoenix, _) = Phoenix::first_question(&route).unwrap();
        let refused = Response { status: 403, ..page("no") };
        assert!(phoenix.next_question(&route, "p", &refused).is_err());
    }
}
