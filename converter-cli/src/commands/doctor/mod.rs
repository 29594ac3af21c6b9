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

use crate::args::DoctorArgs;
use crate::config::{self, ConfigFile};
use crate::destinations::{self, Given, Named};
use crate::exit::ExitStatus;
use crate::ui::Ui;
use codex_trace_deliver::ledger::{Ledger, SCHEMA, Standing};
use codex_trace_export::Exporter;
use codex_trace_export::options;
use codex_trace_export::redact::Redactor;
use codex_trace_export::secret::without_password;
use codex_trace_history::failure::Failure;
use codex_trace_history::pipeline;

use report::{
    About, Config, Contents, Destination, History, LedgerFile, Place, Report, Setting, Turns,
    Variable,
};

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
        let is_asked_for = asked || file.destinations.contains_key(&named.name);
        let mut report = destination(named, &standings, is_asked_for);
        if args.connect && report.usable && is_asked_for {
            connect::ask(named, &mut report);
        }
        reports.push(report);
    }

    let mut out = ui.out();
    for report in &reports {
        if args.json {
            writeln!(out, "{}", serde_json::to_string(report)?)?;
        } else {
            let width = settings.stdout_is_terminal.then_some(settings.width);
            report.write(settings.verbose, width, &mut out)?;
        }
    }
    out.flush()?;
    if !args.json && !args.connect && !settings.quiet && asked_for_any(&reports) {
        ui.hint("`--connect` asks each destination whether it answers and accepts the key");
    }
    Ok(status(&reports, answers_for))
}

/// Whether a destination was asked for that could be asked something.
fn asked_for_any(reports: &[Report]) -> bool {
    reports.iter().any(|report| report.is_asked_for() && report.usable)
}

/// 0 if all that counts can be used, 2 if neither the history nor a destination
/// can, 1 in between.
fn status(reports: &[Report], n_general: usize) -> ExitStatus {
    let (general, destinations) = reports.split_at(n_general);
    let asked = || destinations.iter().filter(|report| report.is_asked_for());
    let all = general.iter().chain(asked()).all(|report| report.usable);
    let some = general[0].usable || asked().any(|report| report.usable);
    match (all, some) {
        (true, _) => ExitStatus::Complete,
        (false, true) => ExitStatus::Partial,
        (false, false) => ExitStatus::Failed,
    }
}

fn history(ui: &Ui) -> anyhow::Result<Report> {
    let settings = ui.settings();
    let homes = &settings.codex_homes;
    let mut problems = Vec::new();
    let mut rollouts: Vec<RolloutPath> = Vec::new();
    let mut passed = Passed::default();
    for found in homes.iter().flat_map(|home| search(home)) {
        match found {
            Ok(Found::Rollout(rollout)) => rollouts.push(rollout),
            Ok(Found::PassedOver { path, why }) => passed.add(&path, why),
            Err(err) => problems.push(err.to_string()),
        }
    }
    let versions = versions(&rollouts, settings.jobs, &mut problems)?;
    if homes.is_empty() {
        problems.push("there is no home directory".to_owned());
    } else if let Some(home) = homes.iter().find(|home| !home.is_dir()) {
        problems = vec![match homes.len() {
            1 => "there is no such directory".to_owned(),
            _ => format!("there is no such directory: `{}`", home.display()),
        }];
    } else if rollouts.is_empty() && problems.is_empty() {
        problems.push("no rollouts there".to_owned());
    }
    let usable = !rollouts.is_empty();
    let mut paths = homes.iter().map(|home| home.display().to_string());
    let about = History {
        path: paths.next(),
        more_paths: paths.collect(),
        from: settings.codex_homes_from,
        rollouts: rollouts.len(),
        archived: rollouts.iter().filter(|rollout| rollout.archived).count(),
        compressed: rollouts.iter().filter(|it| it.encoding != Encoding::Plain).count(),
        versions,
        passed_over: passed.counts().map(|(why, count)| (why.to_string(), count)).collect(),
    };
    let hint = (!usable).then(|| "set CODEX_HOME or give `--codex-home DIR`".to_owned());
    Ok(Report { about: About::History(about), usable, problems, hint })
}

