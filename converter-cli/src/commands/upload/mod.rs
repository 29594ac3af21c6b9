//! `codex-trace upload`

mod report;
mod rounds;
mod watch;

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use codex_trace_model::{SessionGroup, SignedDuration, Timestamp};

use crate::args::UploadArgs;
use crate::config::{ConfigFile, UploadSettings, selection};
use crate::destinations::{self, Given, Manner, places};
use crate::exit::ExitStatus;
use crate::ui::Ui;
use crate::{backends, exit, interrupt};
use codex_trace_deliver::delivery::{self, DeadLetters, Destination, Options, Own, Run};
use codex_trace_deliver::ledger::Ledger;
use codex_trace_deliver::lock;
use codex_trace_deliver::transport::{Discard, RequestDir, Transport};
use codex_trace_export::content::Content;
use codex_trace_export::content::ContentRules;
use codex_trace_export::options::common::TIME_SHIFT;
use codex_trace_export::options::{self, OptionSet, OptionSpec};
use codex_trace_export::{Choice, Exporter};
use codex_trace_history::failure::Failure;
use codex_trace_history::history::{History, Named};
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
    let named = Named::sort(&selection, ui)?;
    if let Some(dir) = &upload.dry_run_dir {
        named.searched(ui).spare(dir)?;
    }
    let destinations = connect(args, &upload, given, ui)?;
    let pool = pipeline::pool(settings.jobs)?;
    let history = named.find(&selection, ui, &pool)?;
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
    tell_before(&history, &destinations, ledger.as_ref(), args, ui)?;
    let dead_letters = DeadLetters::within(&upload.state_dir);
    ui.start("uploading", history.sessions.len() * destinations.len());
    let run = Run {
        history: &history,
        wanted: &|trace| selection.takes(trace),
        rules: &by_flags.rules,
        ledger: ledger.as_ref(),
        dead_letters: &dead_letters,
        options: &by_flags.options,
        interrupted: &interrupted,
        step: &|| ui.step(),
        notice: &|text| ui.warn(text),
    };
    let accounts = delivery::run(&run, destinations)?;
    ui.stop();
    let status = exit::of_upload(&accounts, interrupted.load(Ordering::Relaxed), args.strict);
    let report = Report { upload: &upload, dead_letters: &dead_letters };
    for account in &accounts {
        report.tell(account, ui);
    }
    if args.json {
        report.write_all(&accounts, ui)?;
    }
    Ok(status)
}

/// Connects every destination named; sends nothing.
fn connect(
    args: &UploadArgs,
    upload: &UploadSettings,
    given: Given<'_>,
    ui: &Ui,
) -> anyhow::Result<Vec<Destination>> {
    let named = destinations::asked_for(given)?;
    if named.is_empty() {
        return Err(none_named(given).into());
    }
    let mut destinations = Vec::new();
    for named in &named {
        destinations.extend(connect_one(args, upload, named, ui)?);
    }
    places::check(&destinations)?;
    Ok(destinations)
}

fn none_named(given: Given<'_>) -> Failure {
    let names = given.file.names_hint("");
    Failure::new("no destination is named")
        .hint(format!("name one with `--to`, or some in `to` of codex-trace.toml; {names}"))
}

/// Connects the places of one name; sends nothing.
fn connect_one(
    args: &UploadArgs,
    upload: &UploadSettings,
    named: &destinations::Named<'_>,
    ui: &Ui,
) -> anyhow::Result<Vec<Destination>> {
    let own = Arc::new(own(args, upload, &named.manner(), &named.settings.options, ui)?);
    let mut destinations = Vec::new();
    for (name, exporter) in named.connect()? {
        let transport = transport(upload, &name, named, &*exporter)?;
        let companion = backends::companion(named.backend.name, &named.settings);
        let own = Some(own.clone());
        destinations.push(Destination { name, exporter, companion, transport, own });
    }
    Ok(destinations)
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
            "{name}: {n} of {of} sessions began more than {hours} hours ago; it takes nothing older, so their older turns will not be sent"
        ));
        ui.hint(
            "there are three ways out: a self-hosted server (`--endpoint`), an organisation that the vendor lets backfill (`--assume-backfill-allowed`), moving old sessions to now (`--time-shift`)",
        );
    }
}

fn transport(
    upload: &UploadSettings,
    name: &str,
    named: &destinations::Named<'_>,
    exporter: &dyn Exporter,
) -> anyhow::Result<Box<dyn Transport>> {
    // A dry run fails where the run would: a certificate, a proxy.
    let http = named.http(exporter)?;
    let inner: Box<dyn Transport> = match (&upload.dry_run_dir, upload.dry_run) {
        (Some(dir), _) => {
            let dir = dir.join(name);
            let made = RequestDir::create(&dir);
            Box::new(made.with_context(|| format!("cannot write to `{}`", dir.display()))?)
        }
        (None, true) => Box::new(Discard),
        (None, false) => http,
    };
    Ok(named.dressed(inner))
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
        encoding,
    };
    let redactor = redaction.redactor(true)?;
    Ok(Own { rules: ContentRules::new(capture, redactor, Content::from(args.content)), options })
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
