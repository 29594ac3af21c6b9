//! Facts as bytes, and back, for whoever keeps them: `list` and `usage` keep them from run to run.
//!
//! The bytes are those of one version of this crate; they carry no version of their own.

use std::collections::BTreeMap;

use codex_trace_history::account::Account;
use codex_trace_model::{Code, Standing, TokenUsage};

use self::codec::{Garbled, Read, Reader, put, put_maybe, put_text, put_time};
use crate::facts::{Call, Facts};

#[doc(hidden)]
pub mod codec;

/// Appends facts as bytes.
pub fn write(facts: &Facts, out: &mut Vec<u8>) {
    let texts = |out: &mut Vec<u8>, texts: &[String]| {
        put(out, texts.len() as u64);
        for text in texts {
            put_text(out, text);
        }
    };
    put_text(out, &facts.session_id);
    for list in [&facts.thread_ids, &facts.models, &facts.files, &facts.copies, &facts.words] {
        texts(out, list);
    }
    for at in [facts.created, facts.started_at, facts.started_at_local, facts.ended_at] {
        put_maybe(out, at, put_time);
    }
    for text in maybe_texts(facts) {
        put_maybe(out, text.as_deref(), put_text);
    }
    for number in [facts.turns, facts.tool_calls, facts.failed_tools] {
        put(out, number as u64);
    }
    put_maybe(out, facts.standing, |out, it| put_text(out, it.word()));
    for number in [facts.account.sessions, facts.account.spans, facts.account.failed] {
        put(out, number as u64);
    }
    put(out, facts.account.diagnostics.len() as u64);
    for (code, count) in &facts.account.diagnostics {
        put_text(out, code.word());
        put(out, *count as u64);
    }
    put(out, facts.calls.len() as u64);
    for call in &facts.calls {
        write_call(call, out);
    }
}

fn maybe_texts(facts: &Facts) -> [&Option<String>; 8] {
    [
        &facts.cwd,
        &facts.source,
        &facts.name,
        &facts.prompt,
        &facts.version,
        &facts.branch,
        &facts.repository_url,
        &facts.commit,
    ]
}

/// Reads what [`write()`] has written.
///
/// # Errors
///
/// Refuses anything else.
pub fn read(bytes: &[u8]) -> Read<Facts> {
    let mut from = Reader::new(bytes);
    let session_id = from.text()?;
    let mut texts = || from.list(Reader::text);
    let [thread_ids, models, files, copies, words] =
        [texts()?, texts()?, texts()?, texts()?, texts()?];
    let mut time = || from.maybe(Reader::time);
    let [created, started_at, started_at_local, ended_at] = [time()?, time()?, time()?, time()?];
    let mut text = || from.maybe(Reader::text);
    let [cwd, source, name, prompt] = [text()?, text()?, text()?, text()?];
    let [version, branch, repository_url, commit] = [text()?, text()?, text()?, text()?];
    let [turns, tool_calls, failed_tools] = [from.size()?, from.size()?, from.size()?];
    let standing = from.maybe(|from| standing(from.bytes()?))?;
    let [sessions, spans, failed] = [from.size()?, from.size()?, from.size()?];
    let counts = from.list(|from| Ok((code(from.bytes()?)?, from.size()?)))?;
    let diagnostics: BTreeMap<Code, usize> = counts.into_iter().collect();
    let calls = from.list(read_call)?;
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

fn write_call(call: &Call, out: &mut Vec<u8>) {
    put_maybe(out, call.at, put_time);
    for word in [call.model, call.provider, call.tier] {
        put(out, word.map_or(0, |nth| u64::from(nth) + 1));
    }
    let TokenUsage {
        input_tokens,
        cached_input_tokens,
        cache_write_input_tokens,
        output_tokens,
        reasoning_output_tokens,
        total_tokens,
    } = call.usage;
    put_maybe(out, cache_write_input_tokens, put);
    for number in
        [input_tokens, cached_input_tokens, output_tokens, reasoning_output_tokens, total_tokens]
    {
        put(out, number);
    }
}

fn read_call(from: &mut Reader<'_>) -> Read<Call> {
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

fn standing(word: &[u8]) -> Read<Standing> {
    let all = [Standing::Complete, Standing::Interrupted, Standing::Open, Standing::Error];
    all.into_iter().find(|it| it.word().as_bytes() == word).ok_or(Garbled)
}

fn code(word: &[u8]) -> Read<Code> {
    Code::ALL.iter().copied().find(|it| it.word().as_bytes() == word).ok_or(Garbled)
}
