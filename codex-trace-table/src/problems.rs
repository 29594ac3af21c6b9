//! The table of what was odd.

use codex_rollout::Position;
use codex_trace_export::content::Part;
use codex_trace_model::Diagnostic;

use crate::batch::{Batch, Column, Kind};
use crate::common::About;

#[rustfmt::skip]
pub(crate) const COLUMNS: &[Column] = &[
    ("home", Kind::Text, false),
    ("session_id", Kind::Text, false),
    ("code", Kind::Text, true),
    ("file", Kind::Text, false),
    ("line", Kind::Int, false),
    ("column", Kind::Int, false),
    ("count", Kind::Int, true),
    ("text", Kind::Text, true),
];

/// What is odd about a session, or about what became no session.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'p> {
    /// The session, if it became one.
    pub session_id: Option<&'p str>,
    /// What kind of oddity, in a word.
    pub code: &'p str,
    /// The file, if one is concerned.
    pub file: Option<&'p str>,
    /// The line, if one is concerned.
    pub line: Option<u64>,
    /// The byte within the line, starting at 1.
    pub column: Option<usize>,
    /// How many oddities it stands for.
    pub count: usize,
    /// What was found and what was made of it, for people.
    pub text: &'p str,
}

impl<'p> Problem<'p> {
    /// Takes a diagnostic for one.
    pub fn of(diagnostic: &'p Diagnostic, session_id: Option<&'p str>) -> Problem<'p> {
        Problem {
            session_id,
            code: diagnostic.code.word(),
            file: Some(&diagnostic.path).filter(|path| !path.is_empty()).map(|it| &**it),
            line: diagnostic.position.map(Position::line),
            column: diagnostic.column,
            count: diagnostic.count,
            text: &diagnostic.text,
        }
    }
}

/// Adds its row.
pub(crate) fn add(problem: &Problem<'_>, about: &About<'_>, batch: &mut Batch) {
    batch.row(|row| {
        row.text("home", about.home);
        row.text("session_id", problem.session_id);
        row.text("code", Some(problem.code));
        row.text("file", problem.file);
        row.int("line", problem.line);
        row.int("column", problem.column);
        row.int("count", Some(problem.count));
        row.text("text", about.texts.rules().text(Part::Label, problem.text));
    });
}
