use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use codex_trace_deliver::private;
use codex_trace_export::{FileFormat, Sink};
use codex_trace_history::whole;

use crate::output::writer::Out;

/// How much is gathered before it is written to a session's own file, in bytes.
const CHUNK: usize = 256 << 10;

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
        let mut out = Out::open(&path).with_context(cannot)?;
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
pub(super) fn name_of(session_id: &str, format: &FileFormat, gzip: bool) -> String {
    let packed = if gzip { ".gz" } else { "" };
    format!("{}.{}{packed}", file_stem(session_id), format.endings[0])
}

/// Makes a file name of an id: an id comes from a file, and could be anything.
fn file_stem(id: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let stem: String = id.chars().take(100).map(|c| if plain(c) { c } else { '_' }).collect();
    if stem == id && !stem.is_empty() && !is_device(&stem) {
        return stem;
    }
    // Ids that differ must not share a file.
    let digest = <sha2::Sha256 as sha2::Digest>::digest(id.as_bytes());
    let tail: Vec<String> = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{stem}_{}", tail.concat())
}

/// Whether Windows takes a file of this name, whatever its ending, for a device.
fn is_device(stem: &str) -> bool {
    let stem = stem.to_ascii_lowercase();
    let is_port = |name: &str| {
        let number = stem.strip_prefix(name).map(str::as_bytes);
        matches!(number, Some([digit]) if digit.is_ascii_digit())
    };
    matches!(&*stem, "con" | "prn" | "aux" | "nul") || is_port("com") || is_port("lpt")
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

pub(super) fn make_directory(dir: &Path) -> anyhow::Result<()> {
    private::make_dir(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
    whole::sweep(dir);
    Ok(())
}

impl std::fmt::Debug for SessionFile<'_> {
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
        for device in ["con", "NUL", "Com1"] {
            assert!(file_stem(device).len() > device.len() + 1, "{device}");
        }
        assert_eq!(file_stem("console"), "console");
        let different: std::collections::HashSet<_> = stems.iter().collect();
        assert_eq!(different.len(), stems.len());
    }
}
