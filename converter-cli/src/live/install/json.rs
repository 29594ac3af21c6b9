//! The same for Codex' hooks.json, the other place for hooks: where there is one,
//! ours go there, as Codex warns of hooks in both.

use std::ops::Range;

use codex_trace_history::failure::Failure;
use serde_json::Value;

use super::EVENTS;

/// Adds a call to the text of a hooks.json; returns the text and what was added.
///
/// # Errors
///
/// If the text is not one that Codex could read.
pub fn install(text: &str, line: &str) -> Result<(String, Vec<String>), Failure> {
    let (mut new, _) = uninstall(text)?;
    let config = parsed(&new)?;
    let hooks = config.get("hooks").map(|it| it.as_object());
    let is_list = |event: &str| match hooks.flatten().and_then(|it| it.get(event)) {
        Some(groups) => groups.is_array(),
        None => true,
    };
    if hooks == Some(None) || !EVENTS.iter().all(|(event, _)| is_list(event)) {
        return Err(Failure::new("its `hooks` have another shape than Codex documents")
            .hint("nothing was changed"));
    }
    if !our_lines(&config).is_empty() {
        return Err(Failure::new("hooks of codex-trace are there in another form")
            .hint("take them out by hand, and install again"));
    }
    let mut parts = Vec::new();
    let top = value_at(&new, 0);
    if find(&new, &top, "hooks").is_none() {
        let members: Vec<_> = EVENTS.iter().map(|(event, _)| member(event, line)).collect();
        add(&mut new, &top, &format!("\"hooks\": {{{}}}", members.join(", ")), &mut parts);
    } else {
        for (event, _) in EVENTS {
            // Places move with each part.
            let hooks = find(&new, &value_at(&new, 0), "hooks").unwrap_or_default();
            match find(&new, &hooks, event) {
                Some(groups) => add(&mut new, &groups, &group(line), &mut parts),
                None => add(&mut new, &hooks, &member(event, line), &mut parts),
            }
        }
    }
    Ok((new, parts))
}

/// Takes the calls out of the text of a hooks.json; returns the text and what was
/// taken out.
///
/// # Errors
///
/// If the text is not one that Codex could read, or calls cannot be taken out of
/// what surrounds them.
pub fn uninstall(text: &str) -> Result<(String, Vec<String>), Failure> {
    let mut new = text.to_owned();
    let mut parts = Vec::new();
    for line in our_lines(&parsed(text)?) {
        let members: Vec<_> = EVENTS.iter().map(|(event, _)| member(event, &line)).collect();
        let all = [format!("\"hooks\": {{{}}}", members.join(", "))];
        for part in all.into_iter().chain(members).chain([group(&line)]) {
            for part in [format!(", {part}"), format!(" {part}"), part] {
                while let Some(at) = new.find(&part) {
                    new.replace_range(at..at + part.len(), "");
                    parts.push(part.clone());
                }
            }
        }
    }
    if !parts.is_empty() && parsed(&new).is_err() {
        return Err(Failure::new("something was put between the hooks of codex-trace")
            .hint("take them out by hand; nothing was changed"));
    }
    Ok((new, parts))
}

/// Returns the handlers of an event with their places: group and number.
pub(super) fn handlers(text: &str, event: &str) -> Vec<(usize, usize, String)> {
    parsed(text).map(|config| handlers_of(&config, event)).unwrap_or_default()
}

fn handlers_of(config: &Value, event: &str) -> Vec<(usize, usize, String)> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut all = Vec::new();
    for (group, value) in list(&config["hooks"][event]).iter().enumerate() {
        for (nth, handler) in list(&value["hooks"]).iter().enumerate() {
            let command = handler["command"].as_str();
            all.extend(command.map(|command| (group, nth, command.to_owned())));
        }
    }
    all
}

