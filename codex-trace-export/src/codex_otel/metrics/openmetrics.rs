//! Text of `OpenMetrics`, as `promtool tsdb create-blocks-from openmetrics` reads it:
//! what is measured as a summary, without quantiles.

use std::io;

use codex_trace_model::Trace;

use super::{Kind, Metric, Total, for_each_step};
use crate::EncodeError;
use crate::codex_otel::texts::Texts;
use crate::codex_otel::told::Told;
use crate::content::{Capture, ContentRules};
use crate::file::{FileEncoder, FileFormat, Layout, OutputFiles, Sink};
use crate::otlp::Attributes;
use crate::otlp::proto::Value;

/// The format: one file for all sessions, as lines of one metric stand together.
pub const FILE: FileFormat = FileFormat {
    name: "openmetrics",
    summary: "Codex' own metrics as OpenMetrics text, for `promtool tsdb create-blocks-from`",
    endings: &["om", "openmetrics", "txt"],
    is_text: true,
    layout: Layout::OneFile,
    options: &[],
    open: |settings| {
        let rules = ContentRules::new(Capture::Full, settings.redactor, settings.content);
        Ok(Box::new(Samples(rules)))
    },
};

/// What stands at the end of a file.
const END: &[u8] = b"# EOF\n";

struct Samples(ContentRules);

impl FileEncoder for Samples {
    fn encode(
        &self,
        trace: &Trace<'_>,
        out: &mut Vec<u8>,
        pass: &mut dyn FnMut(&mut Vec<u8>) -> bool,
    ) -> Result<(), EncodeError> {
        write(trace, &self.0, out);
        pass(out);
        Ok(())
    }

    fn sink(&self) -> Box<dyn Sink> {
        Box::new(Families::default())
    }
}

/// Keeps the lines of each metric until all sessions were seen.
#[derive(Default)]
struct Families([Vec<u8>; N_METRICS]);

const N_METRICS: usize = Metric::ALL.len();

impl Sink for Families {
    fn unit(&mut self, bytes: &[u8], _: &mut dyn OutputFiles) -> io::Result<()> {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if let Some(family) = family_of(line) {
                self.0[family].extend_from_slice(line);
            }
        }
        Ok(())
    }

    fn finish(&mut self, files: &mut dyn OutputFiles) -> io::Result<()> {
        let file = files.file("")?;
        for (metric, lines) in Metric::ALL.into_iter().zip(&self.0) {
            if !lines.is_empty() {
                file.write_all(head(metric).as_bytes())?;
                file.write_all(lines)?;
            }
        }
        file.write_all(END)
    }
}

/// Returns which metric a line is of.
fn family_of(line: &[u8]) -> Option<usize> {
    let name = &line[..line.iter().position(|byte| *byte == b'{')?];
    Metric::ALL.iter().position(|metric| {
        let (codex, kind) = metric.named();
        let rest = name.strip_prefix(spelled(codex, kind).as_bytes());
        matches!(rest, Some(b"_total" | b"_sum" | b"_count"))
    })
}

/// Returns the line before those of a metric.
fn head(metric: Metric) -> String {
    let (name, kind) = metric.named();
    let word = if kind == Kind::Counter { "counter" } else { "summary" };
    format!("# TYPE {} {word}\n", spelled(name, kind))
}

/// Appends the samples of a session, those of a series in the order of time.
pub fn write(trace: &Trace<'_>, rules: &ContentRules, out: &mut Vec<u8>) {
    let told = Told::new(trace, Texts { rules, prompts: false });
    for_each_step(&told, |step| {
        let resource = told.resource(step.turn.thread, &[]);
        let process = process_labels(&Attributes(resource.attributes));
        for ((metric, labels), total) in &step.changed {
            let mut all = process.clone();
            for (key, value) in labels {
                label(&mut all, key, value);
            }
            sample(*metric, &all, *total, step.at_ms, out);
        }
    });
}

/// Returns the labels that Prometheus gives what comes from a process: those of
/// its resource, `job` and `instance`.
fn process_labels(resource: &Attributes) -> String {
    let mut all = String::new();
    let text = |key: &str| {
        let found = resource.0.iter().find(|it| it.key == key)?;
        match found.value.as_ref()?.value.as_ref()? {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        }
    };
    label(&mut all, "job", text("service.name").unwrap_or_default());
    label(&mut all, "instance", text("service.instance.id").unwrap_or_default());
    for attribute in &resource.0 {
        if let Some(value) = text(&attribute.key) {
            label(&mut all, &attribute.key, value);
        }
    }
    all
}

fn sample(metric: Metric, labels: &str, total: Total, at_ms: u64, out: &mut Vec<u8>) {
    let (name, kind) = metric.named();
    let name = spelled(name, kind);
    let (seconds, millis) = (at_ms / 1000, at_ms % 1000);
    let mut line = |suffix: &str, value: u64| {
        let text = format!("{name}{suffix}{{{labels}}} {value} {seconds}.{millis:03}\n");
        out.extend_from_slice(text.as_bytes());
    };
    if kind == Kind::Counter {
        line("_total", total.sum);
    } else {
        line("_sum", total.sum);
        line("_count", total.count);
    }
}

/// Spells a name as Prometheus does what comes by OTLP: with its unit.
fn spelled(name: &str, kind: Kind) -> String {
    let unit = if kind == Kind::Duration { "_milliseconds" } else { "" };
    name.replace('.', "_") + unit
}

fn label(all: &mut String, key: &str, value: &str) {
    if value.is_empty() {
        return; // The same as none.
    }
    if !all.is_empty() {
        all.push(',');
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    all.extend(key.chars().map(|c| if is_plain(c) { c } else { '_' }));
    all.push_str("=\"");
    for c in value.chars() {
        match c {
            '\\' => all.push_str("\\\\"),
            '"' => all.push_str("\\\""),
            '\n' => all.push_str("\\n"),
            c => all.push(c),
        }
    }
    all.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_names_spelled() {
        let mut all = String::new();
        label(&mut all, "app.version", "0.171.0");
        label(&mut all, "empty", "");
        label(&mut all, "model", "a\"b\\c\nd");
        assert_eq!(all, r#"app_version="0.171.0",model="a\"b\\c\nd""#);
        let names: Vec<_> = Metric::ALL.into_iter().map(head).collect();
        assert_eq!(names[0], "# TYPE codex_turn_token_usage summary\n");
        assert_eq!(names[2], "# TYPE codex_tool_call counter\n");
        assert_eq!(names[4], "# TYPE codex_turn_e2e_duration_ms_milliseconds summary\n");
    }

    #[test]
    fn a_sample_has_its_time_in_seconds() {
        let mut out = Vec::new();
        let total = Total { sum: 1150, count: 2 };
        sample(Metric::TokenUsage, r#"job="a""#, total, 1_795_935_325_067, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "codex_turn_token_usage_sum{job=\"a\"} 1150 1795935325.067\ncodex_turn_token_usage_count{job=\"a\"} 2 1795935325.067\n"
        );
    }

    #[test]
    fn lines_go_to_their_metric() {
        let family = |line: &str| Some(Metric::ALL[family_of(line.as_bytes())?]);
        assert_eq!(family("codex_tool_call_total{a=\"{\"} 1 2\n"), Some(Metric::ToolCall));
        let line = "codex_tool_call_duration_ms_milliseconds_sum{} 1 2\n";
        assert_eq!(family(line), Some(Metric::ToolCallDuration));
        assert_eq!(family("codex_turn_tool_call_count{} 1 2\n"), Some(Metric::TurnToolCall));
        assert_eq!(family("other{} 1 2\n"), None);
    }
}
