use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Redaction, Table};
use crate::destinations::Given;
use codex_trace_deliver::transport::Compression;
use codex_trace_export::choice::Choice;
use codex_trace_export::content::Capture;
use codex_trace_export::describe::Description;
use codex_trace_export::options::common::{
    CAPTURE, COMPRESSION, REDACT, REDACT_PATTERNS, REDACT_RULES, SENDERS, TIME_SHIFT, TIMEOUT,
};
use codex_trace_export::options::{self, Flag, Opt, OptionSet, OptionSpec, OptionValue, Value};
use codex_trace_export::{Backend, Origin, Said};
use codex_trace_history::failure::Failure;

/// The most requests that may be under way at once.
const MOST_SENDERS: usize = 128;

/// How many requests are under way at once, where nobody says.
const USUAL_SENDERS: u64 = 4;

/// How a destination is to be written to: what flags and its table of
/// `codex-trace.toml` say of content and limits.
#[derive(Clone, Copy, Debug)]
pub struct Manner<'g> {
    pub(super) given: Given<'g>,
    pub(super) own: Option<(&'g str, &'g Table)>,
}

impl<'g> Manner<'g> {
    /// What flags say of destinations that have no table.
    pub fn of_flags(given: Given<'g>) -> Manner<'g> {
        Manner { given, own: None }
    }

    pub(super) fn table(&self) -> Option<&'g Table> {
        self.own.map(|(_, table)| table)
    }

    /// Says where a key of the table is.
    pub(super) fn origin(&self, key: &str) -> Origin {
        Origin::table(self.given.file.origin(self.own.map_or("", |(name, _)| name), key))
    }

    /// Makes a path of the table absolute.
    pub(super) fn path(&self, path: &std::path::Path) -> PathBuf {
        self.given.file.home(self.given.settings).path(path)
    }

    /// Returns what a flag or the table says of an option: a flag is stronger.
    pub fn get<T: OptionValue>(&self, option: &Opt<T>) -> Option<Said<T>> {
        let said = self.value(&option.spec)?.ok()?;
        Some(Said::new(T::from_value(&said.value)?, said.from))
    }

    /// As [`get`](Self::get), of an option whose type is not known here.
    fn value(&self, spec: &OptionSpec) -> Option<Result<Said<Value>, String>> {
        let place = self.given.place.options.value(spec);
        let upload = self.given.upload;
        let flag = place
            .or_else(|| upload.and_then(|it| it.options.value(spec)))
            .or_else(|| upload.and_then(|it| it.redact.value(spec)));
        if let Some(value) = flag {
            let from = Origin::flag(format!("--{}", spec.flag.map_or("", Flag::name)));
            return Some(value.map(|value| Said::new(value, from)));
        }
        let value = self.table()?.value(spec)?.clone();
        Some(Ok(Said::new(value, self.origin(spec.name()))))
    }

    /// Returns the options of a backend that flags or the table set.
    ///
    /// # Errors
    ///
    /// If a flag has a value that is for other backends.
    pub fn options(&self, backend: &'static Backend) -> Result<OptionSet, Failure> {
        let mut all = OptionSet::default();
        for spec in options::of(backend.options) {
            match self.value(spec) {
                Some(Ok(said)) => all.put(spec, said),
                Some(Err(what)) => {
                    let flag = spec.flag.map_or("", Flag::name);
                    return Err(Failure::new(format!(
                        "`--{flag}` has no such value for `{}`",
                        backend.name
                    ))
                    .hint(what));
                }
                None => {}
            }
        }
        // Rules are there to be used, whatever the switch says.
        if self.redaction().redacts(true) {
            all = all.with(&REDACT, true);
        }
        Ok(all)
    }

    /// How many requests may be under way at once.
    ///
    /// # Errors
    ///
    /// If none.
    pub fn senders(&self) -> Result<Said<usize>, Failure> {
        let said = self.get(&SENDERS).unwrap_or_else(|| Said::by_default(USUAL_SENDERS));
        if said.value == 0 {
            return Err(Failure::new("`--senders` needs at least one"));
        }
        match usize::try_from(said.value).ok().filter(|senders| *senders <= MOST_SENDERS) {
            Some(senders) => Ok(Said::new(senders, said.from)),
            None => Err(Failure::new(format!("`senders` cannot be more than {MOST_SENDERS}"))
                .hint("other limits are reached before that")),
        }
    }

    /// Whether to move sessions that are too old.
    pub fn time_shift(&self) -> Said<bool> {
        self.get(&TIME_SHIFT).unwrap_or_else(|| Said::by_default(false))
    }

    /// Which compressions may be used.
    pub fn compressions(&self) -> Vec<Compression> {
        self.get(&COMPRESSION).map(|said| said.value).unwrap_or_default().allowed().to_vec()
    }

    /// How much content to send.
    pub fn capture(&self) -> Said<Capture> {
        self.get(&CAPTURE).unwrap_or_else(|| Said::by_default(Capture::default()))
    }

    /// What to redact. Patterns of flags come on top of the file's.
    pub fn redaction(&self) -> Redaction {
        let flags = self.given.upload.map(|it| Redaction::from(&it.redact)).unwrap_or_default();
        let Some(table) = self.table().filter(|_| flags.on != Some(false)) else { return flags };
        let patterns = table.get(&REDACT_PATTERNS).unwrap_or_default();
        let rules = table.get(&REDACT_RULES).map(|path| self.path(&path));
        Redaction {
            on: flags.on.or(table.get(&REDACT)),
            patterns: [patterns, flags.patterns].concat(),
            rules: flags.rules.or(rules),
        }
    }

    /// Says what of content is sent, and how fast.
    pub(super) fn describe(&self, all: &mut Description) {
        all.take(CAPTURE.name(), Some(self.capture()), |capture| capture.word().to_owned());
        let redact = self.get(&REDACT).unwrap_or_else(|| Said::by_default(true));
        all.take("redaction", Some(redact), |on| if *on { "on" } else { "off" }.to_owned());
        let rules = self.redaction();
        if !rules.patterns.is_empty() || rules.rules.is_some() {
            let n = rules.patterns.len();
            let file = rules.rules.map(|path| format!(" and `{}`", path.display()));
            let text = format!("{n} patterns{}", file.unwrap_or_default());
            let from = self.origin(REDACT_PATTERNS.name());
            all.text("redaction rules", Some(Said::new(text, from)));
        }
        let shift = Some(self.time_shift()).filter(|said| said.value);
        all.take(TIME_SHIFT.name(), shift, bool::to_string);
        all.take(SENDERS.name(), self.senders().ok(), usize::to_string);
        let seconds = |time: &Duration| format!("{} s", time.as_secs());
        all.take(TIMEOUT.name(), self.get(&TIMEOUT), seconds);
    }
}
