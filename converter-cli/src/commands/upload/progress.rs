//! The lines that a terminal shows while an upload runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use codex_trace_deliver::delivery::{Progress, Waits};
use codex_trace_export::secret::without_password;

use crate::progress::{HowFar, Pace, Unit, room, time};
use crate::text::{self, bytes};
use crate::ui::Ui;

/// How many destinations that wait are shown.
const MAX_WAITS: usize = 4;

const STOPS: &str = "stopping when the requests under way are answered; Ctrl-C again: at once";

/// Shows how far an upload is, until the progress of `ui` is stopped.
pub(super) fn show(
    progress: &Arc<Progress>,
    interrupted: &Arc<AtomicBool>,
    dry_run: bool,
    ui: &Ui,
) {
    let (progress, interrupted) = (Arc::clone(progress), Arc::clone(interrupted));
    let doing = if dry_run { "dry run" } else { "uploading" };
    let mut pace = Pace::default();
    ui.start_drawn(move |elapsed, width| {
        if interrupted.load(Ordering::Relaxed) {
            return vec![text::cut_end(STOPS, room(width)).into_owned()];
        }
        let (done, total) = (progress.done(), progress.total());
        let rate = pace.rate(elapsed, done);
        let sent = format!("{} sent", bytes(progress.sent()));
        let line = match total {
            // Of requests that are sent again, nobody knows how much they are.
            0 => text::cut_end(&format!("{doing} {sent}"), room(width)).into_owned(),
            _ => HowFar { doing, done, total, unit: Unit::Bytes, rate }.line(Some(sent), width),
        };
        let waits = progress.waits();
        let waits = waits.iter().take(MAX_WAITS);
        let waits = waits.map(|(name, waits)| waiting(name, waits, room(width)));
        [line].into_iter().chain(waits).collect()
    });
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_waits_and_for_how_long_is_said_at_any_width() {
        let reason = format!("status 429: \x1b[2J slow down, please {}", "x".repeat(300));
        let waits = Waits::new(reason, 2, Duration::from_secs(75));
        for room in [40, 77, 200] {
            let line = waiting("otlp", &waits, room);
            assert!(line.starts_with("otlp: status 429"), "{line}");
            assert!(line.ends_with("; attempt 3 in 1m15s"), "{line}");
            assert!(text::width(&line) <= room && !line.contains('\x1b'), "{line:?}");
        }
        let waits = Waits::new("503".to_owned(), 2, Duration::ZERO);
        assert_eq!(waiting("m", &waits, 80), "m: 503; attempt 3 now");
    }
}
