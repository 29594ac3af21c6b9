//! Where converted sessions go: stdout, a file, or a directory of files.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use codex_trace_export::{FileFormat, Layout, OutputFiles, Sink};
use codex_trace_model::SessionGroup;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::formats::FORMATS;
use crate::ui::Ui;
use codex_trace_history::failure::Failure;
use codex_trace_history::inputs::Inputs;
use codex_trace_history::whole::{self, WholeFile, directory_of};

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
    /// A directory that gets the several files of a format.
    Files(PathBuf),
}

impl Target {
    /// Reads `--output`.
    ///
    /// # Errors
    ///
    /// If `--gzip` is given for something else than a directory, or the file's
    /// name asks for what is not written.
    pub fn of(output: Option<&Path>, gzip: bool, format: &FileFormat) -> Result<Target, Failure> {
        match (format.layout, output) {
            (Layout::Directory(_), None) => {
                return Err(Failure::new(format!("`{}` makes several files", format.name))
                    .hint("name a directory with `--output DIR`"));
            }
            (Layout::Directory(_), Some(dir)) if !gzip => {
                return Ok(Target::Files(dir.to_path_buf()));
            }
            (Layout::OneFile, Some(dir)) if dir.is_dir() || ends_in_separator(dir) => {
                return Err(Failure::new(format!("`{}` makes one file", format.name))
                    .hint("name a file with `--output FILE`"));
            }
            _ => {}
        }
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
        if let Target::File(path) = &target
            && !is_special(path)
        {
            check_ending(path, format)?;
        }
        Ok(target)
    }

    /// Refuses to write to what is read.
    ///
    /// # Errors
    ///
    /// If a file that would be written is one of `inputs`, or lies where they
    /// are looked for.
    pub fn spare(
        &self,
        inputs: &Inputs,
        sessions: &[SessionGroup],
        format: &FileFormat,
    ) -> Result<(), Failure> {
        match self {
            Target::Files(dir) => {
                inputs.spare(dir)?;
                let Layout::Directory(names) = format.layout else { return Ok(()) };
                let files: Vec<PathBuf> = names.iter().map(|name| dir.join(name)).collect();
                inputs.spare_files(files.iter().map(PathBuf::as_path))
            }
            Target::Stdout => Ok(()),
            Target::File(path) if is_special(path) => Ok(()),
            Target::File(path) => inputs.spare(path),
            Target::Directory { dir, gzip } => {
                inputs.spare(dir)?;
                let ids = sessions.iter().map(|session| &session.root_thread_id);
                let files: Vec<PathBuf> =
                    ids.map(|id| dir.join(name_of(id, format, *gzip))).collect();
                inputs.spare_files(files.iter().map(PathBuf::as_path))
            }
        }
    }
}

fn ends_in_separator(path: &Path) -> bool {
    path.as_os_str().to_string_lossy().ends_with(std::path::is_separator)
}

/// Whether it is a device or a pipe: written to, never replaced.
fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_file())
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    /// Reads it off the last ending of a name.
    fn of(path: &Path) -> Packing {
        let ending = path.extension().map(OsStr::to_ascii_lowercase);
        match ending.as_ref().and_then(|ending| ending.to_str()) {
            Some("gz") => Packing::Gzip,
            Some("zst") => Packing::Zstd,
            _ => Packing::None,
        }
    }
}

/// Checks that a file's name does not promise what is not in it. Names may have
/// no ending, or a number for one.
fn check_ending(path: &Path, format: &FileFormat) -> Result<(), Failure> {
    let packed = Packing::of(path) != Packing::None;
    let name = if packed { path.file_stem() } else { path.file_name() };
    let ending = name.and_then(|name| Path::new(name).extension());
    let Some(ending) = ending.map(|ending| ending.to_string_lossy().to_ascii_lowercase()) else {
        return Ok(());
    };
    if ending.bytes().all(|byte| byte.is_ascii_digit()) || format.endings.contains(&&*ending) {
        return Ok(());
    }
    let failure = Failure::new(format!("`{}`: no `.{ending}` is written", path.display()));
    let other = FORMATS.iter().find(|other| other.endings.contains(&&*ending));
    let hint = match other {
        Some(other) => format!("`--to {}` does that", other.name),
        None => {
            format!("what is written is `.{}`, also as `.gz` or `.zst`", format.endings[0])
        }
    };
    Err(failure.hint(hint))
}

/// Writes what all sessions share: stdout, one file, or the files of a format.
pub struct Writer {
    out: Out,
    /// What to call it in errors; nothing for stdout.
    name: Option<PathBuf>,
    terminal: bool,
}

