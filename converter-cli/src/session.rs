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
    /// What is known of it; its model calls are added up here and left out there.
    pub facts: Facts,
    /// The model calls of all threads.
    pub model_calls: usize,
    /// The sum of all model calls.
    pub usage: TokenUsage,
    /// What those model calls cost that have a list price.
    pub cost: Option<Dollars>,
    /// The tokens of the others.
    pub unpriced_tokens: u64,
    /// The git repository: `github.com/owner/name`.
    pub repository: Option<String>,
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
            repository: facts.repository_url.as_deref().map(repository::name),
            // Of a history of a million calls, a list keeps none.
            facts: Facts { calls: Vec::new(), words: Vec::new(), ..facts },
            diagnostics: Vec::new(),
        }
    }

    /// Returns how the session stands.
    pub fn status(&self) -> Standing {
        self.facts.standing.unwrap_or(Standing::Complete)
    }

    /// Returns when it began, as well as can be told.
    pub fn at(&self) -> Option<Timestamp> {
        self.facts.started_at.or(self.facts.started_at_local)
    }

    /// Returns how long it lasted, pauses of the user included.
    pub fn duration(&self) -> Option<SignedDuration> {
        Some(self.facts.ended_at?.duration_since(self.facts.started_at?))
    }

    /// Returns what to call it: its name, else the beginning of its first prompt.
    pub fn title(&self) -> Option<&str> {
        self.facts.name.as_deref().or(self.facts.prompt.as_deref())
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
            self.facts.session_id.clone().into(),
            self.at().into(),
            self.facts.ended_at.into(),
            self.duration().into(),
            self.facts.cwd.clone().into(),
            self.repository.clone().into(),
            self.facts.branch.clone().into(),
            self.facts.commit.clone().into(),
            self.facts.source.clone().into(),
            self.facts.version.clone().into(),
            self.facts.name.clone().into(),
            self.facts.prompt.clone().into(),
            self.facts.models.join(" ").into(),
            self.status().word().into(),
            self.facts.thread_ids.len().into(),
            self.facts.turns.into(),
            self.model_calls.into(),
            self.facts.tool_calls.into(),
            self.facts.failed_tools.into(),
            Value::Tokens(usage.input_tokens),
            Value::Tokens(usage.cached_input_tokens),
            Value::Tokens(usage.cache_write_input_tokens.unwrap_or(0)),
            Value::Tokens(usage.output_tokens),
            Value::Tokens(usage.reasoning_output_tokens),
            Value::Tokens(usage.total_tokens),
            Value::Cost(self.cost, self.unpriced_tokens),
            self.facts.files.join(" ").into(),
        ];
        Summary::NAMES.into_iter().zip(values).collect()
    }

    /// Writes it as one JSON line: the contract of `list --json`. With
    /// `problems`, they are spelled out.
    pub fn write_json(&self, problems: bool, out: &mut Vec<u8>) {
        json::object(out, |o| {
            o.put("session_id", &self.facts.session_id);
            o.array("thread_ids", &self.facts.thread_ids, put);
            o.maybe("started_at", self.facts.started_at);
            o.maybe(
                "started_at_local",
                self.facts.started_at_local.filter(|_| self.facts.started_at.is_none()),
            );
            o.maybe("ended_at", self.facts.ended_at);
            o.maybe("duration_seconds", self.duration());
            o.maybe("cwd", self.facts.cwd.as_ref());
            o.maybe("repository", self.repository.as_ref());
            o.maybe("branch", self.facts.branch.as_ref());
            o.maybe("commit", self.facts.commit.as_ref());
            o.maybe("source", self.facts.source.as_ref());
            o.maybe("version", self.facts.version.as_ref());
            o.maybe("name", self.facts.name.as_ref());
            o.maybe("first_prompt", self.facts.prompt.as_ref());
            o.array("models", &self.facts.models, put);
            o.put("turns", self.facts.turns);
            o.put("model_calls", self.model_calls);
            o.put("tool_calls", self.facts.tool_calls);
            o.put("failed_tool_calls", self.facts.failed_tools);
            o.object("usage", |o| jsonl::usage_fields(o, self.model_calls, &self.usage));
            o.maybe("cost_usd", self.cost);
            o.maybe("unpriced_tokens", Some(self.unpriced_tokens).filter(|tokens| *tokens > 0));
            o.put("status", self.status().word());
            o.array("files", &self.facts.files, put);
            if !self.facts.copies.is_empty() {
                o.array("copies", &self.facts.copies, put);
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
