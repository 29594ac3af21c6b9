//! A session as a tree for people: what happened, how long it took, what it
//! cost in tokens.

use std::io::Write;
use std::path::Path;

use codex_trace_model::{EventKind, Fate, Span, SpanIx, SpanKind, Status, Thread, Trace, Turn};

use crate::axis::{Axis, bar};
use crate::prices::{Dollars, PriceTable};
use crate::session::Summary;
use crate::text;
use crate::ui::Tone;
use crate::zone::Zone;
use crate::{label, prompt};

/// How to show a session.
#[derive(Clone, Copy, Debug)]
pub struct View<'v> {
    /// The width to fill, in columns; without a limit if it is `usize::MAX`.
    pub width: usize,
    /// Whether to use color.
    pub color: bool,
    /// The deepest level to show; turns are at 1.
    pub depth: usize,
    /// The only turn of the root thread to show.
    pub turn: Option<u32>,
    /// The user's home directory.
    pub home: Option<&'v Path>,
    /// The time zone to show times in.
    pub zone: &'v Zone,
    /// What tokens cost.
    pub prices: &'v PriceTable,
}

/// The columns for bars where the width has no limit.
const BARS: usize = 24;

/// The columns for durations and for tokens.
const NUMBERS: usize = 7;

/// Returns the spans below each span.
pub(crate) fn children(trace: &Trace<'_>) -> Vec<Vec<SpanIx>> {
    let mut children: Vec<Vec<SpanIx>> = vec![Vec::new(); trace.spans.len()];
    for (ix, span) in trace.iter() {
        if let Some(parent) = span.parent {
            children[parent.index()].push(ix);
        }
    }
    children
}

/// Returns what to show of the root thread; `None` if there is no such turn.
pub(crate) fn tops(
    trace: &Trace<'_>,
    view: &View<'_>,
    children: &[Vec<SpanIx>],
) -> Option<Vec<SpanIx>> {
    let mut tops = children[trace.root().span.index()].clone();
    if let Some(number) = view.turn {
        tops.retain(
            |ix| matches!(&trace.span(*ix).kind, SpanKind::Turn(turn) if turn.number == number),
        );
        if tops.is_empty() {
            return None;
        }
    }
    Some(tops)
}

/// Writes the tree of `trace`. Returns `false` if there is no such turn.
pub fn write(trace: &Trace<'_>, view: &View<'_>, out: &mut Vec<u8>) -> bool {
    let children = children(trace);
    let Some(tops) = tops(trace, view, &children) else { return false };
    let times = tops.iter().filter_map(|ix| Some((trace.span(*ix).start?, trace.span(*ix).end?)));
    let bars = if view.width == usize::MAX { BARS } else { (view.width / 4).clamp(8, 48) };
    let mut tree = Tree {
        trace,
        view,
        axis: Axis::new(times.collect()),
        bars,
        labels: view.width.saturating_sub(2 * (NUMBERS + 1) + bars + 2).max(16),
    };
    let mut lines = head(trace, view);
    if view.depth > 0 {
        if view.width == usize::MAX {
            tree.labels = tree.widest(&tops, &children);
        }
        tree.spans(&tops, &children, &mut lines);
    }
    if tree.axis.has_gaps() {
        lines
            .push(Tone::Faint.paint("idle time between turns is left out of the bars", view.color));
    }
    for line in lines {
        writeln!(out, "{}", line.trim_end()).expect("a vector takes everything");
    }
    true
}

struct Tree<'t, 'a> {
    trace: &'t Trace<'a>,
    view: &'t View<'t>,
    axis: Axis,
    bars: usize,
    labels: usize,
}

impl Tree<'_, '_> {
    /// Adds a line for each span, without recursion: a file can nest threads
    /// as deep as it likes.
    fn spans(&self, tops: &[SpanIx], children: &[Vec<SpanIx>], lines: &mut Vec<String>) {
        lines.push(Tone::Faint.paint(&self.line("", "TIME", "TOKENS", ""), self.view.color));
        let mut stack: Vec<(SpanIx, usize, String, bool)> =
            tops.iter().rev().map(|ix| (*ix, 1, String::new(), true)).collect();
        while let Some((ix, depth, stem, last)) = stack.pop() {
            let branch = match (depth, last) {
                (1, _) => "",
                (_, true) => "└─ ",
                (_, false) => "├─ ",
            };
            lines.push(self.span(self.trace.span(ix), &format!("{stem}{branch}")));
            if depth >= self.view.depth {
                continue;
            }
            let below = match (depth, last) {
                (1, _) => "",
                (_, true) => "   ",
                (_, false) => "│  ",
            };
            // So deep that nothing of the label would be left: no deeper to the eye.
            let stem = if stem.chars().count() + 20 > self.labels {
                stem
            } else {
                format!("{stem}{below}")
            };
            let n = children[ix.index()].len();
            for (nth, child) in children[ix.index()].iter().enumerate().rev() {
                stack.push((*child, depth + 1, stem.clone(), nth + 1 == n));
            }
        }
    }

