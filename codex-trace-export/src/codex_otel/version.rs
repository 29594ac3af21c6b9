//! Which version of Codex wrote a rollout, as far as its telemetry changed.

use codex_rollout::JsonText;

/// A version by its first two numbers, as in `0.171.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u32, u32);

impl Version {
    /// Reads what a rollout says. What is no released version (`0.0.0` of a
    /// build from source, or nothing) counts as the newest.
    pub(crate) fn read(text: Option<JsonText<'_>>) -> Version {
        const NEWEST: Version = Version(u32::MAX, 0);
        let text = text.map(JsonText::decode).unwrap_or_default();
        let mut numbers = text.split('.').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(0)), Some(Ok(0))) => NEWEST,
            (Some(Ok(major)), Some(Ok(minor))) => Version(major, minor),
            _ => NEWEST,
        }
    }

    /// Whether it is `0.minor` or later.
    pub(crate) fn since(self, minor: u32) -> bool {
        self >= Version(0, minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        let read = |text: &'static str| Version::read(Some(JsonText::new(text.as_bytes())));
        assert!(read("0.110.0").since(98));
        assert!(!read("0.98.0").since(110));
        assert!(read("1.2.0").since(171));
        assert!(read("0.99.0-alpha.3").since(99));
        for newest in ["0.0.0", "", "dev"] {
            assert!(read(newest).since(171), "{newest}");
        }
        assert!(Version::read(None).since(171));
    }
}
