//! When lines were written.

use codex_rollout::RawJson;
use jiff::Timestamp;

/// Reads the timestamp of an envelope: RFC 3339 by Codex; seconds or
/// milliseconds since 1970 by some other writers.
pub(crate) fn parse(raw: RawJson<'_>) -> Option<Timestamp> {
    if let Some(text) = raw.as_text() {
        return text.decode().parse().ok();
    }
    let number: f64 = std::str::from_utf8(raw.raw()).ok()?.parse().ok()?;
    let millis = if number.abs() < 1e11 { number * 1000.0 } else { number };
    #[expect(clippy::cast_possible_truncation, reason = "out of range is refused next")]
    Timestamp::from_millisecond(millis as i64).ok()
}

/// Reads Unix milliseconds as items carry them, where 0 stands for unknown.
pub(crate) fn from_millis(millis: Option<i64>) -> Option<Timestamp> {
    millis.filter(|millis| *millis > 0).and_then(|millis| Timestamp::from_millisecond(millis).ok())
}

/// Whether the second of two ids was made after the first, if both are UUIDv7,
/// which begin with the time.
pub(crate) fn is_later_uuid_v7(earlier: &str, later: &str) -> Option<bool> {
    let v7 = |id: &str| id.len() == 36 && id.as_bytes()[14] == b'7';
    (v7(earlier) && v7(later)).then_some(later > earlier)
}
