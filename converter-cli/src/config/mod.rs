//! Arguments and environment, resolved: every default lives here, and this is
//! the only module that reads the environment or the clock.

mod console;
mod file;
mod homes;
mod redaction;
mod secret;
mod table;
mod upload;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::args::{self, ContentArgs, GlobalArgs, OptionArgs, SelectArgs, When};
use crate::when::{self, Edge};
use crate::zone::Zone;
use codex_trace_deliver::paths;
use codex_trace_export::content::Content;
use codex_trace_export::environment::Environment as Variables;
use codex_trace_export::options::common::{REDACT, REDACT_PATTERNS, REDACT_RULES};
use codex_trace_history::Directory;
use codex_trace_history::failure::Failure;

pub use codex_trace_history::select::Selection;
pub use file::ConfigFile;
pub use redaction::Redaction;
pub use secret::read as read_secret;
pub use table::Table;
pub use upload::{UploadSettings, age, state_dir, temp_dir};

/// The most threads that may be asked for.
const MOST_JOBS: usize = 512;

/// The most threads to use unless told otherwise.
const MAX_JOBS: usize = 16;

/// The width of a terminal that does not tell, in columns.
const USUAL_WIDTH: usize = 80;

/// The narrowest and the widest that output for people is fitted to, in columns.
const MIN_WIDTH: usize = 40;
const MAX_WIDTH: usize = 400;

/// What the process was given besides its arguments.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent answers, not states of a thing"
)]
pub struct Environment {
    codex_home: Option<PathBuf>,
    home: Option<PathBuf>,
    no_color: bool,
    force_color: bool,
    columns: Option<usize>,
    terminal_width: Option<usize>,
    terminal_height: Option<usize>,
    stdout_is_terminal: bool,
    stderr_is_terminal: bool,
    takes_escapes: bool,
    processors: usize,
    now: Timestamp,
    vars: Variables,
    cwd: Option<PathBuf>,
}

impl Environment {
    /// Reads the environment, the clock and the terminal: once, here.
    #[expect(clippy::disallowed_methods, reason = "the only place that reads them")]
    pub fn read() -> Environment {
        let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let number = |value: OsString| value.to_str()?.parse().ok();
        let size = terminal_size::terminal_size();
        Environment {
            codex_home: var("CODEX_HOME").map(PathBuf::from),
            home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()),
            no_color: var("NO_COLOR").is_some() || var("TERM").is_some_and(|term| term == "dumb"),
            force_color: ["CLICOLOR_FORCE", "FORCE_COLOR"]
                .iter()
                .any(|name| var(name).is_some_and(|value| value != "0")),
            columns: var("COLUMNS").and_then(number),
            terminal_width: size.map(|(width, _)| usize::from(width.0)),
            terminal_height: size.map(|(_, height)| usize::from(height.0)),
            stdout_is_terminal: std::io::stdout().is_terminal(),
            stderr_is_terminal: std::io::stderr().is_terminal(),
            takes_escapes: console::takes_escapes(),
            processors: std::thread::available_parallelism().map_or(1, NonZero::get),
            now: Timestamp::now(),
            vars: Variables(
                std::env::vars_os()
                    .filter_map(|(key, value)| {
                        Some((key.into_string().ok()?, value.into_string().ok()?))
                    })
                    .collect(),
            ),
            cwd: std::env::current_dir().ok(),
        }
    }
}

impl Environment {
    /// Returns whether to color what the argument parser says, if no flag does.
    pub fn color(&self) -> clap::ColorChoice {
        let is_seen = self.stdout_is_terminal || self.stderr_is_terminal;
        if self.no_color || !(self.force_color || is_seen) {
            clap::ColorChoice::Never
        } else if self.force_color {
            clap::ColorChoice::Always
        } else {
            clap::ColorChoice::Auto
        }
    }

    /// Returns whether a shell asks what could be typed next.
    pub fn asks_for_completion(&self) -> bool {
        self.vars.0.get(crate::complete::VARIABLE).is_some_and(|shell| !shell.is_empty())
    }

    /// Returns the working directory.
    pub fn cwd(&self) -> Option<&Path> {
        self.cwd.as_deref()
    }
}