/// Returns how many files each version of Codex wrote.
fn versions(
    rollouts: &[RolloutPath],
    jobs: usize,
    problems: &mut Vec<String>,
) -> anyhow::Result<BTreeMap<String, usize>> {
    let heads: Vec<_> =
        pipeline::pool(jobs)?.install(|| rollouts.par_iter().map(RolloutHead::read).collect());
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
    Ok(versions)
}

fn ledger(args: &DoctorArgs, ui: &Ui) -> (Report, Vec<Standing>) {
    let bad = |path: Option<String>, failure: &Failure| {
        let about = About::Ledger(LedgerFile { path, contents: None });
        let hint = failure.hint_line().map(str::to_owned);
        let problems = vec![failure.to_string()];
        (Report { about, usable: false, problems, hint }, Vec::new())
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
    let problems = Vec::from_iter(not_writable(&dir));
    let contents = Contents {
        exists: ledger.is_some(),
        schema: ledger.map(|_| SCHEMA),
        bytes: path.metadata().ok().map(|metadata| metadata.len()),
        destinations: standings.iter().map(|it| without_password(&it.destination)).collect(),
        turns: Turns::of(&standings),
    };
    let usable = problems.is_empty();
    let hint = "make it writable, or name another with `--state-dir DIR`";
    let hint = (!usable).then(|| hint.to_owned());
    let about = About::Ledger(LedgerFile { path: Some(shown), contents: Some(contents) });
    (Report { about, usable, problems, hint }, standings)
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

fn config(file: &ConfigFile, broken: Option<&Failure>) -> Report {
    Report {
        about: About::Config(Config {
            path: file.path.as_ref().map(|path| path.display().to_string()),
            exists: file.exists,
            to: file.to.clone(),
            destinations: file.destinations.keys().cloned().collect(),
        }),
        usable: broken.is_none(),
        problems: broken.map(ToString::to_string).into_iter().collect(),
        hint: broken.and_then(Failure::hint_line).map(str::to_owned),
    }
}

fn destination(named: &Named<'_>, standings: &[Standing], asked_for: bool) -> Report {
    let description = named.describe();
    let mut remarks: Vec<String> =
        description.remarks.iter().map(|remark| remark.message.clone()).collect();
    let mut places = Vec::new();
    for (_, exporter) in named.connect().iter().flatten() {
        places.push(place(&**exporter, standings));
        remarks.extend(exporter.remarks().iter().map(|remark| remark.message.clone()));
    }
    let (mut problems, mut hint) = (Vec::new(), None);
    let faults = faults(named);
    for failure in &faults {
        let what = failure.to_string();
        let what = what.strip_prefix(&*format!("{}: ", named.name)).unwrap_or(&what);
        problems.push(without_password(what));
        problems.extend_from_slice(failure.detail_lines());
        hint = hint.or(failure.hint_line().map(str::to_owned));
    }
    for problem in description.problems.iter().chain(&remarks) {
        let problem = without_password(problem);
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    let settings = description.found.into_iter().map(|it| Setting {
        value: without_password(&it.value),
        name: it.name,
        from: it.from,
    });
    let unset = variables(named).into_iter().map(|(name, help)| Variable { name, help });
    let unset = unset.filter(|it| named.settings.var(it.name).is_none());
    let about = Destination {
        name: named.name.clone(),
        backend: named.backend.name,
        preset: named.settings.preset.map(|preset| preset.name),
        asked_for,
        places,
        settings: settings.collect(),
        unset: unset.collect(),
        connect: None,
    };
    Report { about: About::Destination(about), usable: faults.is_empty(), problems, hint }
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
fn place(exporter: &dyn Exporter, standings: &[Standing]) -> Place {
    let name = &exporter.contract().destination;
    Place {
        destination: without_password(name),
        signals: exporter.signals().iter().map(|signal| signal.word()).collect(),
        turns: Turns::of(standings.iter().find(|it| it.destination == *name)),
    }
}
