//! Token usage, as Codex records it.

use std::iter::Sum;
use std::ops::AddAssign;

use crate::scan::{Cursor, Syntax, ValueKind};
use crate::text::{JsonText, RawJson};
use crate::wire::{Field, fields, wire};

/// Tokens of one model response, or a running total of several.
///
/// Cached and cache-written input are parts of the input, reasoning is part of
/// the output; the total is input plus output. All as recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TokenUsage {
    /// Tokens of the request.
    pub input_tokens: u64,
    /// Tokens of the request that the provider had cached.
    pub cached_input_tokens: u64,
    /// Tokens of the request that the provider added to its cache; recorded
    /// since Codex 0.145.
    pub cache_write_input_tokens: Option<u64>,
    /// Tokens of the response.
    pub output_tokens: u64,
    /// Tokens of the response that are reasoning.
    pub reasoning_output_tokens: u64,
    /// Input plus output.
    pub total_tokens: u64,
}

impl TokenUsage {
    /// Returns whether no request was made: neither input nor output.
    pub fn is_empty(&self) -> bool {
        self.input_tokens == 0 && self.output_tokens == 0
    }
}

impl TokenUsage {
    /// Reads a usage that is laid out as Codex does it, which nearly all are;
    /// `None`, the cursor being where it was, if it is not.
    fn read_as_written(cursor: &mut Cursor<'_>) -> Option<TokenUsage> {
        let mut ahead = cursor.clone();
        let mut usage = TokenUsage {
            input_tokens: ahead.take_number(br#"{"input_tokens":"#)?,
            cached_input_tokens: ahead.take_number(br#","cached_input_tokens":"#)?,
            cache_write_input_tokens: None,
            output_tokens: ahead.take_number(br#","output_tokens":"#)?,
            reasoning_output_tokens: ahead.take_number(br#","reasoning_output_tokens":"#)?,
            total_tokens: ahead.take_number(br#","total_tokens":"#)?,
        };
        if !ahead.take(b"}") {
            let written = ahead.take_number(br#","cache_write_input_tokens":"#)?;
            usage.cache_write_input_tokens = Some(written);
            if !ahead.take(b"}") {
                return None;
            }
        }
        *cursor = ahead;
        Some(usage)
    }
}

impl AddAssign for TokenUsage {
    fn add_assign(&mut self, other: TokenUsage) {
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.cached_input_tokens =
            self.cached_input_tokens.saturating_add(other.cached_input_tokens);
        self.cache_write_input_tokens =
            match (self.cache_write_input_tokens, other.cache_write_input_tokens) {
                (None, None) => None,
                (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
            };
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.reasoning_output_tokens =
            self.reasoning_output_tokens.saturating_add(other.reasoning_output_tokens);
        self.total_tokens = self.total_tokens.saturating_add(other.total_tokens);
    }
}

impl Sum for TokenUsage {
    fn sum<I: Iterator<Item = TokenUsage>>(usages: I) -> TokenUsage {
        usages.fold(TokenUsage::default(), |mut sum, usage| {
            sum += usage;
            sum
        })
    }
}

impl<'a> Field<'a> for TokenUsage {
    fn read(cursor: &mut Cursor<'a>) -> Result<Option<Self>, Syntax> {
        if cursor.kind()? != ValueKind::Object {
            cursor.skip()?;
            return Ok(None);
        }
        if let Some(usage) = TokenUsage::read_as_written(cursor) {
            return Ok(Some(usage));
        }
        let mut usage = TokenUsage::default();
        let mut total = None;
        if cursor.open_object()? {
            fields!(cursor, {
                b"input_tokens" => usage.input_tokens = u64::read(cursor)?.unwrap_or(0),
                b"cached_input_tokens" => {
                    usage.cached_input_tokens = u64::read(cursor)?.unwrap_or(0);
                },
                b"cache_write_input_tokens" => {
                    usage.cache_write_input_tokens = u64::read(cursor)?;
                },
                b"output_tokens" => usage.output_tokens = u64::read(cursor)?.unwrap_or(0),
                b"reasoning_output_tokens" => {
                    usage.reasoning_output_tokens = u64::read(cursor)?.unwrap_or(0);
                },
                b"total_tokens" => total = u64::read(cursor)?,
            });
        }
        usage.total_tokens =
            total.unwrap_or_else(|| usage.input_tokens.saturating_add(usage.output_tokens));
        Ok(Some(usage))
    }
}

wire! {
    /// `event_msg` of type `token_count`: written after a model response, and
    /// again whenever rate limits are refreshed.
    pub struct TokenCount<'a> {
        /// Absent for an event about rate limits only.
        pub info: TokenCountInfo = b"info",
        /// The account's rate limits, in the shape of the version.
        pub rate_limits: RawJson<'a> = b"rate_limits",
    }
}

wire! {
    /// The counts of a `token_count` event.
    pub struct TokenCountInfo {
        /// The thread's running total.
        pub total_token_usage: TokenUsage = b"total_token_usage",
        /// The last response alone.
        pub last_token_usage: TokenUsage = b"last_token_usage",
        /// The model's context window, in tokens.
        pub model_context_window: u64 = b"model_context_window",
    }
}

wire! {
    /// A line of type `token_usage_record` (since 0.153): exactly one for each
    /// model response, compaction calls included.
    pub struct TokenUsageRecord<'a> {
        /// The thread that made the request.
        pub thread_id: JsonText<'a> = b"thread_id",
        /// The turn that made the request.
        pub turn_id: JsonText<'a> = b"turn_id",
        /// The session of the thread.
        pub session_id: JsonText<'a> = b"session_id",
        /// The user's turn that led to it, in whichever thread.
        pub root_turn_id: JsonText<'a> = b"root_turn_id",
        /// The provider's id of the response.
        pub response_id: JsonText<'a> = b"response_id",
        /// The usage of this response alone.
        pub usage: TokenUsage = b"usage",
        /// The turn's running total.
        pub turn_token_usage: TokenUsage = b"turn_token_usage",
        /// The thread's running total, inherited history included.
        pub thread_token_usage: TokenUsage = b"thread_token_usage",
    }
}
