use serde_json::{Value, json};

use crate::destinations::Named;
use codex_trace_deliver::transport::Transport;
use codex_trace_export::secret::without_password;
use codex_trace_export::{Exporter, Probed};

/// Asks each place of a destination whether it is there, and adds what came of
/// it to the report.
pub(super) fn ask(named: &Named<'_>, report: &mut Value) {
    let mut answers = Vec::new();
    for (_, exporter) in named.connect().into_iter().flatten() {
        let place = without_password(&exporter.contract().destination);
        let (state, detail, hint) = match named.way(&*exporter) {
            Ok(http) => one(&*exporter, &*named.dressed(http)),
            Err(failure) => ("failed", failure.to_string(), None),
        };
        if state != "reachable" {
            report["usable"] = json!(false);
        }
        answers.push(json!({"destination": place, "state": state,
            "detail": without_password(&detail), "hint": hint}));
    }
    report["connect"] = json!(answers);
}

fn one(
    exporter: &dyn Exporter,
    transport: &dyn Transport,
) -> (&'static str, String, Option<&'static str>) {
    let mut notes = Vec::new();
    for (nth, request) in exporter.probes().iter().enumerate() {
        let answer = match transport.send(request) {
            Ok(answer) => answer,
            Err(no) => {
                return (
                    "no-answer",
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
                    "key-refused",
                    reason,
                    Some(
                        "it is there, and refuses the key: check the key, and the workspace it is for",
                    ),
                );
            }
            Probed::WrongPath => {
                return (
                    "wrong-path",
                    reason,
                    Some(
                        "a server is there, but not at this path: check what follows the host in the endpoint",
                    ),
                );
            }
            Probed::Failed => return ("failed", reason, None),
        }
    }
    ("reachable", notes.join("; "), None)
}
