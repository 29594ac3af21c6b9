//! Where converted sessions go: stdout, a file, or a directory of files.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::NamedTempFile;

use crate::failure::Failure;
use crate::ui::Ui;

/// How much is gathered before it is written to a session's own file, in bytes.
const CHUNK: usize = 256 << 10;

/// Where the output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Stdout.
    Stdout,
    /// One file.
    File(PathBuf),
    /// A directory: one file per session.
    Directory {
        /// The directory.
        dir: PathBuf,
        /// Whether its files are compressed.
        gzip: bool,
    },
}

impl Target {
    /// Reads `--output`.
    ///
    /// # Errors
    ///
    /// If `--gzip` is given for something else than a directory.
    pub fn of(output: Option<&Path>, gzip: bool) -> Result<Target, Failure> {
        let target = match output {
            None => Target::Stdout,
            Some(path) if path == Path::new("-") => Target::Stdout,
            Some(path) if path.is_dir() || ends_in_separator(path) => {
                return Ok(Target::Directory { dir: path.to_path_buf(), gzip });
            }
            Some(path) => Target::File(path.to_path_buf()),
        };
        if gzip {
            return Err(Failure::new("`--gzip` is for output directories")
                .hint("name a file that ends in `.gz`, or a directory, with `--output`"));
        }
        Ok(target)
    }
}

fn ends_in_separator(path: &Path) -> bool {
    path.as_os_str().to_string_lossy().ends_with(std::path::is_separator)
}

fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
}

/// Writes what all sessions share: stdout or one file.
pub struct Writer {
    out: Box<dyn Finish>,
    /// What to call it in errors; nothing for stdout.
    name: Option<PathBuf>,
    terminal: bool,
}

impl Writer {
    /// Opens the target; nothing, for a directory.
    ///
    /// # Errors
    ///
    /// If the file cannot be made.
    pub fn open(target: &Target, ui: &Ui) -> anyhow::Result<Writer> {
        let (out, name): (Box<dyn Finish>, _) = match target {
            Target::Stdout => (Box::new(ui.out()), None),
            Target::Directory { .. } => (Box::new(io::sink()), None),
            Target::File(path) => (open_file(path)?, Some(path.clone())),
        };
        let terminal = *target == Target::Stdout && io::stdout().is_terminal();
        Ok(Writer { out, name, terminal })
    }

    /// Returns whether the output goes to a terminal, where progress would be in its way.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Writes a piece.
    ///
    /// # Errors
    ///
    /// If it cannot be written. For stdout it is an [`io::Error`] alone, so
    /// that a closed pipe is known for one.
    pub fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let written = self.out.write_all(bytes);
        self.named(written)
    }

    /// Writes what is held back, and gives the file its name.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn finish(mut self) -> anyhow::Result<()> {
        let out = std::mem::replace(&mut self.out, Box::new(io::sink()));
        let finished = out.finish();
        self.named(finished)
    }

    fn named<T>(&self, result: io::Result<T>) -> anyhow::Result<T> {
        match &self.name {
            Some(name) => result.with_context(|| format!("cannot write `{}`", name.display())),
            None => Ok(result?),
        }
    }
}

fn open_file(path: &Path) -> anyhow::Result<Box<dyn Finish>> {
    let cannot = || format!("cannot write `{}`", path.display());
    // A device or a pipe is written to, never replaced.
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        let file = OpenOptions::new().write(true).open(path).with_context(cannot)?;
        return Ok(Box::new(BufWriter::new(file)));
    }
    let dir = directory_of(path);
    if !dir.is_dir() {
        let failure = format!("{}: there is no directory `{}`", cannot(), dir.display());
        return Err(Failure::new(failure).hint("make the directory first").into());
    }
    let file = Renamed::create(path).with_context(cannot)?;
    if is_gzip(path) {
        return Ok(Box::new(GzEncoder::new(file, Compression::fast())));
    }
    Ok(Box::new(file))
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A writer that has something to do at the end.
trait Finish: Write {
    fn finish(self: Box<Self>) -> io::Result<()>;
}

impl<W: Write> Finish for BufWriter<W> {
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.flush()
    }
}

