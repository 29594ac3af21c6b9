//! What the answers of gRPC servers mean. A transport hands the trailers over as
//! headers, with the message of the status decoded, and the answer's message as
//! the body.

use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::Message as _;

use crate::request::{Response, shortened};
use crate::{Probed, Verdict};

/// Senders pad `…-bin` headers or not, as they like.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The type of the detail that says when to come back.
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Ok,
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

impl Code {
    /// In the order of their numbers.
    #[rustfmt::skip]
    const NAMES: [(Code, &str); 17] = [
        (Code::Ok, "OK"),
        (Code::Cancelled, "CANCELLED"),
        (Code::Unknown, "UNKNOWN"),
        (Code::InvalidArgument, "INVALID_ARGUMENT"),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
        (Code::NotFound, "NOT_FOUND"),
        (Code::AlreadyExists, "ALREADY_EXISTS"),
        (Code::PermissionDenied, "PERMISSION_DENIED"),
        (Code::ResourceExhausted, "RESOURCE_EXHAUSTED"),
        (Code::FailedPrecondition, "FAILED_PRECONDITION"),
        (Code::Aborted, "ABORTED"),
        (Code::OutOfRange, "OUT_OF_RANGE"),
        (Code::Unimplemented, "UNIMPLEMENTED"),
        (Code::Internal, "INTERNAL"),
        (Code::Unavailable, "UNAVAILABLE"),
        (Code::DataLoss, "DATA_LOSS"),
        (Code::Unauthenticated, "UNAUTHENTICATED"),
    ];

    /// Reads the status of an answer; `None` if it has none. Numbers that nobody
    /// has heard of are `UNKNOWN`, as the protocol has it.
    pub(crate) fn of(response: &Response) -> Option<Code> {
        let number: Option<usize> = response.header("grpc-status")?.trim().parse().ok();
        let known = number.and_then(|number| Code::NAMES.get(number));
        Some(known.map_or(Code::Unknown, |(code, _)| *code))
    }

    fn name(self) -> &'static str {
        Code::NAMES.iter().find(|(code, _)| *code == self).map_or("UNKNOWN", |(_, name)| name)
    }
}

/// Returns the name of the status and what the server says of it, as one line of
/// text; `None` if the answer is none of gRPC.
pub(crate) fn reason(response: &Response) -> Option<String> {
    let code = Code::of(response)?;
    let words = shortened(response.header("grpc-message").unwrap_or_default());
    Some(if words.is_empty() {
        code.name().to_owned()
    } else {
        format!("{}: {words}", code.name())
    })
}

/// Reads an answer as OTLP has it. `accepted` reads what a server says of a
/// request that it has taken.
pub(crate) fn verdict(response: &Response, accepted: impl Fn(&[u8]) -> Verdict) -> Verdict {
    let Some(code) = Code::of(response) else { return stranger(response) };
    let reason = || response.reason();
    let after = retry_info(response);
    match code {
        Code::Ok => accepted(&response.body),
        // Servers of different makers disagree about which of the two it is.
        Code::ResourceExhausted | Code::OutOfRange if is_too_large(response) => {
            Verdict::Split { reason: reason() }
        }
        // What is used up stays so, unless the server says when it does not.
        Code::ResourceExhausted if after.is_none() => Verdict::GiveUp { reason: reason() },
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Verdict::Retry { after, reason: reason() },
        Code::NotFound | Code::PermissionDenied | Code::Unimplemented | Code::Unauthenticated => {
            Verdict::GiveUp { reason: reason() }
        }
        Code::Unknown
        | Code::InvalidArgument
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Internal => Verdict::Reject { reason: reason() },
    }
}

/// Reads the answer to a question of `doctor`.
pub(crate) fn probed(response: &Response) -> Probed {
    match Code::of(response) {
        Some(Code::Ok) => Probed::Good(None),
        Some(Code::PermissionDenied | Code::Unauthenticated) => Probed::KeyRefused,
        Some(Code::NotFound | Code::Unimplemented) => Probed::WrongPath,
        Some(_) => Probed::Failed,
        None => match Probed::from_status(response) {
            Probed::Good(_) => Probed::WrongPath,
            other => other,
        },
    }
}

/// Whether a message was larger than the server takes: in the words of the
/// libraries for Go, C++, Rust and Java.
fn is_too_large(response: &Response) -> bool {
    let words = response.header("grpc-message").unwrap_or_default().to_ascii_lowercase();
    let about =
        ["larger than max", "length too large", "exceeds maximum size", "message too large"];
    about.iter().any(|it| words.contains(it))
}

/// Reads an answer without a status: whoever gave it speaks HTTP/2, and no gRPC,
/// or stands in between.
fn stranger(response: &Response) -> Verdict {
    let is_grpc = response.header("content-type").is_some_and(is_grpc_type);
    let reason = response.reason();
    match response.status {
        // The rest of the answer is missing.
        200 if is_grpc => {
            Verdict::Retry { after: None, reason: format!("no gRPC status: {reason}") }
        }
        429 | 502..=504 => Verdict::Retry { after: response.retry_after, reason },
        413 => Verdict::Split { reason },
        _ => Verdict::GiveUp {
            reason: format!(
                "no gRPC is spoken there; OTLP over HTTP mostly has port 4318: {reason}"
            ),
        },
    }
}

