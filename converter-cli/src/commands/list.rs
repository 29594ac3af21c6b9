//! `codex-trace list`

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;

use codex_trace_model::{Code, Diagnostic, Trace};

use crate::account::{Account, Tell as _};
use crate::args::{ListArgs, SortBy};
use crate::config::{self, Selection, selection};
use crate::exit::ExitStatus;
use crate::look::{Facts, Kind, Looking, Memory};
use crate::nothing::Filter;
use crate::prices::{Dollars, PriceTable};
use crate::rows::Format;
use crate::session::Summary;
use crate::table::{self, Cell, Column};
use crate::ui::{Tone, Ui};
use crate::zone::Zone;
use crate::{interrupt, nothing, pager, prompt, text, tools, when};
use codex_trace_history::failure::Failure;
use codex_trace_history::passed::Passed;
use codex_trace_history::pipeline::{self, Event, Look, Sink};
use codex_trace_history::{history, ids};
use codex_trace_model::Standing;

/// How many diagnostics of a kind are shown for one file.
const SHOWN: usize = 3;

/// Lists sessions, newest first unless told otherwise.
///
/// # Errors
///
/// If nothing can be read, or stdout cannot be written to.
pub fn run(args: &ListArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    let settings = ui.settings();
    let format = Format::resolve(args.format.as_deref(), args.json)?;
    let zone = config::zone(&args.select, settings)?;
    let selection = Selection { since: since(args, ui)?, ..selection(&args.select, settings)? };
    let prices = PriceTable::load(None)?;
    let pool = pipeline::pool(settings.jobs)?;
    let interrupted = interrupt::late(ui);
    let filters = filters(args, &selection);
    let looking = Looking {
        kind: Kind::Whole,
        selection: &selection,
        memory: &Memory::find(args.no_cache, ui),
        pool: &pool,
        interrupted: &interrupted,
        ui,
    };
    // Facts do not say what was said, which tools were called, and what was odd.
    let needs_traces = args.grep.is_some() || args.tool.is_some() || args.failed_tools;
    let listing = if needs_traces || args.problems {
        read(args, looking, &filters, &prices)?
    } else {
        list(looking, &prices)?
    };
    let Listing { mut rows, total, id_len, passed } = listing;
    if args.problems {
        rows.retain(|row| !row.diagnostics.is_empty());
    }
    sort(&mut rows, args);
    print(&rows, args, &format, &zone, id_len, ui)?;
    if interrupted.load(std::sync::atomic::Ordering::Relaxed) {
        ui.warn("interrupted: the list is not complete");
        return Ok(ExitStatus::Interrupted);
    }
    if args.problems && !settings.verbose {
        passed.names().for_each(|line| ui.say(line));
    }
    if total.is_empty() {
        nothing::explain(&args.select, filters, &pool, ui)?;
    } else if args.problems && rows.is_empty() {
        ui.say(format!("no problems in {}", text::count(total.sessions, "session")));
    } else if !args.problems {
        total.tell("listed", &args.select, ui);
    }
    Ok(total.status(false))
}

/// What is listed, and what the run came to.
#[derive(Default)]
struct Listing {
    rows: Vec<Summary>,
    total: Account,
    id_len: usize,
    passed: Passed,
}

/// Lists by what is known of sessions, from this time or the last.
fn list(looking: Looking<'_>, prices: &PriceTable) -> anyhow::Result<Listing> {
    let add = |(rows, total): &mut (Vec<Summary>, Account), mut facts: Facts| {
        if looking.selection.takes_as(&facts.outline(), &facts.models) {
            *total += std::mem::take(&mut facts.account);
            rows.push(Summary::of_facts(facts, prices));
        }
    };
    let (sums, outcome) = looking.each(add)?;
    let total = Account { failed: outcome.n_failures, ..Account::default() };
    let mut listing =
        Listing { total, id_len: outcome.id_len, passed: outcome.passed, ..Listing::default() };
    for (rows, total) in sums {
        listing.rows.extend(rows);
        listing.total += total;
    }
    outcome.lost.iter().for_each(|lost| listing.total.lose(lost, looking.ui));
    Ok(listing)
}

