//! What an OTLP receiver's answer means.

use prost::Message as _;
use prost::encoding::decode_varint;
use serde::Deserialize;

use super::proto::{ExportTraceServiceResponse, RpcStatus};
use crate::request::{Response, Wire, shortened};
use crate::{Verdict, grpc, understood};

/// Reads an answer that came over `wire`.
pub(crate) fn verdict_over(wire: Wire, response: &Response) -> Verdict {
    match wire {
        Wire::Http => verdict(response),
        Wire::Grpc => grpc::verdict(response, |message| match partial_in_proto(message) {
            Some(partial) => taken(partial),
            None => understood::stranger(response, "an OTLP receiver"),
        }),
    }
}

/// Reads an answer as the OTLP specification has it, and as receivers really
/// give it: an empty body, of any type or none, is success.
///
/// A receiver may say "too big" with 400 as well as with 413. Of what the
/// specification calls final, 500 is tried again all the same: Phoenix and
/// MLflow give it in passing.
pub(crate) fn verdict(response: &Response) -> Verdict {
    let reason = || reason(response);
    match response.status {
        200..300 => accepted(response),
        413 => Verdict::Split { reason: reason() },
        400 if is_too_big(&reason()) => Verdict::Split { reason: reason() },
        408 | 429 | 500 | 502..=504 => {
            Verdict::Retry { after: response.retry_after, reason: reason() }
        }
        300..400 | 401 | 403 | 404 | 405 | 407 | 410 | 415 | 501 => {
            Verdict::GiveUp { reason: reason() }
        }
        _ => Verdict::Reject { reason: reason() },
    }
}

/// A `partialSuccess` counts only if something was refused; a warning does not
/// make a span missing. What is neither empty nor such an answer is somebody
/// else's.
fn accepted(response: &Response) -> Verdict {
    let answer = if understood::is_empty(response) {
        Some((0, String::new()))
    } else if is_json(response) {
        partial_in_json(&response.body)
    } else {
        partial_in_proto(&response.body)
    };
    match answer {
        Some(partial) => taken(partial),
        None => understood::stranger(response, "an OTLP receiver"),
    }
}

fn taken((rejected, words): (u64, String)) -> Verdict {
    match rejected {
        0 => Verdict::Done,
        _ => Verdict::Partial { rejected, reason: shortened(&words) },
    }
}

/// Returns how many spans, records or points were refused, and why; nothing for
/// what is no answer.
fn partial_in_json(body: &[u8]) -> Option<(u64, String)> {
    let answer: Option<Answer> = serde_json::from_slice(body).ok()?;
    let Some(partial) = answer.and_then(|it| it.partial_success) else {
        return Some((0, String::new()));
    };
    let rejected = partial.rejected.map_or(Some(0), Number::value)?;
    Some((rejected, partial.error_message.unwrap_or_default()))
}

fn partial_in_proto(body: &[u8]) -> Option<(u64, String)> {
    // Almost anything decodes to fields that nobody knows.
    let fields = fields_of(body)?;
    let known = fields.iter().all(|(number, inner)| {
        *number == 1 && fields_of(inner).is_some_and(|it| it.iter().all(|(n, _)| *n <= 2))
    });
    let answer = ExportTraceServiceResponse::decode(body).ok().filter(|_| known)?;
    let partial = answer.partial_success.unwrap_or_default();
    Some((u64::try_from(partial.rejected_spans).ok()?, partial.error_message))
}

/// Returns the fields of a message that are numbers or messages, with the bytes
/// of the latter; nothing for what is no message.
fn fields_of(mut body: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let mut fields = Vec::new();
    while !body.is_empty() {
        let tag = decode_varint(&mut body).ok()?;
        let value = decode_varint(&mut body).ok()?;
        let inner = match tag & 7 {
            0 => &[][..],
            2 => body.split_off(..usize::try_from(value).ok()?)?,
            _ => return None,
        };
        fields.push((tag >> 3, inner));
    }
    Some(fields)
}

