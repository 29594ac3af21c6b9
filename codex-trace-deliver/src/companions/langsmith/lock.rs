//! The live plugin's lock around its sidecars, by its protocol: whoever was
//! killed holds up nobody for long.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::alive::is_alive;
use crate::companions::Deadline;
use crate::private;

/// How long a lock without an owner is left alone.
const INITIALIZING: Duration = Duration::from_secs(10);

/// How long to wait between two looks at a lock that is held.
const RETRY: Duration = Duration::from_millis(50);

/// The most that an owner says of itself, in bytes.
const MAX_OWNER: u64 = 4 << 10;

/// What the system counts a process' start in, for a second.
const TICKS: u64 = 100;

/// By how much the clocks of files and of processes may differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(2);

/// The plugin's lock: a directory with a file that says whose it is.
#[derive(Debug)]
pub(super) struct Lock {
    dir: PathBuf,
    token: String,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct Owner {
    pid: u32,
    token: String,
}

impl Lock {
    /// Takes it; gives it back when dropped.
    ///
    /// # Errors
    ///
    /// If it cannot be made, or somebody holds it for too long. Nobody waits for
    /// the dead: their lock is taken even when there is no time left to wait.
    pub(super) fn take(dir: &Path, until: &Deadline<'_>) -> io::Result<Lock> {
        loop {
            if let Some(lock) = Lock::make(dir)? {
                return Ok(lock);
            }
            if recover(dir)? == Look::Held && !until.rest(RETRY) {
                let what = format!("somebody holds `{}`", dir.display());
                return Err(io::Error::new(io::ErrorKind::TimedOut, what));
            }
        }
    }

    /// Makes it, unless somebody has it.
    fn make(dir: &Path) -> io::Result<Option<Lock>> {
        match private::dirs().create(dir) {
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            made => made?,
        }
        let pid = std::process::id();
        let token = format!("codex-trace-{pid}-{:016x}", crate::clock::jitter().to_bits());
        let owner = serde_json::to_vec(&Owner { pid, token: token.clone() })?;
        let mut options = private::options();
        let path = dir.join("owner.json");
        let mut file = match options.create_new(true).write(true).open(&path) {
            Ok(file) => file,
            // Somebody took it for abandoned, and may have it by now.
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(err) => {
                std::fs::remove_dir(dir).ok();
                return Err(err);
            }
        };
        if let Err(err) = file.write_all(&owner) {
            std::fs::remove_file(&path).ok();
            std::fs::remove_dir(dir).ok();
            return Err(err);
        }
        Ok(Some(Lock { dir: dir.to_owned(), token }))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Somebody may have taken us for dead.
        if owner(&self.dir).is_some_and(|owner| owner.token == self.token) {
            std::fs::remove_file(self.dir.join("owner.json")).ok();
            std::fs::remove_dir(&self.dir).ok();
        }
    }
}

fn owner(dir: &Path) -> Option<Owner> {
    read_owner(&dir.join("owner.json"))
}

fn read_owner(file: &Path) -> Option<Owner> {
    serde_json::from_slice(&private::small_bytes_here(file, MAX_OWNER).ok()??).ok()
}

/// Whether the process that wrote a file of an owner still runs: one of its
/// number does, and did when the file was written.
fn still_runs(owner: &Owner, file: &Path) -> bool {
    let Some(process) = Process::read(owner.pid) else { return is_alive(owner.pid) };
    let written = file.symlink_metadata().and_then(|it| it.modified()).ok();
    let reused = || Some(process.started_at()? > written? + CLOCKS_DIFFER);
    !process.has_ended && !reused().unwrap_or(false)
}

/// What the system tells of a process, where it does.
struct Process {
    /// Whether only its parent has not yet asked how it ended.
    has_ended: bool,
    /// When it began, in ticks since the system did.
    began: u64,
}

impl Process {
    fn read(pid: u32) -> Option<Process> {
        let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        // The name, in brackets, may hold anything.
        let stat = String::from_utf8_lossy(&stat);
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let n_threads: u64 = fields.get(17)?.parse().ok()?;
        // One whose first thread has ended may still run others.
        let has_ended = matches!(*fields.first()?, "Z" | "X") && n_threads <= 1;
        Some(Process { has_ended, began: fields.get(19)?.parse().ok()? })
    }

    fn started_at(&self) -> Option<SystemTime> {
        let system = std::fs::read_to_string("/proc/stat").ok()?;
        let booted = system.lines().find_map(|line| line.strip_prefix("btime "))?;
        let booted = Duration::from_secs(booted.trim().parse().ok()?);
        let began = Duration::from_millis(self.began.saturating_mul(1_000 / TICKS));
        Some(UNIX_EPOCH + booted + began)
    }
}

/// Whether whoever wrote a file of an owner is no more.
fn is_abandoned(file: &Path) -> bool {
    match read_owner(file) {
        Some(owner) => !still_runs(&owner, file),
        None => file.symlink_metadata().is_ok_and(|it| age(&it) >= INITIALIZING),
    }
}

/// Returns how long ago something was written. By how far it lies ahead, if the
/// clock was put back since: that, too, is not a moment ago.
#[expect(clippy::disallowed_methods, reason = "how long somebody has held it")]
fn age(metadata: &std::fs::Metadata) -> Duration {
    let written = metadata.modified().ok();
    written.map_or(Duration::ZERO, |at| at.elapsed().unwrap_or_else(|ahead| ahead.duration()))
}

/// What became of a lock that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Somebody who may live has it.
    Held,
    /// Nobody has it, or another look will tell.
    Free,
}

