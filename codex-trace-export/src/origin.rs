//! Who said a setting, and where a key may go.
//!
//! The place of a history is the user's choice alone, and a key goes only to the
//! place that it was set for.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{Address, ConfigError, Said};

/// Where a setting was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    kind: OriginKind,
    /// The file, where it is one.
    file: Option<PathBuf>,
    /// For people: a flag, a variable, a file with a line or key.
    at: String,
}

/// What kind of source says a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginKind {
    /// An argument of the command.
    Flag,
    /// A table of `codex-trace.toml`.
    Table,
    /// A variable of the environment.
    Variable,
    /// A file of a live plugin in the user's own home.
    UserFile,
    /// The same in a project, which came with its files.
    ProjectFile,
    /// Nobody: the default.
    Default,
}

impl Origin {
    /// A flag.
    pub fn flag(name: impl Into<String>) -> Origin {
        Origin { kind: OriginKind::Flag, file: None, at: name.into() }
    }

    /// A table of `codex-trace.toml`: the file with the line.
    pub fn table(at: impl Into<String>) -> Origin {
        Origin { kind: OriginKind::Table, file: None, at: at.into() }
    }

    /// A variable of the environment.
    pub fn variable(name: impl Into<String>) -> Origin {
        Origin { kind: OriginKind::Variable, file: None, at: name.into() }
    }

    /// A file of a live plugin, or of Codex; a project's, or the user's own.
    pub fn file(of_project: bool, path: &Path, key: &str) -> Origin {
        let kind = if of_project { OriginKind::ProjectFile } else { OriginKind::UserFile };
        let at = match key {
            "" => path.display().to_string(),
            key => format!("{} ({key})", path.display()),
        };
        Origin { kind, file: Some(path.to_owned()), at }
    }

    /// Nobody said anything.
    pub fn default_value() -> Origin {
        Origin { kind: OriginKind::Default, file: None, at: "the default".to_owned() }
    }

    /// Returns what kind of source it is.
    pub fn kind(&self) -> OriginKind {
        self.kind
    }

    /// Whether the user has said it, or nobody.
    fn is_of_user(&self) -> bool {
        self.kind != OriginKind::ProjectFile
    }

    /// Whether two settings stand beside each other: in one file, or both in
    /// the environment.
    fn is_beside(&self, other: &Origin) -> bool {
        (self.kind, &self.file) == (other.kind, &other.file)
    }
}

/// For people.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.at)
    }
}

/// All places that settings name, strongest first.
#[derive(Debug, Default)]
pub(crate) struct NamedPlaces(Vec<Said<Address>>);

impl NamedPlaces {
    /// Notes a place that is weaker than those before it. One that is no
    /// address is some other place for sure, and is told when it is used.
    pub(crate) fn push(&mut self, said: Option<Said<String>>) {
        let Some(said) = said else { return };
        self.0.push(said.map(|text| Address::unchecked(&text)));
    }

    /// Returns the place that the upload goes to.
    pub(crate) fn strongest(&self) -> Option<Said<Address>> {
        self.0.first().cloned()
    }

    /// Checks that what lets us in goes only to the place that it was set for:
    /// the one that is named beside it, if any is. Without one, the user's own
    /// settings belong together, whether flag, variable or file; a project's do
    /// not belong to them.
    ///
    /// # Errors
    ///
    /// If it was set for another place: which, and what to do.
    pub(crate) fn admit(&self, key: &Origin, to: &Said<Address>) -> Result<(), ConfigError> {
        let beside = self.0.iter().find(|it| it.from.is_beside(key));
        match beside {
            None if key.is_beside(&to.from) => Ok(()),
            Some(own) if own.value.is_same(&to.value) => Ok(()),
            Some(own) => Err(ConfigError::new(format!(
                "the key in `{key}` was set for {} ({}), and the upload goes to {} ({})",
                own.value, own.from, to.value, to.from
            ))
            .hint(way_out(key))),
            None if key.is_of_user() && to.from.is_of_user() => Ok(()),
            None => Err(ConfigError::new(format!(
                "the place {} is named by `{}`, the key by `{key}`: they do not belong together",
                to.value, to.from
            ))
            .hint(way_out(key))),
        }
    }

