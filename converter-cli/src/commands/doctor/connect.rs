use super::report::{About, Connection, Report, State};
use crate::destinations::Named;
use codex_trace_deliver::transport::Transport;
use codex_trace_export::secret::without_password;
use codex_trace_export::{Exporter, Probed};

/// Asks each place of a destination whether it is there, and adds what came of
/// it to the report.
pub(super) fn ask(named: &Named<'_>, report: &mut Report) {
    let About::Destination(destination) = &mut report.about else { return };
    let mut answers = Vec::new();
    for (_, exporter) in named.connect().into_iter().flatten() {
        let place = without_password(&exporter.contract().destination);
        let (state, detail, hint) = match named.way(&*exporter) {
            Ok(http) => one(&*exporter, &*named.dressed(http)),
            Err(failure) => (State::Failed, failure.to_string(), None),
        };
        report.usable &= state == State::Reachable;
        let detail = without_password(&detail);
        answers.push(Connection { destination: place, state, detail, hint });
    }
    destination.connect = Some(answers);
}

fn one(
    exporter: &dyn Exporter,
    transport: &dyn Transport,
) -> (State, String, Option<&'static str>) {
    let mut notes = Vec::new();
    for (nth, request) in exporter.probes().iter().enumerate() {
        let answer = match transport.send(request) {
            Ok(answer) => answer,
            Err(no) => {
                return (
                    State::NoAnswer,
                    no.reason.replacen("no answer from ", "", 1),
                    Some(
                        "check the address, whether the server runs, proxies, and certificates (`tls.ca_file`)",
                    ),
                );
            }
        };
        let reason = format!("{}: {}", request.url, answer.reason());
        match exporter.probed(nth, &answer) {
            Probed::Good(note) => notes.extend(note),
            Probed::KeyRefused => {
                return (
                    State::KeyRefused,
                    reason,
                    Some(
                        "it is there, and refuses the key: check the key, and the workspace it is for",
                    ),
                );
            }
            Probed::WrongPath => {
                return (
                    State::WrongPath,
                    reason,
                    Some(
                        "a server is there, but not at this path: check what follows the host in the endpoint",
                    ),
                );
            }
            Probed::Failed => return (State::Failed, reason, None),
        }
    }
    (State::Reachable, notes.join("; "), None)
}
