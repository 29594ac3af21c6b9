//! What is too large for its route, and goes another way.

use crate::delivery::Engine;
use crate::delivery::send::{Outcomes, Patience};
use crate::transport::Request;
use codex_trace_export::{Detour, Verdict};

impl Engine<'_> {
    /// Sends a request that cannot be made smaller, another way if need be.
    pub(super) fn exchange_single(
        &self,
        nth: usize,
        request: &Request,
        patience: Patience,
    ) -> Outcomes {
        // What would be sent is all that a dry run shows.
        if self.run.options.dry_run {
            return self.exchange(nth, request, patience);
        }
        let bytes = request.body.len();
        let outcome = if self.exporter.is_too_large(nth, bytes) {
            let reason = format!("{bytes} bytes are more than a request can hold");
            Outcomes::Answer(Verdict::Split { reason })
        } else {
            self.exchange(nth, request, patience)
        };
        match outcome {
            Outcomes::Answer(Verdict::Split { reason }) => {
                self.go_round(nth, &request.body.to_bytes(), reason, patience)
            }
            outcome => outcome,
        }
    }

    fn go_round(&self, nth: usize, body: &[u8], reason: String, patience: Patience) -> Outcomes {
        let mut answers = Vec::new();
        loop {
            match self.exporter.detour(nth, body, &answers) {
                Detour::Ask(request) => match self.ask(&request) {
                    Some(answer) => answers.push(answer),
                    None if self.interrupted() || self.queue.is_stopped() => {
                        return Outcomes::Ended;
                    }
                    None => {
                        let host = request.url.host();
                        let reason = format!("{reason}, and `{host}` did not answer");
                        return Outcomes::Blocked { reason };
                    }
                },
                Detour::Last(request) => return self.exchange(nth, &request, patience),
                Detour::Refused(reason) => {
                    let reason = self.words(&reason);
                    return Outcomes::Answer(Verdict::Reject { reason });
                }
                Detour::None => return Outcomes::Answer(Verdict::Split { reason }),
            }
        }
    }
}
