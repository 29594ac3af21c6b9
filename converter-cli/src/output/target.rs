use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use codex_trace_export::{FileFormat, Layout};
use codex_trace_history::failure::Failure;
use codex_trace_history::inputs::Inputs;
use codex_trace_model::SessionGroup;

use crate::formats::FORMATS;
use crate::output::directory::name_of;

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
pub(super) fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_file())
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    /// Reads it off the last ending of a name.
    pub(super) fn of(path: &Path) -> Packing {
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

#[cfg(test)]
mod tests {
    use super::*;

    const SPANS: &FileFormat = FORMATS[0];
    const JSON: &FileFormat = FORMATS[1];
    const PROTO: &FileFormat = FORMATS[2];

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
