//! One signal of Codex' telemetry for one receiver.

use prost::Message as _;

use super::MAPPING;
use super::logs::{self, Wanted};
use super::metrics::{self, points};
use super::options::Stream;
use super::texts::Texts;
use super::told::{Told, ToldTurn};
use super::traces::BesideLive;
use super::{loki, prometheus};
use crate::otlp::log_proto::{ExportLogsServiceRequest, LogRecord, ResourceLogs, ScopeLogs};
use crate::otlp::metric_proto::{
    ExportMetricsServiceRequest, Metric, ResourceMetrics, ScopeMetrics,
};
use crate::otlp::proto::{InstrumentationScope, Resource};
use crate::otlp::settings::Target;
use crate::otlp::{
    Added, Encoding, Rendering, Writer, content_type, log_json, metric_json, probed_over,
    verdict_over, without_spans,
};
use crate::request::{ClientOptions, Method, Request, Response, Wire};
use crate::{
    Address, Contract, Cx, Encode, EncodeError, Framing, Limits, Order, Probed, Protocol, Remark,
    Rewrite, Route, Signal, UnitBuilder, UnitKey, Units, Verdict,
};

/// A piece, the smallest part of a request, has no more records than this…
const PIECE_RECORDS: usize = 64;
/// … and not many more bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// … and where the order of time matters, no longer a time, in nanoseconds: Loki
/// refuses what is an hour behind the newest of its stream.
const PIECE_TIME: u64 = 20 * 60 * 1_000_000_000;

/// Units that are larger come in parts, and later than those after them.
const LARGE: usize = 2 << 20;

/// What is sent in one request: what Loki takes by its defaults, in which it
/// counts the resource anew for every record.
const LIMITS: Limits = Limits { max_bytes: 1 << 20, max_pieces: usize::MAX, max_spans: 1_000 };

/// How fast records are sent, in bytes a second: Loki takes 4 MB.
const RATE: u64 = 3 << 20;

/// What is said of everything besides.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    /// Attributes of the resource besides Codex' own.
    pub(crate) resource: Vec<(String, String)>,
    /// Whether prompts may be sent, and with them what tools got and gave.
    pub(crate) prompts: bool,
    /// Which events are wanted that Codex sends only when asked.
    pub(crate) wanted: Wanted,
    /// What makes a stream of log records.
    pub(crate) stream: Stream,
}

/// A signal, with what is needed to write it.
#[derive(Debug)]
pub(crate) enum What {
    /// For Loki, or another receiver of OTLP logs.
    Logs(Content),
    /// For Prometheus.
    Metrics(Content),
    /// For Tempo.
    Traces(Rendering, Added),
}

impl What {
    fn signal(&self) -> Signal {
        match self {
            What::Logs(_) => Signal::Logs,
            What::Metrics(_) => Signal::Metrics,
            What::Traces(..) => Signal::Traces,
        }
    }

    /// Returns the name of the list of a request in JSON.
    fn list(&self) -> &'static [u8] {
        match self {
            What::Logs(_) => b"{\"resourceLogs\":[",
            What::Metrics(_) => b"{\"resourceMetrics\":[",
            What::Traces(..) => b"{\"resourceSpans\":[",
        }
    }
}

/// One signal for one receiver.
#[derive(Debug)]
pub(crate) struct Receiver {
    contract: Contract,
    encoding: Encoding,
    client: ClientOptions,
    what: What,
    remarks: Vec<Remark>,
}