/// Returns the receiver's words: a `Status` in either encoding, or plain text.
fn reason(response: &Response) -> String {
    let message = if is_json(response) {
        serde_json::from_slice::<JsonStatus>(&response.body).ok().and_then(|it| it.message)
    } else if response.header("content-type").is_some_and(|it| it.contains("protobuf")) {
        RpcStatus::decode(response.body.as_slice()).ok().map(|it| it.message)
    } else {
        None
    };
    message
        .filter(|text| !text.is_empty())
        .map_or_else(|| response.reason(), |text| response.saying(&text))
}

fn is_too_big(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    ["too large", "too big", "exceeds", "larger than max"].iter().any(|it| reason.contains(it))
}

fn is_json(response: &Response) -> bool {
    let says = response.header("content-type").is_some_and(|it| it.contains("json"));
    says || response.body.starts_with(b"{")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    #[serde(rename = "partialSuccess", alias = "partial_success")]
    partial_success: Option<Partial>,
}

#[derive(Deserialize)]
struct Partial {
    #[serde(
        rename = "rejectedSpans",
        alias = "rejected_spans",
        alias = "rejectedLogRecords",
        alias = "rejected_log_records",
        alias = "rejectedDataPoints",
        alias = "rejected_data_points"
    )]
    rejected: Option<Number>,
    #[serde(rename = "errorMessage", alias = "error_message")]
    error_message: Option<String>,
}

#[derive(Deserialize)]
struct JsonStatus {
    message: Option<String>,
}

/// 64-bit integers are strings in OTLP/JSON; not every receiver knows.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(i64),
    Quoted(String),
}

