//! What `list` and `usage` say of a session, without prices: the same whether
//! it was read just now or remembered.

use std::collections::BTreeMap;

use codex_rollout::JsonText;
use codex_trace_history::select::{self, Outline};
use codex_trace_model::{Code, SpanKind, Standing, Timestamp, TokenUsage, Trace};

use super::codec::{Garbled, Read, Reader, put, put_bytes, put_maybe, put_text, put_time};
use crate::account::Account;
use crate::prices::{Dollars, NoPrice, PriceTable, Request, UNKNOWN};
use crate::{prompt, tools};

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
    model: Option<u32>,
    provider: Option<u32>,
    tier: Option<u32>,
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
        for span in trace.model_calls() {
            let SpanKind::ModelCall(call) = &span.kind else { continue };
            let [model, provider, tier] = [call.model, call.provider, call.service_tier]
                .map(|word| word.map(|word| facts.word(&word.decode())));
            let usage = span.usage.unwrap_or_default();
            facts.calls.push(Call { at: trace.made_at(span), model, provider, tier, usage });
        }
        if kind == Kind::Whole {
            let rollouts = || trace.threads.iter().flat_map(|thread| &thread.rollouts);
            let n_of =
                |word: &str| trace.spans.iter().filter(|span| span.kind.word() == word).count();
            facts.thread_ids = trace.threads.iter().map(|thread| thread.id.clone()).collect();
            facts.started_at = trace.started_at();
            facts.started_at_local = select::local_start(trace);
            facts.ended_at = trace.ended_at();
            facts.name = root.name.map(text);
            facts.prompt = prompt::first(trace);
            facts.models = select::models(trace);
            facts.turns = n_of("turn");
            facts.tool_calls = n_of("tool_call");
            facts.failed_tools =
                tools::calls(trace).filter(|(span, _)| tools::has_failed(span)).count();
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

    /// Appends it as bytes.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let texts = |out: &mut Vec<u8>, texts: &[String]| {
            put(out, texts.len() as u64);
            for text in texts {
                put_text(out, text);
            }
        };
        put_text(out, &self.session_id);
        for list in [&self.thread_ids, &self.models, &self.files, &self.copies, &self.words] {
            texts(out, list);
        }
        for at in [self.created, self.started_at, self.started_at_local, self.ended_at] {
            put_maybe(out, at, put_time);
        }
        for text in self.maybe_texts() {
            put_maybe(out, text.as_deref(), put_text);
        }
        for number in [self.turns, self.tool_calls, self.failed_tools] {
            put(out, number as u64);
        }
        put_maybe(out, self.standing, |out, it| put_text(out, it.word()));
        for number in [self.account.sessions, self.account.spans, self.account.failed] {
            put(out, number as u64);
        }
        put(out, self.account.diagnostics.len() as u64);
        for (code, count) in &self.account.diagnostics {
            put_text(out, code.word());
            put(out, *count as u64);
        }
        put(out, self.calls.len() as u64);
        for call in &self.calls {
            call.write(out);
        }
    }

    fn maybe_texts(&self) -> [&Option<String>; 8] {
        [
            &self.cwd,
            &self.source,
            &self.name,
            &self.prompt,
            &self.version,
            &self.branch,
            &self.repository_url,
            &self.commit,
        ]
    }

    /// Reads what was written.
    pub(super) fn read(bytes: &[u8]) -> Read<Facts> {
        let mut from = Reader::new(bytes);
        let session_id = from.text()?;
        let mut texts = || from.list(Reader::text);
        let [thread_ids, models, files, copies, words] =
            [texts()?, texts()?, texts()?, texts()?, texts()?];
        let mut time = || from.maybe(Reader::time);
        let [created, started_at, started_at_local, ended_at] =
            [time()?, time()?, time()?, time()?];
        let mut text = || from.maybe(Reader::text);
        let [cwd, source, name, prompt] = [text()?, text()?, text()?, text()?];
        let [version, branch, repository_url, commit] = [text()?, text()?, text()?, text()?];
        let [turns, tool_calls, failed_tools] = [from.size()?, from.size()?, from.size()?];
        let standing = from.maybe(|from| standing(from.bytes()?))?;
        let [sessions, spans, failed] = [from.size()?, from.size()?, from.size()?];
        let counts = from.list(|from| Ok((code(from.bytes()?)?, from.size()?)))?;
        let diagnostics: BTreeMap<Code, usize> = counts.into_iter().collect();
        let calls = from.list(Call::read)?;
        if !from.is_at_end() {
            return Err(Garbled);
        }
        let account = Account { sessions, spans, diagnostics, failed };
        #[rustfmt::skip]
        let facts = Facts {
            session_id, thread_ids, created, started_at, started_at_local, ended_at, cwd, source,
            name, prompt, models, turns, tool_calls, failed_tools, version, branch, repository_url,
            commit, standing, files, copies, account, words, calls,
        };
        Ok(facts)
    }
}

impl Call {
    fn write(&self, out: &mut Vec<u8>) {
        put_maybe(out, self.at, put_time);
        for word in [self.model, self.provider, self.tier] {
            put(out, word.map_or(0, |nth| u64::from(nth) + 1));
        }
        let TokenUsage {
            input_tokens,
            cached_input_tokens,
            cache_write_input_tokens,
            output_tokens,
            reasoning_output_tokens,
            total_tokens,
        } = self.usage;
        put_maybe(out, cache_write_input_tokens, put);
        for number in [
            input_tokens,
            cached_input_tokens,
            output_tokens,
            reasoning_output_tokens,
            total_tokens,
        ] {
            put(out, number);
        }
    }

    fn read(from: &mut Reader<'_>) -> Read<Call> {
        let at = from.maybe(Reader::time)?;
        let mut word = || {
            let nth = u32::try_from(from.number()?).map_err(|_| Garbled)?;
            Ok(nth.checked_sub(1))
        };
        let [model, provider, tier] = [word()?, word()?, word()?];
        let cache_write_input_tokens = from.maybe(Reader::number)?;
        let usage = TokenUsage {
            cache_write_input_tokens,
            input_tokens: from.number()?,
            cached_input_tokens: from.number()?,
            output_tokens: from.number()?,
            reasoning_output_tokens: from.number()?,
            total_tokens: from.number()?,
        };
        Ok(Call { at, model, provider, tier, usage })
    }
}

fn standing(word: &[u8]) -> Read<Standing> {
    let all = [Standing::Complete, Standing::Interrupted, Standing::Open, Standing::Error];
    all.into_iter().find(|it| it.word().as_bytes() == word).ok_or(Garbled)
}

fn code(word: &[u8]) -> Read<Code> {
    Code::ALL.iter().copied().find(|it| it.word().as_bytes() == word).ok_or(Garbled)
}

/// Appends facts with their key, as a pack holds them.
pub(super) fn put_entry(out: &mut Vec<u8>, key: &[u8; 32], facts: &[u8]) {
    out.extend_from_slice(key);
    put_bytes(out, facts);
}
