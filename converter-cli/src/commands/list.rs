//! `codex-trace list`

use std::collections::BTreeMap;
use std::io::Write;

use codex_trace_model::{Code, Diagnostic, Trace};

use crate::account::Account;
use crate::args::ListArgs;
use crate::config::selection;
use crate::exit::ExitStatus;
use crate::session::Summary;
use crate::table::{self, Cell, Column};
use crate::ui::{Tone, Ui};
use crate::{interrupt, text};
use codex_trace_history::pipeline::{self, Event, Look, Sink};
use codex_trace_history::{history, ids};
use codex_trace_model::Standing;

/// How many diagnostics of a kind are shown for one file.
const SHOWN: usize = 3;

/// Lists sessions, newest first.
///
/// # Errors
///
/// If nothing can be read, or stdout cannot be written to.
pub fn run(args: &ListArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    let selection = selection(&args.select, ui.settings().now)?;
    let pool = pipeline::pool(ui.settings().jobs)?;
    let history = history::find(&selection, ui, &pool)?;
    let interrupted = interrupt::flag();

    let mut total = Account { failed: history.n_failures, ..Account::default() };
    let mut rows: Vec<Summary> = Vec::new();
    let sum_up = |trace: &Trace<'_>, _: &Sink<'_, _>| {
        selection.takes(trace).then(|| {
            let mut row = Summary::of(trace);
            if !args.problems {
                row.diagnostics = Vec::new();
            }
            (row, Account::of(trace))
        })
    };
    ui.start("reading", history.sessions.len());
    pipeline::run(&history, &pool, &interrupted, Look::Facts, sum_up, |event| {
        match event {
            Event::End(Ok(Some((row, account)))) => {
                total += account;
                rows.push(row);
            }
            Event::End(Err(lost)) => total.lose(&lost, ui),
            Event::End(Ok(None)) | Event::Chunk(_) => {}
        }
        ui.step();
        Ok::<_, anyhow::Error>(())
    })?;
    ui.stop();

    let id_len = ids::shortest_unique(history.heads.iter().map(|head| head.thread_id.as_str()));
    if args.problems {
        rows.retain(|row| !row.diagnostics.is_empty());
    }
    rows.sort_by_cached_key(|row| std::cmp::Reverse((row.at(), row.session_id.clone())));
    let mut out = ui.out();
    if args.json {
        let mut line = Vec::new();
        for row in &rows {
            row.write_json(args.problems, &mut line);
            out.write_all(&line)?;
            line.clear();
        }
    } else if !rows.is_empty() {
        let settings = ui.settings();
        let cells: Vec<_> = rows.iter().map(|row| cells(row, id_len, ui)).collect();
        let table = table::lay_out(&COLUMNS, &cells, settings.width, settings.color_out);
        for (nth, line) in table.lines().enumerate() {
            writeln!(out, "{line}")?;
            if args.problems && nth > 0 {
                write_problems(&rows[nth - 1], ui, &mut out)?;
            }
        }
    }
    out.flush()?;
    if interrupted.load(std::sync::atomic::Ordering::Relaxed) {
        ui.warn("interrupted: the list is not complete");
        return Ok(ExitStatus::Interrupted);
    }
    if args.problems && !ui.settings().verbose {
        history.passed.names().for_each(|line| ui.say(line));
    }
    if args.problems && rows.is_empty() && total.sessions > 0 {
        ui.say(format!("no problems in {}", text::count(total.sessions, "session")));
    } else if args.problems {
        // Said above, session by session.
    } else {
        total.tell("listed", &history, &selection, ui);
    }
    Ok(total.status(false))
}

const COLUMNS: [Column; 10] = [
    Column::new("STARTED (UTC)"),
    Column::new("ID"),
    Column::new("WHERE").shrink_to(10).keep_end(),
    Column::new("MODEL").shrink_to(10),
    Column::new("TURNS").right(),
    Column::new("CALLS").right().expendable(1),
    Column::new("TOOLS").right().expendable(2),
    Column::new("TOKENS").right(),
    Column::new("STATUS"),
    Column::new("FIRST PROMPT").shrink_to(16).expendable(3),
];

fn cells(row: &Summary, id_len: usize, ui: &Ui) -> Vec<Cell> {
    let plain = |text: String| Cell::new(&text, Tone::Plain);
    let local = || row.started_at_local.map(|at| format!("~{}", text::minute(at)));
    let started = row.started_at.map(text::minute).or_else(local);
    let cwd = row.cwd.as_deref().unwrap_or_default();
    let title = row.name.as_deref().or(row.prompt.as_deref()).unwrap_or_default();
    let usage =
        if row.usage.is_empty() { "-".to_owned() } else { text::tokens(row.usage.total_tokens) };
    vec![
        plain(started.unwrap_or_else(|| "-".to_owned())),
        Cell::new(ids::short(&row.session_id, id_len), Tone::Strong),
        plain(text::short_path(cwd, ui.settings().home.as_deref())),
        plain(text::one_line(&row.models.join(", "))),
        plain(row.turns.to_string()),
        plain(row.model_calls.to_string()),
        plain(row.tool_calls.to_string()),
        plain(usage),
        Cell::new(row.status.word(), tone(row.status)),
        Cell::new(title, Tone::Faint),
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
fn write_problems(row: &Summary, ui: &Ui, out: &mut impl Write) -> std::io::Result<()> {
    let settings = ui.settings();
    let mut by_file: BTreeMap<&str, BTreeMap<Code, Vec<&Diagnostic>>> = BTreeMap::new();
    for diagnostic in &row.diagnostics {
        let file = by_file.entry(&diagnostic.path).or_default();
        file.entry(diagnostic.code).or_default().push(diagnostic);
    }
    for (file, by_code) in by_file {
        writeln!(out, "    {}", text::short_path(file, settings.home.as_deref()))?;
        for (code, diagnostics) in by_code {
            let shown = if settings.verbose { usize::MAX } else { SHOWN };
            for diagnostic in diagnostics.iter().take(shown) {
                let at = diagnostic.position.map(|at| format!("line {}: ", at.line()));
                let code = Tone::Warn.paint(code.word(), settings.color_out);
                let text = text::escape(&diagnostic.text);
                writeln!(out, "      {code}: {}{text}", at.unwrap_or_default())?;
            }
            let rest = diagnostics.get(shown..).unwrap_or_default();
            let more: usize = rest.iter().map(|it| it.count).sum();
            if more > 0 {
                writeln!(out, "      {}: {more} more (`-v` shows more)", code.word())?;
            }
        }
    }
    Ok(())
}
