//! Whether Codex calls codex-trace, and whether that leads to anything.

use std::path::Path;

use super::report::{About, Hook, Report};
use crate::args::DoctorArgs;
use crate::commands::hook::{config_path, read};
use crate::config;
use crate::live::install::{self, Found, Layer};
use crate::live::standing::Standing;
use crate::ui::Ui;

/// Looks at the config.toml of the user and of the project; nothing to say where
/// neither calls, and Codex never did.
pub(super) fn look(args: &DoctorArgs, ui: &Ui) -> Option<Report> {
    let state_dir = config::state_dir(args.place.state_dir.as_deref(), ui.settings()).ok();
    let standing = state_dir.and_then(|dir| Standing::of(&dir));
    let user = config_path(false, ui).ok().and_then(|path| read(&path).ok()?).unwrap_or_default();
    let found = [false, true].into_iter().filter_map(|project| {
        let path = config_path(project, ui).ok()?;
        let found = found_at(&path, &user)?;
        (found.notify || !found.events.is_empty()).then_some((path, found))
    });
    // The user's home may be the working directory.
    let mut found: Vec<_> = found.collect();
    found.dedup_by(|one, other| one.0 == other.0);
    if found.is_empty() && standing.is_none() {
        return None;
    }
    let problems: Vec<String> = problems(&found, standing.as_ref());
    let all = |of: fn(&Found) -> &[&'static str]| {
        let mut names: Vec<_> = found.iter().flat_map(|(_, found)| of(found)).copied().collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    let hint = "`codex-trace hook --install` configures Codex to call codex-trace";
    let about = Hook {
        paths: found.iter().map(|(path, _)| path.display().to_string()).collect(),
        notify: found.iter().any(|(_, it)| it.notify),
        events: all(|it| &it.events),
        trusted: all(|it| &it.trusted),
        waiting: standing.as_ref().map(|it| it.waiting),
        called_at: standing.as_ref().and_then(Standing::called_at),
    };
    let hint = found.is_empty().then(|| hint.to_owned());
    Some(Report { about: About::Hook(about), usable: true, problems, hint })
}

/// Looks at a config.toml, and at hooks.json beside it. Codex notes in the user's
/// config.toml what was confirmed.
fn found_at(path: &Path, user: &str) -> Option<Found> {
    // Codex writes whole paths.
    let path = std::path::absolute(path).ok()?;
    let json = path.with_file_name("hooks.json");
    let (text, hooks) = (read(&path).ok()?, read(&json).ok()?);
    let config = (text.as_deref().unwrap_or_default(), &*path);
    install::look(&Layer { config, hooks: (hooks.as_deref(), &json), user }).ok()
}

fn problems(found: &[(std::path::PathBuf, Found)], standing: Option<&Standing>) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, found) in found {
        let path = path.display();
        let hooks_in: Vec<_> =
            found.hooks_in.iter().map(|it| format!("`{}`", it.display())).collect();
        let hooks_in = hooks_in.join(" and ");
        let untrusted = found.events.len() - found.trusted.len() - found.changed.len();
        if found.switched_off && !found.events.is_empty() {
            problems.push(format!("`{path}` switches hooks off (`features.hooks`)"));
        } else if untrusted > 0 {
            problems.push(format!(
                "Codex does not run {untrusted} of the hooks in {hooks_in} until you have confirmed them: open `/hooks` in `codex`"
            ));
        }
        if !found.changed.is_empty() {
            problems.push(format!(
                "of the hooks in {hooks_in}, {} may have changed since you confirmed them: open `/hooks` in `codex`",
                found.changed.join(", ")
            ));
        }
        if let Some(other) = &found.other_notify {
            problems.push(format!("`notify` in `{path}` calls `{other}`"));
        }
    }
    match standing {
        None if !found.is_empty() => problems.push("Codex has not called yet".to_owned()),
        Some(it) if it.noted.called_at.is_none() => {
            problems.push("Codex has not called yet".to_owned());
        }
        Some(it) => problems
            .extend(it.noted.errors.iter().map(|(name, reason)| format!("{name}: {reason}"))),
        None => {}
    }
    problems
}
