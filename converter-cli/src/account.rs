//! What a run came to: counts, the last line on stderr, the exit code.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use codex_trace_model::{Code, Trace};

use crate::config::Selection;
use crate::exit::ExitStatus;
use crate::text::count;
use crate::ui::Ui;
use codex_trace_history::history::History;
use codex_trace_history::pipeline::Lost;

/// The counts of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Sessions handled.
    pub sessions: usize,
    /// Spans handled.
    pub spans: usize,
    /// Diagnostics by their code.
    pub diagnostics: BTreeMap<Code, usize>,
    /// Files, directories and sessions of which nothing came.
    pub failed: usize,
}

impl Account {
    /// Counts one trace.
    pub fn of(trace: &Trace<'_>) -> Account {
        let mut account = Account { sessions: 1, spans: trace.spans.len(), ..Account::default() };
        for diagnostic in &trace.diagnostics {
            *account.diagnostics.entry(diagnostic.code).or_default() += diagnostic.count;
        }
        account.failed = account.n_of(&[Code::Unreadable]);
        account
    }

    /// Counts a session of which nothing came, and says so.
    pub fn lose(&mut self, lost: &Lost, ui: &Ui) {
        self.failed += 1;
        match lost {
            Lost::Unreadable(diagnostics) => {
                for diagnostic in diagnostics {
                    ui.error(diagnostic);
                }
            }
            Lost::Fault { session_id, message } => {
                ui.error(format!("session {session_id}: a fault of codex-trace: {message}"));
                ui.hint("the other sessions are not affected; please report this line");
            }
        }
    }

    /// Returns how many diagnostics have one of `codes`.
    pub fn n_of(&self, codes: &[Code]) -> usize {
        codes.iter().filter_map(|code| self.diagnostics.get(code)).sum()
    }

    /// Says what the run came to: on a terminal or if asked for always, else
    /// only if there were problems.
    pub fn tell(&self, done: &str, history: &History, selection: &Selection, ui: &Ui) {
        let settings = ui.settings();
        if settings.quiet {
            return;
        }
        if self.sessions == 0 && self.failed == 0 && !history.heads.is_empty() {
            ui.warn("no session matches the filters");
            return;
        }
        let n_problems: usize = self.diagnostics.values().sum();
        let wanted = settings.verbose || settings.stderr_is_terminal;
        if !wanted && n_problems == 0 && self.failed == 0 {
            return;
        }
        let mut line = format!("{done} {}", count(self.sessions, "session"));
        if self.spans > 0 {
            line.extend([" (", &count(self.spans, "span"), ")"]);
        }
        if self.failed > 0 {
            line.extend([", ", &self.failed.to_string(), " unreadable"]);
        }
        if n_problems > 0 {
            let named: Vec<String> =
                self.diagnostics.iter().map(|(code, n)| format!("{n} {}", code.word())).collect();
            line.extend([", ", &count(n_problems, "problem"), ": ", &named.join(", ")]);
        }
        ui.say(line);
        if n_problems > 0 {
            ui.hint(format!("`codex-trace list --problems{}` says where", named_paths(selection)));
        }
    }

    /// Returns the exit code; `strict` tells that something must not have been.
    pub fn status(&self, strict: bool) -> ExitStatus {
        if self.failed > 0 && self.sessions == 0 {
            return ExitStatus::Failed;
        }
        ExitStatus::partial_if(self.failed > 0 || strict)
    }
}

/// Repeats the paths of a run, if there were few.
fn named_paths(selection: &Selection) -> String {
    let paths = &selection.paths;
    if paths.len() > 2 || selection.files_from.is_some() {
        return " …".to_owned();
    }
    let mut text = String::new();
    for path in paths {
        text.extend([" ", &path.display().to_string()]);
    }
    text
}

impl AddAssign for Account {
    fn add_assign(&mut self, other: Account) {
        self.sessions += other.sessions;
        self.spans += other.spans;
        self.failed += other.failed;
        for (code, n) in other.diagnostics {
            *self.diagnostics.entry(code).or_default() += n;
        }
    }
}
