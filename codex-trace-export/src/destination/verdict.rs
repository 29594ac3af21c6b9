use std::time::Duration;

use crate::request::Response;

/// What an answer means for the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All of it is stored.
    Done,
    /// All of it was there before.
    AlreadyThere,
    /// Some of it was there before, perhaps as something else: to be read back
    /// with [`Protocol::reread`](super::Protocol::reread).
    Conflict {
        /// The backend's words.
        reason: String,
    },
    /// Stored but for some, which are not to be sent again.
    Partial {
        /// How many spans (records, rows) were refused.
        rejected: u64,
        /// The backend's words.
        reason: String,
    },
    /// Try again later.
    Retry {
        /// When, if the backend says so.
        after: Option<Duration>,
        /// The backend's words.
        reason: String,
    },
    /// Too large: try again in smaller pieces.
    Split {
        /// The backend's words.
        reason: String,
    },
    /// Something in it is not acceptable; the rest may be.
    Reject {
        /// The backend's words.
        reason: String,
    },
    /// Nothing can be sent to this destination: a wrong key, a wrong address.
    GiveUp {
        /// The backend's words.
        reason: String,
    },
}

impl Verdict {
    /// Reads an answer by its status alone: what most backends mean by it.
    pub fn from_status(response: &Response) -> Verdict {
        let reason = response.reason();
        match response.status {
            200..300 => Verdict::Done,
            408 | 425 | 429 | 500 | 502..=504 | 506..=599 => {
                Verdict::Retry { after: response.retry_after, reason }
            }
            413 => Verdict::Split { reason },
            401 | 403 | 404 | 405 | 407 | 410 | 501 | 505 | 300..=399 => Verdict::GiveUp { reason },
            _ => Verdict::Reject { reason },
        }
    }

    /// Changes the backend's words.
    #[must_use]
    pub fn map_reason(mut self, f: impl FnOnce(&str) -> String) -> Verdict {
        match &mut self {
            Verdict::Done | Verdict::AlreadyThere => {}
            Verdict::Conflict { reason }
            | Verdict::Partial { reason, .. }
            | Verdict::Retry { reason, .. }
            | Verdict::Split { reason }
            | Verdict::Reject { reason }
            | Verdict::GiveUp { reason } => *reason = f(reason),
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_by_status() {
        let verdict = |status| Verdict::from_status(&Response::new(status, "no"));
        let reason = |status: u16| format!("status {status}: no");
        assert_eq!(verdict(204), Verdict::Done);
        assert_eq!(verdict(413), Verdict::Split { reason: reason(413) });
        assert_eq!(verdict(422), Verdict::Reject { reason: reason(422) });
        assert_eq!(verdict(401), Verdict::GiveUp { reason: reason(401) });
        // A redirect is not followed: it would carry the credentials elsewhere.
        assert_eq!(verdict(302), Verdict::GiveUp { reason: reason(302) });
        assert_eq!(verdict(503), Verdict::Retry { after: None, reason: reason(503) });
    }
}