    fn span(&self, span: &Span<'_>, stem: &str) -> String {
        let color = self.view.color;
        let lasted = span.start.zip(span.end).map(|(start, end)| end.duration_since(start));
        let tokens = span.usage.filter(|usage| !usage.is_empty());
        let bar = span.start.map(|start| {
            let end = span.end.unwrap_or(start);
            bar(self.axis.place(start), self.axis.place(end), self.bars)
        });
        let mut label = text::cut_end(stem, self.labels).into_owned();
        let marks = marks(span);
        let (name, rest) = self.describe(span);
        let tone = kind_tone(span);
        let mut left = self.labels.saturating_sub(text::width(&label));
        let pieces = [(name, tone), (marks, status_tone(span)), (rest, Tone::Plain)];
        for (piece, tone) in pieces.iter().filter(|(piece, _)| !piece.is_empty()) {
            if left < 2 {
                break;
            }
            let piece = text::cut_end(piece, left - 1);
            left -= text::width(&piece) + 1;
            label.push_str(&tone.paint(&piece, color));
            label.push(' ');
        }
        label.push_str(&" ".repeat(left));
        let bar = tone.paint(&bar.unwrap_or_default(), color);
        line_of(
            &label,
            &lasted.map(text::duration).unwrap_or_default(),
            &tokens.map(|usage| text::tokens(usage.total_tokens)).unwrap_or_default(),
            &bar,
        )
    }

    /// Returns how wide the widest label is.
    fn widest(&self, tops: &[SpanIx], children: &[Vec<SpanIx>]) -> usize {
        let mut widest = 0;
        let mut stack: Vec<(SpanIx, usize)> = tops.iter().map(|ix| (*ix, 1)).collect();
        while let Some((ix, depth)) = stack.pop() {
            let span = self.trace.span(ix);
            let (name, rest) = self.describe(span);
            let pieces = [name, marks(span), rest];
            let pieces = pieces.iter().filter(|piece| !piece.is_empty());
            let label: usize = pieces.map(|piece| text::width(piece) + 1).sum();
            widest = widest.max(label + 3 * (depth - 1));
            if depth < self.view.depth {
                stack.extend(children[ix.index()].iter().map(|child| (*child, depth + 1)));
            }
        }
        widest
    }

    fn line(&self, label: &str, time: &str, tokens: &str, bar: &str) -> String {
        line_of(&text::pad(label, self.labels, false), time, tokens, bar)
    }

    /// Says what a span is: a name, and what tells it from others of the name.
    fn describe(&self, span: &Span<'_>) -> (String, String) {
        let thread = self.trace.thread_of(span);
        match &span.kind {
            SpanKind::Thread => ("thread".to_owned(), label::of_thread(thread)),
            SpanKind::Turn(turn) => (format!("turn {}", turn.number), turn_text(thread, turn)),
            SpanKind::ModelCall(call) => {
                let purpose = if call.compaction { "to compact the history" } else { "" };
                let name = match call.model {
                    Some(model) => format!("model {}", text::one_line(&model.decode())),
                    None => "model".to_owned(),
                };
                (name, purpose.to_owned())
            }
            SpanKind::ToolCall(call) => {
                (text::one_line(&span.name), label::of_tool(thread, call).unwrap_or_default())
            }
            _ => (text::one_line(&span.name), String::new()),
        }
    }
}

/// Returns what there is to say of a session as a whole, and an empty line.
pub(crate) fn head(trace: &Trace<'_>, view: &View<'_>) -> Vec<String> {
    let summary = Summary::of(trace, view.prices);
    let root = trace.root();
    let paint = |tone: Tone, text: &str| tone.paint(text, view.color);
    let standing = summary.status();
    let mut first = format!("session {}", text::escape(&summary.facts.session_id));
    if let Some(name) = &summary.facts.name {
        first = format!("{first}  {}", text::one_line(name));
    }
    let tone = crate::commands::list::tone(standing);
    let mut lines = vec![format!(
        "{}  {}",
        paint(Tone::Strong, &text::cut_end(&first, view.width.saturating_sub(13))),
        paint(tone, standing.word()),
    )];
    let version = root.meta.cli_version.map(|it| format!("codex {}", text::one_line(&it.decode())));
    let facts = [
        summary.facts.cwd.as_deref().map(|cwd| text::short_path(cwd, view.home)),
        Some(text::one_line(&summary.facts.models.join(", "))),
        summary.facts.source.as_deref().map(text::one_line),
        version,
    ];
    lines.extend(Some(joined(facts)).filter(|line| !line.is_empty()));
    let span = trace.span(root.span);
    let lasted = span.start.zip(span.end).map(|(start, end)| end.duration_since(start));
    let facts = [
        summary
            .facts
            .started_at
            .map(|at| format!("{} {}", view.zone.minute(at), view.zone.label())),
        summary
            .at()
            .filter(|_| summary.facts.started_at.is_none())
            .map(|at| format!("{} on its own clock", Zone::utc().minute(at))),
        lasted.map(text::duration),
        Some(text::count(summary.facts.turns, "turn")),
        Some(text::count(summary.model_calls, "model call")),
        Some(text::count(summary.facts.tool_calls, "tool call")),
        Some(text::count(summary.facts.thread_ids.len(), "thread"))
            .filter(|_| trace.threads.len() > 1),
    ];
    lines.extend(wrapped(&joined(facts), view.width));
    let usage = &summary.usage;
    if !usage.is_empty() {
        lines.push(format!(
            "{} · {} tokens: {} in ({} cached), {} out ({} reasoning)",
            Dollars::short(summary.cost, summary.unpriced_tokens),
            text::tokens(usage.total_tokens),
            text::tokens(usage.input_tokens),
            text::tokens(usage.cached_input_tokens),
            text::tokens(usage.output_tokens),
            text::tokens(usage.reasoning_output_tokens),
        ));
    }
    if let Some(message) = trace.status().message() {
        lines.push(text::cut_end(&text::one_line(message), view.width).into_owned());
    }
    for line in &mut lines[1..] {
        *line = paint(Tone::Faint, &text::cut_end(line, view.width));
    }
    lines.push(String::new());
    lines
}