/// What holds for every command.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "six independent answers, not states of a thing")]
pub struct Settings {
    /// The Codex homes to read.
    pub codex_homes: Vec<PathBuf>,
    /// What named [`codex_homes`](Self::codex_homes).
    pub codex_homes_from: &'static str,
    /// The user's own Codex home, that of `CODEX_HOME` or `~/.codex`: where
    /// settings come from, whatever home is read.
    pub own_codex_home: Option<PathBuf>,
    /// The home of `--codex-home`, if it is another one: history alone.
    pub foreign_home: Option<PathBuf>,
    /// The user's home directory, written `~` for people.
    pub home: Option<PathBuf>,
    /// Whether to say less.
    pub quiet: bool,
    /// Whether to say more.
    pub verbose: bool,
    /// Whether stdout takes color.
    pub color_out: bool,
    /// Whether stderr takes color.
    pub color_err: bool,
    /// Whether to show progress on stderr.
    pub progress: bool,
    /// Whether somebody looks at stderr.
    pub stderr_is_terminal: bool,
    /// Whether somebody looks at stdout.
    pub stdout_is_terminal: bool,
    /// The width of messages, in columns; none where nobody looks at stderr.
    pub message_width: Option<usize>,
    /// The width of output for people, in columns; without a limit where nobody
    /// looks at it.
    pub width: usize,
    /// The height of the terminal, in lines.
    pub height: Option<usize>,
    /// The number of threads to work with.
    pub jobs: usize,
    /// When the program was started.
    pub now: Timestamp,
    /// The environment, for backends to read what their plugins read.
    pub vars: Variables,
    /// The working directory.
    pub cwd: Option<PathBuf>,
}

impl Settings {
    /// Returns what is used to say that nothing could be resolved.
    pub fn unresolved() -> Settings {
        Settings {
            codex_homes: Vec::new(),
            codex_homes_from: "nowhere",
            own_codex_home: None,
            foreign_home: None,
            home: None,
            quiet: true,
            verbose: false,
            color_out: false,
            color_err: false,
            progress: false,
            stderr_is_terminal: false,
            stdout_is_terminal: false,
            message_width: None,
            width: usize::MAX,
            height: None,
            jobs: 1,
            now: Timestamp::UNIX_EPOCH,
            vars: Variables::default(),
            cwd: None,
        }
    }

    /// Resolves the environment alone, for whoever is not called by a person.
    ///
    /// # Errors
    ///
    /// None that are known: no option was given.
    pub fn of_environment(env: &Environment) -> Result<Settings, Failure> {
        let args = GlobalArgs {
            quiet: false,
            verbose: false,
            color: When::Never,
            codex_home: Vec::new(),
            jobs: None,
        };
        Settings::resolve(&args, env)
    }

    /// Returns the same at the present time, for whoever runs for long.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the only place that reads the clock")]
    pub fn at_present(&self) -> Settings {
        Settings { now: Timestamp::now(), ..self.clone() }
    }

