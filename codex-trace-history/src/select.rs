//! Which sessions of a history are wanted.

use std::path::{Path, PathBuf};

use codex_rollout::{JsonText, RolloutHead};
use codex_trace_model::{SignedDuration, SpanKind, Standing, Timestamp, Trace};

use crate::directory::Directory;
use crate::repository;

/// Which sessions to take, resolved.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// What was named; the Codex home, if nothing.
    pub paths: Vec<PathBuf>,
    /// Where more of them are listed.
    pub files_from: Option<PathBuf>,
    /// Sessions that ended before this do not count.
    pub since: Option<Timestamp>,
    /// Sessions that began at this or later do not count.
    pub until: Option<Timestamp>,
    /// The directory to have worked in, or below.
    pub cwd: Option<Directory>,
    /// A part of a model's name, in lower case.
    pub model: Option<String>,
    /// What started the session.
    pub source: Option<String>,
    /// The branch that was checked out.
    pub branch: Option<String>,
    /// The end of the repository's name: `name`, `owner/name`, or all of it.
    pub repository: Option<String>,
    /// How the session may stand; any way, if empty.
    pub status: Vec<Standing>,
}

/// The most by which the time in a head can be off: versions of 2025 wrote
/// local time for UTC.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_hours(24);

impl Selection {
    /// Selects what is named, and nothing else.
    pub fn of(path: &Path) -> Selection {
        Selection { paths: vec![path.to_path_buf()], ..Selection::default() }
    }

    /// Returns whether a session may be wanted, as far as the head of its root
    /// thread tells.
    pub fn may_take(&self, root: &RolloutHead) -> bool {
        if let Some(dir) = &self.cwd
            && !root.cwd.as_ref().is_some_and(|at| dir.holds(at))
        {
            return false;
        }
        if let Some(source) = &self.source
            && !root.source.as_ref().is_some_and(|at| at.eq_ignore_ascii_case(source))
        {
            return false;
        }
        self.may_begin(created_of(root))
    }

    /// Returns whether a session stands as it is wanted to, and worked where it
    /// is wanted to: all that does not depend on single calls.
    pub fn may_stand(&self, outline: &Outline<'_>) -> bool {
        let branch = self.branch.as_deref().is_none_or(|wanted| outline.branch == Some(wanted));
        let repository = self.repository.as_ref().is_none_or(|wanted| {
            outline.repository_url.is_some_and(|url| repository::is_called(url, wanted))
        });
        let status = self.status.is_empty() || self.status.contains(&outline.standing);
        branch && repository && status && self.may_begin(outline.created)
    }

    /// Returns whether a session may have begun in time, as far as the head of
    /// its root thread tells.
    fn may_begin(&self, created: Option<Timestamp>) -> bool {
        match (self.until, created) {
            (Some(until), Some(created)) => created.duration_since(until) < CLOCK_SLACK,
            _ => true,
        }
    }

    /// Whether a head alone does not tell which sessions are wanted.
    pub fn needs_traces(&self) -> bool {
        self.since.is_some()
            || self.until.is_some()
            || self.model.is_some()
            || self.branch.is_some()
            || self.repository.is_some()
            || !self.status.is_empty()
    }

    /// Returns whether a session is wanted.
    pub fn takes(&self, trace: &Trace<'_>) -> bool {
        let git = trace.root().meta.git.unwrap_or_default();
        let [branch, url] = [git.branch, git.repository_url].map(|it| it.map(JsonText::decode));
        let first = trace.started_at().or_else(|| local_start(trace));
        let outline = Outline {
            branch: branch.as_deref(),
            repository_url: url.as_deref(),
            standing: trace.standing(),
            created: None,
            first,
            last: trace.ended_at().or(first),
        };
        let models = if self.model.is_some() { models(trace) } else { Vec::new() };
        self.takes_as(&outline, &models)
    }

    /// As [`takes`](Self::takes), of a session that is known by its outline.
    pub fn takes_as(&self, outline: &Outline<'_>, models: &[String]) -> bool {
        let Outline { first, last, .. } = outline;
        let since = self.since.is_none_or(|since| last.is_some_and(|at| at >= since));
        let until = self.until.is_none_or(|until| first.is_some_and(|at| at < until));
        let model = self
            .model
            .as_ref()
            .is_none_or(|wanted| models.iter().any(|model| model.to_lowercase().contains(wanted)));
        since && until && model && self.may_stand(outline)
    }
}

/// What filters look at of a session.
#[derive(Clone, Copy, Debug)]
pub struct Outline<'o> {
    /// The git branch.
    pub branch: Option<&'o str>,
    /// The git remote, as recorded.
    pub repository_url: Option<&'o str>,
    /// How it stands.
    pub standing: Standing,
    /// When the head of its root thread says that it was made, if that is still
    /// to be looked at.
    pub created: Option<Timestamp>,
    /// When it began.
    pub first: Option<Timestamp>,
    /// When the last thing in it happened.
    pub last: Option<Timestamp>,
}

/// Returns when the head of a file says that its thread was made.
pub fn created_of(head: &RolloutHead) -> Option<Timestamp> {
    head.created.as_ref().and_then(|at| at.parse::<Timestamp>().ok())
}

/// Returns when the session was made by the local clock of its machine, taken
/// for UTC: all that some versions of 2025 recorded.
pub fn local_start(trace: &Trace<'_>) -> Option<Timestamp> {
    trace.root().created_local?.decode().parse().ok()
}

/// Returns the models of a session, in order of their first use.
pub fn models(trace: &Trace<'_>) -> Vec<String> {
    let mut models: Vec<String> = Vec::new();
    let mut last = None;
    for span in &trace.spans {
        let model = match &span.kind {
            SpanKind::Turn(turn) => turn.model,
            SpanKind::ModelCall(call) => call.model,
            _ => None,
        };
        let changed = model.filter(|_| model != last);
        last = model.or(last);
        if let Some(model) = changed.map(JsonText::decode)
            && !models.iter().any(|known| *known == model)
        {
            models.push(model.into_owned());
        }
    }
    models
}
