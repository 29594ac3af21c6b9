//! `codex-trace status`

use std::io::Write;
use std::path::Path;

use crate::args::StatusArgs;
use crate::config;
use crate::exit::ExitStatus;
use crate::live::standing as live;
use crate::text::{self, count};
use crate::ui::Ui;
use codex_trace_deliver::ledger::{Ledger, Outcome, Reason, Standing};
use codex_trace_export::json;
use codex_trace_export::secret::without_password;
use codex_trace_history::failure::Failure;

/// Says how things stand with every destination.
///
/// # Errors
///
/// If the ledger cannot be read.
pub fn run(args: &StatusArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    let dir = config::state_dir(args.state_dir.as_deref(), ui.settings())?;
    if let Some(place) = &args.forget {
        forget(place, &dir)?;
    }
    let standings = match Ledger::open_existing(&dir)? {
        Some(ledger) => ledger.standings()?,
        None => Vec::new(),
    };
    let mut out = ui.out();
    for standing in &standings {
        if args.json {
            let mut line = Vec::new();
            write_json(standing, &mut line);
            line.push(b'\n');
            out.write_all(&line)?;
        } else {
            let settings = ui.settings();
            let width = settings.stdout_is_terminal.then_some(settings.width);
            write_text(standing, width, &mut out)?;
        }
    }
    let live = live::Standing::of(&dir);
    if let Some(live) = &live {
        if args.json {
            writeln!(out, "{}", live.json())?;
        } else {
            live.write(&mut out)?;
        }
    }
    out.flush()?;
    if standings.is_empty() {
        ui.say(format!("nothing has been uploaded yet, according to `{}`", dir.display()));
    }
    if !ui.settings().quiet {
        if standings.iter().any(|it| it.pending > 0) {
            ui.hint(
                "run `codex-trace upload` again to send what is pending; nothing is sent twice",
            );
        }
        let refused = |it: &Reason| matches!(it.outcome, Outcome::Sent | Outcome::Failed);
        if standings.iter().any(|it| it.reasons.iter().any(refused)) {
            let letters = dir.join("dead-letters-*.jsonl");
            ui.hint(format!("what was refused, and why, is in `{}`", letters.display()));
        }
    }
    Ok(ExitStatus::Complete)
}

/// Takes a place out of the ledger that has nothing.
fn forget(place: &str, dir: &Path) -> Result<(), Failure> {
    let unknown = || {
        Failure::new(format!("the ledger of `{}` has no place `{place}`", dir.display()))
            .hint("`codex-trace status` lists the names")
    };
    if Ledger::open_existing(dir)?.is_none() {
        return Err(unknown());
    }
    let ledger = Ledger::open(dir)?;
    let of_that_name =
        |it: &Standing| it.destination == place || without_password(&it.destination) == place;
    let standing = ledger.standings()?.into_iter().find(of_that_name).ok_or_else(unknown)?;
    if standing.sent > 0 {
        let n = count(usize::try_from(standing.sent).unwrap_or(usize::MAX), "turn");
        return Err(Failure::new(format!(
            "`{place}` has accepted {n}, and the next upload would send them again"
        ))
        .hint("`upload --force` sends everything again, if that is what you want"));
    }
    ledger.forget(&standing.destination)
}

fn write_json(standing: &Standing, out: &mut Vec<u8>) {
    json::object(out, |o| {
        o.put("destination", without_password(&standing.destination));
        o.put("sent", standing.sent);
        o.put("stale", standing.stale);
        o.put("pending", standing.pending);
        o.put("failed", standing.failed);
        o.array("reasons", &standing.reasons, |reason, out| {
            json::object(out, |o| {
                o.put("state", reason.outcome.word());
                o.put("turns", reason.turns);
                o.put("reason", &reason.note);
            });
        });
    });
}

fn write_text(
    standing: &Standing,
    width: Option<usize>,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let number = |n| usize::try_from(n).unwrap_or(usize::MAX);
    let head = format!(
        "{}: {} sent, {} pending, {} failed",
        text::escape(&without_password(&standing.destination)),
        count(number(standing.sent), "turn"),
        standing.pending,
        standing.failed
    );
    writeln!(out, "{}", text::fitted(&head, width, 4))?;
    for reason in &standing.reasons {
        let (n, state) = (reason.turns, reason.outcome.word());
        let line = format!("  {n} {state}: {}", text::escape(&reason.note));
        writeln!(out, "{}", text::fitted(&line, width, 4))?;
    }
    Ok(())
}
