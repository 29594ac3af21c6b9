//! `codex-trace hook`, as people call it: install, uninstall, work.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Parser;

use crate::args::{Args, Command, HookArgs, UploadArgs};
use crate::config::ConfigFile;
use crate::destinations::{self, Given};
use crate::exit::ExitStatus;
use crate::live::install::{self, Call, Edited, Layer};
use crate::live::worker;
use crate::ui::Ui;
use codex_trace_deliver::private;
use codex_trace_history::failure::Failure;
use codex_trace_history::whole;

/// Does what a person asks for. What Codex asks for does not come here.
///
/// # Errors
///
/// If a file cannot be read or written, or nothing is asked for.
pub fn run(args: &HookArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    if args.work {
        return worker::run(args, &upload_args()?, ui);
    }
    if args.install || args.uninstall {
        return edit(args, ui);
    }
    Err(Failure::new("`hook` is called by Codex, and standard input is empty")
        .hint("`codex-trace hook --install` configures Codex to call it")
        .into())
}

/// The arguments of an upload in the background: to all destinations of
/// codex-trace.toml, with less patience, as the worker tries again by itself.
fn upload_args() -> anyhow::Result<UploadArgs> {
    let args = Args::try_parse_from(["codex-trace", "upload", "--retry-for", "20s"])?;
    match args.command {
        Command::Upload(args) => Ok(*args),
        _ => Err(Failure::new("no arguments of an upload").into()),
    }
}

/// A file of Codex, and what is to become of it.
struct Change {
    path: PathBuf,
    before: Option<String>,
    text: String,
    parts: Vec<String>,
    /// Whether `hook --install` had made it, and nothing else is in it.
    was_made: bool,
}

impl Change {
    fn is_one(&self) -> bool {
        self.before.as_deref().unwrap_or_default() != self.text
    }
}

fn edit(args: &HookArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    let path = config_path(args.project, ui)?;
    let (changes, kept_notify) = changes(args, &path)?;
    let changed: Vec<&Change> = changes.iter().filter(|it| it.is_one()).collect();
    if args.dry_run {
        let mut out = ui.out();
        for part in changed.iter().flat_map(|it| &it.parts) {
            writeln!(out, "{}", part.trim_end_matches('\n'))?;
        }
        out.flush()?;
    } else {
        for change in &changed {
            write(change).with_context(|| format!("cannot write `{}`", change.path.display()))?;
        }
    }
    let done = match (args.install, !changed.is_empty(), args.dry_run) {
        (true, true, false) => "Codex calls codex-trace from now on, by",
        (true, true, true) => "Codex would call codex-trace by this in",
        (true, false, _) => "Codex calls codex-trace already, by",
        (false, true, false) => "Codex no longer calls codex-trace; taken out of",
        (false, true, true) => "this would be taken out of",
        (false, false, _) => "nothing of codex-trace is in",
    };
    let about = changes.iter().filter(|it| it.is_one() || changed.is_empty());
    let about = about.filter(|it| it.before.is_some() || it.is_one());
    let mut about: Vec<_> = about.map(|it| format!("`{}`", it.path.display())).collect();
    if about.is_empty() {
        about.push(format!("`{}`", path.display()));
    }
    ui.say(format!("{done} {}", about.join(" and ")));
    if args.install {
        tell(&changes[0].text, kept_notify.as_deref(), args.project, ui);
    }
    Ok(ExitStatus::Complete)
}

/// Works out what is to become of config.toml and of hooks.json beside it.
fn changes(args: &HookArgs, path: &Path) -> anyhow::Result<(Vec<Change>, Option<Vec<String>>)> {
    let json_path = path.with_file_name("hooks.json");
    let (config, json) = (read(path)?, read(&json_path)?);
    let text = config.as_deref().unwrap_or_default();
    let in_toml = |err: Failure| named(path, &err);
    let edited = if args.install {
        let call = call(args.project)?;
        let in_json = json.is_some() && !install::has_hooks_of_others(text).map_err(in_toml)?;
        let line = in_json.then(|| call.line().to_owned());
        let call = if in_json { call.without_hooks() } else { call };
        (install::install(config.as_deref(), &call).map_err(in_toml)?, line)
    } else {
        (install::uninstall(text).map_err(in_toml)?, None)
    };
    let (edited, line) = edited;
    let Edited { text, parts, kept_notify, was_made } = edited;
    let mut changes = vec![Change { path: path.to_owned(), before: config, text, parts, was_made }];
    if let Some(before) = json {
        let edited = match line {
            Some(line) => install::json::install(&before, &line),
            None => install::json::uninstall(&before),
        };
        let (text, parts) = edited.map_err(|err| named(&json_path, &err))?;
        let before = Some(before);
        changes.push(Change { path: json_path, before, text, parts, was_made: false });
    }
    Ok((changes, kept_notify))
}

