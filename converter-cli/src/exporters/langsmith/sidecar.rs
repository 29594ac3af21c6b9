//! What the live plugin keeps beside the rollouts: which turns it has dealt
//! with, where it put their roots, which of them are private.
//!
//! The plugin's released generation (up to 0.0.7) writes one bare turn id a
//! line, the coming one JSON. Both take a bare id for uploaded, so both are
//! written: whichever plugin runs next leaves the turn alone.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::exporters::langsmith::lock::Lock;
use crate::private;
use crate::whole::WholeFile;

/// The most that a topology file may hold, as the plugin has it, in bytes.
const MAX_TOPOLOGY: u64 = 64 << 10;

/// What the plugin has noted of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// A bare line: uploaded, or lost by a plugin up to 0.0.7.
    Claimed,
    /// Uploaded.
    Uploaded,
    /// Left to somebody else: us.
    Backlog,
    /// Not to be uploaded.
    Off,
}

/// How much of a turn may be uploaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Full,
    /// Without content.
    Metadata,
    /// Not at all.
    Off,
}

/// Where the plugin put the root of a turn.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Topology {
    pub(super) parent_run_id: Option<String>,
    pub(super) trace_id: String,
    pub(super) dotted_order: String,
    pub(super) execution_order: u32,
    pub(super) child_execution_order: u32,
}

#[derive(Deserialize, Serialize)]
struct Checkpoint {
    topology: Topology,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'l> {
    turn_id: std::borrow::Cow<'l, str>,
    state: std::borrow::Cow<'l, str>,
    /// Who wrote it, if not the plugin, which does not mind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<std::borrow::Cow<'l, str>>,
}

/// Who we are in a sidecar.
const US: &str = "codex-trace";

/// Returns the path that the plugin knows a rollout by: compressed or not.
fn plain(rollout: &Path) -> PathBuf {
    match rollout.extension().and_then(|it| it.to_str()) {
        Some("zst" | "gz") => rollout.with_extension(""),
        _ => rollout.to_owned(),
    }
}

fn beside(rollout: &Path, suffix: &str) -> PathBuf {
    let mut path = plain(rollout).into_os_string();
    path.push(suffix);
    PathBuf::from(path)
}

/// What a sidecar says.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// What the plugin has noted, by turn.
    pub(super) states: HashMap<String, State>,
    /// The turns that we have noted.
    pub(super) ours: HashSet<String>,
}

/// Reads what the plugin has noted of a rollout's turns; the last line counts,
/// but what was once confirmed stays so.
///
/// Our own lines are for the plugin, and say nothing to us: what reached which
/// destination is in the ledger.
///
/// # Errors
///
/// If there is a sidecar that cannot be read: to go on would be to upload what
/// must not be.
pub(super) fn lines(rollout: &Path) -> io::Result<Lines> {
    let mut lines = Lines::default();
    let text = match std::fs::read(beside(rollout, ".langsmith")) {
        Ok(text) => text,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(lines),
        Err(err) => return Err(err),
    };
    let Lines { states, ours } = &mut lines;
    for line in String::from_utf8_lossy(&text).split('\n').filter(|line| !line.is_empty()) {
        let noted = serde_json::from_str::<Line<'_>>(line).ok();
        if let Some(Line { by: Some(by), turn_id, .. }) = &noted
            && *by == US
        {
            ours.insert(turn_id.clone().into_owned());
            continue;
        }
        if ours.contains(line) {
            continue;
        }
        let noted = noted.and_then(|line| {
            let state = match &*line.state {
                "uploaded" => State::Uploaded,
                "backlog" => State::Backlog,
                "off" => State::Off,
                _ => return None,
            };
            Some((line.turn_id.into_owned(), state))
        });
        if let Some((turn, state)) = noted {
            states.insert(turn, state);
            continue;
        }
        let state = states.entry(line.to_owned()).or_insert(State::Claimed);
        if *state != State::Uploaded {
            *state = State::Claimed;
        }
    }
    Ok(lines)
}

fn topology_path(rollout: &Path, turn: &str) -> PathBuf {
    use std::fmt::Write;
    let mut suffix = String::from(".langsmith-topology-");
    for byte in Sha256::digest(turn) {
        write!(suffix, "{byte:02x}").expect("a string takes everything");
    }
    beside(rollout, &(suffix + ".json"))
}

