//! Where slices go: those of one track lie within each other or apart.

use codex_trace_model::{SpanIx, SpanKind, Trace};

/// A slice to be drawn, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub span: SpanIx,
    pub start: i64,
    pub end: i64,
    /// The track of the session: the first one of a thread has its turns, calls
    /// that overlap others have tracks of their own.
    pub track: usize,
}

/// The slices of a session and its tracks.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// In the order of the spans.
    pub slices: Vec<Slice>,
    /// For each track its thread, and the lane of the thread: 0 for the first.
    pub tracks: Vec<(usize, usize)>,
}

impl Lanes {
    /// Places the spans that say when they began. One that does not say when it
    /// ended ends with the last thing below it.
    pub(super) fn of(trace: &Trace<'_>) -> Lanes {
        let mut ends: Vec<Option<i64>> = trace.spans.iter().map(|it| micros(it.end)).collect();
        for (ix, span) in trace.spans.iter().enumerate().rev() {
            ends[ix] = ends[ix].max(micros(span.start)).filter(|_| span.end.is_none()).or(ends[ix]);
            let up = span.parent.map(codex_trace_model::SpanIx::index);
            if let Some(up) = up.filter(|up| trace.spans[*up].end.is_none()) {
                ends[up] = ends[up].max(ends[ix]);
            }
        }
        let mut lanes = Lanes::default();
        for thread in 0..trace.threads.len() {
            lanes.add_thread(trace, thread, &ends);
        }
        lanes.slices.sort_by_key(|slice| slice.span);
        lanes
    }

    fn add_thread(&mut self, trace: &Trace<'_>, thread: usize, ends: &[Option<i64>]) {
        let own = trace.iter().filter(|(_, span)| span.thread.0 as usize == thread);
        let mut slices: Vec<Slice> = own
            .filter(|(_, span)| thread > 0 || !matches!(span.kind, SpanKind::Thread))
            .filter_map(|(ix, span)| {
                let start = micros(span.start)?;
                // Of a slice without length, speedscope finds no end.
                let end = ends[ix.index()]?.max(start + 1);
                Some(Slice { span: ix, start, end, track: 0 })
            })
            .collect();
        // What is around comes first.
        slices.sort_by_key(|slice| (slice.start, std::cmp::Reverse(slice.end), slice.span));
        let first = self.tracks.len();
        self.tracks.push((thread, 0));
        // The slices of each lane that have not ended, outermost first.
        let mut open: Vec<Vec<i64>> = vec![Vec::new()];
        for mut slice in slices {
            let fits = |lane: &mut Vec<i64>| {
                while lane.last().is_some_and(|end| *end <= slice.start) {
                    lane.pop();
                }
                lane.last().is_none_or(|end| *end >= slice.end)
            };
            let lane = open.iter_mut().position(fits).unwrap_or_else(|| {
                open.push(Vec::new());
                self.tracks.push((thread, open.len() - 1));
                open.len() - 1
            });
            open[lane].push(slice.end);
            slice.track = first + lane;
            self.slices.push(slice);
        }
    }
}

/// Returns a time in microseconds since 1970.
pub(super) fn micros(at: Option<codex_trace_model::Timestamp>) -> Option<i64> {
    at.map(codex_trace_model::Timestamp::as_microsecond)
}
