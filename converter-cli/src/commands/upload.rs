//! `codex-trace upload`

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use codex_trace_model::{SessionGroup, SignedDuration, Timestamp};

use crate::args::{RedactArgs, UploadArgs};
use crate::config::{Content, Selection, UploadSettings};
use crate::content::ContentRules;
use crate::delivery::{self, DeadLetters, Destination, Options, Run};
use crate::exit::ExitStatus;
use crate::exporters::{self, BACKENDS};
use crate::failure::Failure;
use crate::history::History;
use crate::ledger::Ledger;
use crate::redact::Redactor;
use crate::transport::{Discard, Http, RequestDir, Transport};
use crate::ui::Ui;
use crate::{history, interrupt, lock, pipeline};

/// Uploads sessions to destinations.
///
/// # Errors
///
/// If nothing can be read, a setting makes no sense, or the ledger cannot be
/// used.
pub fn run(args: &UploadArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    let settings = ui.settings();
    let upload = UploadSettings::resolve(args, settings)?;
    let selection = Selection::resolve(&args.select, settings.now)?;
    let rules = rules(args)?;
    let destinations = connect(args, &upload, ui)?;
    let pool = pipeline::pool(settings.jobs)?;
    let history = history::find(&selection, ui, &pool)?;
    drop(pool);
    let interrupted = interrupt::flag();
    let ledger = if upload.dry_run {
        Ledger::open_existing(&upload.state_dir)?
    } else {
        Some(Ledger::open(&upload.state_dir)?)
    };
    let Some(_locks) = lock_all(&upload, &destinations, &interrupted, ui)? else {
        return Ok(ExitStatus::Interrupted);
    };
    let options = options(args, &upload, ui);
    tell_of_age(&history, &destinations, args, ui);
    let dead_letters = DeadLetters::within(&upload.state_dir);
    ui.start("uploading", history.sessions.len() * destinations.len());
    let run = Run {
        history: &history,
        wanted: &|trace| selection.takes(trace),
        rules: &rules,
        ledger: ledger.as_ref(),
        dead_letters: &dead_letters,
        options: &options,
        interrupted: &interrupted,
        step: &|| ui.step(),
    };
    let accounts = delivery::run(&run, destinations)?;
    ui.stop();
    for account in &accounts {
        let dead_letters = dead_letters.path(&account.name).display().to_string();
        account.tell(upload.dry_run, &dead_letters, ui);
    }
    Ok(delivery::status(&accounts, interrupted.load(Ordering::Relaxed), args.strict))
}

/// Connects every backend named; sends nothing.
fn connect(
    args: &UploadArgs,
    upload: &UploadSettings,
    ui: &Ui,
) -> anyhow::Result<Vec<Destination>> {
    let settings = ui.settings();
    let given = exporters::Settings {
        endpoint: args.endpoint.clone(),
        project: args.project.clone(),
        options: options_of(args),
        env: settings.vars.clone(),
        codex_home: settings.codex_home.clone(),
        home: settings.home.clone(),
        cwd: settings.cwd.clone(),
    };
    let mut destinations = Vec::new();
    for name in &args.to {
        let backend = BACKENDS.iter().find(|backend| backend.name == name);
        let backend = backend.ok_or_else(|| unknown(name))?;
        let exporters = (backend.connect)(&given).map_err(|err| {
            let failure = Failure::new(format!("{name}: {}", err.message));
            err.hint.map_or_else(
                || Failure::new(format!("{name}: {}", err.message)),
                |hint| failure.hint(hint),
            )
        })?;
        let n = exporters.len();
        for (nth, exporter) in exporters.into_iter().enumerate() {
            let name = if n == 1 { name.clone() } else { format!("{name}#{}", nth + 1) };
            let transport = transport(upload, &name)?;
            destinations.push(Destination { name, exporter, transport });
        }
    }
    Ok(destinations)
}

