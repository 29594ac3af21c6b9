//! Reads back what is there, after the service has said that something is.

use serde::Deserialize;

use crate::Found;
use crate::address::percent_encoded;
use crate::body::Body;
use crate::json;
use crate::langsmith::config::Place;
use crate::langsmith::wire::headers;
use crate::request::{Header, Method, Request, Response};

/// What makes two runs the same one: whatever the live plugin compares, too.
#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Identity {
    id: String,
    trace_id: Option<String>,
    parent_run_id: Option<String>,
    dotted_order: Option<String>,
    name: Option<String>,
    run_type: Option<String>,
}

/// A run that is there.
#[derive(Debug, Deserialize)]
struct There {
    #[serde(flatten)]
    identity: Identity,
    /// The project that it is in.
    session_id: Option<String>,
}

/// The project that runs go to, and what the service says of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Project<'p> {
    pub(super) name: &'p str,
    pub(super) answer: &'p Response,
}

impl Project<'_> {
    /// Returns its id, in a list that is empty if there is no such project;
    /// `None` if the service does not tell.
    fn ids(&self) -> Option<Vec<String>> {
        #[derive(Deserialize)]
        struct Session {
            id: String,
        }
        let understood = (200..300).contains(&self.answer.status);
        let found = serde_json::from_slice::<Vec<Session>>(&self.answer.body).ok();
        Some(found.filter(|_| understood)?.into_iter().map(|it| it.id).collect())
    }
}

/// Reads the run out of a piece.
fn identity(piece: &[u8]) -> Option<Identity> {
    let json = if piece.starts_with(b"{") {
        piece
    } else {
        let start = memchr::memmem::find(piece, b"\r\n\r\n")? + 4;
        let end = memchr::memmem::find(&piece[start..], b"\r\n--")?;
        &piece[start..start + end]
    };
    serde_json::from_slice(json).ok()
}

/// The request that asks for the project: of a run the service tells only the
/// project's id.
pub(super) fn ask_project(to: &Place) -> Request {
    let path = format!("/sessions?limit=1&name={}", percent_encoded(to.project.as_bytes()));
    let url = to.endpoint.join(&path);
    Request { method: Method::Get, url, headers: headers(to), body: Body::default() }
}

/// The request that reads back what is there of some runs.
pub(super) fn ask_runs(to: &Place, pieces: &[&[u8]]) -> Option<Request> {
    let ids: Option<Vec<String>> = pieces.iter().map(|piece| Some(identity(piece)?.id)).collect();
    let ids = ids?;
    let mut body = Vec::new();
    json::object(&mut body, |o| {
        o.list("id", &ids);
        o.put("limit", ids.len());
        let fields =
            ["id", "trace_id", "parent_run_id", "dotted_order", "name", "run_type", "session_id"];
        o.list("select", fields);
    });
    let mut headers = headers(to);
    headers.push(Header::new("Content-Type", "application/json"));
    let url = to.endpoint.join("/runs/query");
    Some(Request { method: Method::Post, url, headers, body: body.into() })
}

/// Says of each piece whether it is there.
pub(super) fn compare(
    pieces: &[&[u8]],
    project: &Project<'_>,
    response: &Response,
) -> Option<Vec<Found>> {
    #[derive(Deserialize)]
    struct Answer {
        runs: Vec<There>,
    }
    if !(200..300).contains(&response.status) {
        return None;
    }
    let there = serde_json::from_slice::<Answer>(&response.body).ok()?.runs;
    let ids = project.ids();
    let found = pieces.iter().map(|piece| {
        let Some(ours) = identity(piece) else {
            return Found::Other("not a run".to_owned());
        };
        let Some(run) = there.iter().find(|run| run.identity.id == ours.id) else {
            return Found::Missing;
        };
        // Where the service does not tell, there is nothing to compare.
        let elsewhere = match (&ids, &run.session_id) {
            (Some(project), Some(of_run)) => !project.contains(of_run),
            _ => false,
        };
        if elsewhere {
            return Found::Other(format!(
                "run {} is in another project than `{}`, and a workspace takes an id once: a second copy needs `own_ids = true` in codex-trace.toml, or both projects named as replicas",
                ours.id, project.name
            ));
        }
        let run = &run.identity;
        if *run == ours {
            return Found::Same;
        }
        Found::Other(format!(
            "run {} is there as another one: {} {} at {}",
            ours.id,
            run.run_type.as_deref().unwrap_or("?"),
            run.name.as_deref().unwrap_or("?"),
            run.dotted_order.as_deref().unwrap_or("?")
        ))
    });
    Some(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Address;

    const SMALL: &str = r#"{"id":"ID","session_name":"p","name":"n","run_type":"chain","trace_id":"ID","parent_run_id":null,"dotted_order":"D1"}"#;

    fn found(piece: &str, project: (u16, &str), runs: &str) -> Found {
        let project = Response::new(project.0, project.1);
        let project = Project { name: "p", answer: &project };
        let runs = Response::new(200, format!("{{\"runs\":[{runs}]}}"));
        compare(&[piece.as_bytes()], &project, &runs).unwrap().remove(0)
    }

    #[test]
    fn a_run_that_is_there_is_the_same_only_in_the_same_place() {
        let form = format!("--b\r\nContent-Disposition: x\r\n\r\n{SMALL}\r\n--b\r\nmore");
        for piece in [SMALL, &form] {
            let of = |runs: &str| found(piece, (404, ""), runs);
            assert_eq!(of(""), Found::Missing);
            assert_eq!(of(SMALL), Found::Same);
            assert!(matches!(of(&SMALL.replace("D1", "D2")), Found::Other(_)));
            assert!(matches!(of(&SMALL.replace("\"n\"", "\"m\"")), Found::Other(_)));
        }
        let project = Response::new(200, "[]");
        let project = Project { name: "p", answer: &project };
        assert_eq!(compare(&[], &project, &Response::new(500, "")), None);
    }

    #[test]
    fn the_same_run_in_another_project_is_not_there() {
        let run = SMALL.replace("\"session_name\":\"p\"", "\"session_id\":\"P1\"");
        let of = |project: &str| found(SMALL, (200, project), &run);
        assert_eq!(of(r#"[{"id":"P1","name":"p"}]"#), Found::Same);
        assert!(matches!(of(r#"[{"id":"P2"}]"#), Found::Other(_)));
        assert!(matches!(of("[]"), Found::Other(_)), "there is no such project");
        // A server that tells nothing of projects.
        assert_eq!(found(SMALL, (200, "{}"), &run), Found::Same);
        assert_eq!(found(SMALL, (200, "[]"), SMALL), Found::Same);
    }

    #[test]
    fn projects_are_asked_for_by_name() {
        let place = Place {
            endpoint: Address::unchecked("http://h/api"),
            key: None,
            project: "a b/ä".to_owned(),
            workspace: None,
            metadata: serde_json::Map::new(),
        };
        assert_eq!(
            ask_project(&place).url.expose(),
            "http://h/api/sessions?limit=1&name=a%20b%2F%C3%A4"
        );
    }
}
