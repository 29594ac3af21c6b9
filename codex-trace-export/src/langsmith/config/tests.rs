use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::environment::{ConfigFiles, Environment};

fn settings(vars: &[(&str, &str)]) -> Settings {
    let vars = vars.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Settings { env: Environment(vars.collect()), ..Settings::default() }
}

/// A file of the plugin's in a home of this name.
fn file(home: &str, json: &str) -> (PathBuf, String) {
    (Path::new(home).join(".codex/langsmith.json"), json.to_owned())
}

#[test]
fn nothing_set_means_the_hosted_service() {
    let config = Config::read(&settings(&[])).unwrap();
    let place = &config.places[0];
    assert_eq!((place.endpoint.expose(), &*place.project), (HOSTED, "codex"));
    assert!(place.key.is_none() && place.is_hosted());
}

#[test]
fn stronger_layers_win_key_by_key() {
    let user = r#"{"api_key":"user","project":"user"}"#;
    let project = r#"{"project":"project","api_url":"http://p"}"#;
    let mut settings = settings(&[
        ("LANGSMITH_API_KEY", "plain"),
        ("LANGSMITH_CODEX_API_KEY", "lsv2_pt_0123456789abcdef\n"),
        ("LANGSMITH_ENDPOINT", "http://e/"),
    ]);
    settings.home = Some("/home/u".into());
    settings.cwd = Some("/project".into());
    let files = BTreeMap::from([file("/home/u", user), file("/project", project)]);
    settings.files = ConfigFiles::new(files);
    let config = Config::read(&settings).unwrap();
    let place = &config.places[0];
    assert_eq!(place.key.as_ref().unwrap().expose(), "lsv2_pt_0123456789abcdef");
    assert_eq!((&*place.project, place.endpoint.expose()), ("user", "http://e"));
    assert!(!place.is_hosted() && config.refused.is_none());
    let key = config.found.iter().find(|found| found.name == "api_key").unwrap();
    assert_eq!(key.value, "lsv2_…cdef");
    assert_eq!(key.from.to_string(), "LANGSMITH_CODEX_API_KEY");
    settings.trust_project = true;
    assert_eq!(Config::read(&settings).unwrap().places[0].project, "project");
    settings.project = Some("flag".to_owned());
    assert_eq!(Config::read(&settings).unwrap().places[0].project, "flag");
}

/// As the plugin has it: JSON of the wrong shape discards the layer, what
/// is no JSON only itself.
#[test]
fn one_malformed_variable_discards_the_environment() {
    let vars = [("LANGSMITH_PROJECT", "p"), ("LANGSMITH_CODEX_METADATA", "[1]")];
    let config = Config::read(&settings(&vars)).unwrap();
    assert_eq!(config.places[0].project, "codex");
    assert_eq!(config.problems.len(), 1, "{:?}", config.problems);
    let vars = [("LANGSMITH_PROJECT", "p"), ("LANGSMITH_CODEX_METADATA", "{")];
    let config = Config::read(&settings(&vars)).unwrap();
    assert_eq!((&*config.places[0].project, config.problems.len()), ("p", 0));
}

#[test]
fn replicas_take_what_they_do_not_say_from_the_primary() {
    let replicas = r#"[{"apiUrl":"https://eu.api.smith.langchain.com/","apiKey":"k2"},
        {"api_url":"http://self/api","project":"mine"},{"projectName":"other"}]"#;
    let vars = [("LANGSMITH_CODEX_RUNS_ENDPOINTS", replicas), ("LANGSMITH_CODEX_API_KEY", "k1")];
    let config = Config::read(&settings(&vars)).unwrap();
    let shape: Vec<_> = config
        .places
        .iter()
        .map(|it| (it.endpoint.expose(), it.key.as_ref().unwrap().expose(), &*it.project))
        .collect();
    assert_eq!(
        shape,
        [
            ("https://eu.api.smith.langchain.com", "k2", "codex"),
            ("http://self/api", "k1", "mine"),
            (HOSTED, "k1", "other"),
        ]
    );
    assert!(config.places[0].is_hosted());
}

#[test]
fn an_endpoint_must_be_an_address() {
    let settings = Settings { endpoint: Some("nowhere".to_owned()), ..Settings::default() };
    assert!(Config::read(&settings).is_err());
}
