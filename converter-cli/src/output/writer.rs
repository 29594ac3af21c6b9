use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use codex_trace_deliver::private;
use codex_trace_export::{OutputFiles, Scratch};
use codex_trace_history::failure::Failure;
use codex_trace_history::scratch;
use codex_trace_history::whole::{self, WholeFile, directory_of};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::config::temp_dir;
use crate::output::directory::make_directory;
use crate::output::target::{Packing, Target, is_special};
use crate::ui::Ui;

/// Writes what all sessions share: stdout, one file, or the files of a format.
pub struct Writer {
    out: Out,
    /// What to call it in errors; nothing for stdout.
    name: Option<PathBuf>,
    terminal: bool,
}

pub(super) enum Out {
    /// A file, or what else takes bytes, and the directory to keep more in.
    One(Box<dyn Finish>, PathBuf),
    /// Files of a directory, by name.
    Several(PathBuf, BTreeMap<String, WholeFile>),
}

impl Out {
    fn nowhere() -> Out {
        Out::One(Box::new(io::sink()), PathBuf::new())
    }

    /// Opens a file.
    pub(super) fn open(path: &Path) -> anyhow::Result<Out> {
        Ok(Out::One(open_file(path)?, directory_of(path).to_path_buf()))
    }

    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Out::One(out, _) => out.finish(),
            Out::Several(_, files) => files.into_values().try_for_each(WholeFile::persist),
        }
    }
}

impl OutputFiles for Out {
    fn file(&mut self, name: &str) -> io::Result<&mut dyn Write> {
        match self {
            Out::One(out, _) => Ok(out),
            Out::Several(dir, files) => {
                if !files.contains_key(name) {
                    let path = dir.join(name);
                    if name.contains('/') {
                        private::make_dir(directory_of(&path))?;
                    }
                    files.insert(name.to_owned(), WholeFile::create(&path)?);
                }
                Ok(files.get_mut(name).expect("it was just made"))
            }
        }
    }

    fn done(&mut self, name: &str) -> io::Result<()> {
        match self {
            Out::One(..) => Ok(()),
            Out::Several(_, files) => files.remove(name).map_or(Ok(()), WholeFile::persist),
        }
    }

    /// Beside the output, where there is room for it.
    fn scratch(&mut self) -> io::Result<Box<dyn Scratch>> {
        let (Out::One(_, dir) | Out::Several(dir, _)) = self;
        Ok(Box::new(scratch::file(dir)?))
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
            Target::Stdout => (Out::One(Box::new(ui.out()), temp_dir(ui.settings())), None),
            Target::Directory { .. } => (Out::nowhere(), None),
            Target::File(path) => {
                whole::sweep(directory_of(path));
                let beside = directory_of(path).to_path_buf();
                let dir = if is_special(path) { temp_dir(ui.settings()) } else { beside };
                (Out::One(open_file(path)?, dir), Some(path.clone()))
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
pub(super) trait Finish: Write {
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

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("name", &self.name).finish_non_exhaustive()
    }
}
