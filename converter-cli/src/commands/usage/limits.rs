//! `codex-trace usage --limits`

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use codex_trace_model::{SessionGroup, Trace};

use crate::account::{Account, Tell as _};
use crate::args::UsageArgs;
use crate::config::Selection;
use crate::exit::ExitStatus;
use crate::limits::{self, Snapshot, Window};
use crate::rows::{Format, Row, Value};
use crate::table::{self, Cell, Column};
use crate::ui::{Tone, Ui};
use crate::zone::Zone;
use crate::{interrupt, nothing, text};
use codex_trace_export::json;
use codex_trace_history::history;
use codex_trace_history::history::History;
use codex_trace_history::pipeline::{self, Event, Look, Sink};
use codex_trace_history::select::created_of;

/// Files that were last written so long before the newest one are read only if
/// nothing is found without them: their windows are over.
const RECENT: Duration = Duration::from_secs(32 * 24 * 60 * 60);

/// Shows the newest rate limits that the sessions recorded.
pub(super) fn run(
    args: &UsageArgs,
    format: &Format,
    zone: &Zone,
    selection: &Selection,
    ui: &Ui,
) -> anyhow::Result<ExitStatus> {
    let pool = pipeline::pool(ui.settings().jobs)?;
    let mut history = history::find(selection, ui, &pool)?;
    let older = leave_recent(&mut history);
    let interrupted = interrupt::flag(ui);
    let mut total = Account { failed: history.n_failures, ..Account::default() };
    let mut newest: BTreeMap<String, Snapshot> = BTreeMap::new();
    let job = |trace: &Trace<'_>, _: &Sink<'_, _>| {
        selection.takes(trace).then(|| (limits::newest(trace), Account::of(trace)))
    };
    for more in [None, Some(older)] {
        // Windows that are over are better than none.
        match more {
            Some(older) if newest.is_empty() => history.sessions = older,
            Some(_) => break,
            None => {}
        }
        ui.start("reading", history.sessions.len());
        pipeline::run(&history, &pool, &interrupted, Look::Facts, job, |event| {
            match event {
                Event::End(Ok(Some((found, account)))) => {
                    total += account;
                    limits::merge(&mut newest, found);
                }
                Event::End(Err(lost)) => total.lose(&lost, ui),
                Event::End(Ok(None)) | Event::Chunk(_) => {}
            }
            ui.step();
            Ok::<_, anyhow::Error>(())
        })?;
        ui.stop();
    }
    if interrupted.load(Ordering::Relaxed) {
        ui.warn("interrupted: not everything was read");
        return Ok(ExitStatus::Interrupted);
    }
    if total.is_empty() {
        let last = args.last.as_ref().map(|last| super::of_last(last, selection));
        nothing::explain(&args.select, last.into_iter().collect(), &pool, ui)?;
    } else if newest.is_empty() {
        ui.say("no rate limits are recorded in these sessions (Codex records them since 0.40)");
    }
    let rows: Vec<(&String, &Snapshot, &Window)> = newest
        .iter()
        .flat_map(|(id, it)| it.windows.iter().map(move |window| (id, it, window)))
        .collect();
    print(&rows, format, zone, ui)?;
    Ok(total.status(false))
}

/// Leaves the sessions that may say how things stand now; returns the others.
/// When a file was last written may be lost in a copy, but it was not written to
/// before its thread was made.
fn leave_recent(history: &mut History) -> Vec<SessionGroup> {
    let last_written = |session: &SessionGroup| {
        let heads = session.members.iter().map(|it| &history.heads[it.head]);
        let created = |head| created_of(head).map(SystemTime::from);
        heads.flat_map(|head| [head.modified, created(head)]).flatten().max()
    };
    let newest = history.sessions.iter().filter_map(last_written).max();
    let is_recent = |session: &SessionGroup| match (last_written(session), newest) {
        (Some(at), Some(newest)) => newest.duration_since(at).is_ok_and(|age| age <= RECENT),
        _ => true,
    };
    let is_recent: Vec<bool> = history.sessions.iter().map(is_recent).collect();
    let sessions = std::mem::take(&mut history.sessions).into_iter().zip(is_recent);
    let (recent, older): (Vec<_>, Vec<_>) = sessions.partition(|(_, is_recent)| *is_recent);
    history.sessions = recent.into_iter().map(|(session, _)| session).collect();
    older.into_iter().map(|(session, _)| session).collect()
}

