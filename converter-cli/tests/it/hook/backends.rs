//! Sessions that grow turn by turn, delivered by the worker to backends with
//! contracts of their own: what is there is what one clean upload puts there.

use std::collections::BTreeMap;

use serde_json::Value;

use super::worker::turn;
use super::{Sink, User, id, payload};
use crate::braintrust::server::{Answer, Asked, Server as Braintrust};
use crate::langsmith::server::{Rules, Server as LangSmith};

fn tables(braintrust: &Braintrust, langsmith: &LangSmith) -> String {
    let (bt, ls) = (&braintrust.url, &langsmith.url);
    format!(
        "to = [\"rows\", \"runs\"]\n\
         [destinations.rows]\nbackend = \"braintrust\"\nendpoint = \"{bt}\"\ntimeout = \"3s\"\nkey = {{ file = \"bt.key\" }}\n\
         [destinations.runs]\nbackend = \"langsmith\"\nendpoint = \"{ls}\"\ntimeout = \"3s\"\nkey = {{ file = \"ls.key\" }}\n"
    )
}

fn configure(user: &User, file: &str, braintrust: &Braintrust, langsmith: &LangSmith) {
    user.env.write(&format!(".config/codex-trace/{file}"), tables(braintrust, langsmith));
    for (name, key) in [("bt.key", "sk-test-0123456789"), ("ls.key", "lsv2_pt_secret_0123456789")] {
        user.env.write(&format!(".config/codex-trace/{name}"), key);
    }
}

/// One request of five fails; what was asked first is answered.
fn fails_at_times(_: &Asked, nth: usize) -> Option<Answer> {
    match nth % 10 {
        4 => Some(Some((503, String::new(), String::new()))),
        9 => Some(None),
        _ => None,
    }
}

fn runs(server: &LangSmith) -> BTreeMap<String, Value> {
    server.state().runs.clone()
}

#[test]
fn growing_sessions_are_as_after_one_clean_upload() {
    let rows = Braintrust::with(Box::new(fails_at_times), 6 << 20, None);
    // Nine kinds of faults, each with this chance: one request of six fails.
    let live = LangSmith::start(Rules { chaos: 2, ..Rules::default() });
    let user = User::new(&Sink::start(0));
    configure(&user, "codex-trace.toml", &rows, &live);
    for nth in 1..4 {
        user.session(nth);
    }
    for round in 2..6 {
        for nth in 1..4 {
            let (begin, end) = turn(round);
            user.append(nth, &begin);
            user.call(payload("Stop", &id(nth)).as_bytes()).is(0, "", "");
            user.append(nth, &end);
        }
        // One round after the other, and several turns in one.
        if round % 2 == 0 {
            user.drained();
        }
    }
    user.drained();
    let (clean_rows, clean) = (Braintrust::start(), LangSmith::start(Rules::default()));
    configure(&user, "clean.toml", &clean_rows, &clean);
    let config = user.env.dir().join(".config/codex-trace/clean.toml");
    let config = config.to_str().expect("text");
    let run = user.env.run(&["upload", "--config", config, "--state-dir", "clean"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(runs(&live), runs(&clean));
    assert!(runs(&clean).len() >= 3 * 5);
    assert_eq!(rows.rows(), clean_rows.rows());
    assert!(clean_rows.rows().len() >= 3 * 5);
}
