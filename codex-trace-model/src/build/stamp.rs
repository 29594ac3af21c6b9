//! When lines were written.

use codex_rollout::RawJson;
use jiff::Timestamp;

/// 2100-01-01T00:00:00Z in milliseconds. A clock that is behind still tells how
/// long things took; one that is beyond this is broken.
const ABSURD: i64 = 4_102_444_800_000;

/// Reads the timestamp of an envelope: RFC 3339 by Codex; seconds or
/// milliseconds since 1970 by some other writers. Nothing if it is absurd.
pub(crate) fn parse(raw: RawJson<'_>) -> Option<Timestamp> {
    if let Some(text) = raw.as_text() {
        return parse_text(&text.decode());
    }
    let number: f64 = std::str::from_utf8(raw.raw()).ok()?.parse().ok()?;
    let millis = if number.abs() < 1e11 { number * 1000.0 } else { number };
    #[expect(clippy::cast_possible_truncation, reason = "out of range is refused next")]
    from_millis(Some(millis as i64))
}

/// Reads RFC 3339, if it is not absurd.
pub(crate) fn parse_text(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|at: &Timestamp| (0..ABSURD).contains(&at.as_millisecond()))
}

/// Reads Unix milliseconds as items carry them, where 0 stands for unknown.
pub(crate) fn from_millis(millis: Option<i64>) -> Option<Timestamp> {
    let plausible = |millis: &i64| *millis > 0 && *millis < ABSURD;
    millis.filter(plausible).and_then(|millis| Timestamp::from_millisecond(millis).ok())
}

/// Whether the second of two ids was made after the first, if both are UUIDv7,
/// which begin with the time.
pub(crate) fn is_later_uuid_v7(earlier: &str, later: &str) -> Option<bool> {
    let v7 = |id: &str| id.len() == 36 && id.as_bytes()[14] == b'7';
    (v7(earlier) && v7(later)).then_some(later > earlier)
}
