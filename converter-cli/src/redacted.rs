//! What redaction did: how often each rule found something, and where. Never
//! what it was.

use std::collections::BTreeMap;

use codex_rollout::LineStream;
use codex_trace_export::json::Object;
use codex_trace_export::redact::Redactor;
use codex_trace_history::history::History;

use crate::text::{count, grouped};
use crate::ui::Ui;
use codex_trace_history::Watch;

/// Says how often each rule found something; nothing if none did.
pub fn sentence(found: &BTreeMap<String, u64>) -> Option<String> {
    let n: u64 = found.values().sum();
    let mut rules: Vec<(&String, &u64)> = found.iter().collect();
    rules.sort_by_key(|(name, n)| (std::cmp::Reverse(**n), *name));
    let rules: Vec<String> =
        rules.iter().map(|(name, n)| format!("{name} {}", grouped(**n))).collect();
    let places = count(usize::try_from(n).unwrap_or(usize::MAX), "place");
    (n > 0).then(|| format!("redacted {places}: {}", rules.join(", ")))
}

/// Says it to people, and where, if they want to know more.
pub fn tell(redactor: Option<&Redactor>, history: &History, ui: &Ui) {
    let Some(redactor) = redactor.filter(|_| !ui.settings().quiet) else { return };
    let Some(what) = sentence(&redactor.found()) else { return };
    ui.say(what);
    if ui.settings().verbose {
        tell_lines(redactor, history, ui);
    }
}

/// Writes the same as an object.
pub fn fields(found: &BTreeMap<String, u64>, o: &mut Object<'_>) {
    o.object("redacted", |o| {
        for (name, n) in found {
            o.put(name, *n);
        }
    });
}

/// Says, for who wants to know more, on which lines of files the rules find
/// something. Files are read once more for that, and whole lines looked at.
pub fn tell_lines(redactor: &Redactor, history: &History, ui: &Ui) {
    let members = history.sessions.iter().flat_map(|session| &session.members);
    for head in members.map(|member| &history.heads[member.head]) {
        let Ok(mut stream) = LineStream::open(&head.rollout) else { continue };
        loop {
            let line = match stream.next_line() {
                Ok(Some((bytes, at, _))) => {
                    let redactor = redactor.counting_anew();
                    redactor.json(bytes);
                    Some((at.line(), redactor.found()))
                }
                Err(err) if err.is_about_a_line() => None,
                Ok(None) | Err(_) => break,
            };
            if let Some((line, found)) = line.filter(|(_, found)| !found.is_empty()) {
                let rules: Vec<String> =
                    found.iter().map(|(name, n)| format!("{name} {n}")).collect();
                let path = head.rollout.path.display();
                ui.detail(format!("secrets: {path}:{line}: {}", rules.join(", ")));
            }
        }
    }
}
