//! What `list` says of a session.

use codex_trace_model::{Diagnostic, SignedDuration, Standing, Timestamp, TokenUsage, Trace};

use codex_trace_export::json;
use codex_trace_export::wire::jsonl;
use codex_trace_history::repository;

use crate::look::{Facts, Kind};
use crate::prices::{Dollars, PriceTable};
use crate::rows::{Row, Value};

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
    /// The tool calls that failed.
    pub failed_tools: usize,
    /// What those model calls cost that have a list price.
    pub cost: Option<Dollars>,
    /// The tokens of the others.
    pub unpriced_tokens: u64,
    /// The version of Codex that made the root thread's file.
    pub version: Option<String>,
    /// The git branch that was checked out when the session began.
    pub branch: Option<String>,
    /// The git repository: `github.com/owner/name`.
    pub repository: Option<String>,
    /// The commit that was checked out when the session began.
    pub commit: Option<String>,
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
    /// Sums up a trace, at these prices.
    pub fn of(trace: &Trace<'_>, prices: &PriceTable) -> Summary {
        let facts = Facts::of(trace, Kind::Whole, None);
        Summary { diagnostics: trace.diagnostics.clone(), ..Summary::of_facts(facts, prices) }
    }

    /// Sums up what is known of a session, at these prices.
    pub fn of_facts(facts: Facts, prices: &PriceTable) -> Summary {
        let (cost, unpriced_tokens) = facts.costs(prices);
        Summary {
            model_calls: facts.calls.len(),
            usage: facts.usage(),
            cost,
            unpriced_tokens,
            session_id: facts.session_id,
            thread_ids: facts.thread_ids,
            started_at: facts.started_at,
            started_at_local: facts.started_at_local,
            ended_at: facts.ended_at,
            cwd: facts.cwd,
            source: facts.source,
            name: facts.name,
            prompt: facts.prompt,
            models: facts.models,
            turns: facts.turns,
            tool_calls: facts.tool_calls,
            failed_tools: facts.failed_tools,
            version: facts.version,
            branch: facts.branch,
            repository: facts.repository_url.map(|url| repository::name(&url)),
            commit: facts.commit,
            status: facts.standing.unwrap_or(Standing::Complete),
            files: facts.files,
            copies: facts.copies,
            diagnostics: Vec::new(),
        }
    }

    /// Returns when it began, as well as can be told.
    pub fn at(&self) -> Option<Timestamp> {
        self.started_at.or(self.started_at_local)
    }

    /// Returns how long it lasted, pauses of the user included.
    pub fn duration(&self) -> Option<SignedDuration> {
        Some(self.ended_at?.duration_since(self.started_at?))
    }

    /// Returns what to call it: its name, else the beginning of its first prompt.
    pub fn title(&self) -> Option<&str> {
        self.name.as_deref().or(self.prompt.as_deref())
    }

    /// The names of the values of [`row`](Self::row).
    pub const NAMES: [&'static str; 27] = [
        "session_id",
        "started_at",
        "ended_at",
        "duration_seconds",
        "cwd",
        "repository",
        "branch",
        "commit",
        "source",
        "version",
        "name",
        "first_prompt",
        "models",
        "status",
        "threads",
        "turns",
        "model_calls",
        "tool_calls",
        "failed_tool_calls",
        "input_tokens",
        "cached_input_tokens",
        "cache_write_input_tokens",
        "output_tokens",
        "reasoning_output_tokens",
        "total_tokens",
        "cost_usd",
        "files",
    ];

    /// Returns it as a row of flat values.
    pub fn row(&self) -> Row {
        let usage = &self.usage;
        let values: [Value; 27] = [
            self.session_id.clone().into(),
            self.at().into(),
            self.ended_at.into(),
            self.duration().into(),
            self.cwd.clone().into(),
            self.repository.clone().into(),
            self.branch.clone().into(),
            self.commit.clone().into(),
            self.source.clone().into(),
            self.version.clone().into(),
            self.name.clone().into(),
            self.prompt.clone().into(),
            self.models.join(" ").into(),
            self.status.word().into(),
            self.thread_ids.len().into(),
            self.turns.into(),
            self.model_calls.into(),
            self.tool_calls.into(),
            self.failed_tools.into(),
            Value::Tokens(usage.input_tokens),
            Value::Tokens(usage.cached_input_tokens),
            Value::Tokens(usage.cache_write_input_tokens.unwrap_or(0)),
            Value::Tokens(usage.output_tokens),
            Value::Tokens(usage.reasoning_output_tokens),
            Value::Tokens(usage.total_tokens),
            Value::Cost(self.cost, self.unpriced_tokens),
            self.files.join(" ").into(),
        ];
        Summary::NAMES.into_iter().zip(values).collect()
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
            o.maybe("duration_seconds", self.duration());
            o.maybe("cwd", self.cwd.as_ref());
            o.maybe("repository", self.repository.as_ref());
            o.maybe("branch", self.branch.as_ref());
            o.maybe("commit", self.commit.as_ref());
            o.maybe("source", self.source.as_ref());
            o.maybe("version", self.version.as_ref());
            o.maybe("name", self.name.as_ref());
            o.maybe("first_prompt", self.prompt.as_ref());
            o.array("models", &self.models, put);
            o.put("turns", self.turns);
            o.put("model_calls", self.model_calls);
            o.put("tool_calls", self.tool_calls);
            o.put("failed_tool_calls", self.failed_tools);
            o.object("usage", |o| jsonl::usage_fields(o, self.model_calls, &self.usage));
            o.maybe("cost_usd", self.cost);
            o.maybe("unpriced_tokens", Some(self.unpriced_tokens).filter(|tokens| *tokens > 0));
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
