//! Points in time as users write them.

use jiff::civil::{Date, DateTime, ISOWeekDate, Time, Weekday};
use jiff::{SignedDuration, Span, Timestamp, ToSpan};

use crate::zone::Zone;
use codex_trace_history::failure::Failure;

/// What can be written for a time.
pub const FORMS: &str = "give a time (2026-11-21T05:39:08Z, 14:30), a day, week, month or year \
     (today, yesterday, 2026-11-21, 2026-W44, 2026-10, last-month) or an age (90m, 24h, 7d, 1mo)";

/// Which end of a range is meant: a day as a beginning is its first instant, as
/// an end it is that of the next day. Weeks, months and years likewise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// `--since`
    Since,
    /// `--until`
    Until,
}

/// Reads a time, a stretch of days or an age before `now`; what is written
/// without an offset is in `zone`.
pub fn parse(text: &str, edge: Edge, now: Timestamp, zone: &Zone) -> Option<Timestamp> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    if lower == "now" {
        return Some(now);
    }
    if let Some(age) = Age::parse(text) {
        return age.before(now, zone);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    if lower.len() > 8 && lower.bytes().all(|byte| byte.is_ascii_digit()) {
        return Timestamp::from_second(lower.parse().ok()?).ok();
    }
    let midnight = |date: Date| in_zone(date.to_datetime(Time::midnight()), zone);
    if let Some((first, next)) = days(&lower, zone.date(now)) {
        return midnight(if edge == Edge::Until { next } else { first });
    }
    if let Some(time) = text.parse::<Time>().ok().filter(|_| !text.contains('-')) {
        return in_zone(zone.date(now).to_datetime(time), zone);
    }
    in_zone(text.parse::<DateTime>().ok()?, zone)
}

/// Reads how far back to begin: with `7d`, `2w`, `1mo` or `1y` so many whole
/// days, weeks, months or years up to and with today; with `90m` or `24h` an age.
pub fn last(text: &str, now: Timestamp, zone: &Zone) -> Option<Timestamp> {
    let age = Age::parse(text.trim())?;
    if !age.is_calendar() {
        return age.before(now, zone);
    }
    let first = zone.date(now).checked_sub(age.span()?).ok()?.tomorrow().ok()?;
    in_zone(first.to_datetime(Time::midnight()), zone)
}

/// As [`last`], of the option `--last`.
///
/// # Errors
///
/// If it is no age.
pub fn since_last(text: &str, now: Timestamp, zone: &Zone) -> Result<Timestamp, Failure> {
    last(text, now, zone).ok_or_else(|| {
        Failure::new(format!("`--last` cannot be `{text}`"))
            .hint("give a number of days, weeks, months or hours: 7d, 2w, 1mo, 24h")
    })
}

fn in_zone(at: DateTime, zone: &Zone) -> Option<Timestamp> {
    at.to_zoned(zone.tz().clone()).ok().map(|at| at.timestamp())
}

/// Reads a stretch of days: its first day, and the first after it.
fn days(text: &str, today: Date) -> Option<(Date, Date)> {
    let monday = |date: Date| {
        let since = date.weekday().since(Weekday::Monday);
        date.checked_sub(i32::from(since).days()).ok()
    };
    let from = |first: Date, span: Span| Some((first, first.checked_add(span).ok()?));
    let before = |first: Date, span: Span| Some((first.checked_sub(span).ok()?, first));
    match text.replace(['-', '_'], " ").as_str() {
        "today" => return from(today, 1.day()),
        "yesterday" => return before(today, 1.day()),
        "this week" | "week" => return from(monday(today)?, 1.week()),
        "last week" => return before(monday(today)?, 1.week()),
        "this month" | "month" => return from(today.first_of_month(), 1.month()),
        "last month" => return before(today.first_of_month(), 1.month()),
        "this year" | "year" => return from(today.first_of_year(), 1.year()),
        "last year" => return before(today.first_of_year(), 1.year()),
        _ => {}
    }
    let number = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i16>().ok()).flatten()
    };
    match text.split('-').collect::<Vec<_>>()[..] {
        [year] if year.len() == 4 => from(Date::new(number(year)?, 1, 1).ok()?, 1.year()),
        [year, week] if year.len() == 4 && week.starts_with('w') => {
            let week = i8::try_from(number(&week[1..])?).ok()?;
            let week = ISOWeekDate::new(number(year)?, week, Weekday::Monday).ok()?;
            from(week.date(), 1.week())
        }
        [year, month] if year.len() == 4 && month.len() == 2 => {
            let month = i8::try_from(number(month)?).ok()?;
            from(Date::new(number(year)?, month, 1).ok()?, 1.month())
        }
        [_, _, _] if !text.contains([':', 't', ' ']) => from(text.parse().ok()?, 1.day()),
        _ => None,
    }
}

