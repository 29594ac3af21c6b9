//! What `hook --install` writes into Codex' config.toml, and how it is found
//! again: as text, so that whatever else is there stays as it is, byte by byte.

mod confirmed;
pub mod json;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use codex_trace_history::failure::Failure;
use toml::{Table, Value};

use crate::live::hook;
use confirmed::{Confirmed, confirmed};

/// What Codex calls the events, and how it writes them in keys of its own.
const EVENTS: [(&str, &str); 5] = [
    ("SessionStart", "session_start"),
    ("Stop", "stop"),
    ("SubagentStop", "subagent_stop"),
    ("Interrupt", "interrupt"),
    ("SessionEnd", "session_end"),
];

/// The first line of what is written at the end.
const HEAD: &str =
    "# Written by `codex-trace hook --install`; `codex-trace hook --uninstall` takes it out.";

/// The name of the program, in whatever directory.
const PROGRAM: &str = "codex-trace";

/// What Codex is told to call.
#[derive(Clone, Debug)]
pub struct Call {
    program: String,
    line: String,
    /// Whether `notify` is set, too.
    notifies: bool,
    /// Whether hooks are written here, and not into hooks.json.
    hooks: bool,
}

impl Call {
    /// For one user: the program by its path, as `notify` and as hooks.
    ///
    /// # Errors
    ///
    /// If the path is not text.
    pub fn of_user(program: &Path) -> Result<Call, Failure> {
        let program = program.to_str().ok_or_else(|| {
            Failure::new(format!("config.toml cannot name `{}`: it is not text", program.display()))
        })?;
        let line = hook::command_line(OsStr::new(program));
        Ok(Call { program: program.to_owned(), line, notifies: true, hooks: true })
    }

    /// For whoever has the project: by name, and as hooks, which is all that Codex
    /// takes from a project.
    pub fn of_project() -> Call {
        let line = format!("{PROGRAM} hook");
        Call { program: PROGRAM.to_owned(), line, notifies: false, hooks: true }
    }

    /// The same without hooks, which are in hooks.json.
    #[must_use]
    pub fn without_hooks(self) -> Call {
        Call { hooks: false, ..self }
    }

    /// The command of the hooks.
    pub fn line(&self) -> &str {
        &self.line
    }

    fn notify(&self) -> String {
        format!("notify = [{}, \"hook\"]\n", quoted(&self.program))
    }
}

/// The hooks, as they are written.
fn blocks(line: &str) -> String {
    let line = quoted(line);
    let blocks = EVENTS.map(|(event, _)| block(event, &line)).concat();
    format!("{HEAD}\n{blocks}")
}

/// A handler, as it is written.
fn block(event: &str, command: &str) -> String {
    format!("[[hooks.{event}]]\n[[hooks.{event}.hooks]]\ntype = \"command\"\ncommand = {command}\n")
}

/// Writes a string as TOML has it, which is as JSON has it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The whole text of it.
    pub text: String,
    /// What was added or taken out, as it stands there.
    pub parts: Vec<String>,
    /// The `notify` of somebody else, which stays.
    pub kept_notify: Option<Vec<String>>,
    /// Whether nothing is left of a file that `install` had made.
    pub was_made: bool,
}

/// Adds the calls to the text of a config.toml, in the place of those of another
/// path of this program; without a text, to a new one.
///
/// # Errors
///
/// If the text is not one that Codex could read, or has its hooks in a form that
/// nothing can be added to.
pub fn install(text: Option<&str>, call: &Call) -> Result<Edited, Failure> {
    let is_new = text.is_none();
    let text = text.unwrap_or_default();
    let before = parsed(text)?;
    let kept_notify = before.get("notify").map(words).filter(|words| !is_ours(words));
    let clean = uninstall(text)?;
    if has_ours(&parsed(&clean.text)?) {
        return Err(Failure::new("hooks of codex-trace are there in another form")
            .hint("take them out by hand, and install again"));
    }
    let mut parts = Vec::new();
    let mut new = clean.text;
    if call.notifies && kept_notify.is_none() {
        let at = if new.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        new.insert_str(at, &call.notify());
        parts.push(call.notify());
    }
    // In a file that was there an empty line comes before.
    let is_made = is_new || clean.was_made;
    if call.hooks {
        let part = format!("{}{}", if is_made { "" } else { "\n" }, blocks(&call.line));
        new += &part;
        parts.push(part);
    }
    if parsed(&new).is_err() {
        return Err(Failure::new("its `hooks` are not written as tables: nothing can be added")
            .hint("write them as `[[hooks.Stop]]`, as Codex documents, and install again"));
    }
    Ok(Edited { text: new, parts, kept_notify, was_made: false })
}

