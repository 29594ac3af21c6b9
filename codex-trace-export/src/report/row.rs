//! What the list of sessions and the overview need of one session.

use std::collections::BTreeMap;

use codex_rollout::{Cursor, JsonText, RawJson};
use codex_trace_model::{EventKind, Span, SpanKind, Status, Timestamp, TokenUsage, Trace};

use super::Options;
use super::labels::{self, Reader};
use crate::content::Part;
use crate::json::{self, Json, Object};

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;

/// The model calls of a session on one day with one model.
#[derive(Default)]
struct Calls {
    n: usize,
    usage: TokenUsage,
    cost: Option<f64>,
    /// Tokens of calls that have no price.
    unpriced: u64,
}

/// The calls of one tool in a session.
#[derive(Default)]
struct Tool {
    n: usize,
    failed: usize,
    ms: i64,
}

/// Appends a session's line.
pub fn row(trace: &Trace<'_>, options: &Options<'_>, out: &mut Vec<u8>) {
    let reader = Reader::new(options);
    json::object(out, |o| {
        head(trace, &reader, o);
        counts(trace, o);
        o.array("u", by_day(trace, options, &reader), |((day, model), calls), out| {
            write_calls(day, &model, &calls, options.cost.is_some(), out);
        });
        o.array("tools", by_tool(trace, &reader), |(name, tool), out| {
            json::array(out, 0..4, |nth, out| match nth {
                0 => name.write(out),
                1 => tool.n.write(out),
                2 => tool.failed.write(out),
                _ => tool.ms.write(out),
            });
        });
        let limits = limits(trace);
        if !limits.is_empty() {
            o.array("limits", limits, |((minutes, _), (at, percent)), out| {
                out.extend_from_slice(format!("[{at},{minutes},{percent}]").as_bytes());
            });
        }
    });
    out.push(b'\n');
}

fn head(trace: &Trace<'_>, reader: &Reader<'_>, o: &mut Object<'_>) {
    let root = trace.root();
    let meta = &root.meta;
    o.maybe("id", reader.made(Part::Label, trace.session_id()));
    let local = || root.created_local.map(JsonText::decode)?.parse::<Timestamp>().ok();
    o.maybe("at", trace.started_at().or_else(local).map(Timestamp::as_millisecond));
    o.flag("local", trace.started_at().is_none() && local().is_some());
    o.maybe("end", trace.ended_at().map(Timestamp::as_millisecond));
    labels::put(o, "cwd", reader.label(meta.cwd));
    let repository = labels::repository(meta);
    o.maybe("repo", repository.as_deref().and_then(|it| reader.made(Part::Label, it)));
    labels::put(o, "branch", reader.label(meta.git.and_then(|git| git.branch)));
    labels::put(o, "version", reader.label(meta.cli_version));
    let source = meta.source.map(|source| codex_rollout::source_word(&source));
    o.maybe("source", source.as_deref().and_then(|it| reader.made(Part::Label, it)));
    let name = root.name.map(JsonText::decode);
    o.maybe("name", name.as_deref().and_then(|it| reader.made(Part::Message, it)));
    labels::put(o, "prompt", reader.title(trace));
    o.put("status", trace.standing().word());
}

fn counts(trace: &Trace<'_>, o: &mut Object<'_>) {
    let n_of = |word: &str| trace.spans.iter().filter(|span| span.kind.word() == word).count();
    o.put("turns", n_of("turn"));
    o.put("tools_n", n_of("tool_call"));
    o.put("threads", trace.threads.len());
    o.put("errors", trace.spans.iter().filter(|span| failed(span)).count());
    let problems: usize = trace.diagnostics.iter().map(|it| it.count).sum();
    o.maybe("problems", Some(problems).filter(|n| *n > 0));
}

/// Whether a span failed by itself: a thread does as its last turn does.
fn failed(span: &Span<'_>) -> bool {
    matches!(span.status, Status::Error { .. }) && !matches!(span.kind, SpanKind::Thread)
}

fn by_day(
    trace: &Trace<'_>,
    options: &Options<'_>,
    reader: &Reader<'_>,
) -> BTreeMap<(Option<i64>, Vec<u8>), Calls> {
    let mut days: BTreeMap<(Option<i64>, Vec<u8>), Calls> = BTreeMap::new();
    for span in trace.model_calls() {
        let SpanKind::ModelCall(call) = &span.kind else { continue };
        let day = trace.made_at(span).map(|at| at.as_millisecond().div_euclid(DAY_MS));
        let model = reader.label(call.model).map_or_else(|| b"unknown".to_vec(), Into::into);
        let calls = days.entry((day, model)).or_default();
        calls.n += 1;
        let usage = span.usage.unwrap_or_default();
        calls.usage += usage;
        match options.cost.filter(|_| !usage.is_empty()).map(|cost| cost(trace, span, call)) {
            Some(Some(cost)) => *calls.cost.get_or_insert_default() += cost,
            Some(None) => calls.unpriced += usage.total_tokens,
            None => {}
        }
    }
    days
}

