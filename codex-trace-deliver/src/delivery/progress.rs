//! How far a run is: counted by all of its threads, read by whoever shows it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;

/// How far a run is, all destinations together.
#[derive(Debug, Default)]
pub struct Progress {
    total: AtomicU64,
    done: AtomicU64,
    sent: AtomicU64,
    waits: Mutex<BTreeMap<String, Waits>>,
}

/// A destination did not take a request, and gets it again after a while.
#[derive(Clone, Debug)]
pub struct Waits {
    /// Why it did not, in its own words or those of the network.
    pub reason: String,
    /// How often the request was sent.
    pub attempts: u32,
    since: Clock,
    wait: Duration,
}

impl Waits {
    /// Says that a request is sent again so long after now.
    pub fn new(reason: String, attempts: u32, wait: Duration) -> Waits {
        Waits { reason, attempts, since: Clock::start(), wait }
    }

    /// Returns the time until the request is sent again; zero while it is under
    /// way.
    pub fn left(&self) -> Duration {
        self.wait.saturating_sub(self.since.elapsed())
    }
}

impl Progress {
    /// Returns the size of all that is to be done, in bytes, as far as it is
    /// known.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Returns the size of what is done with, in bytes: uploaded, skipped or
    /// refused. A rollout counts once for each destination.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Returns how many bytes of requests were sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Returns the destinations that wait before they send a request again, by
    /// name.
    pub fn waits(&self) -> Vec<(String, Waits)> {
        self.lock().iter().map(|(name, waits)| (name.clone(), waits.clone())).collect()
    }

    /// Notes that there is more to do.
    pub(super) fn add_total(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Notes that a request was sent.
    pub(super) fn add_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Notes that a request is to be sent again after a while.
    pub(super) fn wait(&self, destination: &str, reason: &str, attempts: u32, wait: Duration) {
        self.lock().insert(destination.to_owned(), Waits::new(reason.to_owned(), attempts, wait));
    }

    /// Notes that a destination answers as it should, or is not asked any more.
    pub(super) fn go_on(&self, destination: &str) {
        self.lock().remove(destination);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Waits>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes on their way: done with when this is dropped.
#[derive(Debug, Default)]
pub(super) struct OnTheWay {
    progress: Arc<Progress>,
    bytes: u64,
}

impl OnTheWay {
    pub(super) fn new(progress: &Arc<Progress>, bytes: u64) -> OnTheWay {
        OnTheWay { progress: Arc::clone(progress), bytes }
    }
}

impl Drop for OnTheWay {
    fn drop(&mut self) {
        self.progress.done.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_done_when_nothing_of_it_is_on_the_way() {
        let progress = Arc::default();
        let (one, other) = (OnTheWay::new(&progress, 3), OnTheWay::new(&progress, 4));
        assert_eq!(progress.done(), 0);
        drop(one);
        assert_eq!(progress.done(), 3);
        drop(other);
        assert_eq!(progress.done(), 7);
    }

    #[test]
    fn who_waits_is_known_until_it_goes_on() {
        let progress = Progress::default();
        progress.wait("otlp", "status 429", 1, Duration::from_secs(60));
        progress.wait("otlp", "status 503", 2, Duration::ZERO);
        let [(name, waits)] = &progress.waits()[..] else { panic!("one destination") };
        assert_eq!((name.as_str(), waits.attempts, waits.left()), ("otlp", 2, Duration::ZERO));
        assert_eq!(waits.reason, "status 503");
        progress.go_on("otlp");
        assert!(progress.waits().is_empty());
    }
}
