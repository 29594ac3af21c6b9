//! LangSmith: run trees, in the shape that the live plugin for Codex uploads,
//! under the ids of its coming engine. What differs, and why, is a table in
//! `docs/langsmith.md`.
//!
//! A turn is a trace of its own, as the plugin has it; a session is what shares
//! a `thread_id`. A subagent's turns hang under the turn that spawned them.

mod back;
mod beside;
mod config;
mod ids;
mod limited;
mod lost;
mod messages;
mod metadata;
mod options;
mod plan;
mod runs;
mod skills;
mod topology;
mod variables;
mod wire;
mod written;

pub use options::{ASSUME_BACKFILL_ALLOWED, INCLUDE_DISABLED, SIDECAR};

use std::time::Duration;

use codex_trace_model::{Span, SpanIx};

use crate::langsmith::beside::Beside;
use crate::langsmith::config::{Config, Place};
use crate::langsmith::limited::LimitedRules;
use crate::langsmith::plan::Plan;
use crate::langsmith::runs::Encoder;
use crate::langsmith::wire::{Format, Info, Intake};
use crate::options::common::{LLM_INPUT, LLM_INPUT_BYTES, OWN_IDS, REDACT, USER};
use crate::otlp::LlmInput;
use crate::redact::UserRule;
use crate::request::{Request, Response};
use crate::understood;
use crate::{
    Absent, Address, Backend, ConfigError, Connected, Contract, Cx, Encode, EncodeError, Exporter,
    IdSpace, Inquiry, Keep, Learned, Probed, Protocol, Question, Remark, Reread, Rewrite, Settings,
    Signal, UnitBuilder, UnitKey, Units, Verdict, View,
};

/// The backend.
pub const BACKEND: Backend = Backend {
    name: "langsmith",
    summary: "LangSmith: run trees, as the live plugin uploads them",
    options: options::OPTIONS,
    connect,
    describe: config::describe,
};

/// How far back the hosted service lets runs begin.
const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// One place to upload to.
#[derive(Clone)]
struct LangSmith {
    place: Place,
    format: Format,
    contract: Contract,
    own: serde_json::Map<String, serde_json::Value>,
    llm_input: LlmInput,
    /// The most of that, in bytes.
    input_bytes: Option<usize>,
    /// Whether ids must differ from those in another project of the workspace.
    copy: bool,
    /// Whether to leave the plugin's files alone.
    no_sidecar: bool,
    /// Whether the plugin uploads to here: only then its notes are about it.
    of_plugin: bool,
    /// What to redact beside what is always redacted.
    extra_rules: Vec<UserRule>,
    /// How much of a turn is sent of which nothing is said.
    mode: Keep,
    remarks: Vec<Remark>,
}

