//! The metadata of runs: the contract `coding-agent-v1`, which all tracers of
//! coding agents for LangSmith keep.

use codex_rollout::item::session_meta::ThreadOrigin;
use codex_rollout::{JsonText, ResponseItem, TokenUsage, ValueKind};
use codex_trace_model::{ItemIx, ModelCall, Span, SpanKind, Thread, Turn};
use serde_json::{Map, Value};

use crate::content::Part;
use crate::json::{Id, Json, Object};
use crate::langsmith::limited::LimitedRules;
use crate::langsmith::messages::put_value;

/// What made the runs.
const VERSION: &str = concat!("codex-trace ", env!("CARGO_PKG_VERSION"));

/// What the metadata of a turn's runs is made of.
pub(super) struct Metadata<'m, 'a> {
    pub(super) thread: &'m Thread<'a>,
    pub(super) turn: &'m Turn<'a>,
    pub(super) rules: &'m LimitedRules<'m>,
    /// The user's own, weakest.
    pub(super) own: &'m Map<String, Value>,
    /// Whether the turn goes without content.
    pub(super) muted: bool,
    /// The turn's id as the file has it, or the key that stands for it.
    pub(super) turn_id: &'m str,
}

/// What a run is, as far as its metadata is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) enum RunKind<'m, 'a> {
    Root { interrupted: bool, total: Option<TokenUsage> },
    Llm { span: Option<&'m Span<'a>>, usage: Option<TokenUsage> },
    Tool,
    Compaction { usage: Option<TokenUsage> },
    Skill { name: &'m str },
}

/// Whether a thread is a subagent's by the plugin's rule.
pub(super) fn is_subagent(thread: &Thread<'_>) -> bool {
    let meta = &thread.meta;
    let spawned = matches!(meta.source, Some(ThreadOrigin::Spawned(_)));
    let said = meta.thread_source.is_some_and(|source| source.is("subagent"));
    spawned || said && thread.parent_thread_id.is_some()
}

/// Returns what the turns of a thread are grouped by.
pub(super) fn conversation<'m>(thread: &'m Thread<'_>) -> &'m str {
    match &thread.parent_thread_id {
        Some(parent) if is_subagent(thread) => parent,
        _ => &thread.id,
    }
}

impl Metadata<'_, '_> {
    /// Writes the metadata of a run. `status` is how it ended, `extra` what
    /// else there is to say.
    pub(super) fn write(
        &self,
        kind: RunKind<'_, '_>,
        failed: bool,
        extra: impl FnOnce(&mut Object<'_>),
        o: &mut Object<'_>,
    ) {
        let mut keys = Keys::default();
        let root = matches!(kind, RunKind::Root { .. });
        if !self.muted {
            // What we say ourselves must not be there twice.
            let taken = |key: &str| CONTRACT.contains(&key) || key.starts_with("codex.");
            let context = if root { self.turn.context } else { None };
            if let Some(context) = context.filter(|_| self.rules.keeps(Part::Message)) {
                let read = context.cursor().object(|key, value| {
                    let name = JsonText::new(key).decode();
                    if !taken(&name) && keys.add(&name) && value.kind()? != ValueKind::Null {
                        let value = super::messages::value(value.raw()?, Part::Message, self.rules);
                        o.value_of(&name).extend_from_slice(&value);
                    }
                    Ok(())
                });
                debug_assert!(read.is_ok(), "the reader has checked it");
            }
            for (key, value) in self.own {
                if !taken(key) && keys.add(key) {
                    let text = value.to_string();
                    o.value_of(key).extend_from_slice(text.as_bytes());
                }
            }
        }
        self.contract(kind, o);
        if self.muted {
            o.put("status", if failed { "error" } else { "completed" });
            o.put("ls_tracing_mode", "metadata");
        } else {
            self.workspace(o);
        }
        match kind {
            RunKind::Root { interrupted, total } => self.root(interrupted, total, o),
            RunKind::Llm { span, usage } => self.model(span, usage, o),
            RunKind::Tool => self.model(None, None, o),
            RunKind::Compaction { usage } => self.model(None, usage, o),
            RunKind::Skill { name } => o.put("ls_skill_name", name),
        }
        extra(o);
    }

    fn contract(&self, kind: RunKind<'_, '_>, o: &mut Object<'_>) {
        o.put("ls_agent_purpose", "coding");
        let agent = match kind {
            RunKind::Compaction { .. } => "compaction",
            _ if is_subagent(self.thread) => "subagent",
            _ => "root",
        };
        o.put("ls_agent_type", agent);
        o.put("ls_integration", "openai-codex");
        o.put("ls_agent_runtime", "Codex");
        o.put("ls_trace_schema_version", "coding-agent-v1");
        o.put("ls_integration_version", VERSION);
        o.maybe("ls_agent_runtime_version", self.rules.label(self.thread.meta.cli_version));
        o.put("thread_id", conversation(self.thread));
        o.put("turn_id", self.turn_id);
        o.put("turn_number", self.turn.number);
    }

    /// Returns a name without the secrets in it.
    fn label(&self, text: JsonText<'_>) -> Option<String> {
        self.rules.decoded(Part::Label, text).map(std::borrow::Cow::into_owned)
    }

    fn workspace(&self, o: &mut Object<'_>) {
        let label = |text: JsonText<'_>| {
            self.rules.decoded(Part::Place, text).map(std::borrow::Cow::into_owned)
        };
        if let Some(git) = self.thread.meta.git {
            if let Some(url) = git.repository_url.and_then(label) {
                let repository = Repository::of(&url);
                o.put("repository_url", repository.url);
                o.maybe("repository_provider", repository.provider);
                o.maybe("repository_name", repository.name);
            }
            o.maybe("git_branch", git.branch.and_then(label));
            o.maybe("git_commit_sha", git.commit_hash.and_then(label));
        }
        o.maybe("cwd", self.turn.cwd.or(self.thread.meta.cwd).and_then(label));
        o.maybe("sandbox_type", self.rules.label(self.turn.sandbox));
    }

