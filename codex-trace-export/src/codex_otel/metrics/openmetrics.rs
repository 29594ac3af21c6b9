//! Text of `OpenMetrics`, as `promtool tsdb create-blocks-from openmetrics` reads it:
//! what is measured as a summary, without quantiles.

use super::{Kind, Metric, Total, for_each_step};
use crate::codex_otel::texts::Texts;
use crate::codex_otel::told::{Told, service_name};
use crate::content::ContentRules;
use crate::otlp::Attributes;
use crate::otlp::proto::Value;
use codex_trace_model::Trace;

/// How many metrics there are: each has a family of lines that stand together in
/// a file.
pub const N_FAMILIES: usize = Metric::ALL.len();

/// What stands at the end of a file.
pub const END: &[u8] = b"# EOF\n";

/// Returns the line before those of a family.
pub fn head(family: usize) -> String {
    let (name, kind) = Metric::ALL[family].named();
    let word = if kind == Kind::Counter { "counter" } else { "summary" };
    format!("# TYPE {} {word}\n", spelled(name, kind))
}

/// Writes the samples of a session, those of each metric into its own buffer.
/// `added` stands on every series as attributes of its process.
pub fn write(
    trace: &Trace<'_>,
    rules: &ContentRules,
    added: &[(String, String)],
    families: &mut [Vec<u8>; N_FAMILIES],
) {
    let told = Told::new(trace, Texts { rules, prompts: false });
    let service = service_name(trace.root());
    for_each_step(&told, |step| {
        let resource = told.resource(step.turn.thread, added);
        let process = process_labels(&Attributes(resource.attributes), service);
        for (family, metric) in Metric::ALL.into_iter().enumerate() {
            let own = step.changed.iter().filter(|((it, _), _)| *it == metric);
            for ((_, labels), total) in own {
                let mut all = process.clone();
                for (key, value) in labels {
                    label(&mut all, key, value);
                }
                sample(metric, &all, *total, step.at_ms, &mut families[family]);
            }
        }
    });
}

/// Returns the labels that Prometheus gives what comes from a process: those of
/// its resource, `job` and `instance`.
fn process_labels(resource: &Attributes, service: &str) -> String {
    let mut all = String::new();
    let text = |key: &str| {
        let found = resource.0.iter().find(|it| it.key == key)?;
        match found.value.as_ref()?.value.as_ref()? {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        }
    };
    label(&mut all, "job", text("service.name").unwrap_or(service));
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
        let names: Vec<_> = (0..N_FAMILIES).map(head).collect();
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
}
