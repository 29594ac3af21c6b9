//! What leaves the machine, for every backend: no secret, and no more content
//! than was asked for.

use std::collections::BTreeMap;

use codex_trace_export::choice::Choice;
use codex_trace_export::content::Content;
use codex_trace_export::content::{Capture, ContentRules};
use codex_trace_export::environment::Environment;
use codex_trace_export::options::OptionSet;
use codex_trace_export::otlp::{Amount, LlmInput, Options, Semconv, encode_json};
use codex_trace_export::redact::Redactor;
use codex_trace_export::wire::jsonl;
use codex_trace_export::{Cx, Exporter, Notes, Settings, Unit};
use codex_trace_model::Trace;
use converter_cli::backends::BACKENDS;
use serde_json::{Value, json};

use crate::marked::{FIELDS, Sort, rollout};
use crate::support::{for_each_trace, with_bytes};

/// One for every rule: a text, and the part of it that is secret.
#[rustfmt::skip]
const SECRETS: &[(&str, &str)] = &[
    ("sk-ant-api03-AbCdEf0123456789xyz_-A", "AbCdEf0123456789"),
    ("sk-abcdefghijklmnopqrstuvwxyz012345", "abcdefghijklmnopqrstuvwxyz012345"),
    ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", "4eC39HqLyjWDarjtT1zdp7dc"),
    ("lsv2_pt_0123456789abcdef0123456789abcdef_0123456789", "0123456789abcdef"),
    ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "0123456789abcdefghij"),
    ("github_pat_11ABCDEFG0123456789abc_0123456789abcdefghijABCDEFGHIJ0123456789", "11ABCDEFG0123"),
    ("glpat-0123456789abcdefXYZ_", "0123456789abcdef"),
    ("glc_eyJvIjoiMTIzNDU2Nzg5MCIsIm4iOiJ4In0", "eyJvIjoiMTIzNDU2"),
    ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7EXAMPLE"),
    ("AIzaSyA0123456789abcdefghijklmnopqrstuv", "SyA0123456789abcdef"),
    ("ya29.a0AfH6SMBx0123456789_-abc", "a0AfH6SMBx0123456789"),
    ("xoxb-123456789012-123456789012-abcdef", "123456789012-abcdef"),
    ("https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX", "XXXXXXXXXXXXXXXX"),
    ("npm_0123456789abcdefghijABCDEFGHIJ012345", "0123456789abcdefghij"),
    ("pypi-AgEIcHlwaS5vcmcCJDAxMjM0NTY3ODkwMTIzNDU2Nzg5MA", "AgEIcHlwaS5vcmc"),
    ("SG.0123456789abcdefghijkl.0123456789abcdefghijklmnopqrstuvwxyzABCDEFG", "0123456789abcdefghijkl"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P", "dozjgNryP4J3jVmNHl0w5N"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQ\n-----END RSA PRIVATE KEY-----", "MIIEowIBAAKCAQ"),
    ("Authorization: Bearer abcdef0123456789", "abcdef0123456789"),
    ("authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
    ("postgres://user:hunter2pass@db:5432/x", "hunter2pass"),
    ("export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI"),
    ("--password 'correct horse'", "correct horse"),
    ("gsk_0123456789abcdefghijABCDEFGHIJ0123456789", "0123456789abcdefghijABCDEFGHIJ"),
    ("hf_abcdefghijABCDEFGHIJabcdefghijABCD", "abcdefghijABCDEFGHIJ"),
    ("pylf_v1_eu_0123456789abcdefghijABCDEFGHIJ0123456789abc", "0123456789abcdefghijABCDEFGHIJ"),
    ("dckr_pat_0123456789abcdefghij_-AB", "0123456789abcdefghij"),
    ("shpat_0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef"),
    ("AGE-SECRET-KEY-1QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQS", "QYQSZQGPQYQSZQGP"),
    ("AKIAIOSFODNN7EXAMPLE,wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"),
    ("https://x.blob.core.windows.net/c?sig=0123456789abcdefghijABCDEFGHIJ%3D", "0123456789abcdefghijABCDEFGHIJ"),
    ("https://api.telegram.org/bot123456789:AAabcdefghijABCDEFGHIJ0123456789-_a/getMe", "AAabcdefghijABCDEFGHIJ"),
    ("Cookie: session=0123456789abcdefghij; theme=dark", "0123456789abcdefghij"),
    ("curl -u admin:hunter2pass https://x", "hunter2pass"),
    ("Server=x;Uid=sa;Pwd=hunter2pass;", "hunter2pass"),
    ("client-key-data: LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQpNSUlFb3dJQkFBS0NBUUVB", "SBLRVktLS0tLQpNSUlFb3dJQ"),
];

