//! Products that take OTLP, by their names: what address, headers and
//! attributes arrive. Expected values are those of the makers' documents, cited
//! in docs/presets.md.

use std::fs;
use std::path::Path;

use codex_trace_export::otlp::presets::PRESETS;
use serde_json::Value;

use crate::scripted_server::{Act, Server};
use crate::testenv::{Run, TestEnv, place, small_rollout};

const ID: &str = "019a0000-0000-7000-8000-000000000007";
const FILE: &str = ".config/codex-trace/codex-trace.toml";

fn env() -> TestEnv {
    let env = TestEnv::new();
    let rollout = small_rollout(ID, "2026-03-01T10:00", "hello");
    env.write(&format!(".codex/{}", place("2026-03-01T10-00-00", ID)), rollout);
    env
}

fn run(env: &TestEnv, args: &[&str], vars: &[(&str, String)]) -> Run {
    let mut command = env.command(&[&["upload", "--settle", "0s"], args].concat());
    env.finish(command.envs(vars.iter().map(|(name, value)| (name, value))))
}

/// What is expected of a product.
struct Row {
    name: &'static str,
    /// Where it is if nobody says.
    address: Option<&'static str>,
    /// The variable with the address, and what a user puts behind the host.
    address_var: Option<(&'static str, &'static str)>,
    /// Where requests arrive at such a host.
    path: &'static str,
    /// The product's own variables.
    vars: &'static [(&'static str, &'static str)],
    headers: &'static [&'static str],
    /// Attributes of the resource.
    resource: &'static [(&'static str, &'static str)],
    /// An attribute that only its conventions have.
    semconv: &'static str,
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row {
        name: "phoenix", address: Some("http://localhost:6006/v1/traces"),
        address_var: Some(("PHOENIX_COLLECTOR_ENDPOINT", "")), path: "/v1/traces",
        vars: &[("PHOENIX_API_KEY", "k1"), ("PHOENIX_CLIENT_HEADERS", "x-a=b%20c"), ("PHOENIX_PROJECT_NAME", "p1")],
        headers: &["authorization: bearer k1", "x-a: b c"],
        resource: &[("openinference.project.name", "p1")],
        semconv: "openinference.span.kind",
    },
    Row {
        name: "arize", address: Some("https://otlp.arize.com/v1/traces"),
        address_var: Some(("ARIZE_COLLECTOR_ENDPOINT", "/v1")), path: "/v1/traces",
        vars: &[("ARIZE_SPACE_ID", "s1"), ("ARIZE_API_KEY", "k1"), ("ARIZE_PROJECT_NAME", "p1")],
        headers: &["arize-space-id: s1", "arize-api-key: k1"],
        resource: &[("openinference.project.name", "p1"), ("model_id", "p1")],
        semconv: "openinference.span.kind",
    },
    Row {
        name: "langfuse", address: Some("https://cloud.langfuse.com/api/public/otel/v1/traces"),
        address_var: Some(("LANGFUSE_BASE_URL", "")), path: "/api/public/otel/v1/traces",
        vars: &[("LANGFUSE_PUBLIC_KEY", "pk"), ("LANGFUSE_SECRET_KEY", "sk")],
        // base64 of `pk:sk`, in small letters as the recorder keeps it.
        headers: &["authorization: basic cgs6c2s=", "x-langfuse-ingestion-version: 4"],
        resource: &[], semconv: "gen_ai.operation.name",
    },
    Row {
        name: "opik", address: Some("https://www.comet.com/opik/api/v1/private/otel/v1/traces"),
        address_var: Some(("OPIK_URL_OVERRIDE", "/opik/api")), path: "/opik/api/v1/private/otel/v1/traces",
        vars: &[("OPIK_API_KEY", "k1"), ("OPIK_WORKSPACE", "w1"), ("OPIK_PROJECT_NAME", "p1")],
        headers: &["authorization: k1", "comet-workspace: w1", "projectname: p1"],
        resource: &[], semconv: "gen_ai.operation.name",
    },
    Row {
        name: "grafana-cloud", address: None,
        address_var: Some(("OTEL_EXPORTER_OTLP_ENDPOINT", "/otlp")), path: "/otlp/v1/traces",
        vars: &[("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic%20MTpr")],
        headers: &["authorization: basic mtpr"],
        resource: &[("service.name", "p1")], semconv: "gen_ai.operation.name",
    },
    Row {
        name: "honeycomb", address: Some("https://api.honeycomb.io/v1/traces"),
        address_var: Some(("HONEYCOMB_API_ENDPOINT", "")), path: "/v1/traces",
        vars: &[("HONEYCOMB_API_KEY", "k1"), ("HONEYCOMB_DATASET", "d1")],
        headers: &["x-honeycomb-team: k1", "x-honeycomb-dataset: d1"],
        resource: &[("service.name", "p1")], semconv: "gen_ai.operation.name",
    },
    Row {
        name: "datadog", address: Some("https://otlp.datadoghq.com/v1/traces"),
        address_var: None, path: "/v1/traces",
        vars: &[("DD_API_KEY", "k1")],
        headers: &["dd-api-key: k1", "dd-otlp-source: llmobs"],
        resource: &[("service.name", "p1")], semconv: "gen_ai.operation.name",
    },
    Row {
        name: "jaeger", address: Some("http://localhost:4318/v1/traces"),
        address_var: Some(("OTEL_EXPORTER_OTLP_ENDPOINT", "")), path: "/v1/traces",
        vars: &[], headers: &[],
        resource: &[("service.name", "p1")], semconv: "gen_ai.operation.name",
    },
    Row {
        name: "tempo", address: Some("http://localhost:4318/v1/traces"),
        address_var: Some(("OTEL_EXPORTER_OTLP_ENDPOINT", "")), path: "/v1/traces",
        vars: &[], headers: &["x-scope-orgid: t1"],
        resource: &[("service.name", "p1")], semconv: "gen_ai.operation.name",
    },
];

