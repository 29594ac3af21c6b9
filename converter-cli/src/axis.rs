//! The time axis of the waterfall: when somebody was at work, gaps left out.

use codex_trace_model::Timestamp;

/// The widest gap between two stretches of work that is drawn, as a part of
/// all work.
const GAP: f64 = 0.02;

/// Maps times to places from 0 to 1.
#[derive(Clone, Debug, Default)]
pub struct Axis {
    /// Stretches of work: begin, end, and where the begin lies on the axis, in
    /// seconds.
    stretches: Vec<(Timestamp, Timestamp, f64)>,
    length: f64,
    has_gaps: bool,
}

impl Axis {
    /// Makes an axis of the times at work, which may overlap.
    pub fn new(mut times: Vec<(Timestamp, Timestamp)>) -> Axis {
        times.sort_unstable();
        let mut merged: Vec<(Timestamp, Timestamp)> = Vec::new();
        for (begin, end) in times {
            match merged.last_mut() {
                Some((_, last)) if begin <= *last => *last = end.max(*last),
                _ => merged.push((begin, end)),
            }
        }
        let work: f64 = merged.iter().map(|(begin, end)| seconds(*begin, *end)).sum();
        let mut axis = Axis::default();
        let mut before: Option<Timestamp> = None;
        for (begin, end) in merged {
            if let Some(before) = before {
                let gap = seconds(before, begin);
                axis.has_gaps |= gap > work * GAP;
                axis.length += gap.min(work * GAP);
            }
            axis.stretches.push((begin, end, axis.length));
            axis.length += seconds(begin, end);
            before = Some(end);
        }
        axis
    }

    /// Returns whether time was left out.
    pub fn has_gaps(&self) -> bool {
        self.has_gaps
    }

    /// Returns the place of a time.
    pub fn place(&self, at: Timestamp) -> f64 {
        let after = self.stretches.partition_point(|(begin, ..)| *begin <= at);
        let Some((begin, end, place)) = after.checked_sub(1).map(|nth| self.stretches[nth]) else {
            return 0.0;
        };
        if self.length <= 0.0 {
            return 0.0;
        }
        ((place + seconds(begin, at.min(end))) / self.length).clamp(0.0, 1.0)
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

/// Draws a bar from `begin` to `end` (places from 0 to 1) over `columns`
/// columns, in eighths of a column.
pub fn bar(begin: f64, end: f64, columns: usize) -> String {
    const LEFT: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few hundred columns, from 0 on"
    )]
    let eighths = |place: f64| (place * columns as f64 * 8.0).round() as usize;
    let last = columns * 8;
    let at_once = eighths(end) <= eighths(begin);
    let begin = eighths(begin).min(last.saturating_sub(8)) / 8 * 8;
    let end = if at_once { begin + 1 } else { eighths(end).clamp(begin + 1, last.max(begin + 1)) };
    let mut out = " ".repeat(begin / 8);
    out.push_str(&"█".repeat((end - begin) / 8));
    if (end - begin) % 8 > 0 {
        out.push(LEFT[(end - begin) % 8]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn idle_time_is_left_out() {
        let axis = Axis::new(vec![(at(100_000), at(100_050)), (at(0), at(30)), (at(20), at(50))]);
        assert!(axis.has_gaps());
        assert!((axis.place(at(0)) - 0.0).abs() < 1e-9);
        // 100 s of work and one gap drawn as 2 s.
        assert!((axis.place(at(50)) - 50.0 / 102.0).abs() < 1e-9);
        assert!((axis.place(at(60_000)) - 50.0 / 102.0).abs() < 1e-9);
        assert!((axis.place(at(100_000)) - 52.0 / 102.0).abs() < 1e-9);
        assert!((axis.place(at(100_050)) - 1.0).abs() < 1e-9);
        assert!((axis.place(at(200_000)) - 1.0).abs() < 1e-9);
        assert!((axis.place(at(-5)) - 0.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_at_all_is_fine() {
        assert!((Axis::new(Vec::new()).place(at(1)) - 0.0).abs() < 1e-9);
        assert!((Axis::new(vec![(at(1), at(1))]).place(at(1)) - 0.0).abs() < 1e-9);
    }

    #[test]
    fn bars() {
        assert_eq!(bar(0.0, 1.0, 4), "████");
        assert_eq!(bar(0.5, 1.0, 4), "  ██");
        assert_eq!(bar(0.0, 0.375, 4), "█▌");
        assert_eq!(bar(0.25, 0.25, 4), " ▏");
        assert_eq!(bar(1.0, 1.0, 4), "   ▏");
        assert_eq!(bar(0.0, 1.0, 0), "▏");
    }
}