impl Receiver {
    pub(crate) fn new(target: Target, what: What, mut remarks: Vec<Remark>) -> Receiver {
        if let What::Logs(content) = &what {
            let to = match target.client.wire {
                Wire::Http => target.url.clone(),
                Wire::Grpc => Address::unchecked(&target.url.origin()),
            };
            remarks.extend(loki::remark_on(&to));
            remarks.extend(loki::remark_on_stream(content.stream));
        }
        let signal = what.signal().word();
        let tenant = target.tenant.as_ref().map(|it| format!(" {it}")).unwrap_or_default();
        let destination = format!("codex-otel {signal} {}{tenant}", target.place);
        let encoding = target.encoding;
        let client = target.client.clone();
        let framing = match encoding {
            Encoding::Proto => Framing::CONCATENATED,
            Encoding::Json => Framing::new(what.list(), b",", b"]}"),
        };
        let route = Route {
            name: signal,
            method: Method::Post,
            url: target.url,
            headers: target.headers,
            content_type: content_type(client.wire, encoding).into(),
            framing,
            compressions: target.compressions,
            limits: LIMITS,
            in_order: true,
            tells_sizes: false,
        };
        let rewrite = match what {
            // A sample stays as it was first.
            What::Metrics(_) => Rewrite::Ignored,
            What::Logs(_) | What::Traces(..) => Rewrite::Doubles,
        };
        let contract = Contract { destination, routes: vec![route], rewrite, max_age: None };
        Receiver { contract, encoding, client, what, remarks }
    }

    fn logs(
        &self,
        content: &Content,
        cx: &Cx<'_, '_>,
        units: &mut dyn Units,
    ) -> Result<(), EncodeError> {
        let texts = Texts { rules: cx.rules, prompts: content.prompts };
        let told = Told::new(cx.trace, texts);
        // A large unit is sent after those behind it, unless they wait for it.
        let mut large: Option<UnitKey> = None;
        let by_thread = content.stream == Stream::Thread;
        logs::for_each_turn(&told, content.wanted, |turn, records| {
            let mut builder = builder(&turn, units);
            let after = large.take().filter(|it| by_thread && it.thread_id == turn.thread.id);
            let waits = after.is_some();
            if let Some(after) = after {
                builder.under(after);
            }
            let resource = match content.stream {
                Stream::Thread => told.resource(turn.thread, &content.resource),
                Stream::Service => told.process(turn.thread, &content.resource),
            };
            let mut size = 0;
            for records in pieces(records, content.stream) {
                let n = count(records.len());
                let at = records[0].time_unix_nano;
                let piece = self.encoding.logs(resource.clone(), records);
                size += piece.len();
                builder.body().extend_from_slice(&piece);
                builder.end_piece_at(n, at);
            }
            builder.finish();
            if size >= LARGE || waits {
                large = Some(key(&turn));
            }
        })
    }

    fn metrics(&self, content: &Content, cx: &Cx<'_, '_>, units: &mut dyn Units) {
        let told = Told::new(cx.trace, Texts { rules: cx.rules, prompts: false });
        metrics::for_each_step(&told, |step| {
            let mut builder = builder(&step.turn, units);
            let resource = told.resource(step.turn.thread, &content.resource);
            let metrics = points::points(&step);
            let n = count(metrics.len());
            builder.body().extend_from_slice(&self.encoding.metrics(resource, metrics));
            builder.end_piece(n);
            builder.finish();
        });
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Begins the unit of a turn.
fn builder<'u>(turn: &ToldTurn<'_, '_>, units: &'u mut dyn Units) -> UnitBuilder<'u> {
    let mut builder = UnitBuilder::new(key(turn), 0, units);
    builder.starts_at(turn.span.start);
    if turn.told.trace.is_open(turn.span) {
        builder.open_in(&turn.thread.id);
    }
    builder
}

fn scope() -> InstrumentationScope {
    InstrumentationScope { name: "codex-trace".to_owned(), version: MAPPING.to_owned() }
}

impl Encoding {
    fn logs(self, resource: Resource, log_records: Vec<LogRecord>) -> Vec<u8> {
        let scope_logs = vec![ScopeLogs { scope: Some(scope()), log_records }];
        let logs = ResourceLogs { resource: Some(resource), scope_logs };
        let mut out = Vec::new();
        match self {
            Encoding::Proto => {
                out = ExportLogsServiceRequest { resource_logs: vec![logs] }.encode_to_vec();
            }
            Encoding::Json => log_json::resource_logs(&mut out, &logs),
        }
        out
    }