fn connect(settings: &Settings) -> Connected {
    let config = Config::read(settings)?;
    let is_on = |option| settings.get(option).is_some_and(|said| said.value);
    let llm_input = settings.get(&LLM_INPUT).map_or(LlmInput::Turn, |said| said.value);
    let input_bytes = settings.get(&LLM_INPUT_BYTES);
    let input_bytes = input_bytes.map(|said| usize::try_from(said.value).unwrap_or(usize::MAX));
    let redacts = settings.get(&REDACT).is_none_or(|said| said.value);
    let extra_rules = if redacts { config.rules()? } else { Vec::new() };
    let mut own = config.metadata.clone();
    let said = settings.metadata()?.into_iter();
    let user = settings.get(&USER).map(|said| ("user_id".to_owned(), said.value));
    own.extend(said.chain(user).map(|(key, value)| (key, value.into())));
    let mut remarks = config.remarks(redacts);
    if let Some(refused) = config.refused {
        return Err(refused);
    }
    let allowed = is_on(&ASSUME_BACKFILL_ALLOWED);
    let tags = settings.get(&options::TAGS).map(|said| said.value).unwrap_or_default();
    let tags = if tags.is_empty() { String::new() } else { serde_json::json!(tags).to_string() };
    let mut exporters: Vec<Box<dyn Exporter>> = Vec::new();
    for (nth, place) in config.places.iter().enumerate() {
        if place.key.is_none() && place.is_hosted() {
            let mut what = vec!["there is no API key"];
            what.extend(config.problems.iter().map(String::as_str));
            what.extend(config.unfollowed.iter().map(|remark| &*remark.message));
            return Err(ConfigError::new(what.join("; ")).hint(if settings.own_place {
                "say where it is: `key = { env = \"NAME\" }` in the table of codex-trace.toml that names the endpoint"
            } else {
                "set `LANGSMITH_CODEX_API_KEY` or `LANGSMITH_API_KEY`, or put `api_key` in `~/.codex/langsmith.json`"
            }));
        }
        let format = Format {
            kind: Intake::Multipart,
            project: serde_json::to_string(&place.project).expect("a string is always JSON"),
            tags: tags.clone(),
            max_bytes: Info::default().limits().max_bytes,
        };
        let same_workspace = |other: &Place| {
            (&other.endpoint, &other.key, &other.workspace)
                == (&place.endpoint, &place.key, &place.workspace)
        };
        let workspace = place.workspace.as_ref().map(|it| format!(" {it}")).unwrap_or_default();
        let contract = Contract {
            destination: format!(
                "langsmith {} {}{workspace}",
                place.endpoint.place(),
                place.project
            ),
            routes: wire::routes(place, &format, &Info::default()),
            rewrite: Rewrite::Ignored,
            max_age: (place.is_hosted() && !allowed).then_some(WINDOW),
        };
        exporters.push(Box::new(LangSmith {
            copy: is_on(&OWN_IDS) || config.places[..nth].iter().any(same_workspace),
            place: place.clone(),
            format,
            contract,
            own: own.iter().chain(&place.metadata).map(|(k, v)| (k.clone(), v.clone())).collect(),
            llm_input,
            input_bytes,
            no_sidecar: settings.get(&SIDECAR).is_some_and(|said| !said.value),
            of_plugin: config.of_plugin.iter().any(|it| it.is_same_project(place)),
            extra_rules: extra_rules.clone(),
            mode: if config.muted { Keep::Metadata } else { Keep::Full },
            // Once, however many replicas there are.
            remarks: std::mem::take(&mut remarks),
        }));
    }
    Ok(exporters)
}

impl LangSmith {
    fn learn(&mut self, info: &Info, kind: Intake) {
        self.format.kind = kind;
        self.format.max_bytes = info.limits().max_bytes;
        self.contract.routes = wire::routes(&self.place, &self.format, info);
    }
}

impl Encode for LangSmith {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Rows]
    }

    fn encode(&self, cx: &Cx<'_, '_>, units: &mut dyn Units) -> Result<(), EncodeError> {
        let Cx { trace, rules, notes } = *cx;
        let mut rules = rules.and(&self.extra_rules);
        // In base64 an image takes a third more.
        rules.limit_images(self.format.max_text() / 4 * 3);
        let rules = &LimitedRules::new(&rules, self.format.max_text());
        let beside = &Beside::of(trace, notes);
        let known = beside::Noted { beside, notes, of_plugin: self.of_plugin };
        let copy = self.copy.then_some(&*self.place.project);
        let plan = Plan::new(trace, &known, copy);
        let mut children: Vec<Vec<SpanIx>> = vec![Vec::new(); trace.spans.len()];
        for (ix, span) in trace.iter() {
            if let Some(parent) = span.parent {
                children[parent.index()].push(ix);
            }
        }
        let encoder = Encoder {
            trace,
            rules,
            plan: &plan,
            format: &self.format,
            own: &self.own,
            llm_input: self.llm_input,
            input_bytes: self.input_bytes,
            children: &children,
        };
        let modes = beside.modes(&plan, self.mode);
        for (turn, mode) in plan.turns.iter().zip(modes) {
            let span = trace.span(turn.span);
            let key_of = |span: &Span<'_>| UnitKey {
                thread_id: trace.thread_of(span).id.clone(),
                turn: Some(span.key.clone()),
            };
            if mode == Keep::Off || self.of_plugin && beside.is_there(turn.span) {
                UnitBuilder::new(key_of(span), 0, units).absent(Absent::OfPlugin);
                continue;
            }
            let old = notes.is_older(turn.root.start.millis, WINDOW);
            let mut unit = UnitBuilder::new(key_of(span), usize::from(old), units);
            if let Some(parent) = turn.parent {
                unit.under(key_of(trace.span(plan.turns[parent].span)));
            }
            if !self.no_sidecar && self.of_plugin && !beside.is_ours(turn.span) {
                let receipts = beside::receipts(trace, turn);
                for receipt in receipts {
                    unit.receipt(receipt);
                }
            }
            encoder.turn(turn, mode, unit);
        }
        Ok(())
    }
}

