//! What an encoder holds at once does not grow with a turn: what is allocated,
//! counted. A test binary of its own, because it counts what the allocator is
//! asked for.

#![expect(clippy::unwrap_used, reason = "a test may stop")]

use std::fmt::Write;

use codex_rollout::Source;
use codex_trace_export::content::ContentRules;
use codex_trace_model::{RolloutInput, resolve};
use converter_cli::backends::BACKENDS;

use codex_trace_export::codex_otel::openmetrics;
use codex_trace_export::{
    Cx, Environment, FileSettings, Hasher, Notes, OutputFiles, Scratch, Settings, Unit,
};

/// Returns a rollout of one turn with so many calls of a tool.
fn turn(calls: usize) -> String {
    let output = "0123456789abcdef ".repeat(8 << 10 >> 4);
    let mut text = String::new();
    let mut line = |kind: &str, payload: &str| {
        let at = "2026-05-01T10:00:01.000Z";
        writeln!(text, r#"{{"timestamp":"{at}","type":"{kind}","payload":{payload}}}"#).unwrap();
    };
    line("session_meta", r#"{"id":"th1","timestamp":"2026-05-01T10:00:00.000Z","cwd":"/w"}"#);
    line("event_msg", r#"{"type":"task_started","turn_id":"tu1"}"#);
    for nth in 0..calls {
        line(
            "response_item",
            &format!(
                r#"{{"type":"function_call","name":"shell","arguments":"{{}}","call_id":"c{nth}"}}"#
            ),
        );
        line(
            "response_item",
            &format!(
                r#"{{"type":"function_call_output","call_id":"c{nth}","output":"{nth} {output}"}}"#
            ),
        );
    }
    line("event_msg", r#"{"type":"task_complete","turn_id":"tu1","last_agent_message":"done"}"#);
    text
}

/// Returns how many bytes were encoded, and the most that was held meanwhile.
fn encoded(backend: &str, calls: usize) -> (u64, u64) {
    let source = Source::from_bytes(turn(calls).into_bytes());
    let trace = resolve(&[RolloutInput::new("/somewhere/made.jsonl", "th1", &source)]);
    let variables = [
        ("MLFLOW_TRACKING_URI", "http://127.0.0.1:1"),
        ("MLFLOW_EXPERIMENT_ID", "1"),
        ("LANGSMITH_ENDPOINT", "http://127.0.0.1:1"),
        ("LANGSMITH_API_KEY", "0123456789"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
        ("BRAINTRUST_API_KEY", "0123456789"),
        ("BRAINTRUST_API_URL", "http://127.0.0.1:1"),
        ("LOGFIRE_TOKEN", "0123456789"),
        ("LOGFIRE_BASE_URL", "http://127.0.0.1:1"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = Settings { env: Environment(variables.into()), ..Settings::default() };
    let backend = BACKENDS.iter().find(|it| it.name == backend).unwrap();
    let exporter = (backend.connect)(&settings).unwrap().remove(0);
    let (mut bytes, mut hasher) = (0, Hasher::default());
    let work = allocation_counter::measure(|| {
        let take = &mut |unit: Unit| {
            bytes += unit.body.len() as u64;
            hasher.add(&unit);
        };
        let (rules, notes) = (ContentRules::default(), Notes::default());
        exporter.encode(&Cx { trace: &trace, rules: &rules, notes: &notes }, take).unwrap();
    });
    (bytes, work.bytes_max)
}

#[test]
fn what_is_held_does_not_grow_with_a_turn() {
    for backend in ["otlp", "mlflow", "langsmith", "braintrust", "logfire"] {
        let (small, held_small) = encoded(backend, 100);
        let (large, held_large) = encoded(backend, 400);
        assert!(large > 3 * small, "{backend}: {small} and {large} bytes");
        // LangSmith keeps the turn's own messages, to splice them, and Braintrust
        // those that a call may be given; nobody keeps what is spliced.
        let splices = ["langsmith", "braintrust"].contains(&backend);
        let kept = match backend {
            // The messages of a turn, as far as they are sent.
            "logfire" => 4 << 20,
            _ if splices => 8 * (turn(400).len() - turn(100).len()),
            _ => 0,
        };
        assert!(
            held_large < held_small + (1 << 20) + kept as u64,
            "{backend}: {held_large} bytes at once for {large}, {held_small} for {small}"
        );
        assert!(held_small < 12 << 20, "{backend}: {held_small}");
    }
}

/// Files of which nothing is kept in memory.
struct OnDisk(std::io::Sink);

impl OutputFiles for OnDisk {
    fn file(&mut self, _: &str) -> std::io::Result<&mut dyn std::io::Write> {
        Ok(&mut self.0)
    }

    fn done(&mut self, _: &str) -> std::io::Result<()> {
        Ok(())
    }

    fn scratch(&mut self) -> std::io::Result<Box<dyn Scratch>> {
        Ok(Box::new(tempfile::tempfile()?))
    }
}

/// Writes a history of so many sessions as text for Prometheus; returns how many
/// bytes the sink was given, and the most that it held.
fn metrics_of(sessions: usize) -> (u64, u64) {
    let encoder = (openmetrics::FILE.open)(FileSettings::default()).unwrap();
    let text = turn(20);
    let (mut sink, mut files) = (encoder.sink(), OnDisk(std::io::sink()));
    let mut bytes = 0;
    let work = allocation_counter::measure(|| {
        let mut block = Vec::new();
        for nth in 0..sessions {
            let id = format!("th{nth}");
            let source = Source::from_bytes(text.replace("th1", &id).into_bytes());
            let trace = resolve(&[RolloutInput::new("/somewhere/made.jsonl", &id, &source)]);
            encoder.encode(&trace, &mut block, &mut |_| true).unwrap();
            bytes += block.len() as u64;
            sink.unit(&block, &mut files).unwrap();
            block.clear();
        }
        sink.finish(&mut files).unwrap();
    });
    (bytes, work.bytes_max)
}

/// The lines of a metric stand together in the file, so that none can be written
/// before all sessions were seen; they are not kept in memory until then.
#[test]
fn metrics_are_not_kept_in_memory() {
    let (small, held_small) = metrics_of(20);
    let (large, held_large) = metrics_of(400);
    assert!(large > 19 * small && large > 500_000, "{large} bytes");
    assert!(held_large < held_small + (64 << 10), "{held_large} bytes at once, {held_small}");
}
