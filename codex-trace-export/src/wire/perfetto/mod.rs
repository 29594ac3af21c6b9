//! Chrome's JSON trace format, as <https://ui.perfetto.dev>, `chrome://tracing`
//! and speedscope open it: a session is a process, a thread a track, and calls
//! that overlap have tracks of their own beside it.
//!
//! Tokens of model calls are a counter, an arrow leads from the call that
//! spawned a subagent to its first moment. A span without a beginning has no
//! place on a time axis, and is left out. Times are microseconds since 1970.

mod file;
mod lanes;

use codex_rollout::JsonText;
use codex_trace_model::{Event, EventKind, Span, SpanKind, Thread, ToolCall, Trace};
use sha2::{Digest, Sha256};

use crate::content::{ContentRules, Part};
use crate::json::{self, Json, Object};
use lanes::{Lanes, Slice, micros};

pub use file::FILE;

/// What a file begins with: [`encode`] goes on with a comma.
pub const BEGIN: &[u8] = b"{\"displayTimeUnit\":\"ms\",\"otherData\":{\"format\":\"codex-trace\"},\"traceEvents\":[\n{\"ph\":\"M\",\"name\":\"trace\",\"pid\":0,\"tid\":0,\"args\":{}}";

/// What a file ends with.
pub const END: &[u8] = b"\n]}\n";

/// How much of a command or a message is written, in characters: speedscope
/// shows it beside the name.
const TEXT: usize = 200;

/// Appends the events of a session. Calls `pass` where the output may be cut;
/// it may take away what is there, and ends the encoding by returning `false`.
pub fn encode(
    trace: &Trace<'_>,
    rules: &ContentRules,
    out: &mut Vec<u8>,
    mut pass: impl FnMut(&mut Vec<u8>) -> bool,
) {
    let lanes = Lanes::of(trace);
    let writer = Writer { trace, rules, lanes: &lanes, process: process(trace.session_id()) };
    writer.names(out);
    for slice in &lanes.slices {
        if !pass(out) {
            return;
        }
        writer.slice(slice, out);
    }
}

/// Returns the number of a session's process: from its id, so that sessions of
/// several files are told apart.
fn process(session_id: &str) -> u32 {
    let digest = Sha256::digest(session_id.as_bytes());
    u32::from_be_bytes([digest[0] & 0x7F, digest[1], digest[2], digest[3]])
}

struct Writer<'w, 'a> {
    trace: &'w Trace<'a>,
    rules: &'w ContentRules,
    lanes: &'w Lanes,
    process: u32,
}

