//! A backend for tests of delivery: a unit is a turn, a piece is a line.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use codex_trace_deliver::delivery::{
    self, Account, DeadLetters, Destination, Options, Progress, Run, Takes,
};
use codex_trace_deliver::ledger::Ledger;
use codex_trace_deliver::retry::RetryPolicy;
use codex_trace_deliver::transport::{Compression, Http, Method, Response, Transport};
use codex_trace_export::content::{ContentRules, Part};
use codex_trace_export::{
    Absent, Contract, Cx, Encode, EncodeError, Framing, Limits, Protocol, Rewrite, Route, Signal,
    UnitBuilder, UnitKey, Units, Verdict, Waits,
};
use codex_trace_history::failure::Failure;
use codex_trace_history::{history, pipeline};
use codex_trace_model::{SpanKind, Status, Timestamp, Trace};
use converter_cli::args::{GlobalArgs, When};
use converter_cli::config::{Environment, Selection, Settings};
use converter_cli::ui::Ui;

/// Writes a line for the thread, one for each span of a turn, and, if asked
/// for, a last line that waits for the rest.
pub(crate) struct Toy {
    pub(crate) contract: Contract,
    pub(crate) last: bool,
    /// How many bytes to add to each line.
    pub(crate) padding: usize,
    /// Whether turns are handed out without anything in them.
    pub(crate) hollow: bool,
    /// Why, if not because there is nothing.
    pub(crate) absent: Option<Absent>,
    /// After how many lines of a turn it fails, and how.
    pub(crate) fails: Option<(usize, Fails)>,
    /// How often a session was encoded.
    pub(crate) n_encoded: Arc<AtomicUsize>,
}

/// How an encoder fails in the midst of a turn.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fails {
    /// It says so, and goes on with the next turn.
    Says,
    /// By a fault of its own.
    Panics,
}

impl Toy {
    pub(crate) fn new(url: &str) -> Toy {
        let route = |name| Route {
            name,
            method: Method::Post,
            url: codex_trace_export::Address::unchecked(url),
            headers: Vec::new(),
            content_type: "text/plain".into(),
            framing: Framing::CONCATENATED,
            compressions: &[Compression::Gzip],
            limits: Limits { max_bytes: 4 << 10, max_pieces: 10, max_spans: 10 },
            in_order: false,
            tells_sizes: false,
        };
        Toy {
            contract: Contract {
                // Not the address: a server that is started again is the same one.
                destination: "toy".to_owned(),
                routes: vec![route("spans"), route("last")],
                rewrite: Rewrite::Replaces,
                max_age: None,
            },
            last: false,
            padding: 0,
            hollow: false,
            absent: None,
            fails: None,
            n_encoded: Arc::default(),
        }
    }

    fn unit(
        &self,
        (trace, rules): (&Trace<'_>, &ContentRules),
        key: UnitKey,
        spans: &[usize],
        units: &mut dyn Units,
    ) -> Result<(), EncodeError> {
        let key_of_thread = key.turn.is_none();
        let mut builder = UnitBuilder::new(key, 0, units);
        for &ix in spans {
            let span = &trace.spans[ix];
            let thread = &trace.thread_of(span).id;
            if trace.is_open(span) || key_of_thread && span.status == Status::Incomplete {
                builder.open_in(thread);
            }
            builder.starts_at(span.start);
        }
        for (nth, &ix) in spans.iter().enumerate() {
            let span = &trace.spans[ix];
            match self.fails.filter(|(after, _)| nth == *after) {
                Some((_, Fails::Says)) => {
                    return Err(EncodeError { span: span.key.clone(), what: "fails".to_owned() });
                }
                Some((_, Fails::Panics)) => panic!("a fault"),
                None => {}
            }
            let thread = &trace.thread_of(span).id;
            let name = rules.text(Part::Label, &span.name).unwrap_or_default();
            let prompt = match &span.kind {
                SpanKind::Turn(turn) => turn.last_agent_message,
                _ => None,
            };
            let prompt = prompt.and_then(|text| rules.decoded(Part::Message, text));
            let padding = "x".repeat(self.padding);
            let prompt = prompt.unwrap_or_default();
            let line = format!("{thread} {} {name} {prompt:?} {padding}\n", span.key);
            builder.body().extend_from_slice(line.replace(" \n", "\n").as_bytes());
            builder.end_piece(1);
        }
        builder.finish();
        Ok(())
    }
}

impl Encode for Toy {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Rows]
    }

    fn encode(&self, cx: &Cx<'_, '_>, units: &mut dyn Units) -> Result<(), EncodeError> {
        self.n_encoded.fetch_add(1, Ordering::Relaxed);
        let Cx { trace, rules, .. } = *cx;
        let thread_id = trace.session_id().to_owned();
        let turn_of = |mut ix: usize| loop {
            match &trace.spans[ix].kind {
                SpanKind::Turn(_) => return Some(ix),
                _ => ix = trace.spans[ix].parent?.index(),
            }
        };
        let own: Vec<usize> = (0..trace.spans.len()).filter(|ix| turn_of(*ix).is_none()).collect();
        let key = |turn| UnitKey { thread_id: thread_id.clone(), turn };
        let mut encoded = self.unit((trace, rules), key(None), &own, units);
        for turn in 0..trace.spans.len() {
            let below: Vec<usize> =
                (turn..trace.spans.len()).filter(|ix| turn_of(*ix) == Some(turn)).collect();
            if !below.is_empty() {
                let key = key(Some(trace.spans[turn].key.clone()));
                if self.hollow {
                    let unit = UnitBuilder::new(key, 0, units);
                    match self.absent.clone() {
                        Some(why) => unit.absent(why),
                        None => unit.finish(),
                    }
                    continue;
                }
                encoded = encoded.and(self.unit((trace, rules), key, &below, units));
            }
        }
        if self.last {
            let mut builder = UnitBuilder::new(key(None), 1, units);
            builder.waits(Waits::ForTrace);
            builder.body().extend_from_slice(format!("{thread_id} last\n").as_bytes());
            builder.end_piece(1);
            builder.finish();
        }
        encoded
    }
}

