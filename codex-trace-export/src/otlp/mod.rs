//! Any receiver of OTLP, over HTTP or gRPC: traces in the conventions for generative AI
//! or in those of OpenInference.
//!
//! Protobuf with gzip is what every receiver takes, so it is what is sent
//! unless somebody asks for JSON. Receivers are many; most keep what is sent
//! twice twice, so nothing is sent again unless forced.

mod access;
mod answer;
mod attributes;
pub(crate) mod chat;
pub(crate) mod codex;
mod events;
pub(crate) mod facts;
mod file;
pub(crate) mod genai;
pub mod ids;
pub(crate) mod images;
mod joined;
pub(crate) mod json;
pub(crate) mod live;
pub(crate) mod log_json;
pub mod log_proto;
pub(crate) mod messages;
pub(crate) mod metric_json;
pub mod metric_proto;
mod openinference;
pub(crate) mod options;
mod phoenix;
pub mod presets;
pub mod proto;
mod rendering;
pub(crate) mod semconv;
pub(crate) mod settings;
pub(crate) mod spans;
pub(crate) mod times;
mod value;
mod window;
mod writer;

use codex_trace_model::Trace;

use super::{
    Absent, Address, Backend, ConfigError, Contract, Cx, Encode, EncodeError, Framing, IdSpace,
    Inquiry, Learned, Limits, Probed, Protocol, Question, Remark, Rewrite, Route, UnitBuilder,
    Units, Verdict, View,
};
use crate::choice::Choice;
use crate::content::ContentRules;
use crate::grpc;
use crate::request::{ClientOptions, Header, Method, Request, Response, Wire};
use presets::Preset;

pub(crate) use answer::{verdict, verdict_over};
pub(crate) use attributes::Attributes;
pub use file::{JSON_FILE, PROTO_FILE};
pub use joined::Joined;
pub(crate) use live::place_of_codex;
pub use options::{PROTOCOL, SEMCONV};
use phoenix::Phoenix;
pub(crate) use rendering::{Rendering, key, mark_open, timeless};
pub use spans::Amount;
pub(crate) use spans::{Group, Place, Scene, Subject, Vocabulary};
pub use window::LlmInput;
pub(crate) use writer::Writer;

/// The backend.
pub const BACKEND: Backend = Backend {
    name: "otlp",
    summary: "Any receiver of OTLP: an OpenTelemetry collector, or a product that has no name here",
    options: options::OPTIONS,
    connect: settings::connect,
    describe: settings::describe,
};

/// What is sent in one request. A collector takes 20 MiB over HTTP, others
/// less; MLflow stores a thousand spans a second.
const LIMITS: Limits = Limits { max_bytes: 3 << 20, max_pieces: usize::MAX, max_spans: 500 };

/// In which conventions spans are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Semconv {
    /// Those of OpenTelemetry for generative AI
    #[default]
    GenAi,
    /// OpenInference, which Phoenix and Arize read
    OpenInference,
}

impl Choice for Semconv {
    #[rustfmt::skip]
    const WORDS: &[(Semconv, &str, &str)] = &[
        (Semconv::GenAi, "genai", "Those of OpenTelemetry for generative AI"),
        (Semconv::OpenInference, "openinference", "OpenInference, which Phoenix and Arize read"),
    ];
}

impl Semconv {
    fn vocabulary(self) -> &'static dyn Vocabulary {
        match self {
            Semconv::GenAi => &genai::GenAi,
            Semconv::OpenInference => &openinference::OpenInference,
        }
    }
}

/// How traces are written.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// In which conventions.
    pub semconv: Semconv,
    /// How much content.
    pub amount: Amount,
    /// What is said besides.
    pub added: Added,
}

/// Attributes that come from settings.
#[derive(Clone, Debug, Default)]
pub struct Added {
    /// Of the resource, besides Codex' own or in their place.
    pub resource: Vec<(String, String)>,
    /// Of every span that has none of the name.
    pub spans: Vec<(String, String)>,
}

/// One of the two encodings of OTLP over HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Protobuf.
    #[default]
    Proto,
    /// JSON.
    Json,
}

