//! Reads keys from where the configuration file says they are.

use std::io::Read;
use std::path::{Path, PathBuf};

use codex_trace_export::environment::Environment;
use codex_trace_export::options::SecretRef;
use codex_trace_export::secret::Secret;

/// The largest file that is taken for one that holds a key, in bytes.
const MAX_KEY_FILE: u64 = 64 << 10;

/// Reads the key. Relative files are looked for in `base`.
///
/// # Errors
///
/// If there is none: what is missing, for people.
pub fn read(reference: &SecretRef, env: &Environment, home: &Home<'_>) -> Result<Secret, String> {
    match reference {
        SecretRef::Env(name) => match env.0.get(name).filter(|value| !value.trim().is_empty()) {
            Some(value) => Ok(Secret::new(value.trim())),
            None => Err(format!("the variable `{name}` is not set")),
        },
        SecretRef::File(path) => {
            let path = home.path(path);
            let text = private_text(&path)
                .map_err(|err| format!("cannot read `{}`: {err}", path.display()))?;
            match text.trim() {
                "" => Err(format!("there is nothing in `{}`", path.display())),
                text => Ok(Secret::new(text)),
            }
        }
    }
}

/// From where paths in a configuration file lead.
#[derive(Clone, Copy, Debug)]
pub struct Home<'h> {
    /// The directory of the configuration file.
    pub base: &'h Path,
    /// The user's home directory, `~`.
    pub home: Option<&'h Path>,
}

impl Home<'_> {
    /// Makes a path of the file absolute.
    pub fn path(&self, path: &Path) -> PathBuf {
        match (path.strip_prefix("~"), self.home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => self.base.join(path),
        }
    }
}

/// Reads a small file of text.
///
/// # Errors
///
/// If it cannot be read, or is no small file of text.
fn private_text(path: &Path) -> std::io::Result<String> {
    // `/dev/fd/3` may be where another program writes a key to.
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_KEY_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_KEY_FILE {
        return Err(std::io::Error::other("it is too large to be a key"));
    }
    Ok(text)
}
