//! Which words may have been meant.

use clap::error::{ContextKind, ContextValue};

/// Returns the word that was probably meant, if one is near.
pub(crate) fn nearest<'w>(given: &str, words: &[&'w str]) -> Option<&'w str> {
    let near = words
        .iter()
        .map(|word| (strsim::damerau_levenshtein(given, word), *word))
        .filter(|(distance, word)| *distance <= word.len().max(given.len()) / 3);
    near.min().map(|(_, word)| word)
}

/// Takes tips out of an error of the command line that name a word of another
/// meaning: the parser finds `open` similar to `done`.
pub(crate) fn without_far_ones(mut err: clap::Error) -> clap::Error {
    let kinds = [
        (ContextKind::InvalidValue, ContextKind::SuggestedValue),
        (ContextKind::InvalidArg, ContextKind::SuggestedArg),
        (ContextKind::InvalidSubcommand, ContextKind::SuggestedSubcommand),
    ];
    // `-- -n` is never what was meant by `-n`.
    if let Some(ContextValue::StyledStrs(tips)) = err.get(ContextKind::Suggested)
        && tips.iter().all(|tip| tip.to_string().contains("as a value, use"))
    {
        err.remove(ContextKind::Suggested);
    }
    for (given, suggested) in kinds {
        let words = |kind| match err.get(kind) {
            Some(ContextValue::String(word)) => vec![word.as_str()],
            Some(ContextValue::Strings(words)) => words.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        };
        let bare = |word: &&str| word.trim_start_matches('-').to_owned();
        let given = words(given).first().map(bare);
        let near = |word: &&str| {
            let word = bare(word);
            given.as_ref().is_none_or(|given| nearest(given, &[word.as_str()]).is_some())
        };
        if !words(suggested).iter().all(near) {
            err.remove(suggested);
        }
    }
    err
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_is_a_slip_of_the_finger() {
        let words = ["list", "usage", "upload", "open", "source"];
        for (given, meant) in [
            ("lst", Some("list")),
            ("usgae", Some("usage")),
            ("uplaod", Some("upload")),
            ("done", None),
            ("sort", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, &words), meant, "{given}");
        }
    }
}
