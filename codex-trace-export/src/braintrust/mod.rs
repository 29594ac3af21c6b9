//! Braintrust: rows of spans, in the shape and under the ids of `bt`, which
//! traces Codex live and imports its files. What differs, and why, is a table in
//! `docs/braintrust.md`.
//!
//! A session is a trace: a row for itself, for each turn, model call, tool and
//! subagent.

mod calls;
mod config;
mod conversation;
mod ids;
mod layer;
mod messages;
mod metadata;
mod options;
mod overflow;
mod plan;
mod prompt;
mod protocol;
mod rows;
mod standing;
mod there;
mod units;
mod wire;

use crate::braintrust::config::{Config, Place, Target};
use crate::braintrust::conversation::Conversation;
use crate::braintrust::plan::Plan;
use crate::braintrust::protocol::{Asking, Known};
use crate::braintrust::rows::{Encoder, Form};
use crate::braintrust::standing::Standing;
use crate::describe::Description;
use crate::otlp::times;
use crate::request::{ClientOptions, Request, Response};
use crate::understood;
use crate::{
    Backend, Connected, Contract, Cx, Detour, Encode, EncodeError, Probed, Protocol, Question,
    Remark, Rewrite, Settings, Signal, Units, Verdict,
};

/// The backend.
pub const BACKEND: Backend = Backend {
    name: "braintrust",
    summary: "Braintrust: rows, as `bt` traces and imports them",
    options: options::OPTIONS,
    connect,
    describe: config::describe,
};

/// The routes of rows that are new, and of those that may be there already.
const ROWS: usize = 0;
const MERGES: usize = 1;

/// A project's logs, or an experiment.
#[derive(Clone)]
struct Braintrust {
    place: Place,
    form: Form,
    client: ClientOptions,
    contract: Contract,
    known: Known,
    remarks: Vec<Remark>,
}

fn connect(settings: &Settings) -> Connected {
    let Config { place, form, client, remarks } =
        Config::read(settings, &mut Description::default())?;
    let known = Known::of(&place);
    let contract = Contract {
        destination: place.name(),
        routes: place.routes(&known),
        rewrite: Rewrite::Replaces,
        max_age: None,
    };
    Ok(vec![Box::new(Braintrust { place, form, client, contract, known, remarks })])
}

impl Encode for Braintrust {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Rows]
    }

    fn encode(&self, cx: &Cx<'_, '_>, units: &mut dyn Units) -> Result<(), EncodeError> {
        let Cx { trace, rules, .. } = *cx;
        let plan = Plan::new(trace);
        let own = plan.id(trace.root().span).map(|id| id.to_string()).unwrap_or_default();
        let there = Standing::of(&self.known.there, cx);
        let parent = self.place.parent.as_ref();
        let older = there.older.as_ref();
        let encoder = Encoder {
            trace,
            rules,
            plan: &plan,
            form: &self.form,
            root: older
                .map(|it| &*it.root_span_id)
                .or(parent.map(|it| &*it.root_span_id))
                .unwrap_or(&own),
            above: older.map(|it| &*it.span_id).or(parent.map(|it| &*it.span_id)),
            merge: there.merge,
            is_there: there.is_there,
            times: times::times(trace),
            sent: there.sent,
        };
        // What was an image once is a note wherever it is repeated.
        let mut repeated = rules.and(&[]);
        repeated.limit_images(0);
        for thread in &trace.threads {
            let Form { llm_input, input_bytes, .. } = self.form;
            let mut conversation = Conversation::new(thread, &repeated, llm_input, input_bytes);
            units::of_thread(&encoder, thread, &mut conversation, units);
        }
        Ok(())
    }
}

/// What a companion notes of turns that `bt` says it has sent.
pub const NOTED_BY_BT: &str = "bt";

/// Returns the id that `bt` gives the files which it keeps of a session.
pub fn id_of_session(session: &str) -> String {
    ids::session_id(session)
}

impl Protocol for Braintrust {
    fn contract(&self) -> &Contract {
        &self.contract
    }

    fn client(&self) -> ClientOptions {
        self.client.clone()
    }

    fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// What it is, and whether it takes the key. Where nobody says where the API
    /// is, the key goes to the login address alone, which knows.
    fn probes(&self) -> Vec<Request> {
        match &self.place.api {
            Some(api) => vec![self.place.ask_limits(api), self.place.look_for_project(api)],
            None => vec![self.place.ask_login()],
        }
    }

    fn probed(&self, nth: usize, answer: &Response) -> Probed {
        match (nth, answer.status) {
            (0, 200) if answer.is_page() => Probed::WrongPath,
            (0, 200) if self.place.api.is_none() => self.place.probed_login(answer),
            (1, 200) => self.place.found_project(answer),
            // By its id, it is what is not there.
            (1, 404) if !matches!(self.place.target, Target::ProjectName(_)) => Probed::Failed,
            _ => Probed::from_status(answer),
        }
    }

    fn verdict(&self, _route: usize, response: &Response) -> Verdict {
        understood::by_json(response, "Braintrust")
    }

    fn is_too_large(&self, _route: usize, bytes: usize) -> bool {
        bytes > self.known.max_bytes
    }

    fn detour(&self, _route: usize, body: &[u8], answers: &[Response]) -> Detour {
        overflow::next(&self.place, &self.known, body, answers)
    }

    fn preflight(&self) -> Option<Question> {
        Some(Asking::begin(self))
    }
}