/// The flags that are for backends to make sense of.
fn options_of(args: &UploadArgs) -> BTreeMap<String, String> {
    let otlp = args.otlp;
    let flags = [
        ("assume_backfill_allowed", args.assume_backfill_allowed.then(|| "true".to_owned())),
        ("no_sidecar", args.no_sidecar.then(|| "true".to_owned())),
        ("semconv", otlp.semconv.map(|it| it.word().to_owned())),
        ("llm-input", otlp.llm_input.map(|it| it.word().to_owned())),
    ];
    flags.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// Says, before anything is sent, which sessions a destination would refuse for
/// their age, and what can be done about it.
fn tell_of_age(history: &History, destinations: &[Destination], args: &UploadArgs, ui: &Ui) {
    if args.time_shift {
        return;
    }
    for destination in destinations {
        let Some(max_age) = destination.exporter.contract().max_age else { continue };
        let Ok(max_age) = SignedDuration::try_from(max_age) else { continue };
        let is_old = |session: &&SessionGroup| {
            let created = session.members.iter().filter_map(|member| {
                history.heads[member.head].created.as_ref()?.parse::<Timestamp>().ok()
            });
            created.min().is_some_and(|at| ui.settings().now.duration_since(at) > max_age)
        };
        let n = history.sessions.iter().filter(is_old).count();
        if n == 0 {
            continue;
        }
        let (hours, of, name) = (max_age.as_hours(), history.sessions.len(), &destination.name);
        ui.warn(format!(
            "{name}: {n} of {of} sessions began more than {hours} hours ago; it takes nothing older, so their older turns will not be sent"
        ));
        ui.hint(
            "there are three ways out: a self-hosted server (`--endpoint`), an organisation that the vendor lets backfill (`--assume-backfill-allowed`), moving old sessions to now (`--time-shift`)",
        );
    }
}

/// Says which backends there are.
pub fn unknown(name: &str) -> Failure {
    let known: Vec<_> = BACKENDS.iter().map(|backend| backend.name).collect();
    Failure::new(format!("no backend `{name}`")).hint(format!("there are: {}", known.join(", ")))
}

fn transport(upload: &UploadSettings, name: &str) -> anyhow::Result<Box<dyn Transport>> {
    Ok(match (&upload.dry_run_dir, upload.dry_run) {
        (Some(dir), _) => {
            let dir = dir.join(name);
            let made = RequestDir::create(&dir);
            Box::new(made.with_context(|| format!("cannot write to `{}`", dir.display()))?)
        }
        (None, true) => Box::new(Discard),
        (None, false) => Box::new(Http::new(upload.senders, upload.timeout)),
    })
}

/// Locks all destinations, always in the same order; `None` if interrupted.
fn lock_all(
    upload: &UploadSettings,
    destinations: &[Destination],
    interrupted: &AtomicBool,
    ui: &Ui,
) -> Result<Option<Vec<File>>, Failure> {
    if upload.dry_run {
        return Ok(Some(Vec::new()));
    }
    let mut names: Vec<&str> =
        destinations.iter().map(|it| it.exporter.contract().destination.as_str()).collect();
    names.sort_unstable();
    let n = names.len();
    names.dedup();
    if names.len() < n {
        return Err(Failure::new("the same destination is named twice"));
    }
    let mut locks = Vec::new();
    for name in names {
        let waiting = || ui.say(format!("waiting for another upload to {name}"));
        match lock::hold(&upload.state_dir, name, interrupted, waiting)? {
            Some(file) => locks.push(file),
            None => return Ok(None),
        }
    }
    Ok(Some(locks))
}

fn options(args: &UploadArgs, upload: &UploadSettings, ui: &Ui) -> Options {
    let settings = ui.settings();
    Options {
        jobs: settings.jobs,
        senders: upload.senders,
        max_memory: upload.max_memory,
        settle: upload.settle,
        force: args.force,
        dry_run: upload.dry_run,
        time_shift: args.time_shift,
        retry: upload.retry,
        now: settings.now,
        compressions: upload.compressions.clone(),
        encoding: format!(
            "{} {:?} {:?} {:?} {} {} {:?}",
            env!("CARGO_PKG_VERSION"),
            args.capture,
            args.redact,
            args.content,
            args.time_shift,
            args.assume_backfill_allowed,
            args.otlp
        ),
    }
}

fn rules(args: &UploadArgs) -> anyhow::Result<ContentRules> {
    let redactor = redactor(&args.redact, true)?;
    Ok(ContentRules::new(args.capture, redactor, Content::from(args.content)))
}

/// Makes the redactor asked for, if there is to be one.
///
/// # Errors
///
/// If a rule cannot be read.
pub fn redactor(args: &RedactArgs, by_default: bool) -> anyhow::Result<Option<Redactor>> {
    let named = !args.redact_pattern.is_empty() || args.redact_rules.is_some();
    if !(args.redact || named || by_default && !args.no_redact) {
        return Ok(None);
    }
    let mut redactor = Redactor::default();
    for rule in &args.redact_pattern {
        redactor.add(rule)?;
    }
    if let Some(path) = &args.redact_rules {
        redactor.add_file(&read(path)?)?;
    }
    Ok(Some(redactor))
}

fn read(path: &PathBuf) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}