impl Protocol for Toy {
    fn contract(&self) -> &Contract {
        &self.contract
    }

    fn verdict(&self, _: usize, response: &Response) -> Verdict {
        match response.status {
            409 => Verdict::AlreadyThere,
            200 if response.body.starts_with(b"rejected 1") => {
                Verdict::Partial { rejected: 1, reason: response.reason() }
            }
            _ => Verdict::from_status(response),
        }
    }
}

/// A history, and where to remember what was sent of it.
pub(crate) struct Case {
    pub(crate) home: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) options: Options,
    pub(crate) interrupted: AtomicBool,
    pub(crate) progress: Arc<Progress>,
    /// A file that goes away once it was found.
    pub(crate) goes: Option<PathBuf>,
}

const MS: fn(u64) -> Duration = Duration::from_millis;

impl Case {
    pub(crate) fn new(home: &Path, state: &Path) -> Case {
        Case {
            home: home.to_owned(),
            state: state.to_owned(),
            options: Options {
                jobs: 2,
                senders: 3,
                max_memory: 256 << 20,
                settle: Duration::ZERO,
                force: false,
                dry_run: false,
                time_shift: false,
                retry: RetryPolicy { initial: MS(5), max_wait: MS(50), budget: MS(20_000) },
                // After the files were written, whenever that is.
                now: "2099-01-01T00:00:00Z".parse::<Timestamp>().expect("a time"),
                compressions: vec![Compression::Gzip],
                scratch: state.to_owned(),
                encoding: String::new(),
            },
            interrupted: AtomicBool::new(false),
            progress: Arc::default(),
            goes: None,
        }
    }

    pub(crate) fn upload(&self, toy: Toy) -> Result<Account, Failure> {
        let http = Http::new(3, Duration::from_secs(10));
        Ok(self.upload_all(vec![(toy, Box::new(http))])?.remove(0))
    }

    pub(crate) fn upload_all(
        &self,
        to: Vec<(Toy, Box<dyn Transport>)>,
    ) -> Result<Vec<Account>, Failure> {
        let args = GlobalArgs {
            quiet: true,
            verbose: false,
            color: When::Never,
            codex_home: Vec::new(),
            jobs: None,
        };
        let ui = Ui::new(Settings::resolve(&args, &Environment::read())?);
        let pool = pipeline::pool(1).expect("a thread");
        let history = history::find(&Selection::of(&self.home), &ui, &pool).expect("a history");
        if let Some(path) = &self.goes {
            fs::remove_file(path).expect("a file");
        }
        let ledger = Ledger::open(&self.state)?;
        let dead_letters = DeadLetters::within(&self.state);
        let run = Run {
            history: &history,
            wanted: &|_| true,
            rules: &ContentRules::default(),
            ledger: Some(&ledger),
            dead_letters: &dead_letters,
            options: &self.options,
            interrupted: &self.interrupted,
            progress: &self.progress,
            notice: &|_| {},
        };
        let destinations = to.into_iter().map(|(toy, transport)| Destination {
            name: "toy".to_owned(),
            exporter: Box::new(toy),
            companion: None,
            transport,
            takes: Takes::default(),
            own: None,
        });
        delivery::run(&run, destinations.collect())
    }

    pub(crate) fn dead_letters(&self) -> String {
        fs::read_to_string(self.state.join("dead-letters-toy.jsonl")).unwrap_or_default()
    }
}
