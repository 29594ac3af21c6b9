//! Whether the program that wrote a rollout has ended without a word in it: it
//! was killed, or the machine went down.

mod birth;
mod lease;

use std::path::Path;
use std::time::{Duration, SystemTime};

/// How long nothing must have been written.
pub const QUIET: Duration = Duration::from_secs(20);

/// Where the program is that writes a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Writer {
    /// It may be there, as far as anybody can tell.
    There,
    /// It is not, but something was written less than [`QUIET`] ago.
    Leaving,
    /// It has gone: what the file says is all that it will say, until somebody
    /// resumes the session and a new turn begins.
    Gone,
}

impl Writer {
    /// Looks for the writer of a rollout, at a time: one that was written on this
    /// machine, and that no program has open for writing any more. Codex has, as
    /// long as a thread is loaded, whatever it waits for.
    ///
    /// Of a copy of another machine's file, on a network file system and on
    /// another system than Linux nothing can be told.
    pub fn of(path: &Path, now: SystemTime) -> Writer {
        let Ok(metadata) = path.metadata() else { return Writer::There };
        if !birth::is_of_this_machine(path, &metadata) || lease::has_writer(path) != Some(false) {
            return Writer::There;
        }
        let age = metadata.modified().ok().and_then(|at| now.duration_since(at).ok());
        match age {
            // The clock was set back meanwhile: nobody is to wait for it.
            None => Writer::There,
            Some(age) if age < QUIET => Writer::Leaving,
            Some(_) => Writer::Gone,
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::io::Write;

    use codex_trace_model::Timestamp;

    use super::Writer::{Gone, Leaving, There};
    use super::*;

    /// Writes a line that says the time that a new file has.
    fn rollout(path: &Path, shift: Duration) -> fs::File {
        let mut file = fs::File::create(path).expect("as prepared");
        let metadata = file.metadata().expect("as prepared");
        let born = metadata.created().expect("as prepared") - shift;
        let at = Timestamp::try_from(born).expect("as prepared");
        let line = format!("{{\"timestamp\":\"{at:.3}\",\"type\":\"session_meta\"}}");
        writeln!(file, "{line}").expect("as prepared");
        file
    }

    #[test]
    fn who_was_killed_has_gone_once_it_is_quiet() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.jsonl");
        let file = rollout(&path, Duration::ZERO);
        if lease::has_writer(&path).is_none() {
            return; // The directory for temporary files is on no local file system.
        }
        let written = path.metadata().unwrap().modified().unwrap();
        let later = written + QUIET;
        assert_eq!(Writer::of(&path, later), There, "it is open");
        drop(file);
        assert_eq!(Writer::of(&path, later), Gone);
        assert_eq!(Writer::of(&path, later - Duration::from_millis(1)), Leaving);
        let before = written - Duration::from_secs(3600);
        assert_eq!(Writer::of(&path, before), There, "the clock was set back");
        let _reader = fs::File::open(&path).unwrap();
        assert_eq!(Writer::of(&path, later), Gone, "who reads writes nothing");
        let _resumed = fs::File::options().append(true).open(&path).unwrap();
        assert_eq!(Writer::of(&path, later), There);
    }

    /// Who writes to the original cannot be seen.
    #[test]
    fn of_a_copy_nothing_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.jsonl");
        let later = |path: &Path| path.metadata().unwrap().modified().unwrap() + QUIET * 2;
        drop(rollout(&path, Duration::from_secs(11)));
        assert_eq!(Writer::of(&path, later(&path)), There, "its first line is older than the file");
        let file = rollout(&path, Duration::ZERO);
        let modified = file.metadata().unwrap().modified().unwrap();
        file.set_modified(modified - Duration::from_millis(1)).unwrap();
        drop(file);
        assert_eq!(Writer::of(&path, later(&path)), There, "its time was set");
        fs::write(&path, "{\"type\":\"session_meta\"}\n").unwrap();
        assert_eq!(Writer::of(&path, later(&path)), There, "no time");
        assert_eq!(Writer::of(&dir.path().join("none"), SystemTime::UNIX_EPOCH), There);
    }
}
