//! `codex-trace doctor`

mod connect;
mod hook;
mod report;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use codex_rollout::{Encoding, Found, RolloutHead, RolloutPath, search};
use codex_trace_history::passed::Passed;
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::args::DoctorArgs;
use crate::config::{self, ConfigFile};
use crate::destinations::{self, Given, Named};
use crate::exit::ExitStatus;
use crate::ui::Ui;
use codex_trace_deliver::ledger::{Ledger, Standing};
use codex_trace_export::Exporter;
use codex_trace_export::describe::Known;
use codex_trace_export::options;
use codex_trace_export::redact::Redactor;
use codex_trace_export::secret::without_password;
use codex_trace_history::failure::Failure;
use codex_trace_history::pipeline;

/// Says what was found where; writes nothing, and sends nothing unless asked to.
///
/// # Errors
///
/// If a destination is not known, or stdout cannot be written to.
pub fn run(args: &DoctorArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    let settings = ui.settings();
    let found = ConfigFile::find(args.place.config.as_deref(), settings);
    let (file, broken) = match found {
        Ok(file) => (file, None),
        Err(failure) => (ConfigFile::default(), Some(failure)),
    };
    let given = Given { place: &args.place, upload: None, file: &file, settings };
    let asked = !args.place.to.is_empty();
    let named = match (&broken, asked) {
        // Nobody knows what names mean.
        (Some(_), _) => Vec::new(),
        (None, true) => destinations::asked_for(given)?,
        (None, false) => destinations::all(given)?,
    };
    let (ledger, standings) = ledger(args, ui);
    let mut reports = vec![history(ui)?, ledger, config(&file, broken.as_ref())];
    reports.extend(hook::look(args, ui));
    let answers_for = reports.len();
    for named in &named {
        let mut report = destination(named, &standings);
        report["asked_for"] = json!(asked || file.destinations.contains_key(&named.name));
        if args.connect && report["usable"] == true && report["asked_for"] == true {
            connect::ask(named, &mut report);
        }
        reports.push(report);
    }

    let mut out = ui.out();
    for report in &reports {
        if args.json {
            writeln!(out, "{report}")?;
        } else {
            report::write(report, settings.verbose, &mut out)?;
        }
    }
    out.flush()?;
    if !args.json && !args.connect && !settings.quiet && asked_for_any(&reports) {
        ui.hint("`--connect` asks each destination whether it answers and accepts the key");
    }
    Ok(status(&reports, answers_for))
}

/// Whether a destination was asked for that could be asked something.
fn asked_for_any(reports: &[Value]) -> bool {
    reports.iter().any(|report| report["asked_for"] == true && report["usable"] == true)
}

/// 0 if all that counts can be used, 2 if neither the history nor a destination
/// can, 1 in between.
fn status(reports: &[Value], n_general: usize) -> ExitStatus {
    let is_ok = |report: &&Value| report["usable"] == true;
    let (general, destinations) = reports.split_at(n_general);
    let asked = || destinations.iter().filter(|report| report["asked_for"] == true);
    let all = general.iter().chain(asked()).all(|report| is_ok(&report));
    let some = is_ok(&&general[0]) || asked().any(|report| is_ok(&report));
    match (all, some) {
        (true, _) => ExitStatus::Complete,
        (false, true) => ExitStatus::Partial,
        (false, false) => ExitStatus::Failed,
    }
}

