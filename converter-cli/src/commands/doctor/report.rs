//! What `doctor` says of each thing that it looks into: as types, for scripts
//! and for people.

use std::collections::BTreeMap;
use std::io::Write;

use codex_trace_deliver::ledger;
use serde::Serialize;

use crate::text;

/// How far lines are indented that go on with what is before them.
const INDENT: usize = 13;

/// What was found of one thing.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// What it is, and how it stands.
    #[serde(flatten)]
    pub about: About,
    /// Whether it can be used as it is.
    pub usable: bool,
    /// What is wrong with it, or should be known.
    pub problems: Vec<String>,
    /// What to do about the first of the problems.
    pub hint: Option<String>,
}

/// What a report is about.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum About {
    /// The rollouts.
    History(History),
    /// What was uploaded.
    Ledger(LedgerFile),
    /// `codex-trace.toml`.
    Config(Config),
    /// How Codex calls codex-trace.
    Hook(Hook),
    /// A destination.
    Destination(Destination),
}

/// The rollouts of all homes.
#[derive(Debug, Default, Serialize)]
pub(super) struct History {
    /// The first home; `None` if none is known.
    pub path: Option<String>,
    /// The other homes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub more_paths: Vec<String>,
    /// What named the homes.
    pub from: &'static str,
    /// How many files there are.
    pub rollouts: usize,
    /// How many of them are in the archive.
    pub archived: usize,
    /// How many of them are compressed.
    pub compressed: usize,
    /// How many files each version of Codex wrote.
    pub versions: BTreeMap<String, usize>,
    /// How much was not looked into, by the reason.
    pub passed_over: BTreeMap<String, usize>,
}

/// The file that knows what was uploaded.
#[derive(Debug, Default, Serialize)]
pub(super) struct LedgerFile {
    /// Where it is; `None` if the state directory is not known.
    pub path: Option<String>,
    /// What is in it; `None` if it cannot be read.
    #[serde(flatten)]
    pub contents: Option<Contents>,
}

/// What a ledger has. One that does not exist yet has nothing.
#[derive(Debug, Default, Serialize)]
pub(super) struct Contents {
    /// Whether it exists.
    pub exists: bool,
    /// The version of its tables.
    pub schema: Option<i64>,
    /// Its size.
    pub bytes: Option<u64>,
    /// The destinations that it knows.
    pub destinations: Vec<String>,
    /// Turns over all of them.
    #[serde(flatten)]
    pub turns: Turns,
}

/// How many turns stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Turns {
    /// Turns of which all is there.
    pub sent: u64,
    /// Turns known, and not or not wholly sent.
    pub pending: u64,
    /// Turns of which something was refused.
    pub failed: u64,
}

/// `codex-trace.toml`.
#[derive(Debug, Serialize)]
pub(super) struct Config {
    /// Where it is, or would be.
    pub path: Option<String>,
    /// Whether it exists.
    pub exists: bool,
    /// Where `upload` sends if no flag says.
    pub to: Vec<String>,
    /// The destinations that it names.
    pub destinations: Vec<String>,
}

/// How Codex calls codex-trace.
#[derive(Debug, Serialize)]
pub(super) struct Hook {
    /// The files that say so.
    pub paths: Vec<String>,
    /// Whether it is the `notify` program.
    pub notify: bool,
    /// The events that call it.
    pub events: Vec<&'static str>,
    /// Those of them that the user has let Codex run.
    pub trusted: Vec<&'static str>,
    /// How many sessions wait; `None` if Codex has never called.
    pub waiting: Option<usize>,
    /// When Codex called last.
    pub called_at: Option<String>,
}

/// A destination, by its name.
#[derive(Debug, Serialize)]
pub(super) struct Destination {
    /// As given to `--to`.
    pub name: String,
    /// What serves it.
    pub backend: &'static str,
    /// The preset that it is made by.
    pub preset: Option<&'static str>,
    /// Whether a flag or `codex-trace.toml` names it.
    pub asked_for: bool,
    /// Where it sends to.
    pub places: Vec<Place>,
    /// The settings found.
    pub settings: Vec<Setting>,
    /// The variables that it would read.
    pub unset: Vec<Variable>,
    /// What each place answered, if it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<Vec<Connection>>,
}

