//! `codex-trace upload --resend`

use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;

use crate::args::UploadArgs;
use crate::exit::ExitStatus;
use crate::text::count;
use crate::ui::Ui;
use codex_trace_deliver::delivery::{self, Destination, Resent, Run};
use codex_trace_export::json;
use codex_trace_export::secret::without_password;
use codex_trace_history::failure::Failure;

/// Sends what a directory holds to each destination again, and says what came of
/// it.
///
/// # Errors
///
/// If the directory cannot be read, or holds something else.
pub(super) fn run(
    args: &UploadArgs,
    dir: &Path,
    run: &Run<'_>,
    destinations: Vec<Destination>,
    ui: &Ui,
) -> anyhow::Result<ExitStatus> {
    let mut statuses = Vec::new();
    for mut destination in destinations {
        let own = destination.own.clone();
        let run = match &own {
            Some(own) => Run { options: &own.options, ..*run },
            None => *run,
        };
        let dir = dir.join(&destination.name);
        let resent = delivery::resend(&run, &mut destination, &dir).map_err(|what| {
            Failure::new(what).hint("name a directory that `--record` or `--dry-run` has made")
        })?;
        tell(&destination.name, &dir, &resent, ui);
        if args.json {
            let mut line = Vec::new();
            json::object(&mut line, |o| fields(&destination.name, &resent, o));
            line.push(b'\n');
            ui.out().write_all(&line)?;
        }
        statuses.push(status(&resent));
    }
    if run.interrupted.load(Ordering::Relaxed) {
        return Ok(ExitStatus::Interrupted);
    }
    let all = |status| statuses.iter().all(|it| *it == status);
    Ok(match () {
        () if all(ExitStatus::Complete) => ExitStatus::Complete,
        () if all(ExitStatus::Failed) => ExitStatus::Failed,
        () => ExitStatus::Partial,
    })
}

fn status(resent: &Resent) -> ExitStatus {
    match (resent.sent, &resent.down, resent.refused) {
        (_, None, 0) => ExitStatus::Complete,
        (0, ..) => ExitStatus::Failed,
        _ => ExitStatus::Partial,
    }
}

fn tell(name: &str, dir: &Path, resent: &Resent, ui: &Ui) {
    let Resent { sent, refused, left_out, unsent, why_refused, down } = resent;
    if let Some(why) = down {
        ui.error(format!("{name}: {}", without_password(why)));
    }
    if let Some(why) = why_refused {
        ui.error(format!("{name}: it did not accept everything: {}", without_password(why)));
    }
    if ui.settings().quiet {
        return;
    }
    let mut text = format!("sent {} of `{}` to {name}", count(*sent, "request"), dir.display());
    for (n, what) in [
        (*refused, "refused"),
        (*unsent, "not sent"),
        (*left_out, "left out, because they only asked something"),
    ] {
        if n > 0 {
            text.extend([", ", &n.to_string(), " ", what]);
        }
    }
    ui.say(text);
}

fn fields(name: &str, resent: &Resent, o: &mut json::Object<'_>) {
    o.put("type", "resent");
    o.put("name", name);
    o.put("sent", resent.sent);
    o.put("refused", resent.refused);
    o.put("left_out", resent.left_out);
    o.put("unsent", resent.unsent);
    let errors = resent.down.iter().chain(&resent.why_refused);
    let errors: Vec<String> = errors.map(|why| without_password(why)).collect();
    o.array("errors", &errors, json::Json::write);
}