fn history(ui: &Ui) -> anyhow::Result<Value> {
    let settings = ui.settings();
    let hint = "set CODEX_HOME or give `--codex-home DIR`";
    let Some((home, others)) = settings.codex_homes.split_first() else {
        return Ok(json!({"type": "history", "usable": false,
            "problems": ["there is no home directory"], "hint": hint}));
    };
    let mut problems = Vec::new();
    let mut rollouts: Vec<RolloutPath> = Vec::new();
    let mut passed = Passed::default();
    for found in settings.codex_homes.iter().flat_map(|home| search(home)) {
        match found {
            Ok(Found::Rollout(rollout)) => rollouts.push(rollout),
            Ok(Found::PassedOver { path, why }) => passed.add(&path, why),
            Err(err) => problems.push(err.to_string()),
        }
    }
    let heads: Vec<_> = pipeline::pool(settings.jobs)?
        .install(|| rollouts.par_iter().map(RolloutHead::read).collect());
    let mut versions: BTreeMap<String, usize> = BTreeMap::new();
    // What is said here is what people put into reports of faults.
    let redactor = Redactor::default();
    for head in heads {
        match head {
            Ok(head) => {
                let version = head.cli_version.map(|it| redactor.text(&it).into_owned());
                *versions.entry(version.unwrap_or("unknown".to_owned())).or_default() += 1;
            }
            Err(err) => problems.push(err.to_string()),
        }
    }
    let archived = rollouts.iter().filter(|rollout| rollout.archived).count();
    let compressed = rollouts.iter().filter(|it| it.encoding != Encoding::Plain).count();
    let usable = !rollouts.is_empty();
    if let Some(home) = settings.codex_homes.iter().find(|home| !home.is_dir()) {
        problems = vec![match &others {
            [] => "there is no such directory".to_owned(),
            _ => format!("there is no such directory: `{}`", home.display()),
        }];
    } else if !usable && problems.is_empty() {
        problems.push("no rollouts there".to_owned());
    }
    let mut report = json!({"type": "history", "usable": usable, "path": home.display().to_string(),
        "from": settings.codex_homes_from, "rollouts": rollouts.len(),
        "archived": archived, "compressed": compressed, "versions": versions,
        "passed_over": counts_of(&passed),
        "problems": problems, "hint": (!usable).then_some(hint)});
    if !others.is_empty() {
        report["more_paths"] = others.iter().map(|home| home.display().to_string()).collect();
    }
    Ok(report)
}

fn ledger(args: &DoctorArgs, ui: &Ui) -> (Value, Vec<Standing>) {
    let bad = |path: Option<String>, failure: &Failure| {
        let report = json!({"type": "ledger", "usable": false, "path": path,
            "problems": [failure.to_string()], "hint": failure.hint_line()});
        (report, Vec::new())
    };
    let dir = match config::state_dir(args.place.state_dir.as_deref(), ui.settings()) {
        Ok(dir) => dir,
        Err(failure) => return bad(None, &failure),
    };
    let path = dir.join("ledger.db");
    let shown = path.display().to_string();
    let ledger = match Ledger::open_existing(&dir) {
        Ok(ledger) => ledger,
        Err(failure) => return bad(Some(shown), &failure),
    };
    let standings = match ledger.as_ref().map_or(Ok(Vec::new()), Ledger::standings) {
        Ok(standings) => standings,
        Err(failure) => return bad(Some(shown), &failure),
    };
    let mut problems = Vec::new();
    if let Some(problem) = not_writable(&dir) {
        problems.push(problem);
    }
    let sum = |f: fn(&Standing) -> u64| standings.iter().map(f).sum::<u64>();
    let report = json!({"type": "ledger", "usable": problems.is_empty(), "path": shown,
        "exists": ledger.is_some(), "schema": ledger.map(|_| codex_trace_deliver::ledger::SCHEMA),
        "bytes": path.metadata().ok().map(|metadata| metadata.len()),
        "destinations": standings.iter().map(|it| without_password(&it.destination)).collect::<Vec<_>>(),
        "sent": sum(|it| it.sent), "pending": sum(|it| it.pending), "failed": sum(|it| it.failed),
        "problems": problems,
        "hint": (!problems.is_empty()).then_some("make it writable, or name another with `--state-dir DIR`")});
    (report, standings)
}

/// Says why a directory cannot be written to, as far as its permissions tell;
/// one that is not there will be made.
fn not_writable(dir: &Path) -> Option<String> {
    let there = dir.ancestors().find(|dir| dir.exists())?;
    let metadata = there.metadata().ok()?;
    if !metadata.is_dir() {
        return Some(format!("`{}` is not a directory", there.display()));
    }
    let read_only = metadata.permissions().readonly();
    read_only.then(|| format!("`{}` cannot be written to", there.display()))
}

