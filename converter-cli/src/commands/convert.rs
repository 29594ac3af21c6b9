//! `codex-trace convert`

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use codex_trace_model::{Code, Trace};

use crate::account::Account;
use crate::args::{ConvertArgs, Format};
use crate::config::selection;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::output::{Directory, Target, Writer};
use crate::pipeline::{self, Event, Look, Sink};
use crate::ui::Ui;
use crate::{history, interrupt, nothing};
use codex_trace_export::content::Content;
use codex_trace_export::content::{Capture, ContentRules};
use codex_trace_export::redact::Redactor;
use codex_trace_export::wire::jsonl;
use codex_trace_export::{EncodeError, otlp};

/// What became of one session.
struct Converted {
    account: Account,
    /// The failure to write the session, or its own file.
    failed: Option<anyhow::Error>,
}

/// Converts sessions to JSON lines.
///
/// # Errors
///
/// If nothing can be read, or the output cannot be written.
pub fn run(args: &ConvertArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    let selection = selection(&args.select, ui.settings())?;
    let encoder = Encoder::new(args)?;
    let target = Target::of(args.output.as_deref(), args.gzip, args.to)?;
    let pool = pipeline::pool(ui.settings().jobs)?;
    let history = history::find(&selection, ui, &pool)?;
    target.spare(&history.inputs, &history.sessions, args.to)?;
    let interrupted = interrupt::flag();

    let directory = match &target {
        Target::Directory { dir, gzip } => Some(Directory::create(dir, args.to, *gzip)?),
        _ => None,
    };
    let mut writer = Writer::open(&target, ui)?;
    if args.to == Format::OtlpProto && writer.is_terminal() {
        return Err(Failure::new("protobuf is not for a terminal")
            .hint("name a file with `--output`, or use `--to otlp-json`")
            .into());
    }
    if !writer.is_terminal() {
        ui.start("converting", history.sessions.len());
    }
    let encode = |trace: &Trace<'_>, sink: &Sink<'_, _>| {
        if !selection.takes(trace) {
            return None;
        }
        let mut account = Account::of(trace);
        let mut failed = None;
        let mut buffer = Vec::new();
        let mut encoded = Ok(());
        if let Some(directory) = &directory {
            let written = directory.write(trace.session_id(), |file| {
                encoded = encoder.encode(trace, &mut buffer, &mut |buffer| file.pass(buffer));
                file.finish(&mut buffer)
            });
            failed = written.err();
        } else {
            encoded = encoder.encode(trace, &mut buffer, &mut |buffer| sink.pass(buffer));
            sink.finish(&mut buffer);
        }
        if let Err(err) = encoded {
            let what = Failure::new(format!("session {}: {err}", trace.session_id()));
            failed.get_or_insert(what.into());
        }
        account.failed += usize::from(failed.is_some());
        Some(Converted { account, failed })
    };
    let mut total = Account { failed: history.n_failures, ..Account::default() };
    let done = pipeline::run(&history, &pool, &interrupted, Look::Content, encode, |event| {
        // A part of a file is worth nothing: it will not get its name.
        if interrupted.load(Ordering::Relaxed) && writer.is_file() {
            return Err(Stop::Interrupted);
        }
        match event {
            Event::Chunk(bytes) => return writer.write(&bytes).map_err(Stop::Failed),
            Event::End(Ok(Some(converted))) => {
                total += converted.account;
                if let Some(err) = &converted.failed {
                    ui.error(format!("{err:#}"));
                }
            }
            Event::End(Ok(None)) => {}
            Event::End(Err(lost)) => total.lose(&lost, ui),
        }
        ui.step();
        Ok(())
    });
    if let Err(Stop::Failed(err)) = done {
        return Err(err);
    }
    let interrupted = interrupted.load(Ordering::Relaxed);
    let left = (interrupted || total.sessions == 0).then(|| writer.leave()).flatten();
    if left.is_none() {
        writer.finish()?;
    }
    ui.stop();
    if interrupted {
        ui.warn(match &left {
            Some(left) => format!("interrupted: {left}"),
            None => INTERRUPTED.to_owned(),
        });
        return Ok(ExitStatus::Interrupted);
    }
    if total.is_empty() {
        nothing::explain(&args.select, Vec::new(), &pool, ui)?;
    } else {
        total.tell("converted", &args.select, ui);
    }
    if let Some(left) = left
        && !ui.settings().quiet
    {
        ui.say(left);
    }
    Ok(total.status(args.strict && total.n_of(&[Code::BadLine]) > 0))
}

const INTERRUPTED: &str =
    "interrupted: the sessions that were under way are complete, the rest was left out";

/// Why a run ends before all is converted.
enum Stop {
    Interrupted,
    Failed(anyhow::Error),
}

/// Writes sessions in the format asked for.
enum Encoder {
    Spans { content: Content, redactor: Option<Redactor> },
    Otlp { encoding: otlp::Encoding, options: otlp::Options, rules: ContentRules },
}

impl Encoder {
    fn new(args: &ConvertArgs) -> anyhow::Result<Encoder> {
        let content = Content::from(args.content);
        let redactor = crate::config::redactor(&args.redact, false)?;
        let encoding = match args.to {
            Format::Spans if args.otlp.semconv.is_some() || args.otlp.llm_input.is_some() => {
                let failure = Failure::new("`--semconv` and `--llm-input` are for OTLP");
                return Err(failure.hint("add `--to otlp-json` or `--to otlp-proto`").into());
            }
            Format::Spans => return Ok(Encoder::Spans { content, redactor }),
            Format::OtlpJson => otlp::Encoding::Json,
            Format::OtlpProto => otlp::Encoding::Proto,
        };
        let semconv = args.otlp.semconv.unwrap_or_default();
        let llm_input = args.otlp.llm_input.unwrap_or_default();
        let amount = otlp::Amount { llm_input, ..otlp::Amount::default() };
        let options = otlp::Options { semconv, amount, ..otlp::Options::default() };
        let rules = ContentRules::new(Capture::Full, redactor, content);
        Ok(Encoder::Otlp { encoding, options, rules })
    }

    /// Appends a session to `buffer`; calls `pass` where it may be cut.
    fn encode(
        &self,
        trace: &Trace<'_>,
        buffer: &mut Vec<u8>,
        pass: &mut dyn FnMut(&mut Vec<u8>) -> bool,
    ) -> Result<(), EncodeError> {
        match self {
            Encoder::Spans { content, redactor } => {
                let mut redacted = 0;
                jsonl::encode(trace, *content, buffer, |buffer| {
                    redact_from(redacted, redactor.as_ref(), buffer);
                    let go_on = pass(buffer);
                    redacted = buffer.len();
                    go_on
                });
                Ok(())
            }
            Encoder::Otlp { encoding: otlp::Encoding::Json, options, rules } => {
                otlp::encode_json(trace, rules, options, buffer, pass)
            }
            Encoder::Otlp { encoding: otlp::Encoding::Proto, options, rules } => {
                otlp::encode_proto(trace, rules, options, buffer, pass)
            }
        }
    }
}

/// Redacts the lines from `start` on: any text in them, whatever its field.
fn redact_from(start: usize, redactor: Option<&Redactor>, buffer: &mut Vec<u8>) {
    if let Some(redactor) = redactor
        && let Cow::Owned(redacted) = redactor.json(&buffer[start..])
    {
        buffer.truncate(start);
        buffer.extend_from_slice(&redacted);
    }
}