enum Out {
    One(Box<dyn Finish>),
    /// Files of a directory, by name.
    Several(PathBuf, BTreeMap<String, WholeFile>),
}

impl Out {
    fn nowhere() -> Out {
        Out::One(Box::new(io::sink()))
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Out::One(out) => out.finish(),
            Out::Several(_, files) => files.into_values().try_for_each(WholeFile::persist),
        }
    }
}

impl OutputFiles for Out {
    fn file(&mut self, name: &str) -> io::Result<&mut dyn Write> {
        match self {
            Out::One(out) => Ok(out),
            Out::Several(dir, files) => {
                if !files.contains_key(name) {
                    let path = dir.join(name);
                    if name.contains('/') {
                        private_directories(directory_of(&path))?;
                    }
                    files.insert(name.to_owned(), WholeFile::create(&path)?);
                }
                Ok(files.get_mut(name).expect("it was just made"))
            }
        }
    }

    fn done(&mut self, name: &str) -> io::Result<()> {
        match self {
            Out::One(_) => Ok(()),
            Out::Several(_, files) => files.remove(name).map_or(Ok(()), WholeFile::persist),
        }
    }
}

impl Writer {
    /// Opens the target; nothing, for a file per session.
    ///
    /// # Errors
    ///
    /// If the file cannot be made.
    pub fn open(target: &Target, ui: &Ui) -> anyhow::Result<Writer> {
        let (out, name) = match target {
            Target::Stdout => (Out::One(Box::new(ui.out())), None),
            Target::Directory { .. } => (Out::nowhere(), None),
            Target::File(path) => {
                whole::sweep(directory_of(path));
                (Out::One(open_file(path)?), Some(path.clone()))
            }
            Target::Files(dir) => {
                make_directory(dir)?;
                (Out::Several(dir.clone(), BTreeMap::new()), Some(dir.clone()))
            }
        };
        let terminal = *target == Target::Stdout && io::stdout().is_terminal();
        Ok(Writer { out, name, terminal })
    }

    /// Returns whether the output goes to a terminal, where progress would be in its way.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Returns whether it is a file, of which a part is worth nothing.
    pub fn is_file(&self) -> bool {
        let several = matches!(self.out, Out::Several(..));
        self.name.as_ref().is_some_and(|name| several || !is_special(name))
    }

    /// Lets go of a file, so that what had its name stays as it is; returns what
    /// to say of that. Everything else has what was written to it.
    pub fn leave(&mut self) -> Option<String> {
        if !self.is_file() {
            return None;
        }
        self.out = Out::nowhere();
        let name = self.name.take()?;
        let how = if name.exists() { "stays as it was" } else { "was not written" };
        Some(format!("`{}` {how}", name.display()))
    }

    /// Lets a sink write.
    ///
    /// # Errors
    ///
    /// If it cannot. For stdout it is an [`io::Error`] alone, so that a closed
    /// pipe is known for one.
    pub fn take(
        &mut self,
        write: impl FnOnce(&mut dyn OutputFiles) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        let written = write(&mut self.out);
        self.named(written)
    }

    /// Writes what is held back, and gives the file its name.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    pub fn finish(mut self) -> anyhow::Result<()> {
        let out = std::mem::replace(&mut self.out, Out::nowhere());
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
    if is_special(path) {
        let file = OpenOptions::new().write(true).open(path).with_context(cannot)?;
        return Ok(Box::new(BufWriter::new(file)));
    }
    let dir = directory_of(path);
    if !dir.is_dir() {
        let failure = format!("{}: there is no directory `{}`", cannot(), dir.display());
        return Err(Failure::new(failure).hint("make the directory first").into());
    }
    let file = WholeFile::create(path).with_context(cannot)?;
    Ok(match Packing::of(path) {
        Packing::None => Box::new(file),
        Packing::Gzip => Box::new(GzEncoder::new(file, Compression::fast())),
        Packing::Zstd => Box::new(
            zstd::Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL).with_context(cannot)?,
        ),
    })
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

impl Finish for WholeFile {
    fn finish(self: Box<Self>) -> io::Result<()> {
        self.persist()
    }
}

impl Finish for GzEncoder<WholeFile> {
    fn finish(self: Box<Self>) -> io::Result<()> {
        GzEncoder::finish(*self)?.persist()
    }
}

impl Finish for zstd::Encoder<'_, WholeFile> {
    fn finish(self: Box<Self>) -> io::Result<()> {
        zstd::Encoder::finish(*self)?.persist()
    }
}

