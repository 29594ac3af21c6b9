//! Which lines units are made of: what tells a session that has changed from one
//! that is only written in another way.

use std::collections::HashMap;

use codex_rollout::Layout;
use codex_trace_export::UnitKey;
use codex_trace_history::OwnedTrace;
use codex_trace_history::owned::OwnedFile;
use codex_trace_model::{Rollout, Span, SpanKind, Timestamp, Trace};
use sha2::{Digest, Sha256};

use crate::ledger::{Lines, Past};

/// What the files say of the turns and threads of a session, whatever is made of
/// it.
#[derive(Debug, Default)]
pub(super) struct Recorded(HashMap<UnitKey, Record>);

/// The lines of a turn or thread, with those of all turns and threads below it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) lines: Lines,
    /// When the last of them was written, as far as they say.
    ended: Option<Timestamp>,
}

impl Record {
    /// Whether a unit was made of these very lines. What an older version of the
    /// ledger has tells it by the time only: lines are added, not changed.
    pub(super) fn is_of(&self, past: &Past) -> bool {
        match past.lines {
            Some(lines) => lines == self.lines,
            None => self.ended.zip(past.at).is_some_and(|(ended, at)| ended <= at),
        }
    }
}

/// What makes a digest of lines: all of a history goes through it.
trait Digester: Default {
    fn add(&mut self, bytes: &[u8]);
    fn lines(self) -> Lines;
}

impl Digester for blake3::Hasher {
    fn add(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }

    fn lines(self) -> Lines {
        Lines(self.finalize().into())
    }
}

impl Digester for Sha256 {
    fn add(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }

    fn lines(self) -> Lines {
        Lines(self.finalize().into())
    }
}

impl Recorded {
    /// Looks at the lines of all turns and threads.
    pub(super) fn of(owned: &OwnedTrace) -> Recorded {
        Recorded::by::<blake3::Hasher>(owned)
    }

    /// The same, as older versions wrote it into the ledger.
    pub(super) fn as_before(owned: &OwnedTrace) -> Recorded {
        Recorded::by::<Sha256>(owned)
    }

    fn by<D: Digester>(owned: &OwnedTrace) -> Recorded {
        let trace = owned.get();
        let files: HashMap<_, _> = owned
            .files()
            .iter()
            .map(|it| (it.head().rollout.path.as_path(), File::of(it)))
            .collect();
        let file_of = |span: &Span<'_>| {
            let rollout = trace.thread_of(span).rollout(span.provenance.rollout);
            rollout.and_then(|rollout: &Rollout| files.get(rollout.file.as_deref()?))
        };
        let mut all = HashMap::new();
        // What is below each span that something is below, from the last on.
        let mut below: HashMap<usize, (D, Option<Timestamp>)> = HashMap::new();
        for (ix, span) in trace.spans.iter().enumerate().rev() {
            let own = below.remove(&ix);
            let keys = keys(trace, span);
            if own.is_none() && keys.is_empty() {
                continue;
            }
            let (mut hasher, mut ended) = own.unwrap_or_default();
            if !keys.is_empty() {
                if let Some(file) = file_of(span) {
                    // What it says of the thread is in all that is made of it.
                    hasher.add(file.lines(1, 1));
                    hasher.add(file.lines(span.provenance.first_line, span.provenance.last_line));
                }
                ended = ended.max(span.end).max(span.start);
            }
            let lines = hasher.lines();
            all.extend(keys.into_iter().map(|key| (key, Record { lines, ended })));
            if let Some(parent) = span.parent {
                let above = below.entry(parent.index()).or_default();
                above.0.add(&lines.0);
                above.1 = above.1.max(ended);
            }
        }
        Recorded(all)
    }

    /// Returns what the files say of a unit.
    pub(super) fn get(&self, key: &UnitKey) -> Option<Record> {
        let of_thread = || self.0.get(&UnitKey { turn: None, ..key.clone() });
        self.0.get(key).or_else(of_thread).copied()
    }
}

/// Returns what units may call a span: backends differ in how they name a
/// thread's.
fn keys(trace: &Trace<'_>, span: &Span<'_>) -> Vec<UnitKey> {
    let key = |turn| UnitKey { thread_id: trace.thread_of(span).id.clone(), turn };
    match span.kind {
        SpanKind::Turn(_) => vec![key(Some(span.key.clone()))],
        SpanKind::Thread => vec![key(Some(span.key.clone())), key(None)],
        _ => Vec::new(),
    }
}

/// A file and where its lines are.
struct File<'f> {
    bytes: &'f [u8],
    /// Where each line ends; none of a file that has no lines.
    ends: Vec<usize>,
}

impl<'f> File<'f> {
    fn of(file: &'f OwnedFile) -> File<'f> {
        let (bytes, layout) = (file.source().bytes(), file.source().layout());
        let ends = match layout {
            Layout::Lines => memchr::memchr_iter(b'\n', bytes).map(|at| at + 1).collect(),
            _ => Vec::new(),
        };
        File { bytes, ends }
    }

    /// Returns lines, counted from 1, with their ends; all of a file that has none.
    fn lines(&self, first: u64, last: u64) -> &'f [u8] {
        let index = |line: u64| usize::try_from(line).unwrap_or(usize::MAX);
        let start = match index(first).checked_sub(2) {
            Some(before) => self.ends.get(before).copied().unwrap_or(0),
            None => 0,
        };
        let end = index(last).checked_sub(1).and_then(|nth| self.ends.get(nth).copied());
        &self.bytes[start..end.unwrap_or(self.bytes.len()).max(start)]
    }
}
