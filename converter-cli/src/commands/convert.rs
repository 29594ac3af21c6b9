//! `codex-trace convert`

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use codex_trace_model::{Code, Trace};

use crate::account::Account;
use crate::args::ConvertArgs;
use crate::config::{Content, Selection};
use crate::exit::ExitStatus;
use crate::exporters::jsonl;
use crate::output::{Directory, Target, Writer};
use crate::pipeline::{self, Event, Sink};
use crate::redact::Redactor;
use crate::ui::Ui;
use crate::{history, interrupt};

/// What became of one session.
struct Converted {
    account: Account,
    /// The failure to write the session's own file.
    failed: Option<anyhow::Error>,
}

/// Converts sessions to JSON lines.
///
/// # Errors
///
/// If nothing can be read, or the output cannot be written.
pub fn run(args: &ConvertArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    let selection = Selection::resolve(&args.select, ui.settings().now)?;
    let content = Content::from(args.content);
    let target = Target::of(args.output.as_deref(), args.gzip)?;
    let pool = pipeline::pool(ui.settings().jobs)?;
    let history = history::find(&selection, ui, &pool)?;
    let interrupted = interrupt::flag();

    let directory = match &target {
        Target::Directory { dir, gzip } => Some(Directory::create(dir, *gzip)?),
        _ => None,
    };
    let mut writer = Writer::open(&target, ui)?;
    if !writer.is_terminal() {
        ui.start("converting", history.sessions.len());
    }
    let redactor = super::upload::redactor(&args.redact, false)?;
    let encode = |trace: &Trace<'_>, sink: &Sink<'_, _>| {
        if !selection.takes(trace) {
            return None;
        }
        let mut account = Account::of(trace);
        let mut failed = None;
        let mut buffer = Vec::new();
        let encode = |buffer: &mut Vec<u8>, pass: &mut dyn FnMut(&mut Vec<u8>) -> bool| {
            let mut redacted = 0;
            jsonl::encode(trace, content, buffer, |buffer| {
                redact_from(redacted, redactor.as_ref(), buffer);
                let go_on = pass(buffer);
                redacted = buffer.len();
                go_on
            });
        };
        if let Some(directory) = &directory {
            let written = directory.write(trace.session_id(), |file| {
                encode(&mut buffer, &mut |buffer| file.pass(buffer));
                file.finish(&mut buffer)
            });
            failed = written.err();
            account.failed += usize::from(failed.is_some());
        } else {
            encode(&mut buffer, &mut |buffer| sink.pass(buffer));
            sink.finish(&mut buffer);
        }
        Some(Converted { account, failed })
    };
    let mut total = Account { failed: history.n_failures, ..Account::default() };
    pipeline::run(&history, &pool, &interrupted, encode, |event| {
        match event {
            Event::Chunk(bytes) => return writer.write(&bytes),
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
    })?;
    writer.finish()?;
    ui.stop();
    if interrupted.load(Ordering::Relaxed) {
        ui.warn(
            "interrupted: the sessions that were under way are complete, the rest was left out",
        );
        return Ok(ExitStatus::Interrupted);
    }
    total.tell("converted", &history, &selection, ui);
    Ok(total.status(args.strict && total.n_of(&[Code::BadLine]) > 0))
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
