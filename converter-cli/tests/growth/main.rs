//! Work grows with the size of a history, not with its square, from files to
//! output: what is read and what is allocated for twice as much, and for twice
//! as much again. A test binary of its own, because it counts what the
//! allocator is asked for.

#![expect(clippy::unwrap_used, reason = "a test may stop")]

#[expect(dead_code, reason = "the model's tests need more of it")]
#[path = "../../../codex-trace-model/tests/linear/rollout.rs"]
mod rollout;

use std::path::Path;

use codex_trace_history::history::{self, History};
use codex_trace_history::pipeline;
use converter_cli::config::{Selection, Settings};
use converter_cli::measure::Stage;
use converter_cli::ui::Ui;
use rayon::ThreadPool;

use rollout::{Rollout, id};

/// The most by which work may grow when a history doubles.
const GROWTH: f64 = 2.2;

/// The sizes that are compared.
const SIZES: [usize; 3] = [100, 200, 400];

/// What was done, in counts that come out the same every time.
#[derive(Clone, Copy, Debug, Default)]
struct Work {
    allocations: u64,
    allocated: u64,
    /// Calls of `read`, and what came of them; on Linux.
    reads: u64,
    read: u64,
}

/// Does a job on this thread and counts its work.
fn work_of(job: impl FnOnce()) -> Work {
    let before = reads();
    let allocated = allocation_counter::measure(job);
    let after = reads();
    Work {
        allocations: allocated.count_total,
        allocated: allocated.bytes_total,
        reads: after[0] - before[0],
        read: after[1] - before[1],
    }
}

/// Returns how often this thread has read, and how much.
fn reads() -> [u64; 2] {
    let io = std::fs::read_to_string("/proc/thread-self/io").unwrap_or_default();
    let number = |key: &str| {
        let line = io.lines().find_map(|line| line.strip_prefix(key));
        line.map_or(0, |number| number.trim().parse().unwrap())
    };
    [number("syscr:"), number("rchar:")]
}

fn write(home: &Path, rollouts: &[Rollout]) {
    let dir = home.join("sessions/2026/01/01");
    std::fs::create_dir_all(&dir).unwrap();
    for rollout in rollouts {
        let name = format!("rollout-2026-01-01T00-00-00-{}.jsonl", rollout.thread);
        std::fs::write(dir.join(name), &rollout.text).unwrap();
    }
}

/// Everything that is done with a history, on this thread.
fn works(home: &Path, pool: &ThreadPool) -> Vec<(&'static str, Work)> {
    let ui = Ui::new(Settings::unresolved());
    let mut history = History::default();
    let find = || history = history::find(&Selection::of(home), &ui, pool).unwrap();
    let mut works = vec![("find", work_of(find))];
    for stage in [Stage::Skim, Stage::Records, Stage::Usage, Stage::Resolve, Stage::Convert] {
        works.push((stage.word(), work_of(|| _ = stage.run(&history, pool))));
    }
    works
}

/// Holds the work for histories of rising size to what it may be: a straight
/// line through the sizes, and so no more than twice as much for twice the size.
fn is_linear(make: impl Fn(usize) -> Vec<Rollout>) {
    let pool = pipeline::pool(1).unwrap();
    let works = SIZES.map(|n| {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &make(n));
        // On the pool's one thread, which is then the one that counts.
        pool.install(|| works(dir.path(), &pool))
    });
    for pair in works.windows(2) {
        for ((job, less), (_, more)) in pair[0].iter().zip(&pair[1]) {
            let counts = |it: &Work| [it.allocations, it.allocated, it.reads, it.read];
            for (less, more) in counts(less).into_iter().zip(counts(more)) {
                #[expect(clippy::cast_precision_loss, reason = "a ratio")]
                let growth = more as f64 / less.max(1) as f64;
                assert!(growth <= GROWTH || more < 64, "{job}: {less} and {more} of {works:#?}");
            }
        }
    }
}

#[test]
fn sessions() {
    is_linear(|n| {
        let session = |nth| {
            let mut rollout = Rollout::new(nth);
            rollout.turn(0, 2);
            rollout
        };
        (0..n).map(session).collect()
    });
}

#[test]
fn turns_of_a_session() {
    is_linear(|n| {
        let mut rollout = Rollout::new(0);
        (0..10 * n).for_each(|turn| rollout.turn(turn, 2));
        vec![rollout]
    });
}

#[test]
fn calls_of_a_turn() {
    is_linear(|n| {
        let mut rollout = Rollout::new(0);
        rollout.turn(0, 20 * n);
        vec![rollout]
    });
}

#[test]
fn threads_of_a_session() {
    is_linear(|n| Rollout::with_subagents(n, 1));
}

#[test]
fn bytes() {
    is_linear(|n| {
        let mut rollout = Rollout::new(0);
        rollout.started(0);
        for nth in 0..50 {
            let call = id(nth);
            rollout.call(&call, nth);
            rollout.long_output(&call, 10 * n);
        }
        rollout.complete(0);
        vec![rollout]
    });
}
