//! The lines that a terminal shows while an upload runs.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use codex_trace_deliver::delivery::{Progress, Waits};
use codex_trace_export::secret::without_password;

use crate::text::{self, bytes};
use crate::ui::Ui;

/// How much of the past says how fast it goes.
const WINDOW: Duration = Duration::from_secs(30);

/// How far apart the samples of that are.
const STEP: Duration = Duration::from_millis(500);

/// How wide a bar is at least and at most.
const BAR: std::ops::RangeInclusive<usize> = 5..=30;

/// What stays free at the end of a line: there a terminal shows `^C`.
const MARGIN: usize = 3;

/// How many destinations that wait are shown.
const MAX_WAITS: usize = 4;

/// Shows how far an upload is, until the progress of `ui` is stopped.
pub(super) fn show(
    progress: &Arc<Progress>,
    interrupted: &Arc<AtomicBool>,
    dry_run: bool,
    ui: &Ui,
) {
    let Some(width) = ui.settings().message_width else { return };
    let (progress, interrupted) = (Arc::clone(progress), Arc::clone(interrupted));
    let pace = Arc::new(Mutex::new(Pace::default()));
    let doing = if dry_run { "dry run" } else { "uploading" };
    ui.start_drawn(move |elapsed| {
        let mut pace = pace.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = pace.rate(elapsed, progress.done());
        let how_far = HowFar {
            doing,
            done: progress.done(),
            total: progress.total(),
            sent: progress.sent(),
            rate,
            stops: interrupted.load(Ordering::Relaxed),
        };
        lines(&how_far, &progress.waits(), width)
    });
}

/// How fast it went lately.
#[derive(Debug, Default)]
struct Pace(VecDeque<(Duration, u64)>);

impl Pace {
    /// Returns the bytes a second, given what is done by now.
    fn rate(&mut self, now: Duration, done: u64) -> u64 {
        let per_second = |(at, before): (Duration, u64)| {
            let millis = u64::try_from(now.saturating_sub(at).as_millis()).unwrap_or(u64::MAX);
            done.saturating_sub(before).saturating_mul(1000) / millis.max(1)
        };
        if self.0.back().is_none_or(|(at, _)| now.saturating_sub(*at) >= STEP) {
            self.0.push_back((now, done));
        }
        while self.0.len() > 1 && now.saturating_sub(self.0[0].0) > WINDOW {
            self.0.pop_front();
        }
        match per_second(self.0[0]) {
            0 => per_second((Duration::ZERO, 0)),
            lately => lately,
        }
    }
}

/// How far an upload is.
#[derive(Clone, Copy, Debug)]
struct HowFar {
    doing: &'static str,
    done: u64,
    total: u64,
    sent: u64,
    rate: u64,
    /// Whether the user wants it to end.
    stops: bool,
}

/// Returns the lines to show, none wider than the terminal.
fn lines(how_far: &HowFar, waits: &[(String, Waits)], width: usize) -> String {
    let room = width.saturating_sub(MARGIN);
    let mut lines = vec![how_far.line(room)];
    if !how_far.stops {
        lines.extend(waits.iter().take(MAX_WAITS).map(|(name, waits)| waiting(name, waits, room)));
    }
    lines.join("\n")
}

impl HowFar {
    fn line(&self, room: usize) -> String {
        if self.stops {
            let text = "stopping when the requests under way are answered; Ctrl-C again: at once";
            return text::cut_end(text, room).into_owned();
        }
        let sent = format!("{} sent", bytes(self.sent));
        if self.total == 0 {
            return text::cut_end(&format!("{} {sent}", self.doing), room).into_owned();
        }
        let of = format!("{} of {}", bytes(self.done), bytes(self.total));
        let rate = format!("{}/s", bytes(self.rate));
        let left = (self.rate > 0).then(|| (self.total.saturating_sub(self.done)) / self.rate);
        let left = left.map(|seconds| format!("{} left", time(seconds)));
        // Where there is no room, what says least goes first.
        let mut parts = vec![of, rate];
        parts.extend(left);
        parts.push(sent);
        let fits = |parts: &[String]| {
            self.doing.len() + 2 + BAR.start() + text::width(&parts.join(", ")) <= room
        };
        for droppable in [parts.len() - 1, 1] {
            if !fits(&parts) {
                parts.remove(droppable);
            }
        }
        let text = parts.join(", ");
        let bar = room.saturating_sub(self.doing.len() + 2 + text::width(&text)).min(*BAR.end());
        let line = format!("{} {} {text}", self.doing, bar_of(self.done, self.total, bar));
        text::cut_end(&line, room).into_owned()
    }
}