fn attributes(list: &Value) -> Vec<(String, String)> {
    let pair = |it: &Value| {
        let value = it["value"]["stringValue"].as_str().unwrap_or_default();
        (it["key"].as_str().unwrap_or_default().to_owned(), value.to_owned())
    };
    list.as_array().into_iter().flatten().map(pair).collect()
}

#[test]
fn what_arrives_is_what_the_makers_document() {
    assert!(PRESETS.iter().map(|it| it.name).eq(ROWS.iter().map(|row| row.name)));
    for row in ROWS {
        let server = Server::start(&[], Some(Act::Ok));
        let host = server.url.trim_end_matches("/units");
        let env = env();
        let workspace = if row.name == "tempo" { "workspace = 't1'\n" } else { "" };
        let project = if row.resource.is_empty() { "" } else { "project = 'p1'\n" };
        let table = format!(
            "[destinations.x]\nbackend = '{}'\nprotocol = 'http/json'\n{workspace}{project}",
            row.name
        );
        env.write(FILE, table);
        let mut vars: Vec<(&str, String)> =
            row.vars.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let mut args = vec!["--to", "x", "--compress", "none", "--time-shift"];
        match row.address_var {
            Some((name, behind)) => vars.push((name, format!("{host}{behind}"))),
            None => args.extend(["--endpoint", host]),
        }
        let run = run(&env, &args, &vars);
        assert_eq!(run.code, Some(0), "{}: {}", row.name, run.stderr);
        let heads = server.heads();
        assert!(heads.contains(&format!("post {} http", row.path)), "{}: {heads}", row.name);
        for header in row.headers {
            assert!(heads.contains(header), "{}: {header}\n{heads}", row.name);
        }
        let body: Value = serde_json::from_str(&server.last()).expect("JSON");
        let spans = &body["resourceSpans"][0];
        let resource = attributes(&spans["resource"]["attributes"]);
        for (key, value) in row.resource {
            let there = resource.iter().any(|it| it.0 == *key && it.1 == *value);
            assert!(there, "{}: {key} in {resource:?}", row.name);
        }
        let span = attributes(&spans["scopeSpans"][0]["spans"][0]["attributes"]);
        assert!(span.iter().any(|(key, _)| key == row.semconv), "{}: {span:?}", row.name);
    }
}

/// Returns the address of the first request of a dry run.
fn goes(env: &TestEnv, args: &[&str], vars: &[(&str, String)]) -> String {
    let out = tempfile::tempdir().expect("a directory");
    let dir = format!("--dry-run={}", out.path().display());
    let run = run(env, &[args, &[&dir, "--time-shift"]].concat(), vars);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let first = fs::read_dir(out.path()).expect("a directory").next().expect("a destination");
    let about = fs::read_to_string(first.expect("an entry").path().join("000001.json"));
    let about: Value = serde_json::from_str(&about.expect("a request")).expect("JSON");
    about["url"].as_str().expect("an address").to_owned()
}

