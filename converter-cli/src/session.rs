//! What `list` says of a session, and the filters that need all of it.

use codex_trace_model::{Diagnostic, Standing, Timestamp, TokenUsage, Trace};

use codex_trace_export::json;
use codex_trace_export::wire::jsonl;
use codex_trace_history::select;

/// A session in a few words.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The root thread's id.
    pub session_id: String,
    /// All threads, the root first.
    pub thread_ids: Vec<String>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it was made by the local clock of its machine, taken for UTC: all
    /// that some versions of 2025 recorded.
    pub started_at_local: Option<Timestamp>,
    /// When the last thing in it happened.
    pub ended_at: Option<Timestamp>,
    /// Where the root thread worked.
    pub cwd: Option<String>,
    /// What started the root thread.
    pub source: Option<String>,
    /// The thread's name, if it got one.
    pub name: Option<String>,
    /// The beginning of the first prompt, on one line.
    pub prompt: Option<String>,
    /// The models used, in order of their first use.
    pub models: Vec<String>,
    /// The turns of all threads.
    pub turns: usize,
    /// The model calls of all threads.
    pub model_calls: usize,
    /// The tool calls of all threads.
    pub tool_calls: usize,
    /// The sum of all model calls.
    pub usage: TokenUsage,
    /// How the session stands.
    pub status: Standing,
    /// The files it was read from.
    pub files: Vec<String>,
    /// Other files that have nothing that those lack.
    pub copies: Vec<String>,
    /// What was odd.
    pub diagnostics: Vec<Diagnostic>,
}

impl Summary {
    /// Sums up a trace.
    pub fn of(trace: &Trace<'_>) -> Summary {
        let root = trace.root();
        let rollouts = || trace.threads.iter().flat_map(|thread| &thread.rollouts);
        let n_of = |word: &str| trace.spans.iter().filter(|span| span.kind.word() == word).count();
        Summary {
            session_id: root.id.clone(),
            thread_ids: trace.threads.iter().map(|thread| thread.id.clone()).collect(),
            started_at: trace.started_at(),
            started_at_local: select::local_start(trace),
            ended_at: trace.ended_at(),
            cwd: root.meta.cwd.map(|cwd| cwd.decode().into_owned()),
            source: root.meta.source.map(|source| codex_rollout::source_word(&source)),
            name: root.name.map(|name| name.decode().into_owned()),
            prompt: crate::prompt::first(trace),
            models: select::models(trace),
            turns: n_of("turn"),
            model_calls: n_of("model_call"),
            tool_calls: n_of("tool_call"),
            usage: trace.usage(),
            status: trace.standing(),
            files: rollouts().map(|rollout| rollout.path.clone()).collect(),
            copies: rollouts()
                .flat_map(|rollout| &rollout.copies)
                .map(|path| path.display().to_string())
                .collect(),
            diagnostics: trace.diagnostics.clone(),
        }
    }

    /// Returns when it began, as well as can be told.
    pub fn at(&self) -> Option<Timestamp> {
        self.started_at.or(self.started_at_local)
    }

    /// Writes it as one JSON line: the contract of `list --json`. With
    /// `problems`, they are spelled out.
    pub fn write_json(&self, problems: bool, out: &mut Vec<u8>) {
        json::object(out, |o| {
            o.put("session_id", &self.session_id);
            o.array("thread_ids", &self.thread_ids, put);
            o.maybe("started_at", self.started_at);
            o.maybe(
                "started_at_local",
                self.started_at_local.filter(|_| self.started_at.is_none()),
            );
            o.maybe("ended_at", self.ended_at);
            o.maybe("cwd", self.cwd.as_ref());
            o.maybe("source", self.source.as_ref());
            o.maybe("name", self.name.as_ref());
            o.array("models", &self.models, put);
            o.put("turns", self.turns);
            o.put("model_calls", self.model_calls);
            o.put("tool_calls", self.tool_calls);
            o.object("usage", |o| jsonl::usage_fields(o, self.model_calls, &self.usage));
            o.put("status", self.status.word());
            o.array("files", &self.files, put);
            if !self.copies.is_empty() {
                o.array("copies", &self.copies, put);
            }
            if problems {
                o.array("problems", &self.diagnostics, |it, out| {
                    json::object(out, |o| jsonl::diagnostic(it, o));
                });
            }
        });
        out.push(b'\n');
    }
}

fn put(text: &String, out: &mut Vec<u8>) {
    json::Json::write(text, out);
}
