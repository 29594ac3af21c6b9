//! What `list` and `usage` say of a session, without prices: the same whether
//! it was read just now or remembered.

use codex_rollout::JsonText;
use codex_trace_history::account::Account;
use codex_trace_history::history::History;
use codex_trace_history::pipeline::{self, Look, Lost};
use codex_trace_history::select::{self, Outline, created_of};
use codex_trace_history::{panics, skim};
use codex_trace_model::{SessionGroup, SpanKind, Standing, Status, Timestamp, TokenUsage, Trace};

use crate::prices::{Dollars, NoPrice, PriceTable, Request, UNKNOWN};
use crate::prompt;

/// A session, as far as lists and sums need it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The root thread's id.
    pub session_id: String,
    /// All threads, the root first.
    pub thread_ids: Vec<String>,
    /// When the head of the root's file says that it was made.
    pub created: Option<Timestamp>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it was made by the local clock of its machine, taken for UTC.
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
    /// The tool calls of all threads.
    pub tool_calls: usize,
    /// Those that failed.
    pub failed_tools: usize,
    /// The version of Codex that made the root thread's file.
    pub version: Option<String>,
    /// The git branch.
    pub branch: Option<String>,
    /// The git remote, as recorded.
    pub repository_url: Option<String>,
    /// The commit.
    pub commit: Option<String>,
    /// How the session stands.
    pub standing: Option<Standing>,
    /// The files it was read from.
    pub files: Vec<String>,
    /// Other files that have nothing that those lack.
    pub copies: Vec<String>,
    /// What reading it came to.
    pub account: Account,
    /// The words that calls refer to.
    pub words: Vec<String>,
    /// The model calls of all threads.
    pub calls: Vec<Call>,
}

/// A model call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Call {
    /// When it ended, as well as can be told.
    pub at: Option<Timestamp>,
    /// The model: a word of the session.
    pub model: Option<u32>,
    /// The provider: a word of the session.
    pub provider: Option<u32>,
    /// The service tier: a word of the session.
    pub tier: Option<u32>,
    /// What it used.
    pub usage: TokenUsage,
}

/// How much of a trace is there to be taken down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The model calls, and where the root thread worked.
    Calls,
    /// Everything.
    Whole,
}

impl Facts {
    /// Reads a session.
    ///
    /// # Errors
    ///
    /// If none of its files can be read, or this program is wrong.
    pub fn read(history: &History, session: &SessionGroup, kind: Kind) -> Result<Facts, Lost> {
        let created = created_of(history.root(session));
        let facts_of = |trace: &Trace<'_>| Facts::of(trace, kind, created);
        let outcome = panics::catch(|| {
            let facts = match kind {
                Kind::Whole => pipeline::with_trace(history, session, Look::Facts, facts_of),
                Kind::Calls => skim::with_calls(history, session, facts_of),
            };
            facts.map_err(Lost::Unreadable)
        });
        let fault = |message| Lost::Fault { session_id: session.root_thread_id.clone(), message };
        outcome.map_err(fault).flatten()
    }