fn config(file: &ConfigFile, broken: Option<&Failure>) -> Value {
    let path = file.path.as_ref().map(|path| path.display().to_string());
    json!({"type": "config", "usable": broken.is_none(), "path": path, "exists": file.exists,
        "to": file.to, "destinations": file.destinations.keys().collect::<Vec<_>>(),
        "problems": broken.map(ToString::to_string).into_iter().collect::<Vec<_>>(),
        "hint": broken.and_then(Failure::hint_line)})
}

fn destination(named: &Named<'_>, standings: &[Standing]) -> Value {
    let description = named.describe();
    let setting = |it: &Known| json!({"name": it.name, "value": without_password(&it.value), "from": it.from});
    let settings: Vec<_> = description.found.iter().map(setting).collect();
    let unset = variables(named).into_iter();
    let unset = unset.filter(|(name, _)| named.settings.var(name).is_none());
    let unset: Vec<_> = unset.map(|(name, help)| json!({"name": name, "help": help})).collect();
    let (mut problems, mut hint) = (Vec::new(), None);
    let mut remarks: Vec<String> =
        description.remarks.iter().map(|remark| remark.message.clone()).collect();
    let mut places = Vec::new();
    for (_, exporter) in named.connect().iter().flatten() {
        places.push(place(&**exporter, standings));
        remarks.extend(exporter.remarks().iter().map(|remark| remark.message.clone()));
    }
    let faults = faults(named);
    for failure in &faults {
        let what = failure.to_string();
        let what = what.strip_prefix(&*format!("{}: ", named.name)).unwrap_or(&what);
        problems.push(without_password(what));
        problems.extend_from_slice(failure.detail_lines());
        hint = hint.or(failure.hint_line());
    }
    for problem in description.problems.iter().chain(&remarks) {
        let problem = without_password(problem);
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    json!({"type": "destination", "name": named.name, "backend": named.backend.name,
        "preset": named.settings.preset.map(|preset| preset.name),
        "usable": faults.is_empty(), "places": places, "settings": settings, "unset": unset,
        "problems": problems, "hint": hint})
}

/// Returns the variables that a destination reads: those of the product, if its
/// documents have no others.
fn variables(named: &Named<'_>) -> Vec<(&'static str, &'static str)> {
    let of_backend = || {
        options::of(named.backend.options)
            .flat_map(|spec| spec.env.iter().map(move |name| (*name, spec.help)))
    };
    match named.settings.preset {
        Some(preset) if preset.variables().next().is_some() => preset.variables().collect(),
        _ => of_backend().collect(),
    }
}

/// Returns why a destination cannot be used.
fn faults(named: &Named<'_>) -> Vec<Failure> {
    let mut faults = Vec::new();
    match named.connect() {
        Ok(exporters) => {
            let http = exporters.iter().map(|(_, exporter)| named.way(&**exporter));
            faults.extend(http.filter_map(Result::err));
        }
        Err(failure) => faults.push(failure),
    }
    if let Err(err) = named.manner().redaction().redactor(true) {
        faults.push(Failure::new(format!("{err:#}")));
    }
    faults
}

/// What the ledger has of a place.
fn place(exporter: &dyn Exporter, standings: &[Standing]) -> Value {
    let name = &exporter.contract().destination;
    let standing = standings.iter().find(|it| it.destination == *name);
    let count = |f: fn(&Standing) -> u64| standing.map_or(0, f);
    let signals: Vec<&str> = exporter.signals().iter().map(|signal| signal.word()).collect();
    json!({"destination": without_password(name), "signals": signals, "sent": count(|it| it.sent),
        "pending": count(|it| it.pending), "failed": count(|it| it.failed)})
}

fn counts_of(passed: &Passed) -> Value {
    Value::Object(passed.counts().map(|(why, count)| (why.to_string(), json!(count))).collect())
}
