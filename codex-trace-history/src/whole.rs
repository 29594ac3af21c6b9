//! Files that have their name only once they are whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// How the names of files begin and end that are not yet whole, on systems that
/// have no files without a name.
const UNFINISHED: (&str, &str) = (".codex-trace-", ".tmp");

/// A private file that is being written. Until [`persist`](Self::persist)
/// whatever had its name before stays as it is. However the process ends,
/// nothing is left of it where the system has files without a name; elsewhere
/// [`sweep`] removes what a killed process has left.
#[derive(Debug)]
pub struct WholeFile {
    out: BufWriter<Unfinished>,
    path: PathBuf,
}

#[derive(Debug)]
enum Unfinished {
    #[cfg(target_os = "linux")]
    Nameless(File),
    Named(NamedTempFile),
}

impl WholeFile {
    /// Begins a file that is to have this path, in a directory that is there.
    ///
    /// # Errors
    ///
    /// If nothing can be written into the directory.
    pub fn create(path: &Path) -> io::Result<WholeFile> {
        let unfinished = Unfinished::create(directory_of(path))?;
        Ok(WholeFile { out: BufWriter::new(unfinished), path: path.to_path_buf() })
    }

    /// Gives the file its name, in the place of what had it before.
    ///
    /// # Errors
    ///
    /// If the rest cannot be written, or the file cannot be named.
    pub fn persist(self) -> io::Result<()> {
        let unfinished = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        unfinished.persist(&self.path)
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Unfinished {
    fn create(dir: &Path) -> io::Result<Unfinished> {
        #[cfg(target_os = "linux")]
        if let Some(file) = nameless::create(dir) {
            return Ok(Unfinished::Nameless(file));
        }
        let file = builder().tempfile_in(dir)?;
        // Tells `sweep` that somebody still writes it; where there are no locks
        // nothing is swept either.
        file.as_file().try_lock().ok();
        Ok(Unfinished::Named(file))
    }

    fn persist(self, path: &Path) -> io::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            Unfinished::Nameless(file) => nameless::persist(&file, path),
            Unfinished::Named(file) => take_place(file, path),
        }
    }
}

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            #[cfg(target_os = "linux")]
            Unfinished::Nameless(file) => file.write(bytes),
            Unfinished::Named(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn builder<'b>() -> tempfile::Builder<'b, 'b> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED.0).suffix(UNFINISHED.1);
    builder
}

/// Gives a file that is whole its name, in the place of what had it before: on
/// Windows, too, while somebody reads that.
///
/// # Errors
///
/// If it cannot be named so; then it is gone.
pub fn take_place(file: NamedTempFile, path: &Path) -> io::Result<()> {
    // Open, and with that locked as it was, until it has its name.
    let (_file, unfinished) = file.keep().map_err(|err| err.error)?;
    fs::rename(&unfinished, path).inspect_err(|_| drop(fs::remove_file(&unfinished)))
}

/// Returns the directory that a path lies in.
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes what killed processes have left unfinished in a directory.
pub fn sweep(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = name
            .to_str()
            .is_some_and(|name| name.starts_with(UNFINISHED.0) && name.ends_with(UNFINISHED.1));
        if ours && entry.file_type().is_ok_and(|it| it.is_file()) && is_abandoned(&entry.path()) {
            // Another process may have been faster.
            fs::remove_file(entry.path()).ok();
        }
    }
}

fn is_abandoned(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

#[cfg(target_os = "linux")]
mod nameless {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::path::{Path, PathBuf};

    use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};
    use rustix::io::Errno;

    use super::{builder, directory_of};

    const OPEN_FILES: &str = "/proc/self/fd";

    /// Makes a file without a name, if the directory's file system has such.
    pub(super) fn create(dir: &Path) -> Option<File> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = File::from(open(dir, flags, Mode::RUSR | Mode::WUSR).ok()?);
        // For the moment in which it has a name that is not its own.
        file.try_lock().ok();
        // Without it the file could not be named in the end.
        place(&file).exists().then_some(file)
    }

    /// Names it. A link cannot take the place of a file, only a new name can.
    pub(super) fn persist(file: &File, path: &Path) -> io::Result<()> {
        let link = |to: &Path| linkat(CWD, place(file), CWD, to, AtFlags::SYMLINK_FOLLOW);
        match link(path) {
            Err(Errno::EXIST) => {
                let named = builder().make_in(directory_of(path), |it| Ok(link(it)?))?;
                named.persist(path).map(drop).map_err(|err| err.error)
            }
            linked => Ok(linked?),
        }
    }

    fn place(file: &File) -> PathBuf {
        Path::new(OPEN_FILES).join(file.as_raw_fd().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap().map(|it| it.unwrap().file_name());
        let mut names: Vec<String> = names.map(|it| it.into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Both ways, and over what was there.
    #[test]
    fn a_file_has_its_name_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let named = || Unfinished::Named(builder().tempfile_in(dir.path()).unwrap());
        let ways = [("a", None), ("b", None), ("c", Some(named())), ("d", Some(named()))];
        for (text, way) in ways {
            let before = fs::read(&path).ok();
            let mut file = match way {
                Some(way) => WholeFile { out: BufWriter::new(way), path: path.clone() },
                None => WholeFile::create(&path).unwrap(),
            };
            file.write_all(text.as_bytes()).unwrap();
            file.flush().unwrap();
            assert_eq!(fs::read(&path).ok(), before, "{text}");
            file.persist().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(names(dir.path()), ["out"]);
    }

    #[test]
    fn what_is_read_can_be_replaced_and_what_cannot_be_named_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let file = |text: &str| {
            let mut file = builder().tempfile_in(dir.path()).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file
        };
        let path = dir.path().join("out");
        take_place(file("old"), &path).unwrap();
        let reader = File::open(&path).unwrap();
        take_place(file("new"), &path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(io::read_to_string(reader).unwrap(), "old");
        fs::create_dir(dir.path().join("dir")).unwrap();
        take_place(file("x"), &dir.path().join("dir")).unwrap_err();
        assert_eq!(names(dir.path()), ["dir", "out"]);
    }

    #[test]
    fn only_what_nobody_writes_any_more_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".codex-trace-a1b2c3.tmp", ".codex-trace-notes", "x.tmp"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let under_way = builder().tempfile_in(dir.path()).unwrap();
        under_way.as_file().try_lock().unwrap();
        sweep(dir.path());
        let kept = under_way.path().file_name().unwrap().to_str().unwrap();
        let mut expected = vec![".codex-trace-notes", kept, "x.tmp"];
        expected.sort_unstable();
        assert_eq!(names(dir.path()), expected);
    }
}
