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
    /// By session. Absent as a whole where the service does not say.
    sessions: Option<HashMap<String, Found>>,
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
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the service's own words")]
struct Row {
    #[serde(default)]
    span_id: String,
    #[serde(default)]
    root_span_id: String,
    #[serde(default)]
    session_id: Option<String>,
    #[serde(default)]
    turn_id: Option<String>,
}

impl There {
    /// Returns what is there of a session; `None` if the service did not say.
    pub(super) fn of(&self, session: &str) -> Option<Found> {
        let sessions = self.sessions.as_ref()?;
        Some(sessions.get(session).cloned().unwrap_or_default())
    }

    /// Takes in the answer to the last question and asks the next one: for the
    /// rows of sessions, page by page, then for turns of those that the older
    /// plugin sent. Without an answer that can be read, nothing is known.
    pub(super) fn next_question(
        &mut self,
        place: &Place,
        api: &Address,
        log: &Log,
        answer: Option<&Response>,
    ) -> Option<Request> {
        if self.step == Step::Nothing {
            self.step = Step::Sessions;
            self.sessions = Some(HashMap::new());
            return Some(self.ask(place, api, log));
        }
        let page = answer.filter(|it| it.status == 200);
        let page: Option<Page> = page.and_then(|it| serde_json::from_slice(&it.body).ok());
        let Some(page) = page else {
            self.step = Step::Done;
            self.sessions = None;
            return None;
        };
        self.pages += 1;
        let full = page.data.len() >= PAGE && self.pages < MAX_PAGES;
        self.cursor = page.cursor.filter(|cursor| full && is_token(cursor));
        match self.step {
            Step::Sessions => page.data.into_iter().for_each(|row| self.take_session(row)),
            _ => page.data.into_iter().for_each(|row| self.take_turn(row)),
        }
        if self.cursor.is_none() {
            self.step = if self.roots.is_empty() { Step::Done } else { Step::Turns };
        }
        (self.step != Step::Done).then(|| self.ask(place, api, log))
    }

    fn take_session(&mut self, row: Row) {
        let sessions = self.sessions.get_or_insert_default();
        let Some(session) = row.session_id else { return };
        let found = sessions.entry(session.clone()).or_default();
        if row.span_id == row_id(&session, "root").to_string() {
            found.ours = true;
        } else if is_token(&row.root_span_id) {
            self.roots.push(row.root_span_id.clone());
            let Row { span_id, root_span_id, .. } = row;
            found.older = Some(Older { span_id, root_span_id, turns: HashSet::new() });
        }
    }

    fn take_turn(&mut self, row: Row) {
        let sessions = self.sessions.get_or_insert_default();
        let older = sessions.values_mut().filter_map(|found| found.older.as_mut());
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
