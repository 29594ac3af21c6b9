//! What the project has of sessions already: rows of `bt` or of ours, under the
//! ids that we give, or those of the older plugin, whose ids nobody can know.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::json;

use crate::Address;
use crate::braintrust::config::Place;
use crate::braintrust::ids::row_id;
use crate::braintrust::wire::Log;
use crate::request::{Request, Response};

/// How many rows an answer has at most.
const PAGE: usize = 500;

/// How many answers are read at most: more sessions than anybody has.
const MAX_PAGES: u32 = 2_000;

/// What was found, as far as the service could be asked.
#[derive(Clone, Debug, Default)]
pub(super) struct There {
    sessions: HashMap<String, Found>,
    /// Whether a session that was not found is not there: all answers came and
    /// made sense.
    complete: bool,
    /// Whether there was an answer that made no sense.
    doubtful: bool,
    step: Step,
    pages: u32,
    cursor: Option<String>,
    /// What the last question was about.
    filter: String,
    /// The roots of what the older plugin sent, whose turns were not asked for.
    roots: Vec<String>,
}

/// What is there of a session.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// Whether its row is there under the id that we give.
    pub(super) ours: bool,
    /// The row that the older plugin made of it.
    pub(super) older: Option<Older>,
}

/// A session that the older plugin traced live.
#[derive(Clone, Debug, Default)]
pub(super) struct Older {
    pub(super) span_id: String,
    pub(super) root_span_id: String,
    /// The turns that are there.
    pub(super) turns: HashSet<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Nothing,
    Sessions,
    Turns,
    Done,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Row>,
    #[serde(default)]
    cursor: Option<String>,
    #[serde(default)]
    realtime_state: RealtimeState,
}

/// Whether what was sent a moment ago was looked through, too.
#[derive(Default, Deserialize)]
struct RealtimeState {
    #[serde(default, rename = "type")]
    state: Option<String>,
}

/// A row. What was asked for is there, or the answer means something else.
#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the service's own words")]
struct Row {
    span_id: String,
    root_span_id: String,
    #[serde(default)]
    session_id: Option<String>,
    #[serde(default)]
    turn_id: Option<String>,
}

impl Page {
    /// Reads an answer; none if it does not say what was asked, for all rows.
    fn read(answer: &Response, step: Step) -> Option<Page> {
        let page: Page = serde_json::from_slice(&answer.body).ok()?;
        let whole = |row: &Row| match step {
            Step::Turns => row.turn_id.is_some(),
            _ => row.session_id.is_some(),
        };
        let timed_out = page.realtime_state.state.as_deref() == Some("exhausted_timeout");
        (answer.status == 200 && !timed_out && page.data.iter().all(whole)).then_some(page)
    }
}

impl There {
    /// Returns what is there of a session; `None` if the service did not say.
    pub(super) fn of(&self, session: &str) -> Option<Found> {
        let found = self.sessions.get(session).cloned();
        let found = found.or_else(|| self.complete.then(Found::default))?;
        // Turns that were not all told may be there.
        (self.complete || found.ours).then_some(found)
    }

    /// Returns whether what was not found may be there for all that the service
    /// said: it knows the question, and its answer made no sense.
    pub(super) fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// Takes in the answer to the last question and asks the next one: for the
    /// rows of sessions, page by page, then for turns of those that the older
    /// plugin sent. An answer that cannot be read ends it: only what was found
    /// until then is known.
    pub(super) fn next_question(
        &mut self,
        place: &Place,
        api: &Address,
        log: &Log,
        answer: Option<&Response>,
    ) -> Option<Request> {
        if self.step == Step::Nothing {
            self.step = Step::Sessions;
            return Some(self.ask(place, api, log));
        }
        let step = self.step;
        self.step = Step::Done;
        let answer = answer?;
        let Some(page) = Page::read(answer, step) else {
            self.doubtful = !matches!(answer.status, 404 | 405 | 501);
            return None;
        };
        self.pages += 1;
        let n_rows = page.data.len();
        let cursor = page.cursor.or_else(|| answer.header("x-bt-cursor").map(str::to_owned));
        self.cursor = cursor.filter(|cursor| n_rows > 0 && !cursor.is_empty());
        let goes_on = self.cursor.as_deref().is_some_and(is_token) && self.pages < MAX_PAGES;
        match step {
            Step::Sessions => page.data.into_iter().for_each(|row| self.take_session(row)),
            _ => page.data.into_iter().for_each(|row| self.take_turn(row)),
        }
        if goes_on {
            self.step = step;
            return Some(self.ask(place, api, log));
        }
        if self.cursor.is_some() || n_rows >= PAGE {
            // There is more, and nobody says how to get at it.
            self.doubtful = true;
            return None;
        }
        if self.roots.is_empty() {
            self.complete = true;
            return None;
        }
        self.step = Step::Turns;
        Some(self.ask(place, api, log))
    }

    fn take_session(&mut self, row: Row) {
        let Some(session) = row.session_id else { return };
        let found = self.sessions.entry(session.clone()).or_default();
        if row.span_id == row_id(&session, "root").to_string() {
            found.ours = true;
        } else if is_token(&row.root_span_id) {
            self.roots.push(row.root_span_id.clone());
            let Row { span_id, root_span_id, .. } = row;
            found.older = Some(Older { span_id, root_span_id, turns: HashSet::new() });
        }
    }

    fn take_turn(&mut self, row: Row) {
        let older = self.sessions.values_mut().filter_map(|found| found.older.as_mut());
        let mut older = older.filter(|older| older.root_span_id == row.root_span_id);
        if let (Some(older), Some(turn)) = (older.next(), row.turn_id) {
            older.turns.insert(turn);
        }
    }

