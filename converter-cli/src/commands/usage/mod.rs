//! `codex-trace usage`

mod limits;
mod tools;

use std::io::Write;
use std::sync::atomic::Ordering;

use crate::account::Tell as _;
use crate::args::{By, UsageArgs};
use crate::config::{self, Selection, selection};
use crate::exit::ExitStatus;
use crate::look::{Looking, Memory};
use crate::prices::{Dollars, PriceTable};
use crate::rows::{Format, Row as Flat, Value};
use crate::table::{self, Cell, Column};
use crate::ui::{Tone, Ui};
use crate::usage::{Counts, Query, Report};
use crate::{interrupt, nothing, pager, text, when};
use codex_trace_export::choice::Choice as _;
use codex_trace_history::failure::Failure;
use codex_trace_history::{ids, pipeline};
use codex_trace_usage::Row;

/// Counts tokens, or tool calls, or shows rate limits.
///
/// # Errors
///
/// If nothing can be read, the price table is none, or stdout cannot be
/// written to.
pub fn run(args: &UsageArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    let settings = ui.settings();
    let format = Format::resolve(args.format.as_deref(), args.json)?;
    let zone = config::zone(&args.select, settings)?;
    let mut selection = selection(&args.select, settings)?;
    if let Some(last) = &args.last {
        selection.since = Some(when::since_last(last, settings.now, &zone)?);
    }
    if args.limits {
        return limits::run(args, &format, &zone, &selection, ui);
    }
    if args.by.contains(&By::Tool) {
        if args.by.len() > 1 {
            return Err(Failure::new("`--by tool` cannot be combined")
                .hint("a tool call has no tokens of its own")
                .into());
        }
        return tools::run(args, &format, &zone, &selection, ui);
    }
    let prices = PriceTable::load(args.prices.as_deref())?;
    let pool = pipeline::pool(settings.jobs)?;
    let interrupted = interrupt::late(ui);

    let query = Query { by: args.by.clone(), zone, selection, prices };
    let looking = Looking {
        kind: query.kind(),
        selection: &query.selection,
        memory: &Memory::find(args.no_cache, ui),
        pool: &pool,
        interrupted: &interrupted,
        ui,
    };
    let Some((mut report, id_len)) = counted(&query, looking)? else {
        ui.warn("interrupted: the count is not complete");
        return Ok(ExitStatus::Interrupted);
    };
    for lost in &std::mem::take(&mut report.lost) {
        report.account.lose(lost, ui);
    }
    print(&report, &query, &format, id_len, ui)?;
    if format == Format::Table {
        tell_unpriced(&report, ui);
    }
    if report.account.is_empty() {
        let last = args.last.as_ref().map(|last| of_last(last, &query.selection));
        nothing::explain(&args.select, last.into_iter().collect(), &pool, ui)?;
    } else {
        report.account.tell("counted", &args.select, ui);
    }
    Ok(report.account.status(false))
}

/// Counts every session, from what is remembered or read; says how much of an id
/// tells sessions apart. `None` if the user interrupted it meanwhile.
fn counted(query: &Query, looking: Looking<'_>) -> Result<Option<(Report, usize)>, Failure> {
    let (reports, outcome) = looking.each(|report: &mut Report, facts| query.add(facts, report))?;
    if looking.interrupted.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let mut sum = Report::sum(reports, query);
    sum.account.failed += outcome.n_failures;
    sum.lost.extend(outcome.lost);
    Ok(Some((sum, outcome.id_len)))
}

/// Returns `--last` as a filter, for when it leaves nothing.
fn of_last<'f>(last: &str, selection: &Selection) -> nothing::Filter<'f> {
    let only = Selection { since: selection.since, ..Selection::default() };
    nothing::Filter::new("--last", last, move |trace| only.takes(trace), None)
}

fn print(
    report: &Report,
    query: &Query,
    format: &Format,
    id_len: usize,
    ui: &Ui,
) -> anyhow::Result<()> {
    let total = report.total();
    let rows = report.sorted(&query.by);
    let mut out = ui.out();
    match format {
        Format::Table if rows.is_empty() => {}
        Format::Table => {
            drop(out);
            let text = for_people(&rows, &total, report, query, id_len, ui);
            pager::write(&text, ui.settings())?;
            return Ok(());
        }
        Format::Json => {
            out.write_all(&report.json(query))?;
        }
        _ => {
            let names = names(&query.by);
            let flat = rows.iter().map(|row| flat(row, report, query));
            let on_terminal = ui.settings().stdout_is_terminal;
            format.write(&names, flat, &query.zone, on_terminal, &mut out)?;
        }
    }
    out.flush()?;
    Ok(())
}

/// The names of the values of [`flat`].
fn names(by: &[By]) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = by.iter().map(|by| by.word()).collect();
    if by.contains(&By::Session) {
        names.extend(["started_at", "cwd", "title"]);
    }
    names.extend([
        "model_calls",
        "input_tokens",
        "cached_input_tokens",
        "cache_write_input_tokens",
        "output_tokens",
        "reasoning_output_tokens",
        "total_tokens",
        "cost_usd",
        "unpriced_tokens",
    ]);
    names
}