    fn root(&self, interrupted: bool, total: Option<TokenUsage>, o: &mut Object<'_>) {
        if is_subagent(self.thread) {
            o.put("ls_subagent_id", &self.thread.id);
            let meta = &self.thread.meta;
            let spawn = match meta.source {
                Some(ThreadOrigin::Spawned(spawn)) => spawn,
                _ => codex_rollout::item::session_meta::ThreadSpawn::default(),
            };
            let role = spawn.agent_role.or(meta.agent_role);
            let name = role.or(spawn.agent_nickname).or(meta.agent_nickname);
            o.maybe("ls_subagent_type", self.rules.label(name));
        } else if let Some(policy) = self.turn.approval_policy.filter(|_| !self.muted) {
            if let Some(text) = policy.as_text() {
                o.maybe("approval_policy", self.rules.label(text));
            } else {
                let value = self.rules.json_value(Part::Label, policy).unwrap_or_default();
                String::from_utf8_lossy(&value).write(o.value("approval_policy"));
            }
        }
        if interrupted {
            o.put("ls_is_error_interrupt", true);
        }
        o.maybe("codex_cli_version", self.rules.label(self.thread.meta.cli_version));
        o.put("ls_message_format", "anthropic");
        if let Some(total) = total {
            // Under this name the service does not add it to the model calls'.
            o.object("ls_raw_aggregated_usage", |o| usage(&total, o));
        }
        o.maybe("codex.duration_ms", self.turn.duration_ms);
        o.maybe("codex.time_to_first_token_ms", self.turn.time_to_first_token_ms);
        o.maybe("codex.model_context_window", self.turn.model_context_window);
        o.maybe("codex.trigger", self.rules.label(self.turn.trigger));
        o.maybe("codex.trace_id", self.turn.trace_id.map(Id));
        if !self.turn.marked {
            o.put("codex.turn_inferred", true);
        }
    }