impl Finish for io::Sink {
    fn finish(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

impl Finish for Renamed {
    fn finish(self: Box<Self>) -> io::Result<()> {
        self.persist()
    }
}

impl Finish for GzEncoder<Renamed> {
    fn finish(self: Box<Self>) -> io::Result<()> {
        GzEncoder::finish(*self)?.persist()
    }
}

/// A private file that has its name only once it is complete.
struct Renamed {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl Renamed {
    fn create(path: &Path) -> io::Result<Renamed> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(".tmp")
            .tempfile_in(directory_of(path))?;
        Ok(Renamed { file: BufWriter::new(file), path: path.to_path_buf() })
    }

    fn persist(self) -> io::Result<()> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.persist(&self.path).map(drop).map_err(|err| err.error)
    }
}

impl Write for Renamed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A directory that gets one file per session.
#[derive(Debug)]
pub struct Directory {
    dir: PathBuf,
    /// What the names of its files end in.
    extension: String,
}

impl Directory {
    /// Makes the directory, private, unless it is there; its files will end in
    /// `extension`.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn create(dir: &Path, extension: &str, gzip: bool) -> anyhow::Result<Directory> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
        let extension = format!("{extension}{}", if gzip { ".gz" } else { "" });
        Ok(Directory { dir: dir.to_path_buf(), extension })
    }

    /// Writes the file of one session.
    ///
    /// # Errors
    ///
    /// If it cannot be written; then there is none.
    pub fn write(
        &self,
        session_id: &str,
        fill: impl FnOnce(&mut SessionFile) -> bool,
    ) -> anyhow::Result<()> {
        let path = self.dir.join(format!("{}.{}", file_stem(session_id), self.extension));
        let cannot = || format!("cannot write `{}`", path.display());
        let mut file = SessionFile { out: open_file(&path).with_context(cannot)?, err: None };
        fill(&mut file);
        match file.err {
            Some(err) => Err(err).with_context(cannot),
            None => file.out.finish().with_context(cannot),
        }
    }
}

/// Makes a file name of an id: an id comes from a file, and could be anything.
fn file_stem(id: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let stem: String = id.chars().take(100).map(|c| if plain(c) { c } else { '_' }).collect();
    if stem == id && !stem.is_empty() {
        return stem;
    }
    // Ids that differ must not share a file.
    let digest = <sha2::Sha256 as sha2::Digest>::digest(id.as_bytes());
    let tail: Vec<String> = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{stem}_{}", tail.concat())
}

/// The file of one session, being written.
pub struct SessionFile {
    out: Box<dyn Finish>,
    err: Option<io::Error>,
}

impl SessionFile {
    /// Writes what is in `buffer`, if it is enough to be worth it. Returns
    /// `false` once writing has failed.
    pub fn pass(&mut self, buffer: &mut Vec<u8>) -> bool {
        buffer.len() < CHUNK || self.finish(buffer)
    }

    /// Writes what is in `buffer`.
    pub fn finish(&mut self, buffer: &mut Vec<u8>) -> bool {
        if self.err.is_none() {
            self.err = self.out.write_all(buffer).err();
        }
        buffer.clear();
        self.err.is_none()
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SessionFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionFile").field("err", &self.err).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_cannot_leave_the_directory() {
        assert_eq!(file_stem("01a1fc83-3bf9"), "01a1fc83-3bf9");
        let stems = ["../../etc/x", "..-..-etc-x", "__/__/etc/x", ""].map(file_stem);
        for stem in &stems {
            assert!(!stem.contains(['/', '.']), "{stem}");
        }
        let different: std::collections::HashSet<_> = stems.iter().collect();
        assert_eq!(different.len(), stems.len());
    }

    #[test]
    fn targets() {
        let file = |path: &str| Target::File(PathBuf::from(path));
        assert_eq!(Target::of(None, false).unwrap(), Target::Stdout);
        assert_eq!(Target::of(Some(Path::new("-")), false).unwrap(), Target::Stdout);
        assert_eq!(Target::of(Some(Path::new("a.gz")), false).unwrap(), file("a.gz"));
        let dir = Target::Directory { dir: PathBuf::from("new/"), gzip: true };
        assert_eq!(Target::of(Some(Path::new("new/")), true).unwrap(), dir);
        assert!(Target::of(Some(Path::new("a.gz")), true).is_err());
    }
}