/// An age as it was typed.
#[derive(Clone, Copy, Debug)]
struct Age {
    number: i64,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Age {
    fn parse(text: &str) -> Option<Age> {
        let text = text.strip_suffix(" ago").unwrap_or(text);
        let end = text.bytes().position(|byte| !byte.is_ascii_digit())?;
        let number: i64 = text[..end].parse().ok()?;
        let unit = match text[end..].trim_start() {
            // A minute or a month?
            "M" => return None,
            unit => unit.to_ascii_lowercase(),
        };
        let unit = match unit.as_str() {
            "s" | "sec" | "secs" | "second" | "seconds" => Unit::Second,
            "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
            "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Hour,
            "d" | "day" | "days" => Unit::Day,
            "w" | "wk" | "wks" | "week" | "weeks" => Unit::Week,
            "mo" | "month" | "months" => Unit::Month,
            "y" | "yr" | "yrs" | "year" | "years" => Unit::Year,
            _ => return None,
        };
        Some(Age { number, unit })
    }

    /// Whether it is counted in days or longer.
    fn is_calendar(self) -> bool {
        !matches!(self.unit, Unit::Second | Unit::Minute | Unit::Hour)
    }

    fn span(self) -> Option<Span> {
        let span = Span::new();
        match self.unit {
            Unit::Second => span.try_seconds(self.number),
            Unit::Minute => span.try_minutes(self.number),
            Unit::Hour => span.try_hours(self.number),
            Unit::Day => span.try_days(self.number),
            Unit::Week => span.try_weeks(self.number),
            Unit::Month => span.try_months(self.number),
            Unit::Year => span.try_years(self.number),
        }
        .ok()
    }

    /// Days are 24 hours long; months and years are those of the calendar.
    fn before(self, now: Timestamp, zone: &Zone) -> Option<Timestamp> {
        if matches!(self.unit, Unit::Month | Unit::Year) {
            return Some(zone.at(now).checked_sub(self.span()?).ok()?.timestamp());
        }
        let seconds = match self.unit {
            Unit::Day => self.number.checked_mul(24 * 60 * 60)?,
            Unit::Week => self.number.checked_mul(7 * 24 * 60 * 60)?,
            Unit::Hour => self.number.checked_mul(60 * 60)?,
            Unit::Minute => self.number.checked_mul(60)?,
            _ => self.number,
        };
        now.checked_sub(SignedDuration::from_secs(seconds)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Saturday.
    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn points_in_time() {
        #[rustfmt::skip]
        let cases = [
            // why                          text                          edge         time
            ("a time in UTC",               "2026-11-20T01:02:03Z",       Edge::Since, Some("2026-11-20T01:02:03Z")),
            ("a time with an offset",       "2026-11-20T01:02:03+02:00",  Edge::Since, Some("2026-11-19T23:02:03Z")),
            ("no offset is the zone",       "2026-11-20T01:02",           Edge::Since, Some("2026-11-20T01:02:00Z")),
            ("a blank for the T",           "2026-11-20 01:02",           Edge::Until, Some("2026-11-20T01:02:00Z")),
            ("a date begins at midnight",   "2026-11-20",                 Edge::Since, Some("2026-11-20T00:00:00Z")),
            ("a date as end includes it",   "2026-12-31",                 Edge::Until, Some("2027-01-01T00:00:00Z")),
            ("minutes",                     "90m",                        Edge::Since, Some("2026-11-21T10:30:00Z")),
            ("hours",                       "24h",                        Edge::Until, Some("2026-11-20T12:00:00Z")),
            ("days",                        "7d",                         Edge::Since, Some("2026-11-14T12:00:00Z")),
            ("weeks",                       "2w",                         Edge::Since, Some("2026-11-07T12:00:00Z")),
            ("months",                      "1mo",                        Edge::Since, Some("2026-10-21T12:00:00Z")),
            ("years",                       "1y",                         Edge::Since, Some("2025-11-21T12:00:00Z")),
            ("units in full",               "30days",                     Edge::Since, Some("2026-10-22T12:00:00Z")),
            ("units with a blank",          "1 month ago",                Edge::Since, Some("2026-10-21T12:00:00Z")),
            ("capitals",                    "3D",                         Edge::Since, Some("2026-11-18T12:00:00Z")),
            ("now",                         "now",                        Edge::Until, Some("2026-11-21T12:00:00Z")),
            ("today",                       "today",                      Edge::Since, Some("2026-11-21T00:00:00Z")),
            ("up to today",                 "Today",                      Edge::Until, Some("2026-11-22T00:00:00Z")),
            ("yesterday",                   "yesterday",                  Edge::Since, Some("2026-11-20T00:00:00Z")),
            ("up to yesterday",             "yesterday",                  Edge::Until, Some("2026-11-21T00:00:00Z")),
            ("a week begins on Monday",     "this week",                  Edge::Since, Some("2026-11-16T00:00:00Z")),
            ("up to the end of last week",  "last-week",                  Edge::Until, Some("2026-11-16T00:00:00Z")),
            ("a week by number",            "2026-W44",                   Edge::Since, Some("2026-10-26T00:00:00Z")),
            ("up to a week's end",          "2026-w44",                   Edge::Until, Some("2026-11-02T00:00:00Z")),
            ("this month",                  "this-month",                 Edge::Since, Some("2026-11-01T00:00:00Z")),
            ("last month",                  "last month",                 Edge::Since, Some("2026-10-01T00:00:00Z")),
            ("a month",                     "2026-10",                    Edge::Since, Some("2026-10-01T00:00:00Z")),
            ("up to a month's end",         "2026-12",                    Edge::Until, Some("2027-01-01T00:00:00Z")),
            ("a year",                      "2025",                       Edge::Until, Some("2026-01-01T00:00:00Z")),
            ("this year",                   "this year",                  Edge::Since, Some("2026-01-01T00:00:00Z")),
            ("a time of today",             "08:15",                      Edge::Since, Some("2026-11-21T08:15:00Z")),
            ("Unix seconds",                "1795262400",                 Edge::Since, Some("2026-11-21T12:00:00Z")),
            ("the future is no age",        "-7d",                        Edge::Since, None),
            ("absurd ages",                 "999999999999999999d",        Edge::Since, None),
            ("minutes or months?",          "3M",                         Edge::Since, None),
            ("no such day",                 "2026-02-30",                 Edge::Since, None),
            ("no such week",                "2026-W54",                   Edge::Since, None),
            ("no such month",               "2026-13",                    Edge::Since, None),
            ("a number alone",              "7",                          Edge::Since, None),
            ("words",                       "someday",                    Edge::Since, None),
            ("nothing",                     "",                           Edge::Since, None),
            ("no ASCII",                    "2026-é",                     Edge::Since, None),
        ];
        for (why, text, edge, time) in cases {
            let time = time.map(|time| time.parse::<Timestamp>().unwrap());
            assert_eq!(parse(text, edge, now(), &Zone::utc()), time, "{why}");
        }
    }

    #[test]
    fn days_begin_in_the_zone() {
        let Ok(zone) = Zone::named("America/Los_Angeles") else { return };
        let since = |text| parse(text, Edge::Since, now(), &zone).unwrap().to_string();
        assert_eq!(since("2026-11-20"), "2026-11-20T08:00:00Z");
        assert_eq!(since("today"), "2026-11-21T08:00:00Z");
        assert_eq!(since("2026-07"), "2026-07-01T07:00:00Z");
        assert_eq!(since("2026-11-20T01:00"), "2026-11-20T09:00:00Z");
    }

    #[test]
    fn the_last_days_are_whole_ones() {
        let first = |text| last(text, now(), &Zone::utc()).map(|at| at.to_string());
        assert_eq!(first("1d").as_deref(), Some("2026-11-21T00:00:00Z"));
        assert_eq!(first("7d").as_deref(), Some("2026-11-15T00:00:00Z"));
        assert_eq!(first("1mo").as_deref(), Some("2026-10-22T00:00:00Z"));
        assert_eq!(first("2h").as_deref(), Some("2026-11-21T10:00:00Z"));
        assert_eq!(first("yesterday"), None);
    }
}
