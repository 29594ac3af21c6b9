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
use crate::live::install::{self, Call, Edited};
use crate::live::worker;
use crate::ui::Ui;
use codex_trace_deliver::private;
use codex_trace_history::failure::Failure;

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

fn edit(args: &HookArgs, ui: &Ui) -> anyhow::Result<ExitStatus> {
    let path = config_path(args.project, ui)?;
    let shown = path.display();
    let cannot = || format!("cannot read `{shown}`");
    let before = private::small_text(&path).with_context(cannot)?;
    let text = before.clone().unwrap_or_default();
    let edited = if args.install {
        install::install(&text, &call(args.project)?)
    } else {
        install::uninstall(&text)
    };
    let edited = edited.map_err(|err| named(&path, &err))?;
    let is_new = edited.text != text;
    let mut out = ui.out();
    if args.dry_run {
        for part in edited.parts.iter().filter(|_| is_new) {
            out.write_all(part.as_bytes())?;
        }
        out.flush()?;
    } else if is_new {
        write(&path, &edited.text).with_context(|| format!("cannot write `{shown}`"))?;
    }
    let done = match (args.install, is_new, args.dry_run) {
        (true, true, false) => "Codex calls codex-trace from now on, by",
        (true, true, true) => "Codex would call codex-trace by this in",
        (true, false, _) => "Codex calls codex-trace already, by",
        (false, true, false) => "Codex no longer calls codex-trace; taken out of",
        (false, true, true) => "this would be taken out of",
        (false, false, _) => "nothing of codex-trace is in",
    };
    ui.say(format!("{done} `{shown}`"));
    if args.install {
        tell(&edited, args.project, ui);
    }
    Ok(ExitStatus::Complete)
}

fn named(path: &Path, err: &Failure) -> Failure {
    let failure = Failure::new(format!("`{}`: {err}", path.display()));
    match err.hint_line() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Says what else has to be known for it to work.
fn tell(edited: &Edited, project: bool, ui: &Ui) {
    if let Some(notify) = &edited.kept_notify {
        ui.warn(format!(
            "`notify` calls `{}` and is not changed: Codex calls codex-trace only through hooks, which it has since 0.114",
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
            let plugins = install::look(&edited.text, Path::new("")).unwrap_or_default().plugins;
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
        settings.cwd.as_ref().map(|dir| dir.join(".codex"))
    } else {
        settings.own_codex_home.clone()
    };
    let dir = dir.ok_or_else(|| {
        Failure::new("there is no home directory to look for `.codex` in").hint("set CODEX_HOME")
    })?;
    Ok(dir.join("config.toml"))
}

fn call(project: bool) -> anyhow::Result<Call> {
    if project {
        return Ok(Call::of_project());
    }
    let program = std::env::current_exe().context("cannot find out where codex-trace is")?;
    Ok(Call::of_user(&program)?)
}

/// Writes the file as a whole, where it is a link where that leads; keeps its
/// permissions.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let mut file = tempfile::Builder::new().prefix(".config.toml.").tempfile_in(dir)?;
    file.write_all(text.as_bytes())?;
    if let Ok(metadata) = path.metadata() {
        file.as_file().set_permissions(metadata.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(())
}