/// The names of the values of a row.
const NAMES: [&str; 7] =
    ["limit", "window_minutes", "used_percent", "resets_at", "recorded_at", "plan", "over"];

type Line<'l> = (&'l String, &'l Snapshot, &'l Window);

fn print(rows: &[Line<'_>], format: &Format, zone: &Zone, ui: &Ui) -> anyhow::Result<()> {
    let settings = ui.settings();
    let is_over = |window: &Window| window.resets_at.is_some_and(|at| at <= settings.now);
    let mut out = ui.out();
    match format {
        Format::Table if rows.is_empty() => {}
        Format::Table => out.write_all(table(rows, zone, ui).as_bytes())?,
        Format::Json => {
            let mut text = Vec::new();
            json::object(&mut text, |o| {
                o.array("limits", rows, |(id, snapshot, window), out| {
                    json::object(out, |o| {
                        o.put("limit", *id);
                        o.maybe("window_minutes", window.minutes);
                        let used = window.used_percent.to_string();
                        o.value("used_percent").extend_from_slice(used.as_bytes());
                        o.maybe("resets_at", window.resets_at);
                        o.put("recorded_at", snapshot.at);
                        o.maybe("plan", snapshot.plan.as_ref());
                        o.put("over", is_over(window));
                    });
                });
            });
            text.push(b'\n');
            out.write_all(&text)?;
        }
        _ => {
            let flat = rows.iter().map(|(id, snapshot, window)| -> Row {
                let values: [Value; 7] = [
                    id.as_str().into(),
                    window.minutes.map(Value::Count).into(),
                    window.used_percent.to_string().into(),
                    window.resets_at.into(),
                    snapshot.at.into(),
                    snapshot.plan.clone().into(),
                    if is_over(window) { "true" } else { "false" }.into(),
                ];
                NAMES.into_iter().zip(values).collect()
            });
            format.write(&NAMES, flat, zone, settings.stdout_is_terminal, &mut out)?;
        }
    }
    out.flush()?;
    Ok(())
}

fn table(rows: &[Line<'_>], zone: &Zone, ui: &Ui) -> String {
    let settings = ui.settings();
    let recorded = format!("RECORDED ({})", zone.short_label());
    let columns = [
        Column::new("LIMIT").shrink_to(8),
        Column::new("WINDOW").right(),
        Column::new("USED").right(),
        Column::new("RESETS").shrink_to(8),
        Column::new(&recorded).expendable(1),
        Column::new("PLAN").expendable(2),
    ];
    let lines: Vec<Vec<Cell>> = rows
        .iter()
        .map(|(id, snapshot, window)| {
            let resets = match window.resets_at {
                Some(at) if at <= settings.now => "has reset".to_owned(),
                Some(at) => {
                    format!(
                        "{}, in {}",
                        zone.minute(at),
                        text::duration(at.duration_since(settings.now))
                    )
                }
                None => "-".to_owned(),
            };
            let tone = if window.used_percent >= 90.0 { Tone::Warn } else { Tone::Plain };
            let texts = [
                id.as_str(),
                &window.minutes.map_or("-".to_owned(), limits::length),
                &format!("{:.0}%", window.used_percent),
                &resets,
                &zone.minute(snapshot.at),
                snapshot.plan.as_deref().unwrap_or_default(),
            ];
            texts.iter().map(|text| Cell::new(text, tone)).collect()
        })
        .collect();
    table::lay_out(&columns, &lines, settings.width, settings.color_out)
}
