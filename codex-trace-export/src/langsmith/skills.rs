//! Skills that a command reads. Codex has no tool for them: that somebody reads
//! `…/skills/NAME/SKILL.md` is the only sign, and the coming plugin makes a run
//! of it. We must, too, or all later runs of the turn get other places.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// A command that reads: anchored, so that a verb inside a path is none.
static READS: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"^\s*(?:\S*/)?(?:cat|bat|sed|rg|grep|egrep|fgrep|head|tail|less|more|nl|awk|strings|xxd|od|hexdump)\s";
    Regex::new(pattern).expect("it is well-formed")
});

/// `sed -i` writes.
static EDITS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\bsed\b[^\n]*\s-i\b").expect("it is well-formed"));

/// A `cmd: "…"` in the script of code mode.
static COMMAND: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"\bcmd["']?\s*:\s*(?:"((?:[^"\\]|\\[\s\S])*)"|'((?:[^'\\]|\\[\s\S])*)'|`((?:[^`\\]|\\[\s\S])*)`)"#;
    Regex::new(pattern).expect("it is well-formed")
});

/// One command of a line; a separator in quotes separates nothing.
static SEGMENT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"(?:"[^"]*"|'[^']*'|[^;|&\n"'])+"#).expect("it is well-formed"));

static QUOTED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#""[^"]*"|'[^']*'"#).expect("it is well-formed"));

/// Returns the names of the skills that a call reads, each once. `arguments`
/// are the decoded text of the call: a script, or JSON with a `cmd`.
pub(super) fn read_by(tool: &str, arguments: &str, is_script: bool) -> Vec<String> {
    let mut names = Vec::new();
    if !matches!(tool, "exec" | "exec_command") || !arguments.contains("SKILL.md") {
        return names;
    }
    for command in commands(arguments, is_script) {
        for segment in SEGMENT.find_iter(&command) {
            let segment = segment.as_str();
            if !READS.is_match(segment) || writes(&QUOTED.replace_all(segment, " ")) {
                continue;
            }
            for word in segment.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')) {
                if let Some(name) = skill(word)
                    && !names.iter().any(|known| known == name)
                {
                    names.push(name.to_owned());
                }
            }
        }
    }
    names
}

fn commands(arguments: &str, is_script: bool) -> Vec<String> {
    if is_script {
        let literals = COMMAND.captures_iter(arguments);
        return literals
            .filter_map(|found| found.get(1).or(found.get(2)).or(found.get(3)))
            .map(|literal| unescape(literal.as_str()).into_owned())
            .collect();
    }
    let value: Option<serde_json::Value> = serde_json::from_str(arguments).ok();
    value.and_then(|it| Some(it.get("cmd")?.as_str()?.to_owned())).into_iter().collect()
}

fn unescape(literal: &str) -> Cow<'_, str> {
    if !literal.contains('\\') {
        return Cow::Borrowed(literal);
    }
    let mut text = String::with_capacity(literal.len());
    let mut chars = literal.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some(other) => other,
                None => break,
            },
            c => c,
        });
    }
    Cow::Owned(text)
}

/// Whether a command, without what is quoted in it, writes to a file. `2>` and
/// `->` do not count.
fn writes(segment: &str) -> bool {
    let mut before = None;
    for (at, c) in segment.char_indices() {
        let redirects = c == '>'
            && !matches!(before, Some('-' | '=' | '<' | '>' | '!' | '0'..='9'))
            && !segment[at..].trim_start_matches('>').trim_start().is_empty();
        if redirects {
            return true;
        }
        before = Some(c);
    }
    EDITS.is_match(segment)
}

fn skill(word: &str) -> Option<&str> {
    let mut parts = word.rsplit(['/', '\\']);
    if parts.next()? != "SKILL.md" {
        return None;
    }
    let name = parts.next()?;
    let mut chars = name.chars();
    let good = chars.next()?.is_ascii_alphanumeric()
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    (good && parts.any(|part| part == "skills")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_a_skill_is_using_it() {
        let json = |command: &str| serde_json::json!({ "cmd": command }).to_string();
        #[rustfmt::skip]
        let cases: &[(&str, &str, &[&str])] = &[
            ("reads",              "cat ~/.codex/skills/pdf/SKILL.md",                     &["pdf"]),
            ("reads two",          "sed -n 1,9p /a/skills/x/SKILL.md; head /a/skills/y/SKILL.md", &["x", "y"]),
            ("once",               "cat skills/x/SKILL.md && cat skills/x/SKILL.md",       &["x"]),
            ("writes",             "cat a > /a/skills/x/SKILL.md",                         &[]),
            ("edits in place",     "sed -i s/a/b/ /a/skills/x/SKILL.md",                   &[]),
            ("an error stream",    "cat /a/skills/x/SKILL.md 2>/dev/null",                 &["x"]),
            ("a quoted redirect",  "grep '>' /a/skills/x/SKILL.md",                        &["x"]),
            ("no read",            "git diff /a/skills/x/SKILL.md",                        &[]),
            ("no skill",           "cat /a/other/x/SKILL.md",                              &[]),
        ];
        for (why, command, names) in cases {
            assert_eq!(read_by("exec_command", &json(command), false), *names, "{why}");
        }
        let script = r#"await tools.exec_command({cmd: "cat /s/skills/a/SKILL.md\nls"}); x({cmd:'nl /s/skills/b/SKILL.md'})"#;
        assert_eq!(read_by("exec", script, true), ["a", "b"]);
        assert!(read_by("apply_patch", script, true).is_empty());
    }
}