/// Whether whoever holds a lock lives no more; in doubt, it does.
fn is_dead(owner: Option<&Owner>, dir: &Path) -> bool {
    match owner {
        Some(owner) => !still_runs(owner, &dir.join("owner.json")),
        None => dir.symlink_metadata().is_ok_and(|it| age(&it) >= INITIALIZING),
    }
}

/// Removes the lock of a process that is no more. One at a time: the plugin
/// uses the same file to say who is at it.
fn recover(dir: &Path) -> io::Result<Look> {
    let Ok(metadata) = std::fs::symlink_metadata(dir) else { return Ok(Look::Free) };
    if !metadata.is_dir() {
        let what = format!("`{}` is not a lock", dir.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    let seen = owner(dir);
    if !is_dead(seen.as_ref(), dir) {
        return Ok(Look::Held);
    }
    let pid = seen.as_ref().map_or(0, |owner| owner.pid);
    let mut at_it = dir.as_os_str().to_owned();
    at_it.push(format!(".recover-{pid}"));
    let mut options = private::options();
    let Ok(mut file) = options.create_new(true).write(true).open(&at_it) else {
        // Somebody is at it, or has died of it: then the next look finds it free.
        let gone = is_abandoned(Path::new(&at_it)) && std::fs::remove_file(&at_it).is_ok();
        return Ok(if gone { Look::Free } else { Look::Held });
    };
    let me = Owner { pid: std::process::id(), token: "recovery".to_owned() };
    let said = serde_json::to_vec(&me).map_err(io::Error::from);
    let said = said.and_then(|me| file.write_all(&me));
    // Somebody else may have done it, and hold it by now.
    let same = said.is_ok() && owner(dir) == seen && is_dead(seen.as_ref(), dir);
    let gone = same && {
        std::fs::remove_file(dir.join("owner.json")).ok();
        std::fs::remove_dir(dir).is_ok()
    };
    std::fs::remove_file(&at_it).ok();
    said.map(|()| if gone { Look::Free } else { Look::Held })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn the_lock_of_the_dead_is_taken_and_that_of_the_living_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("x.lock");
        std::fs::create_dir(&lock).unwrap();
        let owner = |pid: u32| format!(r#"{{"pid":{pid},"token":"x"}}"#);
        std::fs::write(lock.join("owner.json"), owner(std::process::id())).unwrap();
        recover(&lock).unwrap();
        assert!(lock.exists());
        // Above the largest id that Linux gives.
        std::fs::write(lock.join("owner.json"), owner(4_194_305)).unwrap();
        // At once: there is no time to wait for the living.
        let interrupted = AtomicBool::new(false);
        let until = Deadline::new(Duration::ZERO, &interrupted);
        drop(Lock::take(&lock, &until).unwrap());
        assert!(!lock.exists());
        assert_eq!(until.rested(), Duration::ZERO);
        // Killed before it said whose lock it was, with a clock that was ahead.
        for at in [1_700_000_000, 33_000_000_000] {
            std::fs::create_dir(&lock).unwrap();
            let dir = std::fs::File::open(&lock).unwrap();
            dir.set_modified(UNIX_EPOCH + Duration::from_secs(at)).unwrap();
            drop(Lock::take(&lock, &until).unwrap());
        }
        std::fs::create_dir(&lock).unwrap();
        assert!(Lock::take(&lock, &until).is_err(), "it may be about to say");
    }

    /// Ended, and its parent has not asked how: it holds nothing any more.
    #[cfg(target_os = "linux")]
    #[test]
    fn who_only_waits_to_be_asked_how_it_ended_is_dead() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("x.lock");
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        std::fs::create_dir(&lock).unwrap();
        let owner = format!(r#"{{"pid":{},"token":"x"}}"#, child.id());
        std::fs::write(lock.join("owner.json"), owner).unwrap();
        assert_eq!(recover(&lock).unwrap(), Look::Held);
        child.kill().unwrap();
        while !Process::read(child.id()).unwrap().has_ended {
            std::thread::yield_now();
        }
        assert_eq!((recover(&lock).unwrap(), lock.exists()), (Look::Free, false));
        child.wait().unwrap();
    }

    /// After the machine was started again, another process has its number.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_lock_of_the_dead_is_taken_though_their_number_lives_on() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("x.lock");
        std::fs::create_dir(&lock).unwrap();
        let owner = Owner { pid: std::process::id(), token: "x".to_owned() };
        std::fs::write(lock.join("owner.json"), serde_json::to_vec(&owner).unwrap()).unwrap();
        let file = std::fs::File::options().append(true).open(lock.join("owner.json")).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
        recover(&lock).unwrap();
        assert!(!lock.exists());
    }

    /// Killed while it took the lock of one that had been killed.
    #[test]
    fn the_dead_do_not_keep_the_dead() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("x.lock");
        let at_it = dir.path().join("x.lock.recover-4194305");
        for pid in [4_194_306, std::process::id()] {
            std::fs::create_dir(&lock).unwrap();
            std::fs::write(lock.join("owner.json"), r#"{"pid":4194305,"token":"x"}"#).unwrap();
            std::fs::write(&at_it, format!(r#"{{"pid":{pid},"token":"recovery"}}"#)).unwrap();
            recover(&lock).unwrap();
            recover(&lock).unwrap();
            let is_free = pid == 4_194_306;
            assert_eq!((lock.exists(), at_it.exists()), (!is_free, !is_free), "{pid}");
        }
    }
}
