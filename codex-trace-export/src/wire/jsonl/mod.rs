//! The neutral format `codex-trace/v1`: JSON lines of types `trace`, `item`
//! and `span`, described in `docs/span-schema.md`.
//!
//! Pure: a trace goes in, bytes come out.

mod file;
mod item;
mod recorded;
mod span;

use std::collections::HashMap;

use codex_rollout::{Position, SessionMeta, TokenUsage};
use codex_trace_model::{Diagnostic, Fate, History, Item, Span, SpanKind, Thread, Trace};

use crate::content::{Content, ContentRules, Part};
use crate::json::{self, Object};
use crate::splice;
use crate::wire::jsonl::recorded::Recorded as _;

pub use file::FILE;
pub use item::kind as item_kind;

/// The name and version of the format.
pub const FORMAT: &str = "codex-trace/v1";

/// Appends the lines of a trace: the `trace` object, then each thread's items,
/// then all spans, parents first.
///
/// Calls `after_line` where the output may be cut; it may take away what is
/// there, and ends the encoding by returning `false`.
pub fn encode(
    trace: &Trace<'_>,
    content: Content,
    out: &mut Vec<u8>,
    after_line: impl FnMut(&mut Vec<u8>) -> bool,
) {
    let mut compactions = HashMap::new();
    for span in &trace.spans {
        if let SpanKind::Compaction(compaction) = &span.kind
            && let Some(history) = compaction.replacement_history
        {
            compactions.insert(history.raw().as_ptr(), span.key.as_str());
        }
    }
    Encoder { trace, content, compactions }.encode(out, after_line);
}

/// Returns the line of a span as this format has it, redacted; `None` where the
/// rules leave any content out.
pub fn span_json(trace: &Trace<'_>, span: &Span<'_>, rules: &ContentRules) -> Option<String> {
    line(rules, |o| span::fields(trace, span, rules.content(), o))
}