/// Takes the calls out of the text of a config.toml.
///
/// # Errors
///
/// If the text is not one that Codex could read.
pub fn uninstall(text: &str) -> Result<Edited, Failure> {
    let config = parsed(text)?;
    let mut text = text.to_owned();
    let mut parts = Vec::new();
    let mut cut = |text: &mut String, part: String| {
        if let Some(at) = text.find(&part) {
            text.replace_range(at..at + part.len(), "");
            parts.push(part);
        }
    };
    if let Some(program) = config.get("notify").map(words).filter(|words| is_ours(words)) {
        cut(&mut text, format!("notify = [{}, \"hook\"]\n", quoted(&program[0])));
    }
    let mut was_made = false;
    for line in our_lines(&config) {
        let all = blocks(&line);
        if text.starts_with(&all) {
            cut(&mut text, all);
            was_made = text.is_empty();
            continue;
        }
        if text.contains(&format!("\n{all}")) {
            cut(&mut text, format!("\n{all}"));
            continue;
        }
        // Somebody has put something in between.
        for (event, _) in EVENTS {
            cut(&mut text, block(event, &quoted(&line)));
        }
        cut(&mut text, format!("\n{HEAD}\n"));
    }
    Ok(Edited { text, parts, kept_notify: None, was_made })
}

fn parsed(text: &str) -> Result<Table, Failure> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.parse::<Table>().map_err(|err| {
        let what = err.message().lines().next().unwrap_or_default().to_owned();
        Failure::new(format!("Codex could not read it: {what}"))
            .hint("correct it first; nothing was changed")
    })
}

/// Returns the words of a `notify`.
fn words(value: &Value) -> Vec<String> {
    let words = value.as_array().into_iter().flatten();
    words.map(|word| word.as_str().unwrap_or_default().to_owned()).collect()
}

fn is_ours(words: &[String]) -> bool {
    matches!(words, [program, hook] if hook == "hook" && is_program(program))
}

fn is_program(path: &str) -> bool {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    name.trim_end_matches(".exe") == PROGRAM
}

/// Whether a command line of a hook calls this program.
fn is_our_line(line: &str) -> bool {
    let program = line.strip_suffix(" hook").map(|it| it.trim_matches(['\'', '"']));
    program.is_some_and(is_program)
}

/// Returns the handlers of an event with their places: group and number.
fn handlers<'t>(config: &'t Table, event: &str) -> Vec<(usize, usize, &'t str)> {
    let groups = config.get("hooks").and_then(|it| it.get(event)).and_then(Value::as_array);
    let mut all = Vec::new();
    for (group, value) in groups.into_iter().flatten().enumerate() {
        let handlers = value.get("hooks").and_then(Value::as_array);
        for (nth, handler) in handlers.into_iter().flatten().enumerate() {
            let command = handler.get("command").and_then(Value::as_str);
            all.extend(command.map(|command| (group, nth, command)));
        }
    }
    all
}

fn our_lines(config: &Table) -> Vec<String> {
    let mut lines: Vec<String> = EVENTS
        .iter()
        .flat_map(|(event, _)| handlers(config, event))
        .map(|(_, _, command)| command.to_owned())
        .filter(|command| is_our_line(command))
        .collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

fn has_ours(config: &Table) -> bool {
    !our_lines(config).is_empty() || config.get("notify").is_some_and(|it| is_ours(&words(it)))
}

/// What a config.toml says about calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Whether `notify` calls this program.
    pub notify: bool,
    /// The `notify` of somebody else.
    pub other_notify: Option<String>,
    /// The files with hooks that call this program.
    pub hooks_in: BTreeSet<PathBuf>,
    /// The events that are to call this program.
    pub events: Vec<&'static str>,
    /// Those of them that the user has let Codex call.
    pub trusted: Vec<&'static str>,
    /// Those that have changed since.
    pub changed: Vec<&'static str>,
    /// Whether hooks are switched off.
    pub switched_off: bool,
    /// What else Codex calls: plugins that are on, and `notify`.
    pub plugins: Vec<String>,
}

/// What Codex reads of a home or of a project.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'t> {
    /// The text of config.toml, and where it is.
    pub config: (&'t str, &'t Path),
    /// The text of hooks.json, if there is one, and where it is.
    pub hooks: (Option<&'t str>, &'t Path),
    /// The text of the user's own config.toml, which says what is confirmed.
    pub user: &'t str,
}

