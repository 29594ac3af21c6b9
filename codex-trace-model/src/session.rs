use codex_rollout::Source;

use crate::trace::Trace;

/// One opened file of a session.
#[derive(Clone, Copy, Debug)]
pub struct RolloutInput<'a> {
    /// What to call the file in provenance and diagnostics.
    pub path: &'a str,
    /// What tells several files of one thread apart; see
    /// [`RolloutHead::rollout_id`](codex_rollout::RolloutHead).
    pub rollout_id: &'a str,
    /// The thread, unless the file itself says otherwise.
    pub thread_id: &'a str,
    /// The file.
    pub source: &'a Source,
    /// The file whose history this one continues or holds a copy of.
    pub ancestor: Option<&'a Source>,
}

/// Resolves the files of one session, as [`group`](crate::group) put them
/// together, into its trace.
///
/// Never fails: what cannot be used becomes a diagnostic.
pub fn resolve<'a>(_rollouts: &[RolloutInput<'a>]) -> Trace<'a> {
    Trace { threads: Vec::new(), spans: Vec::new(), diagnostics: Vec::new() }
}
