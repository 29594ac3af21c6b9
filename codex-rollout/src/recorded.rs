//! Paths as another machine wrote them.

use std::fmt;

/// The path of a directory as a rollout records it: by the rules of the machine
/// that wrote it, which may be another system than the one that reads it.
///
/// Two paths are equal if they lead to the same directory as far as their text
/// tells. Windows paths do so whatever the case of their letters, however they
/// are separated, and with or without `\\?\`; so do the paths by which WSL
/// reaches Windows drives, `/mnt/c/…`. `.`, `..` and separators at the end are
/// resolved; links are not.
///
/// ```
/// use codex_rollout::RecordedPath;
///
/// let path = RecordedPath::new(r"\\?\C:\Users\u\App\");
/// assert_eq!(path, RecordedPath::new("c:/users/u/app"));
/// assert_eq!(path.to_string(), r"C:\Users\u\App");
/// assert!(path.is_within(&RecordedPath::new("/mnt/c/Users")));
/// assert!(!path.is_within(&RecordedPath::new("/home/u")));
/// ```
#[derive(Clone, Debug)]
pub struct RecordedPath {
    root: Root,
    parts: Vec<String>,
    /// How it was written.
    style: Style,
}

/// Where a path begins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Root {
    /// Wherever the process was.
    Relative,
    /// `/`
    Slash,
    /// A drive of Windows, in upper case.
    Drive(char),
    /// `\\server\share`: the parts begin with those.
    Network,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Unix,
    Windows,
    /// A Windows drive by the way of WSL.
    Mounted,
}

impl RecordedPath {
    /// Reads a path.
    pub fn new(text: &str) -> RecordedPath {
        let plain = text.strip_prefix(r"\\?\").or_else(|| text.strip_prefix("//?/"));
        let rest = plain.unwrap_or(text);
        let is_separator = |c: char| c == '/' || c == '\\';
        if let Some(drive) = rest.chars().next().filter(char::is_ascii_alphabetic)
            && let Some(below) = rest[1..].strip_prefix(':')
            && (below.is_empty() || below.starts_with(is_separator))
        {
            let root = Root::Drive(drive.to_ascii_uppercase());
            return RecordedPath::put_together(root, below.split(is_separator), Style::Windows);
        }
        let network = match plain {
            Some(rest) => rest.strip_prefix(r"UNC\"),
            None => rest.strip_prefix(r"\\"),
        };
        if let Some(rest) = network {
            let mut parts = rest.split(is_separator).filter(|part| !part.is_empty()).peekable();
            let is_wsl = |server: &&str| {
                server.eq_ignore_ascii_case("wsl$") || server.eq_ignore_ascii_case("wsl.localhost")
            };
            if parts.next_if(is_wsl).is_some() {
                // A distribution's own files, seen from Windows.
                return RecordedPath::put_together(Root::Slash, parts.skip(1), Style::Unix);
            }
            return RecordedPath::put_together(Root::Network, parts, Style::Windows);
        }
        let Some(below) = rest.strip_prefix('/') else {
            return RecordedPath::put_together(Root::Relative, rest.split('/'), Style::Unix);
        };
        let path = RecordedPath::put_together(Root::Slash, below.split('/'), Style::Unix);
        let drive = match path.parts.as_slice() {
            [mount, drive, ..] if mount == "mnt" && drive.len() == 1 => drive.chars().next(),
            _ => None,
        };
        match drive.filter(char::is_ascii_alphabetic) {
            Some(drive) => RecordedPath {
                root: Root::Drive(drive.to_ascii_uppercase()),
                parts: path.parts[2..].to_vec(),
                style: Style::Mounted,
            },
            None => path,
        }
    }

    fn put_together<'p>(
        root: Root,
        parts: impl Iterator<Item = &'p str>,
        style: Style,
    ) -> RecordedPath {
        let mut kept: Vec<String> = Vec::new();
        for part in parts {
            match part {
                "" | "." => {}
                ".." if kept.last().is_some_and(|last| last != "..") => {
                    kept.pop();
                }
                ".." if root != Root::Relative => {}
                part => kept.push(part.to_owned()),
            }
        }
        RecordedPath { root, parts: kept, style }
    }

    /// Returns whether the path begins at a root, not at some directory.
    pub fn is_absolute(&self) -> bool {
        self.root != Root::Relative
    }

    /// Returns whether it is `dir`, or a directory below it.
    pub fn is_within(&self, dir: &RecordedPath) -> bool {
        let (own, outer) = (self.key(), dir.key());
        own.0 == outer.0 && own.1.starts_with(&outer.1)
    }

    /// What equal paths have in common.
    fn key(&self) -> (&Root, Vec<String>) {
        let has_case = matches!(self.root, Root::Slash | Root::Relative);
        let part = |part: &String| if has_case { part.clone() } else { part.to_lowercase() };
        (&self.root, self.parts.iter().map(part).collect())
    }
}

impl PartialEq for RecordedPath {
    fn eq(&self, other: &RecordedPath) -> bool {
        self.key() == other.key()
    }
}

impl Eq for RecordedPath {}

impl PartialOrd for RecordedPath {
    fn partial_cmp(&self, other: &RecordedPath) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RecordedPath {
    fn cmp(&self, other: &RecordedPath) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// As its own system writes it.
impl fmt::Display for RecordedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = self.parts.join(if self.style == Style::Windows { r"\" } else { "/" });
        match (&self.root, self.style) {
            (Root::Drive(drive), Style::Mounted) if below.is_empty() => {
                write!(f, "/mnt/{}", drive.to_ascii_lowercase())
            }
            (Root::Drive(drive), Style::Mounted) => {
                write!(f, "/mnt/{}/{below}", drive.to_ascii_lowercase())
            }
            (Root::Drive(drive), _) => write!(f, r"{drive}:\{below}"),
            (Root::Network, _) => write!(f, r"\\{below}"),
            (Root::Slash, _) => write!(f, "/{below}"),
            (Root::Relative, _) => f.write_str(&below),
        }
    }
}
