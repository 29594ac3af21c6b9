//! The live plugin's lock around its sidecars, by its protocol: whoever was
//! killed holds up nobody for long.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

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
    /// If it cannot be made, or somebody holds it for too long.
    pub(super) fn take(dir: &Path, until: &Deadline<'_>) -> io::Result<Lock> {
        loop {
            match Lock::make(dir) {
                Ok(lock) => return Ok(lock),
                Err(err) if err.kind() != io::ErrorKind::AlreadyExists => return Err(err),
                Err(_) => {}
            }
            recover(dir)?;
            if !until.rest(RETRY) {
                let what = format!("somebody holds `{}`", dir.display());
                return Err(io::Error::new(io::ErrorKind::TimedOut, what));
            }
        }
    }

    fn make(dir: &Path) -> io::Result<Lock> {
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir)?;
        let pid = std::process::id();
        let token = format!("codex-trace-{pid}-{:016x}", crate::clock::jitter().to_bits());
        let owner = serde_json::to_vec(&Owner { pid, token: token.clone() })?;
        let mut options = private::options();
        let written = options
            .create_new(true)
            .write(true)
            .open(dir.join("owner.json"))
            .and_then(|mut file| file.write_all(&owner));
        if let Err(err) = written {
            std::fs::remove_dir(dir).ok();
            return Err(err);
        }
        Ok(Lock { dir: dir.to_owned(), token })
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
    let written = file.symlink_metadata().and_then(|it| it.modified()).ok();
    let reused = || Some(started_at(owner.pid)? > written? + CLOCKS_DIFFER);
    is_alive(owner.pid) && !reused().unwrap_or(false)
}

/// Returns when a process began, where the system tells.
fn started_at(pid: u32) -> Option<SystemTime> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let ticks: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let system = std::fs::read_to_string("/proc/stat").ok()?;
    let booted = system.lines().find_map(|line| line.strip_prefix("btime "))?;
    let booted = Duration::from_secs(booted.trim().parse().ok()?);
    Some(UNIX_EPOCH + booted + Duration::from_millis(ticks.saturating_mul(1_000 / TICKS)))
}

/// Whether whoever wrote a file of an owner is no more.
fn is_abandoned(file: &Path) -> bool {
    match read_owner(file) {
        Some(owner) => !still_runs(&owner, file),
        None => file.symlink_metadata().is_ok_and(|it| age(&it) >= INITIALIZING),
    }
}

#[expect(clippy::disallowed_methods, reason = "how long somebody has held it")]
fn age(metadata: &std::fs::Metadata) -> Duration {
    metadata.modified().ok().and_then(|at| at.elapsed().ok()).unwrap_or_default()
}

/// Removes the lock of a process that is no more. One at a time: the plugin
/// uses the same file to say who is at it.
fn recover(dir: &Path) -> io::Result<()> {
    let Ok(metadata) = std::fs::symlink_metadata(dir) else { return Ok(()) };
    if !metadata.is_dir() {
        let what = format!("`{}` is no lock", dir.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    let seen = owner(dir);
    let dead = match &seen {
        Some(owner) => !still_runs(owner, &dir.join("owner.json")),
        None => age(&metadata) >= INITIALIZING,
    };
    if !dead {
        return Ok(());
    }
    let pid = seen.as_ref().map_or(0, |owner| owner.pid);
    let mut at_it = dir.as_os_str().to_owned();
    at_it.push(format!(".recover-{pid}"));
    let mut options = private::options();
    let Ok(mut file) = options.create_new(true).write(true).open(&at_it) else {
        // Somebody is at it, or has died of it: then the next look finds it free.
        if is_abandoned(Path::new(&at_it)) {
            std::fs::remove_file(&at_it).ok();
        }
        return Ok(());
    };
    let me = Owner { pid: std::process::id(), token: "recovery".to_owned() };
    file.write_all(&serde_json::to_vec(&me)?)?;
    if owner(dir) == seen {
        std::fs::remove_file(dir.join("owner.json")).ok();
        std::fs::remove_dir(dir).ok();
    }
    std::fs::remove_file(&at_it).ok();
    Ok(())
}

/// Whether a process runs. In doubt, it does.
fn is_alive(pid: u32) -> bool {
    let proc = Path::new("/proc");
    if proc.join("self").exists() {
        return proc.join(pid.to_string()).exists();
    }
    let mut kill = std::process::Command::new("kill");
    kill.args(["-0", &pid.to_string()]).stderr(std::process::Stdio::null());
    kill.status().map_or(true, |status| status.success())
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
        let interrupted = AtomicBool::new(false);
        let until = Deadline::new(RETRY, &interrupted);
        drop(Lock::take(&lock, &until).unwrap());
        assert!(!lock.exists());
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