fn flat((keys, counts): &Row<'_>, report: &Report, query: &Query) -> Flat {
    let mut values: Vec<Value> = keys.iter().map(|key| Value::from(key.as_str())).collect();
    if let Some(nth) = query.by.iter().position(|by| *by == By::Session) {
        let session = report.sessions.get(&keys[nth]).cloned().unwrap_or_default();
        values.extend([session.started_at.into(), session.cwd.into(), session.title.into()]);
    }
    let usage = &counts.usage;
    values.extend([
        counts.model_calls.into(),
        Value::Tokens(usage.input_tokens),
        Value::Tokens(usage.cached_input_tokens),
        Value::Tokens(usage.cache_write_input_tokens.unwrap_or(0)),
        Value::Tokens(usage.output_tokens),
        Value::Tokens(usage.reasoning_output_tokens),
        Value::Tokens(usage.total_tokens),
        Value::Cost(counts.cost, counts.unpriced_tokens),
        Value::Tokens(counts.unpriced_tokens),
    ]);
    names(&query.by).into_iter().zip(values).collect()
}

/// Says what has no list price: its tokens are not in the cost.
fn tell_unpriced(report: &Report, ui: &Ui) {
    for (what, (calls, tokens)) in &report.unpriced {
        let calls = text::count(*calls, "call");
        ui.warn(format!(
            "no list price for {what}: {calls} with {} tokens are not in the cost",
            text::grouped(*tokens)
        ));
    }
    if !report.unpriced.is_empty() {
        ui.hint("`--prices FILE` adds prices; `codex-trace usage --help` describes the file");
    }
    let settings = ui.settings();
    if settings.stderr_is_terminal && !settings.quiet && !report.rows.is_empty() {
        ui.say(
            "costs are the API's list prices on the day of each call; a subscription is \
             billed otherwise",
        );
    }
}

fn for_people(
    rows: &[Row<'_>],
    total: &Counts,
    report: &Report,
    query: &Query,
    id_len: usize,
    ui: &Ui,
) -> String {
    let settings = ui.settings();
    let heads: Vec<String> = query.by.iter().map(|by| head(*by, query)).collect();
    let by_session = query.by.contains(&By::Session);
    let mut columns: Vec<Column<'_>> = Vec::new();
    for (by, head) in query.by.iter().zip(&heads) {
        let column = Column::new(head);
        columns.push(match by {
            // The end of a path says most, and the beginning of an id is one.
            By::Directory | By::Repository => column.shrink_to(12).path(),
            By::Session => column,
            _ if by.is_time() => column,
            _ => column.shrink_to(12),
        });
    }
    if by_session {
        columns.extend([
            Column::new("STARTED"),
            Column::new("WHERE").shrink_to(10).path().expendable(1),
            Column::new("FIRST PROMPT").shrink_to(12).expendable(2),
        ]);
    }
    // Of a session, money and size say more than how they came about.
    let (output, input, total_tokens) = if by_session { (5, 4, 3) } else { (3, 2, 1) };
    columns.extend([
        Column::new("CALLS").right().expendable(6),
        Column::new("INPUT").right().expendable(input),
        Column::new("CACHED").right().expendable(7),
        Column::new("OUTPUT").right().expendable(output),
        Column::new("REASONING").right().expendable(8),
        Column::new("TOTAL").right().expendable(total_tokens),
        Column::new("COST").right(),
    ]);
    let home = settings.home.as_deref();
    let mut cells: Vec<Vec<Cell>> = Vec::new();
    for (keys, counts) in rows {
        let mut texts: Vec<String> = keys.iter().map(|key| text::short_path(key, home)).collect();
        if let Some(nth) = query.by.iter().position(|by| *by == By::Session) {
            let session = report.sessions.get(&keys[nth]).cloned().unwrap_or_default();
            if settings.stdout_is_terminal {
                // As `list` shows it, to be pasted.
                ids::short(&keys[nth], id_len).clone_into(&mut texts[nth]);
            }
            texts.push(session.started_at.map(|at| query.zone.minute(at)).unwrap_or_default());
            texts.push(text::short_path(&session.cwd.unwrap_or_default(), home));
            texts.push(session.title.unwrap_or_default());
        }
        cells.push(line(texts, counts, Tone::Plain));
    }
    if query.by != [By::Total] {
        let n_keys = query.by.len() + if by_session { 3 } else { 0 };
        let mut texts = vec![String::new(); n_keys];
        "total".clone_into(&mut texts[0]);
        cells.push(line(texts, total, Tone::Strong));
    }
    table::lay_out(&columns, &cells, settings.width, settings.color_out)
}

fn head(by: By, query: &Query) -> String {
    let word = by.word().to_uppercase();
    match by {
        By::Total => String::new(),
        _ if by.is_time() => format!("{word} ({})", query.zone.label()),
        _ => word,
    }
}

fn line(keys: Vec<String>, counts: &Counts, tone: Tone) -> Vec<Cell> {
    let usage = &counts.usage;
    let numbers = [
        text::grouped(counts.model_calls as u64),
        text::grouped(usage.input_tokens),
        text::grouped(usage.cached_input_tokens),
        text::grouped(usage.output_tokens),
        text::grouped(usage.reasoning_output_tokens),
        text::grouped(usage.total_tokens),
        Dollars::short(counts.cost, counts.unpriced_tokens),
    ];
    keys.into_iter().chain(numbers).map(|text| Cell::new(&text, tone)).collect()
}
