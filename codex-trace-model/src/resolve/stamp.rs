//! When lines were written.

use codex_rollout::RawJson;
use jiff::Timestamp;

/// 2100-01-01T00:00:00Z in milliseconds. A clock that is behind still tells how
/// long things took; one that is beyond this is broken.
const ABSURD: i64 = 4_102_444_800_000;

/// Reads the timestamp of an envelope: RFC 3339 by Codex; seconds or
/// milliseconds since 1970 by some other writers. Nothing if it is absurd.
pub(crate) fn parse(raw: RawJson<'_>) -> Option<Timestamp> {
    if let Some(at) = parse_written_by_codex(raw.raw()) {
        return Some(at);
    }
    if let Some(text) = raw.as_text() {
        return parse_text(&text.decode());
    }
    let number: f64 = std::str::from_utf8(raw.raw()).ok()?.parse().ok()?;
    let millis = if number.abs() < 1e11 { number * 1000.0 } else { number };
    #[expect(clippy::cast_possible_truncation, reason = "out of range is refused next")]
    from_millis(Some(millis as i64))
}

/// Reads the times of lines, one after the other: most are of the same minute as
/// the one before.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    /// `"2026-11-21T05:39`, and when that was, in milliseconds.
    minute: [u8; 17],
    began: i64,
}

impl Stamps {
    /// As [`parse`].
    pub(crate) fn read(&mut self, raw: RawJson<'_>) -> Option<Timestamp> {
        if let Some(at) = self.read_of_same_minute(raw.raw()) {
            return Some(at);
        }
        let Some(at) = parse_written_by_codex(raw.raw()) else { return parse(raw) };
        self.minute.copy_from_slice(&raw.raw()[..17]);
        self.began = at.as_millisecond() - at.as_millisecond() % 60_000;
        Some(at)
    }

    fn read_of_same_minute(&self, raw: &[u8]) -> Option<Timestamp> {
        let (rest, [b'"']) = raw.strip_prefix(&self.minute)?.split_first_chunk()? else {
            return None;
        };
        let (second, millis) = second_of(*rest)?;
        Timestamp::from_millisecond(self.began + 1_000 * second + millis).ok()
    }
}

/// Reads the seconds and milliseconds of `:08.357Z`; nothing of a leap second.
#[inline]
fn second_of(text: [u8; 8]) -> Option<(i64, i64)> {
    let pairs = pairs_of(text, *b":00.000Z")?.to_le_bytes().map(i64::from);
    // The last pair shares a digit with the one before.
    (pairs[1] < 60).then_some((pairs[1], 10 * pairs[4] + pairs[5] % 10))
}

/// Reads `"2026-11-21T05:39:08.357Z"`, which is what Codex writes on every
/// line; nothing if it is not just so.
fn parse_written_by_codex(raw: &[u8]) -> Option<Timestamp> {
    let [b'"', text @ .., b'"'] = raw else { return None };
    let text: &[u8; 24] = text.try_into().ok()?;
    let (words, []) = text.as_chunks::<8>() else { return None };
    let date = pairs_of(words[0], *b"0000-00-")?;
    let time = pairs_of(words[1], *b"00T00:00")?;
    let (second, millis) = second_of(words[2])?;
    let at = |pairs: u64, at: usize| i64::from(pairs.to_le_bytes()[at]);
    let (year, month, day) = (100 * at(date, 0) + at(date, 2), at(date, 5), at(time, 0));
    let (hour, minute) = (at(time, 3), at(time, 6));
    // The 29th of February and leap seconds are left to who knows them all.
    let days = usize::try_from(month).ok().and_then(|month| DAYS.get(month))?;
    let plain =
        (1970..2100).contains(&year) && (1..=*days).contains(&day) && hour < 24 && minute < 60;
    if !plain {
        return None;
    }
    // Years begin in March here, so that a leap day is the last one.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let leap_days = year / 4 - year / 100 + year / 400;
    // 719 468 days lie between 1 March 0000 and 1 January 1970.
    let days = 365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468;
    let seconds = ((24 * days + hour) * 60 + minute) * 60 + second;
    Timestamp::from_millisecond(1_000 * seconds + millis).ok()
}

