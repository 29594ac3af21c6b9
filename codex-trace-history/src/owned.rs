//! Traces that own the files that they borrow from, for who keeps them:
//! objects of Python or the JVM, queues, other threads.

#![allow(unsafe_code, reason = "what self_cell's macro is made of; none of it is ours")]

use std::sync::Arc;

use codex_rollout::{RolloutHead, Source};
use codex_trace_model::{Code, Diagnostic, Member, RolloutInput, Trace, resolve};
use self_cell::self_cell;

/// One file of a session, opened.
#[derive(Debug)]
pub struct OwnedFile {
    head: RolloutHead,
    /// What grouping says of it; its head is the one above, at 0.
    member: Member,
    source: Arc<Source>,
    ancestor: Option<Arc<Source>>,
}

impl OwnedFile {
    /// Takes a file of a session with its bytes, and those of the file whose
    /// history it continues or holds a copy of, if that is here: of the same
    /// session perhaps, which is why both are shared.
    pub fn new(
        head: RolloutHead,
        member: Member,
        source: Arc<Source>,
        ancestor: Option<Arc<Source>>,
    ) -> OwnedFile {
        OwnedFile { head, member: Member { head: 0, ..member }, source, ancestor }
    }

    /// Returns what the file says of itself.
    pub fn head(&self) -> &RolloutHead {
        &self.head
    }

    /// Returns its bytes.
    pub fn source(&self) -> &Source {
        &self.source
    }

    fn input(&self) -> RolloutInput<'_> {
        let file = self.member.file(std::slice::from_ref(&self.head));
        RolloutInput { file, source: &self.source, ancestor: self.ancestor.as_deref() }
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