/// Draws a bar.
fn bar_of(done: u64, total: u64, width: usize) -> String {
    let full = u128::from(done.min(total)) * width as u128 / u128::from(total.max(1));
    let full = usize::try_from(full).unwrap_or(width);
    format!("{}{}", "█".repeat(full), "░".repeat(width - full))
}

/// Says that a destination waits, why, and for how long; the end stays whole.
fn waiting(name: &str, waits: &Waits, room: usize) -> String {
    let left = waits.left();
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    let then = if seconds == 0 { "now".to_owned() } else { format!("in {}", time(seconds)) };
    let end = format!("; attempt {} {then}", waits.attempts + 1);
    let what = format!("{name}: {}", text::one_line(&without_password(&waits.reason)));
    let what = text::cut_end(&what, room.saturating_sub(end.len())).into_owned();
    text::cut_end(&(what + &end), room).into_owned()
}

/// Writes so many seconds for people.
fn time(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        _ => text::duration(jiff::SignedDuration::from_secs(
            i64::try_from(seconds).unwrap_or(i64::MAX),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOW_FAR: HowFar = HowFar {
        doing: "uploading",
        done: 345_200_000,
        total: 1_150_000_000,
        sent: 402_100_000,
        rate: 12_300_000,
        stops: false,
    };

    #[test]
    fn a_line_says_what_there_is_room_for() {
        let line = |width| lines(&HOW_FAR, &[], width);
        let all = "345.2 MB of 1.1 GB, 12.3 MB/s, 1m05s left, 402.1 MB sent";
        assert_eq!(line(200), format!("uploading {}{} {all}", "█".repeat(9), "░".repeat(21)));
        assert_eq!(line(80), format!("uploading ███░░░░░░░ {all}"));
        assert_eq!(line(60), "uploading █░░░░ 345.2 MB of 1.1 GB, 12.3 MB/s, 1m05s left");
        assert_eq!(line(50), "uploading █░░░░░ 345.2 MB of 1.1 GB, 1m05s left");
        for width in 40..200 {
            assert!(text::width(&line(width)) <= width - MARGIN, "{width}");
        }
    }

    #[test]
    fn who_waits_and_for_how_long_is_said_at_any_width() {
        let waits =
            |reason: &str, seconds| Waits::new(reason.to_owned(), 2, Duration::from_secs(seconds));
        let reason = format!("status 429: \x1b[2J slow down, please {}", "x".repeat(300));
        let all = [("otlp".to_owned(), waits(&reason, 75)), ("m".to_owned(), waits("503", 0))];
        for width in [40, 80, 200] {
            let shown = lines(&HOW_FAR, &all, width);
            let shown: Vec<&str> = shown.lines().collect();
            assert!(shown[1].starts_with("otlp: status 429"), "{}", shown[1]);
            assert!(shown[1].ends_with("; attempt 3 in 1m15s"), "{}", shown[1]);
            assert!(shown.iter().all(|line| text::width(line) <= width - MARGIN), "{shown:?}");
            assert!(!shown[1].contains('\x1b'));
            assert_eq!(shown[2], "m: 503; attempt 3 now");
        }
        let stops = HowFar { stops: true, ..HOW_FAR };
        assert_eq!(lines(&stops, &all, 80).lines().count(), 1);
    }

    #[test]
    fn what_has_no_end_says_what_was_sent() {
        let of_requests = HowFar { total: 0, done: 0, rate: 0, ..HOW_FAR };
        assert_eq!(lines(&of_requests, &[], 80), "uploading 402.1 MB sent");
        let at_first = HowFar { done: 0, rate: 0, sent: 0, ..HOW_FAR };
        assert!(!lines(&at_first, &[], 80).contains("left"), "nobody knows yet");
    }

    #[test]
    fn the_rate_is_of_the_last_half_minute() {
        let mut pace = Pace::default();
        let at = Duration::from_secs;
        assert_eq!(pace.rate(at(0), 0), 0);
        // What is skipped at first is no measure of what is sent after.
        assert_eq!(pace.rate(at(1), 1_000_000), 1_000_000);
        let rates: Vec<u64> =
            (2..=60).map(|now| pace.rate(at(now), 1_000_000 + 10 * now)).collect();
        assert_eq!(rates.last(), Some(&10));
        // Where nothing moves, the whole run says it.
        let mut pace = Pace::default();
        for now in 0..40 {
            pace.rate(at(now), 4_000);
        }
        assert_eq!(pace.rate(at(40), 4_000), 100);
    }
}
