//! The ids of runs and their place in a trace, as the live plugin derives
//! them: what it uploads and what we upload meet in the same rows.

use std::fmt;

use codex_trace_model::Timestamp;
use jiff::tz::Offset;

use crate::json;
use crate::uuid::Uuid;

/// The namespace of DNS names of RFC 9562, which the plugin uses.
const NAMESPACE: Uuid = Uuid::from_bytes([
    0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8,
]);

/// A run's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct RunId(Uuid);

impl RunId {
    /// Derives the id of a run from what it is: `root`, `llm:0`,
    /// `tool:<call id>` of a turn of a thread.
    pub(super) fn new(thread: &str, turn: &str, run: &str) -> RunId {
        RunId(Uuid::v5(NAMESPACE, &["langsmith-codex:", thread, ":", turn, ":", run]))
    }

    /// Derives the id of a copy of the run that goes to another project of the
    /// same workspace, where one id cannot be used twice.
    pub(super) fn copy_for(self, project: &str) -> RunId {
        RunId(Uuid::v5(NAMESPACE, &["codex-trace:", &self.to_string(), ":", project]))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Returns the time in a UUID of version 7, in milliseconds since 1970.
pub(super) fn v7_millis(id: &str) -> Option<i64> {
    let digits: Vec<u8> = id.bytes().filter(|byte| *byte != b'-').collect();
    let is_v7 =
        digits.len() == 32 && digits[12] == b'7' && digits.iter().all(u8::is_ascii_hexdigit);
    let millis = is_v7.then(|| std::str::from_utf8(&digits[..12]).ok()).flatten()?;
    i64::from_str_radix(millis, 16).ok().filter(|millis| *millis > 0)
}

/// When a run started: milliseconds, and which run of its trace it is. The
/// service sorts by both, as microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// Milliseconds since 1970.
    pub(super) millis: i64,
    /// The run's place in its trace, starting at 1.
    pub(super) order: u32,
}

impl Start {
    /// The order in three characters, cut as the plugin cuts it.
    fn micros(self) -> String {
        let mut text = self.order.to_string();
        text.truncate(3);
        format!("{text:0>3}")
    }

    /// Returns the time as `start_time` has it.
    pub(super) fn time(self) -> String {
        let mut text = time(self.millis);
        text.pop();
        text + &self.micros() + "Z"
    }

    /// Returns the segment of `dotted_order` that stands for a run.
    pub(super) fn segment(self, id: RunId) -> String {
        let mut text: String =
            self.time().chars().filter(|c| !matches!(c, '-' | ':' | '.')).collect();
        text.push_str(&id.to_string());
        text
    }
}

/// Returns when the last run of a `dotted_order` started.
pub(super) fn start_of(dotted_order: &str) -> Option<Start> {
    let segment = dotted_order.rsplit('.').next()?;
    let digits = |from: usize, to: usize| segment.get(from..to)?.parse::<i16>().ok();
    let small = |from, to| digits(from, to).and_then(|it| i8::try_from(it).ok());
    let at = jiff::civil::DateTime::new(
        digits(0, 4)?,
        small(4, 6)?,
        small(6, 8)?,
        small(9, 11)?,
        small(11, 13)?,
        small(13, 15)?,
        i32::from(digits(15, 18)?) * 1_000_000,
    );
    let at = Offset::UTC.to_timestamp(at.ok()?).ok()?;
    let order = u32::try_from(digits(18, 21)?).ok()?;
    segment[21..].starts_with('Z').then_some(Start { millis: at.as_millisecond(), order })
}

/// Returns a time as JavaScript writes it: always three decimals.
pub(super) fn time(millis: i64) -> String {
    let at = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
    json::time(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREAD: &str = "0199a8d4-7c3e-7b10-9f00-3a5c1d2e4f60";
    const TURN: &str = "0199a8d4-8000-7b10-8aaa-111122223333";

    /// Changing any of these uploads everybody's history a second time.
    #[test]
    fn ids_never_change() {
        let id = |run| RunId::new(THREAD, TURN, run).to_string();
        assert_eq!(id("root"), "f6569365-97d5-508a-a389-14f3f11a0894");
        assert_eq!(id("llm:0"), "2c1ebe5c-0ea5-52b5-9136-277785b7b357");
        assert_eq!(id("tool:call_abc123"), "36a1468e-37ca-5585-88b9-db2d0a693f42");
    }

    #[test]
    fn segments_are_the_time_the_order_and_the_id() {
        let id = RunId::new(THREAD, TURN, "root");
        let at: Timestamp = "2026-05-01T10:00:00.123Z".parse().unwrap();
        let start = |order| Start { millis: at.as_millisecond(), order };
        assert_eq!(start(1).time(), "2026-05-01T10:00:00.123001Z");
        assert_eq!(
            start(1).segment(id),
            "20260501T100000123001Zf6569365-97d5-508a-a389-14f3f11a0894"
        );
        assert_eq!(start(42).time(), "2026-05-01T10:00:00.123042Z");
        // Three characters, as the SDK has it, not three digits.
        assert_eq!(start(1234).time(), "2026-05-01T10:00:00.123123Z");
        assert_eq!(start_of(&format!("x.{}", start(42).segment(id))), Some(start(42)));
        assert_eq!(start_of("20260501T1000"), None);
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn only_version_7_has_a_time() {
        assert_eq!(v7_millis(TURN), Some(0x0199_a8d4_8000));
        assert_eq!(v7_millis("f6569365-97d5-508a-a389-14f3f11a0894"), None);
        assert_eq!(v7_millis("auto-compact-1"), None);
        assert_eq!(v7_millis("00000000-0000-7000-8000-000000000000"), None);
    }
}