    fn ask(&mut self, place: &Place, api: &Address, log: &Log) -> Request {
        let from = match log {
            Log::Project(id) => format!("project_logs('{}')", quoted(id)),
            Log::Experiment(id) => format!("experiment('{}')", quoted(id)),
        };
        if self.cursor.is_none() {
            self.filter = self.next_filter();
        }
        let cursor = self.cursor.take().map(|it| format!(" | cursor: '{it}'")).unwrap_or_default();
        let query = format!(
            "select: span_id, root_span_id, metadata.session_id AS session_id, metadata.turn_id AS turn_id | from: {from} spans | filter: {} | limit: {PAGE}{cursor}",
            self.filter
        );
        place.post(api.join("/btql"), &json!({ "query": query, "fmt": "json" }))
    }
}

impl There {
    fn next_filter(&mut self) -> String {
        if self.step != Step::Turns {
            return "metadata.session_id IS NOT NULL AND span_attributes.type = 'task'".to_owned();
        }
        let roots = self.roots.split_off(self.roots.len().saturating_sub(100));
        let roots: Vec<String> = roots.iter().map(|root| format!("'{root}'")).collect();
        format!(
            "metadata.turn_id IS NOT NULL AND span_attributes.type = 'task' AND root_span_id IN [{}]",
            roots.join(", ")
        )
    }
}

/// Whether a text of the server's can stand in a query.
fn is_token(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=+/.:".contains(&byte);
    !text.is_empty() && text.bytes().all(plain)
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::braintrust::config::Target;
    use crate::secret::Secret;

    const ID: &str = "019a0000-0000-7000-8000-000000000001";

    /// Has a service give these answers, and returns what is known then, and how
    /// many questions it took.
    fn asked(answers: &[Response]) -> (There, usize) {
        let place = Place {
            api: None,
            app: Address::unchecked("http://127.0.0.1:1"),
            key: Secret::new("k"),
            org: None,
            target: Target::ProjectId("p".to_owned()),
            parent: None,
        };
        let (api, log) = (place.app.clone(), Log::Project("p".to_owned()));
        let mut there = There::default();
        let mut n_asked = 0;
        let mut next = there.next_question(&place, &api, &log, None);
        while next.is_some() {
            let answer = answers.get(n_asked);
            n_asked += 1;
            next = there.next_question(&place, &api, &log, answer);
        }
        (there, n_asked)
    }

    fn page(body: &Value) -> Response {
        Response::new(200, body.to_string())
    }

    /// A row of the older plugin's, whose ids nobody knows.
    fn older(session: &str) -> Value {
        json!({ "span_id": "s", "root_span_id": "r", "session_id": session, "turn_id": null })
    }

    #[test]
    fn what_was_not_said_is_not_absent() {
        let row = older(ID);
        let full: Vec<Value> = (0..PAGE).map(|nth| older(&format!("x{nth}"))).collect();
        #[rustfmt::skip]
        let cases = [
            ("nothing is there",       page(&json!({ "data": [] })),                       true),
            ("more fields",            page(&json!({ "data": [], "schema": {}, "cursor": null })), true),
            ("caught up",              page(&json!({ "data": [], "realtime_state": { "type": "on" } })), true),
            ("not caught up",          page(&json!({ "data": [], "realtime_state": { "type": "exhausted_timeout" } })), false),
            ("another status",         Response::new(404, r#"{"data":[]}"#),               false),
            ("no JSON",                Response::new(200, "<html>"),                       false),
            ("one row a line",         Response::new(200, row.to_string()),                false),
            ("a bare list",            page(&json!([row])),                                false),
            ("other names",            page(&json!({ "rows": [row] })),                    false),
            ("rows of other columns",  page(&json!({ "data": [{ "metadata": { "session_id": ID } }] })), false),
            ("no session in a row",    page(&json!({ "data": [{ "span_id": "s", "root_span_id": "r" }] })), false),
            ("more than it says",      page(&json!({ "data": full })),                     false),
            ("a cursor to be quoted",  page(&json!({ "data": [row], "cursor": "it's" })),  false),
        ];
        for (why, answer, known) in cases {
            let (there, _) = asked(&[answer]);
            assert_eq!(there.of("another").is_some(), known, "{why}");
            let has_question = why != "another status";
            assert_eq!(there.is_doubtful(), !known && has_question, "{why}");
        }
    }

    /// As the vendor's clients have it: as long as there is a cursor.
    #[test]
    fn pages_are_read_to_the_last_one() {
        let ours = row_id(ID, "root").to_string();
        let row = json!({ "span_id": ours, "root_span_id": ours, "session_id": ID });
        let first = page(&json!({ "data": [older("a")], "cursor": "c1" }));
        let mut second = page(&json!({ "data": [row] }));
        second.headers.push(("x-bt-cursor".to_owned(), "c2".to_owned()));
        let last = page(&json!({ "data": [] }));
        let turns = page(&json!({ "data": [
            { "span_id": "t", "root_span_id": "r", "session_id": null, "turn_id": "t-1" },
        ] }));
        let (there, n_asked) = asked(&[first.clone(), second.clone(), last.clone(), turns]);
        assert_eq!(n_asked, 4);
        assert!(there.of(ID).unwrap().ours && !there.of("b").unwrap().ours);
        assert!(there.of("a").unwrap().older.unwrap().turns.contains("t-1"));

        // What was found is known, whatever comes after it; but not which turns
        // of the older plugin are missing.
        let no = Response::new(500, "");
        for answers in
            [vec![first.clone(), second.clone(), no.clone()], vec![first, second, last, no]]
        {
            let (there, _) = asked(&answers);
            assert!(there.of(ID).unwrap().ours);
            assert!(there.of("a").is_none() && there.of("b").is_none());
        }
    }
}
