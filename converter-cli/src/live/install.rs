//! What `hook --install` writes into Codex' config.toml, and how it is found
//! again: as text, so that whatever else is there stays as it is, byte by byte.

use std::ffi::OsStr;
use std::path::Path;

use codex_trace_history::failure::Failure;
use toml::{Table, Value};

use crate::live::hook;

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
        Ok(Call { program: program.to_owned(), line, notifies: true })
    }

    /// For whoever has the project: by name, and as hooks, which is all that Codex
    /// takes from a project.
    pub fn of_project() -> Call {
        Call { program: PROGRAM.to_owned(), line: format!("{PROGRAM} hook"), notifies: false }
    }

    fn notify(&self) -> String {
        format!("notify = [{}, \"hook\"]\n", quoted(&self.program))
    }

    fn hooks(&self) -> String {
        let mut text = format!("\n{HEAD}\n");
        for (event, _) in EVENTS {
            text += &block(event, &quoted(&self.line));
        }
        text
    }
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
}

/// Adds the calls to the text of a config.toml, in the place of those of another
/// path of this program.
///
/// # Errors
///
/// If the text is not one that Codex could read, or has its hooks in a form that
/// nothing can be added to.
pub fn install(text: &str, call: &Call) -> Result<Edited, Failure> {
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
    new += &call.hooks();
    parts.push(call.hooks());
    if parsed(&new).is_err() {
        return Err(Failure::new("its `hooks` are not written as tables: nothing can be added")
            .hint("write them as `[[hooks.Stop]]`, as Codex documents, and install again"));
    }
    Ok(Edited { text: new, parts, kept_notify })
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
    for line in our_lines(&config) {
        let call = Call { program: String::new(), line: line.clone(), notifies: false };
        if text.contains(&call.hooks()) {
            cut(&mut text, call.hooks());
            continue;
        }
        // Somebody has put something in between.
        for (event, _) in EVENTS {
            cut(&mut text, block(event, &quoted(&line)));
        }
        cut(&mut text, format!("\n{HEAD}\n"));
    }
    Ok(Edited { text, parts, kept_notify: None })
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
    /// The events that are to call this program.
    pub events: Vec<&'static str>,
    /// Those of them that the user has let Codex call.
    pub trusted: Vec<&'static str>,
    /// Whether hooks are switched off.
    pub switched_off: bool,
    /// What else Codex calls: plugins that are on, and `notify`.
    pub plugins: Vec<String>,
}

/// Looks for calls in the text of the config.toml at a path.
///
/// # Errors
///
/// If it is not one that Codex could read.
pub fn look(text: &str, path: &Path) -> Result<Found, Failure> {
    let config = parsed(text)?;
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
        for (group, nth, command) in handlers(&config, event) {
            if !is_our_line(command) {
                continue;
            }
            found.events.push(event);
            let place = format!("{}:{key}:{group}:{nth}", path.display());
            let state = config.get("hooks").and_then(|it| it.get("state")?.get(&place));
            if state.is_some_and(|it| it.get("trusted_hash").is_some()) {
                found.trusted.push(event);
            }
        }
    }
    let plugins = config.get("plugins").and_then(Value::as_table).into_iter().flatten();
    let is_on = |value: &Value| value.get("enabled") != Some(&Value::Boolean(false));
    found.plugins = plugins.filter(|(_, it)| is_on(it)).map(|(name, _)| name.clone()).collect();
    found.plugins.extend(found.other_notify.clone());
    Ok(found)
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

    fn call() -> Call {
        Call::of_user(Path::new("/opt/a b/codex-trace")).unwrap()
    }

    #[test]
    fn what_is_installed_is_taken_out_byte_by_byte() {
        for text in TEXTS {
            for call in [call(), Call::of_project()] {
                let edited = install(text, &call).unwrap();
                let again = install(&edited.text, &call).unwrap();
                assert_eq!(again.text, edited.text, "twice is once");
                assert_eq!(uninstall(&edited.text).unwrap().text, text);
                let moved = Call::of_user(Path::new("/new/codex-trace")).unwrap();
                let moved = install(&edited.text, &moved).unwrap();
                assert_eq!(uninstall(&moved.text).unwrap().text, text, "from another path");
            }
            let nothing = uninstall(text).unwrap();
            assert_eq!((&*nothing.text, nothing.parts.len()), (text, 0));
        }
    }

    #[test]
    fn codex_finds_what_is_written() {
        let edited = install(TEXTS[4], &call()).unwrap();
        let config: Table = edited.text.parse().unwrap();
        let notify = config["notify"].as_array().unwrap();
        assert_eq!(notify[0].as_str(), Some("/opt/a b/codex-trace"));
        assert_eq!(
            handlers(&config, "Stop"),
            [(0, 0, "mine"), (1, 0, "'/opt/a b/codex-trace' hook")]
        );
        let found = look(&edited.text, Path::new("/c")).unwrap();
        assert!(found.notify && found.trusted.is_empty() && !found.switched_off);
        assert_eq!(found.events, EVENTS.map(|(event, _)| event));
        let trusted = format!(
            "{}\n[hooks.state.\"/c:stop:1:0\"]\ntrusted_hash = \"sha256:0\"\n",
            edited.text
        );
        assert_eq!(look(&trusted, Path::new("/c")).unwrap().trusted, ["Stop"]);
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
        let edited = install(text, &call()).unwrap();
        assert!(edited.text.starts_with(text) && edited.parts.len() == 1);
        assert_eq!(edited.kept_notify.unwrap(), ["mlflow-codex", "notify-hook"]);
        assert_eq!(uninstall(&edited.text).unwrap().text, text);
        let found = look(&edited.text, Path::new("/c")).unwrap();
        assert_eq!(found.other_notify.as_deref(), Some("mlflow-codex notify-hook"));
        assert!(!found.notify && found.events.len() == EVENTS.len());
    }

    #[test]
    fn what_was_changed_in_between_goes_and_the_change_stays() {
        let edited = install("", &Call::of_project()).unwrap().text;
        let changed = edited.replace("[[hooks.Stop]]\n", "# mine\n[[hooks.Stop]]\n");
        let rest = uninstall(&changed).unwrap();
        assert_eq!(rest.text, "# mine\n");
        assert!(!has_ours(&parsed(&rest.text).unwrap()));
        let other = edited.replace("type = \"command\"", "type = \"command\"\ntimeout = 3");
        assert_eq!(uninstall(&other).unwrap().parts.len(), 1, "only the head is as it was written");
        assert!(install(&other, &call()).is_err());
    }

    #[test]
    fn what_cannot_be_read_or_added_to_is_refused() {
        assert!(install("a = ", &call()).is_err());
        assert!(uninstall("a = ").is_err());
        let err = install("hooks = { Stop = [] }\n", &call()).unwrap_err();
        assert!(err.to_string().contains("not written as tables"), "{err}");
    }

    #[test]
    fn plugins_that_are_on_are_named() {
        let text = "[plugins.\"langsmith@x\"]\nenabled = true\n[plugins.\"logfire@x\"]\nenabled = false\n[features]\nhooks = false\n";
        let found = look(text, Path::new("/c")).unwrap();
        assert_eq!(found.plugins, ["langsmith@x"]);
        assert!(found.switched_off);
    }
}
