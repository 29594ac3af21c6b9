//! Text of `OpenMetrics`, as `promtool tsdb create-blocks-from openmetrics` reads it:
//! what is measured as a summary, without quantiles.

use std::collections::HashMap;
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
        for_each_sample(trace, &self.0, |it| it.pack(out));
        pass(out);
        Ok(())
    }

    fn sink(&self) -> Box<dyn Sink> {
        Box::new(Families::default())
    }
}

/// Keeps the samples of each metric until all sessions were seen: the labels, which
/// are most of the text, once.
#[derive(Default)]
struct Families {
    /// Labels of processes and of series, in the order of their numbers.
    labels: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
    samples: [Vec<Row>; N_METRICS],
}

const N_METRICS: usize = Metric::ALL.len();

/// A sample whose labels are numbers.
struct Row {
    process: u32,
    series: u32,
    at_ms: u64,
    total: Total,
}

impl Families {
    fn number(&mut self, labels: &str) -> u32 {
        if let Some(number) = self.numbers.get(labels) {
            return *number;
        }
        let number = u32::try_from(self.labels.len()).expect("fewer than all that was ever said");
        self.labels.push(labels.into());
        self.numbers.insert(labels.into(), number);
        number
    }
}

impl Sink for Families {
    fn unit(&mut self, mut bytes: &[u8], _: &mut dyn OutputFiles) -> io::Result<()> {
        while let Some(sample) = Sample::unpack(&mut bytes) {
            let process = self.number(sample.process);
            let series = self.number(sample.series);
            let row = Row { process, series, at_ms: sample.at_ms, total: sample.total };
            self.samples[sample.family].push(row);
        }
        Ok(())
    }

    fn finish(&mut self, files: &mut dyn OutputFiles) -> io::Result<()> {
        let file = files.file("")?;
        let mut lines = Vec::new();
        for (family, rows) in self.samples.iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            file.write_all(head(Metric::ALL[family]).as_bytes())?;
            for row in rows {
                let [process, series] =
                    [row.process, row.series].map(|it| &*self.labels[it as usize]);
                Sample { family, process, series, at_ms: row.at_ms, total: row.total }
                    .write(&mut lines);
                file.write_all(&lines)?;
                lines.clear();
            }
        }
        file.write_all(END)
    }
}

/// A sample of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample<'s> {
    /// Its place in [`Metric::ALL`].
    family: usize,
    /// The labels of its process, as text.
    process: &'s str,
    /// Those of its series.
    series: &'s str,
    at_ms: u64,
    total: Total,
}

impl<'s> Sample<'s> {
    /// Appends it for [`unpack`](Self::unpack).
    fn pack(self, out: &mut Vec<u8>) {
        let numbers = [self.family as u64, self.at_ms, self.total.sum, self.total.count];
        for number in numbers {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for text in [self.process, self.series] {
            out.extend_from_slice(&(text.len() as u64).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }

    /// Takes the next one from the front; `None` at the end.
    fn unpack(bytes: &mut &'s [u8]) -> Option<Sample<'s>> {
        let family = usize::try_from(number(bytes)?).ok()?;
        let at_ms = number(bytes)?;
        let total = Total { sum: number(bytes)?, count: number(bytes)? };
        let (process, series) = (text(bytes)?, text(bytes)?);
        Some(Sample { family, process, series, at_ms, total })
    }

    fn write(self, out: &mut Vec<u8>) {
        let (name, kind) = Metric::ALL[self.family].named();
        let name = spelled(name, kind);
        let between = if self.series.is_empty() { "" } else { "," };
        let (process, series) = (self.process, self.series);
        let (seconds, millis) = (self.at_ms / 1000, self.at_ms % 1000);
        let mut line = |suffix: &str, value: u64| {
            let text = format!(
                "{name}{suffix}{{{process}{between}{series}}} {value} {seconds}.{millis:03}\n"
            );
            out.extend_from_slice(text.as_bytes());
        };
        if kind == Kind::Counter {
            line("_total", self.total.sum);
        } else {
            line("_sum", self.total.sum);
            line("_count", self.total.count);
        }
    }
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*number))
}

fn text<'s>(bytes: &mut &'s [u8]) -> Option<&'s str> {
    let len = usize::try_from(number(bytes)?).ok()?;
    std::str::from_utf8(bytes.split_off(..len)?).ok()
}

/// Returns the line before those of a metric.
fn head(metric: Metric) -> String {
    let (name, kind) = metric.named();
    let word = if kind == Kind::Counter { "counter" } else { "summary" };
    format!("# TYPE {} {word}\n", spelled(name, kind))
}

/// Appends the samples of a session as text, those of a series in the order of
/// time.
pub fn write(trace: &Trace<'_>, rules: &ContentRules, out: &mut Vec<u8>) {
    for_each_sample(trace, rules, |it| it.write(out));
}

fn for_each_sample(trace: &Trace<'_>, rules: &ContentRules, mut f: impl FnMut(Sample<'_>)) {
    let told = Told::new(trace, Texts { rules, prompts: false });
    for_each_step(&told, |step| {
        let resource = told.resource(step.turn.thread, &[]);
        let process = process_labels(&Attributes(resource.attributes));
        for ((metric, labels), total) in &step.changed {
            let mut series = String::new();
            for (key, value) in labels {
                label(&mut series, key, value);
            }
            let family = Metric::ALL.iter().position(|it| it == metric).expect("all are there");
            let (process, series) = (process.as_str(), series.as_str());
            f(Sample { family, process, series, at_ms: step.at_ms, total: *total });
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
        let total = Total { sum: 1150, count: 2 };
        let at_ms = 1_795_935_325_067;
        let sample = Sample { family: 0, process: r#"job="a""#, series: r#"m="b""#, at_ms, total };
        let mut out = Vec::new();
        sample.write(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "codex_turn_token_usage_sum{job=\"a\",m=\"b\"} 1150 1795935325.067\ncodex_turn_token_usage_count{job=\"a\",m=\"b\"} 2 1795935325.067\n"
        );
        let mut packed = Vec::new();
        let other = Sample { family: 12, process: "", series: "", ..sample };
        sample.pack(&mut packed);
        other.pack(&mut packed);
        let mut bytes = packed.as_slice();
        assert_eq!(Sample::unpack(&mut bytes), Some(sample));
        assert_eq!(Sample::unpack(&mut bytes), Some(other));
        assert_eq!(Sample::unpack(&mut bytes), None);
    }
}
