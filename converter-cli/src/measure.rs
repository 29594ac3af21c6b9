//! Measures the stages of a run over a history: time, throughput, memory.

use std::fs::File;
use std::io::Read;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use codex_rollout::{Encoding, RolloutPath, SkimReader, Source, Strings};
use rayon::ThreadPool;

use codex_trace_export::content::Content;
use codex_trace_export::wire::jsonl;
use codex_trace_history::history::History;
use codex_trace_history::pipeline::{self, Look};
use codex_trace_history::skim;

/// How much is read at a time where nothing is kept, in bytes.
const CHUNK: usize = 1 << 18;

/// A job to measure; each does more than the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reads the bytes and counts newlines: what everything is compared with.
    Newlines,
    /// Checks that the bytes are UTF-8.
    Utf8,
    /// Passes over the records, as `usage` does.
    Skim,
    /// Reads every record in full.
    Records,
    /// Counts the tokens of every model call.
    Usage,
    /// Resolves sessions to span trees.
    Resolve,
    /// Writes them as JSON lines, to nowhere.
    Convert,
}

impl Stage {
    /// All of them, the yardstick first.
    pub const ALL: [Stage; 7] = [
        Stage::Newlines,
        Stage::Utf8,
        Stage::Skim,
        Stage::Records,
        Stage::Usage,
        Stage::Resolve,
        Stage::Convert,
    ];

    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Stage::Newlines => "newlines",
            Stage::Utf8 => "utf8",
            Stage::Skim => "skim",
            Stage::Records => "records",
            Stage::Usage => "usage",
            Stage::Resolve => "resolve",
            Stage::Convert => "convert",
        }
    }

    /// Does the job once; returns a number that must be the same every time:
    /// newlines, bytes, records, tokens, spans or bytes.
    pub fn run(self, history: &History, pool: &ThreadPool) -> u64 {
        match self {
            Stage::Newlines => files(history, pool, |rollout| {
                let count = |bytes: &[u8]| memchr::memchr_iter(b'\n', bytes).count() as u64;
                chunks(rollout, count)
            }),
            Stage::Utf8 => files(history, pool, |rollout| {
                let source = Source::open(rollout).ok()?;
                Some(simdutf8::basic::from_utf8(source.bytes()).map_or(0, |text| text.len() as u64))
            }),
            Stage::Skim => files(history, pool, |rollout| {
                let strings = Strings::new();
                Some(SkimReader::open(rollout, &strings).ok()?.flatten().count() as u64)
            }),
            Stage::Records => files(history, pool, |rollout| {
                let source = Source::open(rollout).ok()?;
                Some(source.lines().flatten().count() as u64)
            }),
            Stage::Usage => sessions(history, pool, |session| {
                let tokens = |trace: &codex_trace_model::Trace<'_>| trace.usage().total_tokens;
                skim::with_calls(history, session, tokens).ok()
            }),
            Stage::Resolve => sessions(history, pool, |session| {
                let spans = |trace: &codex_trace_model::Trace<'_>| trace.spans.len() as u64;
                pipeline::with_trace(history, session, Look::Content, spans).ok()
            }),
            Stage::Convert => sessions(history, pool, |session| {
                pipeline::with_trace(history, session, Look::Content, written).ok()
            }),
        }
    }
}

/// Encodes a trace and returns how many bytes that makes.
fn written(trace: &codex_trace_model::Trace<'_>) -> u64 {
    let mut buffer = Vec::with_capacity(CHUNK + CHUNK / 4);
    let mut len = 0;
    jsonl::encode(trace, Content::default(), &mut buffer, |buffer| {
        if buffer.len() >= CHUNK {
            len += buffer.len() as u64;
            buffer.clear();
        }
        true
    });
    len + buffer.len() as u64
}

/// Shows the bytes of a file to `count`, piece by piece, and adds up.
fn chunks(rollout: &RolloutPath, count: impl Fn(&[u8]) -> u64) -> Option<u64> {
    if rollout.encoding != Encoding::Plain || rollout.piped.is_some() {
        return Some(count(Source::open(rollout).ok()?.bytes()));
    }
    let mut file = File::open(&rollout.path).ok()?;
    let mut buffer = vec![0; CHUNK];
    let mut sum = 0;
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(sum),
            n => sum += count(&buffer[..n]),
        }
    }
}