impl Writer<'_, '_> {
    /// Writes an event of the process, on one of its tracks.
    fn event(
        &self,
        out: &mut Vec<u8>,
        phase: &str,
        track: usize,
        fields: impl FnOnce(&mut Object<'_>),
    ) {
        out.extend_from_slice(b",\n");
        json::object(out, |o| {
            o.put("ph", phase);
            o.put("pid", self.process);
            // Numbers from 1: zero is the process itself in some viewers.
            o.put("tid", track + 1);
            fields(o);
        });
    }

    fn names(&self, out: &mut Vec<u8>) {
        let root = self.trace.root();
        let name = root.name.and_then(|name| self.text(Part::Message, name));
        let cwd = || root.meta.cwd.and_then(|cwd| self.text(Part::Place, cwd));
        let name = name.or_else(cwd).unwrap_or_default();
        let id = self.trace.session_id();
        self.event(out, "M", 0, |o| {
            o.put("name", "process_name");
            o.object("args", |o| o.put("name", format!("{name} {id}").trim()));
        });
        for (track, (thread, lane)) in self.lanes.tracks.iter().enumerate() {
            let name = self.thread_name(&self.trace.threads[*thread]);
            let name = if *lane == 0 { name } else { format!("{name} ({})", lane + 1) };
            self.event(out, "M", track, |o| {
                o.put("name", "thread_name");
                o.object("args", |o| o.put("name", &name));
            });
            self.event(out, "M", track, |o| {
                o.put("name", "thread_sort_index");
                o.object("args", |o| o.put("sort_index", track));
            });
        }
    }

    fn thread_name(&self, thread: &Thread<'_>) -> String {
        if thread.depth == 0 {
            return "main thread".to_owned();
        }
        let names = [thread.meta.agent_nickname, thread.meta.agent_role];
        let names = names.into_iter().flatten().filter_map(|it| self.text(Part::Label, it));
        let mut words: Vec<String> = std::iter::once("subagent".to_owned()).chain(names).collect();
        words.push(thread.id.chars().take(13).collect());
        words.join(" ")
    }

    fn slice(&self, slice: &Slice, out: &mut Vec<u8>) {
        let span = self.trace.span(slice.span);
        self.event(out, "X", slice.track, |o| {
            o.maybe("name", self.name(span));
            o.put("cat", span.kind.word());
            o.put("ts", slice.start);
            o.put("dur", slice.end - slice.start);
            o.object("args", |o| self.args(span, o));
        });
        if let (SpanKind::ModelCall(_), Some(usage)) = (&span.kind, span.usage) {
            let thread = self.trace.thread_of(span);
            let cached = usage.cached_input_tokens.min(usage.input_tokens);
            self.event(out, "C", slice.track, |o| {
                o.put("name", format!("tokens, {}", self.thread_name(thread)));
                o.put("ts", slice.end);
                o.object("args", |o| {
                    o.put("cached input", cached);
                    o.put("other input", usage.input_tokens - cached);
                    o.put("output", usage.output_tokens);
                });
            });
        }
        if matches!(span.kind, SpanKind::Thread) {
            self.arrow(slice, out);
        }
        for event in span.events().iter().filter(|event| is_drawn(event)) {
            let Some(at) = micros(event.at) else { continue };
            self.event(out, "i", slice.track, |o| {
                o.put("name", event.kind.word());
                o.put("cat", "event");
                o.put("s", "t");
                o.put("ts", at);
            });
        }
    }

    /// Writes the arrow from the call that spawned a thread.
    fn arrow(&self, thread: &Slice, out: &mut Vec<u8>) {
        let caller = self.trace.span(thread.span).parent;
        let find = |ix| self.lanes.slices.binary_search_by_key(&ix, |it| it.span).ok();
        let Some(caller) = caller.and_then(find).map(|nth| &self.lanes.slices[nth]) else { return };
        let ends = [("s", caller, caller.start), ("f", thread, thread.start.max(caller.start))];
        for (phase, slice, at) in ends {
            self.event(out, phase, slice.track, |o| {
                o.put("name", "spawn");
                o.put("cat", "spawn");
                o.put("id", format!("{}-{}", self.process, thread.span.0));
                o.put("ts", at);
                if phase == "f" {
                    o.put("bp", "e");
                }
            });
        }
    }

    fn name(&self, span: &Span<'_>) -> Option<String> {
        let name = match &span.kind {
            SpanKind::ModelCall(call) => call.model.and_then(|it| self.text(Part::Label, it)),
            _ => None,
        };
        name.or_else(|| self.rules.text(Part::Label, &span.name).map(|it| shortened(&it)))
    }

    fn args(&self, span: &Span<'_>, o: &mut Object<'_>) {
        let thread = self.trace.thread_of(span);
        match &span.kind {
            SpanKind::ToolCall(call) => {
                o.maybe("command", self.command(thread, call));
                o.maybe("exit_code", call.exit_code);
            }
            SpanKind::Turn(turn) => {
                let model = turn.model.and_then(|it| self.text(Part::Label, it));
                o.maybe("model", model);
            }
            SpanKind::ModelCall(_) => {
                if let Some(usage) = span.usage {
                    usage.write(o.value("usage"));
                }
            }
            _ => {}
        }
        o.put("status", span.status.word());
        let part = match span.kind {
            SpanKind::ToolCall(_) => Part::Tool,
            _ => Part::Message,
        };
        let message = span.status.message().and_then(|it| self.rules.reason(part, it));
        o.maybe("message", message.map(|it| shortened(&it)));
        o.flag("end_not_recorded", span.end.is_none());
        o.put("key", &span.key);
        if let Some(file) = thread.rollout(span.provenance.rollout) {
            let (first, last) = (span.provenance.first_line, span.provenance.last_line);
            let path = self.rules.text(Part::Label, &file.path).unwrap_or_default();
            o.put("recorded", format!("{path}:{first}-{last}"));
        }
    }

    fn command<'a>(&self, thread: &Thread<'a>, call: &ToolCall<'a>) -> Option<String> {
        let line = thread.command_of(call).line?;
        let text = self.rules.text(Part::Tool, &line)?;
        Some(shortened(&text))
    }

    fn text(&self, part: Part, text: JsonText<'_>) -> Option<String> {
        let text = self.rules.decoded(part, text)?;
        Some(shortened(&text)).filter(|text| !text.is_empty())
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Whether an event is a moment worth seeing: rate limits come with every call.
fn is_drawn(event: &Event<'_>) -> bool {
    !matches!(event.kind, EventKind::RateLimits(_) | EventKind::MessageNotes(_))
}
