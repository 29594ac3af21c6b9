use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::args::UploadArgs;
use crate::config::Settings;
use codex_trace_deliver::retry::RetryPolicy;
use codex_trace_export::options::parse_age;
use codex_trace_history::failure::Failure;

/// How to upload, resolved: what holds for all destinations.
#[derive(Clone, Debug)]
pub struct UploadSettings {
    /// Where the ledger is.
    pub state_dir: PathBuf,
    /// Whether nothing is sent.
    pub dry_run: bool,
    /// Where requests are written to instead.
    pub dry_run_dir: Option<PathBuf>,
    /// How long a file must have been left alone.
    pub settle: Duration,
    /// Bytes of encoded units held at once.
    pub max_memory: usize,
    /// When to try again.
    pub retry: RetryPolicy,
}

impl UploadSettings {
    /// Resolves the arguments.
    ///
    /// # Errors
    ///
    /// If one of them cannot be read, or there is no home for the ledger.
    pub fn resolve(args: &UploadArgs, settings: &Settings) -> Result<UploadSettings, Failure> {
        Ok(UploadSettings {
            state_dir: state_dir(args.place.state_dir.as_deref(), settings)?,
            dry_run: args.dry_run.is_some(),
            dry_run_dir: args.dry_run.clone().flatten(),
            settle: age("--settle", &args.settle)?,
            max_memory: size("--max-memory", &args.max_memory)?,
            retry: RetryPolicy {
                budget: age("--retry-for", &args.retry_for)?,
                ..RetryPolicy::default()
            },
        })
    }
}

/// Reads a length of time: `90s`, `15m`.
///
/// # Errors
///
/// If it is none.
pub fn age(what: &str, text: &str) -> Result<Duration, Failure> {
    let age = parse_age(text);
    age.ok_or_else(|| {
        Failure::new(format!("`{what}` cannot be `{text}`"))
            .hint("give a length of time: 90s, 15m, 24h, 7d")
    })
}

/// Returns the directory for files that are in no other: `$TMPDIR`, or that of
/// the system.
#[expect(clippy::disallowed_methods, reason = "belongs to what is read here")]
pub fn temp_dir(settings: &Settings) -> PathBuf {
    settings.vars.0.get("TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from)
}

/// Returns where the ledger is: `--state-dir`, or below `$XDG_STATE_HOME` or
/// `~/.local/state`.
///
/// # Errors
///
/// If there is no home directory either.
pub fn state_dir(named: Option<&Path>, settings: &Settings) -> Result<PathBuf, Failure> {
    const NAME: &str = "codex-trace";
    if let Some(dir) = named {
        return Ok(dir.to_path_buf());
    }
    let xdg = settings.vars.0.get("XDG_STATE_HOME").map(PathBuf::from);
    // A relative path there is to be ignored, by the specification.
    if let Some(dir) = xdg.filter(|dir| dir.is_absolute()) {
        return Ok(dir.join(NAME));
    }
    let home = settings.home.as_ref().map(|home| home.join(".local").join("state").join(NAME));
    home.ok_or_else(|| {
        Failure::new("there is no home directory to keep the ledger in")
            .hint("name one with `--state-dir DIR`")
    })
}

/// Reads a size in bytes: `512MiB`, `2G`, `1000000`.
fn size(flag: &str, text: &str) -> Result<usize, Failure> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match text[digits.len()..].trim() {
        "" | "B" => Some(0),
        "K" | "KiB" | "k" => Some(10),
        "M" | "MiB" => Some(20),
        "G" | "GiB" => Some(30),
        _ => None,
    };
    let size = shift.and_then(|shift| digits.parse::<usize>().ok()?.checked_mul(1 << shift));
    size.filter(|size| *size > 0).ok_or_else(|| {
        Failure::new(format!("`{flag}` cannot be `{text}`")).hint("give a size: 512MiB, 2GiB")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let size = |text| size("--max-memory", text).ok();
        assert_eq!(size("512MiB"), Some(512 << 20));
        assert_eq!(size("2G"), Some(2 << 30));
        assert_eq!(size("17"), Some(17));
        for bad in ["", "0", "x", "5MB", "-1K", "99999999999G"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_ledger_has_a_home() {
        let mut settings = Settings::unresolved();
        assert!(state_dir(None, &settings).is_err());
        settings.home = Some(PathBuf::from("/home/u"));
        let dir = |settings: &_| state_dir(None, settings).unwrap();
        assert_eq!(dir(&settings), Path::new("/home/u/.local/state/codex-trace"));
        settings.vars.0.insert("XDG_STATE_HOME".to_owned(), "relative".to_owned());
        assert_eq!(dir(&settings), Path::new("/home/u/.local/state/codex-trace"));
        settings.vars.0.insert("XDG_STATE_HOME".to_owned(), "/state".to_owned());
        assert_eq!(dir(&settings), Path::new("/state/codex-trace"));
    }
}
