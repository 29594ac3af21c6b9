//! A session as text: what was asked, answered, called and printed.

use std::borrow::Cow;
use std::io::Write;

use codex_rollout::{JsonText, RawJson, ResponseItem};
use codex_trace_model::{
    EventKind, ItemIx, Span, SpanIx, SpanKind, Status, Thread, ToolCall, Trace, Turn,
};

use crate::tree::{self, View};
use crate::ui::Tone;
use crate::{content, label, prompt, text};

/// How many lines of a tool's input and output are shown on a terminal.
const INPUT_LINES: usize = 8;
const OUTPUT_LINES: usize = 12;

/// Writes the text of `trace`. Returns `false` if there is no such turn.
///
/// Without a limit on the width nothing is cut; else prompts and answers are
/// wrapped, and of tools the first lines are shown, unless `whole`.
pub fn write(trace: &Trace<'_>, view: &View<'_>, whole: bool, out: &mut Vec<u8>) -> bool {
    let children = tree::children(trace);
    let Some(tops) = tree::tops(trace, view, &children) else { return false };
    for line in tree::head(trace, view) {
        writeln!(out, "{}", line.trim_end()).expect("a vector takes everything");
    }
    let mut text = Text { trace, view, whole: whole || view.width == usize::MAX, out };
    let mut stack: Vec<(SpanIx, usize)> = tops.iter().rev().map(|ix| (*ix, 0)).collect();
    while let Some((ix, depth)) = stack.pop() {
        let span = trace.span(ix);
        // What is nested absurdly deep is no further to the right.
        let indent = depth.min(8) * 2;
        text.span(span, indent);
        let inner = depth + usize::from(matches!(span.kind, SpanKind::Thread));
        let next = children[ix.index()].iter().rev().map(|child| (*child, inner));
        if depth < view.depth {
            stack.extend(next);
        }
    }
    true
}

struct Text<'t, 'a> {
    trace: &'t Trace<'a>,
    view: &'t View<'t>,
    whole: bool,
    out: &'t mut Vec<u8>,
}

impl Text<'_, '_> {
    fn span(&mut self, span: &Span<'_>, indent: usize) {
        let thread = self.trace.thread_of(span);
        match &span.kind {
            SpanKind::Thread => {
                let label = label::of_thread(thread);
                self.heading(&format!("thread {label}"), span, Tone::Strong, indent);
            }
            SpanKind::Turn(turn) => self.turn(thread, span, turn, indent),
            SpanKind::ModelCall(call) => {
                for ix in &call.output {
                    self.answer(thread, *ix, indent);
                }
            }
            SpanKind::ToolCall(call) => self.tool(thread, span, call, indent),
            SpanKind::Compaction(compaction) => {
                self.heading("the history was compacted", span, Tone::Faint, indent);
                if let Some(summary) = compaction.summary {
                    self.prose(&summary.decode(), "  ", Tone::Faint, indent);
                }
            }
            _ => self.heading(&span.name, span, Tone::Plain, indent),
        }
    }

    fn turn(&mut self, thread: &Thread<'_>, span: &Span<'_>, turn: &Turn<'_>, indent: usize) {
        self.heading(&format!("turn {}", turn.number), span, Tone::Strong, indent);
        for prompt in prompt::prompts(thread, turn) {
            self.prose(&prompt, "> ", Tone::Plain, indent);
        }
        for event in span.events() {
            if let EventKind::Steering(text) = event.kind {
                self.prose(&text.decode(), "> (while it worked) ", Tone::Plain, indent);
            }
        }
        let says = |ix: &ItemIx| {
            thread.item(*ix).is_some_and(|item| matches!(item.body, ResponseItem::Message(_)))
        };
        let has_answer = self.trace.model_calls().any(|call| match &call.kind {
            SpanKind::ModelCall(call) if call_is_in(span, call, thread) => {
                call.output.iter().any(says)
            }
            _ => false,
        });
        if let Some(answer) = turn.last_agent_message.filter(|_| !has_answer) {
            self.prose(&answer.decode(), "", Tone::Plain, indent);
        }
    }

    fn answer(&mut self, thread: &Thread<'_>, ix: ItemIx, indent: usize) {
        let Some(item) = thread.item(ix) else { return };
        match &item.body {
            ResponseItem::Message(message) => {
                for text in message.content.map(content::texts).unwrap_or_default() {
                    self.prose(&text, "", Tone::Plain, indent);
                }
            }
            ResponseItem::Reasoning(reasoning) => {
                let summary = reasoning.summary.or(reasoning.content);
                for text in summary.map(content::texts).unwrap_or_default() {
                    self.prose(&text, "~ ", Tone::Faint, indent);
                }
            }
            _ => {}
        }
    }

    fn tool(&mut self, thread: &Thread<'_>, span: &Span<'_>, call: &ToolCall<'_>, indent: usize) {
        self.heading(&span.name, span, Tone::Good, indent);
        if let Some(input) = input(thread, call) {
            self.quote(&input, "  $ ", INPUT_LINES, indent);
        }
        for output in outputs(thread, call) {
            self.quote(&output, "  | ", OUTPUT_LINES, indent);
        }
    }

