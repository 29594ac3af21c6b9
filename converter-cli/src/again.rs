//! Command lines in hints: they can be pasted as they stand.

use std::ffi::OsStr;
use std::fmt;

use crate::args::SelectArgs;
use crate::config::Settings;

/// A command to run next, with what was typed for this one.
#[derive(Clone, Debug)]
pub struct Again {
    words: Vec<String>,
}

impl Again {
    /// Begins with a subcommand and its options.
    pub fn new<'w>(words: impl IntoIterator<Item = &'w str>) -> Again {
        let words = std::iter::once("codex-trace").chain(words);
        Again { words: words.map(str::to_owned).collect() }
    }

    /// Adds a word of any content.
    #[must_use]
    pub fn word(mut self, word: impl AsRef<OsStr>) -> Again {
        self.words.push(word.as_ref().to_string_lossy().into_owned());
        self
    }

    /// Adds an option with its value, if it has one.
    #[must_use]
    pub fn option(self, flag: &str, value: Option<impl AsRef<OsStr>>) -> Again {
        match value {
            Some(value) => self.word(flag).word(value),
            None => self,
        }
    }

    /// Adds the homes that were named on the command line.
    #[must_use]
    pub fn homes(self, settings: &Settings) -> Again {
        if settings.codex_homes_from != "--codex-home" {
            return self;
        }
        settings.codex_homes.iter().fold(self, |it, home| it.option("--codex-home", Some(home)))
    }

    /// Adds the paths and the filters that were typed.
    #[must_use]
    pub fn select(self, args: &SelectArgs) -> Again {
        let with_paths = args.paths.iter().fold(self, Again::word);
        with_paths.option("--files-from", args.files_from.as_ref()).filters(args)
    }

    /// Adds the filters that were typed.
    #[must_use]
    pub fn filters(self, args: &SelectArgs) -> Again {
        let with_filters = self
            .option("--since", args.since.as_ref())
            .option("--until", args.until.as_ref())
            .option("--cwd", args.cwd.as_ref())
            .option("--model", args.model.as_ref())
            .option("--source", args.source.as_ref())
            .option("--branch", args.branch.as_ref())
            .option("--repo", args.repo.as_ref())
            .option("--timezone", args.timezone.as_ref());
        args.status
            .iter()
            .fold(with_filters, |it, status| it.option("--status", Some(status.word())))
    }
}

impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.words.iter().map(|word| quoted(word)).collect();
        f.write_str(&words.join(" "))
    }
}

/// Writes a word so that a POSIX shell reads it back.
fn quoted(word: &str) -> String {
    let is_safe = |c: char| c.is_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_safe) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_break_them() {
        let again = Again::new(["list", "--problems"]).word("g r").option("--cwd", Some("~/it's"));
        assert_eq!(again.to_string(), r"codex-trace list --problems 'g r' --cwd '~/it'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("/home/ü/x-1.jsonl"), "/home/ü/x-1.jsonl");
        assert_eq!(quoted("$x"), "'$x'");
    }
}
