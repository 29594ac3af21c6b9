//! What a row stands for.

use codex_trace_export::choice::Choice;

/// What a row of `usage` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Everything.
    Total,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// An ISO week.
    Week,
    /// A month.
    Month,
    /// A model.
    Model,
    /// A session.
    Session,
    /// A directory.
    Directory,
    /// A git branch.
    Branch,
    /// A git repository.
    Repository,
    /// What starts sessions.
    Source,
    /// A tool.
    Tool,
}

/// The words are also the names of the columns.
impl Choice for By {
    const WORDS: &[(By, &str, &str)] = &[
        (By::Total, "total", "One row for everything"),
        (By::Hour, "hour", "The hour in which the call ended"),
        (By::Day, "day", "The day on which the call ended"),
        (By::Week, "week", "Its ISO week, from Monday on"),
        (By::Month, "month", "Its month"),
        (By::Model, "model", "The model"),
        (By::Session, "session", "The session, subagents included"),
        (By::Directory, "directory", "The directory in which the session was started"),
        (By::Branch, "branch", "The git branch on which the session was started"),
        (By::Repository, "repository", "The git repository, all its clones and worktrees together"),
        (By::Source, "source", "What started the session: `cli`, `exec`, `vscode`, …"),
        (By::Tool, "tool", "The tool: its calls, failures and time instead of tokens"),
    ];
}

impl By {
    /// Whether its rows are in the order of time.
    pub fn is_time(self) -> bool {
        matches!(self, By::Hour | By::Day | By::Week | By::Month)
    }
}
