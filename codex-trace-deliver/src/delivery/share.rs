use crate::delivery::Options;

/// The most bytes in one request, whatever a backend takes: larger ones are no
/// faster, and several are under way at once.
const MAX_REQUEST: usize = 8 << 20;

/// The bytes in one request that are never denied: smaller ones are slower.
const MIN_REQUEST: usize = 256 << 10;

/// What a worker needs beside the rollouts that it reads and the units that it
/// hands on, in bytes, about.
const ENCODING: usize = 44 << 20;

/// The most that units, and the rollouts that they are made of, take for each worker, in
/// bytes: more that waits is not sent any sooner.
const WAITING: usize = 96 << 20;

/// What a destination does with its share of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// Threads that resolve and encode.
    pub(super) workers: usize,
    /// The most bytes in one request.
    pub(super) request: usize,
    /// Bytes of units, and of the rollouts that they are made of.
    pub(super) units: usize,
}

impl Share {
    /// Divides `budget` bytes: a quarter at most for requests, as many workers
    /// as fit into three quarters with them, and units have the rest, if they can use
    /// it. However little it is, there is one worker, and room for some units.
    pub(super) fn of(budget: usize, options: &Options) -> Share {
        let senders = options.senders.max(1);
        let request = (budget / 4 / senders).clamp(MIN_REQUEST, MAX_REQUEST);
        let requests = request.saturating_mul(senders);
        let workers = (budget / 4 * 3).saturating_sub(requests) / ENCODING;
        let workers = workers.clamp(1, options.jobs.max(1));
        let taken = requests.saturating_add(workers.saturating_mul(ENCODING));
        let units = budget.saturating_sub(taken).max(budget / 4);
        Share { workers, request, units: units.min(workers.saturating_mul(WAITING)) }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use codex_trace_model::Timestamp;

    use super::*;
    use crate::retry::RetryPolicy;

    const MIB: usize = 1 << 20;

    fn share(budget: usize, jobs: usize) -> (usize, usize, usize) {
        let options = Options {
            jobs,
            senders: 4,
            max_memory: 0,
            settle: Duration::ZERO,
            force: false,
            dry_run: false,
            time_shift: false,
            retry: RetryPolicy::default(),
            now: Timestamp::UNIX_EPOCH,
            compressions: Vec::new(),
            scratch: PathBuf::new(),
            encoding: String::new(),
        };
        let Share { workers, request, units } = Share::of(budget, &options);
        (workers, request, units)
    }

    #[test]
    fn what_is_given_out_is_what_there_is() {
        for budget in (96 * MIB..2048 * MIB).step_by(7 * MIB) {
            for jobs in [1, 2, 16] {
                let (workers, request, units) = share(budget, jobs);
                assert!(workers * ENCODING + 4 * request + units <= budget, "{budget} {jobs}");
            }
        }
    }

    #[test]
    fn workers_are_as_many_as_fit() {
        assert_eq!(share(512 * MIB, 2), (2, MAX_REQUEST, 192 * MIB));
        assert_eq!(share(512 * MIB, 16), (8, MAX_REQUEST, 128 * MIB));
        assert_eq!(share(256 * MIB / 3, 2).0, 1);
        assert_eq!(share(2 << 10, 8), (1, MIN_REQUEST, 512), "there is always a way on");
    }
}
