//! The queue between hooks and the worker: small private files in the state
//! directory, one for each session, so that many calls about one session are one.
//!
//! Hooks write into `inbox`; the worker moves what is there into `waiting`, where
//! it stays until every destination has acknowledged. A file gets its name when
//! it is whole.

use std::fs::{self, File, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use codex_trace_deliver::private;
use codex_trace_history::whole;
use serde::{Deserialize, Serialize};

use crate::live::event::Occasion;

/// The most entries of each kind. Of more sessions the queue only keeps since
/// when there are any: the worker finds them in the history.
pub const MOST: usize = 1000;

/// What the worker holds; the id of its process is in it.
const LOCK: &str = "worker.lock";

/// The largest file of the queue, in bytes.
const LARGEST: u64 = 16 << 10;

/// A session that is to be delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The Codex home that it is in.
    pub home: PathBuf,
    /// One of its threads; without one, the whole home is looked through.
    pub thread: Option<String>,
    /// What has happened.
    #[serde(default)]
    pub occasion: Occasion,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// What the session's files were like when the worker found a turn without
    /// an end in them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
}

impl Entry {
    /// Returns the name of its file.
    fn file_name(&self) -> String {
        let thread = self.thread.as_deref().unwrap_or("any");
        format!("{}-{thread}.json", digest(&self.home))
    }
}

/// Names a home.
fn digest(home: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    home.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Since when a home is looked through.
#[derive(Serialize, Deserialize)]
struct Since {
    home: PathBuf,
    since: i64,
}

/// Where the queue is.
#[derive(Clone, Debug)]
pub struct Queue {
    dir: PathBuf,
}

impl Queue {
    /// The queue of a state directory; makes nothing.
    pub fn within(state_dir: &Path) -> Queue {
        Queue { dir: state_dir.join("live") }
    }

    /// Returns the directory of everything about live delivery.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the file that the worker writes its messages to.
    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    fn inbox(&self) -> PathBuf {
        self.dir.join("inbox")
    }

    fn waiting(&self) -> PathBuf {
        self.dir.join("waiting")
    }

    /// Makes the directories.
    ///
    /// # Errors
    ///
    /// If they cannot be made.
    pub fn make(&self) -> io::Result<()> {
        private::make_dir(&self.inbox())?;
        private::make_dir(&self.waiting())
    }

    /// Puts an entry into the inbox, in the place of an earlier one about the same
    /// session.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn put(&self, entry: &Entry) -> io::Result<()> {
        let inbox = self.inbox();
        if !inbox.join(entry.file_name()).exists() && self.is_full() {
            let any = Entry { thread: None, occasion: Occasion::Other, ..entry.clone() };
            // The earliest counts.
            if inbox.join(any.file_name()).exists() {
                return Ok(());
            }
            return write(&inbox, &any.file_name(), &any);
        }
        write(&inbox, &entry.file_name(), entry)
    }

    fn is_full(&self) -> bool {
        fs::read_dir(self.inbox()).is_ok_and(|files| files.take(MOST).count() == MOST)
    }

    /// Returns whether there is something in the inbox.
    pub fn has_new(&self) -> bool {
        let files = fs::read_dir(self.inbox()).into_iter().flatten().flatten();
        files.map(|file| file.path()).any(|path| is_entry(&path))
    }

    /// Moves what is in the inbox to what waits, and returns it.
    ///
    /// # Errors
    ///
    /// If the inbox cannot be read, or nothing can be moved.
    pub fn take(&self) -> io::Result<Vec<Entry>> {
        let mut taken = Vec::new();
        for file in fs::read_dir(self.inbox())? {
            let path = file?.path();
            let Some(name) = path.file_name().filter(|_| is_entry(&path)) else { continue };
            let to = self.waiting().join(name);
            match fs::rename(&path, &to) {
                Ok(()) => match entry_at(&to) {
                    Some(entry) => taken.push(entry),
                    // Nobody could do anything with it.
                    None => drop(fs::remove_file(&to)),
                },
                Err(err) if err.kind() == io::ErrorKind::NotFound => {}
                Err(err) => return Err(err),
            }
        }
        Ok(taken)
    }

    /// Returns what waits to be acknowledged.
    pub fn all_waiting(&self) -> Vec<Entry> {
        entries(&self.waiting())
    }

    /// Returns what no worker has seen yet.
    pub fn all_new(&self) -> Vec<Entry> {
        entries(&self.inbox())
    }

    /// Writes what is known of an entry that waits.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn keep(&self, entry: &Entry) -> io::Result<()> {
        write(&self.waiting(), &entry.file_name(), entry)
    }

    /// Takes an entry out of those that wait.
    ///
    /// # Errors
    ///
    /// If it is there and cannot be removed.
    pub fn remove(&self, entry: &Entry) -> io::Result<()> {
        match fs::remove_file(self.waiting().join(entry.file_name())) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
            _ => Ok(()),
        }
    }

    /// Returns since when a home is to be looked through, in milliseconds since
    /// 1970: what was written before was looked at.
    pub fn since(&self, home: &Path) -> Option<i64> {
        let path = self.dir.join(Queue::since_name(home));
        let bytes = private::small_bytes_here(&path, LARGEST).ok()??;
        Some(serde_json::from_slice::<Since>(&bytes).ok()?.since)
    }

    /// Notes since when a home is to be looked through.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn set_since(&self, home: &Path, since: i64) -> io::Result<()> {
        let value = Since { home: home.to_owned(), since };
        write(&self.dir, &Queue::since_name(home), &value)
    }

    fn since_name(home: &Path) -> String {
        format!("since-{}.json", digest(home))
    }

    /// Becomes the one worker; `None` if there is one. The lock ends with the
    /// process, however it ends.
    ///
    /// # Errors
    ///
    /// If the file cannot be made or locked.
    pub fn begin(&self) -> io::Result<Option<File>> {
        let file = private::lock_file(&self.dir.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                write!(&file, "{}", std::process::id())?;
                Ok(Some(file))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(err)) => Err(err),
        }
    }

    /// Returns whether a worker runs.
    pub fn has_worker(&self) -> bool {
        let path = self.dir.join(LOCK);
        if !path.is_file() {
            return false;
        }
        // Several may ask at once, and none of them is a worker.
        let is_held = |file: File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        File::open(path).is_ok_and(is_held)
    }
}

