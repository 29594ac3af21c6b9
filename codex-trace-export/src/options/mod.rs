//! Options of destinations. Each is declared once: those of every destination in
//! [`common`], the others beside the backend that reads them.
//!
//! A declaration says what the option is called in `codex-trace.toml`, as a flag
//! and in the environment, what its values are, and what it means. The command
//! line, the configuration file, `doctor` and the table in
//! `docs/configuration.md` are made from it, and [`Settings::get`] reads the
//! value with its type.
//!
//! ```
//! use codex_trace_export::options::{Flag, Opt};
//!
//! const OWN_IDS: Opt<bool> = Opt::new("own_ids", "Make ids for this place alone").default("false");
//! const TABLE: &[codex_trace_export::options::OptionSpec] = &[OWN_IDS.spec];
//! assert_eq!(TABLE[0].key, Some("own_ids"));
//! ```
//!
//! [`Settings::get`]: crate::Settings::get

pub mod common;
mod reference;
mod set;
mod value;

use std::marker::PhantomData;

pub use reference::{HeaderSetting, SecretRef};
pub use set::OptionSet;
pub use value::{Kind, OptionValue, Value, Words, parse_age};

/// An option of a destination, as users see it.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// The key in a table of `codex-trace.toml`, if it may stand there.
    pub key: Option<&'static str>,
    /// The flag, if there is one.
    pub flag: Option<Flag>,
    /// The variables of the environment, strongest first.
    pub env: &'static [&'static str],
    /// What values it takes.
    pub kind: Kind,
    /// The value where nobody says any, for people; empty if that needs no word.
    pub default: &'static str,
    /// What it is, in a line without a full stop.
    pub help: &'static str,
    /// What else there is to say, in sentences; may be empty.
    pub details: &'static str,
    /// Where the flag stands in the help.
    pub heading: Option<&'static str>,
    /// The keys of options that make no sense together with it.
    pub not_with: &'static [&'static str],
}

/// How an option is given on the command line. Names are without the dashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// `--name VALUE`
    Value {
        /// The name.
        name: &'static str,
        /// What to call the value in the help.
        value: &'static str,
    },
    /// `--name VALUE`, as often as wanted.
    Each {
        /// The name.
        name: &'static str,
        /// What to call the value in the help.
        value: &'static str,
    },
    /// `--name` for yes.
    On(&'static str),
    /// `--name` for no.
    Off {
        /// The name.
        name: &'static str,
        /// What the flag does, in a line.
        help: &'static str,
    },
    /// One flag for yes and another one for no; the last one given holds.
    OnOff {
        /// The one for yes.
        on: &'static str,
        /// The one for no.
        off: &'static str,
        /// What the one for no is, in a line.
        off_help: &'static str,
    },
}

impl Flag {
    /// Returns its name without the dashes.
    pub fn name(self) -> &'static str {
        match self {
            Flag::Value { name, .. }
            | Flag::Each { name, .. }
            | Flag::On(name)
            | Flag::Off { name, .. }
            | Flag::OnOff { on: name, .. } => name,
        }
    }
}

impl OptionSpec {
    /// Returns what identifies it: its key, else its flag, else its first variable.
    pub fn name(&self) -> &'static str {
        let flag = || self.flag.map(Flag::name);
        let first = || self.env.first().copied();
        self.key.or_else(flag).or_else(first).unwrap_or_default()
    }
}

/// An option whose values are of a type.
#[derive(Debug)]
pub struct Opt<T> {
    /// What users see of it.
    pub spec: OptionSpec,
    value: PhantomData<fn() -> T>,
}

impl<T: OptionValue> Opt<T> {
    /// Declares a key of `codex-trace.toml` and what it is, in a line.
    pub const fn new(key: &'static str, help: &'static str) -> Opt<T> {
        Opt::of(Some(key), help)
    }

    /// Declares an option that has no key in the file.
    pub const fn without_key(help: &'static str) -> Opt<T> {
        Opt::of(None, help)
    }

    const fn of(key: Option<&'static str>, help: &'static str) -> Opt<T> {
        let spec = OptionSpec {
            key,
            flag: None,
            env: &[],
            kind: T::KIND,
            default: "",
            help,
            details: "",
            heading: None,
            not_with: &[],
        };
        Opt { spec, value: PhantomData }
    }

    /// Adds a flag.
    #[must_use]
    pub const fn flag(mut self, flag: Flag, heading: Option<&'static str>) -> Opt<T> {
        self.spec.flag = Some(flag);
        self.spec.heading = heading;
        self
    }

    /// Adds variables of the environment, strongest first.
    #[must_use]
    pub const fn env(mut self, names: &'static [&'static str]) -> Opt<T> {
        self.spec.env = names;
        self
    }

    /// Says what holds where nobody says anything.
    #[must_use]
    pub const fn default(mut self, default: &'static str) -> Opt<T> {
        self.spec.default = default;
        self
    }

    /// Says in a line what it is to one backend.
    #[must_use]
    pub const fn help(mut self, help: &'static str) -> Opt<T> {
        self.spec.help = help;
        self
    }

    /// Says more about it, in sentences.
    #[must_use]
    pub const fn details(mut self, details: &'static str) -> Opt<T> {
        self.spec.details = details;
        self
    }

    /// Names the keys of options that make no sense together with it.
    #[must_use]
    pub const fn not_with(mut self, keys: &'static [&'static str]) -> Opt<T> {
        self.spec.not_with = keys;
        self
    }

    /// Returns what identifies it.
    pub fn name(&self) -> &'static str {
        self.spec.name()
    }
}

/// Returns the options of a destination: those of its backend, then those of
/// every destination. Where a backend declares one of these too, its declaration
/// holds.
pub fn of(backend: &'static [OptionSpec]) -> impl Iterator<Item = &'static OptionSpec> {
    let of_all = common::all();
    let of_all = of_all.filter(|spec| backend.iter().all(|own| own.name() != spec.name()));
    backend.iter().chain(of_all)
}
