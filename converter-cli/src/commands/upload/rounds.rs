//! Uploads that are repeated: by `--watch`, and by the worker behind `hook`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use codex_trace_deliver::delivery::{self, Account, DeadLetters, Destination, Run};
use codex_trace_deliver::ledger::Ledger;
use codex_trace_export::options::OptionSet;
use codex_trace_history::failure::Failure;
use codex_trace_history::heads::HeadCache;
use codex_trace_history::history::{History, Named};
use codex_trace_history::pipeline;

use super::report::Report;
use super::{asked_for, followed, lock_all, own, tell_before};
use crate::args::UploadArgs;
use crate::config::{ConfigFile, UploadSettings, selection};
use crate::destinations::{self, Given, Manner, places};
use crate::ui::Ui;

/// One upload after the other, with the same arguments.
pub(crate) struct Rounds<'a> {
    cache: HeadCache,
    deliverer: Deliverer<'a>,
}

/// Delivers histories, several at once if need be.
#[derive(Clone)]
pub(crate) struct Deliverer<'a> {
    args: &'a UploadArgs,
    interrupted: Arc<AtomicBool>,
    told: Arc<AtomicBool>,
}

/// What became of a round.
pub(crate) struct Outcome {
    /// What became of each destination; those that cannot be used are down.
    pub(crate) accounts: Vec<Account>,
    /// The names of all destinations, also of those that were left out.
    pub(crate) names: Vec<String>,
}

impl<'a> Rounds<'a> {
    /// Begins; Ctrl-C and a request to terminate end it in an orderly way.
    pub(crate) fn new(args: &'a UploadArgs, interrupted: Arc<AtomicBool>) -> Rounds<'a> {
        let told = Arc::default();
        let deliverer = Deliverer { args, interrupted, told };
        Rounds { cache: HeadCache::default(), deliverer }
    }

    /// Looks what sessions there are now; reads only what has changed since the
    /// last time.
    ///
    /// # Errors
    ///
    /// If there is nothing, or something named is not there.
    pub(crate) fn look(&mut self, ui: &Ui) -> anyhow::Result<History> {
        let selection = selection(&self.deliverer.args.select, ui.settings())?;
        let named = Named::sort(&selection, ui)?;
        let pool = pipeline::pool(ui.settings().jobs)?;
        Ok(named.find_again(&selection, ui, &pool, &mut self.cache)?)
    }

    /// Returns which files have changed between the last two looks.
    pub(crate) fn cache(&self) -> &HeadCache {
        &self.cache
    }

    /// Returns who delivers.
    pub(crate) fn deliverer(&self) -> Deliverer<'a> {
        self.deliverer.clone()
    }

    /// Returns what is named as destinations, each of which may have several
    /// places.
    ///
    /// # Errors
    ///
    /// If nothing is, or a setting makes no sense.
    pub(crate) fn names(&self, ui: &Ui) -> anyhow::Result<Vec<String>> {
        let (args, settings) = (self.deliverer.args, ui.settings());
        let file = ConfigFile::find(args.place.config.as_deref(), settings)?;
        let given = Given { place: &args.place, upload: Some(args), file: &file, settings };
        Ok(asked_for(given)?.into_iter().map(|named| named.name).collect())
    }
}

impl Deliverer<'_> {
    /// Delivers a history to all destinations, or to the one that is named, but to
    /// none of the places that are `left_out`, by their names; `None` if
    /// interrupted before.
    ///
    /// # Errors
    ///
    /// If no destination is named, a setting makes no sense, or the ledger cannot
    /// be used.
    pub(crate) fn deliver(
        &self,
        history: &History,
        to: Option<&str>,
        left_out: &dyn Fn(&str) -> bool,
        ui: &Ui,
    ) -> anyhow::Result<Option<Outcome>> {
        let (args, settings) = (self.args, ui.settings());
        let mut upload = UploadSettings::resolve(args, settings)?;
        let selection = selection(&args.select, settings)?;
        let file = ConfigFile::find(args.place.config.as_deref(), settings)?;
        let given = Given { place: &args.place, upload: Some(args), file: &file, settings };
        let all = asked_for(given)?;
        if to.is_some() {
            // The others have their shares at the same time.
            upload.max_memory /= all.len();
        }
        let by_flags = own(args, &upload, &Manner::of_flags(given), &OptionSet::default(), ui)?;
        let tells = !self.told.swap(true, Ordering::Relaxed);
        let (destinations, mut failed) = connect(args, &upload, (&all, to), history, (ui, tells))?;
        let mut names: Vec<String> = destinations.iter().map(|it| it.name.clone()).collect();
        names.extend(failed.iter().map(|it| it.name.clone()));
        let destinations: Vec<_> =
            destinations.into_iter().filter(|it| !left_out(&it.name)).collect();
        failed.retain(|it| !left_out(&it.name));
        let ledger = Ledger::open(&upload.state_dir)?;
        let Some(_locks) = lock_all(&upload, &destinations, &self.interrupted, ui)? else {
            return Ok(None);
        };
        if tells {
            tell_before(history, &destinations, Some(&ledger), args, ui)?;
        }
        let dead_letters = DeadLetters::within(&upload.state_dir);
        let run = Run {
            history,
            wanted: &|trace| selection.takes(trace),
            rules: &by_flags.rules,
            ledger: Some(&ledger),
            dead_letters: &dead_letters,
            options: &by_flags.options,
            interrupted: &self.interrupted,
            progress: &Arc::default(),
            notice: &|text| ui.warn(text),
        };
        let mut accounts = delivery::run(&run, destinations)?;
        accounts.append(&mut failed);
        let report = Report { upload: &upload, dead_letters: &dead_letters };
        let worth_telling = |it: &&Account| it.turns() > 0 || !it.is_complete();
        accounts.iter().filter(worth_telling).for_each(|it| report.tell(it, ui));
        if args.json {
            report.write_all(&accounts, ui)?;
        }
        Ok(Some(Outcome { accounts, names }))
    }
}

/// Connects every destination by itself: one that cannot be used keeps nobody
/// from the others.
fn connect(
    args: &UploadArgs,
    upload: &UploadSettings,
    (all, to): (&[destinations::Named<'_>], Option<&str>),
    history: &History,
    (ui, tells): (&Ui, bool),
) -> anyhow::Result<(Vec<Destination>, Vec<Account>)> {
    let (mut connected, mut down) = (Vec::new(), Vec::new());
    for named in all {
        match super::connect(args, upload, named, None, ui) {
            Ok(places) => connected.extend(places.into_iter().map(|it| (named, it))),
            Err(err) => down.push(failed(&named.name, &err)),
        }
    }
    places::check(connected.iter().map(|(_, it)| it))?;
    let is_meant = |name: &str| to.is_none_or(|to| to == name);
    connected.retain(|(named, _)| is_meant(&named.name));
    down.retain(|account: &Account| is_meant(&account.name));
    Ok((followed(args, upload, connected, history, (ui, tells))?, down))
}

/// The account of a destination that cannot be used.
fn failed(name: &str, err: &anyhow::Error) -> Account {
    let hint = err.downcast_ref::<Failure>().and_then(Failure::hint_line).map(str::to_owned);
    let reason = format!("{err:#}");
    let reason = reason.strip_prefix(&format!("{name}: ")).unwrap_or(&reason).to_owned();
    Account { name: name.to_owned(), down: Some(reason), advice: hint, ..Account::default() }
}