    fn metrics(self, resource: Resource, metrics: Vec<Metric>) -> Vec<u8> {
        let scope_metrics = vec![ScopeMetrics { scope: Some(scope()), metrics }];
        let metrics = ResourceMetrics { resource: Some(resource), scope_metrics };
        let mut out = Vec::new();
        match self {
            Encoding::Proto => {
                let request = ExportMetricsServiceRequest { resource_metrics: vec![metrics] };
                out = request.encode_to_vec();
            }
            Encoding::Json => metric_json::resource_metrics(&mut out, &metrics),
        }
        out
    }
}

/// Returns what the ledger calls a turn.
pub(crate) fn key(turn: &ToldTurn<'_, '_>) -> UnitKey {
    UnitKey { thread_id: turn.thread.id.clone(), turn: Some(turn.span.key.clone()) }
}

/// Cuts records, which are in the order of time, into pieces.
fn pieces(records: Vec<LogRecord>, stream: Stream) -> Vec<Vec<LogRecord>> {
    let mut pieces: Vec<Vec<LogRecord>> = Vec::new();
    let mut len = usize::MAX;
    for record in records {
        let size = record.encoded_len();
        let fits = |piece: &[LogRecord]| {
            let takes = record.time_unix_nano.saturating_sub(piece[0].time_unix_nano);
            piece.len() < PIECE_RECORDS
                && len + size <= PIECE_BYTES
                && (stream == Stream::Thread || takes <= PIECE_TIME)
        };
        match pieces.last_mut() {
            Some(piece) if fits(piece) => {
                piece.push(record);
                len += size;
            }
            _ => {
                pieces.push(vec![record]);
                len = size;
            }
        }
    }
    pieces
}

impl Encode for Receiver {
    fn signals(&self) -> &'static [Signal] {
        match self.what {
            What::Logs(_) => &[Signal::Logs],
            What::Metrics(_) => &[Signal::Metrics],
            What::Traces(..) => &[Signal::Traces],
        }
    }

    fn encode(&self, cx: &Cx<'_, '_>, units: &mut dyn Units) -> Result<(), EncodeError> {
        match &self.what {
            What::Logs(content) => self.logs(content, cx, units),
            What::Metrics(content) => {
                self.metrics(content, cx, units);
                Ok(())
            }
            What::Traces(rendering, added) => {
                let scene = rendering.scene(cx.trace, cx.rules, &self.contract);
                let writer = Writer::new(&scene, &BesideLive, added, self.encoding);
                writer.for_each(|group| writer.unit(group, 0, units))
            }
        }
    }
}

impl Protocol for Receiver {
    fn contract(&self) -> &Contract {
        &self.contract
    }

    fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    fn client(&self) -> ClientOptions {
        self.client.clone()
    }

    /// Loki refuses what is an hour behind the newest of its stream.
    fn order(&self) -> Order {
        match &self.what {
            What::Logs(Content { stream: Stream::Service, .. }) => Order::OfTimes,
            What::Logs(_) => Order::OfThreads,
            _ => Order::Any,
        }
    }

    fn max_rate(&self) -> Option<u64> {
        matches!(self.what, What::Logs(_)).then_some(RATE)
    }

    fn afterwards(&self) -> &[&'static str] {
        match self.what {
            What::Logs(_) => loki::AFTERWARDS,
            What::Metrics(_) => prometheus::AFTERWARDS,
            What::Traces(..) => TEMPO_AFTERWARDS,
        }
    }

    /// A request with nothing in it.
    fn probes(&self) -> Vec<Request> {
        vec![without_spans(&self.contract.routes[0])]
    }

    fn probed(&self, _nth: usize, answer: &Response) -> Probed {
        probed_over(self.client.wire, answer)
    }

    fn verdict(&self, _route: usize, response: &Response) -> Verdict {
        match (self.client.wire, &self.what) {
            (Wire::Http, What::Logs(_)) => loki::verdict(response),
            (Wire::Http, What::Metrics(_)) => prometheus::verdict(response),
            (wire, _) => verdict_over(wire, response),
        }
    }
}

/// What to know of Tempo when all is there.
const TEMPO_AFTERWARDS: &[&str] = &[
    "Tempo finds old traces by a search of their own days only if `ingestion_time_range_slack` is longer than they are old, and deletes them after its `block_retention`: docs/grafana.md has the settings",
];