#[test]
fn a_product_is_where_its_maker_says_and_no_other_variable_leads_away() {
    for row in ROWS {
        let env = env();
        let mut vars: Vec<(&str, String)> =
            row.vars.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let Some(address) = row.address else { continue };
        assert_eq!(goes(&env, &["--to", row.name], &vars), address);
        let is_own = row.address_var.is_none_or(|(name, _)| !name.starts_with("OTEL"));
        if is_own {
            vars.push(("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:7001".to_owned()));
            vars.push(("OTEL_EXPORTER_OTLP_HEADERS", "authorization=other".to_owned()));
            assert_eq!(goes(&env, &["--to", row.name], &vars), address);
        }
    }
    let vars = [("DD_API_KEY", "k".to_owned()), ("DD_SITE", "us5.datadoghq.com".to_owned())];
    let url = goes(&env(), &["--to", "datadog"], &vars);
    assert_eq!(url, "https://otlp.us5.datadoghq.com/v1/traces");
}

#[test]
fn a_products_key_goes_only_to_the_place_beside_it() {
    for row in ROWS.iter().filter(|row| !row.vars.is_empty()) {
        let Some((name, behind)) = row.address_var else { continue };
        let mut vars: Vec<(&str, String)> =
            row.vars.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        vars.push((name, format!("http://127.0.0.1:7001{behind}")));
        let args = ["--to", row.name, "--endpoint", "http://127.0.0.1:7003", "--dry-run"];
        let run = run(&env(), &args, &vars);
        assert_eq!(run.code, Some(2), "{}: {}", row.name, run.stderr);
        assert!(run.stderr.contains("7001") && run.stderr.contains(name), "{}", run.stderr);
    }
    // A table that names its endpoint takes no key of a variable along.
    let env = env();
    let table = "[destinations.x]\nbackend = 'honeycomb'\nendpoint = 'http://127.0.0.1:7001'\n";
    env.write(FILE, table);
    let vars = [("HONEYCOMB_API_KEY", "k1".to_owned())];
    let refused = run(&env, &["--to", "x", "--dry-run"], &vars);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    env.write(FILE, format!("{table}key = {{ env = 'HONEYCOMB_API_KEY' }}\n"));
    assert_eq!(run(&env, &["--to", "x", "--dry-run"], &vars).code, Some(0));
}

#[test]
fn what_is_missing_is_named_by_the_products_own_variables() {
    for (name, words) in [
        ("langfuse", &["LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY", "Langfuse"][..]),
        ("honeycomb", &["HONEYCOMB_API_KEY"]),
        ("arize", &["ARIZE_API_KEY"]),
        ("opik", &["OPIK_API_KEY"]),
        ("datadog", &["DD_API_KEY"]),
        ("grafana-cloud", &["Grafana Cloud", "--endpoint"]),
    ] {
        let run = run(&env(), &["--to", name, "--dry-run"], &[]);
        assert_eq!(run.code, Some(2), "{name}: {}", run.stderr);
        for word in words {
            assert!(run.stderr.contains(word), "{name}: {word}: {}", run.stderr);
        }
    }
    let vars = [("LANGFUSE_PUBLIC_KEY", "pk".to_owned()), ("LANGFUSE_SECRET_KEY", "sk".to_owned())];
    let refused = run(&env(), &["--to", "langfuse", "--project", "p", "--dry-run"], &vars);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("cannot be told a project"), "{}", refused.stderr);
}

/// `doctor` lists the products that are configured here, and no others.
#[test]
fn doctor_knows_the_products_that_somebody_uses() {
    let env = env();
    let mut command = env.command(&["doctor", "--json"]);
    let run = env.finish(command.env("OPIK_API_KEY", "k-of-opik"));
    assert!(run.stdout.contains("\"name\":\"opik\""), "{}", run.stdout);
    assert!(run.stdout.contains("OPIK_WORKSPACE") && !run.stdout.contains("k-of-opik"));
    assert!(!run.stdout.contains("\"name\":\"honeycomb\""), "{}", run.stdout);
}

/// The documentation has a row for each, with its source.
#[test]
fn the_documentation_cites_the_source_of_each() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/presets.md");
    let docs = fs::read_to_string(docs).expect("it is there");
    for preset in PRESETS {
        let row = docs.lines().find(|line| line.starts_with(&format!("| `{}` ", preset.name)));
        let row = row.unwrap_or_else(|| panic!("no row for {}", preset.name));
        assert!(docs.contains(preset.source), "{}", preset.source);
        for (name, _) in preset.variables() {
            assert!(row.contains(&format!("`{name}`")), "{}: {name}", preset.name);
        }
    }
}
