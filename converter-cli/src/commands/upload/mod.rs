//! `codex-trace upload`

mod progress;
mod report;
mod resend;
mod rounds;
mod watch;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use codex_trace_model::{SessionGroup, SignedDuration, Timestamp};

use crate::args::UploadArgs;
use crate::config::{ConfigFile, Settings, UploadSettings, selection, temp_dir};
use crate::destinations::{self, Given, Manner, Named, places, projects};
use crate::exit::ExitStatus;
use crate::ui::Ui;
use crate::{backends, exit, interrupt, nothing, redacted};
use codex_trace_deliver::delivery::{self, DeadLetters, Destination, Options, Own, Run, Takes};
use codex_trace_deliver::ledger::Ledger;
use codex_trace_deliver::lock;
use codex_trace_deliver::private;
use codex_trace_deliver::transport::{Discard, Recorder, RequestDir, Transport};
use codex_trace_export::content::Content;
use codex_trace_export::content::ContentRules;
use codex_trace_export::options::common::TIME_SHIFT;
use codex_trace_export::options::{self, OptionSet, OptionSpec};
use codex_trace_export::{Choice, Exporter};
use codex_trace_history::failure::Failure;
use codex_trace_history::history::{self, History};
use codex_trace_history::pipeline;

use report::Report;

pub(crate) use rounds::{Outcome, Rounds};

/// Uploads sessions to destinations.
///
/// # Errors
///
/// If nothing can be read, a setting makes no sense, or the ledger cannot be
/// used.
pub fn run(args: &UploadArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    if args.watch {
        return watch::run(args, ui);
    }
    let settings = ui.settings();
    let upload = UploadSettings::resolve(args, settings)?;
    let selection = selection(&args.select, settings)?;
    let file = ConfigFile::find(args.place.config.as_deref(), settings)?;
    let given = Given { place: &args.place, upload: Some(args), file: &file, settings };
    let by_flags = own(args, &upload, &Manner::of_flags(given), &OptionSet::default(), ui)?;
    if let Some(dir) = &args.resend {
        let asked = asked_for(given)?;
        let connected = connected(args, &upload, &asked, ui)?;
        let destinations = connected.into_iter().map(|(_, it)| it).collect();
        return send_again(args, &upload, dir, destinations, &by_flags, ui);
    }
    let named = history::Named::sort(&selection, ui)?;
    for dir in upload.dry_run_dir.iter().chain(&args.record) {
        named.searched(ui).spare(dir)?;
    }
    let asked = asked_for(given)?;
    let connected = connected(args, &upload, &asked, ui)?;
    let pool = pipeline::pool(settings.jobs)?;
    let history = named.find(&selection, ui, &pool)?;
    drop(pool);
    let destinations = followed(args, &upload, connected, &history, (ui, true))?;
    let interrupted = interrupt::flag(ui);
    let ledger = if upload.dry_run {
        Ledger::open_existing(&upload.state_dir)?
    } else {
        Some(Ledger::open(&upload.state_dir)?)
    };
    let Some(_locks) = lock_all(&upload, &destinations, &interrupted, ui)? else {
        return Ok(ExitStatus::Interrupted);
    };
    tell_before(&history, &destinations, ledger.as_ref(), args, ui)?;
    let dead_letters = DeadLetters::within(&upload.state_dir);
    let progress = Arc::default();
    progress::show(&progress, &interrupted, upload.dry_run, ui);
    let run = Run {
        history: &history,
        wanted: &|trace| selection.takes(trace),
        rules: &by_flags.rules,
        ledger: ledger.as_ref(),
        dead_letters: &dead_letters,
        options: &by_flags.options,
        interrupted: &interrupted,
        progress: &progress,
        notice: &|text| ui.warn(text),
    };
    let accounts = delivery::run(&run, destinations)?;
    ui.stop();
    let status = exit::of_upload(&accounts, interrupted.load(Ordering::Relaxed), args.strict);
    let report = Report { upload: &upload, dead_letters: &dead_letters };
    for account in &accounts {
        report.tell(account, ui);
    }
    if accounts.iter().any(report::found_nothing) {
        nothing::explain(&args.select, Vec::new(), &pipeline::pool(settings.jobs)?, ui)?;
    }
    if let Some(redactor) = by_flags.rules.redactor().filter(|_| ui.settings().verbose)
        && accounts.iter().any(|account| !account.redacted.is_empty())
    {
        redacted::tell_lines(redactor, &history, ui);
    }
    if args.json {
        report.write_all(&accounts, ui)?;
    }
    Ok(status)
}

