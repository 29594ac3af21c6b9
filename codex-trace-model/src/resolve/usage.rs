//! Which `token_count` lines stand for a model response, and which repeat what
//! a `token_usage_record` has said (rollout-format §7.3).

use std::collections::VecDeque;

use codex_rollout::TokenUsage;
use codex_rollout::item::usage::TokenCountInfo;

/// What a `token_count` line says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Count {
    /// A response was counted that no record tells of: the running total moved.
    Moved(TokenUsage),
    /// A response was counted whose record has no usage.
    OfRecord(Nameless, TokenUsage),
    /// A response was counted that a record tells of.
    Recorded,
    /// The same again, or rate limits only.
    Repeated,
    /// An estimate of the context after a compaction or a resume: no response.
    Estimate,
}

/// A record without usage: the turn it is in and its place among the usages of
/// that turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nameless {
    pub(crate) turn: usize,
    pub(crate) usage: u32,
}

/// A record whose count has not come yet, with its turn.
#[derive(Clone, Copy, Debug)]
enum Awaited {
    Usage(usize, TokenUsage),
    Nameless(Nameless),
}

/// How many records may wait for their counts. Compactions wait for ever: the
/// running total of counts leaves them out.
const MOST_AWAITED: usize = 64;

/// Follows the running totals of a file, whoever's lines moved them.
#[derive(Clone, Debug, Default)]
pub(crate) struct UsageTracker {
    total: Option<TokenUsage>,
    /// The estimate of the context that the last own line made, if it did.
    estimate: Option<TokenUsage>,
    awaited: VecDeque<Awaited>,
    counts: Sums,
    records: Records,
}

/// Two sums, in tokens, that ought to be equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Of responses one by one.
    pub(crate) counted: u64,
    /// By how much the running total rose.
    pub(crate) risen: u64,
}

impl Sums {
    fn differ(self) -> Option<Sums> {
        Some(self).filter(|sums| sums.counted != sums.risen)
    }
}

/// The running total that records carry, and the responses since the first.
#[derive(Clone, Copy, Debug, Default)]
struct Records {
    /// The thread's total by the last record.
    total: Option<u64>,
    sums: Sums,
    /// What was counted since that record.
    since: u64,
}

impl Records {
    fn take(&mut self, usage: TokenUsage, total: Option<TokenUsage>) {
        self.since = self.since.saturating_add(usage.total_tokens);
        let Some(total) = total.map(|total| total.total_tokens) else { return };
        let since = std::mem::take(&mut self.since);
        // The first tells where the total began, and one that fell begins anew.
        let Some(rise) = self.total.replace(total).and_then(|before| total.checked_sub(before))
        else {
            return;
        };
        self.sums.counted = self.sums.counted.saturating_add(since);
        self.sums.risen = self.sums.risen.saturating_add(rise);
    }
}

/// How a count fits the records that await theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// The total rose by what these, up to this one, have told.
    Rise(usize),
    /// It rose by that and by a response that none of them tells of.
    RiseAndMore,
    /// The response is that of this one, however much the total rose.
    Response(usize),
    /// It is of none of them.
    None,
}

impl UsageTracker {
    /// Takes in an inherited line: it moves the reference and counts nothing.
    pub(crate) fn inherit(&mut self, info: Option<TokenCountInfo>) {
        if let Some(total) = info.and_then(|info| info.total_token_usage) {
            self.total = Some(total);
        }
    }

    /// Takes in the record of a response in a turn, with the thread's total
    /// after it.
    pub(crate) fn record(&mut self, turn: usize, usage: TokenUsage, total: Option<TokenUsage>) {
        self.records.take(usage, total);
        self.wait_for_count(Awaited::Usage(turn, usage));
    }

    /// Takes in a record that does not say what was used.
    pub(crate) fn nameless(&mut self, record: Nameless) {
        self.wait_for_count(Awaited::Nameless(record));
    }

    fn wait_for_count(&mut self, record: Awaited) {
        if self.awaited.len() == MOST_AWAITED {
            self.awaited.pop_front();
        }
        self.awaited.push_back(record);
    }

    /// Takes in an own line. `may_have` says of a turn whether a count may still
    /// be of it.
    pub(crate) fn count(
        &mut self,
        info: Option<TokenCountInfo>,
        may_have: impl Fn(usize) -> bool,
    ) -> Count {
        let Some(info) = info else { return Count::Repeated };
        let Some(total) = info.total_token_usage else {
            let last = info.last_token_usage.unwrap_or_default();
            if last.is_empty() {
                return Count::Repeated;
            }
            return self.response(last, self.fit(last, None, may_have));
        };
        let before = self.total.replace(total);
        // Some tools keep nothing but totals.
        let last = info.last_token_usage.unwrap_or_else(|| rise(before, total));
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
        let risen = match before {
            // A total that equals the response, or fell, was started anew: at 0
            // by a resume before 0.78 and by some reverts.
            Some(before) if total.total_tokens != last.total_tokens => {
                total.total_tokens.checked_sub(before.total_tokens).unwrap_or(total.total_tokens)
            }
            _ => last.total_tokens,
        };
        let fit = self.fit(last, Some(risen), may_have);
        let explained = matches!(fit, Fit::Rise(_) | Fit::RiseAndMore);
        self.counts.risen = self.counts.risen.saturating_add(risen);
        let counted = if explained { risen } else { last.total_tokens };
        self.counts.counted = self.counts.counted.saturating_add(counted);
        self.response(last, fit)
    }