fn make_directory(dir: &Path) -> anyhow::Result<()> {
    private_directories(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
    whole::sweep(dir);
    Ok(())
}

/// Makes a directory and those above it, private, unless they are there.
pub(crate) fn private_directories(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// A directory that gets one file per session.
#[derive(Debug)]
pub struct Directory {
    dir: PathBuf,
    format: &'static FileFormat,
    gzip: bool,
}

impl Directory {
    /// Makes the directory, private, unless it is there.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn create(
        dir: &Path,
        format: &'static FileFormat,
        gzip: bool,
    ) -> anyhow::Result<Directory> {
        make_directory(dir)?;
        Ok(Directory { dir: dir.to_path_buf(), format, gzip })
    }

    /// Writes the file of one session.
    ///
    /// # Errors
    ///
    /// If it cannot be written; then there is none.
    pub fn write(
        &self,
        session_id: &str,
        sink: &mut dyn Sink,
        fill: impl FnOnce(&mut SessionFile<'_>) -> bool,
    ) -> anyhow::Result<()> {
        let path = self.dir.join(name_of(session_id, self.format, self.gzip));
        let cannot = || format!("cannot write `{}`", path.display());
        let mut out = Out::One(open_file(&path).with_context(cannot)?);
        let err = sink.begin(&mut out).err();
        let mut file = SessionFile { out, sink, err };
        fill(&mut file);
        let SessionFile { mut out, sink, err } = file;
        let finished = match err {
            Some(err) => Err(err),
            None => sink.finish(&mut out).and_then(|()| out.finish()),
        };
        finished.with_context(cannot)
    }
}

/// Returns the name of a session's file.
fn name_of(session_id: &str, format: &FileFormat, gzip: bool) -> String {
    let packed = if gzip { ".gz" } else { "" };
    format!("{}.{}{packed}", file_stem(session_id), format.endings[0])
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
pub struct SessionFile<'s> {
    out: Out,
    sink: &'s mut dyn Sink,
    err: Option<io::Error>,
}

impl SessionFile<'_> {
    /// Writes what is in `buffer`, if it is enough to be worth it. Returns
    /// `false` once writing has failed.
    pub fn pass(&mut self, buffer: &mut Vec<u8>) -> bool {
        buffer.len() < CHUNK || self.finish(buffer)
    }

    /// Writes what is in `buffer`.
    pub fn finish(&mut self, buffer: &mut Vec<u8>) -> bool {
        if self.err.is_none() && !buffer.is_empty() {
            self.err = self.sink.unit(buffer, &mut self.out).err();
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

impl std::fmt::Debug for SessionFile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionFile").field("err", &self.err).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPANS: &FileFormat = FORMATS[0];
    const JSON: &FileFormat = FORMATS[1];
    const PROTO: &FileFormat = FORMATS[2];

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
        let of = |path: &str, gzip| Target::of(Some(Path::new(path)), gzip, SPANS);
        assert_eq!(Target::of(None, false, SPANS).unwrap(), Target::Stdout);
        assert_eq!(of("-", false).unwrap(), Target::Stdout);
        assert_eq!(of("a.gz", false).unwrap(), file("a.gz"));
        let dir = Target::Directory { dir: PathBuf::from("new/"), gzip: true };
        assert_eq!(of("new/", true).unwrap(), dir);
        assert!(of("a.gz", true).is_err());
    }

    #[test]
    fn a_name_asks_for_what_is_written_or_is_refused() {
        let check = |name: &str, format| {
            let failure = check_ending(Path::new(name), format).err()?;
            Some((failure.to_string(), failure.hint_line().unwrap().to_owned()))
        };
        for name in ["a.jsonl", "a.JSON.gz", "a.ndjson.zst", "a", "a.gz", "dir.html/a", "a.2026"] {
            assert_eq!(check(name, SPANS), None, "{name}");
            assert_eq!(check(name, JSON), None, "{name}");
        }
        assert_eq!(check("a.pb.gz", PROTO), None);
        let refused = |name: &str, ending: &str, hint: &str| {
            Some((format!("`{name}`: no `.{ending}` is written"), hint.to_owned()))
        };
        let kinds = "what is written is `.jsonl`, also as `.gz` or `.zst`";
        assert_eq!(check("a.html", SPANS), refused("a.html", "html", kinds));
        assert_eq!(check("a.csv.gz", SPANS), refused("a.csv.gz", "csv", kinds));
        assert_eq!(check("a.xz", JSON), refused("a.xz", "xz", kinds));
        let other = refused("a.pb", "pb", "`--to otlp-proto` does that");
        assert_eq!(check("a.pb", SPANS), other);
        let other = refused("a.jsonl", "jsonl", "`--to spans` does that");
        assert_eq!(check("a.jsonl", PROTO), other);
    }
}