    /// Writes what a span is, when it was and how it ended.
    fn heading(&mut self, name: &str, span: &Span<'_>, tone: Tone, indent: usize) {
        let lasted = span.start.zip(span.end).map(|(start, end)| end.duration_since(start));
        let facts = [
            Some(text::one_line(name)),
            span.start.map(|at| self.view.zone.at(at).strftime("%H:%M:%S").to_string()),
            lasted.map(text::duration),
            span.usage
                .filter(|usage| !usage.is_empty())
                .map(|usage| format!("{} tokens", text::tokens(usage.total_tokens))),
        ];
        let facts: Vec<String> = facts.into_iter().flatten().collect();
        let marks = tree::marks(span);
        let bad = matches!(span.status, Status::Error { .. });
        let marks = if bad { Tone::Bad } else { Tone::Warn }.paint(&marks, self.view.color);
        let name = tone.paint(&facts[0], self.view.color);
        let rest = Tone::Faint.paint(&facts[1..].join(" · "), self.view.color);
        let line = format!("{:indent$}{name}  {rest}  {marks}", "");
        self.line("");
        self.line(line.trim_end());
    }

    /// Writes what somebody said, wrapped to the width.
    fn prose(&mut self, said: &str, mark: &str, tone: Tone, indent: usize) {
        let said = said.trim();
        if said.is_empty() {
            return;
        }
        self.line("");
        for line in said.lines() {
            let line = text::escape(line);
            let width = self.view.width.saturating_sub(indent + text::width(mark));
            for piece in wrapped(&line, width) {
                let line = format!("{:indent$}{mark}{}", "", tone.paint(piece, self.view.color));
                self.line(line.trim_end());
            }
        }
    }

    /// Writes what a tool got or printed: line by line, the first of them.
    fn quote(&mut self, quoted: &str, mark: &str, most: usize, indent: usize) {
        let lines: Vec<&str> = quoted.trim_end().lines().collect();
        let shown = if self.whole { lines.len() } else { lines.len().min(most) };
        for line in &lines[..shown] {
            // A tab steers nothing, and code is full of them.
            let line = text::escape(&line.replace('\t', "    ")).into_owned();
            let width = self.view.width.saturating_sub(indent + text::width(mark));
            let line =
                if self.whole { Cow::Borrowed(line.as_str()) } else { text::cut_end(&line, width) };
            let mark = Tone::Faint.paint(mark, self.view.color);
            self.line(format!("{:indent$}{mark}{line}", "").trim_end());
        }
        if shown < lines.len() {
            let left = text::count(lines.len() - shown, "more line");
            let note = Tone::Faint.paint(&format!("  … {left} (`-v` shows all)"), self.view.color);
            self.line(&format!("{:indent$}{note}", ""));
        }
    }

    fn line(&mut self, line: &str) {
        writeln!(self.out, "{line}").expect("a vector takes everything");
    }
}

/// Whether a model call's output is that of a turn: its items lie in the turn.
fn call_is_in(
    turn: &Span<'_>,
    call: &codex_trace_model::ModelCall<'_>,
    thread: &Thread<'_>,
) -> bool {
    let within = |ix: &ItemIx| {
        thread.item(*ix).is_some_and(|item| {
            let line = item.position.line();
            item.rollout == turn.provenance.rollout
                && (turn.provenance.first_line..=turn.provenance.last_line).contains(&line)
        })
    };
    call.output.iter().any(within)
}

/// Returns what a tool was given.
fn input<'a>(thread: &Thread<'a>, call: &ToolCall<'a>) -> Option<String> {
    if let Some(command) = thread.command_of(call).line {
        return Some(command.into_owned());
    }
    let text = |text: JsonText<'_>| text.decode().into_owned();
    let value = |raw: RawJson<'_>| {
        raw.as_text().map_or_else(|| String::from_utf8_lossy(raw.raw()).into_owned(), text)
    };
    let item = call.call_item.and_then(|ix| thread.item(ix)).map(|item| &item.body);
    match item {
        Some(ResponseItem::ToolCall(call)) => {
            let fields = &call.fields;
            fields.input.map(text).or_else(|| fields.arguments.or(fields.action).map(value))
        }
        Some(ResponseItem::WebSearchCall(search)) => search.action.map(value),
        Some(ResponseItem::ImageGenerationCall(image)) => image.revised_prompt.map(text),
        _ => {
            let extras = call.extras();
            extras.arguments.or(extras.search).or(extras.changes).map(value)
        }
    }
}

/// Returns what a tool printed or answered.
fn outputs(thread: &Thread<'_>, call: &ToolCall<'_>) -> Vec<String> {
    let item = call.output_item.and_then(|ix| thread.item(ix)).map(|item| &item.body);
    let raw = match item {
        Some(ResponseItem::ToolOutput(output)) => output.output.or(output.tools),
        _ => call.extras().output_text,
    };
    raw.map(content::texts).unwrap_or_default()
}

/// Breaks a line at blanks so that no piece is wider than `width`, if it can be.
fn wrapped(line: &str, width: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = line;
    while text::width(rest) > width.max(10) {
        let mut columns = 0;
        let mut end = rest.len();
        let mut blank = None;
        for (at, c) in rest.char_indices() {
            if c == ' ' && at > 0 {
                blank = Some(at);
            }
            columns += text::width(c.encode_utf8(&mut [0; 4]));
            if columns > width.max(10) {
                end = at;
                break;
            }
        }
        let at = blank.unwrap_or(end);
        pieces.push(rest[..at].trim_end());
        rest = rest[at..].trim_start();
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_break_at_blanks_where_they_have_any() {
        assert_eq!(wrapped("one two three four", 10), ["one two", "three four"]);
        assert_eq!(wrapped("0123456789abc", 10), ["0123456789", "abc"]);
        assert_eq!(wrapped("漢字漢字漢字", 10), ["漢字漢字漢", "字"]);
        assert_eq!(wrapped("", 10), [""]);
        assert_eq!(wrapped("short", usize::MAX), ["short"]);
    }
}
