//! `codex-trace show`

use std::io::Write;

use codex_trace_model::Trace;

use crate::account::Account;
use crate::args::ShowArgs;
use crate::config::Selection;
use crate::exit::ExitStatus;
use crate::tree::{self, View};
use crate::ui::Ui;
use crate::{interrupt, text};
use codex_trace_export::content::Content;
use codex_trace_export::wire::jsonl;
use codex_trace_history::failure::Failure;
use codex_trace_history::pipeline::{self, Event, Look, Sink};
use codex_trace_history::{history, ids};

/// Shows one session as a tree.
///
/// # Errors
///
/// If it is not there, or not one session.
pub fn run(args: &ShowArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    let pool = pipeline::pool(ui.settings().jobs)?;
    let history = history::find(&Selection::of(&args.session), ui, &pool)?;
    if history.sessions.len() > 1 {
        return Err(several(&args.session, &history).into());
    }
    let settings = ui.settings();
    let view = View {
        width: settings.width,
        color: settings.color_out,
        depth: args.depth.unwrap_or(usize::MAX),
        turn: args.turn,
        home: settings.home.as_deref(),
    };
    let interrupted = interrupt::flag();
    let content = Content::from(args.content);
    let job = |trace: &Trace<'_>, sink: &Sink<'_, _>| {
        let mut buffer = Vec::new();
        let found = if args.json {
            jsonl::encode(trace, content, &mut buffer, |buffer| sink.pass(buffer));
            true
        } else {
            tree::write(trace, &view, &mut buffer)
        };
        sink.finish(&mut buffer);
        Some((found, Account::of(trace)))
    };
    let mut out = ui.out();
    let mut total = Account { failed: history.n_failures, ..Account::default() };
    let mut found_all = true;
    pipeline::run(&history, &pool, &interrupted, Look::Content, job, |event| {
        match event {
            Event::Chunk(bytes) => out.write_all(&bytes)?,
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
    if !found_all {
        let number = args.turn.unwrap_or_default();
        return Err(Failure::new(format!("the session has no turn {number}"))
            .hint("without `--turn`, all turns are shown with their numbers")
            .into());
    }
    let n_problems: usize = total.diagnostics.values().sum();
    if n_problems > 0 && !settings.quiet {
        ui.hint(format!(
            "{}: `codex-trace list --problems {}` says which",
            text::count(n_problems, "problem"),
            args.session.display()
        ));
    }
    Ok(total.status(false))
}

fn several(named: &std::path::Path, history: &history::History) -> Failure {
    let id_len = ids::shortest_unique(history.heads.iter().map(|head| head.thread_id.as_str()));
    let n = history.sessions.len();
    let newest = history.root(&history.sessions[n - 1]);
    Failure::new(format!("`{}` holds {}, and one is shown at a time", named.display(), text::count(n, "session")))
        .hint(format!(
            "`codex-trace list {path}` lists them; the last is `codex-trace show --codex-home {path} {}`",
            ids::short(&newest.thread_id, id_len),
            path = named.display(),
        ))
}