/// Puts the columns together; the label is as wide as it should be.
fn line_of(label: &str, time: &str, tokens: &str, bar: &str) -> String {
    let [time, tokens] = [time, tokens].map(|text| text::pad(text, NUMBERS, true));
    format!("{label} {time} {tokens}  {bar}").trim_end().to_owned()
}

fn turn_text(thread: &Thread<'_>, turn: &Turn<'_>) -> String {
    let caused = || turn.trigger.map(|it| format!("({})", text::one_line(&it.decode())));
    let prompt = prompt::of_turn(thread, turn).map(|prompt| format!("“{prompt}”"));
    prompt.or_else(caused).unwrap_or_default()
}

/// Says in words what is not as it usually is.
pub(crate) fn marks(span: &Span<'_>) -> String {
    let mut marks = Vec::new();
    let message = span.status.message().map(text::one_line);
    let message = message.filter(|message| !message.is_empty() && message != span.status.word());
    match &span.status {
        Status::Ok => {}
        status => marks.push(match message {
            Some(message) => format!("{}: {}", status.word(), text::cut_end(&message, 60)),
            None => status.word().to_owned(),
        }),
    }
    match &span.kind {
        SpanKind::Turn(turn) => {
            match turn.fate {
                Fate::RolledBack => marks.push("rolled back".to_owned()),
                Fate::Abandoned => marks.push("abandoned".to_owned()),
                _ => {}
            }
            if turn.review.is_some() {
                marks.push("review".to_owned());
            }
            if turn.collaboration_mode.is_some_and(|mode| mode.is("plan")) {
                marks.push("plan".to_owned());
            }
        }
        SpanKind::ToolCall(call) => {
            let said = !matches!(span.status, Status::Ok);
            if let Some(code) = call.exit_code.filter(|code| *code != 0 && !said) {
                marks.push(format!("exit {code}"));
            }
        }
        _ => {}
    }
    let steered =
        span.events().iter().filter(|it| matches!(it.kind, EventKind::Steering(_))).count();
    if steered > 0 {
        marks.push(format!("steered {}", text::count(steered, "time")));
    }
    if marks.is_empty() { String::new() } else { format!("[{}]", marks.join(", ")) }
}

fn kind_tone(span: &Span<'_>) -> Tone {
    match span.kind {
        SpanKind::Turn(_) | SpanKind::Thread => Tone::Strong,
        SpanKind::ModelCall(_) => Tone::Good,
        _ => Tone::Plain,
    }
}

fn status_tone(span: &Span<'_>) -> Tone {
    match span.status {
        Status::Error { .. } => Tone::Bad,
        _ => Tone::Warn,
    }
}

/// Breaks a line of facts between two of them where it is too wide.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for fact in line.split(" · ") {
        match lines.last_mut() {
            Some(last) if text::width(last) + text::width(fact) + 3 <= width => {
                last.extend([" · ", fact]);
            }
            _ => lines.push(fact.to_owned()),
        }
    }
    lines
}

fn joined<const N: usize>(facts: [Option<String>; N]) -> String {
    let facts: Vec<String> = facts.into_iter().flatten().filter(|fact| !fact.is_empty()).collect();
    facts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn facts_are_not_cut_but_go_to_the_next_line() {
        assert_eq!(wrapped("1 turn · 2 calls · 3 tools", 26), ["1 turn · 2 calls · 3 tools"]);
        assert_eq!(wrapped("1 turn · 2 calls · 3 tools", 25), ["1 turn · 2 calls", "3 tools"]);
        assert_eq!(wrapped("1 turn · 2 calls", 3), ["1 turn", "2 calls"]);
    }
}
