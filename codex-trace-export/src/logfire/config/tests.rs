use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::ConfigFiles;

#[test]
fn paths_are_completed_as_the_exporter_completes_them() {
    for (given, whole) in [
        ("http://h", "http://h/v1/traces"),
        ("http://h/", "http://h/v1/traces"),
        ("http://h/v1", "http://h/v1/traces"),
        ("http://h/otlp/", "http://h/otlp/v1/traces"),
        ("http://h/x/v1/traces/", "http://h/x/v1/traces"),
        ("no address", "no address"),
    ] {
        assert_eq!(traces_url(given), whole);
    }
}

/// Settings with variables and a file of the exporter's.
fn settings(variables: &[(&str, &str)], file: Option<(&str, &str)>) -> Settings {
    let mut settings = Settings { home: Some("/home/u".into()), ..Settings::default() };
    for (name, value) in variables {
        settings.env.0.insert((*name).to_owned(), (*value).to_owned());
    }
    let files: BTreeMap<PathBuf, String> =
        file.into_iter().map(|(path, text)| (path.into(), text.to_owned())).collect();
    settings.files = ConfigFiles::new(files);
    settings
}

/// The first place: its address, what lets us in, and its name in the ledger.
fn place(settings: &Settings) -> (String, String, String) {
    let read = read(settings).unwrap();
    let place = &read.places[0];
    let access = place.headers.iter().find(|it| it.name == "Authorization");
    let access = access.map(|it| it.wire_value().to_owned()).unwrap_or_default();
    (place.url.expose().to_owned(), access, place.destination())
}

const FILE: &str = "/home/u/.config/logfire-exporter/config.env";

#[test]
fn addresses_have_the_exporters_order() {
    let mut variables = vec![("LOGFIRE_TOKEN", "t")];
    let mut expected = "https://logfire-us.pydantic.dev/v1/traces".to_owned();
    for (nth, name) in BASE.spec.env.iter().rev().enumerate() {
        assert_eq!(place(&settings(&variables, None)).0, expected);
        let url = ["http://a:1", "http://b:1", "http://c:1", "http://d:1", "http://e:1"][nth];
        variables.push((name, url));
        expected = format!("{url}/v1/traces");
    }
    assert_eq!(place(&settings(&variables, None)).0, expected);
    let flag = Settings { endpoint: Some("http://f".to_owned()), ..settings(&variables, None) };
    // A key that is set beside another place goes nowhere else.
    assert!(read(&flag).is_err());
}

#[test]
fn the_exporters_file_comes_after_the_environment() {
    let text = "LOGFIRE_TOKEN=pylf_v1_eu_file\nCODEX_LOGFIRE_AUTH_SCHEME=Bearer\n";
    let alone = place(&settings(&[], Some((FILE, text))));
    assert_eq!(alone.0, "https://logfire-eu.pydantic.dev/v1/traces");
    assert_eq!(alone.1, "Bearer pylf_v1_eu_file");
    let both = place(&settings(&[("LOGFIRE_TOKEN", "pylf_v1_us_env")], Some((FILE, text))));
    assert_eq!(both.1, "Bearer pylf_v1_us_env");
    // A variable that is there and empty hides the one of the file.
    let hidden =
        settings(&[("LOGFIRE_TOKEN", ""), ("CODEX_LOGFIRE_TOKEN", "c")], Some((FILE, text)));
    assert_eq!(place(&hidden).1, "Bearer c");
    for dir in ["codex-logfire-exporter", "codex-logfire-plugin"] {
        let path = format!("/home/u/.config/{dir}/config.env");
        assert_eq!(place(&settings(&[], Some((&path, text)))).1, "Bearer pylf_v1_eu_file", "{dir}");
    }
    let named = [("CODEX_LOGFIRE_CONFIG_FILE", "~/x.env")];
    assert_eq!(place(&settings(&named, Some(("/home/u/x.env", text)))).1, alone.1);
}

#[test]
fn what_stands_before_a_token() {
    for (scheme, access) in
        [("", "t"), ("raw", "t"), ("None", "t"), ("Bearer", "Bearer t"), ("token", "token t")]
    {
        let variables = [("LOGFIRE_TOKEN", "t"), ("CODEX_LOGFIRE_AUTH_SCHEME", scheme)];
        assert_eq!(place(&settings(&variables, None)).1, access, "{scheme}");
    }
    let variables = [("LOGFIRE_TOKEN", "Bearer t"), ("CODEX_LOGFIRE_AUTH_SCHEME", "bearer")];
    assert_eq!(place(&settings(&variables, None)).1, "Bearer t");
    let variables =
        [("LOGFIRE_TOKEN", "t"), ("CODEX_LOGFIRE_OTLP_HEADERS", "no, Authorization = x ,a=")];
    assert_eq!(place(&settings(&variables, None)).1, "x");
}

