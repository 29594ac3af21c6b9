//! What a project says of its own sessions: `.codex/langsmith.json` in the
//! directory that they were in, or above it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use codex_trace_export::langsmith::INCLUDE_DISABLED;
use codex_trace_export::redact::UserRule;
use codex_trace_export::{ConfigFiles, Settings};
use serde::Deserialize;
use serde_json::Value;

use crate::companions::OfProject;

/// The files of projects, each read once.
#[derive(Debug)]
pub(super) struct Projects {
    files: ConfigFiles,
    /// The user's own Codex homes, whose files are no project's.
    own: Vec<PathBuf>,
    /// Whether sessions are wanted that a project has switched off.
    include_disabled: bool,
    /// By the directory of a session.
    known: Mutex<HashMap<PathBuf, OfProject>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    enabled: Option<bool>,
    #[serde(alias = "defaultMuted")]
    default_muted: Option<bool>,
    redact_extra_rules: Option<Vec<Rule>>,
    api_key: Option<Value>,
    api_url: Option<Value>,
    project: Option<Value>,
    replicas: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    pattern: String,
    replace: Option<String>,
}

impl Projects {
    pub(super) fn new(settings: &Settings) -> Projects {
        let home = settings.home.as_ref().map(|home| home.join(".codex"));
        let wanted = settings.get(&INCLUDE_DISABLED);
        Projects {
            files: settings.files.clone(),
            own: home.into_iter().chain(settings.codex_home.clone()).collect(),
            include_disabled: wanted.is_some_and(|said| said.value),
            known: Mutex::default(),
        }
    }

    /// Returns what the project of a directory says of its sessions: the nearest
    /// file counts.
    pub(super) fn of(&self, cwd: &Path) -> OfProject {
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(cwd) {
            return known.clone();
        }
        let found = self.find(cwd);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(cwd.to_owned(), found.clone());
        found
    }

    fn find(&self, cwd: &Path) -> OfProject {
        // What is relative is relative to where somebody else was.
        for dir in cwd.ancestors().filter(|dir| dir.is_absolute()) {
            let codex = dir.join(".codex");
            let path = codex.join("langsmith.json");
            if !self.files.is_file(&path)
                || self.own.iter().any(|own| self.files.is_same_dir(own, &codex))
            {
                continue;
            }
            // One that makes no sense may well say that its sessions are private.
            let text = self.files.small_text(&path).ok().flatten().unwrap_or_default();
            return match serde_json::from_str::<File>(&text) {
                Ok(file) => self.read(&path, file),
                Err(err) => OfProject {
                    refused: Some(format!(
                        "`{}`:{}: it makes no sense",
                        path.display(),
                        err.line()
                    )),
                    ..OfProject::default()
                },
            };
        }
        OfProject::default()
    }

    fn read(&self, path: &Path, file: File) -> OfProject {
        let shown = path.display();
        let off = file.enabled == Some(false) && !self.include_disabled;
        let mut of_project = OfProject {
            left_out: off.then(|| shown.to_string()),
            muted: file.default_muted == Some(true),
            ..OfProject::default()
        };
        for Rule { pattern, replace } in file.redact_extra_rules.into_iter().flatten() {
            match UserRule::with_groups(&pattern, replace.as_deref()) {
                Ok(rule) => of_project.rules.push(rule),
                Err(err) => {
                    of_project.refused = Some(format!("`{shown}`: `redact_extra_rules`: {err}"));
                }
            }
        }
        let places = [
            ("api_key", file.api_key.is_some()),
            ("api_url", file.api_url.is_some()),
            ("project", file.project.is_some()),
            ("replicas", file.replicas.is_some()),
        ];
        let names =
            places.into_iter().filter(|place| place.1).map(|place| format!("`{}`", place.0));
        let names: Vec<String> = names.collect();
        if !names.is_empty() && !off {
            of_project.remark = Some(format!(
                "`{shown}` ({}) is not followed for the sessions below it: they go where all others go",
                names.join(", ")
            ));
        }
        of_project
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use codex_trace_export::options::OptionSet;

    use super::*;

    fn projects(files: &[(&str, &str)], options: OptionSet) -> Projects {
        let files: BTreeMap<PathBuf, String> =
            files.iter().map(|(path, text)| (path.into(), (*text).to_owned())).collect();
        Projects::new(&Settings {
            files: ConfigFiles::new(files),
            home: Some("/home/u".into()),
            options,
            ..Settings::default()
        })
    }

    #[test]
    fn the_nearest_file_holds_for_what_is_below_it() {
        let files = [
            ("/home/u/.codex/langsmith.json", r#"{"enabled":false}"#),
            ("/home/u/a/.codex/langsmith.json", r#"{"enabled":false,"project":"p"}"#),
            ("/home/u/a/in/.codex/langsmith.json", r#"{"enabled":true,"defaultMuted":true}"#),
            ("/home/u/bad/.codex/langsmith.json", "{"),
        ];
        let all = projects(&files, OptionSet::default());
        let of = |dir: &str| all.of(Path::new(dir));
        for dir in ["/home/u/a", "/home/u/a/below/it"] {
            assert_eq!(of(dir).left_out.as_deref(), Some("/home/u/a/.codex/langsmith.json"));
        }
        for dir in ["/home/u", "/home/u/b", "/home/u/ab", "a", ""] {
            assert!(of(dir).left_out.is_none(), "{dir}");
        }
        assert!(of("/home/u/a/in").left_out.is_none() && of("/home/u/a/in").muted);
        assert!(of("/home/u/bad/x").refused.unwrap().contains("bad/.codex/langsmith.json`:1"));
        let wanted = projects(&files, OptionSet::default().with(&INCLUDE_DISABLED, true));
        let of = wanted.of(Path::new("/home/u/a"));
        assert!(of.left_out.is_none() && of.remark.unwrap().contains("(`project`)"));
    }

    #[test]
    fn rules_of_a_project_are_its_own() {
        let text = |rule: &str| format!(r#"{{"redact_extra_rules":[{{"pattern":"{rule}"}}]}}"#);
        let (good, bad) = (text("ACME"), text("(?=x)"));
        let files = [("/a/.codex/langsmith.json", &*good), ("/b/.codex/langsmith.json", &*bad)];
        let all = projects(&files, OptionSet::default());
        assert_eq!(all.of(Path::new("/a")).rules.len(), 1);
        assert!(all.of(Path::new("/b")).refused.unwrap().contains("`redact_extra_rules`"));
        assert!(all.of(Path::new("/c")).rules.is_empty());
    }
}