fn is_entry(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "json")
}

fn entries(dir: &Path) -> Vec<Entry> {
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    files
        .map(|file| file.path())
        .filter(|path| is_entry(path))
        .filter_map(|it| entry_at(&it))
        .collect()
}

/// Reads an entry, if it is one.
fn entry_at(path: &Path) -> Option<Entry> {
    let bytes = private::small_bytes_here(path, LARGEST).ok()??;
    let entry = serde_json::from_slice::<Entry>(&bytes).ok()?;
    let is_own = path.file_name().is_some_and(|name| *name == *entry.file_name());
    is_own.then_some(entry)
}

/// Writes a private file that appears whole, and takes the place of an earlier
/// one.
pub(super) fn write(dir: &Path, name: &str, value: &impl Serialize) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".").tempfile_in(dir)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    whole::take_place(file, &dir.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(nth: usize) -> Entry {
        Entry {
            home: PathBuf::from("/h"),
            thread: Some(format!("01a228bd-4f88-7d03-8d21-{nth:012}")),
            occasion: Occasion::Ended,
            at: 1000 + i64::try_from(nth).expect("a small number"),
            seen: None,
        }
    }

    fn queue() -> (tempfile::TempDir, Queue) {
        let dir = tempfile::tempdir().unwrap();
        let queue = Queue::within(dir.path());
        queue.make().unwrap();
        (dir, queue)
    }

    #[test]
    fn an_entry_waits_until_it_is_removed_and_a_session_has_one() {
        let (_dir, queue) = queue();
        assert!(!queue.has_new());
        for at in [5, 9] {
            queue.put(&Entry { at, ..entry(1) }).unwrap();
        }
        queue.put(&entry(2)).unwrap();
        assert!(queue.has_new());
        let mut taken = queue.take().unwrap();
        taken.sort_by_key(|entry| entry.at);
        assert_eq!(taken, [Entry { at: 9, ..entry(1) }, entry(2)]);
        assert!(!queue.has_new() && queue.take().unwrap().is_empty());
        assert_eq!(queue.all_waiting().len(), 2);
        queue.remove(&entry(2)).unwrap();
        queue.remove(&entry(2)).unwrap();
        assert_eq!(queue.all_waiting(), [Entry { at: 9, ..entry(1) }]);
    }

    #[test]
    fn the_queue_is_bounded() {
        let (_dir, queue) = queue();
        for nth in 0..MOST + 20 {
            queue.put(&entry(nth)).unwrap();
        }
        let all = queue.take().unwrap();
        assert_eq!(all.len(), MOST + 1);
        let any: Vec<_> = all.iter().filter(|entry| entry.thread.is_none()).collect();
        assert_eq!(any.len(), 1);
        assert_eq!(any[0].at, entry(MOST).at, "the first that had no place");
    }

    #[test]
    fn what_is_no_entry_is_thrown_away() {
        let (_dir, queue) = queue();
        let inbox = queue.inbox();
        fs::write(inbox.join("a.json"), "{").unwrap();
        fs::write(inbox.join("b.json"), vec![b' '; 1 << 20]).unwrap();
        fs::write(inbox.join("c.json"), serde_json::to_vec(&entry(1)).unwrap()).unwrap();
        fs::write(inbox.join(".half"), "x").unwrap();
        #[cfg(unix)]
        assert!(
            std::process::Command::new("mkfifo")
                .arg(inbox.join("d.json"))
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(queue.take().unwrap(), []);
        assert_eq!(fs::read_dir(queue.waiting()).unwrap().count(), 0);
    }

    #[test]
    fn there_is_one_worker() {
        let (_dir, queue) = queue();
        assert!(!queue.has_worker());
        let lock = queue.begin().unwrap();
        assert!(lock.is_some() && queue.has_worker() && queue.begin().unwrap().is_none());
        drop(lock);
        assert!(!queue.has_worker());
    }

    #[test]
    fn homes_have_marks_of_their_own() {
        let (_dir, queue) = queue();
        assert_eq!(queue.since(Path::new("/h")), None);
        queue.set_since(Path::new("/h"), 17).unwrap();
        assert_eq!((queue.since(Path::new("/h")), queue.since(Path::new("/i"))), (Some(17), None));
    }
}
