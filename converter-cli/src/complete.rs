//! What shells offer for an argument: sessions, destinations, models, sources.
//!
//! A shell waits for it, so nothing is read but names of files: what a history
//! of any size has is found in a bounded number of directory entries.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter};

use crate::args::GlobalArgs;
use crate::backends;
use crate::config::{ConfigFile, Environment, Settings};
use crate::prices::PriceTable;
use codex_rollout::session_dirs;

/// The variable by which a script asks.
pub const VARIABLE: &str = "CODEX_TRACE_COMPLETE";

/// The most sessions that are offered, the newest first.
const MOST: usize = 100;

/// The most directory entries that are looked at.
const MOST_ENTRIES: usize = 20_000;

/// Offers ids of sessions, and files.
pub fn sessions(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut offered = Vec::new();
    if let Some(typed) = current.to_str().filter(|it| may_be_id(it)) {
        let mut entries = MOST_ENTRIES;
        for home in settings().codex_homes {
            for dir in session_dirs(&home) {
                add_sessions(&dir, typed, &mut entries, &mut offered);
            }
        }
        // Of each home the newest first, and so of all.
        offered.sort_by(|one: &(String, String), other| other.0.cmp(&one.0));
        offered.truncate(MOST);
    }
    let ids = offered.into_iter().enumerate().map(|(nth, (started, id))| {
        CompletionCandidate::new(id).help(Some(started.into())).display_order(Some(nth))
    });
    ids.chain(PathCompleter::any().complete(current)).collect()
}

/// Offers destinations: those of `codex-trace.toml`, backends and products.
pub fn destinations(current: &OsStr) -> Vec<CompletionCandidate> {
    let file = ConfigFile::find(None, &settings()).unwrap_or_default();
    let own = file.destinations.iter().map(|(name, table)| {
        let help = format!("{}, in codex-trace.toml", table.backend);
        CompletionCandidate::new(name).help(Some(help.into()))
    });
    let is_own = |name: &str| file.destinations.contains_key(name);
    let known = backends::names().filter(|(name, _)| !is_own(name));
    let known =
        known.map(|(name, summary)| CompletionCandidate::new(name).help(Some(summary.into())));
    own.chain(known).filter(|it| begins_with(it, current)).collect()
}

/// Offers the models that have a price.
pub fn models(current: &OsStr) -> Vec<CompletionCandidate> {
    let prices = PriceTable::load(None).ok();
    let all = prices.iter().flat_map(PriceTable::models).map(CompletionCandidate::new);
    all.filter(|it| begins_with(it, current)).collect()
}

/// Offers what Codex records as the source of a session.
pub fn sources(current: &OsStr) -> Vec<CompletionCandidate> {
    let all = ["cli", "exec", "vscode", "mcp", "review", "subagent"].map(CompletionCandidate::new);
    all.into_iter().filter(|it| begins_with(it, current)).collect()
}

/// Not every shell leaves out what does not fit.
fn begins_with(candidate: &CompletionCandidate, current: &OsStr) -> bool {
    let value = candidate.get_value().as_encoded_bytes();
    value.starts_with(current.as_encoded_bytes())
}

fn settings() -> Settings {
    let unresolved = Settings::unresolved();
    Settings::resolve(&GlobalArgs::default(), &Environment::read()).unwrap_or(unresolved)
}

/// Whether an id can begin so: with nothing, too.
fn may_be_id(typed: &str) -> bool {
    typed.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') && !typed.starts_with('-')
}

/// Adds the sessions below a directory, the newest first: directories are named
/// by year, month and day.
fn add_sessions(dir: &Path, typed: &str, entries: &mut usize, offered: &mut Vec<(String, String)>) {
    let Ok(found) = fs::read_dir(dir) else { return };
    let mut names: Vec<(PathBuf, bool)> = Vec::new();
    for entry in found.flatten() {
        let Some(rest) = entries.checked_sub(1) else { break };
        *entries = rest;
        let is_dir = entry.file_type().is_ok_and(|it| it.is_dir());
        names.push((entry.path(), is_dir));
    }
    names.sort_by(|one, other| other.cmp(one));
    for (path, is_dir) in names {
        if offered.len() >= MOST {
            return;
        }
        if is_dir {
            add_sessions(&path, typed, entries, offered);
            continue;
        }
        let name = path.file_name().and_then(OsStr::to_str).and_then(of_name);
        offered.extend(name.filter(|(_, id)| id.starts_with(typed)));
    }
}

/// Reads the name of a rollout: when it was started, and the id.
fn of_name(name: &str) -> Option<(String, String)> {
    let rest = name.strip_prefix("rollout-")?;
    let (stamp, rest) = rest.split_at_checked("2026-11-21T05-47-31".len())?;
    let id = rest.strip_prefix('-')?.get(..36)?;
    let (day, time) = stamp.split_once('T')?;
    let minute = time.get(..5)?.replace('-', ":");
    may_be_id(id).then(|| (format!("{day} {minute}"), id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rollouts_say_when_and_which() {
        let id = "01a1fca4-0ee9-7000-8000-000000000001";
        let read = |name: &str| of_name(&name.replace("ID", id));
        let told = Some(("2026-11-21 05:47".to_owned(), id.to_owned()));
        assert_eq!(read("rollout-2026-11-21T05-47-31-ID.jsonl"), told);
        assert_eq!(read("rollout-2026-11-21T05-47-31-ID.jsonl.zst"), told);
        for other in ["ID.jsonl", "rollout-2026-11-21-ID.jsonl", "rollout-é", "rollout-"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
