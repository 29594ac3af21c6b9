//! Text of `OpenMetrics`, as `promtool tsdb create-blocks-from openmetrics` reads it:
//! what is measured as a summary, without quantiles.

use std::io::{self, BufWriter, Write as _};

use codex_trace_model::Trace;

use super::{Kind, Labels, Metric, Total, for_each_step};
use crate::EncodeError;
use crate::codex_otel::texts::Texts;
use crate::codex_otel::told::Told;
use crate::content::{Capture, ContentRules};
use crate::file::{FileEncoder, FileFormat, Layout, OutputFiles, Scratch, Sink};
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
        let mut is_wanted = true;
        for_each_family(trace, &self.0, |family, lines| {
            if is_wanted {
                Block { family, lines }.pack(out);
                is_wanted = pass(out);
            }
        });
        Ok(())
    }

    fn sink(&self) -> Box<dyn Sink> {
        Box::new(Families::default())
    }
}

/// Lines of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block<'b> {
    /// Its place in [`Metric::ALL`].
    family: usize,
    lines: &'b [u8],
}

impl<'b> Block<'b> {
    /// Appends it for [`unpack`](Self::unpack).
    fn pack(self, out: &mut Vec<u8>) {
        for number in [self.family, self.lines.len()] {
            out.extend_from_slice(&(number as u64).to_le_bytes());
        }
        out.extend_from_slice(self.lines);
    }

    /// Takes the next one from the front; `None` at the end.
    fn unpack(bytes: &mut &'b [u8]) -> Option<Block<'b>> {
        let family = number(bytes)?;
        let len = number(bytes)?;
        Some(Block { family, lines: bytes.split_off(..len)? })
    }
}

fn number(bytes: &mut &[u8]) -> Option<usize> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    usize::try_from(u64::from_le_bytes(*number)).ok()
}

const N_METRICS: usize = Metric::ALL.len();

/// Keeps the lines of each family in a file of its own until all sessions were
/// seen: in the output they stand together.
#[derive(Default)]
struct Families([Option<BufWriter<Box<dyn Scratch>>>; N_METRICS]);

impl Sink for Families {
    fn unit(&mut self, mut bytes: &[u8], files: &mut dyn OutputFiles) -> io::Result<()> {
        while let Some(Block { family, lines }) = Block::unpack(&mut bytes) {
            let kept = &mut self.0[family];
            let kept = match kept {
                Some(kept) => kept,
                None => kept.insert(BufWriter::new(files.scratch()?)),
            };
            kept.write_all(lines)?;
        }
        Ok(())
    }

    fn finish(&mut self, files: &mut dyn OutputFiles) -> io::Result<()> {
        let file = files.file("")?;
        for (metric, kept) in Metric::ALL.into_iter().zip(&mut self.0) {
            let Some(kept) = kept.take() else { continue };
            file.write_all(head(metric).as_bytes())?;
            let mut kept = kept.into_inner().map_err(io::IntoInnerError::into_error)?;
            kept.rewind()?;
            io::copy(&mut kept, file)?;
        }
        file.write_all(END)
    }
}

/// A sample of a series.
#[derive(Clone, Copy, Debug)]
struct Sample<'s> {
    metric: Metric,
    /// The labels of its process, as text.
    process: &'s str,
    /// Those of its series.
    series: &'s str,
    at_ms: u64,
    total: Total,
}

impl Sample<'_> {
    fn write(self, out: &mut Vec<u8>) {
        let (name, kind) = self.metric.named();
        let name = spelled(name, kind);
        let between = if self.series.is_empty() { "" } else { "," };
        let (process, series) = (self.process, self.series);
        let (seconds, millis) = (self.at_ms / 1000, self.at_ms % 1000);
        let mut line = |suffix: &str, value: u64| {
            let written = writeln!(
                out,
                "{name}{suffix}{{{process}{between}{series}}} {value} {seconds}.{millis:03}"
            );
            written.expect("memory takes all");
        };
        if kind == Kind::Counter {
            line("_total", self.total.sum);
        } else {
            line("_sum", self.total.sum);
            line("_count", self.total.count);
        }
    }
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
    for_each_family(trace, rules, |_, lines| out.extend_from_slice(lines));
}

/// Calls `f` with the lines of each family, turn by turn: its place in
/// [`Metric::ALL`], and the text.
fn for_each_family(trace: &Trace<'_>, rules: &ContentRules, mut f: impl FnMut(usize, &[u8])) {
    let told = Told::new(trace, Texts { rules, prompts: false });
    let (mut lines, mut series) = (Vec::new(), String::new());
    for_each_step(&told, |step| {
        let resource = told.resource(step.turn.thread, &[]);
        let process = process_labels(&Attributes(resource.attributes));
        for (family, metric) in Metric::ALL.into_iter().enumerate() {
            // In the map they stand together.
            let first = (metric, Labels::new());
            let changed = step.changed.range(first..).take_while(|((of, _), _)| *of == metric);
            for ((_, labels), total) in changed {
                series.clear();
                for (key, value) in labels {
                    label(&mut series, key, value);
                }
                let (process, series) = (process.as_str(), series.as_str());
                Sample { metric, process, series, at_ms: step.at_ms, total: *total }
                    .write(&mut lines);
            }
            if !lines.is_empty() {
                f(family, &lines);
                lines.clear();
            }
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
        let (at_ms, metric) = (1_795_935_325_067, Metric::TokenUsage);
        let sample = Sample { metric, process: r#"job="a""#, series: r#"m="b""#, at_ms, total };
        let mut out = Vec::new();
        sample.write(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "codex_turn_token_usage_sum{job=\"a\",m=\"b\"} 1150 1795935325.067\ncodex_turn_token_usage_count{job=\"a\",m=\"b\"} 2 1795935325.067\n"
        );
    }

    #[test]
    fn blocks_come_out_as_they_went_in() {
        let blocks = [Block { family: 12, lines: b"a 1\n" }, Block { family: 0, lines: b"" }];
        let mut packed = Vec::new();
        for block in blocks {
            block.pack(&mut packed);
        }
        let mut bytes = packed.as_slice();
        assert_eq!([0; 2].map(|_| Block::unpack(&mut bytes).unwrap()), blocks);
        assert_eq!(Block::unpack(&mut bytes), None);
    }
}
