//! `codex-trace doctor`

use std::io::Write;

use codex_rollout::{Encoding, discover};
use serde_json::{Value, json};

use crate::args::DoctorArgs;
use crate::commands::upload::unknown;
use crate::config;
use crate::exit::ExitStatus;
use crate::exporters::{self, BACKENDS, Backend, describe::without_password};
use crate::failure::Failure;
use crate::ledger::Ledger;
use crate::text;
use crate::ui::Ui;

/// Says what was found where; sends nothing, writes nothing.
///
/// # Errors
///
/// If a backend is not known, or stdout cannot be written to.
pub fn run(args: &DoctorArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    let mut backends = Vec::new();
    for name in &args.to {
        let known = BACKENDS.iter().find(|backend| backend.name == name);
        backends.push(*known.ok_or_else(|| unknown(name))?);
    }
    let named = !backends.is_empty();
    if !named {
        backends.extend(BACKENDS);
    }
    let history = history(ui);
    let ledger = ledger(args, ui);
    let reports: Vec<Value> = backends.iter().map(|backend| report(backend, ui)).collect();
    let is_ok = |report: &&Value| report["usable"] == true;
    let mut asked = vec![&history];
    asked.extend(reports.iter().filter(|_| named));
    let n = asked.iter().copied().filter(is_ok).count();
    let all = n == asked.len() && is_ok(&&ledger);

    let mut out = ui.out();
    for report in [&history, &ledger].into_iter().chain(&reports) {
        if args.json {
            writeln!(out, "{report}")?;
        } else {
            write_text(report, &mut out)?;
        }
    }
    out.flush()?;
    Ok(match (all, n) {
        (true, _) => ExitStatus::Complete,
        (false, 0) => ExitStatus::Failed,
        (false, _) => ExitStatus::Partial,
    })
}

fn history(ui: &Ui) -> Value {
    let settings = ui.settings();
    let Some(home) = &settings.codex_home else {
        return json!({"type": "history", "usable": false, "problems": ["there is no home directory"],
            "hint": "set CODEX_HOME or give `--codex-home DIR`"});
    };
    let (mut sessions, mut archived, mut compressed) = (0, 0, 0);
    let mut problems = Vec::new();
    for found in discover(home) {
        match found {
            Ok(rollout) => {
                *(if rollout.archived { &mut archived } else { &mut sessions }) += 1;
                compressed += usize::from(rollout.encoding != Encoding::Plain);
            }
            Err(err) => problems.push(err.to_string()),
        }
    }
    let usable = sessions + archived > 0;
    if !usable && problems.is_empty() {
        problems.push("no rollouts there".to_owned());
    }
    json!({"type": "history", "usable": usable, "path": home.display().to_string(),
        "from": settings.codex_home_from, "sessions": sessions, "archived": archived,
        "compressed": compressed, "problems": problems,
        "hint": (!usable).then_some("set CODEX_HOME or give `--codex-home DIR`")})
}

fn ledger(args: &DoctorArgs, ui: &Ui) -> Value {
    let bad = |path: Option<String>, failure: &Failure| {
        json!({"type": "ledger", "usable": false, "path": path,
            "problems": [failure.to_string()], "hint": failure.hint_line()})
    };
    let dir = match config::state_dir(args.state_dir.as_deref(), ui.settings()) {
        Ok(dir) => dir,
        Err(failure) => return bad(None, &failure),
    };
    let path = dir.join("ledger.db").display().to_string();
    match Ledger::open_existing(&dir) {
        Ok(ledger) => json!({"type": "ledger", "usable": true, "path": path,
            "exists": ledger.is_some(), "schema": ledger.map(|_| crate::ledger::SCHEMA)}),
        Err(failure) => bad(Some(path), &failure),
    }
}

fn report(backend: &Backend, ui: &Ui) -> Value {
    let own = ui.settings();
    let settings = exporters::Settings {
        env: own.vars.clone(),
        codex_home: own.codex_home.clone(),
        home: own.home.clone(),
        cwd: own.cwd.clone(),
        ..exporters::Settings::default()
    };
    let description = backend.description(&settings);
    let mut problems: Vec<_> =
        description.problems.iter().map(|problem| without_password(problem)).collect();
    let found: Vec<_> = description
        .found
        .iter()
        .map(|it| json!({"name": it.name, "value": without_password(&it.value), "from": it.from}))
        .collect();
    let (usable, destinations, hint) = match (backend.connect)(&settings) {
        Ok(exporters) => {
            let names = exporters.iter().map(|it| without_password(&it.contract().destination));
            (true, names.collect(), None)
        }
        Err(err) => {
            problems.insert(0, without_password(&err.message));
            (false, Vec::new(), err.hint)
        }
    };
    json!({"type": "backend", "name": backend.name, "usable": usable,
        "destinations": destinations, "settings": found, "problems": problems, "hint": hint})
}

fn write_text(report: &Value, out: &mut impl Write) -> std::io::Result<()> {
    let word = |key: &str| text::escape(report[key].as_str().unwrap_or_default()).into_owned();
    let list = |key: &str| report[key].as_array().cloned().unwrap_or_default();
    let name = if report["type"] == "backend" { word("name") } else { word("type") };
    let state = if report["usable"] == true { "ok" } else { "not usable" };
    let about = match &*name {
        "history" if report["path"].is_string() => format!(
            "{} ({}): {} sessions, {} archived, {} compressed",
            word("path"),
            word("from"),
            report["sessions"],
            report["archived"],
            report["compressed"]
        ),
        "ledger" if report["exists"] == true => {
            format!("{} (schema {})", word("path"), report["schema"])
        }
        "ledger" if report["exists"] == false => format!("{} (none yet)", word("path")),
        _ => word("path"),
    };
    writeln!(out, "{}", format!("{name:<10} {state:<10}  {about}").trim_end())?;
    let mut line = |head: &str, text: &str| writeln!(out, "  {head:<10} {}", text::escape(text));
    for it in list("destinations") {
        line("to", it.as_str().unwrap_or_default())?;
    }
    for it in list("settings") {
        let part = |key: &str| it[key].as_str().unwrap_or_default();
        line("setting", &format!("{} = {}  ({})", part("name"), part("value"), part("from")))?;
    }
    for it in list("problems") {
        line("problem", it.as_str().unwrap_or_default())?;
    }
    if let Some(hint) = report["hint"].as_str() {
        line("hint", hint)?;
    }
    Ok(())
}