/// Lists by the traces of all sessions.
fn read(
    args: &ListArgs,
    looking: Looking<'_>,
    filters: &[Filter<'_>],
    prices: &PriceTable,
) -> anyhow::Result<Listing> {
    let Looking { selection, pool, interrupted, ui, .. } = looking;
    let history = history::find(selection, ui, pool)?;
    let mut rows: Vec<Summary> = Vec::new();
    let mut total = Account { failed: history.n_failures, ..Account::default() };
    let sum_up = |trace: &Trace<'_>, _: &Sink<'_, _>| {
        let wanted = selection.takes(trace) && filters.iter().all(|it| it.takes(trace));
        wanted.then(|| {
            let mut row = Summary::of(trace, prices);
            if !args.problems {
                row.diagnostics = Vec::new();
            }
            (row, Account::of(trace))
        })
    };
    let look = if args.grep.is_some() { Look::Content } else { Look::Facts };
    ui.start_bytes("reading", history.sessions.iter().map(|it| history.len_of(it)).sum());
    let mut sessions = history.sessions.iter();
    pipeline::run(&history, pool, interrupted, look, sum_up, |event| {
        match event {
            Event::End(Ok(Some((row, account)))) => {
                total += account;
                rows.push(row);
            }
            Event::End(Err(lost)) => total.lose(&lost, ui),
            Event::Chunk(_) => return Ok::<_, anyhow::Error>(()),
            Event::End(Ok(None)) => {}
        }
        // The outcomes come in the order of the sessions.
        ui.advance(sessions.next().map_or(0, |session| history.len_of(session)));
        Ok::<_, anyhow::Error>(())
    })?;
    ui.stop();
    let id_len = ids::shortest_unique(history.heads.iter().map(|head| head.thread_id.as_str()));
    Ok(Listing { rows, total, id_len, passed: history.passed })
}

fn since(args: &ListArgs, ui: &Ui) -> anyhow::Result<Option<jiff::Timestamp>> {
    let settings = ui.settings();
    let zone = config::zone(&args.select, settings)?;
    match &args.last {
        Some(text) => Ok(Some(when::since_last(text, settings.now, &zone)?)),
        None => Ok(selection(&args.select, settings)?.since),
    }
}

/// Returns the filters that no other command has.
fn filters<'f>(args: &'f ListArgs, selection: &Selection) -> Vec<Filter<'f>> {
    let mut filters = Vec::new();
    if let (Some(last), Some(since)) = (&args.last, selection.since) {
        let only = Selection { since: Some(since), ..Selection::default() };
        filters.push(Filter::new("--last", last, move |trace| only.takes(trace), None));
    }
    if let Some(text) = &args.grep {
        let needle = text.to_lowercase();
        filters.push(Filter::new("--grep", text, move |it| prompt::mentions(it, &needle), None));
    }
    if args.tool.is_some() || args.failed_tools {
        let failed = args.failed_tools;
        let takes = move |trace: &Trace<'_>| {
            tools::calls(trace).any(|(span, tool)| {
                args.tool.as_ref().is_none_or(|wanted| tools::is_called(&tool, wanted))
                    && (!failed || tools::has_failed(span))
            })
        };
        let (flag, value) = match &args.tool {
            Some(tool) if failed => ("--failed-tools --tool", tool.as_str()),
            Some(tool) => ("--tool", tool.as_str()),
            None => ("--failed-tools", ""),
        };
        let named = if failed { tools::failed_names } else { tools::names };
        filters.push(Filter::new(flag, value, takes, Some(named)));
    }
    filters
}

fn sort(rows: &mut Vec<Summary>, args: &ListArgs) {
    // What is equal stays in the order of time.
    rows.sort_by_cached_key(|row| Reverse((row.at(), row.facts.session_id.clone())));
    match args.sort {
        SortBy::Started => {}
        SortBy::Ended => rows.sort_by_key(|row| Reverse(row.facts.ended_at.or(row.at()))),
        SortBy::Duration => rows.sort_by_key(|row| Reverse(row.duration())),
        SortBy::Turns => rows.sort_by_key(|row| Reverse(row.facts.turns)),
        SortBy::Tokens => rows.sort_by_key(|row| Reverse(row.usage.total_tokens)),
        SortBy::Cost => rows.sort_by_key(|row| Reverse(row.cost)),
        SortBy::FailedTools => rows.sort_by_key(|row| Reverse(row.facts.failed_tools)),
    }
    if args.reverse {
        rows.reverse();
    }
    rows.truncate(args.limit.unwrap_or(usize::MAX));
}

fn print(
    rows: &[Summary],
    args: &ListArgs,
    format: &Format,
    zone: &Zone,
    id_len: usize,
    ui: &Ui,
) -> anyhow::Result<()> {
    let settings = ui.settings();
    if *format == Format::Table {
        if !rows.is_empty() {
            pager::write(&table(rows, args, zone, id_len, ui), settings)?;
        }
        return Ok(());
    }
    let mut out = ui.out();
    if *format == Format::Json {
        let mut line = Vec::new();
        for row in rows {
            row.write_json(args.problems, &mut line);
            out.write_all(&line)?;
            line.clear();
        }
    } else if args.problems {
        return Err(Failure::new("`--problems` is for `table` and `json`").into());
    } else {
        let on_terminal = settings.stdout_is_terminal;
        format.write(
            &Summary::NAMES,
            rows.iter().map(Summary::row),
            zone,
            on_terminal,
            &mut out,
        )?;
    }
    out.flush()?;
    Ok(())
}

