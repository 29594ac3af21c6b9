//! What a run came to, in numbers.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use codex_trace_model::{Code, Trace};

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

    /// Whether nothing was found, and nothing else stood in the way: the filters
    /// are to blame.
    pub fn is_empty(&self) -> bool {
        self.sessions == 0 && self.failed == 0
    }

    /// Returns how many diagnostics have one of `codes`.
    pub fn n_of(&self, codes: &[Code]) -> usize {
        codes.iter().filter_map(|code| self.diagnostics.get(code)).sum()
    }
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