/// Connects each of the destinations that are named.
fn connected<'n, 'g>(
    args: &UploadArgs,
    upload: &UploadSettings,
    asked: &'n [Named<'g>],
    ui: &Ui,
) -> anyhow::Result<Vec<(&'n Named<'g>, Destination)>> {
    let mut connected = Vec::new();
    for named in asked {
        connected.extend(connect(args, upload, named, None, ui)?.into_iter().map(|it| (named, it)));
    }
    places::check(connected.iter().map(|(_, it)| it))?;
    Ok(connected)
}

/// Returns the destinations that are named.
///
/// # Errors
///
/// If there is none.
fn asked_for(given: Given<'_>) -> anyhow::Result<Vec<Named<'_>>> {
    let asked = destinations::asked_for(given)?;
    if asked.is_empty() {
        let names = given.file.names_hint("");
        return Err(Failure::new("no destination is named")
            .hint(format!("name one with `--to`, or some in `to` of codex-trace.toml; {names}"))
            .into());
    }
    Ok(asked)
}

/// Says, before anything is sent, what people should know.
fn tell_before(
    history: &History,
    destinations: &[Destination],
    ledger: Option<&Ledger>,
    args: &UploadArgs,
    ui: &Ui,
) -> Result<(), Failure> {
    if let Some(ledger) = ledger {
        places::tell_of_others(destinations, &ledger.standings()?, ui);
    }
    tell_of_settings(destinations, ui);
    tell_of_age(history, destinations, args, ui);
    Ok(())
}

/// Connects every place of a destination; sends nothing. One that is one place
/// may go by another name.
fn connect(
    args: &UploadArgs,
    upload: &UploadSettings,
    named: &Named<'_>,
    rename: Option<&str>,
    ui: &Ui,
) -> anyhow::Result<Vec<Destination>> {
    let manner = named.manner();
    let mut destinations = Vec::new();
    for (name, exporter) in named.connect()? {
        let name = rename.map_or(name, str::to_owned);
        let transport = transport(args, upload, &name, named, &*exporter)?;
        let companion = backends::companion(named.backend.name, &named.settings);
        // Rules that count what they find for this place alone.
        let own = own(args, upload, &manner, &named.settings.options, ui)?;
        let (takes, own) = (Takes::default(), Some(Arc::new(own)));
        destinations.push(Destination { name, exporter, companion, takes, transport, own });
    }
    Ok(destinations)
}

/// Adds the destinations that the files of the sessions' own projects name; says
/// which files are not followed, if that is wanted.
fn followed(
    args: &UploadArgs,
    upload: &UploadSettings,
    connected: Vec<(&Named<'_>, Destination)>,
    history: &History,
    (ui, tells): (&Ui, bool),
) -> anyhow::Result<Vec<Destination>> {
    let of = |named: &Named<'_>| connected.iter().filter(|(it, _)| it.name == named.name).count();
    let alone: Vec<bool> = connected.iter().map(|(named, _)| of(named) == 1).collect();
    let mut destinations = Vec::new();
    for ((named, mut destination), alone) in connected.into_iter().zip(alone) {
        let again = |named: &Named<'_>, name: &str| {
            let mut all = connect(args, upload, named, Some(name), ui)?;
            all.pop().context("a destination has a place")
        };
        // Replicas are lists of the user's own.
        let more = if alone {
            projects::follow(&mut destination, named, history, again, tells.then_some(ui))?
        } else {
            Vec::new()
        };
        destinations.push(destination);
        destinations.extend(more);
    }
    Ok(destinations)
}

/// Says, before anything is sent, what is odd about the settings.
fn tell_of_settings(destinations: &[Destination], ui: &Ui) {
    for destination in destinations {
        for remark in destination.exporter.remarks() {
            ui.warn(format!("{}: {}", destination.name, remark.message));
            if let Some(hint) = &remark.hint {
                ui.hint(hint);
            }
        }
    }
}

/// Says, before anything is sent, which sessions a destination would refuse for
/// their age, and what can be done about it.
fn tell_of_age(history: &History, destinations: &[Destination], args: &UploadArgs, ui: &Ui) {
    for destination in destinations {
        let own = destination.own.as_ref().map(|own| own.options.time_shift);
        if own.unwrap_or(args.options.get(&TIME_SHIFT).unwrap_or_default()) {
            continue;
        }
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
            "{name}: {n} of {of} sessions began more than {hours} hours ago; it accepts nothing older, so older turns will not be sent"
        ));
        ui.hint(
            "there are three ways out: a self-hosted server (`--endpoint`), an organisation that may backfill (`--assume-backfill-allowed`), moving old sessions to the present (`--time-shift`)",
        );
    }
}