    /// Resolves the options of every command.
    ///
    /// # Errors
    ///
    /// If one of them makes no sense.
    pub fn resolve(args: &GlobalArgs, env: &Environment) -> Result<Settings, Failure> {
        if args.jobs.is_some_and(|jobs| jobs > MOST_JOBS) {
            return Err(Failure::new(format!("`--jobs` takes at most {MOST_JOBS} threads"))
                .hint("more threads than processors do not make it faster"));
        }
        if args.jobs == Some(0) {
            return Err(Failure::new("`--jobs` needs at least one thread"));
        }
        let home = env.home.as_deref();
        let of_flag: Vec<PathBuf> =
            args.codex_home.iter().flat_map(|dirs| homes::listed(dirs, home)).collect();
        let of_variable =
            env.codex_home.as_ref().map(|dirs| homes::listed(dirs, home)).unwrap_or_default();
        let usual = home.map(|home| home.join(".codex"));
        let own_codex_home = of_variable.first().cloned().or_else(|| usual.clone());
        let is_own =
            |dir: &PathBuf| own_codex_home.as_ref().is_some_and(|own| paths::is_same_dir(own, dir));
        let foreign_home = of_flag.first().cloned().filter(|dir| !is_own(dir));
        let (codex_homes, codex_homes_from) = match usual {
            _ if !of_flag.is_empty() => (of_flag, "--codex-home"),
            _ if !of_variable.is_empty() => (of_variable, "CODEX_HOME"),
            Some(usual) => (vec![usual], "the default"),
            None => (Vec::new(), "nowhere"),
        };
        let color = |terminal: bool| match args.color {
            When::Always => true,
            When::Never => false,
            When::Auto => !env.no_color && (terminal && env.takes_escapes || env.force_color),
        };
        let on_terminal = || {
            let width = env.terminal_width.unwrap_or(USUAL_WIDTH);
            env.stdout_is_terminal.then_some(width)
        };
        let width = env.columns.or_else(on_terminal);
        Ok(Settings {
            codex_homes,
            codex_homes_from,
            own_codex_home,
            foreign_home,
            home: env.home.clone(),
            quiet: args.quiet,
            verbose: args.verbose,
            color_out: color(env.stdout_is_terminal),
            color_err: color(env.stderr_is_terminal),
            progress: env.stderr_is_terminal && !args.quiet,
            stderr_is_terminal: env.stderr_is_terminal,
            stdout_is_terminal: env.stdout_is_terminal,
            message_width: env
                .stderr_is_terminal
                .then(|| env.columns.or(env.terminal_width).unwrap_or(USUAL_WIDTH).max(MIN_WIDTH)),
            width: width.map_or(usize::MAX, |width| width.clamp(MIN_WIDTH, MAX_WIDTH)),
            height: env.terminal_height.filter(|_| env.stdout_is_terminal),
            jobs: args.jobs.unwrap_or(env.processors.min(MAX_JOBS)),
            now: env.now,
            vars: env.vars.clone(),
            cwd: env.cwd.clone(),
        })
    }
}

/// Returns the time zone of a run: as asked for, else that of the machine if
/// somebody looks at stdout, else UTC.
///
/// # Errors
///
/// If there is no such zone.
pub fn zone(args: &SelectArgs, settings: &Settings) -> Result<Zone, Failure> {
    match &args.timezone {
        Some(name) => Zone::named(name),
        None if settings.stdout_is_terminal => Ok(Zone::local()),
        None => Ok(Zone::utc()),
    }
}

/// Resolves the arguments.
///
/// # Errors
///
/// If a time or a zone cannot be read, or the range between the two is empty.
pub fn selection(args: &SelectArgs, settings: &Settings) -> Result<Selection, Failure> {
    let zone = zone(args, settings)?;
    let time = |flag: &str, text: &Option<String>, edge| {
        let Some(text) = text else { return Ok(None) };
        when::parse(text, edge, settings.now, &zone)
            .map(Some)
            .ok_or_else(|| Failure::new(format!("`{flag}` cannot be `{text}`")).hint(when::FORMS))
    };
    let since = time("--since", &args.since, Edge::Since)?;
    let until = time("--until", &args.until, Edge::Until)?;
    if let (Some(since), Some(until)) = (since, until)
        && until <= since
    {
        let typed = |text: &Option<String>| text.clone().unwrap_or_default();
        return Err(Failure::new(format!(
            "no time is between `--since {}` and `--until {}`",
            typed(&args.since),
            typed(&args.until)
        )));
    }
    Ok(Selection {
        paths: args.paths.clone(),
        files_from: args.files_from.clone(),
        since,
        until,
        cwd: args.cwd.as_deref().map(directory),
        model: args.model.as_deref().map(str::to_lowercase),
        source: args.source.clone(),
        branch: args.branch.clone(),
        repository: args.repo.clone(),
        status: args.status.clone(),
    })
}

/// Resolves a directory that is asked for.
#[expect(clippy::disallowed_methods, reason = "`~` is the home directory")]
fn directory(path: &Path) -> Directory {
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    Directory::resolve(path, home.as_deref())
}

impl From<&OptionArgs<args::Redaction>> for Redaction {
    fn from(args: &OptionArgs<args::Redaction>) -> Redaction {
        Redaction {
            on: args.get(&REDACT),
            patterns: args.get(&REDACT_PATTERNS).unwrap_or_default(),
            rules: args.get(&REDACT_RULES),
        }
    }
}