/// Returns the size of all files, decompressed.
pub fn bytes(history: &History, pool: &ThreadPool) -> u64 {
    files(history, pool, |rollout| chunks(rollout, |bytes| bytes.len() as u64))
}

/// Runs `job` on every file of the history's sessions, the largest first.
pub fn files(
    history: &History,
    pool: &ThreadPool,
    job: impl Fn(&RolloutPath) -> Option<u64> + Sync,
) -> u64 {
    let members = history.sessions.iter().flat_map(|session| &session.members);
    let mut heads: Vec<_> = members.map(|member| &history.heads[member.head]).collect();
    heads.sort_by_key(|head| std::cmp::Reverse(head.len));
    each(&heads, pool, |head| job(&head.rollout))
}

fn sessions(
    history: &History,
    pool: &ThreadPool,
    job: impl Fn(&codex_trace_model::SessionGroup) -> Option<u64> + Sync,
) -> u64 {
    let order = history.largest_first();
    each(&order, pool, |nth| job(&history.sessions[*nth]))
}

fn each<T: Sync>(work: &[T], pool: &ThreadPool, job: impl Fn(&T) -> Option<u64> + Sync) -> u64 {
    let (next, sum) = (AtomicUsize::new(0), AtomicU64::new(0));
    pool.in_place_scope(|scope| {
        for _ in 0..pool.current_num_threads() {
            scope.spawn(|_| {
                while let Some(it) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    sum.fetch_add(job(it).unwrap_or(0), Ordering::Relaxed);
                }
            });
        }
    });
    sum.into_inner()
}

/// What one run of a job took.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// What the job returned.
    pub result: u64,
    /// By the clock on the wall.
    pub time: Duration,
    /// What all threads computed, whatever else the machine did meanwhile;
    /// where the system tells.
    pub cpu: Option<Duration>,
    /// The most memory that the process had meanwhile, in bytes, file pages
    /// that it mapped included; where the system tells.
    pub peak_memory: Option<u64>,
}

/// Runs a job and measures it.
#[expect(clippy::disallowed_methods, reason = "to measure is to look at the clock")]
pub fn measure(job: impl FnOnce() -> u64) -> Measured {
    let can_reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let before = computed();
    let start = Instant::now();
    let result = job();
    let time = start.elapsed();
    let cpu = computed().zip(before).map(|(after, before)| after.saturating_sub(before));
    Measured { result, time, cpu, peak_memory: peak_memory().filter(|_| can_reset) }
}

impl Measured {
    /// Takes over another run of the same job if that took less time; of memory,
    /// what was more.
    pub fn improve(&mut self, other: Measured) {
        if other.time < self.time {
            (self.time, self.cpu) = (other.time, other.cpu);
        }
        self.peak_memory = self.peak_memory.max(other.peak_memory);
    }
}

/// Returns how long the threads of this process have been computing.
// The files below /proc/self/task lag behind while a thread runs.
#[cfg(unix)]
fn computed() -> Option<Duration> {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(u64::try_from(spent.tv_sec).ok()?, u32::try_from(spent.tv_nsec).ok()?))
}

#[cfg(not(unix))]
fn computed() -> Option<Duration> {
    None
}

fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_thread_that_never_rests_is_counted() {
        use rustix::time::{ClockId, clock_gettime};
        let own = || clock_gettime(ClockId::ThreadCPUTime);
        let spin = || {
            let before = own();
            let mut n = 0;
            while (own() - before).tv_nsec < 30_000_000 {
                n += 1;
            }
            n
        };
        let measured = measure(spin);
        assert!(measured.cpu.is_some_and(|cpu| cpu >= Duration::from_millis(30)));
    }

    #[test]
    fn the_processor_time_is_that_of_the_fastest_run() {
        let run = |time, cpu, memory| Measured {
            result: 7,
            time: Duration::from_millis(time),
            cpu: Some(Duration::from_millis(cpu)),
            peak_memory: Some(memory),
        };
        let mut best = run(20, 30, 5);
        best.improve(run(10, 18, 4));
        best.improve(run(11, 1, 9));
        assert_eq!(best.cpu, Some(Duration::from_millis(18)));
        assert_eq!((best.time, best.peak_memory), (Duration::from_millis(10), Some(9)));
    }
}
