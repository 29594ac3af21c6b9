//! Where all that is sent goes in the order of its times: it is encoded into a
//! file, sorted, and read piece by piece.

use std::collections::{BTreeMap, VecDeque};

use crate::delivery::flight::Slice;
use crate::delivery::store::Store;
use crate::delivery::{Engine, Run};
use crate::failure::Failure;
use crate::scratch::Scratch;
use codex_trace_export::{Exporter, Order};

/// Returns where units are kept until they are settled: in a file, where all of
/// them are sorted before the first is sent.
pub(super) fn store(run: &Run<'_>, exporter: &dyn Exporter) -> Result<Store, Failure> {
    match exporter.order() {
        Order::Any | Order::OfThreads => Ok(Store::default()),
        Order::OfTimes => {
            let scratch = Scratch::create(&run.options.scratch);
            Ok(Store::of(scratch.map_err(|err| cannot_keep(run, &err))?))
        }
    }
}

fn cannot_keep(run: &Run<'_>, err: &std::io::Error) -> Failure {
    let what = format!("cannot keep what is to be sorted in `{}`", run.options.scratch.display());
    Failure::because(&what, err)
}

impl Engine<'_> {
    /// Whether a part of a unit waits for the one before. Where all are sorted by
    /// time, they come in their order anyway.
    pub(super) fn in_order(&self, route: usize) -> bool {
        self.routes[route].in_order && self.exporter.order() != Order::OfTimes
    }

    /// Ends the run if something could not be kept.
    pub(super) fn check_store(&self) {
        if let Some(err) = self.store.broken() {
            self.fail(&cannot_keep(self.run, &err));
        }
    }

    /// Delivers a batch, of which some may be in a file. What cannot be read ends
    /// the run.
    pub(super) fn fetch_and_deliver(&self, mut batch: Vec<Slice>) {
        match batch.iter_mut().try_for_each(Slice::fetch) {
            Ok(()) => self.deliver(batch),
            Err(err) => {
                self.fail(&cannot_keep(self.run, &err));
                self.unsent(batch, &self.why_ended());
            }
        }
    }
}

/// Slices in the order in which they are sent.
#[derive(Debug)]
pub(super) enum Line {
    /// As they came.
    InTurn(VecDeque<Slice>),
    /// By time, and then as they came.
    ByTime { slices: BTreeMap<(u64, usize), Slice>, n: usize },
}

impl Line {
    pub(super) fn new(order: Order) -> Line {
        match order {
            Order::Any | Order::OfThreads => Line::InTurn(VecDeque::new()),
            Order::OfTimes => Line::ByTime { slices: BTreeMap::new(), n: 0 },
        }
    }

    /// Whether none may go before all have come.
    pub(super) fn waits_for_all(&self) -> bool {
        matches!(self, Line::ByTime { .. })
    }

    pub(super) fn push(&mut self, slice: Slice) {
        match self {
            Line::InTurn(slices) => slices.push_back(slice),
            Line::ByTime { slices, n } => {
                slices.insert((slice.at(), *n), slice);
                *n += 1;
            }
        }
    }

    pub(super) fn first(&self) -> Option<&Slice> {
        match self {
            Line::InTurn(slices) => slices.front(),
            Line::ByTime { slices, .. } => slices.first_key_value().map(|(_, slice)| slice),
        }
    }

    pub(super) fn pop(&mut self) -> Option<Slice> {
        match self {
            Line::InTurn(slices) => slices.pop_front(),
            Line::ByTime { slices, .. } => slices.pop_first().map(|(_, slice)| slice),
        }
    }
}