    /// Returns where the settings beside this one lead, if that is not the
    /// place of the upload: what is said there of projects is about that one.
    pub(crate) fn elsewhere(&self, origin: &Origin, to: &Said<Address>) -> Option<&Said<Address>> {
        let beside = self.0.iter().find(|it| it.from.is_beside(origin));
        beside.filter(|own| !own.value.is_same(&to.value))
    }
}

/// Says what to do about a key that was set for another place.
fn way_out(key: &Origin) -> String {
    let table = "give the place a table of its own in codex-trace.toml";
    match key.kind {
        OriginKind::Variable => format!(
            "{table}, with `endpoint` and what lets us in (`key = {{ env = \"NAME\" }}`), or leave the variable out: `{0}= codex-trace …`",
            key.at
        ),
        _ => format!("{table}, with `endpoint` and what lets us in (`key = {{ env = \"NAME\" }}`)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, from: Origin) -> Said<String> {
        Said::new(text.to_owned(), from)
    }

    type Make = fn(&str) -> Origin;

    /// Every pair of origins, with and without a place beside the key.
    #[test]
    fn a_key_goes_only_to_the_place_that_it_was_set_for() {
        let user = |key| Origin::file(false, Path::new("/home/u/.codex/x.json"), key);
        let shared = |key| Origin::file(false, Path::new("/home/u/.shared.json"), key);
        let project = |key| Origin::file(true, Path::new("/repo/.codex/x.json"), key);
        let origins: [(&str, Make); 6] = [
            ("flag", |_| Origin::flag("--endpoint")),
            ("table", |_| Origin::table("c.toml:1")),
            ("variable", |name| Origin::variable(name)),
            ("user", |key| Origin::file(false, Path::new("/home/u/.codex/x.json"), key)),
            ("project", |key| Origin::file(true, Path::new("/repo/.codex/x.json"), key)),
            ("default", |_| Origin::default_value()),
        ];
        for (place_name, place) in &origins {
            for (key_name, key) in &origins {
                let to = Said::new(Address::unchecked("http://a/"), place("url"));
                let admitted = |beside: Option<&str>| {
                    let mut named = NamedPlaces::default();
                    named.push(Some(said("http://a", place("url"))));
                    named.push(beside.map(|url| said(url, key("url"))));
                    named.admit(&key("key"), &to).is_ok()
                };
                let same = place_name == key_name;
                let mixed = [place_name, key_name].contains(&&"project") && !same;
                let pair = format!("{place_name} {key_name}");
                assert_eq!(admitted(None), !mixed, "{pair}: no place beside the key");
                assert!(admitted(Some("HTTP://A:80/")), "{pair}: the same place");
                assert_eq!(admitted(Some("http://b")), same, "{pair}: another place");
            }
        }
        let mut named = NamedPlaces::default();
        named.push(Some(said("http://a", user("url"))));
        named.push(Some(said("http://b", shared("url"))));
        let to = said("http://a", user("url")).map(|it| Address::unchecked(&it));
        assert!(named.admit(&user("key"), &to).is_ok());
        assert!(named.admit(&shared("key"), &to).is_err(), "two files are two sources");
        assert!(named.admit(&project("key"), &to).is_err());
    }

    #[test]
    fn who_is_refused_is_told_both_places_and_the_way_out() {
        let mut named = NamedPlaces::default();
        named.push(Some(said("http://b", Origin::flag("--endpoint"))));
        named.push(Some(said("http://u:pw@a/?k=v", Origin::variable("PLACE"))));
        let to = said("http://b", Origin::flag("--endpoint")).map(|it| Address::unchecked(&it));
        let err = named.admit(&Origin::variable("KEY"), &to).unwrap_err();
        assert_eq!(
            err.message,
            "the key in `KEY` was set for http://[set]@a/?k=[set] (PLACE), and the upload goes to http://b (--endpoint)"
        );
        let hint = err.hint.unwrap();
        assert!(hint.contains("codex-trace.toml") && hint.contains("`KEY= codex-trace"), "{hint}");
    }
}