/// Looks for calls.
///
/// # Errors
///
/// If config.toml is not one that Codex could read.
pub fn look(layer: &Layer<'_>) -> Result<Found, Failure> {
    let (text, path) = layer.config;
    let config = parsed(text)?;
    let user = parsed(layer.user).unwrap_or_default();
    let notify = config.get("notify").map(words);
    let is_own = notify.as_deref().is_some_and(is_ours);
    let features = config.get("features");
    let is_off = |name| features.and_then(|it| it.get(name)) == Some(&Value::Boolean(false));
    let mut found = Found {
        notify: is_own,
        other_notify: notify.filter(|_| !is_own).map(|words| words.join(" ")),
        switched_off: is_off("hooks") || is_off("codex_hooks"),
        ..Found::default()
    };
    for (event, key) in EVENTS {
        let in_config = handlers(&config, event);
        let in_config =
            in_config.into_iter().map(|(group, nth, it)| (path, group, nth, it.to_owned()));
        let (json, json_path) = layer.hooks;
        let in_json = json.map(|text| json::handlers(text, event)).unwrap_or_default();
        let in_json = in_json.into_iter().map(|(group, nth, it)| (json_path, group, nth, it));
        for (path, group, nth, command) in in_config.chain(in_json) {
            if is_our_line(&command) {
                found.hooks_in.insert(path.to_owned());
                found.events.push(event);
                match confirmed(&user, (path, key, group, nth), &command) {
                    Confirmed::No => {}
                    Confirmed::Before => found.changed.push(event),
                    Confirmed::Yes => found.trusted.push(event),
                }
            }
        }
    }
    let plugins = config.get("plugins").and_then(Value::as_table).into_iter().flatten();
    let is_on = |value: &Value| value.get("enabled") != Some(&Value::Boolean(false));
    found.plugins = plugins.filter(|(_, it)| is_on(it)).map(|(name, _)| name.clone()).collect();
    found.plugins.extend(found.other_notify.clone());
    Ok(found)
}

