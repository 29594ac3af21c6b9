//! Recognises what tools print about themselves: exit codes, times, failures.
//!
//! Codex records no success flag with an output; its text is all there is
//! (rollout-format, "output shapes").

use codex_rollout::{JsonText, RawJson};
use jiff::SignedDuration;

/// What an output says about the call that it answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) exit_code: Option<i64>,
    pub(crate) duration: Option<SignedDuration>,
    /// The session of a command that still runs.
    pub(crate) running_session: Option<String>,
    /// The user stopped it.
    pub(crate) aborted: Option<String>,
    /// It failed without an exit code; the first line says why.
    pub(crate) failure: Option<String>,
    /// The id of an agent that was spawned.
    pub(crate) agent_id: Option<String>,
    /// The path of an agent that was spawned.
    pub(crate) task_name: Option<String>,
}

/// How much of an output is looked at, in bytes, at its head and at its tail.
const LOOK: usize = 512;

/// Starts of outputs that say that the call failed.
const FAILURES: &[&str] = &[
    "unsupported call: ",
    "unsupported custom tool call: ",
    "failed in sandbox: ",
    "exec error: ",
    "execution error: ",
    "exec_command failed",
    "failed to parse function arguments",
    "apply_patch verification failed",
    "collab spawn failed",
    "Script failed",
    "Full-history forked agents inherit",
    "command timed out after ",
    "tool call error: ",
    "patch rejected",
];

/// Reads the outcome from an output: a string, or an array of content items.
pub(crate) fn outcome(output: RawJson<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    let Some(text) = output.as_text().or_else(|| first_text(output)) else { return outcome };
    if text.raw().starts_with(br#"{\""#) {
        json_outcome(text, &mut outcome);
        return outcome;
    }
    let head = text.decode_prefix(LOOK);
    let first = head.lines().next().unwrap_or_default();
    if FAILURES.iter().any(|start| first.starts_with(start)) {
        outcome.failure = Some(first.to_owned());
    }
    for line in head.lines().take(8) {
        if line == "Output:" {
            break;
        }
        header_line(line, &mut outcome);
    }
    outcome
}

fn header_line(line: &str, outcome: &mut Outcome) {
    if let Some(seconds) = ["Wall time: ", "Duration: ", "Wall time "]
        .iter()
        .find_map(|start| line.strip_prefix(start)?.strip_suffix(" seconds"))
    {
        outcome.duration = seconds.parse().ok().and_then(seconds_to_duration);
    } else if let Some(code) =
        line.strip_prefix("Process exited with code ").or_else(|| line.strip_prefix("Exit code: "))
    {
        outcome.exit_code = code.trim().parse().ok();
    } else if let Some(session) = line.strip_prefix("Process running with session ID ") {
        outcome.running_session = Some(session.trim().to_owned());
    } else if let Some(cell) = line.strip_prefix("Script running with cell ID ") {
        outcome.running_session = Some(cell.trim().to_owned());
    } else if line.starts_with("aborted by user") {
        outcome.aborted = Some(line.to_owned());
    }
}

/// Reads the outcome from an output that is itself JSON, escaped: only its
/// head and its tail, between which lies what the tool printed.
fn json_outcome(text: JsonText<'_>, outcome: &mut Outcome) {
    let raw = text.raw();
    let head = &raw[..raw.len().min(LOOK)];
    let tail = &raw[raw.len().saturating_sub(LOOK)..];
    outcome.exit_code = number_after(tail, br#"\"exit_code\":"#).and_then(|code| code.parse().ok());
    outcome.duration = number_after(tail, br#"\"duration_seconds\":"#)
        .or_else(|| number_after(head, br#"\"wall_time_seconds\":"#))
        .and_then(|seconds| seconds.parse().ok())
        .and_then(seconds_to_duration);
    outcome.agent_id = word_after(head, br#"\"agent_id\":\""#);
    outcome.task_name = word_after(head, br#"\"task_name\":\""#);
    if outcome.exit_code == Some(1) && raw.starts_with(br#"{\"output\":\"aborted\""#) {
        outcome.aborted = Some("aborted".to_owned());
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
fn word_after(raw: &[u8], key: &[u8]) -> Option<String> {
    let start = memchr::memmem::find(raw, key)? + key.len();
    let end = memchr::memchr(b'\\', &raw[start..])?;
    std::str::from_utf8(&raw[start..start + end]).ok().map(str::to_owned)
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

    fn outcome_of(json: &str) -> Outcome {
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
        assert_eq!(outcome.running_session.as_deref(), Some("-42"));
        assert_eq!(outcome.exit_code, None);
    }

    #[test]
    fn interruptions_and_refusals_are_told_apart_from_answers() {
        let aborted = outcome_of(r#""Wall time: 0.7 seconds\naborted by user""#);
        assert_eq!(aborted.aborted.as_deref(), Some("aborted by user"));
        let refused = outcome_of(r#""unsupported call: nosuch_tool""#);
        assert_eq!(refused.failure.as_deref(), Some("unsupported call: nosuch_tool"));
        assert_eq!(outcome_of(r#""Plan updated""#), Outcome::default());
    }

    #[test]
    fn spawned_agents_are_named_by_id_or_path() {
        let v1 = outcome_of(r#""{\"agent_id\":\"019d\",\"nickname\":\"Harvey\"}""#);
        assert_eq!(v1.agent_id.as_deref(), Some("019d"));
        let v2 = outcome_of(r#""{\"task_name\":\"/root/worker_one\"}""#);
        assert_eq!(v2.task_name.as_deref(), Some("/root/worker_one"));
    }
}
