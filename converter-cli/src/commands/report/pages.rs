//! The files of a report: one page, or several with an index.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use codex_trace_deliver::private;
use codex_trace_export::report::page::{self, About, Frame};

use super::pack::{self, Packer};
use crate::ui::Ui;
use codex_trace_history::failure::Failure;
use codex_trace_history::whole::{self, WholeFile, directory_of};

/// The largest page that is written, about, in bytes: a browser opens it at once.
pub(super) const LARGEST_PAGE: u64 = 64 << 20;

/// The size at which a part of a report of several pages is full.
const FULL: u64 = LARGEST_PAGE / 2;

/// The first page of a report of several.
const INDEX: &str = "index.html";

/// Where a report goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
    /// A directory: an index, and parts.
    Directory(PathBuf),
}

impl Place {
    /// Reads `--output`; a report of about so many bytes goes there.
    pub(super) fn of(output: Option<&Path>, estimate: u64) -> Result<Place, Failure> {
        let too_large = estimate > LARGEST_PAGE;
        match output {
            Some(path) if path != Path::new("-") => {
                let text = path.as_os_str().to_string_lossy();
                if path.is_dir() || text.ends_with(std::path::is_separator) {
                    return Ok(Place::Directory(path.to_path_buf()));
                }
                if !too_large || path.metadata().is_ok_and(|it| !it.is_file()) {
                    return Ok(Place::File(path.to_path_buf()));
                }
                let dir = path.with_extension("");
                if dir == path || dir.is_file() {
                    let failure = format!("`{text}`: the report is too large for one page");
                    return Err(
                        Failure::new(failure).hint("name a directory: a path that ends in `/`")
                    );
                }
                Ok(Place::Directory(dir))
            }
            _ if too_large => Err(Failure::new("the report is too large for one page")
                .hint("name a directory with `--output`, or choose sessions with `--since`")),
            _ => Ok(Place::Stdout),
        }
    }
}

/// A report being written. What had the names before stays as it is until all
/// of a file is there.
pub(super) struct Pages<'p> {
    about: About<'p>,
    frame: Frame,
    dir: Option<PathBuf>,
    /// The page under way.
    out: Out,
    /// How long it is, in bytes.
    len: u64,
    /// How many sessions it has.
    n_sessions: usize,
    /// Its rows.
    rows: Packer,
    /// The rows of the index, and the parts begun.
    index: Packer,
    n_parts: usize,
}

/// Where one page goes.
enum Out {
    Stdout(Box<dyn Write>),
    File(WholeFile, PathBuf),
    /// A pipe or a device.
    Special(fs::File, PathBuf),
    /// None yet.
    None,
}

impl Out {
    fn file(path: &Path) -> anyhow::Result<Out> {
        let cannot = || format!("cannot write `{}`", path.display());
        if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            let file = fs::OpenOptions::new().write(true).open(path).with_context(cannot)?;
            return Ok(Out::Special(file, path.to_path_buf()));
        }
        let dir = directory_of(path);
        if !dir.is_dir() {
            let failure = format!("{}: there is no directory `{}`", cannot(), dir.display());
            return Err(Failure::new(failure).hint("make the directory first").into());
        }
        whole::sweep(dir);
        Ok(Out::File(WholeFile::create(path).with_context(cannot)?, path.to_path_buf()))
    }

    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let (written, path) = match self {
            // Alone, so that a closed pipe is known for one.
            Out::Stdout(out) => return Ok(out.write_all(bytes)?),
            Out::File(file, path) => (file.write_all(bytes), path),
            Out::Special(file, path) => (file.write_all(bytes), path),
            Out::None => return Ok(()),
        };
        written.with_context(|| format!("cannot write `{}`", path.display()))
    }

    fn finish(self) -> anyhow::Result<()> {
        let (done, path): (io::Result<()>, _) = match self {
            Out::Stdout(mut out) => return Ok(out.flush()?),
            Out::File(file, path) => (file.persist(), path),
            Out::Special(..) | Out::None => return Ok(()),
        };
        done.with_context(|| format!("cannot write `{}`", path.display()))
    }
}