    /// Tells what a counted response is, by how it fits the records.
    fn response(&mut self, last: TokenUsage, fit: Fit) -> Count {
        match fit {
            Fit::Rise(nth) | Fit::Response(nth) => {
                self.awaited.drain(..=nth);
                return Count::Recorded;
            }
            Fit::RiseAndMore => self.awaited.retain(|it| matches!(it, Awaited::Nameless(_))),
            Fit::None => {}
        }
        let is_nameless = |it: &Awaited| matches!(it, Awaited::Nameless(_));
        let nameless = self.awaited.iter().position(is_nameless);
        let nameless = nameless.and_then(|nth| self.awaited.remove(nth));
        self.records.since = self.records.since.saturating_add(last.total_tokens);
        match nameless {
            Some(Awaited::Nameless(record)) => Count::OfRecord(record, last),
            _ => Count::Moved(last),
        }
    }

    /// Finds the record of a count. One of a compaction may stand before it,
    /// which the total leaves out, and some whose counts were never written.
    fn fit(&self, last: TokenUsage, risen: Option<u64>, may_have: impl Fn(usize) -> bool) -> Fit {
        let tokens = |nth: usize| match self.awaited[nth] {
            Awaited::Usage(_, usage) => usage.total_tokens,
            Awaited::Nameless(_) => 0,
        };
        let is_open =
            |nth: usize| matches!(self.awaited[nth], Awaited::Usage(turn, _) if may_have(turn));
        let n_awaited = self.awaited.len();
        let mut more = false;
        for first in 0..n_awaited {
            let mut sum = 0_u64;
            for nth in first..n_awaited {
                sum = sum.saturating_add(tokens(nth));
                if sum > 0 && Some(sum) == risen && is_open(nth) {
                    return Fit::Rise(nth);
                }
            }
            more |= sum > 0 && Some(sum.saturating_add(last.total_tokens)) == risen;
        }
        let is_it = |nth: &usize| match self.awaited[*nth] {
            Awaited::Usage(_, it) => {
                is_open(*nth)
                    && (it.input_tokens, it.output_tokens)
                        == (last.input_tokens, last.output_tokens)
            }
            Awaited::Nameless(_) => false,
        };
        match (0..n_awaited).find(is_it) {
            _ if more => Fit::RiseAndMore,
            Some(nth) => Fit::Response(nth),
            None => Fit::None,
        }
    }

    /// Returns the file's last running total.
    pub(crate) fn total(&self) -> Option<TokenUsage> {
        self.total
    }

    /// Returns what the counts of own lines add up to and by how much their
    /// running total rose, if they differ.
    pub(crate) fn counts_mismatch(&self) -> Option<Sums> {
        self.counts.differ()
    }

    /// The same of records, with the responses that only counts tell of.
    pub(crate) fn records_mismatch(&self) -> Option<Sums> {
        self.records.sums.differ()
    }
}

/// Returns by how much a total rose; all of it, if it fell.
fn rise(before: Option<TokenUsage>, total: TokenUsage) -> TokenUsage {
    let less = |of: fn(&TokenUsage) -> u64| {
        let before = before.as_ref().map_or(0, of);
        of(&total).checked_sub(before)
    };
    let rise = || {
        Some(TokenUsage {
            input_tokens: less(|it| it.input_tokens)?,
            cached_input_tokens: less(|it| it.cached_input_tokens)?,
            cache_write_input_tokens: match total.cache_write_input_tokens {
                Some(_) => Some(less(|it| it.cache_write_input_tokens.unwrap_or(0))?),
                None => None,
            },
            output_tokens: less(|it| it.output_tokens)?,
            reasoning_output_tokens: less(|it| it.reasoning_output_tokens)?,
            total_tokens: less(|it| it.total_tokens)?,
        })
    };
    rise().unwrap_or(total)
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
            tracker.count(Some(info), |_| true)
        };
        let [one, two] = [usage(1_100, 1_100), usage(2_200, 2_200)];
        assert_eq!(count(one, one), Count::Moved(one));
        assert_eq!(count(two, one), Count::Moved(one));
        assert_eq!(count(two, usage(0, 300)), Count::Estimate);
        assert_eq!(count(two, usage(0, 300)), Count::Repeated);
        assert_eq!(count(two, usage(0, 400)), Count::Estimate);
    }
}
