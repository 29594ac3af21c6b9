//! The lines at the bottom of a terminal that say how far a job is.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codex_trace_deliver::clock::Clock;

use crate::text;

/// How long a job may take before its progress is shown.
const PATIENCE: Duration = Duration::from_millis(300);

/// How often it is shown anew.
const TICK: Duration = Duration::from_millis(100);

/// How much of the past says how fast it goes.
const WINDOW: Duration = Duration::from_secs(30);

/// How far apart the samples of that are.
const STEP: Duration = Duration::from_millis(500);

/// How wide a bar is at least and at most.
const BAR: RangeInclusive<usize> = 5..=30;

/// What stays free at the end of a line: there a terminal shows `^C`.
const MARGIN: usize = 3;

/// What makes the lines of the time since the start.
type Draw = Box<dyn FnMut(Duration) -> Vec<String> + Send>;

/// The lines that are shown, if any; the same for all clones.
#[derive(Clone, Default)]
pub struct Screen(Arc<Mutex<Shown>>);

#[derive(Default)]
struct Shown {
    job: Option<(Clock, Draw)>,
    /// Which job it is.
    nth: usize,
    /// How many lines of it are on the terminal.
    n_lines: usize,
}

impl Screen {
    /// Shows what `draw` makes of the time since now, again and again until it is
    /// [cleared](Self::clear), if it takes a while.
    pub fn show(&self, draw: impl FnMut(Duration) -> Vec<String> + Send + 'static) {
        let mut shown = self.lock();
        shown.erase();
        shown.job = Some((Clock::start(), Box::new(draw)));
        shown.nth += 1;
        let (screen, nth) = (self.clone(), shown.nth);
        drop(shown);
        let tick = move || {
            while screen.tick(nth) {
                std::thread::sleep(TICK);
            }
        };
        // Without a thread nobody sees it, and the job is done all the same.
        std::thread::Builder::new().name("progress".to_owned()).spawn(tick).ok();
    }

    /// Takes the lines away, for good.
    pub fn clear(&self) {
        let mut shown = self.lock();
        shown.erase();
        shown.job = None;
    }

    /// Prints something else above the lines.
    pub fn aside(&self, print: impl FnOnce()) {
        let mut shown = self.lock();
        shown.erase();
        print();
    }

    /// Draws the lines of a job; `false` if it is over.
    fn tick(&self, nth: usize) -> bool {
        let mut shown = self.lock();
        if shown.nth != nth {
            return false;
        }
        let Some((began, draw)) = &mut shown.job else { return false };
        let elapsed = began.elapsed();
        if elapsed > PATIENCE {
            let lines = draw(elapsed);
            shown.draw(&lines);
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen").field("n_lines", &self.lock().n_lines).finish()
    }
}

impl Shown {
    fn draw(&mut self, lines: &[String]) {
        let text = self.to_first_line() + &lines.join("\x1b[K\n") + "\x1b[K\x1b[J";
        print(&text);
        self.n_lines = lines.len();
    }

    fn erase(&mut self) {
        if self.n_lines > 0 {
            print(&(self.to_first_line() + "\x1b[J"));
            self.n_lines = 0;
        }
    }

    /// Returns what goes back to where the first line begins.
    fn to_first_line(&self) -> String {
        let mut text = "\r".to_owned();
        if self.n_lines > 1 {
            write!(text, "\x1b[{}A", self.n_lines - 1).expect("a string takes everything");
        }
        text
    }
}

/// Writes at once, so that nobody sees half of it.
fn print(text: &str) {
    let mut err = io::stderr().lock();
    // Nobody is left to be told that stderr is closed.
    err.write_all(text.as_bytes()).and_then(|()| err.flush()).ok();
}

/// How fast it went lately.
#[derive(Debug, Default)]
pub struct Pace(VecDeque<(Duration, u64)>);

/// So much in so many milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    amount: u64,
    millis: u64,
}

impl Pace {
    /// Returns how fast it goes, given what is done by now.
    pub fn rate(&mut self, now: Duration, done: u64) -> Rate {
        let since = |(at, before): (Duration, u64)| Rate {
            amount: done.saturating_sub(before),
            millis: u64::try_from(now.saturating_sub(at).as_millis()).unwrap_or(u64::MAX),
        };
        if self.0.back().is_none_or(|(at, _)| now.saturating_sub(*at) >= STEP) {
            self.0.push_back((now, done));
        }
        while self.0.len() > 1 && now.saturating_sub(self.0[0].0) > WINDOW {
            self.0.pop_front();
        }
        let lately = since(self.0[0]);
        if lately.amount == 0 { since((Duration::ZERO, 0)) } else { lately }
    }
}

impl Rate {
    /// Returns how much it is in a second.
    pub fn per_second(self) -> u64 {
        self.amount.saturating_mul(1000) / self.millis.max(1)
    }