/// A place that a destination sends to, and what the ledger has of it.
#[derive(Debug, Serialize)]
pub(super) struct Place {
    /// As the ledger calls it.
    pub destination: String,
    /// What it receives.
    pub signals: Vec<&'static str>,
    /// The turns.
    #[serde(flatten)]
    pub turns: Turns,
}

/// A setting that was found.
#[derive(Debug, Serialize)]
pub(super) struct Setting {
    /// As its source calls it.
    pub name: String,
    /// Masked if it is a secret.
    pub value: String,
    /// A file, a variable or a flag.
    pub from: String,
}

/// A variable that is not set.
#[derive(Debug, Serialize)]
pub(super) struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it sets.
    pub help: &'static str,
}

/// What a place answered.
#[derive(Debug, Serialize)]
pub(super) struct Connection {
    /// As the ledger calls it.
    pub destination: String,
    /// How it can be reached.
    pub state: State,
    /// What it said.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<&'static str>,
}

/// How a place can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    /// It answers and takes the key.
    Reachable,
    /// Nothing answers at its address.
    NoAnswer,
    /// It answers and refuses the key.
    KeyRefused,
    /// Something else answers at its address.
    WrongPath,
    /// It answers with an error, or could not be asked.
    Failed,
}

impl State {
    /// Returns the word for it.
    fn word(self) -> &'static str {
        match self {
            State::Reachable => "reachable",
            State::NoAnswer => "no-answer",
            State::KeyRefused => "key-refused",
            State::WrongPath => "wrong-path",
            State::Failed => "failed",
        }
    }
}

impl Turns {
    /// Adds those of several places up.
    pub(super) fn of<'s>(standings: impl IntoIterator<Item = &'s ledger::Standing>) -> Turns {
        standings.into_iter().fold(Turns::default(), |sum, it| Turns {
            sent: sum.sent + it.sent,
            pending: sum.pending + it.pending,
            failed: sum.failed + it.failed,
        })
    }
}

impl Report {
    /// Returns the destination that it is about.
    pub(super) fn destination(&self) -> Option<&Destination> {
        match &self.about {
            About::Destination(destination) => Some(destination),
            _ => None,
        }
    }

    /// Whether it is about a destination that somebody wants.
    pub(super) fn is_asked_for(&self) -> bool {
        self.destination().is_some_and(|it| it.asked_for)
    }

    /// Writes it for people.
    pub(super) fn write(
        &self,
        verbose: bool,
        width: Option<usize>,
        out: &mut impl Write,
    ) -> std::io::Result<()> {
        let state = match (self.usable, self.destination()) {
            (true, _) => "ok",
            // Nobody wants it: that it lacks something is no fault.
            (false, Some(it)) if !it.asked_for => "not set up",
            (false, _) => "not usable",
        };
        let name = self.about.name();
        let head = format!("{name:<10} {state:<10}  {}", self.about.summary());
        let fitted = |line: &str| text::fitted(&text::escape(line), width, INDENT);
        writeln!(out, "{}", fitted(head.trim_end()))?;
        let mut line =
            |head: &str, text: &str| writeln!(out, "{}", fitted(&format!("  {head:<10} {text}")));
        // What would hold if it were set up helps nobody.
        let defaults = verbose || state != "not set up";
        self.about.details(verbose, defaults, &mut line)?;
        for problem in &self.problems {
            line("problem", problem)?;
        }
        for it in self.destination().and_then(|it| it.connect.as_ref()).into_iter().flatten() {
            line("connect", format!("{}  {}", it.state.word(), it.detail).trim_end())?;
            if let Some(hint) = it.hint {
                line("hint", hint)?;
            }
        }
        self.hint.iter().try_for_each(|hint| line("hint", hint))
    }
}