/// Appends a session as OTLP protobuf: one `ExportTraceServiceRequest`. Calls
/// `pass` where it may be cut.
///
/// # Errors
///
/// If the file says nowhere when it was.
pub fn encode_proto(
    trace: &Trace<'_>,
    rules: &ContentRules,
    options: &Options,
    out: &mut Vec<u8>,
    pass: &mut dyn FnMut(&mut Vec<u8>) -> bool,
) -> Result<(), EncodeError> {
    let scene = Scene::new(trace, rules, options.amount);
    let writer = Writer::new(&scene, options.semconv.vocabulary(), &options.added, Encoding::Proto);
    writer.for_each(|group| {
        writer.pieces(group, |piece, _| {
            piece(out);
            pass(out);
        })
    })
}

/// Appends a session as OTLP/JSON: one `ExportTraceServiceRequest` a line, one
/// line a turn. Calls `pass` where it may be cut.
///
/// # Errors
///
/// If the file says nowhere when it was.
pub fn encode_json(
    trace: &Trace<'_>,
    rules: &ContentRules,
    options: &Options,
    out: &mut Vec<u8>,
    pass: &mut dyn FnMut(&mut Vec<u8>) -> bool,
) -> Result<(), EncodeError> {
    let scene = Scene::new(trace, rules, options.amount);
    let writer = Writer::new(&scene, options.semconv.vocabulary(), &options.added, Encoding::Json);
    writer.for_each(|group| {
        let mut between: &[u8] = JSON_FRAMING.0;
        writer.pieces(group, |piece, _| {
            out.extend_from_slice(between);
            piece(out);
            between = JSON_FRAMING.1;
            pass(out);
        })?;
        out.extend_from_slice(JSON_FRAMING.2);
        out.push(b'\n');
        Ok(())
    })
}

const JSON_FRAMING: (&[u8], &[u8], &[u8]) = (b"{\"resourceSpans\":[", b",", b"]}");

/// A receiver of OTLP.
#[derive(Clone, Debug)]
struct Otlp {
    contract: Contract,
    semconv: Semconv,
    added: Added,
    rendering: Rendering,
    encoding: Encoding,
    client: ClientOptions,
    /// What all places of the server have in common.
    server: String,
    tenant: Option<String>,
    remarks: Vec<Remark>,
    preset: Option<&'static Preset>,
    phoenix: Phoenix,
}

impl Encode for Otlp {
    fn encode(&self, cx: &Cx<'_, '_>, units: &mut dyn Units) -> Result<(), EncodeError> {
        let Cx { trace, rules, notes } = *cx;
        let scene = self.rendering.scene(trace, rules, &self.contract);
        let scene = match notes.shift {
            Some(_) => scene.moved(|started| notes.shift_of(started)),
            None => scene,
        };
        let writer = Writer::new(&scene, self.semconv.vocabulary(), &self.added, self.encoding);
        let reuses = self.semconv.vocabulary().reuses_recorded_ids();
        writer.for_each(|group| {
            let trace_id = ids::Hex(&scene.identity(group, reuses).trace_id).to_string();
            let Some(project) = self.phoenix.project_of(&trace_id) else {
                return writer.unit(group, 0, units);
            };
            let why = format!("the project `{project}` of this Phoenix has it, and keeps it");
            UnitBuilder::new(key(&scene, group), 0, units).absent(Absent::Elsewhere(why));
            Ok(())
        })
    }
}

impl Protocol for Otlp {
    fn contract(&self) -> &Contract {
        &self.contract
    }

    fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    fn client(&self) -> ClientOptions {
        self.client.clone()
    }

    /// Projects of Phoenix share ids; tenants of Grafana's servers do not.
    fn id_space(&self) -> Option<IdSpace> {
        let is_told = self.phoenix.is_there();
        self.rendering.id_space(self.server.clone(), is_told).filter(|_| self.tenant.is_none())
    }

    /// Asks whoever is told a project whether it is Phoenix, and what its other
    /// projects have.
    fn preflight(&self) -> Option<Question> {
        // Its pages are not to be had over gRPC.
        let is_asked = self.client.wire == Wire::Http && self.id_space().is_some();
        let project = self.project().filter(|_| is_asked)?;
        let (phoenix, request) = Phoenix::first_question(&self.contract.routes[0])?;
        let known = Otlp { phoenix, ..self.clone() };
        Some(Question { request, inquiry: Box::new(AskingPhoenix { known, project }) })
    }

    /// Phoenix, which is told its project by us, shows a week. Of other receivers
    /// nobody knows where they are looked at.
    fn view(&self) -> Option<View> {
        let of_phoenix = || presets::preset("phoenix").filter(|_| self.project().is_some());
        let shows = self.preset.or_else(of_phoenix)?.shows?;
        Some(View {
            address: self.contract.routes[0].url.origin(),
            shows,
            hint: Some("choose a longer range of time on the page"),
        })
    }

