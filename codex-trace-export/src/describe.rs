//! What a backend's settings are and where each comes from, for `doctor`:
//! nothing is sent, and no secret is shown.

use std::path::Path;

use super::{Remark, Said};
use crate::options::{Opt, OptionValue};
use crate::secret::{Secret, mask, without_password};
use crate::settings::Settings;

/// What was found of a backend's settings.
#[derive(Debug, Default)]
pub struct Description {
    /// The settings that are there.
    pub found: Vec<Known>,
    /// What is there and cannot be used.
    pub problems: Vec<String>,
    /// What the user should know before anything is sent.
    pub remarks: Vec<Remark>,
}

/// A setting, its value for people, and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// As its source calls it.
    pub name: String,
    /// Masked if it is a secret.
    pub value: String,
    /// A file, a variable or a flag.
    pub from: String,
}

impl Description {
    /// Notes a setting, if it is there, and returns its value.
    pub fn take<T>(
        &mut self,
        name: &str,
        said: Option<Said<T>>,
        show: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let Said { value, from } = said?;
        self.found.push(Known {
            name: name.to_owned(),
            value: show(&value),
            from: from.to_string(),
        });
        Some(value)
    }

    /// As [`take`](Self::take), for an option of flags and `codex-trace.toml`.
    pub fn option<T: OptionValue + Clone>(
        &mut self,
        option: &Opt<T>,
        settings: &Settings,
    ) -> Option<T> {
        let show = |value: &T| without_password(&value.clone().into_value().shown());
        self.take(option.name(), settings.get(option), show)
    }

    /// As [`take`](Self::take), for a text that may be shown.
    pub fn text(&mut self, name: &str, said: Option<Said<String>>) -> Option<String> {
        self.take(name, said, |text| without_password(text))
    }

    /// As [`take`](Self::take), for a text that may not.
    pub fn secret(&mut self, name: &str, said: Option<Said<Secret>>) -> Option<Secret> {
        self.take(name, said, |secret| mask(secret.expose()))
    }

    /// Notes that others may read a file that holds keys.
    pub fn holds_keys(&mut self, settings: &Settings, path: &Path) {
        self.problems.extend(settings.files.exposed(path));
    }
}
