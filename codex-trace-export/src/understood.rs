//! Success is what is understood: with a login page, a gateway or another
//! service in between, a status says little.

use serde_json::{Map, Value};

use crate::Verdict;
use crate::request::Response;

/// What an object says that is no success, whoever answers.
const FAILURES: [&str; 6] = ["error", "errors", "error_code", "code", "detail", "exception"];

/// Reads the answer of a backend that says of success nothing, or something in
/// a JSON object.
pub(super) fn by_json(response: &Response, backend: &str) -> Verdict {
    match Verdict::from_status(response) {
        Verdict::Done if !is_empty(response) && !is_good(response) => stranger(response, backend),
        verdict => verdict,
    }
}

/// Says that nothing can be sent to whoever answers like this.
pub(super) fn stranger(response: &Response, backend: &str) -> Verdict {
    let reason = format!("not the answer of {backend}: {}", response.reason());
    Verdict::GiveUp { reason }
}

/// Returns whether there is nothing in it.
pub(super) fn is_empty(response: &Response) -> bool {
    response.body.trim_ascii().is_empty()
}

fn is_good(response: &Response) -> bool {
    let object: Option<Map<String, Value>> = serde_json::from_slice(&response.body).ok();
    object.is_some_and(|object| !FAILURES.iter().any(|key| object.contains_key(*key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_alone_is_no_success() {
        let verdict = |status, body: &str| by_json(&Response::new(status, body), "X");
        for body in ["", " \n", "{}", r#"{"message":"Runs ingested"}"#, r#"{"trace":{}}"#] {
            assert_eq!(verdict(200, body), Verdict::Done, "{body}");
            assert_eq!(verdict(202, body), Verdict::Done, "{body}");
        }
        let strange = [
            "Please log in",
            r#"{"error":"invalid token"}"#,
            r#"{"code":16,"message":"unauthenticated"}"#,
            r#"{"detail":"Not authenticated"}"#,
            "[]",
            "{",
        ];
        for body in strange {
            let reason = format!("not the answer of X: status 200: {body}");
            assert_eq!(verdict(200, body), Verdict::GiveUp { reason }, "{body}");
        }
        assert!(matches!(verdict(503, "Please log in"), Verdict::Retry { .. }));
    }
}
