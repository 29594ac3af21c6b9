//! Time as it passes, and chance: the only place of delivery that has either.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// Measures time from when it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// Starts at zero.
    #[expect(clippy::disallowed_methods, reason = "waiting needs a clock; conversion has none")]
    pub fn start() -> Clock {
        Clock(Instant::now())
    }

    /// Returns the time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Returns a number in `0.0..=1.0` that differs from call to call.
pub fn jitter() -> f64 {
    let bits = u32::try_from(RandomState::new().hash_one(()) >> 32).unwrap_or(0);
    f64::from(bits) / f64::from(u32::MAX)
}
