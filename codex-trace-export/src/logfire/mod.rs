//! Logfire: the spans of its live exporter for Codex under the exporter's own
//! ids, plus what that never sends: model calls, compaction, subagents' turns,
//! searches, interrupted turns, failures, times.
//!
//! A session is a trace, a turn of the root thread a root in it. Spans go by
//! OTLP. Where the exporter's words end and ours begin is in `exporter` and
//! `names`; what differs on purpose is a table in `docs/logfire.md`.

mod config;
mod credentials;
mod env_file;
mod exporter;
mod hooks;
mod ids;
mod json;
mod limits;
mod names;
mod options;
mod place;
mod script;
mod sent;

use std::time::Duration;

use crate::langsmith::ASSUME_BACKFILL_ALLOWED;
use crate::otlp::proto::{InstrumentationScope, Resource};
use crate::otlp::{Added, Attributes, Rendering, Writer};
use crate::request::{ClientOptions, Request, Response};
use crate::{
    Absent, Backend, ConfigError, Connected, Contract, Cx, Encode, EncodeError, Exporter, Inquiry,
    Learned, Probed, Protocol, Question, Remark, Rewrite, Settings, UnitBuilder, Units, Verdict,
    otlp,
};
use config::Config;
use ids::Places;
use names::Names;
use place::Place;
use sent::Sent;

pub use env_file::state_dir;
pub use options::ADD_MISSING;
pub use sent::{BARE, BARE_IF_DONE, SENT_IF_DONE};

/// The backend.
pub const BACKEND: Backend = Backend {
    name: "logfire",
    summary: "Pydantic Logfire: turns and tools as the live exporter sends them, and more",
    options: options::OPTIONS,
    connect,
    describe: config::describe,
};

/// The exporter, in resource and scope.
const EXPORTER: &str = "logfire-exporter";

/// The release of the exporter whose spans these are.
const EXPORTER_VERSION: &str = "0.1.0";

/// How far back the hosted service takes spans. What is older it drops, and
/// says that it has it.
const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// One project.
#[derive(Clone, Debug)]
struct Logfire {
    place: Place,
    contract: Contract,
    rendering: Rendering,
    config: Config,
    remarks: Vec<Remark>,
}

fn connect(settings: &Settings) -> Connected {
    let read = config::read(settings)?;
    let mut remarks = read.remarks;
    let allowed = settings.get(&ASSUME_BACKFILL_ALLOWED).is_some_and(|said| said.value);
    let exporters = read.places.into_iter().map(|place| -> Box<dyn Exporter> {
        Box::new(Logfire {
            contract: Contract {
                destination: place.destination(),
                routes: vec![place.route()],
                // What Logfire makes of a span that it has is not documented.
                rewrite: Rewrite::Doubles,
                max_age: (place.is_hosted() && !allowed).then_some(WINDOW),
            },
            place,
            rendering: read.rendering,
            config: read.config.clone(),
            // Once, however many projects there are.
            remarks: std::mem::take(&mut remarks),
        })
    });
    Ok(exporters.collect())
}

impl Logfire {
    /// Says what sends: the exporter, as far as a reader of the project is
    /// concerned, packed by us.
    fn resource(&self) -> Resource {
        let mut out = Attributes::default();
        out.word("service.name", self.config.service.as_deref().unwrap_or(EXPORTER));
        out.word("telemetry.sdk.name", EXPORTER);
        out.word("telemetry.sdk.language", "python");
        out.word("telemetry.sdk.version", EXPORTER_VERSION);
        out.word("telemetry.distro.name", "codex-trace");
        out.word("telemetry.distro.version", env!("CARGO_PKG_VERSION"));
        for (key, value) in self.config.asked.metadata.iter().chain(&self.config.asked.user) {
            out.word(key.clone(), value);
        }
        Resource { attributes: out.0 }
    }
}

impl Encode for Logfire {
    fn encode(&self, cx: &Cx<'_, '_>, units: &mut dyn Units) -> Result<(), EncodeError> {
        let Cx { trace, rules, notes } = *cx;
        let rules = &rules.at_most(self.config.capture);
        let scene = self.rendering.scene(trace, rules, &self.contract);
        let scene = scene.moved(|started| notes.shift_of(started));
        let places = Places::new(trace);
        let added = Added::default();
        let scope = InstrumentationScope {
            name: EXPORTER.to_owned(),
            version: EXPORTER_VERSION.to_owned(),
        };
        let mut failed = None;
        for group in scene.groups() {
            let note = notes.beside.get(&group.root);
            let sent = Sent::of(note, &trace.span(group.root).status);
            let names = Names {
                places: &places,
                project: self.config.project.as_deref(),
                tokens: sent.tokens(),
                exporter_limits: self.config.exporter_limits,
            };
            let writer = Writer::new(&scene, &names, &added, self.place.encoding)
                .saying(self.resource(), scope.clone());
            let left = sent.missing(&scene, &group);
            if left.members.is_empty() || sent != Sent::Nothing && !self.config.adds_missing {
                let unit = UnitBuilder::new(otlp::key(&scene, &group), 0, units);
                unit.absent(Absent::OfPlugin);
                continue;
            }
            if let Err(err) = writer.unit(&left, 0, units) {
                failed.get_or_insert(err);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

impl Protocol for Logfire {
    fn contract(&self) -> &Contract {
        &self.contract
    }

    fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    fn client(&self) -> ClientOptions {
        self.place.client.clone()
    }

    /// Which project the token is for.
    fn probes(&self) -> Vec<Request> {
        vec![self.place.ask_info()]
    }

    fn probed(&self, _nth: usize, answer: &Response) -> Probed {
        self.place.probed(answer)
    }

    fn verdict(&self, _route: usize, response: &Response) -> Verdict {
        otlp::verdict(response)
    }

    fn preflight(&self) -> Option<Question> {
        Some(Question { request: self.place.ask_info(), inquiry: Box::new(self.clone()) })
    }
}

/// Which project the token is for is all there is to ask.
impl Inquiry for Logfire {
    fn learn(self: Box<Self>, answer: &Response) -> Result<Learned, ConfigError> {
        self.place.admit(answer)?;
        Ok(Learned::All(self))
    }
}
