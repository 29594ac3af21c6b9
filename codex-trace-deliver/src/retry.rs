//! How long to wait before trying again, and how much to do at once: pure, no
//! clock, no sleep, no random numbers.

use std::time::Duration;

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The first wait.
    pub initial: Duration,
    /// The longest wait, also where a backend asks for more.
    pub max_wait: Duration,
    /// How long to go on trying, from the first attempt.
    pub budget: Duration,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy {
            initial: Duration::from_millis(250),
            max_wait: Duration::from_secs(60),
            budget: Duration::from_secs(300),
        }
    }
}

/// How long to try to reach a destination that has never answered: its address is
/// wrong more often than it is away.
const FIRST_CONTACT: Duration = Duration::from_secs(5);

impl RetryPolicy {
    /// Returns the policy for a destination of which nothing was heard yet.
    #[must_use]
    pub fn at_first(self) -> RetryPolicy {
        RetryPolicy { budget: self.budget.min(FIRST_CONTACT), ..self }
    }

    /// Returns how long to wait before the next attempt, or `None` to give up.
    ///
    /// * `attempt` counts attempts made so far, from 1.
    /// * `elapsed` is the time since the first attempt began.
    /// * `asked` is what the backend asked for, if it did.
    /// * `jitter` is in `0.0..=1.0`; the wait is scaled to 50-100 % by it.
    pub fn next_wait(
        &self,
        attempt: u32,
        elapsed: Duration,
        asked: Option<Duration>,
        jitter: f64,
    ) -> Option<Duration> {
        let doubled = self.initial.saturating_mul(1 << attempt.saturating_sub(1).min(16));
        let backoff = doubled.min(self.max_wait).mul_f64(0.5 + jitter / 2.0);
        let wait = asked.map_or(backoff, |asked| asked.min(self.max_wait));
        (elapsed + wait < self.budget).then_some(wait)
    }
}

/// How much a destination gets at once: adapts downward when it is overloaded,
/// and slowly up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    max: usize,
    allowed: usize,
    /// Good answers since the last change.
    streak: usize,
    /// Nothing is sent before this time.
    not_before: Duration,
    /// The least time between the starts of two requests.
    pause: Duration,
    /// Until when the rate is used up by what was sent.
    spent_until: Duration,
}

impl Pace {
    /// Starts with as much at once as there can be; requests begin at least
    /// `pause` apart.
    pub fn new(max: usize, pause: Duration) -> Pace {
        let max = max.max(1);
        Pace {
            max,
            allowed: max,
            streak: 0,
            not_before: Duration::ZERO,
            pause,
            spent_until: Duration::ZERO,
        }
    }

    /// Returns how many requests may be under way at once.
    pub fn allowed(&self) -> usize {
        self.allowed
    }

    /// Returns how long to wait before a request may start, given how many are
    /// under way; `None` if not before one of these has ended.
    pub fn wait(&self, under_way: usize, now: Duration) -> Option<Duration> {
        (under_way < self.allowed).then(|| self.not_before.saturating_sub(now))
    }

    /// Notes that a request starts.
    pub fn start(&mut self, now: Duration) {
        self.not_before = self.not_before.max(now) + self.pause;
    }

    /// Notes how long what is sent next takes at the rate that the destination
    /// takes. Up to a second of it may be caught up with.
    pub fn spend(&mut self, now: Duration, takes: Duration) {
        let from = self.spent_until.max(now.saturating_sub(Duration::from_secs(1)));
        self.not_before = self.not_before.max(from);
        self.spent_until = from + takes;
    }

    /// Notes a good answer: one request more at once after as many good
    /// answers in a row as are allowed at once.
    pub fn good(&mut self) {
        self.streak += 1;
        if self.streak >= self.allowed && self.allowed < self.max {
            self.allowed += 1;
            self.streak = 0;
        }
    }

    /// Notes that the destination is overloaded: half as much at once, and
    /// nothing at all for as long as it asked.
    pub fn overloaded(&mut self, now: Duration, wait: Duration) {
        self.allowed = (self.allowed / 2).max(1);
        self.streak = 0;
        self.not_before = self.not_before.max(now + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn waits() {
        let policy = RetryPolicy { initial: MS(100), max_wait: MS(1_000), budget: MS(10_000) };
        #[rustfmt::skip]
        let cases = [
            // why                          attempt elapsed  asked           jitter  wait
            ("first wait, full",            1,      0,       None,           1.0,    Some(100)),
            ("first wait, halved",          1,      0,       None,           0.0,    Some(50)),
            ("doubles",                     3,      0,       None,           1.0,    Some(400)),
            ("capped",                      9,      0,       None,           1.0,    Some(1_000)),
            ("no overflow",                 u32::MAX, 0,     None,           1.0,    Some(1_000)),
            ("backend's wish wins",         1,      0,       Some(MS(700)),  0.0,    Some(700)),
            ("backend's wish is capped",    1,      0,       Some(MS(9_999)), 0.0,   Some(1_000)),
            ("budget spent",                1,      9_950,   None,           1.0,    None),
        ];
        for (why, attempt, elapsed, asked, jitter, wait) in cases {
            let got = policy.next_wait(attempt, MS(elapsed), asked, jitter);
            assert_eq!(got, wait.map(MS), "{why}");
        }
    }

    #[test]
    fn overload_halves_and_good_answers_bring_it_back_one_by_one() {
        let mut pace = Pace::new(4, Duration::ZERO);
        assert_eq!(pace.wait(3, MS(0)), Some(MS(0)));
        assert_eq!(pace.wait(4, MS(0)), None);
        pace.overloaded(MS(100), MS(50));
        assert_eq!(pace.allowed(), 2);
        assert_eq!(pace.wait(1, MS(110)), Some(MS(40)));
        assert_eq!(pace.wait(2, MS(110)), None);
        pace.overloaded(MS(120), MS(10));
        assert_eq!((pace.allowed(), pace.wait(0, MS(120))), (1, Some(MS(30))));
        pace.overloaded(MS(200), MS(0));
        assert_eq!(pace.allowed(), 1, "never none");
        pace.good();
        assert_eq!(pace.allowed(), 2);
        pace.good();
        assert_eq!(pace.allowed(), 2);
        pace.good();
        assert_eq!(pace.allowed(), 3);
        (0..100).for_each(|_| pace.good());
        assert_eq!(pace.allowed(), 4, "never more than at first");
    }

    #[test]
    fn a_rate_is_kept_to() {
        let mut pace = Pace::new(1, Duration::ZERO);
        let mut send = |now, takes| {
            pace.spend(MS(now), MS(takes));
            pace.wait(0, MS(now)).unwrap()
        };
        assert_eq!(send(0, 300), MS(0), "the first goes at once");
        assert_eq!(send(10, 300), MS(290));
        assert_eq!(send(300, 300), MS(300));
        // Who was slow may catch up with a second of it.
        assert_eq!(send(5_000, 600), MS(0));
        assert_eq!(send(5_000, 600), MS(0));
        assert_eq!(send(5_000, 600), MS(200));
    }

    #[test]
    fn starts_are_a_pause_apart_however_many_ask() {
        let mut pace = Pace::new(4, MS(250));
        let mut at = |now| {
            let wait = pace.wait(0, MS(now)).unwrap();
            if wait.is_zero() {
                pace.start(MS(now));
            }
            wait
        };
        let waits = [at(0), at(0), at(100), at(250), at(250), at(2000), at(2100)];
        assert_eq!(waits, [0, 250, 150, 0, 250, 0, 150].map(MS));
    }
}
