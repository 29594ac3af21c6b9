//! The time zone of a run: one for what is printed and for what is typed.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use codex_trace_history::failure::Failure;

/// The time zone in which times are read and written for people.
#[derive(Clone, Debug)]
pub struct Zone {
    tz: TimeZone,
    label: String,
}

impl Zone {
    /// UTC.
    pub fn utc() -> Zone {
        Zone { tz: TimeZone::UTC, label: "UTC".to_owned() }
    }

    /// The zone of this machine (`TZ`, else the system's); UTC if it has none.
    pub fn local() -> Zone {
        let tz = TimeZone::try_system().unwrap_or(TimeZone::UTC);
        Zone { tz, label: "local".to_owned() }
    }

    /// Finds a zone by what was typed: `utc`, `local`, or an IANA name.
    ///
    /// # Errors
    ///
    /// If there is no such zone.
    pub fn named(name: &str) -> Result<Zone, Failure> {
        match name.to_ascii_lowercase().as_str() {
            "utc" | "z" => return Ok(Zone::utc()),
            "local" => return Ok(Zone::local()),
            _ => {}
        }
        let tz = TimeZone::get(name).map_err(|_| {
            Failure::new(format!("no time zone is called `{name}`"))
                .hint("give `local`, `utc`, or a name such as `Europe/Berlin`")
        })?;
        let label = tz.iana_name().unwrap_or(name).to_owned();
        Ok(Zone { tz, label })
    }

    /// Returns the zone itself.
    pub fn tz(&self) -> &TimeZone {
        &self.tz
    }

    /// Returns what to call it in the heading of a column.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Returns its last part, `Berlin` of `Europe/Berlin`, for narrow columns.
    pub fn short_label(&self) -> &str {
        self.label.rsplit('/').next().unwrap_or(&self.label)
    }

    /// Returns a time as its clocks show it.
    pub fn at(&self, at: Timestamp) -> Zoned {
        at.to_zoned(self.tz.clone())
    }

    /// Returns the day of a time.
    pub fn date(&self, at: Timestamp) -> Date {
        self.at(at).date()
    }

    /// Writes a time for people: `2026-11-21 05:39`.
    pub fn minute(&self, at: Timestamp) -> String {
        self.at(at).strftime("%Y-%m-%d %H:%M").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_by_name() {
        let at: Timestamp = "2026-07-01T22:30:00Z".parse().unwrap();
        let minute = |name: &str| Zone::named(name).map(|zone| zone.minute(at));
        assert_eq!(minute("UTC").unwrap(), "2026-07-01 22:30");
        // Without a zone database on the machine there is no answer to compare.
        if let Ok(berlin) = minute("europe/berlin") {
            assert_eq!(berlin, "2026-07-02 00:30");
            assert_eq!(Zone::named("Europe/Berlin").unwrap().short_label(), "Berlin");
        }
        let err = minute("Mars/Olympus").unwrap_err();
        assert_eq!(err.to_string(), "no time zone is called `Mars/Olympus`");
    }
}
