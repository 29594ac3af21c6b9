//! What Loki's answers mean, and what people must know of it. Other receivers of
//! OTLP logs answer as the specification has it.

use std::collections::BTreeSet;

use prost::Message as _;

use super::options::Stream;
use crate::otlp::proto::RpcStatus;
use crate::otlp::verdict as otlp_verdict;
use crate::request::{Response, shortened};
use crate::{Address, Remark, Verdict};

/// What to do when all is there.
pub(crate) const AFTERWARDS: &[&str] = &[
    "Loki shows old records once their chunks are flushed: after 30 minutes, or at once after `curl -X POST http://HOST:3100/flush`",
    "a query over more than 30 days, and one over records older than Loki's retention, finds nothing by default: docs/grafana.md has the settings",
];

/// Reads an answer.
pub(crate) fn verdict(response: &Response) -> Verdict {
    let words = words(response);
    let reason = || response.saying(&words);
    match response.status {
        400 => refused(&words, response),
        429 if words.contains("maximum active stream limit") => Verdict::GiveUp {
            reason: format!(
                "too many threads are open in Loki at once: `curl -X POST http://HOST:3100/flush`, wait half a minute and run the same command again, or set `limits_config.max_global_streams_per_user: 0`: {}",
                reason()
            ),
        },
        429 if can_never_pass(&words) => Verdict::Split { reason: reason() },
        503 if words.contains("received message larger than max") => {
            Verdict::Split { reason: reason() }
        }
        429 | 503 => Verdict::Retry { after: response.retry_after, reason: reason() },
        _ => otlp_verdict(response),
    }
}

/// What Loki refuses of a request; the rest of it is stored.
#[rustfmt::skip]
const REFUSALS: &[(&str, &str)] = &[
    ("timestamp too old", "set `limits_config.reject_old_samples: false` in Loki and send again with `--force`"),
    ("too far behind", "newer records of the same stream are in Loki's memory: `curl -X POST http://HOST:3100/flush`, wait half a minute and send again with `--force`"),
    ("timestamp too new", "the clock of the machine that wrote the rollout was ahead"),
    ("structured metadata too large", "set `limits_config.max_structured_metadata_size` in Loki and send again with `--force`"),
    ("too many structured metadata", "set `limits_config.max_structured_metadata_entries_count` in Loki and send again with `--force`"),
    ("max entry size", "set `limits_config.max_line_size` in Loki and send again with `--force`"),
];

fn refused(words: &str, response: &Response) -> Verdict {
    let known = REFUSALS.iter().find(|(said, _)| words.contains(said));
    let Some((said, advice)) = known else { return otlp_verdict(response) };
    let listed = words.matches(said).count() as u64;
    let rejected = ignored(words).unwrap_or(listed).max(1);
    // First what to do: the words may be many, and are cut.
    let reason = format!("{advice}{}: {}", of_threads(words), response.saying(words));
    Verdict::Partial { rejected, reason }
}

/// How many threads are named, of those that Loki refused records of.
const NAMED: usize = 3;

/// Says which threads Loki names by their streams: ` (threads a, b, c and 4 more)`.
fn of_threads(words: &str) -> String {
    let named = words.split("service_instance_id=\"").skip(1);
    let threads: BTreeSet<&str> =
        named.filter_map(|rest| rest.split_once('"')).map(|(thread, _)| thread).collect();
    let shown: Vec<&str> = threads.iter().take(NAMED).copied().collect();
    let noun = if threads.len() == 1 { "thread" } else { "threads" };
    match threads.len() - shown.len() {
        _ if shown.is_empty() => String::new(),
        0 => format!(" ({noun} {})", shown.join(", ")),
        more => format!(" ({noun} {} and {more} more)", shown.join(", ")),
    }
}

/// Returns how many records Loki says it left out: `total ignored: 3 out of 8`.
fn ignored(words: &str) -> Option<u64> {
    number_after(words, "total ignored: ")
}

/// Whether a request alone has more than Loki takes in a second: `limit: 4194304
/// bytes/sec`, `lines totaling '8702400' bytes`.
fn can_never_pass(words: &str) -> bool {
    let limit = number_after(words, "limit: ");
    let size = number_after(words, "totaling '");
    words.contains("rate limit exceeded")
        && limit.zip(size).is_some_and(|(limit, size)| size > limit)
}