    /// Returns how many seconds the rest takes; `None` while nobody knows.
    fn seconds_for(self, rest: u64) -> Option<u64> {
        let millis = u128::from(rest) * u128::from(self.millis);
        let millis = millis.checked_div(u128::from(self.amount))?;
        u64::try_from(millis / 1000).ok()
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things of one size.
    Steps,
    /// Bytes.
    Bytes,
}

/// How far a job is.
#[derive(Clone, Copy, Debug)]
pub struct HowFar {
    /// What is done.
    pub doing: &'static str,
    /// How much of it is done.
    pub done: u64,
    /// How much there is to do.
    pub total: u64,
    /// Of what.
    pub unit: Unit,
    /// How fast it goes.
    pub rate: Rate,
}

impl HowFar {
    /// Returns a line with a bar, no wider than the terminal; `more` comes last,
    /// and goes first where there is no room.
    pub fn line(&self, more: Option<String>, width: usize) -> String {
        let HowFar { doing, done, total, unit, rate } = *self;
        let room = room(width);
        let amount = |n: u64| match unit {
            Unit::Steps => n.to_string(),
            Unit::Bytes => text::bytes(n),
        };
        let mut parts = vec![format!("{} of {}", amount(done), amount(total))];
        parts.extend((unit == Unit::Bytes).then(|| format!("{}/s", amount(rate.per_second()))));
        let left = rate.seconds_for(total.saturating_sub(done));
        parts.extend(left.map(|seconds| format!("{} left", time(seconds))));
        let n_own = parts.len();
        parts.extend(more);
        let taken = |parts: &[String]| doing.len() + 2 + text::width(&parts.join(", "));
        let fits = |parts: &[String]| taken(parts) + BAR.start() <= room;
        if !fits(&parts) {
            parts.truncate(n_own);
        }
        if !fits(&parts) && parts.len() > 2 {
            parts.remove(1);
        }
        let bar = bar(done, total, room.saturating_sub(taken(&parts)).min(*BAR.end()));
        text::cut_end(&format!("{doing} {bar} {}", parts.join(", ")), room).into_owned()
    }
}

/// Returns how much of a terminal's width a line may take.
pub fn room(width: usize) -> usize {
    width.saturating_sub(MARGIN)
}

/// Draws a bar.
fn bar(done: u64, total: u64, width: usize) -> String {
    let full = u128::from(done.min(total)) * width as u128 / u128::from(total.max(1));
    let full = usize::try_from(full).unwrap_or(width);
    format!("{}{}", "█".repeat(full), "░".repeat(width - full))
}

/// Writes so many seconds for people.
pub fn time(seconds: u64) -> String {
    if seconds < 60 {
        return format!("{seconds}s");
    }
    text::duration(jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn how_far(unit: Unit) -> HowFar {
        let rate = Rate { amount: 12_300_000, millis: 1000 };
        let (done, total) = (345_200_000, 1_150_000_000);
        HowFar { doing: "uploading", done, total, unit, rate }
    }

    #[test]
    fn a_line_says_what_there_is_room_for() {
        let line = |width| how_far(Unit::Bytes).line(Some("402.1 MB sent".to_owned()), width);
        let all = "345.2 MB of 1.1 GB, 12.3 MB/s, 1m05s left, 402.1 MB sent";
        assert_eq!(line(200), format!("uploading {}{} {all}", "█".repeat(9), "░".repeat(21)));
        assert_eq!(line(80), format!("uploading ███░░░░░░░ {all}"));
        assert_eq!(line(60), "uploading █░░░░ 345.2 MB of 1.1 GB, 12.3 MB/s, 1m05s left");
        assert_eq!(line(50), "uploading █░░░░░ 345.2 MB of 1.1 GB, 1m05s left");
        for width in 10..200 {
            assert!(text::width(&line(width)) <= width.saturating_sub(MARGIN), "{width}");
        }
    }

    #[test]
    fn steps_have_no_rate_and_time_left_only_if_it_is_known() {
        let rate = Rate { amount: 1, millis: 60_000 };
        let steps = HowFar { done: 1, total: 3, rate, ..how_far(Unit::Steps) };
        assert!(steps.line(None, 80).ends_with("░ 1 of 3, 2m00s left"), "{}", steps.line(None, 80));
        let at_first = HowFar { done: 0, rate: Rate { amount: 0, ..rate }, ..steps };
        assert!(at_first.line(None, 80).ends_with("░ 0 of 3"));
    }

    #[test]
    fn the_rate_is_of_the_last_half_minute() {
        let at = Duration::from_secs;
        let mut pace = Pace::default();
        pace.rate(at(0), 0);
        // What is skipped at first is no measure of what is sent after.
        assert_eq!(pace.rate(at(1), 1_000_000).per_second(), 1_000_000);
        for now in 2..60 {
            pace.rate(at(now), 1_000_000 + 10 * now);
        }
        assert_eq!(pace.rate(at(60), 1_000_600).per_second(), 10);
        // Where nothing moves, the whole run says it.
        let mut pace = Pace::default();
        for now in 0..40 {
            pace.rate(at(now), 4_000);
        }
        assert_eq!(pace.rate(at(40), 4_000).per_second(), 100);
    }

    #[test]
    fn lines_are_drawn_over_those_before() {
        let mut shown = Shown { n_lines: 3, ..Shown::default() };
        assert_eq!(shown.to_first_line(), "\r\x1b[2A");
        shown.n_lines = 1;
        assert_eq!(shown.to_first_line(), "\r");
    }
}