/// How many days each month has in any year; there is no month 0.
const DAYS: [i64; 13] = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Returns the number that two digits make which begin at each byte of a text,
/// byte by byte; nothing if that is not of a shape, in which zeros stand for
/// digits.
#[inline]
fn pairs_of(text: [u8; 8], shape: [u8; 8]) -> Option<u64> {
    // Eight bytes at once: none of these sums carries into the next byte, but
    // for those of bytes above 0x7F, which show by themselves.
    let over = u64::from_le_bytes(shape.map(|byte| if byte == b'0' { 0x76 } else { 0x7F }));
    let values = u64::from_le_bytes(text) ^ u64::from_le_bytes(shape);
    let is_odd = (values.wrapping_add(over) | values) & 0x8080_8080_8080_8080 != 0;
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    (!is_odd).then_some(pairs)
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

/// Reads Unix seconds, where 0 stands for unknown.
pub(crate) fn from_seconds(seconds: Option<i64>) -> Option<Timestamp> {
    from_millis(seconds?.checked_mul(1_000))
}

/// How long after something happened its line is written at most, in seconds:
/// what lies further apart was written again, by an import or a migration.
const SOON: i64 = 5;

/// Returns the time that a line tells of something in whole seconds, if the
/// line was written long after it. A line that claims to have been written
/// before what it tells only shows that two clocks differ.
pub(crate) fn recorded_elsewhen(
    seconds: Option<i64>,
    written: Option<Timestamp>,
) -> Option<Timestamp> {
    let recorded = from_seconds(seconds)?;
    let apart = written?.as_second().checked_sub(recorded.as_second())?;
    (apart > SOON).then_some(recorded)
}

/// Whether the second of two ids was made after the first, if both are UUIDv7,
/// which begin with the time.
pub(crate) fn is_later_uuid_v7(earlier: &str, later: &str) -> Option<bool> {
    let v7 = |id: &str| id.len() == 36 && id.as_bytes()[14] == b'7';
    (v7(earlier) && v7(later)).then_some(later > earlier)
}

#[cfg(test)]
mod tests {
    use codex_rollout::Cursor;
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn only_what_was_written_later_was_written_again() {
        let written = from_seconds(Some(1_791_528_000));
        let elsewhen = |seconds| recorded_elsewhen(Some(seconds), written);
        assert_eq!(elsewhen(1_791_528_000 - 86_400), from_seconds(Some(1_791_528_000 - 86_400)));
        assert_eq!(elsewhen(1_791_528_000 - 5), None);
        assert_eq!(elsewhen(1_791_528_000 + 31), None);
        assert_eq!(recorded_elsewhen(Some(1), None), None);
    }

    /// Every day that the short way may take, and what it must leave alone.
    #[test]
    fn the_short_way_says_what_the_long_way_says() {
        let (mut short, mut all) = (0, 0);
        let mut stamps = Stamps::default();
        for day in 0..47_482 {
            let at = Timestamp::from_millisecond(day * 86_400_000 + day * 1_811 % 86_400_000);
            let at = at.unwrap();
            let text = format!("\"{at:.3}\"");
            let told = parse_written_by_codex(text.as_bytes());
            short += u32::from(told.is_some());
            all += 1;
            assert!(told.is_none_or(|told| told == at), "{text}");
            for millis in [0, 1, 59_999, 60_000] {
                let at = at + SignedDuration::from_millis(millis);
                let text = format!("\"{at:.3}\"");
                let raw = Cursor::new(text.as_bytes()).raw().unwrap();
                assert_eq!(stamps.read(raw), parse(raw), "{text}");
            }
        }
        assert!(short > all * 99 / 100, "{short} of {all}");
        for odd in [
            "\"2026-02-30T05:39:08.357Z\"",
            "\"2026-13-01T05:39:08.357Z\"",
            "\"2026-11-21T24:39:08.357Z\"",
            "\"2026-11-21T05:39:60.357Z\"",
            "\"2026-11-21T05:39:08.35 Z\"",
            "\"2026-11-21 05:39:08.357Z\"",
            "\"2026-11-21T05:39:08.3577\"",
            "\"1969-11-21T05:39:08.357Z\"",
            "\"2026-11-21T05:39:08Z\"",
        ] {
            assert_eq!(parse_written_by_codex(odd.as_bytes()), None, "{odd}");
        }
    }
}
