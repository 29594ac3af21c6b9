//! Points in time as users write them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Which end of a range is meant: a date as a beginning is its first instant,
/// as an end it is that of the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// `--since`
    Since,
    /// `--until`
    Until,
}

/// Reads a time (RFC 3339, or without an offset: UTC), a date (UTC) or an age
/// before `now` (`90m`, `24h`, `7d`, `2w`).
pub fn parse(text: &str, edge: Edge, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim();
    if let Some(age) = parse_age(text) {
        return now.checked_sub(age).ok();
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let utc = |at: DateTime| at.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp());
    if !text.contains([':', 'T', ' ']) {
        let date = text.parse::<Date>().ok()?;
        let date = if edge == Edge::Until { date.tomorrow().ok()? } else { date };
        return utc(date.to_datetime(jiff::civil::Time::midnight()));
    }
    utc(text.parse::<DateTime>().ok()?)
}

/// Reads a length of time: `90s`, `15m`, `24h`, `7d`, `2w`.
pub fn parse_age(text: &str) -> Option<SignedDuration> {
    SignedDuration::try_from(codex_trace_export::options::parse_age(text)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        #[rustfmt::skip]
        let cases = [
            // why                          text                          edge         time
            ("a time in UTC",               "2026-11-20T01:02:03Z",       Edge::Since, Some("2026-11-20T01:02:03Z")),
            ("a time with an offset",       "2026-11-20T01:02:03+02:00",  Edge::Since, Some("2026-11-19T23:02:03Z")),
            ("no offset is UTC",            "2026-11-20T01:02",           Edge::Since, Some("2026-11-20T01:02:00Z")),
            ("a blank for the T",           "2026-11-20 01:02",           Edge::Until, Some("2026-11-20T01:02:00Z")),
            ("a date begins at midnight",   "2026-11-20",                 Edge::Since, Some("2026-11-20T00:00:00Z")),
            ("a date as end includes it",   "2026-12-31",                 Edge::Until, Some("2027-01-01T00:00:00Z")),
            ("minutes",                     "90m",                        Edge::Since, Some("2026-11-21T10:30:00Z")),
            ("hours",                       "24h",                        Edge::Until, Some("2026-11-20T12:00:00Z")),
            ("days",                        "7d",                         Edge::Since, Some("2026-11-14T12:00:00Z")),
            ("weeks",                       "2w",                         Edge::Since, Some("2026-11-07T12:00:00Z")),
            ("the future is no age",        "-7d",                        Edge::Since, None),
            ("absurd ages",                 "999999999999999999d",        Edge::Since, None),
            ("no such day",                 "2026-02-30",                 Edge::Since, None),
            ("a number alone",              "7",                          Edge::Since, None),
            ("words",                       "yesterday",                  Edge::Since, None),
            ("nothing",                     "",                           Edge::Since, None),
        ];
        for (why, text, edge, time) in cases {
            let time = time.map(|time| time.parse::<Timestamp>().unwrap());
            assert_eq!(parse(text, edge, now), time, "{why}");
        }
    }
}