pub(crate) fn read(path: &Path) -> anyhow::Result<Option<String>> {
    private::small_text(path).with_context(|| format!("cannot read `{}`", path.display()))
}

fn named(path: &Path, err: &Failure) -> Failure {
    let failure = Failure::new(format!("`{}`: {err}", path.display()));
    match err.hint_line() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Says what else has to be known for it to work.
fn tell(config: &str, kept_notify: Option<&[String]>, project: bool, ui: &Ui) {
    if let Some(notify) = kept_notify {
        ui.warn(format!(
            "`notify` calls `{}` and is not changed: Codex calls codex-trace only through hooks, which it has since 0.114 (in `hooks.json`; in `config.toml` since 0.124)",
            notify.join(" ")
        ));
    }
    ui.hint("Codex runs a new hook only after you have confirmed it: start `codex` and confirm, or open `/hooks` there");
    if project {
        ui.hint("hooks of a project run where the user trusts it and has `codex-trace` on the PATH; they go to the destinations of each user's own codex-trace.toml");
        return;
    }
    match destination_names(ui) {
        Ok(names) if names.is_empty() => {
            ui.warn(
                "no destination is named in `to` of codex-trace.toml: turns wait until there is one",
            );
        }
        Ok(names) => {
            ui.say(format!("to: {}", names.join(", ")));
            let hooks = (None, Path::new(""));
            let layer = Layer { config: (config, Path::new("")), hooks, user: "" };
            let plugins = install::look(&layer).unwrap_or_default().plugins;
            for name in &names {
                let of_backend = plugins.iter().find(|plugin| plugin.contains(&**name));
                if let Some(plugin) = of_backend {
                    ui.warn(format!("`{plugin}` also sends to {name}: docs/live.md explains what happens to a turn that both send"));
                }
            }
        }
        Err(err) => ui.warn(format!("codex-trace.toml cannot be used yet: {err:#}")),
    }
}

/// Returns the backends that everything goes to.
fn destination_names(ui: &Ui) -> anyhow::Result<Vec<String>> {
    let args = upload_args()?;
    let settings = ui.settings();
    let file = ConfigFile::find(None, settings)?;
    let given = Given { place: &args.place, upload: Some(&args), file: &file, settings };
    let named = destinations::asked_for(given)?;
    Ok(named.iter().map(|named| named.backend.name.to_owned()).collect())
}

/// Returns the config.toml that Codex reads for this user, or for the project in
/// the working directory.
pub(crate) fn config_path(project: bool, ui: &Ui) -> Result<PathBuf, Failure> {
    let settings = ui.settings();
    let dir = if project {
        settings.cwd.as_ref().map(|dir| of_main_worktree(dir).join(".codex"))
    } else {
        settings.own_codex_home.clone()
    };
    let dir = dir.ok_or_else(|| {
        Failure::new("there is no home directory to look for `.codex` in").hint("set CODEX_HOME")
    })?;
    Ok(dir.join("config.toml"))
}

/// Returns the place of a directory in the main working tree of its repository:
/// Codex takes the hooks of a linked one from there, and not from its own files.
fn of_main_worktree(dir: &Path) -> PathBuf {
    let main = || {
        let root = dir.ancestors().find(|root| root.join(".git").exists())?;
        let text = private::small_text(&root.join(".git")).ok()??;
        let linked = root.join(text.strip_prefix("gitdir:")?.trim());
        let worktrees = linked.parent().filter(|dir| dir.ends_with(".git/worktrees"))?;
        Some(worktrees.parent()?.parent()?.join(dir.strip_prefix(root).ok()?))
    };
    main().unwrap_or_else(|| dir.to_owned())
}

fn call(project: bool) -> anyhow::Result<Call> {
    if project {
        return Ok(Call::of_project());
    }
    let program = std::env::current_exe().context("cannot find out where codex-trace is")?;
    Ok(Call::of_user(&program)?)
}

/// Writes the file as a whole, where it is a link where that leads; keeps its
/// permissions. Removes one that is here for codex-trace alone, and then its
/// directory.
fn write(change: &Change) -> std::io::Result<()> {
    let path = change.path.canonicalize().unwrap_or_else(|_| change.path.clone());
    let dir = path.parent().unwrap_or(Path::new("."));
    if change.was_made {
        fs::remove_file(&path)?;
        // Not if something else is in it.
        fs::remove_dir(dir).ok();
        return Ok(());
    }
    fs::create_dir_all(dir)?;
    let mut file = tempfile::Builder::new().prefix(".config.toml.").tempfile_in(dir)?;
    file.write_all(change.text.as_bytes())?;
    if let Ok(metadata) = path.metadata() {
        file.as_file().set_permissions(metadata.permissions())?;
    }
    file.as_file().sync_all()?;
    whole::take_place(file, &path)
}