/// Whether the text of a config.toml has hooks of others, beside which ours go.
///
/// # Errors
///
/// If it is not one that Codex could read.
pub fn has_hooks_of_others(text: &str) -> Result<bool, Failure> {
    let config = parsed(&uninstall(text)?.text)?;
    let hooks = config.get("hooks").and_then(Value::as_table);
    Ok(hooks.is_some_and(|hooks| hooks.keys().any(|key| key != "state")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 7] = [
        "",
        "model = \"gpt-5\"",
        "# mine\r\nmodel = \"gpt-5\" # why\r\n\r\n",
        "\n\n# top\n[features]\n  hooks = true\n\n[projects.\"/w\"]\ntrust_level = \"trusted\"\n# end",
        "[[hooks.Stop]]\n[[hooks.Stop.hooks]]\ntype = \"command\"\ncommand = \"mine\"\n",
        "[hooks.state.\"/c:stop:0:0\"]\ntrusted_hash = \"sha256:00\"\n",
        "\u{feff}a = 1\n",
    ];

    fn look_at(text: &str) -> Result<Found, Failure> {
        let hooks = (None, Path::new("/h"));
        look(&Layer { config: (text, Path::new("/c")), hooks, user: text })
    }

    fn call() -> Call {
        Call::of_user(Path::new("/opt/a b/codex-trace")).unwrap()
    }

    #[test]
    fn what_is_installed_is_taken_out_byte_by_byte() {
        for text in TEXTS {
            for call in [call(), Call::of_project()] {
                let edited = install(Some(text), &call).unwrap();
                let again = install(Some(&edited.text), &call).unwrap();
                assert_eq!(again.text, edited.text, "twice is once");
                assert_eq!(uninstall(&edited.text).unwrap().text, text);
                let moved = Call::of_user(Path::new("/new/codex-trace")).unwrap();
                let moved = install(Some(&edited.text), &moved).unwrap();
                assert_eq!(uninstall(&moved.text).unwrap().text, text, "from another path");
            }
            let nothing = uninstall(text).unwrap();
            assert_eq!((&*nothing.text, nothing.parts.len()), (text, 0));
        }
    }

    #[test]
    fn a_file_that_was_made_is_known_from_one_that_was_empty() {
        for call in [call(), Call::of_project()] {
            for (before, was_made) in [(None, true), (Some(""), false)] {
                let edited = install(before, &call).unwrap();
                assert_eq!(install(Some(&edited.text), &call).unwrap().text, edited.text);
                let rest = uninstall(&edited.text).unwrap();
                assert_eq!((&*rest.text, rest.was_made), ("", was_made));
            }
        }
        let made = install(None, &call()).unwrap().text + "# mine\n";
        let rest = uninstall(&made).unwrap();
        assert_eq!((&*rest.text, rest.was_made), ("# mine\n", false));
    }

    #[test]
    fn hooks_of_others_are_told_from_ours_and_from_what_was_confirmed() {
        let others = TEXTS.map(|text| {
            let ours = install(Some(text), &call()).unwrap().text;
            let has = has_hooks_of_others(text).unwrap();
            assert_eq!(has_hooks_of_others(&ours).unwrap(), has);
            has
        });
        assert_eq!(others, [false, false, false, false, true, false, false]);
    }

    #[test]
    fn hooks_json_and_what_the_user_has_confirmed_are_looked_at() {
        let (json, _) = json::install("{}", "codex-trace hook").unwrap();
        let user = "[hooks.state.\"/h:stop:0:0\"]\ntrusted_hash = \"sha256:a8eaea617afff86c511ef217ee40f493ffa2b7899bfae9206a58c3f6e8ca457b\"\n";
        let config = ("", Path::new("/c"));
        let hooks = (Some(&*json), Path::new("/h"));
        let found = look(&Layer { config, hooks, user }).unwrap();
        assert_eq!(found.events, EVENTS.map(|(event, _)| event));
        assert_eq!(found.trusted, ["Stop"]);
        assert_eq!(found.hooks_in, [PathBuf::from("/h")].into());
    }

    #[test]
    fn codex_finds_what_is_written() {
        let edited = install(Some(TEXTS[4]), &call()).unwrap();
        let config: Table = edited.text.parse().unwrap();
        let notify = config["notify"].as_array().unwrap();
        assert_eq!(notify[0].as_str(), Some("/opt/a b/codex-trace"));
        assert_eq!(
            handlers(&config, "Stop"),
            [(0, 0, "mine"), (1, 0, "'/opt/a b/codex-trace' hook")]
        );
        let found = look_at(&edited.text).unwrap();
        assert!(found.notify && found.trusted.is_empty() && !found.switched_off);
        assert_eq!(found.events, EVENTS.map(|(event, _)| event));
        let trusted = format!(
            "{}\n[hooks.state.\"/c:stop:1:0\"]\ntrusted_hash = \"sha256:7b412478b238387bdbd1472f6635fd9ba2b8ae708b4065de37d0e43c5db86339\"\n",
            edited.text
        );
        assert_eq!(look_at(&trusted).unwrap().trusted, ["Stop"]);
        let trusted = trusted.replace(
            "sha256:7b412478b238387bdbd1472f6635fd9ba2b8ae708b4065de37d0e43c5db86339",
            "sha256:0",
        );
        let found = look_at(&trusted).unwrap();
        assert_eq!((found.trusted.len(), found.changed), (0, vec!["Stop"]));
        // What Codex wrote meanwhile stays.
        let rest = uninstall(&trusted).unwrap().text;
        assert_eq!(
            rest,
            format!("{}\n[hooks.state.\"/c:stop:1:0\"]\ntrusted_hash = \"sha256:0\"\n", TEXTS[4])
        );
    }

    #[test]
    fn somebody_elses_notify_stays() {
        let text = "notify = [\"mlflow-codex\", \"notify-hook\"]\n";
        let edited = install(Some(text), &call()).unwrap();
        assert!(edited.text.starts_with(text) && edited.parts.len() == 1);
        assert_eq!(edited.kept_notify.unwrap(), ["mlflow-codex", "notify-hook"]);
        assert_eq!(uninstall(&edited.text).unwrap().text, text);
        let found = look_at(&edited.text).unwrap();
        assert_eq!(found.other_notify.as_deref(), Some("mlflow-codex notify-hook"));
        assert!(!found.notify && found.events.len() == EVENTS.len());
    }

    #[test]
    fn what_was_changed_in_between_goes_and_the_change_stays() {
        let edited = install(Some(""), &Call::of_project()).unwrap().text;
        let changed = edited.replace("[[hooks.Stop]]\n", "# mine\n[[hooks.Stop]]\n");
        let rest = uninstall(&changed).unwrap();
        assert_eq!(rest.text, "# mine\n");
        assert!(!has_ours(&parsed(&rest.text).unwrap()));
        let other = edited.replace("type = \"command\"", "type = \"command\"\ntimeout = 3");
        assert_eq!(uninstall(&other).unwrap().parts.len(), 1, "only the head is as it was written");
        assert!(install(Some(&other), &call()).is_err());
    }

    #[test]
    fn what_cannot_be_read_or_added_to_is_refused() {
        assert!(install(Some("a = "), &call()).is_err());
        assert!(uninstall("a = ").is_err());
        let err = install(Some("hooks = { Stop = [] }\n"), &call()).unwrap_err();
        assert!(err.to_string().contains("not written as tables"), "{err}");
    }

    #[test]
    fn plugins_that_are_on_are_named() {
        let text = "[plugins.\"langsmith@x\"]\nenabled = true\n[plugins.\"logfire@x\"]\nenabled = false\n[features]\nhooks = false\n";
        let found = look_at(text).unwrap();
        assert_eq!(found.plugins, ["langsmith@x"]);
        assert!(found.switched_off);
    }
}
