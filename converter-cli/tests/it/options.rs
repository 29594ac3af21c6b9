//! What is declared of options, and what is told of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use codex_trace_export::options::{Flag, Kind, OptionSpec, common};
use converter_cli::backends::BACKENDS;

use crate::testenv::{TestEnv, place, small_rollout};

fn docs() -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    fs::read_to_string(docs).expect("it is there")
}

fn values(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Switch => "`true`, `false`".to_owned(),
        Kind::Number | Kind::Rate => "number".to_owned(),
        Kind::Words(words) => {
            words().iter().map(|(word, _)| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ")
        }
        Kind::Duration => "length of time: `\"90s\"`, `\"5m\"`".to_owned(),
        Kind::Secret => "reference".to_owned(),
        Kind::Headers => "table of texts or references".to_owned(),
        Kind::Certificates => "table".to_owned(),
        Kind::Texts => "list of texts".to_owned(),
        Kind::File => "file".to_owned(),
    }
}

fn flags(spec: &OptionSpec) -> String {
    match spec.flag {
        None => String::new(),
        Some(Flag::OnOff { on, off, .. }) => format!("`--{on}`, `--{off}`"),
        Some(flag) => format!("`--{}`", flag.name()),
    }
}

fn row(spec: &OptionSpec, backends: &str) -> String {
    let what = spec.help.split(" [default").next().unwrap_or_default();
    let more = if spec.details.is_empty() { String::new() } else { format!(". {}", spec.details) };
    let (key, values) = match spec.key {
        Some(key) => (format!("`{key}`"), values(spec.kind)),
        None => (String::new(), String::new()),
    };
    let (default, flags) = (spec.default, flags(spec));
    format!("| {key} | {backends} | {values} | {default} | {flags} | {what}{more} |")
}

/// The tables of all options and of all variables, as the documentation has them.
fn tables() -> String {
    let mut lines = vec![
        "| key | backend | value | default | flag | meaning |".to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    let of_all: Vec<String> = common::all().map(|spec| row(spec, BACKEND)).collect();
    let mut rows: Vec<(String, Vec<&str>)> = Vec::new();
    let mut variables = Vec::new();
    for backend in BACKENDS {
        for spec in backend.options {
            if !spec.env.is_empty() {
                let names: Vec<String> = spec.env.iter().map(|name| format!("`{name}`")).collect();
                let key = spec.key.map(|key| format!("`{key}`")).unwrap_or_default();
                let what = if spec.key.is_some() { "" } else { spec.help };
                let (name, names) = (backend.name, names.join(", "));
                variables.push(format!("| {name} | {names} | {key}{what} |"));
            }
            let row = row(spec, BACKEND);
            if spec.key.is_none() && spec.flag.is_none() || of_all.contains(&row) {
                continue;
            }
            match rows.iter_mut().find(|(known, _)| *known == row) {
                Some((_, backends)) => backends.push(backend.name),
                None => rows.push((row, vec![backend.name])),
            }
        }
    }
    lines.extend(of_all.iter().map(|row| row.replace(BACKEND, "all")));
    lines.extend(rows.into_iter().map(|(row, of)| row.replace(BACKEND, &of.join(", "))));
    lines.push(String::new());
    lines.push("| backend | variables, strongest first | key, or meaning |".to_owned());
    lines.push("|---|---|---|".to_owned());
    lines.extend(variables);
    lines.join("\n")
}

/// Stands for the names of backends.
const BACKEND: &str = "BACKEND";

/// The tables are made from the declarations: put what the test prints there.
#[test]
fn the_documented_tables_are_what_is_declared() {
    let docs = docs();
    let (_, rest) = docs.split_once("<!-- options -->\n").expect("where the tables begin");
    let (told, _) = rest.split_once("<!-- end of options -->").expect("where they end");
    let table = tables();
    assert!(told.trim() == table, "docs/configuration.md should say:\n{table}\n");
}

/// A flag, a key or a variable has one meaning in a backend.
#[test]
fn an_option_is_declared_once() {
    for backend in BACKENDS {
        let mut seen = BTreeSet::new();
        for spec in backend.options {
            let flag = spec.flag.map(|flag| format!("--{}", flag.name()));
            let names = spec.key.map(str::to_owned).into_iter().chain(flag);
            for name in names.chain(spec.env.iter().map(|name| (*name).to_owned())) {
                assert!(seen.insert(name.clone()), "{} declares {name} twice", backend.name);
            }
            assert!(!spec.help.is_empty() && !spec.help.ends_with('.'), "{}", spec.name());
        }
    }
}

/// Options of several backends with one key have one flag, and the other way round.
#[test]
fn backends_agree_on_keys_and_flags() {
    let all: Vec<&OptionSpec> =
        common::all().chain(BACKENDS.iter().flat_map(|backend| backend.options)).collect();
    for one in &all {
        for other in &all {
            let flag = |spec: &OptionSpec| spec.flag.map(Flag::name);
            if one.key.is_some() && one.key == other.key {
                assert_eq!(flag(one), flag(other), "{}", one.name());
            }
            if one.flag.is_some() && flag(one) == flag(other) {
                assert_eq!(one.key, other.key, "{}", one.name());
            }
        }
    }
}

/// `--metadata` and `--user` reach every backend.
#[test]
fn what_is_said_of_every_session_is_sent_everywhere() {
    for backend in BACKENDS {
        let env = TestEnv::new();
        let id = "019a0000-0000-7000-8000-000000000001";
        let rollout = small_rollout(id, "2026-11-20T10:00", "hello");
        env.write(&format!("home/{}", place("2026-11-20T10-00-00", id)), rollout);
        let args = ["upload", "home", "--settle", "0s", "--dry-run=out", "--to", backend.name];
        let plain = ["--compress", "none"];
        let asked = ["--metadata", "Zteam=Ztools", "--user", "Zada"];
        let keys = [
            ("BRAINTRUST_API_KEY", "k"),
            ("LANGSMITH_API_KEY", "k"),
            ("LANGSMITH_ENDPOINT", "http://127.0.0.1:1"),
            ("LOGFIRE_TOKEN", "pylf_v1_us_k"),
            ("LOGFIRE_BASE_URL", "http://127.0.0.1:1"),
            ("MLFLOW_TRACKING_URI", "http://127.0.0.1:1"),
        ];
        let run = env.finish(env.command(&[&args[..], &asked, &plain].concat()).envs(keys));
        assert_eq!(run.code, Some(0), "{}: {}", backend.name, run.stderr);
        let mut sent = Vec::new();
        for file in files(&env.dir().join("out")) {
            sent.extend(std::fs::read(file).expect("a request"));
        }
        for said in ["Zteam", "Ztools", "Zada"] {
            let is_sent = sent.windows(said.len()).any(|it| it == said.as_bytes());
            assert!(is_sent, "{}: {said}", backend.name);
        }
    }
}

/// All files below a directory.
fn files(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a directory");
    let paths = entries.map(|it| it.expect("an entry").path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
