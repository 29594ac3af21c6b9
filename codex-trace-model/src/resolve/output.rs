//! Recognises what tools print about themselves: exit codes, times, failures.
//!
//! Codex records no success flag with an output; its text is all there is
//! (rollout-format, "output shapes").

use std::borrow::Cow;

use codex_rollout::{JsonText, RawJson};
use jiff::SignedDuration;

/// What an output says about the call that it answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome<'a> {
    pub(crate) exit_code: Option<i64>,
    pub(crate) duration: Option<SignedDuration>,
    /// What few outputs say.
    pub(crate) more: Option<Box<More<'a>>>,
}

/// What few outputs say about a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct More<'a> {
    /// The session of a command that still runs.
    pub(crate) running_session: Option<Cow<'a, str>>,
    /// The user stopped it.
    pub(crate) aborted: Option<Cow<'a, str>>,
    /// It is not what the tool answers when it works; the first line of it.
    pub(crate) complaint: Option<Cow<'a, str>>,
    /// The id of an agent that was spawned.
    pub(crate) agent_id: Option<Cow<'a, str>>,
    /// The path of an agent that was spawned.
    pub(crate) task_name: Option<Cow<'a, str>>,
}

impl<'a> Outcome<'a> {
    pub(crate) fn more(&mut self) -> &mut More<'a> {
        self.more.get_or_insert_default()
    }

    /// Returns the session of a command that still runs.
    pub(crate) fn running_session(&self) -> Option<&Cow<'a, str>> {
        self.more.as_ref()?.running_session.as_ref()
    }

    /// Whether the output says how a command went.
    pub(crate) fn reports(&self) -> bool {
        let stopped = || self.more.as_ref().is_some_and(|it| it.aborted.is_some());
        let times = self.exit_code.is_some() || self.duration.is_some();
        times || self.running_session().is_some() || stopped()
    }
}

/// How much of an output is looked at, in bytes, at its head and at its tail.
pub(crate) const LOOK: usize = 512;

/// How many lines a header has at most.
const HEADER_LINES: usize = 8;

/// Reads the outcome from an output: a string, or an array of content items.
pub(crate) fn outcome(output: RawJson<'_>) -> Outcome<'_> {
    let mut outcome = Outcome::default();
    let Some(text) = output.as_text().or_else(|| first_text(output)) else { return outcome };
    if text.raw().starts_with(br#"{\""#) {
        json_outcome(text, &mut outcome);
        return outcome;
    }
    for line in lines(text.prefix(LOOK)).take(HEADER_LINES) {
        if line.is("Output:") {
            break;
        }
        header_line(line, &mut outcome);
    }
    outcome
}

/// Returns the lines of a text, still escaped.
pub(crate) fn lines(text: JsonText<'_>) -> impl Iterator<Item = JsonText<'_>> {
    Lines(text.raw())
}

/// The lines of a text, still escaped.
struct Lines<'r>(&'r [u8]);

impl<'r> Iterator for Lines<'r> {
    type Item = JsonText<'r>;

    fn next(&mut self) -> Option<JsonText<'r>> {
        let raw = self.0;
        if raw.is_empty() {
            return None;
        }
        let mut searched = 0;
        // The place of a carriage return, and where it ends.
        let mut return_at = (0, 0);
        while let Some(slash) = memchr::memchr(b'\\', &raw[searched..]) {
            let slash = searched + slash;
            let (is_newline, len) = match &raw[slash + 1..] {
                [b'n', ..] => (true, 2),
                [b'u', b'0', b'0', b'0', b'a' | b'A', ..] => (true, 6),
                [b'u', b'0', b'0', b'0', b'd' | b'D', ..] => (false, 6),
                _ => (false, 2),
            };
            if is_newline {
                self.0 = &raw[slash + len..];
                let end = if return_at.1 == slash { return_at.0 } else { slash };
                return Some(JsonText::new(&raw[..end]));
            }
            searched = raw.len().min(slash + len);
            if matches!(&raw[slash..searched], br"\r" | br"\u000d" | br"\u000D") {
                return_at = (slash, searched);
            }
        }
        self.0 = &[];
        Some(JsonText::new(raw))
    }
}