/// Every backend, in every form that it has.
fn exporters() -> Vec<(String, Box<dyn Exporter>)> {
    let mut all = Vec::new();
    for backend in BACKENDS {
        let mut forms = vec![BTreeMap::new()];
        if backend.name == "otlp" {
            forms = ["http/protobuf", "http/json"]
                .into_iter()
                .flat_map(|protocol| {
                    [Semconv::GenAi, Semconv::OpenInference].map(|semconv| {
                        BTreeMap::from([("protocol", protocol), ("semconv", semconv.word())])
                    })
                })
                .collect();
        }
        if backend.name == "codex-otel" {
            forms = ["logs", "traces", "metrics"]
                .into_iter()
                .map(|signal| {
                    let all = [("signals", signal), ("log_user_prompt", "true")];
                    BTreeMap::from([all[0], all[1], ("log_agent_responses", "true")])
                })
                .collect();
        }
        for mut form in forms {
            // As much as the backend can send.
            form.insert("llm_input", LlmInput::Full.word());
            let mut options = OptionSet::default();
            for (name, word) in &form {
                let spec = backend.options.iter().find(|spec| spec.name() == *name);
                options.put_text(spec.expect("it is an option"), word).unwrap();
            }
            let names = backend.options.iter().flat_map(|spec| spec.env);
            let keys = names.filter(|name| name.ends_with("_API_KEY"));
            let settings = Settings {
                endpoint: Some("http://localhost:1".to_owned()),
                project: Some("p".to_owned()),
                options,
                env: Environment(keys.map(|name| ((*name).to_owned(), "k".to_owned())).collect()),
                ..Settings::default()
            };
            let connected = (backend.connect)(&settings).expect(backend.name);
            all.extend(connected.into_iter().map(|it| (format!("{} {form:?}", backend.name), it)));
        }
    }
    all
}

fn rules(capture: Capture, redact: bool) -> ContentRules {
    ContentRules::new(capture, redact.then(Redactor::default), Content::default())
}

/// All that would be sent of a trace.
fn bytes(exporter: &dyn Exporter, trace: &Trace<'_>, rules: &ContentRules) -> Vec<u8> {
    let mut all = Vec::new();
    exporter
        .encode(&Cx { trace, rules, notes: &Notes::default() }, &mut |unit: Unit| {
            all.extend_from_slice(&unit.body);
        })
        .unwrap();
    all
}

/// The same as text, with what is escaped for JSON spelled out.
fn text(exporter: &dyn Exporter, trace: &Trace<'_>, rules: &ContentRules) -> String {
    let text = String::from_utf8_lossy(&bytes(exporter, trace, rules)).into_owned();
    text.replace("\\n", "\n").replace('\\', "")
}

#[test]
fn no_secret_of_any_field_is_sent() {
    for (plain, secret) in SECRETS {
        let made = rollout(|field| format!("{field} {plain}"));
        with_bytes(&made, |trace| {
            for (name, exporter) in exporters() {
                let sent = text(&*exporter, trace, &rules(Capture::Full, true));
                if let Some(at) = sent.find(secret) {
                    let near: String = sent[..at].chars().rev().take(300).collect();
                    let near: String = near.chars().rev().collect();
                    panic!("{name} sends `{plain}` after: {near}");
                }
                assert!(sent.contains("[SECRET_DETECTED]"), "{name}: {plain}");
                let unredacted = text(&*exporter, trace, &rules(Capture::Full, false));
                assert!(unredacted.contains(secret), "{name}: the search finds {secret}");
            }
            let mut lines = Vec::new();
            jsonl::encode(trace, Content::default(), &mut lines, |_| true);
            let lines = Redactor::default().json(&lines).into_owned();
            let lines = String::from_utf8(lines).unwrap();
            assert!(!lines.contains(secret), "{plain}: {lines}");
            for line in lines.lines() {
                serde_json::from_str::<Value>(line).expect("still JSON");
            }
        });
    }
}