/// Reads where the plugin put the root of a turn, if it has begun to.
pub(super) fn topology(rollout: &Path, turn: &str) -> Option<Topology> {
    let path = topology_path(rollout, turn);
    if path.metadata().ok()?.len() > MAX_TOPOLOGY {
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    text.lines()
        .filter_map(|line| serde_json::from_str::<Checkpoint>(line).ok())
        .map(|line| line.topology)
        .find(|it| {
            it.parent_run_id.as_ref().is_none_or(|id| id.len() <= 64)
                && it.trace_id.len() <= 64
                && it.dotted_order.len() <= 2048
                && it.execution_order > 0
                && it.child_execution_order > 0
        })
}

/// Notes that a turn has been uploaded, and where its root is, so that the
/// plugin leaves it alone.
///
/// # Errors
///
/// If it cannot be written, or somebody holds the lock for too long.
pub(super) fn note(rollout: &Path, turn: &str, topology: Option<&Topology>) -> io::Result<()> {
    let _lock = Lock::take(&beside(rollout, ".langsmith.lock"))?;
    if let Some(topology) = topology {
        write_topology(&topology_path(rollout, turn), topology)?;
    }
    let line = Line { turn_id: turn.into(), state: "uploaded".into(), by: Some(US.into()) };
    let mut text = format!("{}\n{turn}\n", serde_json::to_string(&line)?);
    let path = beside(rollout, ".langsmith");
    let there = std::fs::read(&path).unwrap_or_default();
    if memchr::memmem::find(&there, text.as_bytes()).is_some() {
        return Ok(());
    }
    // Whoever wrote last may have been cut short.
    if there.last().is_some_and(|byte| *byte != b'\n') {
        text.insert(0, '\n');
    }
    let mut options = private::options();
    let mut file = options.create(true).append(true).open(path)?;
    // One write, so that a reader never sees half of it.
    file.write_all(text.as_bytes())
}

fn write_topology(path: &Path, topology: &Topology) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let text = serde_json::to_vec(&Checkpoint { topology: topology.clone() })?;
    let mut file = WholeFile::create(path)?;
    file.write_all(&text)?;
    file.persist()
}

/// The plugin's file of private threads and turns.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    version: u32,
    threads: HashMap<String, ThreadPolicy>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThreadPolicy {
    #[serde(default)]
    preference: Option<String>,
    turns: HashMap<String, String>,
    #[serde(default)]
    inherited: Option<String>,
}

/// What users want kept private.
#[derive(Debug)]
pub(super) struct Policy {
    /// `None` if there is a file that nobody can make sense of.
    threads: Option<HashMap<String, ThreadPolicy>>,
}

impl Policy {
    /// Reads `~/.codex/langsmith-state.privacy.json`.
    pub(super) fn read(home: Option<&Path>) -> Policy {
        let Some(home) = home else { return Policy { threads: Some(HashMap::new()) } };
        match std::fs::read(home.join(".codex/langsmith-state.privacy.json")) {
            Ok(text) => Policy::parse(&text),
            Err(err) if err.kind() == io::ErrorKind::NotFound => {
                Policy { threads: Some(HashMap::new()) }
            }
            Err(_) => Policy { threads: None },
        }
    }

    fn parse(text: &[u8]) -> Policy {
        let file: Option<PolicyFile> = serde_json::from_slice(text).ok();
        Policy { threads: file.filter(|it| it.version == 1).map(|it| it.threads) }
    }