fn our_lines(config: &Value) -> Vec<String> {
    let all = EVENTS.iter().flat_map(|(event, _)| handlers_of(config, event));
    let mut lines: Vec<String> =
        all.map(|(_, _, command)| command).filter(|line| super::is_our_line(line)).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

fn parsed(text: &str) -> Result<Value, Failure> {
    let value = serde_json::from_str::<Value>(text);
    value.ok().filter(Value::is_object).ok_or_else(|| {
        Failure::new("Codex could not read it: no JSON object")
            .hint("mend it first; nothing was changed")
    })
}

fn group(line: &str) -> String {
    let line = super::quoted(line);
    format!("{{\"hooks\": [{{\"type\": \"command\", \"command\": {line}}}]}}")
}

fn member(event: &str, line: &str) -> String {
    format!("\"{event}\": [{}]", group(line))
}

/// Adds a part behind the last one of an object or array. In an empty one, the
/// blank tells that it was there before.
fn add(text: &mut String, to: &Range<usize>, part: &str, parts: &mut Vec<String>) {
    let end = text[..to.end - 1].trim_end().len();
    let part = format!("{}{part}", if end == to.start + 1 { " " } else { ", " });
    text.insert_str(end, &part);
    parts.push(part);
}

/// Returns where the value of a member of an object is.
fn find(text: &str, object: &Range<usize>, name: &str) -> Option<Range<usize>> {
    let mut at = object.start + 1;
    loop {
        at += text[at..object.end].find('"')?;
        let key = value_at(text, at);
        let value = value_at(text, key.end + text[key.end..].find(':')? + 1);
        if serde_json::from_str::<String>(&text[key]).is_ok_and(|key| key == name) {
            return Some(value);
        }
        at = value.end;
    }
}

/// Returns where the value is that comes next in valid JSON.
fn value_at(text: &str, from: usize) -> Range<usize> {
    let bytes = text.as_bytes();
    let is_blank = |byte: &u8| byte.is_ascii_whitespace();
    let start = from + bytes[from..].iter().take_while(|byte| is_blank(byte)).count();
    let (mut at, mut depth, mut quoted) = (start, 0_usize, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => depth -= 1,
            b',' | b'}' | b']' if depth == 0 => return start..at,
            _ => {}
        }
        at += 1;
        let is_whole = depth == 0 && !quoted && matches!(bytes[at - 1], b'"' | b'}' | b']');
        if is_whole {
            break;
        }
    }
    start..at
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "/opt/codex-trace hook";

    #[test]
    fn there_and_back_byte_by_byte() {
        let mine = r#"{"hooks": [{"type": "command", "command": "echo \"}]\" hook"}]}"#;
        let texts = [
            "{}".to_owned(),
            " {\n}\n".to_owned(),
            "{\"hooks\":{}}".to_owned(),
            "{\"hooks\": {}}".to_owned(),
            "{\"hooks\": {\"Stop\": []}}".to_owned(),
            "{\n  \"hooks\": {\n    \"Stop\": []\n  }\n}\n".to_owned(),
            format!("{{\n\t\"hooks\": {{\n\t\t\"Stop\": [\n\t\t\t{mine}\n\t\t]\n\t}}\n}}\n"),
            format!("{{\"hooks\":{{\"PreToolUse\":[{mine}],\"Stop\":[{mine},{mine}]}},\"x\":1}}"),
            "{\"description\": \"of a\\\\\", \"hooks\": {\"SessionStart\": [ ]}, \"n\": [1, 2]}"
                .to_owned(),
        ];
        for text in texts {
            let (new, parts) = install(&text, LINE).unwrap();
            assert!(!parts.is_empty());
            for (event, _) in EVENTS {
                let ours = handlers(&new, event).into_iter().filter(|it| it.2 == LINE).count();
                assert_eq!(ours, 1, "{event} in {new}");
            }
            // What was there has kept its place, by which Codex knows what was confirmed.
            let before = handlers(&text, "Stop");
            assert_eq!(handlers(&new, "Stop")[..before.len()], before);
            assert_eq!(install(&new, LINE).unwrap().0, new, "twice is once");
            assert_eq!(uninstall(&new).unwrap().0, text);
            let moved = install(&new, "/new/codex-trace hook").unwrap().0;
            assert_eq!(uninstall(&moved).unwrap().0, text, "from another path");
        }
    }

    #[test]
    fn what_cannot_be_read_or_added_to_stays() {
        for text in [
            "",
            "[]",
            "{\"hooks\": ",
            "{\"hooks\": 3}",
            "{\"hooks\": []}",
            "{\"hooks\": {\"Stop\": {}}}",
        ] {
            assert!(install(text, LINE).is_err(), "{text}");
        }
        let (new, _) = install("{}", LINE).unwrap();
        let changed = new.replace("\"Stop\": [", "\"Stop\": [ ");
        assert!(install(&changed, LINE).is_err(), "in another form");
    }
}