fn number_after(words: &str, before: &str) -> Option<u64> {
    let (_, rest) = words.split_once(before)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// Returns Loki's words: a protobuf `Status` of which only the message is set,
/// whatever the type says, or plain text.
fn words(response: &Response) -> String {
    let status = RpcStatus::decode(response.body.as_slice()).ok();
    let message = status.map(|it| it.message).filter(|it| !it.is_empty());
    let text = message.unwrap_or_else(|| String::from_utf8_lossy(&response.body).into_owned());
    // Long enough to find what is looked for; `saying` cuts what is shown.
    text.chars().take(16 * 1024).collect()
}

/// Says what is wrong with an address, if it looks like that of a collector.
pub(crate) fn remark_on(url: &Address) -> Option<Remark> {
    let text = url.to_string();
    let is_loki = text.contains("/otlp/") || text.contains("/loki");
    (!is_loki).then(|| Remark {
        message: format!("`{}` looks like a collector's address: it would say that all is stored, and drop what Loki refuses", shortened(&text)),
        hint: Some("give Loki's own: `--endpoint http://HOST:3100/otlp`".to_owned()),
    })
}

/// Says what to know of a stream that all threads share.
pub(crate) fn remark_on_stream(stream: Stream) -> Option<Remark> {
    (stream == Stream::Service).then(|| Remark {
        message: "all threads of a service are one stream: the whole history is read and sorted by time before the first record is sent".to_owned(),
        hint: Some("Loki refuses what is over an hour older than the newest of a stream in its memory, live records included: `curl -X POST http://HOST:3100/flush` half a minute before".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, message: &str) -> Response {
        let body = RpcStatus { code: 0, message: message.to_owned() }.encode_to_vec();
        let headers = vec![("content-type".to_owned(), "application/octet-stream".to_owned())];
        Response { status, headers, body, retry_after: None }
    }

    /// The words are those of Loki 3.7.1.
    #[test]
    fn verdicts() {
        const OLD: &str = "entry for stream '{service_name=\"codex_exec\"}' has timestamp too old: 2026-05-13T06:55:25Z, oldest acceptable timestamp is: 2026-11-22T06:55:25Z";
        const BEHIND: &str = "entry with timestamp 2026-11-29 04:55:25 +0000 UTC ignored, reason: 'entry too far behind, entry timestamp is: 2026-11-29T04:55:25Z, oldest acceptable timestamp is: 2026-11-29T05:55:25Z',\nuser 'fake', total ignored: 3 out of 8 for stream: {service_name=\"codex_exec\"}";
        const STREAMS: &str = "maximum active stream limit exceeded when trying to create stream {service_name=\"codex_exec\"}, reduce the number of active streams (reduce labels or reduce label values), or contact your Loki administrator to see if the limit can be increased, user: 'fake'";
        const RATE: &str = "ingestion rate limit exceeded for user fake (limit: 4194304 bytes/sec) while attempting to ingest '900' lines totaling '902400' bytes, reduce log volume or contact your Loki administrator to see if the limit can be increased";
        const BURST: &str = "ingestion rate limit exceeded for user fake (limit: 4194304 bytes/sec) while attempting to ingest '30000' lines totaling '8702400' bytes, reduce log volume";
        let partial = |status, words| match verdict(&answer(status, words)) {
            Verdict::Partial { rejected, reason } => (rejected, reason),
            other => panic!("{other:?}"),
        };
        let (rejected, reason) = partial(400, OLD);
        assert_eq!(rejected, 1);
        let advice = "set `limits_config.reject_old_samples: false` in Loki and send again";
        assert!(reason.starts_with(advice), "{reason}");
        assert_eq!(partial(400, BEHIND).0, 3);
        let is = |status, words: &str| verdict(&answer(status, words));
        assert!(
            matches!(is(429, STREAMS), Verdict::GiveUp { reason } if reason.contains("/flush"))
        );
        assert!(matches!(is(429, RATE), Verdict::Retry { after: None, .. }));
        assert!(matches!(is(429, BURST), Verdict::Split { .. }));
        let larger = "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (4455630 vs. 4194304)";
        assert!(matches!(is(503, larger), Verdict::Split { .. }));
        assert!(matches!(is(503, "the ring is empty"), Verdict::Retry { .. }));
        assert!(matches!(is(400, "unexpected EOF"), Verdict::Reject { .. }));
        assert_eq!(verdict(&Response::new(204, "")), Verdict::Done);
    }

    #[test]
    fn threads_are_named_by_their_streams() {
        let entry = |thread: &str| {
            format!(
                "entry for stream '{{service_instance_id=\"{thread}\", service_name=\"codex_exec\"}}' has timestamp too old\n"
            )
        };
        let said =
            |threads: &[&str]| of_threads(&threads.iter().map(|it| entry(it)).collect::<String>());
        assert_eq!(said(&[]), "");
        assert_eq!(said(&["a", "a"]), " (thread a)");
        assert_eq!(said(&["b", "a"]), " (threads a, b)");
        assert_eq!(said(&["a", "b", "c", "d", "e"]), " (threads a, b, c and 2 more)");
        assert_eq!(of_threads("{service_instance_id=\"cut"), "");
    }

    #[test]
    fn a_collectors_address_is_told() {
        let remark = |url| remark_on(&Address::parse(url).unwrap());
        assert_eq!(remark("http://localhost:3100/otlp/v1/logs"), None);
        assert!(remark("http://localhost:4318/v1/logs").is_some());
    }
}
