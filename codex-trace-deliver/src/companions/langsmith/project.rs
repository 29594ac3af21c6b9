//! What a project says of its own sessions: `.codex/langsmith.json` in the
//! directory that they were in, or above it.

use std::path::Path;

use codex_trace_export::Settings;
use codex_trace_export::langsmith::INCLUDE_DISABLED;
use codex_trace_export::redact::UserRule;
use serde::Deserialize;
use serde_json::Value;

use crate::companions::projects::{self, senseless};
use crate::companions::{OfProject, PlaceOfProject};

/// The files of projects.
#[derive(Debug)]
pub(super) struct Projects {
    files: projects::Projects,
    /// Whether sessions are wanted that a project has switched off.
    include_disabled: bool,
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
        let wanted = settings.get(&INCLUDE_DISABLED);
        Projects {
            files: projects::Projects::new("langsmith.json", settings),
            include_disabled: wanted.is_some_and(|said| said.value),
        }
    }

    /// Returns what the project of a directory says of its sessions.
    pub(super) fn of(&self, cwd: &Path) -> OfProject {
        self.files.of(cwd, |path, text| match serde_json::from_str::<File>(text) {
            Ok(file) => self.read(path, file),
            Err(err) => senseless(path, &err),
        })
    }

    fn read(&self, path: &Path, file: File) -> OfProject {
        let off = file.enabled == Some(false) && !self.include_disabled;
        let mut of_project = OfProject {
            left_out: off.then(|| path.display().to_string()),
            muted: file.default_muted == Some(true),
            place: file.place(path),
            ..OfProject::default()
        };
        for Rule { pattern, replace } in file.redact_extra_rules.into_iter().flatten() {
            match UserRule::with_groups(&pattern, replace.as_deref()) {
                Ok(rule) => of_project.rules.push(rule),
                Err(err) => {
                    let what = format!("`{}`: `redact_extra_rules`: {err}", path.display());
                    of_project.refused = Some(what);
                }
            }
        }
        of_project
    }
}

impl File {
    fn place(&self, path: &Path) -> Option<PlaceOfProject> {
        let text = |value: &Option<Value>| {
            let text = value.as_ref().and_then(Value::as_str).map(str::trim);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let server = text(&self.api_url);
        let more = [
            ("api_key", self.api_key.is_some()),
            ("api_url", server.is_some()),
            ("replicas", self.replicas.is_some()),
        ];
        let more: Vec<_> = more.into_iter().filter(|it| it.1).map(|it| it.0).collect();
        let project = text(&self.project).map(|name| ("project", name));
        let names_one = project.is_some() || !more.is_empty();
        names_one.then(|| PlaceOfProject { file: path.to_owned(), server, project, more })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use std::path::PathBuf;

    use codex_trace_export::ConfigFiles;
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
        assert!(of.left_out.is_none());
        let place = of.place.unwrap();
        assert_eq!((place.project.unwrap().1, place.more), ("p".to_owned(), Vec::new()));
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
