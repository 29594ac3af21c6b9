//! What of a history is sent: the limits of the newer exporter, and at least what
//! the exporter itself cuts out.

use std::fmt::Write as _;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;

use super::server::{Server, TOKEN, text};
use super::{run, upload};
use crate::testenv::{TestEnv, place, small_rollout};

const ID: &str = "019a0000-0000-7000-8000-000000000001";

/// Uploads a turn by a table that keeps to the limits, or does not.
fn turn_of(prompt: &str, limits: bool) -> Vec<Span> {
    let (env, server) = (TestEnv::new(), Server::start());
    let rollout = small_rollout(ID, "2026-03-01T10:00", prompt);
    env.write(&format!("home/{}", place("2026-03-01T10-00-00", ID)), rollout);
    let table = format!(
        "[destinations.l]\nbackend = 'logfire'\nendpoint = '{}'\nkey = {{ env = 'K' }}\nexporter_limits = {limits}\n",
        server.url
    );
    env.write("c.toml", table);
    let args =
        ["upload", "--config", "c.toml", "--to", "l", "--settle", "0s", "home", "--no-redact"];
    let run = env.finish(env.command(&args).env("K", TOKEN));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    server.spans().into_values().collect()
}

fn named<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    spans.iter().find(|span| span.name.starts_with(name)).unwrap()
}

/// What exporter 0.2.0 sends at most, by its source: 60 KiB for a text, which
/// then ends in a note, and 512 KiB for a request.
#[test]
fn the_limits_of_the_newer_exporter_can_be_kept() {
    const TEXT: usize = 60 * 1024;
    const NOTE: &str = "\n...[TRUNCATED]";
    let long = "long ".repeat(40_000);
    let kept = turn_of(&long, true);
    let turn = named(&kept, "codex turn");
    let prompt = text(turn, "codex.prompt").unwrap();
    assert_eq!((prompt.len(), prompt.ends_with(NOTE)), (TEXT, true));
    assert_eq!(prompt[..TEXT - NOTE.len()], long[..TEXT - NOTE.len()]);
    let length = turn.attributes.iter().find(|it| it.key == "codex.prompt.length").unwrap();
    let length = length.value.as_ref().unwrap().value.as_ref().unwrap();
    assert_eq!(*length, Value::IntValue(200_000), "before it was cut");
    for span in &kept {
        let size: usize = span.attributes.iter().map(prost::Message::encoded_len).sum();
        assert!(size < 512 << 10, "{}: {size}", span.name);
    }
    let whole = turn_of(&long, false);
    assert_eq!(text(named(&whole, "codex turn"), "codex.prompt").unwrap().len(), 200_000);

    // As JSON, each of these takes twelve bytes in the place of four.
    let wide = turn_of(&"\u{1f980}".repeat(60_000), true);
    let turn = named(&wide, "codex turn");
    assert!(text(turn, "codex.prompt").unwrap().len() <= TEXT);
    assert!(text(turn, "pydantic_ai.all_messages").unwrap().len() < 512 << 10);
}

/// Where the content of a turn is too much even then, it goes without.
#[test]
fn a_turn_that_is_too_large_goes_without_content() {
    let (env, server) = (TestEnv::new(), Server::start());
    // Tools are in the messages of a turn; ten of them are more than it may have.
    let mut rollout = small_rollout(ID, "2026-03-01T10:00", "do it");
    let mut calls = String::new();
    for nth in 0..12 {
        let at = "2026-03-01T10:00:02.000Z";
        writeln!(
            calls,
            "{{\"timestamp\":\"{at}\",\"type\":\"response_item\",\"payload\":{{\"type\":\"function_call\",\"name\":\"f\",\"arguments\":\"{{}}\",\"call_id\":\"c{nth}\"}}}}"
        )
        .unwrap();
        writeln!(
            calls,
            "{{\"timestamp\":\"{at}\",\"type\":\"response_item\",\"payload\":{{\"type\":\"function_call_output\",\"call_id\":\"c{nth}\",\"output\":\"{}\"}}}}",
            "out ".repeat(20_000)
        )
        .unwrap();
    }
    let place_of_answer = rollout.find("{\"timestamp\":\"2026-03-01T10:00:03.000Z\"").unwrap();
    rollout.insert_str(place_of_answer, &calls);
    env.write(&format!("home/{}", place("2026-03-01T10-00-00", ID)), rollout);
    let table = format!(
        "[destinations.l]\nbackend = 'logfire'\nendpoint = '{}'\nkey = {{ env = 'K' }}\nexporter_limits = true\n",
        server.url
    );
    env.write("c.toml", table);
    let args =
        ["upload", "--config", "c.toml", "--to", "l", "--settle", "0s", "home", "--no-redact"];
    let run = env.finish(env.command(&args).env("K", TOKEN));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let spans: Vec<Span> = server.spans().into_values().collect();
    let turn = named(&spans, "codex turn");
    for key in [
        "codex.prompt",
        "codex.last_assistant_message",
        "pydantic_ai.all_messages",
        "logfire.json_schema",
        "logfire.msg",
        "final_result",
    ] {
        assert_eq!(text(turn, key), None, "{key}");
    }
    assert_eq!(text(turn, "codex.turn_id"), Some("t-1"));
    for span in spans.iter().filter(|span| span.name.starts_with("codex tool")) {
        let result = text(span, "gen_ai.tool.call.result").unwrap();
        assert!(result.len() < 64 << 10, "{}", result.len());
    }
}

/// What the exporter takes for a secret by its shape or by what stands before
/// it does not leave here either.
#[test]
fn what_the_exporter_cuts_out_is_cut_out() {
    let secrets = [
        ("api_key", "Zx81kfL0qPw93hTzAq"),
        ("api-key", "Qm42vbN7rSx15jYuBw"),
        ("TOKEN", "9f8e7d6c5b4a39281706"),
        ("secret", "Hg63cdK8tUy27lOiCe"),
        ("password", "correct-horse-battery"),
    ];
    let shaped = ["sk-abcdefghijklmnopqrstuvwx", "glc_eyJvIjoiMTIzNDU2Nzg5MCIsIm4i"];
    let mut said = String::new();
    for (name, value) in secrets {
        write!(said, "{name}={value} {name}: {value} \\\"{name}\\\": \\\"{value}\\\" ").unwrap();
    }
    said += &shaped.join(" and ");
    let (env, server) = (TestEnv::new(), Server::start());
    let rollout = small_rollout(ID, "2026-03-01T10:00", &said);
    let rollout = rollout.replace("\"done\"", &format!("\"{said}\""));
    env.write(&format!("home/{}", place("2026-03-01T10-00-00", ID)), rollout);
    let home = env.dir().join("home");
    // By default: nobody has to ask for it.
    let run_it = env.finish(&mut upload(&env, &server, &[&home], &[]));
    assert_eq!(run_it.code, Some(0), "{}", run_it.stderr);
    let sent: String = server
        .asked("/v1/traces")
        .iter()
        .map(|it| String::from_utf8_lossy(&it.body).into_owned())
        .collect();
    assert!(sent.contains("api_key"), "something was sent");
    for value in secrets.iter().map(|it| it.1).chain(shaped) {
        assert!(!sent.contains(value), "{value}");
    }
    let (env, server) = (TestEnv::new(), Server::start());
    assert_eq!(run(&env, &server, &[&home], &[]).code, Some(0));
    let sent: String = server
        .asked("/v1/traces")
        .iter()
        .map(|it| String::from_utf8_lossy(&it.body).into_owned())
        .collect();
    assert!(secrets.iter().all(|(_, value)| sent.contains(value)), "they were there");
}
