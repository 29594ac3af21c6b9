//! Measures how fast records are read, against the time it takes to find the
//! newlines: `cargo run --release --example read -- ~/.codex [JOB]`.
//!
//! Without the name of a job all are measured. Every figure is the best of
//! several rounds over the same files, one thread.

#![expect(clippy::disallowed_methods, reason = "a measurement needs a clock")]
#![expect(clippy::print_stdout, reason = "the result of the measurement")]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use codex_rollout::{
    LineStream, Position, RolloutHead, RolloutItem, RolloutLine, RolloutPath, RolloutReader,
    SkimReader, Source, Strings, discover,
};
use memchr::memchr_iter;
use memmap2::Mmap;

const ROUNDS: usize = 7;

/// Goes through one rollout; returns the number of its lines or records.
type Job = fn(&RolloutPath) -> usize;

fn main() {
    let root = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let rollouts: Vec<RolloutPath> = discover(Path::new(&root)).flatten().collect();
    let jobs: [(&str, Job); 9] = [
        ("newlines of the mapped file", newlines),
        ("records of the mapped file", mapped),
        ("records of the mapped file, line by line", decoded),
        ("records of a Source", source),
        ("records of a LineStream", stream),
        ("lines of a LineStream", stream_lines),
        ("newlines of a LineStream", stream_newlines),
        ("records of a SkimReader", skimmed),
        ("heads", heads),
    ];
    let only = std::env::args().nth(2);
    let wanted = |name: &str| only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    // The jobs take turns, so that a slow spell of the machine hits all.
    let mut best = [Duration::MAX; 9];
    let mut n_found = [0; 9];
    for _ in 0..ROUNDS {
        for (job, (_, run)) in jobs.iter().enumerate().filter(|(_, (name, _))| wanted(name)) {
            let start = Instant::now();
            n_found[job] = rollouts.iter().map(run).sum();
            best[job] = best[job].min(start.elapsed());
        }
    }
    for (job, (name, _)) in jobs.iter().enumerate().filter(|(_, (name, _))| wanted(name)) {
        let ratio = best[job].as_secs_f64() / best[0].as_secs_f64();
        println!("{ratio:5.2} x  {:7.3} s  {:9}  {name}", best[job].as_secs_f64(), n_found[job]);
    }
}

fn map(rollout: &RolloutPath) -> Mmap {
    let file = std::fs::File::open(&rollout.path).expect("it was just found");
    #[expect(unsafe_code, reason = "a measurement of files that nobody changes")]
    // SAFETY: the files are a corpus at rest.
    unsafe {
        Mmap::map(&file).expect("it can be mapped")
    }
}

fn newlines(rollout: &RolloutPath) -> usize {
    memchr_iter(b'\n', &map(rollout)).count()
}

/// Looks at a record, so that it must be made; 1 if it is a known one.
fn seen(line: &RolloutLine<'_>) -> usize {
    usize::from(!matches!(black_box(line).item, RolloutItem::Unknown(_)))
}

fn mapped(rollout: &RolloutPath) -> usize {
    RolloutReader::new(&map(rollout)).flatten().map(|line| seen(&line)).sum()
}

fn decoded(rollout: &RolloutPath) -> usize {
    let bytes = map(rollout);
    let mut start = 0;
    let mut n_seen = 0;
    for end in memchr_iter(b'\n', &bytes) {
        if let Ok(line) = RolloutLine::decode(&bytes[start..end], Position::new(1, start as u64)) {
            n_seen += seen(&line);
        }
        start = end + 1;
    }
    n_seen
}

fn source(rollout: &RolloutPath) -> usize {
    let source = Source::open(rollout).expect("it was just found");
    source.lines().flatten().map(|line| seen(&line)).sum()
}

fn stream(rollout: &RolloutPath) -> usize {
    let mut stream = LineStream::open(rollout).expect("it was just found");
    let mut n_seen = 0;
    while let Some(records) = stream.next_records().expect("it can be read") {
        n_seen += records.flatten().map(|line| seen(&line)).sum::<usize>();
    }
    n_seen
}

fn stream_lines(rollout: &RolloutPath) -> usize {
    let mut stream = LineStream::open(rollout).expect("it was just found");
    let mut n_seen = 0;
    while let Some((line, position, _)) = stream.next_line().expect("it can be read") {
        n_seen += RolloutLine::decode(line, position).map_or(0, |line| seen(&line));
    }
    n_seen
}

/// What reading in chunks costs by itself.
fn stream_newlines(rollout: &RolloutPath) -> usize {
    let mut stream = LineStream::open(rollout).expect("it was just found");
    let mut n_lines = 0;
    while stream.next_line().expect("it can be read").is_some() {
        n_lines += 1;
    }
    n_lines
}

fn skimmed(rollout: &RolloutPath) -> usize {
    let strings = Strings::new();
    let records = SkimReader::open(rollout, &strings).expect("it was just found");
    records.flatten().map(|line| seen(&line)).sum()
}

fn heads(rollout: &RolloutPath) -> usize {
    let head = RolloutHead::read(rollout).expect("it was just found");
    usize::from(!black_box(head).thread_id.is_empty())
}
