//! Files that sessions are written to, in two parts by who calls them.
//!
//! A [`FileEncoder`] turns a session into bytes; workers call it, several at once.
//! What comes of it goes to a [`Sink`], on one thread and in the order of the
//! sessions: it may write at once, or keep what it needs until it has seen all of
//! them. Neither opens a file: a sink asks for its [`OutputFiles`], which appear
//! only if the run ends well.

use std::io::{self, Read, Seek, Write};

use codex_trace_model::Trace;

use crate::content::Content;
use crate::destination::{ConfigError, EncodeError};
use crate::options::{OptionSet, OptionSpec};
use crate::redact::Redactor;

/// A format that sessions can be written in.
#[derive(Debug)]
pub struct FileFormat {
    /// As given to `--to`.
    pub name: &'static str,
    /// What it is, in a line.
    pub summary: &'static str,
    /// What the names of its files may end in; ours end in the first.
    pub endings: &'static [&'static str],
    /// Whether it can be shown on a terminal.
    pub is_text: bool,
    /// How many files there are.
    pub layout: Layout,
    /// The options that it has.
    pub options: &'static [OptionSpec],
    /// Checks the settings and makes what writes the format.
    pub open: fn(FileSettings) -> Result<Box<dyn FileEncoder>, ConfigError>,
}

/// How many files a format makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Sessions one after the other, in one file or in a file for each.
    Joined,
    /// One file that all sessions are needed for.
    OneFile,
    /// A directory with files of these names.
    Directory(&'static [&'static str]),
}

/// What a format is told of how to write.
#[derive(Debug, Default)]
pub struct FileSettings {
    /// What of the content to write.
    pub content: Content,
    /// What to redact.
    pub redactor: Option<Redactor>,
    /// The options of the format.
    pub options: OptionSet,
}

/// Turns sessions into bytes. Pure, and called from any thread.
pub trait FileEncoder: Send + Sync {
    /// Appends a session to `out`, and calls `pass` where the bytes may be cut:
    /// it may take away what is there, and ends the encoding by returning
    /// `false`. What it takes reaches the sink as it is, one unit for each cut
    /// or several of them joined.
    ///
    /// # Errors
    ///
    /// If a span cannot be represented; what was passed on before stays.
    fn encode(
        &self,
        trace: &Trace<'_>,
        out: &mut Vec<u8>,
        pass: &mut dyn FnMut(&mut Vec<u8>) -> bool,
    ) -> Result<(), EncodeError>;

    /// Makes what writes the units: one sink for all sessions, or one for each
    /// where each has its own file. Writes them as they are, unless told
    /// otherwise.
    fn sink(&self) -> Box<dyn Sink> {
        Box::new(AsTheyAre)
    }
}

/// Writes what sessions became. Called from one thread, in the order of the
/// sessions.
pub trait Sink: Send {
    /// Writes what comes first.
    ///
    /// # Errors
    ///
    /// If the files cannot be written.
    fn begin(&mut self, files: &mut dyn OutputFiles) -> io::Result<()> {
        let _ = files;
        Ok(())
    }

    /// Takes a unit.
    ///
    /// # Errors
    ///
    /// If the files cannot be written.
    fn unit(&mut self, bytes: &[u8], files: &mut dyn OutputFiles) -> io::Result<()>;

    /// Writes what comes last. Not called if the run was interrupted: the files
    /// are dropped then.
    ///
    /// # Errors
    ///
    /// If the files cannot be written.
    fn finish(&mut self, files: &mut dyn OutputFiles) -> io::Result<()> {
        let _ = files;
        Ok(())
    }
}

/// The files of a sink: private, and in place only once all of them are whole.
pub trait OutputFiles {
    /// Returns a file of a [`Layout::Directory`] by its name; the one file of
    /// another layout, whatever the name.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    fn file(&mut self, name: &str) -> io::Result<&mut dyn Write>;

    /// Says that a file is whole, though the run goes on: for formats that make
    /// more files than can be open at once. It takes its place now.
    ///
    /// # Errors
    ///
    /// If it cannot.
    fn done(&mut self, name: &str) -> io::Result<()>;

    /// Makes a private file for what must be kept until all sessions were seen.
    /// Nothing is left of it in the end.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    fn scratch(&mut self) -> io::Result<Box<dyn Scratch>>;
}

/// A file that is written, and then read.
pub trait Scratch: Read + Write + Seek + Send {}

impl<F: Read + Write + Seek + Send> Scratch for F {}

struct AsTheyAre;

impl Sink for AsTheyAre {
    fn unit(&mut self, bytes: &[u8], files: &mut dyn OutputFiles) -> io::Result<()> {
        files.file("")?.write_all(bytes)
    }
}