fn header_line<'a>(line: JsonText<'a>, outcome: &mut Outcome<'a>) {
    // What headers begin with needs no escapes.
    let after = |start: &str| {
        let rest = line.raw().strip_prefix(start.as_bytes())?;
        Some(JsonText::new(rest).decode())
    };
    if let Some(time) = ["Wall time: ", "Duration: ", "Wall time "].iter().find_map(|it| after(it))
        && let Some(seconds) = time.strip_suffix(" seconds")
    {
        outcome.duration = seconds.parse().ok().and_then(seconds_to_duration);
    } else if let Some(code) = after("Process exited with code ").or_else(|| after("Exit code: ")) {
        outcome.exit_code = code.trim().parse().ok();
    } else if let Some(session) =
        after("Process running with session ID ").or_else(|| after("Script running with cell ID "))
    {
        outcome.more().running_session = Some(trimmed(session));
    } else if line.raw().starts_with(b"aborted by user") {
        outcome.more().aborted = Some(line.decode());
    }
}

fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => text.trim().into(),
        Cow::Owned(text) => text.trim().to_owned().into(),
    }
}

/// Reads the outcome from an output that is itself JSON, escaped: only its
/// head and its tail, between which lies what the tool printed.
fn json_outcome<'a>(text: JsonText<'a>, outcome: &mut Outcome<'a>) {
    let raw = text.raw();
    let head = &raw[..raw.len().min(LOOK)];
    let tail = &raw[raw.len().saturating_sub(LOOK)..];
    outcome.exit_code = number_after(tail, br#"\"exit_code\":"#).and_then(|code| code.parse().ok());
    outcome.duration = number_after(tail, br#"\"duration_seconds\":"#)
        .or_else(|| number_after(head, br#"\"wall_time_seconds\":"#))
        .and_then(|seconds| seconds.parse().ok())
        .and_then(seconds_to_duration);
    if let Some(id) = word_after(head, br#"\"agent_id\":\""#) {
        outcome.more().agent_id = Some(id);
    }
    if let Some(name) = word_after(head, br#"\"task_name\":\""#) {
        outcome.more().task_name = Some(name);
    }
    if outcome.exit_code == Some(1) && raw.starts_with(br#"{\"output\":\"aborted\""#) {
        outcome.more().aborted = Some("aborted".into());
    }
}

/// Returns the number after the last `key` in escaped JSON.
fn number_after<'r>(raw: &'r [u8], key: &[u8]) -> Option<&'r str> {
    let start = memchr::memmem::rfind(raw, key)? + key.len();
    let rest = raw[start..].trim_ascii_start();
    let end = rest.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'.'))?;
    std::str::from_utf8(&rest[..end]).ok()
}

/// Returns the text after the first `key`, up to the next escaped quote.
fn word_after<'r>(raw: &'r [u8], key: &[u8]) -> Option<Cow<'r, str>> {
    let start = memchr::memmem::find(raw, key)? + key.len();
    let end = memchr::memchr(b'\\', &raw[start..])?;
    std::str::from_utf8(&raw[start..start + end]).ok().map(Cow::Borrowed)
}

fn seconds_to_duration(seconds: f64) -> Option<SignedDuration> {
    (seconds.is_finite() && (0.0..1e9).contains(&seconds))
        .then(|| SignedDuration::from_secs_f64(seconds))
}

