//! What the answers of Prometheus mean to metrics that come by OTLP.

use crate::Verdict;
use crate::otlp::verdict as otlp_verdict;
use crate::request::Response;

/// What to know when all is there.
pub(crate) const AFTERWARDS: &[&str] = &[
    "Prometheus deletes what is older than its retention (15 days by default), and `increase()` and `rate()` are wrong over history: docs/grafana.md has the settings and the queries",
];

/// Why old samples are refused, and what lets them in.
const WINDOW: &str = "set `storage.tsdb.out_of_order_time_window` in Prometheus to more than their age, or use `codex-trace convert --to openmetrics`, which needs no window";

/// Reads an answer. One old sample has the whole request rolled back: it is cut
/// until those alone are left that cannot be taken.
pub(crate) fn verdict(response: &Response) -> Verdict {
    let words = response.reason();
    let too_old = ["too old sample", "out of order sample", "out of bounds"];
    if response.status == 400 && too_old.iter().any(|it| words.contains(it)) {
        return Verdict::Reject { reason: format!("{WINDOW}: {words}") };
    }
    otlp_verdict(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_samples_are_cut_out() {
        let old = Response::new(400, "too old sample\ntoo old sample\n");
        assert!(
            matches!(verdict(&old), Verdict::Reject { reason } if reason.contains("out_of_order_time_window"))
        );
        assert_eq!(verdict(&Response::new(200, "")), Verdict::Done);
        let temporality = Response::new(500, "invalid temporality and type combination");
        assert!(matches!(verdict(&temporality), Verdict::Retry { .. }));
    }
}