    /// Returns why the model stopped, as far as the file shows it: with a call of
    /// a tool, or with an answer that was complete, as its tokens were counted.
    fn stop_reason(&self, call: &ModelCall<'_>, is_counted: bool) -> Option<&'static str> {
        let is_call = |ix: &ItemIx| matches!(self.thread[*ix].body, ResponseItem::ToolCall(_));
        if call.output.iter().any(is_call) {
            return Some("tool_calls");
        }
        is_counted.then_some("stop")
    }

    fn model(&self, span: Option<&Span<'_>>, used: Option<TokenUsage>, o: &mut Object<'_>) {
        o.put("ls_model_type", "chat");
        let call = span.and_then(|span| match &span.kind {
            SpanKind::ModelCall(call) => Some(call),
            _ => None,
        });
        let provider = call.and_then(|call| call.provider).or(self.thread.meta.model_provider);
        o.maybe("ls_provider", self.rules.label(provider));
        // A turn may have gone on with another model than it began with.
        let model = call.and_then(|call| call.model).or(self.turn.model);
        o.maybe("ls_model_name", model.and_then(|model| self.label(model)));
        if let Some(used) = used {
            o.object("usage_metadata", |o| usage(&used, o));
        }
        if let Some(call) = call {
            o.maybe("stop_reason", self.stop_reason(call, used.is_some()));
            o.maybe("codex.response_id", call.response_id.map(Id));
            o.maybe("codex.service_tier", self.rules.label(call.service_tier));
            o.put("codex.usage_evidence", call.evidence.word());
        }
        if let Some(context) =
            self.turn.context.filter(|_| !self.muted && self.rules.keeps(Part::Message))
        {
            put_value("ls_invocation_params", context, Part::Message, self.rules, o);
        }
    }
}

/// Writes usage where LangSmith looks for it. Input includes what was cached,
/// output what was reasoned.
pub(super) fn usage(usage: &TokenUsage, o: &mut Object<'_>) {
    o.put("input_tokens", usage.input_tokens);
    o.put("output_tokens", usage.output_tokens);
    o.put("total_tokens", usage.total_tokens);
    o.object("input_token_details", |o| {
        o.put("cache_read", usage.cached_input_tokens);
        o.maybe("cache_creation", usage.cache_write_input_tokens);
    });
    o.object("output_token_details", |o| o.put("reasoning", usage.reasoning_output_tokens));
}

/// The keys that are ours to write.
const CONTRACT: &[&str] = &[
    "ls_agent_purpose",
    "ls_agent_type",
    "ls_integration",
    "ls_agent_runtime",
    "ls_trace_schema_version",
    "ls_integration_version",
    "ls_agent_runtime_version",
    "thread_id",
    "turn_id",
    "turn_number",
    "repository_url",
    "repository_provider",
    "repository_name",
    "git_branch",
    "git_commit_sha",
    "cwd",
    "sandbox_type",
    "approval_policy",
    "ls_subagent_id",
    "ls_subagent_type",
    "ls_is_error_interrupt",
    "codex_cli_version",
    "ls_message_format",
    "ls_raw_aggregated_usage",
    "ls_model_type",
    "ls_provider",
    "ls_model_name",
    "ls_invocation_params",
    "usage_metadata",
    "ls_tool_name",
    "ls_skill_name",
    "ls_tracing_mode",
    "status",
];

/// The keys written so far: an object must not hold one twice.
#[derive(Default)]
struct Keys(Vec<String>);

impl Keys {
    fn add(&mut self, key: &str) -> bool {
        let new = !self.0.iter().any(|known| known == key);
        if new {
            self.0.push(key.to_owned());
        }
        new
    }
}

/// What a remote's address says.
#[derive(Debug, PartialEq, Eq)]
struct Repository {
    url: String,
    provider: Option<String>,
    name: Option<String>,
}

impl Repository {
    /// Reads `https://host/org/name.git`, `git@host:org/name.git`.
    fn of(url: &str) -> Repository {
        let url = url.trim();
        let bare = url.strip_suffix(".git").unwrap_or(url).to_owned();
        let split = match url.split_once("://") {
            Some((_, rest)) => rest.split_once('/').or(Some((rest, ""))),
            None => url.split_once('@').and_then(|(user, rest)| {
                (!user.contains('/')).then(|| rest.split_once(':')).flatten()
            }),
        };
        let Some((host, path)) = split else {
            return Repository { url: bare, provider: None, name: None };
        };
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let known = ["github", "gitlab", "bitbucket"].iter().find(|it| host.contains(**it));
        let provider = known.map_or(host.clone(), |it| (*it).to_owned());
        let path = path.strip_suffix(".git").unwrap_or(path);
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let name = parts[parts.len().saturating_sub(2)..].join("/");
        Repository {
            url: bare,
            provider: Some(if provider.is_empty() { "other".to_owned() } else { provider }),
            name: Some(name).filter(|name| !name.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_read_as_the_plugin_reads_them() {
        let of = |url| {
            let it = Repository::of(url);
            (it.url, it.provider.unwrap_or_default(), it.name.unwrap_or_default())
        };
        let own = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(
            of("https://github.com/org/repo.git"),
            own("https://github.com/org/repo", "github", "org/repo")
        );
        assert_eq!(
            of("git@gitlab.example.com:group/sub/repo.git"),
            own("git@gitlab.example.com:group/sub/repo", "gitlab", "sub/repo")
        );
        assert_eq!(
            of("ssh://git@code.example.com:22/repo"),
            own("ssh://git@code.example.com:22/repo", "code.example.com", "repo")
        );
        assert_eq!(of("/srv/git/repo.git"), own("/srv/git/repo", "", ""));
    }
}
