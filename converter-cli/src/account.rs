//! What a run came to, in words: the last line on stderr, the exit code.

use crate::again::Again;
use crate::args::SelectArgs;
use crate::exit::ExitStatus;
use crate::text::count;
use crate::ui::Ui;
pub use codex_trace_history::account::Account;
use codex_trace_history::pipeline::Lost;

/// What the command says of an [`Account`].
pub trait Tell {
    /// Counts a session of which nothing came, and says so.
    fn lose(&mut self, lost: &Lost, ui: &Ui);

    /// Says what the run came to: on a terminal or if asked for always, else
    /// only if there were problems.
    /// Nothing is said of a run without sessions, of which there is more to say.
    fn tell(&self, done: &str, args: &SelectArgs, ui: &Ui);

    /// Returns the exit code; `strict` tells that something must not have been.
    fn status(&self, strict: bool) -> ExitStatus;
}

impl Tell for Account {
    fn lose(&mut self, lost: &Lost, ui: &Ui) {
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

    fn tell(&self, done: &str, args: &SelectArgs, ui: &Ui) {
        let settings = ui.settings();
        if settings.quiet {
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
            let again = Again::new(["list", "--problems"]).homes(settings).select(args);
            ui.hint(format!("`{again}` shows where"));
        }
    }

    fn status(&self, strict: bool) -> ExitStatus {
        if self.failed > 0 && self.sessions == 0 {
            return ExitStatus::Failed;
        }
        ExitStatus::partial_if(self.failed > 0 || strict)
    }
}
