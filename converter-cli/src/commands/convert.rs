//! `codex-trace convert`

use std::sync::atomic::Ordering;

use codex_trace_export::content::Content;
use codex_trace_export::redact::Redactor;
use codex_trace_export::{FileEncoder, FileSettings};
use codex_trace_model::{Code, Trace};

use crate::account::{Account, Tell as _};
use crate::args::ConvertArgs;
use crate::config::{Redaction, selection};
use crate::destinations::with_hint;
use crate::exit::ExitStatus;
use crate::output::{Directory, Target, Writer};
use crate::ui::Ui;
use crate::{interrupt, nothing, redacted};
use codex_trace_history::failure::Failure;
use codex_trace_history::history;
use codex_trace_history::pipeline::{self, Event, Look, Sink};

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
    let format = args.to;
    let (encoder, redactor) = encoder(args)?;
    let target = Target::of(args.output.as_deref(), args.gzip, format)?;
    let pool = pipeline::pool(ui.settings().jobs)?;
    let history = history::find(&selection, ui, &pool)?;
    target.spare(&history.inputs, &history.sessions, format)?;
    let interrupted = interrupt::flag(ui);

    let directory = match &target {
        Target::Directory { dir, gzip } => Some(Directory::create(dir, format, *gzip)?),
        _ => None,
    };
    let mut writer = Writer::open(&target, ui)?;
    if !format.is_text && writer.is_terminal() {
        return Err(Failure::new(format!("`{}` is not for a terminal", format.name))
            .hint("name a file with `--output`")
            .into());
    }
    let mut sink = encoder.sink();
    writer.take(|files| sink.begin(files))?;
    if !writer.is_terminal() {
        ui.start_bytes("converting", history.sessions.iter().map(|it| history.len_of(it)).sum());
    }
    let encode = |trace: &Trace<'_>, sink: &Sink<'_, _>| {
        if !selection.takes(trace) {
            return None;
        }
        let mut account = Account::of(trace);
        let mut failed = None;
        let mut buffer = sink.buffer();
        let mut encoded = Ok(());
        if let Some(directory) = &directory {
            let written = directory.write(trace.session_id(), &mut *encoder.sink(), |file| {
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
    let mut sessions = history.sessions.iter();
    let done = pipeline::run(&history, &pool, &interrupted, Look::Content, encode, |event| {
        // A part of a file is worth nothing: it will not get its name.
        if interrupted.load(Ordering::Relaxed) && writer.is_file() {
            return Err(Stop::Interrupted);
        }
        match event {
            Event::Chunk(bytes) => {
                return writer.take(|files| sink.unit(bytes, files)).map_err(Stop::Failed);
            }
            Event::End(Ok(Some(converted))) => {
                total += converted.account;
                if let Some(err) = &converted.failed {
                    ui.error(format!("{err:#}"));
                }
            }
            Event::End(Ok(None)) => {}
            Event::End(Err(lost)) => total.lose(&lost, ui),
        }
        // The outcomes come in the order of the sessions.
        ui.advance(sessions.next().map_or(0, |session| history.len_of(session)));
        Ok(())
    });
    if let Err(Stop::Failed(err)) = done {
        return Err(err);
    }
    let interrupted = interrupted.load(Ordering::Relaxed);
    let left = (interrupted || total.sessions == 0).then(|| writer.leave()).flatten();
    if left.is_none() {
        if !interrupted {
            writer.take(|files| sink.finish(files))?;
        }
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
    redacted::tell(redactor.as_ref(), &history, ui);
    if let Some(left) = left.filter(|_| !ui.settings().quiet) {
        ui.say(left);
    }
    Ok(total.status(args.strict && total.n_of(&[Code::BadLine]) > 0))
}

/// Makes what writes the format asked for, and what redacts for it.
fn encoder(args: &ConvertArgs) -> anyhow::Result<(Box<dyn FileEncoder>, Option<Redactor>)> {
    let redactor = Redaction::from(&args.redact).redactor(false)?;
    let settings = FileSettings {
        content: Content::from(args.content),
        redactor: redactor.clone(),
        options: args.options.of(args.to)?,
    };
    let encoder = (args.to.open)(settings);
    let encoder = encoder.map_err(|err| with_hint(Failure::new(err.message), err.hint))?;
    Ok((encoder, redactor))
}

const INTERRUPTED: &str =
    "interrupted: the sessions that were under way are complete, the rest was left out";

/// Why a run ends before all is converted.
enum Stop {
    Interrupted,
    Failed(anyhow::Error),
}