    /// Takes down what a trace says.
    pub fn of(trace: &Trace<'_>, kind: Kind, created: Option<Timestamp>) -> Facts {
        let root = trace.root();
        let git = root.meta.git.unwrap_or_default();
        let text = |text: JsonText<'_>| text.decode().into_owned();
        let mut facts = Facts {
            session_id: root.id.clone(),
            created,
            cwd: root.meta.cwd.map(text),
            source: root.meta.source.map(|source| codex_rollout::source_word(&source)),
            branch: git.branch.map(text),
            repository_url: git.repository_url.map(text),
            standing: Some(trace.standing()),
            account: Account::of(trace),
            ..Facts::default()
        };
        let (mut said, mut words) = ([None; 3], [None; 3]);
        for span in trace.model_calls() {
            let SpanKind::ModelCall(call) = &span.kind else { continue };
            let says = [call.model, call.provider, call.service_tier];
            if says != said {
                said = says;
                words = says.map(|word| word.map(|word| facts.word(&word.decode())));
            }
            let [model, provider, tier] = words;
            let usage = span.usage.unwrap_or_default();
            facts.calls.push(Call { at: trace.made_at(span), model, provider, tier, usage });
        }
        if kind == Kind::Whole {
            let rollouts = || trace.threads.iter().flat_map(|thread| &thread.rollouts);
            let n_of = |is_it: fn(&SpanKind<'_>) -> bool| {
                trace.spans.iter().filter(|span| is_it(&span.kind)).count()
            };
            facts.thread_ids = trace.threads.iter().map(|thread| thread.id.clone()).collect();
            facts.started_at = trace.started_at();
            facts.started_at_local = select::local_start(trace);
            facts.ended_at = trace.ended_at();
            facts.name = root.name.map(text);
            facts.prompt = prompt::first(trace);
            facts.models = select::models(trace);
            facts.turns = n_of(|kind| matches!(kind, SpanKind::Turn(_)));
            facts.tool_calls = n_of(|kind| matches!(kind, SpanKind::ToolCall(_)));
            facts.failed_tools = trace.spans.iter().filter(|span| has_failed(span)).count();
            facts.version = root.meta.cli_version.map(text);
            facts.commit = git.commit_hash.map(text);
            facts.files = rollouts().map(|rollout| rollout.path.clone()).collect();
            let copies = rollouts().flat_map(|rollout| &rollout.copies);
            facts.copies = copies.map(|path| path.display().to_string()).collect();
        }
        facts
    }

    fn word(&mut self, word: &str) -> u32 {
        let known = self.words.iter().position(|it| it == word);
        let nth = known.unwrap_or_else(|| {
            self.words.push(word.to_owned());
            self.words.len() - 1
        });
        u32::try_from(nth).unwrap_or(u32::MAX)
    }

    /// Returns what filters look at.
    pub fn outline(&self) -> Outline<'_> {
        let first = self.started_at.or(self.started_at_local);
        Outline {
            branch: self.branch.as_deref(),
            repository_url: self.repository_url.as_deref(),
            standing: self.standing.unwrap_or(Standing::Complete),
            created: self.created,
            first,
            last: self.ended_at.or(first),
        }
    }

    fn said(&self, word: Option<u32>) -> Option<&str> {
        self.words.get(word? as usize).map(String::as_str)
    }

    /// Returns the model of a call.
    pub fn model(&self, call: &Call) -> Option<&str> {
        self.said(call.model)
    }

    /// Returns what a call costs; nothing, where it used nothing.
    ///
    /// # Errors
    ///
    /// If it has no list price.
    pub fn cost(&self, call: &Call, prices: &PriceTable) -> Result<Option<Dollars>, NoPrice> {
        if call.usage.is_empty() {
            return Ok(None);
        }
        let request = Request {
            model: self.model(call).unwrap_or(UNKNOWN),
            provider: self.said(call.provider),
            tier: self.said(call.tier),
            at: call.at,
            usage: &call.usage,
        };
        prices.cost(&request).map(Some)
    }

    /// Returns what the model calls cost that have a list price, and how many
    /// tokens the others used.
    pub fn costs(&self, prices: &PriceTable) -> (Option<Dollars>, u64) {
        let mut sum: Option<Dollars> = None;
        let mut unpriced = 0;
        for call in &self.calls {
            match self.cost(call, prices) {
                Ok(Some(cost)) => *sum.get_or_insert_default() += cost,
                Ok(None) => {}
                Err(_) => unpriced += call.usage.total_tokens,
            }
        }
        (sum, unpriced)
    }

    /// Returns the sum of all model calls.
    pub fn usage(&self) -> TokenUsage {
        let mut sum = TokenUsage::default();
        for call in &self.calls {
            sum += call.usage;
        }
        sum
    }
}

fn has_failed(span: &codex_trace_model::Span<'_>) -> bool {
    matches!((&span.kind, &span.status), (SpanKind::ToolCall(_), Status::Error { .. }))
}