/// Returns the text of the first content item that has one.
pub(crate) fn first_text(content: RawJson<'_>) -> Option<JsonText<'_>> {
    let mut first = None;
    let read = content.cursor().array(|item| {
        if first.is_none() && item.kind()? == codex_rollout::ValueKind::Object {
            item.object(|key, value| {
                if key == b"text" && value.kind()? == codex_rollout::ValueKind::String {
                    first = first.or(Some(value.text()?));
                }
                Ok(())
            })?;
        }
        Ok(())
    });
    read.ok().and(first)
}

#[cfg(test)]
mod tests {
    use codex_rollout::Cursor;

    use super::*;

    fn outcome_of(json: &str) -> Outcome<'_> {
        outcome(Cursor::new(json.as_bytes()).raw().unwrap())
    }

    #[test]
    fn every_recorded_shape_is_recognised() {
        let millis = |millis| Some(SignedDuration::from_millis(millis));
        #[rustfmt::skip]
        let cases = [
            // shell, all versions: JSON in a string
            (r#""{\"output\":\"a\\n\",\"metadata\":{\"exit_code\":2,\"duration_seconds\":0.1}}""#, Some(2), millis(100)),
            // shell_command
            (r#""Exit code: 7\nWall time: 1.5 seconds\nOutput:\nExit code: 9""#, Some(7), millis(1500)),
            // exec_command since 2025-11
            (r#""Chunk ID: ab12cd\nWall time: 0.5005 seconds\nProcess exited with code 4\nOriginal token count: 3\nOutput:\nx""#, Some(4), Some(SignedDuration::from_micros(500_500))),
            // unified_exec 0.47 to 0.57
            (r#""{\"chunk_id\":\"c\",\"wall_time_seconds\":0.25,\"output\":\"x\",\"exit_code\":3}""#, Some(3), millis(250)),
            // MCP since 0.144.5: a time and no code
            (r#""Wall time: 0.1298 seconds\nOutput:\n{\"sum\":3}""#, None, Some(SignedDuration::from_micros(129_800))),
            // code mode: an array, no colon after "time"
            (r#"[{"type":"input_text","text":"Script completed\nWall time 0.2 seconds\nOutput:\n"}]"#, None, millis(200)),
            // what a tool printed is not a header
            (r#""Output:\nProcess exited with code 1""#, None, None),
        ];
        for (json, exit_code, duration) in cases {
            let outcome = outcome_of(json);
            assert_eq!((outcome.exit_code, outcome.duration), (exit_code, duration), "{json}");
        }
    }

    #[test]
    fn a_command_that_still_runs_names_its_session() {
        let outcome = outcome_of(
            r#""Chunk ID: a\nWall time: 0.5 seconds\nProcess running with session ID -42\nOutput:\n""#,
        );
        assert_eq!(outcome.exit_code, None);
        assert_eq!(outcome.running_session().map(AsRef::as_ref), Some("-42"));
    }

    #[test]
    fn interruptions_are_told_apart_from_answers() {
        let aborted = outcome_of(r#""Wall time: 0.7 seconds\naborted by user""#);
        assert_eq!(aborted.more.and_then(|it| it.aborted).as_deref(), Some("aborted by user"));
        assert_eq!(outcome_of(r#""Plan updated""#), Outcome::default());
    }

    /// The lines are those of the decoded text.
    #[test]
    fn lines_are_told_apart_without_decoding() {
        let cases = [
            "",
            "\n",
            "one",
            "one\n",
            "one\ntwo\n\nthree",
            "one\r\ntwo\r",
            "one\\r\ntwo\\n\\\nthree",
            "\r\n\r\n",
            "\r\r\na\u{1}\u{b}é\"\t\n",
        ];
        for text in cases {
            let json = serde_json::to_string(text).unwrap();
            let raw = &json.as_bytes()[1..json.len() - 1];
            let lines: Vec<_> = Lines(raw).map(JsonText::decode).collect();
            assert_eq!(lines, text.lines().collect::<Vec<_>>(), "{json}");
        }
        let lines = |raw| Lines(raw).map(JsonText::decode).collect::<Vec<_>>();
        assert_eq!(lines(br"a\u000d\u000Ab\u000a"), ["a", "b"]);
    }

    #[test]
    fn spawned_agents_are_named_by_id_or_path() {
        let v1 = outcome_of(r#""{\"agent_id\":\"019d\",\"nickname\":\"Harvey\"}""#);
        assert_eq!(v1.more.and_then(|it| it.agent_id).as_deref(), Some("019d"));
        let v2 = outcome_of(r#""{\"task_name\":\"/root/worker_one\"}""#);
        assert_eq!(v2.more.and_then(|it| it.task_name).as_deref(), Some("/root/worker_one"));
    }
}
