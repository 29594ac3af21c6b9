use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use codex_trace_export::{Beside, Keep, Receipt, UnitKey};
use codex_trace_model::{SpanKind, Timestamp, Trace};

use crate::companions::{Deadline, OfProject, TurnFile};
use crate::delivery::session::Session;
use crate::delivery::{Engine, Fate};
use crate::history::History;

/// The files that begin with a copy of a thread's turns, by the thread: of forks
/// and of subagents, and when each was made.
#[derive(Debug, Default)]
pub(super) struct CopiedHeads {
    of: HashMap<String, Vec<usize>>,
}

impl CopiedHeads {
    /// Finds them by what the heads of a history's files say.
    pub(super) fn find(history: &History) -> CopiedHeads {
        let mut of: HashMap<String, Vec<usize>> = HashMap::new();
        for (nth, head) in history.heads.iter().enumerate() {
            for from in [&head.copied_from_id, &head.forked_from_id].into_iter().flatten() {
                let files = of.entry(from.clone()).or_default();
                if *from != head.thread_id && files.last() != Some(&nth) {
                    files.push(nth);
                }
            }
        }
        CopiedHeads { of }
    }

    /// Returns the files that may begin with a copy of what a thread had at a
    /// time, those that copied a copy among them.
    fn with<'h>(
        &self,
        history: &'h History,
        thread_id: &str,
        end: Option<Timestamp>,
    ) -> Vec<&'h Path> {
        let mut files = Vec::new();
        let mut seen = HashSet::from([thread_id]);
        let mut next = vec![thread_id];
        while let Some(thread) = next.pop() {
            for nth in self.of.get(thread).into_iter().flatten() {
                let head = &history.heads[*nth];
                let created = head.created.as_ref().and_then(|at| at.parse::<Timestamp>().ok());
                // What went on after it was copied is not all in the copy.
                if end.zip(created).is_some_and(|(end, created)| end <= created) {
                    files.push(head.rollout.path.as_path());
                }
                if seen.insert(&head.thread_id) {
                    next.push(&head.thread_id);
                }
            }
        }
        files
    }
}

/// Returns the turns of a trace that have an id, with their files.
fn turns<'s>(trace: &'s Trace<'_>, history: &'s History, heads: &CopiedHeads) -> Vec<TurnFile<'s>> {
    let turns = trace.iter().filter_map(|(ix, span)| {
        let SpanKind::Turn(turn) = &span.kind else { return None };
        let thread = trace.thread_of(span);
        let rollout = thread.rollout(span.provenance.rollout);
        // Not its label: what is private would not be found by it.
        let file = rollout.and_then(|rollout| rollout.file.as_deref());
        let others =
            thread.rollouts.iter().flat_map(|it| it.file.iter().chain(&it.copies).chain(&it.links));
        let copies = heads.with(history, &thread.id, span.end);
        let reviewers = turn.review.and_then(|review| review.reviewer_turn);
        Some(TurnFile {
            span: ix,
            thread_id: &thread.id,
            turn_id: turn.turn_id?.decode().into_owned(),
            other_ids: reviewers.map(|it| it.turn_id.decode().into_owned()).into_iter().collect(),
            file,
            others: others
                .map(PathBuf::as_path)
                .chain(copies)
                .filter(|it| Some(*it) != file)
                .collect(),
        })
    });
    turns.collect()
}

impl Engine<'_> {
    /// Reads what a live plugin has left beside the files of a session.
    ///
    /// # Errors
    ///
    /// Why the session must be left alone.
    pub(super) fn look_beside(&self, trace: &Trace<'_>) -> Result<Beside, String> {
        let turns = || turns(trace, self.run.history, &self.copied_heads);
        self.companion.map_or_else(|| Ok(Beside::default()), |it| it.look(&turns()))
    }

    /// Returns what the project that a session was in says of its own sessions.
    pub(super) fn of_project(&self, trace: &Trace<'_>) -> OfProject {
        let cwd = trace.root().meta.cwd.map(|cwd| PathBuf::from(&*cwd.decode()));
        let of = self.companion.zip(cwd).map(|(companion, cwd)| companion.project(&cwd));
        of.unwrap_or_default()
    }

    /// Notes that a session is left out, as its project wants it.
    pub(super) fn leave_out(&self, trace: &Trace<'_>, fate: Fate) {
        let session = Session::new(trace.session_id(), Vec::new());
        for (_, span) in trace.iter().filter(|(_, span)| matches!(span.kind, SpanKind::Turn(_))) {
            let thread_id = trace.thread_of(span).id.clone();
            let key = UnitKey { thread_id, turn: Some(span.key.clone()) };
            self.note(&session, &key, fate);
        }
    }

    /// Adds that turns of which nothing else is said go without content.
    pub(super) fn mute(trace: &Trace<'_>, beside: &mut Beside) {
        for (ix, _) in trace.iter().filter(|(_, span)| matches!(span.kind, SpanKind::Turn(_))) {
            beside.entry(ix).or_default().keep.get_or_insert(Keep::Metadata);
        }
    }

    /// Tells the live plugin of units that the ledger has. A session of which it
    /// could not be told is looked at again the next time.
    pub(super) fn hand_over<'t>(&self, all: impl Iterator<Item = (&'t Receipt, &'t Session)>) {
        let Some(companion) = self.companion.filter(|_| !self.run.options.dry_run) else { return };
        let mut by_file: BTreeMap<&Path, Vec<(&Receipt, &Session)>> = BTreeMap::new();
        for (receipt, session) in all {
            by_file.entry(&receipt.file).or_default().push((receipt, session));
        }
        for (file, told) in by_file {
            let receipts: Vec<&Receipt> = told.iter().map(|it| it.0).collect();
            // One at a time: those who note must not wait for each other's locks,
            // and a time that all of them wait must count once.
            let mut left = self.patience.lock().unwrap_or_else(PoisonError::into_inner);
            let until = Deadline::new(*left, self.run.interrupted);
            let noted = companion.tell(file, &receipts, &until);
            *left = left.saturating_sub(until.rested());
            drop(left);
            if noted.as_ref().is_ok_and(|noted| *noted) {
                self.account().noted += 1;
            }
            if let Err(err) = noted {
                let what = format!("beside `{}`: {err}", file.display());
                self.account().not_noted.get_or_insert(what);
                for (_, session) in told {
                    session.look_again();
                }
            }
        }
    }
}
