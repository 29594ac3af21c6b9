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

use codex_trace_export::{Keep, Receipt, TurnState};

use crate::companions::Deadline;
use crate::companions::langsmith::lock::Lock;
use crate::private;
use crate::whole::WholeFile;

/// The most that a topology file may hold, as the plugin has it, in bytes.
const MAX_TOPOLOGY: u64 = 64 << 10;

/// The most that a sidecar may hold, in bytes: a million turns.
const MAX_SIDECAR: u64 = 128 << 20;

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

/// Whether the plugin has left anything in a directory.
pub(super) fn is_in(dir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    let names = entries.flatten().map(|entry| entry.file_name());
    names.into_iter().any(|name| {
        let name = name.to_string_lossy();
        name.contains(".langsmith")
    })
}

/// What a sidecar says.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// What the plugin has noted, by turn.
    pub(super) states: HashMap<String, TurnState>,
    /// The turns that we have noted, for both generations.
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
    let text = private::small_bytes_here(&beside(rollout, ".langsmith"), MAX_SIDECAR)?;
    let Some(text) = text else { return Ok(lines) };
    let Lines { states, ours } = &mut lines;
    // Killed after the first of two lines, we have told only one generation.
    let mut said = HashSet::new();
    for line in String::from_utf8_lossy(&text).split('\n').filter(|line| !line.is_empty()) {
        let noted = serde_json::from_str::<Line<'_>>(line).ok();
        if let Some(Line { by: Some(by), turn_id, .. }) = &noted
            && *by == US
        {
            said.insert(turn_id.clone().into_owned());
            continue;
        }
        if said.contains(line) {
            ours.insert(line.to_owned());
            continue;
        }
        let noted = noted.and_then(|line| {
            let state = match &*line.state {
                "uploaded" => TurnState::Uploaded,
                "backlog" => TurnState::Backlog,
                "off" => TurnState::Off,
                _ => return None,
            };
            Some((line.turn_id.into_owned(), state))
        });
        if let Some((turn, state)) = noted {
            states.insert(turn, state);
            continue;
        }
        let state = states.entry(line.to_owned()).or_insert(TurnState::Claimed);
        if *state != TurnState::Uploaded {
            *state = TurnState::Claimed;
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

/// Reads what the plugin has written of where the root of a turn is, if it has
/// begun to.
pub(super) fn topology(rollout: &Path, turn: &str) -> Option<String> {
    let text = private::small_bytes_here(&topology_path(rollout, turn), MAX_TOPOLOGY);
    String::from_utf8(text.ok()??).ok()
}

/// Notes that turns have been uploaded, and where their roots are, so that the
/// plugin leaves them alone.
///
/// # Errors
///
/// If it cannot be written, or somebody holds the lock for too long.
pub(super) fn note(rollout: &Path, receipts: &[&Receipt], until: &Deadline<'_>) -> io::Result<()> {
    let _lock = Lock::take(&beside(rollout, ".langsmith.lock"), until)?;
    let path = beside(rollout, ".langsmith");
    let there = private::small_bytes_here(&path, MAX_SIDECAR)?.unwrap_or_default();
    let mut text = String::new();
    for Receipt { turn, note, .. } in receipts {
        if let Some(note) = note {
            write_topology(&topology_path(rollout, turn), note)?;
        }
        let line =
            Line { turn_id: turn.as_str().into(), state: "uploaded".into(), by: Some(US.into()) };
        let lines = format!("{}\n{turn}\n", serde_json::to_string(&line)?);
        if memchr::memmem::find(&there, lines.as_bytes()).is_none() && !text.contains(&lines) {
            text.push_str(&lines);
        }
    }
    if text.is_empty() {
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

fn write_topology(path: &Path, text: &str) -> io::Result<()> {
    if text.is_empty() || path.exists() {
        return Ok(());
    }
    let mut file = WholeFile::create(path)?;
    file.write_all(text.as_bytes())?;
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
        let path = home.join(".codex").join("langsmith-state.privacy.json");
        match private::small_bytes(&path, MAX_SIDECAR) {
            Ok(Some(text)) => Policy::parse(&text),
            Ok(None) => Policy { threads: Some(HashMap::new()) },
            Err(_) => Policy { threads: None },
        }
    }

    fn parse(text: &[u8]) -> Policy {
        let file: Option<PolicyFile> = serde_json::from_slice(text).ok();
        Policy { threads: file.filter(|it| it.version == 1).map(|it| it.threads) }
    }

    /// Returns how much of a turn may be uploaded; `None` if nothing is said.
    pub(super) fn mode(&self, thread: &str, turn: &str) -> Option<Keep> {
        // As the plugin: what cannot be understood says the worst.
        let Some(threads) = &self.threads else { return Some(Keep::Metadata) };
        let policy = threads.get(thread)?;
        let said = policy.inherited.as_ref().or_else(|| policy.turns.get(turn));
        Some(match said.or(policy.preference.as_ref()).map(String::as_str) {
            Some("off") => Keep::Off,
            Some("full") => Keep::Full,
            Some(_) => Keep::Metadata,
            None => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

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
        assert_eq!(of("old"), Some(TurnState::Claimed));
        assert_eq!(of("a"), Some(TurnState::Uploaded), "a bare line takes nothing back");
        assert_eq!(of("b"), Some(TurnState::Uploaded));
        assert_eq!(of("c"), Some(TurnState::Off));
    }

    fn receipt(turn: &str, note: &str) -> Receipt {
        Receipt { file: PathBuf::new(), turn: turn.to_owned(), note: Some(note.to_owned()) }
    }

    fn tell(rollout: &Path, receipts: &[&Receipt]) {
        let interrupted = AtomicBool::new(false);
        note(rollout, receipts, &Deadline::new(Duration::ZERO, &interrupted)).unwrap();
    }

    /// What the released plugin looks for: a line that is the id.
    #[test]
    fn what_is_noted_is_understood_by_both() {
        let (_dir, path) = rollout();
        let (turn, place) = (receipt("turn", "{}"), Some("{}".to_owned()));
        tell(&path, &[&turn]);
        tell(&path, &[&turn]);
        let text = std::fs::read_to_string(beside(&path, ".langsmith")).unwrap();
        assert_eq!(
            text,
            "{\"turnId\":\"turn\",\"state\":\"uploaded\",\"by\":\"codex-trace\"}\nturn\n"
        );
        assert_eq!(topology(&path, "turn"), place);
        assert_eq!(topology(&path, "other"), None);
        assert!(!beside(&path, ".langsmith.lock").exists());
        let Lines { states, ours } = lines(&path).unwrap();
        assert!(states.is_empty() && ours.contains("turn"), "it is for the plugin");
        // A line that was cut short stays by itself.
        std::fs::write(beside(&path, ".langsmith"), "old\ntorn").unwrap();
        tell(&path, &[&receipt("turn", ""), &receipt("next", "")]);
        let Lines { states, ours } = lines(&path).unwrap();
        assert_eq!((states["torn"], ours.len()), (TurnState::Claimed, 2));
        std::fs::write(beside(&path, ".langsmith"), "turn\n").unwrap();
        let zst = path.with_extension("jsonl.zst");
        assert_eq!(lines(&zst).unwrap().states["turn"], TurnState::Claimed, "compressed or not");
    }

    #[test]
    fn topology_has_a_file_of_the_plugins_name() {
        let (_dir, path) = rollout();
        // `printf turn | sha256sum`
        assert!(topology_path(&path, "turn").to_str().unwrap().ends_with(
            "/rollout-x.jsonl.langsmith-topology-9b473845f684444f80a26586ae298d2ba491752cc70b893cc653d943b6fa2ac2.json"
        ));
    }

    #[test]
    fn privacy_is_read_as_the_plugin_reads_it() {
        let text = br#"{"version":1,"threads":{
            "t":{"turns":{"a":"off","b":"metadata","c":"full"}},
            "sub":{"inherited":"off","turns":{"a":"full"}},
            "muted":{"preference":"metadata","turns":{}}}}"#;
        let policy = Policy::parse(text);
        assert_eq!(policy.mode("t", "a"), Some(Keep::Off));
        assert_eq!(policy.mode("t", "b"), Some(Keep::Metadata));
        assert_eq!(policy.mode("t", "c"), Some(Keep::Full));
        assert_eq!(policy.mode("t", "unknown"), None);
        assert_eq!(policy.mode("sub", "a"), Some(Keep::Off));
        assert_eq!(policy.mode("muted", "x"), Some(Keep::Metadata));
        assert_eq!(policy.mode("never seen", "x"), None);
        let broken = Policy::parse(b"{");
        assert_eq!(broken.mode("t", "c"), Some(Keep::Metadata));
    }
}
