//! `codex-trace usage`

use std::io::Write;

use jiff::tz::TimeZone;

use crate::args::{By, UsageArgs, Zone};
use crate::config::{local_time_zone, selection};
use crate::exit::ExitStatus;
use crate::prices::PriceTable;
use crate::table::{self, Cell, Column};
use crate::ui::{Tone, Ui};
use crate::usage::{self, Counts, Query, Report};
use crate::{interrupt, text};
use codex_trace_export::json;
use codex_trace_history::{history, pipeline};

/// Counts tokens.
///
/// # Errors
///
/// If nothing can be read, the price table is none, or stdout cannot be
/// written to.
pub fn run(args: &UsageArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    let selection = selection(&args.select, ui.settings().now)?;
    let with_cost = args.cost || args.prices.is_some();
    let prices = with_cost.then(|| PriceTable::load(args.prices.as_deref())).transpose()?;
    let zone = match args.timezone {
        Zone::Utc => TimeZone::UTC,
        Zone::Local => local_time_zone(),
    };
    let pool = pipeline::pool(ui.settings().jobs)?;
    let history = history::find(&selection, ui, &pool)?;
    let interrupted = interrupt::flag();

    let query = Query { by: args.by, zone, selection, prices };
    let Some(report) = usage::count(&query, &history, &pool, &interrupted, ui) else {
        ui.warn("interrupted: nothing was counted to the end");
        return Ok(ExitStatus::Interrupted);
    };
    let total = report.total();
    let rows = sorted(&report, args.by);
    let mut out = ui.out();
    if args.json {
        let mut text = Vec::new();
        json::object(&mut text, |o| {
            o.object("total", |o| total.fields(o));
            o.array("rows", &rows, |(key, counts), out| {
                json::object(out, |o| {
                    o.put("key", *key);
                    counts.fields(o);
                });
            });
        });
        text.push(b'\n');
        out.write_all(&text)?;
    } else if !rows.is_empty() {
        out.write_all(for_people(&rows, &total, args.by, query.prices.is_some(), ui).as_bytes())?;
    }
    out.flush()?;
    tell_unpriced(&report, ui);
    if args.cost && args.prices.is_none() && !args.json && !ui.settings().quiet {
        ui.say(
            "costs are the API's list prices on the day of each call; a subscription is \
             billed otherwise",
        );
    }
    report.account.tell("counted", &history, &query.selection, ui);
    Ok(report.account.status(false))
}

type Row<'r> = (&'r str, &'r Counts);

/// Puts the rows in order: time goes on, everything else by size.
fn sorted(report: &Report, by: By) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> =
        report.rows.iter().map(|(key, counts)| (key.as_str(), counts)).collect();
    if !matches!(by, By::Day | By::Week | By::Month) {
        rows.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.usage.total_tokens));
    }
    rows
}

/// Says what has no list price: its tokens are not in the cost.
fn tell_unpriced(report: &Report, ui: &Ui) {
    for (what, (calls, tokens)) in &report.unpriced {
        let calls = text::count(*calls, "call");
        ui.warn(format!(
            "no list price for {what}: {calls} with {} tokens are not in the cost",
            grouped(*tokens)
        ));
    }
    if !report.unpriced.is_empty() {
        ui.hint("`--prices FILE` adds prices; `codex-trace usage --help` says how it looks");
    }
}

fn for_people(rows: &[Row<'_>], total: &Counts, by: By, with_cost: bool, ui: &Ui) -> String {
    let head = match by {
        By::Day => "DAY",
        By::Week => "WEEK",
        By::Month => "MONTH",
        By::Model => "MODEL",
        By::Session => "SESSION",
        By::Directory => "DIRECTORY",
        By::Source => "SOURCE",
    };
    // The end of a path says most, and the beginning of an id is one.
    let key = Column::new(head).shrink_to(12);
    let columns = [
        if by == By::Directory { key.keep_end() } else { key },
        Column::new("CALLS").right(),
        Column::new("INPUT").right(),
        Column::new("CACHED").right().expendable(2),
        Column::new("OUTPUT").right(),
        Column::new("REASONING").right().expendable(3),
        Column::new("TOTAL").right().expendable(1),
        Column::new("COST").right(),
    ];
    let home = ui.settings().home.as_deref();
    let mut cells: Vec<Vec<Cell>> = rows
        .iter()
        .map(|(key, counts)| line(&text::short_path(key, home), counts, with_cost, Tone::Plain))
        .collect();
    cells.push(line("total", total, with_cost, Tone::Strong));
    table::lay_out(&columns, &cells, ui.settings().width, ui.settings().color_out)
}

fn line(key: &str, counts: &Counts, with_cost: bool, tone: Tone) -> Vec<Cell> {
    let usage = &counts.usage;
    // An amount that lacks something is marked, one that lacks all is none.
    let more = if counts.unpriced_tokens > 0 { "+?" } else { "" };
    let cost = match counts.cost {
        _ if !with_cost => String::new(),
        Some(cost) => {
            let cents = cost.cents();
            let dollars = u64::try_from(cents / 100).unwrap_or(u64::MAX);
            // Something is not nothing.
            let (less, cents) = if cost.is_under_a_cent() { ("<", 1) } else { ("", cents) };
            format!("{less}${}.{:02}{more}", grouped(dollars), cents % 100)
        }
        None if counts.unpriced_tokens > 0 => "?".to_owned(),
        None => "-".to_owned(),
    };
    let texts = [
        key.to_owned(),
        grouped(counts.model_calls as u64),
        grouped(usage.input_tokens),
        grouped(usage.cached_input_tokens),
        grouped(usage.output_tokens),
        grouped(usage.reasoning_output_tokens),
        grouped(usage.total_tokens),
        cost,
    ];
    texts.into_iter().map(|text| Cell::new(&text, tone)).collect()
}

/// Writes a number with its thousands apart: `1,234,567`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")];
        for (n, text) in cases {
            assert_eq!(grouped(n), text);
        }
    }
}