/// Returns the line of an item as this format has it, redacted; `None` where the
/// rules leave any content out.
pub fn item_json(
    trace: &Trace<'_>,
    thread: &Thread<'_>,
    (index, item): (usize, &Item<'_>),
    rules: &ContentRules,
) -> Option<String> {
    line(rules, |o| item::fields(trace, thread, index, item, rules.content(), o))
}

fn line(rules: &ContentRules, fields: impl FnOnce(&mut Object<'_>)) -> Option<String> {
    if !rules.keeps(Part::Message) || !rules.keeps(Part::Tool) {
        return None;
    }
    let mut out = Vec::new();
    json::object(&mut out, fields);
    Some(String::from_utf8_lossy(&rules.json_lines(&out)).into_owned())
}

struct Encoder<'e, 'a> {
    trace: &'e Trace<'a>,
    content: Content,
    /// The compactions' spans, by where in memory their new history is.
    compactions: HashMap<*const u8, &'e str>,
}

impl Encoder<'_, '_> {
    fn encode(&self, out: &mut Vec<u8>, mut after_line: impl FnMut(&mut Vec<u8>) -> bool) {
        let trace = self.trace;
        let mut line = |out: &mut Vec<u8>, fields: &mut dyn FnMut(&mut Object<'_>)| {
            json::object(out, fields);
            out.push(b'\n');
            after_line(out)
        };
        if !line(out, &mut |o| self.trace(o)) {
            return;
        }
        for thread in &trace.threads {
            for (index, item) in thread.items.iter().enumerate() {
                let fields = &mut |o: &mut Object<'_>| {
                    item::fields(trace, thread, index, item, self.content, o);
                };
                if !line(out, fields) {
                    return;
                }
            }
        }
        for span in &trace.spans {
            if !line(out, &mut |o| span::fields(trace, span, self.content, o)) {
                return;
            }
        }
    }

    fn trace(&self, o: &mut Object<'_>) {
        let trace = self.trace;
        let n_model_calls = trace.model_calls().count();
        o.put("type", "trace");
        o.put("format", FORMAT);
        o.put("session_id", trace.session_id());
        o.maybe("started_at", trace.started_at());
        o.maybe("ended_at", trace.ended_at());
        o.put("status", trace.standing().word());
        o.object("usage", |o| usage_fields(o, n_model_calls, &trace.usage()));
        o.array("threads", &trace.threads, |it, out| json::object(out, |o| self.thread(it, o)));
        if !trace.diagnostics.is_empty() {
            o.array("diagnostics", &trace.diagnostics, |it, out| {
                json::object(out, |o| diagnostic(it, o));
            });
        }
    }

    fn thread(&self, thread: &Thread<'_>, o: &mut Object<'_>) {
        let trace = self.trace;
        o.put("thread_id", &thread.id);
        o.put("span", &trace.span(thread.span).key);
        o.recorded("recorded_session_id", thread.session_id);
        o.maybe("parent_thread_id", thread.parent_thread_id.as_ref());
        o.recorded("forked_from_id", thread.forked_from_id);
        o.put("depth", thread.depth);
        o.recorded("name", thread.name);
        o.maybe("created", thread.created);
        o.recorded("created_local", thread.created_local);
        self.meta(&thread.meta, o);
        o.array("files", &thread.rollouts, |rollout, out| json::Json::write(&rollout.path, out));
        let copies = thread.rollouts.iter().flat_map(|it| &it.copies);
        let copies: Vec<String> = copies.map(|path| path.display().to_string()).collect();
        if !copies.is_empty() {
            o.array("copies", &copies, json::Json::write);
        }
        o.put("n_items", thread.items.len());
        o.array("histories", &thread.histories, |history, out| {
            json::object(out, |o| self.history(history, o));
        });
        self.fates(thread, o);
        o.maybe("last_total", thread.last_total);
        let account = &thread.account;
        o.object("account", |o| {
            o.put("lines", account.lines);
            o.put("items", account.items);
            o.put("spans", account.spans);
            o.object("ignored", |o| {
                for (name, n) in &account.ignored {
                    o.put(name, *n);
                }
            });
            o.put("diagnosed", account.diagnosed);
        });
    }

    /// Names the turns that no longer belong to the conversation: here and not
    /// with the turns, which stay as they were when they ended.
    fn fates(&self, thread: &Thread<'_>, o: &mut Object<'_>) {
        let turns = self.trace.children(thread.span);
        let mut left = turns.filter_map(|(_, span)| match &span.kind {
            SpanKind::Turn(turn) if turn.fate != Fate::Kept => Some((&span.key, turn.fate)),
            _ => None,
        });
        let Some(first) = left.next() else { return };
        o.object("left_turns", |o| {
            for (key, fate) in std::iter::once(first).chain(left) {
                o.put(key, fate.word());
            }
        });
    }

    fn meta(&self, meta: &SessionMeta<'_>, o: &mut Object<'_>) {
        o.recorded("cwd", meta.cwd);
        o.recorded("originator", meta.originator);
        o.recorded("cli_version", meta.cli_version);
        o.maybe("source", meta.source.map(|source| codex_rollout::source_word(&source)));
        o.recorded("thread_source", meta.thread_source);
        o.recorded("model_provider", meta.model_provider);
        o.recorded("agent_nickname", meta.agent_nickname);
        o.recorded("agent_role", meta.agent_role);
        o.recorded("agent_path", meta.agent_path);
        o.recorded("history_mode", meta.history_mode);
        o.recorded("multi_agent_version", meta.multi_agent_version);
        o.flag("attached_thread", meta.attached_thread == Some(true));
        o.recorded("memory_mode", meta.memory_mode);
        if let Some(roots) = meta.runtime_workspace_roots {
            splice::value(roots, self.content, o.value("workspace_roots"));
        }
        o.recorded("context_window_id", meta.context_window.and_then(|it| it.window_id));
        o.recorded("creator_user_id", meta.creator_user_id);
        o.recorded("creator_account_id", meta.creator_account_id);
        o.flag("account_scoped", meta.account_scoped == Some(true));
        if let Some(git) = meta.git {
            o.object("git", |o| {
                o.recorded("commit_hash", git.commit_hash);
                o.recorded("branch", git.branch);
                o.recorded("repository_url", git.repository_url);
            });
        }
        o.recorded("base_instructions", meta.base_instructions.and_then(|base| base.text));
        o.recorded("instructions", meta.instructions);
        if let Some(tools) = meta.dynamic_tools {
            splice::value(tools, self.content, o.value("dynamic_tools"));
        }
    }

    fn history(&self, history: &History<'_>, o: &mut Object<'_>) {
        if let Some(replacement) = history.replacement {
            // The compaction's span has it; it can be a hundred megabytes long.
            let compaction = self.compactions.get(&replacement.raw().as_ptr());
            match compaction {
                Some(key) => o.put("replaced_by", key),
                None => splice::value(replacement, self.content, o.value("replacement")),
            }
        }
        if !history.base.is_empty() {
            o.array("base", &history.base, |(from, to), out| {
                json::array(out, [from.0, to.0], |n, out| json::Json::write(&n, out));
            });
        }
        o.put("from", history.from);
        o.flag("inherited", history.inherited);
    }
}

/// Writes the fields of a diagnostic.
pub fn diagnostic(diagnostic: &Diagnostic, o: &mut Object<'_>) {
    o.put("code", diagnostic.code.word());
    o.put("file", &diagnostic.path);
    o.maybe("line", diagnostic.position.map(Position::line));
    o.maybe("column", diagnostic.column);
    o.put("text", &diagnostic.text);
    o.maybe("count", Some(diagnostic.count).filter(|count| *count > 1));
}

/// Writes the fields of a usage object as scripts rely on them: all of them,
/// always, as integers.
pub fn usage_fields(o: &mut Object<'_>, model_calls: usize, usage: &TokenUsage) {
    o.put("model_calls", model_calls);
    o.put("input_tokens", usage.input_tokens);
    o.put("cached_input_tokens", usage.cached_input_tokens);
    o.put("cache_write_input_tokens", usage.cache_write_input_tokens.unwrap_or(0));
    o.put("output_tokens", usage.output_tokens);
    o.put("reasoning_output_tokens", usage.reasoning_output_tokens);
    o.put("total_tokens", usage.total_tokens);
}
