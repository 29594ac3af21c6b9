use std::collections::BTreeMap;
use std::marker::PhantomData;

use clap::builder::{PossibleValue, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command};

use codex_trace_export::options::{
    Flag, Kind, Opt, OptionSet, OptionSpec, OptionValue, Value, common,
};
use codex_trace_export::{FileFormat, Origin, Said};

use super::words::EitherSpelling;
use crate::backends::BACKENDS;
use crate::formats::FORMATS;
use codex_trace_history::failure::Failure;

/// Which options become flags.
pub trait OptionList {
    /// Returns them; of those with one flag, the first says what the help says.
    fn specs() -> Vec<&'static OptionSpec>;
}

/// Where to send to, of every destination.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place;

impl OptionList for Place {
    fn specs() -> Vec<&'static OptionSpec> {
        common::PLACE.iter().collect()
    }
}

/// How to write to a destination: what holds for all, and what each backend
/// has besides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner;

impl OptionList for Manner {
    fn specs() -> Vec<&'static OptionSpec> {
        let of_backends = BACKENDS.iter().flat_map(|backend| backend.options);
        let is_place = |spec: &OptionSpec| common::PLACE.iter().any(|it| it.flag == spec.flag);
        common::MANNER.iter().chain(of_backends).filter(|spec| !is_place(spec)).collect()
    }
}

/// What to redact.
#[derive(Clone, Copy, Debug, Default)]
pub struct Redaction;

impl OptionList for Redaction {
    fn specs() -> Vec<&'static OptionSpec> {
        common::REDACTION.iter().collect()
    }
}

/// How to write a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files;

impl OptionList for Files {
    fn specs() -> Vec<&'static OptionSpec> {
        FORMATS.iter().flat_map(|format| format.options).collect()
    }
}

/// The options of a list that were given as flags.
#[derive(Clone, Debug, Default)]
pub struct OptionArgs<L> {
    /// What was given, by the name of the flag.
    given: BTreeMap<&'static str, Vec<String>>,
    list: PhantomData<fn() -> L>,
}

impl<L> OptionArgs<L> {
    /// Returns the value of an option, if its flag is there.
    pub fn get<T: OptionValue>(&self, option: &Opt<T>) -> Option<T> {
        T::from_value(&self.value(&option.spec)?.ok()?)
    }

    /// Reads the value of an option, if its flag is there.
    ///
    /// Another backend's option may have the same flag and take other values.
    pub fn value(&self, spec: &OptionSpec) -> Option<Result<Value, String>> {
        let texts = |name| self.given.get(name).filter(|texts| !texts.is_empty());
        let on = |name, value| texts(name).map(|_| Ok(Value::Switch(value)));
        match spec.flag? {
            Flag::On(name) => on(name, true),
            Flag::Off { name, .. } => on(name, false),
            Flag::OnOff { on: yes, off: no, .. } => on(yes, true).or_else(|| on(no, false)),
            Flag::Each { name, .. } => texts(name).map(|texts| Ok(Value::Texts(texts.clone()))),
            Flag::Value { name, .. } => texts(name)?.last().map(|text| spec.kind.parse(text)),
        }
    }
}

impl OptionArgs<Files> {
    /// Returns the options of a format.
    ///
    /// # Errors
    ///
    /// If a flag is there that is for other formats.
    pub fn of(&self, format: &FileFormat) -> Result<OptionSet, Failure> {
        let mut options = OptionSet::default();
        let foreign = Files::specs()
            .into_iter()
            .filter(|spec| format.options.iter().all(|own| own.flag != spec.flag));
        for spec in format.options.iter().chain(foreign) {
            let (Some(value), Some(flag)) = (self.value(spec), spec.flag) else { continue };
            let is_of = |format: &FileFormat| format.options.iter().any(|it| it.flag == spec.flag);
            if !is_of(format) {
                let others = FORMATS.iter().filter(|format| is_of(format));
                let others: Vec<String> =
                    others.map(|format| format!("`--to {}`", format.name)).collect();
                let what =
                    format!("`--{}` is not an option of `--to {}`", flag.name(), format.name);
                return Err(Failure::new(what).hint(format!("add {}", others.join(" or "))));
            }
            let from = Origin::flag(format!("--{}", flag.name()));
            let value = value.map_err(|hint| {
                let what = format!("`--{}` has no such value for `{}`", flag.name(), format.name);
                Failure::new(what).hint(hint)
            })?;
            options.put(spec, Said::new(value, from));
        }
        Ok(options)
    }
}