fn transport(
    args: &UploadArgs,
    upload: &UploadSettings,
    name: &str,
    named: &Named<'_>,
    exporter: &dyn Exporter,
) -> anyhow::Result<Box<dyn Transport>> {
    // A dry run fails where the run would: a certificate, a proxy.
    let http = named.way(exporter)?;
    let inner: Box<dyn Transport> = match (&upload.dry_run_dir, upload.dry_run) {
        (Some(dir), _) => Box::new(request_dir(dir, name)?),
        (None, true) => Box::new(Discard),
        (None, false) => match &args.record {
            Some(dir) => Box::new(Recorder::new(http, request_dir(dir, name)?)),
            None => http,
        },
    };
    Ok(named.dressed(inner))
}

fn request_dir(dir: &Path, name: &str) -> anyhow::Result<RequestDir> {
    let dir = dir.join(name);
    RequestDir::create(&dir).with_context(|| format!("cannot write to `{}`", dir.display()))
}

/// Sends what a directory holds, without a history.
fn send_again(
    args: &UploadArgs,
    upload: &UploadSettings,
    dir: &Path,
    destinations: Vec<Destination>,
    by_flags: &Own,
    ui: &Ui,
) -> anyhow::Result<ExitStatus> {
    let interrupted = interrupt::flag(ui);
    let state = &upload.state_dir;
    private::make_dir(state).with_context(|| format!("cannot make `{}`", state.display()))?;
    let Some(_locks) = lock_all(upload, &destinations, &interrupted, ui)? else {
        return Ok(ExitStatus::Interrupted);
    };
    tell_of_settings(&destinations, ui);
    let progress = Arc::default();
    progress::show(&progress, &interrupted, upload.dry_run, ui);
    let run = Run {
        history: &History::default(),
        wanted: &|_| true,
        rules: &by_flags.rules,
        ledger: None,
        dead_letters: &DeadLetters::within(&upload.state_dir),
        options: &by_flags.options,
        interrupted: &interrupted,
        progress: &progress,
        notice: &|text| ui.warn(text),
    };
    let status = resend::run(args, dir, &run, destinations, ui);
    ui.stop();
    status
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

/// How to deliver to a destination of this manner.
fn own(
    args: &UploadArgs,
    upload: &UploadSettings,
    manner: &Manner<'_>,
    values: &OptionSet,
    ui: &Ui,
) -> anyhow::Result<Own> {
    let settings = ui.settings();
    let (capture, redaction) = (manner.capture().value, manner.redaction());
    let encoding = encoding(args, manner, values);
    let options = Options {
        jobs: settings.jobs,
        senders: manner.senders()?.value,
        max_memory: upload.max_memory,
        settle: upload.settle,
        force: args.force,
        dry_run: upload.dry_run,
        time_shift: manner.time_shift().value,
        retry: upload.retry,
        now: settings.now,
        compressions: manner.compressions(),
        scratch: scratch(upload, settings),
        encoding,
    };
    let redactor = redaction.redactor(true)?;
    Ok(Own { rules: ContentRules::new(capture, redactor, Content::from(args.content)), options })
}

/// Returns where to put what does not fit into the memory. A dry run makes no
/// directory for it.
fn scratch(upload: &UploadSettings, settings: &Settings) -> PathBuf {
    if upload.dry_run && !upload.state_dir.is_dir() {
        return temp_dir(settings);
    }
    upload.state_dir.clone()
}

/// Says what the encoded bytes depend on beside the sessions: the words that
/// users give, so that only another choice makes unchanged files be read again.
fn encoding(args: &UploadArgs, manner: &Manner<'_>, values: &OptionSet) -> String {
    let redaction = manner.redaction();
    let mut said = vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("capture", manner.capture().value.word().to_owned()),
        ("redacts", redaction.redacts(true).to_string()),
        ("rules", redaction.rules.iter().map(|it| it.display().to_string()).collect()),
        ("encrypted", args.content.encrypted.to_string()),
        ("images", args.content.max_image_bytes.to_string()),
        ("shift", manner.time_shift().value.to_string()),
    ];
    said.extend(redaction.patterns.iter().map(|pattern| ("pattern", pattern.clone())));
    let of_all: Vec<&str> = options::common::all().map(OptionSpec::name).collect();
    let own = values.iter().filter(|(name, _)| !of_all.contains(name));
    said.extend(own.map(|(name, said)| (name, said.value.shown())));
    // Lengths tell where one ends, whatever is in it.
    let lines = said.iter().map(|(name, value)| format!("{name} {} {value}", value.len()));
    lines.collect::<Vec<_>>().join("\n")
}