fn is_grpc_type(text: &str) -> bool {
    text.trim().to_ascii_lowercase().starts_with("application/grpc")
}

/// Returns when the server asks us to come back.
fn retry_info(response: &Response) -> Option<Duration> {
    let details = BASE64.decode(response.header("grpc-status-details-bin")?.trim()).ok()?;
    let status = Status::decode(details.as_slice()).ok()?;
    let detail = status.details.into_iter().find(|it| it.type_url == RETRY_INFO)?;
    let delay = RetryInfo::decode(detail.value.as_slice()).ok()?.retry_delay?;
    let nanos = u32::try_from(delay.nanos).ok()?;
    Some(
        Duration::from_secs(u64::try_from(delay.seconds).ok()?)
            + Duration::from_nanos(nanos.into()),
    )
}

/// `google.rpc.Status`, of which only the details are read.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, prost::Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`
#[derive(Clone, PartialEq, prost::Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&str, &str)]) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Response { headers: headers.collect(), ..Response::new(200, "") }
    }

    fn ended(code: &str, words: &str) -> Response {
        answer(&[("grpc-status", code), ("grpc-message", words)])
    }

    fn read(response: &Response) -> Verdict {
        verdict(response, |_| Verdict::Done)
    }

    /// The table of the specification of OTLP.
    #[test]
    fn codes_that_may_be_tried_again() {
        let mut again = Vec::new();
        for (number, (code, name)) in Code::NAMES.iter().enumerate() {
            let verdict = read(&ended(&number.to_string(), "no"));
            assert_eq!(verdict == Verdict::Done, *code == Code::Ok);
            if let Verdict::Retry { after, reason } = verdict {
                assert_eq!((after, reason), (None, format!("{name}: no")));
                again.push(number);
            }
        }
        assert_eq!(again, [1, 4, 10, 11, 14, 15], "resource exhausted says when, or is final");
    }

    #[test]
    fn a_message_that_is_too_large_is_made_smaller() {
        let is_split = |code, words| matches!(read(&ended(code, words)), Verdict::Split { .. });
        for (code, words) in [
            ("8", "grpc: received message larger than max (4455630 vs. 4194304)"),
            ("8", "Received message larger than max (5242885 vs. 4194304)"),
            ("8", "gRPC message exceeds maximum size 4194304: 5242885"),
            (
                "11",
                "Error, decoded message length too large: found 5242885 bytes, the limit is: 4194304 bytes",
            ),
        ] {
            assert!(is_split(code, words), "{words}");
        }
        assert!(!is_split("8", "the quota of today is used up"));
        assert!(!is_split("3", "attribute larger than max"));
    }

    /// By hand: `Status{code: 8, details: [Any{RetryInfo{Duration{2 s, 500 ms}}}]}`.
    #[test]
    fn a_server_says_when_to_come_back() {
        let mut details = b"\x08\x08\x1a\x36\x0a\x28".to_vec();
        details.extend_from_slice(RETRY_INFO.as_bytes());
        details.extend_from_slice(b"\x12\x0a\x0a\x08\x08\x02\x10\x80\xca\xb5\xee\x01");
        let padded = base64::engine::general_purpose::STANDARD.encode(&details);
        for text in [padded.as_str(), padded.trim_end_matches('=')] {
            let response = answer(&[("grpc-status", "8"), ("grpc-status-details-bin", text)]);
            let after = Some(Duration::from_millis(2_500));
            let reason = "RESOURCE_EXHAUSTED".to_owned();
            assert_eq!(read(&response), Verdict::Retry { after, reason });
        }
        let broken = answer(&[("grpc-status", "8"), ("grpc-status-details-bin", "?")]);
        assert!(matches!(read(&broken), Verdict::GiveUp { .. }));
    }

    #[test]
    fn who_speaks_no_grpc_is_told_from_who_is_cut_off() {
        let cut = answer(&[("content-type", "application/grpc+proto")]);
        assert!(matches!(read(&cut), Verdict::Retry { .. }));
        let page = answer(&[("content-type", "text/html")]);
        let Verdict::GiveUp { reason } = read(&page) else { panic!("not taken for success") };
        assert!(reason.contains("no gRPC") && reason.contains("4318"), "{reason}");
        assert!(matches!(read(&Response::new(404, "")), Verdict::GiveUp { .. }));
        assert!(matches!(read(&Response::new(503, "")), Verdict::Retry { .. }));
        assert_eq!(probed(&page), Probed::WrongPath);
        assert_eq!(probed(&ended("16", "who")), Probed::KeyRefused);
        assert_eq!(probed(&ended("0", "")), Probed::Good(None));
        assert_eq!(probed(&ended("12", "unknown service")), Probed::WrongPath);
    }
}