impl<'p> Pages<'p> {
    /// Begins a report.
    ///
    /// # Errors
    ///
    /// If the file or the directory cannot be made.
    pub(super) fn open(place: &Place, about: About<'p>, ui: &Ui) -> anyhow::Result<Pages<'p>> {
        let mut pages = Pages {
            about,
            frame: Frame::new(pack::unpacked(page::CHARTS)),
            dir: None,
            out: Out::None,
            len: 0,
            n_sessions: 0,
            rows: Packer::new(),
            index: Packer::new(),
            n_parts: 0,
        };
        match place {
            Place::Stdout => pages.begin(Out::Stdout(Box::new(ui.out())))?,
            Place::File(path) => pages.begin(Out::file(path)?)?,
            Place::Directory(dir) => {
                private::make_dir(dir)
                    .with_context(|| format!("cannot make `{}`", dir.display()))?;
                pages.about.index = Some(INDEX);
                pages.dir = Some(dir.clone());
            }
        }
        Ok(pages)
    }

    /// Begins the block of the next session.
    pub(super) fn open_session(&mut self) -> anyhow::Result<()> {
        if let Some(dir) = self.dir.clone().filter(|_| self.len == 0) {
            self.n_parts += 1;
            let name = format!("part-{}.html", self.n_parts);
            self.begin(Out::file(&dir.join(&name))?)?;
            let mut row = Vec::new();
            page::part_row(&name, &mut row);
            self.index.take(&mut row);
        }
        let mut text = Vec::new();
        page::open_session(self.n_sessions, &mut text);
        self.n_sessions += 1;
        self.write(&text)
    }

    /// Writes a piece of it.
    pub(super) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.len += bytes.len() as u64;
        self.out.write(bytes)
    }

    /// Ends the block of a session, whose row this is.
    pub(super) fn close_session(&mut self, mut row: Vec<u8>) -> anyhow::Result<()> {
        let mut text = Vec::new();
        page::close_block(&mut text);
        self.write(&text)?;
        if self.dir.is_some() {
            self.index.take(&mut row.clone());
        }
        self.rows.take(&mut row);
        if self.dir.is_some() && self.len > FULL { self.end() } else { Ok(()) }
    }

    /// Ends the report.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        if self.len > 0 {
            self.end()?;
        }
        if let Some(dir) = &self.dir {
            let out = Out::file(&dir.join(INDEX))?;
            self.about.index = None;
            self.rows = std::mem::replace(&mut self.index, Packer::new());
            self.begin(out)?;
            self.end()?;
        }
        Ok(())
    }

    fn begin(&mut self, out: Out) -> anyhow::Result<()> {
        self.out = out;
        let mut text = Vec::new();
        self.frame.head(&mut text);
        self.write(&text)
    }

    fn end(&mut self) -> anyhow::Result<()> {
        let mut text = Vec::new();
        page::open_rows(&mut text);
        std::mem::replace(&mut self.rows, Packer::new()).finish(&mut text);
        page::close_block(&mut text);
        self.frame.tail(&self.about, &mut text);
        self.write(&text)?;
        (self.len, self.n_sessions) = (0, 0);
        std::mem::replace(&mut self.out, Out::None).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_report_becomes_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("r.html");
        let (small, large) = (LARGEST_PAGE, LARGEST_PAGE + 1);
        let of = |path: &Path, estimate| Place::of(Some(path), estimate).unwrap();
        assert_eq!(of(&file, small), Place::File(file.clone()));
        assert_eq!(of(&file, large), Place::Directory(dir.path().join("r")));
        assert_eq!(of(dir.path(), small), Place::Directory(dir.path().to_owned()));
        assert_eq!(of(Path::new("new/"), small), Place::Directory(PathBuf::from("new/")));
        assert_eq!(Place::of(None, small).unwrap(), Place::Stdout);
        assert!(Place::of(None, large).is_err());
        assert!(Place::of(Some(Path::new("r")), large).is_err(), "no name is left for it");
    }
}
