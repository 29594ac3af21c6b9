//! `codex-trace usage --by tool`

use std::io::Write;

use crate::account::Tell as _;
use crate::args::UsageArgs;
use crate::config::Selection;
use crate::exit::ExitStatus;
use crate::rows::{Format, Row, Value};
use crate::table::{self, Cell, Column};
use crate::tools::{self, Calls, Report, Tool};
use crate::ui::{Tone, Ui};
use crate::zone::Zone;
use crate::{interrupt, nothing, pager, text};
use codex_trace_history::history;
use codex_trace_history::pipeline;

/// Counts tool calls: those that began within `--since` and `--until`, of
/// sessions that the other filters take.
pub(super) fn run(
    args: &UsageArgs,
    format: &Format,
    zone: &Zone,
    selection: &Selection,
    ui: &Ui,
) -> anyhow::Result<ExitStatus> {
    let pool = pipeline::pool(ui.settings().jobs)?;
    let history = history::find(selection, ui, &pool)?;
    let counted = tools::count(selection, &history, &pool, &interrupt::flag(ui), ui);
    let Some(mut report) = counted else {
        ui.warn("interrupted: the count is not complete");
        return Ok(ExitStatus::Interrupted);
    };
    for lost in &std::mem::take(&mut report.lost) {
        report.account.lose(lost, ui);
    }
    print(&report, format, zone, ui)?;
    if report.account.is_empty() {
        let last = args.last.as_ref().map(|last| super::of_last(last, selection));
        nothing::explain(&args.select, last.into_iter().collect(), &pool, ui)?;
    } else {
        report.account.tell("counted", &args.select, ui);
    }
    Ok(report.account.status(false))
}

/// The names of the values of a row.
const NAMES: [&str; 7] =
    ["tool", "server", "calls", "failed", "unfinished", "seconds", "timed_calls"];

fn print(report: &Report, format: &Format, zone: &Zone, ui: &Ui) -> anyhow::Result<()> {
    let settings = ui.settings();
    let rows = report.sorted();
    let mut out = ui.out();
    match format {
        Format::Table => {
            drop(out);
            let table = table(&rows, ui);
            return Ok(pager::write(&table, settings)?);
        }
        Format::Json => out.write_all(&report.json())?,
        _ => {
            let on_terminal = settings.stdout_is_terminal;
            format.write(&NAMES, rows.into_iter().map(row), zone, on_terminal, &mut out)?;
        }
    }
    out.flush()?;
    Ok(())
}

fn row(((server, tool), calls): (&Tool, &Calls)) -> Row {
    let values: [Value; 7] = [
        tool.as_str().into(),
        server.as_deref().into(),
        calls.calls.into(),
        calls.failed.into(),
        calls.unfinished.into(),
        calls.time.into(),
        calls.timed.into(),
    ];
    NAMES.into_iter().zip(values).collect()
}

fn table(rows: &[(&Tool, &Calls)], ui: &Ui) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let columns = [
        Column::new("TOOL").shrink_to(12),
        Column::new("CALLS").right(),
        Column::new("FAILED").right(),
        Column::new("UNFINISHED").right().expendable(3),
        Column::new("TIME").right().expendable(1),
        Column::new("MEAN").right().expendable(2),
    ];
    let line = |name: &str, calls: &Calls, tone| {
        let n = i32::try_from(calls.timed).unwrap_or(i32::MAX);
        let mean = (n > 0).then(|| text::duration(calls.time / n));
        let time = (n > 0).then(|| text::duration(calls.time));
        [
            name.to_owned(),
            text::grouped(calls.calls as u64),
            text::grouped(calls.failed as u64),
            text::grouped(calls.unfinished as u64),
            time.unwrap_or_else(|| "-".to_owned()),
            mean.unwrap_or_else(|| "-".to_owned()),
        ]
        .iter()
        .map(|text| Cell::new(text, tone))
        .collect::<Vec<_>>()
    };
    let mut total = Calls::default();
    for (_, calls) in rows {
        total += **calls;
    }
    let mut lines: Vec<_> =
        rows.iter().map(|(tool, calls)| line(&tools::name(tool), calls, Tone::Plain)).collect();
    lines.push(line("total", &total, Tone::Strong));
    table::lay_out(&columns, &lines, ui.settings().width, ui.settings().color_out)
}
