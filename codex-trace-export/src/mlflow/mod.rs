//! MLflow: a trace per turn, as its live plugin for Codex makes them, plus what
//! that lacks: model calls without text, custom tools, searches, subagents,
//! interrupted turns, compaction, failures, cached tokens.
//!
//! Spans go by OTLP, which the server upserts by their ids; then a call per
//! trace adds what OTLP cannot carry and makes it final. The final call comes
//! last and says everything itself: a server that has it no longer changes
//! times and usage by spans, so a turn that has grown needs both again.

mod asking;
mod databricks;
mod elsewhere;
mod info;
mod live;
mod options;
mod plugin;
mod settings;
mod vocabulary;

use std::time::Duration;

use codex_trace_model::SpanKind as Kind;

use super::View;
use super::otlp::ids::Hex;
use super::otlp::{Encoding, Group, Rendering, Scene, Vocabulary, Writer, key, mark_open};
use super::{
    Absent, Backend, Contract, Cx, Encode, EncodeError, Framing, IdSpace, Limits, Probed, Protocol,
    Question, Remark, Rewrite, Route, Signal, UnitBuilder, Units, Verdict, Waits, otlp, understood,
};
use crate::request::{ClientOptions, Compression, Header, Method, Request, Response};
use asking::Asking;
use elsewhere::Elsewhere;
use live::LiveTraces;
use settings::Server;
use vocabulary::MlflowNames;

/// The backend.
pub const BACKEND: Backend = Backend {
    name: "mlflow",
    summary: "MLflow tracking server, 3.4 or later (Databricks: as documented, not tested)",
    options: options::OPTIONS,
    connect: settings::connect,
    describe: settings::describe,
};

/// The route of spans.
const SPANS: usize = 0;
/// The route of final calls.
const INFO: usize = 1;

/// What a server stores in one request, in a second or so.
const SPAN_LIMITS: Limits = Limits { max_bytes: 8 << 20, max_pieces: usize::MAX, max_spans: 500 };

/// A tracking server.
#[derive(Clone, Debug)]
struct Mlflow {
    server: Server,
    contract: Contract,
    rendering: Rendering,
    live: LiveTraces,
    elsewhere: Elsewhere,
    remarks: Vec<Remark>,
}

/// What pages show at first.
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Mlflow {
    fn new(server: Server, rendering: Rendering, mut remarks: Vec<Remark>) -> Mlflow {
        let untested = server.spans_table.is_some().then(|| Remark {
            message: "Databricks is spoken to as its documentation has it; this was never tested \
                      against the service"
                .to_owned(),
            hint: Some("try one session first, and look at it there".to_owned()),
        });
        remarks.extend(untested);
        let mut exporter = Mlflow {
            contract: Contract {
                destination: server.destination(),
                routes: Vec::new(),
                rewrite: Rewrite::Replaces,
                max_age: None,
            },
            server,
            rendering,
            live: LiveTraces::default(),
            elsewhere: Elsewhere::default(),
            remarks,
        };
        exporter.contract.routes = exporter.routes();
        exporter
    }

    fn routes(&self) -> Vec<Route> {
        let mut headers = self.server.headers.clone();
        headers.push(match &self.server.spans_table {
            Some(table) => Header::new("X-Databricks-UC-Table-Name", table.clone()),
            None => Header::new("x-mlflow-experiment-id", self.server.experiment_id()),
        });
        let spans = Route {
            name: "traces",
            method: Method::Post,
            url: self.server.spans_url(),
            headers,
            content_type: "application/x-protobuf".into(),
            framing: Framing::CONCATENATED,
            // Zstandard it refuses.
            compressions: &[Compression::Gzip],
            limits: SPAN_LIMITS,
            in_order: false,
            tells_sizes: false,
        };
        let info = Route {
            name: "info",
            method: Method::Post,
            url: self.server.url("/api/3.0/mlflow/traces"),
            headers: self.server.headers.clone(),
            content_type: "application/json".into(),
            framing: Framing::default(),
            compressions: &[],
            limits: Limits { max_bytes: 1 << 20, max_pieces: 1, max_spans: u32::MAX },
            in_order: false,
            tells_sizes: false,
        };
        if self.server.spans_table.is_some() { vec![spans] } else { vec![spans, info] }
    }

    /// Hands out the unit that makes a trace final.
    fn info_unit(
        &self,
        scene: &Scene<'_, '_>,
        group: &Group,
        trace_id: &str,
        units: &mut dyn Units,
    ) {
        let Some(root) = scene.subject(group, group.root) else { return };
        let mut builder = UnitBuilder::new(key(scene, group), INFO, units);
        let body = info::body(scene, group, &root, &self.server, trace_id);
        builder.body().extend_from_slice(&body);
        builder.end_piece(0);
        builder.waits(Waits::ForTurn).starts_at(root.span.start);
        mark_open(scene, group, &mut builder);
        builder.finish();
    }
}