impl Number {
    /// Returns the count; nothing for what is none.
    fn value(self) -> Option<u64> {
        match self {
            Number::Plain(value) => u64::try_from(value).ok(),
            Number::Quoted(text) => text.parse::<i64>().ok().and_then(|it| u64::try_from(it).ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, kind: &str, body: &[u8]) -> Response {
        let headers = match kind {
            "" => Vec::new(),
            kind => vec![("content-type".to_owned(), kind.to_owned())],
        };
        Response { status, headers, body: body.to_vec(), retry_after: None }
    }

    #[test]
    fn verdicts() {
        const PROTO: &str = "application/x-protobuf";
        const JSON: &str = "application/json";
        let refused = ExportTraceServiceResponse {
            partial_success: Some(super::super::proto::PartialSuccess {
                rejected_spans: 2,
                error_message: "too old".to_owned(),
            }),
        }
        .encode_to_vec();
        let status = RpcStatus { code: 3, message: "http: request body too large".to_owned() };
        let status = status.encode_to_vec();
        let partial = |rejected| Verdict::Partial { rejected, reason: "too old".to_owned() };
        #[rustfmt::skip]
        let cases = [
            // why                                       answer                                              verdict
            ("empty 200",                                answer(200, PROTO, b""),                             Verdict::Done),
            ("202",                                      answer(202, "", b""),                                Verdict::Done),
            ("Loki's 204",                               answer(204, "", b""),                                Verdict::Done),
            ("present but empty, protobuf",              answer(200, PROTO, b"\x0A\x00"),                     Verdict::Done),
            ("present but empty, JSON",                  answer(200, JSON, br#"{"partialSuccess":{}}"#),      Verdict::Done),
            ("null",                                     answer(200, JSON, br#"{"partialSuccess":null}"#),    Verdict::Done),
            ("nothing refused",                          answer(200, JSON, br#"{"partialSuccess":{"rejectedSpans":"0"}}"#), Verdict::Done),
            ("two refused, protobuf",                    answer(200, PROTO, &refused),                        partial(2)),
            ("two refused, JSON",                        answer(200, JSON, br#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}"#), partial(2)),
            ("two refused, as a number",                 answer(200, JSON, br#"{"partialSuccess":{"rejectedSpans":2,"errorMessage":"too old"}}"#), partial(2)),
            ("two log records refused, JSON",            answer(200, JSON, br#"{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too old"}}"#), partial(2)),
            ("two data points refused, JSON",            answer(200, JSON, br#"{"partialSuccess":{"rejectedDataPoints":"2","errorMessage":"too old"}}"#), partial(2)),
            ("413",                                      answer(413, "", b"no"),                              Verdict::Split { reason: "status 413: no".to_owned() }),
            ("the collector says too big with 400",      answer(400, PROTO, &status),                         Verdict::Split { reason: "status 400: http: request body too large".to_owned() }),
            ("another 400",                              answer(400, JSON, br#"{"code":3,"message":"bad"}"#), Verdict::Reject { reason: "status 400: bad".to_owned() }),
            ("429",                                      answer(429, "", b"slow"),                            Verdict::Retry { after: None, reason: "status 429: slow".to_owned() }),
            ("503",                                      answer(503, "", b""),                                Verdict::Retry { after: None, reason: "status 503".to_owned() }),
            ("500 passes",                               answer(500, "", b"oops"),                            Verdict::Retry { after: None, reason: "status 500: oops".to_owned() }),
            ("a wrong key",                              answer(401, "", b"who"),                             Verdict::GiveUp { reason: "status 401: who".to_owned() }),
            ("not an encoding it takes",                 answer(415, "", b"no JSON"),                         Verdict::GiveUp { reason: "status 415: no JSON".to_owned() }),
        ];
        for (why, response, expected) in cases {
            assert_eq!(verdict(&response), expected, "{why}");
        }
    }

    #[test]
    fn what_no_receiver_says_is_no_success() {
        #[rustfmt::skip]
        let strange: [(&str, &[u8]); 14] = [
            ("application/json", br#"{"error":"invalid token"}"#),
            ("application/json", br#"{"code":16,"message":"unauthenticated"}"#),
            ("",                 br#"{"code":16,"message":"unauthenticated"}"#),
            ("application/json", br#"{"partialSuccess":{},"error":"no"}"#),
            ("application/json", b"[]"),
            ("application/json", br#""ok""#),
            ("application/json", br#"{"partialSuccess":{"rejectedSpans":99999999999999999999}}"#),
            ("application/json", br#"{"partialSuccess":{"rejectedSpans":"99999999999999999999"}}"#),
            ("application/json", br#"{"partialSuccess":{"rejectedSpans":-1}}"#),
            ("text/plain",       b"Please log in"),
            ("application/x-protobuf", b"Please log in"),
            ("application/x-protobuf", b"\xff\xff\xff\xff"),
            // The field that a `Status` has its message in, and a count of -1.
            ("application/x-protobuf", b"\x08\x10\x12\x02no"),
            ("application/x-protobuf", b"\x0A\x0B\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        ];
        for (kind, body) in strange {
            let verdict = verdict(&answer(200, kind, body));
            assert!(
                matches!(&verdict, Verdict::GiveUp { reason }
                if reason.starts_with("not the answer of an OTLP receiver: status 200")),
                "{kind}: {} {verdict:?}",
                String::from_utf8_lossy(body)
            );
        }
        let good: [(&str, &[u8]); 4] = [
            ("application/json", b"null"),
            ("application/json", b" {} \n"),
            ("text/plain", b"\n"),
            ("application/x-protobuf", b"\x0A\x04\x12\x02ok"),
        ];
        for (kind, body) in good {
            assert_eq!(verdict(&answer(200, kind, body)), Verdict::Done, "{kind}");
        }
    }

    #[test]
    fn words_of_any_length_are_cut() {
        let words = "A".repeat(900_000);
        let bodies = [
            (400, format!(r#"{{"code":3,"message":"{words}"}}"#).into_bytes()),
            (
                200,
                format!(r#"{{"partialSuccess":{{"rejectedSpans":1,"errorMessage":"{words}"}}}}"#)
                    .into_bytes(),
            ),
            (400, RpcStatus { code: 3, message: words.clone() }.encode_to_vec()),
        ];
        for (status, body) in bodies {
            let kind =
                if body.starts_with(b"{") { "application/json" } else { "application/x-protobuf" };
            let told = format!("{:?}", verdict(&answer(status, kind, &body)));
            assert!(told.contains("AAA") && told.len() < 400, "{told}");
        }
    }
}
