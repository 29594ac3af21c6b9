//! `codex-trace show`

use std::cmp::Reverse;
use std::io::Write;

use codex_trace_model::Trace;

use crate::account::{Account, Tell as _};
use crate::again::Again;
use crate::args::ShowArgs;
use crate::config::{self, Selection};
use crate::exit::ExitStatus;
use crate::prices::PriceTable;
use crate::tree::{self, View};
use crate::ui::Ui;
use crate::{interrupt, nothing, pager, text, transcript};
use codex_trace_export::content::Content;
use codex_trace_export::wire::jsonl;
use codex_trace_history::failure::Failure;
use codex_trace_history::history::History;
use codex_trace_history::pipeline::{self, Event, Look, Sink};
use codex_trace_history::{history, ids, select};

/// Shows one session as a tree or as text.
///
/// # Errors
///
/// If it is not there, or not one session.
pub fn run(args: &ShowArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    let settings = ui.settings();
    let selection = config::selection(&args.select, settings)?;
    let zone = config::zone(&args.select, settings)?;
    let prices = PriceTable::load(None)?;
    let pool = pipeline::pool(settings.jobs)?;
    let mut history = history::find(&selection, ui, &pool)?;
    let newest = args.last || args.select.paths.is_empty();
    if !pick(&mut history, &selection, newest) {
        nothing::explain(&args.select, Vec::new(), &pool, ui)?;
        return Ok(ExitStatus::Failed);
    }
    if history.sessions.len() > 1 {
        return Err(several(args, &history, ui).into());
    }
    let view = View {
        width: settings.width,
        color: settings.color_out,
        depth: args.depth.unwrap_or(usize::MAX),
        turn: args.turn,
        home: settings.home.as_deref(),
        zone: &zone,
        prices: &prices,
    };
    let interrupted = interrupt::flag(ui);
    let content = Content::from(args.content);
    let job = |trace: &Trace<'_>, sink: &Sink<'_, _>| {
        let mut buffer = Vec::new();
        let found = if args.json {
            jsonl::encode(trace, content, &mut buffer, |buffer| sink.pass(buffer));
            true
        } else if args.text {
            transcript::write(trace, &view, settings.verbose, &mut buffer)
        } else {
            tree::write(trace, &view, &mut buffer)
        };
        sink.finish(&mut buffer);
        Some((found, Account::of(trace)))
    };
    let mut out = ui.out();
    let mut for_people = Vec::new();
    let mut total = Account { failed: history.n_failures, ..Account::default() };
    let mut found_all = true;
    pipeline::run(&history, &pool, &interrupted, Look::Content, job, |event| {
        match event {
            Event::Chunk(bytes) if args.json => out.write_all(bytes)?,
            Event::Chunk(bytes) => for_people.extend(bytes),
            Event::End(Ok(Some((found, account)))) => {
                found_all &= found;
                total += account;
            }
            Event::End(Ok(None)) => {}
            Event::End(Err(lost)) => total.lose(&lost, ui),
        }
        Ok::<_, anyhow::Error>(())
    })?;
    out.flush()?;
    drop(out);
    pager::write(&String::from_utf8_lossy(&for_people), settings)?;
    if !found_all {
        let number = args.turn.unwrap_or_default();
        return Err(Failure::new(format!("the session has no turn {number}"))
            .hint("without `--turn`, all turns are shown with their numbers")
            .into());
    }
    let n_problems: usize = total.diagnostics.values().sum();
    if n_problems > 0 && !settings.quiet {
        let id = &history.root(&history.sessions[0]).thread_id;
        let again = searched(Again::new(["list", "--problems"]), args, ui).word(id);
        ui.hint(format!("{}: `{again}` shows them", text::count(n_problems, "problem")));
    }
    Ok(total.status(false))
}

/// Leaves the sessions that match, or the newest of them; returns whether there
/// is one.
fn pick(history: &mut History, selection: &Selection, newest: bool) -> bool {
    if !selection.needs_traces() && !newest {
        return !history.sessions.is_empty();
    }
    let mut matching = Vec::new();
    for nth in newest_first(history) {
        let session = &history.sessions[nth];
        let takes = if selection.needs_traces() {
            pipeline::with_trace(history, session, Look::Facts, |it| selection.takes(it))
        } else {
            Ok(true)
        };
        // One that cannot be read is worth an error.
        if takes.unwrap_or(true) {
            matching.push(nth);
            if newest {
                break;
            }
        }
    }
    let mut nth = 0;
    history.sessions.retain(|_| {
        nth += 1;
        matching.contains(&(nth - 1))
    });
    !history.sessions.is_empty()
}

/// Orders sessions by when they were made; those that do not say it come last.
fn newest_first(history: &History) -> Vec<usize> {
    let mut order: Vec<usize> = (0..history.sessions.len()).collect();
    order.sort_by_key(|nth| {
        Reverse((select::created_of(history.root(&history.sessions[*nth])), *nth))
    });
    order
}

/// Adds where the session was looked for.
fn searched(again: Again, args: &ShowArgs, ui: &Ui) -> Again {
    let trees = args.select.paths.iter().filter(|path| path.exists());
    trees.fold(again.homes(ui.settings()), Again::word)
}

fn several(args: &ShowArgs, history: &History, ui: &Ui) -> Failure {
    let id_len = ids::shortest_unique(history.heads.iter().map(|head| head.thread_id.as_str()));
    let n = text::count(history.sessions.len(), "session");
    let newest = history.root(&history.sessions[newest_first(history)[0]]);
    let list = searched(Again::new(["list"]), args, ui).filters(&args.select);
    let show = searched(Again::new(["show"]), args, ui).word(ids::short(&newest.thread_id, id_len));
    Failure::new(format!("these are {n}, and one is shown at a time"))
        .hint(format!("`{list}` lists them; `{show}` shows the newest, as `--last` does"))
}