impl<L: OptionList> clap::FromArgMatches for OptionArgs<L> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = BTreeMap::new();
        for flag in L::specs().into_iter().filter_map(|spec| spec.flag) {
            let mut switch = |name: &'static str| {
                if matches.get_flag(name) {
                    given.insert(name, vec![String::new()]);
                }
            };
            match flag {
                Flag::On(name) | Flag::Off { name, .. } => switch(name),
                Flag::OnOff { on, off, .. } => [on, off].into_iter().for_each(switch),
                Flag::Value { name, .. } | Flag::Each { name, .. } => {
                    let texts = matches.get_many::<String>(name).into_iter().flatten();
                    given.insert(name, texts.cloned().collect());
                }
            }
        }
        Ok(OptionArgs { given, list: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<L: OptionList> clap::Args for OptionArgs<L> {
    fn augment_args(command: Command) -> Command {
        let specs = L::specs();
        let first = |nth: usize, spec: &OptionSpec| {
            let name = spec.flag.map(Flag::name);
            specs[..nth].iter().all(|before| before.flag.map(Flag::name) != name)
        };
        let declared = specs.iter().enumerate().filter(|(nth, spec)| first(*nth, spec));
        declared.fold(command, |command, (_, spec)| command.args(args(spec, &specs)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// Makes the flags of an option.
fn args(spec: &OptionSpec, all: &[&OptionSpec]) -> Vec<Arg> {
    let Some(flag) = spec.flag else { return Vec::new() };
    let switch = |name: &'static str, help: String| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let mut args = match flag {
        Flag::On(name) => vec![switch(name, spec.help.to_owned())],
        Flag::Off { name, help } => vec![switch(name, help.to_owned())],
        Flag::OnOff { on, off, off_help } => vec![
            switch(on, spec.help.to_owned()).overrides_with(off),
            switch(off, off_help.to_owned()).overrides_with(on),
        ],
        Flag::Value { name, value } => {
            let default = Some(spec.default).filter(|default| !default.is_empty());
            let default = default.map_or_else(String::new, |it| format!(" [default: {it}]"));
            let arg = Arg::new(name).long(name).help(format!("{}{default}", spec.help));
            vec![arg.value_name(value).value_parser(parser(spec, all))]
        }
        Flag::Each { name, value } => {
            let arg = Arg::new(name).long(name).help(spec.help).action(ArgAction::Append);
            vec![arg.value_name(value).value_parser(ValueParser::string())]
        }
    };
    let others = all.iter().filter(|other| other.key.is_some_and(|it| spec.not_with.contains(&it)));
    let others: Vec<&str> = others.filter_map(|other| other.flag.map(Flag::name)).collect();
    for arg in &mut args {
        let mut whole = arg.clone().help_heading(spec.heading).conflicts_with_all(&others);
        // They are about the value in a file, which this flag does not take.
        let is_off = matches!(flag, Flag::Off { .. });
        if !spec.details.is_empty() && !is_off {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            whole = whole.long_help(format!("{help}\n\n{}", spec.details));
        }
        *arg = whole;
    }
    args
}

/// Takes what any of the options with this flag takes.
fn parser(spec: &OptionSpec, all: &[&OptionSpec]) -> ValueParser {
    let Kind::Words(_) = spec.kind else {
        let kind = spec.kind;
        return ValueParser::new(move |text: &str| kind.parse(text).map(|_| text.to_owned()));
    };
    let mut words: Vec<(&str, &str)> = Vec::new();
    for other in all.iter().filter(|other| other.flag == spec.flag) {
        let Kind::Words(more) = other.kind else { continue };
        for (word, help) in more() {
            if words.iter().all(|(known, _)| *known != word) {
                words.push((word, help));
            }
        }
    }
    let words = words.into_iter().map(|(word, help)| PossibleValue::new(word).help(help));
    EitherSpelling::of(words).into()
}
