//! Which `token_count` lines stand for a model response.

use codex_rollout::TokenUsage;
use codex_rollout::item::usage::TokenCountInfo;

/// What a `token_count` line says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Count {
    /// A response was counted: the running total moved.
    Moved(TokenUsage),
    /// The same again, or rate limits only.
    Repeated,
    /// An estimate of the context after a compaction or a resume: no response.
    Estimate,
}

/// Follows the running total of a file, whoever's lines moved it.
#[derive(Clone, Debug, Default)]
pub(crate) struct UsageTracker {
    total: Option<TokenUsage>,
    /// The estimate of the context that the last own line made, if it did.
    estimate: Option<TokenUsage>,
    /// Of own lines: what was counted, and by how much the total rose.
    counted: u64,
    risen: u64,
}

impl UsageTracker {
    /// Takes in an inherited line: it moves the reference and counts nothing.
    pub(crate) fn inherit(&mut self, info: Option<TokenCountInfo>) {
        if let Some(total) = info.and_then(|info| info.total_token_usage) {
            self.total = Some(total);
        }
    }

    /// Takes in an own line.
    pub(crate) fn count(&mut self, info: Option<TokenCountInfo>) -> Count {
        let Some(info) = info else { return Count::Repeated };
        let last = info.last_token_usage.unwrap_or_default();
        let Some(total) = info.total_token_usage else {
            return if last.is_empty() { Count::Repeated } else { Count::Moved(last) };
        };
        let before = self.total.replace(total);
        if last.is_empty() && last.total_tokens > 0 {
            // Before 0.131 every response repeats what was counted before it,
            // an estimate too.
            let again = self.estimate.replace(last) == Some(last) && before == Some(total);
            // May overwrite the total with the size of the context window.
            return if again { Count::Repeated } else { Count::Estimate };
        }
        self.estimate = None;
        if before == Some(total) || last.is_empty() {
            return Count::Repeated;
        }
        self.counted += last.total_tokens;
        self.risen += match before {
            // A total that equals the response, or fell, was started anew: at 0
            // by a resume before 0.78 and by some reverts.
            Some(before) if total.total_tokens != last.total_tokens => {
                total.total_tokens.checked_sub(before.total_tokens).unwrap_or(total.total_tokens)
            }
            _ => last.total_tokens,
        };
        Count::Moved(last)
    }

    /// Returns the file's last running total.
    pub(crate) fn total(&self) -> Option<TokenUsage> {
        self.total
    }

    /// Returns what own lines counted and what the running total rose by, if
    /// they differ.
    pub(crate) fn mismatch(&self) -> Option<(u64, u64)> {
        (self.counted != self.risen).then_some((self.counted, self.risen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counts of 0.65 around a compaction: its own request, the estimate,
    /// and the same estimate when the next response begins.
    #[test]
    fn an_estimate_that_is_repeated_is_a_repetition() {
        let usage = |input_tokens, total_tokens| TokenUsage {
            input_tokens,
            total_tokens,
            ..TokenUsage::default()
        };
        let mut tracker = UsageTracker::default();
        let mut count = |total, last| {
            let mut info = TokenCountInfo::default();
            info.total_token_usage = Some(total);
            info.last_token_usage = Some(last);
            tracker.count(Some(info))
        };
        let [one, two] = [usage(1_100, 1_100), usage(2_200, 2_200)];
        assert_eq!(count(one, one), Count::Moved(one));
        assert_eq!(count(two, one), Count::Moved(one));
        assert_eq!(count(two, usage(0, 300)), Count::Estimate);
        assert_eq!(count(two, usage(0, 300)), Count::Repeated);
        assert_eq!(count(two, usage(0, 400)), Count::Estimate);
    }
}
