use std::ffi::OsStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use codex_trace_export::FileFormat;
use codex_trace_export::choice::Choice;

use crate::formats::{FORMATS, named};

/// Takes words as they are listed, and with `_` for `-`: other tools' documents
/// spell them so.
#[derive(Clone)]
pub(super) struct EitherSpelling(PossibleValuesParser);

impl EitherSpelling {
    pub(super) fn of(words: impl IntoIterator<Item = PossibleValue>) -> EitherSpelling {
        EitherSpelling(PossibleValuesParser::new(words))
    }
}

impl TypedValueParser for EitherSpelling {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        let ours = value.to_str().filter(|text| text.contains('_')).map(|it| it.replace('_', "-"));
        let known = ours.and_then(|ours| self.0.parse_ref(command, arg, OsStr::new(&ours)).ok());
        known.map_or_else(|| self.0.parse_ref(command, arg, value), Ok)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}

/// Reads one of the words of a choice, and shows all of them in the help.
pub(super) fn word<T: Choice>() -> impl TypedValueParser<Value = T> {
    let words = T::WORDS.iter().map(|(_, word, help)| PossibleValue::new(*word).help(*help));
    EitherSpelling::of(words)
        .map(|word| T::from_word(&word).expect("the parser takes no other word"))
}

/// Reads the name of a format, and shows all of them in the help.
pub(super) fn format() -> impl TypedValueParser<Value = &'static FileFormat> {
    let words = FORMATS.iter().map(|it| PossibleValue::new(it.name).help(it.summary));
    EitherSpelling::of(words).map(|name| named(&name).expect("the parser takes no other name"))
}
