//! What an OTLP receiver's answer means.

use prost::Message as _;
use serde::Deserialize;

use super::proto::{ExportTraceServiceResponse, RpcStatus};
use crate::Verdict;
use crate::request::Response;

/// Reads an answer as the OTLP specification has it, and as receivers really
/// give it: an empty body, of any type or none, is success.
///
/// A receiver may say "too big" with 400 as well as with 413. Only 429, 502,
/// 503 and 504 are to be tried again.
pub(crate) fn verdict(response: &Response) -> Verdict {
    let reason = || reason(response);
    match response.status {
        200..300 => accepted(response),
        413 => Verdict::Split { reason: reason() },
        400 if is_too_big(&reason()) => Verdict::Split { reason: reason() },
        408 | 429 | 502..=504 => Verdict::Retry { after: response.retry_after, reason: reason() },
        300..400 | 401 | 403 | 404 | 405 | 407 | 410 | 415 | 501 => {
            Verdict::GiveUp { reason: reason() }
        }
        _ => Verdict::Reject { reason: reason() },
    }
}

/// A `partialSuccess` counts only if something was refused or something is
/// said; a warning does not make a span missing.
fn accepted(response: &Response) -> Verdict {
    match partial(response) {
        Some((rejected @ 1.., reason)) => {
            Verdict::Partial { rejected: rejected.unsigned_abs(), reason }
        }
        _ => Verdict::Done,
    }
}

fn partial(response: &Response) -> Option<(i64, String)> {
    if is_json(response) {
        let answer: Answer = serde_json::from_slice(&response.body).ok()?;
        let partial = answer.partial_success?;
        let rejected = partial.rejected_spans.map_or(0, Number::value);
        return Some((rejected, partial.error_message.unwrap_or_default()));
    }
    let answer = ExportTraceServiceResponse::decode(response.body.as_slice()).ok()?;
    let partial = answer.partial_success?;
    Some((partial.rejected_spans, partial.error_message))
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
        .map_or_else(|| response.reason(), |text| format!("status {}: {text}", response.status))
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
struct Answer {
    #[serde(rename = "partialSuccess")]
    partial_success: Option<Partial>,
}

#[derive(Deserialize)]
struct Partial {
    #[serde(rename = "rejectedSpans")]
    rejected_spans: Option<Number>,
    #[serde(rename = "errorMessage")]
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
    fn value(self) -> i64 {
        match self {
            Number::Plain(value) => value,
            Number::Quoted(text) => text.parse().unwrap_or(0),
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
            ("413",                                      answer(413, "", b"no"),                              Verdict::Split { reason: "status 413: no".to_owned() }),
            ("the collector says too big with 400",      answer(400, PROTO, &status),                         Verdict::Split { reason: "status 400: http: request body too large".to_owned() }),
            ("another 400",                              answer(400, JSON, br#"{"code":3,"message":"bad"}"#), Verdict::Reject { reason: "status 400: bad".to_owned() }),
            ("429",                                      answer(429, "", b"slow"),                            Verdict::Retry { after: None, reason: "status 429: slow".to_owned() }),
            ("503",                                      answer(503, "", b""),                                Verdict::Retry { after: None, reason: "status 503".to_owned() }),
            ("500 is final in OTLP",                     answer(500, "", b"oops"),                            Verdict::Reject { reason: "status 500: oops".to_owned() }),
            ("a wrong key",                              answer(401, "", b"who"),                             Verdict::GiveUp { reason: "status 401: who".to_owned() }),
            ("not an encoding it takes",                 answer(415, "", b"no JSON"),                         Verdict::GiveUp { reason: "status 415: no JSON".to_owned() }),
        ];
        for (why, response, expected) in cases {
            assert_eq!(verdict(&response), expected, "{why}");
        }
    }
}