    /// A request without spans.
    fn probes(&self) -> Vec<Request> {
        vec![without_spans(&self.contract.routes[0])]
    }

    fn probed(&self, _nth: usize, answer: &Response) -> Probed {
        probed_over(self.client.wire, answer)
    }

    fn verdict(&self, _route: usize, response: &Response) -> Verdict {
        verdict_over(self.client.wire, response)
    }
}

/// What Phoenix has said so far.
struct AskingPhoenix {
    known: Otlp,
    /// The project that we send to.
    project: String,
}

impl Inquiry for AskingPhoenix {
    fn learn(mut self: Box<Self>, answer: &Response) -> Result<Learned, ConfigError> {
        let AskingPhoenix { known, project } = &mut *self;
        let next = known.phoenix.next_question(&known.contract.routes[0], project, answer)?;
        Ok(match next {
            Some(request) => Learned::More(Question { request, inquiry: self }),
            None => Learned::All(Box::new(self.known)),
        })
    }
}

/// Reads the answer to a question of `doctor`.
pub(crate) fn probed_over(wire: Wire, answer: &Response) -> Probed {
    match wire {
        Wire::Http => Probed::from_status(answer),
        Wire::Grpc => grpc::probed(answer),
    }
}

/// Returns the type of bodies.
pub(crate) fn content_type(wire: Wire, encoding: Encoding) -> &'static str {
    match (wire, encoding) {
        (Wire::Grpc, _) => "application/grpc+proto",
        (Wire::Http, Encoding::Proto) => "application/x-protobuf",
        (Wire::Http, Encoding::Json) => "application/json",
    }
}

/// Makes a request that stores nothing.
pub(crate) fn without_spans(route: &Route) -> Request {
    let mut headers = route.headers.clone();
    headers.push(Header::new("Content-Type", route.content_type.clone()));
    let body = [route.framing.open.as_ref(), &route.framing.close].concat();
    Request { method: route.method, url: route.url.clone(), headers, body: body.into() }
}

/// Returns the route for traces.
fn route(target: settings::Target) -> Route {
    Route {
        url: target.url,
        headers: target.headers,
        compressions: target.compressions,
        content_type: content_type(target.client.wire, target.encoding).into(),
        ..route_of(target.encoding)
    }
}

/// Returns what routes for traces have in common, whatever the place.
pub(crate) fn route_of(encoding: Encoding) -> Route {
    let framing = match encoding {
        Encoding::Proto => Framing::CONCATENATED,
        Encoding::Json => Framing::new(JSON_FRAMING.0, JSON_FRAMING.1, JSON_FRAMING.2),
    };
    Route {
        name: "traces",
        method: Method::Post,
        url: Address::unchecked(""),
        headers: Vec::new(),
        content_type: content_type(Wire::Http, encoding).into(),
        framing,
        compressions: &[],
        limits: LIMITS,
        in_order: false,
        tells_sizes: false,
    }
}

impl Otlp {
    fn new(
        target: settings::Target,
        semconv: Semconv,
        added: Added,
        rendering: Rendering,
        preset: Option<&'static Preset>,
    ) -> Otlp {
        let project = target.project.as_ref();
        let project = project.map_or_else(String::new, |name| format!("#{name}"));
        let tenant = target.tenant.clone();
        let encoding = target.encoding;
        let client = target.client.clone();
        let server = format!("otlp {}", target.place);
        let contract = Contract {
            destination: match &tenant {
                Some(tenant) => format!("{server}{project} {tenant}"),
                None => format!("{server}{project}"),
            },
            routes: vec![route(target)],
            rewrite: Rewrite::Doubles,
            max_age: preset.and_then(|preset| preset.max_age),
        };
        let remarks = Vec::new();
        Otlp {
            contract,
            semconv,
            added,
            rendering,
            encoding,
            client,
            server,
            tenant,
            remarks,
            preset,
            phoenix: Phoenix::default(),
        }
    }

    /// Returns the project that Phoenix is told.
    fn project(&self) -> Option<String> {
        let all = &self.added.resource;
        all.iter().find(|(key, _)| key == settings::PHOENIX_PROJECT).map(|it| it.1.clone())
    }
}
