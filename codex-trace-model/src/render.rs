use std::fmt;

use jiff::Timestamp;

use crate::span::{Fate, Span, SpanKind, Status};
use crate::trace::Trace;

/// A trace as text, for people and for tests: one span a line, indented below
/// its parent.
///
/// A line holds what the span is and its name, when it began and how long it
/// took (`@begin +duration`, in milliseconds since the trace began), how it
/// ended unless well, its usage (`input/cached/output/reasoning`), and what is
/// special to its kind. What the file does not say is left out.
///
/// ```
/// use codex_rollout::Source;
/// use codex_trace_model::{RolloutInput, Tree, resolve};
///
/// let source = Source::from_bytes(
///     br#"{"timestamp":"2026-01-02T03:04:05.000Z","type":"session_meta","payload":{"id":"t1","timestamp":"2026-01-02T03:04:05.000Z"}}
/// {"timestamp":"2026-01-02T03:04:05.100Z","type":"event_msg","payload":{"type":"task_started","turn_id":"a"}}
/// {"timestamp":"2026-01-02T03:04:06.000Z","type":"response_item","payload":{"type":"message","role":"assistant","content":[]}}
/// {"timestamp":"2026-01-02T03:04:07.000Z","type":"event_msg","payload":{"type":"turn_aborted","turn_id":"a","reason":"interrupted"}}
/// "#.to_vec(),
/// );
/// let file = RolloutInput::new("a.jsonl", "t1", &source);
/// let trace = resolve(&[file]);
/// assert_eq!(
///     Tree(&trace).to_string(),
///     "thread t1 @0 +2000 interrupted: interrupted
///   turn 1 @100 +1900 interrupted: interrupted
///     model_call @100 +900 by items
/// "
/// );
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a>(pub &'a Trace<'a>);

impl fmt::Display for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tree(trace) = *self;
        let origin = trace.spans.first().and_then(|root| root.start);
        let mut depths: Vec<usize> = Vec::with_capacity(trace.spans.len());
        for span in &trace.spans {
            let depth = span.parent.map_or(0, |parent| depths[parent.index()] + 1);
            depths.push(depth);
            write!(f, "{:width$}", "", width = depth * 2)?;
            write_span(f, trace, span, origin)?;
            f.write_str("\n")?;
        }
        Ok(())
    }
}

fn write_span(
    f: &mut fmt::Formatter<'_>,
    trace: &Trace<'_>,
    span: &Span<'_>,
    origin: Option<Timestamp>,
) -> fmt::Result {
    let name = match span.kind {
        SpanKind::Thread => trace.thread_of(span).id.as_str(),
        _ => &span.name,
    };
    // "turn 3" and "compaction" say what they are.
    let kind = span.kind.word();
    if !name.starts_with(kind) {
        f.write_str(kind)?;
    }
    if name != "model call" {
        let space = if name.starts_with(kind) { "" } else { " " };
        write!(f, "{space}{}", OneLine(name))?;
    }
    write_times(f, (span.start, span.end), origin)?;
    if let Some(recorded) = span.recorded() {
        f.write_str(" recorded")?;
        write_times(f, recorded, origin)?;
    }
    if span.status != Status::Ok {
        write!(f, " {}", span.status.word())?;
        if let Some(message) = span.status.message() {
            write!(f, ": {}", OneLine(message))?;
        }
    }
    if let Some(it) = span.usage {
        let (cached, reasoning) = (it.cached_input_tokens, it.reasoning_output_tokens);
        write!(f, " {}/{cached}/{}/{reasoning}", it.input_tokens, it.output_tokens)?;
    }
    write_kind(f, span)?;
    if span.outlives_parent {
        f.write_str(" outlives parent")?;
    }
    for event in span.events() {
        write!(f, " !{}", event.kind.word())?;
    }
    for link in span.links() {
        write!(f, " {} {}", link.relation.word(), OneLine(&link.thread_id))?;
    }
    Ok(())
}

/// Writes what is special to a kind of span.
fn write_kind(f: &mut fmt::Formatter<'_>, span: &Span<'_>) -> fmt::Result {
    match &span.kind {
        SpanKind::Turn(turn) => {
            if !turn.marked {
                f.write_str(" inferred")?;
            }
            if turn.review.is_some() {
                f.write_str(" review")?;
            }
            if turn.fate != Fate::Kept {
                write!(f, " {}", turn.fate.word())?;
            }
        }
        SpanKind::ModelCall(call) => write!(f, " by {}", call.evidence.word())?,
        SpanKind::ToolCall(call) => {
            write!(f, " {}", call.family.word())?;
            if let Some((server, tool)) = call.extras().mcp {
                let (server, tool) = (server.decode(), tool.decode());
                write!(f, " {}.{}", OneLine(&server), OneLine(&tool))?;
            }
            if let Some(code) = call.exit_code {
                write!(f, " exit {code}")?;
            }
        }
        SpanKind::Thread | SpanKind::Compaction(_) => {}
    }
    Ok(())
}

fn write_times(
    f: &mut fmt::Formatter<'_>,
    (start, end): (Option<Timestamp>, Option<Timestamp>),
    origin: Option<Timestamp>,
) -> fmt::Result {
    let since = |at: Timestamp, from: Timestamp| at.as_millisecond() - from.as_millisecond();
    if let (Some(start), Some(origin)) = (start, origin) {
        write!(f, " @{}", since(start, origin))?;
    }
    if let (Some(start), Some(end)) = (start, end) {
        write!(f, " +{}", since(end, start))?;
    }
    Ok(())
}

/// How much of a name or a message is shown, in characters.
const SHOWN: usize = 80;

/// A text as a part of one line: what tools print is full of control
/// characters, which must reach no terminal.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for (n, c) in self.0.chars().enumerate() {
            if n == SHOWN {
                return f.write_char('…');
            }
            // Line separators and marks that change the direction of text.
            let unseen = matches!(c, '\u{200E}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
            if c.is_control() || unseen {
                write!(f, "{}", c.escape_default())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}