fn table(rows: &[Summary], args: &ListArgs, zone: &Zone, id_len: usize, ui: &Ui) -> String {
    let settings = ui.settings();
    let cells: Vec<_> = rows.iter().map(|row| cells(row, zone, id_len, ui)).collect();
    let started = format!("STARTED ({})", zone.short_label());
    let table = table::lay_out(&columns(&started), &cells, settings.width, settings.color_out);
    let mut out = String::new();
    for (nth, line) in table.lines().enumerate() {
        out.push_str(line);
        out.push('\n');
        if args.problems && nth > 0 {
            write_problems(&rows[nth - 1], ui, &mut out);
        }
    }
    out
}

/// The columns; those that say least go first where there is no room.
fn columns(started: &str) -> [Column<'_>; 11] {
    [
        Column::new(started),
        Column::new("ID"),
        Column::new("WHERE").shrink_to(10).path().expendable(1),
        Column::new("MODEL").shrink_to(10).expendable(6),
        Column::new("TURNS").right().expendable(4),
        Column::new("CALLS").right().expendable(7),
        Column::new("TOOLS").right().expendable(8),
        Column::new("TOKENS").right().expendable(3),
        Column::new("COST").right().expendable(2),
        Column::new("STATUS").expendable(5),
        Column::new("FIRST PROMPT").shrink_to(20),
    ]
}

fn cells(row: &Summary, zone: &Zone, id_len: usize, ui: &Ui) -> Vec<Cell> {
    let plain = |text: String| Cell::new(&text, Tone::Plain);
    let local = || row.facts.started_at_local.map(|at| format!("~{}", Zone::utc().minute(at)));
    let started = row.facts.started_at.map(|at| zone.minute(at)).or_else(local);
    let cwd = row.facts.cwd.as_deref().unwrap_or_default();
    let usage =
        if row.usage.is_empty() { "-".to_owned() } else { text::tokens(row.usage.total_tokens) };
    vec![
        plain(started.unwrap_or_else(|| "-".to_owned())),
        Cell::new(ids::short(&row.facts.session_id, id_len), Tone::Strong),
        plain(text::short_path(cwd, ui.settings().home.as_deref())),
        plain(text::one_line(&row.facts.models.join(", "))),
        plain(row.facts.turns.to_string()),
        plain(row.model_calls.to_string()),
        plain(row.facts.tool_calls.to_string()),
        plain(usage),
        plain(Dollars::short(row.cost, row.unpriced_tokens)),
        Cell::new(row.status().word(), tone(row.status())),
        Cell::new(row.title().unwrap_or_default(), Tone::Faint),
    ]
}

/// Returns how a standing looks.
pub fn tone(standing: Standing) -> Tone {
    match standing {
        Standing::Complete => Tone::Good,
        Standing::Interrupted | Standing::Open => Tone::Warn,
        Standing::Error => Tone::Bad,
    }
}

/// Writes what was odd about a session: file by file, the first few of a kind.
fn write_problems(row: &Summary, ui: &Ui, out: &mut String) {
    let settings = ui.settings();
    let mut by_file: BTreeMap<&str, BTreeMap<Code, Vec<&Diagnostic>>> = BTreeMap::new();
    for diagnostic in &row.diagnostics {
        let file = by_file.entry(&diagnostic.path).or_default();
        file.entry(diagnostic.code).or_default().push(diagnostic);
    }
    for (file, by_code) in by_file {
        let file = text::short_path(file, settings.home.as_deref());
        writeln!(out, "    {file}").expect("a string takes everything");
        for (code, diagnostics) in by_code {
            let shown = if settings.verbose { usize::MAX } else { SHOWN };
            for diagnostic in diagnostics.iter().take(shown) {
                let at = diagnostic.position.map(|at| format!("line {}: ", at.line()));
                let code = Tone::Warn.paint(code.word(), settings.color_out);
                let text = text::escape(&diagnostic.text);
                writeln!(out, "      {code}: {}{text}", at.unwrap_or_default())
                    .expect("a string takes everything");
            }
            let rest = diagnostics.get(shown..).unwrap_or_default();
            let more: usize = rest.iter().map(|it| it.count).sum();
            if more > 0 {
                writeln!(out, "      {}: {more} more (`-v` shows more)", code.word())
                    .expect("a string takes everything");
            }
        }
    }
}