impl Encode for Mlflow {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Traces, Signal::Rows]
    }

    fn encode(&self, cx: &Cx<'_, '_>, units: &mut dyn Units) -> Result<(), EncodeError> {
        let Cx { trace, rules, .. } = *cx;
        let scene = self.rendering.scene(trace, rules, &self.contract);
        let names = MlflowNames { user: self.server.user.clone() };
        let writer = Writer::new(&scene, &names, &self.server.added, Encoding::Proto);
        writer.for_each(|group| {
            let identity = scene.identity(group, names.reuses_recorded_ids());
            let trace_id = format!("tr-{}", Hex(&identity.trace_id));
            let root = trace.span(group.root);
            let thread = &trace.thread_of(root).id;
            // Of a review the plugin knows the reviewer's turn alone.
            let starts = match &root.kind {
                Kind::Turn(turn) => {
                    let shown = turn.review.and_then(|review| review.reviewer_turn);
                    [root.start, shown.and_then(|turn| turn.at)]
                }
                _ => [None; 2],
            };
            if starts.iter().any(|start| self.live.has_other(thread, *start, &trace_id)) {
                let unit = UnitBuilder::new(otlp::key(&scene, group), SPANS, units);
                unit.absent(Absent::OfPlugin);
                return Ok(());
            }
            if let Some(experiment) = self.elsewhere.experiment_of(&trace_id) {
                let key = otlp::key(&scene, group);
                let why =
                    format!("the experiment {experiment} of this server has it, and would lose it");
                UnitBuilder::new(key, SPANS, units).absent(Absent::Elsewhere(why));
                return Ok(());
            }
            writer.unit(group, SPANS, units)?;
            if self.contract.routes.len() > INFO {
                self.info_unit(&scene, group, &trace_id, units);
            }
            Ok(())
        })
    }
}

impl Protocol for Mlflow {
    /// Measured with 3.17: the page lists the traces of seven days, unless the
    /// address says otherwise.
    fn view(&self) -> Option<View> {
        let id = self.server.found_experiment()?;
        let address = self.server.page(&format!("/#/experiments/{id}/traces?startTimeLabel=ALL"));
        Some(View { address, shows: WEEK, hint: None })
    }

    fn contract(&self) -> &Contract {
        &self.contract
    }

    fn server(&self) -> Option<&crate::Address> {
        Some(&self.server.base)
    }

    fn client(&self) -> ClientOptions {
        self.server.client.clone()
    }

    /// A trace is in one experiment of a server alone.
    fn id_space(&self) -> Option<IdSpace> {
        self.rendering.id_space(format!("{}#", self.server.name()), true)
    }

    /// Of what was taken out of the experiment the ledger knows nothing.
    fn doubts(&self, session_id: &str) -> bool {
        self.elsewhere.has_session(session_id)
    }

    fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// The experiment; a request without spans where there are none.
    fn probes(&self) -> Vec<Request> {
        vec![match self.server.spans_table {
            Some(_) => otlp::without_spans(&self.contract.routes[SPANS]),
            None => self.server.ask(),
        }]
    }

    fn probed(&self, _nth: usize, answer: &Response) -> Probed {
        if self.server.spans_table.is_some() {
            return Probed::from_status(answer);
        }
        let body = String::from_utf8_lossy(&answer.body);
        match answer.status {
            404 if body.contains("RESOURCE_DOES_NOT_EXIST") => self.server.lacks_experiment(),
            200 if !body.contains("experiment_id") => Probed::WrongPath,
            _ => Probed::from_status(answer),
        }
    }

    fn verdict(&self, route: usize, response: &Response) -> Verdict {
        match (route, response.status) {
            // An unknown experiment: nothing can be stored in it.
            (SPANS, 422) => Verdict::GiveUp { reason: response.reason() },
            (SPANS, 200..300) => otlp::verdict(response),
            // A request is stored whole or not at all, so it may be sent again.
            _ => understood::by_json(response, "MLflow"),
        }
    }

    fn preflight(&self) -> Option<Question> {
        self.server.spans_table.is_none().then(|| Asking::begin(self))
    }
}