impl Protocol for LangSmith {
    /// The hosted service answers at another name than it is looked at. What its
    /// pages hide at first no document says.
    fn view(&self) -> Option<View> {
        let origin = self.place.endpoint.origin();
        Some(View {
            address: origin.replacen("://api.", "://", 1).replacen("://eu.api.", "://eu.", 1),
            shows: Duration::from_secs(7 * 24 * 60 * 60),
            hint: None,
        })
    }

    fn contract(&self) -> &Contract {
        &self.contract
    }

    fn server(&self) -> Option<&Address> {
        Some(&self.place.endpoint)
    }

    fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    fn verdict(&self, _route: usize, response: &Response) -> Verdict {
        let reason = response.reason();
        match response.status {
            409 => Verdict::Conflict { reason },
            429 => Verdict::Retry {
                after: response.retry_after.or(Some(wire::AFTER_TOO_MANY)),
                reason,
            },
            _ => understood::by_json(response, "LangSmith"),
        }
    }

    /// A workspace, which the key stands for.
    fn id_space(&self) -> Option<IdSpace> {
        let server = format!("langsmith {} ", self.place.endpoint.place());
        let key = self.place.key.clone();
        (!self.copy).then_some(IdSpace { server, key, is_told: true })
    }

    /// What it is, and whether it takes the key: a form of no parts.
    fn probes(&self) -> Vec<Request> {
        vec![wire::ask_info(&self.place), wire::ask_multipart(&self.place)]
    }

    fn probed(&self, nth: usize, answer: &Response) -> Probed {
        match (nth, answer.status) {
            // A server of an older version takes batches instead; one that
            // wants parts in a form has taken the key all the same.
            (1, 400 | 404 | 405 | 422) => Probed::Good(None),
            _ => Probed::from_status(answer),
        }
    }

    fn reread(&self, pieces: &[&[u8]], answers: &[Response]) -> Reread {
        match answers {
            [] => Reread::Ask(back::ask_project(&self.place)),
            [_] => back::ask_runs(&self.place, pieces).map_or(Reread::Unknown, Reread::Ask),
            [project, runs, ..] => {
                let project = back::Project { name: &self.place.project, answer: project };
                back::compare(pieces, &project, runs).map_or(Reread::Unknown, Reread::Found)
            }
        }
    }

    fn preflight(&self) -> Option<Question> {
        let request = wire::ask_info(&self.place);
        Some(Question {
            request,
            inquiry: Box::new(Asking { known: self.clone(), about: About::Info }),
        })
    }
}

/// What the server is asked before anything is sent to it.
struct Asking {
    known: LangSmith,
    about: About,
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// Its limits.
    Info,
    /// Whether it takes runs as parts of a form.
    Multipart,
}

impl Inquiry for Asking {
    fn learn(mut self: Box<Self>, answer: &Response) -> Result<Learned, ConfigError> {
        if matches!(answer.status, 401 | 403) {
            return Err(ConfigError::new(format!("the key is refused: {}", answer.reason()))
                .hint("a key of an organisation needs `LANGSMITH_WORKSPACE_ID`, too"));
        }
        if self.about == About::Multipart {
            let kind =
                if matches!(answer.status, 404 | 405) { Intake::Batch } else { Intake::Multipart };
            self.known.learn(&Info::default(), kind);
            return Ok(Learned::All(Box::new(self.known)));
        }
        let info: Option<Info> = (200..300)
            .contains(&answer.status)
            .then(|| serde_json::from_slice(&answer.body).ok())
            .flatten();
        let config = info.as_ref().and_then(|info| info.batch_ingest_config.as_ref());
        match (&info, config.and_then(|it| it.use_multipart_endpoint)) {
            (Some(info), Some(true)) => self.known.learn(info, Intake::Multipart),
            (Some(info), Some(false)) => self.known.learn(info, Intake::Batch),
            _ => {
                self.about = About::Multipart;
                let request = wire::ask_multipart(&self.known.place);
                return Ok(Learned::More(Question { request, inquiry: self }));
            }
        }
        Ok(Learned::All(Box::new(self.known)))
    }
}
