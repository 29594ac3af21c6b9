use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::args::RedactArgs;
use crate::config::{Table, redacts};
use crate::destinations::Given;
use crate::failure::Failure;
use crate::transport::Compression;
use codex_trace_export::Origin;
use codex_trace_export::Said;
use codex_trace_export::choice::Choice;
use codex_trace_export::content::Capture;
use codex_trace_export::describe::Description;

/// The most requests that may be under way at once.
const MOST_SENDERS: usize = 128;

/// How many requests are under way at once, where nobody says.
const SENDERS: usize = 4;

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

    /// Returns whether there is a table.
    pub fn has_table(&self) -> bool {
        self.own.is_some()
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

    /// Says a flag, else a key of the file, else the default.
    pub(super) fn said<T>(
        &self,
        flag: (&str, Option<T>),
        key: (&str, Option<T>),
        default: T,
    ) -> Said<T> {
        match (flag.1, key.1) {
            (Some(value), _) => Said::new(value, Origin::flag(flag.0)),
            (None, Some(value)) => Said::new(value, self.origin(key.0)),
            (None, None) => Said::by_default(default),
        }
    }

    /// Returns the options of the backend that flags or the table set.
    pub fn options(&self) -> BTreeMap<String, Said<String>> {
        let flags = self.given.upload;
        let table = self.table().cloned().unwrap_or_default();
        let yes = |flag: bool| flag.then(|| "true".to_owned());
        let word = |word: &str| word.to_owned();
        #[rustfmt::skip]
        let options = [
            ("semconv", "semconv",
             flags.and_then(|it| it.otlp.semconv).map(|it| word(it.word())),
             table.semconv.map(|it| word(it.word()))),
            ("llm-input", "llm_input",
             flags.and_then(|it| it.otlp.llm_input).map(|it| word(it.word())),
             table.llm_input.map(|it| word(it.word()))),
            ("compression", "compression",
             flags.and_then(|it| it.compress).map(|it| word(it.word())),
             table.compression.map(|it| word(it.word()))),
            ("protocol", "protocol", None, table.protocol),
            ("llm-input-bytes", "llm_input_bytes", None, table.llm_input_bytes.map(|n| n.to_string())),
            ("field-bytes", "field_bytes", None, table.field_bytes.map(|n| n.to_string())),
            ("assume_backfill_allowed", "assume_backfill_allowed",
             flags.and_then(|it| yes(it.assume_backfill_allowed)),
             table.assume_backfill_allowed.map(|it| it.to_string())),
            ("no-redact", "redact", yes(!redacts(&self.redact(), true)), None),
            ("own_ids", "own_ids", None, table.own_ids.map(|it| it.to_string())),
            ("include_disabled", "include_disabled",
             flags.and_then(|it| yes(it.include_disabled)), None),
            ("no_sidecar", "sidecar",
             flags.and_then(|it| yes(it.no_sidecar)),
             table.sidecar.map(|it| (!it).to_string())),
        ];
        let mut all = BTreeMap::new();
        for (option, key, flag, of_table) in options {
            let flag_name = match option {
                "compression" => "--compress".to_owned(),
                _ => format!("--{}", option.replace('_', "-")),
            };
            let from = if flag.is_some() { Origin::flag(flag_name) } else { self.origin(key) };
            if let Some(value) = flag.or(of_table) {
                all.insert(option.to_owned(), Said::new(value, from));
            }
        }
        all
    }

    /// How many requests may be under way at once.
    ///
    /// # Errors
    ///
    /// If none.
    pub fn senders(&self) -> Result<Said<usize>, Failure> {
        let flag = self.given.upload.and_then(|it| it.senders);
        if flag == Some(0) {
            return Err(Failure::new("`--senders` needs at least one"));
        }
        let own = self.table().and_then(|table| table.senders);
        let said = self.said(("--senders", flag), ("senders", own), SENDERS);
        if said.value > MOST_SENDERS {
            return Err(Failure::new(format!("`senders` cannot be more than {MOST_SENDERS}"))
                .hint("a destination that takes more at once has another limit before"));
        }
        Ok(said)
    }

    /// Whether to move sessions that are too old.
    pub fn time_shift(&self) -> Said<bool> {
        let flag = self.given.upload.is_some_and(|it| it.time_shift).then_some(true);
        let own = self.table().and_then(|table| table.time_shift);
        self.said(("--time-shift", flag), ("time_shift", own), false)
    }

    /// Which compressions may be used.
    pub fn compressions(&self) -> Vec<Compression> {
        match self.options().get("compression").map(|said| &*said.value) {
            Some("gzip") => vec![Compression::Gzip],
            Some("zstd") => vec![Compression::Zstd],
            Some("none") => Vec::new(),
            _ => vec![Compression::Gzip, Compression::Zstd],
        }
    }

    /// How much content to send.
    pub fn capture(&self) -> Said<Capture> {
        let flag = self.given.upload.and_then(|it| it.capture);
        let own = self.table().and_then(|table| table.capture);
        self.said(("--capture", flag), ("capture", own), Capture::default())
    }

    /// What to redact. Patterns of flags come on top of the file's.
    pub fn redact(&self) -> RedactArgs {
        let mut args = self.given.upload.map(|it| it.redact.clone()).unwrap_or_default();
        let Some(table) = self.table().filter(|_| !args.no_redact) else { return args };
        args.redact |= table.redact == Some(true);
        args.no_redact = table.redact == Some(false) && !args.redact;
        args.redact_pattern = [table.redact_patterns.clone(), args.redact_pattern].concat();
        let rules = table.redact_rules.as_deref().map(|path| self.path(path));
        args.redact_rules = args.redact_rules.or(rules);
        args
    }

    /// Says what of content is sent, and how fast.
    pub(super) fn describe(&self, all: &mut Description) {
        all.take("capture", Some(self.capture()), |capture| capture.word().to_owned());
        let own = self.table().and_then(|table| table.redact);
        let flag = self.given.upload.and_then(|it| match (it.redact.redact, it.redact.no_redact) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        });
        let redact = self.said(("--[no-]redact", flag), ("redact", own), true);
        all.take("redaction", Some(redact), |on| if *on { "on" } else { "off" }.to_owned());
        let rules = self.redact();
        if !rules.redact_pattern.is_empty() || rules.redact_rules.is_some() {
            let n = rules.redact_pattern.len();
            let file = rules.redact_rules.map(|path| format!(" and `{}`", path.display()));
            let text = format!("{n} patterns{}", file.unwrap_or_default());
            all.text("redaction rules", Some(Said::new(text, self.origin("redact_patterns"))));
        }
        let shift = Some(self.time_shift()).filter(|said| said.value);
        all.take("time_shift", shift, bool::to_string);
        all.take("senders", self.senders().ok(), usize::to_string);
        let flag = self.given.place.timeout.clone();
        let flag = flag.map(|text| Said::new(text, Origin::flag("--timeout")));
        let own = self.table().and_then(|table| table.timeout);
        let own =
            own.map(|age| Said::new(format!("{} s", age.0.as_secs()), self.origin("timeout")));
        all.text("timeout", flag.or(own));
    }
}