#[test]
fn a_project_has_a_name_in_the_ledger_and_no_token() {
    let alone = settings(&[("LOGFIRE_TOKEN", "abc")], None);
    // The first four bytes of the SHA-256 of `abc`, of FIPS 180-2.
    assert_eq!(place(&alone).2, "logfire https://logfire-us.pydantic.dev/v1/traces#~ba7816bf");
    let named = Settings { project: Some("p".to_owned()), ..alone };
    assert_eq!(place(&named).2, "logfire https://logfire-us.pydantic.dev/v1/traces#p");
    let two = read(&settings(&[("LOGFIRE_TOKEN", "pylf_v1_eu_a, pylf_v1_us_b")], None)).unwrap();
    let names: Vec<String> = two.places.iter().map(Place::destination).collect();
    assert_eq!(names.len(), 2);
    assert!(names[0].contains("logfire-eu") && names[1].contains("logfire-us"), "{names:?}");
}

#[test]
fn content_is_kept_back_as_the_exporter_is_told_to() {
    let mode = |word: &str| {
        read(&settings(
            &[("LOGFIRE_TOKEN", "t"), ("CODEX_LOGFIRE_CONTENT_CAPTURE_MODE", word)],
            None,
        ))
    };
    for (word, capture) in [
        ("full", Capture::Full),
        ("No_Tool_Content", Capture::NoToolContent),
        ("metadata_only", Capture::MetadataOnly),
    ] {
        assert_eq!(mode(word).unwrap().config.capture, capture);
    }
    let err = mode("metadata").err().unwrap();
    assert!(err.message.contains("CODEX_LOGFIRE_CONTENT_CAPTURE_MODE"), "{}", err.message);
    let flagged = settings(
        &[("LOGFIRE_TOKEN", "t"), ("CODEX_LOGFIRE_CONTENT_CAPTURE_MODE", "metadata_only")],
        None,
    );
    let options = flagged.options.clone().with(&CAPTURE_MODE, Capture::Full);
    let read = read(&Settings { options, ..flagged }).unwrap();
    assert_eq!(read.config.capture, Capture::Full, "a flag comes first");
}

#[test]
fn credentials_of_a_project_are_followed_only_if_it_is_trusted() {
    let text = r#"{"token":"pylf_v1_us_c","project_name":"p","logfire_api_url":"http://l:3000"}"#;
    let file = Some(("/repo/.logfire/logfire_credentials.json", text));
    let there = Settings { cwd: Some("/repo".into()), ..settings(&[], file) };
    let err = read(&there).err().unwrap();
    assert!(err.message.contains("no write token"), "{}", err.message);
    let trusted = Settings { trust_project: true, ..there };
    let found = place(&trusted);
    assert_eq!((&*found.0, &*found.1), ("http://l:3000/v1/traces", "pylf_v1_us_c"));
    assert_eq!(found.2, "logfire http://l:3000/v1/traces#p");
    let own = [("LOGFIRE_CREDENTIALS_DIR", "/repo/.logfire")];
    assert_eq!(place(&settings(&own, file)).1, "pylf_v1_us_c");
}

#[test]
fn only_the_hosted_service_needs_a_token_and_takes_nothing_old() {
    let local =
        Settings { endpoint: Some("http://localhost:3000".to_owned()), ..settings(&[], None) };
    assert!(!read(&local).unwrap().places[0].is_hosted());
    assert!(read(&settings(&[("LOGFIRE_TOKEN", "t")], None)).unwrap().places[0].is_hosted());
    assert!(read(&settings(&[], None)).is_err());
}

#[test]
fn telemetry_of_codex_that_goes_to_logfire_is_told() {
    let table = "[otel]\ntrace_exporter = { otlp-http = { endpoint = \"https://logfire-us.pydantic.dev/v1/traces\", protocol = \"binary\" } }\n";
    let home = Settings {
        codex_home: Some("/home/u/.codex".into()),
        ..settings(&[("LOGFIRE_TOKEN", "t")], Some(("/home/u/.codex/config.toml", table)))
    };
    let remarks = read(&home).unwrap().remarks;
    assert_eq!(remarks.len(), 1);
    assert!(remarks[0].message.contains("config.toml"), "{}", remarks[0].message);
    let none = settings(&[("LOGFIRE_TOKEN", "t")], None);
    assert!(read(&none).unwrap().remarks.is_empty());
}
