//! Traces that own the files that they borrow from, for who keeps them:
//! objects of Python or the JVM, queues, other threads.

#![allow(unsafe_code, reason = "what self_cell's macro is made of; none of it is ours")]

use codex_rollout::Source;
use codex_trace_model::{Code, Diagnostic, Member, RolloutFile, RolloutInput, Trace, resolve};
use self_cell::self_cell;

/// One file of a session, opened.
#[derive(Debug)]
pub struct OwnedFile {
    /// What grouping says of it.
    pub member: Member,
    /// The thread, unless no `session_meta` of the file has its id.
    pub thread_id: String,
    /// Its bytes.
    pub source: Source,
    /// The file whose history this one continues or holds a copy of.
    pub ancestor: Option<Source>,
}

impl OwnedFile {
    fn input(&self) -> RolloutInput<'_> {
        let file = RolloutFile {
            path: &self.member.path,
            thread_id: &self.thread_id,
            copies: &self.member.copies,
            forks: &self.member.forks,
            branch: self.member.branch.as_ref(),
        };
        RolloutInput { file, source: &self.source, ancestor: self.ancestor.as_ref() }
    }
}

/// A trace with the files that it borrows from: `'static`, `Send`, and whole.
#[derive(Debug)]
pub struct OwnedTrace(Cell);

type Files = Vec<OwnedFile>;

self_cell! {
    struct Cell {
        owner: Files,

        #[covariant]
        dependent: Trace,
    }

    impl {Debug}
}

impl OwnedTrace {
    /// Resolves the files of one session, in the order of [`resolve`]; takes
    /// over what was odd about them before. `None` if there is no file.
    pub fn resolve(files: Vec<OwnedFile>, odd: &mut Vec<Diagnostic>) -> Option<OwnedTrace> {
        if files.is_empty() {
            return None;
        }
        Some(OwnedTrace(Cell::new(files, |files| {
            let inputs: Vec<RolloutInput<'_>> = files.iter().map(OwnedFile::input).collect();
            let mut trace = resolve(&inputs);
            let shortened = files.iter().filter(|file| file.source.was_shortened());
            odd.extend(shortened.map(|file| shortened_file(file.member.path.clone())));
            trace.diagnostics.append(odd);
            trace
        })))
    }

    /// Returns the trace.
    pub fn get(&self) -> &Trace<'_> {
        self.0.borrow_dependent()
    }

    /// Returns the files that it borrows from.
    pub fn files(&self) -> &[OwnedFile] {
        self.0.borrow_owner()
    }
}

fn shortened_file(path: String) -> Diagnostic {
    Diagnostic {
        code: Code::Changed,
        path,
        position: None,
        column: None,
        text: "the file was shortened while it was read".to_owned(),
        count: 1,
    }
}

/// Can be kept, and given to another thread.
const _: fn() = || {
    fn is_kept<T: Send + Sync + 'static>() {}
    is_kept::<OwnedTrace>();
};
