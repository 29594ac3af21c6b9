//! `codex-trace report`

mod pack;
mod pages;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use codex_trace_export::report::page::About;
use codex_trace_export::report::{self, Options};
use codex_trace_model::{ModelCall, Span, Trace};
use rayon::ThreadPool;

use self::pack::Packer;
use self::pages::{LARGEST_PAGE, Pages, Place};
use crate::account::{Account, Tell as _};
use crate::args::ReportArgs;
use crate::config::{Redaction, Selection, selection};
use crate::exit::ExitStatus;
use crate::prices::PriceTable;
use crate::ui::Ui;
use crate::{interrupt, nothing, text};
use codex_trace_history::failure::Failure;
use codex_trace_history::history;
use codex_trace_history::history::History;
use codex_trace_history::pipeline::{self, Event, Look, Sink};

/// How much text is gathered before it is packed, in bytes.
const CHUNK: usize = 256 << 10;

/// Writes a page to look at.
///
/// # Errors
///
/// If nothing can be read, or the page cannot be written.
pub fn run(args: &ReportArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    let selection = selection(&args.select, ui.settings())?;
    let redactor = Redaction::from(&args.redact).redactor(true)?;
    let redacted = redactor.is_some();
    let with_cost = args.cost || args.prices.is_some();
    let prices = with_cost.then(|| PriceTable::load(args.prices.as_deref())).transpose()?;
    let to_stdout = args.output.as_deref().is_none_or(|path| path == Path::new("-"));
    if to_stdout && std::io::stdout().is_terminal() {
        return Err(Failure::new("a page is not for a terminal")
            .hint("name a file: `codex-trace report -o report.html`")
            .into());
    }
    let pool = pipeline::pool(ui.settings().jobs)?;
    let history = history::find(&selection, ui, &pool)?;
    let place = Place::of(args.output.as_deref(), args.content.estimate(bytes_of(&history)))?;
    match &place {
        Place::Stdout => {}
        Place::File(path) | Place::Directory(path) => history.inputs.spare(path)?,
    }
    if let Place::Directory(dir) = &place
        && args.output.as_deref() != Some(dir)
    {
        ui.warn(format!(
            "the report is too large for one page of {}: it goes into the directory `{}`, with \
             `index.html`",
            text::bytes(LARGEST_PAGE),
            dir.display()
        ));
    }
    let cost = |trace: &Trace<'_>, span: &Span<'_>, call: &ModelCall<'_>| {
        let usage = span.usage.unwrap_or_default();
        let cost = prices.as_ref()?.cost_of(call, &usage, trace.made_at(span));
        cost.ok().flatten().map(crate::prices::Dollars::as_f64)
    };
    let cost: &report::Cost<'_> = &cost;
    let options = Options::new(args.content, redactor, with_cost.then_some(cost));
    let checked = PriceTable::checked();
    let about = About {
        version: env!("CARGO_PKG_VERSION"),
        amount: args.content,
        redacted,
        prices: with_cost.then_some(checked.as_str()),
        index: None,
    };
    let job = Job { selection: &selection, options: &options };
    let interrupted = interrupt::flag(ui);
    let mut pages = Pages::open(&place, about, ui)?;
    let Some(total) = job.write(&history, &pool, &interrupted, &mut pages, ui)? else {
        ui.warn(format!("interrupted: {}", left(&place)));
        return Ok(ExitStatus::Interrupted);
    };
    if total.sessions > 0 {
        pages.finish()?;
    }
    if total.is_empty() {
        nothing::explain(&args.select, Vec::new(), &pool, ui)?;
    } else {
        total.tell("reported", &args.select, ui);
    }
    Ok(total.status(false))
}

/// Returns what has become of what was to be written.
fn left(place: &Place) -> String {
    let path: PathBuf = match place {
        Place::Stdout => return "the page is not complete".to_owned(),
        Place::File(path) => path.clone(),
        Place::Directory(dir) => dir.join("index.html"),
    };
    let how = if path.exists() { "stays as it was" } else { "was not written" };
    format!("`{}` {how}", path.display())
}

/// Returns the size of all files of the sessions.
fn bytes_of(history: &History) -> u64 {
    let members = history.sessions.iter().flat_map(|session| &session.members);
    members.map(|member| history.heads[member.head].len).sum()
}

struct Job<'j> {
    selection: &'j Selection,
    options: &'j Options<'j>,
}

impl Job<'_> {
    /// Writes all sessions; `None` if it was interrupted.
    fn write(
        &self,
        history: &History,
        pool: &ThreadPool,
        interrupted: &AtomicBool,
        pages: &mut Pages<'_>,
        ui: &Ui,
    ) -> anyhow::Result<Option<Account>> {
        let mut total = Account { failed: history.n_failures, ..Account::default() };
        ui.start("reporting", history.sessions.len());
        let pack = |trace: &Trace<'_>, sink: &Sink<'_, _>| self.pack(trace, sink);
        let mut open = false;
        pipeline::run(history, pool, interrupted, Look::Content, pack, |event| {
            match event {
                Event::Chunk(bytes) => {
                    if !std::mem::replace(&mut open, true) {
                        pages.open_session()?;
                    }
                    return pages.write(bytes);
                }
                Event::End(Ok(Some((row, account)))) => {
                    total += account;
                    pages.close_session(row)?;
                }
                Event::End(Ok(None)) => {}
                Event::End(Err(lost)) => {
                    total.lose(&lost, ui);
                    if open {
                        // Part of it is written: it has a block, and no more.
                        pages.close_session(b"{}\n".to_vec())?;
                    }
                }
            }
            open = false;
            ui.step();
            Ok::<_, anyhow::Error>(())
        })?;
        ui.stop();
        Ok((!interrupted.load(Ordering::Relaxed)).then_some(total))
    }

    /// Packs one session; returns its row.
    fn pack<T>(&self, trace: &Trace<'_>, sink: &Sink<'_, T>) -> Option<(Vec<u8>, Account)> {
        if !self.selection.takes(trace) {
            return None;
        }
        let mut row = Vec::new();
        report::row(trace, self.options, &mut row);
        let (mut packer, mut packed, mut text) = (Packer::new(), Vec::new(), Vec::new());
        report::session(trace, self.options, &mut text, |text| {
            if text.len() < CHUNK {
                return true;
            }
            packer.take(text);
            packer.drain(&mut packed);
            sink.pass(&mut packed)
        });
        packer.take(&mut text);
        packer.finish(&mut packed);
        sink.finish(&mut packed);
        Some((row, Account::of(trace)))
    }
}