    /// Returns how much of a turn may be uploaded; `None` if nothing is said.
    pub(super) fn mode(&self, thread: &str, turn: &str) -> Option<Mode> {
        // As the plugin: what cannot be understood says the worst.
        let Some(threads) = &self.threads else { return Some(Mode::Metadata) };
        let policy = threads.get(thread)?;
        let said = policy.inherited.as_ref().or_else(|| policy.turns.get(turn));
        Some(match said.or(policy.preference.as_ref()).map(String::as_str) {
            Some("off") => Mode::Off,
            Some("full") => Mode::Full,
            Some(_) => Mode::Metadata,
            None => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rollout-x.jsonl");
        (dir, path)
    }

    #[test]
    fn both_generations_of_sidecars_are_read() {
        let (_dir, path) = rollout();
        let states = |path: &Path| lines(path).unwrap().states;
        assert!(states(&path).is_empty());
        let text = "old\n{\"turnId\":\"a\",\"state\":\"uploaded\"}\n{\"turnId\":\"b\",\"state\":\"backlog\"}\n\
                    {\"turnId\":\"c\",\"state\":\"off\"}\n{\"turnId\":\"b\",\"state\":\"uploaded\"}\na\n";
        std::fs::write(beside(&path, ".langsmith"), text).unwrap();
        let states = states(&path);
        let of = |turn| states.get(turn).copied();
        assert_eq!(of("old"), Some(State::Claimed));
        assert_eq!(of("a"), Some(State::Uploaded), "a bare line takes nothing back");
        assert_eq!(of("b"), Some(State::Uploaded));
        assert_eq!(of("c"), Some(State::Off));
    }

    /// What the released plugin looks for: a line that is the id.
    #[test]
    fn what_is_noted_is_understood_by_both() {
        let (_dir, path) = rollout();
        let topology = Topology {
            parent_run_id: None,
            trace_id: "t".to_owned(),
            dotted_order: "d".to_owned(),
            execution_order: 1,
            child_execution_order: 4,
        };
        note(&path, "turn", Some(&topology)).unwrap();
        note(&path, "turn", Some(&topology)).unwrap();
        let text = std::fs::read_to_string(beside(&path, ".langsmith")).unwrap();
        assert_eq!(
            text,
            "{\"turnId\":\"turn\",\"state\":\"uploaded\",\"by\":\"codex-trace\"}\nturn\n"
        );
        assert_eq!(super::topology(&path, "turn"), Some(topology));
        assert_eq!(super::topology(&path, "other"), None);
        assert!(!beside(&path, ".langsmith.lock").exists());
        let Lines { states, ours } = lines(&path).unwrap();
        assert!(states.is_empty() && ours.contains("turn"), "it is for the plugin");
        // A line that was cut short stays by itself.
        std::fs::write(beside(&path, ".langsmith"), "old\ntorn").unwrap();
        note(&path, "turn", None).unwrap();
        let Lines { states, ours } = lines(&path).unwrap();
        assert_eq!((states["torn"], ours.len()), (State::Claimed, 1));
        std::fs::write(beside(&path, ".langsmith"), "turn\n").unwrap();
        let zst = path.with_extension("jsonl.zst");
        assert_eq!(lines(&zst).unwrap().states["turn"], State::Claimed, "compressed or not");
    }

    #[test]
    fn topology_is_spelled_as_the_plugin_spells_it() {
        let (_dir, path) = rollout();
        let text = r#"{"topology":{"parentRunId":null,"traceId":"t","dottedOrder":"d","executionOrder":1,"childExecutionOrder":1}}"#;
        let file = topology_path(&path, "turn");
        // `printf turn | sha256sum`
        assert!(file.to_str().unwrap().ends_with(
            "/rollout-x.jsonl.langsmith-topology-9b473845f684444f80a26586ae298d2ba491752cc70b893cc653d943b6fa2ac2.json"
        ));
        std::fs::write(&file, text).unwrap();
        assert_eq!(topology(&path, "turn").unwrap().dotted_order, "d");
        std::fs::write(&file, text.replace(":1}", ":0}")).unwrap();
        assert_eq!(topology(&path, "turn"), None);
    }

    #[test]
    fn privacy_is_read_as_the_plugin_reads_it() {
        let text = br#"{"version":1,"threads":{
            "t":{"turns":{"a":"off","b":"metadata","c":"full"}},
            "sub":{"inherited":"off","turns":{"a":"full"}},
            "muted":{"preference":"metadata","turns":{}}}}"#;
        let policy = Policy::parse(text);
        assert_eq!(policy.mode("t", "a"), Some(Mode::Off));
        assert_eq!(policy.mode("t", "b"), Some(Mode::Metadata));
        assert_eq!(policy.mode("t", "c"), Some(Mode::Full));
        assert_eq!(policy.mode("t", "unknown"), None);
        assert_eq!(policy.mode("sub", "a"), Some(Mode::Off));
        assert_eq!(policy.mode("muted", "x"), Some(Mode::Metadata));
        assert_eq!(policy.mode("never seen", "x"), None);
        let broken = Policy::parse(b"{");
        assert_eq!(broken.mode("t", "c"), Some(Mode::Metadata));
    }
}