/// Writes `[day, model, calls, input, cached, cache writes, output, reasoning,
/// total]`, with costs also `cost, tokens without price`.
fn write_calls(day: Option<i64>, model: &[u8], calls: &Calls, cost: bool, out: &mut Vec<u8>) {
    let usage = &calls.usage;
    match day {
        Some(day) => out.extend_from_slice(format!("[{day},").as_bytes()),
        None => out.extend_from_slice(b"[null,"),
    }
    labels::quoted_text(model, out);
    for n in [
        calls.n as u64,
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.cache_write_input_tokens.unwrap_or(0),
        usage.output_tokens,
        usage.reasoning_output_tokens,
        usage.total_tokens,
    ] {
        out.push(b',');
        n.write(out);
    }
    if cost {
        let cost = calls.cost.map_or_else(|| "null".to_owned(), |cost| cost.to_string());
        out.extend_from_slice(format!(",{cost},{}", calls.unpriced).as_bytes());
    }
    out.push(b']');
}

fn by_tool(trace: &Trace<'_>, reader: &Reader<'_>) -> BTreeMap<String, Tool> {
    let mut tools: BTreeMap<String, Tool> = BTreeMap::new();
    for span in &trace.spans {
        if !matches!(span.kind, SpanKind::ToolCall(_)) {
            continue;
        }
        let name = reader.made(Part::Label, &span.name).unwrap_or_default();
        let tool = tools.entry(name.into_owned()).or_default();
        tool.n += 1;
        tool.failed += usize::from(failed(span));
        if let (Some(start), Some(end)) = (span.start, span.end) {
            tool.ms += end.as_millisecond() - start.as_millisecond();
        }
    }
    tools
}

/// The last state of each rate-limit window in each hour: when, and how much of
/// it was used, by the window's length in minutes and the hour.
fn limits(trace: &Trace<'_>) -> BTreeMap<(u64, i64), (i64, f64)> {
    let mut limits = BTreeMap::new();
    for event in trace.spans.iter().flat_map(Span::events) {
        let (EventKind::RateLimits(raw), Some(at)) = (&event.kind, event.at) else { continue };
        let at = at.as_millisecond();
        for (minutes, percent) in windows(*raw) {
            let last = limits.entry((minutes, at.div_euclid(HOUR_MS))).or_insert((at, percent));
            if at >= last.0 {
                *last = (at, percent);
            }
        }
    }
    limits
}

/// Reads the windows of a record of rate limits: length in minutes, percent
/// used. Before 0.41 they stood side by side in one object.
fn windows(raw: RawJson<'_>) -> Vec<(u64, f64)> {
    let mut found: [(Option<f64>, Option<f64>); 2] = Default::default();
    let number = |value: &mut Cursor<'_>| {
        let text = value.raw().ok()?;
        std::str::from_utf8(text.raw()).ok()?.parse::<f64>().ok().filter(|it| it.is_finite())
    };
    let read = raw.cursor().object(|key, value| {
        let (nth, rest) = match (key.strip_prefix(b"primary"), key.strip_prefix(b"secondary")) {
            (Some(rest), _) => (0, rest),
            (_, Some(rest)) => (1, rest),
            _ => return Ok(()),
        };
        let window = &mut found[nth];
        match rest {
            b"_window_minutes" => window.0 = number(value),
            b"_used_percent" => window.1 = number(value),
            b"" => {
                // `null` where there is no such window.
                let inner = value.raw()?;
                if inner.raw().starts_with(b"{") {
                    inner.cursor().object(|key, value| {
                        match key {
                            b"window_minutes" => window.0 = number(value),
                            b"used_percent" => window.1 = number(value),
                            _ => {}
                        }
                        Ok(())
                    })?;
                }
            }
            _ => {}
        }
        Ok(())
    });
    // What is no object has no windows.
    read.ok();
    let known = found.into_iter().filter_map(|(minutes, percent)| minutes.zip(percent));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within bounds")]
    known
        .filter(|(minutes, _)| (1.0..1e7).contains(minutes))
        .map(|(minutes, percent)| (minutes as u64, percent))
        .collect()
}