/// Who a subagent is, its user or its model has chosen.
#[test]
fn no_secret_of_a_subagents_name_is_sent() {
    let (plain, secret) = SECRETS[4];
    let spawn = json!({"subagent": {"thread_spawn": {
        "parent_thread_id": "019a0000-0000-7000-8000-00000000000f", "depth": 1,
        "agent_role": plain, "agent_nickname": plain, "agent_path": plain}}});
    let made = rollout(str::to_owned);
    let spawned = made.replace(r#""source":"exec""#, &format!(r#""source":{spawn}"#));
    assert_ne!(made, spawned);
    with_bytes(&spawned, |trace| {
        for (name, exporter) in exporters() {
            let sent = text(&*exporter, trace, &rules(Capture::Full, true));
            assert!(!sent.contains(secret), "{name}");
            let unredacted = text(&*exporter, trace, &rules(Capture::Full, false));
            // The others do not say it of a root thread.
            let finds = unredacted.contains(secret) || !name.starts_with("langsmith");
            assert!(finds, "{name}: the search finds it");
        }
    });
}

#[test]
fn what_has_no_secret_is_sent_the_same_with_and_without_redaction() {
    let exporters = exporters();
    for_each_trace(|home, trace| {
        for (name, exporter) in &exporters {
            let plain = bytes(&**exporter, trace, &rules(Capture::Full, false));
            let redacted = bytes(&**exporter, trace, &rules(Capture::Full, true));
            assert!(plain == redacted, "{name}: {home}");
        }
    });
}

#[test]
fn each_capture_leaves_out_what_it_says_and_nothing_else() {
    let marker = |field: &str| format!("Zq{field}qZ");
    let made = rollout(marker);
    with_bytes(&made, |trace| {
        for (name, exporter) in exporters() {
            let seen = |capture| {
                let sent = text(&*exporter, trace, &rules(capture, true));
                let seen = FIELDS.iter().filter(|(field, _)| sent.contains(&marker(field)));
                seen.copied().collect::<Vec<_>>()
            };
            let mut full = seen(Capture::Full);
            for field in ["prompt", "answer", "output", "command", "mcp-tool", "cwd", "error"] {
                // These two have no events: they get the error that a turn ended with only.
                let has_no_events =
                    ["langsmith", "braintrust"].iter().any(|it| name.starts_with(it));
                if field == "error" && has_no_events {
                    continue;
                }
                // Codex' own logs and metrics say less, and final answers since 0.169.
                let is_said = match name.split_once("signals\": \"") {
                    Some((_, signal)) if signal.starts_with("metrics") => false,
                    Some((_, signal)) if signal.starts_with("logs") => {
                        !["answer", "cwd", "error"].contains(&field)
                    }
                    _ => true,
                };
                if !is_said {
                    continue;
                }
                assert!(full.iter().any(|(it, _)| *it == field), "{name}: no {field}: {full:?}");
            }
            let is_otel =
                name.starts_with("codex-otel") && !name.contains("\"signals\": \"traces\"");
            if is_otel || name.starts_with("braintrust") {
                // It stands in the arguments alone.
                full.retain(|(field, _)| *field != "tool-cwd");
            }
            let without = |sorts: &[Sort]| {
                full.iter().filter(|(_, sort)| !sorts.contains(sort)).copied().collect::<Vec<_>>()
            };
            assert_eq!(seen(Capture::NoToolContent), without(&[Sort::Tool]), "{name}");
            let mut bare = without(&[Sort::Tool, Sort::Message, Sort::Place]);
            if name.starts_with("langsmith") {
                // Its plugin's own metadata mode leaves out these two as well.
                bare.retain(|(field, _)| !["sandbox", "approval"].contains(field));
            }
            assert_eq!(seen(Capture::MetadataOnly), bare, "{name}");
        }
    });
}

/// Collects the messages in OTLP/JSON: JSON within strings.
fn messages(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|it| messages(it, found)),
        Value::Object(fields) => {
            for (key, value) in fields {
                match value.as_str() {
                    Some(text) if key == "stringValue" && text.starts_with("[{") => {
                        found.push(text.to_owned());
                    }
                    _ => messages(value, found),
                }
            }
        }
        _ => {}
    }
}

/// A writer that escapes all but ASCII spells one character as two escapes;
/// half of it is JSON to nobody.
#[test]
fn a_text_is_never_cut_within_a_character() {
    let amount = Amount { field_bytes: 40, ..Amount::default() };
    let options = Options { amount, ..Options::default() };
    for n in 0..24 {
        let long = format!("{}{}", "a".repeat(n), "🚀".repeat(8));
        let made = rollout(|field| if field == "prompt" { long.clone() } else { field.to_owned() });
        with_bytes(&made.replace('🚀', r"\ud83d\ude80"), |trace| {
            let mut out = Vec::new();
            encode_json(trace, &rules(Capture::Full, false), &options, &mut out, &mut |_| true)
                .unwrap();
            let mut found = Vec::new();
            for line in String::from_utf8(out).unwrap().lines() {
                messages(&serde_json::from_str(line).unwrap(), &mut found);
            }
            let cut = found.iter().filter(|text| text.contains("bytes in all")).count();
            assert!(cut > 0, "{n}: the text is cut");
            for text in found {
                let value: Result<Value, _> = serde_json::from_str(&text);
                assert!(value.is_ok(), "{n}: {text}");
            }
        });
    }
}
