use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use codex_trace_export::FileFormat;
use codex_trace_export::choice::Choice;

use crate::formats::{FORMATS, named};

/// Reads one of the words of a choice, and shows all of them in the help.
pub(super) fn word<T: Choice>() -> impl TypedValueParser<Value = T> {
    let words = T::WORDS.iter().map(|(_, word, help)| PossibleValue::new(*word).help(*help));
    PossibleValuesParser::new(words)
        .map(|word| T::from_word(&word).expect("the parser takes no other word"))
}

/// Reads the name of a format, and shows all of them in the help.
pub(super) fn format() -> impl TypedValueParser<Value = &'static FileFormat> {
    let words = FORMATS.iter().map(|it| PossibleValue::new(it.name).help(it.summary));
    PossibleValuesParser::new(words)
        .map(|name| named(&name).expect("the parser takes no other name"))
}
