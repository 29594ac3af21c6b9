//! The output, the schema and the page that describes both must agree.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::testenv::{TestEnv, testdata};

fn docs(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("in the workspace");
    fs::read_to_string(root.join("docs").join(name)).expect("a page")
}

fn schema() -> Value {
    serde_json::from_str(&docs("codex-trace-v1.schema.json")).expect("the schema is JSON")
}

/// Refuses fields that the schema does not name: readers must be lenient, we
/// must not be.
fn strict(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(strict);
            if fields.get("type") == Some(&json!("object"))
                && !fields.contains_key("additionalProperties")
            {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(strict),
        _ => {}
    }
}

/// Checks every line that `convert` writes for `root`; returns how many.
fn check(root: &Path, options: &[&str]) -> usize {
    let mut schema = schema();
    strict(&mut schema);
    // One line is of one type: its own schema says better what is wrong than `oneOf`.
    let defs = schema["$defs"].clone();
    let validator = |name: &str| {
        let mut schema = schema["$defs"][name].clone();
        schema["$defs"] = defs.clone();
        jsonschema::options().build(&schema).expect("the schema is a schema")
    };
    let [trace, item, span] = ["trace", "item", "span"].map(validator);
    let env = TestEnv::new();
    let mut args = vec!["convert".to_owned(), root.display().to_string()];
    args.extend(options.iter().map(|option| (*option).to_owned()));
    let run = env.run(&args);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let lines = run.json();
    for line in &lines {
        let validator = match line["type"].as_str() {
            Some("trace") => &trace,
            Some("item") => &item,
            Some("span") => &span,
            other => panic!("a line of type {other:?}"),
        };
        if let Err(err) = validator.validate(line) {
            panic!("{err}\nat {}\nin {line}", err.instance_path());
        }
        no_nulls(line, "");
    }
    lines.len()
}

/// What we write ourselves is never null; content is as it was recorded.
fn no_nulls(value: &Value, key: &str) {
    const CONTENT: &[&str] = &[
        "action",
        "approval_policy",
        "arguments",
        "changes",
        "content",
        "dynamic_tools",
        "disabled_plugins",
        "goal",
        "info",
        "memory_citation",
        "moderation",
        "output",
        "output_text",
        "parsed_cmd",
        "questions",
        "rate_limits",
        "replacement",
        "replacement_history",
        "scores",
        "search",
        "states",
        "summary",
        "tools",
    ];
    match value {
        Value::Null => panic!("`{key}` is null"),
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, value)| !CONTENT.contains(&key.as_str()) || value.is_null())
            .for_each(|(key, value)| no_nulls(value, key)),
        Value::Array(values) => values.iter().for_each(|value| no_nulls(value, key)),
        _ => {}
    }
}

#[test]
fn every_line_of_the_fixtures_is_as_described() {
    for root in ["tree", "homes", "golden"] {
        assert!(check(&testdata(root), &[]) > 50, "{root}");
    }
    check(&testdata("tree"), &["--encrypted", "--max-image-bytes", "0"]);
}

/// Files of others, which cannot be part of the project, where they are at hand.
#[test]
fn every_line_of_the_corpus_is_as_described() {
    let corpus = testdata("../../shared/corpus");
    let roots: Vec<PathBuf> =
        ["public", "real-codex", "real-codex-2"].iter().map(|it| corpus.join(it)).collect();
    for root in roots.iter().filter(|root| root.is_dir()) {
        assert!(check(root, &[]) > 50, "{}", root.display());
    }
}

#[test]
fn the_schema_is_one_and_can_refuse() {
    let schema = schema();
    jsonschema::meta::validate(&schema).expect("the schema is a schema");
    let validator = jsonschema::options().build(&schema).expect("the schema is a schema");
    let span = json!({
        "type": "span", "thread_id": "t", "key": "thread:t", "kind": "thread", "name": "t",
        "status": "ok", "provenance": {"file": "f", "first_line": 1, "last_line": 2},
    });
    assert!(validator.is_valid(&span));
    for (field, value) in [
        ("status", json!("fine")),
        ("start", json!(17)),
        ("start", json!("2026-11-21T05:39:08+01:00")),
        ("key", Value::Null),
        ("kind", json!("turn")),
        ("attributes", json!({})),
        ("provenance", json!({"file": "f", "first_line": 0, "last_line": 2})),
    ] {
        let mut broken = span.clone();
        broken[field] = value;
        assert!(!validator.is_valid(&broken), "{broken}");
    }
}

#[test]
fn the_page_names_every_field_of_the_schema() {
    let page = docs("span-schema.md");
    let schema = schema();
    let empty = Map::new();
    for (name, definition) in schema["$defs"].as_object().expect("definitions") {
        let fields = definition["properties"].as_object().unwrap_or(&empty);
        for (field, described) in fields {
            assert!(page.contains(&format!("| `{field}` |")), "`{name}.{field}` is missing");
            if let Some(text) = described["description"].as_str() {
                assert!(page.contains(text), "`{name}.{field}` is described otherwise");
            }
        }
    }
}