impl About {
    /// Returns what it is called.
    fn name(&self) -> &str {
        match self {
            About::History(_) => "history",
            About::Ledger(_) => "ledger",
            About::Config(_) => "config",
            About::Hook(_) => "hook",
            About::Destination(it) => &it.name,
        }
    }

    /// Returns what follows name and state.
    fn summary(&self) -> String {
        match self {
            About::History(it) => it.summary(),
            About::Ledger(it) => it.summary(),
            About::Config(it) => it.summary(),
            About::Hook(it) => it.summary(),
            About::Destination(it) if it.name != it.backend => it.backend.to_owned(),
            About::Destination(_) => String::new(),
        }
    }

    /// Writes what needs lines of its own.
    fn details(
        &self,
        verbose: bool,
        defaults: bool,
        line: &mut impl FnMut(&str, &str) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        match self {
            About::History(it) if !it.versions.is_empty() => {
                let versions = it.versions.iter().map(|(version, n)| format!("{version} ({n})"));
                line("versions", &versions.collect::<Vec<_>>().join(", "))
            }
            About::Destination(it) => {
                it.places.iter().try_for_each(|place| line("to", &place.summary()))?;
                let told = |it: &&Setting| defaults || it.from != "the default";
                for Setting { name, value, from } in it.settings.iter().filter(told) {
                    line("setting", &format!("{name} = {value}  ({from})"))?;
                }
                let unset = it.unset.iter().filter(|_| verbose);
                unset
                    .map(|it| format!("{}: {}", it.name, it.help))
                    .try_for_each(|it| line("unset", &it))
            }
            _ => Ok(()),
        }
    }
}

impl History {
    fn summary(&self) -> String {
        let Some(path) = &self.path else { return String::new() };
        let passed: Vec<String> =
            self.passed_over.iter().map(|(why, count)| format!("{count} {why}")).collect();
        let passed = if passed.is_empty() {
            String::new()
        } else {
            format!("; passed over: {}", passed.join(", "))
        };
        format!(
            "{} ({}): {} ({} archived, {} compressed){passed}",
            text::escape(path),
            self.from,
            text::count(self.rollouts, "rollout"),
            self.archived,
            self.compressed,
        )
    }
}

impl LedgerFile {
    fn summary(&self) -> String {
        let path = self.path.as_deref().map(text::escape).unwrap_or_default();
        match &self.contents {
            Some(Contents { exists: true, schema, turns, .. }) => {
                let schema = schema.map_or_else(|| "unknown".to_owned(), |it| it.to_string());
                let Turns { sent, pending, failed } = turns;
                format!("{path} (schema {schema}): {sent} sent, {pending} pending, {failed} failed")
            }
            Some(_) => format!("{path} (none)"),
            None => path.into_owned(),
        }
    }
}

impl Config {
    fn summary(&self) -> String {
        let path = self.path.as_deref().map(text::escape).unwrap_or_default();
        match (self.exists, self.destinations.is_empty()) {
            (false, _) if path.is_empty() => String::new(),
            (false, _) => format!("{path} (none)"),
            (true, true) => format!("{path}: no destinations"),
            (true, false) => format!("{path}: {}", self.destinations.join(", ")),
        }
    }
}

impl Hook {
    fn summary(&self) -> String {
        let by = self.notify.then_some("notify").into_iter().chain(self.events.iter().copied());
        let by = by.collect::<Vec<_>>().join(", ");
        let at = self.called_at.as_ref().map(|at| format!("; Codex called last at {at}"));
        format!("{}{}", if by.is_empty() { "not installed" } else { &by }, at.unwrap_or_default())
    }
}

impl Place {
    fn summary(&self) -> String {
        let Turns { sent, pending, failed } = self.turns;
        if self.turns == Turns::default() {
            return self.destination.clone();
        }
        format!("{}  ({sent} sent, {pending} pending, {failed} failed)", self.destination)
    }
}
