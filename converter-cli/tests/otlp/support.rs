//! Opens the homes of `testdata/` and encodes them as a backend would.

use std::path::{Path, PathBuf};

use codex_rollout::{Copies, RolloutHead, Source, discover};
use codex_trace_export::content::ContentRules;
use codex_trace_export::{Cx, Exporter, Notes, Settings, Unit};
use codex_trace_model::{RolloutInput, Trace, group, nearest_ancestor, resolve};
use converter_cli::backends::BACKENDS;

/// Returns the homes of `testdata/`, sorted.
pub(crate) fn homes() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/homes");
    let mut found: Vec<PathBuf> = std::fs::read_dir(&root)
        .unwrap_or_else(|err| panic!("{}: {err}", root.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    assert!(found.len() > 10, "testdata is all here");
    found
}

/// Calls `check` with the name of the home and the trace of every session of
/// every home.
pub(crate) fn for_each_trace(mut check: impl FnMut(&str, &Trace<'_>)) {
    for home in homes() {
        let name = home.file_name().unwrap().to_string_lossy().into_owned();
        for_each_session(&home, |_, trace| check(&name, trace));
    }
}

/// Calls `check` with the trace of every session below a directory.
pub(crate) fn for_each_trace_in(dir: &Path, mut check: impl FnMut(&Trace<'_>)) {
    for_each_session(dir, |_, trace| check(trace));
}

/// Returns the directories of `testdata/codex-otel`: rollouts, and what Codex itself
/// sent of them.
pub(crate) fn recordings() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/codex-otel");
    let entries = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

/// Calls `check` with the session that a file belongs to, as its home has it.
pub(crate) fn with_session_of(file: &Path, check: impl FnOnce(&Trace<'_>)) {
    let home = file.ancestors().find(|dir| dir.join("sessions").is_dir());
    let home = home.unwrap_or_else(|| file.parent().unwrap());
    let mut check = Some(check);
    for_each_session(home, |files, trace| {
        if files.iter().any(|it| it == file) {
            check.take().unwrap()(trace);
        }
    });
    assert!(check.is_none(), "{}: no such file", file.display());
}

/// Calls `check` with the files and the trace of every session below a directory.
fn for_each_session(dir: &Path, mut check: impl FnMut(&[PathBuf], &Trace<'_>)) {
    let heads: Vec<RolloutHead> =
        discover(dir).map(|found| RolloutHead::read(&found.unwrap()).unwrap()).collect();
    for session in group(&heads, &Copies::find(&heads)) {
        let open = |head: usize| Source::open(&heads[head].rollout).unwrap();
        let opened: Vec<_> = session
            .members
            .iter()
            .map(|it| {
                let source = open(it.head);
                let ancestors = it.ancestors.iter().copied().map(open);
                let ancestor = nearest_ancestor(&source, ancestors);
                (it.file(&heads), source, ancestor)
            })
            .collect();
        let inputs: Vec<RolloutInput<'_>> = opened
            .iter()
            .map(|(file, source, ancestor)| RolloutInput {
                file: *file,
                source,
                ancestor: ancestor.as_ref(),
            })
            .collect();
        let files: Vec<PathBuf> = opened.iter().map(|(file, _, _)| file.path.into()).collect();
        check(&files, &resolve(&inputs));
    }
}

/// Resolves bytes as the only file of a session.
pub(crate) fn with_bytes<T>(bytes: &str, check: impl FnOnce(&Trace<'_>) -> T) -> T {
    let source = Source::from_bytes(bytes.as_bytes().to_vec());
    check(&resolve(&[RolloutInput::new("/somewhere/made.jsonl", "made", &source)]))
}

/// Makes the exporter of a backend.
pub(crate) fn exporter(backend: &str, settings: &Settings) -> Box<dyn Exporter> {
    let backend = BACKENDS.iter().find(|it| it.name == backend).unwrap();
    (backend.connect)(settings).unwrap().remove(0)
}

/// Returns the units of a trace.
pub(crate) fn units(exporter: &dyn Exporter, trace: &Trace<'_>) -> Vec<Unit> {
    let mut units = Vec::new();
    let (rules, notes) = (ContentRules::default(), Notes::default());
    exporter
        .encode(&Cx { trace, rules: &rules, notes: &notes }, &mut |unit| units.push(unit))
        .unwrap();
    units
}

/// Numbers that are the same in every run: a linear congruence.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// Returns a number below `n`, or 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n.max(1)
    }
}