impl From<ContentArgs> for Content {
    fn from(args: ContentArgs) -> Content {
        Content { encrypted: args.encrypted, max_image_bytes: args.max_image_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        Environment {
            codex_home: None,
            home: Some(PathBuf::from("/home/u")),
            force_color: false,
            no_color: false,
            columns: None,
            terminal_width: Some(120),
            terminal_height: Some(40),
            stdout_is_terminal: true,
            stderr_is_terminal: true,
            takes_escapes: true,
            processors: 64,
            now: Timestamp::UNIX_EPOCH,
            vars: Variables::default(),
            cwd: None,
        }
    }

    fn no_args() -> GlobalArgs {
        GlobalArgs {
            quiet: false,
            verbose: false,
            color: When::Auto,
            codex_home: Vec::new(),
            jobs: None,
        }
    }

    #[test]
    fn the_flag_wins_over_the_variable_and_that_over_the_default() {
        let mut env = environment();
        let mut args = no_args();
        let homes = |args: &_, env: &_| Settings::resolve(args, env).unwrap().codex_homes;
        assert_eq!(homes(&args, &env), [Path::new("/home/u/.codex")]);
        env.codex_home = Some(PathBuf::from("/from/env,~/two"));
        assert_eq!(homes(&args, &env), [Path::new("/from/env"), Path::new("/home/u/two")]);
        args.codex_home = vec![PathBuf::from("/from/flag"), PathBuf::from("~/x")];
        assert_eq!(homes(&args, &env), [Path::new("/from/flag"), Path::new("/home/u/x")]);
    }

    #[test]
    fn settings_come_from_the_users_own_home_whatever_is_read() {
        let own = tempfile::tempdir().unwrap();
        let mut env = environment();
        let mut args = no_args();
        let homes = |args: &_, env: &_| {
            let settings = Settings::resolve(args, env).unwrap();
            (settings.own_codex_home.unwrap(), settings.foreign_home)
        };
        assert_eq!(homes(&args, &env), (PathBuf::from("/home/u/.codex"), None));
        args.codex_home = vec![PathBuf::from("/backup")];
        let foreign = Some(PathBuf::from("/backup"));
        assert_eq!(homes(&args, &env), (PathBuf::from("/home/u/.codex"), foreign));
        env.codex_home = Some(own.path().to_owned());
        args.codex_home = vec![own.path().join(".")];
        assert_eq!(homes(&args, &env), (own.path().to_owned(), None), "the same directory");
    }

    #[test]
    fn color_needs_a_terminal_that_wants_it() {
        let mut env = environment();
        let mut args = no_args();
        let color = |args: &_, env: &_| Settings::resolve(args, env).unwrap().color_out;
        assert!(color(&args, &env));
        env.no_color = true;
        assert!(!color(&args, &env));
        args.color = When::Always;
        assert!(color(&args, &env));
        args.color = When::Auto;
        env.no_color = false;
        env.stdout_is_terminal = false;
        assert!(!color(&args, &env));
    }

    #[test]
    fn width_and_threads_have_limits() {
        let mut env = environment();
        let settings = Settings::resolve(&no_args(), &env).unwrap();
        assert_eq!((settings.width, settings.jobs), (120, 16));
        env.stdout_is_terminal = false;
        assert_eq!(Settings::resolve(&no_args(), &env).unwrap().width, usize::MAX);
        env.columns = Some(7);
        assert_eq!(Settings::resolve(&no_args(), &env).unwrap().width, 40);
        let none = GlobalArgs { jobs: Some(0), ..no_args() };
        assert!(Settings::resolve(&none, &env).is_err());
    }

    #[test]
    fn an_empty_range_is_refused() {
        let args = SelectArgs {
            since: Some("2026-01-03".into()),
            until: Some("2026-01-01".into()),
            ..SelectArgs::default()
        };
        let err = selection(&args, &Settings::unresolved()).unwrap_err();
        assert_eq!(
            err.to_string(),
            "no time is between `--since 2026-01-03` and `--until 2026-01-01`"
        );
    }
}
