use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use codex_trace_export::choice::Choice;

/// Reads one of the words of a choice, and shows all of them in the help.
pub(super) fn word<T: Choice>() -> impl TypedValueParser<Value = T> {
    let words = T::WORDS.iter().map(|(_, word, help)| PossibleValue::new(*word).help(*help));
    PossibleValuesParser::new(words)
        .map(|word| T::from_word(&word).expect("the parser takes no other word"))
}
